/* SPDX-License-Identifier: MIT */
/* sources: guests/control/placement.c lib/printf.c lib/str.c */
/*
 * libvirt's placement rules: the whole table of cpuset, vcpupin and emulatorpin in the three modes,
 * each fault of a definition with its words, and what happens to pins while a domain runs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/placement.h>

#define ALL 0xffUL /* CPUs 0-7 */
#define N 0xc0UL   /* what the adviser says: 6-7 */
#define C 0x3cUL   /* cpuset 2-5 */
#define PV 0x08UL  /* vcpupin 3 */
#define E 0x01UL   /* emulatorpin 0 */
#define FAULT 0UL

static struct placement_raw p;
static char told[2048];

static void note(void *arg, bool fault, const char *text)
{
    size_t used = strlen(told);

    assert_ptr_equal(arg, &p);
    snprintf(told + used, sizeof(told) - used, "%s: %s\n", fault ? "error" : "warning", text);
}

/* A new one: with 4 vcpus of 6 now. */
static void begin(void)
{
    memset(&p, 0, sizeof(p));
    p.vcpus = 4;
    p.max_vcpus = 6;
}

static void check(const char *want)
{
    uint32_t faults = 0;

    told[0] = '\0';
    for (const char *at = want; (at = strstr(at, "error: ")); at++) {
        faults++;
    }
    assert_int_equal(placement_check(&p, note, &p), faults);
    assert_string_equal(told, want);
}

static struct cpumask mask(uint64_t cpus)
{
    return (struct cpumask){ { cpus } };
}

static const struct placement_who emulator = { .thread = PLACEMENT_EMULATOR };

static struct placement_who vcpu(uint32_t v)
{
    return (struct placement_who){ .thread = PLACEMENT_VCPU, .id = v };
}

static struct placement_who iothread(uint32_t id)
{
    return (struct placement_who){ .thread = PLACEMENT_IOTHREAD, .id = id };
}

static void runs(struct placement_who who, uint64_t cpus, enum placement_rule rule)
{
    struct cpumask all = mask(ALL), advice = mask(N), set = { { 0 } };
    enum placement_rule got;

    assert_null(placement_of(&p, who, &all, &advice, &set, &got));
    assert_int_equal(set.bits[0], cpus);
    assert_int_equal(got, rule);
}

/* ---- the table ---- */

enum mode { STATIC, AUTO_MODERN, AUTO_2012, MODES };

/* Who is given what, and where it runs; of vcpu 1 `pv`, of others `v`. */
struct row {
    bool c, pv, e;
    struct {
        uint64_t vcpu, emulator;
    } want[MODES];
};

static const struct row rows[8] = {
    /* C Pv E      static        auto, modern  auto, 2012 */
    { 0, 0, 0, { { ALL, ALL }, { N, N }, { N, N } } },
    { 0, 0, 1, { { ALL, E }, { N, E }, { FAULT, FAULT } } },
    { 0, 1, 0, { { PV, ALL }, { PV, N }, { PV, N } } },
    { 0, 1, 1, { { PV, E }, { PV, E }, { FAULT, FAULT } } },
    { 1, 0, 0, { { C, C }, { N, N }, { N, N } } },
    { 1, 0, 1, { { C, E }, { N, E }, { FAULT, FAULT } } },
    { 1, 1, 0, { { PV, C }, { PV, N }, { PV, N } } },
    { 1, 1, 1, { { PV, E }, { PV, E }, { FAULT, FAULT } } },
};

static void define_row(const struct row *row, enum mode mode)
{
    begin();
    assert_null(placement_set_mode(&p, mode == AUTO_2012 ? "2012" : "modern"));
    /* the cpuset once before and once behind the placement that makes it void */
    if (row->c && !row->e) {
        assert_null(placement_set_cpuset(&p, "2-5"));
    }
    assert_null(placement_set_placement(&p, mode == STATIC ? "static" : "auto"));
    if (row->c && row->e) {
        assert_null(placement_set_cpuset(&p, "2-5"));
    }
    if (row->pv) {
        assert_null(placement_add_vcpupin(&p, 1, "3"));
    }
    if (row->e) {
        assert_null(placement_add_emulatorpin(&p, "0"));
    }
}

