/*
 * What happens to an answer before libxml2 sees it. Inside src/core only.
 *
 * supervisord puts log bytes into XML text as they are: escape sequences, NUL, backspaces, which
 * XML 1.0 forbids and libxml2 rejects; and carriage returns, which every XML parser must turn into
 * line feeds. Each such control character is swapped for one of 32 private-use characters (U+10FF00
 * and on) before parsing and swapped back in the finished strings; a carriage return is written as
 * a character reference. When the answer happens to use one of those private-use characters itself,
 * control characters become U+FFFD instead, so that nothing is ever turned into something else.
 */
#ifndef CESID_CORE_XMLRPC_PREPARE_H
#define CESID_CORE_XMLRPC_PREPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/check.h"

struct xmlrpc_prepared {
    const char *data; /* the input itself, or owned */
    size_t length;
    char *owned;
    bool mapped; /* strings must go through xmlrpc_restore */
};

/* NULL, or a static sentence on why this cannot be an answer. Clean up in both cases. */
const char *xmlrpc_prepare(const char *data, size_t length,
                           struct xmlrpc_prepared *prepared) CESID_WARN_UNUSED;
void xmlrpc_prepare_clean(struct xmlrpc_prepared *prepared);

/* Puts control characters back in place; returns the new length, which is never larger. */
size_t xmlrpc_restore(char *text, size_t length);

#endif
