/* The methods of supervisord that the fake has, after supervisor/rpcinterface.py 4.2.5. */
#include "rpc.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BAD_ARGUMENTS = 3,
    BAD_NAME = 10,
    BAD_SIGNAL = 11,
    ABNORMAL_TERMINATION = 40,
    SPAWN_ERROR = 50,
    ALREADY_STARTED = 60,
    NOT_RUNNING = 70,
    SUCCESS = 80,
    ALREADY_ADDED = 90,
    STILL_RUNNING = 91
};

static int fault(struct request *request, int code)
{
    snprintf(request->fault, sizeof(request->fault), "%s",
             request->count > 0 && request->parameters[0].text != NULL ? request->parameters[0].text
                                                                       : "");
    return code;
}

static bool runs(const struct process *process)
{
    return process->state == STARTING || process->state == RUNNING || process->state == BACKOFF;
}

static bool rests(const struct process *process)
{
    return process->state == STOPPED || process->state == EXITED || process->state == FATAL ||
           process->state == UNKNOWN;
}

/* The first parameter's one process, or NULL. */
static struct process *one(struct node *node, struct request *request, int *index)
{
    bool whole;

    if (request->parameters[0].type != PARAMETER_TEXT ||
        process_find(node, request->parameters[0].text, index, &whole) == 0 || whole)
        return NULL;
    node_settle(node, &node->processes[*index]);
    return &node->processes[*index];
}

static int get_state(struct node *node, struct request *request, struct buffer *out)
{
    (void) node, (void) request;
    buffer_puts(out, "<value><struct>\n");
    member_int(out, "statecode", 1);
    member_string(out, "statename", "RUNNING");
    buffer_puts(out, "</struct></value>\n");
    return RPC_ANSWERED;
}

static int get_version(struct node *node, struct request *request, struct buffer *out)
{
    (void) node, (void) request;
    value_string(out, "4.2.5");
    return RPC_ANSWERED;
}

static int get_api_version(struct node *node, struct request *request, struct buffer *out)
{
    (void) node, (void) request;
    value_string(out, "3.0");
    return RPC_ANSWERED;
}

static int get_identification(struct node *node, struct request *request, struct buffer *out)
{
    char text[32];

    (void) request;
    snprintf(text, sizeof(text), "fake-%05d", node->index);
    value_string(out, text);
    return RPC_ANSWERED;
}

static int get_pid(struct node *node, struct request *request, struct buffer *out)
{
    (void) request;
    value_int(out, node->own_pid);
    return RPC_ANSWERED;
}

static int get_all(struct node *node, struct request *request, struct buffer *out)
{
    (void) request;
    buffer_puts(out, "<value><array><data>\n");
    for (int i = 0; i < fake.processes; i++)
        if (process_visible(node, i))
            value_process(out, node, i);
    buffer_puts(out, "</data></array></value>\n");
    return RPC_ANSWERED;
}

static int get_one(struct node *node, struct request *request, struct buffer *out)
{
    int index;

    if (one(node, request, &index) == NULL)
        return fault(request, BAD_NAME);
    value_process(out, node, index);
    return RPC_ANSWERED;
}

static int get_config(struct node *node, struct request *request, struct buffer *out)
{
    (void) request;
    buffer_puts(out, "<value><array><data>\n");
    for (int i = 0; i < fake.processes; i++)
        if (node->groups[i / fake.group_size] != GROUP_REMOVED &&
            node->groups[i / fake.group_size] != GROUP_GONE)
            value_config(out, node, i);
    buffer_puts(out, "</data></array></value>\n");
    return RPC_ANSWERED;
}

static int list_methods(struct node *node, struct request *request, struct buffer *out)
{
    (void) node, (void) request;
    buffer_puts(out, "<value><array><data>\n");
    for (int i = 0; methods[i].name != NULL; i++)
        value_string(out, methods[i].name);
    buffer_puts(out, "</data></array></value>\n");
    return RPC_ANSWERED;
}

static void begin_start(struct node *node, struct process *process)
{
    node_set_state(node, process, STARTING, fake.now);
    process->then = node->start_outcome > 0 ? node->start_outcome : RUNNING;
    process->until = fake.monotonic + node->start_delay;
    node_settle(node, process);
}