static void test_table_row(const struct row *row, enum mode mode)
{
    enum placement_rule rest = mode != STATIC ? PLACEMENT_BY_ADVISER
                               : row->c       ? PLACEMENT_BY_CPUSET
                                              : PLACEMENT_BY_DEFAULT;
    bool fault = row->want[mode].vcpu == FAULT;
    char want[256];

    define_row(row, mode);
    snprintf(want, sizeof(want), "%s%s",
             row->c && mode != STATIC
                 ? "warning: placement is auto: the cpuset of the vcpus is ignored\n"
                 : "",
             fault ? "error: emulatorpin can't be given beside placement auto (place=\"2012\")\n"
                   : "");
    check(want);
    if (fault) {
        return;
    }
    runs(vcpu(1), row->want[mode].vcpu, row->pv ? PLACEMENT_BY_PIN : rest);
    runs(emulator, row->want[mode].emulator, row->e ? PLACEMENT_BY_PIN : rest);
    /* vcpus without a pin are where the table has them without any */
    runs(vcpu(0), rows[row->c * 4].want[mode].vcpu, rest);
    runs(vcpu(5), rows[row->c * 4].want[mode].vcpu, rest);
}

static void test_table(void **state)
{
    (void)state;
    for (int mode = 0; mode < MODES; mode++) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            test_table_row(&rows[i], (enum mode)mode);
        }
    }
}

/* The same rules for iothreads. */
static void test_table_iothreads(void **state)
{
    (void)state;
    for (int mode = 0; mode < AUTO_2012; mode++) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
            enum placement_rule rest = mode        ? PLACEMENT_BY_ADVISER
                                       : rows[i].c ? PLACEMENT_BY_CPUSET
                                                   : PLACEMENT_BY_DEFAULT;

            define_row(&rows[i], (enum mode)mode);
            p.iothreads = 2;
            if (rows[i].e) {
                assert_null(placement_add_iothreadpin(&p, 2, "0"));
            }
            told[0] = '\0';
            assert_int_equal(placement_check(&p, note, &p), 0);
            runs(iothread(2), rows[i].want[mode].emulator, rows[i].e ? PLACEMENT_BY_PIN : rest);
            runs(iothread(1), rows[rows[i].c * 4].want[mode].vcpu, rest);
        }
    }
}

static void test_no_adviser(void **state)
{
    struct cpumask all = mask(ALL), set;
    enum placement_rule rule;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const char *why;

        define_row(&rows[i], AUTO_MODERN);
        told[0] = '\0';
        assert_int_equal(placement_check(&p, note, &p), 0);
        /* no start, not even if it is nobody whom advice would place */
        assert_string_equal(placement_startable(&p, &all, NULL),
                            "placement is auto, and there is no adviser to ask");
        assert_null(placement_startable(&p, &all, &all));
        why = placement_of(&p, vcpu(1), &all, NULL, &set, &rule);
        assert_int_equal(!why, rows[i].pv);
        why = placement_of(&p, emulator, &all, NULL, &set, &rule);
        assert_int_equal(!why, rows[i].e);
    }
}

/* ---- definitions ---- */

