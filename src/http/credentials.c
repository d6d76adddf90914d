/*
 * Credentials, origins and addresses. See credentials.h. Workers; no locks of its own.
 */
#include "cesid/credentials.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/metrics.h"
#include "cesid/sockets.h"
#include "cesid/text.h"

#define LIST_MAX ((size_t) 32 << 10) /* more than all headers together may have */

static bool copy_token(struct credentials_found *found, const char *text, size_t length)
{
    if (length == 0 || length > TOKEN_MAX)
        return false;
    memcpy(found->memory, text, length);
    found->memory[length] = '\0';
    return true;
}

void credentials_find(const struct request *request, struct credentials_found *found)
{
    found->credentials = (struct credentials){0};
    found->by_cookie = false;

    const char *authorization = request_header(request, "Authorization");
    if (authorization != NULL && strncasecmp(authorization, "Bearer ", 7) == 0) {
        const char *token = authorization + 7 + strspn(authorization + 7, " ");
        size_t length = strlen(token);
        while (length > 0 && strchr(" \t", token[length - 1]) != NULL)
            length--;
        /* A bearer that cannot be one is still what was sent: the cookie does not stand in. */
        found->credentials.bearer = copy_token(found, token, length) ? found->memory : "";
        return;
    }
    const char *cookies = request_header(request, "Cookie");
    for (const char *at = cookies; at != NULL && *at != '\0';) {
        at += strspn(at, "; \t");
        size_t length = strcspn(at, ";");
        size_t name = strlen(COOKIE_NAME);
        if (length > name && strncmp(at, COOKIE_NAME "=", name + 1) == 0) {
            if (copy_token(found, at + name + 1, length - name - 1)) {
                found->credentials.cookie = found->memory;
                found->by_cookie = true;
            }
            return;
        }
        at += length;
    }
}

/* False: it is no address. One of IPv4 that is written as IPv6 becomes what it is. */
static bool read_address(char *text, size_t size)
{
    struct in6_addr parsed;
    if (inet_pton(AF_INET, text, &parsed) == 1)
        return true;
    if (inet_pton(AF_INET6, text, &parsed) != 1)
        return false;
    if (IN6_IS_ADDR_V4MAPPED(&parsed))
        (void) inet_ntop(AF_INET, &parsed.s6_addr[12], text, (socklen_t) size);
    return true;
}

/* Lines of one name are one list. Caller frees. */
static char *whole_list(const struct request *request, const char *name)
{
    const struct mg_request_info *info = mg_get_request_info(request->connection);
    struct strbuf list;
    strbuf_init(&list, LIST_MAX);
    for (int i = 0; i < info->num_headers; i++)
        if (strcasecmp(info->http_headers[i].name, name) == 0)
            strbuf_printf(&list, "%s%s", list.length > 0 ? "," : "", info->http_headers[i].value);
    return strbuf_steal(&list);
}

/* Each proxy appends whom it saw; the last that is no proxy of ours is the client. */
static void find_client(struct request *request, const struct config_strings *trusted,
                        const char *list)
{
    const char *end = list + strlen(list);
    while (end > list) {
        const char *start = end;
        while (start > list && start[-1] != ',')
            start--;
        const char *next = start > list ? start - 1 : list;
        while (start < end && (*start == ' ' || *start == '\t'))
            start++;
        while (end > start && (end[-1] == ' ' || end[-1] == '\t'))
            end--;
        char one[sizeof(request->address)];
        if ((size_t) (end - start) >= sizeof(one))
            return;
        memcpy(one, start, (size_t) (end - start));
        one[end - start] = '\0';
        if (!read_address(one, sizeof(one)))
            return;
        memcpy(request->address, one, sizeof(one));
        if (!sockets_address_in(trusted, one))
            return;
        end = next;
    }
}

void credentials_place(struct request *request, const char *peer_address)
{
    const struct config_strings *trusted = &request->config->server.trusted_proxies;
    const char *public_url = request->config->server.public_url;
    (void) snprintf(request->address, sizeof(request->address), "%s", peer_address);
    request->secure = strncasecmp(public_url, "https://", 8) == 0;
    if (!sockets_address_in(trusted, peer_address))
        return;

    /* Of several the safe one: a cookie too Secure harms nobody but who forged it. */
    char *protocols = whole_list(request, "X-Forwarded-Proto");
    if (protocols[0] != '\0')
        request->secure = strcasestr(protocols, "https") != NULL;
    free(protocols);

    char *addresses = whole_list(request, "X-Forwarded-For");
    find_client(request, trusted, addresses);
    free(addresses);
}

/* scheme://host[:port], without what may follow. */
static size_t origin_length(const char *url)
{
    const char *host = strstr(url, "://");
    return host == NULL ? 0 : (size_t) (host - url) + 3 + strcspn(host + 3, "/?#");
}

static bool same_origin(const char *origin, const char *url)
{
    size_t length = origin_length(url);
    return length > 0 && strlen(origin) == length && strncasecmp(origin, url, length) == 0;
}

bool credentials_origin_allowed(const struct request *request)
{
    const struct config *config = request->config;
    const char *origin = request_header(request, "Origin");
    if (origin == NULL)
        return true;
    for (size_t i = 0; i < config->websocket.origins.count; i++)
        if (same_origin(origin, config->websocket.origins.items[i]))
            return true;
    if (config->server.public_url[0] != '\0')
        return same_origin(origin, config->server.public_url);
    const char *host = request_header(request, "Host");
    const char *authority = strstr(origin, "://");
    return host != NULL && authority != NULL && strcasecmp(authority + 3, host) == 0;
}

static int check_cookie(struct request *request)
{
    if (!request->safe || request->route->websocket || request->route->check_origin) {
        if (!credentials_origin_allowed(request))
            return CESID_E_ORIGIN_DENIED;
    }
    if (!request->safe) {
        const char *token = request_header(request, "X-CSRF-Token");
        const char *wanted = request->session->csrf_token;
        if (token == NULL || !text_equal_secret(token, strlen(token), wanted, strlen(wanted)))
            return CESID_E_CSRF;
    }
    return 0;
}

int credentials_check(struct request *request)
{
    struct credentials_found *found = mem_alloc(sizeof(*found));
    credentials_find(request, found);
    int error = auth_check(request->context->auth, &found->credentials, &request->session);
    if (error == 0 && found->by_cookie)
        error = check_cookie(request);
    metrics_count(METRIC_AUTH, error_code(error));
    explicit_bzero(found, sizeof(*found));
    free(found);
    return error;
}
