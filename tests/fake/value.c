/* XML-RPC values as Python's xmlrpc.client writes them, newlines included. */
#include "rpc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const struct {
    int code;
    const char *name;
} faults[] = {
    {1, "UNKNOWN_METHOD"},
    {2, "INCORRECT_PARAMETERS"},
    {3, "BAD_ARGUMENTS"},
    {4, "SIGNATURE_UNSUPPORTED"},
    {6, "SHUTDOWN_STATE"},
    {10, "BAD_NAME"},
    {11, "BAD_SIGNAL"},
    {20, "NO_FILE"},
    {21, "NOT_EXECUTABLE"},
    {30, "FAILED"},
    {40, "ABNORMAL_TERMINATION"},
    {50, "SPAWN_ERROR"},
    {60, "ALREADY_STARTED"},
    {70, "NOT_RUNNING"},
    {80, "SUCCESS"},
    {90, "ALREADY_ADDED"},
    {91, "STILL_RUNNING"},
    {92, "CANT_REREAD"},
};

const char *fault_name(int code)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        if (faults[i].code == code)
            return faults[i].name;
    return "UNKNOWN";
}

void value_text(struct buffer *out, const char *text, size_t length)
{
    buffer_puts(out, "<value><string>");
    buffer_escaped(out, text, length);
    buffer_puts(out, "</string></value>\n");
}

void value_string(struct buffer *out, const char *text)
{
    value_text(out, text, strlen(text));
}

void value_int(struct buffer *out, long long number)
{
    buffer_puts(out, "<value><int>");
    buffer_int(out, number);
    buffer_puts(out, "</int></value>\n");
}

void value_boolean(struct buffer *out, bool truth)
{
    buffer_puts(out, truth ? "<value><boolean>1</boolean></value>\n"
                           : "<value><boolean>0</boolean></value>\n");
}

static void member(struct buffer *out, const char *name)
{
    buffer_puts(out, "<member>\n<name>");
    buffer_puts(out, name);
    buffer_puts(out, "</name>\n");
}

void member_string(struct buffer *out, const char *name, const char *text)
{
    member(out, name);
    value_string(out, text);
    buffer_puts(out, "</member>\n");
}

void member_int(struct buffer *out, const char *name, long long number)
{
    member(out, name);
    value_int(out, number);
    buffer_puts(out, "</member>\n");
}

static void member_boolean(struct buffer *out, const char *name, bool truth)
{
    member(out, name);
    value_boolean(out, truth);
    buffer_puts(out, "</member>\n");
}

void value_fault(struct buffer *out, int code, const char *extra)
{
    char text[256];

    snprintf(text, sizeof(text), "%s%s%s", fault_name(code), extra[0] == '\0' ? "" : ": ", extra);
    buffer_puts(out, "<value><struct>\n");
    member_int(out, "faultCode", code);
    member_string(out, "faultString", text);
    buffer_puts(out, "</struct></value>\n");
}

void value_result(struct buffer *out, int index, int code)
{
    char name[32], group[32];

    process_name(name, sizeof(name), index);
    process_group(group, sizeof(group), index);
    buffer_puts(out, "<value><struct>\n");
    member_string(out, "name", name);
    member_string(out, "group", group);
    member_int(out, "status", code);
    member_string(out, "description", code == 80 ? "OK" : fault_name(code));
    buffer_puts(out, "</struct></value>\n");
}

static void describe(char *text, size_t size, const struct node *node,
                     const struct process *process, const char *name)
{
    int64_t up = node_clock(node) - process->start;
    char days[32] = "";
    struct tm when;
    time_t stop = process->stop;

    text[0] = '\0';
    switch (process->state) {
    case RUNNING:
        up = up > 0 ? up : 0;
        if (up >= 86400)
            snprintf(days, sizeof(days), "%lld day%s, ", (long long) up / 86400,
                     up >= 2 * 86400 ? "s" : "");
        snprintf(text, size, "pid %lld, uptime %s%lld:%02lld:%02lld", (long long) process->pid,
                 days, (long long) up % 86400 / 3600, (long long) up % 3600 / 60,
                 (long long) up % 60);
        break;
    case FATAL:
    case BACKOFF:
        if (process->spawn_error[0] != '\0')
            snprintf(text, size, "%s", process->spawn_error);
        else
            snprintf(text, size, "unknown error (try \"tail %s\")", name);
        break;
    case STOPPED:
    case EXITED:
        if (process->start == 0)
            snprintf(text, size, "Not started");
        else if (localtime_r(&stop, &when) != NULL)
            strftime(text, size, "%b %d %I:%M %p", &when);
        break;
    default:
        break;
    }
}

