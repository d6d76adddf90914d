/*
 * /activity: the record of who did what. CivetWeb's workers; no locks of its own.
 *
 * The cursor is the id that a page ended with. Ids are in the order of time, so what lands
 * meanwhile is before the first page, and nothing is shown twice or left out.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/activity_store.h"
#include "cesid/clock.h"
#include "cesid/fields.h"
#include "cesid/memory.h"
#include "cesid/paging.h"
#include "cesid/routes.h"
#include "cesid/text.h"

#define EXPORT_PAGE 500
#define EXPORT_MAX  ((size_t) 16 << 20) /* of a page's text */

/* 0 would be no bound. */
static void take_time(const struct request *request, const char *name, int64_t *at)
{
    const char *text = request_text(request, name);
    if (text == NULL)
        return;
    CHECK(activity_time_parse(text, at));
    if (*at == 0)
        *at = 1;
}

/* since and until, and nothing else. */
static void take_range(const struct request *request, struct activity_filter *filter)
{
    *filter = (struct activity_filter){.access = request->session->access};
    take_time(request, "since", &filter->since);
    take_time(request, "until", &filter->until);
}

static void take_filter(const struct request *request, struct activity_filter *filter)
{
    take_range(request, filter);
    filter->actor = request_text(request, "actor");
    filter->action = request_text(request, "action");
    filter->target = request_text(request, "target");
    filter->result = request_text(request, "result");
}

static void drop(struct activity **records, size_t count)
{
    for (size_t i = 0; i < count; i++)
        activity_destroy(&records[i]);
    free(records);
}

static void check_cursor(struct request *request)
{
    char *before = page_cursor(request);
    if (before != NULL && strlen(before) != ACTIVITY_ID_SIZE - 1)
        page_bad_cursor(request);
    free(before);
}

static int list(struct request *request, struct response *response)
{
    struct activity_filter filter;
    struct activity **records = NULL;
    char *before = page_cursor(request);
    size_t count = 0, limit = (size_t) request_integer(request, "limit");
    int64_t total = 0;
    take_filter(request, &filter);
    int error =
        activity_store_page(request->context->store, &filter, before, limit + 1, &records, &count);
    if (error == 0)
        error = activity_store_count(request->context->store, &filter, &total);
    if (error == 0) {
        size_t shown = count > limit ? limit : count;
        struct json *json = response_json(response);
        json_object(json);
        json_key(json, "items");
        json_array(json);
        for (size_t i = 0; i < shown; i++)
            activity_json(json, records[i]);
        json_array_end(json);
        json_put_integer(json, "total", total);
        cursor_put(json, count > limit ? records[shown - 1]->id : NULL);
        json_object_end(json);
    }
    drop(records, count);
    free(before);
    return error;
}

/* ---- export ---- */

struct exporting {
    struct response *response;
    struct activity_filter filter;
    bool csv;
    char last[ACTIVITY_ID_SIZE]; /* "": from the newest */
};

static int write_page(const struct exporting *exporting, struct activity **records, size_t count)
{
    struct strbuf text;
    strbuf_init(&text, EXPORT_MAX);
    for (size_t i = 0; i < count; i++) {
        if (exporting->csv) {
            activity_csv(&text, records[i]);
        } else {
            struct json json;
            json_start(&json, &text);
            activity_json(&json, records[i]);
            strbuf_putc(&text, '\n');
        }
    }
    int error = strbuf_failed(&text) ? CESID_E_INTERNAL
                                     : response_write(exporting->response, text.data, text.length);
    strbuf_destroy(&text);
    return error;
}

/* Nothing is held between two pages. */
static int read_page(struct exporting *exporting, struct activity ***records, size_t *count)
{
    const struct request *request = exporting->response->request;
    int error = activity_store_page(request->context->store, &exporting->filter,
                                    exporting->last[0] != '\0' ? exporting->last : NULL,
                                    EXPORT_PAGE, records, count);
    if (error == 0 && *count > 0)
        memcpy(exporting->last, (*records)[*count - 1]->id, sizeof(exporting->last));
    return error;
}

static int export(struct request *request, struct response *response)
{
    struct exporting exporting = {.response = response};
    struct activity **records = NULL;
    char day[CLOCK_RFC3339_SIZE];
    size_t count = 0;
    take_filter(request, &exporting.filter);
    exporting.csv = strcmp(request_text(request, "format"), "csv") == 0;
    /* The first page decides whether there is an answer at all. */
    int error = read_page(&exporting, &records, &count);
    if (error != 0) {
        drop(records, count);
        return error;
    }
    clock_rfc3339(day, clock_wall());
    response_header(response, "Content-Disposition", "attachment; filename=\"activity-%.10s.%s\"",
                    day, exporting.csv ? "csv" : "jsonl");
    error = response_stream(response,
                            exporting.csv ? "text/csv; charset=utf-8" : "application/x-ndjson");
    if (error == 0 && exporting.csv) {
        struct strbuf head;
        strbuf_init(&head, 4096);
        activity_csv_head(&head);
        error = response_write(response, head.data, head.length);
        strbuf_destroy(&head);
    }
    while (error == 0 && count > 0) {
        error = write_page(&exporting, records, count);
        drop(records, count);
        records = NULL;
        count = 0;
        if (error == 0 && request_cancelled(request))
            error = CESID_E_CANCELLED;
        if (error == 0)
            error = read_page(&exporting, &records, &count);
    }
    drop(records, count);
    return error;
}

/* ---- statistics ---- */

#define TALLIES_MAX 10000

struct tally {
    char *name;
    int64_t count;
};

struct tallies {
    struct tally *items;
    size_t count, capacity;
};

