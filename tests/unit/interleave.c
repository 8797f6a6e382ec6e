/* SPDX-License-Identifier: MIT */
/*
 * The search of interleave.h: depth first, with the whole state saved at each step. Actors are
 * coroutines on small stacks, which are part of the state. This file stands in for the sanitizer's
 * library, so it is itself compiled without.
 */
#include "interleave.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STACK = 8192, STORE_BUFFER = 2, STATE_MAX = 16384, MAX_DEPTH = 20000 };

enum access { READ, WRITE, STORE, LOCKED, FENCE, WAIT, DRAIN };
static const char *const access_name[] = { "load",  "plain store", "store", "locked",
                                           "fence", "wake",        "drain" };

struct delayed {
    void *at;
    u64 value;
    u64 size;
};

/* One actor, but for its stack. All of it is part of the state. */
struct actor {
    u64 *sp;
    const u8 *flag; /* sleeps until this is not 0 */
    u64 spins;      /* waits until somebody changes something */
    u64 nr_delayed;
    struct delayed delayed[STORE_BUFFER];
};

static __attribute__((aligned(16))) u8 stack[INTERLEAVE_ACTORS][STACK];
static struct actor actor[INTERLEAVE_ACTORS];
static bool actor_ended[INTERLEAVE_ACTORS];
static u32 nr_actors, current_actor;
static u64 *scheduler_sp;
static bool in_actor;
static struct interleave *test;

/* What an actor will do when it goes on, for the trace alone. */
static struct {
    enum access access;
    const void *at;
} next_access[INTERLEAVE_ACTORS];

struct step {
    u8 actor;
    u8 access;
    const void *at;
};

struct frame {
    u8 *state;
    size_t size;
    u32 choice;
    struct step step; /* that led here */
};

static struct frame frame[MAX_DEPTH + 1];
static u32 failed_depth;

/* ---- Coroutines ---- */

void switch_stack(u64 **save, u64 *to);
__asm__(".text\n"
        "switch_stack:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n"
        "    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n"
        "    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    ret\n");

static void leave_actor(void)
{
    in_actor = false;
    switch_stack(&actor[current_actor].sp, scheduler_sp);
    in_actor = true;
}

static void run_actor(void)
{
    in_actor = true;
    test->actor[current_actor]();
    actor_ended[current_actor] = true;
    leave_actor();
    abort();
}

static u64 *first_sp(u32 i)
{
    u64 *sp = (u64 *)(stack[i] + STACK) - 2;

    memset(stack[i], 0, STACK);
    *sp = (u64)(uintptr_t)run_actor;
    return sp - 6;
}

static void go_on(u32 i)
{
    current_actor = i;
    switch_stack(&scheduler_sp, actor[i].sp);
}

/* ---- Shared memory ---- */

/* INTERLEAVE_REGIONS: none. */
static u32 region_of(const void *at)
{
    for (u32 r = 0; r < INTERLEAVE_REGIONS && test->region[r].at; r++) {
        const u8 *from = test->region[r].at;

        if ((const u8 *)at >= from && (const u8 *)at < from + test->region[r].size) {
            return r;
        }
    }
    return INTERLEAVE_REGIONS;
}

static bool shared(const void *at)
{
    u32 r = region_of(at);

    return r != INTERLEAVE_REGIONS && !test->region[r].quiet;
}

/* Somebody else may come first. False: no actor, or none of what they share. */
static bool point(enum access access, const void *at)
{
    if (!in_actor || (at && !shared(at))) {
        return false;
    }
    next_access[current_actor].access = access;
    next_access[current_actor].at = at;
    leave_actor();
    return true;
}

/* Who spins may look again. */
static void note_change(void)
{
    for (u32 i = 0; i < nr_actors; i++) {
        actor[i].spins = 0;
    }
}

static void write_now(const struct delayed *d)
{
    if (memcmp(d->at, &d->value, d->size) != 0) {
        memcpy(d->at, &d->value, d->size);
        note_change();
    }
}

static void drain_one(struct actor *a)
{
    write_now(&a->delayed[0]);
    a->nr_delayed--;
    memmove(a->delayed, a->delayed + 1, sizeof(a->delayed) - sizeof(a->delayed[0]));
    memset(&a->delayed[STORE_BUFFER - 1], 0, sizeof(a->delayed[0]));
}

