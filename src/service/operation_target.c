/*
 * One target of an operation: a state machine driven by callbacks of the rpc loops, by timers and
 * by turns. Each step holds a reference of the operation; a step that comes too late finds the
 * target finished and does nothing. Lock: LOCK_OPERATION, never held across a call.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "operation_private.h"

#define WATCH_SECONDS 1.0

static void look(struct target *target);

static void complete(struct target *target)
{
    struct operation *operation = target->operation;

    lock_acquire(&operation->lock);
    target->phase = PHASE_DONE;
    target->outcome.finished = true;
    operation->running--;
    if (target->outcome.error == CESID_OK)
        operation->succeeded++;
    else
        operation->failed++;
    cond_broadcast(&operation->changed);
    lock_release(&operation->lock);
    operation_publish(operation, false);
    operation_pump(operation);
    operation_unref(&operation);
}

static void refreshed(void *argument, int error)
{
    (void) error; /* the result stands; a failed poll shows at the node */
    complete(argument);
}

/* Whether the node answered at all: then it is worth waiting for its new state. */
static bool node_answered(int error)
{
    return error != CESID_E_NODE_TIMEOUT && error != CESID_E_NODE_UNREACHABLE &&
           error != CESID_E_NODE_UNAUTHORIZED && error != CESID_E_NODE_PROTOCOL &&
           error != CESID_E_NODE_CIRCUIT_OPEN && error != CESID_E_SHUTTING_DOWN;
}

void target_finish(struct target *target, int error, const char *detail)
{
    struct operation *operation = target->operation;
    bool first, asked, holds_turn;

    lock_acquire(&operation->lock);
    first = target->phase < PHASE_REFRESH;
    asked = target->phase >= PHASE_STOP;
    holds_turn = target->holds_turn;
    if (first) {
        target->phase = PHASE_REFRESH;
        target->holds_turn = false;
        target->outcome.error = error;
        if (error != CESID_OK && target->stopped)
            snprintf(target->outcome.detail, sizeof(target->outcome.detail),
                     "%s; the process was stopped and not started again", detail);
        else
            snprintf(target->outcome.detail, sizeof(target->outcome.detail), "%s", detail);
        if (target->started_at != 0)
            target->duration = clock_seconds_since(target->started_at);
    }
    lock_release(&operation->lock);
    if (!first)
        return;
    if (error != CESID_OK)
        log_warning("operation", "action failed", log_s("operation", operation->id),
                    log_s("node", node_name(target->node)), log_s("process", target->process),
                    log_s("code", error_code(error)), log_s("detail", detail),
                    log_s("for", operation->request_id));
    target_clear_timer(target);
    if (holds_turn)
        turn_give(target);
    if (asked && node_answered(error)) {
        refresh_now(operation->operations->refresh, target->node, refreshed, target);
        return;
    }
    if (asked)
        refresh_now(operation->operations->refresh, target->node, NULL, NULL);
    complete(target);
}

static const char *abort_detail(int error)
{
    switch (error) {
    case CESID_E_OPERATION_TIMEOUT:
        return "the operation's time was up";
    case CESID_E_SHUTTING_DOWN:
        return "cesid was stopped";
    default:
        return "the operation was cancelled";
    }
}

static int abort_error(struct operation *operation)
{
    int error;

    lock_acquire(&operation->lock);
    error = operation->abort_error;
    lock_release(&operation->lock);
    return error;
}

static void step_done(void *argument, struct supervisor_result *result);

