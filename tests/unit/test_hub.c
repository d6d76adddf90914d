/*
 * The hub: who gets what in which order, who is held up by whom (nobody), and what is left behind.
 */
#include <pthread.h>

#include "hub_house.h"

#define CLIENTS 8
#define EVENTS  300

static void *tell_many(void *argument)
{
    int first = *(int *) argument;

    for (int i = 0; i < EVENTS / 2; i++)
        house_tell("a", "production", first + i);
    return NULL;
}

static void test_order(void **state)
{
    int firsts[2] = {0, 1000}, story[EVENTS] = {0};
    struct peer peers[CLIENTS];
    pthread_t threads[2];

    (void) state;
    house_open("queue = 1000;");
    for (int i = 0; i < CLIENTS; i++) {
        peer_open(&peers[i]);
        peer_watch_fleet(&peers[i]);
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, tell_many, &firsts[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < CLIENTS; i++) {
        int next[2] = {firsts[0], firsts[1]};

        for (int j = 0; j < EVENTS; j++) {
            cJSON *message = peer_message(&peers[i]);
            int number = data_of(message, "n")->valueint;

            assert_int_equal(number, next[number >= firsts[1]]++);
            if (i == 0)
                story[j] = number;
            assert_int_equal(number, story[j]);
            cJSON_Delete(message);
        }
        peer_leave(&peers[i]);
    }
    house_close();
}

/* Reads on until a last event, told after the first resync, has come. Returns how many events were
 * sent or said to be dropped. */
static int catch_up(struct peer *peer, int last)
{
    bool fresh = false, told = false;
    int newest = -1, count = 0;

    while (newest != last) {
        cJSON *message = peer_message(peer);

        if (strcmp(type_of(message), "node") == 0) {
            assert_true(data_of(message, "n")->valueint > newest);
            newest = data_of(message, "n")->valueint;
            assert_false(fresh);
            count++;
        } else if (strcmp(type_of(message), "resync") == 0) {
            count += data_of(message, "dropped")->valueint;
            fresh = true;
        } else {
            assert_string_equal(type_of(message), "snapshot");
            assert_true(fresh);
            fresh = false;
            if (!told)
                house_tell("a", "production", last);
            told = true;
        }
        cJSON_Delete(message);
    }
    return count;
}

static void test_overflow(void **state)
{
    struct peer lazy, steady;

    (void) state;
    house_open("queue = 8;");
    house_add_node("a", "production");
    assert_int_equal(peer_try(&lazy, 4096), CESID_OK);
    peer_open(&steady);
    peer_watch_fleet(&lazy);
    peer_watch_fleet(&steady);
    for (int i = 0; i < 2000; i++) {
        house_tell("a", "production", i);
        peer_expect_number(&steady, i);
    }
    assert_int_equal(catch_up(&lazy, 9999), 2001);
    peer_leave(&lazy);
    peer_leave(&steady);
    house_close();
}

/* Every tenth stops reading. What the others wait for an event is the same as before. */
static void test_stalled(void **state)
{
    enum { COUNT = 100, ROUNDS = 100 };
    struct peer peers[COUNT];
    int64_t took[2] = {0};

    (void) state;
    house_open("queue = 16;");
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(peer_try(&peers[i], 4096), CESID_OK);
        peer_watch_fleet(&peers[i]);
    }
    for (int half = 0; half < 2; half++) {
        int64_t began = real_now();

        for (int i = 0; i < ROUNDS; i++) {
            house_tell("a", "production", i);
            for (int j = 0; j < COUNT; j++)
                if (half == 0 || j % 10 != 0)
                    peer_expect_number(&peers[j], i);
        }
        took[half] = real_now() - began;
    }
    /* Each wait of the hub's for one of ten would make it ten times as long, and more. */
    assert_true(took[1] < took[0] * 5 + CLOCK_SECOND);
    for (int i = 0; i < COUNT; i++)
        peer_leave(&peers[i]);
    house_close();
}

