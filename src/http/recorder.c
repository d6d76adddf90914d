/*
 * Recording requests. See recorder.h. CivetWeb's workers; no locks of its own.
 *
 * What was sent goes into `details`, but for fields that hold secrets. A user name that nobody has
 * may be a password in the wrong field, and is not recorded.
 */
#include "cesid/recorder.h"

#include <stdio.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/serving.h"

#define TEXT_MAX ((size_t) 64 << 10)

/* Allowances: seconds that one refusal uses up, and how many may come at once. */
#define ALL_EVERY     0.5
#define ALL_BURST     200
#define ADDRESS_EVERY 5.0
#define ADDRESS_BURST 20

/* ---- what a record says ---- */

static const struct value *given(const struct request *request, enum field_place place,
                                 const char *name)
{
    for (size_t i = 0; i < request->route->fields_count; i++)
        if (request->route->fields[i].place == place &&
            strcmp(request->route->fields[i].name, name) == 0)
            return &request->values.items[i];
    return NULL;
}

static const char *given_text(const struct request *request, const char *name)
{
    const struct value *value = given(request, FIELD_BODY, name);

    return value == NULL ? NULL : value->text;
}

/* "group:name", wherever a plain name stands for both. */
static void add_process(struct strbuf *target, const char *text)
{
    strbuf_puts(target, text);
    if (strchr(text, ':') == NULL)
        strbuf_printf(target, ":%s", text);
}

/* What the path names, or the name of what is made, or who acts on himself. */
static void find_target(const struct request *request, struct strbuf *target)
{
    const char *name = given_text(request, "name");

    for (size_t i = 0; i < request->route->fields_count; i++) {
        const struct field *field = &request->route->fields[i];
        const char *text = request->values.items[i].text;

        if (field->place != FIELD_PATH || text == NULL)
            continue;
        if (target->length > 0)
            strbuf_putc(target, '/');
        if (field->format == FORMAT_PROCESS)
            add_process(target, text);
        else
            strbuf_puts(target, text);
    }
    if (request->route->action == NULL && target->length == 0)
        strbuf_puts(target, request->route->path);
    if (target->length > 0 || strcmp(request->route->resource, "system") == 0)
        return;
    if (name == NULL && request->route->scope != ROUTE_PUBLIC)
        name = given_text(request, "username");
    if (name == NULL)
        name = given_text(request, "user");
    if (name == NULL && request->session != NULL &&
        strncmp(request->route->action, "auth.", 5) == 0)
        name = request->session->user.username;
    if (name != NULL)
        strbuf_puts(target, name);
}

static void put_value(struct json *json, const struct field *field, const struct value *value)
{
    switch (field->type) {
    case FIELD_STRING:
        json_put_string(json, field->name, value->text);
        break;
    case FIELD_INTEGER:
        json_put_integer(json, field->name, value->integer);
        break;
    case FIELD_NUMBER:
        json_put_real(json, field->name, value->real);
        break;
    case FIELD_BOOLEAN:
        json_put_boolean(json, field->name, value->boolean);
        break;
    case FIELD_STRINGS:
    case FIELD_LABELS:
        json_key(json, field->name);
        json_array(json);
        for (size_t i = 0; i < value->items_count; i++)
            json_string(json, value->items[i]);
        json_array_end(json);
        break;
    }
}

static bool is_shown(const struct field *field, const struct value *value)
{
    bool usual = field->type == FIELD_BOOLEAN && field->default_value != NULL &&
                 (strcmp(field->default_value, "true") == 0) == value->boolean;

    return field->place != FIELD_PATH && field->format != FORMAT_SECRET && value->present && !usual;
}

/* sent: whether what was sent is known to be well-formed. */
static void set_details(struct activity *record, const struct request *request, bool sent,
                        int error, uint64_t left_out)
{
    struct strbuf text;
    struct json json;

    strbuf_init(&text, TEXT_MAX);
    json_start(&json, &text);
    json_object(&json);
    for (size_t i = 0; sent && i < request->route->fields_count; i++)
        if (is_shown(&request->route->fields[i], &request->values.items[i]))
            put_value(&json, &request->route->fields[i], &request->values.items[i]);
    if (request->operation[0] != '\0')
        json_put_string(&json, "operation", request->operation);
    if (error != CESID_OK)
        json_put_string(&json, "code", error_code(error));
    if (left_out > 0)
        json_put_integer(&json, "left_out", (int64_t) left_out);
    json_object_end(&json);
    activity_set(record, &record->details, text.data);
    strbuf_destroy(&text);
}

static struct activity *make_record(const struct request *request)
{
    const struct route *route = request->route;
    struct activity *record = route->action != NULL
                                  ? activity_create(route->action, route->resource)
                                  : activity_create("access.read", "route");
    struct strbuf target;

