/* SPDX-License-Identifier: MIT */
/* sources: evtchn/port.c evtchn/fifo.c */
/*
 * The state machine of ports: every error, growth and limits, and a long random walk of two domains
 * that is compared with a naive model after each step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <tarn/errno.h>
#include <tarn/evtchn.h>

void arch_spin_service(void);
__attribute__((weak)) void arch_spin_service(void)
{
}

/* Two domains; what they are is nobody's business in port.c, so any address serves. */
static struct evtchn_domain table[2];
static char opaque[2];
static struct evtchn_end end[2];

static struct domain *dom(u32 d)
{
    return (struct domain *)&opaque[d];
}

static void init(u32 max_port)
{
    for (u32 d = 0; d < 2; d++) {
        evtchn_ports_init(&table[d], max_port);
        end[d] = (struct evtchn_end){ &table[d], dom(d), (domid_t)(d + 1) };
    }
}

static void *page(size_t size)
{
    void *p = aligned_alloc(PAGE_SIZE, size);

    return memset(p, 0, size);
}

static void grow(struct evtchn_domain *e)
{
    if (evtchn_ports_full(e)) {
        if (evtchn_ports_need_table(e)) {
            evtchn_ports_set_table(e, page(EVTCHN_BUCKETS * sizeof(struct evtchn_bucket)));
        }
        evtchn_ports_add_bucket(e, page(PAGE_SIZE));
    }
}

static int setup(void **state)
{
    (void)state;
    init(EVTCHN_2L_PORTS - 1);
    grow(&table[0]);
    grow(&table[1]);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (u32 d = 0; d < 2; d++) {
        for (u32 b = 0; b < table[d].nr_made / EVTCHN_PER_BUCKET; b++) {
            free(table[d].bucket[b].port);
        }
        if (table[d].bucket != table[d].small) {
            free(table[d].bucket);
        }
    }
    return 0;
}

static int status_of(u32 d, u32 port, struct evtchn_status *st, struct domain **remote)
{
    memset(st, 0, sizeof(*st));
    st->port = port;
    return evtchn_port_status(&table[d], st, remote);
}

static void expect_status(u32 d, u32 port, u32 status, u32 vcpu)
{
    struct evtchn_status st;
    struct domain *remote;

    assert_int_equal(status_of(d, port, &st, &remote), 0);
    assert_int_equal(st.status, status);
    assert_int_equal(st.vcpu, vcpu);
}

static void test_lowest_first(void **state)
{
    u32 port;

    (void)state;
    for (u32 want = 1; want <= 5; want++) {
        assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), 0);
        assert_int_equal(port, want);
    }
    assert_int_equal(evtchn_port_close(&table[0], 4), 0);
    assert_int_equal(evtchn_port_close(&table[0], 2), 0);
    assert_int_equal(evtchn_port_ipi(&table[0], 0, &port), 0);
    assert_int_equal(port, 2);
    assert_int_equal(evtchn_port_virq(&table[0], VIRQ_TIMER, 0, &port), 0);
    assert_int_equal(port, 4);
    assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), 0);
    assert_int_equal(port, 6);
}

/* Twice: a full table empties to a usable one. */
static void test_all_ports(void **state)
{
    u32 port;

    (void)state;
    for (u32 turn = 0; turn < 2; turn++) {
        for (u32 want = 1; want < EVTCHN_2L_PORTS; want++) {
            grow(&table[0]);
            assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), 0);
            assert_int_equal(port, want);
        }
        assert_false(evtchn_ports_full(&table[0]));
        assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), -ENOSPC);
        assert_int_equal(evtchn_port_ipi(&table[0], 0, &port), -ENOSPC);
        assert_int_equal(evtchn_port_virq(&table[0], VIRQ_TIMER, 0, &port), -ENOSPC);
        assert_null(evtchn_from_port(&table[0], EVTCHN_2L_PORTS));
        for (port = 1; port < EVTCHN_2L_PORTS; port++) {
            assert_int_equal(evtchn_port_close(&table[0], port), 0);
        }
    }
}

/* FIFO: its words, for as many ports as a test needs. */
static struct evtchn_fifo fifo;
static event_word_t words[FIFO_WORDS_PER_PAGE];

static void fifo_on(struct evtchn_domain *e)
{
    memset(&fifo, 0, sizeof(fifo));
    memset(words, 0, sizeof(words));
    fifo_add_page(&fifo, words);
    evtchn_ports_set_fifo(e, &fifo);
}

