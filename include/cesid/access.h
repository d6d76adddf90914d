/*
 * What somebody may do, and where: an immutable, reference-counted list of bindings, each a set of
 * permissions over the environments that a glob covers. Any thread.
 */
#ifndef CESID_ACCESS_H
#define CESID_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/json.h"

enum permission {
    PERMISSION_NONE = 0, /* any authenticated caller */
    NODE_READ = 1 << 0,
    NODE_WRITE = 1 << 1,
    NODE_CONTROL = 1 << 2,
    PROCESS_READ = 1 << 3,
    PROCESS_CONTROL = 1 << 4,
    LOG_READ = 1 << 5,
    ACTIVITY_READ = 1 << 6,
    USER_ADMIN = 1 << 7,  /* counts only through a binding to "*" */
    SYSTEM_ADMIN = 1 << 8 /* likewise */
};
#define PERMISSIONS_ALL ((1u << 9) - 1)

const char *permission_name(enum permission permission); /* "node:read" */
bool permission_parse(const char *name, enum permission *permission);
bool permission_builtin_role(const char *role, uint32_t *permissions); /* admin, operator, viewer */
const char *permission_builtin_name(size_t index);                     /* by name; NULL: no more */
/* All at once, as they are named. Unknown names count for nothing. */
uint32_t permissions_parse(char *const *names, size_t count);

struct access;

struct access_binding {
    const char *environment; /* "*" or a glob */
    uint32_t permissions;
};

struct access *access_create(const struct access_binding *bindings, size_t count); /* copies */
/* The same, but for permissions that are not among those. */
struct access *access_narrow(const struct access *access, uint32_t permissions);
struct access *access_ref(struct access *access);
void access_unref(struct access **access);

/* In that environment. environment NULL: a right that is not of an environment (user:admin,
 * system:admin). */
bool access_allows(const struct access *access, enum permission permission,
                   const char *environment);
/* In at least one environment: whether a list route is worth calling at all. */
bool access_allows_somewhere(const struct access *access, enum permission permission);

/* Whether both say the same, binding for binding. */
bool access_equal(const struct access *one, const struct access *other);

/* ["node:read", …] */
void permissions_json(struct json *json, uint32_t permissions);
/* [{"environment": "*", "permissions": ["node:read", …]}, …] */
void access_json(struct json *json, const struct access *access);

#endif