static void test_missing_placement(void **state)
{
    static const struct {
        bool numatune;
        const char *cpuset, *vcpupin, *emulatorpin, *iothreadpin;
        enum placement_kind want;
    } cases[] = {
        { false, NULL, NULL, NULL, NULL, PLACEMENT_STATIC },
        { true, NULL, NULL, NULL, NULL, PLACEMENT_AUTO },
        { true, "1", NULL, NULL, NULL, PLACEMENT_STATIC },
        { true, NULL, "1", NULL, NULL, PLACEMENT_STATIC },
        { true, NULL, NULL, "1", NULL, PLACEMENT_STATIC },
        { true, NULL, NULL, NULL, "1", PLACEMENT_STATIC },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        begin();
        p.numatune_auto = cases[i].numatune;
        p.iothreads = 1;
        if (cases[i].cpuset) {
            assert_null(placement_set_cpuset(&p, cases[i].cpuset));
        }
        if (cases[i].vcpupin) {
            assert_null(placement_add_vcpupin(&p, 5, cases[i].vcpupin));
        }
        if (cases[i].emulatorpin) {
            assert_null(placement_add_emulatorpin(&p, cases[i].emulatorpin));
        }
        if (cases[i].iothreadpin) {
            assert_null(placement_add_iothreadpin(&p, 1, cases[i].iothreadpin));
        }
        check("");
        assert_int_equal(p.placement, cases[i].want);
        check(""); /* again, and it stays */
        assert_int_equal(p.placement, cases[i].want);
    }
    begin();
    p.numatune_auto = true;
    assert_null(placement_set_placement(&p, "static"));
    check("");
    assert_int_equal(p.placement, PLACEMENT_STATIC);
}

static void test_cpuset_dropped(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        begin();
        if (first) {
            assert_null(placement_set_placement(&p, "auto"));
        }
        assert_null(placement_set_cpuset(&p, "2-5"));
        assert_null(placement_set_placement(&p, "auto"));
        check("warning: placement is auto: the cpuset of the vcpus is ignored\n");
        assert_false(p.cpuset.given);
        check("");
    }
    begin(); /* nobody reads it any more */
    assert_null(placement_set_placement(&p, "auto"));
    assert_null(placement_set_cpuset(&p, "nonsense"));
}

static void refused(const char *got, const char *want)
{
    assert_non_null(got);
    assert_string_equal(got, want);
}

static void test_empty_sets(void **state)
{
    static const char *const empty[] = { "", " ", "1,^1", "^3", "0-1,^1,^0" };

    (void)state;
    begin();
    for (size_t i = 0; i < ARRAY_SIZE(empty); i++) {
        refused(placement_set_cpuset(&p, empty[i]), "it names no CPU");
        refused(placement_add_vcpupin(&p, 1, empty[i]), "it names no CPU");
        refused(placement_add_emulatorpin(&p, empty[i]), "it names no CPU");
        refused(placement_add_iothreadpin(&p, 1, empty[i]), "it names no CPU");
    }
    refused(placement_set_cpuset(&p, "2-x"), "at 'x' there should be a CPU's number");
    refused(placement_add_vcpupin(&p, 200, "2-1"), "range 2-1 runs backwards");
    assert_false(p.cpuset.given || p.vcpu[1].given || p.emulator.given || p.iothread[1].given);
}

static void test_missing_list(void **state)
{
    (void)state;
    begin();
    refused(placement_add_vcpupin(&p, 0, NULL), "its cpuset is missing");
    refused(placement_add_emulatorpin(&p, NULL), "its cpuset is missing");
    refused(placement_add_iothreadpin(&p, 1, NULL), "its cpuset is missing");
}

static void test_vcpupin_beyond(void **state)
{
    (void)state;
    begin();
    assert_null(placement_add_vcpupin(&p, 5, "1"));
    assert_null(placement_add_vcpupin(&p, 6, "1"));
    assert_null(placement_add_vcpupin(&p, 127, "1"));
    assert_null(placement_add_vcpupin(&p, 128, "1"));
    assert_null(placement_add_vcpupin(&p, ~0U, "1"));
    check("warning: vcpupin of vcpu 6 is ignored: the last vcpu is 5\n"
          "warning: vcpupin of vcpu 127 is ignored: the last vcpu is 5\n"
          "warning: vcpupin of vcpu 4294967294 is ignored: the last vcpu is 5\n");
    assert_true(p.vcpu[5].given);
    assert_false(p.vcpu[6].given || p.vcpu[127].given);
    check("");
}