struct storm {
    bool ended; /* atomic */
    int told;
};

static void *tell_on(void *argument)
{
    struct storm *storm = argument;

    while (!__atomic_load_n(&storm->ended, __ATOMIC_RELAXED)) {
        house_tell("a", "production", storm->told++);
        if (storm->told % 50 == 0)
            rest();
    }
    return NULL;
}

/* One of the threads that connect, watch and vanish. */
static void *come_and_go(void *argument)
{
    static const char subscribe[] =
        "{\"type\":\"subscribe\",\"topics\":[\"fleet\",\"log:a:b:c:stdout\",\"operations\"]}";
    int rounds = *(int *) argument;

    for (int i = 0; i < rounds; i++) {
        struct hub_client *client;
        int ends[2];

        CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
        CHECK(hub_add_socket(house.hub, ends[0], house.session, &client) == CESID_OK);
        hub_client_received(client, 0x81, subscribe, sizeof(subscribe) - 1);
        if (i % 3 == 0) /* the connection fails under the broadcast */
            close(ends[1]);
        if (i % 5 == 0)
            hub_client_received(client, 0x88, NULL, 0);
        if (i % 7 == 0)
            rest();
        hub_client_gone(&client);
        close(ends[0]);
        if (i % 3 != 0)
            close(ends[1]);
    }
    return NULL;
}

static void test_come_and_go(void **state)
{
    struct storm storm = {0};
    pthread_t teller, crowd[4];
    struct peer steady;
    int rounds = 100;

    (void) state;
    house_open("clients = 100; queue = 64;");
    house_add_node("a", "production");
    peer_open(&steady);
    peer_watch_fleet(&steady);
    assert_int_equal(pthread_create(&teller, NULL, tell_on, &storm), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&crowd[i], NULL, come_and_go, &rounds), 0);
    for (int i = 0; i < 200; i++)
        cJSON_Delete(peer_message(&steady));
    for (int i = 0; i < 4; i++)
        pthread_join(crowd[i], NULL);
    __atomic_store_n(&storm.ended, true, __ATOMIC_RELAXED);
    pthread_join(teller, NULL);
    peer_leave(&steady);
    assert_true(eventually(no_clients, house.hub));
    house_close(); /* nobody watches a log any more */
}

/* A connection that fails while the hub writes to it is told to its worker, who finds the end. */
static void test_failing(void **state)
{
    struct peer broken, steady;
    char byte;

    (void) state;
    house_open("");
    peer_open(&broken);
    peer_open(&steady);
    peer_watch_fleet(&broken);
    peer_watch_fleet(&steady);
    close(broken.far);
    broken.far = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < 50; i++) {
        house_tell("a", "production", i);
        peer_expect_number(&steady, i);
    }
    assert_int_equal(recv(broken.near, &byte, 1, 0), 0);
    assert_int_equal(hub_clients(house.hub), 2);
    peer_leave(&broken);
    peer_leave(&steady);
    assert_true(eventually(no_clients, house.hub));
    house_close();
}

/* Answers the pings that are there and keeps nothing else. */
static void tend(struct peer *peer)
{
    struct pollfd wanted = {.fd = peer->far, .events = POLLIN};
    struct frame frame = {0};

    if (poll(&wanted, 1, 5) <= 0)
        return;
    assert_true(peer_fill(peer, 0));
    while (peer_cut(peer, &frame)) {
        if (frame.opcode == 9) {
            peer->pings++;
            assert_true(peer_says_frame(peer, 0x8A, frame.payload, frame.length));
        } else {
            assert_int_equal(frame.opcode, 1);
            peer->seq++;
        }
        free(frame.payload);
    }
}

static bool readable(int fd)
{
    struct pollfd end = {.fd = fd, .events = POLLIN};

    return poll(&end, 1, 0) > 0 && (end.revents & (POLLIN | POLLHUP)) != 0;
}

