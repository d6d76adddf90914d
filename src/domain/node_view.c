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
