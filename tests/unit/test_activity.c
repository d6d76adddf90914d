/*
 * Records of activity by themselves: ids, texts, times, JSON, CSV, and the chain's arithmetic.
 */
#include "unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>

#include "cesid/activity.h"
#include "cesid/activity_chain.h"
#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"

static int64_t wall;

static int64_t wall_now(void)
{
    return wall;
}

static void ids_are_in_the_order_of_time(void **state)
{
    static const struct clock_source source = {.monotonic = real_now, .wall = wall_now};
    char last[ACTIVITY_ID_SIZE] = "", floor[ACTIVITY_ID_SIZE];

    (void) state;
    clock_set_source(&source);
    wall = INT64_C(1700000000000);
    for (int i = 0; i < 1000; i++) {
        struct activity *record = activity_create("node.create", "node");

        assert_int_equal(strlen(record->id), ACTIVITY_ID_SIZE - 1);
        assert_true(strcmp(record->id, last) > 0);
        memcpy(last, record->id, sizeof(last));
        activity_id_floor(floor, wall);
        assert_true(strcmp(record->id, floor) >= 0);
        activity_id_floor(floor, wall + 1);
        assert_true(strcmp(record->id, floor) < 0);
        activity_destroy(&record);
        wall += i % 3 == 0;
    }
    clock_set_source(NULL);
}

static void texts_are_repaired_and_clipped(void **state)
{
    struct activity *record = activity_create("a", "b");
    char text[3000];

    (void) state;
    activity_set(record, &record->user_agent, "bad \xff\xfe bytes");
    assert_string_equal(record->user_agent, "bad \xef\xbf\xbd\xef\xbf\xbd bytes");
    memset(text, 'x', sizeof(text));
    text[255] = '\xc3'; /* é, cut in the middle by the limit */
    text[256] = '\xa9';
    text[sizeof(text) - 1] = '\0';
    activity_set(record, &record->user_agent, text);
    assert_true(strlen(record->user_agent) <= 256);
    activity_set(record, &record->target, text);
    assert_true(strlen(record->target) <= 640);
    activity_set(record, &record->actor, "");
    assert_null(record->actor);
    activity_set(record, &record->actor, NULL);
    assert_null(record->actor);
    char *details = calloc(1, ACTIVITY_DETAILS_MAX + 10);
    memset(details, ' ', ACTIVITY_DETAILS_MAX + 5);
    activity_set(record, &record->details, details);
    assert_string_equal(record->details, "{\"truncated\":true}");
    free(details);
    activity_destroy(&record);
}

static void times_are_read(void **state)
{
    static const struct {
        const char *text;
        int64_t at;
    } good[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T00:00:00Z", 0}, /* nothing is older */
        {"0001-01-01", 0},
        {"2026-01-02", INT64_C(1767312000000)},
        {"2026-01-02T00:00:00.5Z", INT64_C(1767312000500)},
        {"2026-01-02T01:00:00.123456+01:00", INT64_C(1767312000123)},
        {"2026-01-02T01:00:00 01:00", INT64_C(1767312000000)}, /* a plus in a query is a blank */
        {"2026-01-01T23:30:00-00:30", INT64_C(1767312000000)},
        {"2024-02-29t00:00:00z", INT64_C(1709164800000)},
    };
    static const char *const bad[] = {"",
                                      "now",
                                      "2026",
                                      "2026-13-01",
                                      "2026-02-30",
                                      "2026-01-02T",
                                      "2026-01-02T00:00:00",
                                      "2026-01-02T24:00:00Z",
                                      "2026-01-02T00:00:00.Z",
                                      "2026-01-02T00:00:00Z ",
                                      "2026-01-02T00:00:00+1:00",
                                      "-2026-01-02"};

    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        int64_t at = -1;

        if (!activity_time_parse(good[i].text, &at) || at != good[i].at)
            fail_msg("%s gave %lld", good[i].text, (long long) at);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        int64_t at;

        if (activity_time_parse(bad[i], &at))
            fail_msg("%s was taken", bad[i]);
    }
}

static struct activity *sample(void)
{
    struct activity *record =
        activity_create_at("process.restart", "process", INT64_C(1767312000123));

