/* SPDX-License-Identifier: MIT */
/*
 * The boot loader's information, Multiboot 1 or 2, turned into struct boot_info. Owns the reading
 * of the loader's structures and the cleaning of its memory map; does not own what becomes of
 * memory and modules. The loader is not trusted: every length is checked before it is used, and a
 * pointer that phys_to_virt can't map (NULL) is an error, not a crash. Pure, no locks.
 */
#include <tarn/boot_info.h>
#include <tarn/lib.h>
#include <x86/multiboot.h>

#define STRING_MAX_BYTES 16384u /* of a string that stands anywhere in memory */
#define MB1_MMAP_MAX_BYTES 0x10000u
#define MB2_INFO_MAX_BYTES 0x400000u
#define PADDR_LIMIT (1UL << 52) /* what a page table entry can hold */
#define LOW_MEMORY_KIB 640u
#define HIGH_MEMORY 0x100000UL

struct parser {
    const void *(*phys_to_virt)(paddr_t);
    struct boot_info *out;
    u32 mem_lower, mem_upper; /* KiB; for when there is no map */
};

static void note_info(struct boot_info *bi, paddr_t start, u64 len)
{
    bi->info_end = MAX(bi->info_end, start + len);
}

/* Memory map */

static u32 region_type(u32 type)
{
    return type >= BOOT_RAM && type <= BOOT_BAD ? type : BOOT_RESERVED;
}

/* Who keeps what two regions both claim: the higher rank. */
static u32 region_rank(u32 type)
{
    static const u8 rank[] = {
        [BOOT_RAM] = 0,      [BOOT_ACPI_RECLAIM] = 1, [BOOT_ACPI_NVS] = 2,
        [BOOT_RESERVED] = 3, [BOOT_BAD] = 4,
    };

    return rank[type];
}

static bool region_insert_at(struct boot_info *bi, u32 at, struct boot_region r)
{
    if (bi->nr_regions == BOOT_MAX_REGIONS) {
        return false;
    }
    memmove(&bi->region[at + 1], &bi->region[at], (bi->nr_regions - at) * sizeof(r));
    bi->region[at] = r;
    bi->nr_regions++;
    return true;
}

static void region_remove_at(struct boot_info *bi, u32 at)
{
    bi->nr_regions--;
    memmove(&bi->region[at], &bi->region[at + 1], (bi->nr_regions - at) * sizeof(bi->region[0]));
}

/* Take [r.start, r.end) away from the lower ranked region at `at`, which it overlaps. */
static bool region_cut(struct boot_info *bi, u32 at, const struct boot_region *r)
{
    struct boot_region tail = bi->region[at];

    tail.start = r->end;
    if (bi->region[at].start < r->start) {
        bi->region[at].end = r->start;
        return tail.start >= tail.end || region_insert_at(bi, at + 1, tail);
    }
    if (tail.start < tail.end) {
        bi->region[at] = tail;
    } else {
        region_remove_at(bi, at);
    }
    return true;
}

/* Make room for `r`: whatever it outranks is cut. */
static bool region_clear(struct boot_info *bi, const struct boot_region *r)
{
    for (u32 i = 0; i < bi->nr_regions;) {
        struct boot_region e = bi->region[i];

        if (e.start < r->end && e.end > r->start && region_rank(e.type) < region_rank(r->type)) {
            if (!region_cut(bi, i, r)) {
                return false;
            }
            if (e.start >= r->start) {
                continue; /* what stands at i now is the rest of e, or e's successor */
            }
        }
        i++;
    }
    return true;
}

/* Insert the parts of `r` that nobody holds; the list is sorted. */
static bool region_fill(struct boot_info *bi, struct boot_region r)
{
    u32 i = 0;

    while (i < bi->nr_regions && r.start < r.end) {
        struct boot_region e = bi->region[i];

        if (e.start > r.start) {
            struct boot_region gap = { r.start, MIN(r.end, e.start), r.type };

            if (!region_insert_at(bi, i, gap)) {
                return false;
            }
            i++;
        }
        r.start = MAX(r.start, e.end);
        i++;
    }
    return r.start >= r.end || region_insert_at(bi, bi->nr_regions, r);
}

static void regions_join(struct boot_info *bi)
{
    for (u32 i = 1; i < bi->nr_regions;) {
        struct boot_region *prev = &bi->region[i - 1];

        if (prev->end == bi->region[i].start && prev->type == bi->region[i].type) {
            prev->end = bi->region[i].end;
            region_remove_at(bi, i);
        } else {
            i++;
        }
    }
}

static const char *region_add(struct boot_info *bi, u64 start, u64 len, u32 type)
{
    struct boot_region r = { start, 0, region_type(type) };

    if (start >= PADDR_LIMIT || len == 0) {
        return NULL;
    }
    r.end = len > PADDR_LIMIT - start ? PADDR_LIMIT : start + len;
    if (!region_clear(bi, &r) || !region_fill(bi, r)) {
        return "the boot loader's memory map has too many regions";
    }
    regions_join(bi);
    return NULL;
}

