/* SPDX-License-Identifier: MIT */
/*
 * domxml_part.h - what the two readers of domain XML share: domxml.c, and domxml_cpu.c for CPUs and
 * devices. What is wrong is told to the listener, and reading goes on, so that all of it is told.
 */
#pragma once

#include "domxml.h"

struct xml_reader {
    struct domain_xml *d;
    struct xml_listener *l;
    long memory_line, os_line; /* 0: not met */
    long vcpu_line, vcpus_line, pin_line[3];
    bool typed;
    char listed_vcpu[PLACEMENT_VCPUS]; /* 'y', 'n' or 0: in <vcpus>, enabled or not */
    unsigned int iothread_ids;
    struct _xmlNode *devices;
    const char *warned[32];
    unsigned int nr_warned;
};

enum xml_kind { XML_TAKE, XML_SILENT, XML_PASS, XML_REFUSE };
enum xml_others { XML_OTHERS_REFUSE, XML_OTHERS_PASS };

/* A table ends with a NULL name, and has 64 at most. */
struct xml_element {
    const char *name;
    void (*take)(struct xml_reader *r, struct _xmlNode *node);
    enum xml_kind kind;
    bool many; /* there may be more than one */
};

/* Each child element by its entry; others: what is not in the table. */
void xml_children(struct xml_reader *r, struct _xmlNode *node, const struct xml_element *table,
                  enum xml_others others);
/* Attributes other than the known ones are wrong. */
void xml_attributes(struct xml_reader *r, struct _xmlNode *node, const char *const *known);
bool xml_number_parse(const char *text, uint64_t *value);
/* Takes the text; NULL: it is missing. */
bool xml_number(struct xml_reader *r, struct _xmlNode *node, const char *what, char *text,
                uint64_t max, uint64_t *value);
/* Wrong, unless why is NULL. */
void xml_why(struct xml_reader *r, const struct _xmlNode *node, const char *why);
/* The text of an element that has nothing else; new. */
char *xml_plain(struct xml_reader *r, struct _xmlNode *node);

/* ---- domxml_cpu.c ---- */

void xml_take_vcpu(struct xml_reader *r, struct _xmlNode *node);
void xml_take_vcpus(struct xml_reader *r, struct _xmlNode *node);
void xml_take_iothreads(struct xml_reader *r, struct _xmlNode *node);
void xml_take_iothreadids(struct xml_reader *r, struct _xmlNode *node);
void xml_take_cputune(struct xml_reader *r, struct _xmlNode *node);
void xml_take_numatune(struct xml_reader *r, struct _xmlNode *node);
void xml_take_devices(struct xml_reader *r, struct _xmlNode *node);
/* What these say together. */
void xml_settle_cpus(struct xml_reader *r, long line);
