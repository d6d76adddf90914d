/*
 * The journal, the same tests on real SQLite files and in a real MariaDB: what is acknowledged is
 * there, in order and in the chain, whatever happens to the store and to the program.
 */
#include "journal_house.h"

#define THREADS 8
#define ROUNDS  25

static void test_an_action_is_there_before_and_after(void **state)
{
    struct scene *scene = *state;
    struct activity *record;
    struct activity_link link;
    uint64_t held;

    assert_int_equal(begin(scene, "web-1/a:a", &record, &link), CESID_OK);
    assert_int_equal(link.number, 1);
    assert_int_equal(result_of(scene, "web-1/a:a"), ACTIVITY_PENDING);
    assert_int_equal(end(scene, &record, &link), CESID_OK);
    assert_int_equal(result_of(scene, "web-1/a:a"), ACTIVITY_OK);
    assert_string_equal(verify(scene, &held), "");
    assert_int_equal(held, 1);
}

static void *act_often(void *argument)
{
    struct scene *scene = argument;

    for (int i = 0; i < ROUNDS; i++)
        CHECK(act(scene, "web-1/a:a") == CESID_OK);
    return NULL;
}

static void test_many_threads_share_a_flush(void **state)
{
    struct scene *scene = *state;
    pthread_t threads[THREADS];
    uint64_t held;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, act_often, scene), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(count_of(scene, (struct activity_filter){.result = "ok"}), THREADS * ROUNDS);
    assert_string_equal(verify(scene, &held), "");
    assert_int_equal(held, THREADS * ROUNDS);
}

static void test_an_outage_loses_nothing(void **state)
{
    struct scene *scene = *state;
    struct activity **records, *pending;
    struct activity_link link;
    struct journal_figures figures;
    char target[32], last[ACTIVITY_ID_SIZE] = "";

    be_hasty(scene);
    assert_int_equal(begin(scene, "early", &pending, &link), CESID_OK);
    take_store(scene);
    for (int i = 0; i < 20; i++) {
        (void) snprintf(target, sizeof(target), "t%02d", i);
        assert_int_equal(act(scene, target), CESID_OK);
    }
    assert_int_equal(end(scene, &pending, &link), CESID_OK);
    journal_figures(scene->journal, &figures);
    assert_int_equal(figures.spilled, 41);
    assert_false(figures.refusing);
    give_store(scene);
    assert_true(eventually(caught_up, scene));
    assert_int_equal(act(scene, "t20"), CESID_OK);
    assert_int_equal(result_of(scene, "early"), ACTIVITY_OK);
    size_t count = page(scene, &(struct activity_filter){.target = "t*"}, NULL, 100, &records);
    assert_int_equal(count, 21);
    for (size_t i = 0; i < count; i++) {
        (void) snprintf(target, sizeof(target), "t%02zu", 20 - i);
        assert_string_equal(records[i]->target, target);
        assert_int_equal(records[i]->result, ACTIVITY_OK);
        assert_true(last[0] == '\0' || strcmp(records[i]->id, last) < 0);
        memcpy(last, records[i]->id, sizeof(last));
    }
    drop(records, count);
    assert_string_equal(verify(scene, NULL), "");
}

static double cpu_seconds(void)
{
    struct timespec used;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used), 0);
    return (double) used.tv_sec + (double) used.tv_nsec / 1e9;
}

/* What else is due then waits for the store, too, and not by going round. */
static void test_an_outage_is_waited_for(void **state)
{
    struct scene *scene = *state;
    const struct timespec second = {.tv_sec = 1};
    double before;

    be_hasty(scene); /* and a clean-up is due soon */
    take_store(scene);
    assert_int_equal(act(scene, "t"), CESID_OK);
    nanosleep(&second, NULL);
    before = cpu_seconds();
    nanosleep(&second, NULL);
    assert_true(cpu_seconds() - before < 0.5);
    give_store(scene);
    assert_true(eventually(caught_up, scene));
}

