/*
 * Whether the processes whose logs are followed are still those whose logs were opened. When
 * `update` takes a process out, or puts it in anew with another file, supervisord goes on reading
 * the file that it had opened for /logtail/, deleted as it is, and says nothing. The polls notice:
 * the process is gone from the view, or has another log there.
 *
 * The bus tells when to look: what it costs a node without followed logs is one look into a hash an
 * event, and a change is seen as soon as its poll was applied. A view may be behind what was heard
 * when the upstream was opened, so it only makes supervisord be asked again (logstream_open.c),
 * whose answer decides: a question too many loses and repeats nothing.
 *
 * Runs on the bus thread, and on the rpc loops after an answer. Lock: LOCK_LOGSTREAMS, not held
 * while the view is fetched.
 */
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#include "cesid/clock.h"
#include "cesid/memory.h"
#include "logstream_private.h"

#define NO_REVISION UINT64_MAX

static struct logstream_node *find_locked(struct logstreams *streams, const char *name)
{
    struct logstream_node *node;

    lock_assert_held(&streams->lock);
    HASH_FIND_STR(streams->by_node, name, node);
    return node;
}

void logstream_process_add_locked(struct logstream *stream)
{
    struct logstreams *streams = stream->streams;
    struct logstream_node *node = find_locked(streams, stream->node);

    if (node == NULL) {
        node = mem_alloc(sizeof(*node));
        node->name = mem_string(stream->node);
        node->revision = NO_REVISION;
        HASH_ADD_KEYPTR(hh, streams->by_node, node->name, strlen(node->name), node);
    }
    DL_APPEND(node->streams, stream);
}

void logstream_process_remove_locked(struct logstream *stream)
{
    struct logstreams *streams = stream->streams;
    struct logstream_node *node = find_locked(streams, stream->node);

    DL_DELETE(node->streams, stream);
    if (node->streams != NULL)
        return;
    HASH_DEL(streams->by_node, node);
    free(node->name);
    free(node);
}

/* Cancelling only queues a command: it may be done under the lock, which ranks below. */
void logstream_process_went_locked(struct logstreams *streams, const char *name)
{
    struct logstream_node *node = find_locked(streams, name);
    struct logstream *stream;

    if (node == NULL)
        return;
    node->revision = NO_REVISION; /* another node of that name counts anew */
    DL_FOREACH(node->streams, stream)
    {
        stream->moved = stream->under_way;
        if (stream->call != NULL)
            rpc_call_cancel(stream->call);
    }
}

bool logstream_same_path(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void compare_locked(struct logstream *stream, const struct node_view *view)
{
    const struct process_view *process = node_view_process(view, stream->process);
    bool absent = process == NULL;
    const char *path = absent                                ? NULL
                       : strcmp(stream->kind, "stdout") == 0 ? process->stdout_log
                                                             : process->stderr_log;

    if (!stream->absent && !stream->path_known) {
        stream->stale = stream->under_way; /* the answer may be of a moment before */
        return;
    }
    if (absent == stream->absent && (absent || logstream_same_path(path, stream->path)))
        return;
    stream->stale = true;
    if (stream->call != NULL) {
        rpc_call_cancel(stream->call);
    } else if (!stream->under_way) {
        stream->retry_at = clock_after(LOGSTREAM_CALM);
        cond_signal(&stream->streams->due);
    }
}

/* A reference; NULL: nothing is known of its processes now. */
static struct node_view *view_of(struct logstreams *streams, const char *name)
{
    struct node *node = registry_find(streams->registry, name);
    struct node_view *view = NULL;

    if (node == NULL)
        return NULL;
    view = node_view(node);
    node_unref(&node);
    if (view->state != NODE_UP)
        node_view_unref(&view);
    return view;
}

void logstream_process_check(struct logstream *stream)
{
    struct node_view *view = view_of(stream->streams, stream->node);

    if (view == NULL)
        return;
    lock_acquire(&stream->streams->lock);
    compare_locked(stream, view);
    lock_release(&stream->streams->lock);
    node_view_unref(&view);
}

static void look_at(struct logstreams *streams, const char *name)
{
    struct logstream_node *node;
    struct logstream *stream;
    struct node_view *view;
    bool followed;

    lock_acquire(&streams->lock);
    followed = find_locked(streams, name) != NULL;
    lock_release(&streams->lock);
    if (!followed || (view = view_of(streams, name)) == NULL)
        return;
    lock_acquire(&streams->lock);
    node = find_locked(streams, name);
    /* One poll makes an event for each process that it saw change: the first is enough. */
    if (node != NULL && node->revision != view->revision && !streams->stopping) {
        node->revision = view->revision;
        DL_FOREACH(node->streams, stream)
        compare_locked(stream, view);
    }
    lock_release(&streams->lock);
    node_view_unref(&view);
}

/* Events are missing: whatever is followed may have changed. */
static void look_at_all(struct logstreams *streams)
{
    struct logstream_node *node, *next;
    char **names;
    size_t count = 0;

    lock_acquire(&streams->lock);
    names = mem_array(HASH_COUNT(streams->by_node) + 1, sizeof(names[0]));
    HASH_ITER(hh, streams->by_node, node, next)
    names[count++] = mem_string(node->name);
    lock_release(&streams->lock);
    for (size_t i = 0; i < count; i++) {
        look_at(streams, names[i]);
        free(names[i]);
    }
    free(names);
}

void logstreams_sink(void *argument, struct event *event)
{
    struct logstreams *streams = argument;

    if (event->type == EVENT_PROCESS)
        look_at(streams, event->node);
    else if (event->type == EVENT_LOST)
        look_at_all(streams);
}
