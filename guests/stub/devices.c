/* SPDX-License-Identifier: MIT */
/*
 * devices.c - which devices there are, and the handshake of each with its client, as xenbus has it.
 * vcpu 0 alone, where nothing else has to be done; it orders links, and the devices' threads bring
 * them up and down. What the client writes is taken for what it may be: nonsense.
 */
#include "stub.h"

#define TOKEN_BACK "back"
#define TOKEN_FRONT "front"
#define TOKEN_COST "cost"
#define NAMES_ROOM 512U
#define EVENTS_TURN \
    8U /* so many at a time: there may be no end of them, and others have work, too */

static char windows[SLOTS][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static bool window_taken[SLOTS];
static const struct device_kind *const kinds[] = { &disk_kind, &echo_kind };
static struct {
    uint8_t is;
    bool broken;
} seen[THREADS_MAX][SLOTS]; /* what was followed already */

#define for_each_device(dev)                                                         \
    for (struct device *dev = &devices[0][0]; dev != &devices[nr_threads][0]; dev++) \
        if (dev->kind)

/* ---- states ---- */

static void order(struct device *dev, uint8_t what)
{
    if (dev->order != what) {
        dev->order = what;
        thread_wake(dev->thread);
    }
}

static bool is_down(struct device *dev)
{
    order(dev, LINK_DOWN);
    return dev->is == LINK_DOWN;
}

static void switch_to(struct device *dev, enum xenbus_state state)
{
    if (dev->state != (long)state && xenbus_switch(dev->folder, state) == 0) {
        dev->state = state;
    }
}

/* Until the client starts over. */
static void give_up(struct device *dev, const char *why)
{
    order(dev, LINK_DOWN);
    printf("stub: %s: %s\n", dev->folder, why);
    xenbus_write(dev->folder, "error", why);
    switch_to(dev, XenbusStateClosed);
}

static void device_forget(struct device *dev)
{
    xenbus_unwatch(dev->front, TOKEN_FRONT);
    dev->kind->release(dev);
    window_taken[((char *)dev->window - windows[0]) / PAGE_SIZE] = false;
    __atomic_store_n(&dev->kind, NULL, __ATOMIC_RELEASE);
}

/* The rings of other ABIs look otherwise. */
static bool speaks_ours(const struct device *dev)
{
    char protocol[24];

    return xenbus_read(dev->front, "protocol", protocol, sizeof(protocol)) <= 0 ||
           strcmp(protocol, "x86_64-abi") == 0;
}

/* The client has said where its ring is. */
static void connect(struct device *dev)
{
    if (dev->state != XenbusStateInitWait || dev->leaving) {
        return;
    }
    if (dev->is == LINK_FAILED || (dev->is == LINK_UP && dev->broken)) {
        give_up(dev, "the ring can't be mapped");
    } else if (dev->is == LINK_UP) {
        if (dev->kind->publish(dev) == 0) {
            printf("stub: %s: connected, thread %u\n", dev->folder, dev->thread);
            switch_to(dev, XenbusStateConnected);
        }
    } else if (dev->order == LINK_DOWN) {
        dev->ref = (grant_ref_t)xenbus_number(dev->front, "ring-ref", 0);
        dev->port = (evtchn_port_t)xenbus_number(dev->front, "event-channel", 0);
        if (!speaks_ours(dev)) {
            give_up(dev, "the client's protocol is not x86_64-abi");
        } else {
            order(dev, LINK_UP);
        }
    }
}

static void disconnected(struct device *dev, enum xenbus_state state)
{
    if (dev->state == XenbusStateConnected) {
        printf("stub: %s: closed, %lu requests, %lu errors, %lu batches\n", dev->folder,
               dev->requests, dev->errors, dev->batches);
    }
    switch_to(dev, state);
}

/* Where the client's state leads. */
static void follow_front(struct device *dev, long front)
{
    switch (front) {
    case XenbusStateInitialising:
        if (is_down(dev)) {
            disconnected(dev, dev->leaving ? XenbusStateClosed : XenbusStateInitWait);
        }
        break;
    case XenbusStateInitialised:
    case XenbusStateConnected:
        connect(dev);
        break;
    case XenbusStateClosing:
        if (is_down(dev) && dev->state != XenbusStateClosed) {
            disconnected(dev, XenbusStateClosing);
        }
        break;
    case XenbusStateUnknown:
    case XenbusStateClosed:
        if (is_down(dev) && dev->state != XenbusStateInitialising) {
            disconnected(dev, XenbusStateClosed);
        }
        break;
    default:
        if (dev->leaving && is_down(dev)) {
            disconnected(dev, XenbusStateClosed);
        }
        break;
    }
}

static void step(struct device *dev)
{
    long back = xenbus_state(dev->folder), front;

    if (back < 0) {
        return;
    }
    if (back == XenbusStateUnknown) {
        if (is_down(dev)) {
            device_forget(dev);
        }
        return;
    }
    if (back == XenbusStateClosing && dev->state != XenbusStateClosing) {
        dev->leaving = true; /* the control domain wrote that */
        dev->state = back;
    }
    front = xenbus_state(dev->front);
    if (front < 0) {
        return;
    }
    if (dev->broken && dev->state == XenbusStateConnected) {
        give_up(dev, "the client broke its ring");
        return;
    }
    follow_front(dev, front);
}

/* ---- devices come ---- */

static void *take_window(void)
{
    for (unsigned int i = 0; i < SLOTS; i++) {
        if (!window_taken[i]) {
            window_taken[i] = true;
            return windows[i];
        }
    }
    return NULL;
}

static struct device *find(const char *folder)
{
    for_each_device(dev)
    {
        if (strcmp(dev->folder, folder) == 0) {
            return dev;
        }
    }
    return NULL;
}

static struct device *free_slot(unsigned long thread)
{
    for (unsigned int i = 0; thread < nr_threads && i < SLOTS; i++) {
        if (!devices[thread][i].kind) {
            return &devices[thread][i];
        }
    }
    return NULL;
}

static void read_cost(struct device *dev)
{
    uint64_t us = xenbus_number(dev->folder, "cost", COST_UNSET);

    dev->cost = us == COST_UNSET ? COST_UNSET : cost_limit(us);
}

/* Nothing of it is the thread's before `kind` is set. */
static const char *fill(struct device *dev, const struct device_kind *kind, const char *folder)
{
    const char *why;

    memset(dev, 0, sizeof(*dev));
    fmt_snprintf(dev->folder, sizeof(dev->folder), "%s", folder);
    dev->thread = (unsigned int)((dev - &devices[0][0]) / SLOTS);
    dev->state = XenbusStateInitialising;
    dev->peer = (domid_t)xenbus_number(folder, "frontend-id", DOMID_INVALID);
    if (xenbus_read(folder, "frontend", dev->front, sizeof(dev->front)) <= 0) {
        return "no frontend";
    }
    read_cost(dev);
    why = kind->prepare(dev);
    if (why) {
        return why;
    }
    dev->window = take_window();
    if (!dev->window) {
        kind->release(dev);
        return "too many devices";
    }
    return NULL;
}

static void add(const struct device_kind *kind, const char *folder)
{
    struct device *dev = free_slot(xenbus_number(folder, "iothread", 0));
    const char *why = dev ? fill(dev, kind, folder) : "no such iothread, or it has too many";
    unsigned int slot = dev ? (unsigned int)(dev - devices[dev->thread]) : 0;

    if (why) {
        printf("stub: %s: %s\n", folder, why);
        xenbus_write(folder, "error", why);
        xenbus_switch(folder, XenbusStateClosed);
        return;
    }
    seen[dev->thread][slot].is = LINK_DOWN;
    seen[dev->thread][slot].broken = false;
    xenbus_write(folder, "hotplug-status", "connected");
    __atomic_store_n(&dev->kind, kind, __ATOMIC_RELEASE);
    xenbus_watch(dev->front, TOKEN_FRONT);
    step(dev);
}

/* A folder that is whole, since its state is there, and nobody's yet. */
static void look_at(const struct device_kind *kind, const char *folder)
{
    if (!find(folder) && xenbus_state(folder) == XenbusStateInitialising) {
        add(kind, folder);
    }
}

/* Calls for each name in a folder of the store. */
static void each_name(const struct device_kind *kind, const char *folder,
                      void (*call)(const struct device_kind *kind, const char *path))
{
    char names[NAMES_ROOM], path[XENBUS_PATH];
    long n = xs_directory(folder, names, sizeof(names));

    for (long at = 0; at < n; at += (long)strlen(names + at) + 1) {
        if (strlen(folder) + strlen(names + at) + 2 <= sizeof(path)) {
            fmt_snprintf(path, sizeof(path), "%s/%s", folder, names + at);
            call(kind, path);
        }
    }
}

static void look_at_client(const struct device_kind *kind, const char *folder)
{
    each_name(kind, folder, look_at);
}

static void look_for_new(void)
{
    for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char folder[XENBUS_PATH];

        fmt_snprintf(folder, sizeof(folder), "backend/%s", kinds[i]->type);
        each_name(kinds[i], folder, look_at_client);
    }
}

