/*
 * Fields of routes as JSON Schema: the same ranges, lengths, patterns and choices that validate.c
 * holds them to. See openapi.h. Pure.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/openapi.h"
#include "cesid/validate.h"

#define NAME_PATTERN "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

static const char *pattern(const struct field *field)
{
    switch (field->format) {
    case FORMAT_NAME:
        return "^" NAME_PATTERN "$";
    case FORMAT_LABEL:
        return "^" NAME_PATTERN "=[^\\u0000-\\u001f\\u007f]*$";
    case FORMAT_PROCESS:
        return "^[^:\\u0000-\\u001f\\u007f]([^\\u0000-\\u001f\\u007f]*"
               "[^:\\u0000-\\u001f\\u007f])?$";
    case FORMAT_GLOB:
        return "^[^\\u0000-\\u001f\\u007f]*$";
    case FORMAT_CURSOR:
        return "^[A-Za-z0-9_-]+$";
    case FORMAT_TIME:
        return "^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?"
               "([Zz]|[+-][0-9]{2}:[0-9]{2}))?$";
    case FORMAT_TOKEN:
        return "^[A-Za-z0-9._-]+$";
    case FORMAT_TEXT:
    case FORMAT_SECRET:
        break;
    }
    return field->place == FIELD_BODY ? "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f]*$"
                                      : "^[^\\u0000-\\u001f\\u007f]*$";
}

static void put_choices(struct json *json, const char *choices)
{
    json_key(json, "enum");
    json_array(json);
    for (const char *at = choices; *at != '\0';) {
        size_t length = strcspn(at, "|");
        json_bytes(json, at, length);
        at += length + (at[length] == '|' ? 1 : 0);
    }
    json_array_end(json);
}

static void put_string(struct json *json, const struct field *field)
{
    json_put_string(json, "type", "string");
    if (field->choices != NULL) {
        put_choices(json, field->choices);
        return;
    }
    bool plain = field->format == FORMAT_TEXT || field->format == FORMAT_SECRET;
    int64_t least = field->minimum == 0 && !plain ? 1 : field->minimum;
    if (least > 0)
        json_put_integer(json, "minLength", least);
    json_put_integer(json, "maxLength", field->maximum == 0 ? VALIDATE_STRING_MAX : field->maximum);
    json_put_string(json, "pattern", pattern(field));
    if (field->format == FORMAT_SECRET) {
        json_put_string(json, "format", "password");
        json_put_boolean(json, "writeOnly", true);
    }
}

static void put_range(struct json *json, const struct field *field)
{
    if (field->minimum == 0 && field->maximum == 0)
        return;
    json_put_integer(json, "minimum", field->minimum);
    json_put_integer(json, "maximum", field->maximum);
}

static void put_default(struct json *json, const struct field *field)
{
    const char *value = field->default_value;
    if (value == NULL)
        return;
    json_key(json, "default");
    switch (field->type) {
    case FIELD_STRING:
        json_string(json, value);
        break;
    case FIELD_INTEGER:
        json_integer(json, strtoll(value, NULL, 10));
        break;
    case FIELD_NUMBER:
        json_real(json, strtod(value, NULL));
        break;
    case FIELD_BOOLEAN:
        json_boolean(json, strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
        break;
    case FIELD_STRINGS:
        json_array(json);
        for (const char *at = value; *at != '\0';) {
            size_t length = strcspn(at, ",");
            json_bytes(json, at, length);
            at += length + (at[length] == ',' ? 1 : 0);
        }
        json_array_end(json);
        break;
    case FIELD_LABELS:
        CHECK(false); /* no such default */
    }
}

void openapi_field(struct json *json, const struct field *field)
{
    json_object(json);
    switch (field->type) {
    case FIELD_STRING:
        put_string(json, field);
        break;
    case FIELD_INTEGER:
        json_put_string(json, "type", "integer");
        put_range(json, field);
        break;
    case FIELD_NUMBER:
        json_put_string(json, "type", "number");
        put_range(json, field);
        break;
    case FIELD_BOOLEAN:
        json_put_string(json, "type", "boolean");
        break;
    case FIELD_STRINGS:
        json_put_string(json, "type", "array");
        json_put_integer(json, "maxItems", VALIDATE_ITEMS_MAX);
        json_key(json, "items");
        json_object(json);
        put_string(json, field);
        json_object_end(json);
        break;
    case FIELD_LABELS:
        json_put_string(json, "type", "object");
        json_put_integer(json, "maxProperties", VALIDATE_ITEMS_MAX);
        json_key(json, "propertyNames");
        json_object(json);
        json_put_string(json, "pattern", "^" NAME_PATTERN "$");
        json_object_end(json);
        json_key(json, "additionalProperties");
        json_object(json);
        json_put_string(json, "type", "string");
        json_object_end(json);
        break;
    }
    put_default(json, field);
    if (field->place == FIELD_BODY && field->about != NULL)
        json_put_string(json, "description", field->about);
    json_object_end(json);
}
