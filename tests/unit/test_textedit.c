/* SPDX-License-Identifier: MIT */
/* sources: guests/control/textedit.c guests/control/configtext.c lib/printf.c lib/str.c */
/* The definition editor: a key gets another value or goes, and all else stays byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../../guests/control/textedit.h"

/* What becomes of a text, in buffers of just its size. */
static void edit(const char *text, const char *key, const char *value, const char *wanted)
{
    size_t size = strlen(text), room = strlen(wanted), n;
    char *copy = malloc(size ? size : 1), *to = malloc(room ? room : 1);

    memcpy(copy, text, size);
    n = text_edit(copy, size, key, value, to, room);
    assert_int_equal(n, room);
    assert_memory_equal(to, wanted, room);
    free(copy);
    free(to);
}

static void replaces_a_value_and_keeps_the_rest(void **state)
{
    (void)state;
    edit("vcpus=2\n", "vcpus", "3", "vcpus=3\n");
    edit("a = 1\nvcpus = 2 # two\nb = 3", "vcpus", "10", "a = 1\nvcpus = 10 # two\nb = 3");
    edit("# vcpus = 7\nvcpus = 2;b=1\n", "vcpus", "3", "# vcpus = 7\nvcpus = 3;b=1\n");
    edit("a=1; vcpus=2 ; b=3\n", "vcpus", "4", "a=1; vcpus=4 ; b=3\n");
    edit("x = \"vcpus = 2\"\nvcpus = 2\n", "vcpus", "3", "x = \"vcpus = 2\"\nvcpus = 3\n");
    edit("x = \"a\\\"; vcpus = 2\"\nvcpus=2", "vcpus", "3", "x = \"a\\\"; vcpus = 2\"\nvcpus=3");
    edit("maxvcpus=4\nvcpus=2\n", "vcpus", "3", "maxvcpus=4\nvcpus=3\n");
    edit("vcpus=2\nvcpusx=4\n", "vcpusx", "3", "vcpus=2\nvcpusx=3\n");
}

static void replaces_lists_over_lines(void **state)
{
    (void)state;
    edit("pin = [\"0:1\", # first\n  \"1:2\"\n] # end\nb=1\n", "pin", "[\"0:3\"]",
         "pin = [\"0:3\"] # end\nb=1\n");
    edit("x = [ \"pin = 1\" ]\npin='2'\n", "pin", "'3'", "x = [ \"pin = 1\" ]\npin='3'\n");
    edit("x = [1,\npin\n]\n", "b", "2", "x = [1,\npin\n]\nb = 2\n");
}

static void appends_a_new_key(void **state)
{
    (void)state;
    edit("", "a", "1", "a = 1\n");
    edit("b=2", "a", "1", "b=2\na = 1\n");
    edit("b=2 # a=3", "a", "1", "b=2 # a=3\na = 1\n");
    edit("b=2\n\n", "a", "\"x\"", "b=2\n\na = \"x\"\n");
}

static void takes_a_key_out(void **state)
{
    (void)state;
    edit("a=1\nb=2\nc=3\n", "b", NULL, "a=1\nc=3\n");
    edit("a=1\n  b = 2  \nc=3\n", "b", NULL, "a=1\nc=3\n");
    edit("b=2", "b", NULL, "");
    edit("b=2\n", "b", NULL, "");
    edit("b=2;c=3\n", "b", NULL, "c=3\n");
    edit("a=1; b=2; c=3\n", "b", NULL, "a=1;c=3\n");
    edit("a=1; b=2\nc=3\n", "b", NULL, "a=1;\nc=3\n");
    edit("a=1\nb=2 # why\nc=3\n", "b", NULL, "a=1\n# why\nc=3\n");
    edit("b=[\"1\",\n\"2\"]\nc=3\n", "b", NULL, "c=3\n");
    edit("a=1\n", "b", NULL, "a=1\n");
    edit("", "b", NULL, "");
}

static void tells_how_much_room_it_needs(void **state)
{
    char to[4] = "abc";

    (void)state;
    assert_int_equal(text_edit("a=1\n", 4, "a", "23", to, 4), 5);
    assert_int_equal(text_edit("a=1\n", 4, "b", "2", to, 0), 10);
    assert_int_equal(text_edit("a=1\n", 4, "a", "2", to, 4), 4);
    assert_memory_equal(to, "a=2\n", 4);
}

static void knows_which_keys_are_there(void **state)
{
    static const char text[] = "# a = 1\nb = 2; c = [\"d = 1\"]\ne=\"f=2\"";

    (void)state;
    assert_true(text_has_key(text, strlen(text), "b"));
    assert_true(text_has_key(text, strlen(text), "c"));
    assert_true(text_has_key(text, strlen(text), "e"));
    assert_false(text_has_key(text, strlen(text), "a"));
    assert_false(text_has_key(text, strlen(text), "d"));
    assert_false(text_has_key(text, strlen(text), "f"));
    assert_false(text_has_key(text, strlen(text), ""));
    assert_false(text_has_key("", 0, "b"));
}

/* What no file has that was defined: it ends, and nothing is read beyond. */
static void survives_what_is_no_file(void **state)
{
    static const char *const texts[] = { "=",   "= =",      "a",   "a=",      "a=\"",
                                         "a=[", "a=[\"x\"", "[",   "]",       ";;;",
                                         "\"",  "a==b",     "1=2", "a=1 b=2", "a=[1,,2]\nb=1",
                                         "-",   "a=\"\\" };
    char to[64];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t size = strlen(texts[i]);
        char *copy = malloc(size);

        memcpy(copy, texts[i], size);
        text_edit(copy, size, "b", "5", to, sizeof(to));
        text_edit(copy, size, "b", NULL, to, sizeof(to));
        text_edit(copy, size, "a", NULL, to, sizeof(to));
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replaces_a_value_and_keeps_the_rest),
        cmocka_unit_test(replaces_lists_over_lines),
        cmocka_unit_test(appends_a_new_key),
        cmocka_unit_test(takes_a_key_out),
        cmocka_unit_test(tells_how_much_room_it_needs),
        cmocka_unit_test(knows_which_keys_are_there),
        cmocka_unit_test(survives_what_is_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
