/* SPDX-License-Identifier: MIT */
/*
 * victim.c - the domain that control.c makes: four levels of tables, a page of code with its data,
 * a stack for all vcpus, and a frame that it pins as a table over and over. Each vcpu rolls the
 * time stamp counter for its next hypercall: yield, poll, block, events, pins, memory.
 */
#include "victim.h"

#define VICTIM_VIRT 0xffffffff80000000UL
#define DATA 0xe00UL /* within the page of code */

enum { PAGE_L4, PAGE_L3, PAGE_L2, PAGE_L1, PAGE_CODE, PAGE_STACK, PAGE_SPARE, PAGE_PINNED };

struct victim_data {
    uint32_t event[4];
    struct mmuext_op pins[2];
    struct xen_memory_reservation memory;
    struct sched_poll poll;
    uint64_t frame;
};

extern const char victim_code[], victim_code_end[];

asm(".pushsection .rodata\n"
    "victim_code:\n"
    "    lea victim_code(%rip), %rbx\n"
    "    lea 0x2000(%rbx), %rsp\n"
    "    add $0xe00, %rbx\n"
    "1:  rdtsc\n"
    "    mov %eax, %ebp\n"
    "    shr $3, %eax\n"
    "    mov %eax, %r12d\n"
    "    shr $3, %r12d\n"
    "    and $7, %r12d\n"
    "    and $7, %eax\n"
    "    jz 10f\n"
    "    cmp $1, %eax\n"
    "    je 11f\n"
    "    cmp $2, %eax\n"
    "    je 12f\n"
    "    cmp $3, %eax\n"
    "    je 13f\n"
    "    cmp $4, %eax\n"
    "    je 14f\n"
    "    cmp $5, %eax\n"
    "    je 15f\n"
    /* an event operation: close 3, send 4, bind_ipi 7, bind_vcpu 8, unmask 9 */
    "    mov %r12d, (%rbx)\n"
    "    mov $4, %edi\n"
    "    test $0x700, %ebp\n"
    "    jnz 2f\n"
    "    mov $7, %edi\n"
    "    test $0x800, %ebp\n"
    "    jnz 2f\n"
    "    mov $3, %edi\n"
    "2:  movl $0, 4(%rbx)\n"
    "    mov %rbx, %rsi\n"
    "    mov $32, %eax\n"
    "    jmp 20f\n"
    "10: xor %edi, %edi\n" /* yield */
    "    xor %esi, %esi\n"
    "    mov $29, %eax\n"
    "    jmp 20f\n"
    "11: mov $26, %eax\n" /* pin and unpin */
    "    lea 16(%rbx), %rdi\n"
    "    mov $2, %esi\n"
    "    xor %edx, %edx\n"
    "    mov $0x7ff0, %r10d\n"
    "    jmp 20f\n"
    "12: mov $6, %edi\n" /* populate_physmap */
    "    jmp 3f\n"
    "13: mov $1, %edi\n" /* decrease_reservation */
    "3:  mov $12, %eax\n"
    "    lea 64(%rbx), %rsi\n"
    "    jmp 20f\n"
    "14: mov $3, %edi\n" /* poll */
    "    lea 96(%rbx), %rsi\n"
    "    mov $29, %eax\n"
    "    jmp 20f\n"
    "15: mov $1, %edi\n" /* block, rarely */
    "    test $0xf00, %ebp\n"
    "    jnz 10b\n"
    "    xor %esi, %esi\n"
    "    mov $29, %eax\n"
    "20: syscall\n"
    "    jmp 1b\n"
    "victim_code_end:\n"
    ".popsection\n");

_Static_assert(offsetof(struct victim_data, pins) == 16, "as the code has it");
_Static_assert(offsetof(struct victim_data, memory) == 64, "as the code has it");
_Static_assert(offsetof(struct victim_data, poll) == 96, "as the code has it");

static void fill_l4(uint64_t *page, const uint64_t *mfns)
{
    page[511] = mfns[PAGE_L3] * PAGE_SIZE | PTE_TABLE;
}

static void fill_l3(uint64_t *page, const uint64_t *mfns)
{
    page[510] = mfns[PAGE_L2] * PAGE_SIZE | PTE_TABLE;
}

static void fill_l2(uint64_t *page, const uint64_t *mfns)
{
    page[0] = mfns[PAGE_L1] * PAGE_SIZE | PTE_TABLE;
}

static void fill_l1(uint64_t *page, const uint64_t *mfns)
{
    page[0] = mfns[PAGE_CODE] * PAGE_SIZE | PTE_RW;
    page[1] = mfns[PAGE_STACK] * PAGE_SIZE | PTE_RW;
    page[2] = mfns[PAGE_SPARE] * PAGE_SIZE | PTE_RW;
}

static void fill_code(uint64_t *page, const uint64_t *mfns)
{
    struct victim_data *d = (void *)((char *)page + DATA);
    const struct victim_data *there = (void *)(VICTIM_VIRT + DATA);

    memcpy(page, victim_code, (size_t)(victim_code_end - victim_code));
    memset(d, 0, sizeof(*d));
    d->pins[0].cmd = MMUEXT_PIN_L1_TABLE;
    d->pins[1].cmd = MMUEXT_UNPIN_TABLE;
    d->pins[0].arg1.mfn = d->pins[1].arg1.mfn = mfns[PAGE_PINNED];
    set_xen_guest_handle(d->memory.extent_start, (xen_pfn_t *)(uintptr_t)&there->frame);
    d->memory.nr_extents = 1;
    d->memory.domid = DOMID_SELF;
    set_xen_guest_handle(d->poll.ports, (evtchn_port_t *)(uintptr_t)there->event);
    d->poll.nr_ports = 1;
    d->poll.timeout = 1;
}

void (*const victim_fill[VICTIM_PAGES])(uint64_t *page, const uint64_t *mfns) = {
    [PAGE_L4] = fill_l4, [PAGE_L3] = fill_l3,     [PAGE_L2] = fill_l2,
    [PAGE_L1] = fill_l1, [PAGE_CODE] = fill_code,
};

void victim_context(struct vcpu_guest_context *c, uint64_t l4, unsigned int vcpu)
{
    memset(c, 0, sizeof(*c));
    c->flags = VGCF_in_kernel | VGCF_online;
    c->user_regs.rip = VICTIM_VIRT;
    c->user_regs.rsp = c->kernel_sp = VICTIM_VIRT + 2 * PAGE_SIZE;
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = FLAT_KERNEL_SS;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->user_regs.rbx = vcpu;
    c->event_callback_eip = VICTIM_VIRT;
    c->ctrlreg[3] = xen_pfn_to_cr3(l4);
}
