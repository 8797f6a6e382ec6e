/* SPDX-License-Identifier: MIT */
/*
 * trace.c - the hypervisor's trace: start, stop and status are the control domain's, save brings
 * what it has kept into a file of the host, which is there as a whole or not at all.
 */
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int run(int argc, char *const *argv)
{
    struct machine m;
    struct link l;
    int status;

    machine_require(&m);
    link_require(&l, &m);
    status = exec_words(&l, argc, argv);
    link_close(&l);
    return status;
}

/* What the command prints goes to the file from here on. */
static void output_to(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0) {
        die("%s: %s", path, strerror(errno));
    }
    close(fd);
}

static char *part; /* the file as far as it came */

static void part_remove(void)
{
    if (part) {
        unlink(part);
    }
}

static int save(const char *path)
{
    static char trace[] = "trace", dump[] = "dump", *const words[] = { trace, dump };
    struct stat st;
    int status;

    part = join("%s.part", path);
    output_to(part);
    atexit(part_remove);
    status = run(2, words);
    if (status) {
        return status;
    }
    if (fstat(STDOUT_FILENO, &st) || rename(part, path)) {
        die("%s: %s", path, strerror(errno));
    }
    part = NULL;
    if (st.st_size == 0) {
        complain("%s: there was nothing in the trace", path);
    }
    return 0;
}

int cmd_trace(int argc, char **argv)
{
    if (argc >= 2 && !strcmp(argv[1], "save")) {
        if (argc != 3) {
            usage_die("trace");
        }
        return save(argv[2]);
    }
    if (argc < 2 || !strcmp(argv[1], "dump")) {
        usage_die("trace");
    }
    return run(argc, argv);
}
