/* SPDX-License-Identifier: MIT */
/*
 * back.c - answers: takes as many requests at a time as there are, maps all their pages in one call
 * and unmaps them in one, or copies them, and tells the sums. When the front is gone it lets go of
 * what it has of it.
 */
#include "echo.h"

#define BATCH 16U
#define PATIENCE 300U /* such looks without a word */

static uint64_t ring_window[ECHO_WORDS] __attribute__((aligned(PAGE_SIZE)));
static uint64_t windows[BATCH][ECHO_WORDS] __attribute__((aligned(PAGE_SIZE)));
static uint64_t kept[ECHO_WORDS] __attribute__((aligned(PAGE_SIZE)));
static uint64_t copied[ECHO_WORDS] __attribute__((aligned(PAGE_SIZE)));

static struct job {
    struct echo_request request;
    struct echo_response response;
} jobs[BATCH];
static struct gnttab_map_grant_ref maps[BATCH];
static struct gnttab_unmap_grant_ref unmaps[BATCH];

static struct ring_link link;
static struct echo_back_ring ring;
static unsigned long answered, batches, die;
static bool parted, keeping;
static grant_handle_t kept_handle;
static uint64_t kept_sum;

/* ---- the work ---- */

static void work(struct job *job, uint64_t *words, size_t n)
{
    job->response.sum = echo_sum(words, n);
    for (size_t i = 0; i < n && (job->request.flags & ECHO_CHANGE); i++) {
        words[i] = ~words[i];
    }
}

/* With all of a batch mapped. */
static void die_when_due(unsigned int n)
{
    if (die && answered + n > die) {
        printf("ring: the back dies\n");
        guest_shutdown(SHUTDOWN_crash);
    }
}

static void work_copied(struct job *job)
{
    grant_ref_t ref = job->request.ref;
    long rc = grant_copy_in(copied, link.peer, ref, 0, PAGE_SIZE);

    if (!rc) {
        work(job, copied, ECHO_WORDS);
    }
    if (!rc && (job->request.flags & ECHO_CHANGE)) {
        rc = grant_copy_out(link.peer, ref, 0, copied, PAGE_SIZE);
    }
    job->response.status = (int32_t)rc;
}

/* All pages of these requests, by one call, and gone again by another. */
static void work_mapped(unsigned int n)
{
    unsigned int nr_maps = 0, nr_unmaps = 0, at = 0;

    for (unsigned int i = 0; i < n; i++) {
        const struct echo_request *r = &jobs[i].request;

        if (r->op == ECHO_MAP) {
            maps[nr_maps++] = (struct gnttab_map_grant_ref){
                .host_addr = ARG(windows[i]),
                .flags = GNTMAP_host_map | (r->flags & ECHO_CHANGE ? 0 : GNTMAP_readonly),
                .ref = r->ref,
                .dom = link.peer,
                .status = GNTST_general_error,
            };
        }
    }
    if (!nr_maps) {
        return;
    }
    grant_op(GNTTABOP_map_grant_ref, maps, nr_maps);
    for (unsigned int i = 0; i < n; i++) {
        if (jobs[i].request.op != ECHO_MAP) {
            continue;
        }
        jobs[i].response.status = maps[at].status;
        if (maps[at].status == GNTST_okay) {
            work(&jobs[i], windows[i], ECHO_WORDS);
            unmaps[nr_unmaps++] = (struct gnttab_unmap_grant_ref){
                .host_addr = maps[at].host_addr,
                .handle = maps[at].handle,
            };
        }
        at++;
    }
    die_when_due(n);
    grant_op(GNTTABOP_unmap_grant_ref, unmaps, nr_unmaps);
}

static void keep(struct job *job)
{
    long rc = grant_map(link.peer, job->request.ref, kept, GNTMAP_readonly, &kept_handle);

    job->response.status = (int32_t)rc;
    keeping = rc == 0;
    kept_sum = keeping ? echo_sum(kept, ECHO_WORDS) : 0;
}

/* What was kept must be as it was, even if the front is long dead. */
static const char *keep_end(void)
{
    bool same = !keeping || echo_sum(kept, ECHO_WORDS) == kept_sum;

    if (keeping && (grant_unmap(kept, kept_handle) || grant_put_back(kept))) {
        return "the page that was kept can't be unmapped";
    }
    keeping = false;
    return same ? NULL : "the page that was kept has changed";
}

/* ---- requests and answers ---- */

static unsigned int take_requests(void)
{
    RING_IDX prod = ring.sring->req_prod;
    unsigned int n = 0;

    xen_rmb();
    if (RING_REQUEST_PROD_OVERFLOW(&ring, prod)) {
        return 0;
    }
    while (ring.req_cons != prod && n < BATCH) {
        RING_COPY_REQUEST(&ring, ring.req_cons, &jobs[n].request);
        ring.req_cons++;
        jobs[n].response = (struct echo_response){ .id = jobs[n].request.id };
        n++;
    }
    return n;
}

static void do_one(struct job *job)
{
    switch (job->request.op) {
    case ECHO_INLINE:
        work(job, job->request.data, 4);
        break;
    case ECHO_MAP:
        break;
    case ECHO_COPY:
        work_copied(job);
        break;
    case ECHO_KEEP:
        keep(job);
        break;
    case ECHO_BYE:
        job->response.status = keep_end() ? -XEN_EIO : 0;
        parted = true;
        break;
    default:
        job->response.status = -XEN_ENOSYS;
    }
}

static void answer(unsigned int n)
{
    bool notify;

    for (unsigned int i = 0; i < n; i++) {
        *RING_GET_RESPONSE(&ring, ring.rsp_prod_pvt) = jobs[i].response;
        ring.rsp_prod_pvt++;
    }
    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&ring, notify);
    if (notify) {
        ring_notify(&link);
    }
}

/* All that is there now, and all that comes meanwhile. */
static void serve(void)
{
    int more;

    do {
        unsigned int n = take_requests();

        if (n && !answered) {
            printf("ring: back, domain %u, ref %u port %u\n", link.peer, link.ref, link.port);
        }
        work_mapped(n);
        for (unsigned int i = 0; i < n; i++) {
            do_one(&jobs[i]);
        }
        die_when_due(n);
        answer(n);
        answered += n;
        batches += n != 0;
        RING_FINAL_CHECK_FOR_REQUESTS(&ring, more);
    } while (more && !parted);
}

const char *back_run(domid_t peer, const struct ring_place *place)
{
    unsigned int silent = 0;
    const char *why;
    long rc = ring_join(&link, place, peer, ring_window, clock_now() + 30 * SEC);

    if (rc) {
        printf("ring: join domain %u: %ld\n", peer, rc);
        return "no front";
    }
    die = arg_number("back-dies", 0);
    for (unsigned int i = 0; i < BATCH; i++) {
        grant_make_room(windows[i]);
    }
    BACK_RING_INIT(&ring, (struct echo_sring *)link.page, PAGE_SIZE);
    while (!parted && silent < PATIENCE) {
        if (ring_wait(&link, clock_now() + LOOK_EVERY)) {
            silent = 0;
            serve();
        } else if (!ring_joined(&link)) {
            break;
        } else {
            silent++;
        }
    }
    why = keep_end();
    if (ring_leave(&link)) {
        return "the ring can't be unmapped";
    }
    printf("ring: %lu answered in %lu batches%s\n", answered, batches,
           parted              ? ""
           : silent < PATIENCE ? ", the front is gone"
                               : ", the front is silent");
    return why ? why : silent < PATIENCE ? NULL : "the front went silent";
}
