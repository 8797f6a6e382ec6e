/* sources: lib/cmdline.c lib/printf.c lib/str.c */
/* SPDX-License-Identifier: MIT */
/* Options by table, numbers and sizes, and lists of CPUs: the good, and the wording for the bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/cmdline.h>
#include <tarn/cpumask.h>

static bool flag, other;
static u32 number, any;
static u64 amount, mem;
static char word[8];
static int custom;

static const char *parse_custom(const char *value, void *dest)
{
    if (strcmp(value, "good") != 0) {
        return "not good";
    }
    *(int *)dest = 1;
    return NULL;
}

static const struct param table[] = {
    { .name = "flag", .type = PARAM_BOOL, .dest = &flag },
    { .name = "no-other", .type = PARAM_BOOL, .dest = &other },
    { .name = "number", .type = PARAM_UINT, .dest = &number, .min = 1, .max = 256 },
    { .name = "any", .type = PARAM_UINT, .dest = &any },
    { .name = "amount", .type = PARAM_SIZE, .dest = &amount },
    { .name = "mem",
      .type = PARAM_SIZE,
      .dest = &mem,
      .min = 1 << 20,
      .max = 1 << 30,
      .unit = 1 << 20 },
    { .name = "word", .type = PARAM_STRING, .dest = word, .size = sizeof(word) },
    { .name = "custom", .type = PARAM_CUSTOM, .dest = &custom, .parse = parse_custom },
};

static char reported[8][256];
static u32 nr_reported;

static void report(void *arg, const char *text)
{
    assert_ptr_equal(arg, table);
    if (nr_reported < 8) {
        str_copy(reported[nr_reported], text, sizeof(reported[0]));
    }
    nr_reported++;
}

static u32 parse(const char *text)
{
    char copy[4096];
    u32 wrong;

    /* exactly as long as it is, so that ASan sees a read behind the end */
    assert_true(str_copy(copy + sizeof(copy) - strlen(text) - 1, text, strlen(text) + 1) <
                sizeof(copy));
    flag = other = false;
    number = any = 0;
    amount = mem = 0;
    word[0] = '\0';
    custom = 0;
    nr_reported = 0;
    wrong = cmdline_parse(copy + sizeof(copy) - strlen(text) - 1, table, ARRAY_SIZE(table), report,
                          (void *)(uintptr_t)table);
    assert_int_equal(wrong, nr_reported);
    return wrong;
}

static void nothing(void **state)
{
    (void)state;
    assert_int_equal(parse(""), 0);
    assert_int_equal(parse(" \t\r\n "), 0);
}

static void bools(void **state)
{
    static const char *const yes[] = { "flag",      "flag=yes",    "flag=on",
                                       "flag=true", "flag=enable", "flag=1" };
    static const char *const no[] = { "no-flag",    "flag=no",      "flag=off",
                                      "flag=false", "flag=disable", "flag=0" };
    char text[64];

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(yes); i++) {
        assert_int_equal(parse(yes[i]), 0);
        assert_true(flag);
        str_copy(text, "flag ", sizeof(text));
        str_copy(text + 5, no[i], sizeof(text) - 5);
        assert_int_equal(parse(text), 0);
        assert_false(flag);
    }
}

static void an_exact_name_beats_a_negation(void **state)
{
    (void)state;
    assert_int_equal(parse("no-other"), 0);
    assert_true(other);
    assert_int_equal(parse("no-other no-no-other"), 0);
    assert_false(other);
}

static void all_kinds_at_once(void **state)
{
    (void)state;
    assert_int_equal(
        parse("  flag number=12\tany=0xffffffff amount=4096B mem=16 word=abcdefg custom=good "), 0);
    assert_true(flag);
    assert_int_equal(number, 12);
    assert_int_equal(any, 0xffffffff);
    assert_int_equal(amount, 4096);
    assert_int_equal(mem, 16 << 20);
    assert_string_equal(word, "abcdefg");
    assert_int_equal(custom, 1);
}

static void the_last_wins(void **state)
{
    (void)state;
    assert_int_equal(parse("number=1 number=2 flag no-flag"), 0);
    assert_int_equal(number, 2);
    assert_false(flag);
}

