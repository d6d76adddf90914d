/*
 * The registry of nodes. Any thread: lookups and lists take the read lock for a pointer and a
 * reference; add, change and remove take the write lock for the hash alone. What a node knows is
 * behind the node's own lock; endpoints, views and JSON are made outside both.
 */
#include "cesid/registry.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cesid/check.h"
#include "cesid/error.h"
#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "node_private.h"

#define WATCHERS_MAX 4

struct entry {
    struct node *node; /* reference */
    UT_hash_handle hh;
};

struct registry {
    /* immutable after the first add */
    struct bus *bus;
    struct rpc_engine *engine;
    struct registry_watcher watchers[WATCHERS_MAX];
    size_t watchers_count;

    struct rwlock lock;
    /* guarded by lock */
    struct entry *entries; /* by name */
};

struct registry *registry_create(struct bus *bus, struct rpc_engine *engine)
{
    struct registry *registry = mem_alloc(sizeof(*registry));

    registry->bus = bus;
    registry->engine = engine;
    rwlock_init(&registry->lock, LOCK_REGISTRY);
    return registry;
}

void registry_destroy(struct registry **slot)
{
    struct registry *registry = *slot;
    struct entry *entry, *next;

    *slot = NULL;
    if (registry == NULL)
        return;
    entry = registry->entries;
    HASH_CLEAR(hh, registry->entries); /* the table; its entries still know the next */
    for (; entry != NULL; entry = next) {
        next = entry->hh.next;
        node_unref(&entry->node);
        free(entry);
    }
    rwlock_destroy(&registry->lock);
    free(registry);
}

void registry_watch(struct registry *registry, const struct registry_watcher *watcher)
{
    CHECK(registry->watchers_count < WATCHERS_MAX && registry->entries == NULL);
    registry->watchers[registry->watchers_count++] = *watcher;
}

/* Tells of a node that is new. When a poll was applied already, that one told; when it was removed
 * already, nobody is to hear of it any more. */
static void announce(struct registry *registry, struct node *node)
{
    struct node_events events = {0};
    struct node_view *view = node_view(node);

    node_events_add_node(&events, node, view);
    lock_acquire(&node->lock);
    if (node->view == view && !node->removed)
        node_events_publish(&events, registry->bus);
    lock_release(&node->lock);
    node_events_drop(&events);
    node_view_unref(&view);
}

int registry_add(struct registry *registry, const struct config_node *config, bool from_store,
                 struct node **result)
{
    struct node *node =
        node_create(node_settings_create(registry->engine, config, from_store, NULL));
    struct entry *entry = mem_alloc(sizeof(*entry));
    struct entry *taken;

    entry->node = node;
    rwlock_write(&registry->lock);
    HASH_FIND_STR(registry->entries, node->name, taken);
    if (taken == NULL) {
        HASH_ADD_KEYPTR(hh, registry->entries, node->name, strlen(node->name), entry);
        node_ref(node); /* ours, for as long as this function goes on */
    }
    rwlock_release(&registry->lock);
    if (taken != NULL) {
        node_unref(&node);
        free(entry);
        return CESID_E_CONFLICT;
    }
    announce(registry, node);
    for (size_t i = 0; i < registry->watchers_count; i++)
        registry->watchers[i].added(registry->watchers[i].argument, node);
    if (result != NULL)
        *result = node;
    else
        node_unref(&node);
    return CESID_OK;
}

/* A node whose connection changed is another peer until it answers: its processes are forgotten. */
static void forget_peer(struct node_view *next)
{
    for (size_t i = 0; i < next->processes_count; i++)
        process_view_unref(&next->processes[i]);
    next->processes_count = 0;
    free(next->supervisor_version);
    free(next->api_version);
    free(next->identification);
    free(next->supervisor_state);
    next->supervisor_version = next->api_version = NULL;
    next->identification = next->supervisor_state = NULL;
    node_view_set_state(next, next->settings->config.enabled ? NODE_CONNECTING : NODE_DISABLED,
                        RPC_CAUSE_NONE);
}

static void move_processes(struct node_view *next)
{
    for (size_t i = 0; i < next->processes_count; i++) {
        struct process_view *moved =
            process_view_move(next->processes[i], &next->settings->config, next->revision);

        process_view_unref(&next->processes[i]);
        next->processes[i] = moved;
    }
}

static bool change_once(struct registry *registry, struct node *node,
                        struct node_settings *settings)
{
    struct node_view *base = node_view(node);
    struct node_view *next = node_view_draft(base, settings);
    struct node_events events = {0};
    const struct config_node *old = &base->settings->config;
    bool moved = strcmp(old->environment, settings->config.environment) != 0;
    bool same_peer = node_same_connection(old, &settings->config);
    struct node_settings *before = NULL;
    struct node_view *old_view = NULL;

