/* SPDX-License-Identifier: MIT */
/*
 * echo.c - the echo device: a request's bytes come back in its response. It needs no memory and no
 * grants beyond the ring, so what it costs is the ring and the event alone.
 */
#include "stub.h"

static const char *echo_prepare(struct device *dev)
{
    (void)dev;
    return NULL;
}

static void echo_release(struct device *dev)
{
    (void)dev;
}

static long echo_publish(const struct device *dev)
{
    return xenbus_write_number(dev->folder, "bytes", ECHOIF_BYTES);
}

static void echo_attach(struct device *dev)
{
    BACK_RING_INIT(&dev->ring.echo, (struct echoif_sring *)dev->link.page, PAGE_SIZE);
}

static void push(struct device *dev)
{
    bool notify;

    RING_PUSH_RESPONSES_AND_CHECK_NOTIFY(&dev->ring.echo, notify);
    if (notify) {
        device_notify(dev);
    }
}

static void answer(struct device *dev, const struct echoif_request *q)
{
    struct echoif_response *r = RING_GET_RESPONSE(&dev->ring.echo, dev->ring.echo.rsp_prod_pvt);
    bool good = q->size <= ECHOIF_BYTES;

    r->id = q->id;
    r->status = good ? 0 : -1;
    r->size = good ? q->size : 0;
    memcpy(r->data, q->data, r->size <= ECHOIF_BYTES ? r->size : 0);
    dev->ring.echo.rsp_prod_pvt++;
    dev->requests++;
    dev->errors += !good;
}

static void echo_serve(struct device *dev)
{
    struct echoif_back_ring *ring = &dev->ring.echo;
    RING_IDX prod = __atomic_load_n(&ring->sring->req_prod, __ATOMIC_ACQUIRE);
    uint64_t since = clock_now();
    int more;

    if (RING_REQUEST_PROD_OVERFLOW(ring, prod)) {
        dev->broken = true;
        return;
    }
    while (ring->req_cons != prod && device_goes_on(dev, since)) {
        uint64_t end = cost_begin(dev);
        struct echoif_request q;

        RING_COPY_REQUEST(ring, ring->req_cons, &q);
        ring->req_cons++;
        cost_end(end);
        answer(dev, &q);
        if (end) {
            push(dev);
        }
    }
    push(dev);
    RING_FINAL_CHECK_FOR_REQUESTS(ring, more);
    if (more) {
        dev->kicked = true;
    }
}

const struct device_kind echo_kind = {
    .type = "echo",
    .prepare = echo_prepare,
    .release = echo_release,
    .publish = echo_publish,
    .attach = echo_attach,
    .serve = echo_serve,
};
