/*
 * /operations: what is and was under way. CivetWeb's workers; no locks of its own.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/fields.h"
#include "cesid/paging.h"
#include "cesid/routes.h"

/* Newest first, so the cursor names the last one shown instead of ordering by key. */
static int list(struct request *request, struct response *response)
{
    struct operation **items = NULL;
    char *after = page_cursor(request);
    int64_t limit = request_integer(request, "limit"), shown = 0, total = 0;
    const char *last = NULL;
    bool more = false;
    size_t count = operations_list(request->context->operations, &items);
    bool passed = after == NULL;
    struct json *json = response_json(response);
    json_object(json);
    json_key(json, "items");
    json_array(json);
    for (size_t i = 0; i < count; i++) {
        if (!operation_visible(items[i], request->session->access, PROCESS_READ))
            continue;
        total++;
        if (!passed) {
            passed = strcmp(operation_id(items[i]), after) == 0;
        } else if (shown < limit) {
            shown++;
            last = operation_id(items[i]);
            operation_json(json, items[i]);
        } else {
            more = true;
        }
    }
    json_array_end(json);
    json_put_integer(json, "total", total);
    cursor_put(json, more ? last : NULL);
    json_object_end(json);
    for (size_t i = 0; i < count; i++)
        operation_unref(&items[i]);
    free(items);
    free(after);
    return 0;
}

static int find(struct request *request, struct operation **operation)
{
    *operation = operations_find(request->context->operations, request_text(request, "operation"));
    if (*operation != NULL &&
        !operation_visible(*operation, request->session->access, PROCESS_READ))
        operation_unref(operation);
    return *operation == NULL ? CESID_E_NOT_FOUND : 0;
}

static int one(struct request *request, struct response *response)
{
    struct operation *operation;
    int error = find(request, &operation);
    if (error != 0)
        return error;
    operation_json(response_json(response), operation);
    operation_unref(&operation);
    return 0;
}

static int cancel(struct request *request, struct response *response)
{
    struct operation *operation;
    int error = find(request, &operation);
    if (error != 0)
        return error;
    if (!operation_visible(operation, request->session->access, PROCESS_CONTROL)) {
        error = CESID_E_FORBIDDEN;
    } else {
        operation_cancel(operation);
        operation_json(response_json(response), operation);
    }
    operation_unref(&operation);
    return error;
}

static const struct field list_fields[] = {PAGE_FIELDS};
static const struct field one_fields[] = {
    {.name = "operation",
     .place = FIELD_PATH,
     .format = FORMAT_TOKEN,
     .maximum = 64,
     .about = "id of the operation"},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/operations",
     .scope = ROUTE_FLEET,
     .permission = PROCESS_READ,
     .handler = list,
     ROUTE_FIELDS(list_fields),
     .about = "Operations, newest first",
     .answers = "200:[Operation]"},
    {.method = "GET",
     .path = "/api/v1/operations/{operation}",
     .scope = ROUTE_FLEET,
     .permission = PROCESS_READ,
     .handler = one,
     ROUTE_FIELDS(one_fields),
     .about = "One operation with its results",
     .answers = "200:Operation"},
    {.method = "DELETE",
     .path = "/api/v1/operations/{operation}",
     .scope = ROUTE_FLEET,
     .permission = PROCESS_CONTROL,
     .handler = cancel,
     ROUTE_FIELDS(one_fields),
     .about = "Cancel what has not ended yet, wherever it acts",
     .answers = "200:Operation",
     .action = "operation.cancel",
     .resource = "operation"},
};
const struct route_table routes_operations = {routes, ARRAY_LENGTH(routes)};