static void quotes(void **state)
{
    (void)state;
    assert_int_equal(parse("word=\"a b\" flag"), 0);
    assert_string_equal(word, "a b");
    assert_true(flag);
    assert_int_equal(parse("\"word=a b\""), 0);
    assert_string_equal(word, "a b");
    assert_int_equal(parse("word=\"\\\"x\\\\\\\"\""), 0);
    assert_string_equal(word, "\"x\\\"");
    assert_int_equal(parse("word=a\\b"), 0);
    assert_string_equal(word, "a\\b");
    assert_int_equal(parse("word=\"a\\b\""), 0);
    assert_string_equal(word, "a\\b");
    assert_int_equal(parse("word=\"\""), 0);
    assert_string_equal(word, "");
    assert_int_equal(parse("word=a=b"), 0);
    assert_string_equal(word, "a=b");
}

static const struct {
    const char *text, *report;
} bad[] = {
    { "bogus", "unknown option 'bogus'" },
    { "bogus=1", "unknown option 'bogus'" },
    { "no-bogus", "unknown option 'no-bogus'" },
    { "no-", "unknown option 'no-'" },
    { "=", "unknown option ''" },
    { "=x", "unknown option ''" },
    { "\"\"", "unknown option ''" },
    { "Flag", "unknown option 'Flag'" },
    { "flag=maybe", "option 'flag': 'maybe' is neither yes nor no" },
    { "flag=", "option 'flag': '' is neither yes nor no" },
    { "no-flag=1", "option 'no-flag' takes no value" },
    { "no-number", "option 'number' can't be negated with 'no-'" },
    { "number", "option 'number' needs a value" },
    { "number=", "option 'number': '' is not a number from 1 to 256" },
    { "number=x", "option 'number': 'x' is not a number from 1 to 256" },
    { "number=0", "option 'number': '0' is not a number from 1 to 256" },
    { "number=257", "option 'number': '257' is not a number from 1 to 256" },
    { "number=-1", "option 'number': '-1' is not a number from 1 to 256" },
    { "number=+1", "option 'number': '+1' is not a number from 1 to 256" },
    { "number=1x", "option 'number': '1x' is not a number from 1 to 256" },
    { "number=0x", "option 'number': '0x' is not a number from 1 to 256" },
    { "number=0xfg", "option 'number': '0xfg' is not a number from 1 to 256" },
    { "number=18446744073709551617",
      "option 'number': '18446744073709551617' is not a number from 1 to 256" },
    { "any=4294967296", "option 'any': '4294967296' is not a number from 0 to 4294967295" },
    { "amount=", "option 'amount': '' is not a size (a number and B, K, M, G or T)" },
    { "amount=M", "option 'amount': 'M' is not a size (a number and B, K, M, G or T)" },
    { "amount=1Q", "option 'amount': '1Q' is not a size (a number and B, K, M, G or T)" },
    { "amount=1MB", "option 'amount': '1MB' is not a size (a number and B, K, M, G or T)" },
    { "amount=1.5G", "option 'amount': '1.5G' is not a size (a number and B, K, M, G or T)" },
    { "amount=16777216T",
      "option 'amount': '16777216T' is not a size (a number and B, K, M, G or T)" },
    { "mem=1K", "option 'mem': '1K' is not a size from 1048576 to 1073741824 bytes" },
    { "mem=2G", "option 'mem': '2G' is not a size from 1048576 to 1073741824 bytes" },
    { "word=abcdefgh", "option 'word': 'abcdefgh...' is longer than 7 characters" },
    { "custom=bad", "option 'custom': 'bad': not good" },
    { "word=\"a b", "option 'word=a b' has a quote that is not closed" },
    { "\"", "option '' has a quote that is not closed" },
};

static void bad_options_are_named(void **state)
{
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(parse(bad[i].text), 1);
        assert_string_equal(reported[0], bad[i].report);
        assert_false(flag || other || number || any || amount || mem || word[0] || custom);
    }
}

static void parsing_goes_on(void **state)
{
    (void)state;
    assert_int_equal(parse("x number=x flag y=\"z z\" any=7 custom=no"), 4);
    assert_true(flag);
    assert_int_equal(any, 7);
    assert_string_equal(reported[0], "unknown option 'x'");
    assert_string_equal(reported[2], "unknown option 'y'");
}

static void endless_option(void **state)
{
    char text[4000];

    (void)state;
    memset(text, 'a', sizeof(text));
    str_copy(text + sizeof(text) - 6, " flag", 6);
    assert_int_equal(parse(text), 1);
    assert_non_null(strstr(reported[0], "is too long"));
    assert_true(strlen(reported[0]) < 80);
    assert_true(flag);
}