static void test_twice(void **state)
{
    (void)state;
    begin();
    p.iothreads = 1;
    assert_null(placement_add_vcpupin(&p, 1, "2"));
    refused(placement_add_vcpupin(&p, 1, "2"), "vcpu 1 has two pins");
    assert_null(placement_add_vcpupin(&p, 2, "2"));
    assert_null(placement_add_emulatorpin(&p, "2"));
    refused(placement_add_emulatorpin(&p, "3"), "there are two emulatorpins");
    assert_null(placement_add_iothreadpin(&p, 1, "2"));
    refused(placement_add_iothreadpin(&p, 1, "3"), "iothread 1 has two pins");
    assert_int_equal(p.emulator.cpus.bits[0], 4);
    check("");
}

static void test_unknown_iothread(void **state)
{
    struct cpumask all = mask(ALL), set;
    enum placement_rule rule;

    (void)state;
    begin();
    p.iothreads = 2;
    assert_null(placement_add_iothreadpin(&p, 2, "1"));
    assert_null(placement_add_iothreadpin(&p, 3, "1"));
    assert_null(placement_add_iothreadpin(&p, 16, "1"));
    refused(placement_add_iothreadpin(&p, 0, "1"), "there is no iothread 0, the first is 1");
    refused(placement_add_iothreadpin(&p, 17, "1"), "there is no iothread 17, at most 16");
    check("error: iothreadpin: there is no iothread 3\n"
          "error: iothreadpin: there is no iothread 16\n");
    refused(placement_of(&p, iothread(3), &all, NULL, &set, &rule), "there is no iothread 3");
    refused(placement_of(&p, iothread(0), &all, NULL, &set, &rule), "there is no iothread 0");
    refused(placement_pin_set(&p, iothread(9), &all, &all), "there is no iothread 9");
    refused(placement_pin_reset(&p, iothread(~0U)), "there is no iothread 4294967295");
}

static void test_counts(void **state)
{
    (void)state;
    begin();
    p.vcpus = 7;
    check("error: 7 vcpus now are more than the maximum, 6\n");
    begin();
    p.max_vcpus = 0;
    assert_null(placement_add_vcpupin(&p, 0, "1"));
    check("error: a domain has at least one vcpu\n");
    begin();
    p.max_vcpus = 129;
    check("error: 129 vcpus are more than a domain can have, 128\n");
    begin();
    p.iothreads = 17;
    check("error: 17 iothreads are more than a domain can have, 16\n");
    begin();
    p.vcpus = 0;
    check("");
    assert_int_equal(p.vcpus, 6);
}

/* One fault hides no other. */
static void test_all_at_once(void **state)
{
    (void)state;
    begin();
    assert_null(placement_set_mode(&p, "2012"));
    assert_null(placement_set_placement(&p, "auto"));
    assert_null(placement_set_cpuset(&p, "1"));
    assert_null(placement_add_emulatorpin(&p, "1"));
    assert_null(placement_add_vcpupin(&p, 9, "1"));
    assert_null(placement_add_iothreadpin(&p, 1, "1"));
    p.vcpus = 9;
    check("error: 9 vcpus now are more than the maximum, 6\n"
          "warning: placement is auto: the cpuset of the vcpus is ignored\n"
          "warning: vcpupin of vcpu 9 is ignored: the last vcpu is 5\n"
          "error: iothreadpin: there is no iothread 1\n"
          "error: emulatorpin can't be given beside placement auto (place=\"2012\")\n");
}

