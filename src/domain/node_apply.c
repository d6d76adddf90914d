/*
 * Applying a poll: compare the answer with the current view, and only when something differs build
 * the next view, render the difference, swap, publish. Runs on the rpc loop threads (refresh sees
 * to it that one poll of a node is applied at a time); an operator may change the node's settings
 * meanwhile, then the swap fails and the comparison starts again from the new view.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "node_private.h"

/* What the answer said, in its own order. */
struct heard {
    struct supervisor_process *items;
    size_t count;
};

static bool hear(const struct xmlrpc_answer *answer, int processes_max, struct heard *heard)
{
    const struct xmlrpc_value *list = answer->value;
    const struct xmlrpc_value *item;
    size_t i = 0;

    if (list == NULL || list->type != XMLRPC_ARRAY || list->as.items.count > (size_t) processes_max)
        return false;
    heard->count = list->as.items.count;
    heard->items = mem_array(heard->count, sizeof(heard->items[0]));
    for (item = list->as.items.first; item != NULL && i < heard->count; item = item->next) {
        if (!supervisor_read_process(item, &heard->items[i++])) {
            free(heard->items);
            heard->items = NULL;
            return false;
        }
    }
    return true;
}

static bool same_processes(const struct node_view *base, const struct heard *heard)
{
    if (base->processes_count != heard->count)
        return false;
    for (size_t i = 0; i < heard->count; i++)
        if (!process_view_equals(base->processes[base->order[i]], &heard->items[i]))
            return false;
    return true;
}

bool node_says_the_same(struct node *node, const char *answer, size_t length, int processes_max)
{
    struct node_view *view = node_view(node);
    struct process_scan scan;
    struct scanned_process process;
    bool same = view->processes_count <= (size_t) processes_max &&
                process_scan_begin(&scan, answer, length);

    for (size_t i = 0; same && i < view->processes_count; i++)
        same = process_scan_next(&scan, &process) &&
               process_view_equals_scanned(view->processes[view->order[i]], &process);
    same = same && process_scan_end(&scan);
    node_view_unref(&view);
    return same;
}

static bool same_or_silent(const char *known, const char *said)
{
    return said == NULL || (known != NULL && strcmp(known, said) == 0);
}

static void replace(char **known, const char *said)
{
    if (said == NULL)
        return;
    free(*known);
    *known = mem_string(said);
}

static bool same_supervisor(const struct node_view *base, const struct node_poll *poll)
{
    return same_or_silent(base->supervisor_version, poll->supervisor_version) &&
           same_or_silent(base->api_version, poll->api_version) &&
           same_or_silent(base->identification, poll->identification) &&
           same_or_silent(base->supervisor_state, poll->supervisor_state);
}

struct slot {
    struct process_view *process;
    uint32_t heard; /* position in the answer */
};

static int by_id(const void *a, const void *b)
{
    const struct slot *left = a, *right = b;

    return strcmp(left->process->id, right->process->id);
}

/* Puts what was heard into the draft: processes that did not change stay the same objects. False
 * when two have the same id. */
static bool fill_processes(struct node_view *draft, const struct node_view *base,
                           const struct heard *heard)
{
    struct slot *slots = mem_array(heard->count, sizeof(slots[0]));
    bool unique = true;

    for (size_t i = 0; i < heard->count; i++) {
        const struct supervisor_process *said = &heard->items[i];
        struct process_view *known = NULL;

        if (i < base->processes_count)
            known = base->processes[base->order[i]];
        slots[i].heard = (uint32_t) i;
        if (known != NULL && process_view_equals(known, said)) {
            slots[i].process = process_view_ref(known);
            continue;
        }
        slots[i].process = process_view_create(said, &draft->settings->config, draft->revision);
        /* Groups came or went before it: the same process at another place. */
        known = (struct process_view *) node_view_process(base, slots[i].process->id);
        if (known != NULL && process_view_equals(known, said)) {
            process_view_unref(&slots[i].process);
            slots[i].process = process_view_ref(known);
        }
    }
    if (heard->count > 1)
        qsort(slots, heard->count, sizeof(slots[0]), by_id);
    for (size_t i = 1; i < heard->count; i++)
        if (by_id(&slots[i - 1], &slots[i]) == 0)
            unique = false;

    for (size_t i = 0; i < draft->processes_count; i++)
        process_view_unref(&draft->processes[i]);
    free(draft->processes);
    free(draft->order);
    draft->processes_count = heard->count;
    draft->processes = mem_array(heard->count, sizeof(draft->processes[0]));
    draft->order = mem_array(heard->count, sizeof(draft->order[0]));
    for (size_t i = 0; i < heard->count; i++) {
        draft->processes[i] = slots[i].process;
        draft->order[slots[i].heard] = (uint32_t) i;
    }
    free(slots);
    return unique;
}

