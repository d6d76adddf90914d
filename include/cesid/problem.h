/*
 * The one shape of every error: application/problem+json (RFC 9457). Handlers fill in what they
 * know and return the error's number; only the dispatcher renders. Pure; owned by the request.
 */
#ifndef CESID_PROBLEM_H
#define CESID_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/error.h"
#include "cesid/strbuf.h"

#define PROBLEM_FIELDS_MAX 50 /* more are counted in `detail` but not listed */

struct problem_field {
    char *field;      /* "limit", "labels/1" */
    const char *code; /* required, unknown, wrong_type, too_short, too_long, out_of_range,
                         not_allowed, bad_format, repeated, no_match, invalid; static */
    char *message;
};

struct problem {
    char detail[400]; /* "": the error's own sentence */
    struct problem_field *fields;
    size_t fields_count; /* listed */
    size_t fields_total;
    bool has_fault;
    int64_t fault_code;
    char fault_text[256];
    double retry_after; /* seconds; 0: a second */
    char allow[64];     /* of METHOD_NOT_ALLOWED */
};

void problem_init(struct problem *problem);
void problem_destroy(struct problem *problem);
void problem_detail(struct problem *problem, const char *format, ...) CESID_PRINTF(2, 3);
void problem_field(struct problem *problem, const char *field, const char *code, const char *format,
                   ...) CESID_PRINTF(4, 5);
void problem_fault(struct problem *problem, int64_t code, const char *text);

/* The body. error is a cesid_error. INTERNAL never says why. */
void problem_render(struct strbuf *out, int error, const struct problem *problem,
                    const char *request_id);
/* What `Retry-After` says: whole seconds, at least 1. */
int problem_retry_after(const struct problem *problem);

#endif
