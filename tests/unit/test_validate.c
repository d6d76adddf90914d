/*
 * Validation by field table: what is taken, what is refused and with which words, all at once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/validate.h"

enum {
    LIMIT,
    FORCE,
    STATE,
    LABEL,
    Q,
    RATIO,
    SINCE,
    NAME,
    COUNT,
    TAGS,
    SECRET,
    SIGNAL,
    NODES,
    LABELS,
    WHERE,
    PLACE,
    PLACE_AGAIN
};
static const struct field fields[] = {
    [LIMIT] = {.name = "limit",
               .place = FIELD_QUERY,
               .type = FIELD_INTEGER,
               .minimum = 1,
               .maximum = 1000,
               .default_value = "100"},
    [FORCE] = {.name = "force", .place = FIELD_QUERY, .type = FIELD_BOOLEAN},
    [STATE] = {.name = "state",
               .place = FIELD_QUERY,
               .type = FIELD_STRINGS,
               .choices = "RUNNING|FATAL"},
    [LABEL] = {.name = "label",
               .place = FIELD_QUERY,
               .type = FIELD_STRINGS,
               .format = FORMAT_LABEL,
               .maximum = 100},
    [Q] = {.name = "q", .place = FIELD_QUERY, .maximum = 5},
    [RATIO] =
        {.name = "ratio", .place = FIELD_QUERY, .type = FIELD_NUMBER, .minimum = 0, .maximum = 10},
    [SINCE] = {.name = "since", .place = FIELD_QUERY, .format = FORMAT_TIME, .maximum = 40},
    [NAME] = {.name = "name",
              .place = FIELD_BODY,
              .format = FORMAT_NAME,
              .required = true,
              .maximum = 64},
    [COUNT] =
        {.name = "count", .place = FIELD_BODY, .type = FIELD_INTEGER, .minimum = -5, .maximum = 5},
    [TAGS] = {.name = "tags", .place = FIELD_BODY, .type = FIELD_STRINGS, .maximum = 10},
    [SECRET] = {.name = "secret", .place = FIELD_BODY, .format = FORMAT_SECRET, .minimum = 3},
    [SIGNAL] = {.name = "signal", .place = FIELD_BODY, .choices = "HUP|TERM"},
    [NODES] = {.name = "select.nodes", .place = FIELD_BODY, .type = FIELD_STRINGS, .maximum = 10},
    [LABELS] = {.name = "labels",
                .place = FIELD_BODY,
                .type = FIELD_LABELS,
                .format = FORMAT_LABEL,
                .maximum = 40},
    [WHERE] = {.name = "where", .place = FIELD_BODY, .format = FORMAT_GLOB, .maximum = 40},
    [PLACE] = {.name = "place", .place = FIELD_PATH, .format = FORMAT_NAME, .maximum = 64},
    [PLACE_AGAIN] = {.name = "place", .place = FIELD_BODY, .format = FORMAT_NAME, .maximum = 64},
};
static const struct route route = {
    .method = "POST", .path = "/{place}", .fields = fields, .fields_count = ARRAY_LENGTH(fields)};

struct outcome {
    struct values values;
    struct problem problem;
    int error;
};

static void run(struct outcome *outcome, const char *query, const char *body)
{
    struct route_path path;
    values_init(&outcome->values, &route);
    problem_init(&outcome->problem);
    assert_int_equal(route_path_decode(&path, "/home"), 0);
    assert_int_equal(validate_path(&route, &path, 0, &outcome->values), 0);
    route_path_destroy(&path);
    outcome->error = validate_query(&route, query, &outcome->values, &outcome->problem);
    if (outcome->error == 0)
        outcome->error =
            validate_body(&route, body, strlen(body), &outcome->values, &outcome->problem);
    if (outcome->error == 0)
        outcome->error = validate_finish(&route, &outcome->values, &outcome->problem);
}

static void done(struct outcome *outcome)
{
    values_destroy(&outcome->values);
    problem_destroy(&outcome->problem);
}

/* Exactly that one field error. */
static void refused(const char *query, const char *body, const char *field, const char *code)
{
    struct outcome outcome;
    run(&outcome, query, body);
    if (outcome.error != CESID_E_VALIDATION_FAILED || outcome.problem.fields_total != 1 ||
        strcmp(outcome.problem.fields[0].field, field) != 0 ||
        strcmp(outcome.problem.fields[0].code, code) != 0)
        fail_msg("%s %s: %s, %zu errors, %s %s", query, body, error_code(outcome.error),
                 outcome.problem.fields_total,
                 outcome.problem.fields_count > 0 ? outcome.problem.fields[0].field : "-",
                 outcome.problem.fields_count > 0 ? outcome.problem.fields[0].code : "-");
    done(&outcome);
}

