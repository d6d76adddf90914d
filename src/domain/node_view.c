/*
 * Views: building, sharing and rendering what is known of a node and its processes. A view is
 * private to its builder until it is sealed and swapped in; afterwards it never changes, so any
 * thread may read it that holds a reference.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/memory.h"
#include "cesid/text.h"
#include "node_private.h"

#define OBJECT_MAX ((size_t) 1 << 20)

void node_counts_add(struct node_counts *counts, int statecode)
{
    counts->total++;
    switch (statecode) {
    case PROCESS_STOPPED:
        counts->stopped++;
        break;
    case PROCESS_STARTING:
        counts->starting++;
        break;
    case PROCESS_RUNNING:
        counts->running++;
        break;
    case PROCESS_BACKOFF:
        counts->backoff++;
        break;
    case PROCESS_STOPPING:
        counts->stopping++;
        break;
    case PROCESS_EXITED:
        counts->exited++;
        break;
    case PROCESS_FATAL:
        counts->fatal++;
        break;
    default:
        counts->unknown++;
    }
}

void node_counts_sum(struct node_counts *sum, const struct node_counts *counts)
{
    sum->total += counts->total;
    sum->running += counts->running;
    sum->starting += counts->starting;
    sum->backoff += counts->backoff;
    sum->stopping += counts->stopping;
    sum->stopped += counts->stopped;
    sum->exited += counts->exited;
    sum->fatal += counts->fatal;
    sum->unknown += counts->unknown;
}

void node_counts_json(struct json *json, const struct node_counts *counts)
{
    json_object(json);
    json_put_integer(json, "total", counts->total);
    json_put_integer(json, "running", counts->running);
    json_put_integer(json, "starting", counts->starting);
    json_put_integer(json, "backoff", counts->backoff);
    json_put_integer(json, "stopping", counts->stopping);
    json_put_integer(json, "stopped", counts->stopped);
    json_put_integer(json, "exited", counts->exited);
    json_put_integer(json, "fatal", counts->fatal);
    json_put_integer(json, "unknown", counts->unknown);
    json_object_end(json);
}

static bool same_text(const char *known, const char *said)
{
    return strcmp(known != NULL ? known : "", said) == 0;
}

static char *text_or_null(const char *text)
{
    return *text != '\0' ? mem_string(text) : NULL;
}

/* supervisord says "pid 12, uptime 0:01:02" of a running process: it would differ at every poll. */
static const char *kept_description(const struct supervisor_process *process)
{
    return process->statecode == PROCESS_RUNNING ? "" : process->description;
}

bool process_view_equals(const struct process_view *view, const struct supervisor_process *process)
{
    return view->statecode == process->statecode && view->pid == process->pid &&
           view->started_at == process->start * 1000 && view->stopped_at == process->stop * 1000 &&
           view->exit_status == process->exit_status &&
           same_text(view->description, kept_description(process)) &&
           same_text(view->spawn_error, process->spawn_error) &&
           same_text(view->stdout_log, process->stdout_log) &&
           same_text(view->stderr_log, process->stderr_log) &&
           strcmp(view->name, process->name) == 0 && strcmp(view->group, process->group) == 0;
}

static void render_process(struct process_view *view, const struct config_node *node)
{
    struct strbuf text;
    struct json json;

    strbuf_init(&text, OBJECT_MAX);
    json_start(&json, &text);
    json_object(&json);
    json_put_string(&json, "node", node->name);
    json_put_string(&json, "environment", node->environment);
    json_put_string(&json, "id", view->id);
    json_put_string(&json, "group", view->group);
    json_put_string(&json, "name", view->name);
    json_put_string(&json, "state", process_state_name(view->statecode));
    json_put_integer(&json, "statecode", view->statecode);
    json_put_integer(&json, "pid", view->pid);
    json_put_time(&json, "started_at", view->started_at);
    json_put_time(&json, "stopped_at", view->stopped_at);
    json_put_integer(&json, "exit_status", view->exit_status);
    json_put_string(&json, "spawn_error", view->spawn_error);
    json_put_string(&json, "description", view->description);
    json_put_string(&json, "stdout_log", view->stdout_log);
    json_put_string(&json, "stderr_log", view->stderr_log);
    json_put_integer(&json, "revision", (int64_t) view->revision);
    json_object_end(&json);
    CHECK(!strbuf_failed(&text));
    view->json_length = text.length;
    view->json = mem_bytes(text.data, text.length);
    strbuf_destroy(&text);
}

struct process_view *process_view_create(const struct supervisor_process *process,
                                         const struct config_node *node, uint64_t revision)
{
    struct process_view *view = mem_alloc(sizeof(*view));
    struct strbuf id;

    strbuf_init(&id, 1024);
    strbuf_printf(&id, "%s:%s", process->group, process->name);
    view->id = strbuf_steal(&id);
    view->group = mem_string(process->group);
    view->name = mem_string(process->name);
    view->statecode = process->statecode;
    view->pid = process->pid;
    view->started_at = process->start * 1000;
    view->stopped_at = process->stop * 1000;
    view->exit_status = process->exit_status;
    view->spawn_error = text_or_null(process->spawn_error);
    view->description = text_or_null(kept_description(process));
    view->stdout_log = text_or_null(process->stdout_log);
    view->stderr_log = text_or_null(process->stderr_log);
    view->revision = revision;
    view->references = 1;
    render_process(view, node);
    return view;
}

