/*
 * Counts across the fleet: /processes/summary, /groups, /environments. CivetWeb's workers; no locks
 * of its own.
 */
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cesid/fields.h"
#include "cesid/fleet.h"
#include "cesid/memory.h"
#include "cesid/paging.h"
#include "cesid/routes.h"

/* One name and what was counted for it. The key is borrowed from a view of the open fleet. */
struct tally {
    const char *key;
    const char *group, *name; /* of the first process that was counted */
    struct node_counts counts;
    const char **nodes; /* names, borrowed likewise */
    size_t nodes_count, nodes_capacity;
    int nodes_by_state[NODE_STATES];
    const void *last_node; /* counted already */
    UT_hash_handle hh;
};

static struct tally *tally_of(struct tally **tallies, const char *key)
{
    struct tally *tally = NULL;
    HASH_FIND_STR(*tallies, key, tally);
    if (tally == NULL) {
        tally = mem_alloc(sizeof(*tally));
        tally->key = key;
        HASH_ADD_KEYPTR(hh, *tallies, tally->key, strlen(tally->key), tally);
    }
    return tally;
}

static int by_key(struct tally *a, struct tally *b)
{
    return strcmp(a->key, b->key);
}

static void tallies_free(struct tally **tallies)
{
    struct tally *next = *tallies;
    HASH_CLEAR(hh, *tallies);
    while (next != NULL) {
        struct tally *tally = next;
        next = tally->hh.next;
        free(tally->nodes);
        free(tally);
    }
}

static void count_node(struct tally *tally, const struct fleet_node *node)
{
    if (tally->last_node == node)
        return;
    tally->last_node = node;
    if (tally->nodes_count == tally->nodes_capacity) {
        tally->nodes_capacity = tally->nodes_capacity == 0 ? 4 : tally->nodes_capacity * 2;
        tally->nodes = mem_resize(tally->nodes, tally->nodes_capacity, sizeof(tally->nodes[0]));
    }
    tally->nodes[tally->nodes_count++] = node->name;
    tally->nodes_by_state[node->view->state]++;
}

static void count_process(struct tally *tally, const struct fleet_node *node,
                          const struct process_view *process)
{
    count_node(tally, node);
    node_counts_add(&tally->counts, process->statecode);
    if (tally->group == NULL) {
        tally->group = process->group;
        tally->name = process->name;
    }
}

static void put_states(struct json *json, const struct node_counts *counts)
{
    const struct {
        const char *name;
        int count;
    } states[] = {{"running", counts->running}, {"starting", counts->starting},
                  {"backoff", counts->backoff}, {"stopping", counts->stopping},
                  {"stopped", counts->stopped}, {"exited", counts->exited},
                  {"fatal", counts->fatal},     {"unknown", counts->unknown}};
    json_key(json, "states");
    json_object(json);
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++)
        if (states[i].count > 0)
            json_put_integer(json, states[i].name, states[i].count);
    json_object_end(json);
}

static int summary(struct request *request, struct response *response)
{
    struct page page;
    struct fleet fleet;
    struct tally *tallies = NULL;
    page_begin(&page, request, response);
    fleet_open(&fleet, request, PROCESS_READ);
    for (size_t n = 0; n < fleet.count; n++) {
        const struct fleet_node *node = &fleet.nodes[n];
        if (!request_admits(request, "environment", node->environment))
            continue;
        for (size_t p = 0; p < node->view->processes_count; p++) {
            const struct process_view *process = node->view->processes[p];
            if (fleet_contains(process->id, request_text(request, "q")))
                count_process(tally_of(&tallies, process->id), node, process);
        }
    }
    HASH_SORT(tallies, by_key);
    for (struct tally *at = tallies; at != NULL; at = at->hh.next) {
        if (!page_admits(&page, at->key))
            continue;
        json_object(page.json);
        json_put_string(page.json, "id", at->key);
        json_put_string(page.json, "name", at->name);
        json_put_string(page.json, "group", at->group);
        json_put_integer(page.json, "instances", at->counts.total);
        put_states(page.json, &at->counts);
        json_key(page.json, "nodes");
        json_array(page.json);
        for (size_t n = 0; n < at->nodes_count; n++)
            json_string(page.json, at->nodes[n]);
        json_array_end(page.json);
        json_object_end(page.json);
    }
    page_end(&page);
    tallies_free(&tallies);
    fleet_close(&fleet);
    return 0;
}

