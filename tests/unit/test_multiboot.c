/* sources: arch/x86/boot/multiboot.c */
/* SPDX-License-Identifier: MIT */
/*
 * Multiboot 1 and 2 information. Each piece of the loader's memory is a heap block of exactly its
 * size, so that ASan sees whatever is read beside it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/boot_info.h>
#include <x86/multiboot.h>

#define INFO 0x9500u

/* The loader's memory */

static struct piece {
    paddr_t pa;
    size_t size;
    u8 *at;
} pieces[64];
static u32 nr_pieces;

static const void *phys_to_virt(paddr_t pa)
{
    for (u32 i = 0; i < nr_pieces; i++) {
        if (pieces[i].pa == pa) {
            return pieces[i].at;
        }
    }
    return NULL;
}

static void *piece(paddr_t pa, const void *data, size_t size)
{
    struct piece *p = &pieces[nr_pieces++];

    assert_true(nr_pieces <= ARRAY_SIZE(pieces));
    *p = (struct piece){ pa, size, malloc(size) };
    if (size) {
        memcpy(p->at, data, size);
    }
    return p->at;
}

static int forget(void **state)
{
    (void)state;
    while (nr_pieces) {
        free(pieces[--nr_pieces].at);
    }
    return 0;
}

static struct boot_info bi;

static const char *parse(u32 magic)
{
    memset(&bi, 0xa5, sizeof(bi));
    return boot_info_parse(magic, INFO, phys_to_virt, &bi);
}

static void assert_region(u32 i, paddr_t start, paddr_t end, u32 type)
{
    assert_true(i < bi.nr_regions);
    assert_int_equal(bi.region[i].start, start);
    assert_int_equal(bi.region[i].end, end);
    assert_int_equal(bi.region[i].type, type);
}

static void assert_sane_regions(void)
{
    assert_true(bi.nr_regions <= BOOT_MAX_REGIONS);
    for (u32 i = 0; i < bi.nr_regions; i++) {
        assert_true(bi.region[i].start < bi.region[i].end);
        assert_true(i == 0 || bi.region[i - 1].end <= bi.region[i].start);
        assert_true(bi.region[i].type >= BOOT_RAM && bi.region[i].type <= BOOT_BAD);
        if (bi.region[i].type == BOOT_RAM) {
            assert_int_equal((bi.region[i].start | bi.region[i].end) % PAGE_SIZE, 0);
        }
    }
}

/* Multiboot 1 */

static struct mb1_mmap_entry mb1_entry(u64 addr, u64 len, u32 type)
{
    return (struct mb1_mmap_entry){ sizeof(struct mb1_mmap_entry) - 4, addr, len, type };
}

/* Information with just that memory map. */
static const char *parse_map(const struct mb1_mmap_entry *map, u32 n)
{
    struct mb1_info info = { .flags = MB1_HAS_MMAP, .mmap_addr = 0x9000 };

    forget(NULL);
    info.mmap_length = n * (u32)sizeof(*map);
    piece(INFO, &info, sizeof(info));
    piece(0x9000, map, info.mmap_length);
    return parse(MB1_BOOT_MAGIC);
}

