/*
 * /tokens: the caller's own API tokens. Who calls with one may look, but neither create nor remove.
 * CivetWeb's workers; no locks of its own.
 */
#include <stdlib.h>

#include "cesid/activity.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/fields.h"
#include "cesid/memory.h"
#include "cesid/paging.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/secret.h"
#include "cesid/strbuf.h"
#include "cesid/tokens.h"

static void put_token(struct json *json, const struct token *token)
{
    json_put_string(json, "id", token->id);
    json_put_string(json, "name", token->name);
    json_key(json, "scope");
    permissions_json(json, token->scope);
    json_put_time(json, "created_at", token->created_at);
    json_put_time(json, "expires_at", token->expires_at);
    json_put_time(json, "last_used_at", token->last_used_at);
}

static char *key_of(const struct token *token)
{
    struct strbuf key;
    strbuf_init(&key, 512);
    strbuf_printf(&key, "%s\x01%s", token->name, token->id);
    return strbuf_steal(&key);
}

static int list(struct request *request, struct response *response)
{
    struct token *tokens = NULL;
    struct page page;
    size_t count = 0;
    int error = tokens_list(request->context->auth, request->session->user.id, &tokens, &count);
    if (error != 0)
        return error;
    page_begin(&page, request, response);
    for (size_t i = 0; i < count; i++) {
        char *key = key_of(&tokens[i]);
        if (page_admits(&page, key)) {
            json_object(page.json);
            put_token(page.json, &tokens[i]);
            json_object_end(page.json);
        }
        free(key);
    }
    page_end(&page);
    tokens_free(&tokens, count);
    return 0;
}

/* 0: never. */
static int64_t expiry(const struct request *request)
{
    const char *text = request_text(request, "expires_at");
    int64_t at = 0;
    if (text != NULL)
        CHECK(activity_time_parse(text, &at));
    return at;
}

static void check_expiry(struct request *request)
{
    if (request_text(request, "expires_at") != NULL && expiry(request) <= clock_wall())
        problem_field(&request->problem, "expires_at", "out_of_range", "must be in the future");
}

static int create(struct request *request, struct response *response)
{
    struct token token = {.name = (char *) request_text(request, "name"),
                          .expires_at = expiry(request),
                          .scope = PERMISSIONS_ALL};
    char secret[TOKENS_SIZE];
    if (request_has(request, "scope")) {
        size_t count;
        char *const *items = request_items(request, "scope", &count);
        token.scope = permissions_parse(items, count);
    }
    int error = tokens_create(request->context->auth, request->session->user.id, &token, secret);
    if (error == CESID_E_CONFLICT)
        problem_detail(&request->problem, "You have %d tokens: remove one first", TOKENS_MAX);
    if (error == 0) {
        struct json *json = response_json(response);
        json_object(json);
        put_token(json, &token);
        json_put_string(json, "token", secret);
        json_object_end(json);
        response->status = 201;
        response_location(response, "/api/v1/tokens/%s", token.id);
    }
    secret_wipe(secret, sizeof(secret));
    return error;
}

static int remove_token(struct request *request, struct response *response)
{
    int error = tokens_remove(request->context->auth, request->session->user.id,
                              request_text(request, "id"));
    if (error == 0)
        response_no_content(response);
    return error;
}

static const struct field list_fields[] = {PAGE_FIELDS};
static const struct field create_fields[] = {
    {.name = "name",
     .place = FIELD_BODY,
     .required = true,
     .minimum = 1,
     .maximum = 64,
     .about = "what it is for"},
    {.name = "expires_at",
     .place = FIELD_BODY,
     .format = FORMAT_TIME,
     .maximum = 40,
     .about = "when it ends, a time (RFC 3339) or a date; without, it holds until it is removed"},
    {.name = "scope",
     .place = FIELD_BODY,
     .type = FIELD_STRINGS,
     .choices = PERMISSION_WORDS,
     .about = "permissions that it may use of its owner's; without, all"},
};
static const struct field token_fields[] = {
    {.name = "id",
     .place = FIELD_PATH,
     .format = FORMAT_TOKEN,
     .maximum = 64,
     .about = "id of the token"},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/tokens",
     .scope = ROUTE_GLOBAL,
     .handler = list,
     ROUTE_FIELDS(list_fields),
     .about = "The caller's API tokens, by name",
     .answers = "200:[Token]"},
    {.method = "POST",
     .path = "/api/v1/tokens",
     .scope = ROUTE_GLOBAL,
     .handler = create,
     .check = check_expiry,
     ROUTE_FIELDS(create_fields),
     .about = "Create an API token; its secret is shown this once",
     .answers = "201:NewToken",
     .problems = "403 409",
     .signed_in = true,
     .action = "token.create",
     .resource = "token"},
    {.method = "DELETE",
     .path = "/api/v1/tokens/{id}",
     .scope = ROUTE_GLOBAL,
     .handler = remove_token,
     ROUTE_FIELDS(token_fields),
     .about = "Revoke an API token at once",
     .answers = "204",
     .problems = "403",
     .signed_in = true,
     .action = "token.delete",
     .resource = "token"},
};
const struct route_table routes_tokens = {routes, ARRAY_LENGTH(routes)};
