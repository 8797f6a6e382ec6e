/* SPDX-License-Identifier: MIT */
/*
 * Numbers CPUs depth first. The APIC ids are kept sorted by (socket, core, thread) while they are
 * added, with the boot CPU's socket, core and thread before all others; so the firmware's order
 * can't be seen, and when there are too many it is always the same ones that are left out. Pure, no
 * locks.
 */
#include <tarn/errno.h>
#include <tarn/lib.h>
#include <tarn/topology.h>

#define APIC_ID_BITS 32u

struct builder {
    u32 thread_bits, core_bits, socket_bits; /* together APIC_ID_BITS */
    u32 boot_id;
    struct topology *out;
    void (*report)(const char *text);
};

static u32 bits_mask(u32 bits)
{
    return bits >= 32 ? ~0u : (1u << bits) - 1;
}

static u32 thread_of(const struct builder *b, u32 id)
{
    return id & bits_mask(b->thread_bits);
}

/* Shifts of a u64, since each of the fields may have all 32 bits. */
static u32 core_of(const struct builder *b, u32 id)
{
    return (u32)((u64)id >> b->thread_bits) & bits_mask(b->core_bits);
}

static u32 socket_of(const struct builder *b, u32 id)
{
    return (u32)((u64)id >> (b->thread_bits + b->core_bits));
}

/*
 * The id with a bit put in front of each of its fields: clear on the boot CPU's path, so that it
 * comes first.
 */
static u64 sort_key(const struct builder *b, u32 id)
{
    u64 other_socket = socket_of(b, id) != socket_of(b, b->boot_id);
    u64 other_core = other_socket || core_of(b, id) != core_of(b, b->boot_id);
    u64 other_thread = other_core || id != b->boot_id;
    u64 key = other_socket << b->socket_bits | socket_of(b, id);

    key = key << (b->core_bits + 1) | other_core << b->core_bits | core_of(b, id);
    return key << (b->thread_bits + 1) | other_thread << b->thread_bits | thread_of(b, id);
}

static void report_id(const struct builder *b, const char *fmt, u32 id)
{
    char text[96];

    if (b->report) {
        fmt_snprintf(text, sizeof(text), fmt, id);
        b->report(text);
    }
}

/* Index of the first that does not sort before `key`. */
static u32 find_place(const struct builder *b, u64 key)
{
    u32 at = b->out->nr_cpus;

    while (at && sort_key(b, b->out->cpu[at - 1].apic_id) >= key) {
        at--;
    }
    return at;
}

static void add(const struct builder *b, u32 id)
{
    struct topology *t = b->out;
    u32 at = find_place(b, sort_key(b, id));

    if (at < t->nr_cpus && t->cpu[at].apic_id == id) {
        report_id(b, "APIC id %u is listed twice: the second is left out", id);
        return;
    }
    if (t->nr_cpus == NR_CPUS) {
        u32 last = at == NR_CPUS ? id : t->cpu[NR_CPUS - 1].apic_id;

        report_id(b, "too many CPUs: APIC id %u is left out", last);
        if (last == id) {
            return;
        }
        t->nr_cpus--;
    }
    memmove(&t->cpu[at + 1], &t->cpu[at], (t->nr_cpus - at) * sizeof(t->cpu[0]));
    t->cpu[at].apic_id = id;
    t->nr_cpus++;
}

/* Dense numbers for the sorted ids, and the largest of each. */
static void number(const struct builder *b)
{
    struct topology *t = b->out;

    for (u32 i = 1; i < t->nr_cpus; i++) {
        const struct topology_cpu *prev = &t->cpu[i - 1];
        struct topology_cpu *c = &t->cpu[i];

        *c = (struct topology_cpu){ c->apic_id, prev->socket, prev->core, prev->thread, 0 };
        if (socket_of(b, c->apic_id) != socket_of(b, prev->apic_id)) {
            c->socket++;
            c->core = 0;
            c->thread = 0;
        } else if (core_of(b, c->apic_id) != core_of(b, prev->apic_id)) {
            c->core++;
            c->thread = 0;
        } else {
            c->thread++;
        }
        t->nr_sockets = c->socket + 1u;
        t->cores_per_socket = MAX(t->cores_per_socket, c->core + 1u);
        t->threads_per_core = MAX(t->threads_per_core, c->thread + 1u);
    }
}

int topology_build(const struct apicid_layout *layout, u32 boot_apic_id, const u32 *apic_ids, u32 n,
                   struct topology *out, void (*report)(const char *text))
{
    struct builder b = { .boot_id = boot_apic_id, .out = out, .report = report };
    bool boot_seen = false;

    b.thread_bits = MIN((u32)layout->thread_bits, APIC_ID_BITS);
    b.core_bits = MIN((u32)layout->core_bits, APIC_ID_BITS - b.thread_bits);
    b.socket_bits = APIC_ID_BITS - b.thread_bits - b.core_bits;
    memset(out, 0, sizeof(*out));
    out->nr_sockets = 1;
    out->cores_per_socket = 1;
    out->threads_per_core = 1;
    add(&b, boot_apic_id); /* sorts first, so it is never the one that is left out */
    for (u32 i = 0; i < n; i++) {
        if (apic_ids[i] == boot_apic_id && !boot_seen) {
            boot_seen = true;
        } else {
            add(&b, apic_ids[i]);
        }
    }
    number(&b);
    if (!boot_seen) {
        report_id(&b, "the boot CPU's APIC id %u is not in the firmware's list: added", b.boot_id);
        return -EINVAL;
    }
    return 0;
}

void topology_drop_threads(struct topology *t)
{
    u32 n = 0;

    for (u32 i = 0; i < t->nr_cpus; i++) {
        if (t->cpu[i].thread == 0) {
            t->cpu[n++] = t->cpu[i];
        }
    }
    t->nr_cpus = n;
    t->threads_per_core = 1;
}
