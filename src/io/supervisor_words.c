/*
 * supervisord's vocabulary: names of faults and states, and what a process looks like. Pure
 * functions, any thread. Facts: supervisor/xmlrpc.py, supervisor/states.py and getProcessInfo in
 * supervisor/rpcinterface.py, 4.2.5.
 */
#include <string.h>

#include "cesid/check.h"
#include "cesid/supervisor.h"

static const struct word {
    int code;
    const char *name;
} faults[] =
    {
        {FAULT_UNKNOWN_METHOD, "UNKNOWN_METHOD"},
        {FAULT_INCORRECT_PARAMETERS, "INCORRECT_PARAMETERS"},
        {FAULT_BAD_ARGUMENTS, "BAD_ARGUMENTS"},
        {FAULT_SIGNATURE_UNSUPPORTED, "SIGNATURE_UNSUPPORTED"},
        {FAULT_SHUTDOWN_STATE, "SHUTDOWN_STATE"},
        {FAULT_BAD_NAME, "BAD_NAME"},
        {FAULT_BAD_SIGNAL, "BAD_SIGNAL"},
        {FAULT_NO_FILE, "NO_FILE"},
        {FAULT_NOT_EXECUTABLE, "NOT_EXECUTABLE"},
        {FAULT_FAILED, "FAILED"},
        {FAULT_ABNORMAL_TERMINATION, "ABNORMAL_TERMINATION"},
        {FAULT_SPAWN_ERROR, "SPAWN_ERROR"},
        {FAULT_ALREADY_STARTED, "ALREADY_STARTED"},
        {FAULT_NOT_RUNNING, "NOT_RUNNING"},
        {FAULT_SUCCESS, "SUCCESS"},
        {FAULT_ALREADY_ADDED, "ALREADY_ADDED"},
        {FAULT_STILL_RUNNING, "STILL_RUNNING"},
        {FAULT_CANT_REREAD, "CANT_REREAD"},
},
  states[] = {
      {PROCESS_STOPPED, "STOPPED"}, {PROCESS_STARTING, "STARTING"}, {PROCESS_RUNNING, "RUNNING"},
      {PROCESS_BACKOFF, "BACKOFF"}, {PROCESS_STOPPING, "STOPPING"}, {PROCESS_EXITED, "EXITED"},
      {PROCESS_FATAL, "FATAL"},     {PROCESS_UNKNOWN, "UNKNOWN"},
};

static const char *name_of(const struct word *words, size_t count, int64_t code)
{
    for (size_t i = 0; i < count; i++)
        if (words[i].code == code)
            return words[i].name;
    return "UNKNOWN";
}

enum rpc_cause supervisor_fault_cause(int64_t code)
{
    switch (code) {
    case FAULT_SHUTDOWN_STATE:
        return RPC_CAUSE_NONE;
    case FAULT_UNKNOWN_METHOD:
        return RPC_CAUSE_NO_RPC_INTERFACE;
    default:
        return RPC_CAUSE_PROTOCOL;
    }
}

const char *supervisor_fault_name(int64_t code)
{
    return name_of(faults, ARRAY_LENGTH(faults), code);
}

const char *process_state_name(int code)
{
    return name_of(states, ARRAY_LENGTH(states), code);
}

bool process_state_parse(const char *name, int *code)
{
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        if (strcmp(states[i].name, name) == 0) {
            *code = states[i].code;
            return true;
        }
    }
    return false;
}

/* Group and process names go into paths, log lines and messages. */
static const char *process_name(const struct xmlrpc_value *value)
{
    if (value == NULL || value->type != XMLRPC_STRING || value->as.string.length == 0 ||
        value->as.string.length > SUPERVISOR_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < value->as.string.length; i++) {
        unsigned char c = (unsigned char) value->as.string.data[i];
        if (c < 0x20 || c == 0x7F)
            return NULL;
    }
    return value->as.string.data;
}

/* Members that older or newer versions may lack are "" or 0 then. */
static bool read_string(const struct xmlrpc_value *value, const char **out)
{
    *out = "";
    if (value == NULL || value->type == XMLRPC_NIL)
        return true;
    if (value->type != XMLRPC_STRING)
        return false;
    *out = value->as.string.data;
    return true;
}

static bool read_int(const struct xmlrpc_value *value, int64_t low, int64_t *out)
{
    if (value == NULL || value->type != XMLRPC_INT || value->as.integer < low ||
        value->as.integer > INT32_MAX)
        return false;
    *out = value->as.integer;
    return true;
}

enum member {
    MEMBER_NAME,
    MEMBER_GROUP,
    MEMBER_STATE,
    MEMBER_PID,
    MEMBER_START,
    MEMBER_STOP,
    MEMBER_NOW,
    MEMBER_DESCRIPTION,
    MEMBER_SPAWN_ERROR,
    MEMBER_EXIT_STATUS,
    MEMBER_STDOUT_LOG,
    MEMBER_STDERR_LOG,
    MEMBERS
};

static const char *const member_names[MEMBERS] = {
    [MEMBER_NAME] = "name",
    [MEMBER_GROUP] = "group",
    [MEMBER_STATE] = "state",
    [MEMBER_PID] = "pid",
    [MEMBER_START] = "start",
    [MEMBER_STOP] = "stop",
    [MEMBER_NOW] = "now",
    [MEMBER_DESCRIPTION] = "description",
    [MEMBER_SPAWN_ERROR] = "spawnerr",
    [MEMBER_EXIT_STATUS] = "exitstatus",
    [MEMBER_STDOUT_LOG] = "stdout_logfile",
    [MEMBER_STDERR_LOG] = "stderr_logfile",
};

bool supervisor_read_process(const struct xmlrpc_value *value, struct supervisor_process *process)
{
    const struct xmlrpc_value *found[MEMBERS] = {NULL};
    if (value == NULL || value->type != XMLRPC_STRUCT)
        return false;
    for (const struct xmlrpc_value *m = value->as.items.first; m != NULL; m = m->next)
        for (size_t i = 0; i < MEMBERS; i++)
            if (found[i] == NULL && strcmp(member_names[i], m->name) == 0) {
                found[i] = m;
                break;
            }

    *process = (struct supervisor_process){.pid = 0};
    int64_t state, exit_status = 0;
    process->name = process_name(found[MEMBER_NAME]);
    process->group = process_name(found[MEMBER_GROUP]);
    if (process->name == NULL || process->group == NULL ||
        !read_int(found[MEMBER_STATE], 0, &state) ||
        !read_int(found[MEMBER_PID], 0, &process->pid) ||
        !read_int(found[MEMBER_START], 0, &process->start) ||
        !read_int(found[MEMBER_STOP], 0, &process->stop) ||
        !read_int(found[MEMBER_NOW], 0, &process->now))
        return false;
    /* -1: ended by a signal */
    if (found[MEMBER_EXIT_STATUS] != NULL &&
        !read_int(found[MEMBER_EXIT_STATUS], INT32_MIN, &exit_status))
        return false;
    process->statecode = (int) state;
    process->exit_status = (int) exit_status;
    return read_string(found[MEMBER_DESCRIPTION], &process->description) &&
           read_string(found[MEMBER_SPAWN_ERROR], &process->spawn_error) &&
           read_string(found[MEMBER_STDOUT_LOG], &process->stdout_log) &&
           read_string(found[MEMBER_STDERR_LOG], &process->stderr_log);
}
