/* SPDX-License-Identifier: MIT */
/*
 * xmldoc.c - XML documents of anybody's making, by libxml2: nothing is fetched, no entity of the
 * document's own is ever expanded (a document type ends the parser at once), and libxml2's limits
 * of depth hold. libxml2 tells its errors through a global; the listener is ours while we call it.
 */
#include "domxml.h"
#include "host.h"

#include <stdlib.h>
#include <string.h>

#include <libxml/parser.h>
#include <libxml/parserInternals.h>
#include <libxml/relaxng.h>

#define TOLD_MAX 5 /* of a document that is against the schema */

/* ---- messages ---- */

static void tell(struct xml_listener *l, bool error, long line, const char *format, va_list args)
{
    char text[512];

    vsnprintf(text, sizeof(text), format, args);
    for (char *p = text; *p; p++) {
        if (*p < ' ' || *p > '~') { /* others may stand in what is quoted, and be cut there */
            *p = '?';
        }
    }
    l->errors += error;
    l->hear(l->arg, error, line, text);
}

bool xml_wrong(struct xml_listener *l, long line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(l, true, line, format, args);
    va_end(args);
    return false;
}

void xml_warn(struct xml_listener *l, long line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    tell(l, false, line, format, args);
    va_end(args);
}

/* libxml2's messages end with a newline. */
static void pass_on(struct xml_listener *l, xmlErrorPtr error, const char *who)
{
    const char *text = error->message ? error->message : "unknown error";

    if (l->errors < TOLD_MAX) {
        xml_wrong(l, error->line, "%s%.*s", who, (int)strcspn(text, "\n"), text);
    } else {
        l->errors++;
    }
}

static void on_error(void *arg, xmlErrorPtr error)
{
    pass_on(arg, error, "");
}

static void on_misfit(void *arg, xmlErrorPtr error)
{
    pass_on(arg, error, "against the schema: ");
}

/* ---- documents ---- */

static void no_doctype(void *context, const xmlChar *name, const xmlChar *external,
                       const xmlChar *system)
{
    xmlParserCtxtPtr c = context;

    (void)name;
    (void)external;
    (void)system;
    xml_wrong(c->_private, xmlSAX2GetLineNumber(c), "a document type is not taken");
    xmlStopParser(c);
}

struct _xmlDoc *xmldoc_parse(const char *text, size_t size, struct xml_listener *l)
{
    xmlParserCtxtPtr c = xmlNewParserCtxt();
    unsigned int before = l->errors;
    xmlDocPtr doc;

    if (!c) {
        die("out of memory");
    }
    if (size > XML_SIZE_MAX) {
        xmlFreeParserCtxt(c);
        xml_wrong(l, 0, "it is larger than %u bytes", XML_SIZE_MAX);
        return NULL;
    }
    c->_private = l;
    c->sax->internalSubset = no_doctype;
    xmlSetStructuredErrorFunc(l, on_error);
    doc = xmlCtxtReadMemory(c, text, (int)size, NULL, NULL, XML_PARSE_NONET | XML_PARSE_BIG_LINES);
    xmlSetStructuredErrorFunc(NULL, NULL);
    xmlFreeParserCtxt(c);
    if (doc && l->errors == before) {
        return doc;
    }
    xmlFreeDoc(doc);
    if (l->errors == before) {
        xml_wrong(l, 0, "it is no XML");
    }
    return NULL;
}

void xmldoc_free(struct _xmlDoc *doc)
{
    xmlFreeDoc(doc);
}

bool xmldoc_valid(struct _xmlDoc *doc, const char *path, struct xml_listener *l)
{
    unsigned int before = l->errors;
    xmlRelaxNGParserCtxtPtr parser;
    xmlRelaxNGPtr schema;
    xmlRelaxNGValidCtxtPtr valid;

    xmlSetStructuredErrorFunc(l, on_error);
    parser = xmlRelaxNGNewParserCtxt(path);
    schema = parser ? xmlRelaxNGParse(parser) : NULL;
    if (!schema) {
        xmlSetStructuredErrorFunc(NULL, NULL);
        die("%s: no RELAX NG schema, or one that can't be read", path);
    }
    xmlSetStructuredErrorFunc(l, on_misfit);
    valid = xmlRelaxNGNewValidCtxt(schema);
    if (valid && xmlRelaxNGValidateDoc(valid, doc) && l->errors == before) {
        xml_wrong(l, 0, "it does not fit %s", path);
    }
    xmlSetStructuredErrorFunc(NULL, NULL);
    xmlRelaxNGFreeValidCtxt(valid);
    xmlRelaxNGFree(schema);
    xmlRelaxNGFreeParserCtxt(parser);
    return l->errors == before;
}

/* ---- elements ---- */

long xmldoc_line(const struct _xmlNode *node)
{
    return xmlGetLineNo(node);
}

struct _xmlNode *xmldoc_element(struct _xmlNode *node)
{
    while (node && node->type != XML_ELEMENT_NODE) {
        node = node->next;
    }
    return node;
}

bool xmldoc_is(const struct _xmlNode *node, const char *name)
{
    return !node->ns && !strcmp((const char *)node->name, name);
}

/* A copy without the blanks around it; frees the original. */
static char *trimmed(xmlChar *text)
{
    static const char blanks[] = " \t\r\n";
    const char *p = text ? (const char *)text : "";
    size_t n;
    char *out;

    p += strspn(p, blanks);
    for (n = strlen(p); n > 0 && strchr(blanks, p[n - 1]); n--) {
    }
    out = join("%.*s", (int)n, p);
    xmlFree(text);
    return out;
}

char *xmldoc_attribute(struct _xmlNode *node, const char *name)
{
    xmlChar *text = xmlGetNoNsProp(node, (const xmlChar *)name);

    return text ? trimmed(text) : NULL;
}

char *xmldoc_text(struct _xmlNode *node)
{
    return trimmed(xmlNodeGetContent(node));
}
