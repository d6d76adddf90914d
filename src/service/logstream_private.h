/*
 * A log stream's inside, shared by logstream*.c only.
 */
#ifndef CESID_LOGSTREAM_PRIVATE_H
#define CESID_LOGSTREAM_PRIVATE_H

#include <uthash.h>

#include "cesid/lock.h"
#include "cesid/logstream.h"
#include "cesid/thread.h"

#define LOGSTREAM_HEAD  1024               /* how far back supervisord starts */
#define LOGSTREAM_TAIL  ((size_t) 16384)   /* bytes kept for late watchers */
#define LOGSTREAM_RATE  (512.0 * 1024.0)   /* bytes a second that are passed on… */
#define LOGSTREAM_BURST (2048.0 * 1024.0)  /* …after this many at once */
#define LOGSTREAM_PIECE 65536              /* bytes in one message */
#define LOGSTREAM_HELD  ((size_t) 2 << 20) /* bytes that may wait to be placed */

/* Seconds before the log of a process that came or changed is opened. Programs say most when they
 * start: more than a piece between looking how large the log is and opening it is left out. */
#define LOGSTREAM_CALM 0.5

struct logstream {
    /* immutable */
    struct logstreams *streams;
    char *topic, *node, *process, *kind;
    UT_hash_handle hh;             /* guarded by the streams' lock, like all below */
    struct logstream *prev, *next; /* of the same node */
    int references;                /* the table, and each call under way */
    int watchers;
    bool closed;    /* no longer in the table */
    bool under_way; /* a call is made or made ready */
    struct rpc_call *call;
    uint64_t attempt;
    int64_t retry_at;
    double retry_delay;
    bool absent;         /* supervisord has no such process */
    bool path_known;     /* path was told; neither: nothing was yet */
    char *path;          /* the log's file, when the process was there last; NULL: it has none */
    bool stale;          /* the node's view says otherwise: to be asked again at once */
    bool moved;          /* its node went, or is elsewhere, while it was being opened */
    size_t read;         /* so many bytes of held were read from the log: no mark is in them */
    int told;            /* the error that watchers were told last; 0: none */
    char *environment;   /* of the node when the upstream was opened */
    uint64_t number;     /* of the last piece; a later stream of the topic begins higher */
    int64_t next_offset; /* where the next byte belongs in the log; -1: not known yet */
    int64_t discard;     /* bytes at the start of an upstream that were passed on before */
    bool resumed;        /* the upstream goes on where an earlier one ended, or after a gap */
    bool at_line_start;  /* false: the first piece begins inside a line, which is dropped */
    struct strbuf held;  /* came down the upstream, or was read, and is not passed on yet */
    bool delivering;     /* a thread passes held on */
    bool settled;        /* it is known where held belongs */
    bool asking;         /* a call is under way that tells it */
    bool opening;        /* nothing of this upstream was placed yet */
    int64_t sized;       /* size of the log when the upstream was opened, as far as is known */
    int64_t settled_at;  /* clock_now() of the last answer */
    int64_t anew_at; /* so many bytes of held are the end of a log that was replaced; -1: none */
    int64_t anew_offset; /* where in the new log the rest of held begins */
    char partial[4];     /* the beginning of a character */
    size_t partial_length;
    int64_t skipped; /* bytes left out since the last piece */
    double budget;
    int64_t budget_at;
    struct strbuf tail;
    int64_t tail_offset;
};

/* A node whose logs are followed. */
struct logstream_node {
    char *name;
    struct logstream *streams; /* at least one */
    uint64_t revision;         /* of the view that they were compared with last */
    UT_hash_handle hh;
};

struct logstreams {
    /* immutable */
    struct config_box *config;
    struct registry *registry;
    void (*publish)(void *argument, struct event *event);
    void *argument;
    struct thread thread;

    struct lock lock;
    struct cond due;
    /* guarded by lock */
    struct logstream *by_topic;
    struct logstream_node *by_node;
    uint32_t opened; /* streams so far */
    bool stopping;
};

/* Bytes on their way to an event, copied under the lock and rendered outside. */
struct logstream_piece {
    char *data; /* NULL: none */
    size_t length;
    int64_t offset;
    int64_t skipped;
    uint64_t number;
    char *environment;
    int error; /* told in place of data */
};

/* Takes over the caller's reference: asks which file the log is and where it stands, reads what
 * watchers miss of it, then opens the upstream. */
void logstream_open(struct logstream *stream);
/* A call of the stream ended (or could not be made); gives up its reference. */
void logstream_ended(struct logstream *stream, int error, bool retry_soon);
/* offset: where it goes on; -1: where it stands. */
void logstream_tell(struct logstream *stream, int error, int64_t offset);
void logstream_release(struct logstream *stream);

/* Bytes came down the upstream, whose argument is the stream; false ends it. */
bool logstream_data(void *argument, const char *data, size_t length);
/* Passes on what is held and has its place. */
void logstream_deliver(struct logstream *stream);
/* The log is another one now; the caller tells it when it left the lock. */
void logstream_begin_anew_locked(struct logstream *stream, int64_t offset);

/* Whether the log is still the one that was opened (logstream_process.c). */
void logstream_process_add_locked(struct logstream *stream);
void logstream_process_remove_locked(struct logstream *stream);
void logstream_process_went_locked(struct logstreams *streams, const char *node);
/* Compares with the node's view; a stream that is stale then is to be opened again. */
void logstream_process_check(struct logstream *stream);
bool logstream_same_path(const char *a, const char *b);

/* Where bytes belong (logstream_place.c). An upstream is about to be opened; size: of the log. */
void logstream_place_open_locked(struct logstream *stream, int64_t size);
/* Bytes came: whether the caller has to ask, after it left the lock. */
bool logstream_place_due_locked(struct logstream *stream);
void logstream_place_ask(struct logstream *stream);
/* In an answer of tailProcess*Log: [text, size of the log, overflow]; -1: it is none. */
int64_t logstream_place_size(const struct xmlrpc_value *value);
/* Nobody will tell any more, or nobody needs to: what is held is taken to follow. */
void logstream_place_end_locked(struct logstream *stream);
/* The upstream began at start, and the log has that size: what of it was passed on before. */
void logstream_place_begin_locked(struct logstream *stream, int64_t start, int64_t size);
/* The question is answered, as well as it can be. */
void logstream_place_settled_locked(struct logstream *stream);

/* What was written between looking how large the log is and opening it (logstream_gap.c): an
 * upstream that begins at start brings nothing of it. NULL: there is nothing, or too much. */
struct logstream_gap *logstream_gap_find_locked(struct logstream *stream, int64_t start,
                                                int64_t size);
/* Takes over the gap: when it is read the upstream is placed as if it had begun there. */
void logstream_gap_read(struct logstream_gap *gap);

/* Calls to the log's node. A part of the log, in a multicall. */
void logstream_add_read(struct supervisor_call *call, const struct logstream *stream,
                        int64_t offset, int64_t length);
/* NOT_FOUND: it is no more. */
int logstream_submit(struct logstream *stream, struct supervisor_call *call,
                     void (*done)(void *argument, struct supervisor_result *result),
                     void *argument);
double logstream_patience(const struct config *config); /* seconds; bytes are held meanwhile */

void logstream_tail_locked(struct logstream *stream, struct logstream_piece *piece);
struct event *logstream_event(struct logstream *stream, const struct logstream_piece *piece);
void logstream_piece_free(struct logstream_piece *piece);

#endif
