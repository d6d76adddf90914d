/*
 * Nodes that come, change and go over the API: POST /nodes, PATCH and DELETE /nodes/{node}.
 * Passwords come in by value and never go out. CivetWeb's workers; no locks of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/fields.h"
#include "cesid/memory.h"
#include "cesid/request.h"
#include "cesid/response.h"
#include "cesid/routes.h"

static int compare_labels(const void *a, const void *b)
{
    const struct config_label *left = a, *right = b;
    return strcmp(left->key, right->key);
}

/* From "key=value" items, whose keys are names and so hold no '='. */
static void set_labels(struct config_node *config, char *const *items, size_t count)
{
    for (size_t i = 0; i < config->labels_count; i++) {
        free(config->labels[i].key);
        free(config->labels[i].value);
    }
    free(config->labels);
    config->labels = mem_array(count + 1, sizeof(*config->labels));
    config->labels_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(items[i], '=');
        config->labels[i].key = mem_bytes(items[i], (size_t) (equals - items[i]));
        config->labels[i].value = mem_string(equals + 1);
    }
    if (count > 1)
        qsort(config->labels, count, sizeof(*config->labels), compare_labels);
}

static void set_text(char **text, const char *value)
{
    free(*text);
    *text = mem_string(value);
}

static void set_password(struct config_node *config, const char *password)
{
    secret_unref(&config->password);
    if (password[0] != '\0')
        config->password = secret_create(password, strlen(password));
}

/* Puts what the request holds into the settings. */
static void take_fields(const struct request *request, struct config_node *config)
{
    if (request_has(request, "environment"))
        set_text(&config->environment, request_text(request, "environment"));
    if (request_has(request, "url"))
        set_text(&config->url, request_text(request, "url"));
    if (request_has(request, "username"))
        set_text(&config->username, request_text(request, "username"));
    if (request_has(request, "password"))
        set_password(config, request_text(request, "password"));
    if (request_has(request, "enabled"))
        config->enabled = request_boolean(request, "enabled");
    if (request_has(request, "labels")) {
        size_t count;
        char *const *items = request_items(request, "labels", &count);
        set_labels(config, items, count);
    }
}

