/* SPDX-License-Identifier: MIT */
/*
 * control.h - the control domain: what its files offer each other. One vcpu, one thread: the loop
 * (main.c) serves what came and sleeps until there is more. A command runs to its end inside the
 * loop; one that waits for something calls loop_until, in which all else is served, other sessions'
 * commands too. Text for people goes through out() and fail() to the session whose command runs.
 */
#pragma once

#include "guest.h"

#include <tarn/lib.h>
#include <xen/domctl.h>
#include <xen/sysctl.h>

/* ---- memory.c: a heap, and other domains' frames ---- */

/* All of the domain's memory becomes heap; what it will not need goes back to the hypervisor. */
void memory_init(void);
/* Zeroed, or NULL: there is no more, or the fault was asked for. */
void *allocate(size_t size);
void release(void *p); /* NULL is fine */
size_t heap_in_use(void);
/* The n-th allocation from now on fails, once; 0: none. For tests. */
void heap_fail_after(unsigned int n);

/* Frames of a domain, side by side in our address space; n <= FOREIGN_MAX. NULL: errno in *rc. */
#define FOREIGN_MAX 512u
void *foreign_map(domid_t domid, const uint64_t *mfns, unsigned int n, bool writable, long *rc);
void foreign_unmap(void *where, unsigned int n);

/* ---- hyper.c: domctl and sysctl; all return 0 (or what is said) or -errno ---- */

long domctl(struct xen_domctl *op); /* fills in the interface version */
long sysctl(struct xen_sysctl *op);
long domctl_simple(uint32_t cmd, domid_t domid);
const char *error_name(long rc); /* "ENOMEM" of -12 or 12 */
const char *error_text(long rc); /* "out of memory" */

/* ---- session.c: who a command works for ---- */

enum { STREAM_OUT = 1, STREAM_ERROR = 2 };

struct session {
    void (*write)(struct session *s, int stream, const char *text, size_t len);
    bool tty;            /* a person sits there: colours of status are fine, prompts are shown */
    bool cancelled;      /* Ctrl-C, or WIRE_CANCEL: waiting commands give up */
    bool busy;           /* runs a command */
    const char *command; /* name of the command that runs, for fail() */
    int status;          /* of the command before: $? */
};
extern struct session *session; /* whose command runs now */

