/*
 * One poll: a chain of calls on the rpc loop threads, each started by the callback of the one
 * before. A node that is up is asked for its processes only; one that was not is first asked who it
 * is. What a clone of supervisord does not know (UNKNOWN_METHOD) is left out. LOCK_POLL guards what
 * a canceller needs: the call under way, which may end before its submission has returned.
 */
#include "refresh_poll.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"

enum step { STEP_STATE, STEP_VERSION, STEP_API, STEP_NAME, STEP_PROCESSES, STEPS };

static const char *const methods[STEPS] = {
    [STEP_STATE] = "supervisor.getState",
    [STEP_VERSION] = "supervisor.getSupervisorVersion",
    [STEP_API] = "supervisor.getAPIVersion",
    [STEP_NAME] = "supervisor.getIdentification",
    [STEP_PROCESSES] = "supervisor.getAllProcessInfo",
};

struct refresh_poll {
    /* immutable */
    struct node *node;
    struct node_settings *settings;
    struct config *config;
    void (*ended)(void *argument, int error);
    void *argument;
    bool forced;
    double timeout;
    int64_t started;

    atomic_int references; /* of the chain, and of a submission that has not returned */

    /* owned by the chain: one step at a time */
    enum step step;
    char *said[STEPS]; /* text answers */

    struct lock lock;
    /* guarded by lock */
    struct rpc_call *call;
    unsigned sequence; /* of the calls */
    bool cancelled;
};

static void release(struct refresh_poll *poll)
{
    if (atomic_fetch_sub(&poll->references, 1) > 1)
        return;
    for (int i = 0; i < STEPS; i++)
        free(poll->said[i]);
    CHECK(poll->call == NULL);
    lock_destroy(&poll->lock);
    config_unref(&poll->config);
    node_settings_unref(&poll->settings);
    node_unref(&poll->node);
    free(poll);
}

static void finish(struct refresh_poll *poll, int error)
{
    metrics_count(METRIC_REFRESH, error_code(error));
    metrics_observe(METRIC_REFRESH_DURATION, clock_seconds_since(poll->started), NULL);
    poll->ended(poll->argument, error);
    release(poll);
}

static int apply(struct refresh_poll *poll, int error, enum rpc_cause cause,
                 const struct xmlrpc_answer *answer, double latency)
{
    const struct config_breaker *breaker = &poll->config->breaker;
    struct node_poll found = {
        .endpoint = poll->settings->endpoint,
        .error = error,
        .cause = error == CESID_OK ? RPC_CAUSE_NONE : cause,
        .answer = error == CESID_OK ? answer : NULL,
        .latency = latency,
        .breaker = {breaker->failures, breaker->open_min, breaker->open_max},
        .supervisor_version = poll->said[STEP_VERSION],
        .api_version = poll->said[STEP_API],
        .identification = poll->said[STEP_NAME],
        .supervisor_state = poll->said[STEP_STATE],
    };

    return node_apply(poll->node, &found, poll->config->refresh.processes_max);
}

static void conclude(struct refresh_poll *poll, struct supervisor_result *result)
{
    enum rpc_cause cause = result->cause;
    int error = result->error;

    if (!node_reached_by(poll->node, poll->settings->endpoint)) {
        finish(poll, CESID_E_CANCELLED); /* the settings changed: this was somebody else */
        return;
    }
    if (error == CESID_E_CANCELLED || error == CESID_E_SHUTTING_DOWN) {
        node_breaker_report(poll->node, error, &(struct breaker_settings){0});
        finish(poll, error);
        return;
    }
    if (error != CESID_OK && result->answer.fault) {
        cause = supervisor_fault_cause(result->answer.fault_code);
        if (cause == RPC_CAUSE_NONE) {
            /* Alive, and about to go: what it told before still stands. */
            free(poll->said[STEP_STATE]);
            poll->said[STEP_STATE] = mem_string("SHUTDOWN");
            error = CESID_OK;
        } else {
            error = CESID_E_NODE_PROTOCOL;
        }
    }
    error = error == CESID_OK
                ? apply(poll, CESID_OK, RPC_CAUSE_NONE,
                        result->familiar || result->answer.fault ? NULL : &result->answer,
                        result->duration)
                : error;
    if (error != CESID_OK) {
        if (cause == RPC_CAUSE_NONE)
            cause = RPC_CAUSE_PROTOCOL;
        if (apply(poll, error, cause, NULL, 0) != CESID_OK)
            log_error("refresh", "could not record a failed poll",
                      log_s("node", node_name(poll->node)));
    }
    finish(poll, error);
}

