/* SPDX-License-Identifier: MIT */
/* sources: guests/control/poolconfig.c guests/control/configtext.c guests/control/keyfile.c
 * lib/cpulist.c lib/number.c lib/printf.c lib/str.c */
/* Cpupool files: what they say, and for each way to get one wrong the whole message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../guests/control/poolconfig.h"

static const uint32_t nodes[8] = { 0, 0, 0, 0, 1, 1, ~0U, 1 }; /* CPU 6 is offline */
static const struct cpu_host host = { .nr_cpus = 8, .node = nodes };
static struct pool_config c;
static char reported[4096];

static void report(void *arg, const char *text)
{
    assert_ptr_equal(arg, &c);
    assert_true(strlen(reported) + strlen(text) + 2 < sizeof(reported));
    strcat(reported, text);
    strcat(reported, "\n");
}

static unsigned int parse(const char *text, int n, char *const *overrides)
{
    size_t size = text ? strlen(text) : 0;
    char *copy = text ? malloc(size + !size) : NULL; /* just so large: what reads further is seen */
    unsigned int errors;

    if (copy) {
        memcpy(copy, text, size);
    }
    reported[0] = '\0';
    errors = pool_config_parse("p.cfg", copy, size, n, overrides, &host, &c, report, &c);
    free(copy);
    return errors;
}

/* What a file comes to, as one line; -1s are left out. */
static const char *shown(void)
{
    static char text[512];
    char cpus[64];
    int n;

    cpulist_format(cpus, sizeof(cpus), &c.cpus, 99);
    n = snprintf(text, sizeof(text), "%s %s %s%s", c.name, c.sched[0] ? c.sched : "default", cpus,
                 c.nodes_given ? " of nodes" : "");
    if (c.credit_given) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, " credit %d %d %d %d", c.tslice_ms,
                      c.ratelimit_us, c.delay_us, c.weight_per_vcpu);
    }
    if (c.reset_on_move >= 0) {
        n += snprintf(text + n, sizeof(text) - (size_t)n, " move %d", c.reset_on_move);
    }
    if (c.cpus_return >= 0) {
        snprintf(text + n, sizeof(text) - (size_t)n, " return %d", c.cpus_return);
    }
    return text;
}

static const struct {
    const char *text, *want;
} good[] = {
    { "name=\"a\"", "a default none" },
    { "name = 'a'\nsched = \"rtds\"\n", "a rtds none" },
    { "# a pool\n\nname=\"a\" # so\n", "a default none" },
    { "name=\"a\"; sched=\"null\"", "a null none" },
    { "name=\"a\"\ncpus=\"3\"", "a default 3" },
    { "name=\"a\"\ncpus=\"0-3,5\"", "a default 0-3,5" },
    { "name=\"a\"\ncpus=\"0-3,^1\"", "a default 0,2-3" },
    { "name=\"a\"\ncpus=\"^1,0-3\"", "a default 0-3" }, /* from left to right */
    { "name=\"a\"\ncpus=\"all\"", "a default 0-7" },
    { "name=\"a\"\ncpus=\"all,^0\"", "a default 1-7" },
    { "name=\"a\"\ncpus=\"node:1\"", "a default 4-5,7" },
    { "name=\"a\"\ncpus=\"nodes:0-1,^node:1\"", "a default 0-3" },
    { "name=\"a\"\ncpus=\"node:1,^4, 0\"", "a default 0,5,7" },
    { "name=\"a\"\ncpus=[2,3]", "a default 2-3" },
    { "name=\"a\"\ncpus=[\"2\", \"4-5\",\n 0]", "a default 0,2,4-5" },
    { "name=\"a\"\ncpus=[\"0-3\",\"^2\"]", "a default 0-1,3" },
    { "name=\"a\"\nnodes=\"1\"", "a default 4-5,7 of nodes" },
    { "name=\"a\"\nnodes=[\"0\",\"1\"]", "a default 0-5,7 of nodes" },
    { "name=\"a\"\nnodes=[1]", "a default 4-5,7 of nodes" },
    { "name=\"a\"\nnodes=\"0-1,^0\"", "a default 4-5,7 of nodes" },
    { "name=\"a\"\nnodes=\"0-1, ^ 0\"", NULL },
    { "name=\"a\"\nnodes=\"all\"", "a default 0-7 of nodes" },
    { "name=\"a\"\ntslice_ms=5\nratelimit_us=0\nmigr_delay_us=100000",
      "a default none credit 5 0 100000 -1" },
    { "name=\"a\"\nweight_mode=\"vcpu\"", "a default none credit -1 -1 -1 1" },
    { "name=\"a\"\nweight_mode=\"domain\"", "a default none credit -1 -1 -1 0" },
    { "name=\"a\"\nmove=\"reset\"", "a default none move 1" },
    { "name=\"a\"\nmove=\"keep\"", "a default none move 0" },
    { "name=\"a\"\nhotplug=\"return\"", "a default none return 1" },
    { "name=\"a\"\nhotplug=\"pool0\"\nmove=\"reset\"", "a default none move 1 return 0" },
    { "name=\"abcdefghijklmnopqrstuvwxyz.-+:_1\"", NULL }, /* 32 characters */
    { "name=\"abcdefghijklmnopqrstuvwxyz.-+:_\"", "abcdefghijklmnopqrstuvwxyz.-+:_ default none" },
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        unsigned int errors = parse(good[i].text, 0, NULL);

        if (!good[i].want) {
            assert_int_equal(errors, 1);
            continue;
        }
        assert_string_equal(reported, "");
        assert_int_equal(errors, 0);
        assert_string_equal(shown(), good[i].want);
    }
}

