/*
 * /nodes/{node}/processes and /processes across the fleet. CivetWeb's workers; no locks of its own.
 *
 * A page of the fleet's processes is picked with a heap of the page's size in one walk over the
 * shared views: nothing is copied, and a hundred thousand processes cost a comparison each.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/fields.h"
#include "cesid/fleet.h"
#include "cesid/memory.h"
#include "cesid/paging.h"
#include "cesid/routes.h"

static int list(struct request *request, struct response *response)
{
    struct page page;
    const struct node_view *view = request->view;
    page_begin(&page, request, response);
    for (size_t i = 0; i < view->processes_count; i++) {
        const struct process_view *process = view->processes[i];
        if (request_admits(request, "state", process_state_name(process->statecode)) &&
            fleet_contains(process->id, request_text(request, "q")) &&
            page_admits(&page, process->id))
            process_json(page.json, process);
    }
    page_end(&page);
    return 0;
}

static int one(struct request *request, struct response *response)
{
    const struct process_view *process =
        node_view_process(request->view, request_text(request, "process"));
    if (process == NULL)
        return CESID_E_NOT_FOUND;
    process_json(response_json(response), process);
    return 0;
}

enum sort { BY_FAILURE, BY_NODE, BY_NAME, BY_GROUP, BY_ENVIRONMENT, BY_STATE, SORTS };
static const char *const sorts[SORTS] = {"failures", "node",        "name",
                                         "group",    "environment", "state"};

/* What decides the place of a process. */
struct place {
    int rank; /* failures first, or states by name */
    const char *node, *environment, *id, *group, *name;
    const struct process_view *process;
};

static int rank_by_name(int statecode)
{
    static const int names[] = {PROCESS_BACKOFF,  PROCESS_EXITED,  PROCESS_FATAL,   PROCESS_RUNNING,
                                PROCESS_STARTING, PROCESS_STOPPED, PROCESS_STOPPING};
    size_t rank = 0;
    while (rank < ARRAY_LENGTH(names) && names[rank] != statecode)
        rank++;
    return (int) rank; /* UNKNOWN is the last */
}

static int rank_of(const struct process_view *process, enum sort sort)
{
    if (sort == BY_STATE)
        return rank_by_name(process->statecode);
    switch (process->statecode) {
    case PROCESS_FATAL:
        return 0;
    case PROCESS_BACKOFF:
        return 1;
    case PROCESS_EXITED:
        return process->exit_status != 0 ? 2 : 6;
    case PROCESS_UNKNOWN:
        return 3;
    case PROCESS_STARTING:
        return 4;
    case PROCESS_STOPPING:
        return 5;
    case PROCESS_STOPPED:
        return 7;
    default:
        return 8;
    }
}

static int compare(const void *left, const void *right, void *argument)
{
    const struct place *a = left, *b = right;
    int difference = 0;
    switch (*(const enum sort *) argument) {
    case BY_FAILURE:
    case BY_STATE:
        difference = a->rank - b->rank;
        break;
    case BY_NAME:
        difference = strcmp(a->name, b->name);
        break;
    case BY_GROUP:
        difference = strcmp(a->group, b->group);
        break;
    case BY_ENVIRONMENT:
        difference = strcmp(a->environment, b->environment);
        break;
    case BY_NODE:
    case SORTS:
        break;
    }
    if (difference == 0)
        difference = strcmp(a->node, b->node);
    return difference != 0 ? difference : strcmp(a->id, b->id);
}

/* The smallest so far, the largest of them on top. */
struct heap {
    struct place *items;
    size_t count, capacity;
    enum sort sort;
};

static void swap(struct place *a, struct place *b)
{
    struct place kept = *a;
    *a = *b;
    *b = kept;
}

static void heap_offer(struct heap *heap, const struct place *place)
{
    size_t i;
    if (heap->count < heap->capacity) {
        i = heap->count++;
        heap->items[i] = *place;
        for (; i > 0; i = (i - 1) / 2) {
            if (compare(&heap->items[i], &heap->items[(i - 1) / 2], &heap->sort) <= 0)
                return;
            swap(&heap->items[i], &heap->items[(i - 1) / 2]);
        }
        return;
    }
    if (compare(place, &heap->items[0], &heap->sort) >= 0)
        return;
    heap->items[0] = *place;
    for (i = 0; 2 * i + 1 < heap->count;) {
        size_t child = 2 * i + 1;
        if (child + 1 < heap->count &&
            compare(&heap->items[child + 1], &heap->items[child], &heap->sort) > 0)
            child++;
        if (compare(&heap->items[child], &heap->items[i], &heap->sort) <= 0)
            return;
        swap(&heap->items[child], &heap->items[i]);
        i = child;
    }
}

/* sort, rank, node, environment, id, group, name; a line each */
static char *place_text(const struct place *place, enum sort sort)
{
    struct strbuf text;
    strbuf_init(&text, 4000);
    strbuf_printf(&text, "%s\n%d\n%s\n%s\n%s\n%s\n%s", sorts[sort], place->rank, place->node,
                  place->environment, place->id, place->group, place->name);
    return strbuf_steal(&text);
}

/* Cuts text up. False: it is not of this sort's list. */
static bool place_parse(char *text, enum sort sort, struct place *place)
{
    char *parts[7];
    size_t count = 0;
    for (char *next = text; next != NULL && count < ARRAY_LENGTH(parts);) {
        parts[count++] = next;
        next = strchr(next, '\n');
        if (next != NULL)
            *next++ = '\0';
    }
    if (count != ARRAY_LENGTH(parts) || strcmp(parts[0], sorts[sort]) != 0)
        return false;
    *place = (struct place){.rank = (int) strtol(parts[1], NULL, 10),
                            .node = parts[2],
                            .environment = parts[3],
                            .id = parts[4],
                            .group = parts[5],
                            .name = parts[6]};
    return true;
}

