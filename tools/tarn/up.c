/* SPDX-License-Identifier: MIT */
/*
 * up.c - starts a machine: QEMU in a session of its own, in the machine's folder, with both serial
 * ports as sockets there. It is up when the control domain says hello; if that fails, nothing is
 * left of it.
 */
#include "definitions.h"
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_DEFAULT 120u
#define FILES_MAX 64
#define CONTROL_MIB 96u /* of the control domain, without the files that are brought along */

struct plan {
    const char *smp, *cpu, *append;
    char *store; /* folder of definitions; NULL: they go with the machine */
    unsigned int memory, wait, gdb;
    int icount; /* -1: none */
    bool iso, no_kvm;
    char *doms[FILES_MAX], *files[FILES_MAX];
    int nr_doms, nr_files;
    struct archive archive; /* unused with an ISO, or when nothing is brought along */
};

struct arguments {
    char *argv[64];
    int argc;
};

/* The machine that is being started: it goes when this program fails. */
static struct machine *unfinished;

/* ---- options ---- */

enum { SMP = 256, MEMORY, ISO, DOM, BRING, ICOUNT, GDB, CPU, APPEND, NO_KVM, WAIT, STORE };

static const struct option long_options[] = {
    { "smp", required_argument, NULL, SMP },
    { "memory", required_argument, NULL, MEMORY },
    { "iso", no_argument, NULL, ISO },
    { "dom", required_argument, NULL, DOM },
    { "file", required_argument, NULL, BRING },
    { "icount", optional_argument, NULL, ICOUNT },
    { "gdb", optional_argument, NULL, GDB },
    { "cpu", required_argument, NULL, CPU },
    { "append", required_argument, NULL, APPEND },
    { "no-kvm", no_argument, NULL, NO_KVM },
    { "wait", required_argument, NULL, WAIT },
    { "state", required_argument, NULL, STORE },
    { NULL, 0, NULL, 0 },
};

static unsigned int number_of(const char *what, unsigned int low, unsigned int high)
{
    unsigned int n;

    if (!number_parse(optarg, low, high, &n)) {
        die("up: --%s: %s: not a number from %u to %u", what, optarg, low, high);
    }
    return n;
}

static void add_path(char **paths, int *n)
{
    if (*n == FILES_MAX) {
        die("up: more than %d files", FILES_MAX);
    }
    paths[(*n)++] = optarg;
}

/* Made, if need be; by its full path, as other commands run elsewhere. */
static char *store_folder(const char *path)
{
    char *full;

    if (mkdir(path, 0777) && errno != EEXIST) {
        die("up: %s: %s", path, strerror(errno));
    }
    full = realpath(path, NULL);
    if (!full || access(full, R_OK | W_OK | X_OK) || strchr(full, '\n')) {
        die("up: %s: %s", path, full && strchr(full, '\n') ? "a bad name" : strerror(errno));
    }
    return full;
}

static void one_option(struct plan *p, int option)
{
    switch (option) {
    case SMP:
        p->smp = optarg;
        break;
    case MEMORY:
        p->memory = number_of("memory", 16, 1u << 20);
        break;
    case ISO:
        p->iso = true;
        break;
    case DOM:
        add_path(p->doms, &p->nr_doms);
        break;
    case BRING:
        add_path(p->files, &p->nr_files);
        break;
    case ICOUNT:
        p->icount = optarg ? (int)number_of("icount", 0, 10) : 0;
        break;
    case GDB:
        p->gdb = optarg ? number_of("gdb", 1, 65535) : 1234;
        break;
    case CPU:
        p->cpu = optarg;
        break;
    case APPEND:
        p->append = optarg;
        break;
    case NO_KVM:
        p->no_kvm = true;
        break;
    case STORE:
        p->store = store_folder(optarg);
        break;
    case WAIT:
        p->wait = number_of("wait", 1, 86400);
        break;
    default:
        usage_die("up");
    }
}

static void check_paths(char *const *paths, int n)
{
    for (int i = 0; i < n; i++) {
        if (access(paths[i], R_OK)) {
            die("up: %s: %s", paths[i], strerror(errno));
        }
    }
}

