/*
 * Live logs: who watches what, and when an upstream is started, retried or ended. How it is opened
 * is logstream_open.c, what comes down it logstream_data.c, and that it is the right one still
 * logstream_process.c.
 *
 * Hub workers and the reaper watch and unwatch, the rpc loops deliver, one thread starts upstreams
 * (again) when they are due. All meet under LOCK_LOGSTREAMS, held for bookkeeping only; calls,
 * events and JSON are made outside. A stream lives as long as someone watches it or a call of it is
 * under way: each holds a reference.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "logstream_private.h"

#define RETRY_MIN 1.0
#define RETRY_MAX 30.0

static void node_came(void *argument, struct node *node)
{
    (void) argument;
    (void) node; /* a stream that waits for it looks again by itself */
}

/* What is open to a node that went, or is reached elsewhere now, ends; a stream that is opened anew
 * finds the node as it is. */
static void node_went(void *argument, struct node *node)
{
    struct logstreams *streams = argument;

    lock_acquire(&streams->lock);
    logstream_process_went_locked(streams, node_name(node));
    lock_release(&streams->lock);
}

struct logstreams *logstreams_create(struct config_box *config, struct registry *registry,
                                     void (*publish)(void *argument, struct event *event),
                                     void *argument)
{
    struct logstreams *streams = mem_alloc(sizeof(*streams));

    streams->config = config;
    streams->registry = registry;
    streams->publish = publish;
    streams->argument = argument;
    lock_init(&streams->lock, LOCK_LOGSTREAMS);
    cond_init(&streams->due);
    registry_watch(registry, &(struct registry_watcher){.added = node_came,
                                                        .changed = node_went,
                                                        .removed = node_went,
                                                        .argument = streams});
    return streams;
}

void logstreams_destroy(struct logstreams **slot)
{
    struct logstreams *streams = *slot;

    *slot = NULL;
    if (streams == NULL)
        return;
    CHECK(streams->by_topic == NULL && streams->by_node == NULL);
    cond_destroy(&streams->due);
    lock_destroy(&streams->lock);
    free(streams);
}

/* "log:NODE:GROUP:PROCESS:STREAM" into its parts. */
static bool split_topic(struct logstream *stream)
{
    const char *node = stream->topic + 4;
    const char *process = strchr(stream->topic + 4, ':');
    const char *kind = strrchr(stream->topic, ':');

    if (strncmp(stream->topic, "log:", 4) != 0 || process == NULL || process >= kind)
        return false;
    stream->node = mem_bytes(node, (size_t) (process - node));
    stream->process = mem_bytes(process + 1, (size_t) (kind - process - 1));
    stream->kind = mem_string(kind + 1);
    return strchr(stream->process, ':') != NULL &&
           (strcmp(stream->kind, "stdout") == 0 || strcmp(stream->kind, "stderr") == 0);
}

static void stream_free(struct logstream *stream)
{
    CHECK(stream->call == NULL);
    strbuf_destroy(&stream->tail);
    strbuf_destroy(&stream->held);
    free(stream->environment);
    free(stream->path);
    free(stream->topic);
    free(stream->node);
    free(stream->process);
    free(stream->kind);
    free(stream);
}

void logstream_release(struct logstream *stream)
{
    struct logstreams *streams = stream->streams;
    bool last;

    lock_acquire(&streams->lock);
    last = --stream->references == 0;
    lock_release(&streams->lock);
    if (last)
        stream_free(stream);
}

static struct logstream *stream_create(struct logstreams *streams, const char *topic)
{
    struct logstream *stream = mem_alloc(sizeof(*stream));

    stream->streams = streams;
    stream->topic = mem_string(topic);
    stream->next_offset = -1;
    stream->budget = LOGSTREAM_BURST;
    stream->budget_at = clock_now();
    strbuf_init(&stream->tail, LOGSTREAM_TAIL * 2);
    strbuf_init(&stream->held, LOGSTREAM_HELD * 2);
    return stream;
}

