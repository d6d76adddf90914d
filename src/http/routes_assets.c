/*
 * The dashboard, out of the binary. CivetWeb's workers; no locks.
 *
 * Files with a hash in their name may be kept for ever. The page itself names them, and the base
 * path, so it is asked for each time (by its ETag). A path that begins as one of the page's own
 * does gets the page, which knows what to show there; there is nothing at any other.
 */
#include <string.h>
#include <strings.h>

#include "cesid/assets.h"
#include "cesid/response.h"
#include "cesid/routes.h"
#include "cesid/serving.h"

#define INDEX       "index.html"
#define PLACEHOLDER "{{base_path}}"

static const struct asset *find(const struct server_context *context, const char *path)
{
    for (size_t i = 0; i < context->assets_count; i++)
        if (strcmp(context->assets[i].path, path) == 0)
            return &context->assets[i];
    return NULL;
}

static bool is_page(const struct request *request)
{
    const char *first = request->segments.segments[request->base];
    for (const char *const *page = request->context->pages; *page != NULL; page++)
        if (strcmp(*page, first) == 0)
            return true;
    return false;
}

/* Whether a comma-separated header names it, or "*"; with a quality of 0 it does not. */
static bool lists(const char *header, const char *wanted)
{
    size_t length = strlen(wanted);
    for (const char *at = header; at != NULL && *at != '\0';) {
        at += strspn(at, ", \t");
        size_t item = strcspn(at, ",");
        size_t word = strcspn(at, ",; \t");
        if (((word == length && strncasecmp(at, wanted, length) == 0) ||
             (word == 1 && at[0] == '*')) &&
            memmem(at, item, "q=0", 3) == NULL)
            return true;
        at += item;
    }
    return false;
}

/* "app-1a2b3c4d.js" */
static bool has_hash(const struct asset *asset)
{
    const char *dash = strrchr(asset->path, '-');
    size_t digits = dash == NULL ? 0 : strspn(dash + 1, "0123456789abcdefABCDEF");
    return digits >= 8 && dash[1 + digits] == '.';
}

static bool fresh(const struct request *request, const char *etag)
{
    const char *header = request_header(request, "If-None-Match");
    if (header == NULL)
        return false;
    /* W/"…" is what a compressing proxy makes of it. */
    return strcmp(header, "*") == 0 || strstr(header, etag) != NULL;
}

/* The page, with where it lives written in. */
static void put_index(struct response *response, const struct asset *asset)
{
    const char *base = response->request->serving->base_path;
    const char *at = (const char *) asset->data, *end = at + asset->length, *found;
    size_t length = strlen(PLACEHOLDER);
    response->content_type = asset->type;
    while ((found = memmem(at, (size_t) (end - at), PLACEHOLDER, length)) != NULL) {
        strbuf_add(&response->body, at, (size_t) (found - at));
        for (const char *c = base; *c != '\0'; c++) {
            if (strchr("&\"'<>", *c) != NULL)
                strbuf_printf(&response->body, "&#%d;", *c);
            else
                strbuf_putc(&response->body, *c);
        }
        strbuf_putc(&response->body, '/');
        at = found + length;
    }
    strbuf_add(&response->body, at, (size_t) (end - at));
}

/* The page differs by where it lives, and so does its tag. */
static void put_etag(struct strbuf *etag, const struct asset *asset, const char *base_path)
{
    strbuf_add(etag, asset->etag, strlen(asset->etag) - 1);
    strbuf_printf(etag, "%s\"", base_path);
}

static int serve(struct request *request, struct response *response)
{
    const char *path = strcmp(request->path, "/") == 0 ? INDEX : request->path + 1;
    const struct asset *asset = find(request->context, path);
    if (asset == NULL && is_page(request))
        asset = find(request->context, INDEX);
    if (asset == NULL)
        return CESID_E_NOT_FOUND;

    bool index = strcmp(asset->path, INDEX) == 0;
    bool packed =
        !index && asset->gzip != NULL && lists(request_header(request, "Accept-Encoding"), "gzip");
    response->page = true;
    response->cacheable = true;
    response_header(response, "Cache-Control", "%s",
                    has_hash(asset) ? "public, max-age=31536000, immutable" : "no-cache");
    struct strbuf etag;
    strbuf_init(&etag, 4096);
    put_etag(&etag, asset, index ? request->serving->base_path : "");
    bool known = fresh(request, etag.data);
    response_header(response, "ETag", "%s", etag.data);
    strbuf_destroy(&etag);
    if (asset->gzip != NULL && !index)
        response_header(response, "Vary", "Accept-Encoding");
    if (known) {
        response->status = 304;
        return 0;
    }
    if (index) {
        put_index(response, asset);
    } else if (packed) {
        response_header(response, "Content-Encoding", "gzip");
        response_fixed(response, asset->type, asset->gzip, asset->gzip_length);
    } else {
        response_fixed(response, asset->type, asset->data, asset->length);
    }
    return 0;
}

static const struct route routes[] = {
    {.method = "GET",
     .path = "*",
     .scope = ROUTE_PUBLIC,
     .handler = serve,
     .about = "The dashboard",
     .any_query = true,
     .quiet = true},
};
const struct route_table routes_assets = {routes, ARRAY_LENGTH(routes)};
