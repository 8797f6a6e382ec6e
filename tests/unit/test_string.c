/* SPDX-License-Identifier: MIT */
/* sources: lib/str.c */
/*
 * string.c against the C library. It is included with its names changed, since the sanitizer and
 * cmocka need the C library's own functions. Buffers have guard bytes: the sanitizer does not see
 * what string instructions write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <tarn/lib.h>

void *tarn_memcpy(void *dst, const void *src, size_t n);
void *tarn_memmove(void *dst, const void *src, size_t n);
void *tarn_memset(void *dst, int c, size_t n);
int tarn_memcmp(const void *a, const void *b, size_t n);
size_t tarn_strlen(const char *s);
size_t tarn_strnlen(const char *s, size_t max);
int tarn_strcmp(const char *a, const char *b);
int tarn_strncmp(const char *a, const char *b, size_t n);
char *tarn_strchr(const char *s, int c);

#define memcpy tarn_memcpy
#define memmove tarn_memmove
#define memset tarn_memset
#define memcmp tarn_memcmp
#define strlen tarn_strlen
#define strnlen tarn_strnlen
#define strcmp tarn_strcmp
#define strncmp tarn_strncmp
#define strchr tarn_strchr
#include "../../lib/string.c"
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr

#define ROOM 400
#define LEN_MAX 300

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void fill(u8 *p, size_t n, u32 start)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (u8)(start + i * 7 + (i >> 8));
    }
}

static void test_memcpy(void **state)
{
    u8 src[ROOM], got[ROOM], want[ROOM];

    (void)state;
    for (size_t n = 0; n <= LEN_MAX; n++) {
        for (size_t to = 0; to < 9; to++) {
            size_t from = (n + to * 3) % 9;

            fill(src, ROOM, 1);
            fill(got, ROOM, 99);
            memcpy(want, got, ROOM);
            memcpy(want + to, src + from, n);
            assert_ptr_equal(tarn_memcpy(got + to, src + from, n), got + to);
            assert_memory_equal(got, want, ROOM);
        }
    }
}

/* All distances around the lengths of a word and of a string instruction, both directions. */
static void test_memmove(void **state)
{
    u8 got[ROOM], want[ROOM];

    (void)state;
    for (size_t n = 0; n <= 200; n++) {
        for (size_t to = 0; to <= 100; to++) {
            size_t from = 50;

            fill(got, ROOM, 3);
            fill(want, ROOM, 3);
            memmove(want + to, want + from, n);
            assert_ptr_equal(tarn_memmove(got + to, got + from, n), got + to);
            assert_memory_equal(got, want, ROOM);
        }
    }
}

static void test_memset(void **state)
{
    static const int values[] = { 0, 0xff, 0x1a5, -1, 7 };
    u8 got[ROOM], want[ROOM];

    (void)state;
    for (size_t n = 0; n <= LEN_MAX; n++) {
        for (size_t to = 0; to < 9; to++) {
            int c = values[(n + to) % ARRAY_SIZE(values)];

            fill(got, ROOM, 5);
            fill(want, ROOM, 5);
            memset(want + to, c, n);
            assert_ptr_equal(tarn_memset(got + to, c, n), got + to);
            assert_memory_equal(got, want, ROOM);
        }
    }
}

static void test_memcmp(void **state)
{
    u8 a[64], b[64];

    (void)state;
    for (size_t n = 0; n <= sizeof(a); n++) {
        fill(a, sizeof(a), 11);
        memcpy(b, a, sizeof(b));
        assert_int_equal(tarn_memcmp(a, b, n), 0);
        for (size_t at = 0; at < sizeof(a); at++) {
            b[at] ^= 0x80;
            assert_int_equal(sign(tarn_memcmp(a, b, n)), sign(memcmp(a, b, n)));
            assert_int_equal(sign(tarn_memcmp(b, a, n)), sign(memcmp(b, a, n)));
            b[at] ^= 0x80;
        }
    }
    /* The first difference counts, and bytes are unsigned. */
    assert_true(tarn_memcmp("aaaaaaab\xff", "aaaaaaac\x01", 9) < 0);
    assert_true(tarn_memcmp("\xff", "\x01", 1) > 0);
}

/* In memory of exactly its size, so that a byte read behind the end is found. */
static char *exact(const char *s, size_t n)
{
    char *p = malloc(n ? n : 1);

    assert_non_null(p);
    memcpy(p, s, n);
    return p;
}

static void test_exact_reads(void **state)
{
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        char text[40], *a, *b;

        memset(text, 'x', sizeof(text));
        a = exact(text, n);
        b = exact(text, n);
        assert_int_equal(tarn_memcmp(a, b, n), 0);
        assert_int_equal(tarn_strnlen(a, n), n);
        assert_int_equal(tarn_strncmp(a, b, n), 0);
        free(b);
        text[n] = '\0';
        b = exact(text, n + 1);
        assert_int_equal(tarn_strlen(b), n);
        assert_int_equal(tarn_strnlen(b, SIZE_MAX), n);
        assert_ptr_equal(tarn_strchr(b, 0), b + n);
        assert_null(tarn_strchr(b, 'y'));
        assert_int_equal(tarn_strcmp(b, b), 0);
        free(a);
        free(b);
    }
}

static void test_strcmp(void **state)
{
    static const char *const s[] = { "", "a", "ab", "abc", "abd", "b", "\xff", "A", "ab\x80" };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
        for (size_t k = 0; k < ARRAY_SIZE(s); k++) {
            assert_int_equal(sign(tarn_strcmp(s[i], s[k])), sign(strcmp(s[i], s[k])));
            for (size_t n = 0; n < 5; n++) {
                assert_int_equal(sign(tarn_strncmp(s[i], s[k], n)), sign(strncmp(s[i], s[k], n)));
            }
        }
    }
}

static void test_strchr(void **state)
{
    const char *s = "a=b=\xe9";

    (void)state;
    assert_ptr_equal(tarn_strchr(s, '='), s + 1);
    assert_ptr_equal(tarn_strchr(s, 'a'), s);
    assert_ptr_equal(tarn_strchr(s, 0xe9), s + 4);
    assert_ptr_equal(tarn_strchr(s, '=' + 256), s + 1);
    assert_null(tarn_strchr(s, 'z'));
}

static void test_str_copy(void **state)
{
    char buf[8];

    (void)state;
    for (size_t size = 0; size <= sizeof(buf); size++) {
        memset(buf, '#', sizeof(buf));
        assert_int_equal(str_copy(buf, "12345", size), 5);
        if (size) {
            assert_int_equal(strlen(buf), MIN(size - 1, 5UL));
            assert_memory_equal(buf, "12345", MIN(size - 1, 5UL));
        }
        for (size_t i = MIN(size, 6UL); i < sizeof(buf); i++) {
            assert_int_equal(buf[i], '#');
        }
    }
    assert_int_equal(str_copy(buf, "", sizeof(buf)), 0);
    assert_string_equal(buf, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memcpy),      cmocka_unit_test(test_memmove),
        cmocka_unit_test(test_memset),      cmocka_unit_test(test_memcmp),
        cmocka_unit_test(test_exact_reads), cmocka_unit_test(test_strcmp),
        cmocka_unit_test(test_strchr),      cmocka_unit_test(test_str_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
