/* SPDX-License-Identifier: MIT */
/*
 * event_fifo.h - the FIFO protocol's part of the ports (event_fifo.c), as event.c uses it once
 * `fifo_on`. Private to the runtime; guests see guest.h.
 */
#pragma once

#include "guest.h"

extern bool fifo_on;

/* Handles events until no queue has any, the most urgent queue first. */
void fifo_scan(unsigned int vcpu);
/* A flag of the port's event word, EVTCHN_FIFO_PENDING or _MASKED. */
bool fifo_is(evtchn_port_t port, unsigned int flag);
/* Clears PENDING; whether it was set. */
bool fifo_clear(evtchn_port_t port);
void fifo_mask(evtchn_port_t port);
/* False: it is pending, and only the hypervisor can unmask and raise it. */
bool fifo_unmask(evtchn_port_t port);
