/*
 * What is known of a node: immutable, reference-counted views, replaced whole. A reader takes a
 * reference and reads at leisure. Processes that did not change are shared between views.
 * What moves at every poll (last_refresh, latency) and the breaker are beside the view.
 * Lock: LOCK_NODE, one a node, held for pointer swaps and publishing only.
 */
#ifndef CESID_NODE_H
#define CESID_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/breaker.h"
#include "cesid/bus.h"
#include "cesid/config.h"
#include "cesid/json.h"
#include "cesid/rpc.h"
#include "cesid/supervisor.h"

enum node_state { NODE_CONNECTING, NODE_UP, NODE_DOWN, NODE_DISABLED, NODE_STATES };
const char *node_state_name(enum node_state state);
bool node_state_parse(const char *name, enum node_state *state);

struct node_counts {
    int total, running, starting, backoff, stopping, stopped, exited, fatal, unknown;
};
void node_counts_add(struct node_counts *counts, int statecode);
void node_counts_sum(struct node_counts *sum, const struct node_counts *counts);
void node_counts_json(struct json *json, const struct node_counts *counts);

/* One allocation: the texts lie behind it. */
struct process_view {
    /* immutable */
    const char *id; /* "group:name" */
    const char *group;
    const char *name;
    int statecode;
    int64_t pid;
    int64_t started_at, stopped_at; /* wall milliseconds by the node's clock; 0: never */
    int exit_status;
    const char *spawn_error;             /* NULL: none */
    const char *description;             /* NULL while RUNNING */
    const char *stdout_log, *stderr_log; /* NULL: none */
    uint64_t revision;                   /* the node's, when this process last changed */
    const char *json;                    /* the process object of CONTRACT.md */
    size_t json_length;
    /* atomic */
    int references;
};

/* A node's settings: immutable, replaced whole when an operator changes them. */
struct node_settings {
    struct config_node config;     /* owned */
    bool from_store;               /* source "store", else "config" */
    struct rpc_endpoint *endpoint; /* NULL while disabled */
    int references;                /* atomic */
};

struct node_view {
    /* immutable */
    struct node_settings *settings; /* reference */
    enum node_state state;
    enum rpc_cause cause; /* NONE unless down */
    int64_t since;        /* wall milliseconds of the last change of state */
    char *supervisor_version, *api_version, *identification, *supervisor_state; /* NULL: unknown */
    struct node_counts counts;
    uint64_t revision;
    struct process_view **processes; /* sorted by id */
    uint32_t *order;                 /* where the i-th process of the last answer is in processes */
    size_t processes_count;
    char *json; /* the node object up to its live members, without the closing brace */
    size_t json_length;
    /* atomic */
    int references;
};

struct node;

struct node *node_ref(struct node *node);
void node_unref(struct node **node);
const char *node_name(const struct node *node); /* immutable */
bool node_removed(struct node *node);           /* no longer in the registry */
/* Whether the node is still reached by that endpoint: else what it answers says nothing of it. */
bool node_reached_by(struct node *node, const struct rpc_endpoint *endpoint);

struct node_view *node_view(struct node *node); /* a reference, never NULL */
struct node_view *node_view_ref(struct node_view *view);
void node_view_unref(struct node_view **view);
struct node_settings *node_settings(struct node *node); /* a reference, never NULL */
struct node_settings *node_settings_ref(struct node_settings *settings);
void node_settings_unref(struct node_settings **settings);

/* id is "group:name"; a plain "name" finds "name:name". Borrowed from the view; NULL: none. */
const struct process_view *node_view_process(const struct node_view *view, const char *id);
/* The whole node object, live members included. The view must be of that node. */
void node_json(struct json *json, struct node *node, const struct node_view *view);
/* The process object. */
void process_json(struct json *json, const struct process_view *process);

/* Breaker, asked by refresh and operations. A change of its state or of its count of failures is
 * published, as part of the node. */
bool node_breaker_allow(struct node *node);
/* error as of a call: connection failures, timeouts, protocol errors and 401 count against the
 * node, cancellation says nothing, everything else (supervisord's faults too) is a sign of life. */
void node_breaker_report(struct node *node, int error, const struct breaker_settings *settings);
enum breaker_state node_breaker_state(struct node *node);
/* An open breaker lets a probe through after open_max at the latest. */
void node_breaker_limit(struct node *node, double open_max);
double node_breaker_retry_after(struct node *node); /* seconds; 0 unless open */
double node_latency(const struct node *node);       /* seconds, of the last good poll; 0: none */

/* Applying what a poll found; refresh is the only caller, one poll of a node at a time. */
struct node_poll {
    /* That was asked: when the node is reached elsewhere by now, the answer is a stranger's and is
     * dropped. NULL: whichever. */
    const struct rpc_endpoint *endpoint;
    int error; /* 0: processes are in answer */
    enum rpc_cause cause;
    const struct xmlrpc_answer *answer; /* of getAllProcessInfo; NULL: it says the same as before */
    double latency;
    struct breaker_settings breaker;
    /* of first contact; NULL keeps what was known */
    const char *supervisor_version, *api_version, *identification, *supervisor_state;
};
/* Whether an answer of getAllProcessInfo, as it came, holds the very processes of the current view:
 * sure when true, and cheap; false means that it must be parsed. */
bool node_says_the_same(struct node *node, const char *answer, size_t length, int processes_max);
/* Reports to the breaker, builds the next view when something changed, swaps it in, publishes the
 * difference under the node's lock. A good poll without a change allocates no view and publishes
 * nothing. Returns CESID_OK, or NODE_PROTOCOL when the answer is not a list of processes (the
 * caller then applies that as an error). */
int node_apply(struct node *node, const struct node_poll *poll,
               int processes_max) CESID_WARN_UNUSED;

#endif
