/* SPDX-License-Identifier: MIT */
/*
 * cmd_trace.c - the hypervisor's trace: start, stop, status, dump, clear. Each CPU's records lie in
 * a ring that is shared with us; they are taken out when one becomes half full, and now and then,
 * into a file in memory in the format that xentrace writes: what was in a ring follows a record
 * that names the CPU. What goes beyond the file's limit is counted, and not kept. The rings stay
 * mapped. A command may keep us from the loop for long, so the event itself takes out what there is
 * room for already; `busy` keeps it away while we are at the rings or the file.
 */
#include "shell.h"

#include <tarn/cpulist.h>
#include <xen/trace.h>

#define PAGES_DEFAULT 32u
#define PAGES_ALL 2048u /* of all rings together, when nobody says how large they are to be */
#define LIMIT_DEFAULT 16u
#define CHUNK_SIZE (256u << 10)
#define DUMP_STEP (16u << 10)
#define LOOK_EVERY (500 * MS)
#define AHEAD (2u << 20) /* room that is made before it is needed */

struct chunk {
    struct chunk *next;
    size_t used;
    uint8_t data[];
};
#define CHUNK_ROOM (CHUNK_SIZE - sizeof(struct chunk))

static struct {
    bool on, dumping;
    unsigned int nr_cpus, pages; /* of the rings; 0: not mapped yet */
    struct t_buf *ring[NR_CPUS]; /* NULL: it has none */
    evtchn_port_t port;
    struct chunk *first, *last, *tail; /* those behind `last` are empty */
    size_t kept, limit;
    bool full; /* the file is; nothing is added any more */
    uint64_t records, lost, misfits;
} trace;

static volatile bool half_full, busy;

static long tbuf_op(uint32_t cmd, struct xen_sysctl_tbuf_op *op)
{
    struct xen_sysctl s = { .cmd = XEN_SYSCTL_tbuf_op };
    long rc;

    op->cmd = cmd;
    s.u.tbuf_op = *op;
    rc = sysctl(&s);
    *op = s.u.tbuf_op;
    return rc;
}

static long tbuf_simple(uint32_t cmd)
{
    struct xen_sysctl_tbuf_op op = { .cmd = cmd };

    return tbuf_op(cmd, &op);
}

/* ---- the rings ---- */

static long map_ring(const struct t_info *info, unsigned int cpu)
{
    static uint64_t mfns[FOREIGN_MAX];
    const uint32_t *list = (const uint32_t *)info + info->mfn_offset[cpu];
    long rc;

    if (!info->mfn_offset[cpu]) {
        return 0;
    }
    for (unsigned int i = 0; i < info->tbuf_size; i++) {
        mfns[i] = list[i];
    }
    trace.ring[cpu] = foreign_map(DOMID_XEN, mfns, info->tbuf_size, true, &rc);
    return rc;
}

static long map_rings(const struct t_info *info)
{
    long rc = info->tbuf_size > FOREIGN_MAX ? -XEN_E2BIG : 0;

    trace.nr_cpus = cpus_max();
    for (unsigned int cpu = 0; cpu < trace.nr_cpus && !rc; cpu++) {
        rc = map_ring(info, cpu);
    }
    if (rc) {
        for (unsigned int cpu = 0; cpu < trace.nr_cpus; cpu++) {
            foreign_unmap(trace.ring[cpu], info->tbuf_size);
            trace.ring[cpu] = NULL;
        }
        return rc;
    }
    trace.pages = info->tbuf_size;
    return 0;
}

/* The table says where the rings are. */
static long map_all(void)
{
    static uint64_t mfns[FOREIGN_MAX];
    struct xen_sysctl_tbuf_op op = { 0 };
    struct t_info *info;
    unsigned int n;
    long rc = tbuf_op(XEN_SYSCTL_TBUFOP_get_info, &op);

    if (rc || trace.pages) {
        return rc;
    }
    n = (unsigned int)(op.size / PAGE_SIZE);
    for (unsigned int i = 0; i < MIN(n, FOREIGN_MAX); i++) {
        mfns[i] = op.buffer_mfn + i;
    }
    info = foreign_map(DOMID_XEN, mfns, n, false, &rc);
    if (info) {
        rc = map_rings(info);
        foreign_unmap(info, n);
    }
    return rc;
}

static uint32_t data_size(void)
{
    return (uint32_t)(trace.pages * PAGE_SIZE - sizeof(struct t_buf));
}

/* What waits in a ring: up to two pieces, as it may go on at the beginning. */
struct window {
    uint32_t prod, size;
    const uint8_t *piece[2];
    uint32_t len[2];
};