static void mb1_all(void **state)
{
    const struct mb1_mmap_entry map[] = {
        mb1_entry(0, 0x9fc00, BOOT_RAM),
        mb1_entry(0x9fc00, 0x400, BOOT_RESERVED),
        mb1_entry(0xf0000, 0x10000, BOOT_RESERVED),
        mb1_entry(0x100000, 0x1fee0000, BOOT_RAM),
        mb1_entry(0x1ffe0000, 0x20000, BOOT_ACPI_RECLAIM),
        mb1_entry(0xfffc0000, 0x40000, BOOT_RESERVED),
    };
    const struct mb1_module modules[] = { { 0x200000, 0x240000, 0x9800, 0 },
                                          { 0x241000, 0x241000, 0, 0 } };
    struct mb1_info info = {
        .flags = MB1_HAS_MEMORY | MB1_HAS_CMDLINE | MB1_HAS_MODULES | MB1_HAS_MMAP | MB1_HAS_LOADER,
        .mem_lower = 639,
        .mem_upper = 1,
        .cmdline = 0x9700,
        .mods_count = 2,
        .mods_addr = 0x9600,
        .mmap_addr = 0x9000,
        .mmap_length = sizeof(map),
        .loader_name = 0x9900,
    };

    (void)state;
    piece(INFO, &info, sizeof(info));
    piece(0x9000, map, sizeof(map));
    piece(0x9600, modules, sizeof(modules));
    piece(0x9700, "tarn.elf32 maxcpus=2", 21);
    piece(0x9800, "hello.elf a b", 14);
    piece(0x9900, "qemu", 5);
    assert_null(parse(MB1_BOOT_MAGIC));
    assert_string_equal(bi.cmdline, "tarn.elf32 maxcpus=2");
    assert_string_equal(bi.loader, "qemu");
    assert_false(bi.bare_strings);
    assert_int_equal(bi.nr_modules, 2);
    assert_int_equal(bi.module[0].start, 0x200000);
    assert_int_equal(bi.module[0].end, 0x240000);
    assert_string_equal(bi.module[0].string, "hello.elf a b");
    assert_string_equal(bi.module[1].string, "");
    assert_int_equal(bi.nr_regions, 6);
    assert_region(0, 0, 0x9f000, BOOT_RAM);
    assert_region(1, 0x9fc00, 0xa0000, BOOT_RESERVED);
    assert_region(3, 0x100000, 0x1ffe0000, BOOT_RAM);
    assert_int_equal(bi.rsdp, 0);
    assert_int_equal(bi.info_end, 0x9905);
}

static void mb1_sizes_only(void **state)
{
    struct mb1_info info = { .flags = MB1_HAS_MEMORY, .mem_lower = 639, .mem_upper = 0x3fc00 };

    (void)state;
    piece(INFO, &info, sizeof(info));
    assert_null(parse(MB1_BOOT_MAGIC));
    assert_int_equal(bi.nr_regions, 2);
    assert_region(0, 0, 0x9f000, BOOT_RAM);
    assert_region(1, 0x100000, 0x10000000, BOOT_RAM);
    assert_string_equal(bi.cmdline, "");
    assert_string_equal(bi.loader, "");
    assert_int_equal(bi.info_end, INFO + 116);
}

/* The flag says what is valid: fields without it may hold anything. */
static void mb1_no_flags(void **state)
{
    struct mb1_info info;

    (void)state;
    memset(&info, 0xff, sizeof(info));
    info.flags = 0;
    piece(INFO, &info, sizeof(info));
    assert_string_equal(parse(MB1_BOOT_MAGIC), "the boot loader names no memory");
    assert_string_equal(bi.cmdline, "");
}

static void mb1_bad_pointers(void **state)
{
    struct mb1_info info = { .mem_upper = 1024,
                             .cmdline = 0x66,
                             .mods_count = 1,
                             .mods_addr = 0x66,
                             .mmap_length = 24,
                             .mmap_addr = 0x66,
                             .loader_name = 0x66 };
    static const struct {
        u32 flag;
        const char *reason;
    } rows[] = {
        { MB1_HAS_CMDLINE, "a string of the Multiboot 1 information is at no valid address" },
        { MB1_HAS_LOADER, "a string of the Multiboot 1 information is at no valid address" },
        { MB1_HAS_MODULES, "the Multiboot 1 module list is at no valid address" },
        { MB1_HAS_MMAP, "the Multiboot 1 memory map has no valid address or length" },
    };
    struct mb1_info *p = piece(INFO, &info, sizeof(info));

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        p->flags = MB1_HAS_MEMORY | rows[i].flag;
        assert_string_equal(parse(MB1_BOOT_MAGIC), rows[i].reason);
    }
}

static void mb1_endless_string(void **state)
{
    struct mb1_info info = { .flags = MB1_HAS_CMDLINE, .cmdline = 0x9700 };
    static char text[16384];

    (void)state;
    memset(text, 'a', sizeof(text));
    piece(INFO, &info, sizeof(info));
    piece(0x9700, text, sizeof(text));
    assert_string_equal(parse(MB1_BOOT_MAGIC),
                        "a string of the Multiboot 1 information has no end");
}

