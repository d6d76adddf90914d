/*
 * From untrusted text to typed values, by the route's field table. All errors of one request are
 * found in one go. Pure; owned by the request.
 */
#ifndef CESID_VALIDATE_H
#define CESID_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/problem.h"
#include "cesid/route.h"

#define VALIDATE_ITEMS_MAX  100  /* of one FIELD_STRINGS */
#define VALIDATE_STRING_MAX 4096 /* characters, where the table says nothing */

struct value {
    bool present;
    char *text; /* STRING; NUL-terminated UTF-8 without NULs */
    int64_t integer;
    double real;
    bool boolean;
    char **items; /* STRINGS */
    size_t items_count;
};

/* Parallel to the route's fields. */
struct values {
    struct value *items;
    size_t count;
};

void values_init(struct values *values, const struct route *route); /* all absent */
void values_destroy(struct values *values);

/* Path fields that do not fit are NOT_FOUND: nothing can have that name. */
int validate_path(const struct route *route, const struct route_path *path, size_t base,
                  struct values *values) CESID_WARN_UNUSED;
/* query may be NULL. BAD_REQUEST for bad escapes; else 0, with what is wrong in problem. */
int validate_query(const struct route *route, const char *query, struct values *values,
                   struct problem *problem) CESID_WARN_UNUSED;
/* length 0: no body. INVALID_JSON; else 0, with what is wrong in problem. */
int validate_body(const struct route *route, const char *body, size_t length, struct values *values,
                  struct problem *problem) CESID_WARN_UNUSED;
/* After both: requires what is required, fills in defaults. VALIDATION_FAILED when problem has any
 * field error, its own or those of before. */
int validate_finish(const struct route *route, struct values *values,
                    struct problem *problem) CESID_WARN_UNUSED;

#endif
