/*
 * The cache of session records, so that a live session outlasts a store outage and costs no query.
 *
 * Revoking and loading race: a record read from the store just before it was deleted must not be
 * put into the cache afterwards. So a loader takes a ticket before it reads; the cache refuses the
 * record when one of its kind was revoked since.
 *
 * Any thread. Lock: LOCK_SESSIONS.
 */
#ifndef CESID_SESSION_CACHE_H
#define CESID_SESSION_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/session.h"

struct session_cache;

enum session_lookup {
    SESSION_UNKNOWN, /* not in the cache: load it */
    SESSION_FRESH,   /* *session is a new reference */
    SESSION_STALE,   /* the same, and this caller should look whether the store still has it */
    SESSION_REVOKED  /* ended, whatever the store says */
};

/* Beyond capacity, sessions that nobody holds are dropped, the least recently used first. A fresh
 * record becomes stale `recheck` seconds after it was read or looked up in the store. */
struct session_cache *session_cache_create(size_t capacity, double recheck);
void session_cache_destroy(struct session_cache **cache);

enum session_lookup session_cache_get(struct session_cache *cache, const char *id,
                                      struct session **session);
/* What is held, as a reference or NULL, without counting as a use. */
struct session *session_cache_peek(struct session_cache *cache, const char *id, int64_t now_wall);
bool session_cache_holds(struct session_cache *cache, const char *id, int64_t now_wall);

uint64_t session_cache_ticket(struct session_cache *cache, const char *id);
/* False: revoked since the ticket; read again. Takes a reference of its own; the caller's must be
 * the only one yet. */
bool session_cache_put(struct session_cache *cache, struct session *session, uint64_t ticket);

/* keep_until 0: the store has forgotten it too. Else the store could not be told, and the id stays
 * known as revoked until that wall time. */
void session_cache_revoke(struct session_cache *cache, const char *id, int64_t keep_until);
/* Every session of the user but one (NULL: all), and with tokens those of API tokens, too. */
void session_cache_revoke_user(struct session_cache *cache, const char *user_id,
                               const char *except_id, bool tokens);
/* The user's sessions (NULL: all) are stale, and what was read of them before is refused. Their ids
 * are in *ids (caller frees), their number is returned. */
size_t session_cache_outdate(struct session_cache *cache, const char *user_id,
                             char (**ids)[AUTH_ID_SIZE]);
/* An id that the store still has to be told of; false: there is none. */
bool session_cache_untold(struct session_cache *cache, char id[AUTH_ID_SIZE]);
void session_cache_told(struct session_cache *cache, const char *id);

size_t session_cache_length(struct session_cache *cache);

#endif
