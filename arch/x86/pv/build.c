/* SPDX-License-Identifier: MIT */
/*
 * The builder of boot-time domains: memory, image, start of day, laid out by pv_layout.c. The
 * tables are checked by frame_type.c like a guest's.
 */
#include <tarn/console.h>
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/page.h>
#include <tarn/pv_layout.h>
#include <x86/frames.h>
#include <x86/pv.h>
#include <xen/event_channel.h>

#define CONSOLE_INFO_OFFSET 0x490 /* in dom0's start_info page, behind struct start_info */
#define CONSOLE_INFO_SIZE 0x28

/* Flags of the tables and entries that we write; frame_type.c adds what guests' entries get. */
#define BUILD_TABLE (PTE_P | PTE_W | PTE_U | PTE_A | PTE_D)
#define BUILD_RW (PTE_P | PTE_W | PTE_A | PTE_D)
#define BUILD_RO (PTE_P | PTE_A)

struct build {
    struct domain *d;
    const struct build_image *img;
    struct elf_image elf;
    u64 nr_pages;
    u64 *mfns; /* of the p2m's pages, which hold all the others */
    u32 mfns_order;
    struct pv_layout l;
    mfn_t l4;
};

/* p2m entry of a pfn: the p2m's pages are allocated first, and hold it from the beginning. */
static u64 *p2m_slot(struct build *b, u64 pfn)
{
    u64 *page = mfn_to_virt(MFN(b->mfns[pfn / 512]));

    return &page[pfn % 512];
}

static void *pfn_virt(struct build *b, u64 pfn)
{
    return mfn_to_virt(MFN(*p2m_slot(b, pfn)));
}

static u64 va_to_pfn(const struct build *b, u64 va)
{
    return (va - b->l.base) >> PAGE_SHIFT;
}

/* Copy to the guest's virtual address. */
static void put(struct build *b, u64 va, const void *src, u64 len)
{
    while (len) {
        u64 off = va % PAGE_SIZE, n = MIN(len, PAGE_SIZE - off);

        memcpy((u8 *)pfn_virt(b, va_to_pfn(b, va)) + off, src, n);
        va += n;
        src = (const u8 *)src + n;
        len -= n;
    }
}

/* ---- Memory ---- */

static u32 order_for(u64 pages)
{
    u32 order = BUDDY_ORDERS - 1;

    while ((1UL << order) > pages) {
        order--;
    }
    return order;
}

/* Blocks as large as they come; `take` gets each frame in pfn order. */
static bool alloc_memory(struct build *b, u64 pages, void (*take)(struct build *b, u64 i, u64 mfn))
{
    u64 i = 0;

    while (i < pages) {
        u32 order = order_for(pages - i);
        mfn_t mfn = domain_alloc_frames(b->d, order);

        while (mfn.n == INVALID_MFN.n && order) {
            mfn = domain_alloc_frames(b->d, --order);
        }
        if (mfn.n == INVALID_MFN.n) {
            return false;
        }
        for (u64 n = 0; n < 1UL << order; n++) {
            take(b, i++, mfn.n + n);
        }
    }
    return true;
}

static void take_p2m_page(struct build *b, u64 i, u64 mfn)
{
    b->mfns[i] = mfn;
}

/* pfns are given in order, but those of the p2m itself are known already. */
static void take_page(struct build *b, u64 i, u64 mfn)
{
    u64 pfn = i < b->l.p2m ? i : i + b->l.nr_p2m;

    *p2m_slot(b, pfn) = mfn;
    m2p[mfn] = pfn;
}

static const char *give_memory(struct build *b)
{
    while (PAGE_SIZE << b->mfns_order < b->l.nr_p2m * 8) {
        b->mfns_order++;
    }
    b->mfns = pages_alloc(b->mfns_order);
    if (!b->mfns) {
        return "no memory for the builder";
    }
    if (!alloc_memory(b, b->l.nr_p2m, take_p2m_page)) {
        return "not enough free memory";
    }
    for (u64 i = 0; i < b->l.nr_p2m; i++) {
        *p2m_slot(b, b->l.p2m + i) = b->mfns[i];
        m2p[b->mfns[i]] = b->l.p2m + i;
    }
    return alloc_memory(b, b->nr_pages - b->l.nr_p2m, take_page) ? NULL : "not enough free memory";
}

