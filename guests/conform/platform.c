/* SPDX-License-Identifier: MIT */
/* platform.c - platform_op: the firmware's tables, the physical CPUs, what is refused. */
#include "conform.h"

#include <xen/platform.h>

static char name[64];

static const char *numbered(const char *what, unsigned int n)
{
    fmt_snprintf(name, sizeof(name), "%s.%u", what, n);
    return name;
}

static struct xen_platform_op pf;

static long platform(uint32_t cmd)
{
    pf.cmd = cmd;
    pf.interface_version = XENPF_INTERFACE_VERSION;
    return hypercall2(__HYPERVISOR_platform_op, ARG(&pf), 0);
}

static void check_platform(void)
{
    result("platform.bad", hypercall2(__HYPERVISOR_platform_op, ARG(BAD_POINTER), 0));
    memset(&pf, 0, sizeof(pf));
    result("platform.version", hypercall2(__HYPERVISOR_platform_op, ARG(&pf), 0));
    result("platform.unknown.0", platform(0));
    result("platform.unknown.99", platform(99));
    pf.u.settime64.mbz = 1;
    result("platform.settime64.mbz", platform(XENPF_settime64));
    memset(&pf, 0, sizeof(pf));
    pf.u.firmware_info.type = 77;
    result("platform.firmware.unknown", platform(XENPF_firmware_info));
    pf.u.firmware_info.type = XEN_FW_DISK_INFO;
    pf.u.firmware_info.index = 99;
    result("platform.firmware.disk", platform(XENPF_firmware_info));
    pf.u.firmware_info.type = XEN_FW_DISK_MBR_SIGNATURE;
    result("platform.firmware.mbr", platform(XENPF_firmware_info));
    pf.u.firmware_info.type = XEN_FW_EFI_INFO;
    result("platform.firmware.efi", platform(XENPF_firmware_info));
    pf.u.firmware_info.type = XEN_FW_VBEDDC_INFO;
    pf.u.firmware_info.index = 9;
    result("platform.firmware.ddc_9", platform(XENPF_firmware_info));
    pf.u.firmware_info.type = XEN_FW_KBD_SHIFT_FLAGS;
    result("platform.firmware.keyboard_9", platform(XENPF_firmware_info));
    pf.u.firmware_info.index = 0;
    result("platform.firmware.keyboard", platform(XENPF_firmware_info));
    memset(&pf, 0, sizeof(pf));
    result("platform.efi_call", platform(XENPF_efi_runtime_call));
    pf.u.enter_acpi_sleep.sleep_state = 0;
    result("platform.sleep.0", platform(XENPF_enter_acpi_sleep));
    pf.u.enter_acpi_sleep.sleep_state = 9;
    result("platform.sleep.9", platform(XENPF_enter_acpi_sleep));
    pf.u.enter_acpi_sleep.sleep_state = 3;
    pf.u.enter_acpi_sleep.flags = 4;
    result("platform.sleep.flags", platform(XENPF_enter_acpi_sleep));
    memset(&pf, 0, sizeof(pf));
    result("platform.change_freq", platform(XENPF_change_freq));
}

static void check_platform_cpus(void)
{
    static uint64_t idle[2] = { 7, 7 };
    static uint8_t map[8] = { 0xff };
    static const uint32_t cpus[] = { 0, 1, 99 };

    for (unsigned int i = 0; i < 3; i++) {
        memset(&pf, 0, sizeof(pf));
        pf.u.pcpu_info.xen_cpuid = cpus[i];
        result(numbered("platform.cpuinfo", cpus[i]), platform(XENPF_get_cpuinfo));
        result(numbered("platform.cpuinfo.max", cpus[i]), pf.u.pcpu_info.max_present);
        result(numbered("platform.cpuinfo.flags", cpus[i]), pf.u.pcpu_info.flags);
        result(numbered("platform.cpuinfo.apic", cpus[i]), (int)pf.u.pcpu_info.apic_id);
        result(numbered("platform.cpuinfo.acpi", cpus[i]), (int)pf.u.pcpu_info.acpi_id);
        memset(&pf, 0, sizeof(pf));
        pf.u.pcpu_version.xen_cpuid = cpus[i];
        result(numbered("platform.version", cpus[i]), platform(XENPF_get_cpu_version));
        result(numbered("platform.version.max", cpus[i]), pf.u.pcpu_version.max_present);
        result(numbered("platform.version.vendor", cpus[i]), pf.u.pcpu_version.vendor_id[0]);
        result(numbered("platform.version.family", cpus[i]), pf.u.pcpu_version.family);
        result(numbered("platform.version.model", cpus[i]), pf.u.pcpu_version.model);
        result(numbered("platform.version.stepping", cpus[i]), pf.u.pcpu_version.stepping);
        memset(&pf, 0, sizeof(pf));
        pf.u.cpu_ol.cpuid = cpus[i];
        result(numbered("platform.online", cpus[i]), platform(XENPF_cpu_online));
    }
    memset(&pf, 0, sizeof(pf));
    result("platform.offline.0", platform(XENPF_cpu_offline));
    pf.u.cpu_ol.cpuid = 99;
    result("platform.offline.99", platform(XENPF_cpu_offline));
    memset(&pf, 0, sizeof(pf));
    set_xen_guest_handle(pf.u.getidletime.cpumap_bitmap, map);
    set_xen_guest_handle(pf.u.getidletime.idletime, idle);
    pf.u.getidletime.cpumap_nr_cpus = 2;
    result("platform.idle", platform(XENPF_getidletime));
    result_hex("platform.idle.map", map[0]);
    result("platform.idle.times", idle[0] > 7 && idle[1] > 7);
    result("platform.idle.now", pf.u.getidletime.now > 0);
    set_xen_guest_handle(pf.u.getidletime.idletime, BAD_POINTER);
    result("platform.idle.bad", platform(XENPF_getidletime));
}

void check_platform_op(void)
{
    check_platform();
    check_platform_cpus();
}
