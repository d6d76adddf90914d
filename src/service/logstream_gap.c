/*
 * What a log got between looking how large it is and opening it. /logtail/ goes back 1,024 bytes
 * only, and a program says most when it starts; so what is missing before them is read, while what
 * came down the upstream is held. Where that begins may be a guess (logstream_place.c): a few bytes
 * of it are read as well, and only what joins is taken. What does not, or is no text, or is more
 * than a piece, is left out.
 *
 * Runs on the rpc loop threads. Lock: LOCK_LOGSTREAMS.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/text.h"
#include "logstream_private.h"

#define JOINT_MOST 512

struct logstream_gap {
    struct logstream *stream; /* reference */
    uint64_t attempt;
    int64_t from, length; /* in the log */
    int64_t size;         /* of the log */
    size_t joint;         /* bytes after it, which are held, too */
};

struct logstream_gap *logstream_gap_find_locked(struct logstream *stream, int64_t start,
                                                int64_t size)
{
    const struct strbuf *held = &stream->held;
    struct logstream_gap *gap;

    lock_assert_held(&stream->streams->lock);
    if (stream->next_offset < 0 || start <= stream->next_offset ||
        start - stream->next_offset > LOGSTREAM_PIECE)
        return NULL;
    gap = mem_alloc(sizeof(*gap));
    *gap = (struct logstream_gap){.stream = stream,
                                  .attempt = stream->attempt,
                                  .from = stream->next_offset,
                                  .length = start - stream->next_offset,
                                  .size = size};
    gap->joint =
        text_utf8_complete(held->data, held->length < JOINT_MOST ? held->length : JOINT_MOST);
    stream->references++;
    stream->sized = start + LOGSTREAM_HEAD; /* where it begins, if nobody waits for the gap */
    return gap;
}

/* Puts it before what is held. False: the log holds no such text. */
static bool fill_locked(const struct logstream_gap *gap, const struct xmlrpc_value *list)
{
    struct strbuf *held = &gap->stream->held;
    const struct xmlrpc_value *text;
    struct strbuf whole;

    if (list == NULL || list->type != XMLRPC_ARRAY || list->as.items.count != 1)
        return false;
    text = list->as.items.first;
    if (text->type != XMLRPC_STRING ||
        text->as.string.length != (size_t) gap->length + gap->joint ||
        memcmp(text->as.string.data + gap->length, held->data, gap->joint) != 0)
        return false;
    strbuf_init(&whole, LOGSTREAM_HELD * 2);
    strbuf_add(&whole, text->as.string.data, (size_t) gap->length);
    strbuf_add(&whole, held->data, held->length);
    strbuf_destroy(held);
    *held = whole;
    gap->stream->read = (size_t) gap->length;
    return true;
}

static void settle(struct logstream_gap *gap, const struct xmlrpc_value *list)
{
    struct logstream *stream = gap->stream;
    struct logstreams *streams = stream->streams;

    lock_acquire(&streams->lock);
    if (stream->attempt == gap->attempt && !stream->closed && !streams->stopping) {
        if (!stream->settled && stream->opening)
            logstream_place_begin_locked(
                stream, fill_locked(gap, list) ? gap->from : gap->from + gap->length, gap->size);
        logstream_place_settled_locked(stream);
    }
    lock_release(&streams->lock);
    logstream_deliver(stream);
    logstream_release(stream);
    free(gap);
}

static void answered(void *argument, struct supervisor_result *result)
{
    settle(argument, result->error == CESID_OK ? result->answer.value : NULL);
}

void logstream_gap_read(struct logstream_gap *gap)
{
    struct config *config = config_get(gap->stream->streams->config);
    struct supervisor_call call;
    int error;

    supervisor_call_init(&call, "system.multicall", config, logstream_patience(config));
    xmlrpc_batch_begin(&call.body);
    logstream_add_read(&call, gap->stream, gap->from, gap->length + (int64_t) gap->joint);
    xmlrpc_batch_end(&call.body);
    error = logstream_submit(gap->stream, &call, answered, gap);
    supervisor_call_destroy(&call);
    config_unref(&config);
    if (error != CESID_OK)
        settle(gap, NULL);
}
