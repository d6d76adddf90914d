/*
 * Text that came from elsewhere: UTF-8 repair, escaping for logs, globs, names. Pure functions.
 */
#ifndef CESID_TEXT_H
#define CESID_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/strbuf.h"

/* Whether all bytes are well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). */
bool text_is_utf8(const char *data, size_t length);

/* In UTF-8 text. */
size_t text_characters(const char *text);

/* Length of the longest prefix that does not end inside a UTF-8 character; what it leaves out is
 * at most 3 bytes. For cutting streams into messages. */
size_t text_utf8_complete(const char *data, size_t length);

/* Appends data with every byte that is not part of well-formed UTF-8 replaced by U+FFFD. */
void text_add_utf8(struct strbuf *out, const char *data, size_t length);

/* Appends a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD; control characters (C1 too),
 * U+2028, U+2029, bidirectional overrides, '<', '>' and '&' are escaped, so that the text is also
 * harmless inside HTML and on a terminal. */
void text_add_json(struct strbuf *out, const char *data, size_t length);

/* Appends for a log line: printable UTF-8 as it is, everything else (control bytes, backslash,
 * bidirectional overrides, invalid bytes) as \xNN or \u{NNNN}. */
void text_add_escaped(struct strbuf *out, const char *data, size_t length);

/* Shell-like glob over the whole text: '*' any run, '?' one character, '\' quotes the next. No
 * brackets, no special case for dots or slashes. Linear in memory, quadratic at worst in time. */
bool text_glob(const char *pattern, const char *text);

/* [A-Za-z0-9][A-Za-z0-9._-]{0,63}: nodes, environments, users, roles, label keys. */
bool text_is_name(const char *text);

/* Compares without telling by its time where two texts differ. */
bool text_equal_secret(const char *a, size_t a_length, const char *b, size_t b_length);

#endif
