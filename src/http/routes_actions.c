/*
 * Actions on processes: start, stop, restart, signal, stdin, and all of a node at once. Each is an
 * operation, waited for a while. CivetWeb's workers; no locks of its own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/acting.h"
#include "cesid/fields.h"
#include "cesid/memory.h"
#include "cesid/paging.h"
#include "cesid/routes.h"

/* Seconds; beyond the default of timeouts.signal, or which of the two is first would be chance. */
#define WAIT_SINGLE 10.5

/* "group:name" of what the path says. */
static void full_id(const struct request *request, char *id, size_t size)
{
    const char *text = request_text(request, "process");
    const struct process_view *process = node_view_process(request->view, text);
    if (process != NULL)
        (void) snprintf(id, size, "%s", process->id);
    else if (strchr(text, ':') != NULL)
        (void) snprintf(id, size, "%s", text);
    else
        (void) snprintf(id, size, "%s:%s", text, text);
}

/* what: the signal or the text for standard input; NULL for the other actions. */
static int one(struct request *request, struct response *response, enum operation_action action,
               const char *what)
{
    char id[1100];
    struct operation *operation = NULL;
    struct operation_target target = {.node = request->node, .process = id};
    full_id(request, id, sizeof(id));
    if (request->view->state == NODE_DISABLED) {
        problem_detail(&request->problem, "The node is disabled");
        return CESID_E_CONFLICT;
    }
    /* Of a node that is not up nobody knows what runs there: the node itself shall say. */
    if (request->view->state == NODE_UP && node_view_process(request->view, id) == NULL)
        return CESID_E_NOT_FOUND;
    struct operation_request wanted = {.action = action,
                                       .argument = what,
                                       .targets = &target,
                                       .targets_count = 1,
                                       .force = request_boolean(request, "force"),
                                       .actor = request->session->user.username,
                                       .address = request->address,
                                       .request_id = request->id};
    int error = operations_submit(request->context->operations, &wanted, &operation);
    if (error != 0)
        return error;
    error = acting_answer(request, response, operation, WAIT_SINGLE, true);
    operation_unref(&operation);
    return error;
}

static int start(struct request *request, struct response *response)
{
    return one(request, response, OPERATION_START, NULL);
}

static int stop(struct request *request, struct response *response)
{
    return one(request, response, OPERATION_STOP, NULL);
}

static int restart(struct request *request, struct response *response)
{
    return one(request, response, OPERATION_RESTART, NULL);
}

static int send_signal(struct request *request, struct response *response)
{
    return one(request, response, OPERATION_SIGNAL, request_text(request, "signal"));
}

static int send_stdin(struct request *request, struct response *response)
{
    return one(request, response, OPERATION_STDIN, request_text(request, "data"));
}

static int all(struct request *request, struct response *response, enum operation_action action)
{
    const struct node_view *view = request->view;
    struct operation *operation = NULL;
    size_t count = view->processes_count;
    if (view->state == NODE_DISABLED) {
        problem_detail(&request->problem, "The node is disabled");
        return CESID_E_CONFLICT;
    }
    if (count == 0 && view->state != NODE_UP)
        return CESID_E_NODE_UNREACHABLE;
    if (count == 0) {
        problem_detail(&request->problem, "The node has no processes");
        return CESID_E_CONFLICT;
    }
    struct operation_target *targets = mem_array(count, sizeof(*targets));
    for (size_t i = 0; i < count; i++)
        targets[i] =
            (struct operation_target){.node = request->node, .process = view->processes[i]->id};
    struct operation_request wanted = {.action = action,
                                       .targets = targets,
                                       .targets_count = count,
                                       .force = request_boolean(request, "force"),
                                       .skip_settled = true,
                                       .actor = request->session->user.username,
                                       .address = request->address,
                                       .request_id = request->id};
    int error = operations_submit(request->context->operations, &wanted, &operation);
    free(targets);
    if (error != 0)
        return error;
    error = acting_answer(request, response, operation, 0, false);
    operation_unref(&operation);
    return error;
}

static int start_all(struct request *request, struct response *response)
{
    return all(request, response, OPERATION_START);
}

static int stop_all(struct request *request, struct response *response)
{
    return all(request, response, OPERATION_STOP);
}

static int restart_all(struct request *request, struct response *response)
{
    return all(request, response, OPERATION_RESTART);
}

static const struct field process_fields[] = {FIELD_NODE_PATH, FIELD_PROCESS_PATH, FIELD_FORCE};
static const struct field signal_fields[] = {
    FIELD_NODE_PATH,
    FIELD_PROCESS_PATH,
    FIELD_FORCE,
    {.name = "signal",
     .place = FIELD_BODY,
     .required = true,
     .choices = ACTING_SIGNALS,
     .about = "a signal's name without SIG"},
};
static const struct field stdin_fields[] = {
    FIELD_NODE_PATH,
    FIELD_PROCESS_PATH,
    FIELD_FORCE,
    {.name = "data",
     .place = FIELD_BODY,
     .format = FORMAT_SECRET, /* it may hold a password, and is recorded nowhere */
     .required = true,
     .minimum = 1,
     .maximum = 65536,
     .about = "text for the process's standard input"},
};
static const struct field all_fields[] = {FIELD_NODE_PATH, FIELD_FORCE};

/* The failure of the one process is the answer. */
#define SINGLE "409 502"

#define ACTION(where, what, takes, does, on, text, may)                                            \
    {                                                                                              \
        .method = "POST", .path = "/api/v1/nodes/{node}/" where, .scope = ROUTE_NODE,              \
        .permission = PROCESS_CONTROL, .handler = (what), ROUTE_FIELDS(takes),                     \
        .answers = "200:Operation 202:Operation", .problems = (may), .about = (text),              \
        .action = (does), .resource = (on)                                                         \
    }

static const struct route routes[] = {
    ACTION("processes/{process}/start", start, process_fields, "process.start", "process",
           "Start a process", SINGLE),
    ACTION("processes/{process}/stop", stop, process_fields, "process.stop", "process",
           "Stop a process", SINGLE),
    ACTION("processes/{process}/restart", restart, process_fields, "process.restart", "process",
           "Stop and start a process", SINGLE),
    ACTION("processes/{process}/signal", send_signal, signal_fields, "process.signal", "process",
           "Send a signal", SINGLE),
    ACTION("processes/{process}/stdin", send_stdin, stdin_fields, "process.stdin", "process",
           "Write to standard input", SINGLE),
    ACTION("start-all", start_all, all_fields, "node.start_all", "node", "Start what does not run",
           "409"),
    ACTION("stop-all", stop_all, all_fields, "node.stop_all", "node", "Stop what runs", "409"),
    ACTION("restart-all", restart_all, all_fields, "node.restart_all", "node",
           "Restart every process", "409"),
};
const struct route_table routes_actions = {routes, ARRAY_LENGTH(routes)};