static void mb1_many_modules(void **state)
{
    static struct mb1_module modules[BOOT_MAX_MODULES];
    struct mb1_info info = { .flags = MB1_HAS_MEMORY | MB1_HAS_MODULES,
                             .mem_upper = 1024,
                             .mods_count = BOOT_MAX_MODULES,
                             .mods_addr = 0x9600 };
    struct mb1_info *p = piece(INFO, &info, sizeof(info));

    (void)state;
    piece(0x9600, modules, sizeof(modules));
    assert_null(parse(MB1_BOOT_MAGIC));
    assert_int_equal(bi.nr_modules, BOOT_MAX_MODULES);
    assert_int_equal(bi.info_end, 0x9600 + sizeof(modules));
    p->mods_count++;
    assert_string_equal(parse(MB1_BOOT_MAGIC), "the boot loader gives too many modules");
    p->mods_count = ~0u;
    assert_string_equal(parse(MB1_BOOT_MAGIC), "the boot loader gives too many modules");
}

static void mb1_module_that_ends_before_it_starts(void **state)
{
    struct mb1_module module = { 0x300000, 0x200000, 0, 0 };
    struct mb1_info info = { .flags = MB1_HAS_MEMORY | MB1_HAS_MODULES,
                             .mem_upper = 1024,
                             .mods_count = 1,
                             .mods_addr = 0x9600 };

    (void)state;
    piece(INFO, &info, sizeof(info));
    piece(0x9600, &module, sizeof(module));
    assert_null(parse(MB1_BOOT_MAGIC));
    assert_int_equal(bi.nr_modules, 1);
    assert_int_equal(bi.module[0].start, bi.module[0].end);
}

static void mb1_map_cut_anywhere(void **state)
{
    const struct mb1_mmap_entry map[] = {
        mb1_entry(0, 0x9f000, BOOT_RAM),
        mb1_entry(0x100000, 0x100000, BOOT_RAM),
        mb1_entry(0x200000, 0x1000, BOOT_BAD),
    };

    (void)state;
    for (u32 length = 0; length <= sizeof(map); length++) {
        struct mb1_info info = { .flags = MB1_HAS_MMAP,
                                 .mmap_addr = 0x9000,
                                 .mmap_length = length };
        const char *err;

        forget(NULL);
        piece(INFO, &info, sizeof(info));
        piece(0x9000, map, length);
        err = parse(MB1_BOOT_MAGIC);
        assert_int_equal(err == NULL, length >= sizeof(map[0]));
        assert_int_equal(bi.nr_regions, length / sizeof(map[0]));
    }
}

static void mb1_map_entry_sizes(void **state)
{
    struct mb1_mmap_entry map[2] = { mb1_entry(0, 0x9f000, BOOT_RAM),
                                     mb1_entry(0x100000, 0x1000, BOOT_RAM) };
    static const u32 bad[] = { 0, 1, 19, 45, 0x10000, 0x7fffffff, 0xfffffffc, 0xffffffff };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        map[0].size = bad[i];
        assert_string_equal(parse_map(map, 2),
                            "an entry of the Multiboot 1 memory map has a wrong size");
    }
    map[0].size = 44; /* larger entries than we know: the rest is skipped */
    assert_null(parse_map(map, 2));
    assert_int_equal(bi.nr_regions, 1);
}

static void mb1_map_huge_length(void **state)
{
    struct mb1_info info = { .flags = MB1_HAS_MMAP, .mmap_addr = 0x9000, .mmap_length = ~0u };

    (void)state;
    piece(INFO, &info, sizeof(info));
    piece(0x9000, "", 1);
    assert_string_equal(parse(MB1_BOOT_MAGIC),
                        "the Multiboot 1 memory map has no valid address or length");
}

/* The memory map */

static void map_is_sorted_and_joined(void **state)
{
    const struct mb1_mmap_entry map[] = {
        mb1_entry(0x300000, 0x100000, BOOT_RAM),
        mb1_entry(0x100000, 0x100800, BOOT_RAM),
        mb1_entry(0x200800, 0xff800, BOOT_RAM),
        mb1_entry(0, 0x1000, BOOT_RAM),
    };

    (void)state;
    assert_null(parse_map(map, 4));
    assert_int_equal(bi.nr_regions, 2);
    assert_region(0, 0, 0x1000, BOOT_RAM);
    assert_region(1, 0x100000, 0x400000, BOOT_RAM);
}

