/* SPDX-License-Identifier: MIT */
/* Error numbers, from the public ABI header; functions return them negated. */
#pragma once

enum tarn_errno {
#define XEN_ERRNO(name, value) name = (value),
#include <xen/errno.h>
    ERESTART = 85, /* ours: not done yet; no guest ever sees it */
};