static void test_names(void **state)
{
    (void)state;
    begin();
    refused(placement_set_mode(&p, "2013"), "'2013' is none of modern, 2012");
    refused(placement_set_mode(&p, ""), "'' is none of modern, 2012");
    refused(placement_set_placement(&p, "dynamic"), "'dynamic' is none of static, auto");
    assert_null(placement_set_mode(&p, "2012"));
    assert_null(placement_set_mode(&p, "modern"));
    assert_int_equal(p.mode, PLACEMENT_MODERN);
    assert_string_equal(placement_rule_name(PLACEMENT_BY_PIN, PLACEMENT_VCPU), "vcpupin");
    assert_string_equal(placement_rule_name(PLACEMENT_BY_PIN, PLACEMENT_EMULATOR), "emulatorpin");
    assert_string_equal(placement_rule_name(PLACEMENT_BY_PIN, PLACEMENT_IOTHREAD), "iothreadpin");
    assert_string_equal(placement_rule_name(PLACEMENT_BY_ADVISER, PLACEMENT_VCPU), "adviser");
    assert_string_equal(placement_rule_name(PLACEMENT_BY_CPUSET, PLACEMENT_IOTHREAD), "cpuset");
    assert_string_equal(placement_rule_name(PLACEMENT_BY_DEFAULT, PLACEMENT_EMULATOR), "default");
    assert_string_equal(placement_rule_words(PLACEMENT_BY_PIN, PLACEMENT_EMULATOR),
                        "the emulatorpin");
    assert_string_equal(placement_rule_words(PLACEMENT_BY_CPUSET, PLACEMENT_VCPU),
                        "no pin; the cpuset of the vcpus");
}

/* ---- start ---- */

/* Which CPUs there are shows at the start, not at the definition. */
static void test_start(void **state)
{
    struct cpumask host = mask(ALL);

    (void)state;
    begin();
    p.iothreads = 1;
    assert_null(placement_set_cpuset(&p, "2-9"));
    check("");
    refused(placement_startable(&p, &host, NULL), "cpuset: the host has no CPU 8");
    begin();
    assert_null(placement_add_vcpupin(&p, 4, "0,200"));
    check("");
    refused(placement_startable(&p, &host, NULL), "vcpupin of vcpu 4: the host has no CPU 200");
    begin();
    assert_null(placement_add_emulatorpin(&p, "8"));
    check("");
    refused(placement_startable(&p, &host, NULL), "emulatorpin: the host has no CPU 8");
    begin();
    p.iothreads = 1;
    assert_null(placement_add_iothreadpin(&p, 1, "255"));
    check("");
    refused(placement_startable(&p, &host, NULL),
            "iothreadpin of iothread 1: the host has no CPU 255");
    begin();
    assert_null(placement_set_cpuset(&p, "0-7"));
    assert_null(placement_add_vcpupin(&p, 4, "7"));
    check("");
    assert_null(placement_startable(&p, &host, NULL));
    cpumask_clear(&host, 3); /* a hole */
    refused(placement_startable(&p, &host, NULL), "cpuset: the host has no CPU 3");
}

/* ---- while it runs ---- */

/* cpuset 2-3, pins of vcpus 1 and 4 */
static void start(const char *mode)
{
    begin();
    assert_null(placement_set_mode(&p, mode));
    assert_null(placement_set_cpuset(&p, "2-5"));
    assert_null(placement_add_vcpupin(&p, 1, "3"));
    assert_null(placement_add_vcpupin(&p, 5, "3"));
    check("");
}

static void test_hotplug(void **state)
{
    (void)state;
    start("modern");
    assert_null(placement_plug(&p, 4, true));
    runs(vcpu(4), C, PLACEMENT_BY_CPUSET);
    assert_null(placement_plug(&p, 5, true));
    runs(vcpu(5), PV, PLACEMENT_BY_PIN); /* kept until it came */
    refused(placement_plug(&p, 5, true), "all of its vcpus are there");
    refused(placement_plug(&p, 6, true), "there is no vcpu 6, the last is 5");
    assert_int_equal(p.vcpus, 6);

    begin();
    assert_null(placement_set_placement(&p, "auto"));
    check("");
    assert_null(placement_plug(&p, 4, true));
    runs(vcpu(4), N, PLACEMENT_BY_ADVISER);

    begin();
    check("");
    assert_null(placement_set_vcpus(&p, 5));
    runs(vcpu(4), ALL, PLACEMENT_BY_DEFAULT);
}