static void regions_trim_ram(struct boot_info *bi)
{
    for (u32 i = 0; i < bi->nr_regions;) {
        struct boot_region *r = &bi->region[i];

        if (r->type == BOOT_RAM) {
            r->start = ALIGN_UP(r->start, PAGE_SIZE);
            r->end = ALIGN_DOWN(r->end, PAGE_SIZE);
            if (r->start >= r->end) {
                region_remove_at(bi, i);
                continue;
            }
        }
        i++;
    }
}

static bool regions_have_ram(const struct boot_info *bi)
{
    for (u32 i = 0; i < bi->nr_regions; i++) {
        if (bi->region[i].type == BOOT_RAM) {
            return true;
        }
    }
    return false;
}

/* Last step of both protocols. */
static const char *regions_finish(const struct parser *p)
{
    struct boot_info *bi = p->out;
    const char *err = NULL;

    if (bi->nr_regions == 0) {
        err = region_add(bi, 0, (u64)MIN(p->mem_lower, LOW_MEMORY_KIB) << 10, BOOT_RAM);
        if (!err) {
            err = region_add(bi, HIGH_MEMORY, (u64)p->mem_upper << 10, BOOT_RAM);
        }
    }
    regions_trim_ram(bi);
    if (!err && !regions_have_ram(bi)) {
        err = "the boot loader names no memory";
    }
    return err;
}

static const char *module_add(struct boot_info *bi, u32 start, u32 end, const char *string)
{
    if (bi->nr_modules == BOOT_MAX_MODULES) {
        return "the boot loader gives too many modules";
    }
    /*
     * One that ends before it starts is kept as an empty one: whoever loads it refuses it by name.
     */
    bi->module[bi->nr_modules++] = (struct boot_module){ start, MAX(start, end), string };
    return NULL;
}

/* Multiboot 1 */

static const char *mb1_string(const struct parser *p, u32 addr, const char **out)
{
    const char *s;
    size_t len;

    *out = "";
    if (!addr) {
        return NULL;
    }
    s = p->phys_to_virt(addr);
    if (!s) {
        return "a string of the Multiboot 1 information is at no valid address";
    }
    len = strnlen(s, STRING_MAX_BYTES);
    if (len == STRING_MAX_BYTES) {
        return "a string of the Multiboot 1 information has no end";
    }
    *out = s;
    note_info(p->out, addr, len + 1);
    return NULL;
}

static const char *mb1_mmap(const struct parser *p, u32 addr, u32 length)
{
    const u8 *map = p->phys_to_virt(addr);
    struct mb1_mmap_entry e;

    if (!map || length > MB1_MMAP_MAX_BYTES) {
        return "the Multiboot 1 memory map has no valid address or length";
    }
    note_info(p->out, addr, length);
    for (u32 at = 0; length - at >= sizeof(e);) {
        const char *err;

        memcpy(&e, map + at, sizeof(e));
        if (e.size < sizeof(e) - sizeof(e.size) || e.size > length - at - sizeof(e.size)) {
            return "an entry of the Multiboot 1 memory map has a wrong size";
        }
        err = region_add(p->out, e.addr, e.len, e.type);
        if (err) {
            return err;
        }
        at += e.size + (u32)sizeof(e.size);
    }
    return NULL;
}

static const char *mb1_modules(const struct parser *p, u32 addr, u32 count)
{
    const u8 *list = p->phys_to_virt(addr);
    struct mb1_module m;

    if (!list && count) {
        return "the Multiboot 1 module list is at no valid address";
    }
    for (u32 i = 0; i < count; i++) {
        const char *string;
        const char *err;

        if (i == BOOT_MAX_MODULES) {
            return "the boot loader gives too many modules";
        }
        memcpy(&m, list + i * sizeof(m), sizeof(m));
        note_info(p->out, addr, (i + 1) * sizeof(m));
        err = mb1_string(p, m.string, &string);
        if (!err) {
            err = module_add(p->out, m.start, m.end, string);
        }
        if (err) {
            return err;
        }
    }
    return NULL;
}

static const char *mb1_parse(struct parser *p, const void *at)
{
    struct mb1_info info;
    const char *err = NULL;

    memcpy(&info, at, sizeof(info));
    if (info.flags & MB1_HAS_MEMORY) {
        p->mem_lower = info.mem_lower;
        p->mem_upper = info.mem_upper;
    }
    if (info.flags & MB1_HAS_CMDLINE) {
        err = mb1_string(p, info.cmdline, &p->out->cmdline);
    }
    if (!err && (info.flags & MB1_HAS_LOADER)) {
        err = mb1_string(p, info.loader_name, &p->out->loader);
    }
    if (!err && (info.flags & MB1_HAS_MODULES)) {
        err = mb1_modules(p, info.mods_addr, info.mods_count);
    }
    if (!err && (info.flags & MB1_HAS_MMAP)) {
        err = mb1_mmap(p, info.mmap_addr, info.mmap_length);
    }
    return err;
}

/* Multiboot 2. A tag's size was checked against the whole before these are called. */

