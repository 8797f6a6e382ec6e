/* SPDX-License-Identifier: MIT */
/*
 * cmd_test.c - what tests need: faults on purpose (fail-allocation), an override of our own vcpu's
 * affinity (pin-override), domains that come and go (life).
 */
#include "shell.h"

#include <tarn.h>

static int run_fail_allocation(int argc, char **argv)
{
    struct tarn_fail_allocation op = { .after = 0 };
    struct options o;
    uint64_t control, n;
    long rc;

    if (!options_flags(&o, argc, argv, "c", NULL, &control) || o.nr_rest != 1 ||
        !number_parse(o.rest[0], UINT32_MAX, &n)) {
        return USAGE;
    }
    if (control) {
        heap_fail_after((unsigned int)n);
        return 0;
    }
    op.after = (uint32_t)n;
    rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_fail_allocation, ARG(&op));
    if (rc) {
        return fail_errno(rc, "the hypervisor's allocations");
    }
    out("pending %u\n", op.pending);
    return 0;
}

const struct command cmd_fail_allocation = {
    .name = "fail-allocation",
    .usage = "[-c] N",
    .help = "for tests: the hypervisor's N-th allocation fails (-c: the control domain's)",
    .run = run_fail_allocation,
};

/* Only a domain itself can ask for it, as a driver does around a piece of code. */
static int run_pin_override(int argc, char **argv)
{
    struct sched_pin_override op = { .pcpu = -1 };
    uint64_t cpu;
    long rc;

    if (argc != 2 || (strcmp(argv[1], "none") != 0 && !number_parse(argv[1], INT32_MAX, &cpu))) {
        return USAGE;
    }
    if (strcmp(argv[1], "none") != 0) {
        op.pcpu = (int32_t)cpu;
    }
    rc = sched_op(SCHEDOP_pin_override, &op);
    return rc ? fail_errno(rc, "our vcpu on CPU %s", argv[1]) : 0;
}

const struct command cmd_pin_override = {
    .name = "pin-override",
    .usage = "CPU|none",
    .help = "for tests: ties domain 0's vcpu to a CPU, whatever its affinity says",
    .run = run_pin_override,
};

static uint64_t free_pages(void)
{
    struct xen_sysctl_physinfo info;

    return physinfo_get(&info) ? 0 : info.free_pages;
}

static bool pages_are_back(void *arg)
{
    loop_look_at(clock_now() + 20 * MS);
    return free_pages() >= *(uint64_t *)arg;
}

/* Status; 0 when the domain came and went. */
static int live_once(const struct config *config)
{
    domid_t domid;
    struct domain *d;
    long rc;

    if (domain_create(config, true, &domid)) {
        return 1;
    }
    loop_until_time(0); /* the others' turn */
    d = domain_by_id(domid);
    rc = d ? domain_destroy(d) : 0;
    return rc ? fail_errno(rc, "destroy") : 0;
}

/* Once more than asked, for what stays of the first (the store's folders). */
static int live(const struct config *config, uint64_t count)
{
    uint64_t pages = free_pages(), started;
    size_t heap;

    if (live_once(config)) {
        return 1;
    }
    heap = heap_in_use();
    started = clock_now();
    for (uint64_t i = 1, tenth = 1; i <= count; i++) {
        if (live_once(config)) {
            return fail("at cycle %lu of %lu", i, count);
        }
        if (session->cancelled || loop_ending()) {
            return CANCELLED;
        }
        while (tenth <= 10 && i * 10 >= tenth * count) {
            uint64_t now = clock_now();

            out("life: %lu of %lu, tenth %lu took %lu us\n", i, count, tenth, (now - started) / US);
            started = now;
            tenth++;
        }
    }
    /* A hypervisor may take its time with the last of them. */
    loop_until(pages_are_back, &pages, clock_now() + 2 * SEC);
    out("life: free pages %lu before, %lu after\n", pages, free_pages());
    out("life: heap %lu before, %lu after\n", heap, heap_in_use());
    return 0;
}

static int run_life(int argc, char **argv)
{
    struct config *config;
    uint64_t count;
    int status;

    if (argc < 3 || !number_parse(argv[2], 10000000, &count) || !count) {
        return USAGE;
    }
    config = config_read(argv[1], argc - 3, argv + 3);
    status = config ? live(config, count) : 1;
    release(config);
    return status;
}

const struct command cmd_life = {
    .name = "life",
    .usage = "FILE COUNT [KEY=VALUE...]",
    .help = "for tests: create and destroy a domain again and again, and look for losses",
    .run = run_life,
};
