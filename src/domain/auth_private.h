/*
 * What the rooms of authentication share: auth.c checks who calls, users.c, roles.c and tokens.c
 * change who may.
 */
#ifndef CESID_AUTH_PRIVATE_H
#define CESID_AUTH_PRIVATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "attempts.h"
#include "cesid/auth.h"
#include "cesid/password.h"
#include "keyring.h"
#include "session_cache.h"

struct auth {
    /* immutable */
    struct config_box *config;
    struct store *store;
    struct keyring keyring;
    struct session_cache *cache;
    struct attempts *attempts;
    /* set before there are other threads */
    void (*changed)(void *argument); /* NULL: nobody watches */
    void *changed_argument;
    /* atomic */
    atomic_int_least64_t purge_at; /* clock_now() */
    atomic_bool untold;            /* a session ended and the store could not be told */
};

/* Checks the rules and hashes, a few at a time. VALIDATION_FAILED with a static reason in *why,
 * RATE_LIMITED when too many wait. */
int auth_hash_new(struct auth *auth, const char *username, const char *password,
                  char hash[PASSWORD_HASH_SIZE], const char **why) CESID_WARN_UNUSED;

/* Tells who watches that a session ended or changed. */
void auth_tell_change(struct auth *auth);

/* What a user (NULL: anybody) may do has changed on record: the sessions that are known read it
 * again, here and now, so that the next look at one, also of a connection that lives long, finds
 * what is true. While the store does not answer they go on as they were, and are read again soon.
 */
void auth_rights_changed(struct auth *auth, const char *user_id);

#endif
