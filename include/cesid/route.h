/*
 * The route table's words: what a route is, which fields it takes, and how a path finds it. The
 * same table validates (validate.h) and describes the API, so that the two cannot differ. Pure.
 */
#ifndef CESID_ROUTE_H
#define CESID_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/access.h"
#include "cesid/check.h"

#define ROUTE_SEGMENTS_MAX 12
#define ROUTE_URI_MAX      8192

struct request;
struct response;

enum field_place { FIELD_PATH, FIELD_QUERY, FIELD_BODY };

enum field_type {
    FIELD_STRING,
    FIELD_INTEGER,
    FIELD_NUMBER,
    FIELD_BOOLEAN,
    FIELD_STRINGS, /* body: an array; query: repeated, and (but for labels) comma-separated */
    FIELD_LABELS   /* body: an object of strings; its items are key=value */
};

enum field_format {
    FORMAT_TEXT,    /* any UTF-8 without control characters, but tab and newline in a body */
    FORMAT_NAME,    /* text_is_name */
    FORMAT_LABEL,   /* key=value */
    FORMAT_PROCESS, /* "group:name" or "name" */
    FORMAT_GLOB,    /* on one line: names can be matched with it */
    FORMAT_TOKEN,   /* [A-Za-z0-9._-]: ids, cursors */
    FORMAT_CURSOR,  /* cursor_decode */
    FORMAT_TIME,    /* activity_time_parse: RFC 3339, or a date for its midnight in UTC */
    FORMAT_SECRET   /* as TEXT, and shown nowhere */
};

struct field {
    const char *name; /* of a body's field in an object: "object.field" */
    enum field_place place;
    enum field_type type;
    enum field_format format;
    bool required;
    int64_t minimum, maximum;  /* of a number; of a string's characters; 0 and 0: 0 to 4096, or any
                                  number */
    const char *choices;       /* "stdout|stderr"; matched without case, kept as written here */
    const char *default_value; /* as in a query; NULL: absent */
    const char *about;
};

enum route_scope {
    ROUTE_PUBLIC, /* no credentials are looked at */
    ROUTE_GLOBAL, /* the permission without an environment (PERMISSION_NONE: any session) */
    ROUTE_FLEET,  /* the permission in some environment; the handler shows only what it covers */
    ROUTE_NODE    /* {node} must be seen (node:read), and the permission hold in its environment */
};

struct route {
    const char *method; /* GET also answers HEAD */
    const char *path;   /* "/api/v1/nodes/{node}"; a lone asterisk: what no other takes */
    enum route_scope scope;
    enum permission permission;
    /* 0, or a cesid_error with the request's problem filled in as far as there is more to say. */
    int (*handler)(struct request *request, struct response *response);
    /* What the fields cannot say, NULL for nothing: adds to the request's problem, beside what is
     * wrong already. The text of a wrong field is NULL, its items are missing. */
    void (*check)(struct request *request);
    const struct field *fields;
    size_t fields_count;
    const char *about;
    const char *action; /* what the activity record calls it: "node.create"; NULL: changes nothing,
                           is not recorded */
    const char *resource; /* of an action: the kind of what it acts on, "node" */
    /* For the description (openapi.h). answers: "200:Node 202:Operation", where [Node] is a list
     * of them, a|b one of both, and media types are text. problems: "409 502", what its handler may
     * answer besides what all of its kind may. */
    const char *answers;
    const char *problems;
    bool signed_in;    /* for who signed in: an API token may not, whatever its scope */
    bool any_query;    /* parameters it does not know are not its business: the page's own */
    bool quiet;        /* logged at debug level only: probes, assets */
    bool websocket;    /* no handler: ends in an upgrade */
    bool check_origin; /* with a cookie, although it is a GET */
    bool early;        /* answered before the subsystems are there, too */
};

struct route_table {
    const struct route *routes;
    size_t count;
};

#define ROUTE_FIELDS(array) .fields = (array), .fields_count = ARRAY_LENGTH(array)

/* The route as metrics name it; NULL is "unmatched". */
const char *route_label(const struct route *route);

/* A path in decoded segments. */
struct route_path {
    char *segments[ROUTE_SEGMENTS_MAX];
    size_t count;
    char *memory;
};

/* Decodes segment by segment, once. BAD_REQUEST: bad escapes, NUL, control bytes, an encoded slash,
 * bytes that are not UTF-8, "." and ".."; NOT_FOUND: more segments than any route has. */
int route_path_decode(struct route_path *path, const char *uri) CESID_WARN_UNUSED;
void route_path_destroy(struct route_path *path);

/* Decodes %XX (and, in a query, '+') of length bytes in place; false for bad escapes and NULs.
 * *decoded is the new length; a NUL follows, so there must be room for one. */
bool route_unescape(char *text, size_t length, bool query, size_t *decoded);

/* What a path and a method lead to. */
struct route_match {
    const struct route *route;
    char allow[64]; /* of METHOD_NOT_ALLOWED */
};
/* base is the number of leading segments that belong to base_path (already compared). NOT_FOUND,
 * METHOD_NOT_ALLOWED. */
int route_find(const struct route_table *const *tables, size_t tables_count, const char *method,
               const struct route_path *path, size_t base,
               struct route_match *match) CESID_WARN_UNUSED;
/* The segment that a template's {name} stands for; NULL: none. */
const char *route_capture(const struct route *route, const struct route_path *path, size_t base,
                          const char *name);

#endif
