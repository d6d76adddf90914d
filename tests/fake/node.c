/*
 * Nodes and their processes. Nothing is done by timers: a process is brought up to date when
 * somebody looks, so that 200,000 of them cost nothing in between.
 */
#include "fake.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    int code;
    const char *name;
} states[] = {
    {STOPPED, "STOPPED"},   {STARTING, "STARTING"}, {RUNNING, "RUNNING"}, {BACKOFF, "BACKOFF"},
    {STOPPING, "STOPPING"}, {EXITED, "EXITED"},     {FATAL, "FATAL"},     {UNKNOWN, "UNKNOWN"},
};

const char *state_name(int state)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (states[i].code == state)
            return states[i].name;
    return "UNKNOWN";
}

int state_parse(const char *name)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        if (strcmp(states[i].name, name) == 0)
            return states[i].code;
    return -1;
}

void process_group(char *text, size_t size, int index)
{
    if (fake.group_size == 1)
        process_name(text, size, index);
    else
        snprintf(text, size, "g%03d", index / fake.group_size);
}

void process_name(char *text, size_t size, int index)
{
    snprintf(text, size, "p%04d", index);
}

bool process_visible(const struct node *node, int index)
{
    return node->groups[index / fake.group_size] < GROUP_AVAILABLE;
}

int process_find(const struct node *node, const char *text, int *first, bool *whole_group)
{
    const char *colon = strchr(text, ':');
    size_t length = colon == NULL ? strlen(text) : (size_t) (colon - text);
    const char *wanted = colon == NULL ? text : colon + 1;
    char group[32], name[32];

    *whole_group = colon != NULL && (wanted[0] == '\0' || strcmp(wanted, "*") == 0);
    for (int i = 0; i < fake.processes; i += *whole_group ? fake.group_size : 1) {
        process_group(group, sizeof(group), i);
        if (strlen(group) != length || memcmp(group, text, length) != 0)
            continue;
        if (!process_visible(node, i))
            return 0;
        *first = i;
        if (*whole_group)
            return fake.group_size < fake.processes - i ? fake.group_size : fake.processes - i;
        process_name(name, sizeof(name), i);
        if (strcmp(name, wanted) == 0)
            return 1;
    }
    return 0;
}

static double clock_at(const struct node *node, double at)
{
    return at + node->clock_offset;
}

int64_t node_clock(const struct node *node)
{
    return (int64_t) clock_at(node, fake.now);
}

void node_set_state(struct node *node, struct process *process, int state, double at)
{
    int64_t clock = (int64_t) clock_at(node, at);

    process->state = state;
    process->until = 0;
    switch (state) {
    case STARTING:
        process->pid = 0; /* a new one, below */
        /* fall through */
    case RUNNING:
    case STOPPING:
    case UNKNOWN:
        if (process->pid == 0) {
            process->pid = node->next_pid++;
            process->start = clock;
            process->spawn_error = "";
        }
        break;
    case BACKOFF:
    case FATAL:
        process->spawn_error = "Exited too quickly (process log may have details)";
        /* fall through */
    default:
        if (process->start == 0)
            break; /* it never ran */
        process->pid = 0;
        process->stop = clock;
    }
}

static void follow_script(struct node *node, struct process *process)
{
    const struct script *script = process->script;
    double past = fmod(fake.monotonic - process->script_from, script->cycle);
    int step = 0;

    while (step < script->steps - 1 && past >= script->step[step].seconds)
        past -= script->step[step++].seconds;
    if (step == process->script_step)
        return;
    process->script_step = step;
    node_set_state(node, process, script->step[step].state, fake.now - past);
}

void node_settle(struct node *node, struct process *process)
{
    if (process->script != NULL) {
        follow_script(node, process);
        return;
    }
    while (process->until > 0 && fake.monotonic >= process->until) {
        double at = fake.now - (fake.monotonic - process->until);

        node_set_state(node, process, process->then, at);
        if (process->state == BACKOFF) {
            process->then = FATAL;
            process->until = fake.monotonic + 0.5;
        }
    }
}

void node_restart(struct node *node)
{
    node->own_pid = node->next_pid;
    node->next_pid += 1000;
    for (int i = 0; i < fake.processes; i++) {
        struct process *process = &node->processes[i];
        const struct script *script = process->script;

        *process = (struct process){.spawn_error = "", .script = script, .script_step = -1};
        process->script_from = fake.monotonic;
        if (script == NULL)
            node_set_state(node, process, RUNNING, fake.now);
    }
    for (int i = 0; i < fake.groups; i++) {
        if (node->groups[i] == GROUP_REMOVED)
            node->groups[i] = GROUP_GONE;
        else if (node->groups[i] != GROUP_GONE)
            node->groups[i] = GROUP_ACTIVE;
    }
    node->log_lines = 0;
    node->log_from = fake.monotonic;
}

void node_init(struct node *node, int index)
{
    node->index = index;
    node->processes = fake_alloc((size_t) fake.processes, sizeof(struct process));
    node->groups = fake_alloc((size_t) fake.groups, sizeof(enum group_state));
    node->next_pid = 1000 + index % 20000;
    node->fault_times = -1;
    for (size_t i = 0; i < 2; i++)
        node->listeners[i] = (struct listener){.node = node, .fd = -1};
    node_restart(node);
    node->log_lines = 100;
}

static int64_t log_lines(const struct node *node)
{
    return node->log_lines + (int64_t) ((fake.monotonic - node->log_from) * node->log_rate);
}

int64_t log_size(const struct node *node, const struct process *process)
{
    int64_t lines = log_lines(node) - process->log_cleared;

    return lines > 0 ? lines * LOG_LINE : 0;
}

/* Each line tells its number since the log was last cleared. */
void log_read(struct buffer *out, const struct process *process, int64_t from, int64_t length)
{
    (void) process;
    while (length > 0) {
        char line[64];
        int64_t within = from % LOG_LINE;
        int64_t take = LOG_LINE - within < length ? LOG_LINE - within : length;

        snprintf(line, sizeof(line), "line %010lld of a fake's log\n",
                 (long long) (from / LOG_LINE) % 10000000000);
        buffer_add(out, line + within, (size_t) take);
        from += take;
        length -= take;
    }
}

/* Words are STATE:SECONDS. Scripts live as long as the program: tests have a handful. */
const struct script *script_parse(char **words, int count)
{
    static const struct script *scripts;
    struct script *script;

    if (count < 1 || count > 16)
        return NULL;
    script = fake_alloc(1, sizeof(*script));
    for (int i = 0; i < count; i++) {
        char *colon = strchr(words[i], ':');
        char *end;

        if (colon == NULL)
            goto nonsense;
        *colon = '\0';
        script->step[i].state = state_parse(words[i]);
        script->step[i].seconds = strtod(colon + 1, &end);
        if (script->step[i].state < 0 || *end != '\0' || !(script->step[i].seconds > 0))
            goto nonsense;
        script->cycle += script->step[i].seconds;
    }
    script->steps = count;
    script->next = scripts;
    scripts = script;
    return script;

nonsense:
    free(script);
    return NULL;
}
