/*
 * Users, their rights and their sessions on record. Any thread enters, without a lock.
 *
 * Rows are read into what this program can hold: an id or name that somebody wrote into the
 * database by hand and that does not fit is passed over, not trusted.
 */
#include "account.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/activity_outside.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/random.h"

#define BINDINGS_MAX 1000

bool account_copy_text(char *out, size_t size, const char *text)
{
    size_t length = text ? strlen(text) : 0;
    if (length == 0 || length >= size)
        return false;
    memcpy(out, text, length + 1);
    return true;
}

static char *text_or_empty(const char *text)
{
    return mem_string(text ? text : "");
}

/* Columns from `first`: id, username, full_name, email, active, created_at, last_login_at. */
bool account_read_user(const struct store_row *row, int first, struct user *user)
{
    user_destroy(user);
    if (!account_copy_text(user->id, sizeof user->id, store_row_text(row, first)))
        return false;
    user->username = text_or_empty(store_row_text(row, first + 1));
    user->full_name = text_or_empty(store_row_text(row, first + 2));
    user->email = text_or_empty(store_row_text(row, first + 3));
    user->active = store_row_integer(row, first + 4) != 0;
    user->created_at = store_row_integer(row, first + 5);
    user->last_login_at = store_row_integer(row, first + 6);
    return true;
}

/* ---- users ---- */

struct found_user {
    struct user *user;
    char *hash;
    bool found;
};

static bool take_user(void *argument, const struct store_row *row)
{
    struct found_user *found = argument;
    found->found = account_read_user(row, 0, found->user) &&
                   account_copy_text(found->hash, PASSWORD_HASH_SIZE, store_row_text(row, 7));
    return false;
}

int account_find(struct store *store, const char *username, struct user *user,
                 char hash[PASSWORD_HASH_SIZE])
{
    static const struct store_statement find = {
        "user_find", "SELECT id, username, full_name, email, active, created_at, last_login_at,"
                     " password_hash FROM users WHERE username = ?"};
    const struct store_value values[] = {store_text(username)};
    struct found_user found = {.user = user, .hash = hash};
    *user = (struct user){0};
    hash[0] = '\0';
    int status = store_query(store, &find, values, ARRAY_LENGTH(values), take_user, &found);
    if (status == 0 && !found.found)
        status = CESID_E_NOT_FOUND;
    if (status < 0)
        user_destroy(user);
    return status;
}

struct rights {
    struct access_binding *bindings;
    size_t count;
};

static bool take_right(void *argument, const struct store_row *row)
{
    struct rights *rights = argument;
    const char *environment = store_row_text(row, 0);
    const char *role = store_row_text(row, 1);
    const char *permission = store_row_text(row, 2);
    uint32_t permissions = 0;
    enum permission one;

    if (!environment || !role)
        return true;
    if (!permission_builtin_role(role, &permissions) && permission &&
        permission_parse(permission, &one))
        permissions = (uint32_t) one;
    /* A role that is gone, or a permission of a later version, gives nothing. */
    if (permissions == 0)
        return true;
    struct access_binding *last = rights->count ? &rights->bindings[rights->count - 1] : NULL;
    if (last && strcmp(last->environment, environment) == 0) {
        last->permissions |= permissions;
        return true;
    }
    if (rights->count == BINDINGS_MAX)
        return false;
    rights->bindings = mem_resize(rights->bindings, rights->count + 1, sizeof *rights->bindings);
    rights->bindings[rights->count++] =
        (struct access_binding){.environment = mem_string(environment), .permissions = permissions};
    return true;
}

int account_access(struct store *store, const char *user_id, struct access **access)
{
    static const struct store_statement find = {
        "user_access", "SELECT b.environment, b.role, p.permission FROM bindings b"
                       " LEFT JOIN role_permissions p ON p.role = b.role"
                       " WHERE b.user_id = ? ORDER BY b.environment, b.role, p.permission"};
    const struct store_value values[] = {store_text(user_id)};
    struct rights rights = {0};
    int status = store_query(store, &find, values, ARRAY_LENGTH(values), take_right, &rights);
    *access = status == 0 ? access_create(rights.bindings, rights.count) : NULL;
    for (size_t i = 0; i < rights.count; i++)
        free((char *) rights.bindings[i].environment);
    free(rights.bindings);
    return status;
}

/* ---- sessions ---- */

struct begin_session {
    const struct account_session *session;
    const char *user_id;
    const char *hash;
};

