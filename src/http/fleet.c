/*
 * What the caller may read of all nodes, for list routes. See fleet.h. Any worker; no locks held
 * over anything.
 */
#include "cesid/fleet.h"

#include "cesid/memory.h"
#include <stdlib.h>
#include <string.h>

bool fleet_contains(const char *text, const char *part)
{
    return part == NULL || part[0] == '\0' || strcasestr(text, part) != NULL;
}

void fleet_open(struct fleet *fleet, const struct request *request, enum permission permission)
{
    registry_survey(request->context->registry, &fleet->all);
    fleet->nodes = mem_array(fleet->all.count + 1, sizeof(*fleet->nodes));
    fleet->count = 0;
    for (size_t i = 0; i < fleet->all.count; i++) {
        struct node *node = fleet->all.items[i].node;
        struct node_view *view = fleet->all.items[i].view;
        const char *environment = view->settings->config.environment;
        if (request_allows(request, permission, environment))
            fleet->nodes[fleet->count++] = (struct fleet_node){
                .node = node, .view = view, .name = node_name(node), .environment = environment};
    }
}

void fleet_close(struct fleet *fleet)
{
    free(fleet->nodes);
    node_survey_free(&fleet->all);
}
