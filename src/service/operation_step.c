/*
 * What an operation asks of a node for one target, and what it makes of the answers. Callbacks of
 * the rpc loops come in through step_done; each ends in another call, in a timer, or in
 * target_finish. Lock: LOCK_OPERATION, never held across a call.
 *
 * A call that reaches its deadline is no failure yet: the process may just be slow. It is looked
 * at, and as long as it is on its way it is watched, until the operation's own time is up.
 */
#include <stdio.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "operation_private.h"

#define WATCH_SECONDS   1.0
#define TICK_SECONDS    1.0
#define STALLED_SECONDS 1.0 /* for a look at a process of a node that does not answer */

static void step_done(void *argument, struct supervisor_result *result);

/* The stop had no effect, or the start, and that is known. */
static void had_no_effect(struct target *target, enum phase phase)
{
    lock_acquire(&target->operation->lock);
    if (phase == PHASE_STOP)
        target->stop_asked = false;
    else if (phase == PHASE_START)
        target->start_asked = false;
    lock_release(&target->operation->lock);
}

/* Notes what is about to be asked; false when the target has ended meanwhile. */
static bool enter(struct target *target, enum phase phase, uint64_t *step, int *abort)
{
    struct operation *operation = target->operation;
    bool restart = operation->action == OPERATION_RESTART;
    bool alive;

    lock_acquire(&operation->lock);
    *abort = operation->abort_error;
    *step = ++target->step;
    alive = target->phase < PHASE_REFRESH;
    if (alive) {
        target->phase = phase;
        if (*abort == CESID_OK && phase == PHASE_STOP)
            target->stop_asked = restart;
        if (*abort == CESID_OK && phase == PHASE_START)
            target->start_asked = restart;
        target->next_ping = clock_now();
    }
    lock_release(&operation->lock);
    return alive;
}

/* Keeps the handle of a call that is still under way, and cancels it when an abort came first. */
static void keep_handle(struct target *target, uint64_t step, struct rpc_call **handle)
{
    struct operation *operation = target->operation;

    lock_acquire(&operation->lock);
    if (target->step == step) {
        target->call = *handle;
        if (operation->abort_error != CESID_OK)
            rpc_call_cancel(*handle);
        *handle = NULL;
    }
    lock_release(&operation->lock);
    rpc_call_unref(handle);
}

static void submit(struct target *target, enum phase phase, uint64_t step, const char *method,
                   double timeout)
{
    struct operation *operation = target->operation;
    struct config *config = config_get(operation->operations->config);
    struct node_settings *settings = node_settings(target->node);
    struct supervisor_call call;
    struct rpc_call *handle = NULL;
    struct log_context context;
    int error;

    if (settings->endpoint == NULL) {
        had_no_effect(target, phase);
        target_finish(target, CESID_E_CONFLICT, "the node is disabled");
        goto out;
    }
    supervisor_call_init(&call, method, config, timeout);
    xmlrpc_add_string(&call.body, target->process, strlen(target->process));
    if (phase == PHASE_SEND)
        xmlrpc_add_string(&call.body, operation->argument, strlen(operation->argument));
    else if (phase != PHASE_LOOK)
        xmlrpc_add_boolean(&call.body, true); /* wait until it is so */
    operation_ref(operation);                 /* of the call */
    context = operation->context;
    log_swap(&context);
    error = supervisor_submit(settings->endpoint, &call, step_done, target, &handle);
    log_swap(&context);
    supervisor_call_destroy(&call);
    if (error == CESID_OK) {
        keep_handle(target, step, &handle);
    } else {
        had_no_effect(target, phase);
        target_finish(target, error, "the call could not be made");
        operation_unref(&operation);
    }
out:
    node_settings_unref(&settings);
    config_unref(&config);
}

