/* sources: lib/options.c lib/cmdline.c lib/cpulist.c lib/number.c lib/printf.c lib/str.c */
/* SPDX-License-Identifier: MIT */
/* The hypervisor's options and those of a boot module: defaults, good values, and reports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/console.h>
#include <tarn/options.h>

static char reported[256];
static u32 nr_reported;

static void report(void *arg, const char *text)
{
    (void)arg;
    str_copy(reported, text, sizeof(reported));
    nr_reported++;
}

static void parse(const char *text)
{
    nr_reported = 0;
    reported[0] = '\0';
    options_parse(text, report, NULL);
}

static void parse_good(const char *text)
{
    parse(text);
    if (nr_reported) {
        fail_msg("'%s': %s", text, reported);
    }
}

static void defaults(void **state)
{
    (void)state;
    memset(&opt, 0xff, sizeof(opt));
    parse_good("");
    assert_int_equal(opt.maxcpus, 0);
    assert_int_equal(opt.dom0_mem, 0);
    assert_int_equal(opt.dom0_max_vcpus, 0);
    assert_false(opt.dom0_vcpus_pin || opt.no_dom0 || opt.noreboot);
    assert_string_equal(opt.sched, "credit");
    assert_int_equal(opt.tslice_ms, 30);
    assert_int_equal(opt.ratelimit_us, 1000);
    assert_int_equal(opt.loglvl, LOG_INFO + 1);
    assert_int_equal(opt.guest_loglvl, LOG_INFO + 1);
    assert_true(opt.console_com1 && opt.smap && opt.smep && opt.smt);
    assert_int_equal(opt.com1_baud, 115200);
    assert_int_equal(opt.com1_port, 0x3f8);
    assert_int_equal(opt.conring_size, 64 << 10);
    assert_false(opt.console_to_ring);
}

static void usual_line(void **state)
{
    (void)state;
    parse_good("dom0_mem=128M dom0_max_vcpus=2 dom0_vcpus_pin maxcpus=3 sched=credit com1=115200 "
               "console=com1 dom0=none noreboot smap=off no-smep sched_credit_tslice_ms=5 "
               "sched_ratelimit_us=0 sched_credit_weight=vcpu loglvl=all guest_loglvl=none");
    assert_int_equal(opt.dom0_mem, 128 << 20);
    assert_int_equal(opt.dom0_min_vcpus, 2);
    assert_int_equal(opt.dom0_max_vcpus, 2);
    assert_int_equal(opt.maxcpus, 3);
    assert_true(opt.dom0_vcpus_pin && opt.no_dom0 && opt.noreboot && opt.console_com1);
    assert_false(opt.smap || opt.smep);
    assert_int_equal(opt.tslice_ms, 5);
    assert_int_equal(opt.ratelimit_us, 0);
    assert_true(opt.weight_per_vcpu);
    parse_good("sched_credit_weight=vcpu sched_credit_weight=domain loglvl=all guest_loglvl=none");
    assert_false(opt.weight_per_vcpu);
    assert_int_equal(opt.loglvl, LOG_DEBUG + 1);
    assert_int_equal(opt.guest_loglvl, 0);
}

static void console_ring(void **state)
{
    (void)state;
    parse_good("conring_size=16 console_to_ring");
    assert_int_equal(opt.conring_size, 16 << 10);
    assert_true(opt.console_to_ring);
    parse_good("conring_size=1M no-console_to_ring");
    assert_int_equal(opt.conring_size, 1 << 20);
    assert_false(opt.console_to_ring);
    parse("conring_size=15");
    assert_int_equal(nr_reported, 1);
    assert_int_equal(opt.conring_size, 64 << 10);
    parse("conring_size=17M");
    assert_int_equal(nr_reported, 1);
    assert_int_equal(opt.conring_size, 64 << 10);
    parse("conring_size=-1");
    assert_int_equal(nr_reported, 1);
}

static void dom0_memory(void **state)
{
    static const struct {
        const char *text;
        u64 size;
    } rows[] = {
        { "dom0_mem=1024", 1 << 20 },
        { "dom0_mem=1G", 1 << 30 },
        { "dom0_mem=512M,max:1G", 512 << 20 },
        { "dom0_mem=max:1G,512M", 512 << 20 },
        { "dom0_mem=2G,max:1G", 1 << 30 },
        { "dom0_mem=max:256M", 256 << 20 },
        { "dom0_mem=min:256M", 0 },
        { "dom0_mem=min:64M,max:256M,128M", 128 << 20 },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        parse_good(rows[i].text);
        assert_int_equal(opt.dom0_mem, rows[i].size);
    }
}

static void dom0_vcpus(void **state)
{
    static const struct {
        const char *text;
        u32 min, max;
    } rows[] = {
        { "dom0_max_vcpus=1", 1, 1 },   { "dom0_max_vcpus=128", 128, 128 },
        { "dom0_max_vcpus=2-4", 2, 4 }, { "dom0_max_vcpus=4-4", 4, 4 },
        { "dom0_max_vcpus=-3", 1, 3 },  { "dom0_max_vcpus=2-", 2, 0 },
        { "dom0_max_vcpus=0-3", 0, 3 },
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        parse_good(rows[i].text);
        assert_int_equal(opt.dom0_min_vcpus, rows[i].min);
        assert_int_equal(opt.dom0_max_vcpus, rows[i].max);
    }
}

static void dom0_nodes(void **state)
{
    (void)state;
    parse_good("dom0_nodes=0,2,63");
    assert_true(opt.dom0_nodes == (1UL << 63 | 5) && !opt.dom0_relaxed);
    parse_good("dom0_nodes=1,relaxed");
    assert_true(opt.dom0_nodes == 2 && opt.dom0_relaxed);
    parse_good("dom0_nodes=strict,3");
    assert_true(opt.dom0_nodes == 8 && !opt.dom0_relaxed);
}

static void threads(void **state)
{
    (void)state;
    parse_good("smt=0");
    assert_false(opt.smt);
    parse_good("no-smt");
    assert_false(opt.smt);
    parse_good("smt");
    assert_true(opt.smt);
}

static void serial(void **state)
{
    (void)state;
    parse_good("com1=9600,8n1,0x2f8,3");
    assert_int_equal(opt.com1_baud, 9600);
    assert_int_equal(opt.com1_port, 0x2f8);
    parse_good("com1=,,0x2f8");
    assert_int_equal(opt.com1_baud, 115200);
    assert_int_equal(opt.com1_port, 0x2f8);
    parse("com1=9600,8n1,0x10000");
    assert_int_equal(nr_reported, 1);
    assert_int_equal(opt.com1_baud, 115200); /* all or nothing */
}

