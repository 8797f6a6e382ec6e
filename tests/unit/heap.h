/* SPDX-License-Identifier: MIT */
/* The control domain's heap on the host: counts what is in use, and fails where it is told to. */
#pragma once

extern int in_use;              /* allocations */
extern unsigned int fail_after; /* the n-th allocation from now on fails; 0: none */
