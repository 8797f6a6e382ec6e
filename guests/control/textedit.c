/* SPDX-License-Identifier: MIT */
/*
 * textedit.c - see textedit.h: finds a key's statement with the reader that config_parse has, too,
 * and puts the text together anew around it. Pure; its state is one static reader, for it is too
 * large for a stack.
 */
#include "textedit.h"

#include "configtext.h"

/* A statement, as offsets into the text. */
struct statement {
    size_t start, value, end; /* `end` is that of its value */
};

struct output {
    char *to;
    size_t used, room;
};

static void no_report(void *arg, const char *text)
{
    (void)arg;
    (void)text;
}

/* The key that stands here, and what follows up to its value; its length. */
static size_t take_key(struct reader *r)
{
    const char *start = r->here.at;
    size_t n;

    while (is_word(reader_look(r)) && !reader_at_end(r)) {
        reader_take(r);
    }
    n = (size_t)(r->here.at - start);
    reader_skip_blanks(r, false);
    if (reader_look(r) == '=') {
        reader_take(r);
    }
    reader_skip_blanks(r, false);
    return n;
}

/* To the next statement; false: there is none. */
static bool next_statement(struct reader *r)
{
    for (;;) {
        reader_skip_blanks(r, true);
        if (reader_at_end(r) || reader_look(r) != ';') {
            return !reader_at_end(r);
        }
        reader_take(r);
    }
}

static bool find(const char *text, size_t size, const char *key, struct statement *s)
{
    static struct reader r;
    static struct value v;

    r = (struct reader){ .file = "", .here = { text, text + size, 1 }, .report = no_report };
    while (next_statement(&r)) {
        const char *start = r.here.at;
        size_t n = take_key(&r);

        s->start = (size_t)(start - text);
        s->value = (size_t)(r.here.at - text);
        if (!n || !reader_value(&r, "", &v)) {
            reader_skip_line(&r);
            continue;
        }
        s->end = (size_t)(r.here.at - text);
        if (n == strlen(key) && memcmp(start, key, n) == 0) {
            return true;
        }
    }
    return false;
}

bool text_has_key(const char *text, size_t size, const char *key)
{
    struct statement s;

    return find(text, size, key, &s);
}

static void put(struct output *o, const char *from, size_t n)
{
    if (n && o->used + n <= o->room) {
        memcpy(o->to + o->used, from, n);
    }
    o->used += n;
}

static void put_text(struct output *o, const char *text)
{
    put(o, text, strlen(text));
}

static void append(struct output *o, const char *text, size_t size, const char *key,
                   const char *value)
{
    put(o, text, size);
    if (size && text[size - 1] != '\n') {
        put_text(o, "\n");
    }
    put_text(o, key);
    put_text(o, " = ");
    put_text(o, value);
    put_text(o, "\n");
}

/* Takes in what would be left behind of a statement's line: the ';' and blanks, and the line itself
 * if there was nothing else in it. */
static void widen(const char *text, size_t size, struct statement *s)
{
    bool first;

    while (s->end < size && is_blank(text[s->end])) {
        s->end++;
    }
    if (s->end < size && text[s->end] == ';') {
        s->end++;
        while (s->end < size && is_blank(text[s->end])) {
            s->end++;
        }
    }
    while (s->start && is_blank(text[s->start - 1])) {
        s->start--;
    }
    first = !s->start || text[s->start - 1] == '\n';
    if (s->end < size && text[s->end] == '\n' && first) {
        s->end++;
    }
}

size_t text_edit(const char *text, size_t size, const char *key, const char *value, char *to,
                 size_t room)
{
    struct output o = { .to = to, .room = room };
    struct statement s;

    if (!find(text, size, key, &s)) {
        if (value) {
            append(&o, text, size, key, value);
        } else {
            put(&o, text, size);
        }
        return o.used;
    }
    if (value) {
        put(&o, text, s.value);
        put_text(&o, value);
    } else {
        widen(text, size, &s);
        put(&o, text, s.start);
    }
    put(&o, text + s.end, size - s.end);
    return o.used;
}
