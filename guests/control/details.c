/* SPDX-License-Identifier: MIT */
/*
 * details.c - a domain's configuration as JSON, with xl's keys in xl's order: of a domain file that
 * is only looked at, and of a domain that is there. Keys for what a PV domain here can't have are
 * left out.
 */
#include "limits.h"
#include "realtime.h"
#include "tune.h"

static void info_print(const char *name, const char *pool, const uint8_t *uuid)
{
    char text[UUID_SIZE] = "";

    if (uuid) {
        uuid_format(uuid, text);
    }
    json_key("c_info");
    json_object();
    json_text("type", "pv");
    json_text("name", name);
    json_text("uuid", text);
    json_text("pool_name", pool);
    json_end();
}

static void maps_print(const char *key, const struct config *c, const struct cpumask *maps)
{
    json_key(key);
    json_array();
    for (unsigned int v = 0; v < c->maxvcpus && v < VCPUS_MAX; v++) {
        json_array();
        cpumask_for_each(cpu, &maps[v]) {
            json_number(cpu);
        }
        json_end();
    }
    json_end();
}

static void affinity_print(const struct config *c)
{
    if (c && c->hard_given) {
        maps_print("vcpu_hard_affinity", c, c->hard);
    }
    if (c && c->soft_given) {
        maps_print("vcpu_soft_affinity", c, c->soft);
    }
}

/* Which of so many vcpus shall be up: the store knows it, once a domain is there. */
static void vcpus_print(unsigned int max, unsigned int up, const domid_t *domid)
{
    char path[64];

    json_count("max_vcpus", max);
    json_key("avail_vcpus");
    json_array();
    for (unsigned int v = 0; v < max && v < VCPUS_MAX; v++) {
        const char *value = NULL;

        if (domid) {
            fmt_snprintf(path, sizeof(path), "/local/domain/%u/cpu/%u/availability", *domid, v);
            value = store_read(path);
        }
        if (value ? strcmp(value, "online") == 0 : v < up) {
            json_number(v);
        }
    }
    json_end();
}

static void memory_print(uint64_t max, uint64_t target)
{
    json_count("max_memkb", max);
    json_count("target_memkb", target);
}

static void frames_print(const struct config *c)
{
    if (c && c->grant_frames >= 0) {
        json_count("max_grant_frames", (uint64_t)c->grant_frames);
    }
    if (c && c->maptrack_frames >= 0) {
        json_count("max_maptrack_frames", (uint64_t)c->maptrack_frames);
    }
}

static void ports_print(const struct config *c)
{
    if (c && c->event_channels != EVENT_CHANNELS_DEFAULT) {
        json_count("event_channels", c->event_channels);
    }
}

static void kernel_print(const struct config *c)
{
    if (c) {
        json_text("kernel", c->kernel);
        json_text("cmdline", c->extra);
        json_text("ramdisk", c->ramdisk);
    }
    json_key("type.pv");
    json_object();
    json_end();
}

/* What is done by default is left out. */
static void action_print(const char *key, enum action action)
{
    static const char *const names[] = { "", "restart", "rename_restart", "preserve" };

    json_text(key, names[action]);
}

static void actions_print(const struct config *c)
{
    action_print("on_poweroff", c->on_poweroff);
    action_print("on_reboot", c->on_reboot);
    action_print("on_watchdog", c->on_watchdog);
    action_print("on_crash", c->on_crash);
}

/* In us, as the file has it. */
static void time_print(uint64_t period, uint64_t budget)
{
    if (period) {
        json_count("period", period);
    }
    if (budget) {
        json_count("budget", budget);
    }
}

static void bandwidth_print(const char *key, const struct bandwidth *b)
{
    if (!b->period && !b->quota) {
        return;
    }
    json_key(key);
    json_object();
    if (b->period) {
        json_count("period", b->period);
    }
    if (b->quota) {
        json_key("quota");
        json_number(b->quota);
    }
    json_end();
}

