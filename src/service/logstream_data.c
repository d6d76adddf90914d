/*
 * What comes down a log's upstream: cut at character borders, within a budget, kept as the tail for
 * late watchers, made into events. Where bytes belong when the log moved is found by
 * logstream_place.c; how the upstream comes to be open is logstream_open.c.
 * Everything here runs on the rpc loop threads, or on the thread that watches for the tail.
 * Lock: LOCK_LOGSTREAMS.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "cesid/text.h"
#include "logstream_private.h"

/* What supervisord says, in the middle of the stream, when a log became shorter. */
static const char truncated_mark[] = "==> File truncated <==\n";

void logstream_piece_free(struct logstream_piece *piece)
{
    free(piece->data);
    free(piece->environment);
    *piece = (struct logstream_piece){0};
}

struct event *logstream_event(struct logstream *stream, const struct logstream_piece *piece)
{
    struct strbuf data;
    struct json json;
    struct event *event;

    strbuf_init(&data, (size_t) 4 << 20);
    json_start(&json, &data);
    json_object(&json);
    json_put_string(&json, "node", stream->node);
    json_put_string(&json, "process", stream->process);
    json_put_string(&json, "stream", stream->kind);
    json_put_integer(&json, "offset", piece->offset);
    json_key(&json, "data");
    json_bytes(&json, piece->data != NULL ? piece->data : "", piece->length);
    json_put_integer(&json, "skipped", piece->skipped);
    if (piece->error != CESID_OK)
        json_put_string(&json, "error", error_code(piece->error));
    json_object_end(&json);
    CHECK(!strbuf_failed(&data));
    event =
        event_create(EVENT_LOG, LOG_READ, piece->environment, stream->node, data.data, data.length);
    strbuf_destroy(&data);
    event->topic = mem_string(stream->topic);
    event->raw = mem_bytes(piece->data != NULL ? piece->data : "", piece->length);
    event->raw_length = piece->length;
    event->raw_offset = piece->offset;
    event->number = piece->number;
    return event;
}

static void publish(struct logstream *stream, struct logstream_piece *piece)
{
    struct event *event = logstream_event(stream, piece);

    stream->streams->publish(stream->streams->argument, event);
    event_unref(&event);
    logstream_piece_free(piece);
}

void logstream_tail_locked(struct logstream *stream, struct logstream_piece *piece)
{
    lock_assert_held(&stream->streams->lock);
    piece->data = mem_bytes(stream->tail.data, stream->tail.length);
    piece->length = stream->tail.length;
    piece->offset = stream->tail_offset;
    if (stream->tail.length == 0 && stream->next_offset > 0)
        piece->offset = stream->next_offset;
    piece->error = stream->told;
    piece->number = stream->number;
    piece->environment = mem_string(stream->environment);
}

void logstream_tell(struct logstream *stream, int error, int64_t offset)
{
    struct logstream_piece piece = {.error = error, .offset = offset};

    lock_acquire(&stream->streams->lock);
    if (offset < 0)
        piece.offset = stream->next_offset < 0 ? 0 : stream->next_offset;
    piece.number = ++stream->number;
    piece.environment = mem_string(stream->environment);
    lock_release(&stream->streams->lock);
    publish(stream, &piece);
}

/* Keeps the last LOGSTREAM_TAIL bytes, from a line's start where there is one. */
static void keep_tail_locked(struct logstream *stream, const char *data, size_t length,
                             int64_t offset)
{
    struct strbuf *tail = &stream->tail;
    size_t excess;
    const char *newline;

    if (tail->length == 0 || stream->tail_offset + (int64_t) tail->length != offset) {
        strbuf_clear(tail);
        stream->tail_offset = offset;
    }
    if (length > LOGSTREAM_TAIL) {
        strbuf_clear(tail);
        stream->tail_offset = offset + (int64_t) (length - LOGSTREAM_TAIL);
        data += length - LOGSTREAM_TAIL;
        length = LOGSTREAM_TAIL;
    }
    strbuf_add(tail, data, length);
    if (tail->length <= LOGSTREAM_TAIL)
        return;
    excess = tail->length - LOGSTREAM_TAIL;
    newline = memchr(tail->data + excess, '\n', tail->length - excess);
    if (newline != NULL)
        excess = (size_t) (newline - tail->data) + 1;
    memmove(tail->data, tail->data + excess, tail->length - excess);
    strbuf_truncate(tail, tail->length - excess);
    stream->tail_offset += (int64_t) excess;
}

static bool within_budget_locked(struct logstream *stream, size_t length)
{
    stream->budget += clock_seconds_since(stream->budget_at) * LOGSTREAM_RATE;
    stream->budget_at = clock_now();
    if (stream->budget > LOGSTREAM_BURST)
        stream->budget = LOGSTREAM_BURST;
    if (stream->budget < (double) length)
        return false;
    stream->budget -= (double) length;
    return true;
}

/* Turns bytes of the upstream into a piece; false when nothing is to be passed on. */
static bool take_locked(struct logstream *stream, const char *data, size_t length,
                        struct logstream_piece *piece)
{
    struct strbuf whole;
    size_t complete;

