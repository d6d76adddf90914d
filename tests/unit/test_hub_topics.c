/*
 * What reaches a client of the hub: by its topics, its rights, and where it was when it comes back.
 */
#include "hub_house.h"

static void test_session(void **state)
{
    struct peer socket;
    struct hub_client *pull;
    struct event *event;
    cJSON *message;
    uint64_t seq;
    int error;

    (void) state;
    house_open("ping_interval = 0.1;");
    house_add_node("a", "production");
    house_add_node("b", "staging");
    peer_open(&socket);
    peer_expect(&socket, "hello");
    peer_says(&socket, "{\"type\":\"subscribe\",\"topics\":[\"fleet\"]}");
    message = peer_message(&socket);
    assert_int_equal(cJSON_GetArraySize(data_of(message, "nodes")), 2);
    cJSON_Delete(message);
    assert_int_equal(hub_add_pull(house.hub, house.session, &pull), CESID_OK);

    /* The rights shrink: a fresh snapshot without what may no longer be seen, and no events of it.
     */
    auth_set(&house.auth, make_session("production", NODE_READ));
    peer_expect(&socket, "resync");
    message = peer_message(&socket);
    assert_string_equal(type_of(message), "snapshot");
    assert_int_equal(cJSON_GetArraySize(data_of(message, "nodes")), 1);
    cJSON_Delete(message);
    house_tell("b", "staging", 1);
    house_tell("a", "production", 2);
    peer_expect_number(&socket, 2);
    peer_says(&socket, "{\"type\":\"subscribe\",\"topics\":[\"node:b\"]}");
    peer_expect_error(&socket, "not_found");
    peer_says(&socket, "{\"type\":\"subscribe\",\"topics\":[\"log:a:g:p:stdout\"]}");
    peer_expect_error(&socket, "forbidden");

    /* And it ends. */
    auth_set(&house.auth, NULL);
    peer_expect_close(&socket, HUB_CLOSE_POLICY);
    do {
        error = hub_take(pull, clock_after(10), &event, &seq);
        event_unref(&event);
    } while (error == CESID_OK);
    assert_int_equal(error, CESID_E_SESSION_EXPIRED);
    hub_client_gone(&pull);
    peer_leave(&socket);
    house_close();
}

/* Told of a change, the hub sends nothing of the old rights any more, whenever its next look is. */
static void test_session_at_once(void **state)
{
    struct hub_client *pull;
    struct event *event;
    struct peer socket;
    uint64_t seq;

    (void) state;
    house_open("ping_interval = 30.0;");
    house_add_node("a", "production");
    peer_open(&socket);
    peer_expect(&socket, "hello");
    peer_says(&socket, "{\"type\":\"subscribe\",\"topics\":[\"fleet\"]}");
    peer_expect(&socket, "snapshot");
    assert_int_equal(hub_add_pull(house.hub, house.session, &pull), CESID_OK);
    for (int i = 0; i < 20; i++) {
        auth_set(&house.auth, make_session("production", NODE_READ));
        hub_sessions_changed(house.hub);
        house_tell("b", "staging", 1);
        peer_expect(&socket, "resync");
        peer_expect(&socket, "snapshot");
        house_tell("b", "staging", 1);
        house_tell("a", "production", 2);
        peer_expect_number(&socket, 2);
        auth_set(&house.auth, make_session("*", NODE_READ));
        hub_sessions_changed(house.hub);
        peer_expect(&socket, "resync");
        peer_expect(&socket, "snapshot");
        house_tell("b", "staging", 3);
        peer_expect_number(&socket, 3);
    }
    auth_set(&house.auth, NULL);
    hub_sessions_changed(house.hub);
    house_tell("a", "production", 4);
    peer_expect_close(&socket, HUB_CLOSE_POLICY);
    while (hub_take(pull, clock_after(10), &event, &seq) == CESID_OK)
        event_unref(&event);
    hub_client_gone(&pull);
    peer_leave(&socket);
    house_close();
}

static void test_permissions(void **state)
{
    struct session *all, *narrow;
    struct peer socket;

    (void) state;
    house_open("");
    house_add_node("a", "production");
    narrow = make_session("prod*", NODE_READ | PROCESS_READ);
    auth_set(&house.auth, session_ref(narrow));
    all = house.session;
    house.session = narrow;
    peer_open(&socket);
    peer_watch_fleet(&socket);
    peer_says(&socket, "{\"type\":\"subscribe\",\"topics\":[\"operations\"]}");
    house_tell("x", "staging", 1);
    /* Of several environments at once: for those who may see all only. */
    bus_publish(house.bus, event_create(EVENT_OPERATION, PROCESS_READ, NULL, NULL, "{}", 2));
    bus_publish(house.bus, event_create(EVENT_PROCESS, LOG_READ, "production", "a", "{}", 2));
    peer_says(&socket, "{\"type\":\"subscribe\",\"topics\":[\"activity\"]}");
    peer_expect_error(&socket, "forbidden");
    house_tell("x", "production", 2);
    peer_expect_number(&socket, 2);
    peer_leave(&socket);
    session_unref(&all);
    house_close();
}

