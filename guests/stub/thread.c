/* SPDX-License-Identifier: MIT */
/*
 * thread.c - the vcpus that serve: each goes round its devices, brings links up and down as vcpu 0
 * orders, and has the requests done that are there. It owns a device's link and ring.
 */
#include "stub.h"

#define TURN (2 * MS) /* so long a device's turn lasts, if others wait or not */

struct device devices[THREADS_MAX][SLOTS];
unsigned int nr_threads;

static const struct device_kind *kind_of(const struct device *dev)
{
    return __atomic_load_n(&dev->kind, __ATOMIC_ACQUIRE);
}

static bool has_work(const struct device *dev)
{
    switch (dev->is) {
    case LINK_DOWN:
        return dev->order == LINK_UP;
    case LINK_UP:
        return dev->order == LINK_DOWN || (dev->kicked && !dev->broken);
    default:
        return dev->order == LINK_DOWN;
    }
}

bool thread_has_work(unsigned int thread)
{
    for (unsigned int i = 0; i < SLOTS; i++) {
        const struct device *dev = &devices[thread][i];

        if (kind_of(dev) && has_work(dev)) {
            return true;
        }
    }
    return false;
}

static void on_event(evtchn_port_t port)
{
    struct device *mine = devices[vcpu_self()];

    for (unsigned int i = 0; i < SLOTS; i++) {
        if (kind_of(&mine[i]) && mine[i].is == LINK_UP && mine[i].link.port == port) {
            mine[i].kicked = true;
        }
    }
}

/* The handler comes last: what is pending by then makes it run at once. */
static uint8_t attach(struct device *dev)
{
    long rc = ring_attach(&dev->link, dev->peer, dev->ref, dev->port, dev->window);

    if (rc) {
        printf("stub: %s: ring %u port %u: %ld\n", dev->folder, dev->ref, dev->port, rc);
        return LINK_FAILED;
    }
    dev->kind->attach(dev);
    dev->requests = 0;
    dev->errors = 0;
    dev->batches = 0;
    dev->broken = false;
    dev->kicked = true;
    event_bind_vcpu(dev->link.port, dev->thread);
    return LINK_UP;
}

static uint8_t detach(struct device *dev)
{
    if (dev->is == LINK_UP && ring_leave(&dev->link)) {
        printf("stub: %s: the ring can't be unmapped\n", dev->folder);
    }
    return LINK_DOWN;
}

static void follow_order(struct device *dev)
{
    uint8_t is = dev->is, order = dev->order;

    if (order == LINK_UP && is == LINK_DOWN) {
        dev->is = attach(dev);
        if (dev->is == LINK_UP) {
            event_handle(dev->link.port, dev->thread, on_event);
        }
    } else if (order == LINK_DOWN && is != LINK_DOWN) {
        dev->is = detach(dev);
    } else {
        return;
    }
    thread_wake(0);
}

bool device_goes_on(const struct device *dev, uint64_t since)
{
    return dev->order == LINK_UP && clock_now() - since < TURN;
}

void device_notify(const struct device *dev)
{
    ring_notify(&dev->link);
}

void thread_turn(unsigned int thread)
{
    for (unsigned int i = 0; i < SLOTS; i++) {
        struct device *dev = &devices[thread][i];

        if (!kind_of(dev)) {
            continue;
        }
        follow_order(dev);
        if (dev->is == LINK_UP && dev->kicked && !dev->broken) {
            dev->kicked = false;
            dev->batches++;
            dev->kind->serve(dev);
            if (dev->broken) {
                thread_wake(0);
            }
        }
    }
}