static void ram_yields(void **state)
{
    struct mb1_mmap_entry map[] = {
        mb1_entry(0x100000, 0x900000, BOOT_RAM),        mb1_entry(0x200000, 0x1000, BOOT_RESERVED),
        mb1_entry(0x300800, 0x800, BOOT_ACPI_NVS),      mb1_entry(0x900000, 0x200000, BOOT_BAD),
        mb1_entry(0x0ff000, 0x2000, BOOT_ACPI_RECLAIM),
    };

    (void)state;
    for (u32 turn = 0; turn < ARRAY_SIZE(map); turn++) { /* whatever the order */
        struct mb1_mmap_entry first = map[0];

        assert_null(parse_map(map, ARRAY_SIZE(map)));
        assert_sane_regions();
        assert_int_equal(bi.nr_regions, 7);
        assert_region(0, 0xff000, 0x101000, BOOT_ACPI_RECLAIM);
        assert_region(1, 0x101000, 0x200000, BOOT_RAM);
        assert_region(2, 0x200000, 0x201000, BOOT_RESERVED);
        assert_region(3, 0x201000, 0x300000, BOOT_RAM);
        assert_region(4, 0x300800, 0x301000, BOOT_ACPI_NVS);
        assert_region(5, 0x301000, 0x900000, BOOT_RAM);
        assert_region(6, 0x900000, 0xb00000, BOOT_BAD);
        memmove(&map[0], &map[1], sizeof(map) - sizeof(map[0]));
        map[ARRAY_SIZE(map) - 1] = first;
    }
}

static void ram_swallowed_whole(void **state)
{
    const struct mb1_mmap_entry map[] = {
        mb1_entry(0x1000, 0x1000, BOOT_RAM),
        mb1_entry(0x5000, 0x1000, BOOT_RAM),
        mb1_entry(0, 0x10000, BOOT_RESERVED),
        mb1_entry(0x100000, 0x1000, BOOT_RAM),
    };

    (void)state;
    assert_null(parse_map(map, 4));
    assert_int_equal(bi.nr_regions, 2);
    assert_region(0, 0, 0x10000, BOOT_RESERVED);
}

static void unknown_types_are_reserved(void **state)
{
    const struct mb1_mmap_entry map[] = {
        mb1_entry(0x1000, 0x1000, 0),
        mb1_entry(0x2000, 0x1000, 6),
        mb1_entry(0x3000, 0x1000, ~0u),
        mb1_entry(0, 0x10000, BOOT_RAM),
    };

    (void)state;
    assert_null(parse_map(map, 4));
    assert_int_equal(bi.nr_regions, 3);
    assert_region(1, 0x1000, 0x4000, BOOT_RESERVED);
}

static void odd_sizes(void **state)
{
    const struct mb1_mmap_entry map[] = {
        mb1_entry(0x1001, 0xffe, BOOT_RAM),  /* no whole page */
        mb1_entry(0x3001, 0x1ffe, BOOT_RAM), /* none either */
        mb1_entry(0x7fff, 0x2001, BOOT_RAM),
        mb1_entry(0x20000, 0, BOOT_RAM),        /* empty */
        mb1_entry(0x100000000, ~0UL, BOOT_RAM), /* would wrap */
        mb1_entry(~0UL, 1, BOOT_RAM),           /* beyond what exists */
        mb1_entry(~0UL - 0xfff, ~0UL, BOOT_RESERVED),
    };

    (void)state;
    assert_null(parse_map(map, ARRAY_SIZE(map)));
    assert_int_equal(bi.nr_regions, 2);
    assert_region(0, 0x8000, 0xa000, BOOT_RAM);
    assert_region(1, 0x100000000, 1UL << 52, BOOT_RAM);
}

static void too_many_regions(void **state)
{
    static struct mb1_mmap_entry map[BOOT_MAX_REGIONS + 1];

    (void)state;
    for (u32 i = 0; i <= BOOT_MAX_REGIONS; i++) {
        map[i] = mb1_entry(i * 0x10000UL, 0x1000, BOOT_RAM);
    }
    assert_null(parse_map(map, BOOT_MAX_REGIONS));
    assert_int_equal(bi.nr_regions, BOOT_MAX_REGIONS);
    assert_string_equal(parse_map(map, BOOT_MAX_REGIONS + 1),
                        "the boot loader's memory map has too many regions");
    assert_sane_regions();
    for (u32 i = 0; i < BOOT_MAX_REGIONS; i++) { /* adjacent ones count as one */
        map[i] = mb1_entry(i * 0x1000UL, 0x1000, BOOT_RAM);
    }
    assert_null(parse_map(map, BOOT_MAX_REGIONS + 1));
    assert_int_equal(bi.nr_regions, 2);
    map[1] = mb1_entry(0, ~0UL, BOOT_RAM); /* a cut in the middle needs one more */
    for (u32 i = 2; i <= BOOT_MAX_REGIONS; i++) {
        map[i] = mb1_entry(i * 0x2000UL, 0x1000, BOOT_RESERVED);
    }
    assert_string_equal(parse_map(map, BOOT_MAX_REGIONS + 1),
                        "the boot loader's memory map has too many regions");
}

