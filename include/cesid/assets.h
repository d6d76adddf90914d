/*
 * The dashboard's files, carried in the binary. Generated at build time by
 * src/dashboard/build.mjs from the page's sources; everything is immutable, any thread may read.
 *
 * Names carry a hash of their content ("app-1a2b3c4d.js"), so what has a hash may be cached for
 * ever; "index.html" has none and is to be revalidated. In index.html the marker {{base_path}}
 * stands once, for the base path with a slash at its end ("/" or "/cesid/"), escaped for an HTML
 * attribute; all links in the page are relative to it. Because of the marker index.html has no
 * gzip form.
 */
#ifndef CESID_ASSETS_H
#define CESID_ASSETS_H

#include <stddef.h>

struct asset {
    const char *path; /* below the base path, no leading slash */
    const char *type; /* for Content-Type */
    const unsigned char *data;
    size_t length;
    const unsigned char *gzip; /* NULL: not smaller, or not possible */
    size_t gzip_length;
    const char *etag; /* with its quotes; of data as it is here */
};

extern const struct asset assets[]; /* sorted by path */
extern const size_t assets_count;
/* First segments of the page's own paths, which all get index.html; ends with NULL. */
extern const char *const asset_pages[];

#endif