static void test_hotunplug(void **state)
{
    (void)state;
    for (int modern = 0; modern < 2; modern++) {
        start(modern ? "modern" : "2012");
        assert_null(placement_plug(&p, 1, false));
        assert_int_equal(p.vcpus, 3);
        assert_null(placement_plug(&p, 1, true));
        runs(vcpu(1), C, PLACEMENT_BY_CPUSET); /* not where it was pinned */

        start(modern ? "modern" : "2012");
        assert_null(placement_set_vcpus(&p, 6));
        runs(vcpu(5), PV, PLACEMENT_BY_PIN);
        assert_null(placement_set_vcpus(&p, 2));
        runs(vcpu(1), PV, PLACEMENT_BY_PIN);
        assert_null(placement_set_vcpus(&p, 6));
        runs(vcpu(5), C, PLACEMENT_BY_CPUSET);
    }
    refused(placement_plug(&p, 0, false), "vcpu 0 must stay");
    refused(placement_set_vcpus(&p, 0), "a domain has at least one vcpu");
    refused(placement_set_vcpus(&p, 7), "7 vcpus are more than the maximum, 6");
    assert_int_equal(p.vcpus, 6);
}

static void test_live_pin(void **state)
{
    struct cpumask six = mask(0x40), none = mask(0), all = mask(ALL), more = mask(0x1ff);

    (void)state;
    start("modern");
    assert_null(placement_pin_set(&p, vcpu(0), &six, &all));
    runs(vcpu(0), 0x40, PLACEMENT_BY_PIN);
    assert_null(placement_pin_set(&p, emulator, &six, &all));
    runs(emulator, 0x40, PLACEMENT_BY_PIN);
    refused(placement_pin_set(&p, vcpu(0), &none, &all), "it names no CPU");
    refused(placement_pin_set(&p, vcpu(6), &six, &all), "there is no vcpu 6, the last is 5");
    runs(vcpu(0), 0x40, PLACEMENT_BY_PIN);

    /* to all CPUs: a pin like any other, and none in 2012 */
    assert_null(placement_pin_set(&p, vcpu(1), &all, &all));
    runs(vcpu(1), ALL, PLACEMENT_BY_PIN);
    start("2012");
    assert_null(placement_pin_set(&p, vcpu(1), &all, &all));
    runs(vcpu(1), C, PLACEMENT_BY_CPUSET);
    assert_null(placement_pin_set(&p, vcpu(1), &six, &all));
    runs(vcpu(1), 0x40, PLACEMENT_BY_PIN);
    assert_null(placement_pin_set(&p, vcpu(1), &more, &all));
    runs(vcpu(1), C, PLACEMENT_BY_CPUSET);
    assert_null(placement_pin_set(&p, emulator, &all, &all));
    runs(emulator, C, PLACEMENT_BY_CPUSET);
}

static void test_reset(void **state)
{
    struct cpumask six = mask(0x40), all = mask(ALL);

    (void)state;
    start("modern");
    assert_null(placement_pin_reset(&p, vcpu(1)));
    runs(vcpu(1), C, PLACEMENT_BY_CPUSET);
    assert_null(placement_pin_reset(&p, vcpu(1)));
    p.cpuset.given = false;
    runs(vcpu(1), ALL, PLACEMENT_BY_DEFAULT);
    p.placement = PLACEMENT_AUTO;
    assert_null(placement_pin_set(&p, vcpu(1), &six, &all));
    assert_null(placement_pin_reset(&p, vcpu(1)));
    runs(vcpu(1), N, PLACEMENT_BY_ADVISER);
    refused(placement_pin_reset(&p, vcpu(6)), "there is no vcpu 6, the last is 5");
}

