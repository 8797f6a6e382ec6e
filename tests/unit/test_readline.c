/* SPDX-License-Identifier: MIT */
/* sources: guests/control/readline.c lib/printf.c lib/str.c */
/*
 * The line editor: keys go in, and the text, the result and what a terminal would show are
 * compared. A small terminal (one row) follows what is sent, so that every sequence must leave the
 * row and the cursor right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../guests/control/readline.h"

#define PROMPT "$ "

static struct readline editor;
static char row[256]; /* of the terminal */
static size_t column, sent;

/* Takes "ESC [ number letter"; how many characters. */
static size_t terminal_escape(const char *text)
{
    char *end;
    unsigned long number = strtoul(text + 2, &end, 10);

    if (*end == 'D') {
        assert_true(number > 0 && number <= column);
        column -= number;
    } else if (*end == 'K') {
        memset(row + column, 0, sizeof(row) - column);
    } else if (*end == 'J' || *end == 'H') {
        column = *end == 'H' ? 0 : column;
    } else {
        fail_msg("the terminal does not know %c", *end);
    }
    return (size_t)(end - text) + 1;
}

static void terminal(void *arg, const char *text, size_t len)
{
    char copy[1024];

    assert_ptr_equal(arg, &row);
    assert_true(len < sizeof(copy));
    memcpy(copy, text, len);
    copy[len] = '\0';
    sent += len;
    for (size_t i = 0; i < len;) {
        if (copy[i] == '\033') {
            i += terminal_escape(copy + i);
        } else if (copy[i] == '\r') {
            column = 0;
            i++;
        } else if (copy[i] == '\a') {
            i++;
        } else {
            assert_true(copy[i] >= ' ' && copy[i] <= '~');
            row[column++] = copy[i++];
            assert_true(column < 80);
        }
    }
}

static int setup(void **state)
{
    (void)state;
    memset(row, 0, sizeof(row));
    column = sent = 0;
    readline_init(&editor, PROMPT, terminal, row);
    readline_begin(&editor);
    return 0;
}

/* The result of the last key; none before may have one. */
static enum readline_event type(const char *keys)
{
    enum readline_event event = READLINE_NONE;

    for (; *keys; keys++) {
        assert_int_equal(event, READLINE_NONE);
        event = readline_key(&editor, *keys);
    }
    return event;
}

/* Text, what is on the terminal, and where the cursor is. */
static void expect(const char *text, size_t at)
{
    char shown[256];

    assert_string_equal(readline_text(&editor), text);
    assert_int_equal(editor.len, strlen(text));
    assert_int_equal(editor.at, at);
    if (editor.first == 0 && strlen(text) < 77) {
        snprintf(shown, sizeof(shown), PROMPT "%s", text);
        assert_string_equal(row, shown);
        assert_int_equal(column, strlen(PROMPT) + at);
    }
}

/* As Enter and a new prompt do. */
static void enter(const char *line)
{
    readline_remember(&editor, line);
    memset(row, 0, sizeof(row));
    column = 0;
    readline_begin(&editor);
}

static void typing(void **state)
{
    (void)state;
    assert_int_equal(type("list"), READLINE_NONE);
    expect("list", 4);
    assert_int_equal(sent, strlen(PROMPT "list")); /* each key is echoed as itself */
    assert_int_equal(type("\r"), READLINE_DONE);
    assert_string_equal(readline_text(&editor), "list");
}

static void returns(void **state)
{
    (void)state;
    assert_int_equal(type("a\r"), READLINE_DONE);
    enter("a");
    assert_int_equal(type("\n"), READLINE_NONE); /* belongs to the \r */
    assert_int_equal(type("\n"), READLINE_DONE);
    enter("");
    assert_int_equal(type("b\n"), READLINE_DONE);
    assert_string_equal(readline_text(&editor), "b");
}

static void results(void **state)
{
    (void)state;
    assert_int_equal(type("\t"), READLINE_COMPLETE);
    assert_int_equal(type("\003"), READLINE_INTERRUPT);
    assert_int_equal(type("\004"), READLINE_END);
    assert_int_equal(type("ab\001\004"), READLINE_NONE); /* ^D deletes here */
    expect("b", 0);
}

static void moving(void **state)
{
    (void)state;
    type("abc");
    type("\033[D");
    expect("abc", 2);
    type("\033[D\033[D\033[D\033[D");
    expect("abc", 0);
    type("\033[C");
    expect("abc", 1);
    type("\033[F");
    expect("abc", 3);
    type("\033[C");
    expect("abc", 3);
    type("\033[H");
    expect("abc", 0);
    type("\033OF");
    expect("abc", 3);
    type("\033OD\033[1~");
    expect("abc", 0);
    type("\033[4~\033[7~\033[8~");
    expect("abc", 3);
    type("\001\005\002\002\006");
    expect("abc", 2);
}

static void inserting_and_deleting(void **state)
{
    (void)state;
    type("ac\033[Db");
    expect("abc", 2);
    type("\177");
    expect("ac", 1);
    type("\b");
    expect("c", 0);
    type("\177");
    expect("c", 0);
    type("\033[3~");
    expect("", 0);
    type("\033[3~\177\b");
    expect("", 0);
}

