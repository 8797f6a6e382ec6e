/* sources: lib/cmdline.c lib/cpulist.c lib/options.c lib/number.c lib/printf.c lib/str.c */
/* SPDX-License-Identifier: MIT */
/* libFuzzer on command lines. First byte: the hypervisor's or a module's. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/cmdline.h>
#include <tarn/options.h>

static u32 nr_reported;

static void check(int ok)
{
    if (!ok) {
        abort();
    }
}

static void report(void *arg, const char *text)
{
    check(arg == &nr_reported && strlen(text) > 0 && strlen(text) < 192);
    nr_reported++;
}

static void fuzz_options(const char *text)
{
    options_parse(text, report, &nr_reported);
    check(opt.maxcpus <= NR_CPUS && opt.dom0_max_vcpus <= 128 && opt.tslice_ms >= 1);
    check(opt.loglvl <= 4 && opt.guest_loglvl <= 4 && opt.com1_baud && opt.com1_port);
    check(memchr(opt.sched, 0, sizeof(opt.sched)) != NULL);
}

static void fuzz_module(const char *text)
{
    static struct module_options m;

    nr_reported = 0;
    check(module_options_parse(text, &m, report, &nr_reported) == nr_reported);
    check(m.vcpus >= 1 && m.vcpus <= 128 && m.memory >= 1 << 20 && m.weight >= 1 &&
          m.weight <= 65535);
    check(!cpumask_empty(&m.cpus) && !cpumask_empty(&m.cpus_soft));
    check(memchr(m.name, 0, sizeof(m.name)) && memchr(m.cmdline, 0, sizeof(m.cmdline)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text;

    if (size == 0) {
        return 0;
    }
    text = malloc(size); /* the first byte's place is the terminator's */
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if (data[0] % 2) {
        fuzz_module(text);
    } else {
        fuzz_options(text);
    }
    free(text);
    return 0;
}