static void close_ports(struct evtchn_domain *e)
{
    for (u32 port = 1; (port = evtchn_port_next(e, port)) < EVTCHN_PORTS; port++) {
        assert_int_equal(evtchn_port_close(e, port), 0);
    }
    assert_int_equal(e->nr_used, 0);
}

/* As many as there can be; then the domain goes back to two-level and FIFO again. */
static void test_all_fifo_ports(void **state)
{
    struct evtchn_domain *e = &table[0];
    u32 port;

    (void)state;
    e->max_port = EVTCHN_PORTS - 1;
    for (u32 turn = 0; turn < 2; turn++) {
        fifo_on(e);
        for (u32 want = 1; want < EVTCHN_PORTS; want++) {
            grow(e);
            assert_int_equal(evtchn_port_ipi(e, 0, &port), 0);
            assert_int_equal(port, want);
        }
        assert_int_equal(e->nr_used, 131071);
        assert_false(evtchn_ports_full(e));
        assert_int_equal(evtchn_port_ipi(e, 0, &port), -ENOSPC);
        assert_null(evtchn_from_port(e, EVTCHN_PORTS));
        /* the lowest free one is found, wherever it is */
        for (u32 i = EVTCHN_PORTS - 1; i; i /= 3) {
            assert_int_equal(evtchn_port_close(e, i), 0);
            assert_int_equal(evtchn_port_ipi(e, 0, &port), 0);
            assert_int_equal(port, i);
        }
        close_ports(e);
        evtchn_ports_set_fifo(e, NULL);
        assert_int_equal(e->nr_ports, EVTCHN_2L_PORTS);
        assert_null(evtchn_from_port(e, EVTCHN_2L_PORTS));
        for (u32 want = 1; want < EVTCHN_2L_PORTS; want++) {
            assert_int_equal(evtchn_port_ipi(e, 0, &port), 0);
            assert_int_equal(port, want);
        }
        assert_false(evtchn_ports_full(e));
        assert_int_equal(evtchn_port_ipi(e, 0, &port), -ENOSPC);
        close_ports(e);
    }
}

/* The limit holds under FIFO too, also in the bigger table. */
static void test_fifo_limit(void **state)
{
    struct evtchn_domain *e = &table[0];
    u32 port;

    (void)state;
    e->max_port = 5000;
    fifo_on(e);
    for (u32 want = 1; want <= 5000; want++) {
        grow(e);
        assert_int_equal(evtchn_port_unbound(e, 7, &port), 0);
        assert_int_equal(port, want);
    }
    assert_false(evtchn_ports_full(e));
    assert_int_equal(evtchn_port_unbound(e, 7, &port), -ENOSPC);
}

/* A port that was closed but stands in a queue is passed over, unless there are very many. */
static void test_linked_ports(void **state)
{
    struct evtchn_domain *e = &table[0];
    u32 port;

    (void)state;
    fifo_on(e);
    words[1] = words[3] = FIFO_LINKED;
    assert_int_equal(evtchn_port_unbound(e, 7, &port), 0);
    assert_int_equal(port, 2);
    assert_int_equal(evtchn_port_unbound(e, 7, &port), 0);
    assert_int_equal(port, 4);
    words[1] = 0;
    assert_int_equal(evtchn_port_unbound(e, 7, &port), 0);
    assert_int_equal(port, 1);
    for (u32 i = 0; i < 64; i++) {
        words[i] |= FIFO_LINKED;
    }
    assert_true(evtchn_ports_full(e)); /* another bucket has better ones */
    grow(e);
    assert_int_equal(evtchn_port_unbound(e, 7, &port), 0);
    assert_int_equal(port, 64);
    for (u32 i = 64; i < 128; i++) {
        words[i] |= FIFO_LINKED;
    }
    assert_false(evtchn_ports_full(e));
    assert_int_equal(evtchn_port_unbound(e, 7, &port), 0);
    assert_int_equal(port, 3);
    /* none at all, and no more buckets */
    e->max_port = 127;
    memset(words, 0xff, sizeof(words));
    while (evtchn_port_unbound(e, 7, &port) == 0) {
    }
    assert_true(e->nr_used < 127); /* the last of them */
    words[100] = 0;
    if (evtchn_at(e, 100)->state == ECS_FREE) {
        assert_int_equal(evtchn_port_unbound(e, 7, &port), 0);
        assert_int_equal(port, 100);
    }
    close_ports(e);
    evtchn_ports_set_fifo(e, NULL);
}

