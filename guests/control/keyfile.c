/* SPDX-License-Identifier: MIT */
/*
 * keyfile.c - see keyfile.h: takes in all of a file, reports each thing that is wrong, and hands
 * the values of known keys to their owner. Pure; it owns nothing.
 */
#include "keyfile.h"

#include <tarn/number.h>

#define LINE_LENGTH_MAX 2048u
#define KEY_SIZE 32u

/* ---- numbers ---- */

bool keyfile_number(struct keyfile *k, unsigned int key, uint64_t min, uint64_t max,
                    const char *unit, uint64_t *value)
{
    const struct value *v = &k->value;
    const char *name = k->names[key], *text = v->text;
    uint64_t n;

    if (v->type == LIST) {
        return reader_wrong(&k->r, "%s: must be a number, not a list", name);
    }
    if (*text == '-' && uint_parse_clamped(text + 1, &n)) {
        return reader_wrong(&k->r, "%s: must not be negative", name);
    }
    if (!uint_parse_clamped(text, &n)) {
        return reader_wrong(&k->r, "%s: '%.*s' is not a number", name, SHOWN, text);
    }
    if (n < min) {
        return reader_wrong(&k->r, "%s: must be at least %lu%s", name, min, unit);
    }
    if (n > max) {
        return reader_wrong(&k->r, "%s: must be at most %lu%s", name, max, unit);
    }
    *value = n;
    return true;
}

/* ---- strings ---- */

bool keyfile_is_text(struct keyfile *k, unsigned int key, size_t size)
{
    const struct value *v = &k->value;

    if (v->type == LIST || (v->type == WORD && !k->r.override)) {
        return reader_wrong(&k->r, "%s: must be a string in quotes", k->names[key]);
    }
    if (strlen(v->text) >= size) {
        return reader_wrong(&k->r, "%s: longer than %lu characters", k->names[key], size - 1);
    }
    return true;
}

bool keyfile_text(struct keyfile *k, unsigned int key, char *to, size_t size)
{
    if (!keyfile_is_text(k, key, size)) {
        return false;
    }
    str_copy(to, k->value.text, size);
    return true;
}

bool keyfile_path(struct keyfile *k, unsigned int key, char *to, size_t size)
{
    if (!keyfile_text(k, key, to, size)) {
        return false;
    }
    return *to ? true : reader_wrong(&k->r, "%s: is empty", k->names[key]);
}

/* "a, b, c" */
static void words_list(const char *const *words, char *to, size_t size)
{
    int n = 0;

    for (*to = '\0'; *words && (size_t)n < size; words++) {
        n += fmt_snprintf(to + n, size - (size_t)n, n ? ", %s" : "%s", *words);
    }
}

bool keyfile_choice(struct keyfile *k, unsigned int key, const char *const *words,
                    unsigned int *which)
{
    char text[SHOWN], all[128];

    if (!keyfile_text(k, key, text, sizeof(text))) {
        return false;
    }
    for (unsigned int i = 0; words[i]; i++) {
        if (strcmp(text, words[i]) == 0) {
            *which = i;
            return true;
        }
    }
    words_list(words, all, sizeof(all));
    return reader_wrong(&k->r, "%s: '%s' is none of %s", k->names[key], text, all);
}

static bool join_items(struct keyfile *k, unsigned int key, char *to, size_t size)
{
    unsigned int errors = k->r.errors;
    size_t n = 0;

    *to = '\0';
    while (reader_item(&k->r)) {
        size_t len = strlen(k->r.item.text);

        if (n + len + 2 > size) {
            return reader_wrong(&k->r, "%s: longer than %lu characters", k->names[key], size - 1);
        }
        if (n) {
            to[n++] = ',';
        }
        memcpy(to + n, k->r.item.text, len + 1);
        n += len;
    }
    return k->r.errors == errors;
}

bool keyfile_joined(struct keyfile *k, unsigned int key, char *to, size_t size)
{
    struct place behind = k->r.here;
    bool good;

    if (k->value.type != LIST) {
        return keyfile_text(k, key, to, size);
    }
    k->r.here = k->value.items;
    good = join_items(k, key, to, size);
    k->r.here = behind;
    return good;
}

/* ---- names of keys ---- */

/* How many letters must be changed, added or left out to make b of a. */
static unsigned int distance(const char *a, const char *b)
{
    unsigned int row[KEY_SIZE + 1], n = (unsigned int)strlen(b);

    for (unsigned int j = 0; j <= n; j++) {
        row[j] = j;
    }
    for (unsigned int i = 1; *a; a++, i++) {
        unsigned int corner = row[0];

        row[0] = i;
        for (unsigned int j = 1; j <= n; j++) {
            unsigned int change = corner + (*a != b[j - 1]);

            corner = row[j];
            row[j] = MIN(MIN(row[j], row[j - 1]) + 1, change);
        }
    }
    return row[n];
}

static bool unknown_key(struct keyfile *k, const char *name)
{
    unsigned int best = 3;
    const char *near = NULL;

    for (size_t i = 0; i < k->keys; i++) {
        unsigned int far = distance(name, k->names[i]);

        if (far < best && far < strlen(k->names[i])) {
            best = far;
            near = k->names[i];
        }
    }
    if (near) {
        return reader_wrong(&k->r, "unknown key '%s', is '%s' meant?", name, near);
    }
    return reader_wrong(&k->r, "unknown key '%s'", name);
}

static unsigned int key_find(const struct keyfile *k, const char *name)
{
    unsigned int key = 0;

    while (key < k->keys && strcmp(k->names[key], name)) {
        key++;
    }
    return key;
}

