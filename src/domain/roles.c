/*
 * Roles and bindings. See roles.h. Any thread enters, without a lock.
 */
#include "cesid/roles.h"

#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "auth_private.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/random.h"

#define BINDINGS_OF_A_USER 1000

static char *text_of(const struct store_row *row, int column)
{
    const char *text = store_row_text(row, column);
    return mem_string(text ? text : "");
}

/* ---- roles ---- */

struct role_list {
    struct role *items;
    size_t count;
};

static void add_role(struct role_list *list, const char *name, uint32_t permissions, bool builtin)
{
    list->items = mem_resize(list->items, list->count + 1, sizeof *list->items);
    list->items[list->count++] =
        (struct role){.name = mem_string(name), .permissions = permissions, .builtin = builtin};
}

/* Rows of one role follow each other. */
static bool take_permission(void *argument, const struct store_row *row)
{
    struct role_list *list = argument;
    const char *name = store_row_text(row, 0);
    const char *permission = store_row_text(row, 1);
    struct role *last = list->count ? &list->items[list->count - 1] : NULL;
    enum permission one;
    if (!name)
        return true;
    if (!last || strcmp(last->name, name) != 0) {
        add_role(list, name, 0, false);
        last = &list->items[list->count - 1];
    }
    if (permission && permission_parse(permission, &one))
        last->permissions |= (uint32_t) one;
    return true;
}

static int by_name(const void *one, const void *other)
{
    return strcmp(((const struct role *) one)->name, ((const struct role *) other)->name);
}

int roles_list(struct auth *auth, struct role **roles, size_t *count)
{
    static const struct store_statement find = {
        "role_list", "SELECT r.name, p.permission FROM roles r"
                     " LEFT JOIN role_permissions p ON p.role = r.name ORDER BY r.name"};
    struct role_list list = {0};
    int status = store_query(auth->store, &find, NULL, 0, take_permission, &list);
    if (status < 0) {
        roles_free(&list.items, list.count);
        *roles = NULL;
        *count = 0;
        return status;
    }
    for (size_t i = 0; permission_builtin_name(i); i++) {
        uint32_t permissions = 0;
        (void) permission_builtin_role(permission_builtin_name(i), &permissions);
        add_role(&list, permission_builtin_name(i), permissions, true);
    }
    qsort(list.items, list.count, sizeof *list.items, by_name);
    *roles = list.items;
    *count = list.count;
    return 0;
}

void roles_free(struct role **roles, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((*roles)[i].name);
    free(*roles);
    *roles = NULL;
}

int roles_find(struct auth *auth, const char *name, struct role *role)
{
    static const struct store_statement find = {
        "role_find", "SELECT r.name, p.permission FROM roles r"
                     " LEFT JOIN role_permissions p ON p.role = r.name WHERE r.name = ?"};
    const struct store_value values[] = {store_text(name)};
    struct role_list list = {0};
    uint32_t permissions = 0;
    *role = (struct role){0};
    if (permission_builtin_role(name, &permissions)) {
        *role =
            (struct role){.name = mem_string(name), .permissions = permissions, .builtin = true};
        return 0;
    }
    int status =
        store_query(auth->store, &find, values, ARRAY_LENGTH(values), take_permission, &list);
    if (status == 0 && list.count == 0)
        status = CESID_E_NOT_FOUND;
    if (status == 0) {
        *role = list.items[0];
        list.items[0].name = NULL;
    }
    roles_free(&list.items, list.count);
    return status;
}

struct write_role {
    const char *name;
    uint32_t permissions;
    bool create;
    const char **why;
};

static int insert_permissions(struct store_transaction *transaction, const struct write_role *write)
{
    static const struct store_statement insert = {
        "role_permit", "INSERT INTO role_permissions (role, permission) VALUES (?, ?)"};
    int status = 0;
    for (uint32_t bit = 1; bit <= PERMISSIONS_ALL && status == 0; bit <<= 1) {
        if (!(write->permissions & bit))
            continue;
        const struct store_value values[] = {store_text(write->name),
                                             store_text(permission_name((enum permission) bit))};
        status =
            store_transaction_execute(transaction, &insert, values, ARRAY_LENGTH(values), NULL);
    }
    return status;
}

static int role_exists(struct store_transaction *transaction, const char *name, bool *exists)
{
    static const struct store_statement find = {"role_exists",
                                                "SELECT COUNT(*) FROM roles WHERE name = ?"};
    const struct store_value values[] = {store_text(name)};
    int64_t count = 0;
    int status = store_transaction_query(transaction, &find, values, ARRAY_LENGTH(values),
                                         account_take_count, &count);
    *exists = count > 0;
    return status;
}

