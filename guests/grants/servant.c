/* SPDX-License-Identifier: MIT */
/*
 * servant.c - the rings between the driver and its servants: the driver is the front of each, and
 * asks one thing at a time.
 */
#include "grants.h"

#define PATIENCE (20 * SEC)
#define LOOK_EVERY (100 * MS)

static uint64_t ring_pages[MAX_DOMAINS][NR_WORDS] __attribute__((aligned(PAGE_SIZE)));
static struct ring_link links[MAX_DOMAINS];
static struct acts_front_ring fronts[MAX_DOMAINS];

/* In the store a ring is known by its servant; without one by the order of the driver's peers. */
static struct ring_place place_of(unsigned int number, domid_t servant, char *name, size_t size)
{
    fmt_snprintf(name, size, "grants-%u", servant);
    return (struct ring_place){
        .name = name,
        .ref = GNTTAB_NR_RESERVED_ENTRIES - 1 + number,
        .port = number,
    };
}

/* ---- the driver's side ---- */

const char *servants_meet(const domid_t *domids, unsigned int n)
{
    uint64_t deadline = clock_now() + PATIENCE;
    char name[16];

    for (unsigned int d = 1; d < n; d++) {
        struct ring_place place = place_of(d, domids[d], name, sizeof(name));

        XEN_FRONT_RING_INIT(&fronts[d], (struct acts_sring *)(void *)ring_pages[d], PAGE_SIZE);
        if (ring_offer(&links[d], &place, domids[d], ring_pages[d])) {
            return "no ring for a servant";
        }
    }
    for (unsigned int d = 1; d < n; d++) {
        while (!ring_joined(&links[d])) {
            if (clock_now() > deadline) {
                return "a servant does not come";
            }
            clock_sleep(MS);
        }
    }
    return NULL;
}

bool servant_there(unsigned int d)
{
    return ring_joined(&links[d]);
}

bool servant_forget(unsigned int d)
{
    return ring_withdraw(&links[d], clock_now() + PATIENCE);
}

static bool wait_result(unsigned int d)
{
    uint64_t deadline = clock_now() + PATIENCE;
    int more;

    RING_FINAL_CHECK_FOR_RESPONSES(&fronts[d], more);
    while (!more) {
        if (!ring_wait(&links[d], clock_now() + LOOK_EVERY) &&
            (clock_now() > deadline || !ring_joined(&links[d]))) {
            return false;
        }
        RING_FINAL_CHECK_FOR_RESPONSES(&fronts[d], more);
    }
    return true;
}

bool servant_ask(unsigned int d, const struct act *act, struct result *result)
{
    struct acts_front_ring *front = &fronts[d];
    int notify;

    *RING_GET_REQUEST(front, front->req_prod_pvt) = *act;
    front->req_prod_pvt++;
    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(front, notify);
    if (notify) {
        ring_notify(&links[d]);
    }
    if (act->what == ACT_DIE) {
        return true;
    }
    if (!wait_result(d)) {
        return false;
    }
    RING_COPY_RESPONSE(front, front->rsp_cons, result);
    front->rsp_cons++;
    return true;
}

/* ---- a servant ---- */

/* What is asked, one after the other; whether that was the last. */
static bool serve(struct acts_back_ring *back, const struct ring_link *link)
{
    bool last = false;
    int more, notify;

    RING_FINAL_CHECK_FOR_REQUESTS(back, more);
    while (more && !last) {
        struct act act;
        struct result result;

        RING_COPY_REQUEST(back, back->req_cons, &act);
        back->req_cons++;
        last = act.what == ACT_BYE;
        act_here(&act, &result);
        *RING_GET_RESPONSE(back, back->rsp_prod_pvt) = result;
        back->rsp_prod_pvt++;
        RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(back, notify);
        if (notify) {
            ring_notify(link);
        }
        RING_FINAL_CHECK_FOR_REQUESTS(back, more);
    }
    return last;
}

const char *servant_run(domid_t driver)
{
    struct ring_link link;
    struct acts_back_ring back;
    char name[16];
    domid_t self = domid_self();
    struct ring_place place = place_of((unsigned int)arg_number("number", 1), self, name,
                                       sizeof(name));
    bool last = false;

    if (actor_begin(self, 0) < 0) {
        return "no grant table";
    }
    if (ring_join(&link, &place, driver, ring_pages[0], clock_now() + PATIENCE)) {
        return "no driver";
    }
    printf("grants: servant of domain %u\n", driver);
    BACK_RING_INIT(&back, (struct acts_sring *)link.page, PAGE_SIZE);
    while (!last) {
        if (ring_wait(&link, clock_now() + LOOK_EVERY)) {
            last = serve(&back, &link);
        } else if (!ring_joined(&link)) {
            break;
        }
    }
    return ring_leave(&link) ? "the ring can't be unmapped" : NULL;
}