static void good_input_becomes_values(void **state)
{
    struct outcome outcome;
    (void) state;
    run(&outcome,
        "force&state=running,FATAL&label=a=b&label=c=d%2Ce&q=%C3%A4+b&ratio=1.5"
        "&since=2026-01-31T01:02:03.4%2B01:00",
        "{\"name\":\"web-1\",\"count\":-5,\"tags\":[\"x\",\"\"],\"secret\":null,"
        "\"where\":\"a' OR 1=1; -- %\",\"place\":\"home\"}");
    struct value *values = outcome.values.items;
    assert_int_equal(outcome.error, 0);
    assert_int_equal(values[LIMIT].integer, 100);
    assert_true(values[FORCE].boolean);
    assert_int_equal(values[STATE].items_count, 2);
    assert_string_equal(values[STATE].items[0], "RUNNING");
    assert_int_equal(values[LABEL].items_count, 2);
    assert_string_equal(values[LABEL].items[0], "a=b");
    assert_string_equal(values[LABEL].items[1], "c=d,e");
    assert_string_equal(values[Q].text, "ä b");
    assert_true(values[RATIO].real > 1.49 && values[RATIO].real < 1.51);
    assert_string_equal(values[NAME].text, "web-1");
    assert_int_equal(values[COUNT].integer, -5);
    assert_int_equal(values[TAGS].items_count, 2);
    assert_false(values[SECRET].present);
    done(&outcome);
}

static void each_field_has_its_error(void **state)
{
    static const char good[] = "{\"name\":\"a\"}";
    char items[1024];
    (void) state;
    refused("limit=0", good, "limit", "out_of_range");
    refused("limit=1001", good, "limit", "out_of_range");
    refused("limit=99999999999999999999", good, "limit", "out_of_range");
    refused("limit=", good, "limit", "wrong_type");
    refused("limit=+5", good, "limit", "wrong_type");
    refused("limit=%205", good, "limit", "wrong_type");
    refused("limit=5x", good, "limit", "wrong_type");
    refused("limit=5.0", good, "limit", "wrong_type");
    refused("limit=5&limit=6", good, "limit", "repeated");
    refused("force=maybe", good, "force", "wrong_type");
    refused("state=RUNNING,GONE", good, "state", "not_allowed");
    refused("label=nothing", good, "label", "bad_format");
    refused("label=", good, "label", "too_short");
    refused("q=123456", good, "q", "too_long");
    refused("q=a%0ab", good, "q", "bad_format");
    refused("ratio=nan", good, "ratio", "wrong_type");
    refused("ratio=0x10", good, "ratio", "wrong_type");
    refused("ratio=1e99", good, "ratio", "out_of_range");
    refused("since=yesterday", good, "since", "bad_format");
    refused("since=2026-02-30", good, "since", "bad_format");
    refused("since=2026-01-31T01:02:03", good, "since", "bad_format");
    refused("since=", good, "since", "too_short");
    refused("Limit=5", good, "Limit", "unknown");
    refused("token=abc", good, "token", "unknown");
    refused("access_token=abc", good, "access_token", "unknown");
    refused("name=in-the-query", good, "name", "unknown");
    refused("", "{}", "name", "required");
    refused("", "", "name", "required");
    refused("", "{\"name\":null}", "name", "wrong_type");
    refused("", "{\"name\":1}", "name", "wrong_type");
    refused("", "{\"name\":\"\"}", "name", "too_short");
    refused("", "{\"name\":\"../etc\"}", "name", "bad_format");
    refused("", "{\"name\":\"a\",\"limit\":5}", "limit", "unknown");
    refused("", "{\"name\":\"a\",\"count\":1.5}", "count", "wrong_type");
    refused("", "{\"name\":\"a\",\"count\":1e300}", "count", "wrong_type");
    refused("", "{\"name\":\"a\",\"count\":6}", "count", "out_of_range");
    refused("", "{\"name\":\"a\",\"tags\":\"x\"}", "tags", "wrong_type");
    refused("", "{\"name\":\"a\",\"tags\":[\"x\",1]}", "tags/1", "wrong_type");
    refused("", "{\"name\":\"a\",\"tags\":[\"12345678901\"]}", "tags/0", "too_long");
    refused("", "{\"name\":\"a\",\"secret\":\"ab\"}", "secret", "too_short");
    refused("", "{\"name\":\"a\",\"signal\":\"BOOM\"}", "signal", "not_allowed");
    refused("", "{\"name\":\"a\",\"where\":\"a\\nb\"}", "where", "bad_format");
    refused("", "{\"name\":\"a\",\"where\":\"\"}", "where", "too_short");
    refused("", "{\"name\":\"a\",\"place\":\"elsewhere\"}", "place", "not_allowed");
    (void) snprintf(items, sizeof(items), "state=FATAL");
    for (int i = 0; i < 100; i++)
        (void) snprintf(items + strlen(items), sizeof(items) - strlen(items), ",FATAL");
    refused(items, good, "state", "too_long");
}

static void every_error_is_told_at_once(void **state)
{
    struct outcome outcome;
    (void) state;
    run(&outcome, "limit=0&force=x&other=1", "{\"count\":9,\"what\":1}");
    assert_int_equal(outcome.error, CESID_E_VALIDATION_FAILED);
    assert_int_equal(outcome.problem.fields_total, 6);
    done(&outcome);
}