static void test_heartbeat(void **state)
{
    struct peer alive, deaf, stalled;
    int64_t deadline = real_now() + 10 * CLOCK_SECOND;
    bool deaf_ended = false, stalled_ended = false;

    (void) state;
    house_open("ping_interval = 0.2; idle_timeout = 2.0; queue = 4;");
    peer_open(&alive);
    peer_open(&deaf);
    deaf.deaf = true;
    assert_int_equal(peer_try(&stalled, 4096), CESID_OK);
    peer_watch_fleet(&stalled);
    while (!deaf_ended || !stalled_ended) {
        tend(&alive);
        /* Answers pings, but takes no bytes. */
        if (!stalled_ended)
            hub_client_received(stalled.client, 0x8A, NULL, 0);
        for (int i = 0; i < 20; i++)
            house_tell("a", "production", i);
        /* What the hub shuts down, its worker finds ended. */
        stalled_ended = stalled_ended || readable(stalled.near);
        deaf_ended = deaf_ended || readable(deaf.near);
        assert_true(real_now() < deadline);
    }
    peer_expect_close(&deaf, HUB_CLOSE_POLICY);
    peer_leave(&deaf);
    peer_leave(&stalled);
    assert_true(alive.pings >= 3);
    peer_says(&alive, "{\"type\":\"ping\"}");
    peer_expect(&alive, "pong");
    peer_leave(&alive);
    house_close();
}

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

static void test_limits(void **state)
{
    struct peer first, second, third;

    (void) state;
    house_open("clients = 2;");
    peer_open(&first);
    peer_open(&second);
    assert_int_equal(peer_try(&third, 0), CESID_E_TOO_MANY_CLIENTS);
    peer_leave(&first);
    peer_leave(&second);
    assert_true(eventually(no_clients, house.hub));
    peer_open(&third);
    peer_expect(&third, "hello");
    peer_leave(&third);
    house_close();
}

static void *stop_hub(void *hub)
{
    hub_stop(hub);
    return NULL;
}

static void test_stop(void **state)
{
    struct peer polite, rude, late;
    struct hub_client *pull;
    struct event *event = NULL;
    pthread_t thread;
    uint64_t seq;
    char byte;

    (void) state;
    house_open("");
    peer_open(&polite);
    peer_open(&rude);
    peer_expect(&polite, "hello");
    assert_int_equal(hub_add_pull(house.hub, house.session, &pull), CESID_OK);
    assert_int_equal(pthread_create(&thread, NULL, stop_hub, house.hub), 0);
    peer_expect(&polite, "bye");
    peer_expect_close(&polite, HUB_CLOSE_GOING_AWAY);
    peer_leave(&polite);
    assert_int_equal(hub_take(pull, clock_after(10), &event, &seq), CESID_OK);
    assert_string_equal(event->name, "hello");
    event_unref(&event);
    assert_int_equal(hub_take(pull, clock_after(10), &event, &seq), CESID_OK);
    assert_string_equal(event->name, "bye");
    event_unref(&event);
    assert_int_equal(hub_take(pull, clock_after(10), &event, &seq), CESID_E_SHUTTING_DOWN);
    hub_client_gone(&pull);
    assert_int_equal(peer_try(&late, 0), CESID_E_SHUTTING_DOWN);
    /* One that does not leave by itself finds its socket cut. */
    assert_int_equal(recv(rude.near, &byte, 1, 0), 0);
    peer_leave(&rude);
    pthread_join(thread, NULL);
    assert_int_equal(hub_clients(house.hub), 0);
    house_close();
}

/* ---- RFC 6455 ---- */

/* What is said as one frame, and the code that the hub closes with. */
static void closes_with(int first_byte, const char *data, size_t length, int code)
{
    struct peer peer;

    peer_open(&peer);
    peer_says_frame(&peer, first_byte, data, length);
    peer_expect_close(&peer, code);
    peer_leave(&peer);
}

