/* SPDX-License-Identifier: MIT */
/*
 * The part of tarn_op (public/tarn.h) that is about bandwidth and emulators: arguments checked,
 * domains found. What it means is sched/bandwidth.c.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>

#include <public/tarn.h>

static long bandwidth(u64 cmd, struct domain *d, struct tarn_bandwidth *b)
{
    struct vcpu *v = NULL;
    long rc = 0;

    if (b->vcpu != TARN_BANDWIDTH_DOMAIN) {
        if (b->vcpu >= d->max_vcpus) {
            return -ESRCH;
        }
        v = d->vcpu[b->vcpu];
    }
    if (cmd == TARN_OP_set_bandwidth) {
        rc = sched_bandwidth_set(d, v, b->period_us, b->quota_us);
    }
    if (rc == 0) {
        sched_bandwidth_get(d, v, b);
    }
    return rc;
}

/* All comes back as it is then. */
long tarn_bandwidth(u64 cmd, u64 arg)
{
    struct tarn_bandwidth b;
    struct domain *d;
    long rc;

    if (copy_from_guest(&b, arg, sizeof(b))) {
        return -EFAULT;
    }
    d = domain_get_by_id(b.domid);
    if (!d) {
        return -ESRCH;
    }
    rc = bandwidth(cmd, d, &b);
    domain_put(d);
    return rc == 0 && copy_to_guest(arg, &b, sizeof(b)) ? -EFAULT : rc;
}

static long set_emulator(struct domain *d, domid_t id)
{
    struct domain *emulator;
    long rc;

    if (id == DOMID_INVALID) {
        return sched_emulator_set(d, NULL);
    }
    emulator = domain_get_by_id(id);
    if (!emulator) {
        return -ESRCH;
    }
    rc = sched_emulator_set(d, emulator);
    domain_put(emulator);
    return rc;
}

long tarn_emulator(u64 cmd, u64 arg)
{
    struct tarn_emulator e;
    struct domain *d;
    long rc = 0;

    if (copy_from_guest(&e, arg, sizeof(e))) {
        return -EFAULT;
    }
    d = domain_get_by_id(e.domid);
    if (!d) {
        return -ESRCH;
    }
    if (cmd == TARN_OP_set_emulator) {
        rc = set_emulator(d, e.emulator);
    }
    sched_emulator_get(d, &e.emulator, &e.client);
    domain_put(d);
    return rc == 0 && copy_to_guest(arg, &e, sizeof(e)) ? -EFAULT : rc;
}
