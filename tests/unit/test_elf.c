/* SPDX-License-Identifier: MIT */
/* sources: lib/elf.c lib/printf.c */
/*
 * The ELF parser: images that nasm and ld make, as the real guests are laid out; one small image
 * made here, each of whose fields is then made wrong; every cut, and every byte changed, of both
 * kinds.
 */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include <tarn/elf.h>
#include <tarn/lib.h>
#include <xen/elfnote.h>

#include "../fuzz/elf_check.h"

static char why[160];
static struct elf_image e;

/* A copy of exactly the image's size, so that a read outside is found. */
static const char *parse(const void *image, size_t size)
{
    u8 *copy = malloc(size ? size : 1);
    const char *error;

    assert_non_null(copy);
    memcpy(copy, image, size);
    memset(why, '#', sizeof(why));
    memset(&e, 0xa5, sizeof(e));
    error = elf_parse(copy, size, &e, why, sizeof(why));
    free(copy);
    assert_true(!error || strnlen(error, sizeof(why)) < sizeof(why));
    return error;
}

static void accepts(const void *image, size_t size)
{
    const char *error = parse(image, size);

    if (error) {
        fail_msg("refused: %s", error);
    }
    assert_true(elf_check(&e, size));
}

/* The reason must hold `text`. */
static void refuses(const void *image, size_t size, const char *text)
{
    const char *error = parse(image, size);

    assert_non_null(error);
    if (!strstr(error, text)) {
        fail_msg("refused with '%s', not with '%s'", error, text);
    }
}

/* ---- A small image made here ---- */

#define NOTES_ROOM 1024
#define PHDRS_ROOM (ELF_MAX_SEGMENTS + 4)
#define TEXT 0x2000UL
#define BASE 0xffffffff80000000UL

/* What a Linux guest looks like: loaded at +16 MiB, text and data, notes in a segment. */
struct image {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[PHDRS_ROOM];
    Elf64_Shdr sh[2];
    u8 notes[NOTES_ROOM];
    u8 text[TEXT];
};

#define NOTES_AT offsetof(struct image, notes)
#define TEXT_AT offsetof(struct image, text)

enum { PH_TEXT, PH_DATA, PH_NOTE };

static struct image m;

/* Appends a note and makes the note segment as long. */
static void note_of(const char *name, u32 namesz, u32 type, const void *desc, u32 len)
{
    Elf64_Nhdr n = { namesz, len, type };
    u8 *at = m.notes + m.ph[PH_NOTE].p_filesz;

    assert_true(m.ph[PH_NOTE].p_filesz + sizeof(n) + namesz + len + 8 <= NOTES_ROOM);
    memcpy(at, &n, sizeof(n));
    memcpy(at + sizeof(n), name, namesz);
    memcpy(at + sizeof(n) + ALIGN_UP(namesz, 4), desc, len);
    m.ph[PH_NOTE].p_filesz += sizeof(n) + ALIGN_UP(namesz, 4) + ALIGN_UP(len, 4);
}

static void note(u32 type, const void *desc, u32 len)
{
    note_of("Xen", 4, type, desc, len);
}

static void note64(u32 type, u64 value)
{
    note(type, &value, 8);
}

static void note32(u32 type, u32 value)
{
    note(type, &value, 4);
}

static void note_text(u32 type, const char *text)
{
    note(type, text, (u32)strlen(text) + 1);
}

static void usual_notes(void)
{
    note_text(XEN_ELFNOTE_GUEST_OS, "linux");
    note_text(XEN_ELFNOTE_GUEST_VERSION, "2.6");
    note_text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0");
    note64(XEN_ELFNOTE_VIRT_BASE, BASE);
    note64(XEN_ELFNOTE_INIT_P2M, 0x8000000000);
    note64(XEN_ELFNOTE_ENTRY, BASE + 0x1000123);
    note64(XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x1001000);
    note64(XEN_ELFNOTE_PADDR_OFFSET, 0);
    note64(XEN_ELFNOTE_MOD_START_PFN, 1);
    note_text(XEN_ELFNOTE_FEATURES, "!writable_page_tables|pae_pgdir_above_4gb");
    note32(XEN_ELFNOTE_SUPPORTED_FEATURES, 0x8801);
    note_text(XEN_ELFNOTE_LOADER, "generic");
}

static Elf64_Phdr segment(u64 paddr, u64 memsz, u64 filesz)
{
    return (Elf64_Phdr){ .p_type = PT_LOAD,
                         .p_flags = PF_R | PF_X,
                         .p_offset = TEXT_AT,
                         .p_vaddr = 0x666000,
                         .p_paddr = paddr,
                         .p_filesz = filesz,
                         .p_memsz = memsz,
                         .p_align = 4096 };
}

static void make_bare(void)
{
    memset(&m, 0, sizeof(m));
    m.eh = (Elf64_Ehdr){
        .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_EXEC,
        .e_machine = EM_X86_64,
        .e_version = EV_CURRENT,
        .e_entry = BASE + 0x1000007,
        .e_phoff = offsetof(struct image, ph),
        .e_ehsize = sizeof(Elf64_Ehdr),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = 3,
        .e_shentsize = sizeof(Elf64_Shdr),
    };
    m.ph[PH_TEXT] = segment(0x1000000, TEXT, TEXT);
    m.ph[PH_DATA] = segment(0x1400000, 0x5000, 0x100);
    m.ph[PH_DATA].p_flags = PF_R | PF_W;
    m.ph[PH_NOTE] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = NOTES_AT };
}