static void drain_all(struct actor *a)
{
    while (a->nr_delayed) {
        drain_one(a);
    }
}

static void delay(void *at, u64 value, u64 size)
{
    struct actor *a = &actor[current_actor];

    if (a->nr_delayed == STORE_BUFFER) {
        drain_one(a);
    }
    a->delayed[a->nr_delayed++] = (struct delayed){ at, value, size };
}

/* What this actor reads: its last delayed store, or the memory. */
static u64 load(const void *at, u64 size)
{
    const struct actor *a = &actor[current_actor];
    u64 value = 0;

    if (in_actor) {
        for (u64 i = a->nr_delayed; i-- > 0;) {
            if (a->delayed[i].at == at) {
                return a->delayed[i].value;
            }
        }
    }
    memcpy(&value, at, size);
    return value;
}

static void locked_point(void *at)
{
    if (point(LOCKED, at)) {
        drain_all(&actor[current_actor]);
    }
}

/* ---- The thread sanitizer's calls ---- */

#define SEQ_CST __ATOMIC_SEQ_CST

#define HOOKS(bits, type)                                                                        \
    type __tsan_atomic##bits##_load(const volatile type *p, int order);                          \
    type __tsan_atomic##bits##_load(const volatile type *p, int order)                           \
    {                                                                                            \
        (void)order;                                                                             \
        (void)point(READ, (const void *)p);                                                      \
        return (type)load((const void *)p, sizeof(type));                                        \
    }                                                                                            \
    void __tsan_atomic##bits##_store(volatile type *p, type v, int order);                       \
    void __tsan_atomic##bits##_store(volatile type *p, type v, int order)                        \
    {                                                                                            \
        if (order == SEQ_CST) {                                                                  \
            locked_point((void *)p);                                                             \
        } else if (point(STORE, (const void *)p)) {                                              \
            delay((void *)p, v, sizeof(type));                                                   \
            return;                                                                              \
        }                                                                                        \
        *p = v;                                                                                  \
        note_change();                                                                           \
    }                                                                                            \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type c, type v, int, int); \
    type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type c, type v, int order, \
                                                    int fail)                                    \
    {                                                                                            \
        type old;                                                                                \
                                                                                                 \
        (void)order, (void)fail;                                                                 \
        locked_point((void *)p);                                                                 \
        old = *p;                                                                                \
        if (old == c) {                                                                          \
            *p = v;                                                                              \
            note_change();                                                                       \
        }                                                                                        \
        return old;                                                                              \
    }                                                                                            \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *c, type v, int,    \
                                                      int);                                      \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *c, type v,         \
                                                      int order, int fail)                       \
    {                                                                                            \
        type old = __tsan_atomic##bits##_compare_exchange_val(p, *c, v, order, fail);            \
        int same = old == *c;                                                                    \
                                                                                                 \
        *c = old;                                                                                \
        return same;                                                                             \
    }                                                                                            \
    HOOK_RMW(bits, type, exchange, v)                                                            \
    HOOK_RMW(bits, type, fetch_add, old + v)                                                     \
    HOOK_RMW(bits, type, fetch_sub, old - v)                                                     \
    HOOK_RMW(bits, type, fetch_or, old | v)                                                      \
    HOOK_RMW(bits, type, fetch_and, old &v)

#define HOOK_RMW(bits, type, op, new)                                     \
    type __tsan_atomic##bits##_##op(volatile type *p, type v, int order); \
    type __tsan_atomic##bits##_##op(volatile type *p, type v, int order)  \
    {                                                                     \
        type old;                                                         \
                                                                          \
        (void)order;                                                      \
        locked_point((void *)p);                                          \
        old = *p;                                                         \
        *p = (type)(new);                                                 \
        if (*p != old) {                                                  \
            note_change();                                                \
        }                                                                 \
        return old;                                                       \
    }

/* Plain accesses: the access itself follows the call, which must not let it overtake. A load that
 * would have to come from the buffer: let the store be over. */
#define HOOK_PLAIN(bytes)              \
    void __tsan_read##bytes(void *p);  \
    void __tsan_read##bytes(void *p)   \
    {                                  \
        plain_read(p);                 \
    }                                  \
    void __tsan_write##bytes(void *p); \
    void __tsan_write##bytes(void *p)  \
    {                                  \
        plain_write(p);                \
    }

