/* SPDX-License-Identifier: MIT */
/*
 * domxml.h - libvirt's domain XML on the host: the document (xmldoc.c), what a domain is by it
 * (domxml.c), and the same as a domain file's text (deftext.c). Apart from the files that are
 * named, pure: what is wrong is told line by line, and nothing ends the program but want of memory.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/placement.h>

#define XML_SIZE_MAX (1u << 20)
#define XML_DISKS_MAX 8u /* as an emulator serves */

/* Who hears what is wrong, or is passed over. */
struct xml_listener {
    void (*hear)(void *arg, bool error, long line, const char *text);
    void *arg;
    unsigned int errors;
};

/* Always false, as whatever is wrong ends in "no". */
bool xml_wrong(struct xml_listener *l, long line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void xml_warn(struct xml_listener *l, long line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- xmldoc.c ---- */

struct _xmlDoc;
struct _xmlNode;

/* NULL after xml_wrong(): not XML, not UTF-8, with a document type, too deep or too large. */
struct _xmlDoc *xmldoc_parse(const char *text, size_t size, struct xml_listener *l);
/* Against a RELAX NG schema's file. */
bool xmldoc_valid(struct _xmlDoc *doc, const char *schema, struct xml_listener *l);
void xmldoc_free(struct _xmlDoc *doc);
long xmldoc_line(const struct _xmlNode *node);
/* The next element from `node` on, with itself; NULL: there is none. */
struct _xmlNode *xmldoc_element(struct _xmlNode *node);
/* Of an element: whether it is of that name, in no namespace; an attribute (or NULL) and the text,
 * without the blanks around it. Both are new. */
bool xmldoc_is(const struct _xmlNode *node, const char *name);
char *xmldoc_attribute(struct _xmlNode *node, const char *name);
char *xmldoc_text(struct _xmlNode *node);

/* ---- domxml.c ---- */

/* In the order in which they stand in a domain file. */
enum xml_tune {
    TUNE_SHARES,
    TUNE_PERIOD,
    TUNE_QUOTA,
    TUNE_EMULATOR_PERIOD,
    TUNE_EMULATOR_QUOTA,
    TUNE_GLOBAL_PERIOD,
    TUNE_GLOBAL_QUOTA,
    TUNE_IOTHREAD_PERIOD,
    TUNE_IOTHREAD_QUOTA,
    TUNES
};

struct xml_disk {
    uint64_t sectors;
    unsigned int iothread; /* 0: none */
};

enum { XML_POWEROFF, XML_REBOOT, XML_CRASH, XML_EVENTS };

struct domain_xml {
    char *name, *uuid, *kernel, *initrd, *cmdline;
    char *emulator; /* a domain file */
    uint64_t memory_mib, current_mib;
    bool tuned[TUNES];
    int64_t tune[TUNES];
    const char *event[XML_EVENTS]; /* what is done then; NULL: not said */
    struct placement_raw place;    /* checked */
    unsigned int nr_disks;
    struct xml_disk disks[XML_DISKS_MAX];
};

/* False after xml_wrong(); *d is to be freed in any case. */
bool domxml_read(struct _xmlDoc *doc, enum placement_mode mode, struct domain_xml *d,
                 struct xml_listener *l);
void domxml_free(struct domain_xml *d);

/* ---- deftext.c ---- */

/*
 * The domain file's text, new. `from` is for its first comment; rename(arg, path) is by what name
 * the control domain knows a file. overrides: "KEY=VALUE", in place of what the XML says, or more.
 */
char *deftext_make(const struct domain_xml *d, const char *from,
                   const char *(*rename)(void *arg, const char *path), void *arg, int nr_overrides,
                   char *const *overrides);