static void test_topics(void **state)
{
    static const char *const bad[] = {"nonsense",        "node:",   "node:nowhere",
                                      "log:a",           "log:a:b", "log:a:b:c:stdlog",
                                      "log::b:c:stdout", ""};
    struct peer peer;

    (void) state;
    house_open("burst = 100;");
    house_add_node("a", "production");
    peer_open(&peer);
    peer_expect(&peer, "hello");
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char text[100];

        /* One bad topic does not void the other. */
        snprintf(text, sizeof(text), "{\"type\":\"subscribe\",\"topics\":[\"%s\",\"node:a\"]}",
                 bad[i]);
        peer_says(&peer, text);
        peer_expect_error(&peer,
                          strncmp(bad[i], "node:", 5) == 0 ? "not_found" : "validation_failed");
    }
    house_tell("b", "production", 1);
    house_tell("a", "production", 2);
    peer_expect_number(&peer, 2);
    peer_says(&peer, "{\"type\":\"unsubscribe\",\"topics\":[\"node:a\"]}");
    house_tell("a", "production", 3);
    house_settle();
    peer_says(&peer, "{\"type\":\"subscribe\",\"topics\":[\"fleet\"]}");
    peer_expect(&peer, "snapshot");
    peer_leave(&peer);
    house_close();
}

static void test_activity(void **state)
{
    struct peer peer;

    (void) state;
    house_open("");
    peer_open(&peer);
    peer_expect(&peer, "hello");
    peer_says(&peer, "{\"type\":\"subscribe\",\"topics\":[\"activity\",\"operations\"]}");
    bus_publish(house.bus, event_create(EVENT_ACTIVITY, ACTIVITY_READ, "a", NULL, "{}", 2));
    peer_expect(&peer, "activity");
    bus_publish(house.bus, event_create(EVENT_OPERATION, PROCESS_READ, "a", NULL, "{}", 2));
    peer_expect(&peer, "operation");
    peer_says(&peer, "{\"type\":\"unsubscribe\",\"topics\":[\"activity\"]}");
    bus_publish(house.bus, event_create(EVENT_ACTIVITY, ACTIVITY_READ, "a", NULL, "{}", 2));
    bus_publish(house.bus, event_create(EVENT_OPERATION, PROCESS_READ, "a", NULL, "{}", 2));
    peer_expect(&peer, "operation");
    peer_leave(&peer);
    house_close();
}

/* ---- logs ---- */

static struct event *log_event(uint64_t number, const char *text)
{
    char data[100];
    int length = snprintf(data, sizeof(data), "{\"data\":\"%s\"}", text);
    struct event *event =
        event_create(EVENT_LOG, LOG_READ, "production", "a", data, (size_t) length);

    event->topic = mem_string("log:a:g:p:stdout");
    event->number = number;
    return event;
}

static void tell_log(uint64_t number, const char *text)
{
    struct event *event = log_event(number, text);

    hub_publish(house.hub, event);
    event_unref(&event);
}

/* One piece that is in the tail already, and one that is newer. */
static void grow(void)
{
    tell_log(5, "five");
    tell_log(6, "six");
}

static void expect_log(struct peer *peer, const char *text)
{
    cJSON *message = peer_message(peer);

    assert_string_equal(type_of(message), "log");
    assert_string_equal(cJSON_GetStringValue(data_of(message, "data")), text);
    cJSON_Delete(message);
}

static void test_logs(void **state)
{
    struct peer peer;

    (void) state;
    house_open("");
    house_add_node("a", "production");
    house.streams.tail = log_event(5, "up to five");
    house.streams.meanwhile = grow;
    peer_open(&peer);
    peer_expect(&peer, "hello");
    peer_says(&peer, "{\"type\":\"subscribe\",\"topics\":[\"log:a:g:p:stdout\"]}");
    expect_log(&peer, "up to five");
    expect_log(&peer, "six");
    tell_log(7, "seven");
    expect_log(&peer, "seven");
    /* Again is nothing new. */
    peer_says(&peer, "{\"type\":\"subscribe\",\"topics\":[\"log:a:g:p:stdout\"]}");
    assert_int_equal(house.streams.watchers, 1);
    peer_says(&peer, "{\"type\":\"unsubscribe\",\"topics\":[\"log:a:g:p:stdout\"]}");
    assert_int_equal(house.streams.watchers, 0);
    tell_log(8, "eight");
    peer_says(&peer, "{\"type\":\"ping\"}");
    peer_expect(&peer, "pong");
    peer_says(&peer, "{\"type\":\"subscribe\",\"topics\":[\"log:a:g:p:stdout\"]}");
    assert_int_equal(house.streams.watchers, 1);
    peer_leave(&peer);
    assert_true(eventually(no_clients, house.hub));
    assert_int_equal(house.streams.watchers, 0);
    house_close();
}

/* ---- those who take for themselves, and come back ---- */

