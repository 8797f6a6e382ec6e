/* SPDX-License-Identifier: MIT */
/* sources: guests/control/config.c guests/control/configvirt.c guests/control/configtext.c
 * guests/control/keyfile.c guests/control/placement.c
 * lib/cpulist.c lib/number.c lib/printf.c lib/str.c */
/* Domain files: what they say, and for each way to get one wrong the whole message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../guests/control/config.h"

#define GOOD "name = \"a\"\nkernel = \"k.elf\"\n"

static const uint32_t nodes[4] = { 0, 0, 1, 1 };
static const struct cpu_host host = { .nr_cpus = 4, .node = nodes };
static struct config c;
static char reported[4096];

static void report(void *arg, const char *text)
{
    assert_ptr_equal(arg, &c);
    assert_true(strlen(reported) + strlen(text) + 2 < sizeof(reported));
    strcat(reported, text);
    strcat(reported, "\n");
}

static unsigned int parse_bytes(const char *text, size_t size, int n, char *const *overrides)
{
    char *copy = malloc(size ? size : 1); /* just so large: what reads further is seen */
    unsigned int errors;

    memcpy(copy, text, size);
    reported[0] = '\0';
    errors = config_parse("d.cfg", copy, size, n, overrides, &host, &c, report, &c);
    free(copy);
    return errors;
}

static void good_bytes(const char *text, int n, char *const *overrides)
{
    unsigned int errors = parse_bytes(text, strlen(text), n, overrides);

    assert_string_equal(reported, "");
    assert_int_equal(errors, 0);
}

/* GOOD and this. */
static void good(const char *text)
{
    char all[4096];

    snprintf(all, sizeof(all), "%s%s", GOOD, text);
    good_bytes(all, 0, NULL);
}

static void bad_bytes(const char *text, size_t size, int n, char *const *overrides,
                      const char *want)
{
    unsigned int lines = 0, errors = parse_bytes(text, size, n, overrides);

    assert_string_equal(reported, want);
    for (const char *s = want; *s; s++) {
        lines += *s == '\n';
    }
    assert_int_equal(errors, lines);
}

/* GOOD and this; it stands in line 3. */
static void bad(const char *text, const char *want)
{
    char all[4096];

    snprintf(all, sizeof(all), "%s%s", GOOD, text);
    bad_bytes(all, strlen(all), 0, NULL, want);
}

static void bad_alone(const char *text, const char *want)
{
    bad_bytes(text, strlen(text), 0, NULL, want);
}

/* ---- what files say ---- */

static void test_smallest(void **state)
{
    (void)state;
    good("");
    assert_string_equal(c.name, "a");
    assert_string_equal(c.kernel, "k.elf");
    assert_string_equal(c.ramdisk, "");
    assert_string_equal(c.extra, "");
    assert_string_equal(c.pool, "");
    assert_int_equal(c.memory_kb, 32 * 1024);
    assert_int_equal(c.maxmem_kb, 32 * 1024);
    assert_int_equal(c.vcpus, 1);
    assert_int_equal(c.maxvcpus, 1);
    assert_int_equal(c.weight, 0);
    assert_int_equal(c.cap, -1);
    assert_false(c.hard_given || c.soft_given);
    assert_int_equal(c.on_poweroff, ACTION_DESTROY);
    assert_int_equal(c.on_reboot, ACTION_RESTART);
    assert_int_equal(c.on_crash, ACTION_DESTROY);
    assert_int_equal(c.on_watchdog, ACTION_DESTROY);
}

static void test_all_keys(void **state)
{
    (void)state;
    good("ramdisk = \"initrd\"\nextra = 'a \"b\" c'\nmemory = 64\nmaxmem = 0x80\nvcpus = 2\n"
         "maxvcpus = 4\npool = \"rt\"\ncpu_weight = 512\ncap = 250\non_poweroff = \"preserve\"\n"
         "on_reboot = \"rename-restart\"\non_crash = \"restart\"\non_watchdog = \"destroy\"\n"
         "type = \"pv\"\nbuilder = \"linux\"\nuuid = \"01234567-89ab-cdef-0123-456789abcdef\"\n");
    assert_string_equal(c.ramdisk, "initrd");
    assert_string_equal(c.extra, "a \"b\" c");
    assert_int_equal(c.memory_kb, 64 * 1024);
    assert_int_equal(c.maxmem_kb, 128 * 1024);
    assert_int_equal(c.vcpus, 2);
    assert_int_equal(c.maxvcpus, 4);
    assert_string_equal(c.pool, "rt");
    assert_int_equal(c.weight, 512);
    assert_int_equal(c.cap, 250);
    assert_int_equal(c.on_poweroff, ACTION_PRESERVE);
    assert_int_equal(c.on_reboot, ACTION_RENAME_RESTART);
    assert_int_equal(c.on_crash, ACTION_RESTART);
    assert_int_equal(c.on_watchdog, ACTION_DESTROY);
}

static void test_uuid(void **state)
{
    static const uint8_t uuid[16] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
                                      0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };

    (void)state;
    good("");
    assert_false(c.uuid_given);
    good("uuid = \"01234567-89ab-cdef-0123-456789abcdef\"");
    assert_true(c.uuid_given);
    assert_memory_equal(c.uuid, uuid, sizeof(uuid));
    good("uuid = \"0123456789ABCDEF0123456789abcdef\"");
    assert_memory_equal(c.uuid, uuid, sizeof(uuid));
}

