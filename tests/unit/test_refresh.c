/*
 * Refresh with scripted supervisors: how many polls are under way, who waits for whom, and nodes
 * that come and go meanwhile.
 */
#include "scripted.h"

#include "hand.h"

#define PEERS 12

static struct scripted peers[PEERS];
static struct node *nodes[PEERS];

static void open_fleet(struct house *house, const char *settings, size_t count)
{
    char name[16];
    house_open(house, settings);
    for (size_t i = 0; i < count; i++) {
        scripted_start(&peers[i]);
        snprintf(name, sizeof(name), "n%zu", i);
        nodes[i] = add_node(house, name, peers[i].peer.url);
    }
}

static void close_fleet(struct house *house, size_t count)
{
    for (size_t i = 0; i < count; i++)
        node_unref(&nodes[i]);
    house_close(house);
    for (size_t i = 0; i < count; i++)
        peer_stop(&peers[i].peer);
}

static void hold_all(size_t count, bool hold)
{
    for (size_t i = 0; i < count; i++)
        atomic_store(&peers[i].hold_polls, hold);
}

static struct refresh_figures figures_of(struct house *house)
{
    struct refresh_figures figures;
    refresh_figures(house->refresh, &figures);
    return figures;
}

static int polls_of(size_t peer)
{
    return atomic_load(&peers[peer].polls);
}

static void wait_polled(size_t peer, int times)
{
    int64_t deadline = real_now() + 20 * CLOCK_SECOND;
    while (polls_of(peer) < times) {
        assert_true(real_now() < deadline);
        rest();
    }
}

/* Until each of them was polled that many times more. */
static void wait_polls(size_t from, size_t to, int more)
{
    int wanted[PEERS];
    for (size_t i = from; i < to; i++)
        wanted[i] = polls_of(i) + more;
    for (size_t i = from; i < to; i++)
        wait_polled(i, wanted[i]);
}

/* No poll is under way and none is due, as long as time stands still. */
static bool is_quiet(void *argument)
{
    struct refresh_figures figures = figures_of(argument);
    return figures.in_use == 0 && figures.waiting == 0 && atomic_load(&fleet_polls) == 0;
}

static bool is_crowded(void *argument)
{
    struct refresh_figures figures = figures_of(argument);
    assert_int_equal(figures.nodes, PEERS);
    assert_int_equal(figures.limit, 3);
    assert_true(figures.in_use <= 3);
    return figures.in_use == 3 && figures.waiting == PEERS - 3 && atomic_load(&fleet_polls) == 3;
}

static int let_go(void **state)
{
    (void) state;
    hand_let_go();
    return 0;
}

static void test_permits(void **state)
{
    (void) state;
    struct house house;
    open_fleet(&house,
               "refresh: { interval = 0.1; connections = 3; };\n"
               "timeouts: { refresh = 60.0; };\n",
               PEERS);
    for (size_t i = 0; i < PEERS; i++)
        assert_true(eventually(is_up, nodes[i]));
    /* Time stands still: no poll takes too long while others wait for its permit. */
    hand_hold();
    assert_true(eventually(is_quiet, &house));
    atomic_store(&fleet_polls_most, 0);
    int before[PEERS];
    for (size_t i = 0; i < PEERS; i++) {
        before[i] = polls_of(i);
        atomic_store(&peers[i].polls_most, 0);
    }
    hold_all(PEERS, true);
    hand_move(0.2);
    /* All permits are taken, the others wait, and it stays so. */
    assert_true(eventually(is_crowded, &house));
    hold_all(PEERS, false);
    for (int round = 1; round <= 3; round++) {
        for (size_t i = 0; i < PEERS; i++)
            wait_polled(i, before[i] + round);
        assert_true(eventually(is_quiet, &house));
        if (round < 3)
            hand_move(0.2);
    }
    assert_int_equal(atomic_load(&fleet_polls_most), 3);
    for (size_t i = 0; i < PEERS; i++)
        assert_int_equal(atomic_load(&peers[i].polls_most), 1);
    hand_let_go();
    close_fleet(&house, PEERS);
}

