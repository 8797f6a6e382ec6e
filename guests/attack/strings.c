/* SPDX-License-Identifier: MIT */
/*
 * strings.c - INS and OUTS, which the hypervisor carries out for us with its own rights: at
 * addresses by chance in our memory, in page tables, in its own part and where there is none. A
 * domain's ports are all ones, so what is written shows. Nothing may change that we can't write.
 */
#include "attack.h"

#include <xen/physdev.h>

static struct {
    uint64_t index, count;
    uint16_t port;
    bool down;
} io;

#define STRING_IO(name, text)                                      \
    static void name(void)                                         \
    {                                                              \
        uint64_t to = io.index, from = io.index, count = io.count; \
                                                                   \
        asm volatile("test %b3, %b3; jz 1f; std; 1: " text "; cld" \
                     : "+D"(to), "+S"(from), "+c"(count)           \
                     : "a"(io.down), "d"(io.port)                  \
                     : "memory", "cc");                            \
        io.count = count;                                          \
    }

STRING_IO(one_insb, "insb")
STRING_IO(one_outsl, "outsl")
STRING_IO(rep_insb, "rep insb")
STRING_IO(rep_insw, "rep insw")
STRING_IO(rep_insl, "rep insl")
STRING_IO(rep_insb_32, "addr32 rep insb")
STRING_IO(rep_outsb, "rep outsb")
STRING_IO(rep_outsw_fs, "fs rep outsw")
STRING_IO(rep_outsl, "rep outsl")

static void (*const instructions[])(void) = {
    one_insb,    one_outsl, rep_insb,     rep_insw,  rep_insl,
    rep_insb_32, rep_outsb, rep_outsw_fs, rep_outsl,
};

/* pages[1] and pages[3] are ours to write, pages[0] and pages[4] to read, pages[2] not at all. */
static uint64_t some_place(struct dice *d)
{
    static const uint64_t strange[] = {
        0,
        0x7ffffffffffcUL,
        0x7fffffffffffUL,
        0x800000000000UL,
        0xffff7fffffffffffUL,
        0x00001000UL,
        0xffff800000000000UL,
        0xffff82d000100000UL,
        0xffff880000000000UL - 2,
        ~0UL,
    };

    switch (below(d, 4)) {
    case 0:
        return strange[below(d, sizeof(strange) / sizeof(strange[0]))] + below(d, 3);
    case 1:
        return ARG(page_table(1 + (unsigned int)below(d, 4), pages)) + below(d, PAGE_SIZE);
    default:
        return ARG(pages[below(d, 4)]) +
               (below(d, 2) ? below(d, PAGE_SIZE) : PAGE_SIZE - below(d, 8));
    }
}

static uint64_t sum_of(const volatile uint64_t *page)
{
    uint64_t sum = 0;

    for (unsigned int i = 0; i < 512; i++) {
        sum = sum * 31 + (page[i] & ~0x60UL); /* accessed and dirty come by themselves */
    }
    return sum;
}

static uint64_t sum_of_all(void)
{
    uint64_t sum = sum_of(pages[0]) + sum_of(pages[4]);

    for (unsigned int level = 1; level <= 4; level++) {
        sum = sum * 31 + sum_of(page_table(level, pages));
    }
    return sum;
}

const char *attack_strings(void)
{
    struct physdev_set_iopl iopl = { .iopl = 1 };
    struct dice dice = { .state = arg_number("seed", 1) * 0x9e3779b97f4a7c15 };
    unsigned int faults = 0, done = 0, changed = 0;
    uint64_t before;

    if (hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, ARG(&iopl))) {
        return "no ports to be had";
    }
    map_page(0, PTE_RO);
    map_page(4, PTE_RO);
    map_at(pages[2], 0);
    before = sum_of_all();
    for (unsigned int i = 0; i < 3000; i++) {
        io.index = some_place(&dice);
        io.count = below(&dice, below(&dice, 8) ? 300 : 6000);
        io.port = (uint16_t)(0x5000 + below(&dice, 256)); /* nobody's, if we have any */
        io.down = below(&dice, 2);
        if (caught(instructions[below(&dice, sizeof(instructions) / sizeof(instructions[0]))]) ==
            NOTHING_CAUGHT) {
            done++;
        } else {
            faults++;
        }
        changed += sum_of_all() != before;
    }
    iopl.iopl = 0;
    hypercall2(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, ARG(&iopl));
    printf("attack: string i/o: %u done, %u faults\n", done, faults);
    return changed || !done || !faults ? "memory changed that is not ours to write" : NULL;
}
