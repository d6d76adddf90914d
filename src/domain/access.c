/*
 * Permissions, built-in roles and who may do what where. An access is immutable once made, so any
 * thread reads it without a lock; its references are counted atomically.
 */
#include "cesid/access.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/memory.h"
#include "cesid/text.h"

/* These are not of an environment, so only a binding to all of them gives them. */
#define GLOBAL_PERMISSIONS ((uint32_t) USER_ADMIN | (uint32_t) SYSTEM_ADMIN)

#define READ_PERMISSIONS                                                                           \
    ((uint32_t) NODE_READ | (uint32_t) PROCESS_READ | (uint32_t) LOG_READ |                        \
     (uint32_t) ACTIVITY_READ)

static const struct {
    const char *name;
    enum permission permission;
} names[] = {
    {"node:read", NODE_READ},
    {"node:write", NODE_WRITE},
    {"node:control", NODE_CONTROL},
    {"process:read", PROCESS_READ},
    {"process:control", PROCESS_CONTROL},
    {"log:read", LOG_READ},
    {"activity:read", ACTIVITY_READ},
    {"user:admin", USER_ADMIN},
    {"system:admin", SYSTEM_ADMIN},
};

static const struct {
    const char *name;
    uint32_t permissions;
} builtin_roles[] = {
    {"admin", PERMISSIONS_ALL},
    {"operator", READ_PERMISSIONS | (uint32_t) PROCESS_CONTROL | (uint32_t) NODE_CONTROL},
    {"viewer", (uint32_t) NODE_READ | (uint32_t) PROCESS_READ | (uint32_t) LOG_READ},
};

struct binding {
    char *environment;
    uint32_t permissions;
    bool everywhere;
};

struct access {
    /* immutable */
    struct binding *bindings;
    size_t count;
    /* atomic */
    atomic_int references;
};

const char *permission_name(enum permission permission)
{
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (names[i].permission == permission)
            return names[i].name;
    }
    return "none";
}

bool permission_parse(const char *name, enum permission *permission)
{
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strcmp(names[i].name, name) == 0) {
            *permission = names[i].permission;
            return true;
        }
    }
    return false;
}

bool permission_builtin_role(const char *role, uint32_t *permissions)
{
    for (size_t i = 0; i < ARRAY_LENGTH(builtin_roles); i++) {
        if (strcmp(builtin_roles[i].name, role) == 0) {
            *permissions = builtin_roles[i].permissions;
            return true;
        }
    }
    return false;
}

const char *permission_builtin_name(size_t index)
{
    return index < ARRAY_LENGTH(builtin_roles) ? builtin_roles[index].name : NULL;
}

uint32_t permissions_parse(char *const *texts, size_t count)
{
    uint32_t permissions = 0;
    enum permission one;
    for (size_t i = 0; i < count; i++)
        if (permission_parse(texts[i], &one))
            permissions |= (uint32_t) one;
    return permissions;
}

struct access *access_create(const struct access_binding *bindings, size_t count)
{
    struct access *access = mem_alloc(sizeof *access);
    access->bindings = mem_array(count, sizeof *access->bindings);
    access->count = count;
    for (size_t i = 0; i < count; i++) {
        bool everywhere = strcmp(bindings[i].environment, "*") == 0;
        access->bindings[i] = (struct binding){
            .environment = mem_string(bindings[i].environment),
            .permissions = bindings[i].permissions &
                           (everywhere ? PERMISSIONS_ALL : PERMISSIONS_ALL & ~GLOBAL_PERMISSIONS),
            .everywhere = everywhere,
        };
    }
    atomic_init(&access->references, 1);
    return access;
}

struct access *access_narrow(const struct access *access, uint32_t permissions)
{
    struct access_binding *bindings = mem_array(access->count + 1, sizeof *bindings);
    for (size_t i = 0; i < access->count; i++)
        bindings[i] =
            (struct access_binding){.environment = access->bindings[i].environment,
                                    .permissions = access->bindings[i].permissions & permissions};
    struct access *narrow = access_create(bindings, access->count);
    free(bindings);
    return narrow;
}

struct access *access_ref(struct access *access)
{
    int before = atomic_fetch_add_explicit(&access->references, 1, memory_order_relaxed);
    CHECK(before > 0);
    return access;
}

void access_unref(struct access **pointer)
{
    struct access *access = *pointer;
    *pointer = NULL;
    if (!access)
        return;
    int before = atomic_fetch_sub_explicit(&access->references, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before > 1)
        return;
    for (size_t i = 0; i < access->count; i++)
        free(access->bindings[i].environment);
    free(access->bindings);
    free(access);
}

bool access_equal(const struct access *one, const struct access *other)
{
    if (one->count != other->count)
        return false;
    for (size_t i = 0; i < one->count; i++)
        if (one->bindings[i].permissions != other->bindings[i].permissions ||
            strcmp(one->bindings[i].environment, other->bindings[i].environment) != 0)
            return false;
    return true;
}

bool access_allows(const struct access *access, enum permission permission, const char *environment)
{
    uint32_t wanted = (uint32_t) permission;
    for (size_t i = 0; i < access->count && wanted; i++) {
        const struct binding *binding = &access->bindings[i];
        if (binding->everywhere || (environment && text_glob(binding->environment, environment)))
            wanted &= ~binding->permissions;
    }
    return wanted == 0;
}

bool access_allows_somewhere(const struct access *access, enum permission permission)
{
    uint32_t wanted = (uint32_t) permission;
    for (size_t i = 0; i < access->count && wanted; i++)
        wanted &= ~access->bindings[i].permissions;
    return wanted == 0;
}

void permissions_json(struct json *json, uint32_t permissions)
{
    json_array(json);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (permissions & (uint32_t) names[i].permission)
            json_string(json, names[i].name);
    json_array_end(json);
}

void access_json(struct json *json, const struct access *access)
{
    json_array(json);
    for (size_t i = 0; i < access->count; i++) {
        const struct binding *binding = &access->bindings[i];
        json_object(json);
        json_put_string(json, "environment", binding->environment);
        json_key(json, "permissions");
        permissions_json(json, binding->permissions);
        json_object_end(json);
    }
    json_array_end(json);
}