/* In a second from now; when the machine stands still, in another one. */
static bool is_polled_often(void *argument)
{
    int64_t end = clock_after(1);
    int polls = polls_of(0);
    while (clock_now() < end) {
        assert_true(figures_of(argument).in_use <= 6);
        rest();
    }
    return polls_of(0) - polls > 3;
}

/* Two thirds of the fleet hang from one moment to the next, with few permits for all. */
static void test_suspects(void **state)
{
    (void) state;
    struct house house;
    open_fleet(&house,
               "refresh: { interval = 0.1; connections = 8; };\n"
               "timeouts: { refresh = 2.5; };\n"
               "breaker: { failures = 1000; };\n",
               PEERS);
    for (size_t i = 0; i < PEERS; i++)
        assert_true(eventually(is_up, nodes[i]));
    for (size_t i = 4; i < PEERS; i++)
        atomic_store(&peers[i].mute, true);
    for (size_t i = 4; i < PEERS; i++)
        assert_true(eventually(is_down, nodes[i]));
    /* From here on the hung ones hold two permits at most; the others are polled as ever. */
    assert_true(eventually(is_polled_often, &house));
    /* A wish for a healthy node is served although many wish for hung ones. */
    for (size_t i = 4; i < PEERS; i++)
        assert_int_equal(refresh_wait(house.refresh, nodes[i], clock_now()), CESID_E_NODE_TIMEOUT);
    assert_int_equal(refresh_wait(house.refresh, nodes[0], clock_after(5)), 0);
    /* They come back. */
    for (size_t i = 4; i < PEERS; i++)
        atomic_store(&peers[i].mute, false);
    for (size_t i = 4; i < PEERS; i++)
        assert_true(eventually(is_up, nodes[i]));
    close_fleet(&house, PEERS);
}

static void *wish_often(void *argument)
{
    struct house *house = argument;
    for (int i = 0; i < 20; i++)
        CHECK(refresh_wait(house->refresh, nodes[0], clock_after(20)) == 0);
    return NULL;
}

static void test_one_poll_a_node(void **state)
{
    (void) state;
    struct house house;
    pthread_t threads[4];
    open_fleet(&house, "refresh: { interval = 0.1; };\n", 1);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wish_often, &house), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&peers[0].polls_most), 1);
    assert_int_equal(state_of(nodes[0]), NODE_UP);
    close_fleet(&house, 1);
}

static void count_done(void *argument, int error)
{
    (void) error;
    atomic_fetch_add((atomic_int *) argument, 1);
}

static bool is_two(void *counter)
{
    return atomic_load((atomic_int *) counter) == 2;
}

/* Each of them with all its time would take the one permit of suspects for 48 s. */
static void test_crowd_of_suspects(void **state)
{
    (void) state;
    struct house house;
    open_fleet(&house,
               "refresh: { interval = 0.1; connections = 4; };\n"
               "timeouts: { refresh = 8.0; };\n"
               "breaker: { failures = 100; };\n",
               6);
    for (size_t i = 0; i < 6; i++)
        assert_true(eventually(is_up, nodes[i]));
    int64_t begin = clock_now();
    for (size_t i = 0; i < 6; i++)
        atomic_store(&peers[i].mute, true);
    for (size_t i = 0; i < 6; i++)
        while (!is_down(nodes[i])) {
            assert_true(clock_seconds_since(begin) < 30);
            rest();
        }
    for (size_t i = 0; i < 6; i++)
        atomic_store(&peers[i].mute, false);
    for (size_t i = 0; i < 6; i++)
        assert_true(eventually(is_up, nodes[i]));
    close_fleet(&house, 6);
}

