/* SPDX-License-Identifier: MIT */
/*
 * stub - the emulator of a domain: serves its disks and echo devices over rings, in a domain of its
 * own. vcpu 0 is the emulator thread: it talks to the store and serves the devices that no iothread
 * has; vcpu N is iothread N and serves the devices given to it. All sleep until there is work.
 * Arguments: cost=US, the CPU time that each request takes at least (default 0); it is changed at
 * any time by writing data/cost in the domain's folder, and of one device by `cost` in the
 * device's.
 *
 * Devices come and go by the store, in xenbus' layout. The control domain writes, S being this
 * domain and C the client, /local/domain/S/backend/TYPE/C/DEV (S owns it, C reads it):
 *   frontend     /local/domain/C/device/TYPE/DEV (C owns that, S reads it)
 *   frontend-id  C
 *   online       1; 0 and state 5: the device is to go
 *   size, mode   of a disk: in sectors of 512 bytes; "r": the client can't write
 *   iothread     N; 0 or none: the emulator thread
 *   cost         optional
 *   state        1, as the last
 * TYPE is vbd (DEV 51712 + 16 * n, <xen/io/blkif.h>) or echo (echoif.h). The stub adds sectors,
 * sector-size, info, feature-flush-cache and hotplug-status, and `error` when it can't serve it.
 * A disk is frames of this domain beyond what the loader mapped (4 MiB).
 */
#include "stub.h"

const char guest_name[] = "stub";

static evtchn_port_t wakes[THREADS_MAX];

static void on_wake(evtchn_port_t port)
{
    (void)port; /* what is to be done is seen in the devices */
}

static long wake_bind(unsigned int thread)
{
    long port = event_bind_ipi(thread);

    if (port < 0) {
        return port;
    }
    wakes[thread] = (evtchn_port_t)port;
    event_handle((evtchn_port_t)port, thread, on_wake);
    return 0;
}

void thread_wake(unsigned int thread)
{
    if (thread != vcpu_self()) {
        event_send(wakes[thread]);
    }
}

static void iothread(void)
{
    unsigned int self = vcpu_self();

    for (;;) {
        wait_until(thread_has_work(self));
        thread_turn(self);
    }
}

/* 0, or -errno. */
static long threads_start(void)
{
    long rc = 0;

    nr_threads = vcpu_count();
    nr_threads = nr_threads < THREADS_MAX ? nr_threads : THREADS_MAX;
    for (unsigned int t = 0; t < nr_threads && !rc; t++) {
        rc = wake_bind(t);
        rc = rc || !t ? rc : vcpu_start(t, iothread);
    }
    return rc;
}

const char *guest_main(void)
{
    long rc = grant_start();

    if (rc < 0) {
        printf("stub: grant tables: %ld\n", rc);
        return "no grant tables";
    }
    if (!xs_present()) {
        return "no store";
    }
    cost_default = cost_limit(arg_number("cost", 0));
    if (threads_start()) {
        return "a vcpu does not start";
    }
    rc = devices_start();
    if (rc) {
        printf("stub: watches: %ld\n", rc);
        return "the store does not answer";
    }
    printf("stub: %u iothreads, %lu frames for disks\n", nr_threads - 1, disk_room());
    for (;;) {
        wait_until(thread_has_work(0) || devices_wait());
        thread_turn(0);
        devices_follow();
        guest_serve();
    }
}
