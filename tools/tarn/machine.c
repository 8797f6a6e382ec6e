/* SPDX-License-Identifier: MIT */
/*
 * machine.c - a machine's folder, process, locks and sockets. The process id counts only together
 * with the start time of its process, so that no stranger is taken for the machine after it ended.
 * Locks lie beside the folders and are never removed: a lock on a file that somebody else just
 * unlinked would lock nothing.
 */
#include "host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct options options = { .name = "default", .timeout = 30 * SECOND };

void machine_die(const struct machine *m, const char *format, ...)
{
    va_list args;
    char why[512];

    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    die("machine %s: %s", m->name, why);
}

bool name_ok(const char *name)
{
    size_t n = strlen(name);

    return n > 0 && n <= 32 && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

/* Ours alone, or else somebody could put sockets of his own there. */
static void check_folder(const char *path)
{
    struct stat st;

    if (mkdir(path, 0700) && errno != EEXIST) {
        die("%s: %s", path, strerror(errno));
    }
    if (lstat(path, &st)) {
        die("%s: %s", path, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode)) {
        die("%s: not a folder", path);
    }
    if (st.st_uid != geteuid()) {
        die("%s: belongs to another user", path);
    }
    if (st.st_mode & 077) {
        die("%s: is open to other users (chmod 700 it)", path);
    }
}

const char *state_folder(void)
{
    static char *path;
    const char *state = getenv("TARN_STATE"), *run = getenv("XDG_RUNTIME_DIR");
    char full[PATH_MAX];

    if (path) {
        return path;
    }
    if (state && *state) {
        path = join("%s", state);
    } else {
        path = join("%s/tarn-%u", run && *run ? run : "/tmp", (unsigned int)geteuid());
    }
    check_folder(path);
    if (!realpath(path, full) || strlen(full) > PATH_MAX - 100) {
        die("%s: %s", path, "not a usable folder");
    }
    free(path);
    path = join("%s", full);
    return path;
}

/* Start time of a process that runs; 0: it does not, or is a zombie. */
static uint64_t process_start(pid_t pid)
{
    char path[64], text[1024];
    const char *p;
    uint64_t start = 0;
    FILE *f;
    char state = 'Z';

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "re");
    if (!f) {
        return 0;
    }
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    p = strrchr(text, ')'); /* the name may hold anything */
    if (!p || sscanf(p + 1,
                     " %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
                     "%*d %" SCNu64,
                     &state, &start) != 2) {
        return 0;
    }
    return state == 'Z' || state == 'X' ? 0 : start;
}

bool machine_alive(const struct machine *m)
{
    return m->pid > 0 && process_start(m->pid) == m->start;
}

char *machine_path(const struct machine *m, const char *file)
{
    return join("%s/%s", m->folder, file);
}

void machine_look(struct machine *m, const char *name)
{
    char *path;
    FILE *f;
    int pid;

    *m = (struct machine){ .name = name };
    snprintf(m->folder, sizeof(m->folder), "%s/%s", state_folder(), name);
    if (access(m->folder, F_OK)) {
        return;
    }
    check_folder(m->folder);
    m->ended = true;
    path = machine_path(m, "pid");
    f = fopen(path, "re");
    free(path);
    if (!f) {
        return;
    }
    if (fscanf(f, "%d %" SCNu64 " %" SCNd64 " %15s", &pid, &m->start, &m->since, m->accel) == 4 &&
        pid > 0) {
        m->pid = pid;
    }
    fclose(f);
    m->ended = !machine_alive(m);
}

void machine_require(struct machine *m)
{
    machine_look(m, options.name);
    if (m->ended) {
        machine_die(m, "it has ended (`tarn log` shows what it printed)");
    }
    if (!m->pid) {
        machine_die(m, "it is not up");
    }
}

void machine_record(struct machine *m, pid_t pid, const char *accel)
{
    char *path = machine_path(m, "pid"), *new = machine_path(m, "pid.new");
    FILE *f = fopen(new, "we");

    m->pid = pid;
    m->start = process_start(pid);
    m->since = time(NULL);
    snprintf(m->accel, sizeof(m->accel), "%s", accel);
    if (!f ||
        fprintf(f, "%d %" PRIu64 " %" PRId64 " %s\n", (int)pid, m->start, m->since, accel) < 0 ||
        fclose(f) || rename(new, path)) {
        machine_die(m, "%s: %s", path, strerror(errno));
    }
    free(path);
    free(new);
}

int machine_lock(const struct machine *m, const char *what, uint64_t ms)
{
    char *path = join("%s/.%s.%s", state_folder(), m->name, what);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    uint64_t end = now_ms() + ms;

    if (fd < 0) {
        die("%s: %s", path, strerror(errno));
    }
    free(path);
    while (flock(fd, LOCK_EX | LOCK_NB)) {
        if (now_ms() >= end || caught_signal) {
            close(fd);
            return -1;
        }
        sleep_ms(10);
    }
    return fd;
}

/* Through /proc, as an address holds 107 bytes only. */
int machine_connect(const struct machine *m, const char *socket_name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int folder = open(m->folder, O_PATH | O_DIRECTORY | O_CLOEXEC), fd, error = 0;

    if (folder < 0) {
        return -1;
    }
    snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", folder,
             socket_name);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        error = errno;
        close(fd);
        fd = -1;
    }
    close(folder);
    errno = error ? error : errno;
    return fd;
}

static bool ended_within(const struct machine *m, uint64_t ms)
{
    uint64_t end = now_ms() + ms;

    while (machine_alive(m)) {
        if (now_ms() >= end) {
            return false;
        }
        sleep_ms(20);
    }
    return true;
}

bool machine_kill(const struct machine *m)
{
    if (!machine_alive(m)) {
        return true;
    }
    kill(m->pid, SIGTERM);
    if (ended_within(m, 3 * SECOND)) {
        return true;
    }
    kill(m->pid, SIGKILL);
    return ended_within(m, 3 * SECOND);
}

/* Only what we or QEMU put there, so that no mistaken folder is ever emptied. */
void machine_remove(const struct machine *m)
{
    static const char *const files[] = { "pid",
                                         "pid.new",
                                         "wire",
                                         "com1",
                                         "log",
                                         "qemu.log",
                                         MACHINE_ARCHIVE,
                                         MACHINE_STORE,
                                         MACHINE_STORE ".new",
                                         MACHINE_GENERATION,
                                         MACHINE_GENERATION ".new" };

    for (size_t i = 0; i < COUNT(files); i++) {
        char *path = machine_path(m, files[i]);

        unlink(path);
        free(path);
    }
    rmdir(m->folder);
}
