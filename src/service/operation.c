/*
 * Operations: their table, and their life from submission to history. What happens to one target is
 * operation_target.c. The operations thread serves timers and turns. Locks: LOCK_OPERATIONS, then
 * LOCK_OPERATION.
 */
#include "cesid/operation.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"
#include "cesid/random.h"
#include "operation_private.h"

#define RUNNING_MAX 256    /* operations at a time */
#define RESULTS_MAX 200000 /* of all operations in the history; larger ones push out more */
#define STOP_GRACE  5.0    /* seconds for cancelled calls to end */

static const char *const action_names[OPERATION_ACTIONS] = {
    [OPERATION_START] = "start",   [OPERATION_STOP] = "stop",   [OPERATION_RESTART] = "restart",
    [OPERATION_SIGNAL] = "signal", [OPERATION_STDIN] = "stdin",
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
                                     struct refresh *refresh, struct bus *bus, struct store *store)
{
    struct operations *operations = mem_alloc(sizeof(*operations));

    operations->config = config;
    operations->registry = registry;
    operations->refresh = refresh;
    operations->bus = bus;
    operations->store = store;
    operations->accepting = true;
    lock_init(&operations->lock, LOCK_OPERATIONS);
    cond_init(&operations->changed);
    cond_init(&operations->written);
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
    for (size_t i = 0; i < operation->targets_count; i++) {
        struct target *target = &operation->targets[i];

        CHECK(target->call == NULL && !target->holds_turn);
        node_unref(&target->node);
        free(target->process);
        free(target->key);
    }
    free(operation->targets);
    free(operation->argument);
    free(operation->actor);
    free(operation->address);
    free(operation->request_id);
    for (size_t i = 0; i < operation->environments_count; i++)
        free(operation->environments[i]);
    free(operation->environments);
    free(operation->results);
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

static void init_target(struct operation *operation, size_t index,
                        const struct operation_target *wanted)
{
    struct target *target = &operation->targets[index];
    struct strbuf key;

    target->operation = operation;
    target->index = index;
    target->node = node_ref(wanted->node);
    target->process = mem_string(wanted->process);
    strbuf_init(&key, 1024);
    strbuf_printf(&key, "%s/%s", node_name(wanted->node), wanted->process);
    target->key = strbuf_steal(&key);
    target->timer.position = DUE_NOWHERE;
}

static int by_text(const void *a, const void *b)
{
    char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
}

/* Each environment once, sorted. Targets of one node follow each other, so most are known. */
static void collect_environments(struct operation *operation)
{
    char **all = mem_array(operation->total, sizeof(all[0]));
    struct node *last = NULL;
    size_t count = 0, unique = 0;

    for (size_t i = 0; i < operation->total; i++) {
        struct node_settings *settings;

        if (operation->targets[i].node == last)
            continue;
        last = operation->targets[i].node;
        settings = node_settings(last);
        all[count++] = mem_string(settings->config.environment);
        node_settings_unref(&settings);
    }
    if (count > 1)
        qsort(all, count, sizeof(all[0]), by_text);
    for (size_t i = 0; i < count; i++) {
        if (unique > 0 && strcmp(all[unique - 1], all[i]) == 0)
            free(all[i]);
        else
            all[unique++] = all[i];
    }
    operation->environments = all;
    operation->environments_count = unique;
}

struct operation *operation_alloc(struct operations *operations)
{
    struct operation *operation = mem_alloc(sizeof(*operation));

    operation->operations = operations;
    lock_init(&operation->lock, LOCK_OPERATION);
    cond_init(&operation->changed);
    operation->timer.position = DUE_NOWHERE;
    operation->references = 1;
    return operation;
}

static struct operation *create(struct operations *operations,
                                const struct operation_request *request)
{
    struct operation *operation = operation_alloc(operations);
    struct config *config = config_get(operations->config);

    random_hex(operation->id, (OPERATION_ID_SIZE - 1) / 2);
    operation->action = request->action;
    operation->argument = mem_string(request->argument);
    operation->actor = mem_string(request->actor);
    operation->address = mem_string(request->address);
    operation->request_id = mem_string(request->request_id);
    operation->context = log_context();
    operation->created_at = clock_wall();
    operation->parallelism =
        request->parallelism > 0 ? request->parallelism : config->operations.parallelism;
    operation->timeout =
        request->timeout > 0 ? request->timeout : default_timeout(config, request->action);
    operation->deadline =
        clock_after(request->batch_timeout > 0 ? request->batch_timeout : config->timeouts.batch);
    operation->force = request->force;
    operation->skip_settled = request->skip_settled;
    operation->total = operation->targets_count = request->targets_count;
    operation->targets = mem_array(operation->total, sizeof(operation->targets[0]));
    for (size_t i = 0; i < operation->total; i++)
        init_target(operation, i, &request->targets[i]);
    operation->tell = operation->total > 1;
    collect_environments(operation);
    config_unref(&config);
    return operation;
}

/* Into the table and in front of the history; the table's reference. */
static void list_locked(struct operations *operations, struct operation *operation)
{
    operation->listed = true;
    operations->listed++;
    operations->results += operation->total;
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
    operations->listed--;
    operations->results -= operation->total;
}

static bool is_finished(struct operation *operation)
{
    bool finished;

    lock_acquire(&operation->lock);
    finished = operation->state != OPERATION_RUNNING;
    lock_release(&operation->lock);
    return finished;
}

/* One finished operation past the limits of the history, or NULL. Its reference goes along. ended:
 * how many that ended still count as running. */
static struct operation *evict_one(struct operations *operations, size_t history, size_t ended)
{
    struct operation *operation = NULL;