static void many_errors_stay_bounded(void **state)
{
    struct outcome outcome;
    struct strbuf query;
    (void) state;
    strbuf_init(&query, 100000);
    for (int i = 0; i < 1000; i++)
        strbuf_printf(&query, "x%d=1&", i);
    run(&outcome, query.data, "{\"name\":\"a\"}");
    assert_int_equal(outcome.problem.fields_total, 1000);
    assert_int_equal(outcome.problem.fields_count, PROBLEM_FIELDS_MAX);
    done(&outcome);
    strbuf_destroy(&query);
}

static void nonsense_is_no_request(void **state)
{
    static const char *const queries[] = {"q=%", "q=%0", "q=%zz", "q=%00", "%00=1", "q=%ff"};
    static const char *const bodies[] = {"{", "nonsense", "{\"name\":\"a\",\"name\":\"b\"}",
                                         "{\"name\":\"a\"} x", "{\"name\":NaN}"};
    struct outcome outcome;
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(queries); i++) {
        run(&outcome, queries[i], "");
        assert_int_equal(outcome.error, CESID_E_BAD_REQUEST);
        done(&outcome);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bodies); i++) {
        run(&outcome, NULL, bodies[i]);
        assert_int_equal(outcome.error, CESID_E_INVALID_JSON);
        done(&outcome);
    }
    run(&outcome, NULL, "[1]");
    assert_int_equal(outcome.error, CESID_E_VALIDATION_FAILED);
    done(&outcome);
}

static void wrong_values_are_not_repeated(void **state)
{
    struct outcome outcome;
    (void) state;
    run(&outcome, "limit=hunter2", "{\"name\":\"hunter2 hunter2\",\"secret\":7}");
    for (size_t i = 0; i < outcome.problem.fields_count; i++)
        assert_null(strstr(outcome.problem.fields[i].message, "hunter2"));
    done(&outcome);
}

static void objects_are_taken_apart(void **state)
{
    struct outcome outcome;

    (void) state;
    run(&outcome, NULL,
        "{\"name\":\"a\",\"select\":{\"nodes\":[\"x\",\"y\"]},\"labels\":{\"b\":\"2=3\",\"a\":\"\"}"
        "}");
    assert_int_equal(outcome.error, 0);
    assert_int_equal(outcome.values.items[NODES].items_count, 2);
    assert_string_equal(outcome.values.items[NODES].items[1], "y");
    assert_int_equal(outcome.values.items[LABELS].items_count, 2);
    assert_string_equal(outcome.values.items[LABELS].items[0], "b=2=3");
    assert_string_equal(outcome.values.items[LABELS].items[1], "a=");
    done(&outcome);

    run(&outcome, NULL, "{\"name\":\"a\",\"select\":null,\"labels\":null}");
    assert_int_equal(outcome.error, 0);
    assert_false(outcome.values.items[NODES].present);
    assert_false(outcome.values.items[LABELS].present);
    done(&outcome);

    run(&outcome, NULL,
        "{\"name\":\"a\",\"select\":{\"nodes\":\"x\",\"other\":1},\"select.nodes\":[],"
        "\"labels\":{\"a b\":\"x\",\"c\":1}}");
    static const char *const wrong[][2] = {{"select.nodes", "wrong_type"},
                                           {"select.other", "unknown"},
                                           {"select.nodes", "unknown"},
                                           {"labels.a b", "bad_format"},
                                           {"labels.c", "wrong_type"}};
    assert_int_equal(outcome.error, CESID_E_VALIDATION_FAILED);
    assert_int_equal(outcome.problem.fields_count, ARRAY_LENGTH(wrong));
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_string_equal(outcome.problem.fields[i].field, wrong[i][0]);
        assert_string_equal(outcome.problem.fields[i].code, wrong[i][1]);
    }
    done(&outcome);

    run(&outcome, NULL, "{\"name\":\"a\",\"select\":[1],\"labels\":[\"a=b\"]}");
    assert_int_equal(outcome.problem.fields_count, 2);
    assert_string_equal(outcome.problem.fields[0].field, "select");
    assert_string_equal(outcome.problem.fields[1].field, "labels");
    done(&outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {.name = "R9.1 good input becomes typed values", .test_func = good_input_becomes_values},
        {.name = "R7.3 each wrong field has its own error", .test_func = each_field_has_its_error},
        {.name = "R7.3 every error is told at once", .test_func = every_error_is_told_at_once},
        {.name = "R9.1 a thousand errors stay bounded", .test_func = many_errors_stay_bounded},
        {.name = "R9.1 nonsense is refused before fields are looked at",
         .test_func = nonsense_is_no_request},
        {.name = "R7.5 wrong values are not repeated", .test_func = wrong_values_are_not_repeated},
        {.name = "R9.1 objects in a body are taken apart", .test_func = objects_are_taken_apart},
    };
    return cmocka_run_group_tests_name("validate", tests, NULL, NULL);
}