/* A wish during a poll: the answer that is under way may be older than the wish. */
static void test_wish(void **state)
{
    (void) state;
    struct house house;
    atomic_int done = 0;
    open_fleet(&house, "refresh: { interval = 600.0; };\n", 1);
    assert_true(eventually(is_up, nodes[0])); /* the first poll is nobody's wish */
    int polls = polls_of(0);
    atomic_store(&peers[0].hold_polls, true);
    refresh_now(house.refresh, nodes[0], count_done, &done);
    while (polls_of(0) == polls)
        rest();
    refresh_now(house.refresh, nodes[0], count_done, &done);
    refresh_now(house.refresh, nodes[0], NULL, NULL);
    atomic_store(&peers[0].hold_polls, false);
    assert_true(eventually(is_two, &done));
    assert_int_equal(polls_of(0), polls + 2);
    close_fleet(&house, 1);
}

/* A wish for a node whose breaker is open goes out; nobody's does not. */
static void test_wish_and_breaker(void **state)
{
    (void) state;
    struct house house;
    open_fleet(&house,
               "refresh: { interval = 0.1; };\n"
               "breaker: { failures = 2; open_min = 600.0; open_max = 600.0; };\n",
               1);
    assert_true(eventually(is_up, nodes[0]));
    atomic_store(&peers[0].hangs_up, true);
    while (node_breaker_retry_after(nodes[0]) <= 0)
        rest();
    atomic_store(&peers[0].hangs_up, false);
    refresh_now(house.refresh, nodes[0], NULL, NULL);
    assert_int_equal(state_of(nodes[0]), NODE_DOWN);
    assert_int_equal(refresh_wait(house.refresh, nodes[0], clock_after(10)), 0);
    assert_int_equal(state_of(nodes[0]), NODE_UP);
    assert_true(node_breaker_retry_after(nodes[0]) <= 0);
    wait_polls(0, 1, 2);
    close_fleet(&house, 1);
}

static void test_removal(void **state)
{
    (void) state;
    struct house house;
    atomic_int done = 0;
    open_fleet(&house, "refresh: { interval = 0.1; };\n", 1);
    assert_true(eventually(is_up, nodes[0]));
    atomic_store(&peers[0].hold_polls, true);
    refresh_now(house.refresh, nodes[0], count_done, &done);
    while (atomic_load(&fleet_polls) == 0)
        rest();
    refresh_now(house.refresh, nodes[0], count_done, &done);
    assert_int_equal(registry_remove(house.registry, "n0"), 0);
    assert_int_equal(refresh_wait(house.refresh, nodes[0], clock_after(10)), CESID_E_NOT_FOUND);
    /* The poll that nobody answers is not waited for. */
    assert_true(eventually(is_two, &done));
    while (figures_of(&house).nodes > 0)
        rest();
    atomic_store(&peers[0].hold_polls, false);
    /* The name is free, and a new node of that name is another one. */
    node_unref(&nodes[0]);
    nodes[0] = add_node(&house, "n0", peers[0].peer.url);
    assert_true(eventually(is_up, nodes[0]));
    close_fleet(&house, 1);
}

