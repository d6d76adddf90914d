/*
 * Validation by field table. See validate.h. Pure; no locks.
 *
 * The text of a wrong value is never repeated in a message: what was sent may be a secret, and the
 * sender knows it.
 */
#include "cesid/validate.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/activity.h"
#include "cesid/cursor.h"
#include "cesid/error.h"
#include "cesid/json.h"
#include "cesid/memory.h"
#include "cesid/text.h"

void values_init(struct values *values, const struct route *route)
{
    values->items = mem_array(route->fields_count + 1, sizeof(*values->items));
    values->count = route->fields_count;
}

static void value_clear(struct value *value)
{
    free(value->text);
    for (size_t i = 0; i < value->items_count; i++)
        free(value->items[i]);
    free(value->items);
    *value = (struct value){0};
}

void values_destroy(struct values *values)
{
    for (size_t i = 0; i < values->count; i++)
        value_clear(&values->items[i]);
    free(values->items);
    *values = (struct values){0};
}

static size_t field_index(const struct route *route, enum field_place place, const char *name)
{
    for (size_t i = 0; i < route->fields_count; i++)
        if (route->fields[i].place == place && strcmp(route->fields[i].name, name) == 0)
            return i;
    return SIZE_MAX;
}

/* The choice that text names, as the table writes it; caller frees. NULL: none. */
static char *choose(const char *choices, const char *text)
{
    size_t wanted = strlen(text);
    for (const char *at = choices; *at != '\0';) {
        size_t length = strcspn(at, "|");
        if (length == wanted && strncasecmp(at, text, length) == 0)
            return mem_bytes(at, length);
        at += length + (at[length] == '|' ? 1 : 0);
    }
    return NULL;
}

static void list_choices(struct strbuf *out, const char *choices)
{
    for (const char *at = choices; *at != '\0'; at++) {
        if (*at == '|')
            strbuf_puts(out, ", ");
        else
            strbuf_putc(out, *at);
    }
}

static bool is_clean(const char *text, bool lines)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char) *text;
        if ((c < 0x20 && !(lines && (c == '\n' || c == '\t' || c == '\r'))) || c == 0x7f)
            return false;
    }
    return true;
}

static bool is_token(const char *text)
{
    return text[0] != '\0' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               strlen(text);
}

#define NAME_COMPLAINT                                                                             \
    "must begin with a letter or digit and hold at most 64 letters, digits, '.', '_' and '-'"

static const char *format_complaint(const struct field *field, const char *text)
{
    const char *equals;
    char key[65], *cursor;
    int64_t time;
    switch (field->format) {
    case FORMAT_NAME:
        return text_is_name(text) ? NULL : NAME_COMPLAINT;
    case FORMAT_LABEL:
        equals = strchr(text, '=');
        if (equals != NULL && equals - text < (ptrdiff_t) sizeof(key)) {
            memcpy(key, text, (size_t) (equals - text));
            key[equals - text] = '\0';
            if (text_is_name(key) && is_clean(equals, false))
                return NULL;
        }
        return "must be key=value";
    case FORMAT_PROCESS:
        return is_clean(text, false) && text[0] != ':' && text[strlen(text) - 1] != ':'
                   ? NULL
                   : "must be group:name or name";
    case FORMAT_GLOB:
        return is_clean(text, false) ? NULL : "must not hold control characters";
    case FORMAT_CURSOR:
        cursor = cursor_decode(text);
        free(cursor);
        return cursor != NULL ? NULL : CURSOR_COMPLAINT;
    case FORMAT_TIME:
        return activity_time_parse(text, &time)
                   ? NULL
                   : "must be a time as 2030-01-31T00:00:00Z (RFC 3339), or a date";
    case FORMAT_TOKEN:
        return is_token(text) ? NULL : "must hold only letters, digits, '.', '_' and '-'";
    case FORMAT_TEXT:
    case FORMAT_SECRET:
        break;
    }
    return is_clean(text, field->place == FIELD_BODY) ? NULL : "must not hold control characters";
}

/* Checks one string and gives the one to keep (caller frees), or NULL with the error told. problem
 * NULL: nobody is to be told. */
static char *take_string(const struct field *field, const char *path, const char *text,
                         struct problem *problem)
{
    int64_t most = field->maximum == 0 ? VALIDATE_STRING_MAX : field->maximum;
    int64_t least = field->minimum;
    int64_t length = (int64_t) text_characters(text);
    const char *complaint;

