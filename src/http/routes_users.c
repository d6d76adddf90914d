/*
 * /users: accounts, for those with user:admin everywhere. CivetWeb's workers; no locks of its own.
 */
#include <string.h>

#include "cesid/error.h"
#include "cesid/paging.h"
#include "cesid/password.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/users.h"

static int list(struct request *request, struct response *response)
{
    struct user *users = NULL;
    struct page page;
    size_t count = 0;
    int error = users_list(request->context->auth, &users, &count);
    if (error == 0) {
        page_begin(&page, request, response);
        for (size_t i = 0; i < count; i++)
            if (page_admits(&page, users[i].username))
                user_json(page.json, &users[i]);
        page_end(&page);
    }
    users_free(&users, count);
    return error;
}

static int one(struct request *request, struct response *response)
{
    struct user user;
    int error = users_find(request->context->auth, request_text(request, "username"), &user);
    if (error != 0)
        return error;
    user_json(response_json(response), &user);
    user_destroy(&user);
    return 0;
}

/* Something on both sides of its @. */
static bool is_address(const char *email)
{
    const char *at = strrchr(email, '@');
    return at != NULL && at > email && at[1] != '\0' && strpbrk(email, " \t\n") == NULL;
}

static void check_settings(struct request *request)
{
    const char *username = request_text(request, "username"), *why;
    const char *password = request_text(request, "password");
    const char *email = request_text(request, "email");
    if (email != NULL && email[0] != '\0' && !is_address(email))
        problem_field(&request->problem, "email", "bad_format", "is no email address");
    if (password != NULL && password_check(username == NULL ? "" : username, password, &why) != 0)
        problem_field(&request->problem, "password", "bad_format", "%s", why);
}

static void take_fields(const struct request *request, struct user_settings *settings, bool *active)
{
    *active = request_boolean(request, "active");
    *settings = (struct user_settings){.full_name = request_text(request, "full_name"),
                                       .email = request_text(request, "email"),
                                       .password = request_text(request, "password"),
                                       .active = request_has(request, "active") ? active : NULL};
}

static int explain(struct request *request, int error, const char *why)
{
    if (error == CESID_E_CONFLICT && why != NULL)
        problem_detail(&request->problem, "%s", why);
    return error;
}

static int create(struct request *request, struct response *response)
{
    struct user_settings settings;
    struct user user = {0};
    const char *why = NULL;
    bool active;
    take_fields(request, &settings, &active);
    int error = users_create(request->context->auth, request_text(request, "username"), &settings,
                             &user, &why);
    if (error != 0)
        return explain(request, error, why);
    user_json(response_json(response), &user);
    response->status = 201;
    response_location(response, "/api/v1/users/%s", user.username);
    user_destroy(&user);
    return 0;
}

static int change(struct request *request, struct response *response)
{
    struct user_settings settings;
    struct user user = {0};
    const char *why = NULL;
    bool active;
    take_fields(request, &settings, &active);
    int error = users_change(request->context->auth, request_text(request, "username"), &settings,
                             request->session->id, &user, &why);
    if (error != 0)
        return explain(request, error, why);
    user_json(response_json(response), &user);
    user_destroy(&user);
    return 0;
}

static int remove_user(struct request *request, struct response *response)
{
    const char *why = NULL;
    int error = users_remove(request->context->auth, request_text(request, "username"), &why);
    if (error == 0)
        response_no_content(response);
    return explain(request, error, why);
}

#define FIELD_USERNAME(where, is_required)                                                         \
    {                                                                                              \
        .name = "username", .place = (where), .format = FORMAT_NAME, .required = (is_required),    \
        .maximum = 64, .about = "name of the user"                                                 \
    }
#define USER_SETTINGS(is_new)                                                                      \
    {.name = "password",                                                                           \
     .place = FIELD_BODY,                                                                          \
     .format = FORMAT_SECRET,                                                                      \
     .required = (is_new),                                                                         \
     .minimum = PASSWORD_LENGTH_MIN,                                                               \
     .maximum = PASSWORD_LENGTH_MAX,                                                               \
     .about = "to sign in with; a new one ends the user's sessions"},                              \
        {.name = "full_name", .place = FIELD_BODY, .maximum = 255, .about = "for people"},         \
        {.name = "email", .place = FIELD_BODY, .maximum = 255, .about = "an address, or nothing"}, \
    {                                                                                              \
        .name = "active", .place = FIELD_BODY, .type = FIELD_BOOLEAN,                              \
        .about = "whether the user may sign in; default true"                                      \
    }

static const struct field list_fields[] = {PAGE_FIELDS};
static const struct field one_fields[] = {FIELD_USERNAME(FIELD_PATH, false)};
static const struct field create_fields[] = {FIELD_USERNAME(FIELD_BODY, true), USER_SETTINGS(true)};
static const struct field change_fields[] = {FIELD_USERNAME(FIELD_PATH, false),
                                             USER_SETTINGS(false)};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/users",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = list,
     ROUTE_FIELDS(list_fields),
     .about = "Users by name",
     .answers = "200:[User]"},
    {.method = "POST",
     .path = "/api/v1/users",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = create,
     .check = check_settings,
     ROUTE_FIELDS(create_fields),
     .about = "Create a user, who may do nothing until bound to a role",
     .answers = "201:User",
     .problems = "409 429",
     .action = "user.create",
     .resource = "user"},
    {.method = "GET",
     .path = "/api/v1/users/{username}",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = one,
     ROUTE_FIELDS(one_fields),
     .about = "One user",
     .answers = "200:User"},
    {.method = "PATCH",
     .path = "/api/v1/users/{username}",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = change,
     .check = check_settings,
     ROUTE_FIELDS(change_fields),
     .about = "Change a user; disabling ends the user's sessions",
     .answers = "200:User",
     .problems = "409 429",
     .action = "user.update",
     .resource = "user"},
    {.method = "DELETE",
     .path = "/api/v1/users/{username}",
     .scope = ROUTE_GLOBAL,
     .permission = USER_ADMIN,
     .handler = remove_user,
     ROUTE_FIELDS(one_fields),
     .about = "Remove a user with sessions, tokens and bindings",
     .answers = "204",
     .problems = "409",
     .action = "user.delete",
     .resource = "user"},
};
const struct route_table routes_users = {routes, ARRAY_LENGTH(routes)};