int logstreams_watch(struct logstreams *streams, const char *topic, struct event **tail,
                     uint64_t *after)
{
    struct logstream *fresh = stream_create(streams, topic);
    struct logstream *stream;
    struct logstream_piece piece = {0};
    int error = CESID_OK;

    *tail = NULL;
    if (!split_topic(fresh)) {
        stream_free(fresh);
        return CESID_E_VALIDATION_FAILED;
    }
    lock_acquire(&streams->lock);
    HASH_FIND_STR(streams->by_topic, topic, stream);
    if (streams->stopping) {
        error = CESID_E_SHUTTING_DOWN;
    } else if (stream == NULL) {
        stream = fresh;
        fresh = NULL;
        stream->references = 1; /* of the table */
        stream->retry_at = clock_now();
        stream->number = (uint64_t) ++streams->opened << 32;
        HASH_ADD_KEYPTR(hh, streams->by_topic, stream->topic, strlen(stream->topic), stream);
        logstream_process_add_locked(stream);
        cond_signal(&streams->due);
    } else if (stream->tail.length > 0 || stream->told != CESID_OK) {
        logstream_tail_locked(stream, &piece);
    }
    if (error == CESID_OK) {
        *after = stream->number;
        stream->watchers++;
        stream->references++; /* until the tail is rendered */
    }
    lock_release(&streams->lock);
    if (fresh != NULL)
        stream_free(fresh);
    if (error != CESID_OK)
        return error;
    if (piece.data != NULL)
        *tail = logstream_event(stream, &piece);
    logstream_piece_free(&piece);
    logstream_release(stream);
    return CESID_OK;
}

void logstreams_unwatch(struct logstreams *streams, const char *topic)
{
    struct logstream *stream;
    struct rpc_call *call = NULL;
    bool ended = false;

    lock_acquire(&streams->lock);
    HASH_FIND_STR(streams->by_topic, topic, stream);
    if (stream != NULL && --stream->watchers == 0) {
        HASH_DEL(streams->by_topic, stream);
        logstream_process_remove_locked(stream);
        stream->closed = true;
        call = stream->call;
        stream->call = NULL;
        ended = true;
    }
    lock_release(&streams->lock);
    if (call != NULL) {
        rpc_call_cancel(call);
        rpc_call_unref(&call);
    }
    if (ended)
        logstream_release(stream);
}

size_t logstreams_count(struct logstreams *streams)
{
    size_t count;

    lock_acquire(&streams->lock);
    count = HASH_COUNT(streams->by_topic);
    lock_release(&streams->lock);
    return count;
}

void logstream_ended(struct logstream *stream, int error, bool retry_soon)
{
    struct logstreams *streams = stream->streams;
    struct rpc_call *call;
    bool tell;

    lock_acquire(&streams->lock);
    call = stream->call;
    stream->call = NULL;
    stream->under_way = false;
    stream->attempt++;
    if (retry_soon)
        stream->retry_delay = RETRY_MIN;
    else
        stream->retry_delay = stream->retry_delay == 0 ? RETRY_MIN : stream->retry_delay * 2;
    if (stream->retry_delay > RETRY_MAX)
        stream->retry_delay = RETRY_MAX;
    stream->retry_at = clock_after(stream->stale ? LOGSTREAM_CALM : stream->retry_delay);
    tell = !stream->closed && !streams->stopping && error != CESID_OK && error != stream->told;
    stream->told = error;
    cond_signal(&streams->due);
    lock_release(&streams->lock);
    if (call != NULL)
        rpc_call_unref(&call);
    if (tell)
        logstream_tell(stream, error, -1);
    logstream_release(stream);
}

/* The first stream that is due, marked as under way and referenced; else when to look again. */
static struct logstream *next_due_locked(struct logstreams *streams, int64_t *look_again)
{
    struct logstream *stream, *next, *first = NULL;
    int64_t now = clock_now();

    *look_again = CLOCK_NEVER;
    HASH_ITER(hh, streams->by_topic, stream, next)
    {
        if (stream->under_way)
            continue;
        if (stream->retry_at <= now)
            first = stream;
        else if (stream->retry_at < *look_again)
            *look_again = stream->retry_at;
    }
    if (first != NULL) {
        first->under_way = true;
        first->references++;
    }
    return first;
}

static void run(void *argument)
{
    struct logstreams *streams = argument;

    lock_acquire(&streams->lock);
    while (!streams->stopping) {
        int64_t look_again;
        struct logstream *stream = next_due_locked(streams, &look_again);

        if (stream == NULL) {
            cond_wait_until(&streams->due, &streams->lock, look_again);
            continue;
        }
        lock_release(&streams->lock);
        logstream_open(stream);
        lock_acquire(&streams->lock);
    }
    lock_release(&streams->lock);
}

int logstreams_start(struct logstreams *streams)
{
    return thread_start(&streams->thread, "logstream", "logstream", run, streams);
}

void logstreams_stop(struct logstreams *streams)
{
    struct logstream *stream, *next;

    lock_acquire(&streams->lock);
    streams->stopping = true;
    cond_broadcast(&streams->due);
    /* Cancelling only queues a command: it may be done under the lock, which ranks below. */
    HASH_ITER(hh, streams->by_topic, stream, next)
    {
        if (stream->call != NULL)
            rpc_call_cancel(stream->call);
    }
    lock_release(&streams->lock);
    thread_join(&streams->thread);
}
