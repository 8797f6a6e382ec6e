/* SPDX-License-Identifier: MIT */
/*
 * emulator.c - see emulator.h. The stub's vcpu 0 is the emulator, its vcpu i the iothread i. Its
 * devices are offered in the store in xenbus' layout, so that any driver of a guest may find them.
 * Owns nothing: who belongs to whom is known to the hypervisor.
 */
#include "emulator.h"

#include "tune.h"

#define DISK_FIRST 51712u /* xvda; the next disks are 16 further each */
#define DISK_STEP 16u
#define SECTORS_MIB 2048u

/* ---- what it is to be ---- */

static void report(void *arg, const char *text)
{
    (void)arg;
    fail("%s", text);
}

/* Its name and vcpus are the client's to say. */
static long read_file(const struct config *client, struct config *stub)
{
    const struct file *file = file_find(client->emulator.file);
    char name[48], vcpus[24], maxvcpus[24];
    char *overrides[] = { name, vcpus, maxvcpus };
    unsigned int n = client->iothreads + 1;

    if (!file) {
        fail("%s: emulator %s: no such file (ENOENT)", client->name, client->emulator.file);
        return -XEN_ENOENT;
    }
    fmt_snprintf(name, sizeof(name), "name=\"%s" EMULATOR_SUFFIX "\"", client->name);
    fmt_snprintf(vcpus, sizeof(vcpus), "vcpus=%u", n);
    fmt_snprintf(maxvcpus, sizeof(maxvcpus), "maxvcpus=%u", n);
    if (config_parse(file->name, file->data, file->size, ARRAY_SIZE(overrides), overrides,
                     cpu_host_get(), stub, report, NULL)) {
        return -XEN_EINVAL;
    }
    if (has_emulator(stub) || stub->group[0]) {
        fail("%s: emulator %s: it can't have %s itself (EINVAL)", client->name,
             client->emulator.file, has_emulator(stub) ? "an emulator" : "a group");
        return -XEN_EINVAL;
    }
    return 0;
}

/* Where it has no CPUs by rule, its own file's count, or all. */
static const char *set_cpus(const struct config *client, const struct pool *pool,
                            struct config *stub)
{
    unsigned int nr_cpus = cpu_host_get()->nr_cpus;
    bool own = stub->hard_given;

    for (unsigned int v = 0; v < stub->maxvcpus; v++) {
        struct placement_who who = { v ? PLACEMENT_IOTHREAD : PLACEMENT_EMULATOR, v };
        enum placement_rule rule;
        struct cpumask set;
        const char *wrong = placement_of(&client->placement, who, &pool->cpus,
                                         client->advised ? &client->advice : NULL, &set, &rule);

        if (wrong) {
            return wrong;
        }
        if (rule != PLACEMENT_BY_DEFAULT) {
            stub->hard[v] = set;
            stub->hard_given = true;
        } else if (!own) {
            for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
                cpumask_set(&stub->hard[v], cpu);
            }
        }
    }
    return NULL;
}

/* A disk is memory of the stub. One that ends is not made again by itself, but with its client. */
static void set_rest(const struct config *client, const struct pool *pool, struct config *stub)
{
    const struct emulator_config *e = &client->emulator;
    enum action *const actions[] = { &stub->on_poweroff, &stub->on_reboot, &stub->on_crash,
                                     &stub->on_watchdog };
    uint64_t sectors = 0, kb;

    for (unsigned int i = 0; i < e->disks; i++) {
        sectors += e->disk[i].sectors;
    }
    kb = (sectors + SECTORS_MIB - 1) / SECTORS_MIB * 1024;
    stub->memory_kb += kb;
    stub->maxmem_kb += kb;
    for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
        if (*actions[i] != ACTION_PRESERVE) {
            *actions[i] = ACTION_DESTROY;
        }
    }
    if (!stub->pool[0]) {
        str_copy(stub->pool, pool->name, sizeof(stub->pool));
    }
    if (!e->charge_client) {
        stub->weight = e->weight ? e->weight : stub->weight;
        stub->cap = e->cap >= 0 ? e->cap : stub->cap;
    }
}

struct config *emulator_config(const struct config *client, const struct pool *pool, long *rc)
{
    struct config *stub = allocate(sizeof(*stub));
    const char *wrong;

    if (!stub) {
        *rc = -XEN_ENOMEM;
        fail_errno(*rc, "%s: the file of its emulator", client->name);
        return NULL;
    }
    *rc = read_file(client, stub);
    wrong = *rc ? NULL : set_cpus(client, pool, stub);
    if (wrong) {
        fail("%s: %s (EINVAL)", stub->name, wrong);
        *rc = -XEN_EINVAL;
    }
    if (*rc) {
        release(stub);
        return NULL;
    }
    set_rest(client, pool, stub);
    return stub;
}

/* ---- its devices ---- */

/* Both ends of one, in the store. */
struct device {
    domid_t stub, client;
    const char *type;
    unsigned int nr;
    char back[64], front[64];
};

static long put(const char *folder, const char *name, const char *value)
{
    return store_printf(value, "%s/%s", folder, name);
}

static long put_number(const char *folder, const char *name, uint64_t value)
{
    char text[24];

    fmt_snprintf(text, sizeof(text), "%lu", value);
    return put(folder, name, text);
}

