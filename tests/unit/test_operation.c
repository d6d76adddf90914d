/*
 * Operations on scripted supervisors: what each action asks, what becomes of slow, hung and
 * stubborn nodes, who waits for whom, and what is left when an operation is cut short.
 */
#include "scripted.h"

#define USUAL                                                                                      \
    "refresh: { interval = 0.2; };\n"                                                              \
    "timeouts: { connect = 10.0; refresh = 10.0; start = 10.0; stop = 10.0; restart = 10.0; };\n"  \
    "breaker: { failures = 1000; };\n"

/* Room for calls that tests hold back until they time out; so little time that this is soon, and so
 * much that what is not held back arrives. */
#define HASTY                                                                                      \
    "refresh: { interval = 0.2; };\n"                                                              \
    "timeouts: { connect = 5.0; refresh = 5.0; start = 2.5; stop = 2.5; restart = 2.5;"            \
    " signal = 0.3; batch = 60.0; };\n"                                                            \
    "breaker: { failures = 1000; };\n"

struct scene {
    struct house house;
    struct scripted peer;
    struct node *node;
};

static void open_scene(struct scene *scene, const char *settings)
{
    scripted_start(&scene->peer);
    house_open(&scene->house, settings);
    scene->node = add_node(&scene->house, "one", scene->peer.peer.url);
    assert_true(eventually(is_up, scene->node));
}

static void close_scene(struct scene *scene)
{
    node_unref(&scene->node);
    house_close(&scene->house);
    peer_stop(&scene->peer.peer);
}

static const char *const names[SCRIPTED_PROCESSES] = {"p0:p0", "p1:p1", "p2:p2", "p3:p3"};

static struct operation *submit(struct scene *scene, enum operation_action action, size_t count,
                                struct operation_request wanted)
{
    struct operation_target targets[SCRIPTED_PROCESSES];
    struct operation *operation = NULL;
    for (size_t i = 0; i < count; i++)
        targets[i] = (struct operation_target){.node = scene->node, .process = names[i]};
    wanted.action = action;
    wanted.targets = targets;
    wanted.targets_count = count;
    wanted.actor = "vera";
    assert_int_equal(operations_submit(scene->house.operations, &wanted, &operation), 0);
    return operation;
}

#define WITH(...) ((struct operation_request){__VA_ARGS__})

static void wait_end(struct operation *operation)
{
    assert_true(operation_wait(operation, clock_after(20), NULL, NULL));
}

static struct operation_outcome outcome_of(struct operation *operation, size_t target)
{
    struct operation_outcome outcome;
    operation_outcome(operation, target, &outcome);
    return outcome;
}

static bool says(struct operation *operation, const char *text)
{
    struct strbuf out;
    struct json json;
    strbuf_init(&out, 1 << 20);
    json_start(&json, &out);
    operation_json(&json, operation);
    bool found = strstr(out.data, text) != NULL;
    strbuf_destroy(&out);
    return found;
}

struct awaited {
    struct operation *operation;
    const char *text;
};

static bool says_awaited(void *argument)
{
    const struct awaited *awaited = argument;
    return says(awaited->operation, awaited->text);
}

static void wait_says(struct operation *operation, const char *text)
{
    struct awaited awaited = {operation, text};
    if (!eventually(says_awaited, &awaited))
        fail_msg("the operation never said %s", text);
}

static bool is_one(void *counter)
{
    return atomic_load((atomic_int *) counter) == 1;
}

static bool is_idle(void *engine_argument)
{
    return rpc_engine_calls(engine_argument) == 0;
}

static bool nothing_runs(void *operations)
{
    return operations_running(operations) == 0;
}

/* One action on p0, waited for. */
static int act(struct scene *scene, enum operation_action action, struct operation_request wanted)
{
    struct operation *operation = submit(scene, action, 1, wanted);
    wait_end(operation);
    int error = outcome_of(operation, 0).error;
    operation_unref(&operation);
    return error;
}