static struct event *take(struct hub_client *client, const char *name, uint64_t seq)
{
    struct event *event = NULL;
    uint64_t got = 0;

    assert_int_equal(hub_take(client, clock_after(10), &event, &got), CESID_OK);
    assert_non_null(event);
    assert_string_equal(event->name, name);
    assert_int_equal(got, seq);
    return event;
}

static uint64_t take_number(struct hub_client *client, const char *name, uint64_t seq)
{
    struct event *event = take(client, name, seq);
    uint64_t number = event->number;

    event_unref(&event);
    return number;
}

static void come_back(struct hub_client **client, bool known, uint64_t number)
{
    assert_int_equal(hub_add_pull(house.hub, house.session, client), CESID_OK);
    hub_hold(*client);
    assert_int_equal(hub_subscribe(*client, "fleet"), CESID_OK);
    house_tell("a", "production", 1000); /* while it is held */
    house_settle();
    hub_resume(*client, known, number);
    take_number(*client, "hello", 1);
}

/* Who missed so much is told that it did, and gets the present state; hello comes first all the
 * same. */
static void misses(int events, uint64_t seen)
{
    struct hub_client *client;
    struct event *event;

    for (int i = 0; i < events; i++)
        house_tell("a", "production", i);
    while (bus_length(house.bus) > 0)
        rest();
    come_back(&client, true, seen);
    event = take(client, "resync", 2);
    assert_null(strstr(event->body, "\"dropped\":null"));
    event_unref(&event);
    take_number(client, "snapshot", 3);
    hub_client_gone(&client);
}

static void test_resume(void **state)
{
    struct hub_client *client;
    struct event *event;
    uint64_t seen, seq;

    (void) state;
    house_open("queue = 100;");
    house_add_node("a", "production");
    assert_int_equal(hub_add_pull(house.hub, house.session, &client), CESID_OK);
    assert_int_equal(hub_subscribe(client, "fleet"), CESID_OK);
    take_number(client, "hello", 1);
    take_number(client, "snapshot", 2);
    for (int i = 0; i < 10; i++)
        house_tell("a", "production", i);
    for (seen = 0, seq = 3; seen == 0; seq++) {
        event = take(client, "node", seq);
        if (strstr(event->body, "\"n\":4}") != NULL)
            seen = event->number;
        event_unref(&event);
    }
    hub_client_gone(&client);

    /* What came after, once, in order, and on without a gap. */
    come_back(&client, true, seen);
    for (seq = 2; seq <= 7; seq++)
        assert_int_equal(take_number(client, "node", seq), seen + seq - 1);
    hub_client_gone(&client);

    /* Of another run of the program: nobody knows what was missed. */
    come_back(&client, false, seen);
    event = take(client, "resync", 2);
    assert_non_null(strstr(event->body, "\"dropped\":null"));
    event_unref(&event);
    assert_true(take_number(client, "snapshot", 3) >= seen);
    hub_client_gone(&client);

    /* More than fits beside what comes now, and what is kept no longer. */
    misses(60, seen);
    misses(5000, seen);

    /* One that took the newest misses nothing. */
    come_back(&client, true, bus_number(house.bus));
    take_number(client, "node", 2);
    assert_int_equal(hub_take(client, clock_after(0.05), &event, &seq), CESID_OK);
    assert_null(event);
    hub_client_gone(&client);
    house_close();
}

/* More than a queue holds while nobody takes: one resync, and the whole truth after it. */
static void test_pull_overflow(void **state)
{
    struct hub_client *client;

    (void) state;
    house_open("queue = 4;");
    assert_int_equal(hub_add_pull(house.hub, house.session, &client), CESID_OK);
    assert_int_equal(hub_subscribe(client, "fleet"), CESID_OK);
    take_number(client, "hello", 1);
    take_number(client, "snapshot", 2);
    for (int i = 0; i < 100; i++)
        house_tell("a", "production", i);
    while (bus_length(house.bus) > 0)
        rest();
    house_tell("a", "production", 100);
    for (uint64_t seq = 3;; seq++) {
        struct event *event = NULL;
        bool resync;
        uint64_t got;

        assert_int_equal(hub_take(client, clock_after(10), &event, &got), CESID_OK);
        assert_non_null(event);
        assert_int_equal(got, seq);
        resync = strcmp(event->name, "resync") == 0;
        event_unref(&event);
        if (resync) {
            take_number(client, "snapshot", seq + 1);
            break;
        }
    }
    hub_client_gone(&client);
    house_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("a session that ends closes, one whose rights change starts anew", test_session),
        NAMED("changed rights and ended sessions count at once", test_session_at_once),
        NAMED("events reach those who may read their environment", test_permissions),
        NAMED("a topic brings its own messages, a bad one an error", test_topics),
        NAMED("operations and activity reach who asked for them", test_activity),
        NAMED("a log starts with its tail and goes on without gap or repetition", test_logs),
        NAMED("who comes back goes on where it was, or is told that it cannot", test_resume),
        NAMED("who takes too slowly is told by resync as well", test_pull_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