    if (field->choices != NULL) {
        char *choice = choose(field->choices, text);
        if (choice == NULL && problem != NULL) {
            struct strbuf list;
            strbuf_init(&list, 400);
            list_choices(&list, field->choices);
            problem_field(problem, path, "not_allowed", "must be one of %s", list.data);
            strbuf_destroy(&list);
        }
        return choice;
    }
    if (field->format != FORMAT_TEXT && field->format != FORMAT_SECRET && least == 0)
        least = 1;
    if (length < least) {
        if (problem != NULL && least == 1)
            problem_field(problem, path, "too_short", "must not be empty");
        else if (problem != NULL)
            problem_field(problem, path, "too_short", "must have at least %" PRId64 " characters",
                          least);
        return NULL;
    }
    if (length > most) {
        if (problem != NULL)
            problem_field(problem, path, "too_long", "must have at most %" PRId64 " characters",
                          most);
        return NULL;
    }
    complaint = format_complaint(field, text);
    if (complaint != NULL) {
        if (problem != NULL)
            problem_field(problem, path, "bad_format", "%s", complaint);
        return NULL;
    }
    return mem_string(text);
}

static void add_item(const struct field *field, const char *path, const char *text,
                     struct value *value, struct problem *problem)
{
    if (value->items_count == VALIDATE_ITEMS_MAX) {
        problem_field(problem, path, "too_long", "must have at most %d entries",
                      VALIDATE_ITEMS_MAX);
        return;
    }
    char *item = take_string(field, path, text, problem);
    if (item == NULL)
        return;
    value->items = mem_resize(value->items, value->items_count + 1, sizeof(*value->items));
    value->items[value->items_count++] = item;
}

static void range_error(const struct field *field, struct problem *problem)
{
    problem_field(problem, field->name, "out_of_range", "must be %" PRId64 " to %" PRId64,
                  field->minimum, field->maximum);
}

static bool has_range(const struct field *field)
{
    return field->minimum != 0 || field->maximum != 0;
}

static void take_integer(const struct field *field, const char *text, struct value *value,
                         struct problem *problem)
{
    char *end;
    const char *digits = text[0] == '-' ? text + 1 : text;
    if (digits[0] < '0' || digits[0] > '9') {
        problem_field(problem, field->name, "wrong_type", "must be a whole number");
        return;
    }
    errno = 0;
    value->integer = strtoll(text, &end, 10);
    if (*end != '\0') {
        problem_field(problem, field->name, "wrong_type", "must be a whole number");
    } else if (errno == ERANGE || (has_range(field) && (value->integer < field->minimum ||
                                                        value->integer > field->maximum))) {
        if (has_range(field))
            range_error(field, problem);
        else
            problem_field(problem, field->name, "out_of_range", "is too large");
    }
}

static void take_real(const struct field *field, double real, struct value *value,
                      struct problem *problem)
{
    if (!isfinite(real))
        problem_field(problem, field->name, "wrong_type", "must be a number");
    else if (has_range(field) && (real < (double) field->minimum || real > (double) field->maximum))
        range_error(field, problem);
    else
        value->real = real;
}

/* A value that came as text: a query's, or a default. */
static void take_text(const struct field *field, char *text, struct value *value,
                      struct problem *problem)
{
    char *end;
    value->present = true;
    switch (field->type) {
    case FIELD_STRING:
        value->text = take_string(field, field->name, text, problem);
        break;
    case FIELD_INTEGER:
        take_integer(field, text, value, problem);
        break;
    case FIELD_NUMBER:
        /* strtod also knows hexadecimal, "inf" and "nan". */
        if (text[0] == '\0' || strspn(text, "+-.eE0123456789") != strlen(text)) {
            problem_field(problem, field->name, "wrong_type", "must be a number");
            break;
        }
        value->real = strtod(text, &end);
        if (*end != '\0')
            problem_field(problem, field->name, "wrong_type", "must be a number");
        else
            take_real(field, value->real, value, problem);
        break;
    case FIELD_BOOLEAN:
        /* A bare ?force is a yes. */
        if (text[0] == '\0' || strcmp(text, "true") == 0 || strcmp(text, "1") == 0)
            value->boolean = true;
        else if (strcmp(text, "false") == 0 || strcmp(text, "0") == 0)
            value->boolean = false;
        else
            problem_field(problem, field->name, "wrong_type", "must be true or false");
        break;
    case FIELD_STRINGS:
        for (char *next = text, *comma; next != NULL; next = comma) {
            /* A label's value may hold a comma; labels are repeated instead. */
            comma = field->format == FORMAT_LABEL ? NULL : strchr(next, ',');
            if (comma != NULL)
                *comma++ = '\0';
            add_item(field, field->name, next, value, problem);
        }
        break;
    case FIELD_LABELS:
        CHECK(false); /* a body's only */
    }
}

