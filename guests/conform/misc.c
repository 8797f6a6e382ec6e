/* SPDX-License-Identifier: MIT */
/* misc.c - multicall, vm_assist, console_io, and the numbers that mean nothing. */
#include "conform.h"

static long multicall(void *calls, unsigned long n)
{
    return hypercall2(__HYPERVISOR_multicall, ARG(calls), n);
}

static void check_multicall(void)
{
    static struct multicall_entry calls[3];

    calls[0] = (struct multicall_entry){ .op = __HYPERVISOR_xen_version, .args = { 7 } };
    calls[1] = (struct multicall_entry){ .op = 62 };
    calls[2] = (struct multicall_entry){ .op = __HYPERVISOR_sched_op, .args = { 0, 0 } };
    result("multicall", multicall(calls, 3));
    result("multicall.pagesize", (long)calls[0].result);
    result("multicall.unknown", (long)calls[1].result);
    result("multicall.yield", (long)calls[2].result);
    calls[0] = (struct multicall_entry){
        .op = __HYPERVISOR_multicall,
        .args = { ARG(&calls[2]), 1 },
    };
    result("multicall.nested", multicall(calls, 1));
    result("multicall.nested.result", (long)calls[0].result);
    result("multicall.none", multicall(calls, 0));
    result("multicall.bad", multicall(BAD_POINTER, 1));
    result("multicall.xen", multicall(XEN_POINTER, 1));
    result("multicall.null", multicall(NULL, 0));
}

static long assist(unsigned int cmd, unsigned int type)
{
    return hypercall2(__HYPERVISOR_vm_assist, cmd, type);
}

static void check_vm_assist(void)
{
    static const unsigned int types[] = { 0, 1, 2, 3, 4, 5, 6, 31, 32, 33, 63, 64, 0xffffffff };
    char name[32];

    for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        fmt_snprintf(name, sizeof(name), "vm_assist.enable.%u", types[i]);
        result(name, assist(VMASST_CMD_enable, types[i]));
    }
    for (unsigned int i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        fmt_snprintf(name, sizeof(name), "vm_assist.disable.%u", types[i]);
        result(name, assist(VMASST_CMD_disable, types[i]));
    }
    result("vm_assist.unknown", assist(2, 0));
}

static void check_console(void)
{
    static const char text[] = "T|console.write.text|0\n";
    static char buffer[16];

    result("console.write", console_io(CONSOLEIO_write, sizeof(text) - 1, text));
    result("console.write.none", console_io(CONSOLEIO_write, 0, text));
    result("console.write.bad", console_io(CONSOLEIO_write, 4, BAD_POINTER));
    result("console.write.xen", console_io(CONSOLEIO_write, 4, XEN_POINTER));
    result("console.read.nothing", console_io(CONSOLEIO_read, sizeof(buffer), buffer));
    result("console.unknown", console_io(2, 0, buffer));
}

static void check_unknown(void)
{
    static const unsigned int numbers[] = { 11, 38, 43, 44, 47, 50, 51, 55, 56, 63, 64, 127 };
    char name[32];

    for (unsigned int i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        fmt_snprintf(name, sizeof(name), "unknown.%u", numbers[i]);
        result(name, hypercall(numbers[i], 0, 0, 0, 0, 0));
    }
    result("set_debugreg.9", hypercall2(__HYPERVISOR_set_debugreg, 9, 0));
    result("set_debugreg.0", hypercall2(__HYPERVISOR_set_debugreg, 0, 0));
    result("get_debugreg.0", hypercall2(__HYPERVISOR_get_debugreg, 0, 0));
    result("get_debugreg.9", hypercall2(__HYPERVISOR_get_debugreg, 9, 0));
}

void check_misc(void)
{
    check_multicall();
    check_vm_assist();
    check_console();
    check_unknown();
}
