/* SPDX-License-Identifier: MIT */
/*
 * The guest's clock: system time by TSC scale (vcpu_time_info), wall clock in shared_info. All
 * pcpus' TSCs are one clock and we never change the scale, so it is written once: what a guest
 * computes is exactly now().
 */
#include <tarn/domain.h>
#include <tarn/time.h>
#include <x86/cpufeature.h>
#include <x86/pv.h>

void clock_update(struct vcpu *v)
{
    struct vcpu_time_info *t = &v->info->time;

    t->version |= 1;
    barrier();
    t->tsc_timestamp = time_base.tsc0;
    t->system_time = 0;
    t->tsc_to_system_mul = time_base.scale.mul;
    t->tsc_shift = time_base.scale.shift;
    t->flags = XEN_PVCLOCK_TSC_STABLE_BIT;
    barrier();
    t->version++;
}

void clock_init_domain(struct domain *d)
{
    shared_info_t *s = d->shared_info;
    u64 sec = (u64)time_base.wall_ns / NSEC_PER_SEC;

    s->wc_version |= 1;
    barrier();
    s->wc_sec = (u32)sec;
    s->wc_sec_hi = (u32)(sec >> 32);
    s->wc_nsec = (u32)((u64)time_base.wall_ns % NSEC_PER_SEC);
    barrier();
    s->wc_version++;
}