static void test_syntax(void **state)
{
    (void)state;
    good_bytes("# all of it\r\n\r\n name='x';kernel=\"k\" ;; memory=16 # so much\n;\nvcpus=1", 0,
               NULL);
    assert_string_equal(c.name, "x");
    assert_int_equal(c.memory_kb, 16 * 1024);
    good("extra = \"tab\\t quote\\\" back\\\\ line\\n one\\'\"");
    assert_string_equal(c.extra, "tab\t quote\" back\\ line\n one'");
    good("extra = \"# no comment; no end\"");
    assert_string_equal(c.extra, "# no comment; no end");
    good("memory = \"48\"\nvcpus = '0x3'");
    assert_int_equal(c.memory_kb, 48 * 1024);
    assert_int_equal(c.vcpus, 3);
    good("extra = \"\"");
    assert_string_equal(c.extra, "");
}

static void test_defaults_of_each_other(void **state)
{
    (void)state;
    good("maxmem = 99");
    assert_int_equal(c.memory_kb, 99 * 1024);
    good("maxvcpus = 4");
    assert_int_equal(c.vcpus, 1);
    assert_int_equal(c.maxvcpus, 4);
    good("vcpus = 4");
    assert_int_equal(c.maxvcpus, 4);
    good("cap = 0");
    assert_int_equal(c.cap, 0);
    good("vcpus = 128");
    assert_int_equal(c.vcpus, 128);
    good("memory = 1048576\ncpu_weight = 65535\n");
    assert_int_equal(c.memory_kb, 1UL << 30);
}

static void test_command_line(void **state)
{
    (void)state;
    good("root = \"/dev/x\"");
    assert_string_equal(c.extra, "root=/dev/x");
    good("root = \"/dev/x\"\nextra = \"ro quiet\"");
    assert_string_equal(c.extra, "root=/dev/x ro quiet");
    good("root = \"/dev/x\"\nextra = \"ro\"\ncmdline = \"mine\"");
    assert_string_equal(c.extra, "mine");
}

static void test_cpus(void **state)
{
    (void)state;
    good("vcpus = 2\nmaxvcpus = 3\ncpus = \"0-2,^1\"");
    assert_true(c.hard_given && !c.soft_given);
    for (int v = 0; v < 3; v++) {
        assert_int_equal(c.hard[v].bits[0], 0x5);
    }
    good("cpus = [ \"0\",\n # one each\n '1-2' , \"node:1\", ]\ncpus_soft = \"all\"\nvcpus = 4\n");
    assert_true(c.hard_given && c.soft_given);
    assert_int_equal(c.hard[0].bits[0], 0x1);
    assert_int_equal(c.hard[1].bits[0], 0x6);
    assert_int_equal(c.hard[2].bits[0], 0xc);
    assert_int_equal(c.hard[3].bits[0], 0xf); /* not in the list */
    assert_int_equal(c.soft[3].bits[0], 0xf);
    good("cpus = [3, 1]\nvcpus = 2");
    assert_int_equal(c.hard[0].bits[0], 0x8);
    assert_int_equal(c.hard[1].bits[0], 0x2);
}

static void test_overrides(void **state)
{
    char *given[] = { "name=\"b\"", "memory = 8", "extra=a b=c", "cpus=0-1", "pool='p q'" };

    (void)state;
    good_bytes(GOOD "memory = 64\ncpus = \"3\"", 5, given);
    assert_string_equal(c.name, "b");
    assert_int_equal(c.memory_kb, 8 * 1024);
    assert_string_equal(c.extra, "a b=c");
    assert_int_equal(c.hard[0].bits[0], 0x3);
    assert_string_equal(c.pool, "p q");
}

static void test_overrides_alone(void **state)
{
    char *given[] = { "name=n", "kernel=k", "vcpus=2", "cpus=[\"0\", \"1\"]" };

    (void)state;
    good_bytes("", 4, given);
    assert_string_equal(c.name, "n");
    assert_int_equal(c.hard[1].bits[0], 0x2);
}

/* ---- what is wrong ---- */

static void test_missing(void **state)
{
    (void)state;
    bad_alone("", "d.cfg:1: name: is missing\nd.cfg:1: kernel: is missing\n");
    bad_alone("kernel = \"k\"\n\n", "d.cfg:3: name: is missing\n");
    bad_alone("name = \"a\"", "d.cfg:1: kernel: is missing\n");
    bad("memory =", "d.cfg:3: memory: its value is missing\n");
    bad("memory = # 5", "d.cfg:3: memory: its value is missing\n");
    bad("memory = ; vcpus = 1", "d.cfg:3: memory: its value is missing\n");
    bad("memory", "d.cfg:3: memory: there is no '=' behind it\n");
    bad("memory 5", "d.cfg:3: memory: there is no '=' behind it\n");
    bad("memory += 5", "d.cfg:3: memory: there is no '=' behind it\n");
}

static void test_unknown_key(void **state)
{
    (void)state;
    bad("memmory = 5", "d.cfg:3: unknown key 'memmory', is 'memory' meant?\n");
    bad("vcpu = 1", "d.cfg:3: unknown key 'vcpu', is 'vcpus' meant?\n");
    bad("on_power_off = \"x\"", "d.cfg:3: unknown key 'on_power_off', is 'on_poweroff' meant?\n");
    bad("disk = [ 'a,b', 'c' ]", "d.cfg:3: unknown key 'disk'\n");
    bad("= 5", "d.cfg:3: a key is wanted, and there is '='\n");
    bad("5 = 5", "d.cfg:3: a key is wanted, and there is '5'\n");
    bad("\"name\" = 5", "d.cfg:3: a key is wanted, and there is '\"'\n");
    bad("\xfe\xff", "d.cfg:3: a key is wanted, and there is byte 0xfe\n");
    bad("k2345678901234567890123456789012 = 1", "d.cfg:3: key longer than 31 characters\n");
}

