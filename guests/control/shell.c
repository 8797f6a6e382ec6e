/* SPDX-License-Identifier: MIT */
/*
 * shell.c - the shell on the hypervisor's console: keys, prompt, completion, the boot script. Owns
 * the console's two sessions (a person's and the script's) and the keys that wait. A key that comes
 * while a command runs waits for it, but ^C breaks it off.
 */
#include "shell.h"
#include "pools.h"
#include "readline.h"

#define KEYS_MAX 1024u
#define LOOK_PERIOD (250 * MS) /* how often we look whether others wrote over our line */
#define QUIET_TIME (60 * MS)   /* and how long they must be silent */
#define CTRL_C 3

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

static struct session console = { .write = on_write, .tty = true };
static struct session script = { .write = on_write };

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

static void offer_domains(struct completion *c)
{
    for (const struct domain *d = domains_first(); d; d = d->next) {
        offer(c, d->name);
    }
}

static void offer_definitions(struct completion *c)
{
    const char *name;

    for (unsigned int i = 0; (name = definition_name_nth(i)); i++) {
        if (!domain_lookup(name)) {
            offer(c, name);
        }
    }
}

static void offer_virsh(struct completion *c)
{
    const char *word;

    for (unsigned int i = 0; (word = virsh_word_nth(i)); i++) {
        offer(c, word);
    }
}

static void offer_pools(struct completion *c)
{
    struct pool p;

    for (uint32_t id = 0; pool_next(id, &p) == 0; id = p.id + 1) {
        offer(c, p.name);
    }
}

/* The words between the command and the one that is being typed. */
static unsigned int words_between(const char *line, const char *start)
{
    unsigned int n = 0;

    for (const char *p = line; p < start; p++) {
        n += !blank(*p) && blank(p[1]);
    }
    return n ? n - 1 : 0;
}

/* cpupool-migrate has its pool behind a domain; sched-credit names one by -p. */
static bool pool_wanted(const char *line, const char *start)
{
    if (text_begins(line, "cpupool-migrate ")) {
        return words_between(line, start) > 0;
    }
    return text_begins(line, "cpupool-") || (text_begins(line, "sched-credit ") &&
                                             start > line + 3 && text_begins(start - 3, "-p "));
}

/* Ending of the files that a command takes; NULL: it takes none. */
static const char *files_wanted(const char *line)
{
    static const char *const endings[][2] = {
        { "create ", ".cfg" }, { "life ", ".cfg" }, { "virsh define ", ".cfg" }, { "run ", ".sh" }
    };

    for (unsigned int i = 0; i < ARRAY_SIZE(endings); i++) {
        if (text_begins(line, endings[i][0])) {
            return endings[i][1];
        }
    }
    return NULL;
}

/* The first word is a command; what follows are files, pools or domains. */
static void offer_all(struct completion *c, const char *line)
{
    const struct file *f;
    const char *ending;

    line += text_begins(line, "xl ") ? 3 : 0;
    if (c->start == line || text_begins(line, "help ")) {
        offer_commands(c);
        return;
    }
    if (text_begins(line, "virsh ") && words_between(line, c->start) == 0) {
        offer_virsh(c);
        return;
    }
    ending = files_wanted(line);
    for (unsigned int i = 0; ending && (f = file_nth(i)); i++) {
        if (text_find(f->name, ending)) {
            offer(c, f->name);
        }
    }
    if (pool_wanted(line, c->start)) {
        offer_pools(c);
    } else if (!ending) {
        offer_domains(c);
        if (text_begins(line, "virsh ") || text_begins(line, "explain ")) {
            offer_definitions(c);
        }
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
