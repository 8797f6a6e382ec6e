/* SPDX-License-Identifier: MIT */
/*
 * store.c - a small client of the store, over the ring that start_info names, and what the runtime
 * does with it: it watches for the control domain's wish to have the guest shut down or some of its
 * vcpus down or up. vcpu 0 alone uses it, one request at a time, so there is no lock; the event
 * handler only leaves word.
 */
#include "guest.h"

#include <xen/io/xs_wire.h>

#define ANSWER_TIMEOUT (5 * SEC)
#define POLL_TIME (10 * MS)
#define EVENTS_KEPT 16U
#define TOKEN_SHUTDOWN "tarn:shutdown"
#define TOKEN_MEMORY "tarn:memory"
#define TOKEN_CPU "tarn:cpu"

static struct xenstore_domain_interface *ring; /* NULL: no store, or it broke */
static uint32_t last_id;
static bool asking; /* a request is under way */

/* The message that is coming in. */
static struct {
    struct xsd_sockmsg head;
    size_t got;
    char payload[XENSTORE_PAYLOAD_MAX + 1];
} in;

/* Events for the guest, oldest first, none twice; one that finds no room is lost, which is told
 * once the others are taken. */
static struct {
    char path[128], token[32];
} events[EVENTS_KEPT];
static unsigned int nr_events;
static bool event_lost;

volatile bool serve_due;
static bool serving, shutdown_due, memory_due;
static uint64_t cpus_due; /* bit per vcpu */
static void (*cpu_hook)(unsigned int vcpu, bool online);

bool xs_present(void)
{
    return ring != NULL;
}

static void on_store(evtchn_port_t port)
{
    (void)port;
    serve_due = true;
}

/* ---- bytes ---- */

/* Copies so much into the ring as there is room for. */
static size_t put_some(const void *bytes, size_t size)
{
    XENSTORE_RING_IDX prod = ring->req_prod;
    size_t used = prod - __atomic_load_n(&ring->req_cons, __ATOMIC_ACQUIRE), n = 0;

    for (; n < size && used + n < XENSTORE_RING_SIZE; n++) {
        ring->req[MASK_XENSTORE_IDX(prod++)] = ((const char *)bytes)[n];
    }
    __atomic_store_n(&ring->req_prod, prod, __ATOMIC_RELEASE);
    return n;
}

static size_t get_some(void *bytes, size_t size)
{
    XENSTORE_RING_IDX cons = ring->rsp_cons;
    size_t used = __atomic_load_n(&ring->rsp_prod, __ATOMIC_ACQUIRE) - cons, n = 0;

    for (; n < size && n < used; n++) {
        ((char *)bytes)[n] = ring->rsp[MASK_XENSTORE_IDX(cons++)];
    }
    __atomic_store_n(&ring->rsp_cons, cons, __ATOMIC_RELEASE);
    return n;
}

static void notify(void)
{
    event_send(start_info->store_evtchn);
}

/* Takes bytes of the message that is coming in; false: there are not enough yet. */
static bool pull_part(void *part, size_t done, size_t whole)
{
    size_t n = get_some((char *)part + done, whole - done);

    if (n) {
        in.got += n;
        notify();
    }
    return done + n == whole;
}

/* Takes what has come; whether a message is whole now. */
static bool pull(void)
{
    size_t head = sizeof(in.head);

    if (!ring || (in.got < head && !pull_part(&in.head, in.got, head))) {
        return false;
    }
    if (in.head.len > XENSTORE_PAYLOAD_MAX) {
        ring = NULL;
        return false;
    }
    if (!pull_part(in.payload, in.got - head, in.head.len)) {
        return false;
    }
    in.payload[in.head.len] = '\0';
    in.got = 0;
    return true;
}

/* ---- events ---- */

static void copy_text(char *to, size_t size, const char *from)
{
    fmt_snprintf(to, size, "%s", from);
}

/* "cpu/N/availability", or "cpu" for all. */
static void note_cpu(const char *path)
{
    unsigned int vcpu = 0;

    if (memcmp(path, "cpu/", 4) != 0) {
        cpus_due = ~0UL;
        return;
    }
    for (path += 4; *path >= '0' && *path <= '9' && vcpu < MAX_VCPUS; path++) {
        vcpu = vcpu * 10 + (unsigned int)(*path - '0');
    }
    if (vcpu < MAX_VCPUS) {
        cpus_due |= 1UL << vcpu;
    }
}

static void keep_event(const char *path, const char *token)
{
    for (unsigned int i = 0; i < nr_events; i++) {
        if (strcmp(events[i].path, path) == 0 && strcmp(events[i].token, token) == 0) {
            return;
        }
    }
    if (nr_events == EVENTS_KEPT || strlen(path) >= sizeof(events[0].path) ||
        strlen(token) >= sizeof(events[0].token)) {
        event_lost = true;
        return;
    }
    copy_text(events[nr_events].path, sizeof(events[0].path), path);
    copy_text(events[nr_events].token, sizeof(events[0].token), token);
    nr_events++;
}

