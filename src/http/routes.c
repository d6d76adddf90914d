/*
 * The route table: every resource's own. Constants.
 */
#include "cesid/routes.h"

const struct route_table *const routes_all[] = {
    &routes_processes, &routes_nodes,  &routes_inventory,  &routes_fleet,      &routes_actions,
    &routes_control,   &routes_logs,   &routes_operations, &routes_selections, &routes_events,
    &routes_auth,      &routes_reload, &routes_system,     &routes_metrics,    &routes_openapi,
    &routes_activity,  &routes_users,  &routes_roles,      &routes_tokens,     &routes_assets};
const size_t routes_all_count = ARRAY_LENGTH(routes_all);
