/*
 * From events of the bus to records of activity: which of them are changes of state. Owned by the
 * journal's thread.
 */
#ifndef CESID_JOURNAL_EVENTS_H
#define CESID_JOURNAL_EVENTS_H

#include "cesid/activity.h"
#include "cesid/event.h"

struct known_nodes;

struct known_nodes *known_nodes_create(void);
void known_nodes_destroy(struct known_nodes **nodes);

/* NULL: no change of state. */
struct activity *known_nodes_record(struct known_nodes *nodes, const struct event *event);

#endif
