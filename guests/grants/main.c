/* SPDX-License-Identifier: MIT */
/*
 * grants - grant tables under torture: maps, unmaps, replaces, copies and revocations by chance,
 * right ones and wrong ones, between several domains, against a model of what each must answer and
 * of what is seen in memory. Arguments: count=N seed=N           operations (default 100000) and
 * their choice; of all vcpus together peers=A,B,C              the servants' numbers; this is the
 * driver (default: none, so that it grants to itself, on all its vcpus up to four) die of the
 * driver: in the end the servants die, one by one role=servant driver=D    a servant of domain D
 *   number=N                 of a servant: its place among the peers, for want of a store
 */
#include "grants.h"

const char guest_name[] = "grants";

static struct driver_options options[MAX_LANES];
static const char *failures[MAX_LANES];
static volatile bool ended[MAX_LANES];

static void lane_vcpu(void)
{
    unsigned int lane = vcpu_self();

    failures[lane] = driver_run(&options[lane]);
    ended[lane] = true;
}

static void peers_parse(struct driver_options *o)
{
    char text[32] = "";

    arg_string("peers", text, sizeof(text));
    for (const char *p = text; *p && o->nr_domains < MAX_DOMAINS; p++) {
        unsigned int domid = 0;

        for (; *p >= '0' && *p <= '9'; p++) {
            domid = domid * 10 + (unsigned int)(*p - '0');
        }
        o->domids[o->nr_domains++] = (domid_t)domid;
        if (!*p) {
            break;
        }
    }
}

/* Each lane grants to itself, all by the same tables. */
static const char *run_lanes(unsigned int n)
{
    const char *why = NULL;

    for (unsigned int lane = 1; lane < n; lane++) {
        if (vcpu_start(lane, lane_vcpu)) {
            return "a vcpu does not start";
        }
    }
    lane_vcpu();
    for (unsigned int lane = 0; lane < n; lane++) {
        while (!ended[lane]) {
            clock_sleep(MS);
        }
        why = why ? why : failures[lane];
    }
    return why;
}

static const char *run_driver(void)
{
    unsigned int lanes = vcpu_count() < MAX_LANES ? vcpu_count() : MAX_LANES;
    struct driver_options o = {
        .nr_domains = 1,
        .domids = { domid_self() },
        .count = arg_number("count", 100000),
        .seed = arg_number("seed", 1),
    };
    const char *why;

    peers_parse(&o);
    lanes = o.nr_domains > 1 ? 1 : lanes;
    o.count /= lanes;
    why = servants_meet(o.domids, o.nr_domains);
    for (unsigned int lane = 0; lane < lanes && !why; lane++) {
        options[lane] = o;
        options[lane].lane = lane;
        why = actor_begin(o.domids[0], lane) < 0 ? "no grant table" : NULL;
    }
    printf("grants: domain %u, %u domains, %u vcpus\n", o.domids[0], o.nr_domains, lanes);
    return why ? why : run_lanes(lanes);
}

const char *guest_main(void)
{
    char role[8] = "driver";
    long rc = grant_start();

    if (rc < 0) {
        printf("grants: grant tables: %ld\n", rc);
        return "no grant tables";
    }
    arg_string("role", role, sizeof(role));
    return strcmp(role, "servant") == 0 ? servant_run((domid_t)arg_number("driver", 1))
                                        : run_driver();
}
