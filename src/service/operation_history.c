/*
 * What outlasts cesid: operations as records of the store. A record is written when an operation
 * begins, when a restart has come to a point at which a crash would leave a process stopped, and at
 * the end. Whoever changes an operation only puts it into a queue; the writer thread writes the
 * queue in one transaction, so that neither the rpc loops nor timers wait for the store. A store
 * that does not answer stops nothing: the queue waits, bounded, and is tried again.
 *
 * At start the records are read back. One that says "running" is of a cesid that ended in the
 * middle: it becomes `interrupted`. Locks: LOCK_OPERATIONS for the queue, never across the store.
 */
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/store.h"
#include "operation_private.h"

#define QUEUE_MAX   4096 /* operations that wait to be written */
#define BATCH_MAX   64   /* of one transaction */
#define RECORD_MAX  ((size_t) 12 << 20)
#define PAUSE       0.2 /* seconds between two transactions: what comes meanwhile goes together */
#define RETRY_AFTER 5.0

/* ---- writing ---- */

static void queue_locked(struct operations *operations, struct operation *operation)
{
    operation->unwritten = true;
    operation->next_unwritten = NULL;
    if (operations->last_unwritten != NULL)
        operations->last_unwritten->next_unwritten = operation;
    else
        operations->first_unwritten = operation;
    operations->last_unwritten = operation;
    operations->unwritten++;
}

void operation_remember(struct operation *operation)
{
    struct operations *operations = operation->operations;

    if (operations->store == NULL)
        return;
    lock_acquire(&operations->lock);
    if (operation->unwritten) {
        /* It is rendered when its turn comes, as it is then. */
    } else if (operations->unwritten < QUEUE_MAX) {
        operation_ref(operation);
        queue_locked(operations, operation);
        cond_signal(&operations->written);
    } else {
        operations->unwritten_dropped++;
    }
    lock_release(&operations->lock);
}

struct record {
    struct operation *operation; /* reference */
    bool listed;                 /* else its record is to go */
    enum operation_state state;
    int64_t finished_at;
    size_t succeeded, failed;
    char *environments, *results; /* JSON */
};

struct batch {
    struct record records[BATCH_MAX];
    size_t count;
};

static char *render_environments(const struct operation *operation)
{
    struct strbuf out;
    struct json json;

    strbuf_init(&out, RECORD_MAX);
    json_start(&json, &out);
    json_array(&json);
    for (size_t i = 0; i < operation->environments_count; i++)
        json_string(&json, operation->environments[i]);
    json_array_end(&json);
    return strbuf_steal(&out);
}

static void fill(struct record *record)
{
    struct operation *operation = record->operation;
    struct strbuf out;
    struct json json;

    lock_acquire(&operation->lock);
    record->state = operation->state;
    record->finished_at = operation->state == OPERATION_RUNNING ? 0 : operation->finished_at;
    record->succeeded = operation->succeeded;
    record->failed = operation->failed;
    lock_release(&operation->lock);
    strbuf_init(&out, RECORD_MAX);
    json_start(&json, &out);
    operation_results(&json, operation, true);
    if (strbuf_failed(&out)) { /* the counts must do */
        strbuf_clear(&out);
        strbuf_puts(&out, "[]");
    }
    record->results = strbuf_steal(&out);
    record->environments = render_environments(operation);
}

/* Takes operations from the queue. */
static void take_batch_locked(struct operations *operations, struct batch *batch)
{
    struct operation *operation;

    batch->count = 0;
    while (batch->count < BATCH_MAX && (operation = operations->first_unwritten) != NULL) {
        operations->first_unwritten = operation->next_unwritten;
        if (operations->first_unwritten == NULL)
            operations->last_unwritten = NULL;
        operations->unwritten--;
        operation->unwritten = false;
        batch->records[batch->count++] =
            (struct record){.operation = operation, .listed = operation->listed};
    }
}

static int write_batch(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement put = {
        "operation_put",
        "REPLACE INTO operations (id, action, argument, actor, state, created_at, finished_at,"
        " total, succeeded, failed, environments, results)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"};
    static const struct store_statement forget = {"operation_forget",
                                                  "DELETE FROM operations WHERE id = ?"};
    const struct batch *batch = argument;
    int error = CESID_OK;

    for (size_t i = 0; i < batch->count && error == CESID_OK; i++) {
        const struct record *record = &batch->records[i];
        const struct operation *operation = record->operation;
        /* Text for standard input may be a secret, and is nobody's business afterwards. */
        const char *argument_text =
            operation->action == OPERATION_SIGNAL ? operation->argument : "";
        const struct store_value values[] = {
            store_text(operation->id),
            store_text(operation_action_name(operation->action)),
            store_text(argument_text != NULL ? argument_text : ""),
            store_text(operation->actor != NULL ? operation->actor : ""),
            store_text(operation_state_name(record->state)),
            store_integer(operation->created_at),
            store_integer(record->finished_at),
            store_integer((int64_t) operation->total),
            store_integer((int64_t) record->succeeded),
            store_integer((int64_t) record->failed),
            store_text(record->environments),
            store_text(record->results),
        };

        if (record->listed)
            error =
                store_transaction_execute(transaction, &put, values, ARRAY_LENGTH(values), NULL);
        else
            error = store_transaction_execute(transaction, &forget, values, 1, NULL);
    }
    return error;
}

