/* SPDX-License-Identifier: MIT */
/*
 * What the code under test needs of the hypervisor, for host tests: panic(), as a failed assertion
 * of cmocka, so that expect_assert_failure() takes it as the result wanted and anything else fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <tarn/lib.h>

void panic(const char *fmt, ...)
{
    static char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    mock_assert(0, text, __FILE__, __LINE__);
    abort();
}
