/* SPDX-License-Identifier: MIT */
/*
 * HYPERVISOR_platform_op: what a kernel that is the control domain wants of the platform: the wall
 * clock, which CPUs there are, power off. The firmware left us nothing else to tell. settime_lock
 * (leaf) is held while the wall clock changes.
 */
#include <tarn/domain.h>
#include <tarn/errno.h>
#include <tarn/guest_access.h>
#include <tarn/hypercall.h>
#include <tarn/pcpu.h>
#include <tarn/time.h>
#include <x86/cpufeature.h>
#include <x86/power.h>

#include <xen/platform.h>

#include "domctl.h"

#define SECONDS_MAX (1UL << 33) /* in ns that is still no overflow */
#define ACPI_S5 5u

static struct spinlock settime_lock = SPINLOCK_INIT(RANK_LEAF); /* time_base.wall_ns */

static long settime(const struct xenpf_settime64 *t)
{
    struct domain *d;

    if (t->mbz || t->secs >= SECONDS_MAX) {
        return -EINVAL;
    }
    spin_lock(&settime_lock);
    time_base.wall_ns = (s64)(t->secs * NSEC_PER_SEC + t->nsecs - t->system_time);
    spin_unlock(&settime_lock);
    for (u32 from = 0; (d = domain_get_from(from)); from = d->domid + 1u, domain_put(d)) {
        spin_lock(&settime_lock);
        clock_init_domain(d);
        spin_unlock(&settime_lock);
    }
    return 0;
}

static long firmware_info(struct xenpf_firmware_info *f)
{
    switch (f->type) {
    case XEN_FW_DISK_INFO:
    case XEN_FW_DISK_MBR_SIGNATURE:
    case XEN_FW_VBEDDC_INFO:
        return -ESRCH;
    case XEN_FW_EFI_INFO:
        return -ENOSYS;
    case XEN_FW_KBD_SHIFT_FLAGS:
        f->u.kbd_shift_flags = 0;
        return f->index ? -ESRCH : 0;
    default:
        return -EINVAL;
    }
}

static long enter_sleep(const struct xenpf_enter_acpi_sleep *s)
{
    if (s->flags || s->sleep_state == 0 || s->sleep_state > ACPI_S5) {
        return -EINVAL;
    }
    if (s->sleep_state != ACPI_S5) {
        return -EOPNOTSUPP;
    }
    machine_poweroff();
}

static bool present(u32 cpu)
{
    return cpu < pool0.topology->nr_cpus;
}

/* The firmware's own number of a CPU isn't kept; ours are given out in the same order. */
static void cpuinfo(struct xenpf_pcpuinfo *i)
{
    u32 cpu = i->xen_cpuid;

    i->max_present = pool0.topology->nr_cpus - 1;
    i->flags = XEN_PCPU_FLAGS_INVALID;
    i->apic_id = i->acpi_id = 0;
    if (present(cpu)) {
        i->flags = cpumask_test(&cpu_online_map, cpu) ? XEN_PCPU_FLAGS_ONLINE : 0;
        i->apic_id = pool0.topology->cpu[cpu].apic_id;
        i->acpi_id = cpu;
    }
}

static void cpu_version(struct xenpf_pcpu_version *v)
{
    const struct cpu_features *f = &cpu_features;
    u32 cpu = v->xen_cpuid;

    *v = (struct xenpf_pcpu_version){ .xen_cpuid = cpu,
                                      .max_present = pool0.topology->nr_cpus - 1 };
    if (cpumask_test(&cpu_online_map, cpu)) {
        memcpy(v->vendor_id, f->vendor, sizeof(v->vendor_id));
        v->family = f->family;
        v->model = f->model;
        v->stepping = f->stepping;
    }
}

/* To be where one is already is no error here. */
static long cpu_online(u32 cpu, bool online)
{
    long rc;

    if (!present(cpu)) {
        return -EINVAL;
    }
    if (cpu == 0 && !online) {
        return -EOPNOTSUPP;
    }
    rc = cpu_service(cpu, online);
    return rc == -EEXIST ? 0 : rc;
}

static long dispatch(struct xen_platform_op *op)
{
    switch (op->cmd) {
    case XENPF_settime64:
        return settime(&op->u.settime64);
    case XENPF_firmware_info:
        return firmware_info(&op->u.firmware_info);
    case XENPF_enter_acpi_sleep:
        return enter_sleep(&op->u.enter_acpi_sleep);
    case XENPF_get_cpuinfo:
        cpuinfo(&op->u.pcpu_info);
        return 0;
    case XENPF_get_cpu_version:
        cpu_version(&op->u.pcpu_version);
        return 0;
    case XENPF_cpu_online:
    case XENPF_cpu_offline:
        return cpu_online(op->u.cpu_ol.cpuid, op->cmd == XENPF_cpu_online);
    default:
        return -ENOSYS;
    }
}

long do_platform_op(u64 arg)
{
    struct xen_platform_op op;
    long rc;

    if (copy_from_guest(&op, arg, sizeof(op))) {
        return -EFAULT;
    }
    if (op.interface_version != XENPF_INTERFACE_VERSION) {
        return -EACCES;
    }
    if (!current->domain->privileged) {
        return -EPERM;
    }
    rc = dispatch(&op);
    if (rc == -ERESTART) {
        return hypercall_continue(__HYPERVISOR_platform_op, arg, 0, 0, 0);
    }
    return rc == 0 && copy_to_guest(arg, &op, sizeof(op)) ? -EFAULT : rc;
}