static int write_role(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement insert = {
        "role_insert", "INSERT INTO roles (name, created_at) VALUES (?, ?)"};
    static const struct store_statement clear = {"role_clear",
                                                 "DELETE FROM role_permissions WHERE role = ?"};
    const struct write_role *write = argument;
    const struct store_value values[] = {store_text(write->name), store_integer(clock_wall())};
    bool exists = false;
    int status = role_exists(transaction, write->name, &exists);
    if (status == 0 && exists && write->create) {
        *write->why = "There is a role of that name already";
        status = CESID_E_CONFLICT;
    }
    if (status == 0 && !exists && !write->create)
        status = CESID_E_NOT_FOUND;
    if (status < 0)
        return status;
    status = write->create ? store_transaction_execute(transaction, &insert, values, 2, NULL)
                           : store_transaction_execute(transaction, &clear, values, 1, NULL);
    return status < 0 ? status : insert_permissions(transaction, write);
}

static bool is_builtin(const char *name, const char **why)
{
    uint32_t permissions;
    if (!permission_builtin_role(name, &permissions))
        return false;
    *why = "The role is built in and stays as it is";
    return true;
}

static int put_role(struct auth *auth, struct write_role *write)
{
    if (is_builtin(write->name, write->why))
        return CESID_E_CONFLICT;
    int status = store_transact(auth->store, write_role, write);
    if (status == CESID_E_CONFLICT && !*write->why)
        *write->why = "There is a role of that name already";
    if (status < 0)
        return status;
    log_info("auth", write->create ? "created a role" : "changed a role",
             log_s("role", write->name));
    if (!write->create)
        auth_rights_changed(auth, NULL);
    return 0;
}

int roles_create(struct auth *auth, const char *name, uint32_t permissions, const char **why)
{
    return put_role(
        auth,
        &(struct write_role){.name = name, .permissions = permissions, .create = true, .why = why});
}

int roles_replace(struct auth *auth, const char *name, uint32_t permissions, const char **why)
{
    return put_role(auth,
                    &(struct write_role){.name = name, .permissions = permissions, .why = why});
}

static int remove_role(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement used = {"role_used",
                                                "SELECT COUNT(*) FROM bindings WHERE role = ?"};
    static const struct store_statement end = {"role_delete", "DELETE FROM roles WHERE name = ?"};
    const struct write_role *write = argument;
    const struct store_value values[] = {store_text(write->name)};
    bool exists = false;
    int64_t count = 0;
    int status = role_exists(transaction, write->name, &exists);
    if (status == 0 && !exists)
        status = CESID_E_NOT_FOUND;
    if (status == 0)
        status = store_transaction_query(transaction, &used, values, ARRAY_LENGTH(values),
                                         account_take_count, &count);
    if (status == 0 && count > 0) {
        *write->why = "Users are bound to the role: remove those bindings first";
        status = CESID_E_CONFLICT;
    }
    return status < 0
               ? status
               : store_transaction_execute(transaction, &end, values, ARRAY_LENGTH(values), NULL);
}

int roles_remove(struct auth *auth, const char *name, const char **why)
{
    struct write_role write = {.name = name, .why = why};
    if (is_builtin(name, why))
        return CESID_E_CONFLICT;
    int status = store_transact(auth->store, remove_role, &write);
    if (status == 0)
        log_info("auth", "removed a role", log_s("role", name));
    return status;
}

/* ---- bindings ---- */

struct binding_list {
    struct binding_record *items;
    size_t count;
};

static bool take_binding(void *argument, const struct store_row *row)
{
    struct binding_list *list = argument;
    struct binding_record binding = {0};
    if (!account_copy_text(binding.id, sizeof binding.id, store_row_text(row, 0)))
        return true;
    binding.user = text_of(row, 1);
    binding.role = text_of(row, 2);
    binding.environment = text_of(row, 3);
    list->items = mem_resize(list->items, list->count + 1, sizeof *list->items);
    list->items[list->count++] = binding;
    return true;
}

int bindings_list(struct auth *auth, struct binding_record **bindings, size_t *count)
{
    static const struct store_statement find = {
        "binding_list", "SELECT b.id, u.username, b.role, b.environment FROM bindings b"
                        " JOIN users u ON u.id = b.user_id"
                        " ORDER BY u.username, b.role, b.environment"};
    struct binding_list list = {0};
    int status = store_query(auth->store, &find, NULL, 0, take_binding, &list);
    if (status < 0)
        bindings_free(&list.items, list.count);
    *bindings = list.items;
    *count = status < 0 ? 0 : list.count;
    return status;
}