/* A wrong address may hold a password: it must be refused before the action is recorded. */
static void check_settings(struct request *request)
{
    const char *url = request_text(request, "url"), *why = "";
    const char *username = request_text(request, "username");
    if (url != NULL && strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
        problem_field(&request->problem, "url", "bad_format",
                      "must begin with http:// or https://; a unix socket belongs into the "
                      "configuration file");
    else if (url != NULL && config_check_url(url, &why) != 0)
        problem_field(&request->problem, "url", "bad_format", "%s", why);
    if (username != NULL && strchr(username, ':') != NULL)
        problem_field(&request->problem, "username", "bad_format", "may not hold a colon");
}

static int check_username(struct request *request, const struct config_node *config)
{
    if (config->password == NULL || config->username[0] != '\0')
        return 0;
    problem_field(&request->problem, "username", "required", "is missing beside a password");
    return CESID_E_VALIDATION_FAILED;
}

static int check_environment(struct request *request, const char *environment)
{
    if (request_allows(request, NODE_WRITE, environment))
        return 0;
    problem_detail(&request->problem, "You may not keep nodes in the environment %s", environment);
    return CESID_E_FORBIDDEN;
}

static int explain(struct request *request, int error)
{
    if (error == CESID_E_READ_ONLY_NODE)
        problem_detail(&request->problem,
                       "The node comes from the configuration file and is changed there");
    return error;
}

static int create(struct request *request, struct response *response)
{
    struct node *node = NULL;
    struct config_node config = {.name = mem_string(request_text(request, "name")),
                                 .username = mem_string(""),
                                 .ca_file = mem_string(""),
                                 .verify = true,
                                 .enabled = true};
    take_fields(request, &config);
    int error = check_username(request, &config);
    if (error == 0)
        error = check_environment(request, config.environment);
    if (error == 0)
        error = inventory_add(request->context->inventory, &config, &node);
    /* Whether somebody else's node has that name is no secret: it must differ. */
    if (error == CESID_E_CONFLICT)
        problem_detail(&request->problem, "There is a node of that name already");
    if (error == 0) {
        struct node_view *view = node_view(node);
        node_json(response_json(response), node, view);
        node_view_unref(&view);
        response->status = 201;
        response_location(response, "/api/v1/nodes/%s", config.name);
    }
    node_unref(&node);
    config_node_clear(&config);
    return error;
}

/* On the settings as they are now: they may have changed since the request was let in. */
static int edit(void *argument, struct config_node *config)
{
    struct request *request = argument;
    bool had_password = config->password != NULL;
    char *url = mem_string(config->url);
    int error = request_allows(request, NODE_WRITE, config->environment) ? 0 : CESID_E_FORBIDDEN;
    if (error == 0) {
        take_fields(request, config);
        error = check_environment(request, config->environment);
    }
    /* Or whoever may change the address could have the password sent to a place of theirs. */
    if (error == 0 && had_password && strcmp(url, config->url) != 0 &&
        !request_has(request, "password"))
        problem_field(&request->problem, "password", "required",
                      "must be given again with another url");
    free(url);
    if (error == 0)
        error = check_username(request, config);
    return request->problem.fields_total > 0 ? CESID_E_VALIDATION_FAILED : error;
}

static int change(struct request *request, struct response *response)
{
    int error =
        inventory_change(request->context->inventory, node_name(request->node), edit, request);
    if (error != 0)
        return explain(request, error);
    struct node_view *view = node_view(request->node);
    node_json(response_json(response), request->node, view);
    node_view_unref(&view);
    return 0;
}

static int may_remove(void *argument, const struct config_node *config)
{
    return request_allows(argument, NODE_WRITE, config->environment) ? 0 : CESID_E_FORBIDDEN;
}

static int remove_node(struct request *request, struct response *response)
{
    int error = inventory_remove(request->context->inventory, node_name(request->node), may_remove,
                                 request);
    if (error == 0)
        response_no_content(response);
    return explain(request, error);
}

#define NODE_SETTINGS(needed)                                                                      \
    {.name = "environment",                                                                        \
     .place = FIELD_BODY,                                                                          \
     .required = (needed),                                                                         \
     .format = FORMAT_NAME,                                                                        \
     .maximum = 64,                                                                                \
     .about = "the environment it belongs to"},                                                    \
        {.name = "url",                                                                            \
         .place = FIELD_BODY,                                                                      \
         .required = (needed),                                                                     \
         .minimum = 1,                                                                             \
         .maximum = 2048,                                                                          \
         .about = "http:// or https:// address of its RPC interface"},                             \
        {.name = "username",                                                                       \
         .place = FIELD_BODY,                                                                      \
         .maximum = 255,                                                                           \
         .about = "for HTTP authentication"},                                                      \
        {.name = "password",                                                                       \
         .place = FIELD_BODY,                                                                      \
         .format = FORMAT_SECRET,                                                                  \
         .maximum = 1024,                                                                          \
         .about = "shown nowhere; empty for none"},                                                \
        {.name = "labels",                                                                         \
         .place = FIELD_BODY,                                                                      \
         .type = FIELD_LABELS,                                                                     \
         .format = FORMAT_LABEL,                                                                   \
         .maximum = 512,                                                                           \
         .about = "an object of strings"},                                                         \
    {                                                                                              \
        .name = "enabled", .place = FIELD_BODY, .type = FIELD_BOOLEAN,                             \
        .about = "whether it is polled; default true"                                              \
    }

static const struct field create_fields[] = {{.name = "name",
                                              .place = FIELD_BODY,
                                              .required = true,
                                              .format = FORMAT_NAME,
                                              .maximum = 64,
                                              .about = "name of the node"},
                                             NODE_SETTINGS(true)};
static const struct field change_fields[] = {FIELD_NODE_PATH, NODE_SETTINGS(false)};
static const struct field node_fields[] = {FIELD_NODE_PATH};

static const struct route routes[] = {
    {.method = "POST",
     .path = "/api/v1/nodes",
     .scope = ROUTE_FLEET,
     .permission = NODE_WRITE,
     .handler = create,
     .check = check_settings,
     ROUTE_FIELDS(create_fields),
     .about = "Add a node, kept in the store",
     .answers = "201:Node",
     .problems = "409",
     .action = "node.create",
     .resource = "node"},
    {.method = "PATCH",
     .path = "/api/v1/nodes/{node}",
     .scope = ROUTE_NODE,
     .permission = NODE_WRITE,
     .handler = change,
     .check = check_settings,
     ROUTE_FIELDS(change_fields),
     .about = "Change a node of the store",
     .answers = "200:Node",
     .problems = "409",
     .action = "node.update",
     .resource = "node"},
    {.method = "DELETE",
     .path = "/api/v1/nodes/{node}",
     .scope = ROUTE_NODE,
     .permission = NODE_WRITE,
     .handler = remove_node,
     ROUTE_FIELDS(node_fields),
     .about = "Remove a node of the store",
     .answers = "204",
     .problems = "409",
     .action = "node.delete",
     .resource = "node"},
};
const struct route_table routes_inventory = {routes, ARRAY_LENGTH(routes)};