static void begin_stop(struct node *node, struct process *process)
{
    node_set_state(node, process, process->state == BACKOFF ? STOPPED : STOPPING, fake.now);
    if (process->state == STOPPED)
        return;
    process->then = STOPPED;
    process->until = fake.monotonic + node->stop_delay;
    node_settle(node, process);
}

/* SUCCESS, 0 for not yet, or a fault. */
static int progress(struct node *node, struct process *process, bool starting)
{
    node_settle(node, process);
    if (!starting)
        return rests(process) ? SUCCESS : 0;
    if (process->state == RUNNING)
        return SUCCESS;
    if (process->spawn_error[0] != '\0')
        return SPAWN_ERROR;
    return process->state == STARTING ? 0 : ABNORMAL_TERMINATION;
}

int waiting_look(struct node *node, struct waiting *waiting, struct buffer *out)
{
    for (int i = 0; i < waiting->count; i++) {
        int code = progress(node, &node->processes[waiting->first + i], waiting->starting);

        if (code == 0)
            return RPC_LATER;
        if (!waiting->group && code != SUCCESS)
            return code;
    }
    if (!waiting->group) {
        value_boolean(out, true);
        return RPC_ANSWERED;
    }
    buffer_puts(out, "<value><array><data>\n");
    for (int i = 0; i < waiting->count; i++)
        value_result(out, waiting->first + i,
                     progress(node, &node->processes[waiting->first + i], waiting->starting));
    buffer_puts(out, "</data></array></value>\n");
    return RPC_ANSWERED;
}

static int change(struct node *node, struct request *request, struct buffer *out, bool starting,
                  bool group_method)
{
    struct waiting *waiting = request->waiting;
    char name[128];
    bool whole;

    if (request->parameters[0].type != PARAMETER_TEXT)
        return fault(request, BAD_NAME);
    snprintf(name, sizeof(name), group_method ? "%s:*" : "%s", request->parameters[0].text);
    *waiting = (struct waiting){.starting = starting};
    snprintf(waiting->name, sizeof(waiting->name), "%s", request->parameters[0].text);
    waiting->count = process_find(node, name, &waiting->first, &whole);
    waiting->group = whole;
    if (waiting->count == 0)
        return fault(request, BAD_NAME);
    for (int i = 0; i < waiting->count; i++) {
        struct process *process = &node->processes[waiting->first + i];

        node_settle(node, process);
        if (runs(process) == starting) {
            if (!whole)
                return fault(request, starting ? ALREADY_STARTED : NOT_RUNNING);
        } else if (!starting) {
            begin_stop(node, process);
        } else if (node->start_outcome < 0) {
            if (node->start_outcome == -SPAWN_ERROR) {
                node_set_state(node, process, FATAL, fake.now);
                process->spawn_error = "unknown error making dispatchers for 'it': EACCES";
            }
            return fault(request, -node->start_outcome);
        } else {
            begin_start(node, process);
        }
    }
    if (request->count > 1 && request->parameters[1].number == 0 && !whole) {
        value_boolean(out, true);
        return RPC_ANSWERED;
    }
    return waiting_look(node, waiting, out);
}

static int start(struct node *node, struct request *request, struct buffer *out)
{
    return change(node, request, out, true, false);
}

static int start_group(struct node *node, struct request *request, struct buffer *out)
{
    return change(node, request, out, true, true);
}

static int stop(struct node *node, struct request *request, struct buffer *out)
{
    return change(node, request, out, false, false);
}

static int stop_group(struct node *node, struct request *request, struct buffer *out)
{
    return change(node, request, out, false, true);
}

static bool is_signal(const char *text)
{
    static const char *const names[] = {"HUP",  "INT",  "QUIT", "ABRT", "KILL", "USR1",
                                        "USR2", "PIPE", "ALRM", "TERM", "CHLD", "CONT",
                                        "STOP", "TSTP", "TTIN", "TTOU", "WINCH"};
    char *end;
    long number = strtol(text, &end, 10);

    if (end != text && *end == '\0')
        return number >= 1 && number <= 64;
    if (strncmp(text, "SIG", 3) == 0)
        text += 3;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(names[i], text) == 0)
            return true;
    return false;
}

