/* SPDX-License-Identifier: MIT */
/*
 * front.c - the client's ends of its devices: finds them in the store, connects and closes them as
 * xenbus has it. When a back goes away, the pages are taken back, and the front waits for another.
 */
#include "client.h"

#define TOKEN_BACK "back"
#define TOKEN_FOLDER "folder"
#define NAMES_ROOM 256U

struct front fronts[FRONTS_MAX];
unsigned int nr_fronts;

static char rings[FRONTS_MAX][PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));

static void on_event(evtchn_port_t port)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        if (fronts[i].link.port == port) {
            fronts[i].kicked = true;
        }
    }
}

/* ---- connecting ---- */

static void init_ring(struct front *f)
{
    void *page = rings[f - fronts];

    if (f->disk) {
        XEN_FRONT_RING_INIT(&f->ring.blk, (struct blkif_sring *)page, PAGE_SIZE);
    } else {
        XEN_FRONT_RING_INIT(&f->ring.echo, (struct echoif_sring *)page, PAGE_SIZE);
    }
}

/* The ring and all pages for data are granted as long as the link is there. */
static void offer(struct front *f)
{
    const char *why;
    long rc;

    init_ring(f);
    rc = ring_grant(&f->link, f->peer, rings[f - fronts]);
    if (rc) {
        printf("client: %s: offer: %ld\n", f->folder, rc);
        return;
    }
    event_handle(f->link.port, 0, on_event);
    f->state = FRONT_CONNECTS;
    why = load_connect(f);
    if (why) {
        printf("client: %s: %s\n", f->folder, why);
    }
    xenbus_write_number(f->folder, "ring-ref", f->link.ref);
    xenbus_write_number(f->folder, "event-channel", f->link.port);
    xenbus_write(f->folder, "protocol", "x86_64-abi");
    xenbus_switch(f->folder, XenbusStateInitialised);
}

static void part(struct front *f, bool tell)
{
    load_drop(f);
    event_close(f->link.port);
    f->state = FRONT_RECLAIMS;
    if (tell) {
        xenbus_switch(f->folder, XenbusStateClosed);
    }
}

static void go_up(struct front *f)
{
    uint64_t sectors = xenbus_number(f->back, "sectors", 0);

    f->parts = f->disk ? sectors * SECTOR_SIZE / options.size : 1;
    if (!f->parts) {
        printf("client: %s: %lu sectors are too few\n", f->folder, sectors);
        part(f, true);
        return;
    }
    f->state = FRONT_UP;
    f->was_up = true;
    f->kicked = true;
    xenbus_switch(f->folder, XenbusStateConnected);
    printf("client: %s: connected to domain %u, %lu sectors\n", f->folder, f->peer, sectors);
}

/* ---- states ---- */

static void find_back(struct front *f)
{
    if (f->ending || xenbus_state(f->folder) != XenbusStateInitialising ||
        xenbus_read(f->folder, "backend", f->back, sizeof(f->back)) <= 0) {
        return;
    }
    f->peer = (domid_t)xenbus_number(f->folder, "backend-id", DOMID_INVALID);
    if (xenbus_watch(f->back, TOKEN_BACK) == 0) {
        f->state = FRONT_WAITS;
    }
}

static void lost(struct front *f, long back)
{
    printf("client: %s: the back %s, %u requests lost\n", f->folder,
           back == XenbusStateUnknown ? "is gone" : "closes", f->busy);
    part(f, back != XenbusStateUnknown);
    if (back == XenbusStateUnknown) {
        verify_forget(f);
    }
}

static void go_idle(struct front *f)
{
    f->state = FRONT_IDLE;
    xenbus_unwatch(f->back, TOKEN_BACK);
}

/* All that was granted is ours again. A back that goes on being there is for another try. */
static void reclaim(struct front *f)
{
    if (!load_reclaim(f) || !grant_end(f->link.ref)) {
        return;
    }
    printf("client: %s: closed, all pages are ours\n", f->folder);
    if (!f->ending && f->was_up && xenbus_state(f->back) != XenbusStateUnknown &&
        xenbus_number(f->back, "online", 0)) {
        xenbus_switch(f->folder, XenbusStateInitialising);
    }
    f->was_up = false;
    go_idle(f);
}