static long offer_back(const struct device *dev, const struct emulator_disk *disk)
{
    long rc = store_offer(dev->back, dev->stub, dev->client);

    rc = rc ? rc : put(dev->back, "frontend", dev->front);
    rc = rc ? rc : put_number(dev->back, "frontend-id", dev->client);
    rc = rc ? rc : put(dev->back, "online", "1");
    if (rc == 0 && disk->sectors) {
        rc = put_number(dev->back, "size", disk->sectors);
        rc = rc ? rc : put(dev->back, "mode", "w");
    }
    rc = rc ? rc : put_number(dev->back, "iothread", disk->iothread);
    return rc ? rc : put(dev->back, "state", "1");
}

static long offer_front(const struct device *dev, bool disk)
{
    long rc = store_offer(dev->front, dev->client, dev->stub);

    rc = rc ? rc : put(dev->front, "backend", dev->back);
    rc = rc ? rc : put_number(dev->front, "backend-id", dev->stub);
    if (rc == 0 && disk) {
        rc = put_number(dev->front, "virtual-device", dev->nr);
        rc = rc ? rc : put(dev->front, "device-type", "disk");
    }
    return rc ? rc : put(dev->front, "state", "1");
}

/* Who finds the front looks for the back: that one is first. sectors 0: no disk. */
static long offer(domid_t client, domid_t stub, const char *type, unsigned int nr,
                  const struct emulator_disk *disk)
{
    struct device dev = { .stub = stub, .client = client, .type = type, .nr = nr };
    long rc;

    fmt_snprintf(dev.back, sizeof(dev.back), "/local/domain/%u/backend/%s/%u/%u", stub, type,
                 client, nr);
    fmt_snprintf(dev.front, sizeof(dev.front), "/local/domain/%u/device/%s/%u", client, type, nr);
    rc = offer_back(&dev, disk);
    return rc ? rc : offer_front(&dev, disk->sectors);
}

static long offer_all(const struct domain *client, domid_t stub)
{
    const struct emulator_config *e = &client->config->emulator;
    long rc = 0;

    for (unsigned int i = 0; i < e->disks && rc == 0; i++) {
        rc = offer(client->domid, stub, "vbd", DISK_FIRST + DISK_STEP * i, &e->disk[i]);
    }
    for (unsigned int i = 0; i < e->echoes && rc == 0; i++) {
        const struct emulator_disk none = { .iothread = e->echo[i] };

        rc = offer(client->domid, stub, "echo", i, &none);
    }
    return rc;
}

/* ---- making it ---- */

static long charge(const struct domain *client, domid_t stub)
{
    const struct emulator_config *e = &client->config->emulator;

    return e->charge_client
               ? group_add(stub, client->domid, e->weight, (unsigned int)MAX(e->cap, 0))
               : 0;
}

static long limit(const struct domain *client, domid_t stub)
{
    const struct config *c = client->config;
    long rc = 0;

    for (uint32_t v = 0; v <= c->iothreads && rc == 0; v++) {
        const struct bandwidth *b = v ? &c->iothread_bandwidth : &c->emulator_bandwidth;

        rc = b->period || b->quota ? bandwidth_put(stub, v, b) : 0;
    }
    return rc;
}

static long bind(const struct domain *client, domid_t stub)
{
    return emulator_bind(client->domid, stub);
}

static long start(const struct domain *client, domid_t stub)
{
    (void)client;
    return domctl_simple(XEN_DOMCTL_unpausedomain, stub);
}

static const struct {
    const char *what;
    long (*run)(const struct domain *client, domid_t stub);
} steps[] = {
    { "making it its client's emulator", bind },
    { "charging its client", charge },
    { "setting its bandwidth", limit },
    { "offering its devices", offer_all },
    { "starting it", start },
};

long emulator_create(const struct domain *client, const struct config *stub)
{
    domid_t domid;
    long rc = domain_create(stub, true, &domid), back;

    if (rc) {
        return rc;
    }
    for (size_t i = 0; i < ARRAY_SIZE(steps) && rc == 0; i++) {
        rc = steps[i].run(client, domid);
        if (rc) {
            fail_errno(rc, "%s: %s", stub->name, steps[i].what);
        }
    }
    if (rc) {
        back = domain_destroy(domain_by_id(domid));
        if (back) {
            fail_errno(back, "%s: taking domain %u back", stub->name, domid);
        }
    }
    return rc;
}

/* ---- with its client ---- */

static struct domain *stub_of(const struct domain *client)
{
    domid_t domid = emulator_of(client->domid);

    return domid == DOMID_INVALID ? NULL : domain_by_id(domid);
}

long emulator_end(const struct domain *client)
{
    struct domain *stub = stub_of(client);

    return stub ? domain_destroy(stub) : 0;
}

struct domain *emulator_renamed(const struct domain *client, const char *name,
                                char stub_name[NAME_SIZE], long *rc)
{
    struct domain *stub = stub_of(client);

    *rc = 0;
    if (!stub) {
        return NULL;
    }
    if (strlen(name) + sizeof(EMULATOR_SUFFIX) > NAME_SIZE) {
        *rc = -XEN_EINVAL;
        return NULL;
    }
    fmt_snprintf(stub_name, NAME_SIZE, "%s" EMULATOR_SUFFIX, name);
    if (domain_lookup(stub_name)) {
        *rc = -XEN_EEXIST;
    }
    return stub;
}
