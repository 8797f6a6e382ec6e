/* SPDX-License-Identifier: MIT */
/*
 * util.c - messages, time, memory, files, signals. Signals are blocked except inside wait_for, so
 * that none is lost between a look at caught_signal and the wait.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t caught_signal;
static sigset_t let_in; /* the mask inside wait_for */

static void vcomplain(const char *format, va_list args)
{
    fflush(stdout);
    fputs("tarn: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
}

void complain(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vcomplain(format, args);
    va_end(args);
}

void die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vcomplain(format, args);
    va_end(args);
    exit(STATUS_FAILED);
}

uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void sleep_ms(uint64_t ms)
{
    (void)wait_for(NULL, 0, ms);
}

void *grow(void *p, size_t size)
{
    p = realloc(p, size ? size : 1);
    if (!p) {
        die("out of memory");
    }
    return p;
}

char *join(const char *format, ...)
{
    va_list args;
    char *text;
    int n;

    va_start(args, format);
    n = vasprintf(&text, format, args);
    va_end(args);
    if (n < 0) {
        die("out of memory");
    }
    return text;
}

bool number_parse(const char *text, unsigned int low, unsigned int high, unsigned int *value)
{
    unsigned long n;
    char *end;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    n = strtoul(text, &end, 10);
    *value = (unsigned int)n;
    return !errno && !*end && n >= low && n <= high;
}

/* In pieces that don't block once there is room: a signal must get through to us. */
bool write_all(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len) {
        struct pollfd wait = { .fd = fd, .events = POLLOUT };
        ssize_t n = -1;

        if (wait_for(&wait, 1, SECOND) <= 0) {
            if (caught_signal) {
                return false;
            }
            continue;
        }
        n = write(fd, p, len < 1024 ? len : 1024);
        if (n < 0 && errno != EINTR && errno != EAGAIN) {
            return false;
        }
        p += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

uint8_t *read_whole(const char *path, size_t *size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    uint8_t *data;
    size_t used = 0;

    if (fd < 0 || fstat(fd, &st)) {
        die("%s: %s", path, strerror(errno));
    }
    if (!S_ISREG(st.st_mode)) {
        die("%s: not a file", path);
    }
    data = grow(NULL, (size_t)st.st_size);
    while (used < (size_t)st.st_size) {
        ssize_t n = read(fd, data + used, (size_t)st.st_size - used);

        if (n <= 0) {
            die("%s: %s", path, n ? strerror(errno) : "it became shorter while it was read");
        }
        used += (size_t)n;
    }
    close(fd);
    *size = used;
    return data;
}

static void on_signal(int signal)
{
    caught_signal = signal;
}

void signals_catch(void)
{
    static const int caught[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction action = { .sa_handler = on_signal };
    sigset_t blocked;

    sigemptyset(&blocked);
    for (size_t i = 0; i < COUNT(caught); i++) {
        sigaction(caught[i], &action, NULL);
        sigaddset(&blocked, caught[i]);
    }
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &blocked, &let_in);
    for (size_t i = 0; i < COUNT(caught); i++) {
        sigdelset(&let_in, caught[i]);
    }
}

int wait_for(struct pollfd *fds, unsigned int n, uint64_t ms)
{
    struct timespec t = { .tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000 };

    return ppoll(fds, n, &t, &let_in);
}
