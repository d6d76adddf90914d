/*
 * `update` in steps. See updating.h. CivetWeb's workers; no locks of its own.
 *
 * A group between its stop and its return is an outage. So nobody's patience ends it: not the
 * caller's, not timeouts.stop, which a process with a long stopwaitsecs outlasts in good health.
 * What ends it is a node that does not answer its polls either, and a cesid that must go.
 */
#include "cesid/updating.h"

#include <stdio.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/log.h"
#include "cesid/refresh.h"
#include "cesid/serving.h"

struct update {
    struct request *request;
    int64_t deadline;
    size_t groups, failed;
    bool lost;       /* the node, and with it the groups that follow */
    int error;       /* of the first group that failed */
    char first[400]; /* what there is to say of it */
};

enum step { STOP, TAKE_OUT, PUT_IN, STEPS };

static const char *const methods[STEPS] = {
    [STOP] = "supervisor.stopProcessGroup",
    [TAKE_OUT] = "supervisor.removeProcessGroup",
    [PUT_IN] = "supervisor.addProcessGroup",
};

static bool given_up(void *argument)
{
    struct request *request = ((struct update *) argument)->request;
    return atomic_load(&request->serving->state) >= SERVER_CUTTING ||
           node_breaker_retry_after(request->node) > 0;
}

/* Somebody else was faster. */
static bool is_so_already(enum step step, const struct supervisor_result *result)
{
    return result->answer.fault &&
           result->answer.fault_code == (step == PUT_IN ? FAULT_ALREADY_ADDED : FAULT_BAD_NAME);
}

/* stopProcessGroup succeeds although a process does not stop: its answer says so, one by one. */
static int judge_stop(const struct supervisor_result *result, char *detail, size_t size)
{
    const struct xmlrpc_value *list = result->answer.value;
    if (list->type != XMLRPC_ARRAY)
        return CESID_E_NODE_PROTOCOL;
    for (const struct xmlrpc_value *one = list->as.items.first; one != NULL; one = one->next) {
        const struct xmlrpc_value *status = xmlrpc_member(one, "status");
        const struct xmlrpc_value *name = xmlrpc_member(one, "name");
        if (status == NULL || status->type != XMLRPC_INT || name == NULL ||
            name->type != XMLRPC_STRING)
            return CESID_E_NODE_PROTOCOL;
        int64_t code = status->as.integer;
        if (code == FAULT_SUCCESS || code == FAULT_NOT_RUNNING || code == FAULT_BAD_NAME)
            continue;
        (void) snprintf(detail, size, "%s does not stop: %s", name->as.string.data,
                        supervisor_fault_name(code));
        return CESID_E_NODE_FAULT;
    }
    return 0;
}

static int call(struct update *update, enum step step, const char *group, char *detail, size_t size)
{
    struct request *request = update->request;
    struct node_settings *settings = node_settings(request->node);
    double left = (double) (update->deadline - clock_now()) / (double) CLOCK_SECOND;
    struct supervisor_call call;
    struct supervisor_result result = {0};
    int error = CESID_E_OPERATION_TIMEOUT;
    if (settings->endpoint == NULL) {
        error = CESID_E_CONFLICT;
        (void) snprintf(detail, size, "the node was disabled");
    } else if (left > 0) {
        double usual = request->config->timeouts.config;
        supervisor_call_init(&call, methods[step], request->config,
                             step == STOP || usual > left ? left : usual);
        xmlrpc_add_string(&call.body, group, strlen(group));
        error = supervisor_wait(settings->endpoint, &call, given_up, update, &result);
        supervisor_call_destroy(&call);
        if (step != STOP || error != CESID_E_NODE_TIMEOUT)
            request_node_report(request, error);
        (void) snprintf(detail, size, "%s", result.detail);
        if (is_so_already(step, &result))
            error = 0;
        else if (error == 0 && step == STOP)
            error = judge_stop(&result, detail, size);
        else if (error == CESID_E_CANCELLED && node_breaker_retry_after(request->node) > 0)
            error = CESID_E_NODE_TIMEOUT;
        update->lost = error != 0 && !result.answer.fault && error != CESID_E_NODE_FAULT;
        if (result.answer.fault && error != 0 && update->failed == 0)
            problem_fault(&request->problem, result.answer.fault_code, result.answer.fault_text);
    }
    if (error != 0 && detail[0] == '\0')
        (void) snprintf(detail, size, "%s", error_title(error));
    supervisor_result_free(&result);
    node_settings_unref(&settings);
    return error;
}

static void failed(struct update *update, const char *group, int error, const char *detail,
                   const char *left)
{
    log_warning("http", "a group was not updated", log_s("node", node_name(update->request->node)),
                log_s("group", group), log_s("code", error_code(error)), log_s("detail", detail),
                log_s("left", left));
    if (update->failed++ > 0)
        return;
    update->error = error;
    /* How it was left first: a long detail must not cut it off. */
    (void) snprintf(update->first, sizeof(update->first), "%.100s %s: %s", group, left, detail);
}

static void one(struct update *update, const struct xmlrpc_value *name, enum step from,
                enum step until)
{
    static const char *const left[STEPS] = {
        [STOP] = "may have been stopped, and is not started again",
        [TAKE_OUT] = "was stopped, and neither taken out nor started again",
        [PUT_IN] = "is not there",
    };
    char detail[300] = "";
    update->groups++;
    if (name->type != XMLRPC_STRING) {
        failed(update, "", CESID_E_NODE_PROTOCOL, "the name of a group is none", "is unknown");
        return;
    }
    const char *group = name->as.string.data;
    if (update->lost) {
        failed(update, group, update->error, "the node was lost before", "was not touched");
        return;
    }
    for (enum step step = from; step <= until; step++) {
        int error = call(update, step, group, detail, sizeof(detail));
        if (error != 0) {
            failed(update, group, error, detail, left[step]);
            return;
        }
    }
}

static void all(struct update *update, const struct xmlrpc_value *names, enum step from,
                enum step until)
{
    for (const struct xmlrpc_value *name = names->as.items.first; name != NULL; name = name->next)
        one(update, name, from, until);
}

int updating_run(struct request *request, const struct updating_changes *changes)
{
    struct update update = {.request = request,
                            .deadline = clock_after(request->config->timeouts.batch)};
    all(&update, changes->removed, STOP, TAKE_OUT);
    all(&update, changes->changed, STOP, PUT_IN);
    all(&update, changes->added, PUT_IN, PUT_IN);
    /* Who hears of it finds what is new. A poll that fails shows at the node. */
    if (update.groups == 0 || update.lost)
        refresh_now(request->context->refresh, request->node, NULL, NULL);
    else if (refresh_wait(request->context->refresh, request->node,
                          clock_after(request->config->timeouts.refresh)) != CESID_OK)
        log_debug("http", "no poll after an update", log_s("node", node_name(request->node)));
    if (update.failed > 0)
        problem_detail(&request->problem, "%zu of %zu groups failed. %s", update.failed,
                       update.groups, update.first);
    return update.error;
}
