/* SPDX-License-Identifier: MIT */
/*
 * line.c - lines into commands: words and quotes, which command is meant, commands divided by ';',
 * scripts. A command may run within another's wait; each works for its session.
 */
#include "shell.h"

#define WORDS_MAX 64
#define SCRIPT_DEPTH 4u

bool shell_dry_run, shell_json;

static unsigned int script_depth;

/* ---- words ---- */

/* One word from *from on, with its quotes taken off, to *to; false: an unended quote. */
static bool word_take(char **from, char **to)
{
    char *p = *from, *o = *to;
    char quote = 0;

    for (; *p && (quote || !blank(*p)); p++) {
        if (*p == '\\' && quote != '\'' && p[1]) {
            *o++ = *++p;
        } else if (quote ? *p == quote : *p == '\'' || *p == '"') {
            quote = quote ? 0 : *p;
        } else {
            *o++ = *p;
        }
    }
    *from = p;
    *to = o;
    return !quote;
}

/* Splits at blanks; quotes '..' "..", backslash. -1: an unended quote, -2: more than `max`, NULL
 * behind the last one counted. */
static int words_split(char *line, char **argv, int max)
{
    char *from = line, *to = line;
    int argc = 0;

    for (;;) {
        char *word = to;
        bool more;

        while (blank(*from)) {
            from++;
        }
        if (!*from) {
            break;
        }
        if (argc + 1 == max) {
            return -2;
        }
        if (!word_take(&from, &to)) {
            return -1;
        }
        more = *from;
        *to++ = '\0';
        from += more;
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return argc;
}

/* ---- commands ---- */

const struct command *command_find(const char *name)
{
    const struct command *found = NULL;
    unsigned int n = 0;

    for (unsigned int i = 0; commands[i]; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
        if (*name && text_begins(commands[i]->name, name)) {
            found = commands[i];
            n++;
        }
    }
    return n == 1 ? found : NULL;
}

/* Those that begin so, five a line. */
static void columns_print(const char *start)
{
    unsigned int n = 0, pad = 0;

    for (unsigned int i = 0; commands[i]; i++) {
        if (text_begins(commands[i]->name, start)) {
            out("%*s%s", n % 5 ? (int)pad : 0, "", commands[i]->name);
            out(++n % 5 ? "" : "\n");
            pad = 16 - (unsigned int)MIN(strlen(commands[i]->name), 15UL);
        }
    }
    out(n % 5 ? "\n" : "");
}

void commands_print(void)
{
    columns_print("");
}

static int command_unknown(const char *name)
{
    bool ambiguous = false;

    for (unsigned int i = 0; commands[i] && *name; i++) {
        ambiguous |= text_begins(commands[i]->name, name);
    }
    err("error: %s: %s\n", name,
        ambiguous ? "more than one command begins so:" : "no such command");
    if (!ambiguous) {
        err("There are:\n");
    }
    columns_print(ambiguous ? name : "");
    return 1;
}

/* xl's options before the command; how many words were taken, -1: one is unknown. */
static int global_options(int argc, char **argv)
{
    int n = 0;

    shell_dry_run = shell_json = false;
    for (; n < argc && argv[n][0] == '-'; n++) {
        for (const char *p = argv[n] + 1; *p; p++) {
            shell_dry_run |= *p == 'N';
            shell_json |= *p == 'j';
            if (!strchr("NjvftT", *p)) {
                return -1;
            }
        }
    }
    return n;
}

static int usage_print(const struct command *c)
{
    err("usage: %s%s%s\n", c->name, *c->usage ? " " : "", c->usage);
    return USAGE;
}

static int command_call(int argc, char **argv)
{
    const struct command *c;
    int skip = argc && strcmp(argv[0], "xl") == 0, options, status;

    options = global_options(argc - skip, argv + skip);
    if (options < 0) {
        err("usage: xl [-vNjftT] COMMAND [ARGUMENTS]\n");
        return USAGE;
    }
    argc -= skip + options;
    argv += skip + options;
    c = argc ? command_find(argv[0]) : command_find("help");
    if (!c) {
        return command_unknown(argv[0]);
    }
    session->command = c->name;
    if (argc > 1 && (strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "--help") == 0)) {
        out("usage: %s%s%s\n  %s\n", c->name, *c->usage ? " " : "", c->usage, c->help);
        return 0;
    }
    if (argc) {
        argv[0] = (char *)(uintptr_t)c->name;
    }
    status = c->run(argc ? argc : 1, argv);
    if (session->cancelled && status == 0) {
        status = CANCELLED;
    }
    return status == USAGE ? usage_print(c) : status;
}

