/* SPDX-License-Identifier: MIT */
/* sources: lib/elf.c lib/printf.c */
/*
 * libFuzzer harness of the ELF parser. Build and run:
 *   clang -std=gnu11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Iinclude
 *       tests/fuzz/fuzz_elf.c lib/elf.c lib/printf.c -o fuzz_elf && ./fuzz_elf -max_total_time=60
 * CORPUS Good seeds: the guests' ELF files, and small ones such as tests/unit/test_elf.c assembles.
 */
#include <stdlib.h>
#include <string.h>

#include "elf_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[128];
    struct elf_image out;
    const char *error;

    memset(why, '#', sizeof(why));
    memset(&out, 0xa5, sizeof(out));
    error = elf_parse(data, size, &out, why, sizeof(why));
    if (error ? !*error || strnlen(error, sizeof(why)) == sizeof(why) : !elf_check(&out, size)) {
        abort();
    }
    return 0;
}