static void test_without_any_place_nothing_is_done(void **state)
{
    struct scene *scene = *state;
    struct activity *running;
    struct activity_link link;
    struct journal_figures figures;

    be_hasty(scene);
    assert_int_equal(act(scene, "before"), CESID_OK);
    assert_int_equal(begin(scene, "running", &running, &link), CESID_OK);
    take_store(scene);
    take_disk(scene);
    assert_int_equal(act(scene, "refused"), CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(act(scene, "refused too"), CESID_E_STORE_UNAVAILABLE);
    assert_int_equal(end(scene, &running, &link), CESID_E_STORE_UNAVAILABLE);
    journal_figures(scene->journal, &figures);
    assert_true(figures.refusing);
    give_disk(scene);
    give_store(scene);
    assert_true(eventually(caught_up, scene));
    assert_int_equal(act(scene, "after"), CESID_OK);
    /* What was done meanwhile has its outcome; what was refused is not said to have been done. */
    assert_int_equal(result_of(scene, "running"), ACTIVITY_OK);
    assert_int_equal(
        count_of(scene, (struct activity_filter){.target = "refused*", .result = "ok"}), 0);
    assert_int_equal(
        count_of(scene, (struct activity_filter){.target = "refused*", .result = "pending"}), 0);
    assert_string_equal(verify(scene, NULL), "");
}

/* In a child: acts without end, telling each action that was acknowledged. */
static void act_until_killed(struct scene *scene, int out)
{
    for (int i = 0;; i++) {
        char target[16];

        (void) snprintf(target, sizeof(target), "t%05d", i);
        if (act(scene, target) != CESID_OK || write(out, &i, sizeof(i)) != sizeof(i))
            _exit(1);
    }
}

/* How many actions a child had acknowledged when it was killed in the middle of the next. */
static int kill_in_the_middle(struct scene *scene, int enough)
{
    int ends[2], last = -1, one;
    pid_t child;

    stop_journal(scene);
    store_close(&scene->f->store);
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        must_open(scene->f);
        start_journal(scene);
        act_until_killed(scene, ends[1]);
    }
    close(ends[1]);
    while (last < enough && read(ends[0], &one, sizeof(one)) == sizeof(one))
        last = one;
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (read(ends[0], &one, sizeof(one)) == sizeof(one))
        last = one;
    close(ends[0]);
    assert_true(last >= enough);
    return last + 1;
}

static void all_are_there(struct scene *scene, int acknowledged)
{
    int64_t done = count_of(scene, (struct activity_filter){.target = "t*", .result = "ok"});
    int64_t cut = count_of(scene, (struct activity_filter){.result = "interrupted"});

    assert_true(done >= acknowledged && done <= acknowledged + 1);
    assert_true(cut <= 1);
    assert_int_equal(count_of(scene, (struct activity_filter){.result = "pending"}), 0);
    assert_string_equal(verify(scene, NULL), "");
}

static bool nothing_pending(void *argument)
{
    return count_of(argument, (struct activity_filter){.result = "pending"}) == 0;
}

static void test_kill_9_loses_nothing(void **state)
{
    struct scene *scene = *state;
    int acknowledged = kill_in_the_middle(scene, 100);

    must_open(scene->f);
    start_journal(scene);
    assert_true(eventually(caught_up, scene));
    assert_true(eventually(nothing_pending, scene));
    all_are_there(scene, acknowledged);
}

