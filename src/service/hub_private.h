/*
 * The hub's inside, shared by hub*.c and reaper.c only.
 */
#ifndef CESID_HUB_PRIVATE_H
#define CESID_HUB_PRIVATE_H

#include <uthash.h>

#include "cesid/hub.h"
#include "cesid/lock.h"
#include "cesid/logstream.h"
#include "cesid/thread.h"

#define CONTROL_MAX    512      /* bytes of control frames that may wait */
#define LINGER         2.0      /* seconds that a close frame may wait for the peer's */
#define FRAME_HEAD_MAX 64       /* WebSocket header and {"seq":N, */
#define OWN_BYTES_MAX  4194304  /* of logs and of what was made for it, in one client's queue */
#define QUEUE_RESERVE  4        /* places beside websocket.queue: hello, resync, snapshot, bye */
#define HISTORY_MAX    4096     /* events kept for clients that come back… */
#define HISTORY_BYTES  16777216 /* …and their bytes */

/* A log that a client watches. Live data that comes before the tail was queued waits here. */
struct log_topic {
    char *name;
    bool primed;
    uint64_t after; /* the stream's number up to which the tail had everything */
    struct event **pending;
    size_t pending_count;
    UT_hash_handle hh;
};

struct node_topic {
    char *name;
    UT_hash_handle hh;
};

enum client_state {
    CLIENT_OPEN,
    CLIENT_DRAINING, /* the close frame goes out after the queue */
    CLIENT_CLOSING,  /* the close frame goes out after the frame under way */
    CLIENT_CLOSED,   /* close frame sent (or a pull client told to end) */
    CLIENT_GONE      /* the worker has left: fd is no longer ours */
};

/* What is being written: one frame in up to three pieces. */
struct outgoing {
    bool active;
    bool closes; /* it is the close frame */
    char head[FRAME_HEAD_MAX];
    size_t head_length;
    struct event *event; /* NULL for control frames, which are whole in control */
    char control[CONTROL_MAX];
    size_t control_length;
    size_t sent; /* of all pieces together */
};

struct hub_client {
    /* immutable */
    struct hub *hub;
    uint64_t id;
    bool pull;
    size_t limit;    /* websocket.queue: where a broadcast overflows */
    size_t capacity; /* of the ring: limit and QUEUE_RESERVE */

    /* guarded by the hub's lock */
    UT_hash_handle hh;

    struct lock lock;
    struct cond filled; /* of pull clients */
    /* guarded by lock */
    struct session *session; /* reference */
    int fd;                  /* -1 for pull clients and after CLIENT_GONE */
    enum client_state state;
    struct event **ring;
    size_t head, length;
    size_t own_bytes; /* of log and private events in the ring */
    uint64_t seq;     /* given last */
    uint64_t dropped; /* since the last resync */
    bool resync_wanted;
    bool held; /* comes back: what the bus brings waits in the history until hub_resume */
    bool fleet, operations, activity;
    struct node_topic *nodes;
    struct log_topic *logs;
    char control[CONTROL_MAX]; /* control frames for the next frame border */
    size_t control_length;
    uint16_t close_code; /* 0: none asked */
    struct outgoing out;
    int64_t received_at; /* clock_now() of the last frame */
    int64_t progress_at; /* of the last byte written, or of the queue's last being empty */
    int64_t pinged_at;
    int64_t closing_since; /* 0: not closing */
    bool watched;          /* in the sender's epoll set */
    bool full; /* the socket took no more: nothing is tried until the epoll set says so */

    /* guarded by the sender's lock */
    bool dirty;
    struct hub_client *next_dirty;

    /* guarded by the keeper's lock */
    bool ready;
    struct hub_client *next_ready;

    /* guarded by the reaper's lock */
    struct hub_client *next_dead;

    /* owned by the worker thread */
    struct strbuf partial; /* a fragmented message */
    bool in_fragments;
    double tokens; /* of the rate limit */
    int64_t tokens_at;
    int strikes; /* bad messages in a row */

    /* atomic */
    int references;
};

struct sender {
    struct thread thread;
    int epoll;
    int wake; /* eventfd */
    struct lock lock;
    /* guarded by lock */
    struct hub_client *dirty;
    bool stopping;
};

