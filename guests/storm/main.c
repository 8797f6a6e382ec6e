/* SPDX-License-Identifier: MIT */
/*
 * storm - a storm of events, with full accounts: a wake-up that is lost is told with its port.
 * Arguments: events=fifo (default: two-level), vcpus=N (default 8, or all there are), and role=
 *   storm   (default) sends=N (100000) at random, by ports=N (4096), up to ops=N (500)
 *           operations of each vcpu in a round, seed=N; with peer=D also to domain D: one of the
 * two offers cross=N (64) ports, the other names the first of them by port=N fault=unmask unmasks
 * wrongly, so that events must be lost race    races=N (100000) between going to sleep and being
 * woken; a failure: longer than stall=N us (10000); yield: for two vcpus on one CPU rules   what
 * holds for upcalls and polls flood   64 ports always pending, sends=N (100000): does each have its
 * turn? watchdog sets one, kicks it for two seconds, and lets it run out work    computes, and
 * tells each second how much: what others leave of a CPU
 */
#include "storm.h"

const char guest_name[] = "storm";

static void compute(void)
{
    for (unsigned int i = 0; i < 100; i++) {
        asm volatile("" ::: "memory");
    }
    cpu_relax();
}

const char *run_work(void)
{
    unsigned long seconds = arg_number("seconds", 1000000);
    uint64_t start = clock_now();

    for (unsigned long s = 1; s <= seconds; s++) {
        unsigned long turns = 0;

        while (clock_now() < start + s * SEC) {
            compute();
            turns++;
            guest_serve();
        }
        printf("storm: work %lu\n", turns);
    }
    return NULL;
}

static const struct {
    const char *name;
    const char *(*run)(void);
} roles[] = {
    { "storm", run_storm }, { "race", run_race }, { "rules", run_rules },
    { "flood", run_flood }, { "work", run_work }, { "watchdog", run_watchdog },
};

const char *guest_main(void)
{
    unsigned int all = vcpu_count();
    char role[12] = "storm", protocol[8] = "";

    vcpus = (unsigned int)arg_number("vcpus", all < 8 ? all : 8);
    if (vcpus < 1 || vcpus > all) {
        return "there are not as many vcpus";
    }
    arg_string("events", protocol, sizeof(protocol));
    if (strcmp(protocol, "fifo") == 0 && !event_is_fifo()) {
        return "the FIFO protocol can't be had";
    }
    arg_string("role", role, sizeof(role));
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strcmp(role, roles[i].name) == 0) {
            return roles[i].run();
        }
    }
    return "role= is storm, race, rules, flood, watchdog or work";
}
