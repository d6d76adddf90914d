/*
 * /roles and /bindings, for those with user:admin everywhere. CivetWeb's workers; no locks of its
 * own.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/error.h"
#include "cesid/fields.h"
#include "cesid/memory.h"
#include "cesid/paging.h"
#include "cesid/response.h"
#include "cesid/roles.h"
#include "cesid/routes.h"
#include "cesid/strbuf.h"

static int explain(struct request *request, int error, const char *why)
{
    if (error == CESID_E_CONFLICT && why != NULL)
        problem_detail(&request->problem, "%s", why);
    return error;
}

/* ---- roles ---- */

static void role_json(struct json *json, const char *name, uint32_t permissions, bool builtin)
{
    json_object(json);
    json_put_string(json, "name", name);
    json_key(json, "permissions");
    permissions_json(json, permissions);
    json_put_boolean(json, "builtin", builtin);
    json_object_end(json);
}

static uint32_t sent_permissions(const struct request *request)
{
    size_t count;
    char *const *items = request_items(request, "permissions", &count);
    return permissions_parse(items, count);
}

static int list_roles(struct request *request, struct response *response)
{
    struct role *roles = NULL;
    struct page page;
    size_t count = 0;
    int error = roles_list(request->context->auth, &roles, &count);
    if (error == 0) {
        page_begin(&page, request, response);
        for (size_t i = 0; i < count; i++)
            if (page_admits(&page, roles[i].name))
                role_json(page.json, roles[i].name, roles[i].permissions, roles[i].builtin);
        page_end(&page);
    }
    roles_free(&roles, count);
    return error;
}

static int one_role(struct request *request, struct response *response)
{
    struct role role;
    int error = roles_find(request->context->auth, request_text(request, "name"), &role);
    if (error == 0)
        role_json(response_json(response), role.name, role.permissions, role.builtin);
    free(role.name);
    return error;
}

static int create_role(struct request *request, struct response *response)
{
    const char *name = request_text(request, "name"), *why = NULL;
    uint32_t permissions = sent_permissions(request);
    int error = roles_create(request->context->auth, name, permissions, &why);
    if (error != 0)
        return explain(request, error, why);
    role_json(response_json(response), name, permissions, false);
    response->status = 201;
    response_location(response, "/api/v1/roles/%s", name);
    return 0;
}

static void check_replacement(struct request *request)
{
    if (request_boolean(request, "builtin"))
        problem_field(&request->problem, "builtin", "not_allowed",
                      "must be false: the roles that come with cesid do not change");
}

static int replace_role(struct request *request, struct response *response)
{
    const char *name = request_text(request, "name"), *why = NULL;
    uint32_t permissions = sent_permissions(request);
    int error = roles_replace(request->context->auth, name, permissions, &why);
    if (error != 0)
        return explain(request, error, why);
    role_json(response_json(response), name, permissions, false);
    return 0;
}

static int remove_role(struct request *request, struct response *response)
{
    const char *why = NULL;
    int error = roles_remove(request->context->auth, request_text(request, "name"), &why);
    if (error == 0)
        response_no_content(response);
    return explain(request, error, why);
}

/* ---- bindings ---- */

static void binding_json(struct json *json, const struct binding_record *binding)
{
    json_object(json);
    json_put_string(json, "id", binding->id);
    json_put_string(json, "user", binding->user);
    json_put_string(json, "role", binding->role);
    json_put_string(json, "environment", binding->environment);
    json_object_end(json);
}

/* By user, role and environment, none of which holds the space between them; the id is what makes
 * two differ. */
static char *key_of(const struct binding_record *binding)
{
    struct strbuf key;
    strbuf_init(&key, 1024);
    strbuf_printf(&key, "%s %s %s %s", binding->user, binding->role, binding->environment,
                  binding->id);
    return strbuf_steal(&key);
}

struct keyed {
    char *key;
    const struct binding_record *binding;
};

static int by_key(const void *one, const void *other)
{
    return strcmp(((const struct keyed *) one)->key, ((const struct keyed *) other)->key);
}

static void show_bindings(struct page *page, const struct binding_record *bindings, size_t count)
{
    struct keyed *keyed = mem_array(count + 1, sizeof(*keyed));
    for (size_t i = 0; i < count; i++)
        keyed[i] = (struct keyed){.key = key_of(&bindings[i]), .binding = &bindings[i]};
    qsort(keyed, count, sizeof(*keyed), by_key);
    for (size_t i = 0; i < count; i++) {
        if (page_admits(page, keyed[i].key))
            binding_json(page->json, keyed[i].binding);
    }
    /* The page keeps the last key until it has ended. */
    page_end(page);
    for (size_t i = 0; i < count; i++)
        free(keyed[i].key);
    free(keyed);
}

static int list_bindings(struct request *request, struct response *response)
{
    struct binding_record *bindings = NULL;
    struct page page;
    size_t count = 0;
    int error = bindings_list(request->context->auth, &bindings, &count);
    if (error == 0) {
        page_begin(&page, request, response);
        show_bindings(&page, bindings, count);
    }
    bindings_free(&bindings, count);
    return error;
}

