/*
 * The one way of every request: id → limits → route → the one authentication check → permission
 * and scope → validated input → handler → answer or problem. WebSocket upgrades come by here too.
 *
 * Threads: CivetWeb's workers. What is shared is atomic or immutable.
 */
#ifndef CESID_DISPATCHER_H
#define CESID_DISPATCHER_H

#include "cesid/serving.h"

struct mg_connection;

/* CivetWeb's begin_request. Returns the status answered; 0: go on with the WebSocket upgrade. */
int dispatcher_request(struct serving *serving, struct mg_connection *connection,
                       struct exchange *exchange);
/* CivetWeb's http_error: a request that it did not understand. */
void dispatcher_refuse(struct serving *serving, struct mg_connection *connection, int status,
                       struct exchange *exchange);

#endif
