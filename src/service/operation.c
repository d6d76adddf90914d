/*
 * Operations: their table, their life from submission to history, and how they are shown. What
 * happens to one target is operation_target.c. The operations thread serves timers only. Locks:
 * LOCK_OPERATIONS, then LOCK_OPERATION.
 */
#include "cesid/operation.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"
#include "operation_private.h"

#define RUNNING_MAX       256 /* operations at a time */
#define EVENT_INTERVAL    0.5 /* seconds between events of progress */
#define EVENT_RESULTS_MAX 100 /* with more targets, progress is told by its counts */
#define JSON_MAX          ((size_t) 60 << 20)

static const char *const action_names[OPERATION_ACTIONS] = {
    [OPERATION_START] = "start",   [OPERATION_STOP] = "stop",   [OPERATION_RESTART] = "restart",
    [OPERATION_SIGNAL] = "signal", [OPERATION_STDIN] = "stdin",
};

static const char *const state_names[] = {
    [OPERATION_RUNNING] = "running",
    [OPERATION_DONE] = "done",
    [OPERATION_CANCELLED] = "cancelled",
    [OPERATION_INTERRUPTED] = "interrupted",
};

const char *operation_action_name(enum operation_action action)
{
    return action_names[action];
}

bool operation_action_parse(const char *name, enum operation_action *action)
{
    for (int i = 0; i < OPERATION_ACTIONS; i++) {
        if (strcmp(name, action_names[i]) == 0) {
            *action = (enum operation_action) i;
            return true;
        }
    }
    return false;
}

struct operations *operations_create(struct config_box *config, struct registry *registry,
                                     struct refresh *refresh, struct bus *bus)
{
    struct operations *operations = mem_alloc(sizeof(*operations));

    operations->config = config;
    operations->registry = registry;
    operations->refresh = refresh;
    operations->bus = bus;
    operations->accepting = true;
    lock_init(&operations->lock, LOCK_OPERATIONS);
    cond_init(&operations->changed);
    return operations;
}

struct operation *operation_ref(struct operation *operation)
{
    __atomic_add_fetch(&operation->references, 1, __ATOMIC_RELAXED);
    return operation;
}