static void window_get(const struct t_buf *ring, struct window *w)
{
    const uint8_t *data = (const uint8_t *)(ring + 1);
    uint32_t room = data_size(), cons = READ_ONCE(ring->cons), from = cons % room;

    w->prod = __atomic_load_n(&ring->prod, __ATOMIC_ACQUIRE);
    w->size = w->prod >= cons ? w->prod - cons : w->prod + 2 * room - cons;
    w->piece[0] = data + from;
    w->len[0] = MIN(w->size, room - from);
    w->piece[1] = data;
    w->len[1] = w->size - w->len[0];
}

/* ---- the file ---- */

static void file_forget(void)
{
    while (trace.first) {
        struct chunk *next = trace.first->next;

        release(trace.first);
        trace.first = next;
    }
    trace.last = trace.tail = NULL;
    trace.kept = 0;
    trace.full = false;
    trace.records = trace.lost = trace.misfits = 0;
}

static size_t room_left(void)
{
    return trace.last ? CHUNK_ROOM - trace.last->used : 0;
}

static size_t room_in_all(void)
{
    size_t room = room_left();

    for (const struct chunk *c = trace.last ? trace.last->next : NULL; c; c = c->next) {
        room += CHUNK_ROOM;
    }
    return room;
}

/* Room for that much more in all. */
static bool file_extend(size_t size)
{
    for (size_t room = room_in_all(); room < size; room += CHUNK_ROOM) {
        struct chunk *more = allocate(CHUNK_SIZE);

        if (!more) {
            return false;
        }
        if (trace.tail) {
            trace.tail->next = more;
        } else {
            trace.first = trace.last = more;
        }
        trace.tail = more;
    }
    return true;
}

static void file_add(const void *data, size_t len)
{
    const uint8_t *from = data;

    trace.kept += len;
    while (len) {
        size_t n = MIN(len, room_left());

        if (n == 0) {
            trace.last = trace.last->next;
            continue;
        }
        memcpy(trace.last->data + trace.last->used, from, n);
        trace.last->used += n;
        from += n;
        len -= n;
    }
}

#define CPU_CHANGE_SIZE (3 * sizeof(uint32_t))

static void file_add_window(uint32_t cpu, const struct window *w)
{
    uint32_t change[] = { TRC_TRACE_CPU_CHANGE | 2u << TRACE_EXTRA_SHIFT, cpu, w->size };

    file_add(change, sizeof(change));
    file_add(w->piece[0], w->len[0]);
    file_add(w->piece[1], w->len[1]);
}

/* ---- taking out ---- */

struct count {
    uint64_t records, lost;
};

/* No record goes over the end of a piece. */
static void count_piece(const uint8_t *data, uint32_t len, struct count *n)
{
    const uint32_t *word = (const uint32_t *)data, *end = word + len / sizeof(*word);

    while (word < end) {
        uint32_t event = TRC_HD_TO_EVENT(*word);
        uint32_t tsc = TRC_HD_INCLUDES_CYCLE_COUNT(*word) ? 2 : 0;

        if (event == TRC_LOST_RECORDS) {
            n->lost += word[1 + tsc];
        } else if (event != TRC_TRACE_WRAP_BUFFER) {
            n->records++;
        }
        word += 1 + tsc + TRC_HD_EXTRA(*word);
    }
}

static size_t all_windows(struct window *w)
{
    size_t total = 0;

    for (unsigned int cpu = 0; cpu < trace.nr_cpus; cpu++) {
        w[cpu].size = 0;
        if (trace.ring[cpu]) {
            window_get(trace.ring[cpu], &w[cpu]);
        }
        total += w[cpu].size ? w[cpu].size + CPU_CHANGE_SIZE : 0;
    }
    return total;
}

static void take_windows(const struct window *windows, bool keep)
{
    struct count n = { 0 };

    for (unsigned int cpu = 0; cpu < trace.nr_cpus; cpu++) {
        const struct window *w = &windows[cpu];

        if (w->size) {
            count_piece(w->piece[0], w->len[0], &n);
            count_piece(w->piece[1], w->len[1], &n);
            if (keep) {
                file_add_window(cpu, w);
            }
            __atomic_store_n(&trace.ring[cpu]->cons, w->prod, __ATOMIC_RELEASE);
        }
    }
    trace.full = trace.full || !keep;
    trace.lost += keep ? n.lost : 0;
    trace.records += keep ? n.records : 0;
    trace.misfits += keep ? 0 : n.records;
}

/*
 * All that is there is kept, or nothing: the file ends at the same time for all CPUs. In an event
 * nothing can be allocated; what then has no room waits for the loop.
 */
static void take(bool in_event)
{
    static struct window windows[NR_CPUS];
    size_t total = all_windows(windows);
    bool keep = !trace.full && trace.kept + total <= trace.limit;

    if (in_event && keep && room_in_all() < total) {
        return;
    }
    half_full = false;
    take_windows(windows, keep && (in_event || file_extend(total)));
}

