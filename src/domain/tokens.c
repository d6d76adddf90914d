/*
 * API tokens. See tokens.h. Any thread enters, without a lock.
 */
#include "cesid/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "auth_private.h"
#include "cesid/access.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/secret.h"
#include "cesid/strbuf.h"
#include "token_secret.h"

#define SCOPE_MAX 255

_Static_assert(TOKENS_SIZE == TOKEN_SIZE, "the header says how long a secret is");

/* ---- what their owners do ---- */

struct token_list {
    struct token *items;
    size_t count;
};

static bool take_token(void *argument, const struct store_row *row)
{
    struct token_list *list = argument;
    struct token token = {.scope = token_scope_read(store_row_text(row, 2)),
                          .created_at = store_row_integer(row, 3),
                          .expires_at = store_row_integer(row, 4),
                          .last_used_at = store_row_integer(row, 5)};
    if (!account_copy_text(token.id, sizeof token.id, store_row_text(row, 0)))
        return true;
    token.name = mem_string(store_row_text(row, 1) ? store_row_text(row, 1) : "");
    list->items = mem_resize(list->items, list->count + 1, sizeof *list->items);
    list->items[list->count++] = token;
    return true;
}

int tokens_list(struct auth *auth, const char *user_id, struct token **tokens, size_t *count)
{
    static const struct store_statement find = {
        "token_list", "SELECT id, name, scope, created_at, expires_at, last_used_at FROM tokens"
                      " WHERE user_id = ? ORDER BY name, id"};
    const struct store_value values[] = {store_text(user_id)};
    struct token_list list = {0};
    int status = store_query(auth->store, &find, values, ARRAY_LENGTH(values), take_token, &list);
    if (status < 0)
        tokens_free(&list.items, list.count);
    *tokens = list.items;
    *count = status < 0 ? 0 : list.count;
    return status;
}

void tokens_free(struct token **tokens, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((*tokens)[i].name);
    free(*tokens);
    *tokens = NULL;
}

struct create_token {
    const char *user_id;
    const struct token *token;
    const char *hash;
    const char *scope;
};

static int create_token(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement count_them = {
        "token_count", "SELECT COUNT(*) FROM tokens WHERE user_id = ?"};
    static const struct store_statement insert = {
        "token_insert", "INSERT INTO tokens (id, user_id, name, hash, scope, created_at,"
                        " expires_at, last_used_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0)"};
    const struct create_token *create = argument;
    const struct token *token = create->token;
    const struct store_value owner[] = {store_text(create->user_id)};
    int64_t count = 0;
    int status = store_transaction_query(transaction, &count_them, owner, ARRAY_LENGTH(owner),
                                         account_take_count, &count);
    if (status == 0 && count >= TOKENS_MAX)
        status = CESID_E_CONFLICT;
    if (status < 0)
        return status;
    const struct store_value values[] = {
        store_text(token->id),           store_text(create->user_id),
        store_text(token->name),         store_text(create->hash),
        store_text(create->scope),       store_integer(token->created_at),
        store_integer(token->expires_at)};
    return store_transaction_execute(transaction, &insert, values, ARRAY_LENGTH(values), NULL);
}

int tokens_create(struct auth *auth, const char *user_id, struct token *token,
                  char secret[TOKENS_SIZE])
{
    char hash[TOKEN_HASH_SIZE], random[TOKEN_SECRET_LENGTH + 1];
    struct strbuf scope;
    strbuf_init(&scope, SCOPE_MAX + 1);
    token_scope_write(&scope, token->scope);
    random_hex(token->id, (AUTH_ID_SIZE - 1) / 2);
    random_hex(random, TOKEN_SECRET_LENGTH / 2);
    token_secret_hash(random, hash);
    (void) snprintf(secret, TOKEN_SIZE, "%s%s_%s", TOKEN_PREFIX, token->id, random);
    secret_wipe(random, sizeof random);
    token->created_at = clock_wall();
    struct create_token create = {
        .user_id = user_id, .token = token, .hash = hash, .scope = scope.data ? scope.data : ""};
    int status = store_transact(auth->store, create_token, &create);
    strbuf_destroy(&scope);
    if (status == 0)
        log_info("auth", "created an API token", log_s("token", token->id));
    return status;
}

int tokens_remove(struct auth *auth, const char *user_id, const char *id)
{
    static const struct store_statement end = {"token_delete",
                                               "DELETE FROM tokens WHERE id = ? AND user_id = ?"};
    const struct store_value values[] = {store_text(id), store_text(user_id)};
    int64_t removed = 0;
    int status = store_execute(auth->store, &end, values, ARRAY_LENGTH(values), &removed);
    if (status == 0 && removed == 0)
        status = CESID_E_NOT_FOUND;
    if (status < 0)
        return status;
    session_cache_revoke(auth->cache, id, 0);
    auth_tell_change(auth);
    log_info("auth", "revoked an API token", log_s("token", id));
    return 0;
}
