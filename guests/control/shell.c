/* SPDX-License-Identifier: MIT */
/*
 * shell.c - lines into commands, and the shell on the hypervisor's console: keys, prompt,
 * completion, the boot script. Owns the console's two sessions (a person's and the script's) and
 * the keys that wait. A key that comes while a command runs waits for it, but ^C breaks it off.
 */
#include "shell.h"
#include "readline.h"

#define PROMPT "tarn# "
#define WORDS_MAX 64
#define KEYS_MAX 1024u
#define SCRIPT_DEPTH 4u
#define LOOK_PERIOD (250 * MS) /* how often we look whether others wrote over our line */
#define QUIET_TIME (60 * MS)   /* and how long they must be silent */
#define CTRL_C 3

bool shell_dry_run, shell_json, shell_verbose;

static struct readline editor;
static struct {
    char text[KEYS_MAX];
    unsigned int head, tail;
} keys;
static bool ready;    /* the prompt is shown and takes keys */
static bool raw;      /* a command reads the keys */
static bool notified; /* the hypervisor tells when its log grows */
static volatile bool log_grew;
static uint32_t log_seen; /* the log's index up to which we know it */
static bool dirty;        /* others wrote over our line */
static uint64_t quiet_since;
static unsigned int script_depth;

static void console_write(const char *text, size_t len)
{
    console_io(CONSOLEIO_write, len, text);
}

static void on_write(struct session *s, int stream, const char *text, size_t len)
{
    (void)s;
    (void)stream;
    console_write(text, len);
}

static void on_edit(void *arg, const char *text, size_t len)
{
    (void)arg;
    console_write(text, len);
}

static struct session console = { .name = "console", .write = on_write, .tty = true };
static struct session script = { .name = "script", .write = on_write };

void shell_notice(const char *text, size_t len)
{
    static bool line_open;

    if (ready && !line_open) {
        readline_hide(&editor);
    }
    console_write(text, len);
    line_open = text[len - 1] != '\n';
    if (ready && !line_open) {
        readline_show(&editor);
    }
}

/* ---- words ---- */

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

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

