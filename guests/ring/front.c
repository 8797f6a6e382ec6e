/* SPDX-License-Identifier: MIT */
/*
 * front.c - asks: keeps `depth` requests under way, each with a page of its own that is granted
 * while the back has the request, and checks every answer and what became of the page. Then it must
 * be able to take the page back: nothing of it is mapped any more.
 */
#include "echo.h"

#define DEPTH_MAX 32U

static uint64_t ring_page[ECHO_WORDS] __attribute__((aligned(PAGE_SIZE)));
static uint64_t pages[DEPTH_MAX][ECHO_WORDS] __attribute__((aligned(PAGE_SIZE)));
static uint64_t kept_page[ECHO_WORDS] __attribute__((aligned(PAGE_SIZE)));

/* A request under way, in the order in which they were made. */
static struct slot {
    uint64_t seed, sum;
    grant_ref_t ref;
    bool change;
} slots[DEPTH_MAX];

static struct ring_link link;
static struct echo_front_ring ring;
static unsigned long rounds, depth, die, asked, answered, notified;
static unsigned int op;
static long kept_ref = -1;

static unsigned int op_by_name(void)
{
    static const char *const names[] = { "inline", "map", "copy" };
    char name[8] = "map";

    arg_string("data", name, sizeof(name));
    for (unsigned int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    return ECHO_MAP;
}

static void fill(uint64_t *words, size_t n, uint64_t seed)
{
    for (size_t i = 0; i < n; i++) {
        words[i] = random_next(&seed);
    }
}

/* ---- requests ---- */

static struct echo_request *next_request(unsigned int what)
{
    struct echo_request *r = RING_GET_REQUEST(&ring, ring.req_prod_pvt);

    ring.req_prod_pvt++;
    *r = (struct echo_request){ .id = asked++, .op = what };
    return r;
}

/* Every other page is changed by the back; the others it can only read. */
static void ask(void)
{
    struct slot *s = &slots[asked % depth];
    uint64_t *page = pages[asked % depth];

    s->seed = (asked + 1) * 0x9e3779b97f4a7c15;
    s->change = op != ECHO_INLINE && asked % 2;
    if (op == ECHO_INLINE) {
        struct echo_request *r = next_request(op);

        fill(r->data, 4, s->seed);
        s->sum = echo_sum(r->data, 4);
    } else {
        struct echo_request *r = next_request(op);

        fill(page, ECHO_WORDS, s->seed);
        s->sum = echo_sum(page, ECHO_WORDS);
        grant_access(s->ref, link.peer, virt_to_mfn(page), s->change ? 0 : GTF_readonly);
        r->ref = s->ref;
        r->flags = s->change ? ECHO_CHANGE : 0;
    }
}

static void push(void)
{
    bool notify;

    RING_PUSH_REQUESTS_AND_CHECK_NOTIFY(&ring, notify);
    if (notify) {
        notified++;
        ring_notify(&link);
    }
}

/* ---- answers ---- */

static const char *check_page(const struct slot *s, const uint64_t *page)
{
    uint64_t seed = s->seed;

    for (size_t i = 0; i < ECHO_WORDS; i++) {
        uint64_t want = random_next(&seed);

        if (page[i] != (s->change ? ~want : want)) {
            return "a page is not what it should have become";
        }
    }
    return grant_revoke(s->ref) ? NULL : "a page is still mapped behind the answer";
}

static const char *check(const struct echo_response *r)
{
    const struct slot *s = &slots[answered % depth];

    if (r->status) {
        printf("ring: request %lu: status %d\n", answered, r->status);
        return "the back could not do it";
    }
    if (r->id != answered || r->sum != s->sum) {
        return "a wrong answer";
    }
    return op == ECHO_INLINE ? NULL : check_page(s, pages[answered % depth]);
}

static const char *take_answers(void)
{
    const char *why = NULL;
    RING_IDX prod = ring.sring->rsp_prod;

    xen_rmb();
    if (RING_RESPONSE_PROD_OVERFLOW(&ring, prod)) {
        return "more answers than requests";
    }
    while (ring.rsp_cons != prod && !why) {
        struct echo_response r;

        RING_COPY_RESPONSE(&ring, ring.rsp_cons, &r);
        ring.rsp_cons++;
        why = check(&r);
        answered++;
    }
    return why;
}

/* False: the back is gone or silent. */
static bool wait_answers(void)
{
    uint64_t deadline = clock_now() + STALL;
    int more;

    RING_FINAL_CHECK_FOR_RESPONSES(&ring, more);
    while (!more && !ring_wait(&link, clock_now() + LOOK_EVERY)) {
        if (clock_now() >= deadline || !ring_joined(&link)) {
            return false;
        }
    }
    return true;
}

/* ---- the whole ---- */

static const char *keep(void)
{
    struct echo_request *r;
    long ref = grant_page(link.peer, virt_to_mfn(kept_page), GTF_readonly);

    if (ref < 0) {
        return "no reference for the page that is kept";
    }
    kept_ref = ref;
    fill(kept_page, ECHO_WORDS, 1);
    r = next_request(ECHO_KEEP);
    r->ref = (grant_ref_t)ref;
    push();
    return NULL;
}

/* A single request of another kind, and its answer. */
static const char *finish_one(void)
{
    while (answered < asked) {
        RING_IDX prod = ring.sring->rsp_prod;

        xen_rmb();
        if (ring.rsp_cons != prod) {
            const struct echo_response *r = RING_GET_RESPONSE(&ring, ring.rsp_cons);

            ring.rsp_cons++;
            answered++;
            if (r->status) {
                return "the back could not do that";
            }
        } else if (!wait_answers()) {
            return "the back went silent";
        }
    }
    return NULL;
}

static const char *ask_all(void)
{
    unsigned long last = asked + rounds;

    while (answered < last) {
        const char *why = take_answers();

        if (why) {
            return why;
        }
        while (asked < last && asked - answered < depth && !RING_FULL(&ring)) {
            ask();
        }
        push();
        if (die && answered >= die) {
            printf("ring: the front dies, %lu requests under way\n", asked - answered);
            guest_shutdown(SHUTDOWN_crash);
        }
        if (answered < last && !wait_answers()) {
            return NULL;
        }
    }
    return NULL;
}

/* Once the back is dead and destroyed, all is ours again. */
static const char *bereft(void)
{
    unsigned long ended = 0;
    uint64_t deadline = clock_now() + 20 * SEC;

    for (unsigned long i = 0; i < depth && op != ECHO_INLINE; i++) {
        while (!grant_revoke(slots[i].ref) && clock_now() < deadline) {
            clock_sleep(MS);
        }
        ended += !grant_entry(slots[i].ref)->flags;
    }
    if (op != ECHO_INLINE && ended != depth) {
        return "pages stay mapped behind the back's death";
    }
    if ((kept_ref >= 0 && !grant_end((grant_ref_t)kept_ref)) || !ring_withdraw(&link, deadline)) {
        return "a page stays mapped behind the back's death";
    }
    printf("ring: the back is gone, %lu answered, all pages are ours\n", answered);
    return NULL;
}

static const char *part(void)
{
    const char *why;

    next_request(ECHO_BYE);
    push();
    why = finish_one();
    if (!why && kept_ref >= 0 && !grant_end((grant_ref_t)kept_ref)) {
        why = "the page is still kept";
    }
    return why ? why : ring_withdraw(&link, clock_now() + STALL) ? NULL : "the ring stays mapped";
}

static const char *begin(domid_t peer, const struct ring_place *place)
{
    long rc;

    XEN_FRONT_RING_INIT(&ring, (struct echo_sring *)(void *)ring_page, PAGE_SIZE);
    rc = ring_offer(&link, place, peer, ring_page);
    if (rc) {
        printf("ring: offer: %ld\n", rc);
        return "no ring can be offered";
    }
    for (unsigned long i = 0; i < depth; i++) {
        rc = grant_take();
        if (rc < 0) {
            return "no reference for a page";
        }
        slots[i].ref = (grant_ref_t)rc;
    }
    printf("ring: front, domain %u, ref %u port %u\n", peer, link.ref, link.port);
    for (uint64_t deadline = clock_now() + 30 * SEC; !ring_joined(&link); clock_sleep(MS)) {
        if (clock_now() >= deadline) {
            return "nobody joins";
        }
    }
    return arg_flag("keep") ? keep() : NULL;
}

const char *front_run(domid_t peer, const struct ring_place *place)
{
    const char *why;
    unsigned long lost;
    uint64_t start, took;

    rounds = arg_number("rounds", 10000);
    die = arg_number("front-dies", 0);
    depth = arg_number("depth", 8);
    depth = depth < 1 ? 1 : depth > DEPTH_MAX ? DEPTH_MAX : depth;
    op = op_by_name();
    why = begin(peer, place);
    why = why ? why : finish_one();
    if (why) {
        return why;
    }
    start = clock_now();
    why = ask_all();
    took = clock_now() - start;
    if (why) {
        return why;
    }
    lost = asked - answered;
    if (lost && !ring_joined(&link)) {
        return bereft();
    }
    printf("ring: %lu round trips, %lu lost, %lu per second, %lu notifications\n", answered, lost,
           answered * SEC / (took ? took : 1), notified);
    return lost ? "answers are missing" : part();
}
