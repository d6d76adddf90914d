/*
 * A connection of the fake: its life and bytes are connection.c's, what it is answered is
 * answer.c's.
 */
#ifndef FAKE_CONNECTION_H
#define FAKE_CONNECTION_H

#include "rpc.h"

enum mode {
    MODE_READING,    /* a request, or idle between two */
    MODE_WAITING,    /* for a process */
    MODE_DELAYED,    /* until wake_at */
    MODE_DRIPPING,   /* a byte at wake_at */
    MODE_GENERATING, /* more is made as the last has gone */
    MODE_TAILING,    /* a log */
    MODE_HUNG,
};

struct connection {
    struct watched watched;
    struct node *node;
    struct connection *next, **back; /* of its node */
    struct connection *next_busy, **back_busy;
    struct connection *next_timed, **back_timed;
    struct connection *next_dead;
    int fd;
    bool dead, tcp, busy, wants_write, close_after, delayed;
    enum mode mode;
    double wake_at;
    struct buffer in, out;
    size_t sent; /* of out */

    struct waiting waiting;
    const char *generate_head, *generate_piece, *generate_tail;
    uint64_t generate_left; /* pieces; UINT64_MAX: for ever */
    bool generate_chunked;
    struct process *tailed;
    int64_t tail_at;
};

/* connection.c */
void connection_close(struct connection *connection, bool reset);
void connection_send(struct connection *connection, const char *data, size_t length);
void connection_push(struct connection *connection); /* what out holds */
void connection_timed(struct connection *connection, bool timed);
void connection_busy(struct connection *connection, bool busy);
void connection_answered(struct connection *connection); /* out holds all of it */

/* answer.c */
struct head {
    const char *line; /* "POST /RPC2 HTTP/1.1" */
    size_t line_length;
    const char *body;
    size_t body_length;
    bool authorized, close;
};
void answer_request(struct connection *connection, const struct head *head);
void answer_wake(struct connection *connection);
void answer_more(struct connection *connection); /* MODE_GENERATING and out is empty */

#endif
