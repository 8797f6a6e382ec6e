/* SPDX-License-Identifier: MIT */
/*
 * fifo.h - a consumer of FIFO event channels, as small as can be: control blocks for two vcpus, an
 * array of event words that is read by their machine frames' pages, and queues taken apart in
 * order. fifo_start() switches the domain over, a reset of its own switches it back.
 */
#pragma once

#include "port.h"

#define FIFO_PAGES 128U /* of event words: 131,072 */
#define WORDS_A_PAGE 1024U
#define BIT(n) (1U << (n))

extern volatile char fifo_controls[2][PAGE_SIZE];
extern volatile char fifo_array[FIFO_PAGES][PAGE_SIZE];

volatile struct evtchn_fifo_control_block *fifo_control(unsigned int vcpu);
volatile event_word_t *fifo_word(evtchn_port_t port);

long fifo_init(unsigned int vcpu, uint64_t gfn, uint32_t offset);
long fifo_expand(uint64_t gfn);
/* Both vcpus' control blocks and so many pages of words, all zeros. */
void fifo_start(unsigned int pages);
/* With empty queues: Xen 4.17 still links ports that were pending when it switched before. */
void fifo_fresh(unsigned int pages);

/* E|name|pending masked linked busy, then bits of ready and the queue of the port's priority */
void fifo_bits(const char *name, evtchn_port_t port);
/* Empties all queues of both vcpus. */
void fifo_drain(void);
/* Same, then the port's bits to what the case wants. */
void fifo_bits_set(evtchn_port_t port, bool pending, bool masked);
/* Ports in the order of delivery: those pending and not masked. */
void fifo_deliver(const char *name, unsigned int vcpu);

void check_fifo_setup(void);
void check_fifo_order(void);