static void make(void)
{
    make_bare();
    usual_notes();
}

/* Notes in a section, none in a segment. */
static void move_notes_to_section(void)
{
    m.ph[PH_NOTE].p_type = PT_NULL;
    m.sh[1] = (Elf64_Shdr){ .sh_type = SHT_NOTE,
                            .sh_offset = NOTES_AT,
                            .sh_size = m.ph[PH_NOTE].p_filesz };
    m.eh.e_shoff = offsetof(struct image, sh);
    m.eh.e_shnum = 2;
}

static void m_accepts(void)
{
    accepts(&m, sizeof(m));
}

static void m_refuses(const char *text)
{
    refuses(&m, sizeof(m), text);
}

/* Change one field of the good image, and expect this reason. */
#define WRONG(field, value, text) \
    do {                          \
        make();                   \
        m.field = (value);        \
        m_refuses(text);          \
    } while (0)

static void test_good(void **state)
{
    (void)state;
    make();
    m_accepts();
    assert_int_equal(e.entry, BASE + 0x1000123);
    assert_int_equal(e.virt_base, BASE);
    assert_int_equal(e.paddr_offset, 0);
    assert_true(e.has_hypercall_page && e.has_init_p2m && e.mod_start_pfn && e.has_notes);
    assert_int_equal(e.hypercall_page, BASE + 0x1001000);
    assert_int_equal(e.init_p2m, 0x8000000000);
    assert_int_equal(e.supported_features, 0x8801);
    assert_string_equal(e.guest_os, "linux");
    assert_string_equal(e.guest_version, "2.6");
    assert_string_equal(e.xen_version, "xen-3.0");
    assert_string_equal(e.loader, "generic");
    assert_string_equal(e.features, "!writable_page_tables|pae_pgdir_above_4gb");
    assert_int_equal(e.kstart, BASE + 0x1000000);
    assert_int_equal(e.kend, BASE + 0x1405000);
    assert_int_equal(e.nr_segments, 2);
    assert_int_equal(e.segment[1].offset, TEXT_AT);
    assert_int_equal(e.segment[1].filesz, 0x100);
    assert_int_equal(e.segment[1].memsz, 0x5000);
    assert_int_equal(e.segment[1].vaddr, BASE + 0x1400000);
    assert_int_equal(e.segment[1].flags, PF_R | PF_W);
}

static void test_file_header(void **state)
{
    (void)state;
    for (u32 i = 0; i < 4; i++) {
        WRONG(eh.e_ident[i], 'x', "not an ELF file");
    }
    WRONG(eh.e_ident[EI_CLASS], ELFCLASS32, "32-bit ELF");
    WRONG(eh.e_ident[EI_CLASS], 0, "not for x86-64");
    WRONG(eh.e_ident[EI_CLASS], 3, "not for x86-64");
    WRONG(eh.e_ident[EI_DATA], ELFDATA2MSB, "not for x86-64");
    WRONG(eh.e_ident[EI_VERSION], 2, "not for x86-64");
    WRONG(eh.e_version, 0, "not for x86-64");
    WRONG(eh.e_machine, EM_AARCH64, "ELF machine 183");
    WRONG(eh.e_machine, EM_386, "ELF machine 3");
    WRONG(eh.e_type, ET_REL, "not an executable: ELF type 1");
    WRONG(eh.e_type, ET_CORE, "not an executable");
    WRONG(eh.e_type, ET_NONE, "not an executable");
    WRONG(eh.e_phnum, 0, "no program headers");
    WRONG(eh.e_phnum, 0xffff, "truncated: 65535 program headers");
    WRONG(eh.e_phentsize, 55, "program headers of 55 bytes");
    WRONG(eh.e_phentsize, 0, "program headers of 0 bytes");
    WRONG(eh.e_phoff, sizeof(m) - 3 * sizeof(Elf64_Phdr) + 1, "truncated");
    WRONG(eh.e_phoff, ~0UL, "truncated");
    WRONG(eh.e_phoff, ~0UL - 3 * sizeof(Elf64_Phdr) + 1, "truncated");
    WRONG(eh.e_phoff, 1UL << 63, "truncated");
    make();
    m.eh.e_type = ET_DYN;
    m_accepts();
}

static void test_not_elf(void **state)
{
    static const char gzip[] = "\x1f\x8b\x08";

    (void)state;
    refuses("", 0, "not an ELF file");
    refuses("\177ELF", 4, "not an ELF file");
    refuses("\177ELF\2", 5, "truncated");
    refuses("\177ELF\1", 5, "32-bit");
    refuses(gzip, sizeof(gzip), "not an ELF file");
}