static void consoles(void **state)
{
    (void)state;
    parse_good("console=none");
    assert_false(opt.console_com1);
    parse("console=com1,vga");
    assert_int_equal(nr_reported, 1);
    assert_true(opt.console_com1);
    parse("console=vga");
    assert_int_equal(nr_reported, 1);
    assert_true(opt.console_com1); /* the option counts as not given */
}

static void log_levels(void **state)
{
    static const char *const names[] = { "none", "error", "warning", "info", "debug" };
    char text[32];

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
        fmt_snprintf(text, sizeof(text), "loglvl=%s", names[i]);
        parse_good(text);
        assert_int_equal(opt.loglvl, i);
    }
}

static const struct {
    const char *text, *report;
} bad[] = {
    { "maxcpus=0", "option 'maxcpus': '0' is not a number from 1 to 256" },
    { "maxcpus=257", "option 'maxcpus': '257' is not a number from 1 to 256" },
    { "maxcpus=x", "option 'maxcpus': 'x' is not a number from 1 to 256" },
    { "dom0_mem=x", "option 'dom0_mem': 'x': not SIZE, min:SIZE or max:SIZE, as in 512M,max:1G" },
    { "dom0_mem=", "option 'dom0_mem': '': not SIZE, min:SIZE or max:SIZE, as in 512M,max:1G" },
    { "dom0_mem=0", "option 'dom0_mem': '0': not SIZE, min:SIZE or max:SIZE, as in 512M,max:1G" },
    { "dom0_mem=-128M",
      "option 'dom0_mem': '-128M': not SIZE, min:SIZE or max:SIZE, as in 512M,max:1G" },
    { "dom0_mem=1G,",
      "option 'dom0_mem': '1G,': not SIZE, min:SIZE or max:SIZE, as in 512M,max:1G" },
    { "dom0_mem=00000000000000000000000000000000512M",
      "option 'dom0_mem': '00000000000000000000000000000000512M': not SIZE, min:SIZE or max:SIZE, "
      "as in 512M,max:1G" },
    { "dom0_max_vcpus=0",
      "option 'dom0_max_vcpus': '0': not a number of vcpus from 1 to 128, or a range of them" },
    { "dom0_max_vcpus=129",
      "option 'dom0_max_vcpus': '129': not a number of vcpus from 1 to 128, or a range of them" },
    { "dom0_max_vcpus=4-2",
      "option 'dom0_max_vcpus': '4-2': not a number of vcpus from 1 to 128, or a range of them" },
    { "dom0_max_vcpus=-",
      "option 'dom0_max_vcpus': '-': not a number of vcpus from 1 to 128, or a range of them" },
    { "dom0_max_vcpus=1-2-3",
      "option 'dom0_max_vcpus': '1-2-3': not a number of vcpus from 1 to 128, or a range of them" },
    { "dom0=maybe", "option 'dom0': 'maybe': neither none nor pv" },
    { "sched=averyveryverylongname",
      "option 'sched': 'averyveryverylongname...' is longer than 15 characters" },
    { "sched_credit_tslice_ms=0",
      "option 'sched_credit_tslice_ms': '0' is not a number from 1 to 1000" },
    { "sched_credit_weight=pool", "option 'sched_credit_weight': 'pool': neither domain nor vcpu" },
    { "sched_ratelimit_us=99",
      "option 'sched_ratelimit_us': '99': neither 0 nor a number from 100 to 500000" },
    { "sched_ratelimit_us=500001",
      "option 'sched_ratelimit_us': '500001': neither 0 nor a number from 100 to 500000" },
    { "loglvl=loud", "option 'loglvl': 'loud': not one of none, error, warning, info, debug, all" },
    { "console=vga", "option 'console': 'vga': only com1 and none are known" },
    { "com1=0", "option 'com1': '0': the baud rate does not divide 115200" },
    { "com1=100000", "option 'com1': '100000': the baud rate does not divide 115200" },
    { "com1=115200,7e1", "option 'com1': '115200,7e1': only 8n1 is supported" },
    { "com1=115200,8n1,0",
      "option 'com1': '115200,8n1,0': the I/O port is not a number from 1 to 0xfff8" },
    { "com1=115200,8n1,0x3f8,x",
      "option 'com1': '115200,8n1,0x3f8,x': the interrupt is not a number from 0 to 255" },
    { "com1=115200,8n1,0x3f8,4,5",
      "option 'com1': '115200,8n1,0x3f8,4,5': too many parts: BAUD,8n1,PORT,IRQ" },
    { "dom0_nodes=64", "option 'dom0_nodes': '64': not a list of nodes, with relaxed or strict" },
    { "dom0_nodes=0-1", "option 'dom0_nodes': '0-1': not a list of nodes, with relaxed or strict" },
    { "dom0_nodes=", "option 'dom0_nodes': '': not a list of nodes, with relaxed or strict" },
    { "smt=two", "option 'smt': 'two' is neither yes nor no" },
    { "cpupool", "option 'cpupool' needs a value" },
    { "placeholder", "unknown option 'placeholder'" },
};