/* Sends one call of the target, unless the operation is being ended. */
static void send(struct target *target, enum phase phase, const char *method, double timeout)
{
    struct operation *operation = target->operation;
    struct config *config = config_get(operation->operations->config);
    struct node_settings *settings = node_settings(target->node);
    struct supervisor_call call;
    struct rpc_call *handle = NULL;
    uint64_t step;
    int abort, error;
    bool late;

    lock_acquire(&operation->lock);
    abort = operation->abort_error;
    late = target->phase >= PHASE_REFRESH; /* ended by an abort meanwhile */
    if (!late)
        target->phase = phase;
    step = ++target->step;
    lock_release(&operation->lock);
    if (late)
        goto out;
    if (abort != CESID_OK || settings->endpoint == NULL) {
        if (abort != CESID_OK)
            target_finish(target, abort, abort_detail(abort));
        else
            target_finish(target, CESID_E_CONFLICT, "the node is disabled");
        goto out;
    }

    supervisor_call_init(&call, method, config, timeout);
    call.request_id = operation->request_id;
    xmlrpc_add_string(&call.body, target->process, strlen(target->process));
    if (phase == PHASE_SEND)
        xmlrpc_add_string(&call.body, operation->argument, strlen(operation->argument));
    else if (phase != PHASE_LOOK)
        xmlrpc_add_boolean(&call.body, true); /* wait until it is so */
    operation_ref(operation);                 /* of the call */
    error = supervisor_submit(settings->endpoint, &call, step_done, target, &handle);
    supervisor_call_destroy(&call);
    if (error != CESID_OK) {
        target_finish(target, error, "the call could not be made");
        operation_unref(&operation);
        goto out;
    }
    lock_acquire(&operation->lock);
    abort = operation->abort_error;
    if (target->step == step && target->phase == phase) {
        target->call = handle;
        if (abort != CESID_OK)
            rpc_call_cancel(handle);
        handle = NULL;
    }
    lock_release(&operation->lock);
    rpc_call_unref(&handle);
out:
    node_settings_unref(&settings);
    config_unref(&config);
}

static double seconds_left(struct target *target)
{
    int64_t left;

    lock_acquire(&target->operation->lock);
    left = target->deadline - clock_now();
    lock_release(&target->operation->lock);
    return left > 0 ? (double) left / (double) CLOCK_SECOND : 0.001;
}

static void send_stop(struct target *target)
{
    send(target, PHASE_STOP, "supervisor.stopProcess", seconds_left(target));
}

static void send_start(struct target *target)
{
    send(target, PHASE_START, "supervisor.startProcess", seconds_left(target));
}

static void begin(struct target *target)
{
    struct operation *operation = target->operation;

    lock_acquire(&operation->lock);
    target->phase = PHASE_TURN;
    target->started_at = clock_now();
    target->deadline = clock_after(operation->timeout);
    lock_release(&operation->lock);
    target_set_timer(target, clock_after(operation->timeout));
    if (turn_take(target))
        target_got_turn(target);
    else if (abort_error(operation) != CESID_OK && turn_leave(target))
        target_finish(target, abort_error(operation), abort_detail(abort_error(operation)));
}

void target_got_turn(struct target *target)
{
    struct operation *operation = target->operation;
    double retry_after = node_breaker_retry_after(target->node);

    target_clear_timer(target);
    lock_acquire(&operation->lock);
    target->holds_turn = true;
    target->deadline = clock_after(operation->timeout);
    if (retry_after > 0 && !operation->force)
        target->outcome.retry_after = retry_after;
    lock_release(&operation->lock);
    if (retry_after > 0 && !operation->force) {
        target_finish(target, CESID_E_NODE_CIRCUIT_OPEN,
                      "the node failed repeatedly and is not tried before its next probe");
        return;
    }
    switch (operation->action) {
    case OPERATION_START:
        send_start(target);
        break;
    case OPERATION_STOP:
    case OPERATION_RESTART:
        send_stop(target);
        break;
    case OPERATION_SIGNAL:
        send(target, PHASE_SEND, "supervisor.signalProcess", seconds_left(target));
        break;
    case OPERATION_STDIN:
        send(target, PHASE_SEND, "supervisor.sendProcessStdin", seconds_left(target));
        break;
    case OPERATION_ACTIONS:
        CHECK(false);
    }
}

static void look(struct target *target)
{
    struct config *config = config_get(target->operation->operations->config);
    double timeout = config->timeouts.refresh;

    config_unref(&config);
    send(target, PHASE_LOOK, "supervisor.getProcessInfo", timeout);
}

