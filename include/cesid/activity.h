/*
 * A record of activity: who did what to what, when, from where, and what came of it. Plain data,
 * owned by one thread at a time; pure functions.
 *
 * An id begins with the time, so that the order of ids is the order of time, and one index serves
 * pages, ranges of time and retention.
 */
#ifndef CESID_ACTIVITY_H
#define CESID_ACTIVITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/json.h"
#include "cesid/strbuf.h"

#define ACTIVITY_ID_SIZE     33 /* 12 digits of milliseconds, 6 of a counter, 14 random; and a NUL */
#define ACTIVITY_SYSTEM      "system" /* the actor of what nobody asked for */
#define ACTIVITY_DETAILS_MAX 4096

enum activity_level { ACTIVITY_INFO, ACTIVITY_WARNING, ACTIVITY_ERROR, ACTIVITY_LEVELS };
enum activity_result {
    ACTIVITY_PENDING, /* under way: written before it was done */
    ACTIVITY_OK,
    ACTIVITY_REFUSED, /* for a reason that lies with the caller; as a rule nothing was done */
    ACTIVITY_FAILED,
    ACTIVITY_INTERRUPTED, /* cesid ended in the middle: what came of it is not known */
    ACTIVITY_RESULTS
};
const char *activity_level_name(enum activity_level level);
bool activity_level_parse(const char *name, enum activity_level *level);
const char *activity_result_name(enum activity_result result);
bool activity_result_parse(const char *name, enum activity_result *result);
enum activity_result activity_result_of(int status); /* of an HTTP status */
enum activity_level activity_level_of(enum activity_result result);

/* NULL members are unknown, or there is none. Texts are valid UTF-8 and as long as the store takes:
 * activity_set sees to that. */
struct activity {
    char id[ACTIVITY_ID_SIZE];
    int64_t at; /* wall milliseconds */
    enum activity_level level;
    char *actor;
    char *action;
    char *resource;
    char *target;
    char *environment;
    enum activity_result result;
    int status;       /* HTTP; 0: none */
    int64_t duration; /* microseconds */
    char *request_id;
    char *address;
    char *user_agent;
    char *details; /* a JSON object; NULL: {} */
};

/* With an id; action and resource are copied. */
struct activity *activity_create(const char *action, const char *resource); /* now */
struct activity *activity_create_at(const char *action, const char *resource, int64_t at);
struct activity *activity_copy(const struct activity *record);
void activity_destroy(struct activity **record);

/* Replaces one of the record's texts: repaired, clipped to what the store takes. */
void activity_set(struct activity *record, char **member, const char *text);

/* As CONTRACT.md shows it. */
void activity_json(struct json *json, const struct activity *record);

/* One line of CSV each, with CRLF. No cell begins as a spreadsheet's formula does. */
void activity_csv_head(struct strbuf *out);
void activity_csv(struct strbuf *out, const struct activity *record);

/* The least id of that millisecond. */
void activity_id_floor(char id[ACTIVITY_ID_SIZE], int64_t at);
/* RFC 3339 with any offset, or a date alone (its beginning, UTC). */
bool activity_time_parse(const char *text, int64_t *at);

#endif