static void test_bytes(void **state)
{
    static const char nul[] = GOOD "memory = 5\0;";
    char line[2100];

    (void)state;
    bad_bytes(nul, sizeof(nul), 0, NULL, "d.cfg:3: there is a NUL byte: this is no text\n");
    bad("memory = 5\x01", "d.cfg:3: there is a control character, 0x01\n");
    bad("\nextra = \"\x7f\"", "d.cfg:4: there is a control character, 0x7f\n");
    memset(line, '#', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    bad(line, "d.cfg:3: line longer than 2048 characters\n");
    line[2048] = '\0';
    good(line);
}

static void test_strings(void **state)
{
    char text[1200], *end;

    (void)state;
    bad("extra = \"abc", "d.cfg:3: string without end\n");
    bad("extra = 'abc\"\nvcpus = 1", "d.cfg:3: string without end\n");
    bad("extra = \"a\\", "d.cfg:3: unknown escape \\  in a string\n");
    bad("extra = \"a\\x\"", "d.cfg:3: unknown escape \\x in a string\n");
    bad("extra = \"a\" \"b\"", "d.cfg:3: extra: there is text behind its value\n");
    bad("extra = abc", "d.cfg:3: extra: must be a string in quotes\n");
    bad("extra = 5", "d.cfg:3: extra: must be a string in quotes\n");
    bad("kernel = [ \"a\" ]", "d.cfg:3: kernel: given twice, first in line 2\n");
    bad("ramdisk = [ \"a\" ]", "d.cfg:3: ramdisk: must be a string in quotes\n");
    bad("extra = (1)",
        "d.cfg:3: extra: a value is a number, a string in quotes or a list in brackets\n");
    bad("ramdisk = \"\"", "d.cfg:3: ramdisk: is empty\n");
    bad("pool = ''", "d.cfg:3: pool: is empty\n");
    bad("pool = \"01234567890123456789012345678901\"",
        "d.cfg:3: pool: longer than 31 characters\n");
    end = text + sprintf(text, "extra = \"");
    memset(end, 'x', 1024);
    strcpy(end + 1024, "\"");
    bad(text, "d.cfg:3: string longer than 1023 characters\n");
    strcpy(end + 1023, "\"");
    good(text);
    strcat(text, ";root='r'");
    bad(text, "d.cfg:3: extra: with root= it is longer than 1023 characters\n");
}

static void test_lists(void **state)
{
    (void)state;
    bad("cpus = [ \"0\"", "d.cfg:3: list without end\n");
    bad("cpus = [ \"0\",\n\n", "d.cfg:3: list without end\n");
    bad("cpus = [ \"0\" \"1\" ]", "d.cfg:3: in a list there must be a comma between two items\n");
    bad("cpus = [ a,\n b ]\nvcpus = 2",
        "d.cfg:3: in a list there can only be numbers and strings in quotes\n");
    bad("cpus = [ , ]", "d.cfg:3: in a list there can only be numbers and strings in quotes\n");
    bad("cpus = [ \"0 ]\n", "d.cfg:3: string without end\n");
    bad("cpus = [ [ 1 ] ]", "d.cfg:3: in a list there can only be numbers and strings in quotes\n");
}

static void test_numbers(void **state)
{
    (void)state;
    bad("memory = lots", "d.cfg:3: memory: 'lots' is not a number\n");
    bad("memory = \"\"", "d.cfg:3: memory: '' is not a number\n");
    bad("memory = 5M", "d.cfg:3: memory: '5M' is not a number\n");
    bad("memory = 1.5", "d.cfg:3: memory: '1.5' is not a number\n");
    bad("memory = 0x", "d.cfg:3: memory: '0x' is not a number\n");
    bad("memory = 12 34", "d.cfg:3: memory: there is text behind its value\n");
    bad("memory = [ 5 ]", "d.cfg:3: memory: must be a number, not a list\n");
    bad("memory = -5", "d.cfg:3: memory: must not be negative\n");
    bad("memory = 0", "d.cfg:3: memory: must be at least 1 (MiB)\n");
    bad("memory = 1048577", "d.cfg:3: memory: must be at most 1048576 (MiB)\n");
    bad("memory = 99999999999999999999", "d.cfg:3: memory: must be at most 1048576 (MiB)\n");
    bad("maxmem = 16\nmemory = 32", "d.cfg:3: maxmem: 16 MiB are less than memory, 32 MiB\n");
    bad("memory = 5\nmemory = 6", "d.cfg:4: memory: given twice, first in line 3\n");
}

static void test_vcpus(void **state)
{
    (void)state;
    bad("vcpus = 0", "d.cfg:3: vcpus: must be at least 1\n");
    bad("vcpus = 129", "d.cfg:3: vcpus: must be at most 128\n");
    bad("vcpus = -1", "d.cfg:3: vcpus: must not be negative\n");
    bad("maxvcpus = 0", "d.cfg:3: maxvcpus: must be at least 1\n");
    bad("maxvcpus = 2\nvcpus = 3", "d.cfg:4: vcpus: 3 are more than maxvcpus, 2\n");
    bad("cpu_weight = 0", "d.cfg:3: cpu_weight: must be at least 1\n");
    bad("cpu_weight = 65536", "d.cfg:3: cpu_weight: must be at most 65535\n");
    bad("cap = -1", "d.cfg:3: cap: must not be negative\n");
    bad("cap = 101", "d.cfg:3: cap: must be at most 100, which is all of 1 vcpus\n");
    bad("cap = 401\nvcpus = 4", "d.cfg:3: cap: must be at most 400, which is all of 4 vcpus\n");
    bad("cap = 12801", "d.cfg:3: cap: must be at most 12800\n");
}

static void test_real_time(void **state)
{
    (void)state;
    good("");
    assert_int_equal(c.period_us, 0);
    assert_int_equal(c.budget_us, 0);
    assert_int_equal(c.extratime, -1);
    good("period = 20000\nbudget = 20000\nextratime = 0\n");
    assert_int_equal(c.period_us, 20000);
    assert_int_equal(c.budget_us, 20000);
    assert_int_equal(c.extratime, 0);
    good("budget = 10\n"); /* the period is the scheduler's */
    bad("period = 9", "d.cfg:3: period: must be at least 10 (us)\n");
    bad("period = 10000001", "d.cfg:3: period: must be at most 10000000 (us)\n");
    bad("budget = 9", "d.cfg:3: budget: must be at least 10 (us)\n");
    bad("budget = 11\nperiod = 10", "d.cfg:3: budget: 11 us are over the period, 10 us\n");
    bad("extratime = 2", "d.cfg:3: extratime: must be at most 1\n");
}

static void test_tables(void **state)
{
    (void)state;
    good("");
    assert_int_equal(c.event_channels, 1023);
    assert_int_equal(c.grant_frames, -1);
    assert_int_equal(c.maptrack_frames, -1);
    good("event_channels = 131071\nmax_grant_frames = 64\nmax_maptrack_frames = 1024\n");
    assert_int_equal(c.event_channels, 131071);
    assert_int_equal(c.grant_frames, 64);
    assert_int_equal(c.maptrack_frames, 1024);
    good("event_channels = 2\nmax_grant_frames = 1\nmax_maptrack_frames = 0\n");
    assert_int_equal(c.event_channels, 2);
    assert_int_equal(c.grant_frames, 1);
    assert_int_equal(c.maptrack_frames, 0);
    bad("event_channels = 1", "d.cfg:3: event_channels: must be at least 2\n");
    bad("event_channels = 131072", "d.cfg:3: event_channels: must be at most 131071\n");
    bad("event_channels = \"x\"", "d.cfg:3: event_channels: 'x' is not a number\n");
    bad("max_grant_frames = 0", "d.cfg:3: max_grant_frames: must be at least 1\n");
    bad("max_grant_frames = 65", "d.cfg:3: max_grant_frames: must be at most 64\n");
    bad("max_maptrack_frames = -1", "d.cfg:3: max_maptrack_frames: must not be negative\n");
    bad("max_maptrack_frames = 1025", "d.cfg:3: max_maptrack_frames: must be at most 1024\n");
}

static void test_bad_cpus(void **state)
{
    (void)state;
    bad("cpus = 2", "d.cfg:3: cpus: must be a string or a list of strings\n");
    bad("cpus = \"4\"", "d.cfg:3: cpus: there is no CPU 4, the last is 3\n");
    bad("cpus = \"\"", "d.cfg:3: cpus: it names no CPU\n");
    bad("cpus_soft = \"0,^0\"", "d.cfg:3: cpus_soft: it names no CPU\n");
    bad("cpus_soft = \"node:2\"", "d.cfg:3: cpus_soft: there is no node 2, the last is 1\n");
    bad("cpus = \"2-1\"", "d.cfg:3: cpus: range '2-1' runs backwards\n");
    bad("cpus = \"some\"", "d.cfg:3: cpus: 'some' is no CPU, range or node\n");
    bad("cpus = [ ]", "d.cfg:3: cpus: it names no CPU\n");
    bad("vcpus = 2\ncpus = [ \"0\", \"9\" ]", "d.cfg:4: cpus: there is no CPU 9, the last is 3\n");
    bad("cpus = [ \"0\", \"1\" ]", "d.cfg:3: cpus: more items than vcpus, 1\n");
}

static void bad_name(const char *name, const char *why)
{
    char text[128], want[128];

    snprintf(text, sizeof(text), "kernel = \"k\"\nname = \"%s\"", name);
    snprintf(want, sizeof(want), "d.cfg:2: name: '%s' %s\n", name, why);
    bad_alone(text, want);
    assert_string_equal(domain_name_wrong(name), why);
}

static void test_bad_names(void **state)
{
    (void)state;
    bad_name("", "is empty");
    bad_name("01234567890123456789012345678901", "is longer than 31 characters");
    bad_name("-x", "begins with '-'");
    bad_name("a b", "has characters other than letters, digits and -_.+:");
    bad_name("a/b", "has characters other than letters, digits and -_.+:");
    bad_name("\xc3\xa4", "has characters other than letters, digits and -_.+:");
    bad_name("42", "is a number");
    bad_name("Domain-0", "is domain 0's");
    bad_alone("kernel = \"k\"\nname = 5", "d.cfg:2: name: must be a string in quotes\n");
    assert_null(domain_name_wrong("a123456789012345678901234567890"));
    assert_null(domain_name_wrong("web-1.a+b:c_d"));
    assert_null(domain_name_wrong("1a"));
}

static void test_choices(void **state)
{
    (void)state;
    bad("on_crash = \"explode\"", "d.cfg:3: on_crash: 'explode' is none of destroy, restart, "
                                  "rename-restart, preserve\n");
    bad("on_reboot = \"\"", "d.cfg:3: on_reboot: '' is none of destroy, restart, "
                            "rename-restart, preserve\n");
    bad("on_watchdog = 1", "d.cfg:3: on_watchdog: must be a string in quotes\n");
    bad("type = \"hvm\"", "d.cfg:3: type: 'hvm' is not supported, only 'pv'\n");
    bad("builder = \"hvm\"", "d.cfg:3: builder: 'hvm' is not supported, only 'generic'\n");
    bad("uuid = 5", "d.cfg:3: uuid: must be a string in quotes\n");
    bad("uuid = \"\"", "d.cfg:3: uuid: '' is none\n");
    bad("uuid = \"web\"", "d.cfg:3: uuid: 'web' is none\n");
    bad("uuid = \"01234567-89ab-cdef-0123-456789abcde\"",
        "d.cfg:3: uuid: '01234567-89ab-cdef-0123-456789abcde' is none\n");
    bad("uuid = \"01234567-89ab-cdef-0123-456789abcdeg\"",
        "d.cfg:3: uuid: '01234567-89ab-cdef-0123-456789abcdeg' is none\n");
    bad("uuid = \"0123456-789ab-cdef-0123-456789abcdef\"",
        "d.cfg:3: uuid: '0123456-789ab-cdef-0123-456789abcdef' is none\n");
    bad("uuid = \"0123456789abcdef0123456789abcdef0\"",
        "d.cfg:3: uuid: '0123456789abcdef0123456789abcdef0' is none\n");
    bad("uuid = \"00000000-0000-0000-0000-000000000000\"",
        "d.cfg:3: uuid: '00000000-0000-0000-0000-000000000000' is none\n");
}

static void test_bad_overrides(void **state)
{
    char *twice[] = { "memory=5", "memory=6" };
    char *wrong[] = { "memory", "vcpus=x", "colour=red", "name=", "cpus=9" };

    (void)state;
    bad_bytes(GOOD, strlen(GOOD), 2, twice, "command line: memory: given twice\n");
    bad_bytes(GOOD, strlen(GOOD), 5, wrong,
              "command line: memory: there is no '=' behind it\n"
              "command line: vcpus: 'x' is not a number\n"
              "command line: unknown key 'colour'\n"
              "command line: name: its value is missing\n"
              "command line: cpus: there is no CPU 9, the last is 3\n");
}

/* One thing that is wrong hides no other, and makes no further ones. */
static void test_all_at_once(void **state)
{
    (void)state;
    bad_alone("name = \"a b\"; kernel = 5\n"
              "memory = x; vcpus = 0; cap = 7\n"
              "extra = \"one\n"
              "cpus = [ \"0\",\n  what,\n \"1\" ]\n"
              "on_crash = \"preserve\" now; vcpus = 2\n"
              "pool = \"p\"\n",
              "d.cfg:1: name: 'a b' has characters other than letters, digits and -_.+:\n"
              "d.cfg:1: kernel: must be a string in quotes\n"
              "d.cfg:2: memory: 'x' is not a number\n"
              "d.cfg:2: vcpus: must be at least 1\n"
              "d.cfg:3: string without end\n"
              "d.cfg:4: in a list there can only be numbers and strings in quotes\n"
              "d.cfg:7: on_crash: there is text behind its value\n");
    assert_string_equal(c.pool, "p");
}

/* ---- libvirt's keys, the emulator's, the group's ---- */

static void test_no_more_keys(void **state)
{
    (void)state;
    good("");
    assert_false(has_emulator(&c) || c.by_rules || c.emulator.charge_client || c.warnings);
    assert_int_equal(c.placement.placement, PLACEMENT_STATIC);
    assert_int_equal(c.placement.vcpus, 1);
    assert_int_equal(c.placement.max_vcpus, 1);
    assert_int_equal(c.shares, 0);
    assert_int_equal(c.iothreads, 0);
    assert_int_equal(c.emulator.cap, -1);
    assert_int_equal(c.emulator.disks + c.emulator.echoes, 0);
    assert_string_equal(c.group, "");
    assert_int_equal(c.group_cap, -1);
    assert_int_equal(c.vcpu_bandwidth.period, 0);
    assert_int_equal(c.global_bandwidth.quota, 0);
}

static void test_placement(void **state)
{
    (void)state;
    good("vcpus = 3\nmaxvcpus = 4\nplacement = \"static\"\ncpuset = \"1-3,^2\"\n"
         "vcpupin = [ \"0:2\", \"3:1-2\" ]\nemulatorpin = \"0\"\niothreads = 2\n"
         "iothreadpin = [ '2:3' ]\nplace = \"2012\"");
    assert_true(c.by_rules && !c.hard_given);
    assert_int_equal(c.placement.mode, PLACEMENT_2012);
    assert_int_equal(c.placement.vcpus, 3);
    assert_int_equal(c.placement.max_vcpus, 4);
    assert_int_equal(c.placement.iothreads, 2);
    assert_int_equal(c.placement.cpuset.cpus.bits[0], 0xa);
    assert_int_equal(c.placement.vcpu[0].cpus.bits[0], 0x4);
    assert_false(c.placement.vcpu[1].given);
    assert_int_equal(c.placement.vcpu[3].cpus.bits[0], 0x6);
    assert_int_equal(c.placement.emulator.cpus.bits[0], 0x1);
    assert_false(c.placement.iothread[1].given);
    assert_int_equal(c.placement.iothread[2].cpus.bits[0], 0x8);
    good("iothreads = 2\niothread_cpus = [\"2\", 3]\nemulator_cpus = \"0-1\"");
    assert_false(c.by_rules);
    assert_int_equal(c.placement.iothread[1].cpus.bits[0], 0x4);
    assert_int_equal(c.placement.iothread[2].cpus.bits[0], 0x8);
    assert_int_equal(c.placement.emulator.cpus.bits[0], 0x3);
    good("numatune = \"auto\"");
    assert_true(c.by_rules);
    assert_int_equal(c.placement.placement, PLACEMENT_AUTO);
    good("cpus = \"1\"\nemulatorpin = \"2\"\nplacement = \"static\"");
    assert_true(c.hard_given && !c.by_rules);
}

/* The order of the keys does not matter, nor does a CPU that this host has not. */
static void test_placement_order(void **state)
{
    char *given[] = { "vcpupin=[\"0:3\"]", "cpuset=1" };

    (void)state;
    good("emulatorpin = \"200\"\ncpuset = \"2-100\"\nvcpus = 2\nplacement = \"static\"");
    assert_true(c.placement.emulator.given);
    good_bytes(GOOD "vcpupin = [ \"0:1\", \"1:1\" ]\nvcpus = 2\ncpuset = \"3\"", 2, given);
    assert_int_equal(c.placement.vcpu[0].cpus.bits[0], 0x8);
    assert_false(c.placement.vcpu[1].given);
    assert_int_equal(c.placement.cpuset.cpus.bits[0], 0x2);
}

static void test_left_out(void **state)
{
    (void)state;
    good("cpuset = \"1\"\nplacement = \"auto\"\nvcpupin = [ \"5:1\", \"200:1\" ]");
    assert_int_equal(c.placement.placement, PLACEMENT_AUTO);
    assert_false(c.placement.cpuset.given);
    assert_int_equal(c.warnings, 3);
    assert_string_equal(c.warning[0], "placement is auto: the cpuset of the vcpus is ignored");
    assert_string_equal(c.warning[1], "vcpupin of vcpu 5 is ignored: the last vcpu is 0");
    assert_string_equal(c.warning[2], "vcpupin of vcpu 200 is ignored: the last vcpu is 0");
}

static void test_bad_placement(void **state)
{
    (void)state;
    bad("placement = \"numa\"", "d.cfg:3: placement: 'numa' is none of static, auto\n");
    bad("numatune = \"strict\"", "d.cfg:3: numatune: 'strict' is none of static, auto\n");
    bad("place = \"2013\"", "d.cfg:3: place: '2013' is none of modern, 2012\n");
    bad("cpuset = 1", "d.cfg:3: cpuset: must be a string in quotes\n");
    bad("cpuset = [ \"1\" ]", "d.cfg:3: cpuset: must be a string in quotes\n");
    bad("vcpupin = \"0:1\"", "d.cfg:3: vcpupin: must be a list of strings\n");
    bad("vcpupin = [ \"1\" ]", "d.cfg:3: vcpupin: '1' is not of the form \"NUMBER:CPUS\"\n");
    bad("vcpupin = [ \":1\" ]", "d.cfg:3: vcpupin: ':1' is not of the form \"NUMBER:CPUS\"\n");
    bad("vcpupin = [ \"0:1\", \"0:2\" ]", "d.cfg:3: vcpupin: vcpu 0 has two pins\n");
    bad("iothreadpin = [ \"0:1\" ]",
        "d.cfg:3: iothreadpin: there is no iothread 0, the first is 1\n");
    bad("iothreadpin = [ \"1:1\" ]", "d.cfg:3: iothreadpin: there is no iothread 1\n");
    bad("iothreads = 1\niothread_cpus = [ \"1\", \"1\" ]",
        "d.cfg:4: iothreadpin: there is no iothread 2\n");
    bad("iothread_cpus = \"1\"", "d.cfg:3: iothread_cpus: must be a list of strings\n");
    bad("placement = \"auto\"\nemulatorpin = \"0\"\nplace = \"2012\"",
        "d.cfg:4: emulatorpin can't be given beside placement auto (place=\"2012\")\n");
    bad("emulatorpin = \"0\"\nemulator_cpus = \"0\"",
        "d.cfg:3: emulatorpin: emulator_cpus is another name for it\n");
    bad("iothreads = 1\niothreadpin = [ \"1:1\" ]\niothread_cpus = [ \"1\" ]",
        "d.cfg:4: iothreadpin: iothread_cpus is another form of it\n");
    bad("cpus = \"0\"\ncpuset = \"0\"", "d.cfg:4: cpuset: cpus says it in xl's way already\n");
    bad("cpus = \"0\"\nvcpupin = [ \"0:0\" ]",
        "d.cfg:4: vcpupin: cpus says it in xl's way already\n");
    bad("cpus = \"0\"\nplacement = \"auto\"",
        "d.cfg:4: placement: cpus says where its vcpus run already\n");
}

/* All of libvirt's grammar is tried with placement.c; here it is whose message it is. */
static void test_bad_placement_lists(void **state)
{
    static const char *const keys[] = { "cpuset = \"%s\"",
                                        "emulatorpin = \"%s\"",
                                        "emulator_cpus = \"%s\"",
                                        "vcpupin = [ \"0:%s\" ]",
                                        "iothreads = 1; iothreadpin = [ \"1:%s\" ]",
                                        "iothreads = 1; iothread_cpus = [ \"%s\" ]" };
    static const char *const names[] = { "cpuset",  "emulatorpin", "emulator_cpus",
                                         "vcpupin", "iothreadpin", "iothread_cpus" };
    static const char *const lists[] = { "", "2-1", "1,", "x", "1,^1", "all" };

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        for (size_t j = 0; j < 6; j++) {
            char form[64], text[256], all[512], begin[64];

            snprintf(form, sizeof(form), "%s", keys[i]);
            snprintf(text, sizeof(text), form, lists[j]);
            snprintf(all, sizeof(all), "%s%s", GOOD, text);
            snprintf(begin, sizeof(begin), "d.cfg:3: %s: ", names[i]);
            assert_int_equal(parse_bytes(all, strlen(all), 0, NULL), 1);
            assert_memory_equal(reported, begin, strlen(begin));
            assert_true(strlen(reported) > strlen(begin) + 4);
        }
    }
}