static void test_actions(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, USUAL);
    assert_int_equal(act(&scene, OPERATION_START, WITH(0)), CESID_E_ALREADY_STARTED);
    assert_int_equal(act(&scene, OPERATION_START, WITH(.skip_settled = true)), 0);
    assert_int_equal(act(&scene, OPERATION_STOP, WITH(0)), 0);
    assert_int_equal(atomic_load(&scene.peer.states[0]), PROCESS_STOPPED);
    /* The node was read again before the operation ended. */
    struct node_view *view = node_view(scene.node);
    assert_int_equal(node_view_process(view, "p0:p0")->statecode, PROCESS_STOPPED);
    node_view_unref(&view);
    assert_int_equal(act(&scene, OPERATION_STOP, WITH(0)), CESID_E_NOT_RUNNING);
    assert_int_equal(act(&scene, OPERATION_STOP, WITH(.skip_settled = true)), 0);
    assert_int_equal(act(&scene, OPERATION_RESTART, WITH(0)), 0);
    assert_int_equal(act(&scene, OPERATION_RESTART, WITH(0)), 0);
    assert_int_equal(atomic_load(&scene.peer.states[0]), PROCESS_RUNNING);
    assert_int_equal(act(&scene, OPERATION_SIGNAL, WITH(.argument = "HUP")), 0);
    assert_string_equal(scene.peer.last_argument, "HUP");
    assert_int_equal(act(&scene, OPERATION_STDIN, WITH(.argument = "hello")), 0);
    assert_string_equal(scene.peer.last_argument, "hello");
    assert_true(eventually(nothing_runs, scene.house.operations));
    close_scene(&scene);
}

struct restarter {
    struct scene *scene;
    atomic_int *failures;
};

static void *restart_often(void *argument)
{
    struct restarter *restarter = argument;
    for (int i = 0; i < 6; i++) {
        struct operation *operation = NULL;
        struct operation_target target = {restarter->scene->node, "p0:p0"};
        struct operation_request wanted = {
            .action = OPERATION_RESTART, .targets = &target, .targets_count = 1, .actor = "vera"};
        CHECK(operations_submit(restarter->scene->house.operations, &wanted, &operation) == 0);
        CHECK(operation_wait(operation, clock_after(30), NULL, NULL));
        struct operation_outcome outcome;
        operation_outcome(operation, 0, &outcome);
        if (outcome.error != 0)
            atomic_fetch_add(restarter->failures, 1);
        operation_unref(&operation);
    }
    return NULL;
}

static void test_turns(void **state)
{
    (void) state;
    struct scene scene;
    atomic_int failures = 0;
    struct restarter restarter = {&scene, &failures};
    pthread_t threads[4];
    open_scene(&scene, USUAL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, restart_often, &restarter), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&failures), 0);
    assert_int_equal(atomic_load(&scene.peer.interleaved), 0);
    assert_int_equal(atomic_load(&scene.peer.stops), 24);
    assert_int_equal(atomic_load(&scene.peer.starts), 24);
    close_scene(&scene);
}

static void test_turn_timeout(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, USUAL);
    atomic_store(&scene.peer.hold_stops, true);
    struct operation *first = submit(&scene, OPERATION_STOP, 1, WITH(0));
    assert_true(eventually(is_one, &scene.peer.stops));
    struct operation *second = submit(&scene, OPERATION_RESTART, 1, WITH(.timeout = 0.2));
    struct operation *third = submit(&scene, OPERATION_START, 1, WITH(0));
    wait_end(second);
    assert_int_equal(outcome_of(second, 0).error, CESID_E_CONFLICT);
    atomic_store(&scene.peer.hold_stops, false);
    wait_end(first);
    wait_end(third);
    assert_int_equal(outcome_of(first, 0).error, 0);
    assert_int_equal(outcome_of(third, 0).error, 0);
    assert_int_equal(atomic_load(&scene.peer.interleaved), 0);
    operation_unref(&first);
    operation_unref(&second);
    operation_unref(&third);
    close_scene(&scene);
}

/* As many as may be under way, all for one process that cannot be reached: each ends as soon as
 * the one before has, and the stack does not know how many they are. */
static void test_many_turns(void **state)
{
    (void) state;
    struct scene scene;
    struct operation *operations[200];
    open_scene(&scene, USUAL);
    atomic_store(&scene.peer.hold_stops, true);
    operations[0] = submit(&scene, OPERATION_STOP, 1, WITH(0));
    assert_true(eventually(is_one, &scene.peer.stops));
    for (size_t i = 1; i < ARRAY_LENGTH(operations); i++)
        operations[i] = submit(&scene, OPERATION_STOP, 1, WITH(.skip_settled = true));
    assert_int_equal(registry_remove(scene.house.registry, "one"), 0);
    atomic_store(&scene.peer.hold_stops, false);
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        wait_end(operations[i]);
        assert_int_equal(outcome_of(operations[i], 0).error, i == 0 ? 0 : CESID_E_NOT_FOUND);
        operation_unref(&operations[i]);
    }
    close_scene(&scene);
}