static void test_kill_9_in_an_outage_loses_nothing(void **state)
{
    struct scene *scene = *state;
    struct activity *record;
    struct activity_link link;
    char path[128];
    int file, acknowledged;

    /* The child cannot open a store that is away: so the spill is made here, and torn. */
    be_hasty(scene);
    assert_int_equal(act(scene, "t0"), CESID_OK);
    take_store(scene);
    for (acknowledged = 1; acknowledged < 10; acknowledged++)
        assert_int_equal(act(scene, "t1"), CESID_OK);
    assert_int_equal(begin(scene, "cut", &record, &link), CESID_OK);
    activity_destroy(&record);
    stop_journal(scene); /* whose last try fails: the spill stays */
    give_store(scene);
    (void) snprintf(path, sizeof(path), "%s/activity.spill", scene->f->directory);
    file = open(path, O_WRONLY | O_APPEND);
    assert_true(file >= 0);
    assert_int_equal(write(file, "{\"outcome\":false,\"num", 21), 21);
    close(file);
    assert_string_equal(verify(scene, NULL), "");
    start_journal(scene);
    assert_true(eventually(caught_up, scene));
    assert_true(eventually(nothing_pending, scene));
    all_are_there(scene, acknowledged);
    assert_int_equal(result_of(scene, "cut"), ACTIVITY_INTERRUPTED);
    assert_int_equal(act(scene, "t2"), CESID_OK);
    assert_string_equal(verify(scene, NULL), "");
}

static void test_a_spill_is_written_twice_without_harm(void **state)
{
    struct scene *scene = *state;
    char path[128], copy[128], command[300];

    be_hasty(scene);
    take_store(scene);
    for (int i = 0; i < 5; i++)
        assert_int_equal(act(scene, "t"), CESID_OK);
    stop_journal(scene);
    give_store(scene);
    (void) snprintf(path, sizeof(path), "%s/activity.spill", scene->f->directory);
    (void) snprintf(copy, sizeof(copy), "%s/copy", scene->f->directory);
    (void) snprintf(command, sizeof(command), "cp %s %s", path, copy);
    assert_int_equal(system(command), 0); // NOLINT(cert-env33-c)
    start_journal(scene);
    assert_true(eventually(caught_up, scene));
    stop_journal(scene);
    /* As after a crash between the store's commit and the end of the file. */
    assert_int_equal(rename(copy, path), 0);
    start_journal(scene);
    assert_true(eventually(caught_up, scene));
    assert_int_equal(count_of(scene, (struct activity_filter){.result = "ok"}), 5);
    assert_string_equal(verify(scene, NULL), "");
}

/* Each of these must be seen, and named with the record. */
static void test_tampering_is_seen(void **state)
{
    static const struct {
        const char *sql, *said;
    } cases[] = {
        {"UPDATE activity SET actor = 'mallory' WHERE number = 3", "record 3 "},
        {"UPDATE activity SET at = at + 1 WHERE number = 3", "record 3 "},
        {"UPDATE activity SET result = 'failed' WHERE number = 4", "the outcome of record 4 "},
        {"UPDATE activity SET details = '{\"a\":1}' WHERE number = 4", "the outcome of record 4 "},
        {"DELETE FROM activity WHERE number = 5", "records 5 to 5 are missing"},
        {"DELETE FROM activity WHERE number > 8", "records 9 to 10 are missing at the end"},
        {"DELETE FROM activity WHERE number < 3", "records 1 to 2 are missing"},
        {"DELETE FROM activity", "records 1 to 10 are missing at the end"},
        {"UPDATE activity SET number = 11 - number", "record 1 "},
        {"INSERT INTO activity_anchors SELECT instance, number, mac, seal FROM activity"
         " WHERE number = 2; DELETE FROM activity WHERE number <= 2",
         "the anchor"},
    };
    struct scene *scene = *state;

    for (int i = 0; i < 10; i++)
        assert_int_equal(act(scene, "t"), CESID_OK);
    assert_string_equal(verify(scene, NULL), "");
    run_sql(scene->f, "CREATE TABLE kept AS SELECT * FROM activity");
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        run_sql(scene->f, cases[i].sql);
        if (strstr(verify(scene, NULL), cases[i].said) == NULL)
            fail_msg("after %s: %s", cases[i].sql, verify(scene, NULL));
        run_sql(scene->f, "DELETE FROM activity; DELETE FROM activity_anchors;"
                          " INSERT INTO activity SELECT * FROM kept");
    }
    assert_string_equal(verify(scene, NULL), "");
}