static void note_event(void)
{
    const char *path = in.payload, *token = path + strlen(path) + 1;

    if (token > in.payload + in.head.len) {
        return;
    }
    if (strcmp(token, TOKEN_SHUTDOWN) == 0) {
        shutdown_due = true;
        serve_due = true;
    } else if (strcmp(token, TOKEN_MEMORY) == 0) {
        memory_due = true;
        serve_due = true;
    } else if (strcmp(token, TOKEN_CPU) == 0) {
        note_cpu(path);
        serve_due = true;
    } else {
        keep_event(path, token);
    }
}

/* Takes all events that have come; answers nobody waits for are dropped. */
static void pull_events(void)
{
    while (pull()) {
        if (in.head.type == XS_WATCH_EVENT) {
            note_event();
        }
    }
}

/* ---- requests ---- */

/* Sleeps until the store's event, which nobody handles meanwhile; false: that took too long. */
static bool wait_store(uint64_t deadline)
{
    evtchn_port_t port = start_info->store_evtchn;
    struct sched_poll poll = { .nr_ports = 1, .timeout = clock_now() + POLL_TIME };

    set_xen_guest_handle(poll.ports, &port);
    sched_op(SCHEDOP_poll, &poll);
    event_clear(port);
    return ring && clock_now() < deadline;
}

static bool send_all(const void *bytes, size_t size, uint64_t deadline)
{
    while (size) {
        size_t n = put_some(bytes, size);

        bytes = (const char *)bytes + n;
        size -= n;
        if (size) {
            notify();
            if (!wait_store(deadline)) {
                return false;
            }
        }
    }
    return true;
}

static long error_number(void)
{
    static const struct {
        const char *word;
        long rc;
    } errors[] = {
        { "EINVAL", -XEN_EINVAL }, { "EACCES", -XEN_EACCES }, { "EEXIST", -XEN_EEXIST },
        { "ENOENT", -XEN_ENOENT }, { "ENOMEM", -XEN_ENOMEM }, { "ENOSPC", -XEN_ENOSPC },
        { "EAGAIN", -XEN_EAGAIN }, { "E2BIG", -XEN_E2BIG },   { "EPERM", -XEN_EPERM },
    };

    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (strcmp(in.payload, errors[i].word) == 0) {
            return errors[i].rc;
        }
    }
    return -XEN_EIO;
}

static long answer(uint32_t id, uint64_t deadline)
{
    for (;;) {
        while (pull()) {
            if (in.head.type == XS_WATCH_EVENT) {
                note_event();
            } else if (in.head.req_id == id) {
                return in.head.type == XS_ERROR ? error_number() : (long)in.head.len;
            }
        }
        if (!wait_store(deadline)) {
            return ring ? -XEN_ETIMEDOUT : -XEN_EIO;
        }
    }
}

/* A request of one or two parts, sent to its end or not at all (a half would break the ring). */
static bool send_request(uint32_t id, uint32_t type, const char *a, size_t a_size, const char *b,
                         size_t b_size)
{
    struct xsd_sockmsg head = { type, id, 0, (uint32_t)(a_size + b_size) };
    uint64_t deadline = clock_now() + ANSWER_TIMEOUT;

    if (send_all(&head, sizeof(head), deadline) && send_all(a, a_size, deadline) &&
        send_all(b, b_size, deadline)) {
        notify();
        return true;
    }
    ring = NULL;
    return false;
}

/* Length of the answer, which is in in.payload, or -errno. */
static long request(uint32_t type, const char *a, size_t a_size, const char *b, size_t b_size)
{
    evtchn_port_t port = start_info->store_evtchn;
    uint32_t id = ++last_id;
    long rc = -XEN_EIO;

    if (!ring) {
        return -XEN_ENODEV;
    }
    if (asking || vcpu_self() != 0) {
        return -XEN_EBUSY;
    }
    if (a_size + b_size > XENSTORE_PAYLOAD_MAX) {
        return -XEN_E2BIG;
    }
    asking = true;
    event_mask(port);
    if (send_request(id, type, a, a_size, b, b_size)) {
        rc = answer(id, clock_now() + ANSWER_TIMEOUT);
    }
    serve_due = true; /* events may have come behind the answer */
    event_unmask(port);
    asking = false;
    return rc;
}

long xs_read(const char *path, char *value, size_t size)
{
    long rc = request(XS_READ, path, strlen(path) + 1, NULL, 0);

    if (size) {
        copy_text(value, size, rc > 0 ? in.payload : "");
    }
    return rc;
}

long xs_write(const char *path, const char *value)
{
    long rc = request(XS_WRITE, path, strlen(path) + 1, value, strlen(value));

    return rc > 0 ? 0 : rc;
}

long xs_directory(const char *path, char *names, size_t size)
{
    long rc = request(XS_DIRECTORY, path, strlen(path) + 1, NULL, 0);

    if (rc > (long)size) {
        return -XEN_E2BIG;
    }
    if (rc > 0) {
        memcpy(names, in.payload, (size_t)rc);
    }
    return rc;
}

