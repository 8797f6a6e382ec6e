/* SPDX-License-Identifier: MIT */
/* status.c - what a machine printed, how machines are, and their end: log, status, down. */
#include "definitions.h"
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ASK (5 * SECOND)     /* for a hello, unless --timeout is shorter */
#define POLITE (10 * SECOND) /* for domain 0 to power off */

static unsigned int at_most(unsigned int ms)
{
    return options.timeout < ms ? options.timeout : ms;
}

/* ---- log ---- */

/* Everything from where the file stands. */
static void copy_out(const struct machine *m, int fd)
{
    char buf[4096];
    ssize_t n;

    while ((n = read(fd, buf, sizeof(buf))) > 0) {
        if (!write_all(STDOUT_FILENO, buf, (size_t)n)) {
            exit(errno == EPIPE ? 128 + SIGPIPE : STATUS_FAILED);
        }
    }
    if (n < 0) {
        machine_die(m, "log: %s", strerror(errno));
    }
}

int cmd_log(int argc, char **argv)
{
    bool follow = argc == 2 && !strcmp(argv[1], "-f");
    struct machine m;
    char *path;
    int fd;

    if (argc > 1 && !follow) {
        usage_die("log");
    }
    machine_look(&m, options.name);
    if (!m.pid && !m.ended) {
        machine_die(&m, "it is not up");
    }
    path = machine_path(&m, "log");
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        machine_die(&m, "%s: %s", path, strerror(errno));
    }
    free(path);
    while (follow && machine_alive(&m) && !caught_signal) {
        copy_out(&m, fd);
        sleep_ms(100);
    }
    copy_out(&m, fd);
    return 0;
}

/* ---- status ---- */

static const char *state_of(const struct machine *m)
{
    static struct link l;
    const char *state = "answers";
    bool ok;

    if (m->ended) {
        return "ended";
    }
    if (!m->pid) {
        return "not up";
    }
    ok = link_open(&l, m, at_most(ASK)) && link_hello(&l, at_most(ASK));
    if (!ok) {
        state = l.lock < 0 ? "busy" : "does not answer";
    }
    link_close(&l);
    return state;
}

/* 0: it answers, or is busy doing so. */
static int show_status(const char *name)
{
    struct machine m;
    const char *state;
    char since[32] = "-", pid[16] = "-";
    time_t t;

    machine_look(&m, name);
    state = state_of(&m);
    if (m.pid > 0 && !m.ended) {
        t = (time_t)m.since;
        strftime(since, sizeof(since), "%Y-%m-%d %H:%M:%S", localtime(&t));
        snprintf(pid, sizeof(pid), "%d", (int)m.pid);
    }
    printf("%-20s %8s  %-6s  %-19s  %s\n", name, pid, m.accel[0] ? m.accel : "-", since, state);
    return strcmp(state, "answers") && strcmp(state, "busy");
}

static int is_machine(const struct dirent *e)
{
    return name_ok(e->d_name);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int cmd_status(int argc, char **argv)
{
    struct dirent **entries;
    int n, status = 0;

    (void)argv;
    if (argc != 1) {
        usage_die("status");
    }
    n = options.name_given ? 0 : scandir(state_folder(), &entries, is_machine, by_name);
    if (n < 0) {
        die("%s: %s", state_folder(), strerror(errno));
    }
    printf("%-20s %8s  %-6s  %-19s  %s\n", "Name", "PID", "Accel", "Up since", "Control domain");
    if (options.name_given) {
        return show_status(options.name);
    }
    for (int i = 0; i < n && !caught_signal; i++) {
        status |= show_status(entries[i]->d_name);
    }
    return status;
}

/* ---- down ---- */

/* Whether the machine ended because it was asked to. It is not when its definitions could not be
 * saved, unless by force. */
static bool ask_to_end(const struct machine *m, bool force)
{
    static char poweroff[] = "poweroff";
    static struct link l;
    uint64_t end = now_ms() + at_most(POLITE);
    bool ok = link_open(&l, m, at_most(ASK)) && link_hello(&l, at_most(ASK));

    if (ok && definitions_save(&l, true) && !force) {
        link_close(&l);
        machine_die(m, "it is still up, as its definitions are not saved (`tarn down --force` ends "
                       "it)");
    }
    if (ok) {
        link_begin(&l);
        l.limit = at_most(ASK);
        l.deadline = now_ms() + l.limit;
        ok = link_send(&l, WIRE_EXEC, poweroff, sizeof(poweroff));
        (void)(ok && link_wait(&l));
    }
    while (ok && machine_alive(m) && now_ms() < end) {
        sleep_ms(20);
    }
    link_close(&l);
    return !machine_alive(m);
}

static void end(const struct machine *m, bool force)
{
    if (!ask_to_end(m, force)) {
        complain("machine %s: it did not power off, so it is killed", m->name);
        if (!machine_kill(m)) {
            machine_die(m, "pid %d can't be killed", (int)m->pid);
        }
    }
    definitions_leave(m);
}

int cmd_down(int argc, char **argv)
{
    bool force = argc == 2 && !strcmp(argv[1], "--force");
    struct machine m;
    int lock;

    if (argc > 1 && !force) {
        usage_die("down");
    }
    machine_look(&m, options.name);
    lock = machine_lock(&m, "up", options.timeout);
    if (lock < 0) {
        machine_die(&m, "another tarn command starts or ends it");
    }
    machine_look(&m, options.name);
    if (!m.pid && !m.ended) {
        machine_die(&m, "it is not up");
    }
    if (!m.ended) {
        end(&m, force);
    }
    machine_remove(&m);
    return 0;
}
