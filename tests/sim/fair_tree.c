/* SPDX-License-Identifier: MIT */
/* See fair_tree.h. From the bottom up, how much can be taken; from the top down, who gets it. */
#include <public/tarn.h>

#include "fair_tree.h"

#define PARTS (SIM_DOMS + 1)

static struct part {
    struct sim_dom *d; /* all of it, or its own vcpus */
    bool own;
    double weight, most, rate;
} parts[PARTS]; /* a stack: those of a group behind those of the one above it */

static struct sim_dom *dom_of(const struct sched_dom *s)
{
    return container_of(container_of((uintptr_t)s, struct domain, sched), struct sim_dom, d);
}

static double limited(double most, u32 cap)
{
    return cap && most > cap / 100.0 ? cap / 100.0 : most;
}

static double own_most(const struct sim_dom *d)
{
    return limited(d->d.max_vcpus, list_empty(&d->d.sched.members) ? 0 : d->d.sched.self_cap);
}

static double most(const struct sim_dom *d)
{
    const struct sched_dom *s = &d->d.sched;
    double sum = own_most(d);

    list_for_each(l, &s->members) {
        sum += most(dom_of(list_entry(l, struct sched_dom, sibling)));
    }
    return limited(sum, s->master ? s->inner_cap : s->cap);
}

/* By weight; who can't take that much is full, and the others have what it leaves. */
static void divide(struct part *part, u32 n, double total)
{
    bool again = true;

    for (u32 i = 0; i < n; i++) {
        part[i].rate = -1;
    }
    while (again) {
        double left = total, weight = 0;

        for (u32 i = 0; i < n; i++) {
            left -= part[i].rate < 0 ? 0 : part[i].rate;
            weight += part[i].rate < 0 ? part[i].weight : 0;
        }
        again = false;
        for (u32 i = 0; i < n; i++) {
            if (part[i].rate < 0 && left * part[i].weight >= part[i].most * weight) {
                part[i].rate = part[i].most;
                again = true;
            }
        }
        for (u32 i = 0; i < n && !again; i++) {
            part[i].rate = part[i].rate < 0 ? left * part[i].weight / weight : part[i].rate;
        }
    }
}

/* What these have goes on to those below them. */
static void hand_down(struct part *part, u32 n, double *rate)
{
    for (u32 i = 0; i < n; i++) {
        const struct sched_dom *s = &part[i].d->d.sched;
        struct part *inside = part + n;
        u32 k = 0;

        if (part[i].own || list_empty(&s->members)) {
            rate[part[i].d->index] = part[i].rate;
            continue;
        }
        inside[k++] = (struct part){ part[i].d, true, s->self_weight, own_most(part[i].d), 0 };
        list_for_each(l, &s->members) {
            struct sim_dom *m = dom_of(list_entry(l, struct sched_dom, sibling));

            ASSERT(inside + k < parts + PARTS);
            inside[k++] = (struct part){ m, false, m->d.sched.inner_weight, most(m), 0 };
        }
        divide(inside, k, part[i].rate);
        hand_down(inside, k, rate);
    }
}

void fair_tree(const struct sched_pool *p, double *rate)
{
    u32 n = 0;

    for (u32 i = 0; i < nr_sim_doms; i++) {
        struct sim_dom *d = sim_doms[i];
        double weight = d->d.sched.weight;

        if (d->d.pool != p || d->d.sched.master) {
            continue;
        }
        weight *= p->params.flags & TARN_POOL_weight_per_vcpu ? d->d.max_vcpus : 1;
        parts[n++] = (struct part){ d, false, weight, most(d), 0 };
    }
    divide(parts, n, cpumask_weight(&p->cpus));
    hand_down(parts, n, rate);
}