static void log_file(char *text, size_t size, const struct node *node, const char *name,
                     const char *stream)
{
    snprintf(text, size, "/var/log/supervisor/%s-%s---fake-%05d.log", name, stream, node->index);
}

void value_process(struct buffer *out, struct node *node, int index)
{
    struct process *process = &node->processes[index];
    char name[32], group[32], text[160], output[96], errors[96];
    const char *spawn_error;

    node_settle(node, process);
    spawn_error = node->fault == FAULT_CONTROL  ? "\x1b[31mred\x1b[0m \x01\x02\x7f bell\x07"
                  : node->fault == FAULT_LATIN1 ? "caf\xe9 cr\xe8me"
                                                : process->spawn_error;
    process_name(name, sizeof(name), index);
    process_group(group, sizeof(group), index);
    log_file(output, sizeof(output), node, name, "stdout");
    log_file(errors, sizeof(errors), node, name, "stderr");
    describe(text, sizeof(text), node, process, name);

    buffer_puts(out, "<value><struct>\n");
    member_string(out, "name", name);
    member_string(out, "group", group);
    member_int(out, "start", process->start);
    member_int(out, "stop", process->stop);
    member_int(out, "now", node_clock(node));
    member_int(out, "state", process->state);
    member_string(out, "statename", state_name(process->state));
    member_string(out, "spawnerr", spawn_error);
    member_int(out, "exitstatus", process->exit_status);
    member_string(out, "logfile", output);
    member_string(out, "stdout_logfile", output);
    member_string(out, "stderr_logfile", errors);
    member_int(out, "pid", process->pid);
    member_string(out, "description", text);
    buffer_puts(out, "</struct></value>\n");
}

void value_config(struct buffer *out, const struct node *node, int index)
{
    char name[32], group[32], file[96];

    process_name(name, sizeof(name), index);
    process_group(group, sizeof(group), index);
    buffer_puts(out, "<value><struct>\n");
    member_boolean(out, "autostart", true);
    member_string(out, "directory", "none");
    member_string(out, "uid", "none");
    member_string(out, "command", "/bin/sleep 100000");
    member(out, "exitcodes");
    buffer_puts(out, "<value><array><data>\n");
    value_int(out, 0);
    buffer_puts(out, "</data></array></value>\n</member>\n");
    member_string(out, "group", group);
    member_int(out, "group_prio", 999);
    member_boolean(out, "inuse", process_visible(node, index));
    member_boolean(out, "killasgroup", false);
    member_string(out, "name", name);
    member_int(out, "process_prio", 999);
    member_boolean(out, "redirect_stderr", false);
    member_int(out, "startretries", 3);
    member_int(out, "startsecs", 1);
    member_int(out, "stdout_capture_maxbytes", 0);
    member_boolean(out, "stdout_events_enabled", false);
    log_file(file, sizeof(file), node, name, "stdout");
    member_string(out, "stdout_logfile", file);
    member_int(out, "stdout_logfile_backups", 10);
    member_int(out, "stdout_logfile_maxbytes", 52428800);
    member_boolean(out, "stdout_syslog", false);
    member_int(out, "stopsignal", 15);
    member_int(out, "stopwaitsecs", 10);
    member_int(out, "stderr_capture_maxbytes", 0);
    member_boolean(out, "stderr_events_enabled", false);
    log_file(file, sizeof(file), node, name, "stderr");
    member_string(out, "stderr_logfile", file);
    member_int(out, "stderr_logfile_backups", 10);
    member_int(out, "stderr_logfile_maxbytes", 52428800);
    member_boolean(out, "stderr_syslog", false);
    member_string(out, "serverurl", "none");
    buffer_puts(out, "</struct></value>\n");
}
