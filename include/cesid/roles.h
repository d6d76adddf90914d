/*
 * Roles, which are sets of permissions, and bindings, which give a user a role in the environments
 * that a glob covers. The built-in roles are code and cannot be changed. Changes have their effect
 * at once, on connections under way, too.
 *
 * Any thread, no lock held. All functions: the store's errors.
 */
#ifndef CESID_ROLES_H
#define CESID_ROLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/auth.h"
#include "cesid/check.h"
#include "cesid/session.h"

struct role {
    char *name;
    uint32_t permissions;
    bool builtin;
};

/* By name, the built-in ones among them; freed with roles_free. */
int roles_list(struct auth *auth, struct role **roles, size_t *count) CESID_WARN_UNUSED;
void roles_free(struct role **roles, size_t count);
/* NOT_FOUND. The caller frees the name. */
int roles_find(struct auth *auth, const char *name, struct role *role) CESID_WARN_UNUSED;
/* CONFLICT and a static sentence in *why: the name is taken, the role is built in, or (remove) a
 * binding names it. */
int roles_create(struct auth *auth, const char *name, uint32_t permissions,
                 const char **why) CESID_WARN_UNUSED;
int roles_replace(struct auth *auth, const char *name, uint32_t permissions,
                  const char **why) CESID_WARN_UNUSED;
int roles_remove(struct auth *auth, const char *name, const char **why) CESID_WARN_UNUSED;

struct binding_record {
    char id[AUTH_ID_SIZE];
    char *user; /* username */
    char *role;
    char *environment; /* "*" or a glob */
};

/* By user, role and environment; freed with bindings_free. */
int bindings_list(struct auth *auth, struct binding_record **bindings,
                  size_t *count) CESID_WARN_UNUSED;
void bindings_free(struct binding_record **bindings, size_t count);
/* What a binding names and nothing has. */
struct binding_missing {
    bool user, role;
};
/* NOT_FOUND with *missing filled in; CONFLICT when there is such a binding, VALIDATION_FAILED when
 * the user has as many as fit. */
int bindings_create(struct auth *auth, const char *username, const char *role,
                    const char *environment, char id[AUTH_ID_SIZE],
                    struct binding_missing *missing) CESID_WARN_UNUSED;
/* CONFLICT: it makes the last administrator. */
int bindings_remove(struct auth *auth, const char *id) CESID_WARN_UNUSED;

#endif
