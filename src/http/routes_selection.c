/*
 * POST /operations: an action on everything that a selection covers. Each criterion that is given
 * must hold; within one, any of its globs, but every label. CivetWeb's workers; the selection is
 * made from references and holds no lock.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/acting.h"
#include "cesid/fields.h"
#include "cesid/fleet.h"
#include "cesid/memory.h"
#include "cesid/routes.h"
#include "cesid/text.h"

struct selected {
    const struct fleet_node *node;
    const struct process_view *process;
};

/* Borrows everything from the fleet. */
struct selection {
    struct selected *items; /* by node, then by process */
    size_t count, capacity;
    const char *denied[PROBLEM_FIELDS_MAX]; /* environments that match and may not be acted on */
    size_t denied_count;
};

static const char *const criteria[] = {"select.environments", "select.nodes",     "select.labels",
                                       "select.groups",       "select.processes", "select.states"};

/* Whether one of the field's globs matches; a field that is absent or empty asks for nothing. */
static bool admits(const struct request *request, const char *field, const char *text)
{
    size_t count;
    char *const *globs = request_items(request, field, &count);
    for (size_t i = 0; i < count; i++)
        if (text_glob(globs[i], text))
            return true;
    return count == 0;
}

static bool has_label(const struct config_node *config, const char *glob)
{
    bool found = false;
    for (size_t i = 0; i < config->labels_count && !found; i++) {
        struct strbuf label;
        strbuf_init(&label, 8192);
        strbuf_printf(&label, "%s=%s", config->labels[i].key, config->labels[i].value);
        found = text_glob(glob, label.data);
        strbuf_destroy(&label);
    }
    return found;
}

static bool admits_node(const struct request *request, const struct fleet_node *one)
{
    const struct config_node *config = &one->view->settings->config;
    size_t count;
    char *const *labels = request_items(request, "select.labels", &count);
    if (one->view->state == NODE_DISABLED ||
        !admits(request, "select.environments", one->environment) ||
        !admits(request, "select.nodes", one->name))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!has_label(config, labels[i]))
            return false;
    return true;
}

/* A glob with a colon is for "group:name", one without for the name alone. */
static bool admits_name(const struct request *request, const struct process_view *process)
{
    size_t count;
    char *const *globs = request_items(request, "select.processes", &count);
    for (size_t i = 0; i < count; i++)
        if (text_glob(globs[i], strchr(globs[i], ':') != NULL ? process->id : process->name))
            return true;
    return count == 0;
}

static bool admits_process(const struct request *request, const struct process_view *process)
{
    size_t states;
    (void) request_items(request, "select.states", &states);
    return admits(request, "select.groups", process->group) && admits_name(request, process) &&
           (states == 0 ||
            request_admits(request, "select.states", process_state_name(process->statecode)));
}

static void deny(struct selection *selection, const char *environment)
{
    for (size_t i = 0; i < selection->denied_count; i++)
        if (strcmp(selection->denied[i], environment) == 0)
            return;
    if (selection->denied_count < ARRAY_LENGTH(selection->denied))
        selection->denied[selection->denied_count++] = environment;
}

static void add(struct selection *selection, const struct fleet_node *node,
                const struct process_view *process)
{
    if (selection->count == selection->capacity) {
        selection->capacity = selection->capacity == 0 ? 64 : 2 * selection->capacity;
        selection->items =
            mem_resize(selection->items, selection->capacity, sizeof(*selection->items));
    }
    selection->items[selection->count++] = (struct selected){node, process};
}

static void select_all(const struct request *request, const struct fleet *fleet,
                       struct selection *selection)
{
    for (size_t i = 0; i < fleet->count; i++) {
        const struct fleet_node *node = &fleet->nodes[i];
        if (!admits_node(request, node))
            continue;
        bool allowed = request_allows(request, PROCESS_CONTROL, node->environment);
        for (size_t j = 0; j < node->view->processes_count; j++) {
            const struct process_view *process = node->view->processes[j];
            if (!admits_process(request, process))
                continue;
            if (allowed)
                add(selection, node, process);
            else
                deny(selection, node->environment);
        }
    }
}

static int check_selection(struct request *request, const struct selection *selection)
{
    struct strbuf list;
    if (selection->denied_count > 0) {
        strbuf_init(&list, 300);
        for (size_t i = 0; i < selection->denied_count; i++)
            strbuf_printf(&list, "%s%s", i == 0 ? "" : ", ", selection->denied[i]);
        problem_detail(&request->problem,
                       "The selection covers processes in environments where you may not control "
                       "them: %s",
                       list.data);
        strbuf_destroy(&list);
        return CESID_E_FORBIDDEN;
    }
    if (selection->count == 0)
        problem_field(&request->problem, "select", "no_match", "matches no process");
    else if (selection->count > OPERATION_TARGETS_MAX)
        problem_field(&request->problem, "select", "out_of_range",
                      "matches %zu processes, and at most %d are allowed", selection->count,
                      OPERATION_TARGETS_MAX);
    return request->problem.fields_total > 0 ? CESID_E_VALIDATION_FAILED : 0;
}

/* Whether something of the selection is there; what is wrong in it has been said. */
static bool selects(const struct request *request)
{
    const struct problem *problem = &request->problem;
    for (size_t i = 0; i < problem->fields_count; i++)
        if (strcmp(problem->fields[i].field, "select") == 0 ||
            strncmp(problem->fields[i].field, "select.", strlen("select.")) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_LENGTH(criteria); i++) {
        size_t count;
        (void) request_items(request, criteria[i], &count);
        if (count > 0)
            return true;
    }
    return false;
}

