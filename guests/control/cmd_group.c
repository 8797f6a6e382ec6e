/* SPDX-License-Identifier: MIT */
/*
 * cmd_group.c - scheduling domains: sched-group-create, -add, -remove, -set, -dissolve, -list. Who
 * is whose member is the hypervisor's matter; orders are whole or not at all.
 */
#include "tune.h"

#define CAP_MAX 65535u

/* ---- messages ---- */

static int own_fail(const struct domain *master)
{
    return fail("%s: the master is no member of its own group (EINVAL)", master->name);
}

/* ---- create ---- */

/* What the hypervisor can't know to be a mistake, or would find too late. */
static bool check_members(const struct domain *master, char **names, int n)
{
    for (int i = 0; i < n; i++) {
        const struct domain *d = domain_named(names[i]);

        if (!d) {
            return false;
        }
        if (d == master) {
            return !own_fail(d);
        }
        for (int j = 0; j < i; j++) {
            if (domain_lookup(names[j]) == d) {
                return !fail("%s: given twice (EINVAL)", d->name);
            }
        }
    }
    return true;
}

static int add_all(const struct domain *master, char **names, int n)
{
    for (int i = 0; i < n; i++) {
        const struct domain *d = domain_lookup(names[i]);
        long rc = d ? group_add(d->domid, master->domid, 0, 0) : -XEN_ESRCH;

        if (rc == 0) {
            continue;
        }
        while (i-- > 0) {
            group_remove(domain_lookup(names[i])->domid);
        }
        return d ? fail("%s", group_add_why(d, master, rc)) : fail_errno(rc, "a member");
    }
    return 0;
}

static int run_create(int argc, char **argv)
{
    const struct domain *master;
    struct tarn_group g;
    long rc;

    if (argc < 3) {
        return USAGE;
    }
    master = domain_named(argv[1]);
    if (!master || !check_members(master, argv + 2, argc - 2)) {
        return 1;
    }
    rc = group_info(master->domid, &g);
    if (rc) {
        return fail_errno(rc, "%s", master->name);
    }
    if (g.members) {
        return fail("%s has a group already: sched-group-add adds to it (EEXIST)", master->name);
    }
    return add_all(master, argv + 2, argc - 2);
}

const struct command cmd_sched_group_create = {
    .name = "sched-group-create",
    .usage = "MASTER MEMBER...",
    .help = "several domains share the weight and cap of the first",
    .run = run_create,
};

/* ---- add, set ---- */

struct share {
    int weight, cap; /* -1: not given */
    const struct domain *master, *member;
};

static bool share_number(char letter, const char *text, struct share *s)
{
    unsigned int least = letter == 'w' ? 1 : 0;
    uint64_t n;

    if (!number_parse(text, CAP_MAX, &n) || n < least) {
        return !fail("%s %s: it is %u to %u (EINVAL)", letter == 'w' ? "weight" : "cap", text,
                     least, CAP_MAX);
    }
    *(letter == 'w' ? &s->weight : &s->cap) = (int)n;
    return true;
}

/* 0, or a status after it was told. */
static int share_take(int argc, char **argv, struct share *s)
{
    struct options o;
    int letter;

    *s = (struct share){ .weight = -1, .cap = -1 };
    options_init(&o, argc, argv, "w:c:", "weight=w cap=c");
    while ((letter = options_next(&o))) {
        if (letter == '?') {
            return USAGE;
        }
        if (!share_number((char)letter, o.value, s)) {
            return 1;
        }
    }
    if (o.nr_rest != 2) {
        return USAGE;
    }
    s->master = domain_named(o.rest[0]);
    s->member = s->master ? domain_named(o.rest[1]) : NULL;
    return s->member ? 0 : 1;
}

static int run_add(int argc, char **argv)
{
    struct share s;
    int status = share_take(argc, argv, &s);
    long rc;

    if (status) {
        return status;
    }
    if (s.member == s.master) {
        return own_fail(s.master);
    }
    rc = group_add(s.member->domid, s.master->domid, (unsigned int)MAX(s.weight, 0),
                   (unsigned int)MAX(s.cap, 0));
    return rc ? fail("%s", group_add_why(s.member, s.master, rc)) : 0;
}