static void test_shares(void **state)
{
    (void)state;
    good("shares = 1024");
    assert_int_equal(c.weight, 256);
    assert_int_equal(c.shares, 1024);
    good("shares = 2");
    assert_int_equal(c.weight, 1);
    good("shares = 262144");
    assert_int_equal(c.weight, 65535);
    bad("shares = 1", "d.cfg:3: shares: must be at least 2\n");
    bad("shares = 262145", "d.cfg:3: shares: must be at most 262144\n");
    bad("cpu_weight = 5\nshares = 1024",
        "d.cfg:4: shares: cpu_weight says it in xl's way already\n");
}

static void test_bandwidth(void **state)
{
    (void)state;
    good("vcpu_period = 1000\nvcpu_quota = 1000\nglobal_period = 1000000\n"
         "global_quota = 17592186044415\nemulator_period = 0\nemulator_quota = -1\n"
         "iothread_quota = 0\n");
    assert_int_equal(c.vcpu_bandwidth.period, 1000);
    assert_int_equal(c.vcpu_bandwidth.quota, 1000);
    assert_int_equal(c.global_bandwidth.period, 1000000);
    assert_int_equal(c.global_bandwidth.quota, 17592186044415);
    assert_int_equal(c.emulator_bandwidth.period, 0);
    assert_int_equal(c.emulator_bandwidth.quota, -1);
    assert_int_equal(c.iothread_bandwidth.quota, 0);
    good("vcpu_quota = -5000");
    assert_int_equal(c.vcpu_bandwidth.quota, -1);
}