void out(const char *format, ...) __attribute__((format(printf, 1, 2)));
void out_bytes(const char *text, size_t len);
/* "error: <command>: <what>: <why>" where format is "<what>: <why>"; returns 1, a failed command's
 * status. */
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "error: <command>: <what>: <text of errno> (<ERRNO>)" */
int fail_errno(long rc, const char *what, ...) __attribute__((format(printf, 2, 3)));
/* Without the "error: <command>: " in front. */
void err(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- main.c: the loop ---- */

#define FOREVER (~0UL)
void loop_wake(void); /* from an event handler: there is something to serve */
/* Serves until done(arg) or the deadline (ns of clock_now) or the session is cancelled; whether
 * done(arg) holds. */
bool loop_until(bool (*done)(void *arg), void *arg, uint64_t deadline);
void loop_until_time(uint64_t deadline); /* or until the session is cancelled */
/* How long the loop may sleep at most until it must look again (ns of clock_now); the earliest
 * counts, and it is forgotten once it came. */
void loop_look_at(uint64_t time);

/* ---- line.c: lines into commands; shell.c: the shell on the console ---- */

struct command {
    const char *name;
    const char *usage;                 /* arguments only, e.g. "[-n] FILE [KEY=VALUE...]" */
    const char *help;                  /* one line */
    int (*run)(int argc, char **argv); /* status; argv[0] is the command's full name */
};
/* A run function returns this after a wrong argument: the usage is shown, and $? is 2. */
#define USAGE 2
extern const struct command *const commands[]; /* NULL-terminated, commands.c */
/* Words of a command: an optional leading "xl", an unambiguous prefix. Returns its status. */
int command_run(struct session *s, int argc, char **argv);
void shell_init(void);    /* banner, boot script, prompt */
void shell_service(void); /* keys from the hypervisor's console */

/* ---- archive.c: files, from the initrd (ustar) or put by the host ---- */

struct file {
    const char *name; /* without leading "./" */
    const void *data;
    size_t size;
};
void archive_init(void);
const struct file *file_find(const char *name); /* as given, or by its last part */
const struct file *file_nth(unsigned int n);    /* NULL past the last */
/* Takes `data` (from allocate); replaces a file of that name. 0 or -errno. */
long file_put(const char *name, void *data, size_t size);

/* ---- config.c, pure: domain files ---- */

#include "config.h"

/* ---- domains.c: the domains we know, and what becomes of them ---- */

struct pv_console; /* console.c */
struct store_ring; /* xenstore.c */

struct domain {
    domid_t domid;
    char name[NAME_SIZE];
    struct config *config; /* NULL: not ours (domain 0, boot-time domains) */
    uint64_t started;      /* clock_now */
    bool dying;            /* what it leaves is being taken care of */
    bool left;             /* destroyed, and the hypervisor is still at it */
    bool settled;          /* it shut down, and is kept as it is */
    bool restarted;        /* it is there because another ended */
    struct pv_console *console;
    struct store_ring *store;
    struct domain *next; /* by domid */
};

void domains_init(void);    /* domain 0, and those that the hypervisor made at boot */
void domains_service(void); /* VIRQ_DOM_EXC: domains that shut down: on_poweroff and the like */
struct domain *domains_first(void);
struct domain *domain_by_id(domid_t domid);
/* A name or a number; NULL after fail() said so. */
struct domain *domain_named(const char *text);
/* Like it but silent. */
struct domain *domain_lookup(const char *text);
/* Creates, builds, and unless `paused` starts. 0, or -errno after fail() said why: then nothing is
 * left of it. */
long domain_create(const struct config *c, bool paused, domid_t *domid);
/* 0 or -errno; everything of it is given back when this returns. */
long domain_destroy(struct domain *d);
long domain_rename(struct domain *d, const char *name);
/* Asks the guest through xenstore's control/shutdown ("poweroff", "reboot", "halt", "suspend"). */
long domain_ask(struct domain *d, const char *what);

/* ---- build.c: a PV64 domain's memory and first vcpu ---- */

struct build_result {
    uint64_t console_mfn, store_mfn;
};
struct build_args {
    domid_t domid;
    const struct config *config;
    const struct file *kernel, *ramdisk;    /* ramdisk may be NULL */
    evtchn_port_t console_port, store_port; /* the new domain's ports */
};
/* 0 or -errno, after why[] was filled with what is wrong ("kernel hello.elf: not an ELF file"). */
long domain_build(const struct build_args *args, struct build_result *result, char *why,
                  size_t why_size);

/* ---- console.c: PV consoles of the domains ---- */

#define SCROLLBACK 16384u
/* Maps the ring of the new domain and binds to its port. */
long console_open(struct domain *d, uint64_t mfn, evtchn_port_t remote_port);
void console_close(struct domain *d); /* takes the last output out first */
void consoles_service(void);
/* Output from `position` on (~0: as far back as there is); how many bytes; *position: of the first.
 */
size_t console_read(const struct domain *d, uint64_t *position, char *buf, size_t size);
/* Likewise for a domain whose console was among the last few that were closed: 0 if it wasn't. */
size_t console_read_closed(domid_t domid, uint64_t *position, char *buf, size_t size);
/* Input; how much was taken. */
size_t console_type(struct domain *d, const char *text, size_t len);

/* ---- xenstore.c: the store that guests see ---- */

void store_init(void);
long store_open(struct domain *d, uint64_t mfn, evtchn_port_t remote_port);
void store_close(struct domain *d); /* its ring, watches, transactions and /local/domain/N */
void store_service(void);
/* Writes at a path that is printed; "" is a value; makes parents. */
long store_printf(const char *value, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *store_read(const char *path); /* NULL: not there */
struct store_node;
const struct store_node *store_nodes(void); /* the root, storetree.h */
long store_remove(const char *path);
/* An empty folder that is the owner's, and that another may read. */
long store_offer(const char *path, domid_t owner, domid_t reader);

/* ---- cmd_trace.c: the hypervisor's trace ---- */

/* Takes records out of the rings, if the trace is on and it is time. */
void trace_service(void);

/* ---- wire.c: the host's requests on the second serial port ---- */

void wire_init(void);
void wire_service(void);

/* ---- json.c ---- */

void json_object(void), json_end(void), json_array(void);
void json_key(const char *key);
void json_number(int64_t n);
void json_text(const char *key, const char *value); /* both; nothing for "" */
void json_count(const char *key, uint64_t value);
void json_done(void); /* newline */