static void tally(struct tallies *tallies, const char *name, int64_t count)
{
    if (name == NULL || name[0] == '\0')
        return;
    for (size_t i = 0; i < tallies->count; i++) {
        if (strcmp(tallies->items[i].name, name) == 0) {
            tallies->items[i].count += count;
            return;
        }
    }
    if (tallies->count == TALLIES_MAX)
        return;
    if (tallies->count == tallies->capacity) {
        tallies->capacity = tallies->capacity == 0 ? 16 : 2 * tallies->capacity;
        tallies->items = mem_resize(tallies->items, tallies->capacity, sizeof(tallies->items[0]));
    }
    tallies->items[tallies->count++] = (struct tally){mem_string(name), count};
}

static int by_count(const void *a, const void *b)
{
    const struct tally *left = a, *right = b;
    if (left->count != right->count)
        return left->count < right->count ? 1 : -1;
    return strcmp(left->name, right->name);
}

/* Most frequent first; empties it. Names are not literals, so they are written as values. */
static void put_tallies(struct json *json, const char *key, struct tallies *tallies)
{
    if (tallies->count > 1)
        qsort(tallies->items, tallies->count, sizeof(tallies->items[0]), by_count);
    struct strbuf object;
    strbuf_init(&object, RESPONSE_BODY_MAX);
    strbuf_putc(&object, '{');
    for (size_t i = 0; i < tallies->count; i++) {
        if (i > 0)
            strbuf_putc(&object, ',');
        text_add_json(&object, tallies->items[i].name, strlen(tallies->items[i].name));
        strbuf_printf(&object, ":%lld", (long long) tallies->items[i].count);
        free(tallies->items[i].name);
    }
    strbuf_putc(&object, '}');
    json_put_raw(json, key, object.data, object.length);
    strbuf_destroy(&object);
    free(tallies->items);
    *tallies = (struct tallies){0};
}

struct statistics {
    int64_t total;
    struct tallies actions, actors, results, environments;
};

static void take_group(void *argument, const struct activity_group *group)
{
    struct statistics *statistics = argument;
    statistics->total += group->count;
    tally(&statistics->actions, group->action, group->count);
    tally(&statistics->actors, group->actor, group->count);
    tally(&statistics->results, group->result, group->count);
    tally(&statistics->environments, group->environment, group->count);
}

static int stats(struct request *request, struct response *response)
{
    struct statistics statistics = {0};
    struct activity_filter filter;
    take_range(request, &filter);
    int error = activity_store_groups(request->context->store, &filter, take_group, &statistics);
    struct json *json = response_json(response);
    json_object(json);
    json_put_integer(json, "total", statistics.total);
    json_put_time(json, "since", filter.since);
    json_put_time(json, "until", filter.until);
    put_tallies(json, "by_action", &statistics.actions);
    put_tallies(json, "by_actor", &statistics.actors);
    put_tallies(json, "by_result", &statistics.results);
    put_tallies(json, "by_environment", &statistics.environments);
    json_object_end(json);
    return error;
}

#define RANGE_FIELDS                                                                               \
    {.name = "since",                                                                              \
     .place = FIELD_QUERY,                                                                         \
     .format = FORMAT_TIME,                                                                        \
     .maximum = 40,                                                                                \
     .about = "from this time on (RFC 3339, or a date)"},                                          \
    {                                                                                              \
        .name = "until", .place = FIELD_QUERY, .format = FORMAT_TIME, .maximum = 40,               \
        .about = "before this time (RFC 3339, or a date)"                                          \
    }
#define FILTER_FIELDS                                                                              \
    {.name = "actor",                                                                              \
     .place = FIELD_QUERY,                                                                         \
     .maximum = 256,                                                                               \
     .about = "user name, or system; a glob"},                                                     \
        {.name = "action",                                                                         \
         .place = FIELD_QUERY,                                                                     \
         .maximum = 64,                                                                            \
         .about = "what was done, as process.restart; a glob"},                                    \
        {.name = "target",                                                                         \
         .place = FIELD_QUERY,                                                                     \
         .maximum = 640,                                                                           \
         .about = "to what, as web-1/web:web_00; a glob"},                                         \
        {.name = "result",                                                                         \
         .place = FIELD_QUERY,                                                                     \
         .choices = "pending|ok|refused|failed|interrupted",                                       \
         .about = "what came of it"},                                                              \
        RANGE_FIELDS

static const struct field list_fields[] = {FILTER_FIELDS, PAGE_FIELDS};
static const struct field export_fields[] = {
    FILTER_FIELDS,
    {.name = "format",
     .place = FIELD_QUERY,
     .choices = "csv|jsonl",
     .default_value = "csv",
     .about = "comma-separated, or a JSON object a line"},
};
static const struct field stats_fields[] = {RANGE_FIELDS};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/activity",
     .scope = ROUTE_FLEET,
     .permission = ACTIVITY_READ,
     .handler = list,
     .check = check_cursor,
     ROUTE_FIELDS(list_fields),
     .about = "Who did what, newest first; `total` counts to 10000 and no further",
     .answers = "200:[ActivityRecord]"},
    {.method = "GET",
     .path = "/api/v1/activity/export",
     .scope = ROUTE_FLEET,
     .permission = ACTIVITY_READ,
     .handler = export,
     ROUTE_FIELDS(export_fields),
     .about = "The same as a file, all of it",
     .answers = "200:text/csv|application/x-ndjson"},
    {.method = "GET",
     .path = "/api/v1/activity/stats",
     .scope = ROUTE_FLEET,
     .permission = ACTIVITY_READ,
     .handler = stats,
     ROUTE_FIELDS(stats_fields),
     .about = "How often what was done, by whom, where and with what result",
     .answers = "200:ActivityStats"},
};
const struct route_table routes_activity = {routes, ARRAY_LENGTH(routes)};