static void test_a_lost_end_stays_visible(void **state)
{
    struct scene *scene = *state;

    for (int i = 0; i < 5; i++)
        assert_int_equal(act(scene, "t"), CESID_OK);
    stop_journal(scene);
    run_sql(scene->f, "DELETE FROM activity WHERE number > 3");
    log_set_level(NULL, LOG_LEVEL_ERROR);
    start_journal(scene);
    assert_int_equal(act(scene, "t"), CESID_OK);
    assert_non_null(strstr(verify(scene, NULL), "records 4 to 5 are missing"));
}

static int64_t long_ago(void)
{
    return (int64_t) time(NULL) * 1000 - INT64_C(1000) * 86400 * 1000;
}

static bool old_are_gone(void *argument)
{
    return count_of(argument, (struct activity_filter){.target = "old*"}) == 0;
}

static void test_retention_cuts_the_chain_cleanly(void **state)
{
    struct scene *scene = *state;
    uint64_t held;

    for (int i = 0; i < 700; i++) {
        struct activity *record =
            activity_create_at("process.state", "process", long_ago() + i * 1000);

        activity_set(record, &record->target, "old");
        record->result = ACTIVITY_OK;
        assert_true(journal_note(scene->journal, &record));
    }
    assert_true(eventually(caught_up, scene));
    assert_int_equal(act(scene, "new"), CESID_OK);
    again(scene); /* cleans at start */
    assert_true(eventually(old_are_gone, scene));
    assert_string_equal(verify(scene, &held), "");
    assert_int_equal(held, 1);
    again(scene);
    assert_int_equal(act(scene, "new"), CESID_OK);
    assert_string_equal(verify(scene, &held), "");
    assert_int_equal(held, 2);
    run_sql(scene->f, "DELETE FROM activity WHERE number = 701");
    assert_non_null(strstr(verify(scene, NULL), "records 701 to 701 are missing"));
}

/* ---- reading ---- */

static void note(struct scene *scene, const char *actor, const char *action, const char *target,
                 const char *environment)
{
    struct activity *record = activity_create(action, "process");

    activity_set(record, &record->actor, actor);
    activity_set(record, &record->target, target);
    activity_set(record, &record->environment, environment);
    record->result = ACTIVITY_OK;
    assert_int_equal(journal_write(scene->journal, record), CESID_OK);
    activity_destroy(&record);
}

static void test_filters(void **state)
{
    struct scene *scene = *state;
    struct access_binding web = {"web*", ACTIVITY_READ}, none = {"x", NODE_READ};
    struct access *some = access_create(&web, 1), *nowhere = access_create(&none, 1);
    struct activity **records;
    size_t count;

    note(scene, "vera", "process.start", "a/x:x", "web-1");
    note(scene, "Vera", "process.stop", "a/x:x", "web-2");
    note(scene, "vera", "node.create", "b", "db");
    note(scene, "o'brien", "auth.login", "100%_sure!", NULL);

    assert_int_equal(count_of(scene, (struct activity_filter){0}), 4);
    assert_int_equal(count_of(scene, (struct activity_filter){.actor = "vera"}), 2);
    assert_int_equal(count_of(scene, (struct activity_filter){.actor = "v*"}), 2);
    assert_int_equal(count_of(scene, (struct activity_filter){.actor = "?era"}), 3);
    assert_int_equal(count_of(scene, (struct activity_filter){.actor = "o'brien"}), 1);
    assert_int_equal(count_of(scene, (struct activity_filter){.actor = "' OR '1'='1"}), 0);
    assert_int_equal(count_of(scene, (struct activity_filter){.action = "process.*"}), 2);
    assert_int_equal(count_of(scene, (struct activity_filter){.action = "process.stop"}), 1);
    assert_int_equal(count_of(scene, (struct activity_filter){.target = "a/*", .actor = "vera"}),
                     1);
    assert_int_equal(count_of(scene, (struct activity_filter){.target = "1*_*!"}), 1);
    assert_int_equal(count_of(scene, (struct activity_filter){.target = "a%"}), 0);
    assert_int_equal(count_of(scene, (struct activity_filter){.target = "100%_sure!"}), 1);
    assert_int_equal(count_of(scene, (struct activity_filter){.result = "failed"}), 0);
    assert_int_equal(count_of(scene, (struct activity_filter){.since = clock_wall() + 1000}), 0);
    assert_int_equal(count_of(scene, (struct activity_filter){.until = clock_wall() + 1000}), 4);

    /* Who may see some environments sees those, and nothing that is of none. */
    assert_int_equal(count_of(scene, (struct activity_filter){.access = some}), 2);
    assert_int_equal(count_of(scene, (struct activity_filter){.access = some, .actor = "vera"}), 1);
    assert_int_equal(count_of(scene, (struct activity_filter){.access = nowhere}), 0);
    count = page(scene, &(struct activity_filter){.access = some}, NULL, 10, &records);
    assert_int_equal(count, 2);
    assert_string_equal(records[0]->environment, "web-2");
    assert_string_equal(records[1]->environment, "web-1");
    drop(records, count);
    access_unref(&some);
    access_unref(&nowhere);
}

