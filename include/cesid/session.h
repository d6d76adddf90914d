/*
 * A user, and the record of one who is signed in. Plain data; sessions are immutable and
 * reference-counted, so any thread reads them without a lock.
 */
#ifndef CESID_SESSION_H
#define CESID_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "cesid/access.h"
#include "cesid/json.h"

#define AUTH_ID_SIZE    33 /* 128 random bits in hex, and a NUL */
#define TOKEN_HASH_SIZE 65 /* SHA-256 in hex, and a NUL */
#define SESSION_NEVER   INT64_MAX

struct user {
    char id[AUTH_ID_SIZE]; /* immutable for the life of the user */
    char *username;
    char *full_name;
    char *email;
    bool active;
    int64_t created_at;    /* wall milliseconds */
    int64_t last_login_at; /* 0: never */
};

/* What the record of a sign-in, or of an API token, said when it was checked. */
struct session {
    char id[AUTH_ID_SIZE]; /* jti, or the token's */
    char csrf_token[AUTH_ID_SIZE];
    char token_hash[TOKEN_HASH_SIZE]; /* of an API token's secret; "": somebody signed in */
    struct user user;
    struct access *access;
    int64_t expires_at; /* wall milliseconds; SESSION_NEVER */
};

/* Takes over the user's strings and the reference of access. */
struct session *session_create(const char *id, const char *csrf_token, int64_t expires_at,
                               struct user *user, struct access *access);
/* The same for an API token; access is what of the owner's rights its scope leaves. */
struct session *session_create_token(const char *id, const char *hash, int64_t expires_at,
                                     struct user *user, struct access *access);
struct session *session_ref(struct session *session);
void session_unref(struct session **session);
/* session is a newer reading of the same record: before anybody else knows it. */
void session_continue(struct session *session, const struct session *earlier);
/* Whether nobody but the caller holds a reference to it or to an earlier reading of its record.
 * Only for one from whom alone others get references. */
bool session_is_sole(const struct session *session);

void user_destroy(struct user *user); /* frees the strings, clears the struct */
void user_json(struct json *json, const struct user *user);

#endif
