/*
 * The registry: all nodes by name, in a hash behind a read-write lock. Lookups give references,
 * never locked objects. Lock: LOCK_REGISTRY, then LOCK_NODE.
 */
#ifndef CESID_REGISTRY_H
#define CESID_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/node.h"

struct registry;

struct registry *registry_create(struct bus *bus, struct rpc_engine *engine);
void registry_destroy(struct registry **registry);

/* Told about nodes coming, changing and going, without locks held, after readers see it. Set once
 * before the first add. A node that is removed while it is still being added may be told of as
 * removed first: `added` asks node_removed when it has done its work. */
struct registry_watcher {
    void (*added)(void *argument, struct node *node);
    void (*changed)(void *argument, struct node *node); /* new settings */
    void (*removed)(void *argument, struct node *node);
    void *argument;
};
void registry_watch(struct registry *registry, const struct registry_watcher *watcher);

/* Copies config. CONFLICT when the name is taken. node may be NULL; else a reference. */
int registry_add(struct registry *registry, const struct config_node *config, bool from_store,
                 struct node **node) CESID_WARN_UNUSED;
int registry_change(struct registry *registry, const struct config_node *config,
                    bool from_store) CESID_WARN_UNUSED;
int registry_remove(struct registry *registry, const char *name) CESID_WARN_UNUSED;

/* Several at once: registry_survey sees all of it or nothing. Configurations and names are borrowed
 * until registry_edit has returned. */
enum registry_action { REGISTRY_ADD, REGISTRY_CHANGE, REGISTRY_REMOVE };
struct registry_edits {
    struct registry_edit {
        enum registry_action action;
        const char *name;
        const struct config_node *config; /* NULL: REMOVE */
        bool from_store;
    } * items;
    size_t count;
};
void registry_edits_add(struct registry_edits *edits, enum registry_action action, const char *name,
                        const struct config_node *config, bool from_store);
void registry_edits_free(struct registry_edits *edits);
/* What no longer fits (an ADD of a name that is taken, a CHANGE or REMOVE of none) is left out. */
void registry_edit(struct registry *registry, const struct registry_edits *edits);

struct node *registry_find(struct registry *registry, const char *name); /* reference or NULL */

/* References to all nodes, sorted by name; free with registry_list_free. */
struct node_list {
    struct node **items;
    size_t count;
};
void registry_list(struct registry *registry, struct node_list *list);
void node_list_free(struct node_list *list);

/* All nodes with their views, as they were at one moment: a change of several nodes at once is in
 * there whole or not at all. Sorted by name. */
struct node_survey {
    struct node_and_view {
        struct node *node;
        struct node_view *view;
    } * items;
    size_t count;
};
void registry_survey(struct registry *registry, struct node_survey *survey);
void node_survey_free(struct node_survey *survey);

#endif
