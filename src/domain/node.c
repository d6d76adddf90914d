/*
 * A node: its name, its settings, its current view and its breaker. Any thread. The node's lock
 * covers pointer reads, swaps and publishing; views and settings are read outside it, by reference.
 */
#include "cesid/node.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"
#include "node_private.h"

static const char *const state_names[NODE_STATES] = {
    [NODE_CONNECTING] = "connecting",
    [NODE_UP] = "up",
    [NODE_DOWN] = "down",
    [NODE_DISABLED] = "disabled",
};

const char *node_state_name(enum node_state state)
{
    CHECK(state >= 0 && state < NODE_STATES);
    return state_names[state];
}

bool node_state_parse(const char *name, enum node_state *state)
{
    for (int i = 0; i < NODE_STATES; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *state = (enum node_state) i;
            return true;
        }
    }
    return false;
}

bool node_same_connection(const struct config_node *a, const struct config_node *b)
{
    return strcmp(a->url, b->url) == 0 && strcmp(a->username, b->username) == 0 &&
           secret_equal(a->password, b->password) && strcmp(a->ca_file, b->ca_file) == 0 &&
           a->verify == b->verify && a->enabled == b->enabled;
}

struct node_settings *node_settings_create(struct rpc_engine *engine,
                                           const struct config_node *config, bool from_store,
                                           const struct node_settings *before)
{
    struct node_settings *settings = mem_alloc(sizeof(*settings));

    config_node_copy(&settings->config, config);
    settings->from_store = from_store;
    settings->references = 1;
    if (config->enabled && before != NULL && node_same_connection(config, &before->config))
        settings->endpoint = rpc_endpoint_ref(before->endpoint);
    else if (config->enabled)
        settings->endpoint = rpc_endpoint_create(engine, &settings->config);
    return settings;
}

struct node_settings *node_settings_ref(struct node_settings *settings)
{
    __atomic_add_fetch(&settings->references, 1, __ATOMIC_RELAXED);
    return settings;
}