/* ---- Page tables ---- */

/* The entry for va at `level`; missing tables are taken one after the other from *next. */
static u64 *pt_entry(struct build *b, u64 va, u32 level, u64 *next)
{
    u64 *t = mfn_to_virt(b->l4);

    for (u32 l = 4; l > level; l--) {
        u64 *e = &t[pt_index(va, l)];

        if (!(*e & PTE_P)) {
            *e = mfn_to_paddr(MFN(*p2m_slot(b, (*next)++))) | BUILD_TABLE;
        }
        t = phys_to_virt(*e & PTE_ADDR);
    }
    return &t[pt_index(va, level)];
}

static bool is_table_pfn(const struct build *b, u64 pfn)
{
    return pfn >= b->l.tables && pfn < b->l.tables + b->l.nr_tables;
}

static void map_initial_region(struct build *b)
{
    u64 next = b->l.tables + 1;
    u64 *e = NULL;

    b->l4 = MFN(*p2m_slot(b, b->l.tables));
    for (u64 pfn = 0; pfn < b->l.end; pfn++) {
        u64 va = b->l.base + (pfn << PAGE_SHIFT);

        e = e && pt_index(va, 1) ? e + 1 : pt_entry(b, va, 1, &next);
        *e = mfn_to_paddr(MFN(*p2m_slot(b, pfn))) | (is_table_pfn(b, pfn) ? BUILD_RO : BUILD_RW);
    }
    ASSERT(next == b->l.tables + b->l.nr_tables);
}

static void map_p2m(struct build *b)
{
    u64 next = b->l.extra;

    for (u64 i = 0; i < b->l.nr_p2m; i++) {
        u64 *e = pt_entry(b, b->l.p2m_va + (i << PAGE_SHIFT), 1, &next);

        *e = mfn_to_paddr(MFN(*p2m_slot(b, b->l.p2m + i))) | BUILD_RW;
    }
    b->l.nr_extra = next - b->l.extra; /* without those that the two regions share */
}

/* ---- Contents ---- */

static void load_image(struct build *b)
{
    for (u32 i = 0; i < b->elf.nr_segments; i++) {
        const struct elf_segment *s = &b->elf.segment[i];

        put(b, s->vaddr, (const u8 *)b->img->kernel + s->offset, s->filesz);
    }
    put(b, b->l.base + (b->l.initrd << PAGE_SHIFT), b->img->initrd, b->img->initrd_size);
}

/* push rcx; push r11; mov eax, nr; syscall; pop r11; pop rcx; ret. iret is jumped to, and doesn't
 * return. */
void hypercall_page_fill(void *where)
{
    static const u8 stub[] = { 0x51, 0x41, 0x53, 0xb8, 0,    0,    0,
                               0,    0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3 };
    static const u8 iret_stub[] = { 0x51, 0x41, 0x53, 0x50, 0xb8, __HYPERVISOR_iret,
                                    0,    0,    0,    0x0f, 0x05 };
    u8 *page = where;

    memset(page, 0xcc, PAGE_SIZE);
    for (u32 nr = 0; nr < PAGE_SIZE / 32; nr++) {
        if (nr == __HYPERVISOR_iret) {
            memcpy(page + nr * 32, iret_stub, sizeof(iret_stub));
        } else {
            memcpy(page + nr * 32, stub, sizeof(stub));
            page[nr * 32 + 4] = (u8)nr;
        }
    }
}