/* The deadline of one call passed: it may just be slow. Look whether it is on its way. */
static void look_after(struct target *target, bool awaiting)
{
    lock_acquire(&target->operation->lock);
    target->awaiting = awaiting;
    lock_release(&target->operation->lock);
    look(target);
}

static void watch(struct target *target, const char *detail)
{
    struct operation *operation = target->operation;
    bool first, late;
    int abort;

    lock_acquire(&operation->lock);
    abort = operation->abort_error;
    late = target->phase >= PHASE_REFRESH;
    first = strcmp(target->outcome.detail, detail) != 0;
    if (!late) {
        target->phase = PHASE_WATCH;
        snprintf(target->outcome.detail, sizeof(target->outcome.detail), "%s", detail);
    }
    lock_release(&operation->lock);
    if (late)
        return;
    if (abort != CESID_OK) {
        target_finish(target, abort, abort_detail(abort));
        return;
    }
    if (first)
        operation_publish(operation, false);
    target_set_timer(target, clock_after(WATCH_SECONDS));
}

void target_timer(struct target *target)
{
    enum phase phase;

    lock_acquire(&target->operation->lock);
    phase = target->phase;
    lock_release(&target->operation->lock);
    if (phase == PHASE_TURN && turn_leave(target))
        target_finish(target, CESID_E_CONFLICT,
                      "another operation is working on this process; try again when it has ended");
    else if (phase == PHASE_WATCH)
        look(target);
}

static void stopped(struct target *target, bool by_us)
{
    lock_acquire(&target->operation->lock);
    target->stopped = by_us && target->operation->action == OPERATION_RESTART;
    lock_release(&target->operation->lock);
    if (target->operation->action == OPERATION_RESTART)
        send_start(target);
    else
        target_finish(target, CESID_OK, "");
}

static void started(struct target *target)
{
    lock_acquire(&target->operation->lock);
    target->stopped = false;
    lock_release(&target->operation->lock);
    target_finish(target, CESID_OK, "");
}

static void keep_fault(struct target *target, const struct supervisor_result *result)
{
    lock_acquire(&target->operation->lock);
    if (result->answer.fault) {
        target->outcome.fault_code = result->answer.fault_code;
        snprintf(target->outcome.fault_text, sizeof(target->outcome.fault_text), "%s",
                 result->answer.fault_text);
    }
    lock_release(&target->operation->lock);
}

static void after_stop(struct target *target, const struct supervisor_result *result)
{
    const struct operation *operation = target->operation;

    if (result->error == CESID_OK)
        stopped(target, true);
    else if (result->error == CESID_E_NOT_RUNNING && operation->action == OPERATION_RESTART)
        stopped(target, false);
    else if (result->error == CESID_E_NOT_RUNNING && operation->skip_settled)
        target_finish(target, CESID_OK, "was not running");
    else if (result->error == CESID_E_NODE_TIMEOUT)
        look_after(target, false);
    else
        target_finish(target, result->error, result->detail);
}

static void after_start(struct target *target, const struct supervisor_result *result)
{
    const struct operation *operation = target->operation;

    if (result->error == CESID_OK)
        started(target);
    else if (result->error == CESID_E_ALREADY_STARTED &&
             (operation->action == OPERATION_RESTART || operation->skip_settled))
        target_finish(target, CESID_OK, "was running already");
    else if (result->error == CESID_E_NODE_TIMEOUT)
        look_after(target, true);
    else
        target_finish(target, result->error, result->detail);
}

static void after_look(struct target *target, const struct supervisor_result *result)
{
    struct supervisor_process process;
    char detail[128];

    if (result->error != CESID_OK) {
        target_finish(target, result->error, result->detail);
        return;
    }
    if (!supervisor_read_process(result->answer.value, &process)) {
        target_finish(target, CESID_E_NODE_PROTOCOL, "the node's answer is not a process");
        return;
    }
    snprintf(detail, sizeof(detail), "the process is %s", process_state_name(process.statecode));
    if (target->awaiting && process.statecode == PROCESS_RUNNING)
        started(target);
    else if (target->awaiting && process.statecode == PROCESS_STARTING)
        watch(target, "still starting");
    else if (!target->awaiting && process.statecode == PROCESS_STOPPING)
        watch(target, "still stopping");
    else if (!target->awaiting && process.statecode != PROCESS_RUNNING &&
             process.statecode != PROCESS_STARTING && process.statecode != PROCESS_BACKOFF)
        stopped(target, true);
    else
        target_finish(target, CESID_E_OPERATION_TIMEOUT, detail);
}