static void bad_values_change_nothing(void **state)
{
    struct options before;

    (void)state;
    parse_good("");
    before = opt;
    for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
        parse(bad[i].text);
        assert_int_equal(nr_reported, 1);
        assert_string_equal(reported, bad[i].report);
        assert_memory_equal(&opt, &before, sizeof(opt));
    }
}

static void ratelimit_within_the_slice(void **state)
{
    (void)state;
    parse_good("sched_credit_tslice_ms=2 sched_ratelimit_us=2000");
    assert_int_equal(opt.ratelimit_us, 2000);
    parse("sched_ratelimit_us=2001 sched_credit_tslice_ms=2");
    assert_int_equal(nr_reported, 1);
    assert_string_equal(reported,
                        "option 'sched_ratelimit_us': longer than the time slice, which counts");
    assert_int_equal(opt.ratelimit_us, 2000);
    options_parse("sched_ratelimit_us=31000", NULL, NULL);
    assert_int_equal(opt.ratelimit_us, 30000);
}

/* Pools */

static struct pool_option pool;

static u32 parse_pool(const char *text)
{
    nr_reported = 0;
    reported[0] = '\0';
    memset(&pool, 0xff, sizeof(pool));
    return pool_option_parse(text, &pool, report, NULL);
}

static void pools(void **state)
{
    (void)state;
    parse_good("cpupool=a:cpus=1 cpupool=b:cpus=2,sched=null"); /* looked at later */
    assert_int_equal(parse_pool("fast:cpus=1,4-7,^5,node:2,sched=rtds,tslice_ms=5,ratelimit_us=0"),
                     0);
    assert_string_equal(pool.name, "fast");
    assert_string_equal(pool.cpus, "1,4-7,^5,node:2");
    assert_string_equal(pool.sched, "rtds");
    assert_int_equal(pool.tslice_ms, 5);
    assert_int_equal(pool.ratelimit_us, 0);
    assert_int_equal(parse_pool("x:sched=null,cpus=all"), 0);
    assert_string_equal(pool.cpus, "all");
    assert_string_equal(pool.sched, "null");
    assert_int_equal(parse_pool("1234567890123456789012345678901:cpus=3"), 0);
    assert_string_equal(pool.sched, "");
    assert_int_equal(pool.tslice_ms, 0);
    assert_int_equal(pool.ratelimit_us, ~0u);
}

