/* SPDX-License-Identifier: MIT */
/*
 * A world for kernel/grant*.c and kernel/ops/grant_*.c on the host: domains with frames, page
 * tables of SLOTS entries, guest memory that is ours. Frames and tables count as the hypervisor's
 * do; what goes wrong with them (a reference too few, a type too many) aborts.
 */
#pragma once

#include <pthread.h>

#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/hypercall.h>
#include <tarn/options.h>
#include <x86/frames.h>

enum { DOMS = 4, VCPUS = 2, FRAMES = 24, SLOTS = 16, STACKS = 8 };
enum { ALL_FRAMES = DOMS * FRAMES, NO_FRAME = 0xffff };

/* A frame; types: how often it is in use as a writable one. */
struct world_frame {
    u32 owner; /* domain, or ~0: free */
    u32 refs, types;
    bool allocated, table;
    u8 data[PAGE_SIZE];
};

struct world_slot {
    u32 frame; /* NO_FRAME: not present */
    bool write;
};

struct world_domain {
    struct domain d;
    struct vcpu vcpu[VCPUS];
    struct world_slot slot[SLOTS];
    u32 pages; /* frames that are its own; while there are any it has a reference to itself */
    bool exists;
    pthread_mutex_t mmu;
};

extern struct world_frame world_frame[ALL_FRAMES];
extern struct world_domain world[DOMS];
extern u32 world_pages, world_pages_allowed; /* of the hypervisor's own memory */
extern u32 world_shared;                     /* pages that are shared with domains */
extern u64 world_yields; /* a bit for each of the next looks at what else is due */
extern u64 world_unreadable, world_unwritable; /* guest addresses from these on; 0: none */
extern void (*world_flush)(void);              /* called for each TLB flush */
extern u32 world_flushes;
extern _Thread_local u32 world_stack; /* which one the next call runs on */

void world_reset(void);
void world_domain_make(u32 dom, u32 frames);
/* What destroy.c does: in steps, each as long as the yields let it. */
void world_domain_kill(u32 dom);
u32 world_frame_alloc(u32 dom); /* NO_FRAME: none is left */
void world_frame_free(u32 dom, u32 frame);
void world_slot_set(u32 dom, u32 slot, u32 frame, bool write);

/* A slot by address, and by that of its entry. */
#define SLOT_VA(slot) (0x100000UL + (u64)(slot)*PAGE_SIZE)
#define SLOT_PTE(slot) (0x800000UL + (u64)(slot)*8)

long world_op(u32 dom, u32 vcpu, u64 cmd, void *list, u64 count);
long world_memory_op(u32 dom, u64 cmd, void *arg); /* acquire_resource */
volatile grant_entry_v1_t *world_entry(u32 dom, u32 ref);
