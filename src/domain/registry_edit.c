/*
 * Changes of the registry: nodes that come, change and go, one or many in one step that readers see
 * whole. What costs (settings, endpoints, views, events) is made before the registry's write lock
 * is taken; under it are the exchange of pointers and the publishing, each node's under its own
 * lock. A node that was polled in between gets its view made anew there. Watchers are told after
 * it, holding nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "node_private.h"
#include "registry_private.h"

struct step {
    const struct registry_edit *edit;
    int error;
    struct node *node;            /* reference; NULL: there is none of that name */
    struct registry_entry *entry; /* to be hashed, or taken out of the hash */
    struct node_events events;
    /* of a change */
    struct node_settings *settings;
    struct node_view *base, *next;
    uint64_t breaker_changes;
    bool same_peer;
    /* what the exchange left over */
    struct node_settings *old_settings;
    struct node_view *old_view;
};

/* ---- before ---- */

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

/* The view that the new settings make of the present one, and the events of that. */
static void draft(struct step *step)
{
    uint64_t breaker_changes = node_breaker_changes(step->node);
    struct node_view *base = node_view(step->node);
    struct node_view *next = node_view_draft(base, step->settings);
    const struct config_node *old = &base->settings->config;
    bool moved = strcmp(old->environment, step->settings->config.environment) != 0;

    step->same_peer = node_same_connection(old, &step->settings->config);
    if (!step->same_peer)
        forget_peer(next);
    else if (moved)
        move_processes(next);
    node_view_seal(next);
    for (size_t i = 0; !step->same_peer && i < base->processes_count; i++)
        node_events_add_process(&step->events, base, base->processes[i], base->processes[i], true);
    if (moved)
        node_events_add_removed(&step->events, base->settings);
    node_events_add_node(&step->events, step->node, next);
    /* To who heard that the node was removed, and to who did not see it before. */
    for (size_t i = 0; moved && i < next->processes_count; i++)
        node_events_add_process(&step->events, next, next->processes[i], NULL, false);
    step->base = base;
    step->next = next;
    step->breaker_changes = breaker_changes;
}

static void drop_draft(struct step *step)
{
    node_events_drop(&step->events);
    node_view_unref(&step->base);
    node_view_unref(&step->next);
}

static void prepare(struct registry *registry, struct step *step)
{
    const struct registry_edit *edit = step->edit;
    struct node_settings *before;

    if (edit->action == REGISTRY_ADD) {
        step->settings =
            node_settings_create(registry->engine, edit->config, edit->from_store, NULL);
        step->node = node_create(node_settings_ref(step->settings), registry->bus);
        step->entry = mem_alloc(sizeof(*step->entry));
        step->entry->node = node_ref(step->node);
        step->base = node_view(step->node);
        node_events_add_node(&step->events, step->node, step->base);
        return;
    }
    step->node = registry_find(registry, edit->name);
    if (step->node == NULL)
        return;
    before = node_settings(step->node);
    if (edit->action == REGISTRY_CHANGE) {
        step->settings =
            node_settings_create(registry->engine, edit->config, edit->from_store, before);
        draft(step);
    } else {
        node_events_add_removed(&step->events, before);
    }
    node_settings_unref(&before);
}

/* ---- the exchange ---- */

static int add_locked(struct registry *registry, struct step *step)
{
    struct registry_entry *taken;

    HASH_FIND_STR(registry->entries, step->edit->name, taken);
    if (taken != NULL)
        return CESID_E_CONFLICT;
    HASH_ADD_KEYPTR(hh, registry->entries, step->node->name, strlen(step->node->name), step->entry);
    step->entry = NULL;
    lock_acquire(&step->node->lock);
    node_events_publish(&step->events, registry->bus);
    lock_release(&step->node->lock);
    return CESID_OK;
}

static bool swap_locked(struct registry *registry, struct step *step)
{
    struct node *node = step->node;
    bool swapped;

    lock_acquire(&node->lock);
    swapped = node->view == step->base && node->breaker_changes == step->breaker_changes;
    if (swapped) {
        step->old_view = node->view;
        step->old_settings = node->settings;
        node->view = step->next;
        node->settings = node_settings_ref(step->settings);
        step->next = NULL;
        if (!step->same_peer) {
            breaker_init(&node->breaker);
            node->breaker_changes++;
        }
        node_events_publish(&step->events, registry->bus);
    }
    lock_release(&node->lock);
    return swapped;
}