static void effective(uint64_t set, uint64_t pool, uint64_t want, bool want_broken)
{
    struct cpumask s = mask(set), in = mask(pool), got;
    bool broken = !want_broken;

    got = placement_effective(&s, &in, &broken);
    assert_int_equal(got.bits[0], want);
    assert_int_equal(broken, want_broken);
}

/* A move or the loss of a CPU: what is stored stays. */
static void test_pool_move(void **state)
{
    struct cpumask set, pool = mask(0xf0);
    enum placement_rule rule;
    bool broken;

    (void)state;
    effective(C, ALL, C, false);
    effective(C, 0xf0, 0x30, false);
    effective(C, 0x03, 0x03, true);
    effective(C, 0x43, 0x43, true);
    effective(ALL, 0x02, 0x02, false);
    start("modern");
    assert_null(placement_of(&p, vcpu(1), &pool, NULL, &set, &rule));
    set = placement_effective(&set, &pool, &broken);
    assert_true(broken);
    assert_int_equal(set.bits[0], 0xf0);
    runs(vcpu(1), PV, PLACEMENT_BY_PIN);
    /* without pin and cpuset it is the new pool's CPUs, and nothing is broken */
    p.cpuset.given = false;
    assert_null(placement_of(&p, vcpu(0), &pool, NULL, &set, &rule));
    assert_int_equal(set.bits[0], 0xf0);
    assert_int_equal(rule, PLACEMENT_BY_DEFAULT);
}

/* The example of a domain of four vcpus, one pinned, its emulator apart. */
static void test_story(void **state)
{
    (void)state;
    begin();
    assert_null(placement_set_cpuset(&p, "2-5"));
    assert_null(placement_add_vcpupin(&p, 1, "3"));
    assert_null(placement_add_emulatorpin(&p, "0"));
    check("");
    for (uint32_t v = 0; v < 4; v++) {
        runs(vcpu(v), v == 1 ? PV : C, v == 1 ? PLACEMENT_BY_PIN : PLACEMENT_BY_CPUSET);
    }
    runs(emulator, E, PLACEMENT_BY_PIN);
    assert_null(placement_plug(&p, 4, true));
    runs(vcpu(4), C, PLACEMENT_BY_CPUSET);
    assert_null(placement_pin_reset(&p, vcpu(1)));
    runs(vcpu(1), C, PLACEMENT_BY_CPUSET);
    assert_null(placement_pin_reset(&p, emulator));
    runs(emulator, C, PLACEMENT_BY_CPUSET);
    p.cpuset.given = false;
    runs(vcpu(1), ALL, PLACEMENT_BY_DEFAULT);
    runs(emulator, ALL, PLACEMENT_BY_DEFAULT);
}

/* ---- cputune ---- */

