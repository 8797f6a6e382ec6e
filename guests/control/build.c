/* SPDX-License-Identifier: MIT */
/*
 * build.c - builds a PV64 domain that createdomain made: memory, image, page tables, start_info and
 * vcpu 0, all from outside: its frames are written through windows (foreign_map), a part at a time.
 * The hypervisor checks the tables when the top one is pinned; by then no writable window onto them
 * is left. What fails leaves the domain half-made: the caller destroys it.
 */
#include "domains.h"

#include <tarn/pv_layout.h>

#define PTE_P 1UL
#define PTE_TABLE 0x67UL /* present, writable, user, accessed, dirty */
/* Without the user bit: the hypervisor takes these for the kernel's, or else for global ones. */
#define PTE_RW 0x23UL
#define PTE_RO 0x21UL
#define PTE_ADDRESS 0x000ffffffffff000UL
#define SUPERPAGE 512u
#define RFLAGS_START 0x202u /* interrupts on, and the bit that is always one */

struct build {
    const struct build_args *args;
    struct elf_image elf;
    struct pv_layout l;
    uint64_t nr_pages;
    uint64_t *p2m;
    uint64_t *tables, *extra; /* windows */
    uint64_t shared_frame;
    char *why;
    size_t why_size;
};

static long failed(struct build *b, long rc, const char *step)
{
    fmt_snprintf(b->why, b->why_size, "%s: %s (%s)", step, error_text(rc), error_name(rc));
    return rc;
}

/* ---- memory ---- */

/* Frames for pfns [first, first + n << order); how many extents there were. */
static unsigned int populate(struct build *b, uint64_t first, unsigned int n, unsigned int order)
{
    static uint64_t extents[SUPERPAGE];
    struct xen_memory_reservation r = {
        .domid = b->args->domid,
        .nr_extents = n,
        .extent_order = order,
    };
    long got;

    for (unsigned int i = 0; i < n; i++) {
        extents[i] = first + ((uint64_t)i << order);
    }
    set_xen_guest_handle(r.extent_start, extents);
    got = memory_op(XENMEM_populate_physmap, &r);
    got = MAX(got, 0);
    for (unsigned int i = 0; i < (unsigned int)got; i++) {
        for (uint64_t k = 0; k < 1UL << order; k++) {
            b->p2m[first + ((uint64_t)i << order) + k] = extents[i] + k;
        }
    }
    return (unsigned int)got;
}

/* The hypervisor says which pfn a frame has when it hands it out; where not, it is told. */
static long set_m2p(struct build *b)
{
    for (uint64_t pfn = 0; pfn < b->nr_pages; pfn++) {
        struct mmu_update update = {
            .ptr = b->p2m[pfn] * PAGE_SIZE | MMU_MACHPHYS_UPDATE,
            .val = pfn,
        };
        long rc;

        if (machine_to_phys_mapping[b->p2m[pfn]] == pfn) {
            continue;
        }
        rc = mmu_update(&update, 1, NULL, b->args->domid);
        if (rc) {
            return failed(b, rc, "numbering its memory");
        }
    }
    return 0;
}

static long give_memory(struct build *b)
{
    uint64_t pfn = 0;

    b->p2m = allocate(b->nr_pages * sizeof(*b->p2m));
    if (!b->p2m) {
        return failed(b, -XEN_ENOMEM, "the control domain's table of its memory");
    }
    while (pfn < b->nr_pages) {
        unsigned int n = (unsigned int)MIN(b->nr_pages - pfn, SUPERPAGE), got;

        if (n == SUPERPAGE && populate(b, pfn, 1, 9)) {
            pfn += SUPERPAGE;
            continue;
        }
        got = populate(b, pfn, n, 0);
        if (got != n) {
            fmt_snprintf(b->why, b->why_size,
                         "memory: only %lu of %lu KiB to be had: out of memory (ENOMEM)",
                         (pfn + got) * 4, b->nr_pages * 4);
            return -XEN_ENOMEM;
        }
        pfn += n;
    }
    return set_m2p(b);
}

/* ---- contents ---- */

