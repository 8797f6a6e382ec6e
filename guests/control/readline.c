/* SPDX-License-Identifier: MIT */
/*
 * readline.c - editing one line: keys and escape sequences, history, and the terminal kept in step.
 * A character typed at the end is sent alone, everything else draws the line anew. Pure; the line
 * and all that belongs to it is in struct readline.
 */
#include "readline.h"

enum {
    CTRL_A = 1,
    CTRL_B,
    CTRL_C,
    CTRL_D,
    CTRL_E,
    CTRL_F,
    CTRL_H = 8,
    TAB,
    LF,
    CTRL_K,
    CTRL_L,
    CR,
    CTRL_N,
    CTRL_P = 16,
    CTRL_U = 21,
    CTRL_W = 23,
    CTRL_Y = 25,
    ESC = 27,
    DELETE = 127
};
enum { PLAIN, AFTER_ESC, IN_CSI, AFTER_SS3 };

static void send(struct readline *r, const char *text)
{
    r->write(r->arg, text, strlen(text));
}

static size_t columns(const struct readline *r)
{
    return READLINE_COLUMNS - strlen(r->prompt);
}

/* Which part is shown: the cursor must be in it. Half of it goes at once, for less to send. */
static void scroll(struct readline *r)
{
    if (r->at < r->first) {
        r->first = r->at;
    }
    if (r->at >= r->first + columns(r)) {
        r->first = r->at - columns(r) / 2;
    }
    if (r->len < columns(r)) {
        r->first = 0;
    }
}

void readline_hide(struct readline *r)
{
    send(r, "\r\033[K");
}

void readline_show(struct readline *r)
{
    char move[16];
    size_t shown;

    scroll(r);
    shown = MIN(r->len - r->first, columns(r));
    readline_hide(r);
    send(r, r->prompt);
    r->write(r->arg, r->line + r->first, shown);
    if (r->first + shown > r->at) {
        fmt_snprintf(move, sizeof(move), "\033[%uD", (unsigned int)(r->first + shown - r->at));
        send(r, move);
    }
}

void readline_init(struct readline *r, const char *prompt,
                   void (*write)(void *arg, const char *text, size_t len), void *arg)
{
    memset(r, 0, sizeof(*r));
    r->prompt = prompt;
    r->write = write;
    r->arg = arg;
}

void readline_begin(struct readline *r)
{
    r->line[0] = '\0';
    r->len = r->at = r->first = 0;
    r->back = 0;
    r->escape = PLAIN;
    send(r, r->prompt);
}

const char *readline_text(const struct readline *r)
{
    return r->line;
}

static void insert(struct readline *r, char c)
{
    if (r->len + 1 >= READLINE_SIZE) {
        send(r, "\a");
        return;
    }
    memmove(r->line + r->at + 1, r->line + r->at, r->len - r->at + 1);
    r->line[r->at++] = c;
    r->len++;
    if (r->at == r->len && r->len - r->first < columns(r)) {
        r->write(r->arg, &c, 1);
    } else {
        readline_show(r);
    }
}

void readline_insert(struct readline *r, const char *text)
{
    for (; *text && r->len + 1 < READLINE_SIZE; text++) {
        insert(r, *text);
    }
}

/* Takes the characters from..to out, and keeps them for ^Y if asked. */
static void take(struct readline *r, size_t from, size_t to, bool keep)
{
    if (from == to) {
        return;
    }
    if (keep) {
        memcpy(r->cut, r->line + from, to - from);
        r->cut[to - from] = '\0';
    }
    memmove(r->line + from, r->line + to, r->len - to + 1);
    r->len -= to - from;
    r->at = from;
    readline_show(r);
}

static void move(struct readline *r, size_t to)
{
    if (to != r->at) {
        r->at = to;
        readline_show(r);
    }
}

static size_t word_left(const struct readline *r)
{
    size_t at = r->at;

    while (at && r->line[at - 1] == ' ') {
        at--;
    }
    while (at && r->line[at - 1] != ' ') {
        at--;
    }
    return at;
}

static size_t word_right(const struct readline *r)
{
    size_t at = r->at;

    while (at < r->len && r->line[at] == ' ') {
        at++;
    }
    while (at < r->len && r->line[at] != ' ') {
        at++;
    }
    return at;
}

static void set_line(struct readline *r, const char *text)
{
    str_copy(r->line, text, READLINE_SIZE);
    r->len = r->at = strlen(r->line);
    r->first = 0;
    readline_show(r);
}

void readline_remember(struct readline *r, const char *line)
{
    unsigned int last = (r->entries + READLINE_HISTORY - 1) % READLINE_HISTORY;

    if (!*line || (r->entries && strcmp(r->history[last], line) == 0)) {
        return;
    }
    str_copy(r->history[r->entries % READLINE_HISTORY], line, READLINE_SIZE);
    r->entries++;
}

/* To the line `back` steps ago; 0 is the new one. */
static void recall(struct readline *r, unsigned int back)
{
    if (back > MIN(r->entries, READLINE_HISTORY)) {
        return;
    }
    if (r->back == 0) {
        str_copy(r->kept, r->line, READLINE_SIZE);
    }
    r->back = back;
    set_line(r, back ? r->history[(r->entries - back) % READLINE_HISTORY] : r->kept);
}

