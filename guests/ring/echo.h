/* SPDX-License-Identifier: MIT */
/*
 * echo.h - what the front and the back of this demo say to each other. A request has data, inline
 * or in a page that it grants; the answer is their sum. With ECHO_CHANGE the back inverts each word
 * of the page, too.
 */
#pragma once

#include "ring.h"

enum {
    ECHO_INLINE, /* data[] is summed up */
    ECHO_MAP,    /* the page of ref, which the back maps */
    ECHO_COPY,   /* likewise, but it copies it */
    ECHO_KEEP,   /* a page that the back keeps mapped, to the end */
    ECHO_BYE,    /* the front is about to leave: nothing of its is mapped any more but the ring */
};

#define ECHO_CHANGE 1U
#define ECHO_WORDS (PAGE_SIZE / sizeof(uint64_t))

struct echo_request {
    uint64_t id;
    uint32_t op, flags;
    grant_ref_t ref;
    uint32_t pad;
    uint64_t data[4];
};

struct echo_response {
    uint64_t id, sum;
    int32_t status; /* 0, a GNTST_ status or -errno */
    uint32_t pad;
};

DEFINE_RING_TYPES(echo, struct echo_request, struct echo_response);

#define STALL (5 * SEC)       /* so long without an answer, and it is lost */
#define LOOK_EVERY (100 * MS) /* whether the other one is still there */

static inline uint64_t echo_sum(const uint64_t *words, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < n; i++) {
        sum = sum * 31 + words[i];
    }
    return sum;
}

const char *front_run(domid_t peer, const struct ring_place *place);
const char *back_run(domid_t peer, const struct ring_place *place);
