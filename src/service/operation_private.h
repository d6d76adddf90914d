/*
 * An operation's inside, shared by operation*.c only.
 */
#ifndef CESID_OPERATION_PRIVATE_H
#define CESID_OPERATION_PRIVATE_H

#include <uthash.h>

#include "cesid/lock.h"
#include "cesid/log.h"
#include "cesid/operation.h"
#include "cesid/thread.h"
#include "due_heap.h"

#define OPERATION_ID_SIZE 33

enum operation_state {
    OPERATION_RUNNING,
    OPERATION_DONE,
    OPERATION_CANCELLED,
    OPERATION_INTERRUPTED,
    OPERATION_STATES
};
const char *operation_state_name(enum operation_state state);

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
    char *process;
    char *key; /* "NODE/GROUP:PROCESS": what must not interleave */

    /* guarded by the operation's lock */
    enum phase phase;
    int64_t started_at, deadline; /* clock_now() */
    double duration;
    struct rpc_call *call; /* of the call under way, once it is known */
    uint64_t step;         /* counts calls: tells a late handle */
    bool awaiting;         /* the state that is watched for: true start, false stop */
    /* Of a restart: what a target that fails has left behind. */
    bool stop_asked;   /* and it is not known that it had no effect */
    bool stopped;      /* by us, and not known to run again */
    bool start_asked;  /* and it is not known that it had no effect */
    bool probing;      /* holds the breaker's one probe and owes a report */
    bool pinging;      /* a poll that shall show whether the node answers is under way */
    int64_t next_ping; /* clock_now() */
    bool stalled;      /* the node does not answer: does not count against the parallelism */
    bool given_up;     /* its call was cancelled because the breaker opened */
    bool holds_turn;
    struct operation_outcome outcome;

    /* guarded by the operations' lock */
    struct due timer;
    bool in_turn_queue;
    struct target *next_turn; /* in the queue of a turn, or of those that got theirs */
};

struct operation {
    /* immutable */
    struct operations *operations;
    char id[OPERATION_ID_SIZE];
    enum operation_action action;
    char *argument; /* the signal, or the text for standard input; NULL for others */
    char *actor, *address, *request_id;
    struct log_context context; /* of who asked for it */
    char **environments;        /* of all targets, each once, sorted */
    size_t environments_count;
    int64_t created_at; /* wall milliseconds */
    int parallelism;
    double timeout;
    int64_t deadline; /* clock_now(), of the whole */
    bool force, skip_settled;
    size_t total;
    size_t targets_count; /* 0 when it is of an earlier run of cesid: then there are… */
    char *results;        /* …the results as a JSON array */

    struct lock lock;
    struct cond changed;
    /* guarded by lock */
    enum operation_state state;
    int abort_error; /* 0: go on */
    int64_t finished_at;
    size_t next, running, stalled, succeeded, failed;
    bool pumping, pump_again;
    bool publishing, publish_again;
    bool tell, told; /* whether ends of targets are to be told, and were */
    int64_t told_at; /* of the last event */
    struct target *targets;

    /* guarded by the operations' lock */
    UT_hash_handle hh;
    struct operation *older, *newer;
    bool listed;
    struct due timer; /* the batch timeout */
    bool unwritten;   /* in the queue of the history */
    struct operation *next_unwritten;

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
    struct store *store;                                             /* NULL: no records */
    void (*tell)(void *argument, const struct operation_told *told); /* NULL: nobody */
    void *tell_argument;
    struct thread thread, writer;

    struct lock lock;
    struct cond changed; /* timers, turns, the end of an operation */
    struct cond written; /* something to write, or the end */
    /* guarded by lock */
    struct operation *by_id;
    struct operation *newest, *oldest;
    size_t listed, results; /* operations in the table, and their targets */
    struct turn *turns;
    struct target *first_ready, *last_ready; /* got their turn, to be served by the thread */
    struct due_heap target_timers, operation_timers;
    struct operation *first_unwritten, *last_unwritten; /* with a reference each */
    size_t unwritten, unwritten_dropped;
    size_t running;
    bool accepting, stopping, writer_stopping;
};

/* operation.c */
void operation_finished(struct operation *operation); /* all targets are done; no locks held */
/* Puts one of an earlier run into the table; takes over the reference. */
void operations_adopt(struct operations *operations, struct operation *operation);
struct operation *operation_alloc(struct operations *operations); /* one reference */

/* operation_tell.c: no locks held */
void operation_tell(struct operation *operation); /* once, when it has ended and is to be told */

/* operation_json.c: no locks held */
void operation_publish(struct operation *operation, bool final);
/* The results as a JSON array; for the store (`stages`) also how far the unfinished ones came. */
void operation_results(struct json *json, struct operation *operation, bool stages);

/* operation_history.c: no locks held */
int history_load(struct operations *operations) CESID_WARN_UNUSED;
int history_start(struct operations *operations) CESID_WARN_UNUSED;
void history_stop(struct operations *operations);     /* writes what is left, joins */
void operation_remember(struct operation *operation); /* to be written soon */
/* What an operation of an earlier run that did not end comes to. results as they were written;
 * gives those to show (caller frees) and counts them. */
char *history_interrupted(const char *results, size_t *succeeded, size_t *failed);

/* operation_target.c: no locks held */
void operation_pump(struct operation *operation); /* starts what may start */
void operation_abort(struct operation *operation, int error);
const char *operation_abort_detail(int error);
void target_timer(struct target *target);
void target_got_turn(struct target *target);
void target_finish(struct target *target, int error, const char *detail);
void target_arm(struct target *target, double seconds); /* its timer, unless it has ended */

/* operation_step.c: no locks held. Each goes on by callbacks until target_finish. */
void target_act(struct target *target);  /* the action's first call */
void target_look(struct target *target); /* what became of it */

/* operation_turns.c: no locks held */
bool turn_take(struct target *target);  /* false: it waits, target_got_turn will be called */
void turn_give(struct target *target);  /* to the next who waits */
bool turn_leave(struct target *target); /* stops waiting; false: it was not waiting any more */
void target_set_timer(struct target *target, int64_t at); /* holds a reference */
void target_clear_timer(struct target *target);

#endif