static void test_cancel(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, USUAL);
    atomic_store(&scene.peer.hold_stops, true);
    struct operation *first = submit(&scene, OPERATION_STOP, 4, WITH(.parallelism = 2));
    struct operation *second = submit(&scene, OPERATION_STOP, 1, WITH(0));
    while (atomic_load(&scene.peer.stops) < 2)
        rest();
    int64_t before = clock_now();
    operation_cancel(second);
    operation_cancel(first);
    wait_end(second);
    wait_end(first);
    assert_true(clock_seconds_since(before) < 5);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(outcome_of(first, i).error, CESID_E_CANCELLED);
    assert_int_equal(outcome_of(second, 0).error, CESID_E_CANCELLED);
    assert_true(says(first, "\"state\":\"cancelled\""));
    assert_int_equal(atomic_load(&scene.peer.stops), 2); /* the others were never asked */
    atomic_store(&scene.peer.hold_stops, false);
    /* What it held is free: the same processes can be worked on. */
    assert_int_equal(act(&scene, OPERATION_RESTART, WITH(0)), 0);
    operation_cancel(first); /* ended: nothing */
    operation_unref(&first);
    operation_unref(&second);
    refresh_stop(scene.house.refresh);
    assert_true(eventually(is_idle, scene.house.engine));
    close_scene(&scene);
}

static void test_batch_timeout(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, USUAL);
    atomic_store(&scene.peer.hold_stops, true);
    int64_t before = clock_now();
    struct operation *operation =
        submit(&scene, OPERATION_STOP, 4, WITH(.parallelism = 1, .batch_timeout = 0.3));
    wait_end(operation);
    assert_true(clock_seconds_since(before) >= 0.3 && clock_seconds_since(before) < 8);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(outcome_of(operation, i).error, CESID_E_OPERATION_TIMEOUT);
    assert_true(says(operation, "\"state\":\"done\""));
    assert_true(says(operation, "\"failed\":4"));
    atomic_store(&scene.peer.hold_stops, false);
    operation_unref(&operation);
    close_scene(&scene);
}

static void test_target_timeout(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, HASTY);
    atomic_store(&scene.peer.mute, true);
    int64_t before = clock_now();
    assert_int_equal(act(&scene, OPERATION_SIGNAL, WITH(.argument = "HUP")), CESID_E_NODE_TIMEOUT);
    assert_true(clock_seconds_since(before) >= 0.3 && clock_seconds_since(before) < 4);
    before = clock_now();
    assert_int_equal(act(&scene, OPERATION_SIGNAL, WITH(.argument = "HUP", .timeout = 1.2)),
                     CESID_E_NODE_TIMEOUT);
    assert_true(clock_seconds_since(before) >= 1.2);
    close_scene(&scene);
}

static void test_breaker(void **state)
{
    (void) state;
    struct house house;
    struct scene scene;
    house_open(&house, "refresh: { interval = 0.2; };\n"
                       "breaker: { failures = 2; open_min = 600.0; open_max = 600.0; };\n");
    scene.house = house;
    scene.node = add_node(&house, "gone", "http://127.0.0.1:27999/RPC2");
    while (node_breaker_retry_after(scene.node) <= 0)
        rest();
    struct operation *operation = submit(&scene, OPERATION_START, 1, WITH(0));
    wait_end(operation);
    struct operation_outcome outcome = outcome_of(operation, 0);
    assert_int_equal(outcome.error, CESID_E_NODE_CIRCUIT_OPEN);
    assert_true(outcome.retry_after > 500 && outcome.retry_after <= 600);
    operation_unref(&operation);
    assert_int_equal(act(&scene, OPERATION_START, WITH(.force = true)), CESID_E_NODE_UNREACHABLE);
    node_unref(&scene.node);
    house_close(&house);
}