static void test_segment_file_part(void **state)
{
    (void)state;
    WRONG(ph[PH_TEXT].p_offset, sizeof(m) - TEXT + 1, "truncated: segment 0 ends at");
    WRONG(ph[PH_TEXT].p_offset, sizeof(m) + 1, "truncated: segment 0");
    WRONG(ph[PH_TEXT].p_offset, ~0UL, "segment 0: its offset 0xffffffffffffffff wraps");
    WRONG(ph[PH_TEXT].p_offset, -TEXT, "segment 0");
    WRONG(ph[PH_TEXT].p_filesz, TEXT + 1, "bytes in the file");
    WRONG(ph[PH_TEXT].p_filesz, ~0UL, "bytes in the file");
    make();
    m.ph[PH_TEXT].p_filesz = ~0UL;
    m.ph[PH_TEXT].p_memsz = ~0UL;
    m_refuses("wraps");
    make();
    m.ph[PH_DATA].p_filesz = TEXT + 1;
    m_refuses("truncated: segment 1");
}

static void test_segment_address(void **state)
{
    (void)state;
    WRONG(ph[PH_TEXT].p_paddr, -TEXT, "below VIRT_BASE");
    WRONG(ph[PH_DATA].p_memsz, 1UL << 63, "wraps");
    WRONG(ph[PH_DATA].p_memsz, 0x7fffffff - 0x1400000 + 2, "wraps");
    WRONG(ph[PH_DATA].p_paddr, 0x1001fff, "segment 1 overlaps another at 0xffffffff81000000");
    WRONG(ph[PH_DATA].p_paddr, 0x1000000 - 0x4fff, "overlaps");
    WRONG(ph[PH_DATA].p_paddr, 0x1000000, "overlaps");
    make();
    m.ph[PH_DATA].p_paddr = 0x1002000;
    m_accepts();
    m.ph[PH_DATA].p_paddr = 0x1000000 - 0x5000;
    m_accepts();
    m.ph[PH_DATA].p_paddr = 0x7fffffff - 0x5000; /* ends one below the end of the address space */
    m_accepts();
    m.ph[PH_TEXT].p_type = PT_NULL;
    m.ph[PH_DATA].p_type = PT_NULL;
    m_refuses("no loadable segment");
    make();
    m.ph[PH_TEXT].p_memsz = 0;
    m_refuses("bytes in the file");
    m.ph[PH_TEXT].p_filesz = 0; /* an empty one counts for nothing, wherever it is */
    m.ph[PH_TEXT].p_offset = ~0UL;
    m_refuses("entry");
    assert_int_equal(e.nr_segments, 1);
}

/* One segment of `memsz` at a virtual address, with notes that fit. */
static const char *place(u64 virt_base, u64 va, u64 memsz)
{
    make_bare();
    note64(XEN_ELFNOTE_VIRT_BASE, virt_base);
    note64(XEN_ELFNOTE_ENTRY, va);
    m.ph[PH_TEXT] = segment(va - virt_base, memsz, 0);
    m.ph[PH_DATA].p_type = PT_NULL;
    return parse(&m, sizeof(m));
}

static void test_address_space(void **state)
{
    static const struct {
        u64 va, memsz;
        bool good;
    } t[] = {
        { 0, 0x1000, true },
        { 0x00007ffffffff000, 0x1000, true },
        { 0x00007ffffffff000, 0x1001, false },
        { 0x0000800000000000, 0x1000, false },
        { 0x0123456789abc000, 0x1000, false },
        { 0xffff7ffffffff000, 0x1000, false },
        { 0xffff7ffffffff000, 0x2000, false },
        { 0xffff800000000000, 0x1000, false },
        { 0xffff82d000000000, 0x1000, false },
        { 0xffff87fffffff000, 0x1000, false },
        { 0xffff87fffffff000, 0x2000, false },
        { 0xffff880000000000, 0x1000, true },
        { 0xfffffffffffff000, 0xfff, true },
        { 0xfffffffffffff000, 0x1000, false },
        { 0x1000, 0x0000800000000000 - 0x1000, true },
        { 0x1000, 0x0000800000000000, false },
        { 0x1000, 0xffff880000000000, false },
        { 0x1000, ~0UL, false },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(t); i++) {
        const char *error = place(t[i].va, t[i].va, t[i].memsz);

        if (!error != t[i].good) {
            fail_msg("0x%lx size 0x%lx: %s", t[i].va, t[i].memsz, error ? error : "accepted");
        }
    }
    assert_null(place(0x1000, 0x1000000, 0x1000));
    assert_non_null(place(0x2000, 0x1000, 0x1000));           /* below VIRT_BASE */
    assert_non_null(place(0, 0xffff880000000000, 0x1000));    /* pfn 0 in the other half */
    assert_non_null(place(0xffff87fffffff000, BASE, 0x1000)); /* pfn 0 is ours */
    assert_non_null(place(0x10, 0x1010, 0x1000));             /* VIRT_BASE inside a page */
    assert_null(place(0x1000, 0x1010, 0x1000));
}

static void test_both_halves(void **state)
{
    (void)state;
    make_bare();
    note64(XEN_ELFNOTE_ENTRY, 0x1000000);
    m.ph[PH_DATA].p_paddr = 0xffff880000000000;
    m_refuses("not for guests");
}

static void test_segment_count(void **state)
{
    (void)state;
    make();
    m.eh.e_phnum = ELF_MAX_SEGMENTS + 1;
    for (u32 i = 3; i < m.eh.e_phnum; i++) {
        m.ph[i] = segment(0x2000000 + i * 0x10000, 0x1000, 0x10);
    }
    m_accepts();
    assert_int_equal(e.nr_segments, ELF_MAX_SEGMENTS);
    m.ph[ELF_MAX_SEGMENTS + 1] = segment(0x4000000, 0x1000, 0x10);
    m.eh.e_phnum++;
    m_refuses("more than 16 segments");
}