    memcpy(record->id, "0123456789abcdef0123456789abcdef", ACTIVITY_ID_SIZE);
    activity_set(record, &record->actor, "vera");
    activity_set(record, &record->target, "web-1/web:web_00");
    record->result = ACTIVITY_OK;
    record->status = 200;
    record->duration = 1200000;
    return record;
}

static void json_is_as_promised(void **state)
{
    struct activity *record = sample();
    struct strbuf out;
    struct json json;

    (void) state;
    strbuf_init(&out, 4096);
    json_start(&json, &out);
    activity_json(&json, record);
    assert_string_equal(out.data,
                        "{\"id\":\"0123456789abcdef0123456789abcdef\","
                        "\"at\":\"2026-01-02T00:00:00.123Z\",\"level\":\"info\",\"actor\":\"vera\","
                        "\"action\":\"process.restart\",\"resource\":\"process\","
                        "\"target\":\"web-1/web:web_00\",\"environment\":null,\"result\":\"ok\","
                        "\"status\":200,\"duration\":1.2,\"request_id\":null,\"address\":null,"
                        "\"user_agent\":null,\"details\":{}}");
    strbuf_destroy(&out);
    activity_destroy(&record);
}

static void csv_is_no_formula(void **state)
{
    static const char *const formulas[] = {"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"};
    struct activity *record = sample();
    struct strbuf out;

    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(formulas); i++) {
        char cell[64];

        free(record->user_agent);
        record->user_agent = strdup(formulas[i]);
        strbuf_init(&out, 4096);
        activity_csv(&out, record);
        snprintf(cell, sizeof(cell), ",\"'%s\",", formulas[i]);
        assert_non_null(strstr(out.data, cell));
        strbuf_destroy(&out);
    }
    activity_set(record, &record->user_agent, "he said \"=1\", and\nwent");
    strbuf_init(&out, 4096);
    activity_csv(&out, record);
    assert_string_equal(out.data, "\"0123456789abcdef0123456789abcdef\","
                                  "\"2026-01-02T00:00:00.123Z\",\"info\",\"vera\","
                                  "\"process.restart\",\"process\",\"web-1/web:web_00\",\"\","
                                  "\"ok\",200,1.200000,\"\",\"\",\"he said \"\"=1\"\", and\nwent\","
                                  "\"{}\"\r\n");
    strbuf_destroy(&out);
    activity_destroy(&record);
}

/* ---- the chain ---- */

struct place {
    char directory[64];
    struct activity_chain *chain;
};

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *position)
{
    (void) info;
    (void) type;
    (void) position;
    return remove(path);
}