struct reaper {
    struct thread thread;
    struct lock lock;
    struct cond wanted;
    /* guarded by lock */
    struct hub_client *dead;
    bool stopping;
};

struct keeper {
    struct thread thread;
    struct lock lock; /* of rank LOCK_REAPER */
    struct cond wanted;
    /* guarded by lock */
    struct hub_client *ready; /* lost messages and can take a snapshot now; references */
    size_t ready_count;
    bool stopping;
};

/* The latest events of the bus, for clients that come back. Written by the bus thread under the
 * hub's read lock, read under its write lock. */
struct history {
    struct event *ring[HISTORY_MAX];
    size_t head, length;
    size_t bytes;
    uint64_t from; /* every event after this number is in the ring… */
    uint64_t last; /* …up to this one; atomic */
};

struct hub {
    /* immutable after start */
    struct config_box *config;
    struct registry *registry;
    struct auth *auth;
    struct logstreams *streams;
    struct sender sender;
    struct reaper reaper;
    struct keeper keeper;

    struct rwlock lock;
    /* guarded by lock */
    struct hub_client *clients; /* by id */
    uint64_t last_id;
    size_t sockets;
    bool stopping;
    struct history history;

    /* atomic */
    uint64_t dropped_total;
};

/* hub.c */
struct hub_client *hub_client_ref(struct hub_client *client);
void hub_client_unref(struct hub_client **client);
struct hub_client *hub_find(struct hub *hub, uint64_t id); /* a reference or NULL */
/* References to all clients; caller unrefs each and frees. */
size_t hub_all(struct hub *hub, struct hub_client ***clients);

/* hub_queue.c: the caller holds the client's lock */
void client_push_locked(struct hub_client *client, struct event *event);
void client_push_front_locked(struct hub_client *client, struct event *event);
struct event *client_pop_locked(struct hub_client *client); /* gives its reference; NULL: empty */
void client_clear_locked(struct hub_client *client);
/* Pushes, or drops everything and asks for a resync. Takes a reference of its own. */
void client_offer_locked(struct hub_client *client, struct event *event);
/* Drops the queue. Resync and snapshot are made when the client has taken what is under way: one
 * that does not read costs no snapshots. */
void client_want_resync_locked(struct hub_client *client);

/* hub_topics.c */
bool client_wants_locked(struct hub_client *client, const struct event *event);
/* The topic of a log event that client watches, or NULL. */
struct log_topic *client_log_topic_locked(struct hub_client *client, const char *name);
void client_drop_topics(struct hub_client *client);      /* no lock held */
struct access *client_access(struct hub_client *client); /* a reference; no lock held */
bool topic_parse_log(const char *topic, char *node, size_t node_size);

/* hub_send.c */
int sender_start(struct hub *hub);
void sender_stop(struct hub *hub);
void sender_wake(struct hub *hub, struct hub_client *client); /* it has something to write */
/* Marks without waking, for broadcasts: sender_kick afterwards. */
bool sender_mark(struct hub *hub, struct hub_client *client);
void sender_kick(struct hub *hub);
void client_write_locked(struct hub_client *client);
void sender_forget_locked(struct hub_client *client); /* its socket is about to go */
void client_control_locked(struct hub_client *client, int opcode, const char *data, size_t length);
/* Starts the closing handshake. draining: after what is queued. */
void client_close_locked(struct hub_client *client, uint16_t code, bool draining);

/* hub_keeper.c */
int keeper_start(struct hub *hub);
void keeper_stop(struct hub *hub);
/* The client wants a resync and has nothing else to take. */
void keeper_take(struct hub *hub, struct hub_client *client);

/* reaper.c */
int reaper_start(struct hub *hub);
void reaper_stop(struct hub *hub);                            /* frees what is left on its list */
void reaper_take(struct hub *hub, struct hub_client *client); /* takes over the hub's reference */

/* hub_history.c */
void history_add(struct history *history, struct event *event);
void history_clear(struct history *history);

/* hub_snapshot.c: what is made for one client, or for all of the same access */
struct event *hub_snapshot_event(struct hub *hub, const struct access *access);
struct event *hub_snapshot_of_topics(struct hub_client *client, const struct access *access);
struct event *hub_resync_event(bool known, uint64_t dropped);
struct event *hub_error_event(int error, const char *detail);

#endif