const struct command cmd_sched_group_add = {
    .name = "sched-group-add",
    .usage = "[-w WEIGHT] [-c CAP] MASTER MEMBER",
    .help = "one more domain shares a master's weight and cap (-w, -c: its part inside)",
    .run = run_add,
};

static int run_set(int argc, char **argv)
{
    struct share s;
    struct tarn_group g;
    int status = share_take(argc, argv, &s);
    bool self;
    long rc;

    if (status || (s.weight < 0 && s.cap < 0)) {
        return status ? status : USAGE;
    }
    self = s.master == s.member;
    rc = group_info(s.member->domid, &g);
    if (rc == 0 && self && !g.members) {
        return fail("%s has no members (ENOENT)", s.master->name);
    }
    if (rc == 0 && !self && g.master != s.master->domid) {
        return fail("%s is not in the group of %s (ENOENT)", s.member->name, s.master->name);
    }
    if (rc == 0) {
        rc = group_set(s.member->domid, s.master->domid,
                       s.weight < 0 ? (self ? g.self_weight : g.weight) : (unsigned int)s.weight,
                       s.cap < 0 ? (self ? g.self_cap : g.cap) : (unsigned int)s.cap);
    }
    return rc ? fail_errno(rc, "%s in the group of %s", s.member->name, s.master->name) : 0;
}

const struct command cmd_sched_group_set = {
    .name = "sched-group-set",
    .usage = "[-w WEIGHT] [-c CAP] MASTER MEMBER|MASTER",
    .help = "a member's part of the group's time, or that of the master's own vcpus",
    .run = run_set,
};

/* ---- remove, dissolve ---- */

/* `none`: what is wrong when there is nothing to end. */
static int run_end(int argc, char **argv, long (*end)(domid_t domid), const char *none)
{
    const struct domain *d;
    long rc;

    if (argc != 2) {
        return USAGE;
    }
    d = domain_named(argv[1]);
    if (!d) {
        return 1;
    }
    rc = end(d->domid);
    return rc == -XEN_ENOENT ? fail("%s %s (ENOENT)", d->name, none)
           : rc              ? fail_errno(rc, "%s", d->name)
                             : 0;
}

static int run_remove(int argc, char **argv)
{
    return run_end(argc, argv, group_remove, "is in no group");
}

const struct command cmd_sched_group_remove = {
    .name = "sched-group-remove",
    .usage = "MEMBER",
    .help = "a domain leaves the group it is in; its own weight and cap count again",
    .run = run_remove,
};

static int run_dissolve(int argc, char **argv)
{
    return run_end(argc, argv, group_dissolve, "has no members");
}

const struct command cmd_sched_group_dissolve = {
    .name = "sched-group-dissolve",
    .usage = "MASTER",
    .help = "all members leave a master's group",
    .run = run_dissolve,
};

/* ---- list ---- */

/* One domain of the tree: as a whole, with all below it. */
struct branch {
    const struct domain *d;
    struct tarn_group g;
    unsigned int weight, cap; /* inside of its master's group; of a topmost one: its own */
    uint64_t own, all;        /* ns that its own vcpus ran, and everybody's below it */
};

static uint64_t time_of(const struct domain *d)
{
    struct xen_domctl_getdomaininfo info;

    return domain_info(d->domid, &info) ? 0 : info.cpu_time;
}

static uint64_t time_below(const struct domain *top, unsigned int depth)
{
    bool master = depth < TARN_GROUP_DEPTH && has_members(top->domid);
    uint64_t sum = time_of(top);

    for (const struct domain *d = domains_first(); d && master; d = d->next) {
        sum += master_of(d->domid) == top->domid ? time_below(d, depth + 1) : 0;
    }
    return sum;
}