void operation_unref(struct operation **slot)
{
    struct operation *operation = *slot;

    *slot = NULL;
    if (operation == NULL || __atomic_sub_fetch(&operation->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < operation->total; i++) {
        struct target *target = &operation->targets[i];

        CHECK(target->call == NULL && !target->holds_turn);
        node_unref(&target->node);
        free(target->environment);
        free(target->process);
        free(target->key);
    }
    free(operation->targets);
    free(operation->argument);
    free(operation->actor);
    free(operation->request_id);
    free(operation->environment);
    cond_destroy(&operation->changed);
    lock_destroy(&operation->lock);
    free(operation);
}

const char *operation_id(const struct operation *operation)
{
    return operation->id;
}

static double default_timeout(const struct config *config, enum operation_action action)
{
    switch (action) {
    case OPERATION_START:
        return config->timeouts.start;
    case OPERATION_STOP:
        return config->timeouts.stop;
    case OPERATION_RESTART:
        return config->timeouts.restart;
    default:
        return config->timeouts.signal;
    }
}

static void make_id(char id[OPERATION_ID_SIZE])
{
    unsigned char bytes[(OPERATION_ID_SIZE - 1) / 2];

    CHECK(RAND_bytes(bytes, sizeof(bytes)) == 1);
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

static void init_target(struct operation *operation, size_t index,
                        const struct operation_target *wanted)
{
    struct target *target = &operation->targets[index];
    struct node_settings *settings = node_settings(wanted->node);
    struct strbuf key;

    target->operation = operation;
    target->index = index;
    target->node = node_ref(wanted->node);
    target->environment = mem_string(settings->config.environment);
    target->process = mem_string(wanted->process);
    strbuf_init(&key, 1024);
    strbuf_printf(&key, "%s/%s", node_name(wanted->node), wanted->process);
    target->key = strbuf_steal(&key);
    target->timer.position = DUE_NOWHERE;
    node_settings_unref(&settings);
}

static struct operation *create(struct operations *operations,
                                const struct operation_request *request)
{
    struct operation *operation = mem_alloc(sizeof(*operation));
    struct config *config = config_get(operations->config);

    operation->operations = operations;
    make_id(operation->id);
    operation->action = request->action;
    operation->argument = mem_string(request->argument);
    operation->actor = mem_string(request->actor);
    operation->request_id = mem_string(request->request_id);
    operation->created_at = clock_wall();
    operation->parallelism =
        request->parallelism > 0 ? request->parallelism : config->operations.parallelism;
    operation->timeout =
        request->timeout > 0 ? request->timeout : default_timeout(config, request->action);
    operation->deadline =
        clock_after(request->batch_timeout > 0 ? request->batch_timeout : config->timeouts.batch);
    operation->force = request->force;
    operation->skip_settled = request->skip_settled;
    operation->total = request->targets_count;
    operation->targets = mem_array(operation->total, sizeof(operation->targets[0]));
    lock_init(&operation->lock, LOCK_OPERATION);
    cond_init(&operation->changed);
    operation->timer.position = DUE_NOWHERE;
    operation->references = 1;
    for (size_t i = 0; i < operation->total; i++)
        init_target(operation, i, &request->targets[i]);
    operation->environment =
        operation->total > 0 ? mem_string(operation->targets[0].environment) : NULL;
    for (size_t i = 1; i < operation->total; i++) {
        if (operation->environment != NULL &&
            strcmp(operation->environment, operation->targets[i].environment) != 0) {
            free(operation->environment);
            operation->environment = NULL;
        }
    }
    config_unref(&config);
    return operation;
}

/* Into the table and in front of the history; the table's reference. */
static void list_locked(struct operations *operations, struct operation *operation)
{
    operation->listed = true;
    operation_ref(operation);
    HASH_ADD_KEYPTR(hh, operations->by_id, operation->id, strlen(operation->id), operation);
    operation->older = operations->newest;
    if (operations->newest != NULL)
        operations->newest->newer = operation;
    else
        operations->oldest = operation;
    operations->newest = operation;
}

static void unlist_locked(struct operations *operations, struct operation *operation)
{
    /* The analyzer takes the last entry's table for freed while another is in it. */
    HASH_DEL(operations->by_id, operation); // NOLINT(clang-analyzer-core.NullDereference)
    if (operation->older != NULL)
        operation->older->newer = operation->newer;
    else
        operations->oldest = operation->newer;
    if (operation->newer != NULL)
        operation->newer->older = operation->older;
    else
        operations->newest = operation->older;
    operation->listed = false;
}

static bool is_finished(struct operation *operation)
{
    bool finished;

    lock_acquire(&operation->lock);
    finished = operation->state != OPERATION_RUNNING;
    lock_release(&operation->lock);
    return finished;
}

/* One finished operation past the limit of the history, or NULL. Its reference goes along. */
static struct operation *evict_locked(struct operations *operations, size_t history)
{
    struct operation *operation = operations->oldest;

    if (HASH_COUNT(operations->by_id) - operations->running <= history)
        return NULL;
    while (operation != NULL && !is_finished(operation))
        operation = operation->newer;
    if (operation != NULL)
        unlist_locked(operations, operation);
    return operation;
}

int operations_submit(struct operations *operations, const struct operation_request *request,
                      struct operation **result)
{
    struct operation *operation = create(operations, request);
    int error = CESID_OK;

    lock_acquire(&operations->lock);
    if (!operations->accepting) {
        error = CESID_E_SHUTTING_DOWN;
    } else if (operations->running >= RUNNING_MAX) {
        error = CESID_E_RATE_LIMITED;
    } else {
        operations->running++;
        list_locked(operations, operation);
        operation_ref(operation); /* of the timer */
        due_heap_push(&operations->operation_timers, &operation->timer, operation->deadline);
        cond_signal(&operations->changed);
    }
    lock_release(&operations->lock);
    if (error != CESID_OK) {
        operation_unref(&operation);
        return error;
    }
    log_info("operation", "operation started", log_s("operation", operation->id),
             log_s("action", action_names[operation->action]),
             log_i("targets", (int64_t) operation->total), log_s("actor", operation->actor));
    operation_publish(operation, true);
    operation_pump(operation);
    *result = operation;
    return CESID_OK;
}

static enum operation_state final_state(int abort)
{
    if (abort == CESID_E_CANCELLED)
        return OPERATION_CANCELLED;
    if (abort == CESID_E_SHUTTING_DOWN)
        return OPERATION_INTERRUPTED;
    return OPERATION_DONE;
}

static const char *result_name(const struct operation *operation)
{
    if (operation->state != OPERATION_DONE)
        return state_names[operation->state];
    return operation->failed > 0 ? "failed" : "ok";
}

void operation_finished(struct operation *operation)
{
    struct operations *operations = operation->operations;
    struct config *config = config_get(operations->config);
    struct operation *timed = NULL, *evicted;
    size_t succeeded, failed;

    lock_acquire(&operation->lock);
    operation->state = operation->failed > 0 ? final_state(operation->abort_error) : OPERATION_DONE;
    succeeded = operation->succeeded;
    failed = operation->failed;
    metrics_count(METRIC_OPERATIONS, operation_action_name(operation->action),
                  result_name(operation));
    metrics_observe(METRIC_OPERATION_DURATION,
                    (double) (operation->finished_at - operation->created_at) / 1000,
                    operation_action_name(operation->action));
    cond_broadcast(&operation->changed);
    lock_release(&operation->lock);
    operation_publish(operation, true);
    log_info("operation", "operation ended", log_s("operation", operation->id),
             log_s("state", state_names[operation->state]), log_i("succeeded", (int64_t) succeeded),
             log_i("failed", (int64_t) failed));

    lock_acquire(&operations->lock);
    operations->running--;
    if (operation->timer.position != DUE_NOWHERE) {
        due_heap_remove(&operations->operation_timers, &operation->timer);
        timed = operation;
    }
    evicted = evict_locked(operations, (size_t) config->operations.history);
    cond_broadcast(&operations->changed);
    lock_release(&operations->lock);
    operation_unref(&evicted);
    operation_unref(&timed);
    config_unref(&config);
}

static void serve_timers(struct operations *operations)
{
    int64_t now = clock_now();
    struct due *due;

    while ((due = due_heap_first(&operations->target_timers)) != NULL && due->at <= now) {
        struct target *target = CONTAINER_OF(due, struct target, timer);
        struct operation *operation = target->operation; /* with the timer's reference */

        due_heap_remove(&operations->target_timers, due);
        lock_release(&operations->lock);
        target_timer(target);
        operation_unref(&operation);
        lock_acquire(&operations->lock);
    }
    while ((due = due_heap_first(&operations->operation_timers)) != NULL && due->at <= now) {
        struct operation *operation = CONTAINER_OF(due, struct operation, timer);

        due_heap_remove(&operations->operation_timers, due);
        lock_release(&operations->lock);
        operation_abort(operation, CESID_E_OPERATION_TIMEOUT);
        operation_unref(&operation);
        lock_acquire(&operations->lock);
    }
}

static int64_t next_timer(const struct operations *operations)
{
    const struct due *target = due_heap_first(&operations->target_timers);
    const struct due *whole = due_heap_first(&operations->operation_timers);
    int64_t next = target != NULL ? target->at : CLOCK_NEVER;

    return whole != NULL && whole->at < next ? whole->at : next;
}

static void run(void *argument)
{
    struct operations *operations = argument;

    lock_acquire(&operations->lock);
    while (!operations->stopping) {
        serve_timers(operations);
        if (!operations->stopping && next_timer(operations) > clock_now())
            cond_wait_until(&operations->changed, &operations->lock, next_timer(operations));
    }
    lock_release(&operations->lock);
}

int operations_start(struct operations *operations)
{
    return thread_start(&operations->thread, "operation", "operations", run, operations);
}

static bool wait_idle(struct operations *operations, int64_t deadline)
{
    bool idle;

    lock_acquire(&operations->lock);
    while (operations->running > 0 &&
           cond_wait_until(&operations->changed, &operations->lock, deadline))
        continue;
    idle = operations->running == 0;
    lock_release(&operations->lock);
    return idle;
}

static void interrupt(struct operations *operations)
{
    struct operation **items;
    size_t count = operations_list(operations, &items);

    for (size_t i = 0; i < count; i++) {
        if (!is_finished(items[i])) {
            log_warning("operation", "operation is cut short by the stop",
                        log_s("operation", items[i]->id),
                        log_s("action", action_names[items[i]->action]));
            operation_abort(items[i], CESID_E_SHUTTING_DOWN);
        }
        operation_unref(&items[i]);
    }
    free(items);
}

void operations_stop(struct operations *operations, int64_t deadline)
{
    lock_acquire(&operations->lock);
    operations->accepting = false;
    lock_release(&operations->lock);
    if (!wait_idle(operations, deadline)) {
        interrupt(operations);
        if (!wait_idle(operations, clock_after(2.0)))
            log_error("operation", "operations did not end after they were cancelled",
                      log_i("running", (int64_t) operations_running(operations)));
    }
    lock_acquire(&operations->lock);
    operations->stopping = true;
    cond_broadcast(&operations->changed);
    lock_release(&operations->lock);
    thread_join(&operations->thread);
}

void operations_destroy(struct operations **slot)
{
    struct operations *operations = *slot;
    struct operation *operation, *newer;

    *slot = NULL;
    if (operations == NULL)
        return;
    operation = operations->oldest;
    HASH_CLEAR(hh, operations->by_id);
    for (; operation != NULL; operation = newer) {
        newer = operation->newer;
        operation_unref(&operation);
    }
    CHECK(operations->turns == NULL && operations->target_timers.count == 0);
    due_heap_destroy(&operations->target_timers);
    due_heap_destroy(&operations->operation_timers);
    cond_destroy(&operations->changed);
    lock_destroy(&operations->lock);
    free(operations);
}

bool operation_wait(struct operation *operation, int64_t deadline,
                    bool (*cancelled)(void *argument), void *argument)
{
    bool finished = false, gone = false;

    while (!finished && !gone && clock_now() < deadline) {
        int64_t slice = clock_after(0.1);

        lock_acquire(&operation->lock);
        while (operation->state == OPERATION_RUNNING &&
               cond_wait_until(&operation->changed, &operation->lock,
                               slice < deadline ? slice : deadline))
            continue;
        finished = operation->state != OPERATION_RUNNING;
        lock_release(&operation->lock);
        gone = !finished && cancelled != NULL && cancelled(argument);
    }
    return finished || is_finished(operation);
}

void operation_cancel(struct operation *operation)
{
    operation_abort(operation, CESID_E_CANCELLED);
}

void operation_outcome(struct operation *operation, size_t target,
                       struct operation_outcome *outcome)
{
    CHECK(target < operation->total);
    lock_acquire(&operation->lock);
    *outcome = operation->targets[target].outcome;
    lock_release(&operation->lock);
}

bool operation_visible(struct operation *operation, const struct access *access,
                       enum permission permission)
{
    for (size_t i = 0; i < operation->total; i++)
        if (!access_allows(access, permission, operation->targets[i].environment))
            return false;
    return true;
}

struct operation *operations_find(struct operations *operations, const char *id)
{
    struct operation *operation;

    lock_acquire(&operations->lock);
    HASH_FIND_STR(operations->by_id, id, operation);
    if (operation != NULL)
        operation_ref(operation);
    lock_release(&operations->lock);
    return operation;
}

size_t operations_list(struct operations *operations, struct operation ***items)
{
    struct operation *operation;
    size_t count = 0;

    lock_acquire(&operations->lock);
    *items = mem_array(HASH_COUNT(operations->by_id), sizeof((*items)[0]));
    for (operation = operations->newest; operation != NULL; operation = operation->older)
        (*items)[count++] = operation_ref(operation);
    lock_release(&operations->lock);
    return count;
}

size_t operations_running(struct operations *operations)
{
    size_t running;

    lock_acquire(&operations->lock);
    running = operations->running;
    lock_release(&operations->lock);
    return running;
}

/* What changes, copied under the lock to be rendered outside. */
struct picture {
    enum operation_state state;
    int64_t finished_at;
    size_t succeeded, failed;
    struct operation_outcome *outcomes;
    enum phase *phases;
    double *durations;
};

static void take_picture(struct operation *operation, struct picture *picture)
{
    picture->outcomes = mem_array(operation->total, sizeof(picture->outcomes[0]));
    picture->phases = mem_array(operation->total, sizeof(picture->phases[0]));
    picture->durations = mem_array(operation->total, sizeof(picture->durations[0]));
    lock_acquire(&operation->lock);
    picture->state = operation->state;
    picture->finished_at = operation->state == OPERATION_RUNNING ? 0 : operation->finished_at;
    picture->succeeded = operation->succeeded;
    picture->failed = operation->failed;
    for (size_t i = 0; i < operation->total; i++) {
        const struct target *target = &operation->targets[i];

        picture->outcomes[i] = target->outcome;
        picture->phases[i] = target->phase;
        picture->durations[i] = target->outcome.finished || target->started_at == 0
                                    ? target->duration
                                    : clock_seconds_since(target->started_at);
    }
    lock_release(&operation->lock);
}

static void render_result(struct json *json, const struct target *target,
                          const struct operation_outcome *outcome, enum phase phase,
                          double duration)
{
    json_object(json);
    json_put_string(json, "node", node_name(target->node));
    json_put_string(json, "process", target->process);
    if (outcome->finished) {
        json_put_boolean(json, "ok", outcome->error == CESID_OK);
        json_put_string(json, "code", error_code(outcome->error));
    } else {
        json_put_null(json, "ok");
        json_put_string(json, "code", phase <= PHASE_TURN ? "waiting" : "running");
    }
    json_put_string(json, "detail", outcome->detail);
    json_put_real(json, "duration", duration);
    json_object_end(json);
}

static void render(struct json *json, struct operation *operation, bool with_results)
{
    struct picture picture;

    take_picture(operation, &picture);
    json_object(json);
    json_put_string(json, "id", operation->id);
    json_put_string(json, "action", action_names[operation->action]);
    if (operation->action == OPERATION_SIGNAL)
        json_put_string(json, "signal", operation->argument);
    json_put_string(json, "actor", operation->actor);
    json_put_string(json, "state", state_names[picture.state]);
    json_put_time(json, "created_at", operation->created_at);
    json_put_time(json, "finished_at", picture.finished_at);
    json_put_integer(json, "total", (int64_t) operation->total);
    json_put_integer(json, "succeeded", (int64_t) picture.succeeded);
    json_put_integer(json, "failed", (int64_t) picture.failed);
    if (with_results) {
        json_key(json, "results");
        json_array(json);
        for (size_t i = 0; i < operation->total; i++)
            render_result(json, &operation->targets[i], &picture.outcomes[i], picture.phases[i],
                          picture.durations[i]);
        json_array_end(json);
    }
    json_object_end(json);
    free(picture.outcomes);
    free(picture.phases);
    free(picture.durations);
}

void operation_json(struct json *json, struct operation *operation)
{
    render(json, operation, true);
}

void operation_publish(struct operation *operation, bool final)
{
    struct strbuf data;
    struct json json;
    bool due;

    lock_acquire(&operation->lock);
    due = final || operation->told_at == 0 ||
          clock_seconds_since(operation->told_at) >= EVENT_INTERVAL;
    if (due)
        operation->told_at = clock_now();
    lock_release(&operation->lock);
    if (!due)
        return;
    strbuf_init(&data, JSON_MAX);
    json_start(&json, &data);
    render(&json, operation, final || operation->total <= EVENT_RESULTS_MAX);
    if (!strbuf_failed(&data))
        bus_publish(operation->operations->bus,
                    event_create(EVENT_OPERATION, PROCESS_READ, operation->environment, NULL,
                                 data.data, data.length));
    strbuf_destroy(&data);
}