/* ---- events ---- */

static void read_default_cost(void)
{
    char text[24];
    uint64_t us;

    if (xs_read("data/cost", text, sizeof(text)) > 0 && uint_parse(text, &us)) {
        cost_default = cost_limit(us);
    }
}

static void look_at_all(void)
{
    look_for_new();
    for_each_device(dev)
    {
        read_cost(dev);
        step(dev);
    }
    read_default_cost();
}

/* Whether path is the folder or below it; *key: what is behind the folder. */
static bool is_below(const char *folder, const char *path, const char **key)
{
    size_t n = strlen(folder);

    *key = path + n;
    return strlen(path) >= n && memcmp(folder, path, n) == 0 && (!path[n] || path[n] == '/');
}

static void back_changed(const char *path)
{
    const char *key;

    for_each_device(dev)
    {
        if (!is_below(dev->folder, path, &key)) {
            continue;
        }
        if (strcmp(key, "/cost") == 0) {
            read_cost(dev);
        } else if (strcmp(key, "/state") == 0 || !*key) {
            step(dev);
        }
        return;
    }
    look_at_all();
}

static void front_changed(const char *path)
{
    const char *key;

    for_each_device(dev)
    {
        if (is_below(dev->front, path, &key)) {
            step(dev);
        }
    }
}