static void read_options(struct plan *p, int argc, char **argv)
{
    int option;

    optind = 0;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
        one_option(p, option);
    }
    if (optind != argc) {
        usage_die("up");
    }
    if (p->iso && p->append) {
        die("up: --append does not reach the ISO, which has its own command line");
    }
    check_paths(p->doms, p->nr_doms);
    check_paths(p->files, p->nr_files);
}

/* ---- what is started ---- */

/* Images lie as in a build folder: where TARN_IMAGES says, above the program, or as installed. */
static char *images_folder(void)
{
    const char *given = getenv("TARN_IMAGES");
    char self[PATH_MAX], *slash, *try;
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (given && *given) {
        return realpath(given, NULL) ? realpath(given, NULL) : join("%s", given);
    }
    self[n > 0 ? n : 0] = '\0';
    slash = strrchr(self, '/');
    if (slash) {
        *slash = '\0';
    }
    for (int i = 0; i < 2; i++) {
        char *path = join("%s%s", self, i ? "/../share/tarn" : "/..");
        char *image = join("%s/guests/control.elf", path);

        try = access(image, R_OK) ? NULL : realpath(path, NULL);
        free(image);
        free(path);
        if (try) {
            return try;
        }
    }
    die("up: no images beside %s: build them (make), or set TARN_IMAGES", self);
}

static char *image(const char *folder, const char *file)
{
    char *path = join("%s/%s", folder, file);

    if (access(path, R_OK)) {
        die("up: %s: %s", path, strerror(errno));
    }
    return path;
}

/* KVM where it can really be used: the device can be there without the processor's help. */
static bool kvm_usable(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    char line[8192];
    bool found = false;
    FILE *f;

    if (fd < 0) {
        return false;
    }
    close(fd);
    f = fopen("/proc/cpuinfo", "re");
    while (f && !found && fgets(line, sizeof(line), f)) {
        found = !strncmp(line, "flags", 5) && (strstr(line, " vmx") || strstr(line, " svm"));
    }
    if (f) {
        fclose(f);
    }
    return found;
}

static void add(struct arguments *a, const char *option, char *value)
{
    a->argv[a->argc++] = join("%s", option);
    if (value) {
        a->argv[a->argc++] = value;
    }
}

/* A comma in -initrd is doubled. */
static char *doubled(const char *path)
{
    char *out = grow(NULL, 2 * strlen(path) + 1), *p = out;

    for (; *path; path++) {
        *p++ = *path;
        if (*path == ',') {
            *p++ = ',';
        }
    }
    *p = '\0';
    return out;
}

static void bring_in_archive(void *archive, const char *as, const uint8_t *data, size_t size)
{
    archive_add(archive, as, data, size);
}

static void bring_all(const struct plan *p, bring_fn *bring, void *arg)
{
    for (int i = 0; i < p->nr_files; i++) {
        bring_file(bring, arg, p->files[i]);
    }
    for (int i = 0; i < p->nr_doms; i++) {
        bring_domain(bring, arg, 1, &p->doms[i]);
    }
}

/* The archive's path, as QEMU finds it, and how much memory the control domain needs with it. */
static char *make_archive(struct plan *p, const char *folder, unsigned int *mib)
{
    char *path = image(folder, "control.tar");
    size_t before;

    *mib = CONTROL_MIB;
    if (!p->nr_files && !p->nr_doms && !p->store) {
        return path;
    }
    archive_read(&p->archive, path);
    free(path);
    before = p->archive.used;
    bring_all(p, bring_in_archive, &p->archive);
    if (p->store) {
        definitions_bring(p->store, bring_in_archive, &p->archive);
    }
    *mib += (unsigned int)((p->archive.used - before) >> 20);
    return join(MACHINE_ARCHIVE);
}

