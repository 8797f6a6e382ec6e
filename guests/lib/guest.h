/* SPDX-License-Identifier: MIT */
/*
 * guest.h - the runtime of a small paravirtual guest: what every guest in this
 * tree is written against. It needs the public Xen headers, a freestanding
 * compiler and three pure files of lib/; the same binary runs as domain 0 on
 * Xen and as any domain on tarn.
 *
 * A guest is a folder with a main.c that defines guest_name and guest_main().
 * It starts on vcpu 0 with shared_info mapped, traps and callbacks set, the
 * legacy periodic timer stopped and upcalls enabled.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xen/xen.h>
#include <xen/callback.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/features.h>
#include <xen/grant_table.h>
#include <xen/memory.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/version.h>

#define STACK_SIZE 0x4000UL
#define MAX_VCPUS 64U
#define PAGE_SIZE 4096UL
#define VIRT_BASE 0xffffffff80000000UL
#define NR_PORTS 4096U

#define SEC 1000000000UL
#define MS 1000000UL
#define US 1000UL

/* The next of numbers that look random; the state, not 0, is the number before. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Vectors of a frame that is no exception. */
enum { VEC_INT80 = 128, VEC_UPCALL = 256, VEC_SYSCALL, VEC_FAILSAFE };

/* Registers of interrupted code, in the order in which start.asm pushes them. */
struct frame {
    uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    uint64_t vector, error;
    uint64_t rip, cs, rflags, rsp, ss;
};

/* ---- given by the guest ---- */

extern const char guest_name[];
/* NULL when all went well, else why not. The runtime prints it and powers off, or
 * reboots if "reboot" is on the command line. */
const char *guest_main(void);

/* ---- start.c: start of day, end of day, memory ---- */

extern struct start_info *start_info;
extern char shared_page[PAGE_SIZE];
extern uint8_t hypercall_page[4096];
extern char guest_stacks[];
/* The TSC at the guest's first instruction. */
extern uint64_t guest_entry_tsc;
extern char guest_image_start[], guest_image_end[];

#define shared ((volatile struct shared_info *)(void *)shared_page)

void guest_exit(const char *failure) __attribute__((noreturn));
void guest_shutdown(unsigned int reason) __attribute__((noreturn));

static inline unsigned long virt_to_pfn(const volatile void *va)
{
    return ((unsigned long)va - VIRT_BASE) / PAGE_SIZE;
}

static inline unsigned long pfn_to_mfn(unsigned long pfn)
{
    return ((const unsigned long *)start_info->mfn_list)[pfn];
}

static inline unsigned long virt_to_mfn(const volatile void *va)
{
    return pfn_to_mfn(virt_to_pfn(va));
}

static inline void *pfn_to_virt(unsigned long pfn)
{
    return (void *)(VIRT_BASE + pfn * PAGE_SIZE);
}

/* Where a frame of ours that the domain's builder handed over is mapped; NULL: it can't be. */
void *machine_page(uint64_t mfn);
/* The page table of the given level (4 to 1) on the way to va; NULL if there is none. */
uint64_t *page_table(unsigned int level, const volatile void *va);
/* Machine address of the L1 entry that maps va; 0 if there is no L1. */
uint64_t l1e_maddr(const volatile void *va);

/* ---- balloon.c ---- */

/* Give memory back, or take it again, until the domain has so many KiB, or as near as it gets: what
 * it has then. Only what the guest does not use is given. */
unsigned long balloon_to(unsigned long kib);
/* The first frame (pfn) that the guest has no mapping of. */
unsigned long frames_unused(void);
/* The balloon leaves all below `end` alone from now on; false: the domain has not so many now. */
bool frames_keep(unsigned long end);

/* ---- store.c: the store of the control domain, if there is one ---- */

/* At start of day. */
void xs_start(void);
bool xs_present(void);
/*
 * These wait for the answer, and are for vcpu 0 outside of event handlers. Paths without a leading
 * '/' are below the domain's own folder. All return -errno; -XEN_ENODEV at once without a store.
 */
/* Length of the value, which is cut to fit and terminated. */
long xs_read(const char *path, char *value, size_t size);
long xs_write(const char *path, const char *value);
/* Names of what is below a node, each with a NUL behind it; the length of all, -XEN_E2BIG: more. */
long xs_directory(const char *path, char *names, size_t size);
/* Lets one more domain read a node of ours, and what is made below it from then on. */
long xs_let_read(const char *path, domid_t domid);
/* Events of one's watches: 1 and the path that changed and the token, or 0: none now. With both
 * empty: some were lost, so look at all. */
