/* SPDX-License-Identifier: MIT */
/* commands.c - the table of all commands, in the order in which help shows them. */
#include "shell.h"

const struct command *const commands[] = {
    &cmd_list,         &cmd_vcpu_list,    &cmd_top,     &cmd_uptime,  &cmd_domid,
    &cmd_domname,      &cmd_create,       &cmd_destroy, &cmd_pause,   &cmd_unpause,
    &cmd_shutdown,     &cmd_reboot,       &cmd_rename,  &cmd_console, &cmd_vcpu_pin,
    &cmd_vcpu_set,     &cmd_sched_credit, &cmd_info,    &cmd_dmesg,   &cmd_debug_keys,
    &cmd_cpupool_list, &cmd_help,         &cmd_echo,    &cmd_files,   &cmd_sleep,
    &cmd_exit,         &cmd_poweroff,     &cmd_mem_set, &cmd_mem_max, &cmd_fail_allocation,
    &cmd_life,         &cmd_run,          &cmd_pages,   NULL,
};
