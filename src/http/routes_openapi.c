/*
 * /openapi.json: the API, described. CivetWeb's workers; no locks of its own.
 */
#include "cesid/openapi.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/serving.h"

static int show(struct request *request, struct response *response)
{
    openapi_json(response_json(response), routes_all, routes_all_count, request->serving->base_path,
                 request->context->version);
    return 0;
}

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/openapi.json",
     .scope = ROUTE_PUBLIC,
     .handler = show,
     .about = "This description of the API",
     .answers = "200:Document"},
};
const struct route_table routes_openapi = {routes, ARRAY_LENGTH(routes)};
