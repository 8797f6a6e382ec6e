/* SPDX-License-Identifier: MIT */
/*
 * Where a domain's vcpus, emulator and iothreads may run, by libvirt's rules: lists of CPUs in
 * libvirt's grammar, what is wrong with a definition, which rule gives each thread its CPUs, and
 * what later events change. Pure, but for the buffer that holds the last reason; for the control
 * domain and the host's program, not for the hypervisor.
 *
 * What returns a `const char *` returns NULL, or the reason, which the next one overwrites.
 */
#pragma once

#include <tarn/cpumask.h>

#define PLACEMENT_VCPUS 128u
#define PLACEMENT_IOTHREADS 16u /* their ids are 1 to this */

/* ---- lists ---- */

/*
 * "1-4,^3,6": from left to right N and N-M add, ^N takes away. Blanks are fine around numbers. No
 * empty items, and not empty as a whole. CPUs are 0 to nr_cpus - 1, nr_cpus up to NR_CPUS.
 */
const char *placement_list_parse(const char *text, u32 nr_cpus, struct cpumask *out);
/* "1-2,4,6", "" when it is empty; length as snprintf. */
int placement_list_format(char *buf, size_t size, const struct cpumask *set);

/* ---- a definition ---- */

/* Rules changed since: in 2012 an emulatorpin was an error beside placement "auto", and a live pin
 * to all CPUs of the host was none. */
enum placement_mode { PLACEMENT_MODERN, PLACEMENT_2012 };
enum placement_kind { PLACEMENT_MISSING, PLACEMENT_STATIC, PLACEMENT_AUTO };

struct placement_pin {
    bool given;
    struct cpumask cpus;
};

struct placement_raw {
    enum placement_mode mode;
    enum placement_kind placement; /* placement_check() settles it: static or auto */
    bool numatune_auto;            /* memory goes where an adviser says */
    bool cpuset_ignored;           /* it was given beside "auto" */
    u32 vcpus, max_vcpus;          /* vcpus: now; placement_check() makes 0 max_vcpus */
    u32 iothreads;                 /* ids 1 to iothreads */
    u32 vcpu_beyond;               /* a pin of this vcpu - 1 has no place here; 0: there is none */
    struct placement_pin cpuset, emulator, vcpu[PLACEMENT_VCPUS], iothread[PLACEMENT_IOTHREADS + 1];
};

/*
 * They take a definition's parts in any order, all zero before. list NULL: the attribute is not
 * there, an error. Names of modes: "modern", "2012"; of placements: "static", "auto".
 */
const char *placement_set_mode(struct placement_raw *p, const char *name);
const char *placement_set_placement(struct placement_raw *p, const char *name);
const char *placement_set_cpuset(struct placement_raw *p, const char *list);
const char *placement_add_vcpupin(struct placement_raw *p, u32 vcpu, const char *list);
const char *placement_add_emulatorpin(struct placement_raw *p, const char *list);
const char *placement_add_iothreadpin(struct placement_raw *p, u32 id, const char *list);

/*
 * After the last part: tells each fault, and as a warning each part that it drops; returns how many
 * faults there were. What was dropped is gone from *p, so a second check finds nothing new.
 */
u32 placement_check(struct placement_raw *p, void (*tell)(void *arg, bool fault, const char *text),
                    void *arg);

/* ---- at start and after ---- */

enum placement_thread { PLACEMENT_VCPU, PLACEMENT_EMULATOR, PLACEMENT_IOTHREAD };

struct placement_who {
    enum placement_thread thread;
    u32 id; /* of the vcpu or iothread */
};

/* In the order in which they are asked. */
enum placement_rule {
    PLACEMENT_BY_PIN,     /* vcpupin, emulatorpin, iothreadpin */
    PLACEMENT_BY_ADVISER, /* placement "auto" */
    PLACEMENT_BY_CPUSET,  /* of <vcpu> */
    PLACEMENT_BY_DEFAULT, /* all CPUs of the pool */
};

/*
 * Before a start: is each CPU that is named one of the host's; has an adviser answered (advice not
 * NULL) if placement is "auto".
 */
const char *placement_startable(const struct placement_raw *p, const struct cpumask *host,
                                const struct cpumask *advice);
/*
 * The CPUs of one thread and the rule that gives them; all: those of the domain's pool. advice may
 * be NULL; an error then if it is advice that decides. No such vcpu or iothread is an error, too.
 */
const char *placement_of(const struct placement_raw *p, struct placement_who who,
                         const struct cpumask *all, const struct cpumask *advice,
                         struct cpumask *set, enum placement_rule *rule);
/* "vcpupin", "adviser", "cpuset", "default" */
const char *placement_rule_name(enum placement_rule rule, enum placement_thread thread);
/* "its vcpupin", "no pin; placement is auto: the adviser's answer" */
const char *placement_rule_words(enum placement_rule rule, enum placement_thread thread);
/* What of a set counts in a pool; if nothing does, all of the pool, and *broken. A pool move and
 * the loss of a CPU change no stored set, only this. */
struct cpumask placement_effective(const struct cpumask *set, const struct cpumask *pool,
                                   bool *broken);

/* A live pin, `host` all CPUs of the host; and its reset, to what cpuset or adviser say. */
const char *placement_pin_set(struct placement_raw *p, struct placement_who who,
                              const struct cpumask *set, const struct cpumask *host);
const char *placement_pin_reset(struct placement_raw *p, struct placement_who who);
/* The domain has so many vcpus from now on: those that go lose their pins. */
const char *placement_set_vcpus(struct placement_raw *p, u32 vcpus);
/* One vcpu comes or goes, whatever the others do; it counts in p->vcpus. */
const char *placement_plug(struct placement_raw *p, u32 vcpu, bool in);

/* ---- cputune ---- */

#define PLACEMENT_SHARES_MIN 2u
#define PLACEMENT_SHARES_MAX 262144u
enum placement_tune { PLACEMENT_SHARES, PLACEMENT_PERIOD, PLACEMENT_QUOTA };

/* By a definition's element ("emulator_period") or schedinfo's name ("cpu_shares", "vcpu_quota");
 * false: it is none of them. */
bool placement_tune_kind(const char *name, enum placement_tune *kind);
/* Is the value one that libvirt takes? 0 for a period or quota: none given; a negative quota: no
 * limit. Words as for an element of a definition; or as for a parameter of schedinfo. */
const char *placement_tune_wrong(const char *name, enum placement_tune kind, s64 value);
const char *placement_param_wrong(const char *name, enum placement_tune kind, s64 value);
/* libvirt's cpu shares and tarn's weights: 1024 are 256. */
u32 placement_shares_to_weight(u64 shares);
u64 placement_weight_to_shares(u32 weight);