static int create_binding(struct request *request, struct response *response)
{
    struct binding_record binding = {.user = (char *) request_text(request, "user"),
                                     .role = (char *) request_text(request, "role"),
                                     .environment = (char *) request_text(request, "environment")};
    struct binding_missing missing;
    int error = bindings_create(request->context->auth, binding.user, binding.role,
                                binding.environment, binding.id, &missing);
    if (error == CESID_E_NOT_FOUND) {
        if (missing.user)
            problem_field(&request->problem, "user", "invalid", "there is no user of that name");
        if (missing.role)
            problem_field(&request->problem, "role", "invalid", "there is no role of that name");
        return CESID_E_VALIDATION_FAILED;
    }
    if (error == CESID_E_VALIDATION_FAILED)
        problem_field(&request->problem, "user", "invalid", "has as many bindings as one may have");
    if (error == CESID_E_CONFLICT)
        problem_detail(&request->problem, "There is such a binding already");
    if (error != 0)
        return error;
    binding_json(response_json(response), &binding);
    response->status = 201;
    response_location(response, "/api/v1/bindings/%s", binding.id);
    return 0;
}

static int remove_binding(struct request *request, struct response *response)
{
    int error = bindings_remove(request->context->auth, request_text(request, "id"));
    if (error == 0)
        response_no_content(response);
    return explain(request, error,
                   "It makes the last active administrator: make another one first");
}

#define FIELD_ROLE_NAME(where, is_required)                                                        \
    {                                                                                              \
        .name = "name", .place = (where), .format = FORMAT_NAME, .required = (is_required),        \
        .maximum = 64, .about = "name of the role"                                                 \
    }
#define FIELD_PERMISSIONS                                                                          \
    {                                                                                              \
        .name = "permissions", .place = FIELD_BODY, .type = FIELD_STRINGS, .required = true,       \
        .choices = PERMISSION_WORDS, .about = "what the role permits"                              \
    }

static const struct field list_fields[] = {PAGE_FIELDS};
static const struct field role_fields[] = {FIELD_ROLE_NAME(FIELD_PATH, false)};
static const struct field create_fields[] = {FIELD_ROLE_NAME(FIELD_BODY, true), FIELD_PERMISSIONS};
/* What a GET shows may be sent back whole. */
static const struct field replace_fields[] = {
    FIELD_ROLE_NAME(FIELD_PATH, false),
    FIELD_ROLE_NAME(FIELD_BODY, false),
    FIELD_PERMISSIONS,
    {.name = "builtin",
     .place = FIELD_BODY,
     .type = FIELD_BOOLEAN,
     .default_value = "false",
     .about = "nothing but false"},
};
static const struct field bind_fields[] = {
    {.name = "user",
     .place = FIELD_BODY,
     .format = FORMAT_NAME,
     .required = true,
     .maximum = 64,
     .about = "name of the user"},
    {.name = "role",
     .place = FIELD_BODY,
     .format = FORMAT_NAME,
     .required = true,
     .maximum = 64,
     .about = "name of the role"},
    {.name = "environment",
     .place = FIELD_BODY,
     .format = FORMAT_GLOB,
     .required = true,
     .maximum = 64,
     .about = "where it holds: the name of an environment, a glob of them, or * for all"},
};
static const struct field binding_fields[] = {
    {.name = "id",
     .place = FIELD_PATH,
     .format = FORMAT_TOKEN,
     .maximum = 64,
     .about = "id of the binding"},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/roles",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = list_roles,
     ROUTE_FIELDS(list_fields),
     .about = "Roles by name",
     .answers = "200:[Role]"},
    {.method = "POST",
     .path = "/api/v1/roles",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = create_role,
     ROUTE_FIELDS(create_fields),
     .about = "Create a role",
     .answers = "201:Role",
     .problems = "409",
     .action = "role.create",
     .resource = "role"},
    {.method = "GET",
     .path = "/api/v1/roles/{name}",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = one_role,
     ROUTE_FIELDS(role_fields),
     .about = "One role",
     .answers = "200:Role"},
    {.method = "PUT",
     .path = "/api/v1/roles/{name}",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = replace_role,
     .check = check_replacement,
     ROUTE_FIELDS(replace_fields),
     .about = "Give a role other permissions; who has it has them at once",
     .answers = "200:Role",
     .problems = "409",
     .action = "role.update",
     .resource = "role"},
    {.method = "DELETE",
     .path = "/api/v1/roles/{name}",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = remove_role,
     ROUTE_FIELDS(role_fields),
     .about = "Remove a role that nobody is bound to",
     .answers = "204",
     .problems = "409",
     .action = "role.delete",
     .resource = "role"},
    {.method = "GET",
     .path = "/api/v1/bindings",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = list_bindings,
     ROUTE_FIELDS(list_fields),
     .about = "Bindings by user, role and environment",
     .answers = "200:[Binding]"},
    {.method = "POST",
     .path = "/api/v1/bindings",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = create_binding,
     ROUTE_FIELDS(bind_fields),
     .about = "Give a user a role in some environments",
     .answers = "201:Binding",
     .problems = "409",
     .action = "binding.create",
     .resource = "binding"},
    {.method = "DELETE",
     .path = "/api/v1/bindings/{id}",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = remove_binding,
     ROUTE_FIELDS(binding_fields),
     .about = "Take a role away",
     .answers = "204",
     .problems = "409",
     .action = "binding.delete",
     .resource = "binding"},
};
const struct route_table routes_roles = {routes, ARRAY_LENGTH(routes)};