int validate_path(const struct route *route, const struct route_path *path, size_t base,
                  struct values *values)
{
    for (size_t i = 0; i < route->fields_count; i++) {
        const struct field *field = &route->fields[i];
        if (field->place != FIELD_PATH)
            continue;
        const char *text = route_capture(route, path, base, field->name);
        CHECK(text != NULL && field->type == FIELD_STRING);
        values->items[i].text = take_string(field, field->name, text, NULL);
        values->items[i].present = true;
        if (values->items[i].text == NULL)
            return CESID_E_NOT_FOUND;
    }
    return 0;
}

static void query_parameter(const struct route *route, char *name, char *text,
                            struct values *values, struct problem *problem)
{
    size_t i = field_index(route, FIELD_QUERY, name);
    if (i == SIZE_MAX && route->any_query)
        return;
    if (i == SIZE_MAX) {
        char shown[65];
        (void) snprintf(shown, sizeof(shown), "%.64s", name);
        shown[text_utf8_complete(shown, strlen(shown))] = '\0';
        problem_field(problem, shown, "unknown", "is not a parameter of this resource");
        return;
    }
    const struct field *field = &route->fields[i];
    struct value *value = &values->items[i];
    if (value->present && field->type != FIELD_STRINGS) {
        problem_field(problem, field->name, "repeated", "must be given only once");
        return;
    }
    take_text(field, text, value, problem);
}

int validate_query(const struct route *route, const char *query, struct values *values,
                   struct problem *problem)
{
    if (query == NULL || query[0] == '\0')
        return 0;
    int error = 0;
    char *copy = mem_string(query);
    for (char *next = copy, *amp; next != NULL && error == 0; next = amp) {
        amp = strchr(next, '&');
        if (amp != NULL)
            *amp++ = '\0';
        if (next[0] == '\0')
            continue;
        char *text = strchr(next, '=');
        static char nothing[1];
        size_t text_length = 0, name_length;
        if (text != NULL)
            *text++ = '\0';
        else
            text = nothing;
        if (!route_unescape(next, strlen(next), true, &name_length) ||
            (text != nothing && !route_unescape(text, strlen(text), true, &text_length)) ||
            !text_is_utf8(next, name_length) || !text_is_utf8(text, text_length)) {
            problem_detail(problem, "The query is malformed: a %% stands before two hexadecimal "
                                    "digits, and what they spell is UTF-8");
            error = CESID_E_BAD_REQUEST;
        } else
            query_parameter(route, next, text, values, problem);
    }
    free(copy);
    return error;
}

static void body_strings(const struct field *field, const cJSON *array, struct value *value,
                         struct problem *problem)
{
    size_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, array)
    {
        char path[160];
        (void) snprintf(path, sizeof(path), "%s/%zu", field->name, i++);
        if (cJSON_IsString(item))
            add_item(field, path, item->valuestring, value, problem);
        else
            problem_field(problem, path, "wrong_type", "must be a string");
        if (i > VALIDATE_ITEMS_MAX)
            break;
    }
}

static void body_labels(const struct field *field, const cJSON *object, struct value *value,
                        struct problem *problem)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
    {
        char path[160];
        struct strbuf label;
        (void) snprintf(path, sizeof(path), "%s.%.64s", field->name, item->string);
        path[text_utf8_complete(path, strlen(path))] = '\0';
        strbuf_init(&label, (size_t) 2 * VALIDATE_STRING_MAX);
        strbuf_printf(&label, "%s=%s", item->string, cJSON_IsString(item) ? item->valuestring : "");
        if (!cJSON_IsString(item))
            problem_field(problem, path, "wrong_type", "must be a string");
        else if (!text_is_name(item->string))
            problem_field(problem, path, "bad_format", NAME_COMPLAINT);
        else if (strbuf_failed(&label))
            problem_field(problem, path, "too_long", "is too long");
        else
            add_item(field, path, label.data, value, problem);
        strbuf_destroy(&label);
        if (value->items_count == VALIDATE_ITEMS_MAX)
            break;
    }
}

static void unknown_field(const char *name, struct problem *problem)
{
    char shown[65];
    (void) snprintf(shown, sizeof(shown), "%.64s", name);
    shown[text_utf8_complete(shown, strlen(shown))] = '\0';
    problem_field(problem, shown, "unknown", "is not a field of this resource");
}