static void open_chain(struct place *place)
{
    struct strbuf why;

    strbuf_init(&why, 1000);
    assert_int_equal(activity_chain_open(place->directory, false, &place->chain, &why), CESID_OK);
    strbuf_destroy(&why);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    temporary_folder(place->directory, sizeof(place->directory), "chain");
    open_chain(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    activity_chain_close(&place->chain);
    nftw(place->directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(place);
    return 0;
}

/* Each in turn is changed; the mac that covers it must differ. */
static void every_field_is_covered(void **state)
{
    struct place *place = *state;
    const struct activity_link start = {0};
    struct activity *record = sample();
    struct activity_link link, other;
    char seal[ACTIVITY_MAC_SIZE], changed[ACTIVITY_MAC_SIZE];
    char **const fixed[] = {&record->actor,   &record->action,      &record->resource,
                            &record->target,  &record->environment, &record->request_id,
                            &record->address, &record->user_agent};

    activity_chain_next(place->chain, &start, record, &link);
    assert_int_equal(link.number, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(fixed); i++) {
        char *kept = *fixed[i];

        *fixed[i] = (char *) "else";
        activity_chain_next(place->chain, &start, record, &other);
        assert_string_not_equal(link.mac, other.mac);
        *fixed[i] = kept;
    }
    record->at++;
    activity_chain_next(place->chain, &start, record, &other);
    assert_string_not_equal(link.mac, other.mac);
    record->at--;
    activity_chain_next(place->chain, &link, record, &other);
    assert_string_not_equal(link.mac, other.mac);

    activity_chain_seal(place->chain, &link, record, seal);
    record->status = 201;
    activity_chain_seal(place->chain, &link, record, changed);
    assert_string_not_equal(seal, changed);
    record->status = 200;
    record->result = ACTIVITY_FAILED;
    activity_chain_seal(place->chain, &link, record, changed);
    assert_string_not_equal(seal, changed);
    record->result = ACTIVITY_OK;
    activity_chain_seal(place->chain, &other, record, changed);
    assert_string_not_equal(seal, changed);
    activity_chain_seal(place->chain, &link, record, changed);
    assert_string_equal(seal, changed);
    activity_destroy(&record);
}

static void texts_do_not_run_into_each_other(void **state)
{
    struct place *place = *state;
    const struct activity_link start = {0};
    struct activity *record = sample();
    struct activity_link one, other;

    activity_set(record, &record->actor, "ab");
    activity_set(record, &record->target, "c");
    activity_chain_next(place->chain, &start, record, &one);
    activity_set(record, &record->actor, "a");
    activity_set(record, &record->target, "bc");
    activity_chain_next(place->chain, &start, record, &other);
    assert_string_not_equal(one.mac, other.mac);
    activity_destroy(&record);
}

static void the_key_stays_and_is_private(void **state)
{
    struct place *place = *state;
    char instance[64], path[128];
    struct stat info;

    snprintf(instance, sizeof(instance), "%s", activity_chain_instance(place->chain));
    activity_chain_close(&place->chain);
    open_chain(place);
    assert_string_equal(activity_chain_instance(place->chain), instance);
    snprintf(path, sizeof(path), "%s/activity.key", place->directory);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
}

static void a_damaged_key_is_refused(void **state)
{
    struct place *place = *state;
    struct activity_chain *chain = NULL;
    struct strbuf why;
    char path[128];

    snprintf(path, sizeof(path), "%s/activity.key", place->directory);
    assert_int_equal(truncate(path, 40), 0);
    strbuf_init(&why, 1000);
    assert_int_equal(activity_chain_open(place->directory, false, &chain, &why), CESID_E_INTERNAL);
    assert_non_null(strstr(why.data, "is damaged"));
    assert_null(chain);
    strbuf_destroy(&why);
}

static void a_torn_head_is_not_taken_for_the_other(void **state)
{
    struct place *place = *state;
    struct activity_link head = {0},
                         wanted = {.number = 7, .mac = "0123456789abcdef0123456789abcdef"};
    char path[128];
    int file;

    assert_false(activity_chain_remembered(place->chain, &head));
    activity_chain_remember(place->chain, &head);
    assert_true(activity_chain_remembered(place->chain, &head));
    assert_int_equal(head.number, 0);
    activity_chain_remember(place->chain, &wanted);
    wanted.number = 8;
    activity_chain_remember(place->chain, &wanted);
    assert_true(activity_chain_remembered(place->chain, &head));
    assert_int_equal(head.number, 8);
    assert_string_equal(head.mac, wanted.mac);
    /* 8 went over 0, in the first slot. */
    snprintf(path, sizeof(path), "%s/activity.head", place->directory);
    file = open(path, O_WRONLY);
    assert_int_equal(pwrite(file, "9", 1, 0), 1);
    close(file);
    assert_true(activity_chain_remembered(place->chain, &head));
    assert_int_equal(head.number, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("ids are in the order of time, and so of making", ids_are_in_the_order_of_time),
        NAMED("R9.5 texts are repaired and clipped", texts_are_repaired_and_clipped),
        NAMED("R9.1 times are read, and nothing else", times_are_read),
        NAMED("a record's JSON is as promised", json_is_as_promised),
        NAMED("R9.5 no cell of CSV is a formula", csv_is_no_formula),
    };
    const struct CMUnitTest chain[] = {
        cmocka_unit_test_setup_teardown(every_field_is_covered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(texts_do_not_run_into_each_other, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_key_stays_and_is_private, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_damaged_key_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_torn_head_is_not_taken_for_the_other, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("activity", tests, NULL, NULL) +
           cmocka_run_group_tests_name("activity chain", chain, NULL, NULL);
}
