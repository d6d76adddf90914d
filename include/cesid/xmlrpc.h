/*
 * XML-RPC codec: pure, over libxml2's SAX2 push parser. No entities, no external anything, depth
 * and size capped. Control characters that XML forbids, which supervisord puts raw into the text of
 * log answers, are carried through unharmed, NUL and carriage return included; in a place where
 * markup must be they are an error. Types: int (i4, i8, int), boolean, string (also untyped),
 * double, base64, dateTime.iso8601, nil, array, struct. Source of the facts: xmlrpc.com/spec and
 * supervisor/xmlrpc.py (4.2.5). Nothing here is shared between threads.
 */
#ifndef CESID_XMLRPC_H
#define CESID_XMLRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/strbuf.h"

/* Request. Text that is not UTF-8 is repaired; text with characters that XML forbids goes out as
 * base64, which supervisord reads as the same string. */
void xmlrpc_call_begin(struct strbuf *out, const char *method);
void xmlrpc_add_string(struct strbuf *out, const char *value, size_t length);
void xmlrpc_add_int(struct strbuf *out, int64_t value);
void xmlrpc_add_boolean(struct strbuf *out, bool value);
void xmlrpc_call_end(struct strbuf *out);

/* The one argument of system.multicall: batch_begin, then for each call batch_call, its arguments
 * as xmlrpc_value_*, batch_call_end; then batch_end. */
void xmlrpc_batch_begin(struct strbuf *out);
void xmlrpc_batch_call(struct strbuf *out, const char *method);
void xmlrpc_value_string(struct strbuf *out, const char *value, size_t length);
void xmlrpc_value_int(struct strbuf *out, int64_t value);
void xmlrpc_batch_call_end(struct strbuf *out);
void xmlrpc_batch_end(struct strbuf *out);

/* Answer */
enum xmlrpc_type {
    XMLRPC_NIL,
    XMLRPC_INT,
    XMLRPC_BOOLEAN,
    XMLRPC_DOUBLE,
    XMLRPC_STRING, /* base64 is decoded to this, dateTime kept as its text */
    XMLRPC_ARRAY,
    XMLRPC_STRUCT
};

struct xmlrpc_value {
    enum xmlrpc_type type;
    const char *name; /* a struct's member; else NULL */
    union {
        int64_t integer; /* INT and BOOLEAN */
        double real;
        struct {
            const char *data; /* NUL-terminated, valid UTF-8; may hold NUL bytes too */
            size_t length;
        } string;
        struct {
            struct xmlrpc_value *first;
            size_t count;
        } items; /* ARRAY and STRUCT: follow next */
    } as;
    struct xmlrpc_value *next;
};

/* A parsed answer: owns every value and string in one arena. */
struct xmlrpc_answer {
    bool fault;
    int64_t fault_code;
    const char *fault_text;           /* never NULL when fault */
    const struct xmlrpc_value *value; /* never NULL unless fault */
    struct xmlrpc_arena *arena;
};

#define XMLRPC_DEPTH_MAX 64

struct xmlrpc_limits {
    size_t values; /* most values in one answer */
    int depth;     /* deepest nesting of values, at most XMLRPC_DEPTH_MAX */
};

/* 0; CESID_E_NODE_PROTOCOL with a static reason in *why for anything that is not a whole, sane
 * methodResponse. */
int xmlrpc_parse(const char *data, size_t length, const struct xmlrpc_limits *limits,
                 struct xmlrpc_answer *answer, const char **why) CESID_WARN_UNUSED;
void xmlrpc_answer_free(struct xmlrpc_answer *answer);

/* The first member of that name, NULL when there is none or it is not a struct. */
const struct xmlrpc_value *xmlrpc_member(const struct xmlrpc_value *structure, const char *name);

#endif
