/* SPDX-License-Identifier: MIT */
/*
 * From the firmware's affinities to nodes. It is not trusted: ranges that overlap or too many nodes
 * make the whole story void. Owns `numa`. Pure, no locks.
 */
#include <tarn/lib.h>
#include <tarn/numa.h>

struct builder {
    const struct numa_firmware *fw;
    struct topology *t;
    struct numa *out;
    u64 ram_end;
    u32 number[NR_NODES]; /* the firmware's for each node, ascending */
};

const struct numa *numa;

/* The node with that number, or where it belongs. */
static u32 place(const struct builder *b, u32 number)
{
    u32 at = 0;

    while (at < b->out->nr_nodes && b->number[at] < number) {
        at++;
    }
    return at;
}

static bool known(const struct builder *b, u32 number)
{
    u32 at = place(b, number);

    return at < b->out->nr_nodes && b->number[at] == number;
}

static bool add_node(struct builder *b, u32 number)
{
    u32 at = place(b, number);

    if (known(b, number)) {
        return true;
    }
    if (b->out->nr_nodes == NR_NODES) {
        return false;
    }
    memmove(&b->number[at + 1], &b->number[at], (b->out->nr_nodes - at) * sizeof(b->number[0]));
    b->number[at] = number;
    b->out->nr_nodes++;
    return true;
}

static const struct numa_cpu *affinity_of(const struct builder *b, u32 apic_id)
{
    for (u32 i = 0; i < b->fw->nr_cpus; i++) {
        if (b->fw->cpu[i].apic_id == apic_id) {
            return &b->fw->cpu[i];
        }
    }
    return NULL;
}

/* Those of CPUs that are there, and of RAM. */
static const char *find_nodes(struct builder *b)
{
    bool fits = true;

    for (u32 cpu = 0; cpu < b->t->nr_cpus; cpu++) {
        const struct numa_cpu *a = affinity_of(b, b->t->cpu[cpu].apic_id);

        fits = fits && (!a || add_node(b, a->node));
    }
    for (u32 i = 0; i < b->fw->nr_ranges; i++) {
        const struct numa_range *r = &b->fw->range[i];

        if (r->start < b->ram_end && r->start < r->end) {
            fits = fits && add_node(b, r->node);
        }
    }
    return fits ? NULL : "NUMA: there are more than 64 nodes: one is assumed";
}

static const char *take_ranges(struct builder *b)
{
    struct numa *n = b->out;

    for (u32 i = 0; i < b->fw->nr_ranges; i++) {
        struct numa_range r = b->fw->range[i];

        r.end = MIN(r.end, b->ram_end);
        if (r.start >= r.end) {
            continue;
        }
        for (u32 k = 0; k < n->nr_ranges; k++) {
            if (r.start < n->range[k].end && n->range[k].start < r.end) {
                return "NUMA: ranges of memory overlap: one node is assumed";
            }
        }
        r.node = place(b, r.node);
        n->range[n->nr_ranges++] = r;
    }
    return NULL;
}

static u32 take_cpus(const struct builder *b)
{
    u32 nowhere = 0;

    for (u32 cpu = 0; cpu < b->t->nr_cpus; cpu++) {
        const struct numa_cpu *a = affinity_of(b, b->t->cpu[cpu].apic_id);

        nowhere += !a;
        b->t->cpu[cpu].node = (u16)(a ? place(b, a->node) : 0);
    }
    return nowhere;
}

/* As the firmware says; 0: it doesn't. */
static u8 told_distance(const struct builder *b, u32 from, u32 to)
{
    u32 n = b->fw->nr_localities;

    from = b->number[from];
    to = b->number[to];
    return from < n && to < n ? b->fw->distance[from * n + to] : 0;
}

/* Of all nodes, told or not; false: what is told is nonsense. */
static bool take_distances(const struct builder *b, bool told)
{
    bool good = true;

    for (u32 from = 0; from < b->out->nr_nodes; from++) {
        for (u32 to = 0; to < b->out->nr_nodes; to++) {
            u8 usual = from == to ? NUMA_LOCAL : NUMA_REMOTE;
            u8 d = told ? told_distance(b, from, to) : usual;

            b->out->distance[from][to] = d;
            good = good && (from == to ? d == NUMA_LOCAL : d > NUMA_LOCAL);
        }
    }
    return good;
}

static void one_node(struct builder *b)
{
    memset(b->out, 0, sizeof(*b->out));
    b->out->nr_nodes = 1;
    b->out->distance[0][0] = NUMA_LOCAL;
    for (u32 cpu = 0; cpu < b->t->nr_cpus; cpu++) {
        b->t->cpu[cpu].node = 0;
    }
}

void numa_build(const struct numa_firmware *fw, u64 ram_end, struct topology *t, struct numa *out,
                void (*report)(const char *text))
{
    struct builder b = { .fw = fw, .t = t, .out = out, .ram_end = ram_end };
    const char *why;

    memset(out, 0, sizeof(*out));
    why = find_nodes(&b);
    why = why ? why : take_ranges(&b);
    if (why) {
        report(why);
    }
    if (why || out->nr_nodes < 2) {
        one_node(&b);
        return;
    }
    if (take_cpus(&b)) {
        report("NUMA: a CPU is in no node: it counts as node 0's");
    }
    if (!take_distances(&b, fw->nr_localities)) {
        report("NUMA: the distances between nodes make no sense: not used");
        (void)take_distances(&b, false);
    }
}

void numa_count(const struct numa *n, u64 start, u64 end, u64 bytes[NR_NODES])
{
    u64 rest = end - start;

    for (u32 i = 0; i < n->nr_ranges; i++) {
        u64 from = MAX(start, n->range[i].start), to = MIN(end, n->range[i].end);

        if (from < to) {
            bytes[n->range[i].node] += to - from;
            rest -= to - from;
        }
    }
    bytes[0] += rest;
}
