/*
 * Where the bytes of an upstream belong. /logtail/ tells no offsets: it begins 1,024 bytes before
 * the end that the log has when supervisord comes to it, and when the log is replaced (rotated or
 * cleared: another inode) it goes on with the new one without a word. So the size of the log is
 * asked for when the first bytes came, and again once a second while more come; until the answer
 * they are held. What came before the question was in the log when it was answered. Mostly that
 * settles it. If not (the log grows all the time, or is another one now) the end of the log is read
 * and what came last is looked up in it. Only a log that grows by more than that between two looks,
 * or says the same over and over, or is no text, is placed by its size alone.
 *
 * Runs on the rpc loop threads. Lock: LOCK_LOGSTREAMS.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/memory.h"
#include "logstream_private.h"

#define SIZE_MOST (INT64_C(1) << 50) /* of a log; more is not believed */

#define LOOK_AGAIN   1.0  /* seconds that an answer holds while bytes come */
#define ANSWER_MOST  2.0  /* seconds that an answer may take; then no more is asked */
#define WINDOW_NEAR  4096 /* both can be divided by… */
#define WINDOW_FAR   65536
#define WINDOW_SHIFT 4 /* …the bytes of a character */
#define NEEDLE_MOST  512
#define NEEDLE_LEAST 16

static int64_t first_byte(int64_t size)
{
    return size > LOGSTREAM_HEAD ? size - LOGSTREAM_HEAD : 0;
}

void logstream_place_open_locked(struct logstream *stream, int64_t size)
{
    lock_assert_held(&stream->streams->lock);
    strbuf_clear(&stream->held);
    stream->read = 0;
    stream->settled = stream->asking = false;
    stream->opening = true;
    stream->sized = size;
    stream->anew_at = -1;
}

void logstream_place_begin_locked(struct logstream *stream, int64_t start, int64_t size)
{
    lock_assert_held(&stream->streams->lock);
    stream->opening = false;
    if (start < 0) { /* its first bytes are of a log that is gone */
        size_t gone = (size_t) -start < stream->held.length ? (size_t) -start : stream->held.length;

        memmove(stream->held.data, stream->held.data + gone, stream->held.length - gone);
        strbuf_truncate(&stream->held, stream->held.length - gone);
        if (stream->next_offset >= 0)
            stream->skipped += (int64_t) gone;
        start = 0;
    }
    stream->partial_length = 0;
    stream->discard = 0;
    stream->at_line_start = start == 0;
    stream->resumed = stream->next_offset >= 0 && stream->next_offset <= size;
    if (stream->next_offset >= start && stream->next_offset <= size) {
        stream->discard = stream->next_offset - start;
        stream->at_line_start = true;
        return;
    }
    if (stream->next_offset >= 0 && stream->next_offset < start)
        stream->skipped += start - stream->next_offset;
    stream->next_offset = start;
}

/* As if nothing had happened since it was known last. */
static void settle_blindly_locked(struct logstream *stream)
{
    if (!stream->settled && stream->opening)
        logstream_place_begin_locked(stream, first_byte(stream->sized), stream->sized);
    stream->settled = true;
}

void logstream_place_end_locked(struct logstream *stream)
{
    lock_assert_held(&stream->streams->lock);
    if (stream->held.length == 0)
        return;
    settle_blindly_locked(stream);
    stream->settled_at = clock_now();
}

void logstream_place_settled_locked(struct logstream *stream)
{
    settle_blindly_locked(stream);
    stream->asking = false;
    stream->settled_at = clock_now();
}

bool logstream_place_due_locked(struct logstream *stream)
{
    lock_assert_held(&stream->streams->lock);
    if (stream->held.length > LOGSTREAM_HELD)
        settle_blindly_locked(stream);
    if (stream->asking ||
        (stream->settled &&
         (stream->anew_at >= 0 || clock_seconds_since(stream->settled_at) < LOOK_AGAIN)))
        return false;
    stream->settled = false;
    stream->asking = true;
    return true;
}

/* ---- the answer ---- */

struct question {
    struct logstream *stream; /* reference */
    uint64_t attempt;
    int64_t asked;  /* bytes that were held */
    int64_t window; /* of the log's end; 0: its size alone */
    int64_t since;  /* clock_now() of the first one */
    int64_t start;  /* where what was held begins */
    int64_t size;   /* of the log */
    int64_t next;   /* window to look at if it is not found; 0: none */
};

