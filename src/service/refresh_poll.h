/*
 * One poll of one node: first contact (version, state), then the process list, applied to the node.
 */
#ifndef CESID_REFRESH_POLL_H
#define CESID_REFRESH_POLL_H

#include "cesid/node.h"

/* ended is called once, on a loop thread or before this returns, with what the poll came to.
 * forced: polls although the breaker is open. */
void refresh_poll_start(struct node *node, struct bus *bus, struct config_box *config, bool forced,
                        void (*ended)(void *argument, int error), void *argument);

#endif
