/* SPDX-License-Identifier: MIT */
/*
 * The end because of a bug of ours: the other pcpus are stopped by NMI, registers and backtrace
 * printed without any lock, and QEMU told by its debug-exit device. Owns `stopper`: the pcpu (by
 * its stack, which exists before struct pcpu does) that stops the machine; it is set once.
 */
#include <tarn/console.h>
#include <tarn/pcpu.h>
#include <x86/apic.h>
#include <x86/asm.h>
#include <x86/layout.h>
#include <x86/panic.h>
#include <x86/symtab.h>

#define DEBUG_EXIT_PORT 0x501
#define DEBUG_EXIT_PANIC 0x10 /* QEMU's exit status is 0x10 << 1 | 1 */
#define LINE_MAX 240
#define SYMBOL_MAX 64
#define MAX_FRAMES 24u
#define AREA_STACK_PAGE 14u /* of a pcpu's area; see struct pcpu */

/* See above. */
static struct pcpu *stopper;
/* NMIs that nobody expected. */
static u32 stray_nmis;

static __noreturn void stop_self(void)
{
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

bool machine_stopping(void)
{
    return READ_ONCE(stopper) != NULL;
}

void machine_stop_others(void)
{
    struct pcpu *nobody = NULL, *self = this_pcpu();

    if (!atomic_cmpxchg(&stopper, &nobody, self)) {
        if (nobody != self) {
            stop_self(); /* another one was first */
        }
        return;
    }
    lapic_send_nmi_others();
}

void nmi_dispatch(const struct cpu_user_regs *regs)
{
    (void)regs;
    if (machine_stopping() && READ_ONCE(stopper) != this_pcpu()) {
        stop_self();
    }
    stray_nmis++;
}

static __noreturn void stop_machine(void)
{
    outb(DEBUG_EXIT_PORT, DEBUG_EXIT_PANIC);
    stop_self();
}

/* ---- Printing ---- */

static void put(const char *text)
{
    console_write_panic(text, strlen(text));
}

static void vprint(const char *fmt, va_list ap)
{
    char line[LINE_MAX];

    (void)fmt_vsnprintf(line, sizeof(line), fmt, ap);
    put(line);
}

static void __printf(1, 2) print(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
}

static bool in_text(u64 addr)
{
    return addr >= (u64)__text_start && addr < (u64)__text_end;
}

/* What one byte of a packed name stands for, at name[len]; returns the new length. A pair has
 * smaller pairs only, so it comes to an end. */
static u32 unpack(u8 byte, char name[SYMBOL_MAX], u32 len)
{
    if (byte >= 128 || byte < '.') {
        const u8 *pair = &symtab_pairs[2 * (u8)(byte - 128)];

        return unpack(pair[1], name, unpack(pair[0], name, len));
    }
    name[MIN(len, SYMBOL_MAX - 1)] = (char)byte;
    return len + 1;
}

static const u8 *next_symbol(const u8 *p, u32 *addr)
{
    *addr += p[0] < 128 ? p[0] : (p[0] - 128u) * 256 + p[1];
    return p + (p[0] < 128 ? 1 : 2);
}

/* Name of the function at `addr` (cut when it is longer) and the offset in it; false when it is
 * none of ours. From the first to the last: there is no hurry, and the table is small that way. */
static bool symbol_find(u64 addr, char name[SYMBOL_MAX], u64 *offset)
{
    const u8 *p = symtab, *found = NULL;
    u32 start = symtab_base, len = 0;

    for (u32 i = 0; in_text(addr) && i < symtab_count; i++) {
        p = next_symbol(p, &start);
        if (start > (u32)addr) {
            break;
        }
        *offset = (u32)addr - start;
        for (found = p; *p++;) {
        }
    }
    while (found && *found) {
        len = unpack(*found++, name, len);
    }
    name[MIN(len, SYMBOL_MAX - 1)] = '\0';
    return found;
}

/* `back` is 1 for a return address: the call may be the last instruction of its function. */
static void print_frame(u64 addr, u64 back)
{
    u64 offset = 0;
    char name[SYMBOL_MAX];

    if (symbol_find(addr - back, name, &offset)) {
        print("(tarn)   %016lx %s+%#lx\n", addr, name, offset + back);
    } else {
        print("(tarn)   %016lx\n", addr);
    }
}

/* A call ends right before it: e8 rel32, or ff /2 with the lengths that it has without a SIB byte's
 * prefixes. */
static bool is_return_address(u64 addr)
{
    const u8 *p = (const u8 *)addr;

    if (!in_text(addr) || addr - (u64)__text_start < 7) {
        return false;
    }
    if (p[-5] == 0xe8) {
        return true;
    }
    for (int len = 2; len <= 7; len++) {
        if (p[-len] == 0xff && (p[-len + 1] & 0x38) == 0x10) {
            return true;
        }
    }
    return false;
}

/* Where the stack that rsp is on ends; 0 when it is on none of ours. */
static u64 stack_end(u64 rsp)
{
    if (rsp >= PCPU_VIRT && rsp < PCPU_VIRT + NR_CPUS * PCPU_AREA_SIZE) {
        u64 page = rsp % PCPU_AREA_SIZE / PAGE_SIZE;

        if (page >= AREA_STACK_PAGE) {
            return (u64)pcpu_of_stack(rsp);
        }
        return page % 2 && page < 8 ? ALIGN_UP(rsp + 1, PAGE_SIZE) : 0;
    }
    return rsp >= (u64)__boot_start && rsp < (u64)__boot_stack_end ? (u64)__boot_stack_end : 0;
}

/* There are no frame pointers: whatever looks like a return address is shown, stale ones too. */
static void print_backtrace(u64 rsp)
{
    u64 end = stack_end(rsp);
    u32 frames = 0;

    print("(tarn) backtrace:\n");
    for (rsp = ALIGN_UP(rsp, 8UL); rsp + 8 <= end && frames < MAX_FRAMES; rsp += 8) {
        u64 value = *(const u64 *)rsp;

        if (is_return_address(value)) {
            print_frame(value, 1);
            frames++;
        }
    }
}

static void print_regs(const struct cpu_user_regs *r)
{
    print("(tarn) rip %016lx cs %04x rflags %08lx rsp %016lx ss %04x error %x\n", r->rip, r->cs,
          r->rflags, r->rsp, r->ss, r->error_code);
    print("(tarn) rax %016lx rbx %016lx rcx %016lx rdx %016lx\n", r->rax, r->rbx, r->rcx, r->rdx);
    print("(tarn) rsi %016lx rdi %016lx rbp %016lx r8  %016lx\n", r->rsi, r->rdi, r->rbp, r->r8);
    print("(tarn) r9  %016lx r10 %016lx r11 %016lx r12 %016lx\n", r->r9, r->r10, r->r11, r->r12);
    print("(tarn) r13 %016lx r14 %016lx r15 %016lx\n", r->r13, r->r14, r->r15);
}

static void print_control_regs(void)
{
    print("(tarn) cr0 %08lx cr2 %016lx cr3 %016lx cr4 %08lx\n", read_cr0(), read_cr2(), read_cr3(),
          read_cr4());
}

/* ---- Entry points ---- */

/* By the stack: struct pcpu may not be there yet. */
static u32 cpu_number(void)
{
    u64 area = ((u64)this_pcpu() - PCPU_VIRT) / PCPU_AREA_SIZE;

    return area < NR_CPUS ? (u32)area : 0;
}

/* Up to the reason. A panic within a panic did what it could. */
static void panic_begin(void)
{
    __asm__ volatile("cli");
    if (READ_ONCE(stopper) == this_pcpu()) {
        put("(tarn) panic again, giving up\n");
        stop_machine();
    }
    machine_stop_others();
    print("\n(tarn) PANIC on cpu %u: ", cpu_number());
}

void panic(const char *fmt, ...)
{
    va_list ap;

    panic_begin();
    va_start(ap, fmt);
    vprint(fmt, ap);
    va_end(ap);
    put("\n");
    print_control_regs();
    print_backtrace((u64)__builtin_frame_address(0));
    stop_machine();
}

void panic_regs(const struct cpu_user_regs *regs, const char *why)
{
    panic_begin();
    put(why);
    put("\n");
    print_regs(regs);
    print_control_regs();
    print_frame(regs->rip, 0);
    print_backtrace(regs->rsp);
    stop_machine();
}