/* A window onto n pfns side by side. */
static void *window(struct build *b, uint64_t pfn, uint64_t n, long *rc)
{
    return foreign_map(b->args->domid, &b->p2m[pfn], (unsigned int)n, true, rc);
}

/* Copies to the byte at `to` of its memory; zeroes where src is NULL. */
static long put(struct build *b, uint64_t to, const void *src, uint64_t len)
{
    const char *from = src;

    while (len) {
        uint64_t pfn = to / PAGE_SIZE, offset = to % PAGE_SIZE;
        uint64_t n = MIN(DIV_ROUND_UP(offset + len, PAGE_SIZE), FOREIGN_MAX);
        uint64_t bytes = MIN(len, n * PAGE_SIZE - offset);
        long rc;
        char *where = window(b, pfn, n, &rc);

        if (!where) {
            return rc;
        }
        if (from) {
            memcpy(where + offset, from, bytes);
            from += bytes;
        } else {
            memset(where + offset, 0, bytes);
        }
        foreign_unmap(where, (unsigned int)n);
        to += bytes;
        len -= bytes;
    }
    return 0;
}

static long load_segment(struct build *b, const struct elf_segment *s)
{
    uint64_t to = s->vaddr - b->l.base;
    long rc = put(b, to, (const char *)b->args->kernel->data + s->offset, s->filesz);

    return rc ? rc : put(b, to + s->filesz, NULL, s->memsz - s->filesz);
}

static long load(struct build *b)
{
    const struct file *ramdisk = b->args->ramdisk;
    long rc = 0;

    for (unsigned int i = 0; i < b->elf.nr_segments && rc == 0; i++) {
        rc = load_segment(b, &b->elf.segment[i]);
    }
    if (rc) {
        return failed(b, rc, "copying the kernel into its memory");
    }
    if (ramdisk) {
        rc = put(b, b->l.initrd * PAGE_SIZE, ramdisk->data, ramdisk->size);
    }
    if (rc) {
        return failed(b, rc, "copying the ramdisk into its memory");
    }
    rc = put(b, b->l.p2m * PAGE_SIZE, b->p2m, b->nr_pages * sizeof(*b->p2m));
    if (rc) {
        return failed(b, rc, "writing its p2m");
    }
    rc = put(b, b->l.store * PAGE_SIZE, NULL, 2 * PAGE_SIZE);
    return rc ? failed(b, rc, "clearing its rings") : 0;
}

static void fill_start_info(struct build *b, struct start_info *si)
{
    const struct pv_layout *l = &b->l;

    memset(si, 0, PAGE_SIZE);
    str_copy(si->magic, "xen-3.0-x86_64", sizeof(si->magic));
    si->nr_pages = b->nr_pages;
    si->shared_info = b->shared_frame * PAGE_SIZE;
    si->store_mfn = b->p2m[l->store];
    si->store_evtchn = b->args->store_port;
    si->console.domU.mfn = b->p2m[l->console];
    si->console.domU.evtchn = b->args->console_port;
    si->pt_base = l->base + l->tables * PAGE_SIZE;
    si->nr_pt_frames = l->nr_tables;
    si->mfn_list = l->p2m_va;
    if (l->p2m_apart) {
        si->first_p2m_pfn = l->p2m;
        si->nr_p2m_frames = l->extra + l->nr_extra - l->p2m;
    }
    if (b->args->ramdisk) {
        si->flags = l->initrd_apart ? SIF_MOD_START_PFN : 0;
        si->mod_start = l->initrd_va;
        si->mod_len = b->args->ramdisk->size;
    }
    str_copy((char *)si->cmd_line, b->args->config->extra, sizeof(si->cmd_line));
}

static long write_start_info(struct build *b)
{
    long rc;
    struct start_info *si = window(b, b->l.start_info, 1, &rc);

    if (!si) {
        return failed(b, rc, "writing its start_info");
    }
    fill_start_info(b, si);
    foreign_unmap(si, 1);
    return 0;
}

