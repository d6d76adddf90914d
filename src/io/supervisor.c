/*
 * Calls to supervisord: requests, answers, faults. See supervisor.h. supervisor_submit's callback
 * runs on a loop thread; supervisor_wait blocks its caller, which must hold no lock. The one lock
 * here is LOCK_CALL, of a waiter on its stack.
 *
 * A waiter never leaves before its callback has run: the callback's argument is on its stack. The
 * engine ends every call at its deadline or soon after a cancel, so that this is no wait for ever.
 */
#include "cesid/supervisor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/memory.h"
#include "cesid/text.h"
#include "supervisor_internal.h"

#define BODY_MAX ((size_t) 8 * 1024 * 1024)
/* getAllConfigInfo, the largest record, has 40 members a process. */
#define VALUES_A_PROCESS 64
#define VALUES_BESIDES   1024
#define DEPTH_MAX        8

#define CANCEL_INTERVAL (CLOCK_SECOND / 10)
#define DEADLINE_GRACE  CLOCK_SECOND

void supervisor_result_free(struct supervisor_result *result)
{
    xmlrpc_answer_free(&result->answer);
}

/* Copies at most what fits, never half a character. */
static void set_detail(struct supervisor_result *result, const char *text)
{
    size_t length = strnlen(text, sizeof(result->detail) - 1);
    if (text[length] != '\0')
        length = text_utf8_complete(text, length);
    memcpy(result->detail, text, length);
    result->detail[length] = '\0';
}

void supervisor_result_error(struct supervisor_result *result, int error, const char *detail)
{
    result->error = error;
    set_detail(result, detail);
}

void supervisor_result_fault(struct supervisor_result *result, int64_t code, const char *text)
{
    result->answer.fault = true;
    result->answer.fault_code = code;
    result->answer.fault_text = text;
    switch (code) {
    case FAULT_ALREADY_STARTED:
        result->error = CESID_E_ALREADY_STARTED;
        break;
    case FAULT_NOT_RUNNING:
        result->error = CESID_E_NOT_RUNNING;
        break;
    case FAULT_BAD_NAME:
        result->error = CESID_E_NOT_FOUND;
        break;
    default:
        result->error = CESID_E_NODE_FAULT;
        break;
    }
    set_detail(result, text);
}

/* Methods that may answer later than at once (rpcinterface.py: they return a function): their
 * answers count characters in Content-Length where bytes are meant. */
static bool is_deferred(const char *method)
{
    static const char *const methods[] = {
        "supervisor.startProcess",        "supervisor.startProcessGroup",
        "supervisor.startAllProcesses",   "supervisor.stopProcess",
        "supervisor.stopProcessGroup",    "supervisor.stopAllProcesses",
        "supervisor.clearAllProcessLogs",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(methods); i++)
        if (strcmp(methods[i], method) == 0)
            return true;
    return false;
}

void supervisor_call_init(struct supervisor_call *call, const char *method,
                          const struct config *config, double timeout)
{
    *call = (struct supervisor_call){
        .answer_max = (size_t) config->refresh.answer_max,
        .values_max = (size_t) config->refresh.processes_max * VALUES_A_PROCESS + VALUES_BESIDES,
        .deferred = is_deferred(method),
        .deadline = clock_after(timeout),
        .connect_timeout = config->timeouts.connect,
    };
    strbuf_init(&call->body, BODY_MAX);
    xmlrpc_call_begin(&call->body, method);
}

void supervisor_call_destroy(struct supervisor_call *call)
{
    strbuf_destroy(&call->body);
}

/* What a submitted call needs until its end. */
struct job {
    void (*done)(void *argument, struct supervisor_result *result);
    bool (*familiar)(void *argument, const char *body, size_t length);
    void *argument;
    size_t values_max;
};

static void read_answer(struct supervisor_result *result, const struct rpc_result *transport,
                        size_t values_max)
{
    const struct xmlrpc_limits limits = {.values = values_max, .depth = DEPTH_MAX};
    const char *why;
    if (xmlrpc_parse(transport->body, transport->body_length, &limits, &result->answer, &why) < 0) {
        result->error = CESID_E_NODE_PROTOCOL;
        result->cause = RPC_CAUSE_PROTOCOL;
        snprintf(result->detail, sizeof(result->detail), "The answer cannot be read: %s.", why);
    } else if (result->answer.fault) {
        supervisor_result_fault(result, result->answer.fault_code, result->answer.fault_text);
    }
}