/* Writes a batch, or puts it back into the queue. */
static int write_records(struct operations *operations, struct batch *batch)
{
    int error;

    for (size_t i = 0; i < batch->count; i++)
        if (batch->records[i].listed)
            fill(&batch->records[i]);
    error = store_transact(operations->store, write_batch, batch);
    for (size_t i = 0; i < batch->count; i++) {
        struct operation *operation = batch->records[i].operation;

        free(batch->records[i].environments);
        free(batch->records[i].results);
        if (error != CESID_OK)
            operation_remember(operation);
        operation_unref(&operation);
    }
    return error;
}

static void report_dropped(struct operations *operations)
{
    size_t dropped;

    lock_acquire(&operations->lock);
    dropped = operations->unwritten_dropped;
    operations->unwritten_dropped = 0;
    lock_release(&operations->lock);
    if (dropped > 0)
        log_warning("operation", "records of operations were lost: the store does not take them",
                    log_i("records", (int64_t) dropped));
}

static void write_history(void *argument)
{
    struct operations *operations = argument;
    struct batch *batch = mem_alloc(sizeof(*batch));
    int64_t not_before = 0;
    bool stop;

    do {
        lock_acquire(&operations->lock);
        while (!operations->writer_stopping &&
               (operations->first_unwritten == NULL || clock_now() < not_before))
            cond_wait_until(&operations->written, &operations->lock,
                            operations->first_unwritten == NULL ? CLOCK_NEVER : not_before);
        take_batch_locked(operations, batch);
        stop = operations->writer_stopping && batch->count == 0;
        lock_release(&operations->lock);
        if (batch->count == 0)
            continue;
        if (write_records(operations, batch) == CESID_OK) {
            not_before = clock_after(PAUSE);
            report_dropped(operations);
            continue;
        }
        not_before = clock_after(RETRY_AFTER);
        lock_acquire(&operations->lock);
        stop = operations->writer_stopping; /* no second try at the end */
        lock_release(&operations->lock);
    } while (!stop);
    free(batch);
}

int history_start(struct operations *operations)
{
    if (operations->store == NULL)
        return CESID_OK;
    return thread_start(&operations->writer, "operation", "history", write_history, operations);
}

void history_stop(struct operations *operations)
{
    lock_acquire(&operations->lock);
    operations->writer_stopping = true;
    cond_broadcast(&operations->written);
    lock_release(&operations->lock);
    thread_join(&operations->writer);
}

/* ---- reading ---- */

static const char *interrupted_detail(const char *stage)
{
    if (stage != NULL && strcmp(stage, "waiting") == 0)
        return "cesid ended before it began";
    if (stage != NULL && strcmp(stage, "stopping") == 0)
        return "cesid ended in the middle; the process may have been stopped";
    if (stage != NULL && strcmp(stage, "stopped") == 0)
        return "cesid ended in the middle; the process was stopped and not started again";
    if (stage != NULL && strcmp(stage, "starting") == 0)
        return "cesid ended in the middle; the process was stopped, and it is not known whether "
               "it was started again";
    return "cesid ended in the middle";
}

