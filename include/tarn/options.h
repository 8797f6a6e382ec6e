/* SPDX-License-Identifier: MIT */
/* The hypervisor's command line, decoded; lib/options.c (pure). Names and meanings are Xen's where
 * Xen has one. */
#pragma once

#include <tarn/cpumask.h>

struct options {
    u32 maxcpus;  /* maxcpus=N, 0 = all */
    u64 dom0_mem; /* dom0_mem=SIZE (bytes), 0 = what is left; "min:" and "max:" parts are accepted
                   */
    /* dom0_max_vcpus=N or A-B: one for each CPU, within these; max 0 = no limit */
    u32 dom0_min_vcpus, dom0_max_vcpus;
    bool dom0_vcpus_pin;  /* dom0_vcpus_pin */
    u64 dom0_nodes;       /* dom0_nodes=N,...: a bit for each, 0 = all */
    bool dom0_relaxed;    /* dom0_nodes=...,relaxed: it prefers their CPUs only */
    bool smt;             /* smt=no: one thread of each core is used */
    bool no_dom0;         /* dom0=none */
    char sched[16];       /* sched=credit */
    u32 tslice_ms;        /* sched_credit_tslice_ms=1..1000, 30 */
    u32 ratelimit_us;     /* sched_ratelimit_us=0|100..500000, 1000 */
    bool weight_per_vcpu; /* sched_credit_weight=domain|vcpu */
    bool noreboot;        /* noreboot: halt instead, when dom0 or we ask for a reboot */
    u32 guest_loglvl;     /* the same values; none: nothing that domains other than dom0 print */
    u32 loglvl;           /* loglvl=error|warning|info|debug|all|none (as enum log_level + 1) */
    bool console_com1;    /* console=com1[,...]; any other name is reported */
    u32 com1_baud;        /* com1=115200[,8n1[,0x3f8[,4]]] */
    u16 com1_port;
    u64 conring_size;     /* conring_size=SIZE (bytes): what the console's ring holds, 64 KiB */
    bool console_to_ring; /* console_to_ring: also what the control domain prints */
    /* gnttab_max_frames=, gnttab_max_maptrack_frames=: of a domain's grant table, and of its
     * handles */
    u32 gnttab_max_frames, gnttab_max_maptrack_frames;
    u32 tbuf_size;   /* tbuf_size=PAGES: rings of each CPU's trace, on from boot; 0: none */
    bool smap, smep; /* smap=, smep=: default on; off for experiments */
};
extern struct options opt;

/* Parse into `opt` (defaults first). report: one line for each thing that is wrong. */
void options_parse(const char *cmdline, void (*report)(void *arg, const char *text), void *arg);

/* The string of a boot module: "guest.elf name=ping vcpus=2 memory=16 cpus=2-3 weight=512 cap=50
 * cmdline=\"...\"". */
struct module_options {
    char name[32]; /* name= ; empty: not a domain of its own */
    u32 vcpus;     /* vcpus=1..128, default 1 */
    u64 memory; /* memory= in MiB when bare (xl), else with a suffix; default 16 MiB; bytes here */
    char pool[32];       /* pool=, default "Pool-0"; as cpupool= made it */
    struct cpumask cpus; /* cpus= hard affinity, default all; not checked against online CPUs */
    struct cpumask cpus_soft;
    u32 weight, cap; /* weight= (alias cpu_weight=) 1..65535, default 256; cap= percent of one CPU,
                        0 = none */
    char cmdline[1024]; /* cmdline= (alias extra=) */
    char ramdisk[64];   /* ramdisk=: path of another module that is its initrd */
};
/*
 * The value of cpupool=: "NAME:cpus=1,4-7[,sched=rtds][,tslice_ms=5][,ratelimit_us=0]". What is not
 * given is 0 or empty. report: one line for each thing that is wrong; returns how many are.
 */
struct pool_option {
    char name[32];
    char cpus[128]; /* for cpulist_parse */
    char sched[16];
    u32 tslice_ms, ratelimit_us; /* ratelimit_us ~0: not given */
};
u32 pool_option_parse(const char *value, struct pool_option *out,
                      void (*report)(void *arg, const char *text), void *arg);

u32 module_options_parse(const char *args, struct module_options *out,
                         void (*report)(void *arg, const char *text), void *arg);