/* ---- statements ---- */

static bool take_key(struct keyfile *k, char name[KEY_SIZE])
{
    size_t n = 0;
    char c = reader_look(&k->r);

    if (!is_word(c) || is_digit(c)) {
        if (c > ' ' && c < 0x7f) {
            return reader_wrong(&k->r, "a key is wanted, and there is '%c'", c);
        }
        return reader_wrong(&k->r, "a key is wanted, and there is byte 0x%02x", (uint8_t)c);
    }
    while (is_word(reader_look(&k->r))) {
        if (n + 1 == KEY_SIZE) {
            return reader_wrong(&k->r, "key longer than %u characters", KEY_SIZE - 1);
        }
        name[n++] = reader_take(&k->r);
    }
    name[n] = '\0';
    reader_skip_blanks(&k->r, false);
    if (reader_look(&k->r) != '=') {
        return reader_wrong(&k->r, "%s: there is no '=' behind it", name);
    }
    reader_take(&k->r);
    reader_skip_blanks(&k->r, false);
    return true;
}

/* Nothing may stand between a value and the statement's end. */
static bool take_statement_end(struct keyfile *k, const char *name)
{
    char c;

    reader_skip_blanks(&k->r, false);
    c = reader_look(&k->r);
    if (c != '\n' && c != ';' && c != '#') {
        return reader_wrong(&k->r, "%s: there is text behind its value", name);
    }
    return true;
}

/* A key may stand in a file once; an override wins over the file. */
static bool note_key(struct keyfile *k, unsigned int key)
{
    bool *seen = k->r.override ? k->again : k->seen;

    if (seen[key]) {
        if (k->r.override || !k->lines[key]) {
            return reader_wrong(&k->r, "%s: given twice", k->names[key]);
        }
        return reader_wrong(&k->r, "%s: given twice, first in line %u", k->names[key],
                            k->lines[key]);
    }
    seen[key] = true;
    k->lines[key] = k->r.line;
    return true;
}

static bool take_statement(struct keyfile *k)
{
    char name[KEY_SIZE];
    struct place at;
    unsigned int key;

    if (!take_key(k, name)) {
        return false;
    }
    key = key_find(k, name);
    at = k->r.here;
    if (!reader_value(&k->r, name, &k->value) || !take_statement_end(k, name)) {
        if (key < k->keys) {
            k->seen[key] = true; /* it is there, even if nobody knows what it says */
            k->lines[key] = k->r.line;
        }
        return false;
    }
    if (key == k->keys) {
        return unknown_key(k, name);
    }
    return note_key(k, key) && k->apply(k->owner, key, &at);
}

static void take_statements(struct keyfile *k)
{
    for (;;) {
        unsigned int errors;

        reader_skip_blanks(&k->r, true);
        if (reader_at_end(&k->r)) {
            return;
        }
        if (reader_look(&k->r) == ';') {
            reader_take(&k->r);
            continue;
        }
        k->r.line = k->r.here.line;
        errors = k->r.errors;
        take_statement(k);
        /* Behind what is wrong there may be anything; of what is right nothing is left here. */
        if (k->r.errors != errors && reader_look(&k->r) != ';') {
            reader_skip_line(&k->r);
        }
    }
}

/* Bytes that have no place in a text, and lines that nobody wrote. */
static bool check_bytes(struct keyfile *k, const char *text, size_t size)
{
    size_t length = 0;

    k->r.line = 1;
    for (size_t i = 0; i < size; i++) {
        uint8_t c = (uint8_t)text[i];

        if (c == '\n') {
            k->r.line++;
            length = 0;
            continue;
        }
        if (c == 0) {
            return reader_wrong(&k->r, "there is a NUL byte: this is no text");
        }
        if ((c < ' ' && !is_blank((char)c)) || c == 0x7f) {
            return reader_wrong(&k->r, "there is a control character, 0x%02x", c);
        }
        if (++length > LINE_LENGTH_MAX) {
            return reader_wrong(&k->r, "line longer than %u characters", LINE_LENGTH_MAX);
        }
    }
    return true;
}

/* ---- all of it ---- */

static void parse_text(struct keyfile *k, const char *text, size_t size)
{
    k->r.here = (struct place){ text, text + size, 1 };
    take_statements(k);
}

static void parse_override(struct keyfile *k, const char *text)
{
    k->r.override = true;
    k->r.here = (struct place){ text, text + strlen(text), 0 };
    k->r.line = 0;
    take_statements(k);
}

bool keyfile_parse(struct keyfile *k, const char *text, size_t size, int nr_overrides,
                   char *const *overrides)
{
    if (text) {
        if (!check_bytes(k, text, size)) {
            return false;
        }
        parse_text(k, text, size);
        k->last_line = k->r.here.line;
    }
    for (int i = 0; i < nr_overrides; i++) {
        parse_override(k, overrides[i]);
    }
    k->r.line = k->last_line;
    return true;
}

/* ---- afterwards ---- */

bool keyfile_given(const struct keyfile *k, unsigned int key)
{
    return k->seen[key] || k->again[key];
}

void keyfile_need(struct keyfile *k, unsigned int key)
{
    if (!keyfile_given(k, key)) {
        reader_wrong(&k->r, "%s: is missing", k->names[key]);
    }
}

void keyfile_go_to(struct keyfile *k, unsigned int key)
{
    k->r.line = keyfile_given(k, key) ? k->lines[key] : k->last_line;
}