static const char *member(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static void put_interrupted(struct json *json, const cJSON *result, size_t *succeeded,
                            size_t *failed)
{
    const cJSON *ok = cJSON_GetObjectItemCaseSensitive(result, "ok");
    const cJSON *duration = cJSON_GetObjectItemCaseSensitive(result, "duration");
    bool finished = cJSON_IsBool(ok);

    if (cJSON_IsTrue(ok))
        ++*succeeded;
    else
        ++*failed;
    json_object(json);
    json_put_string(json, "node", member(result, "node"));
    json_put_string(json, "process", member(result, "process"));
    json_put_boolean(json, "ok", cJSON_IsTrue(ok));
    json_put_string(json, "code", finished ? member(result, "code") : "interrupted");
    json_put_string(json, "detail",
                    finished ? member(result, "detail")
                             : interrupted_detail(member(result, "stage")));
    json_put_real(json, "duration", cJSON_IsNumber(duration) ? duration->valuedouble : 0);
    json_object_end(json);
}

char *history_interrupted(const char *results, size_t *succeeded, size_t *failed)
{
    cJSON *tree = cJSON_Parse(results);
    const cJSON *result;
    struct strbuf out;
    struct json json;

    *succeeded = *failed = 0;
    strbuf_init(&out, 2 * RECORD_MAX);
    json_start(&json, &out);
    json_array(&json);
    cJSON_ArrayForEach(result, tree) put_interrupted(&json, result, succeeded, failed);
    json_array_end(&json);
    cJSON_Delete(tree);
    return strbuf_steal(&out);
}

static void read_environments(struct operation *operation, const char *text)
{
    cJSON *tree = cJSON_Parse(text);
    int count = cJSON_IsArray(tree) ? cJSON_GetArraySize(tree) : 0;
    const cJSON *item;

    operation->environments = mem_array((size_t) count + 1, sizeof(operation->environments[0]));
    cJSON_ArrayForEach(item, tree) if (cJSON_IsString(item))
        operation->environments[operation->environments_count++] = mem_string(item->valuestring);
    cJSON_Delete(tree);
}

static bool parse_state(const char *text, enum operation_state *state)
{
    for (int i = 0; text != NULL && i < OPERATION_STATES; i++) {
        if (strcmp(text, operation_state_name((enum operation_state) i)) == 0) {
            *state = (enum operation_state) i;
            return true;
        }
    }
    return false;
}

struct loading {
    struct operations *operations;
    struct operation **found; /* newest first */
    size_t count, capacity;
};

/* What makes no sense is passed over: somebody wrote it by hand, or a later cesid. */
static bool take_record(void *argument, const struct store_row *row)
{
    struct loading *loading = argument;
    const char *id = store_row_text(row, 0), *action = store_row_text(row, 1);
    const char *environments = store_row_text(row, 10), *results = store_row_text(row, 11);
    struct operation *operation;

    if (loading->count == loading->capacity)
        return false;
    operation = operation_alloc(loading->operations);
    loading->found[loading->count++] = operation;
    if (id == NULL || strlen(id) != OPERATION_ID_SIZE - 1 || action == NULL ||
        !operation_action_parse(action, &operation->action) || environments == NULL ||
        results == NULL || !parse_state(store_row_text(row, 4), &operation->state)) {
        loading->count--;
        operation_unref(&operation);
        return true;
    }
    memcpy(operation->id, id, OPERATION_ID_SIZE);
    operation->argument = mem_string(store_row_text(row, 2));
    operation->actor = mem_string(store_row_text(row, 3));
    operation->created_at = store_row_integer(row, 5);
    operation->finished_at = store_row_integer(row, 6);
    operation->total = (size_t) store_row_integer(row, 7);
    operation->succeeded = (size_t) store_row_integer(row, 8);
    operation->failed = (size_t) store_row_integer(row, 9);
    read_environments(operation, environments);
    operation->results = mem_string(results);
    return true;
}

/* It was under way when cesid ended without a word. */
static void interrupt_past(struct operation *operation)
{
    char *results =
        history_interrupted(operation->results, &operation->succeeded, &operation->failed);

    free(operation->results);
    operation->results = results;
    operation->state = OPERATION_INTERRUPTED;
    operation->finished_at = clock_wall();
    log_warning("operation", "an operation was under way when cesid ended; it is interrupted",
                log_s("operation", operation->id),
                log_s("action", operation_action_name(operation->action)),
                log_i("succeeded", (int64_t) operation->succeeded),
                log_i("failed", (int64_t) operation->failed));
}

int history_load(struct operations *operations)
{
    static const struct store_statement list = {
        "operation_list",
        "SELECT id, action, argument, actor, state, created_at, finished_at, total, succeeded,"
        " failed, environments, results FROM operations ORDER BY created_at DESC, id LIMIT ?"};
    struct config *config = config_get(operations->config);
    struct loading loading = {.operations = operations,
                              .capacity = (size_t) config->operations.history};
    const struct store_value limit = store_integer(config->operations.history);
    int error;

    config_unref(&config);
    if (operations->store == NULL)
        return CESID_OK;
    loading.found = mem_array(loading.capacity, sizeof(loading.found[0]));
    error = store_query(operations->store, &list, &limit, 1, take_record, &loading);
    if (error != CESID_OK)
        log_error("operation", "the records of past operations cannot be read",
                  log_s("error", error_code(error)));
    while (loading.count > 0) { /* oldest first */
        struct operation *operation = loading.found[--loading.count];
        bool unfinished = operation->state == OPERATION_RUNNING;

        if (unfinished)
            interrupt_past(operation);
        operation_ref(operation);
        operations_adopt(operations, operation);
        if (unfinished)
            operation_remember(operation);
        operation_unref(&operation);
    }
    free(loading.found);
    return CESID_OK;
}