static void test_note_defaults(void **state)
{
    (void)state;
    /* Only an entry: image at its physical addresses. */
    make_bare();
    note64(XEN_ELFNOTE_ENTRY, 0x1000040);
    m_accepts();
    assert_int_equal(e.virt_base, 0);
    assert_int_equal(e.paddr_offset, 0);
    assert_int_equal(e.kstart, 0x1000000);
    assert_false(e.has_hypercall_page || e.has_init_p2m || e.mod_start_pfn);
    assert_string_equal(e.guest_os, "");
    /* No entry: that of the header. */
    make_bare();
    note64(XEN_ELFNOTE_VIRT_BASE, BASE);
    m_accepts();
    assert_int_equal(e.entry, BASE + 0x1000007);
    assert_int_equal(e.paddr_offset, 0);
    make_bare();
    note64(XEN_ELFNOTE_PADDR_OFFSET, 0);
    m_refuses("PADDR_OFFSET without VIRT_BASE");
    make();
    note64(XEN_ELFNOTE_MOD_START_PFN, 0);
    m_accepts();
    assert_false(e.mod_start_pfn);
}

/* Old layout: physical addresses in the file are virtual ones. */
static void test_paddr_offset(void **state)
{
    (void)state;
    make();
    note64(XEN_ELFNOTE_PADDR_OFFSET, BASE);
    m.ph[PH_TEXT].p_paddr += BASE;
    m.ph[PH_DATA].p_paddr += BASE;
    m_accepts();
    assert_int_equal(e.kstart, BASE + 0x1000000);
    assert_int_equal(e.paddr_offset, BASE);
    make();
    note64(XEN_ELFNOTE_PADDR_OFFSET, 0x1000000);
    m_refuses("entry");
    make();
    note64(XEN_ELFNOTE_PADDR_OFFSET, 0x1000001); /* the text starts a byte below VIRT_BASE */
    m_refuses("below VIRT_BASE");
}

static void test_note_numbers(void **state)
{
    u8 zeros[32] = { 0 };

    (void)state;
    /* 4 bytes are as good as 8. */
    make_bare();
    note32(XEN_ELFNOTE_VIRT_BASE, 0x80000000);
    note32(XEN_ELFNOTE_ENTRY, 0x81000010);
    note32(XEN_ELFNOTE_MOD_START_PFN, 1);
    m_accepts();
    assert_int_equal(e.entry, 0x81000010);
    assert_true(e.mod_start_pfn);
    for (u32 len = 0; len <= 17; len++) {
        make();
        note(XEN_ELFNOTE_SUPPORTED_FEATURES, zeros, len);
        if (len == 4 || len == 8) {
            m_accepts();
        } else {
            m_refuses("Xen note 17: a number of");
        }
    }
    make();
    note(XEN_ELFNOTE_MOD_START_PFN, zeros, 3);
    m_refuses("Xen note 16");
    /* Notes that nobody knows or asks for. */
    make();
    note(XEN_ELFNOTE_L1_MFN_VALID, zeros, 16);
    note(XEN_ELFNOTE_SUSPEND_CANCEL, zeros, 1);
    note(19, zeros, 3);
    note(31, zeros, 0);
    note(32, zeros, 0);
    note(0xffffffff, zeros, 5);
    note32(XEN_ELFNOTE_PHYS32_ENTRY, 0x1000000); /* PVH as well as PV */
    m_accepts();
}

static void test_note_names(void **state)
{
    u64 bad = 0x12345;

    (void)state;
    make();
    note_of("GNU", 4, XEN_ELFNOTE_ENTRY, &bad, 8);
    note_of("Linux", 6, XEN_ELFNOTE_ENTRY, &bad, 8);
    note_of("Xen", 3, XEN_ELFNOTE_ENTRY, &bad, 8);
    note_of("XenX", 4, XEN_ELFNOTE_ENTRY, &bad, 8);
    note_of("Xen\0\0", 5, XEN_ELFNOTE_ENTRY, &bad, 8);
    note_of("xen", 4, XEN_ELFNOTE_ENTRY, &bad, 8);
    note_of("", 0, XEN_ELFNOTE_ENTRY, &bad, 8);
    note64(XEN_ELFNOTE_MOD_START_PFN, 0);
    m_accepts();
    assert_int_equal(e.entry, BASE + 0x1000123);
    assert_false(e.mod_start_pfn); /* so the one behind was found */
    make_bare();
    note_of("GNU", 4, XEN_ELFNOTE_ENTRY, &bad, 8);
    m_refuses("no Xen notes");
}

