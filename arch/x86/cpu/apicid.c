/* SPDX-License-Identifier: MIT */
/*
 * CPUID's descriptions of the APIC id, newest first; see x86/apicid.h. Does not read this CPU's id
 * and knows nothing of which ids exist. Pure: CPUID is a function that is passed in. No locks.
 */
#include <tarn/lib.h>
#include <x86/apicid.h>

enum { EAX, EBX, ECX, EDX };

#define LEAF_V2_TOPOLOGY 0x1fu
#define LEAF_TOPOLOGY 0xbu
#define LEAF_AMD_TOPOLOGY 0x80000026u
#define LEAF_AMD_IDS 0x8000001eu
#define LEAF_AMD_SIZES 0x80000008u
#define LEAF_AMD_FEATURES 0x80000001u
#define LEAF_CACHES 4u
#define LEAF_FEATURES 1u

#define LEVEL_THREAD 1u /* the kind of level, ecx[15:8]; 0 ends the list */
#define MAX_LEVELS 8u
#define AMD_CMP_LEGACY (1u << 1)    /* 0x80000001 ecx: the "threads" of leaf 1 are cores */
#define AMD_TOPOLOGY_EXT (1u << 22) /* 0x80000001 ecx: leaf 0x8000001e is there */
#define FEATURE_HTT (1u << 28)      /* 1 edx: ebx[23:16] is valid */

static u32 field(u32 reg, u32 high, u32 low)
{
    return (reg >> low) & ((2u << (high - low)) - 1);
}

/* Bits that number n things. */
static u8 bits_for(u32 n)
{
    return n <= 1 ? 0 : (u8)(32 - __builtin_clz(n - 1));
}

/*
 * `base` is 0 or 0x80000000. A CPU without that range answers with anything, so the top half must
 * match.
 */
static bool has_leaf(cpuid_fn cpuid, u32 leaf)
{
    u32 base = leaf & 0x80000000u;
    u32 r[4];

    cpuid(base, 0, r);
    return (r[EAX] & 0xffff0000u) == base && r[EAX] >= leaf;
}

/*
 * Leaves 0x1f, 0xb and 0x80000026 are built alike: a list of levels, each with the bits below the
 * next one.
 */
static bool from_levels(cpuid_fn cpuid, u32 leaf, struct apicid_layout *l)
{
    u32 thread_bits = 0;
    u32 bits = 0;
    u32 level = 0;

    if (!has_leaf(cpuid, leaf)) {
        return false;
    }
    for (; level < MAX_LEVELS; level++) {
        u32 r[4];
        u32 kind;

        cpuid(leaf, level, r);
        kind = field(r[ECX], 15, 8);
        if (kind == 0 || field(r[EBX], 15, 0) == 0) {
            break;
        }
        if (field(r[EAX], 4, 0) < bits) {
            return false; /* a level smaller than what it is made of */
        }
        bits = field(r[EAX], 4, 0);
        if (kind == LEVEL_THREAD) {
            thread_bits = bits;
        }
    }
    l->thread_bits = (u8)thread_bits;
    l->core_bits = (u8)(bits - thread_bits);
    return level > 0;
}

static u32 amd_features(cpuid_fn cpuid)
{
    u32 r[4] = { 0 };

    if (has_leaf(cpuid, LEAF_AMD_FEATURES)) {
        cpuid(LEAF_AMD_FEATURES, 0, r);
    }
    return r[ECX];
}

/* Bits below the socket: ApicIdCoreIdSize, or where that is 0 what numbers the logical CPUs. */
static u8 amd_socket_shift(cpuid_fn cpuid)
{
    u32 r[4];
    u32 size;

    cpuid(LEAF_AMD_SIZES, 0, r);
    size = field(r[ECX], 15, 12);
    return size ? (u8)size : bits_for(field(r[ECX], 7, 0) + 1);
}

static bool from_amd_ids(cpuid_fn cpuid, struct apicid_layout *l)
{
    u32 r[4];
    u8 shift;

    if (!(amd_features(cpuid) & AMD_TOPOLOGY_EXT) || !has_leaf(cpuid, LEAF_AMD_IDS)) {
        return false;
    }
    shift = amd_socket_shift(cpuid);
    cpuid(LEAF_AMD_IDS, 0, r);
    l->thread_bits = bits_for(field(r[EBX], 15, 8) + 1);
    if (shift < l->thread_bits) {
        return false;
    }
    l->core_bits = (u8)(shift - l->thread_bits);
    return true;
}

/* Before topology extensions AMD had no threads: all logical CPUs of a socket are cores. */
static bool from_amd_sizes(cpuid_fn cpuid, struct apicid_layout *l)
{
    if (!(amd_features(cpuid) & AMD_CMP_LEGACY) || !has_leaf(cpuid, LEAF_AMD_SIZES)) {
        return false;
    }
    l->thread_bits = 0;
    l->core_bits = amd_socket_shift(cpuid);
    return l->core_bits > 0;
}

/* Logical CPUs in a socket; 0 when leaf 1 doesn't tell. */
static u32 logical_per_socket(cpuid_fn cpuid)
{
    u32 r[4];

    if (!has_leaf(cpuid, LEAF_FEATURES)) {
        return 0;
    }
    cpuid(LEAF_FEATURES, 0, r);
    return r[EDX] & FEATURE_HTT ? field(r[EBX], 23, 16) : 0;
}

static bool from_caches(cpuid_fn cpuid, struct apicid_layout *l)
{
    u8 bits = bits_for(logical_per_socket(cpuid));
    u32 r[4];
    u8 core_bits;

    if (!bits || !has_leaf(cpuid, LEAF_CACHES)) {
        return false;
    }
    cpuid(LEAF_CACHES, 0, r);
    core_bits = bits_for(field(r[EAX], 31, 26) + 1);
    if (field(r[EAX], 4, 0) == 0 || core_bits > bits) {
        return false; /* no cache described; or more cores than ids */
    }
    l->thread_bits = (u8)(bits - core_bits);
    l->core_bits = core_bits;
    return true;
}

/*
 * All that is known is how many there are in a socket: before leaf 4 these were threads of one
 * core.
 */
static void from_features(cpuid_fn cpuid, struct apicid_layout *l)
{
    l->thread_bits = bits_for(logical_per_socket(cpuid));
    l->core_bits = 0;
}

struct apicid_layout apicid_layout(cpuid_fn cpuid)
{
    struct apicid_layout l;

    if (from_levels(cpuid, LEAF_V2_TOPOLOGY, &l)) {
        l.source = "leaf 0x1f";
    } else if (from_levels(cpuid, LEAF_TOPOLOGY, &l)) {
        l.source = "leaf 0xb";
    } else if (from_levels(cpuid, LEAF_AMD_TOPOLOGY, &l)) {
        l.source = "leaf 0x80000026";
    } else if (from_amd_ids(cpuid, &l)) {
        l.source = "leaf 0x8000001e";
    } else if (from_amd_sizes(cpuid, &l)) {
        l.source = "leaf 0x80000008";
    } else if (from_caches(cpuid, &l)) {
        l.source = "leaf 4";
    } else {
        from_features(cpuid, &l);
        l.source = "leaf 1";
    }
    return l;
}
