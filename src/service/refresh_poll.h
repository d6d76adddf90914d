/*
 * One poll of one node: first contact (version, state), then the process list, applied to the node.
 */
#ifndef CESID_REFRESH_POLL_H
#define CESID_REFRESH_POLL_H

#include "cesid/node.h"

struct refresh_poll;

/* forced: polls although the breaker is open. timeout: seconds for each call. Belongs to itself
 * from refresh_poll_start() on. */
struct refresh_poll *refresh_poll_create(struct node *node, struct config_box *config, bool forced,
                                         double timeout, void (*ended)(void *argument, int error),
                                         void *argument);
/* ended is called once, on a loop thread or before this returns, with what the poll came to. */
void refresh_poll_start(struct refresh_poll *poll);
/* Makes it end soon, with CANCELLED, unless it just ends otherwise. Any thread, but only until
 * ended returns. */
void refresh_poll_cancel(struct refresh_poll *poll);
/* Whether it asks an endpoint that is the node's no more. */
bool refresh_poll_is_stale(const struct refresh_poll *poll);

#endif