static int begin_session(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement insert = {
        "session_insert",
        "INSERT INTO sessions (id, user_id, csrf_token, address, created_at, expires_at)"
        " SELECT ?, id, ?, ?, ?, ? FROM users"
        " WHERE id = ? AND active = 1 AND password_hash = ?"};
    static const struct store_statement touch = {"user_login",
                                                 "UPDATE users SET last_login_at = ? WHERE id = ?"};
    const struct begin_session *begin = argument;
    const struct account_session *session = begin->session;
    const struct store_value values[] = {store_text(session->id),
                                         store_text(session->csrf_token),
                                         store_text(session->address),
                                         store_integer(session->created_at),
                                         store_integer(session->expires_at),
                                         store_text(begin->user_id),
                                         store_text(begin->hash)};
    int64_t inserted = 0;
    int status =
        store_transaction_execute(transaction, &insert, values, ARRAY_LENGTH(values), &inserted);
    if (status == 0 && inserted == 0)
        status = CESID_E_CONFLICT;
    if (status < 0)
        return status;
    const struct store_value login[] = {store_integer(session->created_at),
                                        store_text(begin->user_id)};
    return store_transaction_execute(transaction, &touch, login, ARRAY_LENGTH(login), NULL);
}

int account_begin_session(struct store *store, const struct account_session *session,
                          const char *user_id, const char *hash)
{
    struct begin_session begin = {.session = session, .user_id = user_id, .hash = hash};
    return store_transact(store, begin_session, &begin);
}

struct found_session {
    char id[AUTH_ID_SIZE];
    char csrf_token[AUTH_ID_SIZE];
    int64_t expires_at;
    struct user user;
    bool found;
};

static bool take_session(void *argument, const struct store_row *row)
{
    struct found_session *found = argument;
    found->expires_at = store_row_integer(row, 9);
    found->found =
        account_read_user(row, 0, &found->user) &&
        account_copy_text(found->id, sizeof found->id, store_row_text(row, 7)) &&
        account_copy_text(found->csrf_token, sizeof found->csrf_token, store_row_text(row, 8));
    return false;
}

int account_load_session(struct store *store, const char *id, struct session **session)
{
    static const struct store_statement find = {
        "session_load",
        "SELECT u.id, u.username, u.full_name, u.email, u.active, u.created_at, u.last_login_at,"
        " s.id, s.csrf_token, s.expires_at FROM sessions s JOIN users u ON u.id = s.user_id"
        " WHERE s.id = ? AND u.active = 1"};
    const struct store_value values[] = {store_text(id)};
    struct found_session found = {0};
    struct access *access = NULL;
    *session = NULL;
    int status = store_query(store, &find, values, ARRAY_LENGTH(values), take_session, &found);
    if (status == 0 && !found.found)
        status = CESID_E_NOT_FOUND;
    if (status == 0)
        status = account_access(store, found.user.id, &access);
    if (status == 0)
        *session =
            session_create(found.id, found.csrf_token, found.expires_at, &found.user, access);
    user_destroy(&found.user);
    return status;
}

int account_end_session(struct store *store, const char *id)
{
    static const struct store_statement end = {"session_end", "DELETE FROM sessions WHERE id = ?"};
    const struct store_value values[] = {store_text(id)};
    return store_execute(store, &end, values, ARRAY_LENGTH(values), NULL);
}

int account_purge_sessions(struct store *store, int64_t before, int64_t *purged)
{
    static const struct store_statement purge = {"session_purge",
                                                 "DELETE FROM sessions WHERE expires_at <= ?"};
    const struct store_value values[] = {store_integer(before)};
    return store_execute(store, &purge, values, ARRAY_LENGTH(values), purged);
}

/* ---- passwords and administrators ---- */

static const struct store_statement update_hash = {
    "user_password", "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?"};

int account_refresh_hash(struct store *store, const char *user_id, const char *old_hash,
                         const char *new_hash)
{
    const struct store_value values[] = {store_text(new_hash), store_text(user_id),
                                         store_text(old_hash)};
    return store_execute(store, &update_hash, values, ARRAY_LENGTH(values), NULL);
}

struct set_password {
    const char *user_id;
    const char *old_hash;
    const char *new_hash;
    const char *keep_session;
};

static int set_password(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement end = {
        "session_end_others", "DELETE FROM sessions WHERE user_id = ? AND id <> ?"};
    const struct set_password *set = argument;
    const struct store_value values[] = {store_text(set->new_hash), store_text(set->user_id),
                                         store_text(set->old_hash)};
    int64_t changed = 0;
    int status = store_transaction_execute(transaction, &update_hash, values, ARRAY_LENGTH(values),
                                           &changed);
    if (status == 0 && changed == 0)
        status = CESID_E_INVALID_CREDENTIALS;
    if (status < 0)
        return status;
    const struct store_value others[] = {store_text(set->user_id), store_text(set->keep_session)};
    return store_transaction_execute(transaction, &end, others, ARRAY_LENGTH(others), NULL);
}

int account_set_password(struct store *store, const char *user_id, const char *old_hash,
                         const char *new_hash, const char *keep_session)
{
    struct set_password set = {.user_id = user_id,
                               .old_hash = old_hash,
                               .new_hash = new_hash,
                               .keep_session = keep_session};
    return store_transact(store, set_password, &set);
}