static void test_slow_start(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, HASTY);
    assert_int_equal(act(&scene, OPERATION_STOP, WITH(0)), 0);
    atomic_store(&scene.peer.hold_starts, true);
    struct operation *operation = submit(&scene, OPERATION_START, 1, WITH(0));
    wait_says(operation, "still starting");
    atomic_store(&scene.peer.hold_starts, false);
    wait_end(operation);
    assert_int_equal(outcome_of(operation, 0).error, 0);
    assert_string_equal(outcome_of(operation, 0).detail, "");
    assert_int_equal(atomic_load(&scene.peer.starts), 1);
    operation_unref(&operation);
    close_scene(&scene);
}

static void test_slow_stop_of_a_restart(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, HASTY);
    atomic_store(&scene.peer.hold_stops, true);
    struct operation *operation = submit(&scene, OPERATION_RESTART, 1, WITH(0));
    wait_says(operation, "still stopping");
    atomic_store(&scene.peer.hold_stops, false);
    wait_end(operation);
    assert_int_equal(outcome_of(operation, 0).error, 0);
    assert_int_equal(atomic_load(&scene.peer.states[0]), PROCESS_RUNNING);
    operation_unref(&operation);
    close_scene(&scene);
}

static void test_restart_that_leaves_it_stopped(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, USUAL);
    atomic_store(&scene.peer.start_fault, FAULT_SPAWN_ERROR);
    struct operation *operation = submit(&scene, OPERATION_RESTART, 1, WITH(0));
    wait_end(operation);
    assert_int_equal(outcome_of(operation, 0).error, CESID_E_NODE_FAULT);
    assert_int_equal(outcome_of(operation, 0).fault_code, FAULT_SPAWN_ERROR);
    assert_non_null(
        strstr(outcome_of(operation, 0).detail, "the process was stopped and not started again"));
    operation_unref(&operation);

    /* Stopped before, and still: the restart did not leave it so. */
    operation = submit(&scene, OPERATION_RESTART, 1, WITH(0));
    wait_end(operation);
    assert_null(strstr(outcome_of(operation, 0).detail, "stopped"));
    operation_unref(&operation);

    /* Cut short while it stops, and while it starts. */
    atomic_store(&scene.peer.start_fault, 0);
    assert_int_equal(act(&scene, OPERATION_START, WITH(0)), 0);
    atomic_store(&scene.peer.hold_stops, true);
    int stops = atomic_load(&scene.peer.stops);
    operation = submit(&scene, OPERATION_RESTART, 1, WITH(0));
    while (atomic_load(&scene.peer.stops) == stops)
        rest();
    operation_cancel(operation);
    wait_end(operation);
    assert_non_null(strstr(outcome_of(operation, 0).detail, "the process may have been stopped"));
    operation_unref(&operation);
    atomic_store(&scene.peer.hold_stops, false);
    while (atomic_load(&scene.peer.states[0]) != PROCESS_STOPPED)
        rest();
    assert_int_equal(act(&scene, OPERATION_START, WITH(0)), 0);
    atomic_store(&scene.peer.hold_starts, true);
    int starts = atomic_load(&scene.peer.starts);
    operation = submit(&scene, OPERATION_RESTART, 1, WITH(0));
    while (atomic_load(&scene.peer.starts) == starts)
        rest();
    operation_cancel(operation);
    wait_end(operation);
    assert_non_null(strstr(outcome_of(operation, 0).detail, "not known whether it was started"));
    operation_unref(&operation);
    atomic_store(&scene.peer.hold_starts, false);
    close_scene(&scene);
}

static void test_interrupted(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, USUAL);
    atomic_store(&scene.peer.hold_starts, true);
    struct operation *operation = submit(&scene, OPERATION_RESTART, 4, WITH(.parallelism = 1));
    assert_true(eventually(is_one, &scene.peer.starts));
    int64_t before = clock_now();
    operations_stop(scene.house.operations, clock_after(0.2));
    assert_true(clock_seconds_since(before) < 3);
    assert_true(says(operation, "\"state\":\"interrupted\""));
    assert_int_equal(outcome_of(operation, 0).error, CESID_E_SHUTTING_DOWN);
    assert_non_null(strstr(outcome_of(operation, 0).detail, "the process was stopped"));
    for (size_t i = 1; i < 4; i++) {
        assert_int_equal(outcome_of(operation, i).error, CESID_E_SHUTTING_DOWN);
        assert_null(strstr(outcome_of(operation, i).detail, "the process"));
    }
    struct operation *refused = NULL;
    struct operation_target target = {scene.node, "p0:p0"};
    struct operation_request wanted = {.targets = &target, .targets_count = 1, .actor = "vera"};
    assert_int_equal(operations_submit(scene.house.operations, &wanted, &refused),
                     CESID_E_SHUTTING_DOWN);
    operation_unref(&operation);
    atomic_store(&scene.peer.hold_starts, false);
    close_scene(&scene);
}

