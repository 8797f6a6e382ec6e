/* SPDX-License-Identifier: MIT */
/*
 * disk.c - disks by the public blkif protocol. A disk is frames of this domain that are mapped
 * nowhere: the hypervisor copies between them and the client's frames (GNTTABOP_copy), one call a
 * request. That is the one copy that a RAM disk needs anyway. Mapping the client's frames instead
 * would take two more calls and a flush of all our vcpus' TLBs a request, and would pin the
 * client's memory; and what is copied once can't change between the look and the use.
 */
#include "stub.h"
#include "plan.h"

#define CLEAR_BATCH 16U

static struct gnttab_copy copies[THREADS_MAX][PLAN_PIECES];
static struct plan plans[THREADS_MAX];

/* ---- frames: vcpu 0 ---- */

unsigned long disk_room(void)
{
    unsigned long first = frames_unused();

    return start_info->nr_pages > first ? start_info->nr_pages - first : 0;
}

static bool overlaps(const struct disk *disk, unsigned long first, unsigned long frames)
{
    return disk->frames && first < disk->first + disk->frames && disk->first < first + frames;
}

static bool is_free(unsigned long first, unsigned long frames)
{
    for (unsigned int t = 0; t < nr_threads; t++) {
        for (unsigned int i = 0; i < SLOTS; i++) {
            if (overlaps(&devices[t][i].disk, first, frames)) {
                return false;
            }
        }
    }
    return true;
}

/* The lowest place: at the start of the room, or right behind another disk. */
static unsigned long find_frames(unsigned long frames)
{
    unsigned long start = frames_unused(), best = is_free(start, frames) ? start : ~0UL;

    for (unsigned int t = 0; t < nr_threads; t++) {
        for (unsigned int i = 0; i < SLOTS; i++) {
            const struct disk *disk = &devices[t][i].disk;
            unsigned long end = disk->first + disk->frames;

            if (disk->frames && end < best && is_free(end, frames)) {
                best = end;
            }
        }
    }
    return best;
}

static unsigned long frames_end(void)
{
    unsigned long end = 0;

    for (unsigned int t = 0; t < nr_threads; t++) {
        for (unsigned int i = 0; i < SLOTS; i++) {
            const struct disk *disk = &devices[t][i].disk;

            if (disk->frames && disk->first + disk->frames > end) {
                end = disk->first + disk->frames;
            }
        }
    }
    return end;
}

/* A disk is empty at first, whatever was in its frames. */
static bool clear_frames(unsigned long first, unsigned long frames)
{
    struct mmuext_op ops[CLEAR_BATCH];

    for (unsigned long done = 0; done < frames;) {
        unsigned int n = 0;

        for (; n < CLEAR_BATCH && done < frames; n++, done++) {
            ops[n] = (struct mmuext_op){ .cmd = MMUEXT_CLEAR_PAGE,
                                         .arg1.mfn = pfn_to_mfn(first + done) };
        }
        if (mmuext_op(ops, n, NULL, DOMID_SELF)) {
            return false;
        }
    }
    return true;
}

/* ---- what vcpu 0 does with a disk ---- */

static void disk_release(struct device *dev)
{
    dev->disk.frames = 0;
    frames_keep(frames_end());
}

static const char *disk_prepare(struct device *dev)
{
    uint64_t sectors = xenbus_number(dev->folder, "size", 0);
    unsigned long frames, first;
    char mode[8];

    if (!sectors || sectors > (uint64_t)start_info->nr_pages * PAGE_SECTORS) {
        return sectors ? "no memory for so many sectors" : "no size";
    }
    frames = (sectors + PAGE_SECTORS - 1) / PAGE_SECTORS;
    first = find_frames(frames);
    if (first == ~0UL) {
        return "no memory for so many sectors";
    }
    dev->disk = (struct disk){
        .first = first,
        .frames = frames,
        .sectors = sectors,
        .readonly = xenbus_read(dev->folder, "mode", mode, sizeof(mode)) > 0 && mode[0] == 'r',
    };
    if (!frames_keep(frames_end()) || !clear_frames(first, frames)) {
        disk_release(dev);
        return "no memory for so many sectors";
    }
    return NULL;
}

