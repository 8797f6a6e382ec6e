/* sources: lib/cmdline.c lib/number.c lib/printf.c lib/str.c */
/* SPDX-License-Identifier: MIT */
/* Options by table: the good, and the wording for the bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/cmdline.h>
#include <tarn/lib.h>

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
