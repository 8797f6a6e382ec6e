/* SPDX-License-Identifier: MIT */
/*
 * tune.h - a domain's CPU time beyond weight and cap: scheduling domains, bandwidth, and who is
 * whose emulator (tune.c): the hypervisor's own calls in the shape in which commands want them.
 * What returns long returns 0 or -errno; -ENOSYS on hypervisors other than tarn.
 */
#pragma once

#include "shell.h"

#include <tarn.h>

/* ---- bandwidth; vcpu may be TARN_BANDWIDTH_DOMAIN ---- */

long bandwidth_get(domid_t domid, uint32_t vcpu, struct tarn_bandwidth *b);
/* 0 in either: as it is; quota negative: no limit. */
long bandwidth_put(domid_t domid, uint32_t vcpu, const struct bandwidth *b);
/* NULL, or why it can't be had: "period 5 us: it is 1000 to 1000000 us"; until the next call. */
const char *bandwidth_wrong(const struct bandwidth *b);

/* ---- scheduling domains ---- */

/* weight 0: the default one. */
long group_add(domid_t member, domid_t master, unsigned int weight, unsigned int cap);
/* Why it did not, in words, until the next call. */
const char *group_add_why(const struct domain *member, const struct domain *master, long rc);
long group_set(domid_t member, domid_t master, unsigned int weight, unsigned int cap);
long group_remove(domid_t member);
long group_dissolve(domid_t master);
long group_info(domid_t domid, struct tarn_group *g);
/* Whose member it is; DOMID_INVALID: nobody's. */
domid_t master_of(domid_t domid);
bool has_members(domid_t domid);
/* Says that weight and cap of this member, or its pool, are its master's to change, if that is what
 * rc, of a try to do so, is about: a status, 0: it is not. */
int member_fail(const struct domain *d, long rc, const char *what);

/* For how long it ran on that CPU, ns. */
long cpu_time_get(domid_t domid, uint32_t cpu, uint64_t *ns);

/* ---- emulators ---- */

/* DOMID_INVALID: it has none; it serves nobody. */
domid_t emulator_of(domid_t domid);
domid_t client_of(domid_t domid);
long emulator_bind(domid_t domid, domid_t emulator);
/* What a vcpu of an emulator is called: "emu", "io1". */
const char *emulator_thread(char name[8], uint32_t vcpu);
/* Of any vcpu: "d3v0"; of one of an emulator, whose client is given, "d1emu", "d1io2". */
#define UNIT_NAME_SIZE 20u
void unit_name(char name[UNIT_NAME_SIZE], domid_t domid, domid_t client, uint32_t vcpu);
