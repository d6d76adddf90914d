/*
 * Records of activity. See activity.h. Pure, but for the counter in ids, which is atomic.
 */
#include "cesid/activity.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/text.h"

#define CELL_MAX ((size_t) 64 << 10)

static const char *const level_names[ACTIVITY_LEVELS] = {
    [ACTIVITY_INFO] = "info", [ACTIVITY_WARNING] = "warning", [ACTIVITY_ERROR] = "error"};
static const char *const result_names[ACTIVITY_RESULTS] = {
    [ACTIVITY_PENDING] = "pending",         [ACTIVITY_OK] = "ok",
    [ACTIVITY_REFUSED] = "refused",         [ACTIVITY_FAILED] = "failed",
    [ACTIVITY_INTERRUPTED] = "interrupted",
};

const char *activity_level_name(enum activity_level level)
{
    return level_names[level];
}

const char *activity_result_name(enum activity_result result)
{
    return result_names[result];
}

static int find(const char *const *names, int count, const char *name)
{
    for (int i = 0; name != NULL && i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

bool activity_level_parse(const char *name, enum activity_level *level)
{
    int found = find(level_names, ACTIVITY_LEVELS, name);

    if (found >= 0)
        *level = (enum activity_level) found;
    return found >= 0;
}

bool activity_result_parse(const char *name, enum activity_result *result)
{
    int found = find(result_names, ACTIVITY_RESULTS, name);

    if (found >= 0)
        *result = (enum activity_result) found;
    return found >= 0;
}

enum activity_result activity_result_of(int status)
{
    if (status < 400)
        return ACTIVITY_OK;
    return status < 500 ? ACTIVITY_REFUSED : ACTIVITY_FAILED;
}

enum activity_level activity_level_of(enum activity_result result)
{
    if (result == ACTIVITY_FAILED)
        return ACTIVITY_ERROR;
    return result == ACTIVITY_REFUSED || result == ACTIVITY_INTERRUPTED ? ACTIVITY_WARNING
                                                                        : ACTIVITY_INFO;
}

/* ---- making one ---- */

void activity_id_floor(char id[ACTIVITY_ID_SIZE], int64_t at)
{
    uint64_t time = at < 0 ? 0 : (uint64_t) at & UINT64_C(0xffffffffffff);

    (void) snprintf(id, ACTIVITY_ID_SIZE, "%012" PRIx64 "%020d", time, 0);
}

static void make_id(char id[ACTIVITY_ID_SIZE], int64_t at)
{
    static atomic_uint counter; /* what begins in one millisecond stays in its order */
    char random[15], floor[ACTIVITY_ID_SIZE];

    random_hex(random, 7);
    activity_id_floor(floor, at);
    (void) snprintf(id, ACTIVITY_ID_SIZE, "%.12s%06x%s", floor,
                    atomic_fetch_add(&counter, 1) & 0xffffffu, random);
}

struct activity *activity_create(const char *action, const char *resource)
{
    return activity_create_at(action, resource, clock_wall());
}

struct activity *activity_create_at(const char *action, const char *resource, int64_t at)
{
    struct activity *record = mem_alloc(sizeof(*record));

    record->at = at;
    make_id(record->id, record->at);
    activity_set(record, &record->action, action);
    activity_set(record, &record->resource, resource);
    return record;
}

struct activity *activity_copy(const struct activity *record)
{
    struct activity *copy = mem_alloc(sizeof(*copy));

    *copy = *record;
    copy->actor = mem_string(record->actor);
    copy->action = mem_string(record->action);
    copy->resource = mem_string(record->resource);
    copy->target = mem_string(record->target);
    copy->environment = mem_string(record->environment);
    copy->request_id = mem_string(record->request_id);
    copy->address = mem_string(record->address);
    copy->user_agent = mem_string(record->user_agent);
    copy->details = mem_string(record->details);
    return copy;
}

void activity_destroy(struct activity **slot)
{
    struct activity *record = *slot;

    *slot = NULL;
    if (record == NULL)
        return;
    free(record->actor);
    free(record->action);
    free(record->resource);
    free(record->target);
    free(record->environment);
    free(record->request_id);
    free(record->address);
    free(record->user_agent);
    free(record->details);
    free(record);
}

static size_t longest(const struct activity *record, char *const *member)
{
    if (member == &record->details)
        return ACTIVITY_DETAILS_MAX;
    if (member == &record->target)
        return 640;
    if (member == &record->actor || member == &record->user_agent)
        return 256;
    return member == &record->resource ? 32 : 64;
}

void activity_set(struct activity *record, char **member, const char *text)
{
    size_t most = longest(record, member);
    struct strbuf clean;
    char *old = *member;

    *member = NULL;
    if (member == &record->details && text != NULL && strlen(text) > most)
        text = "{\"truncated\":true}";
    if (text != NULL && text[0] != '\0') {
        strbuf_init(&clean, 4 * most);
        text_add_utf8(&clean, text, strnlen(text, most));
        strbuf_truncate(&clean, most);
        strbuf_truncate(&clean, text_utf8_complete(clean.data, clean.length));
        *member = strbuf_steal(&clean);
    }
    free(old);
}

/* ---- showing one ---- */

void activity_json(struct json *json, const struct activity *record)
{
    const char *details = record->details != NULL ? record->details : "{}";

    json_object(json);
    json_put_string(json, "id", record->id);
    json_put_time(json, "at", record->at);
    json_put_string(json, "level", level_names[record->level]);
    json_put_string(json, "actor", record->actor);
    json_put_string(json, "action", record->action);
    json_put_string(json, "resource", record->resource);
    json_put_string(json, "target", record->target);
    json_put_string(json, "environment", record->environment);
    json_put_string(json, "result", result_names[record->result]);
    if (record->status != 0)
        json_put_integer(json, "status", record->status);
    else
        json_put_null(json, "status");
    json_put_real(json, "duration", (double) record->duration / 1e6);
    json_put_string(json, "request_id", record->request_id);
    json_put_string(json, "address", record->address);
    json_put_string(json, "user_agent", record->user_agent);
    json_put_raw(json, "details", details, strlen(details));
    json_object_end(json);
}

/* A spreadsheet takes some first letters for a formula's. */
static void add_cell(struct strbuf *out, const char *text)
{
    bool formula = text != NULL && text[0] != '\0' && strchr("=+-@\t\r", text[0]) != NULL;

    strbuf_putc(out, '"');
    if (formula)
        strbuf_putc(out, '\'');
    for (const char *at = text; at != NULL && *at != '\0'; at++) {
        if (*at == '"')
            strbuf_putc(out, '"');
        strbuf_putc(out, *at);
    }
    strbuf_putc(out, '"');
}

void activity_csv_head(struct strbuf *out)
{
    strbuf_puts(out, "id,at,level,actor,action,resource,target,environment,result,status,duration,"
                     "request_id,address,user_agent,details\r\n");
}

void activity_csv(struct strbuf *out, const struct activity *record)
{
    char at[CLOCK_RFC3339_SIZE];
    const char *const before[] = {
        record->id,
        at,
        level_names[record->level],
        record->actor,
        record->action,
        record->resource,
        record->target,
        record->environment,
        result_names[record->result],
    };
    const char *const after[] = {record->request_id, record->address, record->user_agent,
                                 record->details != NULL ? record->details : "{}"};

    clock_rfc3339(at, record->at);
    for (size_t i = 0; i < ARRAY_LENGTH(before); i++) {
        add_cell(out, before[i]);
        strbuf_putc(out, ',');
    }
    if (record->status != 0)
        strbuf_printf(out, "%d", record->status);
    strbuf_printf(out, ",%.6f", (double) record->duration / 1e6);
    for (size_t i = 0; i < ARRAY_LENGTH(after); i++) {
        strbuf_putc(out, ',');
        add_cell(out, after[i]);
    }
    strbuf_puts(out, "\r\n");
}

/* ---- times ---- */

/* Exactly so many digits. */
static bool digits(const char **at, int count, int *value)
{
    *value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return true;
}

static bool literal(const char **at, char wanted)
{
    if (**at != wanted)
        return false;
    (*at)++;
    return true;
}

static bool fraction(const char **at, int *milliseconds)
{
    int scale = 100, count = 0;

    *milliseconds = 0;
    if (!literal(at, '.'))
        return true;
    for (; **at >= '0' && **at <= '9'; (*at)++, scale /= 10, count++)
        *milliseconds += (**at - '0') * scale;
    return count > 0 && count <= 9;
}

/* Minutes east of UTC. */
static bool offset(const char **at, int *minutes)
{
    /* A '+' that was sent as such comes as a blank. */
    int sign = **at == '-' ? -1 : 1, hours, rest;

    *minutes = 0;
    if (literal(at, 'Z') || literal(at, 'z'))
        return true;
    if (!literal(at, '+') && !literal(at, '-') && !literal(at, ' '))
        return false;
    if (!digits(at, 2, &hours) || !literal(at, ':') || !digits(at, 2, &rest) || hours > 23 ||
        rest > 59)
        return false;
    *minutes = sign * (hours * 60 + rest);
    return true;
}

bool activity_time_parse(const char *text, int64_t *at)
{
    int year, month, day, hour = 0, minute = 0, second = 0, milliseconds = 0, minutes = 0;
    const char *next = text;
    struct tm parts = {0};
    time_t seconds;

    if (!digits(&next, 4, &year) || !literal(&next, '-') || !digits(&next, 2, &month) ||
        !literal(&next, '-') || !digits(&next, 2, &day))
        return false;
    if (*next != '\0' &&
        ((!literal(&next, 'T') && !literal(&next, 't')) || !digits(&next, 2, &hour) ||
         !literal(&next, ':') || !digits(&next, 2, &minute) || !literal(&next, ':') ||
         !digits(&next, 2, &second) || !fraction(&next, &milliseconds) ||
         !offset(&next, &minutes) || *next != '\0'))
        return false;
    if (month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 60)
        return false;
    parts.tm_year = year - 1900;
    parts.tm_mon = month - 1;
    parts.tm_mday = day;
    seconds = timegm(&parts);
    /* The 31st of a short month became the 1st of the next. */
    if (parts.tm_mday != day)
        return false;
    *at = ((int64_t) seconds + hour * INT64_C(3600) + (minute - minutes) * INT64_C(60) + second) *
              1000 +
          milliseconds;
    if (*at < 0)
        *at = 0;
    return true;
}
