/* SPDX-License-Identifier: MIT */
/*
 * What the CPU can do, in the forms in which toolstacks exchange it: the list of CPUID's leaves (a
 * policy), and the words with its features. PV guests see the machine's own CPUID, so there is one
 * policy for the machine and all domains, and one that is set is only read. MSRs are no part of it.
 * Takes no locks.
 */
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <x86/asm.h>
#include <x86/cpufeature.h>

#include "domctl.h"

#define POLICY_LEAVES_MAX 128u /* more than there are of all below */
/* The last of what toolstacks of this version know, and some that have subleaves. */
#define BASIC_LAST 0xdu
#define EXTENDED_FIRST 0x80000000u
#define EXTENDED_LAST 0x80000021u
#define LEAF_CACHES 4u
#define LEAF_FEATURES 7u
#define LEAF_TOPOLOGY 0xbu
#define LEAF_STATES 0xdu
#define CACHES_MAX 6u
#define FEATURES_LAST_SUB 2u
#define TOPOLOGY_LAST_SUB 1u
#define STATES_MAX 63u

enum { EAX, EBX, ECX, EDX };

struct writer {
    u64 at; /* in the caller's memory */
    u32 n, room;
};

static long put_entry(struct writer *w, const xen_cpuid_leaf_t *entry)
{
    if (w->n == w->room) {
        return -ENOBUFS;
    }
    return copy_to_guest(w->at + w->n++ * sizeof(*entry), entry, sizeof(*entry)) ? -EFAULT : 0;
}

/* 0 or -errno; out: what the leaf holds. */
static long put(struct writer *w, u32 leaf, u32 sub, u32 out[4])
{
    xen_cpuid_leaf_t entry = { .leaf = leaf, .subleaf = sub };

    cpuid(leaf, sub == XEN_CPUID_NO_SUBLEAF ? 0 : sub, out);
    entry.a = out[EAX];
    entry.b = out[EBX];
    entry.c = out[ECX];
    entry.d = out[EDX];
    return put_entry(w, &entry);
}

/* Up to the first that describes no cache. */
static long put_caches(struct writer *w)
{
    u32 out[4] = { 1 };
    long rc = 0;

    for (u32 sub = 0; rc == 0 && sub < CACHES_MAX && (out[EAX] & 0x1f); sub++) {
        rc = put(w, LEAF_CACHES, sub, out);
    }
    return rc;
}

static long put_features(struct writer *w)
{
    u32 out[4];
    long rc = put(w, LEAF_FEATURES, 0, out);
    u32 last = MIN(out[EAX], FEATURES_LAST_SUB);

    for (u32 sub = 1; rc == 0 && sub <= last; sub++) {
        rc = put(w, LEAF_FEATURES, sub, out);
    }
    return rc;
}

static long put_topology(struct writer *w)
{
    u32 out[4];
    long rc = 0;

    for (u32 sub = 0; rc == 0 && sub <= TOPOLOGY_LAST_SUB; sub++) {
        rc = put(w, LEAF_TOPOLOGY, sub, out);
    }
    return rc;
}

/* All up to the highest state that there is: toolstacks want no holes. */
static long put_states(struct writer *w)
{
    u32 out[4];
    long rc = put(w, LEAF_STATES, 0, out);
    u64 states = out[EAX] | (u64)out[EDX] << 32;

    if (rc == 0) {
        rc = put(w, LEAF_STATES, 1, out);
        states |= out[ECX] | (u64)out[EDX] << 32;
    }
    for (u32 sub = 2; rc == 0 && sub < STATES_MAX && states >> sub; sub++) {
        rc = put(w, LEAF_STATES, sub, out);
    }
    return rc;
}

static long put_leaf(struct writer *w, u32 leaf)
{
    u32 out[4];

    switch (leaf) {
    case LEAF_CACHES:
        return put_caches(w);
    case LEAF_FEATURES:
        return put_features(w);
    case LEAF_TOPOLOGY:
        return put_topology(w);
    case LEAF_STATES:
        return put_states(w);
    default:
        return put(w, leaf, XEN_CPUID_NO_SUBLEAF, out);
    }
}

static long put_range(struct writer *w, u32 first, u32 last)
{
    long rc = 0;

    for (u32 leaf = first; rc == 0 && leaf <= last; leaf++) {
        rc = put_leaf(w, leaf);
    }
    return rc;
}

/* A hypervisor's own leaves: there, without a limit of their number. */
static long put_hypervisor(struct writer *w)
{
    xen_cpuid_leaf_t first = { .leaf = 0x40000000, .subleaf = XEN_CPUID_NO_SUBLEAF };
    xen_cpuid_leaf_t second = { .leaf = 0x40000100, .subleaf = XEN_CPUID_NO_SUBLEAF };
    long rc = put_entry(w, &first);

    return rc ? rc : put_entry(w, &second);
}

long cpu_policy_get(u64 leaves, u32 *nr)
{
    struct writer w = { .at = leaves, .room = *nr };
    long rc;

    if (!leaves) {
        *nr = POLICY_LEAVES_MAX;
        return 0;
    }
    rc = put_range(&w, 0, MIN(cpu_features.max_leaf, BASIC_LAST));
    if (rc == 0) {
        rc = put_hypervisor(&w);
    }
    if (rc == 0) {
        rc = put_range(&w, EXTENDED_FIRST, MIN(cpu_features.max_ext_leaf, EXTENDED_LAST));
    }
    *nr = w.n;
    return rc;
}

long cpu_policy_set(u64 leaves, u32 nr)
{
    xen_cpuid_leaf_t entry;

    if (nr > POLICY_LEAVES_MAX) {
        return -E2BIG;
    }
    for (u32 i = 0; i < nr; i++) {
        if (copy_from_guest(&entry, leaves + i * sizeof(entry), sizeof(entry))) {
            return -EFAULT;
        }
    }
    return 0;
}

/* In the order of the interface. */
void cpu_feature_words(u32 words[CPU_FEATURE_WORDS])
{
    static const struct {
        u32 leaf;
        u8 sub, reg;
    } word[CPU_FEATURE_WORDS] = { { 1, 0, EDX },
                                  { 1, 0, ECX },
                                  { 0x80000001, 0, EDX },
                                  { 0x80000001, 0, ECX },
                                  { LEAF_STATES, 1, EAX },
                                  { LEAF_FEATURES, 0, EBX },
                                  { LEAF_FEATURES, 0, ECX },
                                  { 0x80000007, 0, EDX } };

    for (u32 i = 0; i < CPU_FEATURE_WORDS; i++) {
        u32 leaf = word[i].leaf, out[4] = { 0 };

        if (leaf <= (leaf >> 31 ? cpu_features.max_ext_leaf : cpu_features.max_leaf)) {
            cpuid(leaf, word[i].sub, out);
        }
        words[i] = out[word[i].reg];
    }
}