/* Against a map of bytes: what a page may be used for is the strongest claim on any of it. */
static void random_maps(void **state)
{
    enum { PAGES = 64, GRAIN = 0x400, GRAINS = PAGES * 4 };
    static const u8 rank[] = { 0, 1, 4, 2, 3, 5 };

    (void)state;
    srand(7);
    for (u32 round = 0; round < 5000; round++) {
        struct mb1_mmap_entry map[12];
        u8 want[GRAINS] = { 0 };
        u8 got[GRAINS] = { 0 };
        const char *err;

        for (u32 i = 0; i < ARRAY_SIZE(map); i++) {
            u32 start = (u32)rand() % GRAINS;
            u32 len = (u32)rand() % (GRAINS - start) / (1 + (u32)rand() % 8);
            u32 type = 1 + (u32)rand() % 5 * ((u32)rand() % 2);

            map[i] = mb1_entry(start * GRAIN, len * GRAIN, type);
            for (u32 g = start; g < start + len; g++) {
                want[g] = rank[type] > rank[want[g]] ? (u8)type : want[g];
            }
        }
        for (u32 page = 0; page < PAGES; page++) {
            u8 *w = &want[page * 4];

            if (w[0] != BOOT_RAM || w[1] != BOOT_RAM || w[2] != BOOT_RAM || w[3] != BOOT_RAM) {
                for (u32 i = 0; i < 4; i++) {
                    w[i] = w[i] == BOOT_RAM ? 0 : w[i];
                }
            }
        }
        err = parse_map(map, ARRAY_SIZE(map));
        assert_true(!err || strcmp(err, "the boot loader names no memory") == 0);
        assert_sane_regions();
        for (u32 i = 0; i < bi.nr_regions; i++) {
            for (u64 g = bi.region[i].start / GRAIN; g < bi.region[i].end / GRAIN; g++) {
                got[g] = (u8)bi.region[i].type;
            }
        }
        assert_memory_equal(want, got, sizeof(want));
    }
}

/* Multiboot 2 */

static u8 mb2[4096];
static u32 mb2_size;

static void mb2_begin(void)
{
    memset(mb2, 0, sizeof(mb2));
    mb2_size = sizeof(struct mb2_info);
}

static void mb2_tag(u32 type, const void *data, u32 size)
{
    struct mb2_tag tag = { type, size + (u32)sizeof(tag) };

    memcpy(mb2 + mb2_size, &tag, sizeof(tag));
    memcpy(mb2 + mb2_size + sizeof(tag), data, size);
    mb2_size = ALIGN_UP(mb2_size + tag.size, 8u);
}

static const char *mb2_parse_cut(u32 size)
{
    forget(NULL);
    memcpy(mb2, &size, sizeof(size));
    piece(INFO, mb2, size);
    return parse(MB2_BOOT_MAGIC);
}

static const char *mb2_parse_all(void)
{
    mb2_tag(MB2_TAG_END, "", 0);
    return mb2_parse_cut(mb2_size);
}

