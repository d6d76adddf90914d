/*
 * Users, their rights and their sessions on record, as signing in needs them; what administrators
 * change is in users.c, roles.c and tokens.c. Any thread; no locks, the store has its own.
 */
#ifndef CESID_ACCOUNT_H
#define CESID_ACCOUNT_H

#include <stdbool.h>
#include <stdint.h>

#include "cesid/password.h"
#include "cesid/session.h"
#include "cesid/store.h"

#define ADMIN_ROLE "admin"

/* Reads seven columns, from `first` on: id, username, full_name, email, active, created_at,
 * last_login_at. False: nothing that this program can hold. */
bool account_read_user(const struct store_row *row, int first, struct user *user);
/* Copies a text of a row; false when there is none or it does not fit. */
bool account_copy_text(char *out, size_t size, const char *text);
/* For SELECT COUNT(*): argument is an int64_t. */
bool account_take_count(void *argument, const struct store_row *row);
/* For the end of a transaction that may have taken the last administrator away: CONFLICT when there
 * is none. */
int account_insist_on_admin(struct store_transaction *transaction) CESID_WARN_UNUSED;

/* 0 with the user (user_destroy) and its hash; NOT_FOUND; the store's errors. */
int account_find(struct store *store, const char *username, struct user *user,
                 char hash[PASSWORD_HASH_SIZE]) CESID_WARN_UNUSED;

/* What the user may do now: a new reference. */
int account_access(struct store *store, const char *user_id,
                   struct access **access) CESID_WARN_UNUSED;

/* Records a session and the user's login, unless the user was disabled or got another password
 * since its hash was read: CONFLICT then. */
struct account_session {
    const char *id;
    const char *csrf_token;
    const char *address;
    int64_t created_at;
    int64_t expires_at;
};
int account_begin_session(struct store *store, const struct account_session *session,
                          const char *user_id, const char *hash) CESID_WARN_UNUSED;
/* A session on record, of an active user, expired or not; NOT_FOUND otherwise. */
int account_load_session(struct store *store, const char *id,
                         struct session **session) CESID_WARN_UNUSED;
int account_end_session(struct store *store, const char *id) CESID_WARN_UNUSED;
int account_purge_sessions(struct store *store, int64_t before, int64_t *purged) CESID_WARN_UNUSED;

/* Sets the new hash if the old one still stands (INVALID_CREDENTIALS), ends the user's sessions but
 * one. */
int account_set_password(struct store *store, const char *user_id, const char *old_hash,
                         const char *new_hash, const char *keep_session) CESID_WARN_UNUSED;

/* Another hash of the same password: no session ends. Not when the old one stands no more. */
int account_refresh_hash(struct store *store, const char *user_id, const char *old_hash,
                         const char *new_hash) CESID_WARN_UNUSED;

/* Creates or resets: active, this hash, bound to admin everywhere, no session left. */
int account_make_admin(struct store *store, const char *username,
                       const char *hash) CESID_WARN_UNUSED;
/* The same if no active administrator exists; CONFLICT when one does. ready runs last, before the
 * commit, and its negative answer undoes everything. */
int account_make_first_admin(struct store *store, const char *username, const char *hash,
                             int (*ready)(void *argument), void *argument) CESID_WARN_UNUSED;
int account_has_admin(struct store *store, bool *has) CESID_WARN_UNUSED;

#endif
