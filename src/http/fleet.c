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
    registry_list(request->context->registry, &fleet->list);
    fleet->nodes = mem_array(fleet->list.count + 1, sizeof(*fleet->nodes));
    fleet->count = 0;
    for (size_t i = 0; i < fleet->list.count; i++) {
        struct node *node = fleet->list.items[i];
        struct node_view *view = node_view(node);
        const char *environment = view->settings->config.environment;
        if (!request_allows(request, permission, environment)) {
            node_view_unref(&view);
            continue;
        }
        fleet->nodes[fleet->count++] = (struct fleet_node){
            .node = node, .view = view, .name = node_name(node), .environment = environment};
    }
}

void fleet_close(struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->count; i++)
        node_view_unref(&fleet->nodes[i].view);
    free(fleet->nodes);
    node_list_free(&fleet->list);
}
