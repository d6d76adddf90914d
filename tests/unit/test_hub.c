/*
 * The hub: who gets what in which order, who is held up by whom (nobody), and what is left behind.
 */
#include <pthread.h>

#include "hub_house.h"

#include "hand.h"

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

static int by_time(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

/* Without the slowest few: then the machine may have stood still. */
static int64_t most_of(int64_t *rounds, size_t count)
{
    int64_t sum = 0;

    qsort(rounds, count, sizeof(rounds[0]), by_time);
    for (size_t i = 0; i < count - count / 20; i++)
        sum += rounds[i];
    return sum;
}

/* Every tenth stops reading. What the others wait for an event is the same as before. */
static void test_stalled(void **state)
{
    enum { COUNT = 100, ROUNDS = 100 };
    struct peer peers[COUNT];
    int64_t rounds[ROUNDS], took[2] = {0};

    (void) state;
    house_open("queue = 16;");
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(peer_try(&peers[i], 4096), CESID_OK);
        peer_watch_fleet(&peers[i]);
    }
    for (int half = 0; half < 2; half++) {
        for (int i = 0; i < ROUNDS; i++) {
            int64_t began = real_now();

            house_tell("a", "production", i);
            for (int j = 0; j < COUNT; j++)
                if (half == 0 || j % 10 != 0)
                    peer_expect_number(&peers[j], i);
            rounds[i] = real_now() - began;
        }
        took[half] = most_of(rounds, ROUNDS);
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
    house_open("clients = 500; queue = 64;"); /* more than ever come, however late the reaper */
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

static int let_go(void **state)
{
    (void) state;
    hand_let_go();
    return 0;
}

static void test_heartbeat(void **state)
{
    struct peer alive, deaf, stalled;
    int64_t deadline = real_now() + 20 * CLOCK_SECOND, end;
    bool deaf_ended = false, stalled_ended = false;

    (void) state;
    end = hand_hold() + 10 * CLOCK_SECOND;
    house_open("ping_interval = 0.2; idle_timeout = 2.0; queue = 4;");
    peer_open(&alive);
    peer_open(&deaf);
    deaf.deaf = true;
    assert_int_equal(peer_try(&stalled, 4096), CESID_OK);
    peer_watch_fleet(&stalled);
    while (!deaf_ended || !stalled_ended) {
        int pings = alive.pings;

        hand_move(0.25);
        for (int tends = 1; alive.pings == pings; tends++) {
            tend(&alive);
            /* Moved while the keeper reckoned when to look again, it is a little early for that. */
            if (tends % 40 == 0)
                hand_move(0.06);
            assert_true(real_now() < deadline);
        }
        /* Answers pings, but takes no bytes. */
        if (!stalled_ended)
            hub_client_received(stalled.client, 0x8A, NULL, 0);
        for (int i = 0; i < 20; i++)
            house_tell("a", "production", i);
        /* What the hub shuts down, its worker finds ended. */
        stalled_ended = stalled_ended || readable(stalled.near);
        deaf_ended = deaf_ended || readable(deaf.near);
        assert_true(clock_now() < end);
    }
    hand_let_go();
    peer_expect_close(&deaf, HUB_CLOSE_POLICY);
    peer_leave(&deaf);
    peer_leave(&stalled);
    assert_true(alive.pings >= 3);
    peer_says(&alive, "{\"type\":\"ping\"}");
    peer_expect(&alive, "pong");
    peer_leave(&alive);
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
    house_close(); /* nobody is left */
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
        {"R1.3 who is silent or does not read is ended, who answers stays", test_heartbeat, NULL,
         let_go, NULL},
        NAMED("no more clients than allowed, and places come free", test_limits),
        NAMED("stopping says goodbye to all and waits for nobody", test_stop),
    };

    hand_take_clock();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