static void mb2_usual(void)
{
    const struct {
        u32 entry_size, version;
        struct mb2_mmap_entry e[3];
    } __packed map = { 24,
                       0,
                       { { 0, 0x9f000, BOOT_RAM, 0 },
                         { 0x100000, 0x7ee0000, BOOT_RAM, 0 },
                         { 0x7fe0000, 0x20000, BOOT_RESERVED, 0 } } };
    static const u32 memory[2] = { 639, 1024 };
    static const u8 rsdp1[20], rsdp2[36];
    u8 module[64];
    static const u32 extent[2] = { 0x200000, 0x212345 };

    memcpy(module, extent, 8);
    memcpy(module + 8, "hello.elf name=a", 17);
    mb2_begin();
    mb2_tag(MB2_TAG_CMDLINE, "placeholder noreboot", 21);
    mb2_tag(MB2_TAG_LOADER, "GRUB 2.06", 10);
    mb2_tag(MB2_TAG_MEMORY, memory, sizeof(memory));
    mb2_tag(MB2_TAG_MODULE, module, 25);
    mb2_tag(9, "sections", 8);
    mb2_tag(MB2_TAG_MMAP, &map, sizeof(map));
    mb2_tag(MB2_TAG_RSDP_V2, rsdp2, sizeof(rsdp2));
    mb2_tag(MB2_TAG_RSDP_V1, rsdp1, sizeof(rsdp1));
    mb2_tag(0x12345, "", 0);
}

static void mb2_all(void **state)
{
    (void)state;
    mb2_usual();
    assert_null(mb2_parse_all());
    assert_string_equal(bi.cmdline, "placeholder noreboot");
    assert_string_equal(bi.loader, "GRUB 2.06");
    assert_true(bi.bare_strings);
    assert_int_equal(bi.nr_modules, 1);
    assert_int_equal(bi.module[0].start, 0x200000);
    assert_int_equal(bi.module[0].end, 0x212345);
    assert_string_equal(bi.module[0].string, "hello.elf name=a");
    assert_int_equal(bi.nr_regions, 3);
    assert_region(1, 0x100000, 0x7fe0000, BOOT_RAM);
    assert_int_equal(bi.info_end, INFO + mb2_size);
    assert_true(bi.rsdp > INFO && bi.rsdp < bi.info_end);
    assert_int_equal(mb2[bi.rsdp - INFO - 8], MB2_TAG_RSDP_V2);
}

static void mb2_old_rsdp(void **state)
{
    static const u8 rsdp[20];

    (void)state;
    mb2_begin();
    mb2_tag(MB2_TAG_RSDP_V1, rsdp, sizeof(rsdp));
    mb2_tag(MB2_TAG_MEMORY, "\x80\2\0\0\0\4\0\0", 8);
    assert_null(mb2_parse_all());
    assert_int_equal(bi.rsdp, INFO + 16);
    assert_int_equal(bi.nr_regions, 2);
    assert_region(0, 0, 0xa0000, BOOT_RAM);
    assert_region(1, 0x100000, 0x200000, BOOT_RAM);
}

static void mb2_cut_anywhere(void **state)
{
    (void)state;
    mb2_usual();
    for (u32 size = sizeof(struct mb2_info); size < mb2_size; size++) {
        assert_non_null(mb2_parse_cut(size));
    }
    assert_string_equal(mb2_parse_cut(mb2_size), "the Multiboot 2 information has no end tag");
}

static void mb2_wrong_sizes(void **state)
{
    static const u32 totals[] = { 0, 7, 0x400001, ~0u };
    static const u32 tags[] = { 0, 7, 65, 0x7fffffff, 0xfffffff8, 0xffffffff };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(totals); i++) {
        forget(NULL);
        memcpy(mb2, &totals[i], 4);
        piece(INFO, mb2, 8);
        assert_string_equal(parse(MB2_BOOT_MAGIC), "the Multiboot 2 information has a wrong size");
    }
    for (u32 i = 0; i < ARRAY_SIZE(tags); i++) {
        mb2_begin();
        mb2_tag(MB2_TAG_CMDLINE, "0123456789012345678901234567890123456789012345", 47);
        memcpy(mb2 + sizeof(struct mb2_info) + 4, &tags[i], 4);
        assert_string_equal(mb2_parse_all(),
                            "a tag of the Multiboot 2 information has a wrong size");
    }
}

