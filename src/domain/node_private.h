/*
 * A node's inside, shared by node.c, node_view.c, node_apply.c and registry.c only.
 */
#ifndef CESID_NODE_PRIVATE_H
#define CESID_NODE_PRIVATE_H

#include "cesid/lock.h"
#include "cesid/node.h"
#include "cesid/process_scan.h"

struct node {
    /* immutable */
    char *name;
    struct bus *bus; /* borrowed */

    struct lock lock;
    /* guarded by lock */
    struct node_settings *settings;
    struct node_view *view;
    struct breaker breaker;
    uint64_t breaker_changes; /* so many, for who renders it without the lock */
    bool removed;

    /* atomic */
    int64_t last_refresh; /* wall milliseconds; 0: never */
    int64_t latency;      /* nanoseconds */
    int references;
};

/* The endpoint is that of before (NULL: none) when the connection is the same, else a new one when
 * the node is enabled. */
struct node_settings *node_settings_create(struct rpc_engine *engine,
                                           const struct config_node *config, bool from_store,
                                           const struct node_settings *before);
/* Whether both speak of one peer, with one password. */
bool node_same_connection(const struct config_node *a, const struct config_node *b);
/* Whoever remembers the removed node keeps no connection to it. */
void node_retire(struct node *node);
/* Takes over the reference to the settings. */
struct node *node_create(struct node_settings *settings, struct bus *bus);

/* A view of the same settings and processes as base (NULL: none yet), to be changed and then
 * rendered. Strings and processes are shared or copied: the draft owns what it points to. */
struct node_view *node_view_draft(const struct node_view *base, struct node_settings *settings);
void node_view_set_state(struct node_view *draft, enum node_state state, enum rpc_cause cause);
/* Counts, then renders json; the draft is immutable from here on. */
void node_view_seal(struct node_view *draft);

struct process_view *process_view_create(const struct supervisor_process *process,
                                         const struct config_node *node, uint64_t revision);
struct process_view *process_view_ref(struct process_view *process);
void process_view_unref(struct process_view **process);
bool process_view_equals(const struct process_view *view, const struct supervisor_process *process);
/* The same question about an answer that was not parsed. */
bool process_view_equals_scanned(const struct process_view *view,
                                 const struct scanned_process *process);
/* The same process under another environment: rendered anew. */
struct process_view *process_view_move(const struct process_view *process,
                                       const struct config_node *node, uint64_t revision);

/* Events of a change, published together under the node's lock. */
struct node_events {
    struct event **items;
    size_t count, capacity;
};
void node_events_add_node(struct node_events *events, struct node *node,
                          const struct node_view *view);
void node_events_add_removed(struct node_events *events, const struct node_settings *settings);
/* previous NULL: a new process. gone: it is no longer there. */
void node_events_add_process(struct node_events *events, const struct node_view *view,
                             const struct process_view *process,
                             const struct process_view *previous, bool gone);
void node_events_publish(struct node_events *events, struct bus *bus); /* and frees */
void node_events_drop(struct node_events *events);

/* Swaps next in and publishes, if base is still the node's view and the breaker as it was after so
 * many changes: true. Else changes nothing. */
bool node_swap(struct node *node, const struct node_view *base, uint64_t breaker_changes,
               struct node_view *next, struct node_events *events);
uint64_t node_breaker_changes(struct node *node);

/* As node_breaker_report, but leaves it to the caller to tell: true when there is something. */
bool node_breaker_count(struct node *node, int error, const struct breaker_settings *settings);
/* Publishes the node as it is. */
void node_tell(struct node *node);

#endif
