/* SPDX-License-Identifier: MIT */
/*
 * host.h - what the files of the host's program offer each other. A machine is a QEMU and a folder
 * with its process id, its sockets and its log; a link is a connection to its control domain, held
 * for one request or a few; a command is one of the program's.
 */
#pragma once

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <tarn/wire.h>

#define STATUS_FAILED 125 /* of this program itself, not of a command that it ran */
#define MACHINE_ARCHIVE "files.tar"
#define MACHINE_STORE "store"           /* where its definitions are kept, if they are */
#define MACHINE_GENERATION "generation" /* of those that were saved last */
#define CONTROL_NAME_MAX 127u           /* of a file in the control domain */
#define SECOND 1000u                    /* times are in milliseconds */
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* ---- util.c ---- */

/* "tarn: ..." and the end of the program, with STATUS_FAILED. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t now_ms(void);
void sleep_ms(uint64_t ms);
void *grow(void *p, size_t size); /* realloc that does not fail */
char *join(const char *format, ...) __attribute__((format(printf, 1, 2))); /* a new string */
bool number_parse(const char *text, unsigned int low, unsigned int high, unsigned int *value);
bool write_all(int fd, const void *data, size_t len);
/* All of a regular file; dies. */
uint8_t *read_whole(const char *path, size_t *size);
/* Ctrl-C and the like: caught, and let in only by wait_for. */
extern volatile sig_atomic_t caught_signal;
void signals_catch(void);
struct pollfd;
int wait_for(struct pollfd *fds, unsigned int n, uint64_t ms); /* ppoll; -1: a signal came */

/* ---- machine.c ---- */

struct options {
    const char *name;
    bool name_given;
    unsigned int timeout; /* ms */
};
extern struct options options;

struct machine {
    const char *name;
    char folder[PATH_MAX];
    pid_t pid;      /* 0: never started, or ended */
    uint64_t start; /* of the process, in the kernel's ticks */
    int64_t since;  /* seconds since 1970 */
    char accel[16];
    bool ended; /* there was one: its folder is still there */
};

void machine_die(const struct machine *m, const char *format, ...)
    __attribute__((noreturn, format(printf, 2, 3)));
bool name_ok(const char *name);
const char *state_folder(void); /* made, if need be, and checked */
void machine_look(struct machine *m, const char *name);
void machine_require(struct machine *m); /* the one of the options, alive, or the end */
bool machine_alive(const struct machine *m);
void machine_record(struct machine *m, pid_t pid, const char *accel); /* just started */
char *machine_path(const struct machine *m, const char *file);
/* A lock that ends with this process; what: "wire", "com1". -1: another process has it. */
int machine_lock(const struct machine *m, const char *what, uint64_t ms);
/* -1 and errno. */
int machine_connect(const struct machine *m, const char *socket);
/* SIGTERM, and SIGKILL if that does not end it; whether it is gone. */
bool machine_kill(const struct machine *m);
void machine_remove(const struct machine *m); /* the folder */

/* ---- link.c ---- */

struct link {
    const struct machine *machine;
    int fd, lock;
    bool open, hello, strict, done, refused, interrupted, timed_out;
    int write_error; /* of the standard output */
    uint32_t seq, status;
    uint64_t deadline, limit;
    size_t out_used, out_at;
    uint8_t payload[WIRE_PAYLOAD_MAX]; /* of EXIT, after the status; or why it was refused */
    size_t payload_len;
    void (*data)(void *arg, const uint8_t *payload, size_t len); /* a DATA frame */
    void *arg;
    void (*out_to)(void *arg, const uint8_t *payload, size_t len); /* in place of our output */
    void *out_arg;
    struct wire_decoder decoder;
    uint8_t out[8 * WIRE_FRAME_MAX];
    char why[256]; /* what went wrong */
};

/* All: false and the reason in why[]. */
bool link_open(struct link *l, const struct machine *m, uint64_t ms);
bool link_hello(struct link *l, uint64_t ms); /* asks again and again */
void link_begin(struct link *l);              /* a new request */
bool link_send(struct link *l, uint8_t type, const void *payload, size_t len);
bool link_wait(struct link *l); /* for its EXIT or REFUSED */
void link_close(struct link *l);
/* Opens and dies when it can't. */
void link_require(struct link *l, const struct machine *m);
/* The end when the request failed or was refused, else its status. */
int link_finish(struct link *l, bool ok);

/* ---- exec.c, domfile.c ---- */

struct text {
    char *data;
    size_t size;
};

int exec_words(struct link *l, int argc, char *const *argv);
/* All of a command: opens the link, runs it, saves the definitions that it changed. */
int exec_command(int argc, char *const *argv);
/* After the last command on a link: saves the definitions, closes it; the status of it all. */
int exec_end(struct link *l, int status);
/* How a file gets to the control domain: over the line, or in its archive. */
typedef void bring_fn(void *arg, const char *as, const uint8_t *data, size_t size);
void bring_over_line(void *link, const char *as, const uint8_t *data, size_t size);
void bring_file(bring_fn *bring, void *arg, const char *path);
void bring_path(bring_fn *bring, void *arg, const char *path, const char *as);
/* Where a file that the domain file names lies on the host: as it says, or beside the domain file.
 * NULL: on the host there is none, so it is one of the control domain's. */
char *host_file(const char *domfile, const char *name);
const char *without_dot(const char *path); /* the "./" in front */
/* By what name the control domain gets to know a domain file. */
const char *domain_file_name(const char *path);
/* A domain file and what it needs; argv: FILE KEY=VALUE... */
void bring_domain(bring_fn *bring, void *arg, int argc, char *const *argv);
/* An emulator's domain file and what it needs. */
void bring_emulator(bring_fn *bring, void *arg, char *path, const char *as);
int create_brought(struct link *l, int argc, char *const *argv); /* the same argv */
/* Value of a string key in a domain file's text; NULL: it is not there. */
char *domfile_value(const char *text, size_t size, const char *key);

/* ---- archive.c ---- */

struct archive {
    uint8_t *data;
    size_t used;
};

/* Whether a file can have that name there. */
bool archive_takes(const char *name);
/* These die when they can't. */
void archive_read(struct archive *a, const char *path);
void archive_add(struct archive *a, const char *name, const uint8_t *data, size_t size);
void archive_write(const struct archive *a, const char *path); /* a new file */

/* ---- commands; argv[0] is the name ---- */

int cmd_up(int argc, char **argv);
int cmd_xl(int argc, char **argv);
int cmd_put(int argc, char **argv);
int cmd_create(int argc, char **argv);
int cmd_define(int argc, char **argv);
int cmd_virsh(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_nemesis(int argc, char **argv);
int cmd_baseline(int argc, char **argv);
int cmd_console(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_trace(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_down(int argc, char **argv);
void usage_die(const char *command) __attribute__((noreturn));
