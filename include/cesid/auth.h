/*
 * Who is calling: users, passwords, sessions. The one authentication check of the program is
 * auth_check; the dispatcher is its only caller, for HTTP, WebSocket and SSE alike.
 *
 * Session records live in the store and in a cache, so that a live session outlasts a store
 * outage; revocation takes effect at once in both. Password hashing is bounded to a few at a time.
 * Any thread. Locks: LOCK_AUTH, LOCK_SESSIONS; neither is held across hashing or the store.
 */
#ifndef CESID_AUTH_H
#define CESID_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/access.h"
#include "cesid/config.h"
#include "cesid/session.h"
#include "cesid/store.h"

struct auth;

/* From the one place that looks for credentials. Both NULL: none were sent. */
struct credentials {
    const char *bearer; /* Authorization: Bearer …; wins over the cookie */
    const char *cookie; /* cesid_session */
};

/* Makes the signing key in the state directory at first start (mode 0600), and the first
 * administrator with initial-admin-password when the store has none. */
int auth_create(struct config_box *config, struct store *store, struct auth **auth,
                struct strbuf *why) CESID_WARN_UNUSED;
void auth_destroy(struct auth **auth);

/* changed is called, in the thread that did it, when a session ended or means something else than
 * before, so that connections that live long may be looked at. To be set before there are other
 * threads. */
void auth_watch(struct auth *auth, void (*changed)(void *argument), void *argument);

/* Tells the store of sessions that ended while it was away. argument: the auth. Any thread, now and
 * then while the store answers, and at the end. */
void auth_store_answers(void *argument);

/* 0 and a new reference; SESSION_EXPIRED for a token of ours whose time is over, UNAUTHENTICATED
 * for any other that does not hold (a session that was ended, a disabled user); STORE_*,
 * POOL_EXHAUSTED when the session is not in the cache and the store cannot tell. */
int auth_check(struct auth *auth, const struct credentials *credentials,
               struct session **session) CESID_WARN_UNUSED;
/* Whether that session still holds, without the store: for connections that live long. */
bool auth_session_valid(struct auth *auth, const struct session *session);
/* Likewise: the latest reading of that session's record, a reference; NULL when it ended. */
struct session *auth_session_current(struct auth *auth, const struct session *session);

/* address is the client's, for the limit of attempts. token is filled (a JWT).
 * INVALID_CREDENTIALS in the same time for unknown, disabled and wrong; LOCKED_OUT with
 * *retry_after seconds; RATE_LIMITED when too many hash at once. */
int auth_login(struct auth *auth, const char *username, const char *password, const char *address,
               struct strbuf *token, struct session **session,
               double *retry_after) CESID_WARN_UNUSED;
/* Whether somebody has that name; false, too, when the store cannot tell. */
bool auth_knows(struct auth *auth, const char *username);
/* When the store cannot take it the session has ended all the same, for as long as this program
 * runs, and the error says that a restart could bring it back. */
int auth_logout(struct auth *auth, const struct session *session) CESID_WARN_UNUSED;
/* VALIDATION_FAILED with a static reason in *why when new does not fit the rules,
 * INVALID_CREDENTIALS when old is wrong, LOCKED_OUT when it was wrong too often. Ends the user's
 * other sessions. */
int auth_change_password(struct auth *auth, const struct session *session, const char *old_password,
                         const char *new_password, const char **why) CESID_WARN_UNUSED;

/* cesid --create-admin: creates or resets, makes active, binds admin to "*". */
int auth_create_admin(struct store *store, const char *username, const char *password,
                      const char **why) CESID_WARN_UNUSED;

#endif
