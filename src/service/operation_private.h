/*
 * An operation's inside, shared by operation*.c only.
 */
#ifndef CESID_OPERATION_PRIVATE_H
#define CESID_OPERATION_PRIVATE_H

#include <uthash.h>

#include "cesid/lock.h"
#include "cesid/operation.h"
#include "cesid/thread.h"
#include "due_heap.h"

#define OPERATION_ID_SIZE 33

enum operation_state {
    OPERATION_RUNNING,
    OPERATION_DONE,
    OPERATION_CANCELLED,
    OPERATION_INTERRUPTED
};

enum phase {
    PHASE_QUEUED,  /* behind the operation's parallelism */
    PHASE_TURN,    /* behind another operation on the same process */
    PHASE_STOP,    /* stopProcess is under way */
    PHASE_START,   /* startProcess is under way */
    PHASE_SEND,    /* signalProcess or sendProcessStdin is under way */
    PHASE_LOOK,    /* getProcessInfo: what became of it? */
    PHASE_WATCH,   /* waits a second before it looks again */
    PHASE_REFRESH, /* the result stands; the node is read again */
    PHASE_DONE
};

struct target {
    /* immutable */
    struct operation *operation;
    size_t index;
    struct node *node; /* reference */
    char *environment;
    char *process;
    char *key; /* "NODE/GROUP:PROCESS": what must not interleave */

    /* guarded by the operation's lock */
    enum phase phase;
    int64_t started_at, deadline; /* clock_now() */
    double duration;
    struct rpc_call *call; /* of the call under way, once it is known */
    uint64_t step;         /* counts calls: tells a late handle */
    bool awaiting;         /* the state that is watched for: true start, false stop */
    bool stopped;          /* by us, and not started again yet */
    bool holds_turn;
    struct operation_outcome outcome;

    /* guarded by the operations' lock */
    struct due timer;
    bool in_turn_queue;
    struct target *next_turn;
};

struct operation {
    /* immutable */
    struct operations *operations;
    char id[OPERATION_ID_SIZE];
    enum operation_action action;
    char *argument; /* the signal, or the text for standard input; NULL for others */
    char *actor, *request_id;
    char *environment;  /* of all targets; NULL when they differ */
    int64_t created_at; /* wall milliseconds */
    int parallelism;
    double timeout;
    int64_t deadline; /* clock_now(), of the whole */
    bool force, skip_settled;
    size_t total;

    struct lock lock;
    struct cond changed;
    /* guarded by lock */
    enum operation_state state;
    int abort_error; /* 0: go on */
    int64_t finished_at;
    size_t next, running, succeeded, failed;
    bool pumping, pump_again;
    int64_t told_at; /* of the last event */
    struct target *targets;

    /* guarded by the operations' lock */
    UT_hash_handle hh;
    struct operation *older, *newer;
    bool listed;
    struct due timer; /* the batch timeout */

    /* atomic */
    int references;
};

/* Whose turn it is on one process. */
struct turn {
    char *key;
    struct target *first_waiting, *last_waiting;
    UT_hash_handle hh;
};

struct operations {
    /* immutable */
    struct config_box *config;
    struct registry *registry;
    struct refresh *refresh;
    struct bus *bus;
    struct thread thread;

    struct lock lock;
    struct cond changed;
    /* guarded by lock */
    struct operation *by_id;
    struct operation *newest, *oldest;
    struct turn *turns;
    struct due_heap target_timers, operation_timers;
    size_t running;
    bool accepting, stopping;
};

/* operation.c */
void operation_publish(struct operation *operation, bool final);
void operation_finished(struct operation *operation); /* all targets are done; no locks held */
void operation_abort(struct operation *operation, int error);

/* operation_target.c: no locks held */
void operation_pump(struct operation *operation); /* starts what may start */
void target_timer(struct target *target);
void target_got_turn(struct target *target);
void target_finish(struct target *target, int error, const char *detail);

/* operation_turns.c: no locks held */
bool turn_take(struct target *target);  /* false: it waits, target_got_turn will be called */
void turn_give(struct target *target);  /* to the next who waits */
bool turn_leave(struct target *target); /* stops waiting; false: it was not waiting any more */
void target_set_timer(struct target *target, int64_t at); /* holds a reference */
void target_clear_timer(struct target *target);

#endif