int command_run(struct session *s, int argc, char **argv)
{
    struct session *outer = session;
    const char *outer_command = s->command;
    bool outer_busy = s->busy;

    session = s;
    s->busy = true;
    if (!outer_busy) {
        s->cancelled = false;
    }
    s->status = command_call(argc, argv);
    s->busy = outer_busy;
    s->command = outer_command;
    session = outer;
    return s->status;
}

/* ---- lines ---- */

/* Where the command ends that begins at p: at ';', '#' or the end, outside of quotes. */
static const char *command_end(const char *p)
{
    char quote = 0, before = ' ';

    for (; *p; before = *p++) {
        if (*p == '\\' && quote != '\'' && p[1]) {
            p++;
        } else if (quote) {
            quote = *p == quote ? 0 : quote;
        } else if (*p == '\'' || *p == '"') {
            quote = *p;
        } else if (*p == ';' || (*p == '#' && blank(before))) {
            break;
        }
    }
    return p;
}

/* Copies from..end with $? replaced, which may be in double quotes. */
static void expand(char *to, size_t size, const char *from, const char *end, int status)
{
    bool single = false;
    size_t n = 0;

    while (from < end && n + 12 < size) {
        if (!single && from[0] == '$' && from[1] == '?') {
            n += (size_t)fmt_snprintf(to + n, size - n, "%d", status);
            from += 2;
            continue;
        }
        single ^= *from == '\'';
        to[n++] = *from++;
    }
    to[n] = '\0';
}

static void line_error(struct session *s, const char *text)
{
    s->write(s, STREAM_ERROR, text, strlen(text));
    s->status = 1;
}

static void text_run(struct session *s, const char *from, const char *end)
{
    size_t size = (size_t)(end - from) + 64;
    char **argv = allocate(WORDS_MAX * sizeof(*argv) + size);
    char *text = (char *)(argv + WORDS_MAX);
    int argc;

    if (!argv) {
        line_error(s, "error: out of memory\n");
        return;
    }
    expand(text, size, from, end, s->status);
    argc = words_split(text, argv, WORDS_MAX);
    if (argc < 0) {
        line_error(s, argc == -1 ? "error: a quote is not ended\n" : "error: too many words\n");
        s->status = USAGE;
    } else if (argc) {
        command_run(s, argc, argv);
    }
    release(argv);
}

int line_run(struct session *s, const char *line)
{
    bool outer_busy = s->busy;

    if (!outer_busy) {
        s->cancelled = false;
    }
    s->busy = true;
    for (;;) {
        const char *end = command_end(line);

        text_run(s, line, end);
        if (*end != ';' || s->cancelled || loop_ending()) {
            break;
        }
        line = end + 1;
    }
    s->busy = outer_busy;
    return s->status;
}

/* Shows and runs the lines of text; NUL-terminated, changed on the way. */
static void script_lines(char *text, bool show)
{
    while (*text && !session->cancelled && !loop_ending()) {
        char *end = text;
        bool last;

        while (*end && *end != '\n') {
            end++;
        }
        last = !*end;
        *end = '\0';
        if (show && *text) {
            out(PROMPT "%s\n", text);
        }
        line_run(session, text);
        text = last ? end : end + 1;
    }
}

int script_run(const char *name, bool show)
{
    const struct file *file = file_find(name);
    char *text;

    if (!file) {
        return fail("%s: no such file (ENOENT)", name);
    }
    if (script_depth >= SCRIPT_DEPTH) {
        return fail("%s: scripts within scripts, %u deep", name, script_depth);
    }
    text = allocate(file->size + 1);
    if (!text) {
        return fail_errno(-XEN_ENOMEM, "%s", name);
    }
    memcpy(text, file->data, file->size);
    script_depth++;
    session->status = 0;
    script_lines(text, show);
    script_depth--;
    release(text);
    return session->status;
}
