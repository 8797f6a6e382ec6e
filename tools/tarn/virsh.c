/* SPDX-License-Identifier: MIT */
/*
 * virsh.c - virsh's words, explain and nemesis: commands of the control domain. What names a file
 * of the host is looked at here first.
 */
#include "define.h"
#include "host.h"

#include <string.h>
#include <unistd.h>

/* FILE of `define` and `create`, [--file] FILE [--validate]; NULL: it is not of that form. */
static const char *file_of(int argc, char **argv, bool *validate)
{
    const char *file = NULL;

    *validate = false;
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--validate")) {
            *validate = true;
        } else if (strcmp(argv[i], "--file") != 0) {
            if (file || argv[i][0] == '-') {
                return NULL;
            }
            file = argv[i];
        }
    }
    return file;
}

/* A file that is not on the host may be one of the control domain's. */
static int define(int argc, char **argv)
{
    struct conversion c = { .path = NULL };
    bool validate, create = !strcmp(argv[1], "create");

    c.path = file_of(argc, argv, &validate);
    c.need_schema = validate;
    if (!c.path || access(c.path, R_OK)) {
        return exec_command(argc, argv);
    }
    if (!conversion_read(&c)) {
        fprintf(stderr, "error: Failed to %s domain from %s\n", argv[1], c.path);
        return 1;
    }
    if (create && !c.xml) {
        return cmd_create(argc - 1, argv + 1);
    }
    return create ? conversion_create(&c) : conversion_define(&c);
}

int cmd_virsh(int argc, char **argv)
{
    if (argc > 2 && (!strcmp(argv[1], "define") || !strcmp(argv[1], "create"))) {
        return define(argc, argv);
    }
    if (argc > 1 && !strcmp(argv[1], "cpu-baseline")) {
        return cmd_baseline(argc - 1, argv + 1);
    }
    if (argc == 3 && !strcmp(argv[1], "console")) {
        return cmd_console(argc - 1, argv + 1);
    }
    return exec_command(argc, argv);
}

int cmd_explain(int argc, char **argv)
{
    if (argc < 2) {
        usage_die("explain");
    }
    return exec_command(argc, argv);
}

/* ---- nemesis ---- */

/* The words of the tool of 2007, and what they are called here. */
int cmd_nemesis(int argc, char **argv)
{
    static const struct {
        const char *word;
        char command[24];
        int least, most; /* arguments */
    } words[] = {
        { "add", "sched-group-add", 2, 6 },
        { "del", "sched-group-remove", 1, 1 },
        { "dissolve", "sched-group-dissolve", 1, 1 },
        { "list", "sched-group-list", 0, 1 },
    };

    for (size_t i = 0; argc > 1 && i < COUNT(words); i++) {
        if (!strcmp(argv[1], words[i].word) && argc - 2 >= words[i].least &&
            argc - 2 <= words[i].most) {
            char command[24];

            memcpy(command, words[i].command, sizeof(command));
            argv[1] = command;
            return exec_command(argc - 1, argv + 1);
        }
    }
    usage_die("nemesis");
}