    if (stream->discard > 0) {
        size_t drop = (size_t) stream->discard < length ? (size_t) stream->discard : length;

        stream->discard -= (int64_t) drop;
        data += drop;
        length -= drop;
    }
    if (!stream->at_line_start && length > 0) {
        const char *newline = memchr(data, '\n', length < LOGSTREAM_HEAD ? length : LOGSTREAM_HEAD);
        size_t drop = newline != NULL ? (size_t) (newline - data) + 1 : 0;

        stream->at_line_start = true;
        stream->next_offset += (int64_t) drop;
        if (stream->resumed)
            stream->skipped += (int64_t) drop;
        data += drop;
        length -= drop;
    }
    if (length == 0)
        return false;

    strbuf_init(&whole, LOGSTREAM_PIECE + sizeof(stream->partial));
    strbuf_add(&whole, stream->partial, stream->partial_length);
    strbuf_add(&whole, data, length);
    complete = text_utf8_complete(whole.data, whole.length);
    stream->partial_length = whole.length - complete;
    memcpy(stream->partial, whole.data + complete, stream->partial_length);
    if (complete == 0 || !within_budget_locked(stream, complete)) {
        stream->skipped += (int64_t) complete;
        stream->next_offset += (int64_t) complete;
        strbuf_destroy(&whole);
        return false;
    }
    keep_tail_locked(stream, whole.data, complete, stream->next_offset);
    piece->data = mem_bytes(whole.data, complete);
    piece->length = complete;
    piece->offset = stream->next_offset;
    piece->skipped = stream->skipped;
    piece->number = ++stream->number;
    piece->environment = mem_string(stream->environment);
    stream->skipped = 0;
    stream->next_offset += (int64_t) complete;
    strbuf_destroy(&whole);
    return true;
}

/* The log begins anew: readers see it by the offset. */
void logstream_begin_anew_locked(struct logstream *stream, int64_t offset)
{
    lock_assert_held(&stream->streams->lock);
    stream->next_offset = offset;
    stream->partial_length = 0;
    stream->discard = 0;
    stream->skipped = 0;
    stream->at_line_start = true;
    stream->anew_at = -1;
    strbuf_clear(&stream->tail);
}

static void consume_locked(struct logstream *stream, size_t length)
{
    struct strbuf *held = &stream->held;

    memmove(held->data, held->data + length, held->length - length);
    strbuf_truncate(held, held->length - length);
    stream->read -= length < stream->read ? length : stream->read;
}

/* The next step with what is held: a piece, or the beginning of another log (true). */
static bool step_locked(struct logstream *stream, struct logstream_piece *piece, bool *some)
{
    struct strbuf *held = &stream->held;
    size_t part = held->length < LOGSTREAM_PIECE ? held->length : LOGSTREAM_PIECE;
    const char *mark;

    *some = false;
    if (stream->anew_at == 0) {
        logstream_begin_anew_locked(stream, stream->anew_offset);
        return true;
    }
    if (stream->anew_at > 0 && (size_t) stream->anew_at < part)
        part = (size_t) stream->anew_at;
    if (stream->read > 0 && stream->read < part)
        part = stream->read;
    mark = stream->read > 0 ? NULL
                            : memmem(held->data, part, truncated_mark, sizeof(truncated_mark) - 1);
    if (mark == held->data) {
        logstream_begin_anew_locked(stream, 0);
        consume_locked(stream, sizeof(truncated_mark) - 1);
        return true;
    }
    if (mark != NULL)
        part = (size_t) (mark - held->data);
    *some = take_locked(stream, held->data, part, piece);
    consume_locked(stream, part);
    if (stream->anew_at > 0)
        stream->anew_at -= (int64_t) part;
    return false;
}

void logstream_deliver(struct logstream *stream)
{
    struct logstreams *streams = stream->streams;

    lock_acquire(&streams->lock);
    if (!stream->delivering) {
        stream->delivering = true;
        while (stream->settled && !stream->closed &&
               (stream->held.length > 0 || stream->anew_at == 0)) {
            struct logstream_piece piece = {0};
            bool some, anew = step_locked(stream, &piece, &some);

            lock_release(&streams->lock);
            if (anew)
                logstream_tell(stream, CESID_OK, -1);
            if (some)
                publish(stream, &piece);
            lock_acquire(&streams->lock);
        }
        stream->delivering = false;
    }
    lock_release(&streams->lock);
}

bool logstream_data(void *argument, const char *data, size_t length)
{
    struct logstream *stream = argument;
    struct logstreams *streams = stream->streams;
    bool closed, ask;

    lock_acquire(&streams->lock);
    closed = stream->closed;
    stream->told = CESID_OK;
    if (!closed)
        strbuf_add(&stream->held, data, length);
    CHECK(!strbuf_failed(&stream->held));
    /* Where it was cut does not change where it belongs: then there is nothing to find out. */
    if (memmem(stream->held.data + stream->read, stream->held.length - stream->read, truncated_mark,
               sizeof(truncated_mark) - 1) != NULL)
        logstream_place_end_locked(stream);
    ask = !closed && logstream_place_due_locked(stream);
    lock_release(&streams->lock);
    if (ask)
        logstream_place_ask(stream);
    logstream_deliver(stream);
    return !closed;
}