struct process_view *process_view_move(const struct process_view *process,
                                       const struct config_node *node, uint64_t revision)
{
    struct process_view *view = mem_alloc(sizeof(*view));

    /* Field by field: the count of references of the other one is not ours to read. */
    view->statecode = process->statecode;
    view->pid = process->pid;
    view->started_at = process->started_at;
    view->stopped_at = process->stopped_at;
    view->exit_status = process->exit_status;
    view->id = mem_string(process->id);
    view->group = mem_string(process->group);
    view->name = mem_string(process->name);
    view->spawn_error = mem_string(process->spawn_error);
    view->description = mem_string(process->description);
    view->stdout_log = mem_string(process->stdout_log);
    view->stderr_log = mem_string(process->stderr_log);
    view->revision = revision;
    view->references = 1;
    render_process(view, node);
    return view;
}

struct process_view *process_view_ref(struct process_view *process)
{
    __atomic_add_fetch(&process->references, 1, __ATOMIC_RELAXED);
    return process;
}

void process_view_unref(struct process_view **slot)
{
    struct process_view *process = *slot;

    *slot = NULL;
    if (process == NULL || __atomic_sub_fetch(&process->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(process->id);
    free(process->group);
    free(process->name);
    free(process->spawn_error);
    free(process->description);
    free(process->stdout_log);
    free(process->stderr_log);
    free(process->json);
    free(process);
}

struct node_view *node_view_draft(const struct node_view *base, struct node_settings *settings)
{
    struct node_view *draft = mem_alloc(sizeof(*draft));

    draft->settings = node_settings_ref(settings);
    draft->references = 1;
    draft->revision = 1;
    draft->since = clock_wall();
    if (base == NULL)
        return draft;
    draft->state = base->state;
    draft->cause = base->cause;
    draft->since = base->since;
    draft->supervisor_version = mem_string(base->supervisor_version);
    draft->api_version = mem_string(base->api_version);
    draft->identification = mem_string(base->identification);
    draft->supervisor_state = mem_string(base->supervisor_state);
    draft->revision = base->revision + 1;
    draft->processes_count = base->processes_count;
    draft->processes = mem_array(base->processes_count, sizeof(draft->processes[0]));
    draft->order = mem_array(base->processes_count, sizeof(draft->order[0]));
    for (size_t i = 0; i < base->processes_count; i++) {
        draft->processes[i] = process_view_ref(base->processes[i]);
        draft->order[i] = base->order[i];
    }
    return draft;
}

void node_view_set_state(struct node_view *draft, enum node_state state, enum rpc_cause cause)
{
    if (draft->state != state)
        draft->since = clock_wall();
    draft->state = state;
    draft->cause = cause;
}

static void render_node(struct node_view *view)
{
    const struct config_node *config = &view->settings->config;
    struct strbuf text;
    struct json json;

    strbuf_init(&text, OBJECT_MAX);
    json_start(&json, &text);
    json_object(&json);
    json_put_string(&json, "name", config->name);
    json_put_string(&json, "environment", config->environment);
    json_key(&json, "labels");
    json_object(&json);
    for (size_t i = 0; i < config->labels_count; i++)
        json_put_string(&json, config->labels[i].key, config->labels[i].value);
    json_object_end(&json);
    json_put_string(&json, "url", config->url);
    json_put_string(&json, "source", view->settings->from_store ? "store" : "config");
    json_put_boolean(&json, "enabled", config->enabled);
    json_put_string(&json, "state", node_state_name(view->state));
    json_put_string(&json, "cause", rpc_cause_name(view->cause));
    json_put_string(&json, "hint", rpc_cause_hint(view->cause));
    json_put_time(&json, "since", view->since);
    json_key(&json, "supervisor");
    json_object(&json);
    json_put_string(&json, "version", view->supervisor_version);
    json_put_string(&json, "api_version", view->api_version);
    json_put_string(&json, "identification", view->identification);
    json_put_string(&json, "state", view->supervisor_state);
    json_object_end(&json);
    json_key(&json, "counts");
    node_counts_json(&json, &view->counts);
    json_put_integer(&json, "revision", (int64_t) view->revision);
    json_object_end(&json);
    CHECK(!strbuf_failed(&text));
    view->json_length = text.length - 1; /* the live members and the brace come when it is read */
    view->json = mem_bytes(text.data, view->json_length);
    strbuf_destroy(&text);
}

void node_view_seal(struct node_view *draft)
{
    memset(&draft->counts, 0, sizeof(draft->counts));
    for (size_t i = 0; i < draft->processes_count; i++)
        node_counts_add(&draft->counts, draft->processes[i]->statecode);
    render_node(draft);
}

struct node_view *node_view_ref(struct node_view *view)
{
    __atomic_add_fetch(&view->references, 1, __ATOMIC_RELAXED);
    return view;
}

void node_view_unref(struct node_view **slot)
{
    struct node_view *view = *slot;

    *slot = NULL;
    if (view == NULL || __atomic_sub_fetch(&view->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < view->processes_count; i++)
        process_view_unref(&view->processes[i]);
    free(view->processes);
    free(view->order);
    node_settings_unref(&view->settings);
    free(view->supervisor_version);
    free(view->api_version);
    free(view->identification);
    free(view->supervisor_state);
    free(view->json);
    free(view);
}

static const struct process_view *find(const struct node_view *view, const char *id)
{
    size_t low = 0, high = view->processes_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(id, view->processes[middle]->id);

        if (order == 0)
            return view->processes[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

const struct process_view *node_view_process(const struct node_view *view, const char *id)
{
    const struct process_view *process;
    struct strbuf doubled;

    if (strchr(id, ':') != NULL)
        return find(view, id);
    strbuf_init(&doubled, 1024);
    strbuf_printf(&doubled, "%s:%s", id, id);
    process = strbuf_failed(&doubled) ? NULL : find(view, doubled.data);
    strbuf_destroy(&doubled);
    return process;
}

void process_json(struct json *json, const struct process_view *process)
{
    json_raw(json, process->json, process->json_length);
}
