/*
 * One target of an operation from its turn to its result, and the pump that keeps as many of them
 * going as may be. What is asked of the node in between is operation_step.c. Each step holds a
 * reference of the operation; a step that comes too late finds the target finished and does
 * nothing. Lock: LOCK_OPERATION, never held across a call.
 *
 * A call that waits for a process to start and one to a node that hangs look alike. So while a call
 * is under way the node is polled now and then; when it does not answer, the target counts no
 * longer against the operation's parallelism, and when the breaker opens, it is given up.
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

#define TICK_SECONDS 1.0
#define PING_SECONDS 5.0 /* between two polls on behalf of one call */

/* Once: of those who come later, the result of the poll or the abort, one finds it done. */
static void complete(struct target *target)
{
    struct operation *operation = target->operation;
    bool first;

    lock_acquire(&operation->lock);
    first = target->phase != PHASE_DONE;
    if (first) {
        target->phase = PHASE_DONE;
        target->outcome.finished = true;
        operation->running--;
        operation->stalled -= target->stalled;
        target->stalled = false;
        if (target->outcome.error == CESID_OK)
            operation->succeeded++;
        else
            operation->failed++;
        cond_broadcast(&operation->changed);
    }
    lock_release(&operation->lock);
    if (!first)
        return;
    operation_publish(operation, false);
    operation_pump(operation);
    operation_unref(&operation);
}

static void refreshed(void *argument, int error)
{
    struct target *target = argument;
    struct operation *operation = target->operation;

    (void) error; /* the result stands; a failed poll shows at the node */
    complete(target);
    operation_unref(&operation);
}

/* Whether the node answered at all: then it is worth waiting for its new state. */
static bool node_answered(int error)
{
    return error != CESID_E_NODE_TIMEOUT && error != CESID_E_NODE_UNREACHABLE &&
           error != CESID_E_NODE_UNAUTHORIZED && error != CESID_E_NODE_PROTOCOL &&
           error != CESID_E_NODE_CIRCUIT_OPEN && error != CESID_E_SHUTTING_DOWN &&
           error != CESID_E_CANCELLED && error != CESID_E_OPERATION_TIMEOUT;
}

/* What a restart that failed has left behind, or NULL. */
static const char *left_behind_locked(const struct target *target)
{
    if (target->stopped && target->start_asked)
        return "the process was stopped, and it is not known whether it was started again";
    if (target->stopped)
        return "the process was stopped and not started again";
    if (target->stop_asked)
        return "the process may have been stopped";
    return NULL;
}

static void set_outcome_locked(struct target *target, int error, const char *detail)
{
    struct operation_outcome *outcome = &target->outcome;
    const char *left = error != CESID_OK ? left_behind_locked(target) : NULL;

    target->phase = PHASE_REFRESH;
    target->holds_turn = false;
    outcome->error = error;
    if (left != NULL) { /* that first: a long detail must not cut it off */
        size_t length = strlen(detail), most = sizeof(outcome->detail) - strlen(left) - 3;
        length -= length > 0 && detail[length - 1] == '.';
        snprintf(outcome->detail, sizeof(outcome->detail), "%.*s; %s",
                 (int) (length < most ? length : most), detail, left);
    } else
        snprintf(outcome->detail, sizeof(outcome->detail), "%s", detail);
    if (target->started_at != 0)
        target->duration = clock_seconds_since(target->started_at);
}

void target_finish(struct target *target, int error, const char *detail)
{
    struct operation *operation = target->operation;
    struct refresh *refresh = operation->operations->refresh;
    bool first, begun, asked, holds_turn, probing;
    char said[sizeof(target->outcome.detail)];

    lock_acquire(&operation->lock);
    first = target->phase < PHASE_REFRESH;
    begun = target->phase > PHASE_QUEUED;
    asked = target->phase >= PHASE_STOP;
    holds_turn = target->holds_turn;
    probing = target->probing;
    if (first) {
        target->probing = false;
        set_outcome_locked(target, error, detail);
        memcpy(said, target->outcome.detail, sizeof(said));
    }
    lock_release(&operation->lock);
    if (!first)
        return;
    if (error != CESID_OK && begun) {
        struct log_context context = operation->context;

        log_swap(&context);
        log_warning("operation", "action failed", log_s("operation", operation->id),
                    log_s("node", node_name(target->node)), log_s("process", target->process),
                    log_s("code", error_code(error)), log_s("detail", said));
        log_swap(&context);
    }
    if (probing)
        node_breaker_report(target->node, CESID_E_CANCELLED, &(struct breaker_settings){0});
    target_clear_timer(target);
    if (holds_turn)
        turn_give(target);
    if (asked && node_answered(error)) {
        operation_ref(operation); /* of the poll */
        refresh_now(refresh, target->node, refreshed, target);
        return;
    }
    if (asked)
        refresh_now(refresh, target->node, NULL, NULL);
    complete(target);
}

const char *operation_abort_detail(int error)
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

static enum phase phase_of(struct target *target)
{
    enum phase phase;

    lock_acquire(&target->operation->lock);
    phase = target->phase;
    lock_release(&target->operation->lock);
    return phase;
}

void target_arm(struct target *target, double seconds)
{
    target_set_timer(target, clock_after(seconds));
    if (phase_of(target) >= PHASE_REFRESH) /* it ended meanwhile, and cleared too early */
        target_clear_timer(target);
}

