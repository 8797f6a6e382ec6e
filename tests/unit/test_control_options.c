/* SPDX-License-Identifier: MIT */
/* sources: guests/control/options.c lib/number.c lib/str.c */
/*
 * The control domain's options: short and long ones, values, words in between, and all that a
 * person may get wrong; and numbers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../guests/control/options.h"

#define LETTERS "d:w:sn"
#define NAMES "domain=d weight=w schedparam=s numa=n"

static char text[256];
static char *words[16];
static struct options o;

/* Splits at blanks and starts. */
static void start(const char *line)
{
    int n = 0;

    str_copy(text, line, sizeof(text));
    for (char *p = strtok(text, " "); p; p = strtok(NULL, " ")) {
        words[n++] = p;
    }
    words[n] = NULL;
    options_init(&o, n, words, LETTERS, NAMES);
}

static void expect(int letter, const char *value)
{
    assert_int_equal(options_next(&o), letter);
    if (value) {
        assert_string_equal(o.value, value);
    }
}

static void short_ones(void **state)
{
    (void)state;
    start("cmd -s -d dom -w5 -nsd=x");
    expect('s', NULL);
    expect('d', "dom");
    expect('w', "5");
    expect('n', NULL);
    expect('s', NULL);
    expect('d', "x");
    expect(0, NULL);
    assert_int_equal(o.nr_rest, 0);
}

static void long_ones(void **state)
{
    (void)state;
    start("cmd --domain=a --weight 7 --schedparam --domain=");
    expect('d', "a");
    expect('w', "7");
    expect('s', NULL);
    expect('d', "");
    expect(0, NULL);
}

static void words_between(void **state)
{
    (void)state;
    start("cmd one -s two -d x - -n three -- -s");
    expect('s', NULL);
    expect('d', "x");
    expect('n', NULL);
    expect(0, NULL);
    assert_int_equal(o.nr_rest, 5);
    assert_string_equal(o.rest[0], "one");
    assert_string_equal(o.rest[1], "two");
    assert_string_equal(o.rest[2], "-");
    assert_string_equal(o.rest[3], "three");
    assert_string_equal(o.rest[4], "-s");
    expect(0, NULL);
    assert_int_equal(o.nr_rest, 5);
}

static void wrong_ones(void **state)
{
    static const char *const lines[] = {
        "cmd -x",  "cmd -d", "cmd --domain",  "cmd --dom=a",  "cmd --schedparam=1", "cmd --numax",
        "cmd --=", "cmd -:", "cmd --nothing", "cmd a b c -d", "cmd --domain= -w",
    };

    (void)state;
    for (unsigned int i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        int letter;

        start(lines[i]);
        do {
            letter = options_next(&o);
        } while (letter != 0 && letter != '?');
        assert_int_equal(letter, '?');
    }
    start("cmd -nx");
    expect('n', NULL);
    expect('?', NULL);
}

static void no_options_known(void **state)
{
    char *argv[] = { "cmd", "-", "a", "-q", NULL };

    (void)state;
    options_init(&o, 3, argv, "", NULL);
    assert_int_equal(options_next(&o), 0);
    assert_int_equal(o.nr_rest, 2);
    options_init(&o, 4, argv, "", NULL);
    assert_int_equal(options_next(&o), '?');
    options_init(&o, 1, argv, "", NULL);
    assert_int_equal(options_next(&o), 0);
    assert_int_equal(o.nr_rest, 0);
}

static void numbers(void **state)
{
    u64 n = 99;

    (void)state;
    assert_true(number_parse("0", 0, &n) && n == 0);
    assert_true(number_parse("65535", 65535, &n) && n == 65535);
    assert_true(number_parse("0x1F", 100, &n) && n == 31);
    assert_true(number_parse("18446744073709551615", UINT64_MAX, &n) && n == UINT64_MAX);
    assert_true(number_parse("007", 10, &n) && n == 7);
}

static void no_numbers(void **state)
{
    static const char *const bad[] = { "",   "-1",  "1a", "0x",  "0xg", " 1",
                                       "1 ", "1.5", "a",  "101", "999", "18446744073709551616" };
    u64 n = 99;

    (void)state;
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(number_parse(bad[i], 100, &n));
        assert_int_equal(n, 99);
    }
    assert_false(number_parse("18446744073709551616", UINT64_MAX, &n));
    assert_false(number_parse("5", 4, &n));
    assert_false(number_parse("1", 0, &n));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_ones),       cmocka_unit_test(long_ones),
        cmocka_unit_test(words_between),    cmocka_unit_test(wrong_ones),
        cmocka_unit_test(no_options_known), cmocka_unit_test(numbers),
        cmocka_unit_test(no_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