static void test_priority(void **state)
{
    struct evtchn_domain *e = &table[0];
    u32 port;

    (void)state;
    assert_int_equal(evtchn_port_unbound(e, 7, &port), 0);
    assert_int_equal(evtchn_port_set_priority(e, 500, 3), -EINVAL);
    assert_int_equal(evtchn_port_set_priority(e, port, 3), -ENOSYS);
    fifo_on(e);
    assert_int_equal(evtchn_at(e, port)->fifo.priority, EVTCHN_FIFO_PRIORITY_DEFAULT);
    assert_int_equal(evtchn_port_set_priority(e, 500, 3), -EINVAL);
    assert_int_equal(evtchn_port_set_priority(e, 0, 3), -EACCES);
    assert_int_equal(evtchn_port_set_priority(e, port + 1, 16), -EACCES);
    assert_int_equal(evtchn_port_set_priority(e, port, 16), -EINVAL);
    assert_int_equal(evtchn_port_set_priority(e, port, ~0u), -EINVAL);
    assert_int_equal(evtchn_port_set_priority(e, port, 15), 0);
    assert_int_equal(evtchn_port_set_priority(e, port, 0), 0);
    assert_int_equal(evtchn_at(e, port)->fifo.priority, 0);
    /* whoever gets the port next begins anew */
    assert_int_equal(evtchn_port_close(e, port), 0);
    assert_int_equal(evtchn_port_ipi(e, 0, &port), 0);
    assert_int_equal(evtchn_at(e, port)->fifo.priority, EVTCHN_FIFO_PRIORITY_DEFAULT);
    close_ports(e);
    evtchn_ports_set_fifo(e, NULL);
}

/* The sender's end counts; whoever that is, nothing is lost or mixed up. */
static void test_counters(void **state)
{
    struct evtchn *near, *far;
    u32 port, rport;

    (void)state;
    assert_int_equal(evtchn_port_unbound(&table[1], 1, &rport), 0);
    far = evtchn_at(&table[1], rport);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], rport, &port), 0);
    near = evtchn_at(&table[0], port);
    near->count[EVTCHN_MASKED] = 5; /* came to rport */
    far->count[EVTCHN_DELIVERED] = 9;
    evtchn_port_disconnect(&end[0], port, &end[1]);
    assert_int_equal(far->count[EVTCHN_MASKED], 5); /* still did */
    assert_int_equal(far->count[EVTCHN_DELIVERED], 0);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], rport, &port), 0);
    near = evtchn_at(&table[0], port);
    assert_int_equal(near->count[EVTCHN_MASKED], 5);
    assert_int_equal(far->count[EVTCHN_MASKED], 0);
    near->count[EVTCHN_COALESCED] = 2;
    far->count[EVTCHN_COALESCED] = 1;
    /* the other end goes: what came to `port` comes home */
    evtchn_port_disconnect(&end[1], rport, &end[0]);
    assert_int_equal(near->count[EVTCHN_COALESCED], 1);
    assert_int_equal(evtchn_port_close(&table[0], port), 0);
    assert_int_equal(evtchn_port_ipi(&table[0], 0, &port), 0);
    assert_int_equal(near->count[EVTCHN_COALESCED], 0);
}

static void test_next(void **state)
{
    struct evtchn_domain *e = &table[0];
    u32 port;

    (void)state;
    assert_int_equal(evtchn_port_next(e, 0), EVTCHN_PORTS);
    for (u32 i = 0; i < 200; i++) {
        grow(e);
        assert_int_equal(evtchn_port_ipi(e, 0, &port), 0);
    }
    for (u32 i = 2; i <= 200; i++) {
        if (i != 63 && i != 128) {
            assert_int_equal(evtchn_port_close(e, i), 0);
        }
    }
    assert_int_equal(evtchn_port_next(e, 0), 1);
    assert_int_equal(evtchn_port_next(e, 1), 1);
    assert_int_equal(evtchn_port_next(e, 2), 63);
    assert_int_equal(evtchn_port_next(e, 64), 128);
    assert_int_equal(evtchn_port_next(e, 129), EVTCHN_PORTS);
    assert_int_equal(evtchn_port_next(e, 256), EVTCHN_PORTS);
    assert_int_equal(evtchn_port_next(e, ~0u), EVTCHN_PORTS);
}