static void test_note_texts(void **state)
{
    char text[200];

    (void)state;
    memset(text, 'x', sizeof(text));
    make();
    note(XEN_ELFNOTE_GUEST_OS, text, 200);
    note(XEN_ELFNOTE_LOADER, text, 16);
    note(XEN_ELFNOTE_FEATURES, text, 127);
    note(XEN_ELFNOTE_GUEST_VERSION,
         "1\n\033[2J\xff"
         "2",
         8);
    m_accepts();
    assert_int_equal(strlen(e.guest_os), sizeof(e.guest_os) - 1);
    assert_int_equal(strlen(e.loader), sizeof(e.loader) - 1);
    assert_int_equal(strlen(e.features), 127);
    assert_string_equal(e.guest_version, "1??[2J?2");
    note(XEN_ELFNOTE_GUEST_OS, text, 0);
    m_accepts();
    assert_string_equal(e.guest_os, "");
    note_text(XEN_ELFNOTE_XEN_VERSION, "xen-4.0");
    m_refuses("XEN_VERSION is 'xen-4.0'");
    note_text(XEN_ELFNOTE_XEN_VERSION, "xen-3.0-x86_64");
    m_accepts();
}

static void test_pvh_only(void **state)
{
    (void)state;
    make_bare();
    note_text(XEN_ELFNOTE_GUEST_OS, "linux");
    note32(XEN_ELFNOTE_PHYS32_ENTRY, 0x1000000);
    m_refuses("PVH");
}

static void test_no_notes(void **state)
{
    (void)state;
    make_bare();
    m_refuses("no Xen notes");
    m.ph[PH_NOTE].p_type = PT_NULL;
    m_refuses("no Xen notes");
    m.eh.e_shoff = offsetof(struct image, sh);
    m_refuses("no Xen notes");
    m.eh.e_shnum = 2;
    m_refuses("no Xen notes");
}

static void test_note_sections(void **state)
{
    u64 bad = 1;

    (void)state;
    make();
    move_notes_to_section();
    m_accepts();
    assert_int_equal(e.entry, BASE + 0x1000123);
    m.eh.e_shentsize = 40;
    m_refuses("section headers of 40 bytes");
    m.eh.e_shentsize = sizeof(Elf64_Shdr);
    m.eh.e_shnum = 0xffff;
    m_refuses("truncated: 65535 section headers");
    m.eh.e_shnum = 2;
    m.eh.e_shoff = ~0UL - 127;
    m_refuses("truncated: 2 section headers");
    m.eh.e_shoff = offsetof(struct image, sh);
    m.sh[1].sh_offset = ~0UL;
    m_refuses("truncated: notes");
    m.sh[1].sh_offset = NOTES_AT;
    m.sh[1].sh_size = sizeof(m) - NOTES_AT + 1;
    m_refuses("truncated: notes");
    /* A segment's offset of 0 is an old linker's mistake. */
    make();
    move_notes_to_section();
    m.ph[PH_NOTE].p_type = PT_NOTE;
    m.ph[PH_NOTE].p_offset = 0;
    m_accepts();
    /* Sections aren't looked at when a segment has notes, however wrong they are. */
    make();
    m.eh.e_shoff = ~0UL;
    m.eh.e_shnum = 7;
    m.eh.e_shentsize = 1;
    m_accepts();
    /* A foreign note in the segment doesn't hide the section. */
    make_bare();
    note_of("GNU", 4, 1, &bad, 8);
    m.sh[0] = (Elf64_Shdr){ .sh_type = SHT_NOTE, .sh_offset = NOTES_AT + m.ph[PH_NOTE].p_filesz };
    usual_notes();
    m.sh[0].sh_size = NOTES_AT + m.ph[PH_NOTE].p_filesz - m.sh[0].sh_offset;
    m.ph[PH_NOTE].p_filesz = m.sh[0].sh_offset - NOTES_AT;
    m.eh.e_shoff = offsetof(struct image, sh);
    m.eh.e_shnum = 1;
    m_accepts();
}

/* No notes: a section of this text, as nasm and ld of long ago left it. */
static void make_old(const char *text, u32 len)
{
    static const char names[] = "\0__xen_guest";

    make_bare();
    m.ph[PH_NOTE].p_type = PT_NULL;
    assert_true(len <= NOTES_ROOM - 64);
    memcpy(m.notes, names, sizeof(names));
    memcpy(m.notes + 64, text, len);
    m.sh[0] = (Elf64_Shdr){ .sh_type = SHT_STRTAB,
                            .sh_offset = NOTES_AT,
                            .sh_size = sizeof(names) };
    m.sh[1] = (Elf64_Shdr){
        .sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = NOTES_AT + 64, .sh_size = len
    };
    m.eh.e_shoff = offsetof(struct image, sh);
    m.eh.e_shnum = 2;
    m.eh.e_shstrndx = 0;
    m.ph[PH_TEXT].p_paddr = BASE + 0x1000000;
    m.ph[PH_DATA].p_paddr = BASE + 0x1400000;
}

#define OLD(text) make_old(text, sizeof(text))
#define OLD_BASE "VIRT_BASE=0xffffffff80000000"

