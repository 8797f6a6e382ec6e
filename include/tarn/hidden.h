/* SPDX-License-Identifier: MIT */
/*
 * Included first in every file, by the compiler's command line: all that is declared stands in this
 * image, so that the compiler need not reach it through a table of addresses (GOT).
 */
#pragma once
#pragma GCC visibility push(hidden)