/* The owner, whom only the store knows by number, stays first. */
long xs_let_read(const char *path, domid_t domid)
{
    char perms[32];
    size_t owner;
    long rc = request(XS_GET_PERMS, path, strlen(path) + 1, NULL, 0);

    if (rc <= 0) {
        return rc ? rc : -XEN_EIO;
    }
    owner = (size_t)fmt_snprintf(perms, 16, "%s", in.payload) + 1;
    rc = (long)owner + fmt_snprintf(perms + owner, sizeof(perms) - owner, "r%u", domid) + 1;
    rc = request(XS_SET_PERMS, path, strlen(path) + 1, perms, (size_t)rc);
    return rc > 0 ? 0 : rc;
}

long xs_watch(const char *path, const char *token)
{
    long rc = request(XS_WATCH, path, strlen(path) + 1, token, strlen(token) + 1);

    return rc > 0 ? 0 : rc;
}

long xs_unwatch(const char *path, const char *token)
{
    long rc = request(XS_UNWATCH, path, strlen(path) + 1, token, strlen(token) + 1);

    return rc > 0 ? 0 : rc;
}

bool xs_event_waits(void)
{
    return nr_events || event_lost;
}

long xs_event(char *path, size_t path_size, char *token, size_t token_size)
{
    if (!ring) {
        return -XEN_ENODEV;
    }
    if (asking || vcpu_self() != 0) {
        return -XEN_EBUSY;
    }
    pull_events();
    if (!nr_events) {
        bool lost = event_lost;

        event_lost = false;
        copy_text(path, path_size, "");
        copy_text(token, token_size, "");
        return lost;
    }
    copy_text(path, path_size, events[0].path);
    copy_text(token, token_size, events[0].token);
    nr_events--;
    for (unsigned int i = 0; i < nr_events; i++) {
        events[i] = events[i + 1];
    }
    return 1;
}

/* ---- what the runtime does ---- */

/* For answers that nobody waits for: the id is never asked for again. */
static void watch_quietly(const char *path, const char *token)
{
    send_request(0, XS_WATCH, path, strlen(path) + 1, token, strlen(token) + 1);
}

void xs_start(void)
{
    XENSTORE_RING_IDX used;

    if ((start_info->flags & SIF_INITDOMAIN) || !start_info->store_evtchn) {
        return;
    }
    ring = machine_page(start_info->store_mfn);
    if (!ring) {
        return;
    }
    event_handle(start_info->store_evtchn, 0, on_store);
    used = ring->req_prod - ring->req_cons;
    if (used < XENSTORE_RING_SIZE / 2) { /* so that nothing is waited for here */
        watch_quietly("control/shutdown", TOKEN_SHUTDOWN);
        watch_quietly("cpu", TOKEN_CPU);
        watch_quietly("memory/target", TOKEN_MEMORY);
    }
}

static void serve_shutdown(void)
{
    static const struct {
        const char *word;
        unsigned int reason;
    } words[] = {
        { "poweroff", SHUTDOWN_poweroff },
        { "halt", SHUTDOWN_poweroff },
        { "reboot", SHUTDOWN_reboot },
        { "suspend", SHUTDOWN_suspend },
    };
    char word[16];

    if (xs_read("control/shutdown", word, sizeof(word)) <= 0) {
        return;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i].word) == 0) {
            xs_write("control/shutdown", "");
            printf("%s: asked for %s\n", guest_name, word);
            guest_shutdown(words[i].reason);
        }
    }
}

/* A target in KiB; nonsense is none. */
static void serve_memory(void)
{
    uint64_t kib;
    char text[24];

    if (xs_read("memory/target", text, sizeof(text)) > 0 && uint_parse(text, &kib)) {
        balloon_to(kib);
    }
}

bool vcpu_is_wanted(unsigned int vcpu)
{
    char path[32], word[16];

    fmt_snprintf(path, sizeof(path), "cpu/%u/availability", vcpu);
    return xs_read(path, word, sizeof(word)) <= 0 || strcmp(word, "offline") != 0;
}

static void serve_cpus(uint64_t vcpus)
{
    unsigned int count = vcpu_count();

    for (unsigned int v = 1; v < count; v++) {
        if (vcpus & 1UL << v) {
            cpu_hook(v, vcpu_is_wanted(v));
        }
    }
}

bool serve_possible(void)
{
    return ring && !serving && !asking && vcpu_self() == 0;
}

void guest_serve_now(void)
{
    if (!serve_possible() || vcpu_infos[0]->evtchn_upcall_mask) {
        return;
    }
    serving = true;
    while (serve_due || shutdown_due || memory_due) {
        uint64_t vcpus = cpus_due;

        serve_due = false;
        pull_events();
        if (shutdown_due) {
            shutdown_due = false;
            serve_shutdown();
        } else if (memory_due) {
            memory_due = false;
            serve_memory();
        } else if (vcpus && cpu_hook) {
            cpus_due &= ~vcpus;
            serve_cpus(vcpus);
        }
    }
    serving = false;
}

void vcpu_on_availability(void (*hook)(unsigned int vcpu, bool online))
{
    cpu_hook = hook;
    cpus_due = ~0UL;
    serve_due = true;
}