static bool branch_get(const struct domain *d, struct branch *b)
{
    struct tarn_domain_shares shares = { .domid = d->domid };

    *b = (struct branch){ .d = d, .own = time_of(d), .all = time_below(d, 0) };
    if (group_info(d->domid, &b->g)) {
        return false;
    }
    b->weight = b->g.weight;
    b->cap = b->g.cap;
    if (b->g.master == DOMID_INVALID &&
        hypercall2(__HYPERVISOR_tarn_op, TARN_OP_get_domain_shares, ARG(&shares)) == 0) {
        b->weight = shares.weight;
        b->cap = shares.cap;
    }
    return true;
}

static void line_print(unsigned int depth, const char *name, const struct branch *b, bool self)
{
    char shown[80], id[8] = "", seconds[SECONDS_SIZE];

    fmt_snprintf(shown, sizeof(shown), "%*s%s", (int)(2 * depth), "", name);
    if (!self) {
        fmt_snprintf(id, sizeof(id), "%u", b->d->domid);
    }
    out("%-40s %5s %6u %5u %9s\n", shown, id, self ? b->g.self_weight : b->weight,
        self ? b->g.self_cap : b->cap,
        seconds_format(seconds, sizeof(seconds), self ? b->own : b->all));
}

static void json_share(unsigned int weight, unsigned int cap, uint64_t ns)
{
    json_count("weight", weight);
    json_count("cap", cap);
    json_count("cpu_ns", ns);
}

static void branch_print(const struct domain *d, unsigned int depth, bool json);

static void members_print(const struct branch *b, unsigned int depth, bool json)
{
    if (json) {
        json_key("self");
        json_object();
        json_share(b->g.self_weight, b->g.self_cap, b->own);
        json_end();
        json_key("members");
        json_array();
    } else {
        line_print(depth, "(its own vcpus)", b, true);
    }
    for (const struct domain *d = domains_first(); d; d = d->next) {
        if (master_of(d->domid) == b->d->domid) {
            branch_print(d, depth, json);
        }
    }
    if (json) {
        json_end();
    }
}

static void branch_print(const struct domain *d, unsigned int depth, bool json)
{
    struct branch b;

    if (!branch_get(d, &b) || depth > TARN_GROUP_DEPTH) {
        return;
    }
    if (json) {
        json_object();
        json_text("name", d->name);
        json_count("domid", d->domid);
        json_share(b.weight, b.cap, b.all);
    } else {
        line_print(depth, d->name, &b, false);
    }
    if (b.g.members) {
        members_print(&b, depth + 1, json);
    }
    if (json) {
        json_end();
    }
}

/* Those that nobody is above, or the one that is asked for. */
static void groups_print(const struct domain *only, bool json)
{
    struct tarn_group g;

    if (json) {
        json_array();
    } else {
        out("%-40s %5s %6s %5s %9s\n", "Name", "ID", "Weight", "Cap", "Time(s)");
    }
    for (const struct domain *d = domains_first(); d; d = d->next) {
        if (only ? d == only
                 : group_info(d->domid, &g) == 0 && g.members && g.master == DOMID_INVALID) {
            branch_print(d, 0, json);
        }
    }
    if (json) {
        json_done();
    }
}

static int run_list(int argc, char **argv)
{
    const struct domain *only = NULL;
    struct tarn_group g;
    struct options o;
    uint64_t json;
    long rc;

    if (!options_flags(&o, argc, argv, "j", "json=j", &json) || o.nr_rest > 1) {
        return USAGE;
    }
    if (o.nr_rest) {
        only = domain_named(o.rest[0]);
        if (!only) {
            return 1;
        }
    }
    rc = group_info(only ? only->domid : 0, &g);
    if (rc) {
        return fail_errno(rc, "scheduling domains");
    }
    if (only && !g.members) {
        return fail("%s has no members (ENOENT)", only->name);
    }
    groups_print(only, json || shell_json);
    return 0;
}

const struct command cmd_sched_group_list = {
    .name = "sched-group-list",
    .usage = "[-j] [MASTER]",
    .help = "who shares whose weight and cap: parts inside, CPU time so far",
    .run = run_list,
};