static void pools_bad(void **state)
{
    static const struct {
        const char *text, *report;
    } rows[] = {
        { "", "not NAME:cpus=LIST[,sched=NAME]..." },
        { "a", "not NAME:cpus=LIST[,sched=NAME]..." },
        { "cpus=node:1", "not NAME:cpus=LIST[,sched=NAME]..." },
        { ":cpus=1", "the name has 1 to 31 characters" },
        { "12345678901234567890123456789012:cpus=1", "the name has 1 to 31 characters" },
        { "Pool-1:cpus=1", "names with Pool- are given by number" },
        { "a:", "cpus= is missing" },
        { "a:sched=null", "cpus= is missing" },
        { "a:cpus=", "cpus= is missing" },
        { "a:4-7", "unknown option '4-7'" },
        { "a:cpus=1,weight=3", "unknown option 'weight'" },
        { "a:cpus=1,tslice_ms=0", "option 'tslice_ms': '0' is not a number from 1 to 1000" },
        { "a:cpus=1,ratelimit_us=50",
          "option 'ratelimit_us': '50': neither 0 nor a number from 100 to 500000" },
        { "a:cpus=1,sched=averyveryverylongname",
          "option 'sched': 'averyveryverylongname...' is longer than 15 characters" },
        { "a:cpus=1,tslice_ms=2,ratelimit_us=2001",
          "the rate limit is longer than the time slice" },
        { "a:cpus=1,ratelimit_us=30001", "the rate limit is longer than the time slice" },
        { "a:cpus=1,tslice_ms=2", "the rate limit is longer than the time slice" },
    };
    char text[400] = "a:cpus=";

    (void)state;
    parse_good("sched_ratelimit_us=3000");
    for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
        assert_int_equal(parse_pool(rows[i].text), 1);
        assert_int_equal(nr_reported, 1);
        assert_string_equal(reported, rows[i].report);
    }
    memset(text + 7, '1', sizeof(text) - 8);
    assert_int_equal(parse_pool(text), 1);
    assert_string_equal(reported, "it is too long");
    assert_int_equal(parse_pool("a:cpus=1,x=1,y=2"), 2); /* a line for each mistake */
    assert_int_equal(nr_reported, 2);
}