/* Both lists are sorted by id: one walk finds what came, changed and went. */
static void compare_processes(struct node_events *events, const struct node_view *base,
                              const struct node_view *next)
{
    size_t i = 0, j = 0;

    while (i < base->processes_count || j < next->processes_count) {
        struct process_view *old = i < base->processes_count ? base->processes[i] : NULL;
        struct process_view *new = j < next->processes_count ? next->processes[j] : NULL;
        int order = old == NULL ? 1 : new == NULL ? -1 : strcmp(old->id, new->id);

        if (order < 0) {
            node_events_add_process(events, next, old, old, true);
            i++;
        } else if (order > 0) {
            node_events_add_process(events, next, new, NULL, false);
            j++;
        } else {
            if (old != new)
                node_events_add_process(events, next, new, old, false);
            i++;
            j++;
        }
    }
}

static bool same_counts(const struct node_view *a, const struct node_view *b)
{
    return memcmp(&a->counts, &b->counts, sizeof(a->counts)) == 0;
}

static void log_change(const struct node_view *base, const struct node_view *next)
{
    const char *name = next->settings->config.name;

    if (base->state == next->state && base->cause == next->cause)
        return;
    if (next->state == NODE_UP)
        log_info("refresh", "node is up", log_s("node", name),
                 log_s("version", next->supervisor_version));
    else
        log_warning("refresh", "node is down", log_s("node", name),
                    log_s("cause", rpc_cause_name(next->cause)));
}

struct applying {
    const struct node_poll *poll;
    const struct heard *heard; /* NULL: no processes, or the same as before */
    bool news;                 /* of the breaker */
    int error;
};

/* Before the events are rendered, which show the breaker; once the answer is known to be good. */
static void report_success(struct node *node, struct applying *applying)
{
    const struct node_poll *poll = applying->poll;

    if (poll->error == CESID_OK && node_breaker_count(node, CESID_OK, &poll->breaker))
        applying->news = true;
}

static bool apply_once(struct node *node, struct applying *applying)
{
    const struct node_poll *poll = applying->poll;
    const struct heard *heard = applying->heard;
    struct node_view *base = node_view(node);
    enum node_state state = poll->error == 0 ? NODE_UP : NODE_DOWN;
    struct node_events events = {0};
    struct node_view *next;
    uint64_t breaker_changes;
    bool done = true;

    if (base->state == NODE_DISABLED ||
        (poll->endpoint != NULL && base->settings->endpoint != poll->endpoint))
        goto out;
    if (base->state == state && base->cause == poll->cause && same_supervisor(base, poll) &&
        (heard == NULL || same_processes(base, heard))) {
        report_success(node, applying);
        if (applying->news)
            node_tell(node);
        goto out;
    }

    next = node_view_draft(base, base->settings);
    node_view_set_state(next, state, poll->cause);
    replace(&next->supervisor_version, poll->supervisor_version);
    replace(&next->api_version, poll->api_version);
    replace(&next->identification, poll->identification);
    replace(&next->supervisor_state, poll->supervisor_state);
    if (heard != NULL && !fill_processes(next, base, heard)) {
        applying->error = CESID_E_NODE_PROTOCOL;
        node_view_unref(&next);
        goto out;
    }
    report_success(node, applying);
    breaker_changes = node_breaker_changes(node);
    node_view_seal(next);
    compare_processes(&events, base, next);
    if (applying->news || base->state != next->state || base->cause != next->cause ||
        !same_counts(base, next) || !same_supervisor(base, poll))
        node_events_add_node(&events, node, next);
    node_view_ref(next); /* ours: once swapped in, the next change may free it at any time */
    done = node_swap(node, base, breaker_changes, next, &events);
    if (done) {
        log_change(base, next);
    } else {
        struct node_view *unused = next;

        node_view_unref(&unused);
        node_events_drop(&events);
        done = node_removed(node);
    }
    node_view_unref(&next);
out:
    node_view_unref(&base);
    return done;
}

int node_apply(struct node *node, const struct node_poll *poll, int processes_max)
{
    struct heard heard = {0};
    struct applying applying = {.poll = poll, .heard = poll->answer != NULL ? &heard : NULL};

    if (poll->error == 0) {
        if (poll->answer != NULL && !hear(poll->answer, processes_max, &heard))
            return CESID_E_NODE_PROTOCOL;
        __atomic_store_n(&node->last_refresh, clock_wall(), __ATOMIC_RELAXED);
        __atomic_store_n(&node->latency, (int64_t) (poll->latency * (double) CLOCK_SECOND),
                         __ATOMIC_RELAXED);
    }
    if (poll->error != 0)
        applying.news = node_breaker_count(node, poll->error, &poll->breaker);
    while (!apply_once(node, &applying))
        continue;
    free(heard.items);
    return applying.error;
}
