/* SPDX-License-Identifier: MIT */
/*
 * define.h - a file of the host that becomes a definition: libvirt's domain XML, or a domain file
 * as it is.
 */
#pragma once

#include "host.h"

#include <tarn/placement.h>

struct conversion_file {
    char *path, *as; /* here, and in the control domain */
};

struct conversion {
    const char *path, *schema; /* schema NULL: libvirt's, if it is installed */
    enum placement_mode mode;
    bool no_schema, need_schema, print;
    int nr_overrides; /* KEY=VALUE */
    char **overrides;
    bool xml;                        /* it is; these are what came of it */
    char *text, *name, *emulator;    /* emulator: a domain file, by its path here */
    struct conversion_file names[4]; /* that the text has: kernel, ramdisk, emulator */
    size_t nr_names;
};

/* Reads it; dies when there is no file; false after messages ("error: FILE:LINE: ..."). */
bool conversion_read(struct conversion *c);
/* The text and the files that it names; the text's name there. */
const char *conversion_bring(struct conversion *c, bring_fn *bring, void *arg);
/* Brings it to the machine and has it defined there; the status. */
int conversion_define(struct conversion *c);
/* The same of a domain that is there at once, and of XML. */
int conversion_create(struct conversion *c);
