/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing the current guest's memory by its own virtual addresses;
 * arch/x86/mm/guest_access.c. All return 0 or -EFAULT (never a fault of ours), with nothing or a
 * leading part copied. Addresses in the hypervisor's range are refused.
 */
#pragma once

#include <tarn/errno.h>
#include <tarn/types.h>

int copy_from_guest(void *dst, u64 guest_va, size_t len) __attribute__((warn_unused_result));
int copy_to_guest(u64 guest_va, const void *src, size_t len) __attribute__((warn_unused_result));