static long disk_publish(const struct device *dev)
{
    long rc = xenbus_write_number(dev->folder, "sectors", dev->disk.sectors);

    rc = rc ? rc : xenbus_write_number(dev->folder, "sector-size", SECTOR_SIZE);
    rc = rc ? rc
            : xenbus_write_number(dev->folder, "info", dev->disk.readonly ? VDISK_READONLY : 0);
    return rc ? rc : xenbus_write_number(dev->folder, "feature-flush-cache", 1);
}

/* ---- what its thread does ---- */

static void disk_attach(struct device *dev)
{
    BACK_RING_INIT(&dev->ring.blk, (struct blkif_sring *)dev->link.page, PAGE_SIZE);
}

static struct gnttab_copy copy_of(const struct device *dev, const struct plan_piece *piece,
                                  bool write)
{
    struct gnttab_copy_ptr theirs = {
        .u.ref = piece->ref,
        .domid = dev->peer,
        .offset = (uint16_t)piece->offset,
    };
    struct gnttab_copy_ptr ours = {
        .u.gmfn = pfn_to_mfn(dev->disk.first + piece->at / PAGE_SIZE),
        .domid = DOMID_SELF,
        .offset = (uint16_t)(piece->at % PAGE_SIZE),
    };

    return (struct gnttab_copy){
        .source = write ? theirs : ours,
        .dest = write ? ours : theirs,
        .len = (uint16_t)piece->size,
        .flags = write ? GNTCOPY_source_gref : GNTCOPY_dest_gref,
        .status = GNTST_general_error,
    };
}

static int disk_copy(const struct device *dev, const struct plan *plan)
{
    struct gnttab_copy *ops = copies[dev->thread];

    for (unsigned int i = 0; i < plan->nr; i++) {
        ops[i] = copy_of(dev, &plan->pieces[i], plan->write);
    }
    if (plan->nr && grant_op(GNTTABOP_copy, ops, plan->nr)) {
        return BLKIF_RSP_ERROR;
    }
    for (unsigned int i = 0; i < plan->nr; i++) {
        if (ops[i].status != GNTST_okay) {
            return BLKIF_RSP_ERROR;
        }
    }
    return BLKIF_RSP_OKAY;
}

static int disk_do(const struct device *dev, const struct blkif_request *q)
{
    struct plan *plan = &plans[dev->thread];
    int status = plan_make(q, dev->disk.sectors, dev->disk.readonly, plan);

    return status == BLKIF_RSP_OKAY ? disk_copy(dev, plan) : status;
}

static void push(struct device *dev)
{
    bool notify;

    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&dev->ring.blk, notify);
    if (notify) {
        device_notify(dev);
    }
}

static void answer(struct device *dev, const struct blkif_request *q, int status)
{
    struct blkif_response *r = RING_GET_RESPONSE(&dev->ring.blk, dev->ring.blk.rsp_prod_pvt);

    r->id = q->id;
    r->operation = q->operation;
    r->status = (int16_t)status;
    dev->ring.blk.rsp_prod_pvt++;
    dev->requests++;
    dev->errors += status != BLKIF_RSP_OKAY;
}

/* Requests that came by one event are answered by one, but where each takes its time. */
static void disk_serve(struct device *dev)
{
    struct blkif_back_ring *ring = &dev->ring.blk;
    RING_IDX prod = __atomic_load_n(&ring->sring->req_prod, __ATOMIC_ACQUIRE);
    uint64_t since = clock_now();
    int more;

    if (RING_REQUEST_PROD_OVERFLOW(ring, prod)) {
        dev->broken = true;
        return;
    }
    while (ring->req_cons != prod && device_goes_on(dev, since)) {
        uint64_t end = cost_begin(dev);
        struct blkif_request q;
        int status;

        RING_COPY_REQUEST(ring, ring->req_cons, &q);
        ring->req_cons++;
        status = disk_do(dev, &q);
        cost_end(end);
        answer(dev, &q, status);
        if (end) {
            push(dev);
        }
    }
    push(dev);
    RING_FINAL_CHECK_FOR_REQUESTS(ring, more);
    if (more) {
        dev->kicked = true;
    }
}

const struct device_kind disk_kind = {
    .type = "vbd",
    .prepare = disk_prepare,
    .release = disk_release,
    .publish = disk_publish,
    .attach = disk_attach,
    .serve = disk_serve,
};
