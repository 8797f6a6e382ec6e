/* SPDX-License-Identifier: MIT */
/* sources: guests/control/ustar.c lib/str.c */
/*
 * Reading tar archives: good ones as GNU tar makes them, and damaged ones. Archives lie in memory
 * of exactly their size, so that the sanitizer sees a byte read too much.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../guests/control/ustar.h"

#define BLOCKS_MAX 64

static unsigned char archive[BLOCKS_MAX * USTAR_BLOCK];
static size_t used;

static void checksum_write(unsigned char *h)
{
    unsigned int sum = 0;

    memset(h + 148, ' ', 8);
    for (unsigned int i = 0; i < USTAR_BLOCK; i++) {
        sum += h[i];
    }
    snprintf((char *)h + 148, 8, "%06o", sum);
    h[155] = ' ';
}

/* Appends a member and returns its header. */
static unsigned char *member(const char *name, char type, const char *text)
{
    unsigned char *h = archive + used;
    size_t len = strlen(text);

    memset(h, 0, USTAR_BLOCK);
    memcpy(h, name, strlen(name) < 100 ? strlen(name) : 100);
    memcpy(h + 100, "0000644", 7);
    snprintf((char *)h + 124, 12, "%011o", (unsigned int)len);
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    h[156] = (unsigned char)type;
    checksum_write(h);
    memset(h + USTAR_BLOCK, 0, (len + 511) / 512 * 512);
    memcpy(h + USTAR_BLOCK, text, len);
    used += USTAR_BLOCK + (len + 511) / 512 * 512;
    return h;
}

static void end_mark(void)
{
    memset(archive + used, 0, 2 * USTAR_BLOCK);
    used += 2 * USTAR_BLOCK;
}

static int reset(void **state)
{
    (void)state;
    used = 0;
    return 0;
}

/* Reads the first `size` bytes to the end: how many members there were, and the last result. */
static int read_all(size_t size, int *result, struct ustar_member *last, const char **why)
{
    unsigned char *copy = malloc(size ? size : 1);
    size_t offset = 0;
    int n = 0;

    memcpy(copy, archive, size);
    while ((*result = ustar_next(copy, size, &offset, last, why)) > 0) {
        assert_true(offset <= size);
        assert_true((const unsigned char *)last->data >= copy);
        assert_true((const unsigned char *)last->data + last->size <= copy + size);
        n++;
    }
    free(copy);
    return n;
}

static void files_in_order(void **state)
{
    struct ustar_member m;
    const char *why = NULL;
    size_t offset = 0;

    (void)state;
    member("./hello.cfg", '0', "name = \"hello\"\n");
    member("empty", '\0', "");
    member("dir/", '5', "");
    member("/abs/x", '0', "abc");
    end_mark();
    assert_int_equal(ustar_next(archive, used, &offset, &m, &why), 1);
    assert_string_equal(m.name, "hello.cfg");
    assert_true(m.file);
    assert_int_equal(m.size, 15);
    assert_memory_equal(m.data, "name = \"hello\"\n", 15);
    assert_int_equal(ustar_next(archive, used, &offset, &m, &why), 1);
    assert_string_equal(m.name, "empty");
    assert_true(m.file);
    assert_int_equal(m.size, 0);
    assert_int_equal(ustar_next(archive, used, &offset, &m, &why), 1);
    assert_false(m.file);
    assert_int_equal(ustar_next(archive, used, &offset, &m, &why), 1);
    assert_string_equal(m.name, "abs/x");
    assert_int_equal(ustar_next(archive, used, &offset, &m, &why), 0);
    assert_int_equal(ustar_next(archive, used, &offset, &m, &why), 0);
}

static void no_archive_at_all(void **state)
{
    struct ustar_member m;
    const char *why = NULL;
    int result;

    (void)state;
    assert_int_equal(read_all(0, &result, &m, &why), 0);
    assert_int_equal(result, 0);
    memset(archive, 'x', sizeof(archive));
    assert_int_equal(read_all(1024, &result, &m, &why), 0);
    assert_int_equal(result, -1);
    assert_non_null(why);
    assert_int_equal(read_all(100, &result, &m, &why), 0);
    assert_int_equal(result, -1);
}

