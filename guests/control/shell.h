/* SPDX-License-Identifier: MIT */
/*
 * shell.h - what the shell's and the commands' files share beyond control.h: keys for a command
 * that reads them, texts, and questions to the hypervisor that several commands ask.
 */
#pragma once

#include "control.h"
#include "options.h"

#define CANCELLED 130 /* status of a command that was broken off */

/* ---- text.c, pure ---- */

size_t text_common(const char *a, const char *b); /* length of what both begin with */
bool text_begins(const char *text, const char *start);
char *text_find(const char *text, const char *what);
/* "12.3" of so many tenths, right aligned; buf of 24 bytes at least. */
const char *tenths_format(char *buf, size_t size, uint64_t tenths);
/* Nanoseconds as seconds with one decimal, rounded. */
const char *seconds_format(char *buf, size_t size, uint64_t ns);
#define SECONDS_SIZE 24u
#define UUID_SIZE 37u
void uuid_format(const uint8_t uuid[16], char text[UUID_SIZE]);

static inline bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* ---- line.c ---- */

extern bool shell_dry_run, shell_json; /* xl's -N and -j before a command */
/* Runs a whole line (commands divided by ';', '#' starts a comment); the last status, also $?. */
int line_run(struct session *s, const char *line);
/* The lines of a file, each shown behind the prompt if `show`; the status of the last. */
int script_run(const char *name, bool show);
const struct command *command_find(const char *name);
void commands_print(void); /* all names, in columns */

/* ---- shell.c ---- */

#define PROMPT "tarn# "
/* While a command reads keys itself: ^C is one of them then. */
void shell_raw(bool on);
int shell_key(void); /* a key for the command that runs on the console, or -1 */
/* A line of news while nobody's command runs: put before the line that is being edited. */
void shell_notice(const char *text, size_t len);

/* ---- main.c ---- */

/* Ends the machine as soon as what runs has returned. */
void loop_end(unsigned int reason);
bool loop_ending(void);

/* ---- hyper.c ---- */

/* A list of all domains, from allocate(); how many or -errno. */
long domain_infos(struct xen_domctl_getdomaininfo **list);
/* How many vcpus it has; one that is being made may have none yet. */
static inline uint32_t vcpus_of(const struct xen_domctl_getdomaininfo *info)
{
    return info->max_vcpu_id == XEN_INVALID_MAX_VCPU_ID ? 0 : info->max_vcpu_id + 1;
}
long domain_info(domid_t domid, struct xen_domctl_getdomaininfo *info);
uint32_t shutdown_reason(const struct xen_domctl_getdomaininfo *info); /* of one that is down */
/* Which of these it is: running, blocked, paused, shut down, crashed, dying; '-' for the others. */
#define STATE_SIZE 7
void state_format(const struct xen_domctl_getdomaininfo *info, const char *letters,
                  char state[STATE_SIZE]);
/* KiB. */
long domain_limit(domid_t domid, uint64_t kib);
/* XEN_VCPUAFFINITY_ flags say which counts; on return they are what the hypervisor makes of them.
 */
long affinity_set(domid_t domid, uint32_t vcpu, uint32_t flags, struct cpumask *hard,
                  struct cpumask *soft);
/* As given; empty: it isn't there. */
void affinity_get(domid_t domid, uint32_t vcpu, struct cpumask *hard, struct cpumask *soft);
/* Where a vcpu may run: as it was given, and what of it counts now in its pool of these CPUs. */
struct vcpu_place {
    struct cpumask given, given_soft, hard, soft; /* soft: empty: no wish */
    bool broken;                                  /* none of the given is in the pool */
    bool overridden;                              /* SCHEDOP_pin_override ties it to one */
};
void vcpu_place_get(domid_t domid, uint32_t vcpu, const struct cpumask *pool,
                    struct vcpu_place *place);
