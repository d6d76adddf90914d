/*
 * API tokens on their way in. See token_secret.h. Any thread enters, without a lock.
 */
#include "token_secret.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "cesid/access.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"

#define ID_LENGTH  ((size_t) AUTH_ID_SIZE - 1)
#define USED_EVERY 60000 /* milliseconds between two notes of the use of a token */

/* ---- secrets ---- */

void token_secret_hash(const char *secret, char hash[TOKEN_HASH_SIZE])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *) secret, strlen(secret), digest);
    for (size_t i = 0; i < sizeof digest; i++)
        (void) snprintf(hash + 2 * i, 3, "%02x", digest[i]);
}

bool token_secret_parse(const char *text, char id[AUTH_ID_SIZE], char hash[TOKEN_HASH_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    size_t prefix = strlen(TOKEN_PREFIX);
    if (strlen(text) != TOKEN_SIZE - 1 || strncmp(text, TOKEN_PREFIX, prefix) != 0 ||
        strspn(text + prefix, hex) != ID_LENGTH || text[prefix + ID_LENGTH] != '_' ||
        strspn(text + prefix + ID_LENGTH + 1, hex) != TOKEN_SECRET_LENGTH)
        return false;
    memcpy(id, text + prefix, ID_LENGTH);
    id[ID_LENGTH] = '\0';
    token_secret_hash(text + prefix + ID_LENGTH + 1, hash);
    return true;
}

/* ---- scopes, as they are stored ---- */

void token_scope_write(struct strbuf *text, uint32_t scope)
{
    for (uint32_t bit = 1; bit <= PERMISSIONS_ALL; bit <<= 1)
        if (scope & bit)
            strbuf_printf(text, "%s%s", text->length ? " " : "",
                          permission_name((enum permission) bit));
}

/* A permission of a later version gives nothing. */
uint32_t token_scope_read(const char *text)
{
    uint32_t scope = 0;
    char *copy = mem_string(text ? text : ""), *rest = NULL;
    for (char *word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        scope |= permissions_parse(&word, 1);
    free(copy);
    return scope;
}

/* ---- use ---- */

struct found_token {
    char hash[TOKEN_HASH_SIZE];
    uint32_t scope;
    int64_t expires_at;
    int64_t last_used_at;
    struct user user;
    bool found;
};

static bool take_found(void *argument, const struct store_row *row)
{
    struct found_token *found = argument;
    found->found = account_read_user(row, 0, &found->user) &&
                   account_copy_text(found->hash, sizeof found->hash, store_row_text(row, 7)) &&
                   strlen(found->hash) == TOKEN_HASH_SIZE - 1;
    found->scope = token_scope_read(store_row_text(row, 8));
    found->expires_at = store_row_integer(row, 9);
    found->last_used_at = store_row_integer(row, 10);
    return false;
}

static void note_use(struct store *store, const char *id, int64_t last_used_at)
{
    static const struct store_statement note = {"token_used",
                                                "UPDATE tokens SET last_used_at = ? WHERE id = ?"};
    const struct store_value values[] = {store_integer(clock_wall()), store_text(id)};
    if (clock_wall() - last_used_at >= USED_EVERY &&
        store_execute(store, &note, values, ARRAY_LENGTH(values), NULL) < 0)
        log_debug("auth", "the use of a token is not noted");
}

int token_load(struct store *store, const char *id, struct session **session)
{
    static const struct store_statement find = {
        "token_load",
        "SELECT u.id, u.username, u.full_name, u.email, u.active, u.created_at, u.last_login_at,"
        " t.hash, t.scope, t.expires_at, t.last_used_at"
        " FROM tokens t JOIN users u ON u.id = t.user_id WHERE t.id = ? AND u.active = 1"};
    const struct store_value values[] = {store_text(id)};
    struct found_token found = {0};
    struct access *owner = NULL;
    *session = NULL;
    int status = store_query(store, &find, values, ARRAY_LENGTH(values), take_found, &found);
    if (status == 0 && !found.found)
        status = CESID_E_NOT_FOUND;
    if (status == 0)
        status = account_access(store, found.user.id, &owner);
    if (status == 0) {
        int64_t expires_at = found.expires_at ? found.expires_at : SESSION_NEVER;
        *session = session_create_token(id, found.hash, expires_at, &found.user,
                                        access_narrow(owner, found.scope));
        note_use(store, id, found.last_used_at);
    }
    access_unref(&owner);
    user_destroy(&found.user);
    return status;
}