/* Sends one call of the target, unless the operation is being ended. */
static void send(struct target *target, enum phase phase, const char *method, double timeout)
{
    struct operation *operation = operation_ref(target->operation);
    uint64_t step;
    int abort;

    if (enter(target, phase, &step, &abort)) {
        if (abort != CESID_OK) {
            target_finish(target, abort, operation_abort_detail(abort));
        } else {
            if (operation->action == OPERATION_RESTART && phase != PHASE_LOOK)
                operation_remember(operation); /* what a crash would leave behind */
            if (phase != PHASE_LOOK)
                target_arm(target, TICK_SECONDS);
            submit(target, phase, step, method, timeout);
        }
    }
    operation_unref(&operation);
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

void target_act(struct target *target)
{
    switch (target->operation->action) {
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

/* Beyond the action's own time, so not for longer than that again, and of a node that let a poll
 * wait, too, not for long. */
void target_look(struct target *target)
{
    struct operation *operation = target->operation;
    struct config *config = config_get(operation->operations->config);
    double timeout = config->timeouts.refresh;

    config_unref(&config);
    if (timeout > operation->timeout)
        timeout = operation->timeout;
    lock_acquire(&operation->lock);
    if (target->stalled && timeout > STALLED_SECONDS)
        timeout = STALLED_SECONDS;
    lock_release(&operation->lock);
    send(target, PHASE_LOOK, "supervisor.getProcessInfo", timeout);
}

/* The deadline of one call passed: it may just be slow. Look whether it is on its way. */
static void look_after(struct target *target, bool awaiting)
{
    lock_acquire(&target->operation->lock);
    target->awaiting = awaiting;
    lock_release(&target->operation->lock);
    target_look(target);
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
        target_finish(target, abort, operation_abort_detail(abort));
        return;
    }
    if (first)
        operation_publish(operation, false);
    target_arm(target, WATCH_SECONDS);
}

/* How the process was found stopped decides what a restart that goes wrong has to answer for. The
 * start gets its own time: a slow stop must not leave the process stopped. */
static void stopped(struct target *target, bool by_us)
{
    struct operation *operation = target->operation;
    struct config *config = config_get(operation->operations->config);
    int64_t deadline = clock_after(config->timeouts.start);

    config_unref(&config);
    if (operation->action != OPERATION_RESTART) {
        target_finish(target, CESID_OK, "");
        return;
    }
    lock_acquire(&operation->lock);
    target->stop_asked = false;
    target->stopped = by_us;
    if (target->deadline < deadline)
        target->deadline = deadline;
    lock_release(&operation->lock);
    send_start(target);
}

static void keep_fault(struct target *target, int64_t code, const char *text)
{
    lock_acquire(&target->operation->lock);
    target->outcome.fault_code = code;
    snprintf(target->outcome.fault_text, sizeof(target->outcome.fault_text), "%s", text);
    lock_release(&target->operation->lock);
}

/* Whether the node refused, or was never asked. */
static bool never_arrived(const struct supervisor_result *result)
{
    return result->answer.fault || result->cause == RPC_CAUSE_REFUSED ||
           result->cause == RPC_CAUSE_DNS || result->cause == RPC_CAUSE_TLS ||
           result->cause == RPC_CAUSE_UNAUTHORIZED || result->cause == RPC_CAUSE_PERMISSION ||
           result->cause == RPC_CAUSE_NO_RPC_INTERFACE;
}

static void after_stop(struct target *target, const struct supervisor_result *result)
{
    const struct operation *operation = target->operation;

    if (never_arrived(result))
        had_no_effect(target, PHASE_STOP);
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

    if (never_arrived(result))
        had_no_effect(target, PHASE_START);
    if (result->error == CESID_OK)
        target_finish(target, CESID_OK, "");
    else if (result->error == CESID_E_ALREADY_STARTED &&
             (operation->action == OPERATION_RESTART || operation->skip_settled))
        target_finish(target, CESID_OK, "was running already");
    else if (result->error == CESID_E_NODE_TIMEOUT)
        look_after(target, true);
    else
        target_finish(target, result->error, result->detail);
}

/* A start was waited for, and the process is neither running nor starting any more. */
static void start_failed(struct target *target, const char *detail)
{
    had_no_effect(target, PHASE_START);
    keep_fault(target, FAULT_ABNORMAL_TERMINATION, detail);
    target_finish(target, CESID_E_NODE_FAULT, detail);
}

static bool is_stopped(int statecode)
{
    return statecode != PROCESS_RUNNING && statecode != PROCESS_STARTING &&
           statecode != PROCESS_BACKOFF && statecode != PROCESS_STOPPING;
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
    if (target->awaiting && process.statecode == PROCESS_RUNNING) {
        target_finish(target, CESID_OK, "");
    } else if (target->awaiting && process.statecode == PROCESS_STARTING) {
        watch(target, "still starting");
    } else if (target->awaiting) {
        start_failed(target, detail);
    } else if (process.statecode == PROCESS_STOPPING) {
        watch(target, "still stopping");
    } else if (is_stopped(process.statecode)) {
        stopped(target, true);
    } else {
        had_no_effect(target, PHASE_STOP);
        target_finish(target, CESID_E_OPERATION_TIMEOUT, detail);
    }
}

/* What the call says about the node. A slow process is not a failing node: that shows when it is
 * looked at. */
static void report(struct target *target, enum phase phase, const struct supervisor_result *result)
{
    struct config *config;
    struct breaker_settings breaker;

    if (result->error == CESID_E_NODE_TIMEOUT && (phase == PHASE_START || phase == PHASE_STOP))
        return;
    config = config_get(target->operation->operations->config);
    breaker = (struct breaker_settings){config->breaker.failures, config->breaker.open_min,
                                        config->breaker.open_max};
    config_unref(&config);
    lock_acquire(&target->operation->lock);
    target->probing = false;
    lock_release(&target->operation->lock);
    node_breaker_report(target->node, result->error, &breaker);
}

/* The call was cancelled: by an abort, by us because the node does not answer, or by the engine. */
static void cut_short(struct target *target, int error, int abort, bool given_up)
{
    if (abort != CESID_OK)
        target_finish(target, abort, operation_abort_detail(abort));
    else if (given_up)
        target_finish(target, CESID_E_NODE_TIMEOUT, "the node does not answer any more");
    else
        target_finish(target, error, operation_abort_detail(error));
}

static void step_done(void *argument, struct supervisor_result *result)
{
    struct target *target = argument;
    struct operation *operation = target->operation;
    struct rpc_call *call;
    enum phase phase;
    bool given_up;
    int abort;

    lock_acquire(&operation->lock);
    phase = target->phase;
    call = target->call;
    target->call = NULL;
    target->step++;
    abort = operation->abort_error;
    given_up = target->given_up;
    lock_release(&operation->lock);
    rpc_call_unref(&call);

    report(target, phase, result);
    if (result->answer.fault)
        keep_fault(target, result->answer.fault_code, result->answer.fault_text);
    if (result->error == CESID_E_CANCELLED || result->error == CESID_E_SHUTTING_DOWN)
        cut_short(target, result->error, abort, given_up);
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
