/*
 * Refresh: one thread with a heap of due times, jittered so that nodes do not poll in step. It
 * takes a permit of the background semaphore for each poll and hands the node to the rpc engine;
 * the poll's callback applies the answer, gives the permit back and puts the node back. At most one
 * poll of a node is under way; a wish for fresh data during one makes another follow it at once.
 * Nodes that just failed are probed out of a bounded share of the permits, so that hung nodes never
 * starve the healthy ones. Polls that somebody waits for have permits of their own.
 * Lock: LOCK_REFRESH.
 */
#ifndef CESID_REFRESH_H
#define CESID_REFRESH_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/registry.h"

struct refresh;

struct refresh_figures {
    size_t nodes;           /* scheduled */
    size_t in_use;          /* permits */
    size_t limit;           /* permits in all */
    size_t waiting;         /* nodes that are due and wait for a permit */
    size_t on_demand;       /* permits in use by polls that somebody waits for… */
    size_t on_demand_limit; /* …which are apart from those above */
    double lag;             /* seconds that the most overdue node is late */
};

/* Registers itself as the registry's watcher. */
struct refresh *refresh_create(struct registry *registry, struct config_box *config);
int refresh_start(struct refresh *refresh) CESID_WARN_UNUSED;
/* No new polls, and joins. Polls under way end with the rpc engine, which is stopped next; after
 * that the refresh may be destroyed. */
void refresh_stop(struct refresh *refresh);
void refresh_destroy(struct refresh **refresh);

/* After a reload: permits and due times follow the configuration in force. */
void refresh_reconfigure(struct refresh *refresh);

/* Polls as soon as possible. done is called once, without locks, on a loop thread or the caller's,
 * with the poll's error (0: the view is now fresh); such a poll goes out although the breaker is
 * open. done NULL: nobody waits, so the poll takes its turn among the others and asks the breaker.
 */
void refresh_now(struct refresh *refresh, struct node *node,
                 void (*done)(void *argument, int error), void *argument);
/* The same, waiting until deadline: 0, the poll's error, or NODE_TIMEOUT. */
int refresh_wait(struct refresh *refresh, struct node *node, int64_t deadline) CESID_WARN_UNUSED;

void refresh_figures(struct refresh *refresh, struct refresh_figures *figures);

#endif