static void take_all(void)
{
    busy = true;
    barrier();
    take(false);
    barrier();
    busy = false;
}

static void make_room(void)
{
    busy = true;
    barrier();
    file_extend(MIN(AHEAD, trace.limit - MIN(trace.kept, trace.limit)));
    barrier();
    busy = false;
}

static void discard_all(void)
{
    for (unsigned int cpu = 0; cpu < trace.nr_cpus; cpu++) {
        if (trace.ring[cpu]) {
            WRITE_ONCE(trace.ring[cpu]->cons, READ_ONCE(trace.ring[cpu]->prod));
        }
    }
}

void trace_service(void)
{
    static uint64_t next;
    uint64_t now;

    if (!trace.on) {
        return;
    }
    now = clock_now();
    if (half_full || now >= next) {
        take_all();
        make_room();
        next = clock_now() + LOOK_EVERY;
    }
    loop_look_at(next);
}

static void on_half_full(evtchn_port_t port)
{
    (void)port;
    half_full = true;
    if (trace.on && !busy) {
        take(true);
    }
    loop_wake();
}

static long notify(void)
{
    long port = trace.port ? (long)trace.port : event_bind_virq(VIRQ_TBUF, 0);

    if (port > 0 && !trace.port) {
        trace.port = (evtchn_port_t)port;
        event_handle(trace.port, 0, on_half_full);
    }
    return port < 0 ? port : 0;
}

/* ---- trace start ---- */

struct start {
    uint32_t events;
    struct cpumask cpus;
    uint64_t pages; /* 0: not given */
    uint64_t limit; /* MiB */
};

static const struct {
    const char *name;
    uint32_t events;
} classes[] = {
    { "all", TRC_ALL }, { "gen", TRC_GEN }, { "sched", TRC_SCHED },        { "dom0op", TRC_DOM0OP },
    { "mem", TRC_MEM }, { "pv", TRC_PV },   { "runstate", TRC_SCHED_MIN },
};

static uint32_t class_of(const char *name, size_t len)
{
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        if (strlen(classes[i].name) == len && memcmp(classes[i].name, name, len) == 0) {
            return classes[i].events;
        }
    }
    return 0;
}

/* A mask, or names of classes with commas between. */
static bool events_parse(const char *text, uint32_t *events)
{
    uint64_t mask;

    if (number_parse(text, UINT32_MAX, &mask)) {
        *events = (uint32_t)mask;
        return true;
    }
    for (*events = 0;; text++) {
        size_t len = 0;
        uint32_t one;

        while (text[len] && text[len] != ',') {
            len++;
        }
        one = class_of(text, len);
        *events |= one;
        text += len;
        if (!one || !*text) {
            return one != 0;
        }
    }
}

static int bad_option(char letter, const char *value, struct start *s)
{
    const char *wrong;

    switch (letter) {
    case 'e':
        if (!events_parse(value, &s->events)) {
            return fail("-e %s: neither a mask nor names of classes: all, sched, runstate, ...",
                        value);
        }
        return 0;
    case 'c':
        wrong = cpulist_parse(value, cpu_host_get(), &s->cpus);
        return wrong ? fail("-c %s: %s", value, wrong) : 0;
    case 'S':
        if (!number_parse(value, FOREIGN_MAX, &s->pages) || !s->pages) {
            return fail("-S %s: not a number of pages from 1 to %u", value, FOREIGN_MAX);
        }
        return 0;
    case 'M':
        if (!number_parse(value, 4096, &s->limit) || !s->limit) {
            return fail("-M %s: not a number of MiB from 1 to 4096", value);
        }
        return 0;
    default:
        return USAGE;
    }
}

/* Rings of the size asked for; they can be made once only. */
static int rings_make(const struct start *s)
{
    struct xen_sysctl_tbuf_op op = { 0 };
    long rc = tbuf_op(XEN_SYSCTL_TBUFOP_get_info, &op);

    if (!rc && !op.size) {
        unsigned int fitting = PAGES_ALL / cpus_max();

        op.size = s->pages ? (uint32_t)s->pages : MAX(MIN(PAGES_DEFAULT, fitting), 1u);
        rc = tbuf_op(XEN_SYSCTL_TBUFOP_set_size, &op);
    }
    rc = rc ? rc : map_all();
    rc = rc ? rc : notify();
    if (rc) {
        return fail_errno(rc, "rings of the trace");
    }
    if (s->pages && s->pages != trace.pages) {
        return fail("-S %lu: each CPU's ring was made with %u pages, and keeps them", s->pages,
                    trace.pages);
    }
    return 0;
}