static void test_bad_bandwidth(void **state)
{
    static const char *const whose[] = { "vcpu", "global", "emulator", "iothread" };
    static const struct {
        const char *what, *value, *why;
    } wrong[] = {
        { "period", "999", "must be at least 1000 (us)" },
        { "period", "1000001", "must be at most 1000000 (us)" },
        { "period", "-1", "must not be negative" },
        { "period", "x", "'x' is not a number" },
        { "period", "[ 5 ]", "must be a number, not a list" },
        { "quota", "999", "must be at least 1000 (us)" },
        { "quota", "17592186044416", "must be at most 17592186044415 (us)" },
        { "quota", "'-x'", "'-x' is not a number" },
        { "quota", "[ 5 ]", "must be a number, not a list" },
    };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < sizeof(wrong) / sizeof(*wrong); j++) {
            char text[128], want[192];

            snprintf(text, sizeof(text), "%s_%s = %s", whose[i], wrong[j].what, wrong[j].value);
            snprintf(want, sizeof(want), "d.cfg:3: %s_%s: %s\n", whose[i], wrong[j].what,
                     wrong[j].why);
            bad(text, want);
        }
    }
}

static void test_emulator(void **state)
{
    char *none[] = { "emulator=\"\"" };

    (void)state;
    good("emulator = \"stub.cfg\"");
    assert_true(has_emulator(&c) && !c.emulator.charge_client);
    good("emulator = \"stub.cfg\"\ncharge = \"client\"\nemulator_weight = 512\n"
         "emulator_cap = 300\niothreads = 2\n"
         "emulator_disk = [ \"8192\", \"0x10,iothread=2\" ]\n"
         "emulator_echo = [ \"\", \"iothread=1\" ]");
    assert_true(c.emulator.charge_client);
    assert_string_equal(c.emulator.file, "stub.cfg");
    assert_int_equal(c.emulator.weight, 512);
    assert_int_equal(c.emulator.cap, 300);
    assert_int_equal(c.iothreads, 2);
    assert_int_equal(c.emulator.disks, 2);
    assert_int_equal(c.emulator.disk[0].sectors, 8192);
    assert_int_equal(c.emulator.disk[0].iothread, 0);
    assert_int_equal(c.emulator.disk[1].sectors, 16);
    assert_int_equal(c.emulator.disk[1].iothread, 2);
    assert_int_equal(c.emulator.echoes, 2);
    assert_int_equal(c.emulator.echo[0], 0);
    assert_int_equal(c.emulator.echo[1], 1);
    good_bytes(GOOD "emulator = \"stub.cfg\"", 1, none);
    assert_false(has_emulator(&c));
    good("iothreads = 16\nemulatorpin = \"1\"\nemulator_quota = 5000"); /* libvirt's alone */
    good("iothreads = 0");
}

