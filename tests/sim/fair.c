/* SPDX-License-Identifier: MIT */
/*
 * See fair.h. All parties' rates grow in proportion to their weights until some can't: that level
 * is found by bisection, those that are stuck keep what they have, and the others go on.
 */
#include <string.h>

#include "fair.h"

#define NODES (2 + FAIR_PARTIES + FAIR_CLASSES)
#define EPS 1e-7
#define STEPS 30

/* CPUs that are the same for all are one node. Nodes: source, parties, classes, sink. */
static struct {
    const struct fair *f;
    u32 nr_classes, nodes;
    struct cpumask class[FAIR_CLASSES];
    double want[FAIR_PARTIES];
    double room[NODES][NODES];
} g;

bool fair_add(struct fair *f, u32 dom, double weight, const struct cpumask *mask)
{
    u32 i = 0;

    while (i < f->nr_parties &&
           (f->party[i].dom != dom || memcmp(&f->party[i].mask, mask, sizeof(*mask)) != 0)) {
        i++;
    }
    if (i == FAIR_PARTIES) {
        return false;
    }
    if (i == f->nr_parties) {
        f->party[f->nr_parties++] = (struct fair_party){ .dom = dom, .mask = *mask };
    }
    f->party[i].vcpus++;
    f->party[i].weight += weight;
    return true;
}

double fair_rate(const struct fair *f, u32 dom)
{
    double sum = 0;

    for (u32 i = 0; i < f->nr_parties; i++) {
        sum += f->party[i].dom == dom ? f->party[i].rate : 0;
    }
    return sum;
}

/* Split each class by the mask. */
static bool split(const struct cpumask *mask)
{
    u32 n = g.nr_classes;

    for (u32 i = 0; i < n; i++) {
        struct cpumask in = cpumask_and(&g.class[i], mask);
        u32 weight = cpumask_weight(&in);

        if (weight && weight < cpumask_weight(&g.class[i])) {
            if (g.nr_classes == FAIR_CLASSES) {
                return false;
            }
            g.class[g.nr_classes++] = in;
            cpumask_for_each(cpu, &in) {
                cpumask_clear(&g.class[i], cpu);
            }
        }
    }
    return true;
}

static u32 class_node(u32 i)
{
    return 1 + g.f->nr_parties + i;
}

static void build(void)
{
    u32 sink = g.nodes - 1;

    memset(g.room, 0, sizeof(g.room));
    for (u32 i = 0; i < g.f->nr_parties; i++) {
        g.room[0][1 + i] = g.want[i];
        for (u32 k = 0; k < g.nr_classes; k++) {
            if (cpumask_intersects(&g.f->party[i].mask, &g.class[k])) {
                g.room[1 + i][class_node(k)] = g.f->party[i].vcpus;
            }
        }
    }
    for (u32 k = 0; k < g.nr_classes; k++) {
        g.room[class_node(k)][sink] = cpumask_weight(&g.class[k]);
    }
}

/* A way from source to sink with room: what it takes, 0 for none. */
static double augment(void)
{
    u32 queue[NODES], from[NODES], head = 0, tail = 0, sink = g.nodes - 1;
    double flow = 1e9;

    memset(from, 0xff, sizeof(from));
    queue[tail++] = 0;
    from[0] = 0;
    while (head < tail && from[sink] == ~0u) {
        u32 n = queue[head++];

        for (u32 to = 0; to < g.nodes; to++) {
            if (from[to] == ~0u && g.room[n][to] > EPS / 100) {
                from[to] = n;
                queue[tail++] = to;
            }
        }
    }
    if (from[sink] == ~0u) {
        return 0;
    }
    for (u32 n = sink; n; n = from[n]) {
        flow = MIN(flow, g.room[from[n]][n]);
    }
    for (u32 n = sink; n; n = from[n]) {
        g.room[from[n]][n] -= flow;
        g.room[n][from[n]] += flow;
    }
    return flow;
}

static bool within_caps(void)
{
    double sum[FAIR_DOMS] = { 0 };

    for (u32 i = 0; i < g.f->nr_parties; i++) {
        sum[g.f->party[i].dom] += g.want[i];
    }
    for (u32 i = 0; i < g.f->nr_doms; i++) {
        if (g.f->cap[i] > 0 && sum[i] > g.f->cap[i] + EPS) {
            return false;
        }
    }
    return true;
}

static bool possible(void)
{
    double wanted = 0, got = 0, flow;

    for (u32 i = 0; i < g.f->nr_parties; i++) {
        wanted += g.want[i];
    }
    if (!within_caps()) {
        return false;
    }
    build();
    while ((flow = augment()) > 0) {
        got += flow;
    }
    return got > wanted - EPS;
}

static void want_at(const struct fair *f, double level, const bool *stuck)
{
    for (u32 i = 0; i < f->nr_parties; i++) {
        const struct fair_party *p = &f->party[i];

        g.want[i] = stuck[i] ? p->rate : MIN(level * p->weight, p->vcpus);
    }
}

static double highest(const struct fair *f, const bool *stuck)
{
    double low = 0, high = 0;

    for (u32 i = 0; i < f->nr_parties; i++) {
        high = stuck[i] ? high : MAX(high, f->party[i].vcpus / f->party[i].weight);
    }
    want_at(f, high, stuck);
    if (possible()) {
        return high;
    }
    for (u32 step = 0; step < STEPS; step++) {
        double mid = (low + high) / 2;

        want_at(f, mid, stuck);
        *(possible() ? &low : &high) = mid;
    }
    return low;
}

/* Those that can't have more; returns whether any still can. */
static bool note_stuck(struct fair *f, double level, bool *stuck)
{
    bool now[FAIR_PARTIES], again = false;

    for (u32 i = 0; i < f->nr_parties; i++) {
        want_at(f, level, stuck);
        g.want[i] += 1e-4;
        now[i] = stuck[i] || g.want[i] > f->party[i].vcpus || !possible();
    }
    want_at(f, level, stuck);
    for (u32 i = 0; i < f->nr_parties; i++) {
        f->party[i].rate = g.want[i];
        stuck[i] = now[i];
        again |= !now[i];
    }
    return again;
}

bool fair_solve(struct fair *f, const struct cpumask *cpus)
{
    bool stuck[FAIR_PARTIES] = { false }, again = true;

    g.f = f;
    g.nr_classes = 1;
    g.class[0] = *cpus;
    for (u32 i = 0; i < f->nr_parties; i++) {
        if (!split(&f->party[i].mask)) {
            return false;
        }
    }
    g.nodes = 2 + f->nr_parties + g.nr_classes;
    for (u32 round = 0; again && round < FAIR_PARTIES; round++) {
        double level = highest(f, stuck);

        again = note_stuck(f, level, stuck);
    }
    return true;
}