static void check_fields(struct request *request)
{
    const char *action = request_text(request, "action");
    bool signal = request_has(request, "signal");
    if (!selects(request))
        problem_field(&request->problem, "select", "required",
                      "must name at least one of environments, nodes, labels, groups, processes "
                      "and states");
    if (action != NULL && strcmp(action, "signal") == 0 && !signal)
        problem_field(&request->problem, "signal", "required", "is required");
    if (action != NULL && strcmp(action, "signal") != 0 && signal)
        problem_field(&request->problem, "signal", "not_allowed", "belongs to the action signal");
}

static void preview(struct response *response, enum operation_action action,
                    const struct selection *selection)
{
    struct json *json = response_json(response);
    json_object(json);
    json_put_boolean(json, "dry_run", true);
    json_put_string(json, "action", operation_action_name(action));
    json_put_integer(json, "total", (int64_t) selection->count);
    json_key(json, "targets");
    json_array(json);
    for (size_t i = 0; i < selection->count; i++) {
        const struct selected *item = &selection->items[i];
        json_object(json);
        json_put_string(json, "node", item->node->name);
        json_put_string(json, "environment", item->node->environment);
        json_put_string(json, "process", item->process->id);
        json_put_string(json, "state", process_state_name(item->process->statecode));
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static int submit(struct request *request, struct response *response, enum operation_action action,
                  const struct selection *selection)
{
    struct operation *operation = NULL;
    struct operation_target *targets = mem_array(selection->count, sizeof(*targets));
    for (size_t i = 0; i < selection->count; i++)
        targets[i] = (struct operation_target){.node = selection->items[i].node->node,
                                               .process = selection->items[i].process->id};
    const struct operation_request wanted = {
        .action = action,
        .argument = request_text(request, "signal"),
        .targets = targets,
        .targets_count = selection->count,
        .parallelism = (int) request_integer(request, "parallelism"),
        .timeout = request_number(request, "timeout"),
        .batch_timeout = request_number(request, "batch_timeout"),
        .force = request_boolean(request, "force"),
        .skip_settled = true,
        .actor = request->session->user.username,
        .address = request->address,
        .request_id = request->id};
    int error = operations_submit(request->context->operations, &wanted, &operation);
    free(targets);
    if (error == 0)
        error = acting_answer(request, response, operation, 0, false);
    operation_unref(&operation);
    return error;
}

static int create(struct request *request, struct response *response)
{
    struct selection selection = {0};
    struct fleet fleet;
    enum operation_action action = OPERATION_START;
    CHECK(operation_action_parse(request_text(request, "action"), &action));
    fleet_open(&fleet, request, PROCESS_READ);
    select_all(request, &fleet, &selection);
    int error = check_selection(request, &selection);
    if (error == 0 && request_boolean(request, "dry_run"))
        preview(response, action, &selection);
    else if (error == 0)
        error = submit(request, response, action, &selection);
    free(selection.items);
    fleet_close(&fleet);
    return error;
}

#define GLOBS(what, longest, text)                                                                 \
    {                                                                                              \
        .name = (what), .place = FIELD_BODY, .type = FIELD_STRINGS, .format = FORMAT_GLOB,         \
        .maximum = (longest), .about = (text)                                                      \
    }

static const struct field create_fields[] = {
    {.name = "action",
     .place = FIELD_BODY,
     .required = true,
     .choices = "start|stop|restart|signal",
     .about = "what to do"},
    {.name = "signal",
     .place = FIELD_BODY,
     .choices = ACTING_SIGNALS,
     .about = "a signal's name without SIG; of the action signal"},
    GLOBS("select.environments", 64, "globs for environments"),
    GLOBS("select.nodes", 64, "globs for names of nodes"),
    {.name = "select.labels",
     .place = FIELD_BODY,
     .type = FIELD_STRINGS,
     .format = FORMAT_LABEL,
     .maximum = 512,
     .about = "key=glob; a node must have all of them"},
    GLOBS("select.groups", 256, "globs for groups of processes"),
    GLOBS("select.processes", 512, "globs for group:name, or for the name alone"),
    {.name = "select.states",
     .place = FIELD_BODY,
     .type = FIELD_STRINGS,
     .choices = "STOPPED|STARTING|RUNNING|BACKOFF|STOPPING|EXITED|FATAL|UNKNOWN",
     .about = "states of processes"},
    {.name = "parallelism",
     .place = FIELD_BODY,
     .type = FIELD_INTEGER,
     .minimum = 1,
     .maximum = 1000,
     .about = "how many at a time; default operations.parallelism"},
    {.name = "timeout",
     .place = FIELD_BODY,
     .type = FIELD_NUMBER,
     .minimum = 1,
     .maximum = 3600,
     .about = "seconds for one process; default that of the action"},
    {.name = "batch_timeout",
     .place = FIELD_BODY,
     .type = FIELD_NUMBER,
     .minimum = 1,
     .maximum = 86400,
     .about = "seconds for all of it; default timeouts.batch"},
    {.name = "dry_run",
     .place = FIELD_BODY,
     .type = FIELD_BOOLEAN,
     .default_value = "false",
     .about = "only say what would be acted on"},
    FIELD_FORCE,
};

static const struct route routes[] = {
    {.method = "POST",
     .path = "/api/v1/operations",
     .scope = ROUTE_FLEET,
     .permission = PROCESS_CONTROL,
     .handler = create,
     .check = check_fields,
     ROUTE_FIELDS(create_fields),
     .about = "Act on every process that a selection covers",
     .answers = "200:Operation|Preview 202:Operation",
     .action = "operation.create",
     .resource = "operation"},
};
const struct route_table routes_selections = {routes, ARRAY_LENGTH(routes)};