static void test_limit(void **state)
{
    u32 port;

    teardown(state);
    init(1u << 20); /* more than there can be */
    assert_int_equal(table[0].max_port, EVTCHN_PORTS - 1);
    init(3);
    assert_true(evtchn_ports_full(&table[0]));
    assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), -ENOSPC); /* no bucket yet */
    grow(&table[0]);
    for (u32 want = 1; want <= 3; want++) {
        assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), 0);
    }
    assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), -ENOSPC);
    table[0].max_port = 4;
    assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), 0);
    table[0].dead = true;
    assert_int_equal(evtchn_port_close(&table[0], 4), 0);
    assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), -EINVAL);
    assert_false(evtchn_ports_full(&table[0]));
}

static void test_connect_errors(void **state)
{
    u32 port, rport;

    (void)state;
    /* a port for another domain; free, reserved, missing ones; a VIRQ */
    assert_int_equal(evtchn_port_unbound(&table[1], 99, &rport), 0);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], rport, &port), -EINVAL);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], 5, &port), -EINVAL);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], 0, &port), -EINVAL);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], 256, &port), -EINVAL);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], ~0u, &port), -EINVAL);
    assert_int_equal(evtchn_port_virq(&table[1], VIRQ_TIMER, 0, &rport), 0);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], rport, &port), -EINVAL);
    /* none of that has taken a port */
    assert_int_equal(evtchn_port_unbound(&table[0], 7, &port), 0);
    assert_int_equal(port, 1);
    /* bound once */
    assert_int_equal(evtchn_port_unbound(&table[1], 1, &rport), 0);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], rport, &port), 0);
    assert_int_equal(port, 2);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], rport, &port), -EINVAL);
}

static void test_connect_close(void **state)
{
    struct evtchn_status st;
    struct domain *remote;
    u32 port, rport;

    (void)state;
    assert_int_equal(evtchn_port_unbound(&table[1], 1, &rport), 0);
    assert_int_equal(evtchn_port_bind_vcpu(&table[1], rport, 3), 0);
    expect_status(1, rport, EVTCHNSTAT_unbound, 3);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], rport, &port), 0);
    assert_int_equal(evtchn_port_bind_vcpu(&table[0], port, 2), 0);
    assert_int_equal(status_of(0, port, &st, &remote), 0);
    assert_int_equal(st.status, EVTCHNSTAT_interdomain);
    assert_int_equal(st.u.interdomain.port, rport);
    assert_ptr_equal(remote, dom(1));
    assert_int_equal(st.vcpu, 2);
    expect_status(1, rport, EVTCHNSTAT_interdomain, 3);
    /* an end isn't closed alone */
    assert_int_equal(evtchn_port_close(&table[0], port), -EINVAL);

    evtchn_port_disconnect(&end[0], port, &end[1]);
    expect_status(0, port, EVTCHNSTAT_closed, 0);
    expect_status(1, rport, EVTCHNSTAT_unbound, 3);
    assert_int_equal(status_of(1, rport, &st, &remote), 0);
    assert_int_equal(st.u.unbound.dom, 1);
    assert_null(remote);
    /* the same domain may bind again, no other */
    assert_int_equal(evtchn_port_connect(&end[1], &end[1], rport, &port), -EINVAL);
    assert_int_equal(evtchn_port_connect(&end[0], &end[1], rport, &port), 0);
}

static void test_loopback(void **state)
{
    u32 a, b;

    (void)state;
    assert_int_equal(evtchn_port_unbound(&table[0], 1, &a), 0);
    assert_int_equal(evtchn_port_connect(&end[0], &end[0], a, &b), 0);
    assert_int_equal(b, 2);
    expect_status(0, a, EVTCHNSTAT_interdomain, 0);
    evtchn_port_disconnect(&end[0], a, &end[0]);
    expect_status(0, a, EVTCHNSTAT_closed, 0);
    expect_status(0, b, EVTCHNSTAT_unbound, 0);
    assert_int_equal(evtchn_port_close(&table[0], b), 0);
}

static void test_close_errors(void **state)
{
    u32 port;

    (void)state;
    assert_int_equal(evtchn_port_close(&table[0], 0), -EINVAL);
    assert_int_equal(evtchn_port_close(&table[0], 1), -EINVAL);
    assert_int_equal(evtchn_port_close(&table[0], 256), -EINVAL);
    assert_int_equal(evtchn_port_close(&table[0], ~0u), -EINVAL);
    assert_int_equal(evtchn_port_ipi(&table[0], 5, &port), 0);
    expect_status(0, port, EVTCHNSTAT_ipi, 5);
    assert_int_equal(evtchn_port_close(&table[0], port), 0);
    assert_int_equal(evtchn_port_close(&table[0], port), -EINVAL);
    expect_status(0, port, EVTCHNSTAT_closed, 0);
}

