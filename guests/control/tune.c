/* SPDX-License-Identifier: MIT */
/* tune.c - see tune.h. Owns nothing but the text of the last reason. */
#include "tune.h"

#include "limits.h"

/* ---- bandwidth ---- */

long bandwidth_get(domid_t domid, uint32_t vcpu, struct tarn_bandwidth *b)
{
    *b = (struct tarn_bandwidth){ .domid = domid, .vcpu = vcpu };
    return hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_bandwidth, ARG(b));
}

long bandwidth_put(domid_t domid, uint32_t vcpu, const struct bandwidth *b)
{
    struct tarn_bandwidth op = {
        .domid = domid,
        .vcpu = vcpu,
        .period_us = b->period,
        .quota_us = b->quota,
    };

    return hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_bandwidth, ARG(&op));
}

const char *bandwidth_wrong(const struct bandwidth *b)
{
    static char why[96];

    if (b->period && (b->period < TARN_PERIOD_MIN || b->period > TARN_PERIOD_MAX)) {
        fmt_snprintf(why, sizeof(why), "period %lu us: it is %u to %u us", b->period,
                     TARN_PERIOD_MIN, TARN_PERIOD_MAX);
        return why;
    }
    if (b->quota > 0 && ((uint64_t)b->quota < TARN_QUOTA_MIN || //
                         (uint64_t)b->quota > TARN_QUOTA_MAX)) {
        fmt_snprintf(why, sizeof(why), "quota %ld us: it is %u to %llu us, or -1: no limit",
                     b->quota, TARN_QUOTA_MIN, TARN_QUOTA_MAX);
        return why;
    }
    return NULL;
}

/* ---- scheduling domains ---- */

static long group_op(uint32_t cmd, domid_t member, domid_t master, unsigned int weight,
                     unsigned int cap)
{
    struct tarn_group g = {
        .domid = member,
        .master = master,
        .weight = (uint16_t)weight,
        .cap = (uint16_t)cap,
    };

    return hypercall2(__HYPERVISOR_tarn_op, cmd, ARG(&g));
}

long group_add(domid_t member, domid_t master, unsigned int weight, unsigned int cap)
{
    return group_op(TARN_OP_group_add, member, master, weight, cap);
}

const char *group_add_why(const struct domain *member, const struct domain *master, long rc)
{
    static char why[160];

    switch (rc) {
    case -XEN_EXDEV:
        fmt_snprintf(why, sizeof(why), "%s and %s are in different cpupools (EXDEV)", member->name,
                     master->name);
        break;
    case -XEN_EBUSY:
        fmt_snprintf(why, sizeof(why), "%s is in the group of %s already (EBUSY)", member->name,
                     domid_name(master_of(member->domid)));
        break;
    case -XEN_EINVAL:
        fmt_snprintf(why, sizeof(why), "%s stands above %s (EINVAL)", member->name, master->name);
        break;
    case -XEN_E2BIG:
        fmt_snprintf(why, sizeof(why),
                     "%s in the group of %s: groups in groups would be more than %u levels (E2BIG)",
                     member->name, master->name, TARN_GROUP_DEPTH);
        break;
    default:
        fmt_snprintf(why, sizeof(why), "%s in the group of %s: %s (%s)", member->name, master->name,
                     error_text(rc), error_name(rc));
    }
    return why;
}

long group_set(domid_t member, domid_t master, unsigned int weight, unsigned int cap)
{
    return group_op(TARN_OP_group_set, member, master, weight, cap);
}

long group_remove(domid_t member)
{
    return group_op(TARN_OP_group_remove, member, DOMID_INVALID, 0, 0);
}

long group_dissolve(domid_t master)
{
    return group_op(TARN_OP_group_dissolve, master, master, 0, 0);
}

long group_info(domid_t domid, struct tarn_group *g)
{
    *g = (struct tarn_group){ .domid = domid, .master = DOMID_INVALID };
    return hypercall2(__HYPERVISOR_tarn_op, TARN_OP_group_info, ARG(g));
}

domid_t master_of(domid_t domid)
{
    struct tarn_group g;

    return group_info(domid, &g) ? DOMID_INVALID : g.master;
}

bool has_members(domid_t domid)
{
    struct tarn_group g;

    return group_info(domid, &g) == 0 && g.members;
}

int member_fail(const struct domain *d, long rc, const char *what)
{
    domid_t master = rc == -XEN_EBUSY ? master_of(d->domid) : DOMID_INVALID;

    return master == DOMID_INVALID
               ? 0
               : fail("%s is in the group of %s: %s (EBUSY)", d->name, domid_name(master), what);
}

long cpu_time_get(domid_t domid, uint32_t cpu, uint64_t *ns)
{
    struct tarn_cpu_time op = { .domid = domid, .cpu = cpu };
    long rc = hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_cpu_time, ARG(&op));

    *ns = op.ns;
    return rc;
}

/* ---- emulators ---- */

static struct tarn_emulator bond_of(domid_t domid)
{
    struct tarn_emulator e = { .domid = domid };

    if (hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_emulator, ARG(&e))) {
        e.emulator = e.client = DOMID_INVALID;
    }
    return e;
}

domid_t emulator_of(domid_t domid)
{
    return bond_of(domid).emulator;
}

domid_t client_of(domid_t domid)
{
    return bond_of(domid).client;
}

long emulator_bind(domid_t domid, domid_t emulator)
{
    struct tarn_emulator e = { .domid = domid, .emulator = emulator };

    return hypercall2(__HYPERVISOR_tarn_op, TARN_OP_set_emulator, ARG(&e));
}

const char *emulator_thread(char name[8], uint32_t vcpu)
{
    if (vcpu) {
        fmt_snprintf(name, 8, "io%u", vcpu);
    } else {
        str_copy(name, "emu", 8);
    }
    return name;
}

void unit_name(char name[UNIT_NAME_SIZE], domid_t domid, domid_t client, uint32_t vcpu)
{
    char thread[8];

    if (client == DOMID_INVALID) {
        fmt_snprintf(name, UNIT_NAME_SIZE, "d%uv%u", domid, vcpu);
    } else {
        fmt_snprintf(name, UNIT_NAME_SIZE, "d%u%s", client, emulator_thread(thread, vcpu));
    }
}
