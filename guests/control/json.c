/* SPDX-License-Identifier: MIT */
/*
 * json.c - JSON to the session, laid out as xl's: four blanks a level, one value a line. One text
 * at a time, from its first bracket to json_done().
 */
#include "shell.h"

#define DEPTH_MAX 32u

static struct {
    unsigned int depth;
    bool filled[DEPTH_MAX + 1]; /* something was put on that level */
    bool array[DEPTH_MAX + 1];
    bool after_key;
} json;

static void new_line(void)
{
    out("\n");
    for (unsigned int i = 0; i < json.depth; i++) {
        out("    ");
    }
}

/* What stands before a value or a key. */
static void before(void)
{
    if (json.after_key) {
        json.after_key = false;
        return;
    }
    if (json.depth) {
        out(json.filled[json.depth] ? "," : "");
        new_line();
        json.filled[json.depth] = true;
    }
}

static void open(bool array)
{
    before();
    out(array ? "[" : "{");
    json.depth = MIN(json.depth + 1, DEPTH_MAX);
    json.array[json.depth] = array;
    json.filled[json.depth] = false;
}

void json_object(void)
{
    open(false);
}

void json_array(void)
{
    open(true);
}

void json_end(void)
{
    bool array = json.array[json.depth];

    if (json.depth) {
        out(json.filled[json.depth] ? "" : "\n");
        json.depth--;
        new_line();
        out(array ? "]" : "}");
    }
}

static void quoted(const char *text)
{
    out("\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            out("\\%c", *text);
        } else if (*text == '\n') {
            out("\\n");
        } else if ((uint8_t)*text < ' ') {
            out("\\u%04x", (uint8_t)*text);
        } else {
            out("%c", *text);
        }
    }
    out("\"");
}

void json_key(const char *key)
{
    before();
    quoted(key);
    out(": ");
    json.after_key = true;
}

static void json_string(const char *text)
{
    before();
    quoted(text);
}

void json_number(int64_t n)
{
    before();
    out("%ld", n);
}

void json_text(const char *key, const char *value)
{
    if (*value) {
        json_key(key);
        json_string(value);
    }
}

void json_count(const char *key, uint64_t value)
{
    json_key(key);
    json_number((int64_t)value);
}

void json_done(void)
{
    while (json.depth) {
        json_end();
    }
    out("\n");
}