/* What the old address answers after the change is not shown as the node's. */
static void test_change_while_polled(void **state)
{
    (void) state;
    struct house house;
    open_fleet(&house, "refresh: { interval = 0.1; };\n", 1);
    scripted_start(&peers[1]);
    assert_true(eventually(is_up, nodes[0]));
    for (int i = 0; i < SCRIPTED_PROCESSES; i++)
        atomic_store(&peers[1].states[i], PROCESS_FATAL);
    atomic_store(&peers[0].hold_polls, true);
    atomic_store(&peers[1].hold_polls, true);
    while (atomic_load(&peers[0].polls_now) == 0)
        rest();
    struct config_node config = node_config("n0", peers[1].peer.url);
    assert_int_equal(registry_change(house.registry, &config, true), 0);
    assert_int_equal(state_of(nodes[0]), NODE_CONNECTING);
    /* Nor is the old one's answer waited for. */
    while (atomic_load(&peers[1].polls_now) == 0)
        rest();
    atomic_store(&peers[0].hold_polls, false);
    assert_int_equal(state_of(nodes[0]), NODE_CONNECTING);
    atomic_store(&peers[1].hold_polls, false);
    assert_true(eventually(is_up, nodes[0]));
    struct node_view *view = node_view(nodes[0]);
    assert_int_equal(view->counts.fatal, SCRIPTED_PROCESSES);
    assert_true(view->settings->from_store);
    node_view_unref(&view);

    /* Labels alone change nothing about the connection. */
    struct node_settings *before = node_settings(nodes[0]);
    struct config_label label = {(char *) "role", (char *) "web"};
    config.labels = &label;
    config.labels_count = 1;
    assert_int_equal(registry_change(house.registry, &config, true), 0);
    struct node_settings *after = node_settings(nodes[0]);
    assert_ptr_equal(before->endpoint, after->endpoint);
    assert_int_equal(state_of(nodes[0]), NODE_UP);
    node_settings_unref(&before);
    node_settings_unref(&after);
    close_fleet(&house, 1);
    peer_stop(&peers[1].peer);
}

static void *come_and_go(void *argument)
{
    struct house *house = argument;
    for (int i = 0; i < 100; i++) {
        struct config_node config = node_config("guest", peers[0].peer.url);
        (void) !registry_add(house->registry, &config, true, NULL);
        (void) !registry_remove(house->registry, "guest");
    }
    return NULL;
}

static void test_come_and_go(void **state)
{
    (void) state;
    struct house house;
    pthread_t threads[4];
    open_fleet(&house, "refresh: { interval = 600.0; };\n", 1);
    assert_true(eventually(is_up, nodes[0]));
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &house), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    (void) !registry_remove(house.registry, "guest");
    int64_t deadline = clock_after(20);
    while (figures_of(&house).nodes > 1 || figures_of(&house).in_use > 0) {
        assert_true(clock_now() < deadline);
        rest();
    }
    close_fleet(&house, 1);
}

static void test_stop(void **state)
{
    (void) state;
    struct house house;
    atomic_int done = 0;
    open_fleet(&house, "refresh: { interval = 0.1; };\n", 2);
    hold_all(2, true);
    refresh_now(house.refresh, nodes[0], count_done, &done);
    while (atomic_load(&peers[0].polls_now) == 0)
        rest();
    refresh_now(house.refresh, nodes[0], count_done, &done);
    int64_t before = clock_now();
    house_stop(&house, 1);
    assert_true(clock_seconds_since(before) < 5);
    assert_int_equal(atomic_load(&done), 2);
    hold_all(2, false);
    assert_int_equal(refresh_wait(house.refresh, nodes[0], clock_after(1)), CESID_E_SHUTTING_DOWN);
    close_fleet(&house, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"R2.4 R8.4 polls under way never exceed refresh.connections", test_permits, NULL, let_go,
         NULL},
        NAMED("R2.4 hung nodes hold a bounded share of the permits", test_suspects),
        NAMED("R2.4 R8.4 a crowd of hung nodes is gone through quickly", test_crowd_of_suspects),
        NAMED("R2.2 one poll of a node at a time, however many wish for it", test_one_poll_a_node),
        NAMED("a wish during a poll is served by the next one", test_wish),
        NAMED("a wish goes out although the breaker is open", test_wish_and_breaker),
        NAMED("R6.4 a node may go while it is polled", test_removal),
        NAMED("an answer from a node's old address is dropped", test_change_while_polled),
        NAMED("nodes come and go at once, and none stays in the schedule", test_come_and_go),
        NAMED("R8.1 R8.3 stop ends polls under way and tells who waits", test_stop),
    };
    hand_take_clock();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