static void take_member(const struct field *field, const cJSON *member, struct value *value,
                        struct problem *problem)
{
    if (cJSON_IsNull(member) && !field->required)
        return;
    value->present = true;
    switch (field->type) {
    case FIELD_STRING:
        if (cJSON_IsString(member))
            value->text = take_string(field, field->name, member->valuestring, problem);
        else
            problem_field(problem, field->name, "wrong_type", "must be a string");
        break;
    case FIELD_INTEGER:
        /* Whole doubles up to 2^53 are exact; what is beyond is no number anybody meant. */
        if (!cJSON_IsNumber(member) || member->valuedouble != floor(member->valuedouble) ||
            fabs(member->valuedouble) > 9007199254740992.0) {
            problem_field(problem, field->name, "wrong_type", "must be a whole number");
            break;
        }
        value->integer = (int64_t) member->valuedouble;
        if (has_range(field) &&
            (value->integer < field->minimum || value->integer > field->maximum))
            range_error(field, problem);
        break;
    case FIELD_NUMBER:
        if (cJSON_IsNumber(member))
            take_real(field, member->valuedouble, value, problem);
        else
            problem_field(problem, field->name, "wrong_type", "must be a number");
        break;
    case FIELD_BOOLEAN:
        if (cJSON_IsBool(member))
            value->boolean = cJSON_IsTrue(member);
        else
            problem_field(problem, field->name, "wrong_type", "must be true or false");
        break;
    case FIELD_STRINGS:
        if (cJSON_IsArray(member))
            body_strings(field, member, value, problem);
        else
            problem_field(problem, field->name, "wrong_type", "must be an array of strings");
        break;
    case FIELD_LABELS:
        if (cJSON_IsObject(member))
            body_labels(field, member, value, problem);
        else
            problem_field(problem, field->name, "wrong_type", "must be an object of strings");
        break;
    }
}

/* Whether the table has fields "NAME.…": then NAME is an object. */
static bool is_object(const struct route *route, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < route->fields_count; i++)
        if (route->fields[i].place == FIELD_BODY &&
            strncmp(route->fields[i].name, name, length) == 0 &&
            route->fields[i].name[length] == '.')
            return true;
    return false;
}

static void body_member(const struct route *route, const cJSON *member, const char *name,
                        struct values *values, struct problem *problem)
{
    size_t i = field_index(route, FIELD_BODY, name);
    if (i == SIZE_MAX)
        unknown_field(name, problem);
    else
        take_member(&route->fields[i], member, &values->items[i], problem);
}

static void body_top_member(const struct route *route, const cJSON *member, struct values *values,
                            struct problem *problem)
{
    const cJSON *inner;
    char name[160];
    if (strchr(member->string, '.') != NULL) {
        unknown_field(member->string, problem);
    } else if (!is_object(route, member->string)) {
        body_member(route, member, member->string, values, problem);
    } else if (cJSON_IsObject(member)) {
        cJSON_ArrayForEach(inner, member)
        {
            (void) snprintf(name, sizeof(name), "%s.%.64s", member->string, inner->string);
            body_member(route, inner, name, values, problem);
        }
    } else if (!cJSON_IsNull(member)) {
        problem_field(problem, member->string, "wrong_type", "must be an object");
    }
}

int validate_body(const struct route *route, const char *body, size_t length, struct values *values,
                  struct problem *problem)
{
    if (length == 0)
        return 0;
    cJSON *tree = NULL;
    const char *why = "";
    int error = json_parse(body, length, &tree, &why);
    if (error != 0) {
        problem_detail(problem, "The body is not valid JSON: %s", why);
        return error;
    }
    if (cJSON_IsObject(tree)) {
        const cJSON *member;
        cJSON_ArrayForEach(member, tree) body_top_member(route, member, values, problem);
    } else {
        problem_field(problem, "", "wrong_type", "the body must be an object");
    }
    cJSON_Delete(tree);
    return 0;
}

/* The body may repeat what the path names, not contradict it. */
static void same_as_path(const struct route *route, const struct values *values,
                         struct problem *problem)
{
    for (size_t i = 0; i < route->fields_count; i++) {
        const char *name = route->fields[i].name, *text = values->items[i].text;
        if (route->fields[i].place != FIELD_BODY || text == NULL)
            continue;
        size_t path = field_index(route, FIELD_PATH, name);
        if (path != SIZE_MAX && values->items[path].text != NULL &&
            strcmp(values->items[path].text, text) != 0)
            problem_field(problem, name, "not_allowed", "must be that of the path");
    }
}

int validate_finish(const struct route *route, struct values *values, struct problem *problem)
{
    for (size_t i = 0; i < route->fields_count; i++) {
        const struct field *field = &route->fields[i];
        struct value *value = &values->items[i];
        if (value->present)
            continue;
        if (field->required) {
            problem_field(problem, field->name, "required", "is required");
        } else if (field->default_value != NULL) {
            struct problem none;
            problem_init(&none);
            char *text = mem_string(field->default_value);
            take_text(field, text, value, &none);
            free(text);
            CHECK(none.fields_total == 0); /* a default of the table that it does not allow */
            problem_destroy(&none);
        }
    }
    same_as_path(route, values, problem);
    return problem->fields_total > 0 ? CESID_E_VALIDATION_FAILED : 0;
}