static void test_hung_node_takes_no_place(void **state)
{
    (void) state;
    struct scene scene;
    struct scripted hung;
    open_scene(&scene, USUAL);
    scripted_start(&hung);
    struct node *other = add_node(&scene.house, "hung", hung.peer.url);
    assert_true(eventually(is_up, other));
    atomic_store(&hung.mute, true);
    struct operation_target targets[3] = {
        {other, "p0:p0"}, {other, "p1:p1"}, {scene.node, "p0:p0"}};
    struct operation_request wanted = {.action = OPERATION_RESTART,
                                       .targets = targets,
                                       .targets_count = 3,
                                       .parallelism = 1,
                                       .timeout = 60,
                                       .actor = "vera"};
    struct operation *operation = NULL;
    assert_int_equal(operations_submit(scene.house.operations, &wanted, &operation), 0);
    wait_says(operation, "\"succeeded\":1");
    assert_int_equal(outcome_of(operation, 2).error, 0);
    assert_false(outcome_of(operation, 0).finished);
    operation_cancel(operation);
    wait_end(operation);
    operation_unref(&operation);
    node_unref(&other);
    close_scene(&scene);
    peer_stop(&hung.peer);
}

/* It hangs in the middle: as soon as the breaker opens, nobody waits for the call's own end. */
static void test_hung_node_is_given_up(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, "refresh: { interval = 0.2; };\n"
                       "timeouts: { connect = 1.0; refresh = 0.3; restart = 600.0; };\n"
                       "breaker: { failures = 3; open_min = 60.0; };\n");
    atomic_store(&scene.peer.mute, true);
    struct operation *operation = submit(&scene, OPERATION_RESTART, 1, WITH(0));
    wait_end(operation);
    assert_true(outcome_of(operation, 0).error == CESID_E_NODE_TIMEOUT ||
                outcome_of(operation, 0).error == CESID_E_NODE_CIRCUIT_OPEN);
    operation_unref(&operation);
    close_scene(&scene);
}

static void test_history(void **state)
{
    (void) state;
    struct scene scene;
    open_scene(&scene, USUAL "operations: { history = 3; };\n");
    char first[64];
    for (int i = 0; i < 6; i++) {
        struct operation *operation = submit(&scene, OPERATION_SIGNAL, 1, WITH(.argument = "HUP"));
        if (i == 0)
            snprintf(first, sizeof(first), "%s", operation_id(operation));
        wait_end(operation);
        operation_unref(&operation);
    }
    assert_true(eventually(nothing_runs, scene.house.operations));
    struct operation **items;
    size_t count = operations_list(scene.house.operations, &items);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++)
        operation_unref(&items[i]);
    free(items);
    assert_null(operations_find(scene.house.operations, first));
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("start, stop, restart, signal and standard input, each with its result",
              test_actions),
        NAMED("R2.2 two operations never interleave on one process", test_turns),
        NAMED("who waits too long for a turn is refused, and the next gets it", test_turn_timeout),
        NAMED("two hundred operations queue for one process and end", test_many_turns),
        NAMED("R6.4 R8.5 a cancelled operation ends at once and holds nothing", test_cancel),
        NAMED("R6.1 a batch ends when its time is up", test_batch_timeout),
        NAMED("R6.2 R6.5 a node that hangs costs an action its timeout", test_target_timeout),
        NAMED("R6.3 an open breaker answers at once, and force tries", test_breaker),
        NAMED("a slow start is watched to its end", test_slow_start),
        NAMED("a restart whose stop is slow still starts", test_slow_stop_of_a_restart),
        NAMED("a restart that leaves a process stopped says so",
              test_restart_that_leaves_it_stopped),
        NAMED("R2.5 R8.1 what the stop cuts short is interrupted", test_interrupted),
        NAMED("a hung node does not take the place of others", test_hung_node_takes_no_place),
        NAMED("a node that hangs in the middle is given up", test_hung_node_is_given_up),
        NAMED("the history is bounded", test_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