void bindings_free(struct binding_record **bindings, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((*bindings)[i].user);
        free((*bindings)[i].role);
        free((*bindings)[i].environment);
    }
    free(*bindings);
    *bindings = NULL;
}

struct write_binding {
    const char *id;
    const char *username;
    const char *role;
    const char *environment;
    char user_id[AUTH_ID_SIZE];
    struct binding_missing *missing;
};

static bool take_user_id(void *argument, const struct store_row *row)
{
    (void) account_copy_text(argument, AUTH_ID_SIZE, store_row_text(row, 0));
    return false;
}

/* The user's id, and that the role is there. */
static int resolve(struct store_transaction *transaction, struct write_binding *write)
{
    static const struct store_statement find = {"binding_user",
                                                "SELECT id FROM users WHERE username = ?"};
    const struct store_value values[] = {store_text(write->username)};
    uint32_t permissions;
    bool exists = permission_builtin_role(write->role, &permissions);
    write->user_id[0] = '\0';
    int status = store_transaction_query(transaction, &find, values, ARRAY_LENGTH(values),
                                         take_user_id, write->user_id);
    if (status == 0 && !exists)
        status = role_exists(transaction, write->role, &exists);
    if (status < 0)
        return status;
    *write->missing = (struct binding_missing){.user = write->user_id[0] == '\0', .role = !exists};
    return write->missing->user || write->missing->role ? CESID_E_NOT_FOUND : 0;
}

static int insert_binding(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement count_them = {
        "binding_count", "SELECT COUNT(*) FROM bindings WHERE user_id = ?"};
    static const struct store_statement insert = {
        "binding_create", "INSERT INTO bindings (id, user_id, role, environment)"
                          " VALUES (?, ?, ?, ?)"};
    struct write_binding *write = argument;
    int64_t count = 0;
    int status = resolve(transaction, write);
    if (status < 0)
        return status;
    const struct store_value values[] = {store_text(write->id), store_text(write->user_id),
                                         store_text(write->role), store_text(write->environment)};
    status = store_transaction_query(transaction, &count_them, &values[1], 1, account_take_count,
                                     &count);
    if (status == 0 && count >= BINDINGS_OF_A_USER)
        status = CESID_E_VALIDATION_FAILED;
    return status < 0 ? status
                      : store_transaction_execute(transaction, &insert, values,
                                                  ARRAY_LENGTH(values), NULL);
}

int bindings_create(struct auth *auth, const char *username, const char *role,
                    const char *environment, char id[AUTH_ID_SIZE], struct binding_missing *missing)
{
    struct write_binding write = {.id = id,
                                  .username = username,
                                  .role = role,
                                  .environment = environment,
                                  .missing = missing};
    random_hex(id, (AUTH_ID_SIZE - 1) / 2);
    int status = store_transact(auth->store, insert_binding, &write);
    if (status < 0)
        return status;
    log_info("auth", "bound a user to a role", log_s("username", username), log_s("role", role),
             log_s("environment", environment));
    auth_rights_changed(auth, write.user_id);
    return 0;
}

static int delete_binding(struct store_transaction *transaction, void *argument)
{
    static const struct store_statement find = {"binding_find",
                                                "SELECT user_id FROM bindings WHERE id = ?"};
    static const struct store_statement end = {"binding_remove",
                                               "DELETE FROM bindings WHERE id = ?"};
    struct write_binding *write = argument;
    const struct store_value values[] = {store_text(write->id)};
    write->user_id[0] = '\0';
    int status = store_transaction_query(transaction, &find, values, ARRAY_LENGTH(values),
                                         take_user_id, write->user_id);
    if (status == 0 && write->user_id[0] == '\0')
        status = CESID_E_NOT_FOUND;
    if (status == 0)
        status = store_transaction_execute(transaction, &end, values, ARRAY_LENGTH(values), NULL);
    return status < 0 ? status : account_insist_on_admin(transaction);
}

int bindings_remove(struct auth *auth, const char *id)
{
    struct write_binding write = {.id = id};
    int status = store_transact(auth->store, delete_binding, &write);
    if (status < 0)
        return status;
    log_info("auth", "removed a binding", log_s("binding", id));
    auth_rights_changed(auth, write.user_id);
    return 0;
}
