/* SPDX-License-Identifier: MIT */
/*
 * store.h - a folder of definitions on the host, which outlives machines: NAME.cfg is definition
 * NAME, files/ has the kernels and other files that definitions name, .tarn says which of these
 * tarn wrote, and for which machine. A file that tarn did not write, or that somebody changed
 * since, is never touched. Each file is written beside its place and then renamed into it.
 *
 * All that fail say why (complain()) and return false.
 */
#pragma once

#include "host.h"

struct definition {
    char *name, *text;
    size_t size;
};

struct definitions {
    struct definition *all;
    size_t n;
};

void definitions_add(struct definitions *d, const char *name, const char *text, size_t size);
void definitions_free(struct definitions *d);
/* What the control domain dumps; false, silently: it is not whole. The generation is cut out. */
bool definitions_parse(struct definitions *d, const char *text, size_t size, char *generation,
                       size_t room);
/* Whether a definition can have that name. */
bool definition_name_ok(const char *name);

struct stored_definition {
    uint32_t crc;
    char *name;
};

struct stored_file {
    char *file; /* in files/ */
    char *as;   /* how the control domain knows it */
};

struct store {
    const char *path;
    int fd;              /* of the folder, locked */
    struct machine user; /* whose definitions they are; pid 0: nobody's */
    struct stored_definition *definitions;
    struct stored_file *files;
    size_t nr_definitions, nr_files;
};

/* Opens and locks it and reads .tarn. */
bool store_open(struct store *s, const char *path);
void store_close(struct store *s);
bool store_write(struct store *s); /* .tarn */
/* The definitions that lie there, whoever wrote them; what is none is left out, and told. */
bool store_read(const struct store *s, bool tell, struct definitions *d);
/* Makes the folder's definitions these. */
bool store_save(struct store *s, const struct definitions *d);
/* Those that lie there as they are in d are ours; of these only what is also in `which`. */
void store_adopt(struct store *s, const struct definitions *d, const struct definitions *which);
/* A copy of a file. */
bool store_keep(struct store *s, const char *as, const uint8_t *data, size_t size);
/* Path of the copy of what a definition calls `name`, new, and *as; NULL: there is none. */
char *store_file(const struct store *s, const char *name, const char **as);
/* Drops the copies that no definition names. */
void store_collect(struct store *s, const struct definitions *d);
