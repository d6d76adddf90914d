/*
 * How operations are shown: to who asks, to who listens, to the store. Nothing is rendered under
 * the operation's lock: what changes is copied first. One thread at a time publishes, so that
 * events leave in the order of what they tell. Lock: LOCK_OPERATION.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "operation_private.h"

#define EVENT_INTERVAL    0.5 /* seconds between events of progress */
#define EVENT_RESULTS_MAX 100 /* with more targets, progress is told by its counts */
#define JSON_MAX          ((size_t) 60 << 20)

static const char *const state_names[OPERATION_STATES] = {
    [OPERATION_RUNNING] = "running",
    [OPERATION_DONE] = "done",
    [OPERATION_CANCELLED] = "cancelled",
    [OPERATION_INTERRUPTED] = "interrupted",
};

const char *operation_state_name(enum operation_state state)
{
    return state_names[state];
}

/* One target's, as it was when it was copied. */
struct shown {
    struct operation_outcome outcome;
    enum phase phase;
    const char *stage;
    double duration;
};

struct picture {
    enum operation_state state;
    int64_t finished_at;
    size_t succeeded, failed;
    struct shown *targets;
};

/* How far a target came, in the words of history_interrupted. */
static const char *stage_locked(const struct target *target)
{
    if (target->stopped)
        return target->start_asked ? "starting" : "stopped";
    if (target->stop_asked)
        return "stopping";
    return target->phase <= PHASE_TURN ? "waiting" : "asked";
}

static void take_picture(struct operation *operation, struct picture *picture)
{
    picture->targets = mem_array(operation->targets_count, sizeof(picture->targets[0]));
    lock_acquire(&operation->lock);
    picture->state = operation->state;
    picture->finished_at = operation->state == OPERATION_RUNNING ? 0 : operation->finished_at;
    picture->succeeded = operation->succeeded;
    picture->failed = operation->failed;
    for (size_t i = 0; i < operation->targets_count; i++) {
        const struct target *target = &operation->targets[i];
        bool timed = target->phase < PHASE_REFRESH && target->started_at != 0;

        picture->targets[i] = (struct shown){
            .outcome = target->outcome,
            .phase = target->phase,
            .stage = stage_locked(target),
            .duration = timed ? clock_seconds_since(target->started_at) : target->duration,
        };
    }
    lock_release(&operation->lock);
}

static void render_result(struct json *json, const struct target *target, const struct shown *shown,
                          bool stages)
{
    json_object(json);
    json_put_string(json, "node", node_name(target->node));
    json_put_string(json, "process", target->process);
    if (shown->outcome.finished) {
        json_put_boolean(json, "ok", shown->outcome.error == CESID_OK);
        json_put_string(json, "code", error_code(shown->outcome.error));
    } else {
        json_put_null(json, "ok");
        json_put_string(json, "code", shown->phase <= PHASE_TURN ? "waiting" : "running");
    }
    json_put_string(json, "detail", shown->outcome.detail);
    json_put_real(json, "duration", shown->duration);
    if (stages && !shown->outcome.finished)
        json_put_string(json, "stage", shown->stage);
    json_object_end(json);
}

static void render_results(struct json *json, const struct operation *operation,
                           const struct picture *picture, bool stages)
{
    if (operation->results != NULL) {
        json_raw(json, operation->results, strlen(operation->results));
        return;
    }
    json_array(json);
    for (size_t i = 0; i < operation->targets_count; i++)
        render_result(json, &operation->targets[i], &picture->targets[i], stages);
    json_array_end(json);
}

static bool render(struct json *json, struct operation *operation, bool with_results)
{
    struct picture picture;

    take_picture(operation, &picture);
    json_object(json);
    json_put_string(json, "id", operation->id);
    json_put_string(json, "action", operation_action_name(operation->action));
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
        render_results(json, operation, &picture, false);
    }
    json_object_end(json);
    free(picture.targets);
    return picture.state != OPERATION_RUNNING;
}

bool operation_json(struct json *json, struct operation *operation)
{
    return render(json, operation, true);
}

void operation_results(struct json *json, struct operation *operation, bool stages)
{
    struct picture picture;

    take_picture(operation, &picture);
    render_results(json, operation, &picture, stages);
    free(picture.targets);
}

static void publish(struct operation *operation, bool with_results)
{
    const char *environment =
        operation->environments_count == 1 ? operation->environments[0] : NULL;
    struct strbuf data;
    struct json json;

    strbuf_init(&data, JSON_MAX);
    json_start(&json, &data);
    (void) render(&json, operation, with_results);
    if (!strbuf_failed(&data))
        bus_publish(
            operation->operations->bus,
            event_create(EVENT_OPERATION, PROCESS_READ, environment, NULL, data.data, data.length));
    strbuf_destroy(&data);
}

void operation_publish(struct operation *operation, bool final)
{
    bool due;

    lock_acquire(&operation->lock);
    due = final || operation->told_at == 0 ||
          clock_seconds_since(operation->told_at) >= EVENT_INTERVAL;
    if (due)
        operation->told_at = clock_now();
    if (due && operation->publishing) {
        operation->publish_again = true;
        due = false;
    }
    if (due) {
        operation->publishing = true;
        do {
            operation->publish_again = false;
            final = operation->next == 0 || operation->state != OPERATION_RUNNING;
            lock_release(&operation->lock);
            publish(operation, final || operation->targets_count <= EVENT_RESULTS_MAX);
            lock_acquire(&operation->lock);
        } while (operation->publish_again);
        operation->publishing = false;
    }
    lock_release(&operation->lock);
}