static void plain_read(const void *p)
{
    struct actor *a = &actor[current_actor];

    if (point(READ, p)) {
        for (u64 i = 0; i < a->nr_delayed; i++) {
            if (a->delayed[i].at == p) {
                drain_all(a);
            }
        }
    }
}

static void plain_write(const void *p)
{
    if (point(WRITE, p)) {
        drain_all(&actor[current_actor]);
        note_change();
    }
}

HOOKS(8, u8)
HOOKS(16, u16)
HOOKS(32, u32)
HOOKS(64, u64)
HOOK_PLAIN(1)
HOOK_PLAIN(2)
HOOK_PLAIN(4)
HOOK_PLAIN(8)

void __tsan_read_range(void *p, unsigned long size);
void __tsan_read_range(void *p, unsigned long size)
{
    (void)size;
    plain_read(p);
}

void __tsan_write_range(void *p, unsigned long size);
void __tsan_write_range(void *p, unsigned long size)
{
    (void)size;
    plain_write(p);
}

void __tsan_init(void);
void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc);
void __tsan_func_entry(void *pc)
{
    (void)pc;
}

void __tsan_func_exit(void);
void __tsan_func_exit(void)
{
}

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
    if (order == SEQ_CST && point(FENCE, NULL)) {
        drain_all(&actor[current_actor]);
    }
}

/* ---- For actors ---- */

void interleave_wait(const u8 *flag)
{
    struct actor *a = &actor[current_actor];

    a->flag = flag;
    (void)point(WAIT, flag);
    a->flag = NULL;
}

void interleave_spin(void)
{
    actor[current_actor].spins = 1;
    (void)point(WAIT, NULL);
}

void interleave_fail(const char *what)
{
    if (!test->failed) {
        test->failed = what;
    }
}

/* ---- States ---- */

static size_t stack_used(u32 i)
{
    return (size_t)(stack[i] + STACK - (u8 *)actor[i].sp);
}

/* Into or out of one buffer. Returns its size. */
static size_t state_copy(u8 *state, bool save)
{
    u8 *at = state;

#define PIECE(p, n)                                              \
    do {                                                         \
        memcpy(save ? at : (u8 *)(p), save ? (u8 *)(p) : at, n); \
        at += (n);                                               \
    } while (0)
    PIECE(actor_ended, sizeof(actor_ended));
    PIECE(next_access, sizeof(next_access));
    for (u32 r = 0; r < INTERLEAVE_REGIONS && test->region[r].at; r++) {
        PIECE(test->region[r].at, test->region[r].size);
    }
    for (u32 i = 0; i < nr_actors; i++) {
        PIECE(&actor[i], sizeof(actor[i]));
        if (!actor_ended[i]) {
            PIECE(actor[i].sp, stack_used(i));
        }
    }
#undef PIECE
    return (size_t)(at - state);
}

static u64 state_hash(const u8 *state, size_t size)
{
    u64 h = 0x9e3779b97f4a7c15UL ^ size, word;

    for (size_t i = 0; i < size; i += sizeof(word)) {
        word = 0;
        memcpy(&word, state + i, size - i < sizeof(word) ? size - i : sizeof(word));
        h = (h ^ word) * 0xff51afd7ed558ccdUL;
        h ^= h >> 32;
    }
    return h ? h : 1;
}

/* The set of states seen, by their hash. */
static u64 *seen, seen_size;

static void seen_grow(void)
{
    u64 *old = seen, old_size = seen_size;

    seen_size = old ? old_size * 2 : 1 << 16;
    seen = calloc(seen_size, sizeof(*seen));
    for (u64 i = 0; i < old_size; i++) {
        if (old[i]) {
            u64 at = old[i] & (seen_size - 1);

            while (seen[at]) {
                at = (at + 1) & (seen_size - 1);
            }
            seen[at] = old[i];
        }
    }
    free(old);
}

/* False: it is there. */
static bool seen_add(u64 hash)
{
    u64 at;

    if (test->states * 2 >= seen_size) {
        seen_grow();
    }
    for (at = hash & (seen_size - 1); seen[at]; at = (at + 1) & (seen_size - 1)) {
        if (seen[at] == hash) {
            return false;
        }
    }
    seen[at] = hash;
    test->states++;
    return true;
}