static void fill_start_info(struct build *b)
{
    struct start_info *si = pfn_virt(b, b->l.start_info);

    str_copy(si->magic,
             b->d->privileged && b->elf.pae_mode[0] == 'y' ? "xen-3.0-x86_64p" : "xen-3.0-x86_64",
             sizeof(si->magic));
    si->nr_pages = b->nr_pages;
    si->shared_info = mfn_to_paddr(b->d->shared_mfn);
    si->pt_base = b->l.base + (b->l.tables << PAGE_SHIFT);
    si->nr_pt_frames = b->l.nr_tables;
    si->mfn_list = b->l.p2m_va;
    si->first_p2m_pfn = b->l.p2m_apart ? b->l.p2m : b->l.end;
    si->nr_p2m_frames = b->l.p2m_apart ? b->l.extra + b->l.nr_extra - b->l.p2m : 0;
    if (b->img->initrd_size) {
        si->flags |= b->l.initrd_apart ? SIF_MOD_START_PFN : 0;
        si->mod_start = b->l.initrd_va;
        si->mod_len = b->img->initrd_size;
    }
    if (b->d->privileged) {
        si->flags |= SIF_PRIVILEGED | SIF_INITDOMAIN |
                     3u << 8; /* power management bits as on Xen */
        si->console.dom0.info_off = CONSOLE_INFO_OFFSET;
        si->console.dom0.info_size = CONSOLE_INFO_SIZE;
        ((struct dom0_vga_console_info *)((u8 *)si + CONSOLE_INFO_OFFSET))->video_type =
            XEN_VGATYPE_TEXT_MODE_3;
    } else {
        si->store_mfn = *p2m_slot(b, b->l.store);
        si->console.domU.mfn = *p2m_slot(b, b->l.console);
    }
    str_copy((char *)si->cmd_line, b->img->cmdline, sizeof(si->cmd_line));
}

static const char *start_vcpu0(struct build *b)
{
    struct vcpu *v = b->d->vcpu[0];
    struct cpu_user_regs *r = &v->arch.regs;
    int rc;

    mmu_lock(b->d);
    b->d->arch.validation_budget = (u32)(b->l.nr_tables + b->l.nr_extra);
    rc = frame_get_and_type(b->l4, FT_L4, b->d);
    if (rc == 0) {
        /* As on Xen the first table is pinned: a guest that moves to others unpins it. */
        atomic_fetch_or(&mfn_to_frame(b->l4)->type, FT_PINNED);
        rc = frame_get_and_type(b->l4, FT_L4, b->d);
    }
    mmu_unlock(b->d);
    if (rc) {
        return "the page tables made for it are not valid";
    }
    v->arch.guest_l4 = b->l4;
    v->arch.cr3 = mfn_to_paddr(b->l4);
    v->initialised = true;
    r->rip = b->elf.entry;
    r->rsp = b->l.base + ((b->l.stack + 1) << PAGE_SHIFT);
    r->rsi = b->l.base + (b->l.start_info << PAGE_SHIFT);
    r->cs = SEL_FLAT_CS64;
    r->ss = SEL_FLAT_SS;
    r->rflags = X86_IF | X86_ALWAYS;
    return NULL;
}

/* What domain_build returns may be here; boot only, one at a time. */
static char reason[96];

static const char *build(struct build *b)
{
    const char *why = elf_parse(b->img->kernel, b->img->kernel_size, &b->elf, reason,
                                sizeof(reason));

    why = why ? why
              : pv_layout_make(&b->elf, b->nr_pages, b->img->initrd_size, !b->d->privileged, &b->l,
                               reason, sizeof(reason));
    why = why ? why : give_memory(b);
    if (why) {
        return why;
    }
    map_initial_region(b);
    if (b->l.p2m_apart) {
        map_p2m(b);
    }
    load_image(b);
    if (b->elf.has_hypercall_page) {
        hypercall_page_fill(pfn_virt(b, va_to_pfn(b, b->elf.hypercall_page)));
    }
    fill_start_info(b);
    return start_vcpu0(b);
}

const char *domain_build(struct domain *d, const struct build_image *img, u64 memory)
{
    struct build *b = page_alloc();
    const char *why;

    _Static_assert(sizeof(*b) <= PAGE_SIZE, "page_alloc");
    if (!b) {
        return "no memory";
    }
    b->d = d;
    b->img = img;
    b->nr_pages = memory >> PAGE_SHIFT;
    d->max_pages = (u32)b->nr_pages;
    why = build(b);
    pages_free(b->mfns, b->mfns_order);
    page_free(b);
    return why;
}