    if (!same_peer)
        forget_peer(next);
    else if (moved)
        move_processes(next);
    node_view_seal(next);
    for (size_t i = 0; !same_peer && i < base->processes_count; i++)
        node_events_add_process(&events, base, base->processes[i], base->processes[i], true);
    if (moved)
        node_events_add_removed(&events, base->settings);
    node_events_add_node(&events, node, next);

    lock_acquire(&node->lock);
    if (node->view == base && !node->removed) {
        old_view = node->view;
        before = node->settings;
        node->view = next;
        node->settings = node_settings_ref(settings);
        if (!same_peer)
            breaker_init(&node->breaker);
        node_events_publish(&events, registry->bus);
    }
    lock_release(&node->lock);

    node_events_drop(&events);
    if (old_view == NULL)
        node_view_unref(&next);
    node_settings_unref(&before);
    node_view_unref(&base);
    if (old_view == NULL)
        return false;
    node_view_unref(&old_view);
    return true;
}

int registry_change(struct registry *registry, const struct config_node *config, bool from_store)
{
    struct node *node = registry_find(registry, config->name);
    struct node_settings *before, *settings;

    if (node == NULL)
        return CESID_E_NOT_FOUND;
    before = node_settings(node);
    settings = node_settings_create(registry->engine, config, from_store, before);
    node_settings_unref(&before);
    while (!change_once(registry, node, settings)) {
        if (node_removed(node)) {
            node_settings_unref(&settings);
            node_unref(&node);
            return CESID_E_NOT_FOUND;
        }
    }
    for (size_t i = 0; i < registry->watchers_count; i++)
        registry->watchers[i].changed(registry->watchers[i].argument, node);
    node_settings_unref(&settings);
    node_unref(&node);
    return CESID_OK;
}

int registry_remove(struct registry *registry, const char *name)
{
    struct entry *entry;
    struct node_settings *settings;
    struct node_events events = {0};

    rwlock_write(&registry->lock);
    HASH_FIND_STR(registry->entries, name, entry);
    if (entry != NULL)
        HASH_DEL(registry->entries, entry);
    rwlock_release(&registry->lock);
    if (entry == NULL)
        return CESID_E_NOT_FOUND;

    settings = node_settings(entry->node);
    node_events_add_removed(&events, settings);
    lock_acquire(&entry->node->lock);
    entry->node->removed = true;
    node_events_publish(&events, registry->bus);
    lock_release(&entry->node->lock);
    node_settings_unref(&settings);

    for (size_t i = 0; i < registry->watchers_count; i++)
        registry->watchers[i].removed(registry->watchers[i].argument, entry->node);
    node_unref(&entry->node);
    free(entry);
    return CESID_OK;
}

void registry_edits_add(struct registry_edits *edits, enum registry_action action, const char *name,
                        const struct config_node *config, bool from_store)
{
    if (edits->count % 64 == 0)
        edits->items = mem_resize(edits->items, edits->count + 64, sizeof(edits->items[0]));
    edits->items[edits->count++] = (struct registry_edit){
        .action = action, .name = name, .config = config, .from_store = from_store};
}

void registry_edits_free(struct registry_edits *edits)
{
    free(edits->items);
    *edits = (struct registry_edits){0};
}

void registry_edit(struct registry *registry, const struct registry_edits *edits)
{
    for (size_t i = 0; i < edits->count; i++) {
        const struct registry_edit *edit = &edits->items[i];
        int error = CESID_OK;

        if (edit->action == REGISTRY_ADD)
            error = registry_add(registry, edit->config, edit->from_store, NULL);
        else if (edit->action == REGISTRY_CHANGE)
            error = registry_change(registry, edit->config, edit->from_store);
        else
            error = registry_remove(registry, edit->name);
        if (error != CESID_OK)
            log_warning("registry", "a node changed meanwhile and is left as it is",
                        log_s("node", edit->name), log_s("error", error_code(error)));
    }
}

struct node *registry_find(struct registry *registry, const char *name)
{
    struct entry *entry;
    struct node *node = NULL;

    rwlock_read(&registry->lock);
    HASH_FIND_STR(registry->entries, name, entry);
    if (entry != NULL)
        node = node_ref(entry->node);
    rwlock_release(&registry->lock);
    return node;
}

static int by_name(const void *a, const void *b)
{
    struct node *const *left = a, *const *right = b;

    return strcmp((*left)->name, (*right)->name);
}

void registry_list(struct registry *registry, struct node_list *list)
{
    struct entry *entry, *next;

    rwlock_read(&registry->lock);
    list->items = mem_array(HASH_COUNT(registry->entries), sizeof(list->items[0]));
    list->count = 0;
    HASH_ITER(hh, registry->entries, entry, next)
    list->items[list->count++] = node_ref(entry->node);
    rwlock_release(&registry->lock);
    if (list->count > 1)
        qsort(list->items, list->count, sizeof(list->items[0]), by_name);
}

void node_list_free(struct node_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        node_unref(&list->items[i]);
    free(list->items);
    list->items = NULL;
    list->count = 0;
}
