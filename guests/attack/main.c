/* SPDX-License-Identifier: MIT */
/*
 * attack - a hostile guest. attack=NAME picks one attack of the table below, "all" (the default)
 * is all but the last of it. Each line of an attack says what was refused, and with which errno, or
 * what was survived; the last line is "attack: ok" if the hypervisor gave way nowhere.
 *   seed=N count=N    the fuzzer's (attack=fuzz), of all vcpus together
 *   rounds=N          how often the races are run
 */
#include "attack.h"

const char guest_name[] = "attack";

static unsigned int failures;

static const struct {
    const char *name;
    const char *(*run)(void);
} attacks[] = {
    { "frames", attack_frames },       { "tables", attack_tables },
    { "levels", attack_levels },       { "bases", attack_bases },
    { "info", attack_info },           { "descriptors", attack_descriptors },
    { "selectors", attack_selectors }, { "flags", attack_flags },
    { "watch", attack_watch },         { "forged", attack_forged },
    { "endless", attack_endless },     { "timers", attack_timers },
    { "teardown", attack_teardown },   { "base_race", attack_base_race },
    { "type_race", attack_type_race }, { "info_race", attack_info_race },
    { "strings", attack_strings },     { "privileged", attack_privileged },
    { "grants", attack_grants },       { "fifo", attack_fifo },
    { "fuzz", attack_fuzz },           { "store", attack_store },
    { "hoard", attack_hoard },         { "rings", attack_rings },
    { "control", attack_control },     { "trace", attack_trace },
    { "starve", attack_starve },       { "lender", attack_lender },
    { "borrower", attack_borrower },   { "groups", attack_groups },
};

#define NR_ATTACKS (sizeof(attacks) / sizeof(attacks[0]))
#define NR_ALONE 12U /* the last of them are not among "all" */

void refused(const char *what, long rc)
{
    if (rc < 0) {
        printf("attack: %s: refused (%ld)\n", what, rc);
    } else {
        printf("attack: %s: NOT refused (%ld)\n", what, rc);
        failures++;
    }
}

const char *verdict(void)
{
    return failures ? "something was not refused" : NULL;
}

static const char *run(unsigned int i)
{
    const char *why;

    printf("attack: %s begins\n", attacks[i].name);
    pages_reset();
    catch_init();
    why = attacks[i].run();
    if (why) {
        printf("attack: %s: %s\n", attacks[i].name, why);
    } else {
        printf("attack: %s: survived\n", attacks[i].name);
    }
    return why;
}

const char *guest_main(void)
{
    const char *why = NULL;
    char name[24] = "all";
    bool all, found = false;

    arg_string("attack", name, sizeof(name));
    all = strcmp(name, "all") == 0;
    for (unsigned int i = 0; i < NR_ATTACKS; i++) {
        bool wanted = all ? i < NR_ATTACKS - NR_ALONE : strcmp(name, attacks[i].name) == 0;

        if (wanted) {
            const char *result = run(i);

            found = true;
            why = why ? why : result;
        }
    }
    return found ? why : "no such attack=";
}
