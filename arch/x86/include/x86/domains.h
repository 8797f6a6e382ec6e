/* SPDX-License-Identifier: MIT */
/* What the command line and the boot loader's modules have us make: pools, then domains;
 * arch/x86/boot/pools.c, domains.c. */
#pragma once

struct boot_info;
void pools_boot(void); /* cpupool= options; lists all pools on the console */
void domains_boot(const struct boot_info *bi);