static long masks_set(struct start *s)
{
    struct xen_sysctl_tbuf_op op = { .evt_mask = s->events };
    long rc = tbuf_op(XEN_SYSCTL_TBUFOP_set_evt_mask, &op);

    cpu_bitmap(&op.cpu_mask, &s->cpus);
    return rc ? rc : tbuf_op(XEN_SYSCTL_TBUFOP_set_cpu_mask, &op);
}

static int trace_start(struct start *s)
{
    int status = rings_make(s);
    long rc;

    if (status) {
        return status;
    }
    tbuf_simple(XEN_SYSCTL_TBUFOP_disable);
    rc = masks_set(s);
    if (rc) {
        return fail_errno(rc, "masks of the trace");
    }
    file_forget();
    discard_all();
    trace.limit = s->limit << 20;
    make_room();
    rc = tbuf_simple(XEN_SYSCTL_TBUFOP_enable);
    if (rc) {
        return fail_errno(rc, "trace");
    }
    trace.on = true;
    loop_look_at(clock_now());
    return 0;
}

static int run_start(int argc, char **argv)
{
    struct start s = { .events = TRC_ALL, .limit = LIMIT_DEFAULT };
    struct options o;
    int letter, status = 0;

    for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++) {
        cpumask_set(&s.cpus, cpu);
    }
    options_init(&o, argc, argv, "e:c:S:M:", NULL);
    while (!status && (letter = options_next(&o))) {
        status = bad_option((char)letter, o.value, &s);
    }
    if (status || o.nr_rest) {
        return status ? status : USAGE;
    }
    if (trace.on) {
        return fail("it is on already");
    }
    if (trace.dumping) {
        return fail("what is there is just being dumped");
    }
    return trace_start(&s);
}

/* ---- trace stop, status, clear, dump ---- */

static int run_stop(void)
{
    long rc;

    if (!trace.on) {
        return fail("it is not on");
    }
    rc = tbuf_simple(XEN_SYSCTL_TBUFOP_disable);
    if (rc) {
        return fail_errno(rc, "trace");
    }
    trace.on = false;
    take_all();
    if (trace.misfits) {
        err("trace: %lu records did not fit into %lu MiB\n", trace.misfits, trace.limit >> 20);
    }
    return 0;
}

static int run_status(void)
{
    struct xen_sysctl_tbuf_op op = { 0 };
    long rc = tbuf_op(XEN_SYSCTL_TBUFOP_get_info, &op);

    if (rc) {
        return fail_errno(rc, "trace");
    }
    if (trace.on) {
        take_all();
    }
    out("trace    : %s\n", trace.on ? "on" : "off");
    out("events   : 0x%08x\n", op.evt_mask);
    out("rings    : %u of %u pages\n", trace.pages ? trace.nr_cpus : 0, trace.pages);
    out("records  : %lu, %lu lost, %lu did not fit\n", trace.records, trace.lost, trace.misfits);
    out("bytes    : %lu of %lu\n", trace.kept, trace.limit);
    return 0;
}

static int run_clear(void)
{
    if (trace.on || trace.dumping) {
        return fail(trace.on ? "it is on" : "what is there is just being dumped");
    }
    file_forget();
    return 0;
}

/* What there is when it begins; others have their turn meanwhile. */
static int run_dump(void)
{
    size_t left;

    if (session->tty) {
        return fail("this is binary; have it saved on the host: tarn trace save FILE");
    }
    if (trace.dumping) {
        return fail("somebody else is at it");
    }
    if (trace.on) {
        take_all();
    }
    trace.dumping = true;
    left = trace.kept;
    for (const struct chunk *c = trace.first; c && left && !session->cancelled; c = c->next) {
        for (size_t at = 0; at < CHUNK_ROOM && left && !session->cancelled;) {
            size_t n = MIN(MIN(left, DUMP_STEP), CHUNK_ROOM - at);

            out_bytes((const char *)c->data + at, n);
            loop_until_time(0);
            at += n;
            left -= n;
        }
    }
    trace.dumping = false;
    return session->cancelled ? CANCELLED : 0;
}

static int run_trace(int argc, char **argv)
{
    static const struct {
        const char *name;
        int (*run)(void);
    } others[] = {
        { "stop", run_stop }, { "status", run_status }, { "clear", run_clear }, { "dump", run_dump }
    };

    if (argc >= 2 && strcmp(argv[1], "start") == 0) {
        return run_start(argc - 1, argv + 1);
    }
    for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(others); i++) {
        if (strcmp(argv[1], others[i].name) == 0) {
            return others[i].run();
        }
    }
    return USAGE;
}

const struct command cmd_trace = {
    .name = "trace",
    .usage = "start [-e EVENTS] [-c CPUS] [-S PAGES] [-M MIB] | stop | status | clear | dump",
    .help = "what the hypervisor does and when, for xenalyze; it is kept here",
    .run = run_trace,
};