static void test_old_string(void **state)
{
    (void)state;
    OLD("GUEST_OS=old,GUEST_VER=0.1,XEN_VER=xen-3.0," OLD_BASE
        ",HYPERCALL_PAGE=0x1001,LOADER=generic,PAE=yes,BSD_SYMTAB=yes,nonsense,,FEATURES=a|b");
    m_accepts();
    assert_int_equal(e.virt_base, BASE);
    assert_int_equal(e.paddr_offset, BASE); /* so p_paddr is virtual */
    assert_int_equal(e.entry, BASE + 0x1000007);
    assert_true(e.has_hypercall_page && !e.has_init_p2m && !e.mod_start_pfn);
    assert_int_equal(e.hypercall_page, BASE + 0x1001000);
    assert_string_equal(e.guest_os, "old");
    assert_string_equal(e.guest_version, "0.1");
    assert_string_equal(e.pae_mode, "yes");
    assert_string_equal(e.loader, "generic");
    assert_string_equal(e.features, "a|b");
    OLD("VIRT_ENTRY=0xFFFFFFFF81000010,ELF_PADDR_OFFSET=4096," OLD_BASE);
    m.ph[PH_TEXT].p_paddr = 0x1001000;
    m.ph[PH_DATA].p_paddr = 0x1401000;
    m_accepts();
    assert_int_equal(e.entry, BASE + 0x1000010);
    assert_int_equal(e.paddr_offset, 4096);
    assert_false(e.has_hypercall_page);
    /* The text may end with its section, and ends at a NUL. */
    make_old(OLD_BASE, sizeof(OLD_BASE) - 1);
    m_accepts();
    OLD(OLD_BASE "\0,VIRT_ENTRY=0x666");
    m_accepts();
    /* Notes come first. */
    OLD("VIRT_BASE=0x1234000");
    m.ph[PH_NOTE] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_offset = NOTES_AT + 512 };
    m.notes[512] = 4;
    m.notes[512 + 4] = 6;
    m.notes[512 + 8] = XEN_ELFNOTE_GUEST_OS;
    memcpy(m.notes + 512 + 12, "Xen\0notes", 10);
    m.ph[PH_NOTE].p_filesz = 24;
    m.ph[PH_TEXT].p_paddr = 0x1000000;
    m.ph[PH_DATA].p_paddr = 0x1400000;
    m.eh.e_entry = 0x1000000;
    m_accepts();
    assert_int_equal(e.virt_base, 0);
}

static void test_old_string_bad(void **state)
{
    (void)state;
    OLD(OLD_BASE ",XEN_VER=xen-2.0");
    m_refuses("XEN_VERSION is 'xen-2.0'");
    OLD(OLD_BASE ",HYPERCALL_PAGE=0x9999");
    m_refuses("hypercall page");
    OLD("VIRT_BASE=0xffffffff80000001");
    m_refuses("not at a page's start");
    OLD(OLD_BASE ",VIRT_ENTRY=xyz");
    m_refuses("entry 0x0 is outside");
    OLD(OLD_BASE);
    m.sh[1].sh_name = 2;
    m_refuses("no Xen notes");
    m.sh[1].sh_name = ~0u;
    m_refuses("no Xen notes");
    m.sh[1].sh_name = 1;
    m.sh[0].sh_size--; /* the name without its end */
    m_refuses("no Xen notes");
    m.sh[0].sh_size = ~0UL;
    m_refuses("no Xen notes");
    OLD(OLD_BASE);
    m.eh.e_shstrndx = 2;
    m_refuses("no Xen notes");
    OLD(OLD_BASE);
    m.sh[1].sh_size = ~0UL;
    m_refuses("truncated: section __xen_guest");
}

static void test_note_bounds(void **state)
{
    Elf64_Nhdr n = { 4, 8, XEN_ELFNOTE_ENTRY };

    (void)state;
    WRONG(ph[PH_NOTE].p_offset, ~0UL, "truncated: notes");
    WRONG(ph[PH_NOTE].p_offset, sizeof(m), "truncated: notes");
    WRONG(ph[PH_NOTE].p_filesz, ~0UL, "truncated: notes");
    WRONG(ph[PH_NOTE].p_filesz, -NOTES_AT, "truncated: notes");
    make();
    note_text(XEN_ELFNOTE_LOADER, "lacks");
    m.ph[PH_NOTE].p_filesz -= 2; /* the padding behind the last note may be missing */
    m_accepts();
    assert_string_equal(e.loader, "lacks");
    m.ph[PH_NOTE].p_filesz -= 1;
    m_refuses("ends behind");
    for (u32 i = 0; i < 3; i++) {
        static const u32 sizes[] = { 0xffffffff, 0xfffffffd, 0x80000000 };

        make();
        n.n_namesz = sizes[i];
        n.n_descsz = 8;
        memcpy(m.notes, &n, sizeof(n));
        m_refuses("ends behind");
        n.n_namesz = 4;
        n.n_descsz = sizes[i];
        memcpy(m.notes, &n, sizeof(n));
        m_refuses("ends behind");
    }
    /* A few bytes behind the last note are none. */
    make();
    m.ph[PH_NOTE].p_filesz += 11;
    m_accepts();
}

/* Thousands of headers that all name the same notes must not take forever. */
static void test_note_flood(void **state)
{
    size_t phdrs = 0xffff * sizeof(Elf64_Phdr), size = sizeof(Elf64_Ehdr) + phdrs + (4UL << 20);
    u8 *image = calloc(1, size);
    Elf64_Phdr ph = { .p_type = PT_NOTE,
                      .p_offset = sizeof(Elf64_Ehdr) + phdrs,
                      .p_filesz = 4UL << 20 };

    (void)state;
    assert_non_null(image);
    make();
    m.eh.e_phoff = sizeof(Elf64_Ehdr);
    m.eh.e_phnum = 0xffff;
    memcpy(image, &m.eh, sizeof(m.eh));
    for (u32 i = 0; i < 0xffff; i++) {
        memcpy(image + sizeof(Elf64_Ehdr) + i * sizeof(ph), &ph, sizeof(ph));
    }
    refuses(image, size, "more than 1024 notes");
    free(image);
}