static const struct store_statement count_admins = {
    "admin_count", "SELECT COUNT(*) FROM users u JOIN bindings b ON b.user_id = u.id"
                   " WHERE u.active = 1 AND b.role = ? AND b.environment = '*'"};

bool account_take_count(void *argument, const struct store_row *row)
{
    *(int64_t *) argument = store_row_integer(row, 0);
    return false;
}

int account_has_admin(struct store *store, bool *has)
{
    const struct store_value values[] = {store_text(ADMIN_ROLE)};
    int64_t count = 0;
    int status =
        store_query(store, &count_admins, values, ARRAY_LENGTH(values), account_take_count, &count);
    *has = count > 0;
    return status;
}

int account_insist_on_admin(struct store_transaction *transaction)
{
    const struct store_value values[] = {store_text(ADMIN_ROLE)};
    int64_t count = 0;
    int status = store_transaction_query(transaction, &count_admins, values, ARRAY_LENGTH(values),
                                         account_take_count, &count);
    return status == 0 && count == 0 ? CESID_E_CONFLICT : status;
}

struct make_admin {
    const char *username;
    const char *hash;
    bool only_first;
    int (*ready)(void *argument);
    void *argument;
};

static bool take_id(void *argument, const struct store_row *row)
{
    (void) account_copy_text(argument, AUTH_ID_SIZE, store_row_text(row, 0));
    return false;
}

static int put_user(struct store_transaction *transaction, const struct make_admin *make,
                    char id[AUTH_ID_SIZE])
{
    static const struct store_statement find = {"user_id", "SELECT id FROM users WHERE username"
                                                           " = ?"};
    static const struct store_statement insert = {
        "user_insert", "INSERT INTO users (id, username, full_name, email, password_hash, active,"
                       " created_at, last_login_at) VALUES (?, ?, '', '', ?, 1, ?, 0)"};
    static const struct store_statement reset = {
        "user_reset", "UPDATE users SET password_hash = ?, active = 1 WHERE id = ?"};
    static const struct store_statement end = {"session_end_all",
                                               "DELETE FROM sessions WHERE user_id = ?"};
    const struct store_value name[] = {store_text(make->username)};
    id[0] = '\0';
    int status = store_transaction_query(transaction, &find, name, ARRAY_LENGTH(name), take_id, id);
    if (status < 0)
        return status;
    if (id[0] == '\0') {
        random_hex(id, (AUTH_ID_SIZE - 1) / 2);
        const struct store_value values[] = {store_text(id), store_text(make->username),
                                             store_text(make->hash), store_integer(clock_wall())};
        return store_transaction_execute(transaction, &insert, values, ARRAY_LENGTH(values), NULL);
    }
    const struct store_value values[] = {store_text(make->hash), store_text(id)};
    status = store_transaction_execute(transaction, &reset, values, ARRAY_LENGTH(values), NULL);
    if (status == 0)
        status = store_transaction_execute(transaction, &end, &values[1], 1, NULL);
    return status;
}

static int make_admin(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement unbind = {
        "binding_delete", "DELETE FROM bindings WHERE user_id = ? AND role = ? AND environment ="
                          " '*'"};
    static const struct store_statement bind = {
        "binding_insert",
        "INSERT INTO bindings (id, user_id, role, environment) VALUES (?, ?, ?, '*')"};
    const struct make_admin *make = argument;
    const struct store_value role[] = {store_text(ADMIN_ROLE)};
    int64_t count = 0;
    int status = 0;
    if (make->only_first) {
        status = store_transaction_query(transaction, &count_admins, role, ARRAY_LENGTH(role),
                                         account_take_count, &count);
        if (status == 0 && count > 0)
            status = CESID_E_CONFLICT;
    }
    char id[AUTH_ID_SIZE], binding[AUTH_ID_SIZE];
    if (status == 0)
        status = put_user(transaction, make, id);
    if (status < 0)
        return status;
    random_hex(binding, (AUTH_ID_SIZE - 1) / 2);
    const struct store_value values[] = {store_text(binding), store_text(id),
                                         store_text(ADMIN_ROLE)};
    status = store_transaction_execute(transaction, &unbind, &values[1], 2, NULL);
    if (status == 0)
        status = store_transaction_execute(transaction, &bind, values, ARRAY_LENGTH(values), NULL);
    if (status == 0 && !make->only_first)
        status = outside_action_add(transaction, "user.create_admin", make->username);
    if (status == 0 && make->ready)
        status = make->ready(make->argument);
    return status;
}

int account_make_admin(struct store *store, const char *username, const char *hash)
{
    struct make_admin make = {.username = username, .hash = hash};
    return store_transact(store, make_admin, &make);
}

int account_make_first_admin(struct store *store, const char *username, const char *hash,
                             int (*ready)(void *argument), void *argument)
{
    struct make_admin make = {.username = username,
                              .hash = hash,
                              .only_first = true,
                              .ready = ready,
                              .argument = argument};
    return store_transact(store, make_admin, &make);
}
