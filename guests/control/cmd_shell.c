/* SPDX-License-Identifier: MIT */
/* cmd_shell.c - the shell's own commands: help, echo, files, sleep, run, exit, poweroff. */
#include "shell.h"

static int run_help(int argc, char **argv)
{
    const struct command *c;

    if (argc == 1) {
        commands_print();
        out("`help COMMAND` tells more. A command is known by its beginning, too: vcpu-l. "
            "A leading `xl` is fine.\n");
        return 0;
    }
    if (argc != 2) {
        return USAGE;
    }
    c = command_find(argv[1]);
    if (!c) {
        fail("%s: no such command, or more than one. There are:", argv[1]);
        commands_print();
        return 1;
    }
    out("usage: %s%s%s\n  %s\n", c->name, *c->usage ? " " : "", c->usage, c->help);
    return 0;
}

const struct command cmd_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .help = "the commands, or how one is used",
    .run = run_help,
};

static int run_echo(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        out(i > 1 ? " %s" : "%s", argv[i]);
    }
    out("\n");
    return 0;
}

const struct command cmd_echo = {
    .name = "echo",
    .usage = "[WORD...]",
    .help = "print words; $? is the status of the command before",
    .run = run_echo,
};

static int run_files(int argc, char **argv)
{
    const struct file *f;

    (void)argv;
    if (argc != 1) {
        return USAGE;
    }
    for (unsigned int i = 0; (f = file_nth(i)); i++) {
        out("%10lu %s\n", f->size, f->name);
    }
    return 0;
}

const struct command cmd_files = {
    .name = "files",
    .usage = "",
    .help = "the files that are here: domain files, kernels, scripts",
    .run = run_files,
};

static int run_sleep(int argc, char **argv)
{
    uint64_t seconds;

    if (argc != 2 || !number_parse(argv[1], 1000000, &seconds)) {
        return USAGE;
    }
    loop_until_time(clock_now() + seconds * SEC);
    return 0;
}

const struct command cmd_sleep = {
    .name = "sleep",
    .usage = "SECONDS",
    .help = "wait; domains go on",
    .run = run_sleep,
};

static int run_run(int argc, char **argv)
{
    return argc == 2 ? script_run(argv[1], true) : USAGE;
}

const struct command cmd_run = {
    .name = "run",
    .usage = "FILE",
    .help = "run the commands in a file",
    .run = run_run,
};

static int run_exit(int argc, char **argv)
{
    (void)argv;
    if (argc != 1) {
        return USAGE;
    }
    loop_end(SHUTDOWN_poweroff);
    return 0;
}

const struct command cmd_exit = {
    .name = "exit",
    .usage = "",
    .help = "power the machine off",
    .run = run_exit,
};

const struct command cmd_poweroff = {
    .name = "poweroff",
    .usage = "",
    .help = "power the machine off",
    .run = run_exit,
};
