/* SPDX-License-Identifier: MIT */
/*
 * actor.c - does one act in this domain, and tells what came of it. A load or store that faults is
 * a result like another: the handler goes on behind the instruction.
 */
#include "grants.h"

struct arena arenas[MAX_LANES] __attribute__((aligned(PAGE_SIZE)));

static volatile bool faulted[MAX_VCPUS];

extern const char touch_load[], touch_store[];

#define PTE_RW 0x63UL
#define TOUCH_SIZE 3U /* bytes of either instruction */

static bool on_fault(struct frame *frame)
{
    if (frame->rip != ARG(touch_load) && frame->rip != ARG(touch_store)) {
        return false;
    }
    faulted[vcpu_self()] = true;
    frame->rip += TOUCH_SIZE;
    return true;
}

uint64_t touch_one(uint64_t va);
void touch_put(uint64_t va, uint64_t value);
asm("touch_one:\n"
    "    xor %eax, %eax\n"
    "touch_load:\n"
    "    mov (%rdi), %rax\n"
    "    ret\n"
    "touch_put:\n"
    "touch_store:\n"
    "    mov %rsi, (%rdi)\n"
    "    ret\n");

uint64_t page_sum(const void *page)
{
    const uint64_t *words = page;
    uint64_t sum = 0;

    for (size_t i = 0; i < NR_WORDS; i++) {
        sum = sum * 31 + words[i];
    }
    return sum;
}

void page_fill(void *page, domid_t domid, unsigned int lane, unsigned int number)
{
    uint64_t *words = page;

    for (size_t i = 0; i < NR_WORDS; i++) {
        words[i] = (uint64_t)domid << 48 | (uint64_t)lane << 32 | number << 16 | i;
    }
}

long actor_begin(domid_t self, unsigned int lane)
{
    long rc = grant_start();

    trap_handle(14, on_fault);
    for (unsigned int i = 0; i < NR_GRANTED; i++) {
        page_fill(arenas[lane].pages[i], self, lane, i);
    }
    for (unsigned int i = 0; i < NR_SLOTS; i++) {
        page_fill(arenas[lane].slots[i], self, lane, 0x100 + i);
    }
    for (grant_ref_t i = 0; i < NR_REFS && rc >= 0; i++) {
        rc = grant_take_this(FIRST_REF + lane * NR_REFS + i) ? 0 : -XEN_EBUSY;
    }
    return rc;
}

static int64_t call(unsigned int cmd, void *op, const int16_t *status)
{
    long rc = grant_op(cmd, op, 1);

    return rc ? rc - 1000 : *status;
}

/* What was mapped over may still be in the TLB: that is the guest's to see to. Each vcpu has slots
 * of its own, so the others need not be disturbed. */
static void flush(uint64_t va)
{
    struct mmuext_op op = { .cmd = MMUEXT_INVLPG_LOCAL };

    op.arg1.linear_addr = va;
    mmuext_op(&op, 1, NULL, DOMID_SELF);
}

static void do_map(const struct gnttab_map_grant_ref *what, struct result *r)
{
    struct gnttab_map_grant_ref op = *what;

    if ((op.flags & GNTMAP_contains_pte) && op.host_addr >= VIRT_BASE) {
        op.host_addr = l1e_maddr((void *)op.host_addr);
    }
    r->rc = call(GNTTABOP_map_grant_ref, &op, &op.status);
    if (r->rc == 0 && (op.flags & GNTMAP_host_map)) {
        flush(what->host_addr);
    }
    r->handle = op.handle;
    r->bus = op.dev_bus_addr;
}

/* One that was mapped by the address of its entry is unmapped by it: bit 0 says so. */
static void do_unmap(const struct gnttab_unmap_grant_ref *what, struct result *r)
{
    struct gnttab_unmap_grant_ref op = *what;

    if ((op.host_addr & 1) && op.host_addr >= VIRT_BASE) {
        op.host_addr = l1e_maddr((void *)(op.host_addr & ~1UL));
    }
    r->rc = call(GNTTABOP_unmap_grant_ref, &op, &op.status);
}

static void do_copy(const struct gnttab_copy *what, struct result *r)
{
    struct gnttab_copy op = *what;

    if (!(op.flags & GNTCOPY_source_gref) && op.source.u.gmfn >= VIRT_BASE) {
        op.source.u.gmfn = virt_to_mfn((void *)op.source.u.gmfn);
    }
    if (!(op.flags & GNTCOPY_dest_gref) && op.dest.u.gmfn >= VIRT_BASE) {
        op.dest.u.gmfn = virt_to_mfn((void *)op.dest.u.gmfn);
    }
    r->rc = call(GNTTABOP_copy, &op, &op.status);
}

static void do_touch(const struct act *a, struct result *r)
{
    volatile bool *fault = &faulted[vcpu_self()];

    *fault = false;
    if (a->what == ACT_WRITE) {
        touch_put(a->touch.va, a->touch.value);
    } else {
        touch_one(a->touch.va);
        r->value = *fault ? 0 : page_sum((void *)a->touch.va);
    }
    r->fault = *fault;
}

void act_here(const struct act *a, struct result *r)
{
    struct gnttab_unmap_and_replace replace;

    memset(r, 0, sizeof(*r));
    switch (a->what) {
    case ACT_GRANT:
        grant_access(a->grant.ref, a->grant.to, virt_to_mfn((void *)a->grant.page), a->grant.flags);
        break;
    case ACT_REVOKE:
        r->value = grant_revoke(a->grant.ref);
        break;
    case ACT_FLAGS:
        r->value = ((volatile struct grant_entry_v1 *)grant_entry(a->grant.ref))->flags;
        break;
    case ACT_MAP:
        do_map(&a->map, r);
        break;
    case ACT_UNMAP:
        do_unmap(&a->unmap, r);
        break;
    case ACT_REPLACE:
        replace = a->replace;
        r->rc = call(GNTTABOP_unmap_and_replace, &replace, &replace.status);
        break;
    case ACT_COPY:
        do_copy(&a->copy, r);
        break;
    case ACT_READ:
    case ACT_WRITE:
        do_touch(a, r);
        break;
    case ACT_RESTORE:
        r->rc = update_va_mapping((void *)a->touch.va,
                                  virt_to_mfn((void *)a->touch.va) * PAGE_SIZE | PTE_RW,
                                  UVMF_INVLPG | UVMF_LOCAL);
        break;
    case ACT_DIE:
        guest_shutdown(SHUTDOWN_crash);
    default:
        break;
    }
}