static void test_bad_emulator(void **state)
{
    (void)state;
    bad("charge = \"client\"", "d.cfg:3: charge: there is no emulator\n");
    bad("emulator_weight = 5", "d.cfg:3: emulator_weight: there is no emulator\n");
    bad("emulator_cap = 5", "d.cfg:3: emulator_cap: there is no emulator\n");
    bad("emulator_disk = [ \"8\" ]", "d.cfg:3: emulator_disk: there is no emulator\n");
    bad("emulator_echo = [ \"\" ]", "d.cfg:3: emulator_echo: there is no emulator\n");
#define WITH "emulator = \"s.cfg\"\n"
    bad(WITH "charge = \"both\"", "d.cfg:4: charge: 'both' is none of own, client\n");
    bad(WITH "emulator_weight = 0", "d.cfg:4: emulator_weight: must be at least 1\n");
    bad(WITH "emulator_weight = 65536", "d.cfg:4: emulator_weight: must be at most 65535\n");
    bad(WITH "emulator_cap = 101",
        "d.cfg:4: emulator_cap: must be at most 100, which is all of its 1 vcpus\n");
    bad(WITH "emulator_cap = 1701", "d.cfg:4: emulator_cap: must be at most 1700\n");
    bad(WITH "emulator_disk = \"8\"", "d.cfg:4: emulator_disk: must be a list of strings\n");
    bad(WITH "emulator_disk = [ \"\" ]",
        "d.cfg:4: emulator_disk: '' is not of the form \"SECTORS[,iothread=N]\"\n");
    bad(WITH "emulator_disk = [ \"8 \" ]",
        "d.cfg:4: emulator_disk: '8 ' is not of the form \"SECTORS[,iothread=N]\"\n");
    bad(WITH "emulator_disk = [ \"8,io=1\" ]",
        "d.cfg:4: emulator_disk: 'io=1' is not of the form \"iothread=N\"\n");
    bad(WITH "emulator_disk = [ \"0\" ]",
        "d.cfg:4: emulator_disk: a disk has 1 to 2097152 sectors\n");
    bad(WITH "emulator_disk = [ \"2097153\" ]",
        "d.cfg:4: emulator_disk: a disk has 1 to 2097152 sectors\n");
    bad(WITH "emulator_disk = [ \"8,iothread=1\" ]",
        "d.cfg:4: emulator_disk: there is no iothread 1\n");
    bad(WITH "emulator_disk = [ 1, 1, 1, 1, 1, 1, 1, 1, 1 ]",
        "d.cfg:4: emulator_disk: more than 8\n");
    bad(WITH "emulator_echo = [ \"x\" ]",
        "d.cfg:4: emulator_echo: 'x' is not of the form \"iothread=N\"\n");
    bad(WITH "iothreads = 17", "d.cfg:4: iothreads: must be at most 16\n");
    bad(WITH "iothreads = -1", "d.cfg:4: iothreads: must not be negative\n");
    bad_alone("name = \"0123456789012345678901234567a\"\nkernel = \"k\"\nemulator = \"s\"",
              "d.cfg:1: name: with an emulator it is at most 27 characters\n");
#undef WITH
}