    strbuf_init(&target, TEXT_MAX);
    find_target(request, &target);
    activity_set(record, &record->target, target.data);
    strbuf_destroy(&target);
    if (request->session != NULL)
        activity_set(record, &record->actor, request->session->user.username);
    if (request->view != NULL)
        activity_set(record, &record->environment, request->view->settings->config.environment);
    else if (route->action != NULL && strcmp(route->resource, "node") == 0)
        activity_set(record, &record->environment, given_text(request, "environment"));
    activity_set(record, &record->request_id, request->id);
    activity_set(record, &record->address, request->address);
    activity_set(record, &record->user_agent, request_header(request, "User-Agent"));
    return record;
}

static void complete(struct activity *record, const struct request *request,
                     const struct response *response, int error)
{
    record->status = error == CESID_OK ? response->status : error_status(error);
    record->result = activity_result_of(record->status);
    record->level = activity_level_of(record->result);
    record->duration = (clock_now() - request->started) / 1000;
}

/* ---- refusals ---- */

/* Whether one more may come, by the time at which the allowance would be used up. */
static bool admit(atomic_int_fast64_t *used_until, double every, int burst)
{
    int64_t cost = (int64_t) (every * (double) CLOCK_SECOND), now = clock_now();
    int64_t until = atomic_load(used_until), next;

    do {
        next = (until > now ? until : now) + cost;
        if (next - now > cost * burst)
            return false;
    } while (!atomic_compare_exchange_weak(used_until, &until, next));
    return true;
}

static size_t hash(const char *text)
{
    uint32_t value = 2166136261u;

    for (; *text != '\0'; text++)
        value = (value ^ (unsigned char) *text) * 16777619u;
    return value;
}

/* Of reading, only what somebody was refused whose session is good: an expired one asks again and
 * again. */
static bool is_refusal(const struct request *request, int error)
{
    int status = error_status(error);

    if (request->route->action == NULL)
        return status == 403 && request->session != NULL;
    return status == 401 || status == 403 ||
           (status == 429 && request->route->scope == ROUTE_PUBLIC);
}

static void record_refusal(struct request *request, const struct response *response, int error)
{
    struct refusals *refusals = &request->serving->refusals;
    struct activity *record;

    if (!admit(&refusals->addresses[hash(request->address) % REFUSAL_ADDRESSES], ADDRESS_EVERY,
               ADDRESS_BURST) ||
        !admit(&refusals->all, ALL_EVERY, ALL_BURST)) {
        atomic_fetch_add(&refusals->left_out, 1);
        return;
    }
    record = make_record(request);
    if (request->route->scope == ROUTE_PUBLIC) {
        const char *username = given_text(request, "username");

        if (username != NULL && auth_knows(request->context->auth, username)) {
            activity_set(record, &record->actor, username);
            activity_set(record, &record->target, username);
        }
    }
    set_details(record, request, false, error, atomic_exchange(&refusals->left_out, 0));
    complete(record, request, response, error);
    (void) journal_note(request->context->journal, &record);
}

/* ---- the way of a request ---- */

static bool may_record(const struct request *request)
{
    return request->route != NULL && request->values.items != NULL &&
           request->context->journal != NULL;
}

/* Whether it is an action. */
static bool is_recorded(const struct request *request)
{
    const struct value *dry_run;

    if (!may_record(request) || request->route->action == NULL)
        return false;
    dry_run = given(request, FIELD_BODY, "dry_run");
    return dry_run == NULL || !dry_run->boolean;
}

int recorder_begin(struct request *request)
{
    struct activity *record;
    int error;

    /* Who signs in is not known yet. */
    if (!is_recorded(request) || request->route->scope == ROUTE_PUBLIC)
        return CESID_OK;
    record = make_record(request);
    set_details(record, request, true, CESID_OK, 0);
    error = journal_begin(request->context->journal, record, &request->link);
    if (error == CESID_OK) {
        request->record = record;
        return CESID_OK;
    }
    activity_destroy(&record);
    problem_detail(&request->problem, "The action cannot be recorded, so it was not done");
    return error;
}

static int sign_in(struct request *request, const struct response *response)
{
    struct activity *record = make_record(request);
    int error;

    complete(record, request, response, CESID_OK);
    error = journal_write(request->context->journal, record);
    activity_destroy(&record);
    if (error == CESID_OK)
        return CESID_OK;
    problem_detail(&request->problem, "The sign-in cannot be recorded, so it was taken back");
    if (auth_logout(request->context->auth, request->session) != CESID_OK)
        log_debug("http", "a sign-in was taken back, and the store could not be told");
    return error;
}

int recorder_end(struct request *request, const struct response *response, int error)
{
    if (request->record != NULL) {
        set_details(request->record, request, true, error, 0);
        complete(request->record, request, response, error);
        if (journal_end(request->context->journal, request->record, &request->link) != CESID_OK)
            log_warning("http", "the outcome of an action is not recorded yet",
                        log_s("action", request->route->action));
        activity_destroy(&request->record);
    } else if (error != CESID_OK && may_record(request) && is_refusal(request, error)) {
        record_refusal(request, response, error);
    } else if (error == CESID_OK && is_recorded(request) && request->route->scope == ROUTE_PUBLIC) {
        error = sign_in(request, response);
    }
    return error;
}