static void words(void **state)
{
    (void)state;
    type("one two  three");
    type("\033b");
    expect("one two  three", 9);
    type("\033[1;5D");
    expect("one two  three", 4);
    type("\033[1;5C");
    expect("one two  three", 7);
    type("\033f");
    expect("one two  three", 14);
    type("\027");
    expect("one two  ", 9);
    type("\027");
    expect("one ", 4);
    type("\031"); /* ^Y: what was taken last */
    expect("one two  ", 9);
    type("\033b\033d");
    expect("one   ", 4);
    type("\033\177");
    expect("  ", 0);
    type("\027\033b\033f");
    expect("  ", 2);
}

static void killing(void **state)
{
    (void)state;
    type("one two\033b\013");
    expect("one ", 4);
    type("\025");
    expect("", 0);
    type("\031\031");
    expect("one one ", 8);
    type("\013\025\013");
    expect("", 0);
}

static void history(void **state)
{
    (void)state;
    enter("first");
    enter("second");
    enter("second");
    enter("");
    type("new");
    type("\033[A");
    expect("second", 6);
    type("\033[A");
    expect("first", 5);
    type("\033[A");
    expect("first", 5);
    type("\033[B\033[B");
    expect("new", 3);
    type("\033[B");
    expect("new", 3);
    type("\020\020x\r");
    assert_string_equal(readline_text(&editor), "firstx");
    enter("firstx");
    type("\033OA\033OA\033OA"); /* what was recalled did not change */
    expect("first", 5);
}

static void history_goes_round(void **state)
{
    char line[16];

    (void)state;
    for (unsigned int i = 0; i < 100; i++) {
        snprintf(line, sizeof(line), "line %u", i);
        enter(line);
    }
    for (unsigned int i = 0; i < READLINE_HISTORY + 5; i++) {
        type("\020");
    }
    expect("line 36", 7);
    for (unsigned int i = 0; i < READLINE_HISTORY; i++) {
        type("\016");
    }
    expect("", 0);
}

static void longer_than_the_terminal(void **state)
{
    char line[READLINE_SIZE + 100];

    (void)state;
    for (unsigned int i = 0; i < sizeof(line) - 1; i++) {
        line[i] = (char)('a' + i % 26);
    }
    line[sizeof(line) - 1] = '\0';
    assert_int_equal(type(line), READLINE_NONE);
    line[READLINE_SIZE - 1] = '\0';
    expect(line, READLINE_SIZE - 1); /* the rest had no room */
    assert_true(editor.first > 0);
    type("\001");
    assert_int_equal(editor.first, 0);
    assert_int_equal(column, strlen(PROMPT));
    assert_memory_equal(row, PROMPT "abcdef", 8);
    type("\005\025");
    expect("", 0);
    readline_insert(&editor, line);
    readline_insert(&editor, line);
    assert_int_equal(editor.len, READLINE_SIZE - 1);
}

static void nonsense(void **state)
{
    (void)state;
    type("a\033[999999999999999C"); /* a huge number is no harm */
    expect("a", 1);
    type("\033[;;;;;;;;;~\033[5~\033[200~\033Oq\033x");
    expect("a", 1);
    type("\033\033[D");
    expect("a", 0);
    type("\x80\xff\xc3\xa4\001\007\016\035");
    expect("a", 0);
    type("\033[\r"); /* breaks off the sequence */
    expect("a", 0);
    srand(1);
    for (unsigned int i = 0; i < 200000; i++) {
        static const char keys[] = "ab \033[ABCDHFO~;135bfd\177\b\001\005\013\025\027\031\020\016";
        char key = keys[(unsigned int)rand() % (sizeof(keys) - 1)];

        if (rand() % 50 == 0) {
            key = (char)rand();
        }
        if (key == 12) {
            continue; /* the whole screen */
        }
        if (readline_key(&editor, key) == READLINE_DONE) {
            enter(readline_text(&editor));
        }
        assert_true(editor.at <= editor.len && editor.len < READLINE_SIZE);
        assert_int_equal(strlen(readline_text(&editor)), editor.len);
        assert_int_equal(column, strlen(PROMPT) + editor.at - editor.first);
    }
}

static void shown_again(void **state)
{
    (void)state;
    type("abc\033[D");
    readline_hide(&editor);
    assert_string_equal(row, "");
    strcpy(row, "news of others");
    column = 14;
    readline_show(&editor);
    expect("abc", 2);
    type("\014");
    expect("abc", 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(typing, setup),
        cmocka_unit_test_setup(returns, setup),
        cmocka_unit_test_setup(results, setup),
        cmocka_unit_test_setup(moving, setup),
        cmocka_unit_test_setup(inserting_and_deleting, setup),
        cmocka_unit_test_setup(words, setup),
        cmocka_unit_test_setup(killing, setup),
        cmocka_unit_test_setup(history, setup),
        cmocka_unit_test_setup(history_goes_round, setup),
        cmocka_unit_test_setup(longer_than_the_terminal, setup),
        cmocka_unit_test_setup(nonsense, setup),
        cmocka_unit_test_setup(shown_again, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