static void test_closing(void **state)
{
    static char large[300];

    (void) state;
    house_open("message_max = 256;");
    memset(large, 'x', sizeof(large));
    closes_with(0x82, "\1\2", 2, HUB_CLOSE_UNSUPPORTED);
    closes_with(0x81, "\xFF\xFE", 2, HUB_CLOSE_INVALID_DATA);
    closes_with(0x81, large, sizeof(large), HUB_CLOSE_TOO_BIG);
    closes_with(0x80, "x", 1, HUB_CLOSE_PROTOCOL);        /* continues nothing */
    closes_with(0xC1, "{}", 2, HUB_CLOSE_PROTOCOL);       /* a reserved bit */
    closes_with(0x83, "{}", 2, HUB_CLOSE_PROTOCOL);       /* a reserved opcode */
    closes_with(0x8B, "", 0, HUB_CLOSE_PROTOCOL);         /* another */
    closes_with(0x09, "", 0, HUB_CLOSE_PROTOCOL);         /* a ping in pieces */
    closes_with(0x89, large, 126, HUB_CLOSE_PROTOCOL);    /* a ping too long */
    closes_with(0x8A, large, 126, HUB_CLOSE_PROTOCOL);    /* a pong too long */
    closes_with(0x88, "", 0, HUB_CLOSE_NORMAL);           /* a good bye */
    closes_with(0x88, "\x03\xE8", 2, HUB_CLOSE_NORMAL);   /* 1000 */
    closes_with(0x88, "\x0F\xA0ok", 4, HUB_CLOSE_NORMAL); /* 4000 and a reason */
    closes_with(0x88, "\x03", 1, HUB_CLOSE_PROTOCOL);     /* half a code */
    closes_with(0x88, "\x03\xED", 2, HUB_CLOSE_PROTOCOL); /* 1005 is not for the wire */
    closes_with(0x88, "\x07\xD0", 2, HUB_CLOSE_PROTOCOL); /* 2000 */
    closes_with(0x88, "\x03\xE8\xFF", 3, HUB_CLOSE_INVALID_DATA);
    closes_with(0x08, "", 0, HUB_CLOSE_PROTOCOL); /* a close in pieces */
    house_close();
}

static void test_fragments(void **state)
{
    struct frame frame = {0};
    struct peer peer;

    (void) state;
    house_open("message_max = 256;");
    peer_open(&peer);
    peer_expect(&peer, "hello");
    for (int i = 0; i < 3; i++) {
        assert_true(peer_says_frame(&peer, 0x01, "{\"ty", 4));
        assert_true(peer_says_frame(&peer, 0x00, "pe\":", 4));
        assert_true(peer_says_frame(&peer, 0x89, "knock", 5)); /* between two pieces */
        assert_true(peer_frame(&peer, &frame));
        assert_int_equal(frame.opcode, 10);
        assert_string_equal(frame.payload, "knock");
        free(frame.payload);
        assert_true(peer_says_frame(&peer, 0x00, "", 0));
        assert_true(peer_says_frame(&peer, 0x80, "\"ping\"}", 7));
        peer_expect(&peer, "pong");
    }
    /* A message that begins inside another. */
    assert_true(peer_says_frame(&peer, 0x01, "{", 1));
    peer_says_frame(&peer, 0x81, "{}", 2);
    peer_expect_close(&peer, HUB_CLOSE_PROTOCOL);
    peer_leave(&peer);

    /* Pieces that add up to too much. */
    peer_open(&peer);
    for (int i = 0; i < 20; i++)
        peer_says_frame(&peer, i == 0 ? 0x01 : 0x00, "0123456789abcdef", 16);
    peer_expect_close(&peer, HUB_CLOSE_TOO_BIG);
    peer_leave(&peer);

    /* A character over two frames is one character; half a one at the end is none. */
    peer_open(&peer);
    peer_expect(&peer, "hello");
    assert_true(peer_says_frame(&peer, 0x01, "\"\xC3", 2));
    assert_true(peer_says_frame(&peer, 0x80, "\xA9\"", 2));
    peer_expect_error(&peer, "validation_failed");
    assert_true(peer_says_frame(&peer, 0x01, "\"\xC3", 2));
    assert_true(peer_says_frame(&peer, 0x80, "\"", 1));
    peer_expect_close(&peer, HUB_CLOSE_INVALID_DATA);
    peer_leave(&peer);
    house_close();
}

