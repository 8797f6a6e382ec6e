/* SPDX-License-Identifier: MIT */
/*
 * echoif.h - the least device there is: what is in a request comes back in its response. For loads
 * that are to be nothing but requests.
 */
#pragma once

#include "ring.h"

#define ECHOIF_BYTES 48U

struct echoif_request {
    uint64_t id;
    uint32_t size; /* of data */
    uint32_t pad;
    uint8_t data[ECHOIF_BYTES];
};

struct echoif_response {
    uint64_t id;
    int32_t status; /* 0; -1: the size is too much */
    uint32_t size;
    uint8_t data[ECHOIF_BYTES];
};

DEFINE_RING_TYPES(echoif, struct echoif_request, struct echoif_response);