static const char *find_last(const char *text, size_t length, const char *needle, size_t size)
{
    for (size_t at = length >= size ? length - size + 1 : 0; at > 0; at--) {
        if (memcmp(text + at - 1, needle, size) == 0)
            return text + at - 1;
    }
    return NULL;
}

/* Whether what was held stands where it does if the log did not grow before it was opened. That
 * settles it also for the first few bytes of a log that is just beginning to fill. */
static bool stands_there(const struct logstream *stream, const struct question *question,
                         int64_t size, const struct xmlrpc_value *text, int64_t start)
{
    int64_t length = (int64_t) text->as.string.length, at = start - (size - length);

    return stream->opening && at >= 0 && at <= length - question->asked &&
           memcmp(text->as.string.data + at, stream->held.data, (size_t) question->asked) == 0 &&
           memmem(text->as.string.data, (size_t) length, "\xEF\xBF\xBD", 3) == NULL;
}

/* Looks up in the log's end what was held when it was asked for. False: it is not there. */
static bool look_up(const struct logstream *stream, const struct question *question, int64_t size,
                    const struct xmlrpc_value *text, int64_t *start)
{
    size_t length, needle;
    const char *found, *rest;

    if (text == NULL || text->type != XMLRPC_STRING)
        return false;
    if (stands_there(stream, question, size, text, first_byte(stream->sized))) {
        *start = first_byte(stream->sized);
        return true;
    }
    length = text->as.string.length;
    needle = (size_t) question->asked < NEEDLE_MOST ? (size_t) question->asked : NEEDLE_MOST;
    if ((int64_t) needle > size)
        needle = (size_t) size;
    if (needle < NEEDLE_LEAST && (int64_t) needle < size)
        return false;
    found = find_last(text->as.string.data, length,
                      stream->held.data + question->asked - (int64_t) needle, needle);
    if (found == NULL)
        return false;
    rest = found + needle;
    length -= (size_t) (rest - text->as.string.data);
    if (memmem(rest, length, "\xEF\xBF\xBD", 3) != NULL)
        return false; /* it may stand for one byte or for three */
    *start = size - (int64_t) length - question->asked;
    return true;
}

/* What to look at next; 0: nothing. An end that begins inside a character is a fault: then one more
 * byte of it is asked for. */
static int64_t next_window(const struct question *question, const struct xmlrpc_value *text)
{
    bool is_text = text != NULL && text->type == XMLRPC_STRING;
    bool is_whole = question->window >= question->size;

    if (clock_seconds_since(question->since) > ANSWER_MOST)
        return 0;
    if (question->window == 0)
        return WINDOW_NEAR;
    if (!is_text && is_whole)
        return 0;
    if (!is_text && question->window % WINDOW_SHIFT < WINDOW_SHIFT - 1)
        return question->window + 1;
    return question->window < WINDOW_FAR ? WINDOW_FAR : 0;
}

/* False: the log's end is needed, or more of it. */
static bool settle_locked(struct logstream *stream, struct question *question,
                          const struct xmlrpc_value *text)
{
    int64_t size = question->size, start = size - question->asked;

    question->start = start;
    if (stream->opening
            ? size >= stream->sized && start == first_byte(stream->sized)
            : start >= stream->next_offset + (int64_t) stream->partial_length - stream->discard)
        return true;
    if (!look_up(stream, question, size, text, &start) && question->next > 0)
        return false;
    question->start = start;
    if (!stream->opening) {
        stream->anew_at = start < 0 ? -start : 0;
        stream->anew_offset = start < 0 ? 0 : start;
    }
    return true;
}

int64_t logstream_place_size(const struct xmlrpc_value *value)
{
    if (value == NULL || value->type != XMLRPC_ARRAY || value->as.items.count != 3 ||
        value->as.items.first->next->type != XMLRPC_INT ||
        value->as.items.first->next->as.integer > SIZE_MOST)
        return -1;
    return value->as.items.first->next->as.integer;
}

static void ask(struct logstream *stream, int64_t window, int64_t since);

