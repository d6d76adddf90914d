/*
 * One upstream of a log: the size first (so that bytes have offsets), then /logtail/, which starts
 * up to 1,024 bytes back (supervisor/http.py, tail_f_producer) and goes on as the log grows. Where
 * its bytes belong when the log moved meanwhile is found by logstream_place.c.
 * Everything here runs on the rpc loop threads, or on the logstream thread for the first step.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
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

void logstream_tell(struct logstream *stream, int error)
{
    struct logstream_piece piece = {.error = error};

    lock_acquire(&stream->streams->lock);
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
static void begin_anew_locked(struct logstream *stream, int64_t offset)
{
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
}

/* The next step with what is held: a piece, or the beginning of another log (true). */
static bool step_locked(struct logstream *stream, struct logstream_piece *piece, bool *some)
{
    struct strbuf *held = &stream->held;
    size_t part = held->length < LOGSTREAM_PIECE ? held->length : LOGSTREAM_PIECE;
    const char *mark;

    *some = false;
    if (stream->anew_at == 0) {
        begin_anew_locked(stream, stream->anew_offset);
        return true;
    }
    if (stream->anew_at > 0 && (size_t) stream->anew_at < part)
        part = (size_t) stream->anew_at;
    mark = memmem(held->data, part, truncated_mark, sizeof(truncated_mark) - 1);
    if (mark == held->data) {
        begin_anew_locked(stream, 0);
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
                logstream_tell(stream, CESID_OK);
            if (some)
                publish(stream, &piece);
            lock_acquire(&streams->lock);
        }
        stream->delivering = false;
    }
    lock_release(&streams->lock);
}

static bool on_data(void *argument, const char *data, size_t length)
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
    if (memmem(stream->held.data, stream->held.length, truncated_mark,
               sizeof(truncated_mark) - 1) != NULL)
        logstream_place_end_locked(stream);
    ask = !closed && logstream_place_due_locked(stream);
    lock_release(&streams->lock);
    if (ask)
        logstream_place_ask(stream);
    logstream_deliver(stream);
    return !closed;
}

static void upstream_done(void *argument, const struct rpc_result *result)
{
    struct logstream *stream = argument;
    int error = result->error;

    lock_acquire(&stream->streams->lock);
    logstream_place_end_locked(stream);
    lock_release(&stream->streams->lock);
    logstream_deliver(stream);
    if (error == CESID_E_CANCELLED)
        error = CESID_OK; /* nobody follows it any more, or its node changed: no failure */
    if (result->status == 404)
        error = CESID_E_NOT_FOUND; /* no such process, or it has no log (yet) */
    if (error != CESID_OK)
        log_debug("logstream", "log stream ended", log_s("topic", stream->topic),
                  log_s("cause", rpc_cause_name(result->cause)), log_s("detail", result->detail));
    logstream_ended(stream, error, error == CESID_OK);
}

static void logtail_path(struct strbuf *path, const struct logstream *stream)
{
    strbuf_puts(path, "/logtail/");
    for (const char *c = stream->process; *c != '\0'; c++) {
        if ((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
            *c == '-' || *c == '.' || *c == '_' || *c == '~')
            strbuf_putc(path, *c);
        else
            strbuf_printf(path, "%%%02X", (unsigned char) *c);
    }
    strbuf_printf(path, "/%s", stream->kind);
}

/* The upstream, from the position that was found. Takes over the reference. */
static void open_upstream(struct logstream *stream, struct rpc_endpoint *endpoint)
{
    struct logstreams *streams = stream->streams;
    struct config *config = config_get(streams->config);
    struct rpc_request request = {
        .method = "GET",
        .deadline = CLOCK_NEVER,
        .connect_timeout = config->timeouts.log,
        .on_data = on_data,
        .done = upstream_done,
        .argument = stream,
    };
    struct rpc_call *call = NULL;
    struct strbuf path;
    uint64_t attempt;
    bool closed, stored = false;
    int error = CESID_E_CANCELLED;

    strbuf_init(&path, 2048);
    logtail_path(&path, stream);
    request.path = path.data;
    lock_acquire(&streams->lock);
    attempt = stream->attempt;
    closed = stream->closed || streams->stopping;
    stream->references++; /* of this function, past the call's own */
    lock_release(&streams->lock);

    if (!closed)
        error = rpc_submit(endpoint, &request, &call);
    if (error != CESID_OK) {
        logstream_ended(stream, error, false);
    } else {
        lock_acquire(&streams->lock);
        closed = stream->closed || streams->stopping;
        if (!closed && stream->attempt == attempt) {
            stream->call = call;
            stored = true;
        }
        lock_release(&streams->lock);
        if (closed)
            rpc_call_cancel(call);
        if (!stored)
            rpc_call_unref(&call);
    }
    logstream_release(stream);
    strbuf_destroy(&path);
    config_unref(&config);
}

/* The context of the first step. */
struct sizing {
    struct logstream *stream;
    struct node_settings *settings;
};

static void size_known(void *argument, struct supervisor_result *result)
{
    struct sizing *sizing = argument;
    struct logstream *stream = sizing->stream;
    const struct xmlrpc_value *value = result->answer.value;
    int64_t size = -1;

    /* tailProcessStdoutLog answers [text, size of the log, overflow] */
    if (result->error == CESID_OK && value->type == XMLRPC_ARRAY && value->as.items.count == 3 &&
        value->as.items.first->next->type == XMLRPC_INT)
        size = value->as.items.first->next->as.integer;
    if (size < 0) {
        logstream_ended(stream, result->error != CESID_OK ? result->error : CESID_E_NODE_PROTOCOL,
                        false);
    } else {
        lock_acquire(&stream->streams->lock);
        logstream_place_open_locked(stream, size);
        lock_release(&stream->streams->lock);
        open_upstream(stream, sizing->settings->endpoint);
    }
    node_settings_unref(&sizing->settings);
    free(sizing);
}

void logstream_open(struct logstream *stream)
{
    struct logstreams *streams = stream->streams;
    struct node *node = registry_find(streams->registry, stream->node);
    struct config *config;
    struct node_settings *settings;
    struct supervisor_call call;
    struct sizing *sizing;
    char *old;
    int error;

    if (node == NULL) {
        logstream_ended(stream, CESID_E_NOT_FOUND, false);
        return;
    }
    settings = node_settings(node);
    node_unref(&node);
    lock_acquire(&streams->lock);
    old = stream->environment;
    stream->environment = mem_string(settings->config.environment);
    lock_release(&streams->lock);
    free(old);
    if (settings->endpoint == NULL) {
        node_settings_unref(&settings);
        logstream_ended(stream, CESID_E_CONFLICT, false);
        return;
    }

    config = config_get(streams->config);
    sizing = mem_alloc(sizeof(*sizing));
    sizing->stream = stream;
    sizing->settings = settings;
    supervisor_call_init(&call,
                         strcmp(stream->kind, "stdout") == 0 ? "supervisor.tailProcessStdoutLog"
                                                             : "supervisor.tailProcessStderrLog",
                         config, config->timeouts.log);
    xmlrpc_add_string(&call.body, stream->process, strlen(stream->process));
    xmlrpc_add_int(&call.body, 0);
    xmlrpc_add_int(&call.body, 0);
    error = supervisor_submit(settings->endpoint, &call, size_known, sizing, NULL);
    supervisor_call_destroy(&call);
    if (error != CESID_OK) {
        node_settings_unref(&sizing->settings);
        free(sizing);
        logstream_ended(stream, error, false);
    }
    config_unref(&config);
}