static void end_without_mark(void **state)
{
    struct ustar_member m;
    const char *why = NULL;
    int result;

    (void)state;
    member("a", '0', "1234");
    assert_int_equal(read_all(used, &result, &m, &why), 1);
    assert_int_equal(result, 0);
}

static void cut_anywhere(void **state)
{
    struct ustar_member m;
    const char *why = NULL;
    int result;

    (void)state;
    member("a", '0', "1234");
    member("b", '0', "5678");
    for (size_t size = 0; size < used; size++) {
        int n = read_all(size, &result, &m, &why);

        /* A file is there when all its bytes are; its last block need not be. */
        assert_int_equal(n, size >= 1536 + 4 ? 2 : size >= 512 + 4 ? 1 : 0);
    }
    assert_int_equal(read_all(1000, &result, &m, &why), 1);
    assert_int_equal(read_all(1030, &result, &m, &why), 1);
    assert_int_equal(result, -1);
}

static void each_byte_of_a_header_wrong(void **state)
{
    struct ustar_member m;
    const char *why = NULL;
    unsigned char *h;
    int result;

    (void)state;
    h = member("file", '0', "1234");
    for (unsigned int i = 0; i < USTAR_BLOCK; i++) {
        unsigned char old = h[i];

        if (i == 155 || i == 154) {
            continue; /* behind the checksum's digits */
        }
        h[i] = (unsigned char)(old + 1);
        assert_int_equal(read_all(used, &result, &m, &why), 0);
        assert_int_equal(result, -1);
        h[i] = old;
    }
    assert_int_equal(read_all(used, &result, &m, &why), 1);
}

static void size_must_be_octal_and_fit(void **state)
{
    static const char *const bad[] = { "77777777777", "00000000005", "8", "", "-1", "0000000000x" };
    struct ustar_member m;
    const char *why;
    int result;

    (void)state;
    for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        unsigned char *h;

        used = 0;
        h = member("file", '0', "1234");
        used = USTAR_BLOCK + 4; /* no filling behind it */
        memset(h + 124, 0, 12);
        memcpy(h + 124, bad[i], strlen(bad[i]));
        checksum_write(h);
        why = NULL;
        assert_int_equal(read_all(used, &result, &m, &why), 0);
        assert_int_equal(result, -1);
        assert_non_null(why);
    }
}

static void longest_name(void **state)
{
    struct ustar_member m;
    const char *why = NULL;
    unsigned char *h;
    size_t offset = 0;

    (void)state;
    h = member("x", '0', "");
    memset(h, 'n', 100);
    memset(h + 345, 'p', 155);
    checksum_write(h);
    assert_int_equal(ustar_next(archive, used, &offset, &m, &why), 1);
    assert_int_equal(strlen(m.name), 256);
    assert_int_equal(m.name[154], 'p');
    assert_int_equal(m.name[155], '/');
    assert_int_equal(m.name[156], 'n');
}

static void a_name_of_slashes_is_no_file(void **state)
{
    struct ustar_member m;
    const char *why = NULL;
    size_t offset = 0;

    (void)state;
    member("././", '0', "x");
    assert_int_equal(ustar_next(archive, used, &offset, &m, &why), 1);
    assert_false(m.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(files_in_order, reset),
        cmocka_unit_test_setup(no_archive_at_all, reset),
        cmocka_unit_test_setup(end_without_mark, reset),
        cmocka_unit_test_setup(cut_anywhere, reset),
        cmocka_unit_test_setup(each_byte_of_a_header_wrong, reset),
        cmocka_unit_test_setup(size_must_be_octal_and_fit, reset),
        cmocka_unit_test_setup(longest_name, reset),
        cmocka_unit_test_setup(a_name_of_slashes_is_no_file, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