static void begin(struct target *target)
{
    struct operation *operation = target->operation;
    int abort;

    lock_acquire(&operation->lock);
    target->phase = PHASE_TURN;
    target->started_at = clock_now();
    lock_release(&operation->lock);
    if (turn_take(target)) {
        target_got_turn(target);
        return;
    }
    target_arm(target, operation->timeout);
    abort = abort_error(operation);
    if (abort != CESID_OK && turn_leave(target))
        target_finish(target, abort, operation_abort_detail(abort));
}

/* Asks the breaker; whoever is granted its probe owes it a report. */
static bool is_allowed(struct target *target)
{
    struct operation *operation = target->operation;
    double retry_after;
    bool allowed;

    if (operation->force)
        return true;
    allowed = node_breaker_allow(target->node);
    retry_after = node_breaker_retry_after(target->node);
    lock_acquire(&operation->lock);
    target->probing = allowed;
    if (!allowed)
        target->outcome.retry_after = retry_after > 0 ? retry_after : 1.0;
    lock_release(&operation->lock);
    return allowed;
}

void target_got_turn(struct target *target)
{
    struct operation *operation = operation_ref(target->operation);

    target_clear_timer(target);
    lock_acquire(&operation->lock);
    target->holds_turn = true;
    target->deadline = clock_after(operation->timeout);
    lock_release(&operation->lock);
    if (node_removed(target->node))
        target_finish(target, CESID_E_NOT_FOUND, "the node was removed");
    else if (!is_allowed(target))
        target_finish(target, CESID_E_NODE_CIRCUIT_OPEN,
                      "the node failed repeatedly and is not tried before its next probe");
    else
        target_act(target);
    operation_unref(&operation);
}

static bool is_waiting_for_node(enum phase phase)
{
    return phase >= PHASE_STOP && phase <= PHASE_WATCH;
}

static void pinged(void *argument, int error)
{
    struct target *target = argument;
    struct operation *operation = target->operation;
    bool stalled = false;

    lock_acquire(&operation->lock);
    target->pinging = false;
    if (is_waiting_for_node(target->phase)) {
        stalled = error != CESID_OK;
        operation->stalled += stalled;
        operation->stalled -= target->stalled;
        target->stalled = stalled;
    }
    lock_release(&operation->lock);
    if (stalled)
        operation_pump(operation);
    operation_unref(&operation);
}

/* A second more has passed since the node was asked. */
static void tick(struct target *target)
{
    struct operation *operation = target->operation;
    bool open = node_breaker_retry_after(target->node) > 0;
    bool ping = false, pump = false;

    lock_acquire(&operation->lock);
    if (target->pinging && !target->stalled) {
        target->stalled = pump = true;
        operation->stalled++;
    } else if (!target->pinging && clock_now() >= target->next_ping) {
        target->pinging = ping = true;
        target->next_ping = clock_after(PING_SECONDS);
    }
    if (target->stalled && open && !operation->force && target->call != NULL) {
        target->given_up = true;
        rpc_call_cancel(target->call);
    }
    lock_release(&operation->lock);
    if (ping) {
        operation_ref(operation); /* of the poll */
        refresh_now(operation->operations->refresh, target->node, pinged, target);
    }
    if (pump)
        operation_pump(operation);
    target_arm(target, TICK_SECONDS);
}

void target_timer(struct target *target)
{
    switch (phase_of(target)) {
    case PHASE_TURN:
        if (turn_leave(target))
            target_finish(
                target, CESID_E_CONFLICT,
                "another operation is working on this process; try again when it has ended");
        break;
    case PHASE_STOP:
    case PHASE_START:
    case PHASE_SEND:
        tick(target);
        break;
    case PHASE_WATCH:
        target_look(target);
        break;
    case PHASE_QUEUED:
    case PHASE_LOOK:
    case PHASE_REFRESH:
    case PHASE_DONE:
        break;
    }
}

static bool may_begin_locked(const struct operation *operation)
{
    return operation->next < operation->total &&
           (operation->running - operation->stalled < (size_t) operation->parallelism ||
            operation->abort_error != CESID_OK);
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
        while (may_begin_locked(operation)) {
            struct target *target = &operation->targets[operation->next++];
            int abort = operation->abort_error;

            operation->running++;
            lock_release(&operation->lock);
            operation_ref(operation); /* of the target, until it is complete */
            if (abort != CESID_OK)
                target_finish(target, abort, operation_abort_detail(abort));
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

static void abort_target(struct target *target, int error)
{
    enum phase phase = phase_of(target);

    /* Those with a call under way end with it. */
    if ((phase == PHASE_TURN && turn_leave(target)) || phase == PHASE_WATCH)
        target_finish(target, error, operation_abort_detail(error));
    else if (phase == PHASE_REFRESH)
        complete(target); /* the result stands, and nobody shall wait for the poll */
}

void operation_abort(struct operation *operation, int error)
{
    bool first;

    lock_acquire(&operation->lock);
    first = operation->abort_error == CESID_OK && operation->finished_at == 0;
    if (first) {
        operation->abort_error = error;
        for (size_t i = 0; i < operation->targets_count; i++)
            if (operation->targets[i].call != NULL)
                rpc_call_cancel(operation->targets[i].call);
    }
    lock_release(&operation->lock);
    if (!first)
        return;
    for (size_t i = 0; i < operation->targets_count; i++)
        abort_target(&operation->targets[i], error);
    operation_pump(operation);
}