static void next_step(struct refresh_poll *poll);

static void remember(struct refresh_poll *poll, const struct xmlrpc_answer *answer)
{
    const struct xmlrpc_value *value = answer->value;

    if (poll->step == STEP_STATE && value->type == XMLRPC_STRUCT)
        value = xmlrpc_member(value, "statename");
    if (value == NULL || value->type != XMLRPC_STRING || value->as.string.length > 128)
        return;
    poll->said[poll->step] = mem_string(value->as.string.data);
}

static void step_done(void *argument, struct supervisor_result *result)
{
    struct refresh_poll *poll = argument;
    struct rpc_call *call;

    lock_acquire(&poll->lock);
    call = poll->call;
    poll->call = NULL;
    poll->sequence++;
    lock_release(&poll->lock);
    rpc_call_unref(&call);

    if (poll->step == STEP_PROCESSES || (result->error != CESID_OK && !result->answer.fault)) {
        conclude(poll, result);
        return;
    }
    if (result->error == CESID_OK)
        remember(poll, &result->answer);
    poll->step++;
    next_step(poll);
}

static bool is_familiar(void *argument, const char *body, size_t length)
{
    const struct refresh_poll *poll = argument;

    return node_says_the_same(poll->node, body, length, poll->config->refresh.processes_max);
}

static void next_step(struct refresh_poll *poll)
{
    struct supervisor_call call;
    struct rpc_call *handle = NULL;
    unsigned sequence;
    bool cancelled;
    int error = CESID_E_CANCELLED;

    lock_acquire(&poll->lock);
    sequence = poll->sequence;
    cancelled = poll->cancelled;
    lock_release(&poll->lock);
    if (!cancelled) {
        atomic_fetch_add(&poll->references, 1);
        supervisor_call_init(&call, methods[poll->step], poll->config, poll->timeout);
        if (poll->step == STEP_PROCESSES)
            call.familiar = is_familiar;
        error = supervisor_submit(poll->settings->endpoint, &call, step_done, poll, &handle);
        supervisor_call_destroy(&call);
        lock_acquire(&poll->lock);
        if (error == CESID_OK && poll->sequence == sequence) {
            poll->call = handle;
            handle = NULL;
            if (poll->cancelled)
                rpc_call_cancel(poll->call);
        }
        lock_release(&poll->lock);
        rpc_call_unref(&handle);
        if (error == CESID_OK) {
            release(poll);
            return;
        }
        atomic_fetch_sub(&poll->references, 1); /* the chain's own is left */
    }
    struct supervisor_result result = {.error = error};
    conclude(poll, &result);
}

struct refresh_poll *refresh_poll_create(struct node *node, struct config_box *config, bool forced,
                                         double timeout, void (*ended)(void *argument, int error),
                                         void *argument)
{
    struct refresh_poll *poll = mem_alloc(sizeof(*poll));

    poll->node = node_ref(node);
    poll->settings = node_settings(node);
    poll->config = config_get(config);
    poll->forced = forced;
    poll->timeout = timeout;
    poll->started = clock_now();
    poll->ended = ended;
    poll->argument = argument;
    atomic_init(&poll->references, 1);
    lock_init(&poll->lock, LOCK_POLL);
    return poll;
}

void refresh_poll_start(struct refresh_poll *poll)
{
    struct node_view *view = node_view(poll->node);
    bool known = view->state == NODE_UP && view->supervisor_state != NULL &&
                 strcmp(view->supervisor_state, "RUNNING") == 0;

    node_view_unref(&view);
    poll->step = known ? STEP_PROCESSES : STEP_STATE;
    if (poll->settings->endpoint == NULL) {
        poll->ended(poll->argument, CESID_E_CONFLICT);
        release(poll); /* disabled: nothing is asked, and nothing counted */
    } else if (!node_breaker_allow(poll->node) && !poll->forced) {
        metrics_count(METRIC_REFRESH, error_code(CESID_E_NODE_CIRCUIT_OPEN));
        poll->ended(poll->argument, CESID_E_NODE_CIRCUIT_OPEN);
        release(poll); /* nothing took time: no duration */
    } else {
        next_step(poll);
    }
}

void refresh_poll_cancel(struct refresh_poll *poll)
{
    lock_acquire(&poll->lock);
    poll->cancelled = true;
    if (poll->call != NULL)
        rpc_call_cancel(poll->call);
    lock_release(&poll->lock);
}

bool refresh_poll_is_stale(const struct refresh_poll *poll)
{
    return !node_reached_by(poll->node, poll->settings->endpoint);
}