long xs_watch(const char *path, const char *token);
long xs_unwatch(const char *path, const char *token);
/* Whether there is one, to be asked in wait_until. */
bool xs_event_waits(void);
long xs_event(char *path, size_t path_size, char *token, size_t token_size);

/*
 * What the control domain asks for (control/shutdown, cpu/N/availability) is served by vcpu 0 where
 * it waits: in wait_until and clock_sleep. A guest that computes without waiting calls guest_serve
 * now and then. A shutdown ends the guest there and then.
 */
extern volatile bool serve_due;
bool serve_possible(void);
void guest_serve_now(void);
static inline void guest_serve(void)
{
    if (serve_due) {
        guest_serve_now();
    }
}
static inline bool serve_waits(void)
{
    return serve_due && serve_possible();
}
/* False: the store says that this vcpu is to be down. */
bool vcpu_is_wanted(unsigned int vcpu);
/* Has a hook called by vcpu 0 with vcpus that are to be up or down; first, soon, with all. */
void vcpu_on_availability(void (*hook)(unsigned int vcpu, bool online));

/* ---- console.c: output in whole lines, the command line ---- */

void printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* At start of day: finds the PV console. */
void console_start(void);
/* A byte of input; -1: there is none. */
long console_getchar(void);
/* Breaks the console lock: for a guest that is about to crash. */
void console_panic(void);

/* Value of "key=value" on the command line, copied to the caller's buffer; false if absent. */
bool arg_string(const char *key, char *value, size_t size);
/* Same as a decimal or 0x number; the default if absent. */
unsigned long arg_number(const char *key, unsigned long otherwise);
bool arg_flag(const char *word);

/* ---- lib/ of the tree: pure helpers that the hypervisor has, too ---- */

