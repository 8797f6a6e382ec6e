/* SPDX-License-Identifier: MIT */
/* domains.h - what create.c needs of domains.c beyond control.h. */
#pragma once

#include "shell.h"

/* Into the list; from then on domain_destroy takes it out and releases it and its config. */
void domain_add(struct domain *d);
/* Tells the hypervisor, for its messages; on others than tarn nothing happens. */
void domain_tell_name(domid_t domid, const char *name);
/* Whether domain_build would take the kernel and ramdisk; of args it needs no more than them and
 * the config. */
long domain_build_check(const struct build_args *args, char *why, size_t why_size);