static void on_done(void *argument, const struct rpc_result *transport)
{
    struct job *job = argument;
    struct supervisor_result result = {
        .error = transport->error,
        .cause = transport->cause,
        .status = transport->status,
        .duration = transport->duration,
    };
    if (result.error != 0)
        set_detail(&result, transport->detail);
    else if (job->familiar != NULL &&
             job->familiar(job->argument, transport->body, transport->body_length))
        result.familiar = true;
    else
        read_answer(&result, transport, job->values_max);
    job->done(job->argument, &result);
    supervisor_result_free(&result);
    free(job);
}

int supervisor_submit(struct rpc_endpoint *endpoint, struct supervisor_call *call,
                      void (*done)(void *argument, struct supervisor_result *result),
                      void *argument, struct rpc_call **handle)
{
    if (!call->ended) {
        xmlrpc_call_end(&call->body);
        call->ended = true;
    }
    if (strbuf_failed(&call->body))
        return CESID_E_BODY_TOO_LARGE;
    struct job *job = mem_alloc(sizeof(*job));
    *job = (struct job){.done = done,
                        .familiar = call->familiar,
                        .argument = argument,
                        .values_max = call->values_max};
    const struct rpc_request request = {
        .method = "POST",
        .body = call->body.data,
        .body_length = call->body.length,
        .answer_max = call->answer_max,
        .deadline = call->deadline,
        .connect_timeout = call->connect_timeout,
        .deferred = call->deferred,
        .done = on_done,
        .argument = job,
    };
    int error = rpc_submit(endpoint, &request, handle);
    if (error < 0)
        free(job);
    return error;
}

struct waiter {
    struct lock lock;
    struct cond cond;
    /* guarded by lock */
    bool done;
    struct supervisor_result *result;
};

static void on_wait_done(void *argument, struct supervisor_result *result)
{
    struct waiter *waiter = argument;
    lock_acquire(&waiter->lock);
    *waiter->result = *result;
    result->answer = (struct xmlrpc_answer){.fault = false}; /* it moved */
    waiter->done = true;
    cond_signal(&waiter->cond);
    lock_release(&waiter->lock);
}

/* Waits until the callback has run. Whether it was us who gave up for lateness. */
static bool wait_for_end(struct waiter *waiter, struct rpc_call *handle, int64_t deadline,
                         bool (*cancelled)(void *argument), void *argument)
{
    bool gave_up = false, late = false;
    int64_t limit =
        deadline < CLOCK_NEVER - DEADLINE_GRACE ? deadline + DEADLINE_GRACE : CLOCK_NEVER;
    lock_acquire(&waiter->lock);
    while (!waiter->done) {
        if (gave_up) {
            cond_wait(&waiter->cond, &waiter->lock);
            continue;
        }
        int64_t until = limit;
        if (cancelled != NULL && clock_now() < limit - CANCEL_INTERVAL)
            until = clock_now() + CANCEL_INTERVAL;
        if (cond_wait_until(&waiter->cond, &waiter->lock, until))
            continue;
        lock_release(&waiter->lock);
        late = clock_now() >= limit;
        gave_up = late || (cancelled != NULL && cancelled(argument));
        if (gave_up)
            rpc_call_cancel(handle);
        lock_acquire(&waiter->lock);
    }
    lock_release(&waiter->lock);
    return late;
}

int supervisor_wait(struct rpc_endpoint *endpoint, struct supervisor_call *call,
                    bool (*cancelled)(void *argument), void *argument,
                    struct supervisor_result *result)
{
    lock_assert_none_held();
    *result = (struct supervisor_result){.error = 0};
    if (cancelled != NULL && cancelled(argument)) {
        supervisor_result_error(result, CESID_E_CANCELLED, "The call was cancelled.");
        return result->error;
    }
    struct waiter waiter = {.result = result};
    lock_init(&waiter.lock, LOCK_CALL);
    cond_init(&waiter.cond);
    struct rpc_call *handle = NULL;
    int error = supervisor_submit(endpoint, call, on_wait_done, &waiter, &handle);
    if (error < 0) {
        supervisor_result_error(result, error, error_title(error));
    } else {
        bool late = wait_for_end(&waiter, handle, call->deadline, cancelled, argument);
        rpc_call_unref(&handle);
        if (late && result->error == CESID_E_CANCELLED) {
            supervisor_result_error(result, CESID_E_NODE_TIMEOUT,
                                    "The node did not answer in time.");
            result->cause = RPC_CAUSE_TIMEOUT;
        }
    }
    cond_destroy(&waiter.cond);
    lock_destroy(&waiter.lock);
    return result->error;
}
