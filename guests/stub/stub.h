/* SPDX-License-Identifier: MIT */
/*
 * stub.h - the stub domain's files among themselves. A device is owned by two: vcpu 0 (devices.c)
 * has all that comes by the store, and orders; its thread (thread.c) has the link and the ring, and
 * says what is. `order`, `is`, `kicked`, `broken` and `cost` are the only words between them, so
 * there are no locks. A slot of the table is one thread's for ever.
 */
#pragma once

#include "blkif.h"
#include "echoif.h"
#include "xenbus.h"

#define THREADS_MAX 17U /* the emulator thread and 16 iothreads, as a domain file may have */
#define SLOTS 16U       /* devices of a thread, and of all: there are so many windows */
#define COST_UNSET (~0U)

enum { LINK_DOWN, LINK_UP, LINK_FAILED };

struct device;

struct device_kind {
    const char *type; /* its folder's name */
    /* vcpu 0: takes what the device needs beside its link, and tells the client about it in the
     * folder. What is wrong, or NULL. */
    const char *(*prepare)(struct device *dev);
    void (*release)(struct device *dev);
    long (*publish)(const struct device *dev);
    /* Its thread: */
    void (*attach)(struct device *dev);
    void (*serve)(struct device *dev);
};
extern const struct device_kind disk_kind, echo_kind;

/* Frames from `first` on; nothing of them is mapped. */
struct disk {
    unsigned long first, frames;
    uint64_t sectors;
    bool readonly;
};

struct device {
    const struct device_kind *kind; /* NULL: the slot is free */
    /* vcpu 0 */
    char folder[XENBUS_PATH], front[XENBUS_PATH];
    domid_t peer;
    unsigned int id, thread;
    long state; /* as we wrote it */
    bool leaving;
    grant_ref_t ref;
    evtchn_port_t port; /* the client's */
    /* its thread */
    struct ring_link link;
    union {
        struct blkif_back_ring blk;
        struct echoif_back_ring echo;
    } ring;
    unsigned long requests, errors, batches;
    /* neither changes while a link is ordered */
    struct disk disk;
    void *window; /* a page that the ring is mapped over */
    /* both */
    volatile uint8_t order, is;
    volatile bool kicked, broken;
    volatile uint32_t cost; /* us, or COST_UNSET */
};

extern struct device devices[THREADS_MAX][SLOTS];
extern unsigned int nr_threads;

/* ---- main.c ---- */

void thread_wake(unsigned int thread);

/* ---- thread.c ---- */

bool thread_has_work(unsigned int thread);
/* A look at each of its devices: links that are to come or go, and a ring's worth of requests. */
void thread_turn(unsigned int thread);
/* What serve() asks between two requests: false: it is to return, and is called again. */
bool device_goes_on(const struct device *dev, uint64_t since);
void device_notify(const struct device *dev);

/* ---- devices.c: vcpu 0 ---- */

long devices_start(void);
bool devices_wait(void); /* there is something for devices_follow() */
void devices_follow(void);

/* ---- disk.c ---- */

unsigned long disk_room(void);

/* ---- cost.c ---- */

extern volatile uint32_t cost_default; /* us */
uint32_t cost_limit(uint64_t us);
/* A request's work begins: the runtime at which it may end; 0: at any. */
uint64_t cost_begin(const struct device *dev);
/* The work is done; spends what is left. */
void cost_end(uint64_t end);
