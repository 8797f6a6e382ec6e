/* SPDX-License-Identifier: MIT */
/*
 * ring - a front and a back end over a shared ring, as split drivers have it: requests with data,
 * inline or in granted pages, which the back maps or copies. Arguments:
 *   role=front|back peer=D   one end; the other is domain D
 *   role=self                both, on vcpus 0 and 1 (the default)
 *   data=map|copy|inline     of the front: where the data are, and what the back does (default map)
 *   rounds=N depth=N         requests in all, and under way at a time (default 10000, 8)
 *   ref=N port=N             where they meet if there is no store: the front's first (default 8, 1)
 *   keep                     of the front: one more page, which the back has mapped to the end
 *   front-dies=N back-dies=N that end crashes behind so many answers
 */
#include "echo.h"

const char guest_name[] = "ring";

static struct ring_place place = { .name = "ring" };
static const char *back_failed;
static volatile bool back_ended;

static void back_vcpu(void)
{
    back_failed = back_run(domid_self(), &place);
    back_ended = true;
}

static const char *run_self(void)
{
    domid_t self = domid_self();
    const char *why;

    if (vcpu_count() < 2 || vcpu_start(1, back_vcpu)) {
        return "role=self takes a second vcpu";
    }
    why = front_run(self, &place);
    while (!why && !back_ended) {
        clock_sleep(MS);
    }
    return why ? why : back_failed;
}

const char *guest_main(void)
{
    char role[8] = "self";
    domid_t peer = (domid_t)arg_number("peer", 0);
    long rc = grant_start();

    if (rc < 0) {
        printf("ring: grant tables: %ld\n", rc);
        return "no grant tables";
    }
    place.ref = (grant_ref_t)arg_number("ref", GNTTAB_NR_RESERVED_ENTRIES);
    place.port = (evtchn_port_t)arg_number("port", 1);
    arg_string("role", role, sizeof(role));
    if (strcmp(role, "front") == 0) {
        return front_run(peer, &place);
    }
    if (strcmp(role, "back") == 0) {
        return back_run(peer, &place);
    }
    return run_self();
}
