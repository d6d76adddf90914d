/*
 * The fake supervisord: one process, one thread, one epoll, up to 10,000 nodes. It answers as
 * supervisord 4.2.5 does (fake.test.mjs compares) and misbehaves on order: see control.c for the
 * orders and README.md for how to use it.
 */
#ifndef FAKE_FAKE_H
#define FAKE_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

enum {
    STOPPED = 0,
    STARTING = 10,
    RUNNING = 20,
    BACKOFF = 30,
    STOPPING = 40,
    EXITED = 100,
    FATAL = 200,
    UNKNOWN = 1000
};

enum { FAKE_METHODS = 48, FAKE_LAGS = 64, LOG_LINE = 32 };

enum fault {
    FAULT_NONE,
    FAULT_REFUSE,   /* nobody listens */
    FAULT_STUCK,    /* as after kill -STOP: the kernel accepts, nobody reads */
    FAULT_SILENT,   /* accepts, reads, says nothing */
    FAULT_HEADERS,  /* hangs after the headers */
    FAULT_DRIP,     /* a byte every ARG (1) seconds */
    FAULT_RESET,    /* resets instead of answering */
    FAULT_CLOSED,   /* closes instead of answering */
    FAULT_CLOSE,    /* closes after each answer and says so */
    FAULT_DROP,     /* closes after each answer and does not say so */
    FAULT_TRUNCATE, /* half an answer, then closes */
    FAULT_LONGER,   /* Content-Length is too large, the connection stays open */
    FAULT_SHORTER,  /* Content-Length is too small */
    FAULT_GARBAGE,  /* HTTP, but a random body */
    FAULT_NOISE,    /* not even HTTP */
    FAULT_FLOOD,    /* headers without end */
    FAULT_HTML,     /* somebody else's web page */
    FAULT_STRANGE,  /* XML-RPC, but of other types */
    FAULT_DEEP,     /* nested 100,000 times */
    FAULT_HUGE,     /* ARG (100) megabytes of XML */
    FAULT_ENDLESS,  /* chunks without end */
    FAULT_CONTROL,  /* control bytes in texts */
    FAULT_LATIN1,   /* another charset, declared */
    FAULT_STATUS,   /* HTTP status ARG; 3xx with a Location */
    FAULT_RPC,      /* XML-RPC fault ARG */
    FAULT_DELAY,    /* the right answer, ARG seconds late */
};

/* A cycle of states, each for some seconds. */
struct script {
    int steps;
    double cycle;
    struct {
        int state;
        double seconds;
    } step[16];
    const struct script *next;
};

struct process {
    int state, exit_status;
    int then;     /* the state that follows at `until` */
    double until; /* 0: stays */
    int64_t start, stop, pid;
    const char *spawn_error;
    const struct script *script;
    double script_from;
    int script_step;
    int64_t log_cleared; /* lines */
};

enum group_state {
    GROUP_ACTIVE,    /* in the configuration and in use */
    GROUP_CHANGED,   /* in use, changed in the configuration */
    GROUP_REMOVED,   /* in use, no more in the configuration */
    GROUP_AVAILABLE, /* in the configuration, not in use */
    GROUP_GONE
};

struct connection;

/* The first member of whatever epoll knows. */
struct watched {
    void (*ready)(struct watched *self, uint32_t events);
};

struct listener {
    struct watched watched;
    struct node *node;
    int fd;
    bool tcp;
};

struct node {
    int index;
    struct process *processes;
    enum group_state *groups;
    struct listener listeners[2];
    struct connection *connections;

    enum fault fault;
    double fault_argument;
    int fault_times; /* how often still; -1: for ever */
    char fault_method[40];

    double start_delay, stop_delay;
    int start_outcome; /* 0: runs; a state: ends there; a negative fault: refuses */
    double clock_offset;
    double log_rate, log_from; /* lines a second since */
    int64_t log_lines;         /* before log_from */
    int64_t next_pid, own_pid;
    bool pending_restart, pending_shutdown;

    uint64_t accepted;
    unsigned open;
    uint32_t calls[FAKE_METHODS];
    double last_poll;
    float lags[FAKE_LAGS];
    unsigned lag_count;
};

struct fake {
    int nodes, processes, group_size, groups;
    const char *unix_directory;
    const char *auth; /* the expected header value, or NULL */
    int first_port, ports;
    struct node *node;
    int epoll;
    double now;       /* the wall clock, read once a round */
    double monotonic; /* likewise */
    bool quit;

    uint64_t accepted, requests, unauthorized;
    uint64_t received, sent; /* bytes */
    unsigned open, max_open, in_flight, max_in_flight;
    unsigned accepts_this_second, max_accepts_per_second;
    long this_second;
};
extern struct fake fake;

/* main.c */
void fake_watch(int fd, struct watched *watched, uint32_t events, bool known);
void fake_listen(struct node *node);
void fake_unlisten(struct node *node, bool close_listeners);

/* node.c */
void node_init(struct node *node, int index);
void node_restart(struct node *node);
void node_settle(struct node *node, struct process *process);
void node_set_state(struct node *node, struct process *process, int state, double at);
bool process_visible(const struct node *node, int index);
/* "group:name", "group:*" or "name": how many processes, from *first on; 0: there is none. */
int process_find(const struct node *node, const char *text, int *first, bool *whole_group);
void process_group(char *text, size_t size, int index);
void process_name(char *text, size_t size, int index);
int64_t node_clock(const struct node *node);
int64_t log_size(const struct node *node, const struct process *process);
void log_read(struct buffer *out, const struct process *process, int64_t from, int64_t length);
int state_parse(const char *name); /* -1: none */
const char *state_name(int state);
const struct script *script_parse(char **words, int count); /* NULL: nonsense */

/* connection.c */
void connection_accept(struct listener *listener);
void connection_tick(void); /* every 20 ms while connection_ticking() */
bool connection_ticking(void);
void connection_drop_all(struct node *node, bool reset);
void connection_freeze_all(struct node *node, bool frozen);
void connection_bury(void); /* frees what this round has closed */

/* control.c */
int control_open(int port); /* the port, really */

#endif
