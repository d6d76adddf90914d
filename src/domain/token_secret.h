/*
 * API tokens on their way in: from what was sent to the record and what it permits. Below auth.c,
 * which checks, and tokens.c, which makes and ends them.
 */
#ifndef CESID_TOKEN_SECRET_H
#define CESID_TOKEN_SECRET_H

#include <stdbool.h>
#include <stdint.h>

#include "cesid/session.h"
#include "cesid/store.h"
#include "cesid/strbuf.h"

#define TOKEN_PREFIX        "cesid_"
#define TOKEN_SECRET_LENGTH 64 /* hexadecimal digits */
#define TOKEN_SIZE          (sizeof(TOKEN_PREFIX) + (AUTH_ID_SIZE - 1) + 1 + TOKEN_SECRET_LENGTH)

/* Whether it has a token's form: then the id that it names, and the hash of its secret. */
bool token_secret_parse(const char *text, char id[AUTH_ID_SIZE], char hash[TOKEN_HASH_SIZE]);

void token_secret_hash(const char *secret, char hash[TOKEN_HASH_SIZE]);

/* Scopes as they are stored. A permission of a later version gives nothing. */
void token_scope_write(struct strbuf *text, uint32_t scope);
uint32_t token_scope_read(const char *text);

/* What the record lets its bearer do: NOT_FOUND when there is none, or of a disabled user. Notes
 * now and then that it is used. */
int token_load(struct store *store, const char *id, struct session **session) CESID_WARN_UNUSED;

#endif