/* A vcpu starts with upcalls masked. */
static long mask_upcalls(struct build *b)
{
    long rc;
    struct shared_info *info = foreign_map(b->args->domid, &b->shared_frame, 1, true, &rc);

    if (!info) {
        return failed(b, rc, "mapping its shared_info");
    }
    for (unsigned int v = 0; v < XEN_LEGACY_MAX_VCPUS; v++) {
        info->vcpu_info[v].evtchn_upcall_mask = 1;
    }
    foreign_unmap(info, 1);
    return 0;
}

static long fill_hypercall_page(struct build *b)
{
    struct xen_domctl op = {
        .cmd = XEN_DOMCTL_hypercall_init,
        .domain = b->args->domid,
    };
    long rc;

    if (!b->elf.has_hypercall_page) {
        return 0;
    }
    op.u.hypercall_init.gmfn = b->p2m[(b->elf.hypercall_page - b->l.base) / PAGE_SIZE];
    rc = domctl(&op);
    return rc ? failed(b, rc, "filling its hypercall page") : 0;
}

/* ---- page tables ---- */

static bool is_table(const struct build *b, uint64_t pfn)
{
    return pfn >= b->l.tables && pfn < b->l.tables + b->l.nr_tables;
}

static uint64_t *table_of(struct build *b, uint64_t pfn)
{
    if (is_table(b, pfn)) {
        return b->tables + (pfn - b->l.tables) * SUPERPAGE;
    }
    return b->extra + (pfn - b->l.extra) * SUPERPAGE;
}

/* The L1 entry for va; missing tables are taken one after the other from *next. */
static uint64_t *l1_entry(struct build *b, uint64_t va, uint64_t *next)
{
    uint64_t *table = b->tables;

    for (unsigned int level = 4; level > 1; level--) {
        uint64_t *entry = &table[(va >> (12 + 9 * (level - 1))) % SUPERPAGE];

        if (!(*entry & PTE_P)) {
            *entry = b->p2m[(*next)++] * PAGE_SIZE | PTE_TABLE;
        }
        table = table_of(b, machine_to_phys_mapping[(*entry & PTE_ADDRESS) / PAGE_SIZE]);
    }
    return &table[(va >> 12) % SUPERPAGE];
}

/* Maps n pfns from `pfn` on at va; tables read-only. Those of the p2m apart are mapped nowhere. */
static void map_range(struct build *b, uint64_t va, uint64_t pfn, uint64_t n, uint64_t *next)
{
    uint64_t *entry = NULL;

    for (uint64_t i = 0; i < n; i++, va += PAGE_SIZE) {
        entry = entry && (va >> 12) % SUPERPAGE ? entry + 1 : l1_entry(b, va, next);
        *entry = b->p2m[pfn + i] * PAGE_SIZE | (is_table(b, pfn + i) ? PTE_RO : PTE_RW);
    }
}

static void fill_tables(struct build *b)
{
    uint64_t next = b->l.tables + 1;

    memset(b->tables, 0, b->l.nr_tables * PAGE_SIZE);
    map_range(b, b->l.base, 0, b->l.end, &next);
    if (b->l.p2m_apart) {
        memset(b->extra, 0, b->l.nr_extra * PAGE_SIZE);
        next = b->l.extra;
        map_range(b, b->l.p2m_va, b->l.p2m, b->l.nr_p2m, &next);
        /* Those that the two regions share are no tables after all. */
        b->l.nr_extra = next - b->l.extra;
    }
}

static long make_tables(struct build *b)
{
    uint64_t nr_extra = b->l.nr_extra;
    long rc;

    b->tables = window(b, b->l.tables, b->l.nr_tables, &rc);
    if (b->tables && nr_extra) {
        b->extra = window(b, b->l.extra, nr_extra, &rc);
    }
    if (!b->tables || (nr_extra && !b->extra)) {
        foreign_unmap(b->tables, (unsigned int)b->l.nr_tables);
        return failed(b, rc, "mapping its page tables");
    }
    fill_tables(b);
    foreign_unmap(b->extra, (unsigned int)nr_extra);
    foreign_unmap(b->tables, (unsigned int)b->l.nr_tables);
    return 0;
}

/* ---- vcpu 0 ---- */

