/* SPDX-License-Identifier: MIT */
/*
 * configtext.c - see configtext.h: comments from '#', values numbers, strings in quotes and lists
 * in brackets. Pure; it owns nothing.
 */
#include "configtext.h"

#define MESSAGE_SIZE 256u

/* ---- messages ---- */

bool reader_wrong(struct reader *r, const char *format, ...)
{
    char text[MESSAGE_SIZE];
    va_list args;
    int n = r->line ? fmt_snprintf(text, sizeof(text), "%.*s:%u: ", 2 * SHOWN, r->file, r->line)
                    : fmt_snprintf(text, sizeof(text), "command line: ");

    va_start(args, format);
    fmt_vsnprintf(text + n, sizeof(text) - (size_t)n, format, args);
    va_end(args);
    r->errors++;
    r->report(r->arg, text);
    return false;
}

/* ---- characters ---- */

bool reader_at_end(const struct reader *r)
{
    return r->here.at == r->here.end;
}

char reader_look(const struct reader *r)
{
    return reader_at_end(r) ? '\n' : *r->here.at;
}

char reader_take(struct reader *r)
{
    char c = reader_look(r);

    if (!reader_at_end(r)) {
        r->here.at++;
        if (c == '\n' && r->here.line) {
            r->here.line++;
        }
    }
    return c;
}

void reader_skip_line(struct reader *r)
{
    while (reader_look(r) != '\n') {
        reader_take(r);
    }
}

void reader_skip_blanks(struct reader *r, bool lines)
{
    while (!reader_at_end(r)) {
        char c = reader_look(r);

        if (is_blank(c) || (lines && c == '\n')) {
            reader_take(r);
        } else if (lines && c == '#') {
            reader_skip_line(r);
        } else {
            return;
        }
    }
}

/* ---- names ---- */

static bool is_name_char(char c)
{
    return is_word(c) || c == '-' || c == '.' || c == '+' || c == ':';
}

const char *name_wrong(const char *name)
{
    size_t digits = 0, n = strlen(name);

    if (!n) {
        return "is empty";
    }
    if (n >= NAME_SIZE) {
        return "is longer than 31 characters";
    }
    if (*name == '-') {
        return "begins with '-'";
    }
    for (const char *s = name; *s; s++) {
        if (!is_name_char(*s)) {
            return "has characters other than letters, digits and -_.+:";
        }
        digits += is_digit(*s);
    }
    return digits == n ? "is a number" : NULL;
}

/* ---- values ---- */

static bool add(struct value *v, size_t *n, char c)
{
    if (*n + 1 >= sizeof(v->text)) {
        return false;
    }
    v->text[(*n)++] = c;
    return true;
}

/* What stands behind a backslash. */
static bool take_escape(struct reader *r, char *c)
{
    *c = reader_take(r);
    switch (*c) {
    case '\\':
    case '"':
    case '\'':
        return true;
    case 'n':
        *c = '\n';
        return true;
    case 't':
        *c = '\t';
        return true;
    default:
        return reader_wrong(r, "unknown escape \\%c in a string", *c == '\n' ? ' ' : *c);
    }
}

static bool take_string(struct reader *r, struct value *v)
{
    char quote = reader_take(r);
    size_t n = 0;

    v->type = STRING;
    while (reader_look(r) != quote) {
        char c = reader_look(r);

        if (c == '\n') {
            return reader_wrong(r, "string without end");
        }
        reader_take(r);
        if (c == '\\' && !take_escape(r, &c)) {
            return false;
        }
        if (!add(v, &n, c)) {
            return reader_wrong(r, "string longer than %u characters", TEXT_SIZE - 1);
        }
    }
    reader_take(r);
    v->text[n] = '\0';
    return true;
}

/* A number, or what should have been one. */
static bool take_word(struct reader *r, struct value *v)
{
    size_t n = 0;

    v->type = WORD;
    while (is_word(reader_look(r)) || reader_look(r) == '-' || reader_look(r) == '+' ||
           reader_look(r) == '.') {
        if (!add(v, &n, reader_take(r))) {
            return reader_wrong(r, "word longer than %u characters", TEXT_SIZE - 1);
        }
    }
    v->text[n] = '\0';
    return true;
}

static bool begins_word(char c)
{
    return is_word(c) || c == '-' || c == '+';
}

bool reader_item(struct reader *r)
{
    char c;

    reader_skip_blanks(r, true);
    c = reader_look(r);
    if (reader_at_end(r)) {
        return reader_wrong(r, "list without end");
    }
    if (c == ']') {
        reader_take(r);
        return false;
    }
    if (c == '"' || c == '\'') {
        if (!take_string(r, &r->item)) {
            return false;
        }
    } else if (!is_digit(c)) {
        return reader_wrong(r, "in a list there can only be numbers and strings in quotes");
    } else if (!take_word(r, &r->item)) {
        return false;
    }
    reader_skip_blanks(r, true);
    c = reader_look(r);
    if (c == ',') {
        reader_take(r);
    } else if (c != ']' && !reader_at_end(r)) {
        return reader_wrong(r, "in a list there must be a comma between two items");
    }
    return true;
}

/* To the end of a list that is wrong, so that its lines aren't taken for statements. */
static void skip_list(struct reader *r)
{
    const char *s = r->here.at;

    while (s < r->here.end && *s != ']') {
        s++;
    }
    while (s < r->here.end && r->here.at <= s) {
        reader_take(r);
    }
}

/* Passes over a list and checks its form; its items are taken when its key knows what for. */
static bool take_list(struct reader *r, struct value *v)
{
    unsigned int errors = r->errors;

    reader_take(r);
    v->type = LIST;
    v->items = r->here;
    while (reader_item(r)) {
    }
    if (r->errors != errors) {
        skip_list(r);
    }
    return r->errors == errors;
}

/* In an override a value may stand without quotes: it is all that there is. */
static bool take_bare(struct reader *r, struct value *v)
{
    size_t n = 0;

    v->type = WORD;
    while (!reader_at_end(r)) {
        if (!add(v, &n, reader_take(r))) {
            return reader_wrong(r, "value longer than %u characters", TEXT_SIZE - 1);
        }
    }
    v->text[n] = '\0';
    return true;
}

bool reader_value(struct reader *r, const char *key, struct value *v)
{
    char c = reader_look(r);

    if (c == '"' || c == '\'') {
        return take_string(r, v);
    }
    if (c == '[') {
        return take_list(r, v);
    }
    if (c == '\n' || c == '#' || c == ';') {
        return reader_wrong(r, "%s: its value is missing", key);
    }
    if (r->override) {
        return take_bare(r, v);
    }
    if (begins_word(c)) {
        return take_word(r, v);
    }
    return reader_wrong(r, "%s: a value is a number, a string in quotes or a list in brackets",
                        key);
}