static void test_group(void **state)
{
    (void)state;
    good("group = \"m\"");
    assert_string_equal(c.group, "m");
    assert_int_equal(c.group_weight, 0);
    good("group = \"m\"\ngroup_weight = 65535\ngroup_cap = 65535");
    assert_int_equal(c.group_weight, 65535);
    assert_int_equal(c.group_cap, 65535);
    bad("group = \"a\"", "d.cfg:3: group: a domain can't be a member of itself\n");
    bad("group_weight = 5", "d.cfg:3: group_weight: there is no group\n");
    bad("group_cap = 5", "d.cfg:3: group_cap: there is no group\n");
    bad("group = \"m\"\ngroup_weight = 0", "d.cfg:4: group_weight: must be at least 1\n");
    bad("group = \"m\"\ngroup_weight = 65536", "d.cfg:4: group_weight: must be at most 65535\n");
    bad("group = \"m\"\ngroup_cap = 65536", "d.cfg:4: group_cap: must be at most 65535\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smallest),
        cmocka_unit_test(test_all_keys),
        cmocka_unit_test(test_uuid),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_defaults_of_each_other),
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_cpus),
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_overrides_alone),
        cmocka_unit_test(test_missing),
        cmocka_unit_test(test_unknown_key),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_vcpus),
        cmocka_unit_test(test_real_time),
        cmocka_unit_test(test_tables),
        cmocka_unit_test(test_bad_cpus),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_bad_overrides),
        cmocka_unit_test(test_all_at_once),
        cmocka_unit_test(test_no_more_keys),
        cmocka_unit_test(test_placement),
        cmocka_unit_test(test_placement_order),
        cmocka_unit_test(test_left_out),
        cmocka_unit_test(test_bad_placement),
        cmocka_unit_test(test_bad_placement_lists),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_bandwidth),
        cmocka_unit_test(test_bad_bandwidth),
        cmocka_unit_test(test_emulator),
        cmocka_unit_test(test_bad_emulator),
        cmocka_unit_test(test_group),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