static void test_note_addresses(void **state)
{
    static const u64 outside[] = {
        0, BASE, BASE + 0xffffff, BASE + 0x1405000, ~0UL, 0xffff82d000000000
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(outside); i++) {
        make();
        note64(XEN_ELFNOTE_ENTRY, outside[i]);
        m_refuses("is outside the image");
        make();
        note64(XEN_ELFNOTE_HYPERCALL_PAGE, outside[i]);
        m_refuses("hypercall page");
    }
    make();
    note64(XEN_ELFNOTE_ENTRY, BASE + 0x1404fff);
    note64(XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x1404000);
    m_accepts();
    note64(XEN_ELFNOTE_HYPERCALL_PAGE, BASE + 0x1001008);
    m_refuses("hypercall page 0xffffffff81001008 is not a page");
    make();
    note64(XEN_ELFNOTE_INIT_P2M, BASE + 0x1001000);
    m_refuses("INIT_P2M");
    note64(XEN_ELFNOTE_INIT_P2M, 0x8000000001);
    m_refuses("INIT_P2M");
    note64(XEN_ELFNOTE_INIT_P2M, 0xffff830000000000);
    m_refuses("INIT_P2M");
    note64(XEN_ELFNOTE_INIT_P2M, ~0UL);
    m_refuses("INIT_P2M");
}

static void test_reason_buffer(void **state)
{
    char small[8];
    const char *error;

    (void)state;
    make();
    m.eh.e_machine = 1;
    error = elf_parse(&m, sizeof(m), &e, NULL, 0);
    assert_non_null(error);
    assert_true(*error);
    error = elf_parse(&m, sizeof(m), &e, small, sizeof(small));
    assert_string_equal(error, "not for");
}

/* Whatever is accepted must hold what elf_check.h says. */
static void try(const void *image, size_t size)
{
    if (!parse(image, size)) {
        assert_true(elf_check(&e, size));
    }
}

/* Every cut; one that is long enough for all that is used is accepted. */
static void all_cuts(const u8 *image, size_t size, size_t used)
{
    for (size_t n = 0; n < size; n++) {
        if (n >= used) {
            accepts(image, n);
        } else {
            assert_non_null(parse(image, n));
        }
    }
}

static void all_bytes(u8 *image, size_t size, size_t from, size_t to)
{
    static const u8 values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, 0x40 };

    for (size_t at = from; at < to; at++) {
        u8 old = image[at];

        for (u32 i = 0; i < ARRAY_SIZE(values); i++) {
            image[at] = values[i];
            try(image, size);
            image[at] = old ^ values[i];
            try(image, size);
        }
        image[at] = old;
    }
}

static void test_made_cuts_and_bytes(void **state)
{
    (void)state;
    make();
    all_cuts((u8 *)&m, sizeof(m), sizeof(m));
    all_bytes((u8 *)&m, sizeof(m), 0, sizeof(m.eh) + 3 * sizeof(Elf64_Phdr));
    all_bytes((u8 *)&m, sizeof(m), NOTES_AT, NOTES_AT + m.ph[PH_NOTE].p_filesz);
    move_notes_to_section();
    all_bytes((u8 *)&m, sizeof(m), offsetof(struct image, sh), offsetof(struct image, text));
}

/* ---- Images that nasm and ld make ---- */

static const char note_macros[] =
    "%macro num 2\n dd 4, 8, %1, 'Xen'\n dq %2\n%endmacro\n"
    "%macro num32 2\n dd 4, 4, %1, 'Xen', %2\n%endmacro\n"
    "%macro str 2\n dd 4, %%e - %%s, %1, 'Xen'\n%%s: db %2, 0\n%%e: align 4, db 0\n%endmacro\n";

/* As Linux and the like: high, physical addresses apart, the notes in a segment, .bss behind. */
static const char linux_asm[] =
    "bits 64\n section .text align=4096\n global start\nstart: cld\n hlt\n align 4096\n"
    "hcall: times 4096 db 0x90\n section .data align=4096\n dq start\n section .bss align=4096\n"
    " resb 8192\n section .note.Xen note alloc noexec nowrite align=4\n"
    " str 6, 'linux'\n str 7, '2.6'\n str 5, 'xen-3.0'\n num 3, 0xffffffff80000000\n num 4, 0\n"
    " num 1, start\n num 2, hcall\n str 8, 'generic'\n num32 17, 1\n str 10, "
    "'!writable_page_tables'\n";
static const char linux_ld[] =
    "ENTRY(start)\nPHDRS { text PT_LOAD FLAGS(5); data PT_LOAD FLAGS(6); note PT_NOTE FLAGS(4); }\n"
    "SECTIONS { . = 0xffffffff80100000;\n .text : AT(0x100000) { *(.text) } :text\n"
    " .note.Xen : AT(ADDR(.note.Xen) - 0xffffffff80000000) { *(.note.Xen) } :text :note\n . = "
    "ALIGN(4096);\n"
    " .data : AT(ADDR(.data) - 0xffffffff80000000) { *(.data) } :data\n"
    " .bss : AT(ADDR(.bss) - 0xffffffff80000000) { *(.bss) } :data }\n";