/* NUL of the list's domain, or "(null)" as xl has it. */
const char *domid_name(domid_t domid);
long physinfo_get(struct xen_sysctl_physinfo *info);
/* CPUs that the hypervisor may number, at most NR_CPUS; 1 when it doesn't say. */
unsigned int cpus_max(void);
void cpu_bitmap(struct xenctl_bitmap *bitmap, struct cpumask *map);
const char *scheduler_name(uint32_t sched_id);
/* Pool of this id or a higher one: 0 or -errno. map may be NULL. */
long cpupool_info(uint32_t id, struct xen_sysctl_cpupool_op *info, struct cpumask *map);
const char *cpupool_name(uint32_t id);
/* CPUs and their nodes, for cpulist_parse; the nodes stay valid. */
const struct cpu_host *cpu_host_get(void);
/* Core, socket and node of the CPUs below *nr, until the next call; 0 or -errno, *nr is 0 then. */
long cpu_topology(const struct xen_sysctl_cputopo **topology, uint32_t *nr);

/* ---- details.c: xl's JSON of a configuration ---- */

void details_of_file(const struct config *c);
void details_of_domain(const struct xen_domctl_getdomaininfo *info); /* within json_array */

/* ---- cmd_vcpu.c ---- */

/* Of a domain's `nr` vcpus those below `online` shall be up, it is told. A status. */
int vcpus_available(domid_t domid, uint32_t nr, uint64_t online);

/* ---- cmd_credit.c ---- */

/* The credit scheduler's parameters of a domain; cmd: XEN_DOMCTL_SCHEDOP_*. 0 or -errno. */
long credit_domain(domid_t domid, uint32_t cmd, struct xen_domctl_sched_credit *p);

/* ---- cmd_life.c ---- */

/* The domain file with the overrides, from allocate(); NULL after its faults were told. */
struct config *config_read(const char *name, int nr, char **overrides);

/* ---- cmd_trace.c ---- */

extern const struct command cmd_trace;

/* ---- virsh.c ---- */

const char *virsh_word_nth(unsigned int n); /* NULL past the last */

/* ---- virsh_vcpus.c ---- */

/* A vcpu is about to be told to come or go, before the store says so: who goes loses its pin. */
void virsh_plug(domid_t domid, uint32_t vcpu, bool in);

/* ---- definitions.c ---- */

/* The names of domains that are defined, for completion; NULL past the last. */
const char *definition_name_nth(unsigned int n);

/* ---- the commands ---- */

extern const struct command cmd_virsh, cmd_definitions, cmd_explain;
extern const struct command cmd_list, cmd_vcpu_list, cmd_top, cmd_uptime, cmd_domid, cmd_domname,
    cmd_create, cmd_destroy, cmd_pause, cmd_unpause, cmd_shutdown, cmd_reboot, cmd_rename,
    cmd_console, cmd_vcpu_pin, cmd_vcpu_set, cmd_sched_credit, cmd_info, cmd_dmesg, cmd_debug_keys,
    cmd_cpupool_list, cmd_help, cmd_echo, cmd_files, cmd_sleep, cmd_exit, cmd_poweroff, cmd_mem_set,
    cmd_mem_max, cmd_fail_allocation, cmd_life, cmd_run, cmd_pages, cmd_cpupool_create,
    cmd_cpupool_destroy, cmd_cpupool_cpu_add, cmd_cpupool_cpu_remove, cmd_cpupool_migrate,
    cmd_cpupool_rename, cmd_cpupool_numa_split, cmd_cpu_online, cmd_cpu_offline, cmd_sched_rtds,
    cmd_sched_sedf, cmd_measure, cmd_repin, cmd_torture, cmd_advise, cmd_dom0_isolate,
    cmd_pin_override, cmd_evtchn_list, cmd_xenstore_ls, cmd_xenstore_read, cmd_xenstore_write,
    cmd_xenstore_rm;
extern const struct command cmd_sched_group_create, cmd_sched_group_add, cmd_sched_group_remove,
    cmd_sched_group_set, cmd_sched_group_dissolve, cmd_sched_group_list, cmd_bandwidth;
