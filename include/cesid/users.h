/*
 * Who has an account: users, and what an administrator does with them. The last administrator (an
 * active user bound to the role admin on "*") stays one: what would end that is CONFLICT, with a
 * static sentence in *why, decided in the transaction that would do it. What takes a right away
 * has its effect at once, on connections under way, too.
 *
 * Any thread, no lock held. All functions: the store's errors, RATE_LIMITED when too many passwords
 * are hashed.
 */
#ifndef CESID_USERS_H
#define CESID_USERS_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/auth.h"
#include "cesid/check.h"
#include "cesid/session.h"

/* NULL: as it is, or for a new user the default. */
struct user_settings {
    const char *full_name;
    const char *email;
    const char *password;
    const bool *active;
};

/* All, by name; freed with users_free. */
int users_list(struct auth *auth, struct user **users, size_t *count) CESID_WARN_UNUSED;
void users_free(struct user **users, size_t count);
/* NOT_FOUND. Freed with user_destroy, as below. */
int users_find(struct auth *auth, const char *username, struct user *user) CESID_WARN_UNUSED;
/* CONFLICT when the name is taken; VALIDATION_FAILED and why the password will not do. */
int users_create(struct auth *auth, const char *username, const struct user_settings *settings,
                 struct user *user, const char **why) CESID_WARN_UNUSED;
/* A new password, or active false, ends the user's sessions, but for keep_session. */
int users_change(struct auth *auth, const char *username, const struct user_settings *settings,
                 const char *keep_session, struct user *user, const char **why) CESID_WARN_UNUSED;
int users_remove(struct auth *auth, const char *username, const char **why) CESID_WARN_UNUSED;

#endif
