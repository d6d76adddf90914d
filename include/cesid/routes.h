/*
 * All routes, one table a resource. Constants.
 */
#ifndef CESID_ROUTES_H
#define CESID_ROUTES_H

#include "cesid/route.h"

extern const struct route_table routes_actions;
extern const struct route_table routes_activity;
extern const struct route_table routes_assets;
extern const struct route_table routes_auth;
extern const struct route_table routes_control;
extern const struct route_table routes_events;
extern const struct route_table routes_fleet;
extern const struct route_table routes_inventory;
extern const struct route_table routes_logs;
extern const struct route_table routes_metrics;
extern const struct route_table routes_nodes;
extern const struct route_table routes_openapi;
extern const struct route_table routes_operations;
extern const struct route_table routes_reload;
extern const struct route_table routes_roles;
extern const struct route_table routes_selections;
extern const struct route_table routes_processes;
extern const struct route_table routes_system;
extern const struct route_table routes_tokens;
extern const struct route_table routes_users;

extern const struct route_table *const routes_all[];
extern const size_t routes_all_count;

#endif