static void test_pages_while_rows_arrive(void **state)
{
    struct scene *scene = *state;
    char before[ACTIVITY_ID_SIZE] = "", target[16];
    int expected = 9;

    for (int i = 0; i < 10; i++) {
        (void) snprintf(target, sizeof(target), "t%d", i);
        note(scene, "vera", "process.start", target, i % 2 ? "odd" : "even");
    }
    while (expected >= 0) {
        struct activity **records;
        size_t count =
            page(scene, &(struct activity_filter){0}, before[0] ? before : NULL, 3, &records);

        assert_true(count > 0);
        for (size_t i = 0; i < count; i++, expected--) {
            (void) snprintf(target, sizeof(target), "t%d", expected);
            assert_string_equal(records[i]->target, target);
        }
        memcpy(before, records[count - 1]->id, sizeof(before));
        drop(records, count);
        note(scene, "vera", "process.start", "new", "odd");
    }
    struct activity **records;
    assert_int_equal(page(scene, &(struct activity_filter){0}, before, 3, &records), 0);
    free(records);
}

/* ---- state changes ---- */

static void tell(struct scene *scene, enum event_type type, const char *data)
{
    struct event *event = event_create(type, NODE_READ, "test", "web-1", data, strlen(data));

    journal_sink(scene->journal, event);
    event_unref(&event);
}

static void test_changes_of_state(void **state)
{
    struct scene *scene = *state;
    struct activity **records;
    size_t count;

    tell(scene, EVENT_NODE, "{\"name\":\"web-1\",\"state\":\"connecting\",\"cause\":null}");
    tell(scene, EVENT_NODE, "{\"name\":\"web-1\",\"state\":\"up\",\"cause\":null}");
    tell(scene, EVENT_PROCESS, "{\"id\":\"a:a\",\"state\":\"RUNNING\",\"previous\":null}");
    tell(scene, EVENT_PROCESS, "{\"id\":\"a:a\",\"state\":\"RUNNING\",\"previous\":\"RUNNING\"}");
    tell(scene, EVENT_PROCESS,
         "{\"id\":\"a:a\",\"state\":\"FATAL\",\"previous\":\"RUNNING\","
         "\"exit_status\":3,\"spawn_error\":\"no \\\"luck\\\"\"}");
    tell(scene, EVENT_NODE, "{\"name\":\"web-1\",\"state\":\"up\",\"cause\":null}");
    tell(scene, EVENT_NODE, "{\"name\":\"web-1\",\"state\":\"down\",\"cause\":\"refused\"}");
    tell(scene, EVENT_NODE_REMOVED, "{\"name\":\"web-1\"}");
    stop_journal(scene); /* writes them all */
    count = page(scene, &(struct activity_filter){.actor = "system"}, NULL, 10, &records);
    assert_int_equal(count, 4);
    assert_string_equal(records[0]->details, "{\"from\":\"down\",\"to\":\"removed\"}");
    assert_string_equal(records[1]->details,
                        "{\"from\":\"up\",\"to\":\"down\",\"cause\":\"refused\"}");
    assert_int_equal(records[1]->level, ACTIVITY_ERROR);
    assert_string_equal(records[2]->target, "web-1/a:a");
    assert_string_equal(records[2]->environment, "test");
    assert_string_equal(records[2]->details, "{\"from\":\"RUNNING\",\"to\":\"FATAL\","
                                             "\"exit_status\":3,"
                                             "\"spawn_error\":\"no \\\"luck\\\"\"}");
    assert_string_equal(records[3]->details, "{\"from\":\"connecting\",\"to\":\"up\"}");
    drop(records, count);
    assert_string_equal(verify(scene, NULL), "");
}

