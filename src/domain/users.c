/*
 * Users, as administrators change them. See users.h. Any thread enters, without a lock.
 */
#include "cesid/users.h"

#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "auth_private.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/secret.h"

#define COLUMNS "id, username, full_name, email, active, created_at, last_login_at"

static const char last_admin[] = "This is the last active administrator: make another one first";

/* ---- reading ---- */

struct user_list {
    struct user *items;
    size_t count;
};

static bool take_user(void *argument, const struct store_row *row)
{
    struct user_list *list = argument;
    struct user user = {0};
    if (!account_read_user(row, 0, &user))
        return true;
    list->items = mem_resize(list->items, list->count + 1, sizeof *list->items);
    list->items[list->count++] = user;
    return true;
}

int users_list(struct auth *auth, struct user **users, size_t *count)
{
    static const struct store_statement find = {"user_list",
                                                "SELECT " COLUMNS " FROM users ORDER BY username"};
    struct user_list list = {0};
    int status = store_query(auth->store, &find, NULL, 0, take_user, &list);
    if (status < 0)
        users_free(&list.items, list.count);
    *users = list.items;
    *count = status < 0 ? 0 : list.count;
    return status;
}

void users_free(struct user **users, size_t count)
{
    for (size_t i = 0; i < count; i++)
        user_destroy(&(*users)[i]);
    free(*users);
    *users = NULL;
}

int users_find(struct auth *auth, const char *username, struct user *user)
{
    char hash[PASSWORD_HASH_SIZE];
    int status = account_find(auth->store, username, user, hash);
    secret_wipe(hash, sizeof hash);
    return status;
}

static bool take_one(void *argument, const struct store_row *row)
{
    struct user *user = argument;
    (void) account_read_user(row, 0, user);
    return false;
}

/* Within the transaction that changes the user. */
static int find_user(struct store_transaction *transaction, const char *username, struct user *user)
{
    static const struct store_statement find = {"user_read",
                                                "SELECT " COLUMNS " FROM users WHERE username = ?"};
    const struct store_value values[] = {store_text(username)};
    user_destroy(user);
    int status =
        store_transaction_query(transaction, &find, values, ARRAY_LENGTH(values), take_one, user);
    return status == 0 && user->id[0] == '\0' ? CESID_E_NOT_FOUND : status;
}

/* ---- creating ---- */

int users_create(struct auth *auth, const char *username, const struct user_settings *settings,
                 struct user *user, const char **why)
{
    static const struct store_statement insert = {
        "user_create", "INSERT INTO users (id, username, full_name, email, password_hash, active,"
                       " created_at, last_login_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0)"};
    char hash[PASSWORD_HASH_SIZE];
    *user = (struct user){0};
    int status = auth_hash_new(auth, username, settings->password, hash, why);
    if (status < 0)
        return status;
    random_hex(user->id, (AUTH_ID_SIZE - 1) / 2);
    user->username = mem_string(username);
    user->full_name = mem_string(settings->full_name ? settings->full_name : "");
    user->email = mem_string(settings->email ? settings->email : "");
    user->active = !settings->active || *settings->active;
    user->created_at = clock_wall();
    const struct store_value values[] = {
        store_text(user->id),           store_text(user->username), store_text(user->full_name),
        store_text(user->email),        store_text(hash),           store_integer(user->active),
        store_integer(user->created_at)};
    status = store_execute(auth->store, &insert, values, ARRAY_LENGTH(values), NULL);
    secret_wipe(hash, sizeof hash);
    if (status == CESID_E_CONFLICT)
        *why = "There is a user of that name already";
    if (status < 0)
        user_destroy(user);
    else
        log_info("auth", "created a user", log_s("username", username));
    return status;
}

/* ---- changing ---- */

struct change {
    const char *username;
    const struct user_settings *settings;
    const char *hash; /* NULL: as it is */
    const char *keep_session;
    bool ends_sessions;
    struct user user;
    const char **why;
};

