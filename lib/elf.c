/* SPDX-License-Identifier: MIT */
/*
 * Parser of PV64 guest images: ELF64 header, loadable segments, Xen notes, or the string that was
 * there before notes. The image is hostile: what it says is believed only after a check without
 * overflow. Owns nothing; allocates nothing; no locks. It does not load, and does not know how much
 * memory there is.
 */
#include <tarn/elf.h>
#include <tarn/lib.h>

#include <xen/elfnote.h>

/* As the System V ABI's ELF64 has them; the fields that nobody asks for are only skipped. */
struct file_header {
    u8 magic[4], class, data, ident_version, ident_rest[9];
    u16 type, machine;
    u32 version;
    u64 entry, phoff, shoff;
    u32 flags;
    u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct program_header {
    u32 type, flags;
    u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct section_header {
    u32 name, type;
    u64 flags, addr, offset, size;
    u32 link, info;
    u64 addralign, entsize;
};

struct note_header {
    u32 namesz, descsz, type;
};

enum {
    CLASS_32 = 1,
    CLASS_64 = 2,
    DATA_LITTLE = 1,
    TYPE_EXEC = 2,
    TYPE_DYN = 3,
    MACHINE_X86_64 = 62
};
enum { PT_LOAD = 1, PT_NOTE = 4, SHT_NOTE = 7 };

/* Virtual addresses that no guest may use: not canonical, or the hypervisor's. */
#define NOT_CANONICAL_START 0x0000800000000000UL
#define GUEST_HIGH_START 0xffff880000000000UL

#define NOTE_SEEN(type) (1u << (type))
#define NOTES_MAX \
    1024 /* of one image, whoever wrote them: thousands of headers may name the same bytes */

_Static_assert(sizeof(struct file_header) == 64, "ELF64 file header");
_Static_assert(sizeof(struct program_header) == 56, "ELF64 program header");
_Static_assert(sizeof(struct section_header) == 64, "ELF64 section header");
_Static_assert(XEN_ELFNOTE_MAX < 32, "a bit of notes_seen for each type");

struct parser {
    const u8 *image;
    size_t size;
    struct elf_image *out;
    char *why;
    size_t why_size;
    struct file_header header;
    u32 nr_notes;
    u32 notes_seen; /* bits NOTE_SEEN */
};

static __printf(2, 3) const char *fail(struct parser *p, const char *fmt, ...)
{
    va_list ap;

    if (!p->why_size) {
        return "bad ELF image";
    }
    va_start(ap, fmt);
    fmt_vsnprintf(p->why, p->why_size, fmt, ap);
    va_end(ap);
    return p->why;
}

/* [offset, offset + len) lies in the image. */
static bool in_file(const struct parser *p, u64 offset, u64 len)
{
    return offset <= p->size && len <= p->size - offset;
}

static bool read_at(const struct parser *p, u64 offset, void *dst, size_t len)
{
    if (!in_file(p, offset, len)) {
        return false;
    }
    memcpy(dst, p->image + offset, len);
    return true;
}

static const char *parse_header(struct parser *p)
{
    struct file_header *h = &p->header;
    u8 ident[5];

    if (!read_at(p, 0, ident, sizeof(ident)) || memcmp(ident, "\177ELF", 4)) {
        return "not an ELF file";
    }
    if (ident[4] == CLASS_32) {
        return "not for x86-64: a 32-bit ELF file";
    }
    if (!read_at(p, 0, h, sizeof(*h))) {
        return fail(p, "truncated: %zu bytes hold no ELF header", p->size);
    }
    if (h->class != CLASS_64 || h->data != DATA_LITTLE || h->ident_version != 1 ||
        h->version != 1) {
        return fail(p, "not for x86-64: ELF class %u, byte order %u, version %u", h->class, h->data,
                    h->version);
    }
    if (h->machine != MACHINE_X86_64) {
        return fail(p, "not for x86-64: ELF machine %u", h->machine);
    }
    if (h->type != TYPE_EXEC && h->type != TYPE_DYN) {
        return fail(p, "not an executable: ELF type %u", h->type);
    }
    return NULL;
}

/* So that the checks behind need not look again. */
static const char *check_program_headers(struct parser *p)
{
    const struct file_header *h = &p->header;

    if (!h->phnum) {
        return "no program headers";
    }
    if (h->phentsize != sizeof(struct program_header)) {
        return fail(p, "program headers of %u bytes", h->phentsize);
    }
    if (!in_file(p, h->phoff, (u64)h->phnum * h->phentsize)) {
        return fail(p, "truncated: %u program headers at 0x%lx, file size 0x%zx", h->phnum,
                    h->phoff, p->size);
    }
    return NULL;
}

static struct program_header program_header(const struct parser *p, u32 i)
{
    struct program_header ph;

    memcpy(&ph, p->image + p->header.phoff + i * sizeof(ph), sizeof(ph));
    return ph;
}

/* It ends on the console: only what can be printed. */
static void note_string(const struct parser *p, u64 desc, u32 len, char *dst, size_t size)
{
    size_t n = 0;

    for (; n < len && n < size - 1 && p->image[desc + n]; n++) {
        u8 c = p->image[desc + n];

        dst[n] = c >= ' ' && c <= '~' ? (char)c : '?';
    }
    dst[n] = '\0';
}

/* Where a note of text goes, and how much fits; NULL when this is not one. */
static char *string_of(struct elf_image *out, u32 type, size_t *size)
{
    switch (type) {
    case XEN_ELFNOTE_GUEST_OS:
        *size = sizeof(out->guest_os);
        return out->guest_os;
    case XEN_ELFNOTE_GUEST_VERSION:
        *size = sizeof(out->guest_version);
        return out->guest_version;
    case XEN_ELFNOTE_LOADER:
        *size = sizeof(out->loader);
        return out->loader;
    case XEN_ELFNOTE_XEN_VERSION:
        *size = sizeof(out->xen_version);
        return out->xen_version;
    case XEN_ELFNOTE_PAE_MODE:
        *size = sizeof(out->pae_mode);
        return out->pae_mode;
    case XEN_ELFNOTE_FEATURES:
        *size = sizeof(out->features);
        return out->features;
    default:
        return NULL;
    }
}

static u64 *number_of(struct elf_image *out, u32 type)
{
    switch (type) {
    case XEN_ELFNOTE_ENTRY:
        return &out->entry;
    case XEN_ELFNOTE_HYPERCALL_PAGE:
        return &out->hypercall_page;
    case XEN_ELFNOTE_VIRT_BASE:
        return &out->virt_base;
    case XEN_ELFNOTE_PADDR_OFFSET:
        return &out->paddr_offset;
    case XEN_ELFNOTE_INIT_P2M:
        return &out->init_p2m;
    case XEN_ELFNOTE_SUPPORTED_FEATURES:
        return &out->supported_features;
    default:
        return NULL;
    }
}

/* One note of ours, whose desc lies in the file. Types that don't matter here are just counted as
 * seen. */
static const char *take_note(struct parser *p, const struct note_header *n, u64 desc)
{
    u64 *number = number_of(p->out, n->type), value = 0;
    size_t size = 0;
    char *string = string_of(p->out, n->type, &size);

    p->out->has_notes = true;
    if (string) {
        note_string(p, desc, n->descsz, string, size);
    }
    if (number || n->type == XEN_ELFNOTE_MOD_START_PFN) {
        if (n->descsz != 4 && n->descsz != 8) {
            return fail(p, "Xen note %u: a number of %u bytes", n->type, n->descsz);
        }
        memcpy(&value, p->image + desc, n->descsz); /* little endian, as we are */
    }
    if (number) {
        *number = value;
    } else if (n->type == XEN_ELFNOTE_MOD_START_PFN) {
        p->out->mod_start_pfn = value != 0;
    }
    if (n->type <= XEN_ELFNOTE_MAX) {
        p->notes_seen |= NOTE_SEEN(n->type);
    }
    return NULL;
}

/* The notes in [offset, offset + len). Name and desc are each padded to 4 bytes; the last pad may
 * be missing. */
static const char *parse_notes(struct parser *p, u64 offset, u64 len)
{
    u64 at = offset, end = offset + len;
    struct note_header n;

    if (!in_file(p, offset, len)) {
        return fail(p, "truncated: notes at 0x%lx size 0x%lx, file size 0x%zx", offset, len,
                    p->size);
    }
    while (at < end && end - at >= sizeof(n)) {
        const u8 *name = p->image + at + sizeof(n);
        u64 desc, next;
        const char *error;

        memcpy(&n, p->image + at, sizeof(n));
        desc = at + sizeof(n) + ALIGN_UP((u64)n.namesz, 4UL);
        next = desc + ALIGN_UP((u64)n.descsz, 4UL);
        if (desc > end || n.descsz > end - desc) {
            return fail(p, "note at 0x%lx ends behind its segment or section", at);
        }
        if (++p->nr_notes > NOTES_MAX) {
            return fail(p, "more than %u notes", NOTES_MAX);
        }
        if (n.namesz == sizeof("Xen") && !memcmp(name, "Xen", sizeof("Xen"))) {
            error = take_note(p, &n, desc);
            if (error) {
                return error;
            }
        }
        at = next;
    }
    return NULL;
}

/* Some old linkers leave the offset of a note segment 0; the sections are right then. */
static const char *parse_note_segments(struct parser *p)
{
    for (u32 i = 0; i < p->header.phnum; i++) {
        struct program_header ph = program_header(p, i);
        const char *error = NULL;

        if (ph.type == PT_NOTE && ph.offset) {
            error = parse_notes(p, ph.offset, ph.filesz);
        }
        if (error) {
            return error;
        }
    }
    return NULL;
}

static struct section_header section_header(const struct parser *p, u32 i)
{
    struct section_header sh;

    memcpy(&sh, p->image + p->header.shoff + i * sizeof(sh), sizeof(sh));
    return sh;
}

static const char *parse_note_sections(struct parser *p)
{
    const struct file_header *h = &p->header;

    if (!h->shoff || !h->shnum) {
        return NULL;
    }
    if (h->shentsize != sizeof(struct section_header)) {
        return fail(p, "section headers of %u bytes", h->shentsize);
    }
    if (!in_file(p, h->shoff, (u64)h->shnum * h->shentsize)) {
        return fail(p, "truncated: %u section headers at 0x%lx, file size 0x%zx", h->shnum,
                    h->shoff, p->size);
    }
    for (u32 i = 0; i < h->shnum; i++) {
        struct section_header sh = section_header(p, i);
        const char *error;

        error = sh.type == SHT_NOTE ? parse_notes(p, sh.offset, sh.size) : NULL;
        if (error) {
            return error;
        }
    }
    return NULL;
}

/* What the string of images older than the notes calls them: "GUEST_OS=x,VIRT_BASE=0x80000000". */
static const struct {
    char name[20];
    u32 type;
} old_names[] = {
    { "GUEST_OS", XEN_ELFNOTE_GUEST_OS },
    { "GUEST_VER", XEN_ELFNOTE_GUEST_VERSION },
    { "XEN_VER", XEN_ELFNOTE_XEN_VERSION },
    { "LOADER", XEN_ELFNOTE_LOADER },
    { "PAE", XEN_ELFNOTE_PAE_MODE },
    { "FEATURES", XEN_ELFNOTE_FEATURES },
    { "VIRT_BASE", XEN_ELFNOTE_VIRT_BASE },
    { "VIRT_ENTRY", XEN_ELFNOTE_ENTRY },
    { "ELF_PADDR_OFFSET", XEN_ELFNOTE_PADDR_OFFSET },
    { "HYPERCALL_PAGE", XEN_ELFNOTE_HYPERCALL_PAGE },
};

static u32 digit_of(u8 c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

static u64 old_number(const u8 *text, u64 len)
{
    u64 value = 0;
    u32 base = 10;

    if (len > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
        base = 16;
        text += 2;
        len -= 2;
    }
    for (; len && digit_of(*text) < base; text++, len--) {
        value = value * base + digit_of(*text);
    }
    return value;
}

/* The pair "name=value" in [at, end). Names that don't matter here are passed over. */
static void take_pair(struct parser *p, u64 at, u64 end)
{
    const u8 *text = p->image + at;
    u64 name = 0, len = end - at;

    while (name < len && text[name] != '=') {
        name++;
    }
    for (u32 i = 0; name < len && i < ARRAY_SIZE(old_names); i++) {
        u32 type = old_names[i].type;
        u64 *number = number_of(p->out, type);
        size_t size = 0;
        char *string = string_of(p->out, type, &size);

        if (name != strlen(old_names[i].name) || memcmp(text, old_names[i].name, name)) {
            continue;
        }
        if (number) {
            *number = old_number(text + name + 1, len - name - 1);
        } else if (string) {
            note_string(p, at + name + 1, (u32)MIN(len - name - 1, size), string, size);
        }
        p->notes_seen |= NOTE_SEEN(type);
    }
}

/* Here the hypercall page is a page's number, and addresses in the file are virtual ones. */
static void parse_pairs(struct parser *p, u64 at, u64 len)
{
    struct elf_image *out = p->out;
    u64 end = at + len;

    while (at < end && p->image[at]) {
        u64 stop = at;

        while (stop < end && p->image[stop] && p->image[stop] != ',') {
            stop++;
        }
        take_pair(p, at, stop);
        at = stop < end && p->image[stop] ? stop + 1 : end;
    }
    out->has_notes = true;
    out->hypercall_page = (out->hypercall_page << PAGE_SHIFT) + out->virt_base;
    if (!(p->notes_seen & NOTE_SEEN(XEN_ELFNOTE_PADDR_OFFSET))) {
        out->paddr_offset = out->virt_base;
    }
}

/* Behind parse_note_sections, which looked at the table of sections. */
static const char *parse_old_section(struct parser *p)
{
    static const char wanted[] = "__xen_guest";
    const struct file_header *h = &p->header;
    struct section_header names;

    if (!h->shoff || h->shstrndx >= h->shnum) {
        return NULL;
    }
    names = section_header(p, h->shstrndx);
    for (u32 i = 0; in_file(p, names.offset, names.size) && i < h->shnum; i++) {
        struct section_header sh = section_header(p, i);

        if (names.size < sizeof(wanted) || sh.name > names.size - sizeof(wanted) ||
            memcmp(p->image + names.offset + sh.name, wanted, sizeof(wanted))) {
            continue;
        }
        if (!in_file(p, sh.offset, sh.size)) {
            return fail(p, "truncated: section %s at 0x%lx size 0x%lx, file size 0x%zx", wanted,
                        sh.offset, sh.size, p->size);
        }
        parse_pairs(p, sh.offset, sh.size);
        break;
    }
    return NULL;
}

static bool seen(const struct parser *p, u32 type)
{
    return p->notes_seen & NOTE_SEEN(type);
}

/* What the notes say together; defaults for those that are missing stand in `out` already. */
static const char *check_notes(struct parser *p)
{
    struct elf_image *out = p->out;

    if (!out->has_notes) {
        return "no Xen notes";
    }
    if (seen(p, XEN_ELFNOTE_PHYS32_ENTRY) && !seen(p, XEN_ELFNOTE_ENTRY) &&
        !seen(p, XEN_ELFNOTE_VIRT_BASE)) {
        return "a PVH image: it has no PV entry";
    }
    if (seen(p, XEN_ELFNOTE_PADDR_OFFSET) && !seen(p, XEN_ELFNOTE_VIRT_BASE)) {
        return "Xen note PADDR_OFFSET without VIRT_BASE";
    }
    if (out->virt_base & ~PAGE_MASK) {
        return fail(p, "VIRT_BASE 0x%lx is not at a page's start", out->virt_base);
    }
    if (seen(p, XEN_ELFNOTE_XEN_VERSION) && strncmp(out->xen_version, "xen-3.0", 7)) {
        return fail(p, "Xen note XEN_VERSION is '%s', not xen-3.0", out->xen_version);
    }
    if (!seen(p, XEN_ELFNOTE_ENTRY)) {
        out->entry = p->header.entry;
    }
    out->has_hypercall_page = seen(p, XEN_ELFNOTE_HYPERCALL_PAGE);
    out->has_init_p2m = seen(p, XEN_ELFNOTE_INIT_P2M);
    return NULL;
}

/* [start, end), start < end, is all in one of the two parts of the address space that a guest has.
 */
static bool guest_may_map(u64 start, u64 end)
{
    return end <= NOT_CANONICAL_START || start >= GUEST_HIGH_START;
}

static const char *check_segment(struct parser *p, u32 i, const struct elf_segment *s)
{
    if (s->filesz > s->memsz) {
        return fail(p, "segment %u: 0x%lx bytes in the file, 0x%lx in memory", i, s->filesz,
                    s->memsz);
    }
    if (s->offset + s->filesz < s->offset) {
        return fail(p, "segment %u: its offset 0x%lx wraps", i, s->offset);
    }
    if (!in_file(p, s->offset, s->filesz)) {
        return fail(p, "truncated: segment %u ends at 0x%lx, file size 0x%zx", i,
                    s->offset + s->filesz, p->size);
    }
    if (s->vaddr + s->memsz < s->vaddr) {
        return fail(p, "segment %u: its address 0x%lx wraps", i, s->vaddr);
    }
    if (!guest_may_map(s->vaddr, s->vaddr + s->memsz)) {
        return fail(p, "segment %u: 0x%lx-0x%lx is not for guests", i, s->vaddr,
                    s->vaddr + s->memsz);
    }
    if (s->vaddr < p->out->virt_base) {
        return fail(p, "segment %u: 0x%lx is below VIRT_BASE 0x%lx", i, s->vaddr,
                    p->out->virt_base);
    }
    for (u32 k = 0; k < p->out->nr_segments; k++) {
        const struct elf_segment *other = &p->out->segment[k];

        if (s->vaddr < other->vaddr + other->memsz && other->vaddr < s->vaddr + s->memsz) {
            return fail(p, "segment %u overlaps another at 0x%lx", i, other->vaddr);
        }
    }
    return NULL;
}

static const char *add_segment(struct parser *p, u32 i, const struct program_header *ph)
{
    struct elf_image *out = p->out;
    struct elf_segment s = {
        .offset = ph->offset,
        .filesz = ph->filesz,
        .vaddr = ph->paddr - out->paddr_offset + out->virt_base,
        .memsz = ph->memsz,
        .flags = ph->flags & 7,
    };
    const char *error = check_segment(p, i, &s);

    if (error) {
        return error;
    }
    if (out->nr_segments == ELF_MAX_SEGMENTS) {
        return fail(p, "more than %u segments", ELF_MAX_SEGMENTS);
    }
    out->segment[out->nr_segments++] = s;
    out->kstart = MIN(out->kstart, s.vaddr);
    out->kend = MAX(out->kend, s.vaddr + s.memsz);
    return NULL;
}

static const char *parse_segments(struct parser *p)
{
    p->out->kstart = ~0UL;
    for (u32 i = 0; i < p->header.phnum; i++) {
        struct program_header ph = program_header(p, i);
        const char *error = NULL;

        if (ph.type == PT_LOAD && (ph.memsz || ph.filesz)) {
            error = add_segment(p, i, &ph);
        }
        if (error) {
            return error;
        }
    }
    if (!p->out->nr_segments) {
        return "no loadable segment";
    }
    /* All of it is mapped, from the guest's first page on. */
    if (!guest_may_map(p->out->virt_base, p->out->kend)) {
        return fail(p, "0x%lx-0x%lx, VIRT_BASE to the image's end, is not for guests",
                    p->out->virt_base, p->out->kend);
    }
    return NULL;
}

static bool in_image(const struct elf_image *out, u64 va)
{
    return va >= out->kstart && va < out->kend;
}

/* The notes' addresses against what is loaded. */
static const char *check_addresses(struct parser *p)
{
    const struct elf_image *out = p->out;

    if (!in_image(out, out->entry)) {
        return fail(p, "entry 0x%lx is outside the image 0x%lx-0x%lx", out->entry, out->kstart,
                    out->kend);
    }
    if (out->has_hypercall_page &&
        (out->hypercall_page & ~PAGE_MASK || !in_image(out, out->hypercall_page))) {
        return fail(p, "hypercall page 0x%lx is not a page of the image 0x%lx-0x%lx",
                    out->hypercall_page, out->kstart, out->kend);
    }
    if (out->has_init_p2m && (out->init_p2m & ~PAGE_MASK || in_image(out, out->init_p2m) ||
                              !guest_may_map(out->init_p2m, out->init_p2m + 1))) {
        return fail(p, "INIT_P2M 0x%lx is not a free page for guests", out->init_p2m);
    }
    return NULL;
}

static const char *parse(struct parser *p)
{
    const char *error = parse_header(p);

    error = error ? error : check_program_headers(p);
    error = error ? error : parse_note_segments(p);
    if (!error && !p->out->has_notes) {
        error = parse_note_sections(p);
    }
    if (!error && !p->out->has_notes) {
        error = parse_old_section(p);
    }
    error = error ? error : check_notes(p);
    error = error ? error : parse_segments(p);
    return error ? error : check_addresses(p);
}

const char *elf_parse(const void *image, size_t size, struct elf_image *out, char *why,
                      size_t why_size)
{
    struct parser p = {
        .image = image, .size = size, .out = out, .why = why, .why_size = why_size
    };

    memset(out, 0, sizeof(*out));
    return parse(&p);
}