/* Boot modules */

static struct module_options m;

static u32 parse_module(const char *text)
{
    nr_reported = 0;
    memset(&m, 0xff, sizeof(m));
    return module_options_parse(text, &m, report, NULL);
}

static void module_defaults(void **state)
{
    (void)state;
    assert_int_equal(parse_module(""), 0);
    assert_string_equal(m.name, "");
    assert_int_equal(m.vcpus, 1);
    assert_int_equal(m.memory, 16 << 20);
    assert_string_equal(m.pool, "Pool-0");
    assert_int_equal(cpumask_weight(&m.cpus), NR_CPUS);
    assert_int_equal(cpumask_weight(&m.cpus_soft), NR_CPUS);
    assert_int_equal(m.weight, 256);
    assert_int_equal(m.cap, 0);
    assert_string_equal(m.cmdline, "");
    assert_string_equal(m.ramdisk, "");
}

static void module_all(void **state)
{
    (void)state;
    assert_int_equal(
        parse_module("name=ping vcpus=2 memory=32 pool=rt cpus=2-3 cpus_soft=3 weight=512 cap=50 "
                     "cmdline=\"a=b c=\\\"d e\\\"\" ramdisk=initrd.gz"),
        0);
    assert_string_equal(m.name, "ping");
    assert_int_equal(m.vcpus, 2);
    assert_int_equal(m.memory, 32 << 20);
    assert_string_equal(m.pool, "rt");
    assert_int_equal(m.cpus.bits[0], 0xc);
    assert_int_equal(m.cpus_soft.bits[0], 0x8);
    assert_int_equal(m.weight, 512);
    assert_int_equal(m.cap, 50);
    assert_string_equal(m.cmdline, "a=b c=\"d e\"");
    assert_string_equal(m.ramdisk, "initrd.gz");
}

static void module_aliases(void **state)
{
    (void)state;
    assert_int_equal(parse_module("cpu_weight=1 extra=quiet memory=1G"), 0);
    assert_int_equal(m.weight, 1);
    assert_string_equal(m.cmdline, "quiet");
    assert_int_equal(m.memory, 1 << 30);
}

static void module_bad(void **state)
{
    static const char *const texts[] = {
        "vcpus=0",   "vcpus=129", "memory=0",
        "memory=x",  "cpus=256",  "cpus=3-1",
        "cpus=",     "weight=0",  "weight=65536",
        "cap=-1",    "cap=12801", "name=12345678901234567890123456789012",
        "what=ever", "name",      "cmdline=\"never closed",
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(texts); i++) {
        struct module_options given, unchanged;

        assert_int_equal(parse_module(texts[i]), 1);
        assert_int_equal(nr_reported, 1);
        given = m;
        assert_int_equal(parse_module(""), 0);
        unchanged = m;
        assert_memory_equal(&given, &unchanged, sizeof(m));
    }
    assert_int_equal(parse_module("cpus=3-1"), 1);
    assert_string_equal(reported, "option 'cpus': '3-1': range '3-1' runs backwards");
    assert_int_equal(module_options_parse("x y z", &m, NULL, NULL), 3); /* no report wanted */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(usual_line),
        cmocka_unit_test(dom0_memory),
        cmocka_unit_test(console_ring),
        cmocka_unit_test(dom0_vcpus),
        cmocka_unit_test(dom0_nodes),
        cmocka_unit_test(threads),
        cmocka_unit_test(pools),
        cmocka_unit_test(pools_bad),
        cmocka_unit_test(serial),
        cmocka_unit_test(consoles),
        cmocka_unit_test(log_levels),
        cmocka_unit_test(bad_values_change_nothing),
        cmocka_unit_test(ratelimit_within_the_slice),
        cmocka_unit_test(module_defaults),
        cmocka_unit_test(module_all),
        cmocka_unit_test(module_aliases),
        cmocka_unit_test(module_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
