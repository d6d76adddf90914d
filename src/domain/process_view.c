/*
 * Views of processes: building, comparing with what a poll found, rendering. Immutable once built,
 * shared between a node's views by reference, readable by any thread that holds one.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/memory.h"
#include "node_private.h"

#define OBJECT_MAX ((size_t) 1 << 20)

static bool same_text(const char *known, const char *said)
{
    return strcmp(known != NULL ? known : "", said) == 0;
}

static const char *text_or_null(const char *text)
{
    return *text != '\0' ? text : NULL;
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

bool process_view_equals_scanned(const struct process_view *view,
                                 const struct scanned_process *process)
{
    return view->statecode == process->statecode && view->pid == process->pid &&
           view->started_at == process->start * 1000 && view->stopped_at == process->stop * 1000 &&
           view->exit_status == process->exit_status &&
           (process->statecode == PROCESS_RUNNING
                ? view->description == NULL
                : scanned_text_equals(process->description, view->description)) &&
           scanned_text_equals(process->spawn_error, view->spawn_error) &&
           scanned_text_equals(process->stdout_log, view->stdout_log) &&
           scanned_text_equals(process->stderr_log, view->stderr_log) &&
           scanned_text_equals(process->name, view->name) &&
           scanned_text_equals(process->group, view->group);
}

static void render(const struct process_view *view, const struct config_node *node,
                   struct strbuf *text)
{
    struct json json;

    json_start(&json, text);
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
    CHECK(!strbuf_failed(text));
}

static size_t room(const char *text)
{
    return text != NULL ? strlen(text) + 1 : 0;
}

static const char *move_in(char **at, const char *text)
{
    size_t length = room(text);
    char *place = *at;

    if (text == NULL)
        return NULL;
    memcpy(place, text, length);
    *at += length;
    return place;
}

/* The view that draft describes, whose texts are somebody else's, in one block: two hundred
 * thousand of them are kept, and every poll of a node walks its own. What a poll compares lies
 * together. */
static struct process_view *seal(const struct process_view *draft, const struct config_node *node)
{
    struct process_view *view;
    struct strbuf json;
    char *at;

    strbuf_init(&json, OBJECT_MAX);
    render(draft, node, &json);
    view = mem_alloc(sizeof(*view) + room(draft->id) + room(draft->group) + room(draft->name) +
                     room(draft->spawn_error) + room(draft->description) + room(draft->stdout_log) +
                     room(draft->stderr_log) + json.length + 1);
    at = (char *) (view + 1);
    *view = *draft;
    view->group = move_in(&at, draft->group);
    view->name = move_in(&at, draft->name);
    view->spawn_error = move_in(&at, draft->spawn_error);
    view->description = move_in(&at, draft->description);
    view->stdout_log = move_in(&at, draft->stdout_log);
    view->stderr_log = move_in(&at, draft->stderr_log);
    view->id = move_in(&at, draft->id);
    view->json_length = json.length;
    view->json = move_in(&at, json.data);
    view->references = 1;
    strbuf_destroy(&json);
    return view;
}

struct process_view *process_view_create(const struct supervisor_process *process,
                                         const struct config_node *node, uint64_t revision)
{
    struct process_view *view;
    struct strbuf id;

    strbuf_init(&id, 1024);
    strbuf_printf(&id, "%s:%s", process->group, process->name);
    view = seal(
        &(struct process_view){
            .id = id.data,
            .group = process->group,
            .name = process->name,
            .statecode = process->statecode,
            .pid = process->pid,
            .started_at = process->start * 1000,
            .stopped_at = process->stop * 1000,
            .exit_status = process->exit_status,
            .spawn_error = text_or_null(process->spawn_error),
            .description = text_or_null(kept_description(process)),
            .stdout_log = text_or_null(process->stdout_log),
            .stderr_log = text_or_null(process->stderr_log),
            .revision = revision,
        },
        node);
    strbuf_destroy(&id);
    return view;
}

struct process_view *process_view_move(const struct process_view *process,
                                       const struct config_node *node, uint64_t revision)
{
    /* Field by field: the count of references of the other one is not ours to read. */
    return seal(
        &(struct process_view){
            .id = process->id,
            .group = process->group,
            .name = process->name,
            .statecode = process->statecode,
            .pid = process->pid,
            .started_at = process->started_at,
            .stopped_at = process->stopped_at,
            .exit_status = process->exit_status,
            .spawn_error = process->spawn_error,
            .description = process->description,
            .stdout_log = process->stdout_log,
            .stderr_log = process->stderr_log,
            .revision = revision,
        },
        node);
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
    if (process != NULL && __atomic_sub_fetch(&process->references, 1, __ATOMIC_ACQ_REL) == 0)
        free(process);
}

void process_json(struct json *json, const struct process_view *process)
{
    json_raw(json, process->json, process->json_length);
}