/* What the call says about the node. A slow process is not a failing node: that shows when it is
 * looked at. */
static void report(struct target *target, enum phase phase, const struct supervisor_result *result)
{
    struct config *config = config_get(target->operation->operations->config);
    struct breaker_settings breaker = {config->breaker.failures, config->breaker.open_min,
                                       config->breaker.open_max};

    config_unref(&config);
    if (result->error == CESID_E_NODE_TIMEOUT && (phase == PHASE_START || phase == PHASE_STOP))
        return;
    node_breaker_report(target->node, result->error, &breaker);
}

static void step_done(void *argument, struct supervisor_result *result)
{
    struct target *target = argument;
    struct operation *operation = target->operation;
    struct rpc_call *call;
    enum phase phase;
    int abort;

    lock_acquire(&operation->lock);
    phase = target->phase;
    call = target->call;
    target->call = NULL;
    target->step++;
    abort = operation->abort_error;
    lock_release(&operation->lock);
    rpc_call_unref(&call);

    report(target, phase, result);
    keep_fault(target, result);
    if (result->error == CESID_E_CANCELLED || result->error == CESID_E_SHUTTING_DOWN)
        target_finish(target, abort != CESID_OK ? abort : result->error, abort_detail(abort));
    else if (phase == PHASE_STOP)
        after_stop(target, result);
    else if (phase == PHASE_START)
        after_start(target, result);
    else if (phase == PHASE_LOOK)
        after_look(target, result);
    else
        target_finish(target, result->error, result->detail);
    operation_unref(&operation);
}

void operation_pump(struct operation *operation)
{
    bool ended = false;

    lock_acquire(&operation->lock);
    if (operation->pumping) {
        operation->pump_again = true; /* the one who pumps sees it: no recursion */
        lock_release(&operation->lock);
        return;
    }
    operation->pumping = true;
    do {
        operation->pump_again = false;
        while (operation->next < operation->total &&
               (operation->running < (size_t) operation->parallelism ||
                operation->abort_error != CESID_OK)) {
            struct target *target = &operation->targets[operation->next++];
            int abort = operation->abort_error;

            operation->running++;
            lock_release(&operation->lock);
            operation_ref(operation); /* of the target, until it is complete */
            if (abort != CESID_OK)
                target_finish(target, abort, abort_detail(abort));
            else
                begin(target);
            lock_acquire(&operation->lock);
        }
    } while (operation->pump_again);
    operation->pumping = false;
    if (operation->next == operation->total && operation->running == 0 &&
        operation->state == OPERATION_RUNNING && operation->finished_at == 0) {
        operation->finished_at = clock_wall();
        ended = true;
    }
    lock_release(&operation->lock);
    if (ended)
        operation_finished(operation);
}

void operation_abort(struct operation *operation, int error)
{
    bool first;

    lock_acquire(&operation->lock);
    first = operation->abort_error == CESID_OK && operation->finished_at == 0;
    if (first) {
        operation->abort_error = error;
        for (size_t i = 0; i < operation->total; i++)
            if (operation->targets[i].call != NULL)
                rpc_call_cancel(operation->targets[i].call);
    }
    lock_release(&operation->lock);
    if (!first)
        return;
    for (size_t i = 0; i < operation->total; i++) {
        struct target *target = &operation->targets[i];
        enum phase phase;

        lock_acquire(&operation->lock);
        phase = target->phase;
        lock_release(&operation->lock);
        if ((phase == PHASE_TURN && turn_leave(target)) || phase == PHASE_WATCH)
            target_finish(target, error, abort_detail(error));
    }
    operation_pump(operation);
}
