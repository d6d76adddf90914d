/*
 * /metrics, and who may read it. CivetWeb's workers; no locks of its own.
 *
 * With a token, whoever sends it. Without one, only a client that talks to cesid directly over the
 * loopback address: what a proxy passes on comes from elsewhere, whatever address it arrives from.
 */
#include <civetweb.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/collector.h"
#include "cesid/credentials.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/secret.h"
#include "cesid/text.h"

static bool is_direct_loopback(const struct request *request)
{
    static const char *const marks[] = {"X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host",
                                        "X-Real-IP",       "Forwarded",         "Via"};
    const char *address = mg_get_request_info(request->connection)->remote_addr;

    for (size_t i = 0; i < ARRAY_LENGTH(marks); i++)
        if (request_header(request, marks[i]) != NULL)
            return false;
    return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

static bool knows_token(const struct request *request, const struct secret *wanted)
{
    struct credentials_found *found = mem_alloc(sizeof(*found));
    const char *sent;
    bool right;

    credentials_find(request, found);
    sent = found->credentials.bearer;
    right = sent != NULL &&
            text_equal_secret(sent, strlen(sent), secret_reveal(wanted), secret_length(wanted));
    explicit_bzero(found, sizeof(*found));
    free(found);
    return right;
}

static int check_reader(struct request *request)
{
    const struct config_metrics *config = &request->config->metrics;
    int error = CESID_OK;

    if (!config->enabled)
        return CESID_E_NOT_FOUND;
    if (config->token == NULL) {
        if (is_direct_loopback(request))
            return CESID_OK;
        problem_detail(&request->problem, "Without metrics.token only direct clients on the "
                                          "loopback address may read the metrics");
        return CESID_E_FORBIDDEN;
    }
    if (!knows_token(request, config->token))
        error = CESID_E_UNAUTHENTICATED;
    metrics_count(METRIC_AUTH, error_code(error));
    return error;
}

static int show(struct request *request, struct response *response)
{
    int error = check_reader(request);

    if (error != CESID_OK)
        return error;
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    collector_page(request, &response->body);
    return CESID_OK;
}

static const struct route routes[] = {
    {.method = "GET",
     .path = "/metrics",
     .scope = ROUTE_PUBLIC,
     .handler = show,
     .about = "Metrics for Prometheus",
     .answers = "200:text/plain",
     .problems = "401 403",
     .quiet = true},
};
const struct route_table routes_metrics = {routes, ARRAY_LENGTH(routes)};