/* ---- The search ---- */

/* Choice 2i is a step of actor i, 2i + 1 that its oldest store is done. */
static bool enabled(u32 choice)
{
    const struct actor *a = &actor[choice / 2];

    if (choice % 2) {
        return a->nr_delayed != 0;
    }
    return !actor_ended[choice / 2] && !a->spins && !(a->flag && *a->flag == 0);
}

static struct step take(u32 choice)
{
    u32 i = choice / 2;
    struct step s = { (u8)i, DRAIN, actor[i].delayed[0].at };

    if (choice % 2) {
        drain_one(&actor[i]);
        return s;
    }
    s.access = (u8)next_access[i].access;
    s.at = next_access[i].at;
    go_on(i);
    return s;
}

static void show_step(const struct step *s)
{
    u32 r = s->at ? region_of(s->at) : INTERLEAVE_REGIONS;

    fprintf(stderr, "  %-10s %-11s", test->name[s->actor], access_name[s->access]);
    if (r != INTERLEAVE_REGIONS) {
        fprintf(stderr, " %s + %lu", test->region[r].name,
                (unsigned long)((const u8 *)s->at - (u8 *)test->region[r].at));
    }
    fprintf(stderr, "\n");
}

void interleave_show(const struct interleave *t)
{
    fprintf(stderr, "%s, after %lu states, at depth %u, in this schedule:\n", t->failed,
            (unsigned long)t->states, failed_depth);
    for (u32 i = 2; i <= failed_depth; i++) {
        show_step(&frame[i].step);
    }
    if (getenv("INTERLEAVE_ONCE")) {
        exit(1);
    }
}

/* The state as it is now becomes frame `depth`. False: it was seen. */
static bool push(u32 depth, struct step step)
{
    static u8 buffer[STATE_MAX];
    struct frame *f = &frame[depth];

    f->size = state_copy(buffer, true);
    f->step = step;
    f->choice = 0;
    if (!seen_add(state_hash(buffer, f->size))) {
        return false;
    }
    f->state = malloc(f->size);
    memcpy(f->state, buffer, f->size);
    if (depth > test->depth) {
        test->depth = depth;
    }
    return true;
}

static u32 next_choice(u32 from)
{
    while (from < 2 * nr_actors && !enabled(from)) {
        from++;
    }
    return from;
}

/* Nobody can go on. */
static void at_end(void)
{
    test->ends++;
    test->end();
}

static void start(void)
{
    memset(actor, 0, sizeof(actor));
    memset(actor_ended, 0, sizeof(actor_ended));
    memset(next_access, 0, sizeof(next_access));
    for (nr_actors = 0; nr_actors < INTERLEAVE_ACTORS && test->actor[nr_actors]; nr_actors++) {
        actor[nr_actors].sp = first_sp(nr_actors);
    }
    for (u32 i = 0; i < nr_actors; i++) { /* up to its first access */
        go_on(i);
    }
}

/* One more step from frame `depth`. Returns the depth to go on at. */
static u32 advance(u32 depth)
{
    struct frame *f = &frame[depth];
    bool first = f->choice == 0;
    u32 choice;
    struct step step;

    (void)state_copy(f->state, false);
    choice = next_choice(f->choice);
    if (choice == 2 * nr_actors) {
        if (first) {
            at_end();
        }
        free(f->state);
        return test->failed ? depth : depth - 1;
    }
    f->choice = choice + 1;
    step = take(choice);
    test->steps++;
    if (test->failed || depth + 1 == MAX_DEPTH) {
        frame[depth + 1].step = step;
        test->failed = test->failed ? test->failed : "too deep";
        return depth + 1;
    }
    return push(depth + 1, step) ? depth + 1 : depth;
}

bool interleave(struct interleave *t)
{
    u32 depth = 1;

    test = t;
    t->states = t->steps = t->ends = 0;
    t->depth = 0;
    t->failed = NULL;
    free(seen);
    seen = NULL;
    seen_size = 0;
    start();
    (void)push(1, (struct step){ 0 });
    while (depth > 0 && !t->failed) {
        depth = advance(depth);
    }
    failed_depth = depth;
    return !t->failed;
}
