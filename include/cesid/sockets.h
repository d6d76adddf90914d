/*
 * The sockets that CivetWeb accepted. CivetWeb hides them, so the program brings its own accept()
 * and recv(), which the shared library's calls resolve to (interpose.c):
 *
 *   accept  records who connected, refuses more than server.connections_per_address from one
 *           address, keeps descriptors from leaking into children, and does not spin when the
 *           process is out of descriptors;
 *   recv    is where every byte of a peer passes, on the worker's own thread. A budget of bytes and
 *           a deadline set there bound what CivetWeb does not: a body that drips, an unread body
 *           that is drained; and WebSocket frames are watched (frames.h), so that one that is not
 *           masked or announces gigabytes ends the stream before CivetWeb sees it.
 *
 * An entry lives from accept until CivetWeb's connection_close, which comes before the descriptor
 * is closed, so its number cannot be anybody else's while it is in the table. The peer's address
 * and port name it: a second entry of one name is refused. Two addresses a process can listen on
 * would break that; cesid listens on one.
 *
 * Threads: CivetWeb's master (accept), its workers (claim, release, budget), main. Lock:
 * LOCK_SOCKETS.
 */
#ifndef CESID_SOCKETS_H
#define CESID_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "cesid/config.h"

struct sockets;
struct peer_socket;

/* trusted: proxies, which are not counted by address. Copied. There is one table at a time. */
struct sockets *sockets_create(int per_address, const struct config_strings *trusted);
void sockets_destroy(struct sockets **sockets); /* after mg_stop */
/* Accepts nothing any more and cuts every connection; wakes CivetWeb's threads out of poll(). */
void sockets_close(struct sockets *sockets);
size_t sockets_count(struct sockets *sockets);
uint64_t sockets_refused(struct sockets *sockets);

/* The calling thread is one of CivetWeb's workers: what it reads from is its connection. */
void sockets_worker(void);
/* The worker's connection, until released: the one it read from, else (a silent peer) by the
 * peer's address. NULL when there is none. */
struct peer_socket *sockets_claim(struct sockets *sockets, const char *address, int port);
void sockets_release(struct sockets *sockets, struct peer_socket *peer);

/* The rest is for the worker that claimed it. */
enum peer_end { PEER_OPEN, PEER_CLOSED, PEER_LATE, PEER_TOO_MUCH, PEER_UNMASKED };

int peer_fd(const struct peer_socket *peer);
/* From now on at most that many bytes, until the deadline (clock_now()); beyond either reading
 * finds the end of the stream. */
void peer_allow(struct peer_socket *peer, int64_t bytes, int64_t deadline);
/* From now on the peer speaks WebSocket, and a frame holds at most that many bytes: a larger one is
 * PEER_TOO_MUCH. Called again it changes the bound. False the first time: there was more than a
 * request already, which nobody watched. */
bool peer_frames(struct peer_socket *peer, uint64_t most);
enum peer_end peer_end(const struct peer_socket *peer); /* why reading ended */
bool peer_gone(const struct peer_socket *peer);         /* the peer closed or reset */
/* From now on a peer whose host acknowledges nothing, or that takes no byte, for so many seconds is
 * gone: the kernel ends the connection. */
void peer_patience(struct peer_socket *peer, double seconds);
/* Since the last call of peer_mark, or since the connection began. */
void peer_mark(struct peer_socket *peer);
uint64_t peer_received(const struct peer_socket *peer); /* bytes */
double peer_waited(const struct peer_socket *peer);     /* seconds since the first of them */
/* Sends FIN, then reads and forgets what still comes, for a second or 4 MiB at most, so that an
 * early answer is not lost in a reset. */
void peer_linger(struct peer_socket *peer);

/* Whether address is one of the entries: "10.0.0.1" or "10.0.0.0/8". */
bool sockets_address_in(const struct config_strings *entries, const char *address);

/* For and from interpose.c. */
void sockets_interpose(void);
int sockets_accept(int listener, struct sockaddr *address, socklen_t *length);
ssize_t sockets_recv(int fd, void *buffer, size_t length, int flags);

#endif