static void report_may_be_null(void **state)
{
    (void)state;
    assert_int_equal(cmdline_parse("a b=\"", table, ARRAY_SIZE(table), NULL, NULL), 2);
    assert_int_equal(cmdline_parse("a", NULL, 0, NULL, NULL), 1);
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        u64 size;
    } good[] = {
        { "0", 0 },
        { "1", 1024 },
        { "512M", 512UL << 20 },
        { "512m", 512UL << 20 },
        { "1G", 1UL << 30 },
        { "64K", 65536 },
        { "4096B", 4096 },
        { "3b", 3 },
        { "2t", 2UL << 40 },
        { "0x10K", 16UL << 10 },
        { "00001k", 1024 },
        { "16777215T", 0xffffffUL << 40 },
        { "0x10b", 0x10b * 1024UL }, /* b is a hexadecimal digit first */
    };
    u64 v;

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(good); i++) {
        assert_true(size_parse(good[i].text, 1024, &v));
        assert_int_equal(v, good[i].size);
    }
}

/* CPU lists, with 8 CPUs */

static const struct {
    const char *text;
    u64 mask;
} good_lists[] = {
    { "0", 0x01 },        { "7", 0x80 },          { "0-3", 0x0f },     { "0-7", 0xff },
    { "3-3", 0x08 },      { "0,2,4", 0x15 },      { "4,2,0", 0x15 },   { "0-3,5,^1", 0x2d },
    { "all", 0xff },      { " all ", 0xff },      { "all,^0", 0xfe },  { "all,^0-3", 0xf0 },
    { "^1,0-3", 0x0f }, /* left to right: it was not in the set yet */
    { "0-3,^1,1", 0x0f }, { "0-3,^5", 0x0f },     { "^all,3", 0x08 },  { " 0 - 3 ", 0x0f },
    { "0 , 1", 0x03 },    { "\t0\n,\r1 ", 0x03 }, { "^ 1 , 2", 0x04 }, { "0-3, ^ 1", 0x0d },
    { "1,1,1", 0x02 },    { "0-3,2-5", 0x3f },    { "007", 0x80 },     { "all,all", 0xff },
};

static const struct {
    const char *text, *reason;
} bad_lists[] = {
    { "", "no CPU is named" },
    { "   ", "no CPU is named" },
    { ",", "a CPU number is missing" },
    { "1,", "a CPU number is missing" },
    { "1, ", "a CPU number is missing" },
    { ",1", "a CPU number is missing" },
    { "1,,2", "a CPU number is missing" },
    { "^", "a CPU number is missing" },
    { "^^1", "a CPU number is missing" },
    { "0,^", "a CPU number is missing" },
    { "-", "a CPU number is missing" },
    { "-1", "a CPU number is missing" },
    { "1-", "a CPU number is missing" },
    { "1--2", "a CPU number is missing" },
    { "1-^2", "a CPU number is missing" },
    { "x", "a CPU number is missing" },
    { "+1", "a CPU number is missing" },
    { "al", "a CPU number is missing" },
    { "ALL", "a CPU number is missing" },
    { "nodes:0", "a CPU number is missing" },
    { "3-1", "a range of CPUs ends before it starts" },
    { "^3-1", "a range of CPUs ends before it starts" },
    { "8", "a CPU number is too large" },
    { "0-8", "a CPU number is too large" },
    { "^8", "a CPU number is too large" },
    { "4294967296", "a CPU number is too large" },
    { "4294967297-1", "a CPU number is too large" },
    { "18446744073709551616", "a CPU number is too large" },
    { "99999999999999999999999999999999999999999", "a CPU number is too large" },
    { "0-18446744073709551615", "a CPU number is too large" },
    { "1 2", "CPU numbers must be separated by commas" },
    { "1;2", "CPU numbers must be separated by commas" },
    { "1-2-3", "CPU numbers must be separated by commas" },
    { "0x3", "CPU numbers must be separated by commas" },
    { "1.", "CPU numbers must be separated by commas" },
    { "allx", "CPU numbers must be separated by commas" },
    { "all-3", "CPU numbers must be separated by commas" },
    { "1^", "CPU numbers must be separated by commas" },
    { "^1", "no CPU is left" },
    { "^all", "no CPU is left" },
    { "1,^1", "no CPU is left" },
    { "0-3,^0-7", "no CPU is left" },
};

