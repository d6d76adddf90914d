/*
 * Operations: an action on one process or on many, each target a small state machine driven by the
 * rpc engine's callbacks, so that a slow node holds no thread. Bounded parallelism, a timeout a
 * target and one for the whole, cancellation, results as in CONTRACT.md. `restart` is stop, wait,
 * start, and never leaves a process stopped without saying so. Two operations never interleave on
 * one process: the second target waits for the first to end (until its timeout: CONFLICT).
 * After an action the node is polled at once. Operations are kept as records of the store; after a
 * restart of cesid they are there to be read, and those it cut short are `interrupted`.
 *
 * Locks: LOCK_OPERATIONS (table), LOCK_OPERATION (one operation). Neither is held across a call.
 */
#ifndef CESID_OPERATION_H
#define CESID_OPERATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/access.h"
#include "cesid/json.h"
#include "cesid/refresh.h"
#include "cesid/store.h"

enum operation_action {
    OPERATION_START,
    OPERATION_STOP,
    OPERATION_RESTART,
    OPERATION_SIGNAL,
    OPERATION_STDIN,
    OPERATION_ACTIONS
};
const char *operation_action_name(enum operation_action action);
bool operation_action_parse(const char *name, enum operation_action *action);

struct operations;
struct operation;

struct operation_target {
    struct node *node;   /* borrowed; referenced by the operation */
    const char *process; /* "group:name", copied */
};

#define OPERATION_TARGETS_MAX 20000

struct operation_request {
    enum operation_action action;
    const char *argument; /* the signal ("HUP"), or the text for standard input; else NULL */
    const struct operation_target *targets;
    size_t targets_count;
    int parallelism;      /* 0: operations.parallelism */
    double timeout;       /* a target, seconds; 0: timeouts.ACTION */
    double batch_timeout; /* 0: timeouts.batch */
    bool force;           /* try although the breaker is open */
    bool skip_settled;    /* of -all and selections: starting what runs, stopping what is stopped
                             counts as done instead of failing */
    const char *actor;    /* username */
    const char *address;  /* that it was asked from */
    const char *request_id;
};

/* One target's outcome, for answering a single action with its problem. */
struct operation_outcome {
    bool finished;
    int error; /* 0: ok */
    char detail[256];
    int64_t fault_code; /* of NODE_FAULT and the codes made of faults; else 0 */
    char fault_text[200];
    double retry_after; /* of NODE_CIRCUIT_OPEN */
};

/* One target's end, for the record of activity. Borrowed. */
struct operation_told {
    const char *operation, *actor, *address, *request_id;
    enum operation_action action;
    const char *node, *environment, *process;
    int error;
    const char *detail;
    double duration;
};

/* store NULL: nothing is recorded. */
struct operations *operations_create(struct config_box *config, struct registry *registry,
                                     struct refresh *refresh, struct bus *bus, struct store *store);
/* Also reads the records of earlier runs. */
int operations_start(struct operations *operations) CESID_WARN_UNUSED;
/* Who is told of each target's end when the operation has ended, but for an operation of one target
 * whose end its caller waited for. Before operations_start; called without locks. */
void operations_tell(struct operations *operations,
                     void (*tell)(void *argument, const struct operation_told *told),
                     void *argument);
/* No new ones; waits for those under way until deadline, then cancels the rest, which end as
 * `interrupted` and are named in the log. The store may be closed afterwards. */
void operations_stop(struct operations *operations, int64_t deadline);
void operations_destroy(struct operations **operations);
/* After a reload: operations.history may be less. */
void operations_reconfigure(struct operations *operations);

/* SHUTTING_DOWN, or 0 and a reference. */
int operations_submit(struct operations *operations, const struct operation_request *request,
                      struct operation **operation) CESID_WARN_UNUSED;
/* Until it is done or the deadline; true when done. cancelled as in supervisor_wait. */
bool operation_wait(struct operation *operation, int64_t deadline,
                    bool (*cancelled)(void *argument), void *argument);
/* The caller waits no longer: the end is to be told, although there is one target only. */
void operation_tell_later(struct operation *operation);
void operation_cancel(struct operation *operation);
/* Not of an operation of an earlier run. */
void operation_outcome(struct operation *operation, size_t target,
                       struct operation_outcome *outcome);
/* True when what it shows is the operation's end. */
bool operation_json(struct json *json, struct operation *operation);
const char *operation_id(const struct operation *operation);
/* Whether the caller may see it: the permission in every environment that it touches. */
bool operation_visible(struct operation *operation, const struct access *access,
                       enum permission permission);
struct operation *operation_ref(struct operation *operation);
void operation_unref(struct operation **operation);

struct operation *operations_find(struct operations *operations, const char *id); /* or NULL */
/* Newest first, references in items (caller unrefs and frees). */
size_t operations_list(struct operations *operations, struct operation ***items);
size_t operations_running(struct operations *operations);

#endif
