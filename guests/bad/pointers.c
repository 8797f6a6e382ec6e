/* SPDX-License-Identifier: MIT */
/*
 * pointers.c - every hypercall with arguments that are not what it asks for:
 * addresses of the hypervisor, unmapped and non-canonical ones, the hypervisor's
 * own page boundary. All must come back with some value. Left out is only what
 * ends or stops the caller by design. "verbose" tells the hypercall, first=N starts
 * there, skip=N leaves one out (31, as domain 0 on Xen: xenoprof ends that machine).
 */
#include "bad.h"

/* No argument has 0 in its low half: that would name vcpu 0 or a valid command. */
static const unsigned long junk[] = {
    0xffff82d040200008, 0xffff800000000ff9, 0xffff830000001234, 0xffff87fffffffff9,
    0xffff880000000004, 0x00007fffffffeff9, 0x8000000000001234, 0xffffffffffffffff,
    0x00000000ffffffff, 0x0000000000000ff9, 0x7fffffffffffffff, 0x0000010000000fff,
};

#define NR_JUNK (sizeof(junk) / sizeof(junk[0]))

static unsigned long seed = 88172645463325252;

static unsigned long random(void)
{
    return random_next(&seed);
}

static unsigned long random_junk(void)
{
    return junk[random() % NR_JUNK];
}

static bool by_design(unsigned int nr, unsigned long cmd)
{
    if (nr == __HYPERVISOR_sched_op) {
        return cmd == SCHEDOP_block || cmd == SCHEDOP_shutdown_code;
    }
    /* The old sched_op takes the shutdown's reason as it is, too. */
    return nr == __HYPERVISOR_iret || nr == __HYPERVISOR_sched_op_compat;
}

static void call_all(unsigned int nr, unsigned long cmd)
{
    for (unsigned int i = 0; i < NR_JUNK && !by_design(nr, cmd); i++) {
        hypercall(nr, cmd, junk[i], junk[i], junk[i], junk[i]);
        hypercall(nr, cmd, random_junk(), random_junk(), random_junk(), random_junk());
    }
}

const char *fault_pointers(void)
{
    unsigned int first = (unsigned int)arg_number("first", 0);
    unsigned int skip = (unsigned int)arg_number("skip", 64);
    bool verbose = arg_flag("verbose");
    unsigned long calls = 0;

    upcalls_disable();
    for (unsigned int nr = first; nr < 64; nr++) {
        if (nr == skip) {
            continue;
        }
        if (verbose) {
            printf("bad: hypercall %u\n", nr);
        }
        for (unsigned long cmd = 0; cmd < 48; cmd++, calls += 2 * NR_JUNK) {
            call_all(nr, cmd);
        }
        for (unsigned int i = 0; i < NR_JUNK; i++, calls += 2 * NR_JUNK) {
            call_all(nr, junk[i]);
        }
    }
    hypercall2(__HYPERVISOR_fpu_taskswitch, 0, 0);
    trap_init();
    timer_periodic(0, 0);
    upcalls_enable();
    printf("bad: %lu calls survived\n", calls);
    return xen_version(XENVER_pagesize, NULL) == PAGE_SIZE ? NULL : "hypercalls do not work";
}