static void add_images(struct arguments *a, struct plan *p)
{
    char *folder = images_folder(), *archive;
    unsigned int mib;

    if (p->iso) {
        add(a, "-boot", join("d"));
        add(a, "-cdrom", image(folder, "tarn.iso"));
        return;
    }
    archive = make_archive(p, folder, &mib);
    add(a, "-kernel", image(folder, "tarn.elf32"));
    add(a, "-append",
        join("dom0_mem=%uM dom0_max_vcpus=1%s%s", mib, p->append ? " " : "",
             p->append ? p->append : ""));
    add(a, "-initrd",
        join("%s,%s", doubled(image(folder, "guests/control.elf")), doubled(archive)));
    free(archive);
}

static void add_serial(struct arguments *a, const char *id, const char *more)
{
    add(a, "-chardev", join("socket,id=%s,path=%s,server=on,wait=off%s", id, id, more));
    add(a, "-serial", join("chardev:%s", id));
}

static void make_arguments(struct arguments *a, struct plan *p, const char *accel)
{
    const char *qemu = getenv("QEMU");

    add(a, qemu && *qemu ? qemu : "qemu-system-x86_64", NULL);
    add(a, "-name", join("tarn-%s", options.name));
    if (p->icount >= 0) {
        add(a, "-accel", join("tcg,thread=single"));
        add(a, "-icount", join("shift=%d,sleep=off", p->icount));
    } else {
        add(a, "-accel", join("%s", strcmp(accel, "kvm") ? "tcg,thread=multi" : "kvm"));
    }
    add(a, "-cpu", join("%s", p->cpu));
    add(a, "-smp", join("%s", p->smp));
    add(a, "-m", join("%u", p->memory));
    add(a, "-display", join("none"));
    add(a, "-monitor", join("none"));
    add(a, "-no-reboot", NULL);
    add(a, "-device", join("isa-debug-exit"));
    add_serial(a, "com1", ",logfile=log,logappend=on");
    add_serial(a, "wire", "");
    if (p->gdb) {
        add(a, "-gdb", join("tcp:127.0.0.1:%u", p->gdb));
    }
    add_images(a, p);
}

/* ---- starting ---- */