int fmt_snprintf(char *buf, size_t size, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int fmt_vsnprintf(char *buf, size_t size, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));
void *memset(void *to, int byte, size_t n);
void *memcpy(void *to, const void *from, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
int strcmp(const char *a, const char *b);
/* Decimal or 0x; false: the text is no such number. */
bool uint_parse(const char *text, uint64_t *out);

/* ---- event.c: ports, upcalls, waiting ---- */

typedef void (*event_handler)(evtchn_port_t port);

extern volatile struct vcpu_info *vcpu_infos[MAX_VCPUS];

/* What a guest has for its ports. It may define its own: for more ports than NR_PORTS, which only
 * the FIFO protocol has, up to EVTCHN_FIFO_NR_CHANNELS. */
struct event_room {
    unsigned int ports; /* a multiple of 1024 */
    event_handler *handlers;
    uint32_t *words; /* by port; page-aligned */
};
extern const struct event_room event_room;
/* At start of day: switches to the FIFO protocol if "events=fifo" is on the command line. */
void event_start(void);
/* For all vcpus that there are, and for good. 0 or -errno. */
long event_use_fifo(void);
bool event_is_fifo(void);
/* 0, the most urgent, to 15; FIFO only. */
long event_set_priority(evtchn_port_t port, unsigned int priority);

/* Who handles a port and on which vcpu; NULL to forget. Does not touch the mask bit. */
void event_handle(evtchn_port_t port, unsigned int vcpu, event_handler handler);
/* All return the port or -errno, and leave it to the caller to set a handler. */
long event_bind_ipi(unsigned int vcpu);
long event_bind_virq(unsigned int virq, unsigned int vcpu);
long event_alloc_unbound(domid_t remote);
long event_bind_interdomain(domid_t remote, evtchn_port_t port);
long event_bind_vcpu(evtchn_port_t port, unsigned int vcpu);
long event_send(evtchn_port_t port);
long event_close(evtchn_port_t port);
bool event_pending(evtchn_port_t port);
void event_clear(evtchn_port_t port);
bool event_masked(evtchn_port_t port);
void event_mask(evtchn_port_t port);
void event_unmask(evtchn_port_t port);
/* By the hypercall, in any case. */
void event_unmask_asked(evtchn_port_t port);
/* Without a hypercall where that can be: on the vcpu that handles the port, with upcalls masked. */
void event_unmask_here(evtchn_port_t port);
/* The upcall handler proper, also called by those who poll with upcalls masked. */
void event_scan(void);

void upcalls_disable(void);
void upcalls_enable(void);
/* Unmasks upcalls and sleeps until there is one; at once if there was one already. */
void vcpu_block(void);

/* Sleeps until the condition holds. The condition must be changed by an event handler. */
#define wait_until(condition)     \
    do {                          \
        upcalls_disable();        \
        while (!(condition)) {    \
            if (serve_waits()) {  \
                upcalls_enable(); \
                guest_serve();    \
            } else {              \
                vcpu_block();     \
            }                     \
            upcalls_disable();    \
        }                         \
        upcalls_enable();         \
    } while (0)

/* ---- trap.c: exceptions, callbacks ---- */

/* Returns true if the frame may be resumed. */
typedef bool (*trap_handler)(struct frame *frame);

extern struct trap_info trap_table[];
extern const uint64_t trap_stubs[32];
extern const uint64_t trap_stub_int80;
void upcall_entry(void);
void failsafe_entry(void);
void syscall_entry(void);

void trap_init(void);
void trap_handle(unsigned int vector, trap_handler handler);
void frame_print(const struct frame *frame);

/* ---- time.c: system time, wall clock, timers ---- */

uint64_t clock_now(void);
/* Nanoseconds that so many ticks of the TSC take. */
uint64_t clock_of_ticks(uint64_t ticks);
/* Seconds since 1970 and nanoseconds into that second. */
uint64_t clock_wall(uint32_t *nanoseconds);
void clock_sleep(uint64_t nanoseconds);
long timer_set(uint64_t deadline);
long timer_periodic(unsigned int vcpu, uint64_t period);

/* ---- smp.c: vcpus ---- */

static inline unsigned int vcpu_self(void)
{
    unsigned long rsp;

    asm volatile("mov %%rsp, %0" : "=r"(rsp));
    return (unsigned int)((rsp - 1 - (unsigned long)guest_stacks) / STACK_SIZE);
}

/* Number of vcpus this domain has, up or not. */
unsigned int vcpu_count(void);
/* Starts a vcpu, or has it come up again, to run the function. 0 or -errno. */
long vcpu_start(unsigned int vcpu, void (*function)(void));
bool vcpu_is_up(unsigned int vcpu);
/* Waits until the vcpu is down, a second at most. */
bool vcpu_wait_down(unsigned int vcpu);
/*
 * Has vcpus 1 to n - 1 run the function, those at least that the control domain wants up, and takes
 * them down and up as it asks. They call vcpu_check() in their loops: there a vcpu goes down that
 * is to be down, and there it goes on. 0, or -errno of the one that does not start.
 */
long vcpus_start(unsigned int n, void (*function)(void));
extern volatile uint8_t vcpu_leaving[MAX_VCPUS];
void vcpu_leave(void);
static inline void vcpu_check(void)
{
    if (vcpu_leaving[vcpu_self()]) {
        vcpu_leave();
    }
}
/* Has vcpu_info put where the guest wants it; needed from vcpu 32 on. */
long vcpu_register_info(unsigned int vcpu);
void vcpu_runstate(unsigned int vcpu, struct vcpu_runstate_info *info);

/* ---- grant.c: pages granted to other domains, and theirs (grant tables, version 1) ---- */

#define GRANT_FRAMES 4U /* of the table at most: 2048 references */

/* The domain's own number. */
domid_t domid_self(void);

/* Maps the table. How many references there are, or less than 0: -errno or a GNTST_ status. Those
 * below call it when it must be; where several vcpus use them, one calls it first. */
long grant_start(void);
/* A reference that is free from now on not: its number, or less than 0. */
long grant_take(void);
bool grant_take_this(grant_ref_t ref);
void grant_release(grant_ref_t ref);
/* The entry of a reference that was taken. */
struct grant_entry_v1 *grant_entry(grant_ref_t ref);
/* Lets a domain map and copy the frame; flags: 0 or GTF_readonly. */
void grant_access(grant_ref_t ref, domid_t to, unsigned long mfn, uint16_t flags);
/* Takes that back. False: it is in use, and goes on being granted. */
bool grant_revoke(grant_ref_t ref);
/* Both in one: a reference taken, or less than 0; released, or false. */
long grant_page(domid_t to, unsigned long mfn, uint16_t flags);
bool grant_end(grant_ref_t ref);

/*
 * These return 0, a GNTST_ status or -errno. A page that another domain grants is mapped over a
 * page of the image, whose own frame is out of sight until grant_put_back(); flags: 0 or
 * GNTMAP_readonly.
 */
long grant_map(domid_t from, grant_ref_t ref, void *va, uint32_t flags, grant_handle_t *handle);
/* The first part of that, for those who map many by one call: nothing is mapped there then. */
long grant_make_room(void *va);
/* Nothing is mapped there then. */
long grant_unmap(void *va, grant_handle_t handle);
long grant_put_back(void *va);
/* To and from memory of ours; neither may cross the end of a page. */
long grant_copy_in(void *to, domid_t from, grant_ref_t ref, unsigned int offset, size_t size);
long grant_copy_out(domid_t to, grant_ref_t ref, unsigned int offset, const void *from,
                    size_t size);

static inline void cpu_relax(void)
{
    asm volatile("pause" ::: "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;

    asm volatile("rdtsc" : "=a"(low), "=d"(high)::"memory");
    return (uint64_t)high << 32 | low;
}

/* ---- hypercalls ---- */

#define ARG(x) ((unsigned long)(x))

static inline long hypercall(unsigned int nr, unsigned long a1, unsigned long a2, unsigned long a3,
                             unsigned long a4, unsigned long a5)
{
    unsigned long rax = ARG(hypercall_page) + nr * 32UL;
    register unsigned long r10 asm("r10") = a4;
    register unsigned long r8 asm("r8") = a5;

    asm volatile("call *%%rax"
                 : "+a"(rax), "+D"(a1), "+S"(a2), "+d"(a3), "+r"(r10), "+r"(r8)::"rcx", "r11",
                   "memory");
    return (long)rax;
}

static inline long hypercall2(unsigned int nr, unsigned long a1, unsigned long a2)
{
    return hypercall(nr, a1, a2, 0, 0, 0);
}

static inline long hypercall3(unsigned int nr, unsigned long a1, unsigned long a2, unsigned long a3)
{
    return hypercall(nr, a1, a2, a3, 0, 0);
}

static inline long xen_version(int cmd, void *arg)
{
    return hypercall2(__HYPERVISOR_xen_version, ARG(cmd), ARG(arg));
}

static inline long console_io(int cmd, size_t count, const char *text)
{
    return hypercall3(__HYPERVISOR_console_io, ARG(cmd), count, ARG(text));
}

static inline long sched_op(int cmd, const void *arg)
{
    return hypercall2(__HYPERVISOR_sched_op, ARG(cmd), ARG(arg));
}

static inline long event_op(int cmd, void *arg)
{
    return hypercall2(__HYPERVISOR_event_channel_op, ARG(cmd), ARG(arg));
}

static inline long vcpu_op(int cmd, unsigned int vcpu, void *arg)
{
    return hypercall3(__HYPERVISOR_vcpu_op, ARG(cmd), vcpu, ARG(arg));
}

static inline long memory_op(int cmd, void *arg)
{
    return hypercall2(__HYPERVISOR_memory_op, ARG(cmd), ARG(arg));
}

static inline long set_timer_op(uint64_t deadline)
{
    return hypercall2(__HYPERVISOR_set_timer_op, deadline, 0);
}

static inline long set_trap_table(const struct trap_info *table)
{
    return hypercall2(__HYPERVISOR_set_trap_table, ARG(table), 0);
}

static inline long callback_op(int cmd, const void *arg)
{
    return hypercall2(__HYPERVISOR_callback_op, ARG(cmd), ARG(arg));
}

static inline long update_va_mapping(const volatile void *va, uint64_t pte, unsigned long flags)
{
    return hypercall3(__HYPERVISOR_update_va_mapping, ARG(va), pte, flags);
}

static inline long mmu_update(const struct mmu_update *updates, unsigned int count,
                              unsigned int *done, unsigned int domain)
{
    return hypercall(__HYPERVISOR_mmu_update, ARG(updates), count, ARG(done), domain, 0);
}

static inline long mmuext_op(const struct mmuext_op *ops, unsigned int count, unsigned int *done,
                             unsigned int domain)
{
    return hypercall(__HYPERVISOR_mmuext_op, ARG(ops), count, ARG(done), domain, 0);
}

static inline long grant_op(unsigned int cmd, void *ops, unsigned int count)
{
    return hypercall3(__HYPERVISOR_grant_table_op, cmd, ARG(ops), count);
}
