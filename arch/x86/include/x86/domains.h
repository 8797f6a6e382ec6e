/* SPDX-License-Identifier: MIT */
/* The domains that the boot loader brought as modules; arch/x86/boot/domains.c. */
#pragma once

struct boot_info;
void domains_boot(const struct boot_info *bi);
