/* SPDX-License-Identifier: MIT */
/* Bandwidth and emulators on the simulated machine: the control domain's calls of guests.h. */
#include <tarn/errno.h>

#include "guests.h"

struct limit_call {
    struct sim_dom *d, *emulator;
    struct sim_vcpu *v;
    u64 period_us;
    s64 quota_us;
    long rc;
};

static void do_bandwidth(void *arg)
{
    struct limit_call *c = arg;

    c->rc = sched_bandwidth_set(&c->d->d, c->v ? &c->v->v : NULL, c->period_us, c->quota_us);
}

long sim_bandwidth(struct sim_dom *d, struct sim_vcpu *v, u64 period_us, s64 quota_us)
{
    struct limit_call c = { .d = d, .v = v, .period_us = period_us, .quota_us = quota_us };

    machine_call(machine_any_cpu(), do_bandwidth, &c);
    sim_log("bandwidth d%u v%d %lu %ld: %ld", d->d.domid, v ? (int)v->v.id : -1, period_us,
            quota_us, c.rc);
    return c.rc;
}

static void do_emulator(void *arg)
{
    struct limit_call *c = arg;

    c->rc = sched_emulator_set(&c->d->d, c->emulator ? &c->emulator->d : NULL);
}

long sim_emulator(struct sim_dom *d, struct sim_dom *emulator)
{
    struct limit_call c = { .d = d, .emulator = emulator };

    machine_call(machine_any_cpu(), do_emulator, &c);
    sim_log("emulator d%u d%d: %ld", d->d.domid, emulator ? (int)emulator->d.domid : -1, c.rc);
    return c.rc;
}

/* Mostly of a few milliseconds, so that much happens; now and then none. */
static void random_limit(struct sim_dom *d, struct sim_vcpu *v)
{
    u64 period = 1000 + rnd(one_in(8) ? 100000 : 8000);
    s64 quota = one_in(3) ? -1 : 1000 + (s64)rnd(2 * period);
    long rc = sim_bandwidth(d, v, period, quota);

    ASSERT(rc == (d->d.dying == DOMAIN_ALIVE ? 0 : -ESRCH));
}

void sim_limit_at_random(struct sim_dom *d)
{
    long rc;

    switch (rnd(4)) {
    case 0:
        rc = sim_emulator(d, one_in(3) ? NULL : sim_doms[rnd(nr_sim_doms)]);
        ASSERT(rc == 0 || rc == -EINVAL || rc == -EBUSY || rc == -ESRCH);
        break;
    case 1:
        random_limit(d, NULL);
        break;
    default:
        random_limit(d, d->vcpu[rnd(d->d.max_vcpus)]);
        break;
    }
}