static void test_ranges(void **state)
{
    static const struct {
        const char *name;
        enum placement_tune kind;
    } names[] = {
        { "shares", PLACEMENT_SHARES },          { "cpu_shares", PLACEMENT_SHARES },
        { "period", PLACEMENT_PERIOD },          { "vcpu_period", PLACEMENT_PERIOD },
        { "global_period", PLACEMENT_PERIOD },   { "emulator_period", PLACEMENT_PERIOD },
        { "iothread_period", PLACEMENT_PERIOD }, { "quota", PLACEMENT_QUOTA },
        { "vcpu_quota", PLACEMENT_QUOTA },       { "global_quota", PLACEMENT_QUOTA },
        { "emulator_quota", PLACEMENT_QUOTA },   { "iothread_quota", PLACEMENT_QUOTA },
    };
    static const struct {
        int64_t min, max;
        const char *range;
    } of[] = {
        [PLACEMENT_SHARES] = { 2, 262144, "[2, 262144]" },
        [PLACEMENT_PERIOD] = { 1000, 1000000, "[1000, 1000000]" },
        [PLACEMENT_QUOTA] = { 1000, 17592186044415, "[1000, 17592186044415]" },
    };
    enum placement_tune kind;
    char want[128];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        enum placement_tune k = names[i].kind;

        assert_true(placement_tune_kind(names[i].name, &kind));
        assert_int_equal(kind, k);
        assert_null(placement_tune_wrong(names[i].name, k, of[k].min));
        assert_null(placement_param_wrong(names[i].name, k, of[k].max));
        snprintf(want, sizeof(want), "Value of cputune '%s' must be in range %s", names[i].name,
                 of[k].range);
        refused(placement_tune_wrong(names[i].name, k, of[k].min - 1), want);
        refused(placement_tune_wrong(names[i].name, k, of[k].max + 1), want);
        snprintf(want, sizeof(want), "value of '%s' is out of range %s", names[i].name,
                 of[k].range);
        refused(placement_param_wrong(names[i].name, k, 1), want);
        refused(placement_param_wrong(names[i].name, k, INT64_MAX), want);
        /* 0: none; a negative quota: no limit */
        assert_int_equal(!placement_tune_wrong(names[i].name, k, 0), k != PLACEMENT_SHARES);
        assert_int_equal(!placement_tune_wrong(names[i].name, k, -1), k == PLACEMENT_QUOTA);
        assert_int_equal(!placement_tune_wrong(names[i].name, k, INT64_MIN), k == PLACEMENT_QUOTA);
    }
    assert_false(placement_tune_kind("weight", &kind));
    assert_false(placement_tune_kind("", &kind));
    assert_false(placement_tune_kind("vcpu_quotas", &kind));
}

static void test_shares(void **state)
{
    (void)state;
    assert_int_equal(placement_shares_to_weight(1024), 256);
    assert_int_equal(placement_shares_to_weight(2048), 512);
    assert_int_equal(placement_shares_to_weight(2), 1);
    assert_int_equal(placement_shares_to_weight(0), 1);
    assert_int_equal(placement_shares_to_weight(7), 1);
    assert_int_equal(placement_shares_to_weight(8), 2);
    assert_int_equal(placement_shares_to_weight(262143), 65535);
    assert_int_equal(placement_shares_to_weight(262144), 65535);
    assert_int_equal(placement_shares_to_weight(UINT64_MAX), 65535);
    assert_int_equal(placement_weight_to_shares(256), 1024);
    assert_int_equal(placement_weight_to_shares(1), 4);
    assert_int_equal(placement_weight_to_shares(65535), 262140);
    assert_int_equal(placement_weight_to_shares(~0U), 262144);
    for (uint32_t weight = 1; weight <= 65535; weight++) {
        assert_int_equal(placement_shares_to_weight(placement_weight_to_shares(weight)), weight);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),          cmocka_unit_test(test_table_iothreads),
        cmocka_unit_test(test_no_adviser),     cmocka_unit_test(test_missing_placement),
        cmocka_unit_test(test_cpuset_dropped), cmocka_unit_test(test_empty_sets),
        cmocka_unit_test(test_missing_list),   cmocka_unit_test(test_vcpupin_beyond),
        cmocka_unit_test(test_twice),          cmocka_unit_test(test_unknown_iothread),
        cmocka_unit_test(test_counts),         cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_names),          cmocka_unit_test(test_start),
        cmocka_unit_test(test_hotplug),        cmocka_unit_test(test_hotunplug),
        cmocka_unit_test(test_live_pin),       cmocka_unit_test(test_reset),
        cmocka_unit_test(test_pool_move),      cmocka_unit_test(test_story),
        cmocka_unit_test(test_ranges),         cmocka_unit_test(test_shares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