static void cpulists_good(void **state)
{
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(good_lists); i++) {
        struct cpumask m = { { ~0UL, ~0UL } };
        const char *err = cpulist_parse(good_lists[i].text, 8, &m);

        if (err) {
            fail_msg("'%s': %s", good_lists[i].text, err);
        }
        assert_int_equal(m.bits[0], good_lists[i].mask);
        assert_int_equal(m.bits[1], 0);
    }
}

static void cpulists_bad(void **state)
{
    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(bad_lists); i++) {
        struct cpumask m = { { 0xabc } };
        const char *err = cpulist_parse(bad_lists[i].text, 8, &m);

        if (!err || strcmp(err, bad_lists[i].reason) != 0) {
            fail_msg("'%s': %s", bad_lists[i].text, err ? err : "accepted");
        }
        assert_int_equal(m.bits[0], 0xabc); /* untouched */
    }
}

static void cpulist_limits(void **state)
{
    struct cpumask m;

    (void)state;
    assert_non_null(cpulist_parse("0", 0, &m));
    assert_non_null(cpulist_parse("all", 0, &m));
    assert_null(cpulist_parse("0", 1, &m));
    assert_null(cpulist_parse("all", ~0u, &m));
    assert_int_equal(cpumask_weight(&m), NR_CPUS);
    assert_non_null(cpulist_parse("256", ~0u, &m));
    assert_null(cpulist_parse("255", ~0u, &m));
    assert_true(cpumask_test(&m, 255));
}

static void cpulist_formats(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "0", "0" },     { "0-3,5", "0-3,5" }, { "5,3,4", "3-5" },
        { "0,1", "0-1" }, { "0,2,4", "0,2,4" }, { "all", "0-255" },
        { "255", "255" }, { "60-70", "60-70" }, { "0-255,^128", "0-127,129-255" },
    };
    struct cpumask m;
    char buf[64];

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_null(cpulist_parse(rows[i].in, NR_CPUS, &m));
        assert_int_equal(cpulist_format(buf, sizeof(buf), &m), strlen(rows[i].out));
        assert_string_equal(buf, rows[i].out);
    }
    cpumask_clear_all(&m);
    assert_int_equal(cpulist_format(buf, sizeof(buf), &m), 0);
    assert_string_equal(buf, "");
}

static void cpulist_format_cuts(void **state)
{
    struct cpumask m;
    char buf[16];

    (void)state;
    assert_null(cpulist_parse("0-3,5,10-200", NR_CPUS, &m)); /* 12 characters */
    for (size_t size = 0; size <= 14; size++) {
        memset(buf, '#', sizeof(buf));
        assert_int_equal(cpulist_format(buf, size, &m), 12);
        for (size_t i = size; i < sizeof(buf); i++) {
            assert_int_equal(buf[i], '#');
        }
        if (size) {
            assert_int_equal(strlen(buf), MIN(size - 1, (size_t)12));
            assert_memory_equal(buf, "0-3,5,10-200", strlen(buf));
        }
    }
}

static void cpulist_round_trip(void **state)
{
    u64 seed = 1;

    (void)state;
    for (u32 round = 0; round < 2000; round++) {
        struct cpumask a, b;
        char buf[1024];

        for (u32 i = 0; i < CPUMASK_WORDS; i++) {
            seed = seed * 6364136223846793005UL + 1442695040888963407UL;
            a.bits[i] = (seed >> 16) | (round & 1 ? seed << 20 : 0);
        }
        a.bits[0] |= 2;
        assert_true((size_t)cpulist_format(buf, sizeof(buf), &a) < sizeof(buf));
        assert_null(cpulist_parse(buf, NR_CPUS, &b));
        assert_memory_equal(&a, &b, sizeof(a));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing),
        cmocka_unit_test(bools),
        cmocka_unit_test(an_exact_name_beats_a_negation),
        cmocka_unit_test(all_kinds_at_once),
        cmocka_unit_test(the_last_wins),
        cmocka_unit_test(quotes),
        cmocka_unit_test(bad_options_are_named),
        cmocka_unit_test(parsing_goes_on),
        cmocka_unit_test(endless_option),
        cmocka_unit_test(report_may_be_null),
        cmocka_unit_test(sizes),
        cmocka_unit_test(cpulists_good),
        cmocka_unit_test(cpulists_bad),
        cmocka_unit_test(cpulist_limits),
        cmocka_unit_test(cpulist_formats),
        cmocka_unit_test(cpulist_format_cuts),
        cmocka_unit_test(cpulist_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
