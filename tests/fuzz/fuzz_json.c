/*
 * Whatever comes as a body: it is JSON that reads the same when written again, or it is refused
 * with a reason; and what the field table lets through holds to it.
 */
#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/json.h"
#include "cesid/text.h"
#include "cesid/validate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct field fields[] = {
    {.name = "name", .place = FIELD_BODY, .format = FORMAT_NAME, .maximum = 64},
    {.name = "text", .place = FIELD_BODY, .required = true, .minimum = 1, .maximum = 20},
    {.name = "secret", .place = FIELD_BODY, .format = FORMAT_SECRET, .maximum = 100},
    {.name = "token", .place = FIELD_BODY, .format = FORMAT_TOKEN},
    {.name = "process", .place = FIELD_BODY, .format = FORMAT_PROCESS},
    {.name = "word", .place = FIELD_BODY, .choices = "one|two|three", .default_value = "two"},
    {.name = "whole",
     .place = FIELD_BODY,
     .type = FIELD_INTEGER,
     .minimum = -5,
     .maximum = 1000,
     .default_value = "7"},
    {.name = "any", .place = FIELD_BODY, .type = FIELD_INTEGER},
    {.name = "real", .place = FIELD_BODY, .type = FIELD_NUMBER, .minimum = 1, .maximum = 3600},
    {.name = "yes", .place = FIELD_BODY, .type = FIELD_BOOLEAN, .default_value = "false"},
    {.name = "list", .place = FIELD_BODY, .type = FIELD_STRINGS, .minimum = 1, .maximum = 10},
    {.name = "labels", .place = FIELD_BODY, .type = FIELD_LABELS, .format = FORMAT_LABEL},
    {.name = "select.nodes", .place = FIELD_BODY, .type = FIELD_STRINGS, .maximum = 64},
    {.name = "select.word", .place = FIELD_BODY, .choices = "a|b"},
};
static const struct route route = {.method = "POST", .path = "/x", ROUTE_FIELDS(fields)};

static void hold(const struct field *field, const struct value *value)
{
    if (value->text != NULL) {
        CHECK(text_is_utf8(value->text, strlen(value->text)));
        CHECK(field->maximum == 0 || strlen(value->text) <= (size_t) field->maximum * 4);
        CHECK(field->format != FORMAT_NAME || text_is_name(value->text));
    }
    if (field->type == FIELD_INTEGER && field->maximum != 0)
        CHECK(value->integer >= field->minimum && value->integer <= field->maximum);
    if (field->type == FIELD_NUMBER)
        CHECK(value->real >= (double) field->minimum && value->real <= (double) field->maximum);
    CHECK(value->items_count <= VALIDATE_ITEMS_MAX);
    for (size_t i = 0; i < value->items_count; i++) {
        CHECK(text_is_utf8(value->items[i], strlen(value->items[i])));
        CHECK(field->type != FIELD_LABELS || strchr(value->items[i], '=') != NULL);
    }
}

static void validate(const char *body, size_t size)
{
    struct values values;
    struct problem problem;
    struct strbuf text;

    values_init(&values, &route);
    problem_init(&problem);
    int error = validate_body(&route, body, size, &values, &problem);
    if (error == 0)
        error = validate_finish(&route, &values, &problem);
    CHECK(error == 0 || problem.fields_total > 0 || problem.detail[0] != '\0');
    if (error == 0)
        for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
            if (values.items[i].present)
                hold(&fields[i], &values.items[i]);
    strbuf_init(&text, (size_t) 1 << 20);
    problem_render(&text, error == 0 ? CESID_E_INTERNAL : error, &problem, "fuzz");
    cJSON *shown = NULL;
    const char *why;
    CHECK(!strbuf_failed(&text) && json_parse(text.data, text.length, &shown, &why) == 0);
    cJSON_Delete(shown);
    strbuf_destroy(&text);
    problem_destroy(&problem);
    values_destroy(&values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *why = NULL;
    cJSON *tree = NULL, *again = NULL;

    if (json_parse((const char *) data, size, &tree, &why) != 0) {
        CHECK(why != NULL && why[0] != '\0' && tree == NULL);
    } else {
        char *text = cJSON_PrintUnformatted(tree);
        CHECK(text_is_utf8((const char *) data, size) && text != NULL);
        CHECK(json_parse(text, strlen(text), &again, &why) == 0);
        CHECK(cJSON_Compare(tree, again, true));
        free(text);
        cJSON_Delete(again);
        cJSON_Delete(tree);
    }
    validate((const char *) data, size);
    return 0;
}