static void mb2_bad_contents(void **state)
{
    static const struct {
        u32 type, size;
        const char *data, *reason;
    } rows[] = {
        { MB2_TAG_CMDLINE, 0, "", "a string of the Multiboot 2 information has no end" },
        { MB2_TAG_CMDLINE, 3, "abc", "a string of the Multiboot 2 information has no end" },
        { MB2_TAG_LOADER, 1, "a", "a string of the Multiboot 2 information has no end" },
        { MB2_TAG_MODULE, 8, "01234567", "a string of the Multiboot 2 information has no end" },
        { MB2_TAG_MODULE, 9, "01234567a", "a string of the Multiboot 2 information has no end" },
        { MB2_TAG_MODULE, 4, "0123", "a string of the Multiboot 2 information has no end" },
        { MB2_TAG_MMAP, 4, "0123", "the Multiboot 2 memory map is cut short" },
        { MB2_TAG_MMAP, 8, "\0\0\0\0\0\0\0",
          "the Multiboot 2 memory map has entries of a wrong size" },
        { MB2_TAG_MMAP, 8, "\x17\0\0\0\0\0\0",
          "the Multiboot 2 memory map has entries of a wrong size" },
        { MB2_TAG_MMAP, 8, "\xff\xff\xff\xff\0\0\0", "the boot loader names no memory" },
        { MB2_TAG_MEMORY, 4, "0123", "the Multiboot 2 memory size tag is cut short" },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        mb2_begin();
        mb2_tag(rows[i].type, rows[i].data, rows[i].size);
        assert_string_equal(mb2_parse_all(), rows[i].reason);
    }
}

/* What doesn't make a whole entry at the map's end is left alone. */
static void mb2_map_with_a_fraction(void **state)
{
    const struct {
        u32 entry_size, version;
        struct mb2_mmap_entry e[2];
    } __packed map = { 24,
                       0,
                       { { 0, 0x9f000, BOOT_RAM, 0 }, { 0x100000, 0x100000, BOOT_RAM, 0 } } };

    (void)state;
    for (u32 size = 8; size <= sizeof(map); size++) {
        mb2_begin();
        mb2_tag(MB2_TAG_MMAP, &map, size);
        mb2_tag(MB2_TAG_MEMORY, "\0\0\0\0\4\0\0\0", 8); /* used when there is no region */
        assert_null(mb2_parse_all());
        assert_int_equal(bi.nr_regions, size < 32 ? 1 : (size - 8) / 24);
        assert_int_equal(bi.region[0].start, size < 32 ? 0x100000 : 0);
    }
}

static void mb2_empty(void **state)
{
    (void)state;
    mb2_begin();
    assert_string_equal(mb2_parse_all(), "the boot loader names no memory");
    assert_int_equal(bi.info_end, INFO + 16);
}

static void wrong_start(void **state)
{
    (void)state;
    assert_string_equal(parse(0), "not started by a Multiboot 1 or 2 loader (wrong magic in eax)");
    assert_string_equal(bi.cmdline, "");
    assert_string_equal(parse(MB1_BOOT_MAGIC), "the Multiboot information is at no valid address");
    assert_string_equal(boot_info_parse(MB2_BOOT_MAGIC, 0, phys_to_virt, &bi),
                        "the Multiboot information is at no valid address");
}

static void string_args(void **state)
{
    (void)state;
    assert_string_equal(boot_string_args("/boot/tarn.elf32 maxcpus=2 x"), "maxcpus=2 x");
    assert_string_equal(boot_string_args("  tarn \t a"), "a");
    assert_string_equal(boot_string_args("tarn"), "");
    assert_string_equal(boot_string_args("tarn  "), "");
    assert_string_equal(boot_string_args(""), "");
    assert_string_equal(boot_string_args("   "), "");
}

#define TEST(f) cmocka_unit_test_teardown(f, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(mb1_all),
        TEST(mb1_sizes_only),
        TEST(mb1_no_flags),
        TEST(mb1_bad_pointers),
        TEST(mb1_endless_string),
        TEST(mb1_many_modules),
        TEST(mb1_module_that_ends_before_it_starts),
        TEST(mb1_map_cut_anywhere),
        TEST(mb1_map_entry_sizes),
        TEST(mb1_map_huge_length),
        TEST(map_is_sorted_and_joined),
        TEST(ram_yields),
        TEST(ram_swallowed_whole),
        TEST(unknown_types_are_reserved),
        TEST(odd_sizes),
        TEST(too_many_regions),
        TEST(random_maps),
        TEST(mb2_all),
        TEST(mb2_old_rsdp),
        TEST(mb2_cut_anywhere),
        TEST(mb2_wrong_sizes),
        TEST(mb2_bad_contents),
        TEST(mb2_map_with_a_fraction),
        TEST(mb2_empty),
        TEST(wrong_start),
        TEST(string_args),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
