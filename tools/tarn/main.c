/* SPDX-License-Identifier: MIT */
/* main.c - tarn [--name NAME] [--timeout SECONDS] COMMAND: the options and the table of commands.
 */
#include "host.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include <gen/version.h>

struct command {
    const char *name, *usage, *help;
    int (*run)(int argc, char **argv);
};

static int cmd_help(int argc, char **argv);

static const struct command commands[] = {
    { "up",
      "[--smp SPEC] [--memory MIB] [--cpu MODEL] [--append TEXT] [--iso]\n"
      "               [--dom FILE]... [--file FILE]... [--icount[=SHIFT]] [--gdb[=PORT]]\n"
      "               [--no-kvm] [--wait SECONDS] [--state DIR]",
      "start a machine; it is up when its control domain answers", cmd_up },
    { "xl", "COMMAND [ARGUMENT...]", "run a command of the control domain", cmd_xl },
    { "create", "[-pnqF] [--explain] FILE [KEY=VALUE...]",
      "make a domain of a domain file of the host", cmd_create },
    { "define",
      "[--place 2012|modern] [--schema FILE] [--no-schema] [--print] FILE\n"
      "               [KEY=VALUE...]",
      "make a definition of libvirt's domain XML, or of a domain file", cmd_define },
    { "virsh", "COMMAND [ARGUMENT...]", "virsh's words; `virsh define` takes a file of the host",
      cmd_virsh },
    { "explain", "DOMAIN", "where its vcpus may run, and by which rule", cmd_explain },
    { "nemesis",
      "add [-w WEIGHT] [-c CAP] MASTER MEMBER | del MEMBER | dissolve MASTER |\n"
      "               list [MASTER]",
      "domains that share one's weight and cap", cmd_nemesis },
    { "cpu-baseline", "FILE...", "the CPU that several hosts' capabilities have in common",
      cmd_baseline },
    { "put", "FILE [NAME]", "bring a file to the control domain", cmd_put },
    { "console", "DOMAIN", "attach to a domain's console; ^] leaves", cmd_console },
    { "trace",
      "start [-e EVENTS] [-c CPUS] [-S PAGES] [-M MIB] | stop | status | clear |\n"
      "               save FILE",
      "what the hypervisor does and when, in a file for xenalyze", cmd_trace },
    { "log", "[-f]", "what was printed on the serial console", cmd_log },
    { "status", "", "machines, and whether they answer", cmd_status },
    { "list-machines", "", "the same", cmd_status },
    { "down", "[--force]", "end a machine", cmd_down },
    { "help", "", "this text", cmd_help },
};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COUNT(commands); i++) {
        if (!strcmp(commands[i].name, name)) {
            return &commands[i];
        }
    }
    return NULL;
}

void usage_die(const char *command)
{
    const struct command *c = find(command);

    die("usage: tarn %s%s%s", command, c && *c->usage ? " " : "", c ? c->usage : "");
}

static int cmd_help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("usage: tarn [--name NAME] [--timeout SECONDS] COMMAND [ARGUMENT...]\n\n");
    for (size_t i = 0; i < COUNT(commands); i++) {
        printf("  %-13s  %s\n", commands[i].name, commands[i].usage);
        printf("  %-13s      %s\n", "", commands[i].help);
    }
    printf("\nStatus 125: tarn itself failed. Any other is that of the command.\n");
    return 0;
}

enum { NAME = 256, TIMEOUT, VERSION, HELP };

static void one_option(int option)
{
    unsigned int seconds;

    switch (option) {
    case NAME:
        if (!name_ok(optarg)) {
            die("--name: %s: up to 32 letters, digits and . _ -, not . or - first", optarg);
        }
        options.name = optarg;
        options.name_given = true;
        break;
    case TIMEOUT:
        if (!number_parse(optarg, 1, 86400, &seconds)) {
            die("--timeout: %s: not a number from 1 to 86400", optarg);
        }
        options.timeout = seconds * SECOND;
        break;
    case VERSION:
        printf("tarn %s\n", TARN_VERSION);
        exit(0);
    case HELP:
        exit(cmd_help(0, NULL));
    default:
        die("unknown option, or one without its value (`tarn help` lists them)");
    }
}

int main(int argc, char **argv)
{
    static const struct option long_options[] = {
        { "name", required_argument, NULL, NAME },
        { "timeout", required_argument, NULL, TIMEOUT },
        { "version", no_argument, NULL, VERSION },
        { "help", no_argument, NULL, HELP },
        { NULL, 0, NULL, 0 },
    };
    const struct command *c;
    int option, status;

    opterr = 0;
    while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
        one_option(option);
    }
    if (optind == argc) {
        die("no command (`tarn help` lists them)");
    }
    c = find(argv[optind]);
    if (!c) {
        die("%s: no such command (`tarn help` lists them)", argv[optind]);
    }
    signals_catch();
    status = c->run(argc - optind, argv + optind);
    if (fflush(stdout) || ferror(stdout)) {
        die("the output can't be written");
    }
    return status;
}