static void answered(void *argument, struct supervisor_result *result)
{
    struct question *question = argument;
    struct logstream *stream = question->stream;
    struct logstreams *streams = stream->streams;
    const struct xmlrpc_value *value = result->error == CESID_OK ? result->answer.value : NULL;
    const struct xmlrpc_value *text = NULL;
    struct logstream_gap *gap = NULL;
    bool again = false;

    if (value != NULL && question->window > 0) {
        bool whole = value->type == XMLRPC_ARRAY && value->as.items.count == 2;

        text = whole ? value->as.items.first->next : NULL;
        value = whole ? value->as.items.first : NULL;
    }
    question->size = logstream_place_size(value);
    question->next = next_window(question, text);
    lock_acquire(&streams->lock);
    if (stream->attempt == question->attempt && !stream->closed && !streams->stopping) {
        if (stream->settled || question->size < 0)
            settle_blindly_locked(stream);
        else
            again = !settle_locked(stream, question, text);
        if (!again && !stream->settled && stream->opening) {
            gap = logstream_gap_find_locked(stream, question->start, question->size);
            if (gap == NULL)
                logstream_place_begin_locked(stream, question->start, question->size);
        }
        if (!again && gap == NULL)
            logstream_place_settled_locked(stream);
    }
    lock_release(&streams->lock);
    if (again)
        ask(stream, question->next, question->since);
    if (gap != NULL)
        logstream_gap_read(gap);
    logstream_deliver(stream);
    logstream_release(stream);
    free(question);
}

void logstream_add_read(struct supervisor_call *call, const struct logstream *stream,
                        int64_t offset, int64_t length)
{
    xmlrpc_batch_call(&call->body, strcmp(stream->kind, "stdout") == 0
                                       ? "supervisor.readProcessStdoutLog"
                                       : "supervisor.readProcessStderrLog");
    xmlrpc_value_string(&call->body, stream->process, strlen(stream->process));
    xmlrpc_value_int(&call->body, offset);
    xmlrpc_value_int(&call->body, length);
    xmlrpc_batch_call_end(&call->body);
}

int logstream_submit(struct logstream *stream, struct supervisor_call *call,
                     void (*done)(void *argument, struct supervisor_result *result), void *argument)
{
    struct node *node = registry_find(stream->streams->registry, stream->node);
    struct node_settings *settings = node != NULL ? node_settings(node) : NULL;
    int error = settings != NULL && settings->endpoint != NULL
                    ? supervisor_submit(settings->endpoint, call, done, argument, NULL)
                    : CESID_E_NOT_FOUND;

    node_settings_unref(&settings);
    node_unref(&node);
    return error;
}

double logstream_patience(const struct config *config)
{
    return config->timeouts.log < ANSWER_MOST ? config->timeouts.log : ANSWER_MOST;
}

static int send_question(struct question *question)
{
    struct logstream *stream = question->stream;
    struct config *config = config_get(stream->streams->config);
    const char *size = strcmp(stream->kind, "stdout") == 0 ? "supervisor.tailProcessStdoutLog"
                                                           : "supervisor.tailProcessStderrLog";
    struct supervisor_call call;
    int error;

    supervisor_call_init(&call, question->window > 0 ? "system.multicall" : size, config,
                         logstream_patience(config));
    if (question->window == 0) {
        xmlrpc_add_string(&call.body, stream->process, strlen(stream->process));
        xmlrpc_add_int(&call.body, 0);
        xmlrpc_add_int(&call.body, 0);
    } else {
        xmlrpc_batch_begin(&call.body);
        xmlrpc_batch_call(&call.body, size);
        xmlrpc_value_string(&call.body, stream->process, strlen(stream->process));
        xmlrpc_value_int(&call.body, 0);
        xmlrpc_value_int(&call.body, 0);
        xmlrpc_batch_call_end(&call.body);
        logstream_add_read(&call, stream, -question->window, 0);
        xmlrpc_batch_end(&call.body);
    }
    error = logstream_submit(stream, &call, answered, question);
    supervisor_call_destroy(&call);
    config_unref(&config);
    return error;
}

static void ask(struct logstream *stream, int64_t window, int64_t since)
{
    struct logstreams *streams = stream->streams;
    struct question *question = mem_alloc(sizeof(*question));

    lock_acquire(&streams->lock);
    stream->references++;
    *question = (struct question){.stream = stream,
                                  .attempt = stream->attempt,
                                  .asked = (int64_t) stream->held.length,
                                  .window = window,
                                  .since = since};
    lock_release(&streams->lock);
    if (send_question(question) != CESID_OK) {
        lock_acquire(&streams->lock);
        logstream_place_settled_locked(stream);
        lock_release(&streams->lock);
        free(question);
        logstream_release(stream);
    }
}

void logstream_place_ask(struct logstream *stream)
{
    ask(stream, 0, clock_now());
}