/* What the threads have said. */
static bool has_news(const struct device *dev)
{
    unsigned int slot = (unsigned int)(dev - devices[dev->thread]);

    return dev->is != seen[dev->thread][slot].is || dev->broken != seen[dev->thread][slot].broken;
}

static void follow_thread(struct device *dev)
{
    unsigned int slot = (unsigned int)(dev - devices[dev->thread]);

    seen[dev->thread][slot].is = dev->is;
    seen[dev->thread][slot].broken = dev->broken;
    step(dev);
}

bool devices_wait(void)
{
    for_each_device(dev)
    {
        if (has_news(dev)) {
            return true;
        }
    }
    return xs_event_waits();
}

void devices_follow(void)
{
    char path[XENBUS_PATH + 32], token[32];
    unsigned int n = 0;

    while (n++ < EVENTS_TURN && xs_event_waits() &&
           xs_event(path, sizeof(path), token, sizeof(token)) > 0) {
        if (strcmp(token, TOKEN_FRONT) == 0) {
            front_changed(path);
        } else if (strcmp(token, TOKEN_COST) == 0) {
            read_default_cost();
        } else if (strcmp(token, TOKEN_BACK) == 0) {
            back_changed(path);
        } else {
            look_at_all();
        }
    }
    for_each_device(dev)
    {
        if (has_news(dev)) {
            follow_thread(dev);
        }
    }
}

/* The first event of a watch comes at once, so what is there already is found by that. */
long devices_start(void)
{
    long rc = xs_watch("backend", TOKEN_BACK);

    return rc ? rc : xs_watch("data/cost", TOKEN_COST);
}
