/* SPDX-License-Identifier: MIT */
/*
 * definitions.h - domains that are defined: domain files' texts under the domains' names, whether
 * such a domain runs or not (definitions.c). They live as long as the control domain; the host
 * keeps them beyond that. One thread, no locks.
 */
#pragma once

#include "shell.h"

#define DEFINITIONS_MAX 64u
#define DEFINITION_SIZE_MAX 16384u
#define DEFINITIONS_FOLDER "definitions/" /* files from the host that `definitions -l` takes in */

struct definition {
    struct definition *next; /* by name */
    char name[NAME_SIZE];
    size_t size;
    char *text;
};

/* What a key of the text becomes: as it stands in a file; NULL: it goes. */
struct definition_change {
    const char *key, *value;
};

const struct definition *definition_first(void);
const struct definition *definition_find(const char *name); /* NULL: not there */
/* Makes a text the definition of the domain that it names; NULL after its faults were told. */
const struct definition *definition_put(const char *file, const char *text, size_t size);
void definition_remove(const struct definition *def);
/* What it says, from allocate(); NULL after that failed and was told. */
struct config *definition_config(const struct definition *def);
/* All changes or none; false after it was told why not. */
bool definition_change(const struct definition *def, const struct definition_change *changes,
                       unsigned int nr);
bool definition_has_key(const struct definition *def, const char *key);