void node_settings_unref(struct node_settings **slot)
{
    struct node_settings *settings = *slot;

    *slot = NULL;
    if (settings == NULL || __atomic_sub_fetch(&settings->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (settings->endpoint != NULL)
        rpc_endpoint_unref(&settings->endpoint);
    config_node_clear(&settings->config);
    free(settings);
}

struct node *node_create(struct node_settings *settings, struct bus *bus)
{
    struct node *node = mem_alloc(sizeof(*node));
    struct node_view *view = node_view_draft(NULL, settings);

    node->name = mem_string(settings->config.name);
    node->bus = bus;
    lock_init(&node->lock, LOCK_NODE);
    breaker_init(&node->breaker);
    node->references = 1;
    node->settings = settings;
    node_view_set_state(view, settings->config.enabled ? NODE_CONNECTING : NODE_DISABLED,
                        RPC_CAUSE_NONE);
    node_view_seal(view);
    node->view = view;
    return node;
}

void node_retire(struct node *node)
{
    struct node_settings *settings = node_settings(node);

    if (settings->endpoint != NULL)
        rpc_endpoint_retire(settings->endpoint);
    node_settings_unref(&settings);
}

struct node *node_ref(struct node *node)
{
    __atomic_add_fetch(&node->references, 1, __ATOMIC_RELAXED);
    return node;
}

void node_unref(struct node **slot)
{
    struct node *node = *slot;

    *slot = NULL;
    if (node == NULL || __atomic_sub_fetch(&node->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    node_view_unref(&node->view);
    node_settings_unref(&node->settings);
    lock_destroy(&node->lock);
    free(node->name);
    free(node);
}

const char *node_name(const struct node *node)
{
    return node->name;
}

bool node_removed(struct node *node)
{
    bool removed;

    lock_acquire(&node->lock);
    removed = node->removed;
    lock_release(&node->lock);
    return removed;
}

bool node_reached_by(struct node *node, const struct rpc_endpoint *endpoint)
{
    bool reached;

    lock_acquire(&node->lock);
    reached = node->settings->endpoint == endpoint;
    lock_release(&node->lock);
    return reached;
}

struct node_view *node_view(struct node *node)
{
    struct node_view *view;

    lock_acquire(&node->lock);
    view = node_view_ref(node->view);
    lock_release(&node->lock);
    return view;
}

struct node_settings *node_settings(struct node *node)
{
    struct node_settings *settings;

    lock_acquire(&node->lock);
    settings = node_settings_ref(node->settings);
    lock_release(&node->lock);
    return settings;
}

uint64_t node_breaker_changes(struct node *node)
{
    uint64_t changes;

    lock_acquire(&node->lock);
    changes = node->breaker_changes;
    lock_release(&node->lock);
    return changes;
}

bool node_swap(struct node *node, const struct node_view *base, uint64_t breaker_changes,
               struct node_view *next, struct node_events *events)
{
    struct node_view *old = NULL;

    lock_acquire(&node->lock);
    if (node->view == base && node->breaker_changes == breaker_changes && !node->removed) {
        old = node->view;
        node->view = next;
        node_events_publish(events, node->bus);
    }
    lock_release(&node->lock);
    if (old == NULL)
        return false;
    node_view_unref(&old);
    return true;
}

/* False when the node has changed meanwhile. */
static bool tell_once(struct node *node)
{
    uint64_t changes = node_breaker_changes(node);
    struct node_view *view = node_view(node);
    struct node_events events = {0};
    bool current;

    node_events_add_node(&events, node, view);
    lock_acquire(&node->lock);
    current = (node->view == view && node->breaker_changes == changes) || node->removed;
    if (current && !node->removed)
        node_events_publish(&events, node->bus);
    lock_release(&node->lock);
    node_events_drop(&events);
    node_view_unref(&view);
    return current;
}

void node_tell(struct node *node)
{
    while (!tell_once(node))
        continue;
}

/* The breaker was like `before`: true when it changed, which is counted. */
static bool note_change_locked(struct node *node, const struct breaker *before)
{
    lock_assert_held(&node->lock);
    if (node->breaker.state != before->state)
        metrics_count(METRIC_BREAKER_TRANSITIONS, breaker_state_name(node->breaker.state));
    if (node->breaker.state == before->state && node->breaker.failures == before->failures)
        return false;
    node->breaker_changes++;
    return true;
}

bool node_breaker_allow(struct node *node)
{
    struct breaker before;
    bool allowed, changed;

    lock_acquire(&node->lock);
    before = node->breaker;
    allowed = breaker_allow(&node->breaker, clock_now());
    changed = note_change_locked(node, &before);
    lock_release(&node->lock);
    if (changed)
        node_tell(node);
    return allowed;
}

/* Which errors are the connection's fault: CONTRACT.md, below the process object. */
static bool is_connection_failure(int error)
{
    return error == CESID_E_NODE_UNREACHABLE || error == CESID_E_NODE_TIMEOUT ||
           error == CESID_E_NODE_PROTOCOL || error == CESID_E_NODE_UNAUTHORIZED;
}

bool node_breaker_count(struct node *node, int error, const struct breaker_settings *settings)
{
    int64_t now = clock_now();
    /* Jitter needs to differ between nodes, not to be unguessable. */
    double jitter = (double) ((uint64_t) now * UINT64_C(0x9E3779B97F4A7C15) >> 40) / 16777216.0;

    struct breaker before;
    bool changed;

    lock_acquire(&node->lock);
    before = node->breaker;
    if (is_connection_failure(error))
        (void) breaker_failure(&node->breaker, settings, now, jitter);
    else if (error == CESID_E_CANCELLED || error == CESID_E_SHUTTING_DOWN)
        breaker_abandon(&node->breaker);
    else
        (void) breaker_success(&node->breaker);
    changed = note_change_locked(node, &before);
    lock_release(&node->lock);
    return changed;
}

void node_breaker_report(struct node *node, int error, const struct breaker_settings *settings)
{
    if (node_breaker_count(node, error, settings))
        node_tell(node);
}

enum breaker_state node_breaker_state(struct node *node)
{
    enum breaker_state state;

    lock_acquire(&node->lock);
    state = node->breaker.state;
    lock_release(&node->lock);
    return state;
}

void node_breaker_limit(struct node *node, double open_max)
{
    int64_t latest = clock_after(open_max);

    lock_acquire(&node->lock);
    if (node->breaker.state == BREAKER_OPEN && node->breaker.retry_at > latest)
        node->breaker.retry_at = latest;
    lock_release(&node->lock);
}

double node_breaker_retry_after(struct node *node)
{
    double seconds = 0;
    int64_t now = clock_now();

    lock_acquire(&node->lock);
    if (node->breaker.state == BREAKER_OPEN && node->breaker.retry_at > now)
        seconds = (double) (node->breaker.retry_at - now) / (double) CLOCK_SECOND;
    lock_release(&node->lock);
    return seconds;
}

double node_latency(const struct node *node)
{
    return (double) __atomic_load_n(&node->latency, __ATOMIC_RELAXED) / (double) CLOCK_SECOND;
}

void node_json(struct json *json, struct node *node, const struct node_view *view)
{
    struct strbuf *out = json->out;
    struct strbuf text;
    struct json live;
    struct breaker breaker;
    int64_t now = clock_now();
    int64_t refreshed = __atomic_load_n(&node->last_refresh, __ATOMIC_RELAXED);
    int64_t latency = __atomic_load_n(&node->latency, __ATOMIC_RELAXED);

    lock_acquire(&node->lock);
    breaker = node->breaker;
    lock_release(&node->lock);

    strbuf_init(&text, out->limit);
    strbuf_add(&text, view->json, view->json_length);
    strbuf_puts(&text, ",\"last_refresh\":");
    json_start(&live, &text);
    json_time(&live, refreshed);
    strbuf_puts(&text, ",\"latency\":");
    json_start(&live, &text);
    if (refreshed == 0)
        json_null(&live);
    else
        json_real(&live, (double) latency / (double) CLOCK_SECOND);
    strbuf_puts(&text, ",\"breaker\":");
    json_start(&live, &text);
    json_object(&live);
    json_put_string(&live, "state", breaker_state_name(breaker.state));
    json_put_integer(&live, "failures", breaker.failures);
    json_put_time(&live, "retry_at",
                  breaker.state == BREAKER_OPEN
                      ? clock_wall() + (breaker.retry_at - now) / (CLOCK_SECOND / 1000)
                      : 0);
    json_object_end(&live);
    strbuf_putc(&text, '}');
    json_raw(json, text.data, text.length);
    strbuf_destroy(&text);
}
