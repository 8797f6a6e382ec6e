/* SPDX-License-Identifier: MIT */
/* The control domain's heap on the host; see heap.h. */
#include <stdlib.h>

#include "../../guests/control/storewire.h"
#include "heap.h"

int in_use;
unsigned int fail_after;

void *allocate(size_t size)
{
    if (fail_after && --fail_after == 0) {
        return NULL;
    }
    in_use++;
    return calloc(1, size);
}

void release(void *p)
{
    in_use -= p != NULL;
    free(p);
}
