/*
 * Everything that routes work with, in one place. Main fills it in.
 */
#ifndef CESID_CONTEXT_H
#define CESID_CONTEXT_H

#include <stddef.h>

#include "cesid/auth.h"
#include "cesid/bus.h"
#include "cesid/config.h"
#include "cesid/health.h"
#include "cesid/hub.h"
#include "cesid/inventory.h"
#include "cesid/journal.h"
#include "cesid/logstream.h"
#include "cesid/operation.h"
#include "cesid/refresh.h"
#include "cesid/registry.h"
#include "cesid/reload.h"
#include "cesid/rpc.h"
#include "cesid/store.h"

struct asset; /* assets.h */

/* Borrowed, alive until server_stop has returned. */
struct server_context {
    struct config_box *config;
    struct store *store;
    struct auth *auth;
    struct bus *bus;
    struct rpc_engine *engine;
    struct registry *registry;
    struct inventory *inventory;
    struct refresh *refresh;
    struct operations *operations;
    struct hub *hub;
    struct logstreams *logstreams;
    struct health *health;
    struct journal *journal; /* NULL: nothing is recorded */
    struct reload *reload;
    const struct asset *assets; /* the dashboard */
    size_t assets_count;
    const char *const *pages; /* asset_pages */
    const char *version;      /* "0.1.0" */
    const char *revision;     /* of git, or "release" */
};

#endif