static bool is_wanted(const struct request *request, const struct place *place)
{
    return request_admits(request, "state", process_state_name(place->process->statecode)) &&
           request_admits(request, "group", place->group) &&
           request_admits(request, "name", place->name) &&
           (fleet_contains(place->id, request_text(request, "q")) ||
            fleet_contains(place->node, request_text(request, "q")));
}

static size_t gather(const struct request *request, const struct fleet *fleet,
                     const struct place *after, struct heap *heap)
{
    size_t total = 0;
    for (size_t n = 0; n < fleet->count; n++) {
        const struct fleet_node *node = &fleet->nodes[n];
        if (!request_admits(request, "environment", node->environment) ||
            !request_admits(request, "node", node->name))
            continue;
        for (size_t p = 0; p < node->view->processes_count; p++) {
            const struct process_view *process = node->view->processes[p];
            struct place place = {.rank = rank_of(process, heap->sort),
                                  .node = node->name,
                                  .environment = node->environment,
                                  .id = process->id,
                                  .group = process->group,
                                  .name = process->name,
                                  .process = process};
            if (!is_wanted(request, &place))
                continue;
            total++;
            if (after == NULL || compare(&place, after, &heap->sort) > 0)
                heap_offer(heap, &place);
        }
    }
    return total;
}

static enum sort sort_of(const struct request *request)
{
    enum sort sort = 0;
    while (strcmp(sorts[sort], request_text(request, "sort")) != 0)
        sort++;
    return sort;
}

/* A cursor belongs to the order in which it was given. */
static void check_cursor(struct request *request)
{
    struct place after;
    char *cursor = page_cursor(request);
    if (cursor != NULL && request_text(request, "sort") != NULL &&
        !place_parse(cursor, sort_of(request), &after))
        page_bad_cursor(request);
    free(cursor);
}

static int fleet_list(struct request *request, struct response *response)
{
    size_t limit = (size_t) request_integer(request, "limit");
    struct heap heap = {.capacity = limit + 1, .sort = sort_of(request)};
    struct place after;
    struct fleet fleet;
    char *cursor = page_cursor(request), *next = NULL;
    if (cursor != NULL)
        CHECK(place_parse(cursor, heap.sort, &after));
    heap.items = mem_array(heap.capacity, sizeof(*heap.items));
    fleet_open(&fleet, request, PROCESS_READ);
    size_t total = gather(request, &fleet, cursor == NULL ? NULL : &after, &heap);
    qsort_r(heap.items, heap.count, sizeof(*heap.items), compare, &heap.sort);
    if (heap.count > limit) {
        heap.count = limit;
        next = place_text(&heap.items[limit - 1], heap.sort);
    }
    struct json *json = response_json(response);
    json_object(json);
    json_key(json, "items");
    json_array(json);
    for (size_t i = 0; i < heap.count; i++)
        process_json(json, heap.items[i].process);
    json_array_end(json);
    json_put_integer(json, "total", (int64_t) total);
    cursor_put(json, next);
    json_object_end(json);
    fleet_close(&fleet);
    free(heap.items);
    free(cursor);
    free(next);
    return 0;
}

static const struct field list_fields[] = {FIELD_NODE_PATH, FIELD_PROCESS_STATES,
                                           FIELD_SEARCH("group:name"), PAGE_FIELDS};
static const struct field one_fields[] = {FIELD_NODE_PATH, FIELD_PROCESS_PATH};
static const struct field fleet_fields[] = {
    FIELD_SEARCH("group:name or the node's name"),
    FIELD_PROCESS_STATES,
    FIELD_ENVIRONMENTS,
    {.name = "node",
     .place = FIELD_QUERY,
     .type = FIELD_STRINGS,
     .format = FORMAT_NAME,
     .maximum = 64,
     .about = "names of nodes"},
    {.name = "group",
     .place = FIELD_QUERY,
     .type = FIELD_STRINGS,
     .minimum = 1,
     .maximum = 255,
     .about = "names of groups"},
    {.name = "name",
     .place = FIELD_QUERY,
     .type = FIELD_STRINGS,
     .minimum = 1,
     .maximum = 255,
     .about = "names of processes, without their group"},
    {.name = "sort",
     .place = FIELD_QUERY,
     .choices = "failures|node|name|group|environment|state",
     .default_value = "failures",
     .about = "what comes first"},
    PAGE_FIELDS,
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/nodes/{node}/processes",
     .scope = ROUTE_NODE,
     .permission = PROCESS_READ,
     .handler = list,
     ROUTE_FIELDS(list_fields),
     .about = "A node's processes by group:name",
     .answers = "200:[Process]"},
    {.method = "GET",
     .path = "/api/v1/nodes/{node}/processes/{process}",
     .scope = ROUTE_NODE,
     .permission = PROCESS_READ,
     .handler = one,
     ROUTE_FIELDS(one_fields),
     .about = "One process",
     .answers = "200:Process"},
    {.method = "GET",
     .path = "/api/v1/processes",
     .scope = ROUTE_FLEET,
     .permission = PROCESS_READ,
     .handler = fleet_list,
     .check = check_cursor,
     ROUTE_FIELDS(fleet_fields),
     .about = "Processes across the fleet, failures first",
     .answers = "200:[Process]"},
};
const struct route_table routes_processes = {routes, ARRAY_LENGTH(routes)};