/* Beyond what xl knows; nothing of it when the file has none. */
static void beyond_print(const struct config *c)
{
    bandwidth_print("vcpu_bandwidth", &c->vcpu_bandwidth);
    bandwidth_print("global_bandwidth", &c->global_bandwidth);
    bandwidth_print("emulator_bandwidth", &c->emulator_bandwidth);
    bandwidth_print("iothread_bandwidth", &c->iothread_bandwidth);
    if (c->iothreads) {
        json_count("iothreads", c->iothreads);
    }
    if (has_emulator(c)) {
        json_text("emulator", c->emulator.file);
        json_text("charge", c->emulator.charge_client ? "client" : "own");
    }
    json_text("group", c->group);
}

static void bonds_print(domid_t domid)
{
    domid_t stub = emulator_of(domid), client = client_of(domid), master = master_of(domid);

    json_text("emulator", stub == DOMID_INVALID ? "" : domid_name(stub));
    json_text("emulator_of", client == DOMID_INVALID ? "" : domid_name(client));
    json_text("group_of", master == DOMID_INVALID ? "" : domid_name(master));
}

void details_of_file(const struct config *c)
{
    json_object();
    info_print(c->name, c->pool, c->uuid_given ? c->uuid : NULL);
    json_key("b_info");
    json_object();
    vcpus_print(c->maxvcpus, c->vcpus, NULL);
    affinity_print(c);
    memory_print(c->maxmem_kb, c->memory_kb);
    frames_print(c);
    json_key("sched_params");
    json_object();
    if (c->weight) {
        json_count("weight", c->weight);
    }
    if (c->cap >= 0) {
        json_count("cap", (uint64_t)c->cap);
    }
    time_print(c->period_us, c->budget_us);
    if (c->extratime >= 0) {
        json_count("extratime", (uint64_t)c->extratime);
    }
    json_end();
    ports_print(c);
    kernel_print(c);
    json_end();
    beyond_print(c);
    actions_print(c);
    json_done();
}

static void credit_print(domid_t domid)
{
    struct xen_domctl_sched_credit p = { 0 };

    if (credit_domain(domid, XEN_DOMCTL_SCHEDOP_getinfo, &p) == 0) {
        json_count("weight", p.weight);
        json_count("cap", p.cap);
    }
}

/* Under a real-time scheduler those of vcpu 0. */
static void sched_print(const struct xen_domctl_getdomaininfo *info)
{
    const struct domain *d = domain_by_id(info->domain);
    struct xen_sysctl_cpupool_op pool;
    struct reservation r;

    json_key("sched_params");
    json_object();
    if (cpupool_info(info->cpupool, &pool, NULL) == 0 && pool.cpupool_id == info->cpupool) {
        json_text("sched", scheduler_name(pool.sched_id));
        if (pool.sched_id == XEN_SCHEDULER_CREDIT) {
            credit_print(info->domain);
        } else if (d && realtime_scheduler(pool.sched_id) &&
                   reservation_get(d, pool.sched_id, 0, &r)) {
            time_print(r.period / 1000, r.budget / 1000);
            json_count("extratime", r.extra);
        }
    }
    json_end();
}

void details_of_domain(const struct xen_domctl_getdomaininfo *info)
{
    const struct domain *d = domain_by_id(info->domain);
    const struct config *c = d ? d->config : NULL;

    json_object();
    json_count("domid", info->domain);
    json_key("config");
    json_object();
    info_print(domid_name(info->domain), cpupool_name(info->cpupool), info->handle);
    json_key("b_info");
    json_object();
    vcpus_print(info->max_vcpu_id + 1, info->nr_online_vcpus, &info->domain);
    affinity_print(c);
    memory_print(info->max_pages * 4, info->tot_pages * 4);
    frames_print(c);
    sched_print(info);
    ports_print(c);
    kernel_print(c);
    json_end();
    if (c) {
        beyond_print(c);
        actions_print(c);
    }
    json_end();
    bonds_print(info->domain);
    json_end();
}