static void test_a_flood_is_bounded_and_told(void **state)
{
    struct scene *scene = *state;
    struct journal_figures figures;
    struct event *event = event_create(EVENT_PROCESS, PROCESS_READ, "test", "web-1", "{}", 2);

    be_hasty(scene);
    take_store(scene); /* the thread is held up by it */
    for (int i = 0; i < 40000; i++)
        journal_sink(scene->journal, event);
    event_unref(&event);
    journal_figures(scene->journal, &figures);
    give_store(scene);
    assert_true(figures.queued <= figures.limit);
    assert_true(eventually(caught_up, scene));
    journal_figures(scene->journal, &figures);
    stop_journal(scene);
    assert_int_equal(count_of(scene, (struct activity_filter){.action = "activity.dropped"}) > 0,
                     figures.dropped > 0);
}

#define ON_SQLITE(title, function)                                                                 \
    {                                                                                              \
        .name = title " (SQLite)", .test_func = (function), .setup_func = on_sqlite,               \
        .teardown_func = clear                                                                     \
    }
#define ON_MARIADB(title, function)                                                                \
    {                                                                                              \
        .name = title " (MariaDB)", .test_func = (function), .setup_func = on_mariadb,             \
        .teardown_func = clear                                                                     \
    }
#define TESTS(ON)                                                                                  \
    ON("an action is on record before it is done, and after",                                      \
       test_an_action_is_there_before_and_after),                                                  \
        ON("many actions at once share a flush", test_many_threads_share_a_flush),                 \
        ON("an outage of the store loses nothing", test_an_outage_loses_nothing),                  \
        ON("an outage is waited for", test_an_outage_is_waited_for),                               \
        ON("kill -9 loses nothing that was acknowledged", test_kill_9_loses_nothing),              \
        ON("a spill is written twice without harm", test_a_spill_is_written_twice_without_harm),   \
        ON("tampering is seen", test_tampering_is_seen),                                           \
        ON("a lost end stays visible", test_a_lost_end_stays_visible),                             \
        ON("retention cuts the chain cleanly", test_retention_cuts_the_chain_cleanly),             \
        ON("R9.2 filters find what they say, and environments hold", test_filters),                \
        ON("pages stay right while rows arrive", test_pages_while_rows_arrive),                    \
        ON("R2.3 changes of state are recorded once", test_changes_of_state),                      \
        ON("a flood of changes is bounded and told", test_a_flood_is_bounded_and_told)
/* In which the store is only away, whichever it is. */
#define TESTS_WITHOUT(ON)                                                                          \
    ON("without any place for its record nothing is done",                                         \
       test_without_any_place_nothing_is_done),                                                    \
        ON("kill -9 in an outage loses nothing", test_kill_9_in_an_outage_loses_nothing)

int main(void)
{
    const struct CMUnitTest sqlite[] = {TESTS(ON_SQLITE), TESTS_WITHOUT(ON_SQLITE)};
    const struct CMUnitTest mariadb[] = {TESTS(ON_MARIADB)};
    int failed = cmocka_run_group_tests_name("journal on SQLite", sqlite, NULL, NULL);

    return failed +
           cmocka_run_group_tests_name("journal on MariaDB", mariadb, start_mariadb, stop_mariadb);
}
