/*
 * WebSocket connections: from CivetWeb's callbacks to the hub. The upgrade is decided in the
 * dispatcher; what is here runs on the connection's own worker.
 */
#ifndef CESID_WEBSOCKET_H
#define CESID_WEBSOCKET_H

#include "cesid/request.h"
#include "cesid/serving.h"

struct mg_context;

void websocket_attach(struct mg_context *context, struct serving *serving);
/* The route's handler for GET /api/v1/ws: whether the upgrade may go on. On 0 the exchange holds
 * the session and the connection is counted. */
int websocket_accept(struct request *request, struct exchange *exchange) CESID_WARN_UNUSED;

#endif