static void test_nonsense(void **state)
{
    static const char *const texts[] = {"",
                                        "nope",
                                        "[]",
                                        "{}",
                                        "{\"type\":\"dance\"}",
                                        "{\"type\":\"subscribe\"}",
                                        "{\"type\":\"subscribe\",\"topics\":\"fleet\"}",
                                        "{\"type\":\"subscribe\",\"topics\":[1]}"};
    struct peer peer;

    (void) state;
    house_open("burst = 100;");
    peer_open(&peer);
    peer_expect(&peer, "hello");
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        peer_says(&peer, texts[i]);
        peer_expect(&peer, "error");
    }
    peer_says(&peer, "{\"type\":\"ping\"}"); /* reason again: forgiven */
    peer_expect(&peer, "pong");
    for (int i = 0; i < 10; i++)
        peer_says(&peer, "nope");
    peer_expect_close(&peer, HUB_CLOSE_POLICY);
    peer_leave(&peer);
    house_close();
}

static void test_rate(void **state)
{
    struct peer peer;

    (void) state;
    house_open("rate = 1.0; burst = 5;");
    peer_open(&peer);
    for (int i = 0; i < 20; i++)
        peer_says(&peer, "{\"type\":\"ping\"}");
    peer_expect_close(&peer, HUB_CLOSE_POLICY);
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

    /* Too long ago. */
    for (int i = 0; i < 5000; i++)
        house_tell("a", "production", i);
    while (bus_length(house.bus) > 0)
        rest();
    come_back(&client, true, seen);
    event = take(client, "resync", 2);
    assert_null(strstr(event->body, "\"dropped\":null"));
    event_unref(&event);
    take_number(client, "snapshot", 3);
    hub_client_gone(&client);

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
        NAMED("R1.4 every client has every message once, in one order, without gaps in seq",
              test_order),
        NAMED("a queue that fills is told by resync and a snapshot, and the count is right",
              test_overflow),
        NAMED("clients that do not read hold up nobody", test_stalled),
        NAMED("R1.1 R1.5 R8.2 clients come and go under broadcasts and leave nothing behind",
              test_come_and_go),
        NAMED("R1.2 a connection that fails under a broadcast is left to its worker and the reaper",
              test_failing),
        NAMED("R1.3 who is silent or does not read is ended, who answers stays", test_heartbeat),
        NAMED("a session that ends closes, one whose rights change starts anew", test_session),
        NAMED("events reach those who may read their environment", test_permissions),
        NAMED("a topic brings its own messages, a bad one an error", test_topics),
        NAMED("operations and activity reach who asked for them", test_activity),
        NAMED("no more clients than allowed, and places come free", test_limits),
        NAMED("stopping says goodbye to all and waits for nobody", test_stop),
        NAMED("frames out of order are answered with the right close code", test_closing),
        NAMED("messages in pieces, with pings between them", test_fragments),
        NAMED("nonsense is an error, and too much of it the end", test_nonsense),
        NAMED("more messages than the rate allows are the end", test_rate),
        NAMED("a log starts with its tail and goes on without gap or repetition", test_logs),
        NAMED("who comes back goes on where it was, or is told that it cannot", test_resume),
        NAMED("who takes too slowly is told by resync as well", test_pull_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
