/* sources: arch/x86/boot/multiboot.c lib/str.c */
/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer on the boot loader's information. First byte: which protocol. Multiboot 1: the rest is
 * memory from INFO on, with zeros behind it. Multiboot 2: the rest is the information, its total
 * size set to what there is.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/boot_info.h>
#include <x86/multiboot.h>

#define INFO 0x1000u
#define ARENA_SIZE 0x40000u
#define MARGIN 0x20000u /* more than the parser may read at one pointer */

static u8 arena[ARENA_SIZE];
static u8 *mb2;

static const void *phys_to_virt(paddr_t pa)
{
    if (mb2) {
        return pa == INFO ? mb2 : NULL;
    }
    return pa < ARENA_SIZE - MARGIN ? arena + pa : NULL;
}

static void check(int ok)
{
    if (!ok) {
        abort();
    }
}

static void check_result(const struct boot_info *bi, const char *err)
{
    const struct boot_region *r = bi->region;

    check(bi->nr_regions <= BOOT_MAX_REGIONS && bi->nr_modules <= BOOT_MAX_MODULES);
    check(strlen(bi->cmdline) < ARENA_SIZE && strlen(bi->loader) < ARENA_SIZE);
    for (u32 i = 0; i < bi->nr_modules; i++) {
        check(bi->module[i].start <= bi->module[i].end);
        check(strlen(boot_string_args(bi->module[i].string)) < ARENA_SIZE);
    }
    for (u32 i = 0; i < bi->nr_regions; i++) {
        check(r[i].start < r[i].end && (i == 0 || r[i - 1].end <= r[i].start));
        check(r[i].type >= BOOT_RAM && r[i].type <= BOOT_BAD);
        check(err || r[i].type != BOOT_RAM || (r[i].start | r[i].end) % PAGE_SIZE == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct boot_info bi;
    const char *err;

    if (size < 1 + sizeof(struct mb2_info) || size > ARENA_SIZE - MARGIN - INFO) {
        return 0;
    }
    if (data[0] & 1) {
        u32 total = (u32)size - 1;

        mb2 = malloc(total);
        memcpy(mb2, data + 1, total);
        memcpy(mb2, &total, sizeof(total));
        err = boot_info_parse(MB2_BOOT_MAGIC, INFO, phys_to_virt, &bi);
    } else {
        memset(arena, 0, sizeof(arena));
        memcpy(arena + INFO, data + 1, size - 1);
        err = boot_info_parse(MB1_BOOT_MAGIC, INFO, phys_to_virt, &bi);
    }
    check_result(&bi, err);
    free(mb2);
    mb2 = NULL;
    return 0;
}