/* As GRUB: at 0, few notes, in a section alone. */
static const char grub_asm[] =
    "bits 64\n section .text align=4096\n global start\nstart: hlt\n"
    " section .note.Xen note noalloc noexec nowrite align=4\n"
    " str 6, 'GRUB'\n str 8, 'generic'\n str 5, 'xen-3.0'\n num 1, start\n num 3, 0\n";
static const char grub_ld[] =
    "ENTRY(start)\nPHDRS { text PT_LOAD FLAGS(7); }\n"
    "SECTIONS { . = 0; .text : AT(0) { *(.text) } :text\n .note.Xen 0 : { *(.note.Xen) } :NONE }\n";

static void write_file(const char *dir, const char *name, const char *a, const char *b)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fprintf(f, "%s%s", a, b) >= 0);
    assert_int_equal(fclose(f), 0);
}

static u8 *read_file(const char *dir, const char *name, size_t *size)
{
    u8 *data = malloc(1 << 20);
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    f = fopen(path, "r");
    assert_true(f && data);
    *size = fread(data, 1, 1 << 20, f);
    assert_int_equal(fclose(f), 0);
    return data;
}

/* TEST_ELF_KEEP=dir leaves the images there, as seeds for the fuzzer. */
static u8 *build(const char *name, const char *source, const char *script, const char *flags,
                 size_t *size)
{
    char dir[] = "/tmp/test_elf.XXXXXX", command[512];
    u8 *data;

    assert_non_null(mkdtemp(dir));
    write_file(dir, "a.asm", note_macros, source);
    write_file(dir, "a.ld", script, "");
    snprintf(command, sizeof(command),
             "cd %s && nasm -f elf64 -o a.o a.asm && ld %s -z max-page-size=4096 -T a.ld -o a.elf "
             "a.o && "
             "if [ -n \"$TEST_ELF_KEEP\" ]; then cp a.elf \"$TEST_ELF_KEEP/%s\"; fi",
             dir, flags, name);
    assert_int_equal(system(command), 0);
    data = read_file(dir, "a.elf", size);
    snprintf(command, sizeof(command), "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    return data;
}

static void test_linux_like(void **state)
{
    size_t size;
    u8 *image = build("linux", linux_asm, linux_ld, "", &size);

    (void)state;
    accepts(image, size);
    assert_int_equal(e.virt_base, BASE);
    assert_int_equal(e.entry, BASE + 0x100000);
    assert_true(e.has_hypercall_page);
    assert_int_equal(e.hypercall_page, BASE + 0x101000);
    assert_int_equal(e.kstart, BASE + 0x100000);
    assert_int_equal(e.nr_segments, 2);
    assert_int_equal(e.kend, BASE + 0x106000);
    assert_int_equal(e.segment[1].memsz, 0x3000);
    assert_int_equal(e.segment[1].filesz, 8);
    assert_string_equal(e.guest_os, "linux");
    assert_string_equal(e.loader, "generic");
    assert_string_equal(e.features, "!writable_page_tables");
    assert_int_equal(e.supported_features, 1);
    assert_int_equal(image[e.segment[0].offset], 0xfc); /* cld */
    all_cuts(image, size, e.segment[1].offset + e.segment[1].filesz);
    all_bytes(image, size, 0, sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr));
    free(image);
}

static void test_grub_like(void **state)
{
    size_t size;
    u8 *image = build("grub", grub_asm, grub_ld, "-n --no-warn-rwx-segments", &size);

    (void)state;
    accepts(image, size);
    assert_int_equal(e.virt_base, 0);
    assert_int_equal(e.entry, 0);
    assert_int_equal(e.kstart, 0);
    assert_false(e.has_hypercall_page);
    assert_string_equal(e.guest_os, "GRUB");
    all_cuts(image, size, size); /* the section headers are last */
    all_bytes(image, size, 0, size);
    free(image);
}

static void test_relocatable(void **state)
{
    size_t size;
    u8 *image = build("object", linux_asm, "", "-r", &size);

    (void)state;
    refuses(image, size, "not an executable");
    free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_file_header),
        cmocka_unit_test(test_not_elf),
        cmocka_unit_test(test_segment_file_part),
        cmocka_unit_test(test_segment_address),
        cmocka_unit_test(test_address_space),
        cmocka_unit_test(test_both_halves),
        cmocka_unit_test(test_segment_count),
        cmocka_unit_test(test_note_defaults),
        cmocka_unit_test(test_paddr_offset),
        cmocka_unit_test(test_note_numbers),
        cmocka_unit_test(test_note_names),
        cmocka_unit_test(test_note_texts),
        cmocka_unit_test(test_pvh_only),
        cmocka_unit_test(test_no_notes),
        cmocka_unit_test(test_note_sections),
        cmocka_unit_test(test_old_string),
        cmocka_unit_test(test_old_string_bad),
        cmocka_unit_test(test_note_bounds),
        cmocka_unit_test(test_note_flood),
        cmocka_unit_test(test_note_addresses),
        cmocka_unit_test(test_reason_buffer),
        cmocka_unit_test(test_made_cuts_and_bytes),
        cmocka_unit_test(test_linux_like),
        cmocka_unit_test(test_grub_like),
        cmocka_unit_test(test_relocatable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