    lock_acquire(&operations->lock);
    if (operations->listed > history + operations->running - ended ||
        operations->results > RESULTS_MAX)
        for (operation = operations->oldest; operation != NULL && !is_finished(operation);)
            operation = operation->newer;
    /* The last to end stays, however large: somebody is about to ask for it. */
    if (operation == operations->newest)
        operation = NULL;
    if (operation != NULL)
        unlist_locked(operations, operation);
    lock_release(&operations->lock);
    return operation;
}

static void evict(struct operations *operations, size_t ended)
{
    struct config *config = config_get(operations->config);
    size_t history = (size_t) config->operations.history;
    struct operation *evicted;

    config_unref(&config);
    while ((evicted = evict_one(operations, history, ended)) != NULL) {
        operation_remember(evicted); /* that it is to be forgotten */
        operation_unref(&evicted);
    }
}

void operations_reconfigure(struct operations *operations)
{
    evict(operations, 0);
}

void operations_adopt(struct operations *operations, struct operation *operation)
{
    lock_acquire(&operations->lock);
    list_locked(operations, operation);
    lock_release(&operations->lock);
    operation_unref(&operation);
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
        cond_broadcast(&operations->changed);
    }
    lock_release(&operations->lock);
    if (error != CESID_OK) {
        operation_unref(&operation);
        return error;
    }
    log_info("operation", "operation started", log_s("operation", operation->id),
             log_s("action", action_names[operation->action]),
             log_i("targets", (int64_t) operation->total), log_s("actor", operation->actor));
    operation_remember(operation);
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
        return operation_state_name(operation->state);
    return operation->failed > 0 ? "failed" : "ok";
}

void operation_finished(struct operation *operation)
{
    struct operations *operations = operation->operations;
    struct operation *timed = NULL;
    struct log_context context;
    enum operation_state state;
    size_t succeeded, failed;

    lock_acquire(&operation->lock);
    state = operation->failed > 0 ? final_state(operation->abort_error) : OPERATION_DONE;
    operation->state = state;
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
    operation_remember(operation);
    operation_tell(operation);
    context = operation->context;
    log_swap(&context);
    log_info("operation", "operation ended", log_s("operation", operation->id),
             log_s("state", operation_state_name(state)), log_i("succeeded", (int64_t) succeeded),
             log_i("failed", (int64_t) failed));
    log_swap(&context);

    lock_acquire(&operations->lock);
    if (operation->timer.position != DUE_NOWHERE) {
        due_heap_remove(&operations->operation_timers, &operation->timer);
        timed = operation;
    }
    lock_release(&operations->lock);
    operation_unref(&timed);
    evict(operations, 1);

    lock_acquire(&operations->lock);
    operations->running--; /* the last: whoever waits for idleness may destroy all this */
    cond_broadcast(&operations->changed);
    lock_release(&operations->lock);
}

static void serve_turns(struct operations *operations)
{
    struct target *target;

    while ((target = operations->first_ready) != NULL) {
        operations->first_ready = target->next_turn;
        if (operations->first_ready == NULL)
            operations->last_ready = NULL;
        lock_release(&operations->lock);
        target_got_turn(target);
        lock_acquire(&operations->lock);
    }
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

/* Until it is stopped and nothing is under way any more. */
static void run(void *argument)
{
    struct operations *operations = argument;

    lock_acquire(&operations->lock);
    while (!operations->stopping || operations->running > 0) {
        serve_turns(operations);
        serve_timers(operations);
        if (operations->first_ready == NULL && next_timer(operations) > clock_now() &&
            (!operations->stopping || operations->running > 0))
            cond_wait_until(&operations->changed, &operations->lock, next_timer(operations));
    }
    lock_release(&operations->lock);
}

int operations_start(struct operations *operations)
{
    int error = history_load(operations);

    if (error == CESID_OK)
        error = history_start(operations);
    if (error == CESID_OK)
        error = thread_start(&operations->thread, "operation", "operations", run, operations);
    return error;
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
    bool idle = true;

    lock_acquire(&operations->lock);
    operations->accepting = false;
    lock_release(&operations->lock);
    if (!wait_idle(operations, deadline)) {
        interrupt(operations);
        idle = wait_idle(operations, clock_after(STOP_GRACE));
    }
    if (!idle)
        log_error("operation", "operations did not end after they were cancelled",
                  log_i("running", (int64_t) operations_running(operations)));
    lock_acquire(&operations->lock);
    operations->stopping = true;
    cond_broadcast(&operations->changed);
    lock_release(&operations->lock);
    /* Else the end of the engine ends them, and destroy joins. */
    if (idle)
        thread_join(&operations->thread);
    history_stop(operations);
}

void operations_destroy(struct operations **slot)
{
    struct operations *operations = *slot;
    struct operation *operation, *newer;

    *slot = NULL;
    if (operations == NULL)
        return;
    thread_join(&operations->thread);
    operation = operations->oldest;
    HASH_CLEAR(hh, operations->by_id);
    for (; operation != NULL; operation = newer) {
        newer = operation->newer;
        operation_unref(&operation);
    }
    while ((operation = operations->first_unwritten) != NULL) {
        operations->first_unwritten = operation->next_unwritten;
        operation_unref(&operation);
    }
    CHECK(operations->turns == NULL && operations->target_timers.count == 0);
    due_heap_destroy(&operations->target_timers);
    due_heap_destroy(&operations->operation_timers);
    cond_destroy(&operations->changed);
    cond_destroy(&operations->written);
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
    CHECK(target < operation->targets_count);
    lock_acquire(&operation->lock);
    *outcome = operation->targets[target].outcome;
    lock_release(&operation->lock);
}

bool operation_visible(struct operation *operation, const struct access *access,
                       enum permission permission)
{
    for (size_t i = 0; i < operation->environments_count; i++)
        if (!access_allows(access, permission, operation->environments[i]))
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
