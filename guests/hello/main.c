/* SPDX-License-Identifier: MIT */
/*
 * hello - prints the start of day that a domain is given, checks that the p2m
 * list and the M2P agree, and powers off. With "linger" it waits instead, with
 * linger=N for N seconds first. With "entry" it tells how long after the TSC's
 * start its first instruction ran. With "reboot" it ends in a reboot.
 */
#include "guest.h"

const char guest_name[] = "hello";

static void print_start_info(const struct start_info *si)
{
    printf("hello: magic %s\n", si->magic);
    printf("hello: cmdline \"%s\"\n", (const char *)si->cmd_line);
    printf("hello: nr_pages %lu flags %x\n", si->nr_pages, si->flags);
    printf("hello: shared_info %lx\n", si->shared_info);
    printf("hello: pt_base %lx nr_pt_frames %lu\n", si->pt_base, si->nr_pt_frames);
    printf("hello: mfn_list %lx first_p2m_pfn %lx nr_p2m_frames %lu\n", si->mfn_list,
           si->first_p2m_pfn, si->nr_p2m_frames);
    printf("hello: mod_start %lx mod_len %lu\n", si->mod_start, si->mod_len);
    printf("hello: store mfn %lx port %u\n", si->store_mfn, si->store_evtchn);
    if (si->flags & SIF_INITDOMAIN) {
        printf("hello: console info at %x size %u\n", si->console.dom0.info_off,
               si->console.dom0.info_size);
    } else {
        printf("hello: console mfn %lx port %u\n", si->console.domU.mfn, si->console.domU.evtchn);
    }
}

static void print_version(void)
{
    xen_extraversion_t extra;
    struct xen_feature_info features = { .submap_idx = 0 };
    long version = xen_version(XENVER_version, NULL);

    xen_version(XENVER_extraversion, extra);
    xen_version(XENVER_get_features, &features);
    printf("hello: version %ld.%ld%s\n", version >> 16, version & 0xffff, extra);
    printf("hello: features %x\n", features.submap);
}

static void print_vcpu(void)
{
    volatile struct vcpu_info *info = &shared->vcpu_info[0];
    uint32_t ns;
    uint64_t wall = clock_wall(&ns);

    printf("hello: vcpus %u upcall pending %u mask %u sel %lx\n", vcpu_count(),
           info->evtchn_upcall_pending, info->evtchn_upcall_mask, info->evtchn_pending_sel);
    printf("hello: time version %u mul %x shift %d\n", info->time.version,
           info->time.tsc_to_system_mul, info->time.tsc_shift);
    printf("hello: system time %lu ns\n", clock_now());
    printf("hello: wall clock %lu.%09u\n", wall, ns);
}

static const char *check_p2m(void)
{
    for (unsigned long pfn = 0; pfn < start_info->nr_pages; pfn++) {
        if (machine_to_phys_mapping[pfn_to_mfn(pfn)] != pfn) {
            printf("hello: pfn %lx has mfn %lx, whose pfn is %lx\n", pfn, pfn_to_mfn(pfn),
                   machine_to_phys_mapping[pfn_to_mfn(pfn)]);
            return "p2m and m2p disagree";
        }
    }
    printf("hello: p2m and m2p agree on %lu pages\n", start_info->nr_pages);
    return NULL;
}

const char *guest_main(void)
{
    unsigned long seconds = arg_number("linger", 0);
    const char *failure;

    print_start_info(start_info);
    print_version();
    print_vcpu();
    if (arg_flag("entry")) {
        printf("hello: entered at %lu us\n", clock_of_ticks(guest_entry_tsc) / US);
    }
    failure = check_p2m();
    if (arg_flag("linger")) {
        printf("hello: lingering\n");
        wait_until(false);
    } else if (seconds != 0) {
        printf("hello: lingering for %lu s\n", seconds);
        clock_sleep(seconds * SEC);
    }
    return failure;
}