static void closing(struct front *f, long back)
{
    if (back == XenbusStateClosing) {
        xenbus_switch(f->folder, XenbusStateClosed);
    } else if (back == XenbusStateClosed || back == XenbusStateUnknown) {
        part(f, back != XenbusStateUnknown);
    }
}

static void step(struct front *f)
{
    long back = f->state == FRONT_IDLE ? 0 : xenbus_state(f->back);
    bool away = back == XenbusStateUnknown || back == XenbusStateClosing ||
                back == XenbusStateClosed;

    if (back < 0) {
        return;
    }
    switch (f->state) {
    case FRONT_IDLE:
        find_back(f);
        break;
    case FRONT_WAITS:
        if (back == XenbusStateInitWait) {
            offer(f);
        } else if (back == XenbusStateUnknown || f->ending) {
            go_idle(f);
        }
        break;
    case FRONT_CONNECTS:
        if (away) {
            lost(f, back);
        } else if (back == XenbusStateConnected) {
            go_up(f);
        }
        break;
    case FRONT_UP:
        if (away) {
            lost(f, back);
        }
        break;
    case FRONT_CLOSES:
        closing(f, back);
        break;
    case FRONT_RECLAIMS:
        break;
    }
    if (f->state == FRONT_RECLAIMS) {
        reclaim(f);
    }
}

/* ---- all of them ---- */

static void add(const char *type, const char *name, bool disk)
{
    struct front *f = &fronts[nr_fronts];

    if (nr_fronts == FRONTS_MAX) {
        return;
    }
    *f = (struct front){ .disk = disk, .random = nr_fronts + 1 };
    fmt_snprintf(f->folder, sizeof(f->folder), "device/%s/%s", type, name);
    if (xs_watch(f->folder, TOKEN_FOLDER) == 0) {
        nr_fronts++;
    }
}

static void find(const char *type, bool disk)
{
    char path[24], names[NAMES_ROOM];
    long n;

    fmt_snprintf(path, sizeof(path), "device/%s", type);
    n = xs_directory(path, names, sizeof(names));
    for (long at = 0; at < n; at += (long)strlen(names + at) + 1) {
        add(type, names + at, disk);
    }
}

unsigned int fronts_find(void)
{
    if (options.disk) {
        find("vbd", true);
    }
    if (options.echo) {
        find("echo", false);
    }
    return nr_fronts;
}

void fronts_follow(void)
{
    char path[XENBUS_PATH + 32], token[32];
    bool changed = fronts_any(FRONT_RECLAIMS);

    while (xs_event_waits() && xs_event(path, sizeof(path), token, sizeof(token)) > 0) {
        changed = true;
    }
    for (unsigned int i = 0; changed && i < nr_fronts; i++) {
        step(&fronts[i]);
    }
}

bool fronts_all(enum front_state state)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        if (fronts[i].state != state) {
            return false;
        }
    }
    return true;
}

bool fronts_any(enum front_state state)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        if (fronts[i].state == state) {
            return true;
        }
    }
    return false;
}

void fronts_open(void)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        fronts[i].ending = false;
        xenbus_switch(fronts[i].folder, XenbusStateInitialising);
        step(&fronts[i]);
    }
}

void front_restart(struct front *f)
{
    f->state = FRONT_CLOSES;
    xenbus_switch(f->folder, XenbusStateClosing);
    step(f);
}

void fronts_close(void)
{
    for (unsigned int i = 0; i < nr_fronts; i++) {
        fronts[i].ending = true;
        if (fronts[i].state == FRONT_UP || fronts[i].state == FRONT_CONNECTS) {
            fronts[i].state = FRONT_CLOSES;
            xenbus_switch(fronts[i].folder, XenbusStateClosing);
        }
        step(&fronts[i]);
    }
}
