/*
 * The nodes that a caller may read, for list routes. Owned by the request.
 */
#ifndef CESID_FLEET_H
#define CESID_FLEET_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/registry.h"
#include "cesid/request.h"

/* Whether part occurs in text, ASCII letters in any case; NULL and "" always do. */
bool fleet_contains(const char *text, const char *part);

struct fleet_node {
    struct node *node;
    struct node_view *view;
    const char *name;
    const char *environment;
};
struct fleet {
    struct node_survey all;
    struct fleet_node *nodes; /* sorted by name; borrowed from all */
    size_t count;
};
/* The nodes on which the caller has the permission. */
void fleet_open(struct fleet *fleet, const struct request *request, enum permission permission);
void fleet_close(struct fleet *fleet);

#endif