static const struct {
    const char *text, *want;
} bad[] = {
    { "", "p.cfg:1: name: is missing\n" },
    { "sched=\"credit\"\n", "p.cfg:2: name: is missing\n" },
    { "name=a", "p.cfg:1: name: must be a string in quotes\n"
      /* it is there, and wrong */ },
    { "name=\"\"", "p.cfg:1: name: '' is empty\n" },
    { "name=\"12\"", "p.cfg:1: name: '12' is a number\n" },
    { "name=\"a b\"",
      "p.cfg:1: name: 'a b' has characters other than letters, digits and -_.+:\n" },
    { "name=\"-a\"", "p.cfg:1: name: '-a' begins with '-'\n" },
    { "name=\"a\"\nname=\"b\"", "p.cfg:2: name: given twice, first in line 1\n" },
    { "nmae=\"a\"\nname=\"a\"", "p.cfg:1: unknown key 'nmae', is 'name' meant?\n" },
    { "name=\"a\"\nmemory=3", "p.cfg:2: unknown key 'memory'\n" },
    { "name=\"a\"\nsched=3", "p.cfg:2: sched: must be a string in quotes\n" },
    { "name=\"a\"\nsched=\"\"", "p.cfg:2: sched: '' is empty\n" },
    { "name=\"a\"\ncpus=3", "p.cfg:2: cpus: must be a string in quotes\n" },
    { "name=\"a\"\ncpus=\"\"", "p.cfg:2: cpus: it names no CPU\n" },
    { "name=\"a\"\ncpus=[]", "p.cfg:2: cpus: it names no CPU\n" },
    { "name=\"a\"\ncpus=\"8\"", "p.cfg:2: cpus: there is no CPU 8, the last is 7\n" },
    { "name=\"a\"\ncpus=\"3-1\"", "p.cfg:2: cpus: range '3-1' runs backwards\n" },
    { "name=\"a\"\ncpus=\"1,^1\"", "p.cfg:2: cpus: it names no CPU\n" },
    { "name=\"a\"\ncpus=\"x\"", "p.cfg:2: cpus: 'x' is no CPU, range or node\n" },
    { "name=\"a\"\ncpus=\"node:2\"", "p.cfg:2: cpus: there is no node 2, the last is 1\n" },
    { "name=\"a\"\ncpus=[\"1\" \"2\"]",
      "p.cfg:2: in a list there must be a comma between two items\n" },
    { "name=\"a\"\ncpus=[\"1\"", "p.cfg:2: list without end\n" },
    { "name=\"a\"\nnodes=\"2\"", "p.cfg:2: nodes: there is no node 2, the last is 1\n" },
    { "name=\"a\"\nnodes=\"\"", "p.cfg:2: nodes: it names no CPU\n" },
    { "name=\"a\"\nnodes=[\"x\"]", "p.cfg:2: nodes: 'node:x' is no CPU, range or node\n" },
    { "name=\"a\"\ncpus=\"1\"\nnodes=\"0\"",
      "p.cfg:3: nodes: cpus is given, too; it is one or the other\n" },
    { "name=\"a\"\ntslice_ms=0", "p.cfg:2: tslice_ms: must be at least 1 (ms)\n" },
    { "name=\"a\"\ntslice_ms=1001", "p.cfg:2: tslice_ms: must be at most 1000 (ms)\n" },
    { "name=\"a\"\nratelimit_us=500001", "p.cfg:2: ratelimit_us: must be at most 500000 (us)\n" },
    { "name=\"a\"\nmigr_delay_us=100001", "p.cfg:2: migr_delay_us: must be at most 100000 (us)\n" },
    { "name=\"a\"\nmigr_delay_us=-1", "p.cfg:2: migr_delay_us: must not be negative\n" },
    { "name=\"a\"\nweight_mode=\"both\"",
      "p.cfg:2: weight_mode: 'both' is none of domain, vcpu\n" },
    { "name=\"a\"\nmove=\"up\"", "p.cfg:2: move: 'up' is none of keep, reset\n" },
    { "name=\"a\"\nhotplug=\"up\"", "p.cfg:2: hotplug: 'up' is none of pool0, return\n" },
    { "name=\"a\"\nhotplug=1", "p.cfg:2: hotplug: must be a string in quotes\n" },
    { "name=\"a\"\nmove=[\"keep\"]", "p.cfg:2: move: must be a string in quotes\n" },
    { "name=\"a\" sched=\"null\"", "p.cfg:1: name: there is text behind its value\n" },
    { "name \"a\"\nname=\"a\"", "p.cfg:1: name: there is no '=' behind it\n" },
    { "cpus=\"9\"\nmove=\"x\"",
      "p.cfg:1: cpus: there is no CPU 9, the last is 7\np.cfg:2: move: 'x' is none of keep, reset\n"
      "p.cfg:2: name: is missing\n" },
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_true(parse(bad[i].text, 0, NULL) > 0);
        assert_string_equal(reported, bad[i].want);
    }
}

static void test_overrides(void **state)
{
    char *const words[] = { "sched=null", "cpus=1-2" };
    char *const twice[] = { "name=\"a\"", "name=\"b\"" };
    char *const none[] = { "cpus=\"1\"" };

    (void)state;
    assert_int_equal(parse("name=\"a\"\ncpus=\"5\"\n", 2, words), 0);
    assert_string_equal(shown(), "a null 1-2");
    assert_int_equal(parse(NULL, 1, twice), 0);
    assert_string_equal(shown(), "a default none");
    assert_int_equal(parse(NULL, 2, twice), 1);
    assert_string_equal(reported, "command line: name: given twice\n");
    assert_int_equal(parse(NULL, 1, none), 1);
    assert_string_equal(reported, "command line: name: is missing\n");
}

static void test_nodes_long(void **state)
{
    static char text[1200] = "name=\"a\"\nnodes=\"";
    size_t n = strlen(text);

    (void)state;
    while (n < 1030) {
        text[n++] = '1';
        text[n++] = ',';
    }
    strcpy(text + n, "\"\n");
    assert_int_equal(parse(text, 0, NULL), 1);
    assert_string_equal(reported, "p.cfg:2: nodes: longer than there can be nodes\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_nodes_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