static const char *mb2_string(const u8 *tag, u32 size, size_t at, const char **out)
{
    if (size <= at || strnlen((const char *)tag + at, size - at) == size - at) {
        return "a string of the Multiboot 2 information has no end";
    }
    *out = (const char *)tag + at;
    return NULL;
}

static const char *mb2_module(const struct parser *p, const u8 *tag, u32 size)
{
    struct mb2_module m;
    const char *string;
    const char *err = mb2_string(tag, size, sizeof(m), &string);

    if (err) {
        return err;
    }
    memcpy(&m, tag, sizeof(m));
    return module_add(p->out, m.start, m.end, string);
}

static const char *mb2_mmap(const struct parser *p, const u8 *tag, u32 size)
{
    struct mb2_mmap map;
    struct mb2_mmap_entry e;

    if (size < sizeof(map)) {
        return "the Multiboot 2 memory map is cut short";
    }
    memcpy(&map, tag, sizeof(map));
    if (map.entry_size < sizeof(e)) {
        return "the Multiboot 2 memory map has entries of a wrong size";
    }
    for (u32 at = sizeof(map); size - at >= map.entry_size; at += map.entry_size) {
        const char *err;

        memcpy(&e, tag + at, sizeof(e));
        err = region_add(p->out, e.addr, e.len, e.type);
        if (err) {
            return err;
        }
    }
    return NULL;
}

static const char *mb2_memory(struct parser *p, const u8 *tag, u32 size)
{
    struct mb2_memory m;

    if (size < sizeof(m)) {
        return "the Multiboot 2 memory size tag is cut short";
    }
    memcpy(&m, tag, sizeof(m));
    p->mem_lower = m.mem_lower;
    p->mem_upper = m.mem_upper;
    return NULL;
}

static const char *mb2_tag(struct parser *p, const u8 *tag, struct mb2_tag head, paddr_t pa)
{
    switch (head.type) {
    case MB2_TAG_CMDLINE:
        return mb2_string(tag, head.size, sizeof(head), &p->out->cmdline);
    case MB2_TAG_LOADER:
        return mb2_string(tag, head.size, sizeof(head), &p->out->loader);
    case MB2_TAG_MODULE:
        return mb2_module(p, tag, head.size);
    case MB2_TAG_MEMORY:
        return mb2_memory(p, tag, head.size);
    case MB2_TAG_MMAP:
        return mb2_mmap(p, tag, head.size);
    case MB2_TAG_RSDP_V1:
        if (!p->out->rsdp) {
            p->out->rsdp = pa + sizeof(head);
        }
        return NULL;
    case MB2_TAG_RSDP_V2: /* has the XSDT: better than version 1 */
        p->out->rsdp = pa + sizeof(head);
        return NULL;
    default:
        return NULL;
    }
}

static const char *mb2_parse(struct parser *p, const u8 *base, paddr_t addr)
{
    struct mb2_info info;
    struct mb2_tag head;

    memcpy(&info, base, sizeof(info));
    if (info.total_size < sizeof(info) || info.total_size > MB2_INFO_MAX_BYTES) {
        return "the Multiboot 2 information has a wrong size";
    }
    note_info(p->out, addr, info.total_size);
    for (u32 at = sizeof(info); at <= info.total_size - sizeof(head);) {
        const char *err;

        memcpy(&head, base + at, sizeof(head));
        if (head.type == MB2_TAG_END) {
            return NULL;
        }
        if (head.size < sizeof(head) || head.size > info.total_size - at) {
            return "a tag of the Multiboot 2 information has a wrong size";
        }
        err = mb2_tag(p, base + at, head, addr + at);
        if (err) {
            return err;
        }
        at += ALIGN_UP(head.size, 8u);
    }
    return "the Multiboot 2 information has no end tag";
}

const char *boot_info_parse(u32 magic, paddr_t addr, const void *(*phys_to_virt)(paddr_t),
                            struct boot_info *out)
{
    struct parser p = { phys_to_virt, out, 0, 0 };
    const void *base = NULL;
    const char *err;

    memset(out, 0, sizeof(*out));
    out->cmdline = "";
    out->loader = "";
    if (magic != MB1_BOOT_MAGIC && magic != MB2_BOOT_MAGIC) {
        return "not started by a Multiboot 1 or 2 loader (wrong magic in eax)";
    }
    if (addr) {
        base = phys_to_virt(addr);
    }
    if (!base) {
        return "the Multiboot information is at no valid address";
    }
    if (magic == MB1_BOOT_MAGIC) {
        note_info(out, addr, MB1_INFO_SIZE);
        err = mb1_parse(&p, base);
    } else {
        err = mb2_parse(&p, base, addr);
    }
    out->bare_strings = strncmp(out->loader, "GRUB 2", 6) == 0;
    return err ? err : regions_finish(&p);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

const char *boot_string_args(const char *string)
{
    while (is_blank(*string)) {
        string++;
    }
    while (*string && !is_blank(*string)) {
        string++;
    }
    while (is_blank(*string)) {
        string++;
    }
    return string;
}