static void up(struct readline *r)
{
    recall(r, r->back + 1);
}

static void down(struct readline *r)
{
    if (r->back) {
        recall(r, r->back - 1);
    }
}

static void step_left(struct readline *r)
{
    move(r, r->at ? r->at - 1 : 0);
}

static void step_right(struct readline *r)
{
    move(r, MIN(r->at + 1, r->len));
}

static void delete_here(struct readline *r)
{
    take(r, r->at, MIN(r->at + 1, r->len), false);
}

/* ESC [ numbers letter, or ESC O letter; a modifier (the second number) makes left and right move
 * by words. */
static void sequence(struct readline *r, char letter)
{
    bool modified = r->numbers > 1;

    switch (letter) {
    case 'A':
        up(r);
        break;
    case 'B':
        down(r);
        break;
    case 'C':
        modified ? move(r, word_right(r)) : step_right(r);
        break;
    case 'D':
        modified ? move(r, word_left(r)) : step_left(r);
        break;
    case 'H':
        move(r, 0);
        break;
    case 'F':
        move(r, r->len);
        break;
    case '~':
        if (r->key == 1 || r->key == 7) {
            move(r, 0);
        } else if (r->key == 4 || r->key == 8) {
            move(r, r->len);
        } else if (r->key == 3) {
            delete_here(r);
        }
        break;
    default:
        break;
    }
}

static void after_escape(struct readline *r, char c)
{
    r->escape = PLAIN;
    switch (c) {
    case '[':
        r->escape = IN_CSI;
        r->number = r->key = 0;
        r->numbers = 1;
        break;
    case 'O':
        r->escape = AFTER_SS3;
        r->key = 0;
        r->numbers = 1;
        break;
    case ESC:
        r->escape = AFTER_ESC;
        break;
    case 'b':
        move(r, word_left(r));
        break;
    case 'f':
        move(r, word_right(r));
        break;
    case 'd':
        take(r, r->at, word_right(r), true);
        break;
    case CTRL_H:
    case DELETE:
        take(r, word_left(r), r->at, true);
        break;
    default:
        break;
    }
}

static void in_sequence(struct readline *r, char c)
{
    if (r->escape == IN_CSI && c >= '0' && c <= '9') {
        r->number = MIN(r->number * 10 + (unsigned int)(c - '0'), 999U);
        r->key = r->numbers == 1 ? r->number : r->key;
    } else if (r->escape == IN_CSI && c == ';') {
        r->numbers++;
        r->number = 0;
    } else if (c < ' ' || c >= '@') {
        r->escape = PLAIN;
        sequence(r, c);
    }
}

static enum readline_event control_d(struct readline *r)
{
    if (r->len == 0) {
        return READLINE_END;
    }
    delete_here(r);
    return READLINE_NONE;
}

static void screen_clear(struct readline *r)
{
    send(r, "\033[H\033[J");
    readline_show(r);
}

/* Keys that edit and have no result. */
static void edit_key(struct readline *r, char c)
{
    switch (c) {
    case CTRL_A:
        move(r, 0);
        break;
    case CTRL_B:
        step_left(r);
        break;
    case CTRL_E:
        move(r, r->len);
        break;
    case CTRL_F:
        step_right(r);
        break;
    case CTRL_H:
    case DELETE:
        take(r, r->at ? r->at - 1 : 0, r->at, false);
        break;
    case CTRL_K:
        take(r, r->at, r->len, true);
        break;
    case CTRL_L:
        screen_clear(r);
        break;
    case CTRL_N:
        down(r);
        break;
    case CTRL_P:
        up(r);
        break;
    case CTRL_U:
        take(r, 0, r->at, true);
        break;
    case CTRL_W:
        take(r, word_left(r), r->at, true);
        break;
    case CTRL_Y:
        readline_insert(r, r->cut);
        break;
    default:
        if (c >= ' ' && c <= '~') {
            insert(r, c);
        }
        break;
    }
}

static enum readline_event plain_key(struct readline *r, char c)
{
    bool after_return = r->after_return;

    r->after_return = c == CR;
    switch (c) {
    case LF:
        if (after_return) {
            return READLINE_NONE;
        }
        return READLINE_DONE;
    case CR:
        return READLINE_DONE;
    case TAB:
        return READLINE_COMPLETE;
    case CTRL_C:
        return READLINE_INTERRUPT;
    case CTRL_D:
        return control_d(r);
    case ESC:
        r->escape = AFTER_ESC;
        return READLINE_NONE;
    default:
        edit_key(r, c);
        return READLINE_NONE;
    }
}

enum readline_event readline_key(struct readline *r, char key)
{
    switch (r->escape) {
    case AFTER_ESC:
        after_escape(r, key);
        return READLINE_NONE;
    case IN_CSI:
    case AFTER_SS3:
        in_sequence(r, key);
        return READLINE_NONE;
    default:
        return plain_key(r, key);
    }
}