static int change_locked(struct registry *registry, struct step *step)
{
    if (step->node == NULL || step->node->removed) /* written under this lock only */
        return CESID_E_NOT_FOUND;
    while (!swap_locked(registry, step)) {
        drop_draft(step);
        draft(step);
    }
    return CESID_OK;
}

static int remove_locked(struct registry *registry, struct step *step)
{
    struct registry_entry *entry;

    HASH_FIND_STR(registry->entries, step->edit->name, entry);
    if (entry == NULL || entry->node != step->node)
        return CESID_E_NOT_FOUND;
    HASH_DEL(registry->entries, entry);
    step->entry = entry;
    lock_acquire(&step->node->lock);
    step->node->removed = true;
    node_events_publish(&step->events, registry->bus);
    lock_release(&step->node->lock);
    return CESID_OK;
}

static void apply_locked(struct registry *registry, struct step *step)
{
    rwlock_assert_held(&registry->lock);
    if (step->edit->action == REGISTRY_ADD)
        step->error = add_locked(registry, step);
    else if (step->edit->action == REGISTRY_CHANGE)
        step->error = change_locked(registry, step);
    else
        step->error = remove_locked(registry, step);
}

/* ---- after ---- */

static void tell(const struct registry *registry, const struct step *step)
{
    /* The event of the change was rendered before its breaker was a new one. */
    if (step->edit->action == REGISTRY_CHANGE && !step->same_peer)
        node_tell(step->node);
    for (size_t i = 0; i < registry->watchers_count; i++) {
        const struct registry_watcher *watcher = &registry->watchers[i];

        if (step->edit->action == REGISTRY_ADD)
            watcher->added(watcher->argument, step->node);
        else if (step->edit->action == REGISTRY_CHANGE)
            watcher->changed(watcher->argument, step->node);
        else
            watcher->removed(watcher->argument, step->node);
    }
    if (step->edit->action == REGISTRY_REMOVE)
        node_retire(step->node);
}

static void clear(struct step *step)
{
    drop_draft(step);
    if (step->entry != NULL)
        node_unref(&step->entry->node);
    free(step->entry);
    node_settings_unref(&step->settings);
    node_settings_unref(&step->old_settings);
    node_view_unref(&step->old_view);
    node_unref(&step->node);
}

static void edit_all(struct registry *registry, struct step *steps, size_t count)
{
    for (size_t i = 0; i < count; i++)
        prepare(registry, &steps[i]);
    rwlock_write(&registry->lock);
    for (size_t i = 0; i < count; i++)
        apply_locked(registry, &steps[i]);
    rwlock_release(&registry->lock);
    for (size_t i = 0; i < count; i++)
        if (steps[i].error == CESID_OK)
            tell(registry, &steps[i]);
}

void registry_edit(struct registry *registry, const struct registry_edits *edits)
{
    struct step *steps = mem_array(edits->count + 1, sizeof(*steps));

    for (size_t i = 0; i < edits->count; i++)
        steps[i].edit = &edits->items[i];
    edit_all(registry, steps, edits->count);
    for (size_t i = 0; i < edits->count; i++) {
        if (steps[i].error != CESID_OK)
            log_warning("registry", "a node changed meanwhile and is left as it is",
                        log_s("node", edits->items[i].name),
                        log_s("error", error_code(steps[i].error)));
        clear(&steps[i]);
    }
    free(steps);
}

static int edit_one(struct registry *registry, const struct registry_edit *edit,
                    struct node **result)
{
    struct step step = {.edit = edit};

    edit_all(registry, &step, 1);
    if (result != NULL && step.error == CESID_OK)
        *result = node_ref(step.node);
    clear(&step);
    return step.error;
}

int registry_add(struct registry *registry, const struct config_node *config, bool from_store,
                 struct node **node)
{
    return edit_one(registry,
                    &(struct registry_edit){.action = REGISTRY_ADD,
                                            .name = config->name,
                                            .config = config,
                                            .from_store = from_store},
                    node);
}

int registry_change(struct registry *registry, const struct config_node *config, bool from_store)
{
    return edit_one(registry,
                    &(struct registry_edit){.action = REGISTRY_CHANGE,
                                            .name = config->name,
                                            .config = config,
                                            .from_store = from_store},
                    NULL);
}

int registry_remove(struct registry *registry, const char *name)
{
    return edit_one(registry, &(struct registry_edit){.action = REGISTRY_REMOVE, .name = name},
                    NULL);
}

/* ---- the list of what to do ---- */

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