static int send_signal(struct node *node, struct request *request, struct buffer *out)
{
    int index;
    struct process *process = one(node, request, &index);

    if (process == NULL)
        return fault(request, BAD_NAME);
    if (request->parameters[1].text == NULL || !is_signal(request->parameters[1].text)) {
        snprintf(request->fault, sizeof(request->fault), "%s", request->parameters[1].text);
        return BAD_SIGNAL;
    }
    if (!runs(process) && process->state != STOPPING)
        return fault(request, NOT_RUNNING);
    value_boolean(out, true);
    return RPC_ANSWERED;
}

static int send_stdin(struct node *node, struct request *request, struct buffer *out)
{
    int index;
    struct process *process = one(node, request, &index);

    if (process == NULL)
        return fault(request, BAD_NAME);
    if (process->pid == 0 || process->state == STOPPING)
        return fault(request, NOT_RUNNING);
    value_boolean(out, true);
    return RPC_ANSWERED;
}

static int read_log(struct node *node, struct request *request, struct buffer *out)
{
    int index;
    struct process *process = one(node, request, &index);
    int64_t offset = request->parameters[1].number, length = request->parameters[2].number, size;
    struct buffer text = {0};

    if (process == NULL)
        return fault(request, BAD_NAME);
    size = log_size(node, process);
    if (offset < 0 ? length != 0 : length < 0)
        return BAD_ARGUMENTS;
    if (offset < 0)
        length = -offset < size ? -offset : size;
    offset = offset < 0 ? size - length : offset > size ? size : offset;
    if (length == 0 || length > size - offset)
        length = size - offset;
    log_read(&text, process, offset, length);
    value_text(out, text.data, text.length);
    buffer_free(&text);
    return RPC_ANSWERED;
}

static int tail_log(struct node *node, struct request *request, struct buffer *out)
{
    int index;
    struct process *process = one(node, request, &index);
    int64_t offset = request->parameters[1].number, length = request->parameters[2].number, size;
    struct buffer text = {0};
    bool overflow;

    if (process == NULL)
        return fault(request, BAD_NAME);
    size = log_size(node, process);
    overflow = size > offset + length;
    if (overflow)
        offset = size - 1;
    if (offset + length > size) {
        if (offset > size - 1)
            length = 0;
        offset = size - length;
    }
    offset = offset < 0 ? 0 : offset;
    length = length < 0 ? 0 : length > size - offset ? size - offset : length;
    log_read(&text, process, offset, length);
    buffer_puts(out, "<value><array><data>\n");
    value_text(out, text.data, text.length);
    value_int(out, size);
    value_boolean(out, overflow);
    buffer_puts(out, "</data></array></value>\n");
    buffer_free(&text);
    return RPC_ANSWERED;
}

static int clear_logs(struct node *node, struct request *request, struct buffer *out)
{
    int index;
    struct process *process = one(node, request, &index);

    if (process == NULL)
        return fault(request, BAD_NAME);
    process->log_cleared += log_size(node, process) / LOG_LINE;
    value_boolean(out, true);
    return RPC_ANSWERED;
}

static void list_groups(struct node *node, struct buffer *out, enum group_state state)
{
    char name[32];

    buffer_puts(out, "<value><array><data>\n");
    for (int i = 0; i < fake.groups; i++) {
        if (node->groups[i] != state)
            continue;
        process_group(name, sizeof(name), i * fake.group_size);
        value_string(out, name);
    }
    buffer_puts(out, "</data></array></value>\n");
}

static int reload_config(struct node *node, struct request *request, struct buffer *out)
{
    (void) request;
    buffer_puts(out, "<value><array><data>\n<value><array><data>\n");
    list_groups(node, out, GROUP_AVAILABLE);
    list_groups(node, out, GROUP_CHANGED);
    list_groups(node, out, GROUP_REMOVED);
    buffer_puts(out, "</data></array></value>\n</data></array></value>\n");
    return RPC_ANSWERED;
}

