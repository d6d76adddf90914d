/*
 * API tokens: "cesid_ID_SECRET", ID being the record's id and SECRET 256 random bits, both in hex,
 * of which the store has the SHA-256 only. A token acts for its owner, within its scope and never
 * beyond what the owner may do at that moment.
 *
 * Any thread, no lock held. All functions: the store's errors.
 */
#ifndef CESID_TOKENS_H
#define CESID_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#include "cesid/auth.h"
#include "cesid/check.h"
#include "cesid/session.h"

#define TOKENS_SIZE 104 /* of a secret, with its NUL */
#define TOKENS_MAX  100 /* of one user */

struct token {
    char id[AUTH_ID_SIZE];
    char *name;
    uint32_t scope; /* permissions */
    int64_t created_at;
    int64_t expires_at;   /* 0: never */
    int64_t last_used_at; /* 0: never; to a minute */
};

/* The user's, by name; freed with tokens_free. */
int tokens_list(struct auth *auth, const char *user_id, struct token **tokens,
                size_t *count) CESID_WARN_UNUSED;
void tokens_free(struct token **tokens, size_t count);
/* Fills in id and created_at of token, and the secret, to be wiped by the caller. CONFLICT when the
 * user has TOKENS_MAX. */
int tokens_create(struct auth *auth, const char *user_id, struct token *token,
                  char secret[TOKENS_SIZE]) CESID_WARN_UNUSED;
/* It holds no more from now on. NOT_FOUND, also when it is somebody else's. */
int tokens_remove(struct auth *auth, const char *user_id, const char *id) CESID_WARN_UNUSED;

#endif