static long pin_tables(struct build *b)
{
    struct mmuext_op op = { .cmd = MMUEXT_PIN_L4_TABLE, .arg1.mfn = b->p2m[b->l.tables] };
    long rc = mmuext_op(&op, 1, NULL, b->args->domid);

    return rc ? failed(b, rc, "having its page tables checked") : 0;
}

static void fill_context(struct build *b, struct vcpu_guest_context *c)
{
    c->flags = VGCF_online | VGCF_IN_KERNEL;
    c->user_regs.rip = b->elf.entry;
    c->user_regs.rsp = b->l.base + (b->l.stack + 1) * PAGE_SIZE;
    c->user_regs.rsi = b->l.base + b->l.start_info * PAGE_SIZE;
    c->user_regs.rflags = RFLAGS_START;
    c->user_regs.cs = FLAT_KERNEL_CS;
    c->user_regs.ss = FLAT_KERNEL_SS;
    c->kernel_ss = FLAT_KERNEL_SS;
    c->kernel_sp = c->user_regs.rsp;
    c->ctrlreg[3] = b->p2m[b->l.tables] << 12;
}

static long start_vcpu0(struct build *b)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_setvcpucontext, .domain = b->args->domid };
    struct vcpu_guest_context *context = allocate(sizeof(*context));
    long rc;

    if (!context) {
        return failed(b, -XEN_ENOMEM, "the context of vcpu 0");
    }
    fill_context(b, context);
    set_xen_guest_handle(op.u.vcpucontext.ctxt, context);
    rc = domctl(&op);
    release(context);
    return rc ? failed(b, rc, "starting vcpu 0") : 0;
}

/* ---- all of it ---- */

static long parse_kernel(struct build *b)
{
    const struct file *kernel = b->args->kernel;
    char *text = allocate(128);
    const char *error;

    if (!text) {
        return failed(b, -XEN_ENOMEM, "reading the kernel");
    }
    error = elf_parse(kernel->data, kernel->size, &b->elf, text, 128);
    if (!error) {
        error = pv_layout_make(&b->elf, b->nr_pages, b->args->ramdisk ? b->args->ramdisk->size : 0,
                               true, &b->l, text, 128);
    }
    if (error) {
        fmt_snprintf(b->why, b->why_size, "kernel %s: %s", kernel->name, error);
    }
    release(text);
    return error ? -XEN_ENOEXEC : 0;
}

static long find_shared_info(struct build *b)
{
    struct xen_domctl op = { .cmd = XEN_DOMCTL_getdomaininfo, .domain = b->args->domid };
    long rc = domctl(&op);

    b->shared_frame = op.u.getdomaininfo.shared_info_frame;
    return rc ? failed(b, rc, "finding its shared_info") : 0;
}

static long (*const steps[])(struct build *b) = {
    parse_kernel, give_memory,      find_shared_info,    load,       mask_upcalls,
    make_tables,  write_start_info, fill_hypercall_page, pin_tables, start_vcpu0,
};

/* NULL: no memory, as why[] says. */
static struct build *build_new(const struct build_args *args, char *why, size_t why_size)
{
    struct build *b = allocate(sizeof(*b));

    if (!b) {
        fmt_snprintf(why, why_size, "the builder: out of memory (ENOMEM)");
        return NULL;
    }
    b->args = args;
    b->nr_pages = args->config->memory_kb / 4;
    b->why = why;
    b->why_size = why_size;
    return b;
}

long domain_build_check(const struct build_args *args, char *why, size_t why_size)
{
    struct build *b = build_new(args, why, why_size);
    long rc = b ? parse_kernel(b) : -XEN_ENOMEM;

    release(b);
    return rc;
}

long domain_build(const struct build_args *args, struct build_result *result, char *why,
                  size_t why_size)
{
    struct build *b = build_new(args, why, why_size);
    long rc = 0;

    if (!b) {
        return -XEN_ENOMEM;
    }
    for (size_t i = 0; i < ARRAY_SIZE(steps) && rc == 0; i++) {
        rc = steps[i](b);
    }
    if (rc == 0) {
        result->console_mfn = b->p2m[b->l.console];
        result->store_mfn = b->p2m[b->l.store];
    }
    release(b->p2m);
    release(b);
    return rc;
}