static enum group_state *find_group(struct node *node, struct request *request, int *first)
{
    char name[32];

    for (int i = 0; i < fake.groups; i++) {
        process_group(name, sizeof(name), i * fake.group_size);
        *first = i * fake.group_size;
        if (request->parameters[0].type == PARAMETER_TEXT &&
            strcmp(name, request->parameters[0].text) == 0)
            return &node->groups[i];
    }
    return NULL;
}

static int add_group(struct node *node, struct request *request, struct buffer *out)
{
    int first;
    enum group_state *group = find_group(node, request, &first);

    if (group == NULL || *group == GROUP_GONE)
        return fault(request, BAD_NAME);
    if (*group != GROUP_AVAILABLE)
        return fault(request, ALREADY_ADDED);
    *group = GROUP_ACTIVE;
    for (int i = first; i < first + fake.group_size && i < fake.processes; i++)
        node_set_state(node, &node->processes[i], RUNNING, fake.now);
    value_boolean(out, true);
    return RPC_ANSWERED;
}

static int remove_group(struct node *node, struct request *request, struct buffer *out)
{
    int first;
    enum group_state *group = find_group(node, request, &first);

    if (group == NULL || *group >= GROUP_AVAILABLE)
        return fault(request, BAD_NAME);
    for (int i = first; i < first + fake.group_size && i < fake.processes; i++)
        if (!rests(&node->processes[i]))
            return fault(request, STILL_RUNNING);
    *group = *group == GROUP_REMOVED ? GROUP_GONE : GROUP_AVAILABLE;
    value_boolean(out, true);
    return RPC_ANSWERED;
}

static int restart_all(struct node *node, struct request *request, struct buffer *out)
{
    node->pending_restart = true;
    node->pending_shutdown = strcmp(request->method, "supervisor.shutdown") == 0;
    value_boolean(out, true);
    return RPC_ANSWERED;
}

const struct method methods[] = {
    {"supervisor.addProcessGroup", 1, 1, add_group},
    {"supervisor.clearProcessLog", 1, 1, clear_logs},
    {"supervisor.clearProcessLogs", 1, 1, clear_logs},
    {"supervisor.getAPIVersion", 0, 0, get_api_version},
    {"supervisor.getAllConfigInfo", 0, 0, get_config},
    {"supervisor.getAllProcessInfo", 0, 0, get_all},
    {"supervisor.getIdentification", 0, 0, get_identification},
    {"supervisor.getPID", 0, 0, get_pid},
    {"supervisor.getProcessInfo", 1, 1, get_one},
    {"supervisor.getState", 0, 0, get_state},
    {"supervisor.getSupervisorVersion", 0, 0, get_version},
    {"supervisor.getVersion", 0, 0, get_api_version},
    {"supervisor.readProcessLog", 3, 3, read_log},
    {"supervisor.readProcessStderrLog", 3, 3, read_log},
    {"supervisor.readProcessStdoutLog", 3, 3, read_log},
    {"supervisor.reloadConfig", 0, 0, reload_config},
    {"supervisor.removeProcessGroup", 1, 1, remove_group},
    {"supervisor.restart", 0, 0, restart_all},
    {"supervisor.sendProcessStdin", 2, 2, send_stdin},
    {"supervisor.shutdown", 0, 0, restart_all},
    {"supervisor.signalProcess", 2, 2, send_signal},
    {"supervisor.startProcess", 1, 2, start},
    {"supervisor.startProcessGroup", 1, 2, start_group},
    {"supervisor.stopProcess", 1, 2, stop},
    {"supervisor.stopProcessGroup", 1, 2, stop_group},
    {"supervisor.tailProcessLog", 3, 3, tail_log},
    {"supervisor.tailProcessStderrLog", 3, 3, tail_log},
    {"supervisor.tailProcessStdoutLog", 3, 3, tail_log},
    {"system.listMethods", 0, 0, list_methods},
    {"system.multicall", 1, 1, list_methods}, /* rpc.c has it */
    {NULL, 0, 0, NULL},
};