int words_split(char *line, char **argv, int max)
{
    char *from = line, *to = line;
    int argc = 0;

    for (;;) {
        char *word = to;
        bool more;

        while (blank(*from)) {
            from++;
        }
        if (!*from || argc + 1 >= max) {
            break;
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

    shell_dry_run = shell_json = shell_verbose = false;
    for (; n < argc && argv[n][0] == '-'; n++) {
        for (const char *p = argv[n] + 1; *p; p++) {
            shell_dry_run |= *p == 'N';
            shell_json |= *p == 'j';
            shell_verbose |= *p == 'v';
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

static void text_run(struct session *s, const char *from, const char *end)
{
    size_t size = (size_t)(end - from) + 64;
    char **argv = allocate(WORDS_MAX * sizeof(*argv) + size);
    char *text = (char *)(argv + WORDS_MAX);
    int argc;

    if (!argv) {
        s->write(s, STREAM_ERROR, "error: out of memory\n", 21);
        s->status = 1;
        return;
    }
    expand(text, size, from, end, s->status);
    argc = words_split(text, argv, WORDS_MAX);
    if (argc < 0) {
        s->write(s, STREAM_ERROR, "error: a quote is not ended\n", 28);
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

/* ---- completion ---- */

struct completion {
    const char *start; /* what is typed of the word */
    char common[128];  /* what all that fit have in common */
    unsigned int found;
    bool print;
};

static void offer(struct completion *c, const char *word)
{
    if (!text_begins(word, c->start)) {
        return;
    }
    if (c->print) {
        out(++c->found % 4 == 0 ? "%s\n" : "%-19s ", word);
        return;
    }
    if (c->found++ == 0) {
        str_copy(c->common, word, sizeof(c->common));
    } else {
        c->common[text_common(c->common, word)] = '\0';
    }
}

static void offer_commands(struct completion *c)
{
    for (unsigned int i = 0; commands[i]; i++) {
        offer(c, commands[i]->name);
    }
}

/* Ending of the files that a command takes; NULL: it takes domains. */
static const char *files_wanted(const char *line)
{
    static const char *const endings[][2] = { { "create ", ".cfg" },
                                              { "life ", ".cfg" },
                                              { "run ", ".sh" } };

    for (unsigned int i = 0; i < ARRAY_SIZE(endings); i++) {
        if (text_begins(line, endings[i][0])) {
            return endings[i][1];
        }
    }
    return NULL;
}

/* The first word is a command; what follows are files, or domains. */
static void offer_all(struct completion *c, const char *line)
{
    const struct file *f;
    const char *ending;

    line += text_begins(line, "xl ") ? 3 : 0;
    if (c->start == line || text_begins(line, "help ")) {
        offer_commands(c);
        return;
    }
    ending = files_wanted(line);
    for (unsigned int i = 0; ending && (f = file_nth(i)); i++) {
        if (text_find(f->name, ending)) {
            offer(c, f->name);
        }
    }
    for (const struct domain *d = domains_first(); d && !ending; d = d->next) {
        offer(c, d->name);
    }
}

static void complete(void)
{
    static char line[READLINE_SIZE];
    static struct completion c;
    const char *start = line, *p;

    str_copy(line, readline_text(&editor), sizeof(line));
    line[editor.at] = '\0';
    for (p = line; *p; p++) {
        start = blank(*p) || *p == ';' ? p + 1 : start;
    }
    p = line + (line[0] == ' ');
    c = (struct completion){ .start = start };
    offer_all(&c, p);
    if (c.found && strlen(c.common) > strlen(start)) {
        readline_insert(&editor, c.common + strlen(start));
    } else if (c.found > 1) {
        c = (struct completion){ .start = start, .print = true };
        session = &console;
        out("\n");
        offer_all(&c, p);
        out(c.found % 4 ? "\n" : "");
        session = NULL;
        readline_show(&editor);
        return;
    }
    if (c.found == 1 && editor.at == editor.len) {
        readline_insert(&editor, " ");
    }
}

/* ---- keys ---- */

void shell_raw(bool on)
{
    if (session == &console) {
        raw = on;
    }
}

int shell_key(void)
{
    if (keys.head == keys.tail || session != &console) {
        return -1;
    }
    return (uint8_t)keys.text[keys.tail++ % KEYS_MAX];
}

/* What others print goes over our line; where the hypervisor's log ends tells. */
static bool log_advanced(void)
{
    static char text[512];
    struct xen_sysctl op = { .cmd = XEN_SYSCTL_readconsole };
    uint32_t before = log_seen;

    do {
        op.u.readconsole.incremental = 1;
        op.u.readconsole.index = log_seen;
        op.u.readconsole.count = sizeof(text);
        set_xen_guest_handle(op.u.readconsole.buffer, text);
        if (sysctl(&op)) {
            return false;
        }
        log_seen = op.u.readconsole.index;
    } while (op.u.readconsole.count == sizeof(text));
    return log_seen != before;
}

static void prompt_again(void)
{
    console_write("\n", 1);
    readline_begin(&editor);
}

static void run_line(void)
{
    static char line[READLINE_SIZE];

    str_copy(line, readline_text(&editor), sizeof(line));
    console_write("\n", 1);
    readline_remember(&editor, line);
    ready = false;
    line_run(&console, line);
    ready = !loop_ending();
    if (ready) {
        readline_begin(&editor);
    }
}

static void key_pressed(char key)
{
    switch (readline_key(&editor, key)) {
    case READLINE_DONE:
        run_line();
        break;
    case READLINE_COMPLETE:
        complete();
        break;
    case READLINE_INTERRUPT:
        console_write("^C", 2);
        prompt_again();
        break;
    case READLINE_END:
        console_write("\n`exit` powers the machine off", 30);
        prompt_again();
        break;
    case READLINE_NONE:
        break;
    }
}

static void key_came(char key)
{
    if (key == CTRL_C && !ready && !raw) {
        console.cancelled = script.cancelled = true;
        keys.tail = keys.head;
        console_write("^C\n", 3);
    } else if (keys.head - keys.tail < KEYS_MAX) {
        keys.text[keys.head++ % KEYS_MAX] = key;
    }
}

static void keys_read(void)
{
    char text[64];
    long n;

    while ((n = console_io(CONSOLEIO_read, sizeof(text), text)) > 0) {
        for (long i = 0; i < n; i++) {
            key_came(text[i]);
        }
    }
}

/* The line is drawn again when those who wrote over it are done. */
static void line_mend(void)
{
    uint64_t now = clock_now();

    if (log_grew || !notified) {
        log_grew = false;
        if (log_advanced()) {
            dirty = true;
            quiet_since = now;
        }
    }
    if (dirty && now >= quiet_since + QUIET_TIME) {
        dirty = false;
        readline_show(&editor);
        log_advanced();
    }
    if (dirty) {
        loop_look_at(quiet_since + QUIET_TIME);
    } else if (!notified) {
        loop_look_at(now + LOOK_PERIOD);
    }
}

void shell_service(void)
{
    keys_read();
    while (ready && keys.head != keys.tail) {
        line_mend();
        key_pressed(keys.text[keys.tail++ % KEYS_MAX]);
        log_advanced();
    }
    if (ready) {
        line_mend();
    }
}

/* ---- start ---- */

static void on_key(evtchn_port_t port)
{
    (void)port;
    loop_wake();
}

static void on_log(evtchn_port_t port)
{
    (void)port;
    notified = log_grew = true;
    loop_wake();
}

static void bind(unsigned int virq, event_handler handler)
{
    long port = event_bind_virq(virq, 0);

    if (port > 0) {
        event_handle((evtchn_port_t)port, 0, handler);
    }
}

static void banner(void)
{
    static xen_extraversion_t extra;
    struct xen_sysctl_physinfo info = { 0 };
    long version = xen_version(XENVER_version, NULL);
    unsigned int files = 0;

    xen_version(XENVER_extraversion, extra);
    out("tarn control domain on hypervisor %ld.%ld%s", version >> 16, version & 0xffff, extra);
    if (physinfo_get(&info) == 0) {
        out(", %u CPUs, %lu MiB", info.nr_cpus, info.total_pages * PAGE_SIZE >> 20);
    }
    while (file_nth(files)) {
        files++;
    }
    out("\n%u files. `help` lists the commands, TAB completes, `exit` powers the machine off.\n",
        files);
}

static void boot_script(void)
{
    static char name[64];

    if (arg_string("script", name, sizeof(name))) {
        session = &script;
        script.busy = true;
        script_run(name, true);
        script.busy = false;
        session = NULL;
    }
    if (arg_flag("exit")) {
        loop_end(SHUTDOWN_poweroff);
    }
}

void shell_init(void)
{
    readline_init(&editor, PROMPT, on_edit, NULL);
    bind(VIRQ_CONSOLE, on_key);
    bind(VIRQ_CON_RING, on_log);
    session = &console;
    banner();
    session = NULL;
    boot_script();
    log_advanced();
    if (!loop_ending()) {
        readline_begin(&editor);
        ready = true;
    }
}