static int groups(struct request *request, struct response *response)
{
    struct page page;
    struct fleet fleet;
    struct tally *tallies = NULL;
    page_begin(&page, request, response);
    fleet_open(&fleet, request, NODE_READ);
    for (size_t n = 0; n < fleet.count; n++) {
        const struct fleet_node *node = &fleet.nodes[n];
        for (size_t p = 0; p < node->view->processes_count; p++) {
            const struct process_view *process = node->view->processes[p];
            count_process(tally_of(&tallies, process->group), node, process);
        }
    }
    HASH_SORT(tallies, by_key);
    for (struct tally *at = tallies; at != NULL; at = at->hh.next) {
        if (!page_admits(&page, at->key))
            continue;
        json_object(page.json);
        json_put_string(page.json, "name", at->key);
        json_put_integer(page.json, "nodes", (int64_t) at->nodes_count);
        json_key(page.json, "counts");
        node_counts_json(page.json, &at->counts);
        json_object_end(page.json);
    }
    page_end(&page);
    tallies_free(&tallies);
    fleet_close(&fleet);
    return 0;
}

static void put_environment(struct json *json, const struct tally *tally)
{
    json_object(json);
    json_put_string(json, "name", tally->key);
    json_key(json, "nodes");
    json_object(json);
    json_put_integer(json, "total", (int64_t) tally->nodes_count);
    for (enum node_state state = 0; state < NODE_STATES; state++)
        json_put_integer(json, node_state_name(state), tally->nodes_by_state[state]);
    json_object_end(json);
    json_key(json, "counts");
    node_counts_json(json, &tally->counts);
    json_object_end(json);
}

static void tally_environments(const struct fleet *fleet, const char *wanted,
                               struct tally **tallies)
{
    for (size_t n = 0; n < fleet->count; n++) {
        const struct fleet_node *node = &fleet->nodes[n];
        if (wanted != NULL && strcmp(node->environment, wanted) != 0)
            continue;
        struct tally *tally = tally_of(tallies, node->environment);
        count_node(tally, node);
        for (size_t p = 0; p < node->view->processes_count; p++)
            node_counts_add(&tally->counts, node->view->processes[p]->statecode);
    }
}

static int environments(struct request *request, struct response *response)
{
    struct page page;
    struct fleet fleet;
    struct tally *tallies = NULL;
    page_begin(&page, request, response);
    fleet_open(&fleet, request, NODE_READ);
    tally_environments(&fleet, NULL, &tallies);
    HASH_SORT(tallies, by_key);
    for (struct tally *at = tallies; at != NULL; at = at->hh.next)
        if (page_admits(&page, at->key))
            put_environment(page.json, at);
    page_end(&page);
    tallies_free(&tallies);
    fleet_close(&fleet);
    return 0;
}

static int environment(struct request *request, struct response *response)
{
    struct fleet fleet;
    struct tally *tallies = NULL;
    fleet_open(&fleet, request, NODE_READ);
    tally_environments(&fleet, request_text(request, "environment"), &tallies);
    if (tallies != NULL)
        put_environment(response_json(response), tallies);
    int error = tallies == NULL ? CESID_E_NOT_FOUND : 0;
    tallies_free(&tallies);
    fleet_close(&fleet);
    return error;
}

static const struct field summary_fields[] = {FIELD_SEARCH("group:name"), FIELD_ENVIRONMENTS,
                                              PAGE_FIELDS};
static const struct field page_fields[] = {PAGE_FIELDS};
static const struct field environment_fields[] = {
    {.name = "environment",
     .place = FIELD_PATH,
     .format = FORMAT_NAME,
     .maximum = 64,
     .about = "name of the environment"},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/processes/summary",
     .scope = ROUTE_FLEET,
     .permission = PROCESS_READ,
     .handler = summary,
     ROUTE_FIELDS(summary_fields),
     .about = "For each group:name, how many instances in which states",
     .answers = "200:[Summary]"},
    {.method = "GET",
     .path = "/api/v1/groups",
     .scope = ROUTE_FLEET,
     .permission = NODE_READ,
     .handler = groups,
     ROUTE_FIELDS(page_fields),
     .about = "Groups with counts",
     .answers = "200:[Group]"},
    {.method = "GET",
     .path = "/api/v1/environments",
     .scope = ROUTE_FLEET,
     .permission = NODE_READ,
     .handler = environments,
     ROUTE_FIELDS(page_fields),
     .about = "Environments with counts",
     .answers = "200:[Environment]"},
    {.method = "GET",
     .path = "/api/v1/environments/{environment}",
     .scope = ROUTE_FLEET,
     .permission = NODE_READ,
     .handler = environment,
     ROUTE_FIELDS(environment_fields),
     .about = "One environment",
     .answers = "200:Environment"},
};
const struct route_table routes_fleet = {routes, ARRAY_LENGTH(routes)};
