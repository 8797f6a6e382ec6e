/* SPDX-License-Identifier: MIT */
/*
 * virsh.h - virsh's words in the shell: what their files share. A word has options as virsh has
 * them, names domains that run or are defined, and tells mistakes in virsh's words, "error: ...".
 * Its run function returns 0 or 1, after it told why.
 */
#pragma once

#include "definitions.h"
#include "pools.h"

enum virsh_kind {
    VIRSH_END,
    VIRSH_FLAG,         /* --live */
    VIRSH_TEXT,         /* must be there, by its place or by name */
    VIRSH_NUMBER,       /* likewise */
    VIRSH_MAYBE_TEXT,   /* may be left out */
    VIRSH_MAYBE_NUMBER, /* likewise */
    VIRSH_NAMED_NUMBER, /* only by name */
    VIRSH_NAMED_TEXT,   /* likewise */
    VIRSH_WORDS,        /* all other words, and by name, again and again */
};

struct virsh_option {
    const char *name;
    enum virsh_kind kind;
};

#define VIRSH_OPTIONS 12u
#define VIRSH_WORDS_MAX 32u

struct virsh_word {
    const char *name, *help;
    struct virsh_option options[VIRSH_OPTIONS];
    int (*run)(void);
};

/* ---- virsh.c: of the word that runs ---- */

bool virsh_flag(const char *name);
const char *virsh_text(const char *name); /* NULL: not given */
/* False: not given. The value is a number, that was looked at; up to UINT32_MAX. */
bool virsh_number(const char *name, uint32_t *value);
unsigned int virsh_words(const char *const **words); /* of VIRSH_WORDS */

/* "error: ..."; 1. */
int virsh_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define INVALID_ARGUMENT "invalid argument: "
#define NOT_VALID "Requested operation is not valid: "
/* Options that exclude each other, and both are there: 1 after it was told. */
int virsh_exclusive(const char *one, const char *other);

/* ---- a domain, by name or number ---- */

struct virsh_domain {
    const char *name;
    struct domain *live;                  /* NULL: it doesn't run */
    const struct definition *def;         /* NULL: it is not defined */
    struct xen_domctl_getdomaininfo info; /* of the live one */
};

/* By the option "domain"; false after it was told. */
bool virsh_domain(struct virsh_domain *d);
bool virsh_domain_named(const char *name, struct virsh_domain *d);

/* What an order or a question is about. */
#define VIRSH_LIVE 1u
#define VIRSH_CONFIG 2u
/* By --live, --config and --current; none: the live one if it runs. 0 after it was told what is
 * wrong. A question can be about one of them only. */
unsigned int virsh_affects(const struct virsh_domain *d, bool question);

/*
 * What the running domain was made of, with what was changed since. Of one that has no file an
 * empty one, which is forgotten.
 */
struct config *virsh_live_config(const struct virsh_domain *d);
/* CPUs of the pool that a domain is in, or would be in; false: there is no such pool. */
bool virsh_pool(const struct virsh_domain *d, const struct config *c, struct pool *pool);
/* Its emulator's domain; NULL: it has none, or that doesn't run. */
struct domain *virsh_emulator(const struct virsh_domain *d);

/* ---- lists of CPUs ---- */

#define CPULIST_SIZE 1024u
/* "r" is none, *reset; false after it was told. */
bool virsh_cpulist(const char *text, struct cpumask *cpus, bool *reset);
/* "0-7" */
const char *virsh_cpulist_text(const struct cpumask *cpus);

/* ---- tables as virsh's: columns as wide as their widest cell ---- */

#define VIRSH_COLUMNS 4u
struct virsh_table;
struct virsh_table *virsh_table_new(unsigned int columns, const char *const *heads);
void virsh_table_cell(struct virsh_table *t, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int virsh_table_print(struct virsh_table *t); /* and is released; 1: there was no room for it */

/* ---- virsh_place.c ---- */

/* Has the hypervisor take what the live config says of one thread; 0 or -errno. */
long virsh_place_apply(const struct virsh_domain *d, const struct config *c,
                       struct placement_who who);
/* Where it may run: as given to the hypervisor, or by the rules. */
void virsh_place_live(const struct virsh_domain *d, struct placement_who who, struct cpumask *cpus);
/* Whether a vcpu's CPUs are those that its domain file names by `cpus`. */
bool virsh_by_cpus(const struct config *c, struct placement_who who);
/* Which CPUs the placement of a config gives; the pool's: all. */
void virsh_place_config(const struct config *c, struct placement_who who,
                        const struct cpumask *pool, struct cpumask *cpus);
/* The pins of a definition's vcpus as its key has them, into `to`; NULL: it has none. */
#define PINS_SIZE 4096u
const char *virsh_pins_text(const struct placement_raw *p, enum placement_thread thread, char *to);

/* ---- explain.c ---- */

/* Where the threads of a domain that were made of this now would run, by which rules, and what the
 * adviser goes by; a status. */
int explain_plan(const struct config *c);

/* ---- virsh_list.c ---- */

const char *virsh_state(const struct virsh_domain *d); /* "running", "shut off" */

extern const struct virsh_word virsh_list, virsh_dominfo, virsh_domstate, virsh_domid,
    virsh_domname, virsh_start, virsh_destroy, virsh_shutdown, virsh_reboot, virsh_suspend,
    virsh_resume, virsh_define, virsh_undefine, virsh_dumpcfg, virsh_dumpxml, virsh_vcpupin,
    virsh_emulatorpin, virsh_iothreadpin, virsh_iothreadinfo, virsh_schedinfo, virsh_setvcpus,
    virsh_setvcpu, virsh_vcpuinfo, virsh_vcpucount, virsh_cpu_stats, virsh_domstats, virsh_explain;