static void test_bind_vcpu(void **state)
{
    u32 ipi, timer, console, unbound;

    (void)state;
    evtchn_port_ipi(&table[0], 1, &ipi);
    evtchn_port_virq(&table[0], VIRQ_TIMER, 1, &timer);
    evtchn_port_virq(&table[0], VIRQ_CONSOLE, 0, &console);
    evtchn_port_unbound(&table[0], 7, &unbound);
    assert_int_equal(evtchn_port_bind_vcpu(&table[0], ipi, 2), -EINVAL);
    assert_int_equal(evtchn_port_bind_vcpu(&table[0], timer, 2), -EINVAL);
    assert_int_equal(evtchn_port_bind_vcpu(&table[0], 0, 2), -EINVAL);
    assert_int_equal(evtchn_port_bind_vcpu(&table[0], 77, 2), -EINVAL);
    assert_int_equal(evtchn_port_bind_vcpu(&table[0], 4096, 2), -EINVAL);
    assert_int_equal(evtchn_port_bind_vcpu(&table[0], console, 2), 0);
    assert_int_equal(evtchn_port_bind_vcpu(&table[0], unbound, 2), 0);
    expect_status(0, ipi, EVTCHNSTAT_ipi, 1);
    expect_status(0, timer, EVTCHNSTAT_virq, 1);
    expect_status(0, console, EVTCHNSTAT_virq, 2);
    expect_status(0, unbound, EVTCHNSTAT_unbound, 2);
}

static void test_status(void **state)
{
    struct evtchn_status st;
    struct domain *remote;
    u32 port;

    (void)state;
    expect_status(0, 0, EVTCHNSTAT_closed, 0);
    expect_status(0, 63, EVTCHNSTAT_closed, 0);
    assert_int_equal(status_of(0, 64, &st, &remote), -EINVAL);
    assert_int_equal(status_of(0, ~0u, &st, &remote), -EINVAL);
    evtchn_port_virq(&table[0], VIRQ_CONSOLE, 0, &port);
    assert_int_equal(status_of(0, port, &st, &remote), 0);
    assert_int_equal(st.status, EVTCHNSTAT_virq);
    assert_int_equal(st.u.virq, VIRQ_CONSOLE);
}

/* Breaking what isn't a channel is our own bug. */
static void test_disconnect_asserts(void **state)
{
    u32 port;

    (void)state;
    evtchn_port_ipi(&table[0], 0, &port);
    expect_assert_failure(evtchn_port_disconnect(&end[0], port, &end[1]));
}

/* The model: ports as a plain array, searched from the start. */
enum { LIMIT = 300, STEPS = 60000, VCPUS = 4 };
struct model_port {
    u32 status, vcpu, virq, rdom, rport;
};
static struct model_port model[2][LIMIT + 1];
static u32 times_full;

static int model_free(u32 d, u32 *port)
{
    for (*port = 1; *port <= LIMIT; (*port)++) {
        if (model[d][*port].status == EVTCHNSTAT_closed) {
            return 0;
        }
    }
    times_full++;
    return -ENOSPC;
}

static int model_connect(u32 d, u32 rd, u32 rport, u32 *port)
{
    struct model_port *far = &model[rd][rport];
    int rc = model_free(d, port);

    if (rc) {
        return rc;
    }
    if (rport > LIMIT || far->status != EVTCHNSTAT_unbound || far->rdom != d) {
        return -EINVAL;
    }
    model[d][*port] = (struct model_port){ EVTCHNSTAT_interdomain, 0, 0, rd, rport };
    *far = (struct model_port){ EVTCHNSTAT_interdomain, far->vcpu, 0, d, *port };
    return 0;
}

static int model_close(u32 d, u32 port)
{
    struct model_port old = model[d][port];

    if (old.status == EVTCHNSTAT_closed) {
        return -EINVAL;
    }
    if (old.status == EVTCHNSTAT_interdomain) {
        u32 vcpu = model[old.rdom][old.rport].vcpu; /* stays */

        model[old.rdom][old.rport] = (struct model_port){ EVTCHNSTAT_unbound, vcpu, 0, d, 0 };
    }
    model[d][port] = (struct model_port){ 0 };
    return 0;
}

static int model_bind_vcpu(u32 d, u32 port, u32 vcpu)
{
    struct model_port *p = &model[d][port];

    if (p->status == EVTCHNSTAT_closed || p->status == EVTCHNSTAT_ipi ||
        (p->status == EVTCHNSTAT_virq && p->virq != VIRQ_CONSOLE)) {
        return -EINVAL;
    }
    p->vcpu = vcpu;
    return 0;
}