static void run_qemu(const struct machine *m, struct arguments *a)
{
    int null, log;
    sigset_t none;

    setsid();
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    if (chdir(m->folder)) {
        _exit(127);
    }
    null = open("/dev/null", O_RDWR);
    log = open("qemu.log", O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (null < 0 || log < 0) {
        _exit(127);
    }
    dup2(null, STDIN_FILENO);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    close_range(3, ~0u, 0);
    execvp(a->argv[0], a->argv);
    fprintf(stderr, "%s: %s\n", a->argv[0], strerror(errno));
    fflush(stderr);
    _exit(127);
}

/* The last lines of a file of the machine's. */
static void show_tail(const struct machine *m, const char *file, int lines)
{
    char *path = machine_path(m, file), buf[4096];
    FILE *f = fopen(path, "re");
    size_t n, at;

    free(path);
    if (!f) {
        return;
    }
    (void)fseek(f, 0, SEEK_END);
    (void)fseek(f, ftell(f) > (long)sizeof(buf) ? -(long)sizeof(buf) : -ftell(f), SEEK_END);
    n = fread(buf, 1, sizeof(buf), f);
    fclose(f);
    for (at = n; at > 0 && lines >= 0; at--) {
        lines -= at < n && buf[at - 1] == '\n';
    }
    at += lines < 0 ? 1 : 0;
    for (; at < n; at++) {
        if (buf[at] != '\r') {
            fputc(buf[at], stderr);
        }
    }
    if (n && buf[n - 1] != '\n') {
        fputc('\n', stderr);
    }
}

static void take_down(void)
{
    struct machine *m = unfinished;

    unfinished = NULL;
    if (!m) {
        return;
    }
    if (m->pid > 0) {
        machine_kill(m);
        (void)waitpid(m->pid, NULL, WNOHANG);
    }
    show_tail(m, "qemu.log", 5);
    show_tail(m, "log", 10);
    machine_remove(m);
}

static void write_archive(const struct machine *m, struct archive *archive)
{
    char *path = machine_path(m, MACHINE_ARCHIVE);

    archive_write(archive, path);
    free(path);
    free(archive->data);
}

/* QEMU has read it. */
static void remove_archive(const struct machine *m)
{
    char *path = machine_path(m, MACHINE_ARCHIVE);

    unlink(path);
    free(path);
}

static void start(struct machine *m, struct plan *p, struct arguments *a, const char *accel)
{
    pid_t pid;

    if (m->ended) {
        machine_remove(m);
    }
    if (mkdir(m->folder, 0700)) {
        machine_die(m, "%s: %s", m->folder, strerror(errno));
    }
    unfinished = m;
    atexit(take_down);
    if (p->archive.data) {
        write_archive(m, &p->archive);
    }
    fflush(NULL);
    pid = fork();
    if (pid < 0) {
        machine_die(m, "no process for it: %s", strerror(errno));
    }
    if (!pid) {
        run_qemu(m, a);
    }
    machine_record(m, pid, accel);
}

/* Says what became of QEMU, if it ended. */
static void check_ended(const struct machine *m)
{
    int status;

    if (waitpid(m->pid, &status, WNOHANG) != m->pid) {
        return;
    }
    if (WIFSIGNALED(status)) {
        machine_die(m, "QEMU was killed by signal %d", WTERMSIG(status));
    }
    machine_die(m, "QEMU ended with status %d", WEXITSTATUS(status));
}

/* The connection can be lost and made again while QEMU starts. */
static void wait_for_hello(struct machine *m, struct link *l, unsigned int seconds)
{
    uint64_t end = now_ms() + (uint64_t)seconds * SECOND;

    while (now_ms() < end) {
        uint64_t left = end - now_ms();

        if (!link_open(l, m, left < SECOND ? left : SECOND)) {
            check_ended(m);
            if (l->fd < 0) { /* no socket yet */
                link_close(l);
                continue;
            }
        }
        if (link_hello(l, left)) {
            return;
        }
        link_close(l);
        check_ended(m);
        if (caught_signal) {
            machine_die(m, "interrupted");
        }
        sleep_ms(50);
    }
    machine_die(m, "the control domain did not answer within %u seconds", seconds);
}

static void keep(void *machine, const char *as, const uint8_t *data, size_t size)
{
    definitions_keep_file(machine, as, data, size);
}

static void create_all(struct machine *m, struct link *l, struct plan *p)
{
    if (p->iso) {
        bring_all(p, bring_over_line, l);
    }
    if (p->store && p->iso) {
        definitions_bring(p->store, bring_over_line, l);
    }
    if (p->store) {
        definitions_begin(l, p->store);
        bring_all(p, keep, m);
    }
    for (int i = 0; i < p->nr_doms; i++) {
        if (create_brought(l, 1, &p->doms[i])) {
            machine_die(l->machine, "%s could not be created", p->doms[i]);
        }
    }
}

int cmd_up(int argc, char **argv)
{
    struct plan p = { .smp = "8,sockets=2,cores=2,threads=2",
                      .cpu = "max,-smap,vendor=GenuineIntel",
                      .memory = 512,
                      .wait = WAIT_DEFAULT,
                      .icount = -1 };
    static struct arguments a;
    static struct machine m;
    static struct link l;
    const char *accel;
    int lock;

    read_options(&p, argc, argv);
    accel = p.icount >= 0 ? "icount" : !p.no_kvm && kvm_usable() ? "kvm" : "tcg";
    make_arguments(&a, &p, accel);
    machine_look(&m, options.name);
    lock = machine_lock(&m, "up", options.timeout);
    if (lock < 0) {
        machine_die(&m, "another tarn command starts or ends it");
    }
    machine_look(&m, options.name);
    if (m.pid && !m.ended) {
        machine_die(&m, "it is up already (pid %d)", (int)m.pid);
    }
    start(&m, &p, &a, accel);
    wait_for_hello(&m, &l, p.wait);
    remove_archive(&m);
    l.limit = options.timeout;
    create_all(&m, &l, &p);
    link_close(&l);
    unfinished = NULL;
    printf("machine %s is up: pid %d, %s, %s, %u MiB\n", m.name, (int)m.pid, accel, p.smp,
           p.memory);
    return 0;
}