static int end_sessions(struct store_transaction *transaction, const struct change *change)
{
    static const struct store_statement end = {
        "session_end_user", "DELETE FROM sessions WHERE user_id = ? AND id <> ?"};
    const struct store_value values[] = {
        store_text(change->user.id), store_text(change->user.active ? change->keep_session : "")};
    return store_transaction_execute(transaction, &end, values, ARRAY_LENGTH(values), NULL);
}

static void replace(char **text, const char *other)
{
    if (!other)
        return;
    free(*text);
    *text = mem_string(other);
}

static int write_change(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement update = {
        "user_update", "UPDATE users SET full_name = ?, email = ?, active = ? WHERE id = ?"};
    static const struct store_statement set_hash = {
        "user_set_hash", "UPDATE users SET password_hash = ? WHERE id = ?"};
    struct change *change = argument;
    const struct user_settings *settings = change->settings;
    struct user *user = &change->user;
    int status = find_user(transaction, change->username, user);
    if (status < 0)
        return status;
    bool was_active = user->active;
    replace(&user->full_name, settings->full_name);
    replace(&user->email, settings->email);
    if (settings->active)
        user->active = *settings->active;
    change->ends_sessions = change->hash || !user->active;

    const struct store_value values[] = {store_text(user->full_name), store_text(user->email),
                                         store_integer(user->active), store_text(user->id)};
    status = store_transaction_execute(transaction, &update, values, ARRAY_LENGTH(values), NULL);
    if (status == 0 && change->hash) {
        const struct store_value hash[] = {store_text(change->hash), store_text(user->id)};
        status = store_transaction_execute(transaction, &set_hash, hash, ARRAY_LENGTH(hash), NULL);
    }
    if (status == 0 && change->ends_sessions)
        status = end_sessions(transaction, change);
    if (status == 0 && was_active && !user->active) {
        status = account_insist_on_admin(transaction);
        if (status == CESID_E_CONFLICT)
            *change->why = last_admin;
    }
    return status;
}

int users_change(struct auth *auth, const char *username, const struct user_settings *settings,
                 const char *keep_session, struct user *user, const char **why)
{
    char hash[PASSWORD_HASH_SIZE] = "";
    int status = 0;
    *user = (struct user){0};
    if (settings->password)
        status = auth_hash_new(auth, username, settings->password, hash, why);
    struct change change = {.username = username,
                            .settings = settings,
                            .hash = settings->password ? hash : NULL,
                            .keep_session = keep_session,
                            .why = why};
    if (status == 0)
        status = store_transact(auth->store, write_change, &change);
    secret_wipe(hash, sizeof hash);
    if (status < 0) {
        user_destroy(&change.user);
        return status;
    }
    *user = change.user;
    if (change.ends_sessions) {
        session_cache_revoke_user(auth->cache, user->id, user->active ? keep_session : NULL,
                                  !user->active);
        auth_tell_change(auth);
    }
    log_info("auth", "changed a user", log_s("username", username),
             log_s("active", user->active ? "yes" : "no"),
             log_s("password", settings->password ? "new" : "as it was"));
    return 0;
}

/* ---- removing ---- */

static int remove_user(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement end = {"user_delete", "DELETE FROM users WHERE id = ?"};
    struct change *change = argument;
    int status = find_user(transaction, change->username, &change->user);
    if (status < 0)
        return status;
    const struct store_value values[] = {store_text(change->user.id)};
    status = store_transaction_execute(transaction, &end, values, ARRAY_LENGTH(values), NULL);
    if (status == 0) {
        status = account_insist_on_admin(transaction);
        if (status == CESID_E_CONFLICT)
            *change->why = last_admin;
    }
    return status;
}

int users_remove(struct auth *auth, const char *username, const char **why)
{
    struct change change = {.username = username, .why = why};
    int status = store_transact(auth->store, remove_user, &change);
    if (status == 0) {
        session_cache_revoke_user(auth->cache, change.user.id, NULL, true);
        auth_tell_change(auth);
        log_info("auth", "removed a user", log_s("username", username));
    }
    user_destroy(&change.user);
    return status;
}