static int real_close(u32 d, u32 port)
{
    struct evtchn *chn = evtchn_from_port(&table[d], port);

    if (chn && chn->state == ECS_INTERDOMAIN) {
        evtchn_port_disconnect(&end[d], port, &end[chn->u.remote == dom(0) ? 0 : 1]);
        return 0;
    }
    return evtchn_port_close(&table[d], port);
}

static void compare_port(u32 d, u32 port)
{
    const struct model_port *m = &model[d][port];
    struct evtchn_status st;
    struct domain *remote;

    if (status_of(d, port, &st, &remote)) {
        assert_int_equal(m->status, EVTCHNSTAT_closed); /* not grown that far */
        return;
    }
    assert_int_equal(st.status, m->status);
    assert_int_equal(st.vcpu, m->vcpu);
    assert_int_equal(evtchn_at(&table[d], port)->lock, 0);
    if (m->status == EVTCHNSTAT_interdomain) {
        assert_ptr_equal(remote, dom(m->rdom));
        assert_int_equal(st.u.interdomain.port, m->rport);
    } else if (m->status == EVTCHNSTAT_unbound) {
        assert_int_equal(st.u.unbound.dom, m->rdom + 1);
    } else if (m->status == EVTCHNSTAT_virq) {
        assert_int_equal(st.u.virq, m->virq);
    }
}

static void step_make(u32 d, u32 kind, u32 arg)
{
    static const u32 virqs[] = { VIRQ_TIMER, VIRQ_CONSOLE };
    struct model_port m = { EVTCHNSTAT_unbound, 0, 0, arg % 2, 0 };
    u32 port = 0, want = 0;
    int rc;

    if (kind == 0) {
        rc = evtchn_port_unbound(&table[d], (domid_t)(arg % 2 + 1), &port);
    } else if (kind == 1) {
        m = (struct model_port){ EVTCHNSTAT_ipi, arg % VCPUS, 0, 0, 0 };
        rc = evtchn_port_ipi(&table[d], m.vcpu, &port);
    } else {
        m = (struct model_port){ EVTCHNSTAT_virq, arg % VCPUS, virqs[arg % 2], 0, 0 };
        rc = evtchn_port_virq(&table[d], m.virq, m.vcpu, &port);
    }
    assert_int_equal(rc, model_free(d, &want));
    if (!rc) {
        assert_int_equal(port, want);
        model[d][want] = m;
    }
}

static void step(u32 op, u32 d, u32 port, u32 arg)
{
    u32 got = 0, want = 0;
    int rc;

    grow(&table[d]);
    if (op < 3) {
        step_make(d, op, arg);
    } else if (op < 7) {
        rc = evtchn_port_connect(&end[d], &end[arg % 2], port, &got);
        assert_int_equal(rc, model_connect(d, arg % 2, port, &want));
        if (!rc) {
            assert_int_equal(got, want);
        }
    } else if (op < 8) {
        assert_int_equal(evtchn_port_bind_vcpu(&table[d], port, arg % VCPUS),
                         model_bind_vcpu(d, port, arg % VCPUS));
    } else {
        assert_int_equal(real_close(d, port), model_close(d, port));
    }
}

/* Seasons of growth and of decay, so that both a full and an empty table are met. */
static void test_random(void **state)
{
    teardown(state);
    init(LIMIT);
    srand(20);
    for (u32 i = 0; i < STEPS; i++) {
        u32 season = (i / 5000) % 2, d = (u32)rand() % 2;
        u32 op = (u32)rand() % (season ? 14 : 9);

        step(op, d, (u32)rand() % (LIMIT + 1), (u32)rand());
        for (u32 p = 0; i % 16 == 0 && p <= LIMIT; p++) {
            compare_port(0, p);
            compare_port(1, p);
        }
    }
    assert_int_equal(table[0].nr_ports, 320);
    assert_true(times_full > 100); /* the walk went where it should */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    static const struct CMUnitTest tests[] = {
        T(test_lowest_first),       T(test_all_ports),     T(test_limit),
        T(test_all_fifo_ports),     T(test_fifo_limit),    T(test_linked_ports),
        T(test_priority),           T(test_counters),      T(test_next),
        T(test_connect_errors),     T(test_connect_close), T(test_loopback),
        T(test_close_errors),       T(test_bind_vcpu),     T(test_status),
        T(test_disconnect_asserts), T(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
