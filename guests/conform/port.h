/* SPDX-License-Identifier: MIT */
/*
 * port.h - event channels as the groups ask about them: operations that return the port or -errno,
 * and what is printed of a port: its bits (E lines) and its status.
 */
#pragma once

#include "conform.h"

#define FAR_PORT 0x7fffffffU /* beyond the ports of any protocol */

/* All bits of the port and of vcpu 0 to what the case wants; two-level. */
void port_bits_set(evtchn_port_t port, bool pending, bool masked);
/* E|name|pending mask sel upcall */
void port_bits(const char *name, evtchn_port_t port);

long port_alloc(domid_t dom, domid_t remote);
long port_unmask(evtchn_port_t port);
long port_reset(domid_t dom);
long port_priority(evtchn_port_t port, uint32_t priority);
long port_poll(evtchn_port_t *ports, unsigned int n, uint64_t timeout);
/* Kind, vcpu, and who or what is at the other end. */
void port_status(const char *name, domid_t dom, evtchn_port_t port);

/* How a protocol's bits are set and shown. */
struct port_view {
    const char *prefix;
    void (*set)(evtchn_port_t port, bool pending, bool masked);
    void (*show)(const char *name, evtchn_port_t port);
};

/* All operations on a port of each kind. Expects REMOTE to exist, leaves no port behind. */
void ports_of_all_kinds(const struct port_view *view);

void check_evtchn_remote(void);
void check_evtchn_args(void);
void check_poll(void);
void check_areas(void);
