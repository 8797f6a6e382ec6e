/* SPDX-License-Identifier: MIT */
/* uuid.h - a domain's UUID: its handle in the hypervisor, and its place in the store (uuid.c). */
#pragma once

#include "shell.h"

#define VM_PATH_SIZE 48u

/* A random one. */
void uuid_make(uint8_t uuid[16]);
/* Who has it; DOMID_INVALID: nobody. */
domid_t uuid_owner(const uint8_t uuid[16]);
/* "/vm/UUID" */
void uuid_path(const uint8_t uuid[16], char path[VM_PATH_SIZE]);
/* A random one in place of what the domain has, in the hypervisor and in the store; 0 or -errno. */
long uuid_renew(const struct domain *d);
