/*
 * Reading logs through supervisord. Called by threads that may wait; no lock.
 *
 * readProcess*Log decodes strictly. On bytes that are not UTF-8 its own error handling stumbles
 * (rpcinterface.py looks up a fault named "utf-8"), so that a plain call ends with HTTP 500 and a
 * traceback in supervisord's log. Inside system.multicall the same failure is a quiet fault, hence
 * the detour; the plain call is for servers without multicall. tailProcess*Log says in its failure
 * at which byte decoding stopped, but can only look at what is between some byte and the end of
 * the log: that serves as a hint, and where it does not apply the reader narrows by itself.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/logreader.h"
#include "cesid/supervisor.h"
#include "cesid/text.h"
#include "supervisor_internal.h"

#define CALLS_MAX 256
#define PIECE_MAX (INT64_C(256) * 1024)
#define PIECE_MIN INT64_C(1024)
/* As markup a byte takes up to 5 ("&amp;"), and there is some around it. */
#define MARKUP_FACTOR 8
/* The hint makes supervisord read up to the end of the log. */
#define HINT_WINDOW (INT64_C(4) * 1024 * 1024)
/* A log larger than this is not believed: sizes are found by doubling. */
#define SIZE_MAX_PROBED (INT64_C(1) << 50)

struct source {
    struct rpc_endpoint *endpoint;
    const struct config *config;
    const char *process; /* NULL: supervisord's own log */
    const char *read_method;
    const char *tail_method; /* NULL: there is none */
    bool (*cancelled)(void *argument);
    void *argument;
    int64_t deadline;
    int64_t tail_size; /* of the log, when a hint was last asked for */
    int calls;
    bool plain;    /* without multicall */
    bool no_hints; /* they did not work */
    bool out_of_calls;
    struct supervisor_result *result; /* of the last call */
};

static void begin(struct source *source, struct supervisor_call *call, const char *method)
{
    supervisor_call_init(call, method, source->config, 0);
    call->deadline = source->deadline;
}

/* Sends the call and destroys it. */
static int finish(struct source *source, struct supervisor_call *call)
{
    supervisor_result_free(source->result);
    int error;
    if (source->calls >= CALLS_MAX) {
        source->out_of_calls = true;
        *source->result = (struct supervisor_result){.error = 0};
        supervisor_result_error(source->result, CESID_E_NODE_TIMEOUT,
                                "The log needs too many calls to be read.");
        error = source->result->error;
    } else {
        source->calls++;
        error = supervisor_wait(source->endpoint, call, source->cancelled, source->argument,
                                source->result);
    }
    supervisor_call_destroy(call);
    return error;
}

static void add_read(struct source *source, struct strbuf *body, const char *method, int64_t offset,
                     int64_t length)
{
    xmlrpc_batch_call(body, method);
    if (source->process != NULL)
        xmlrpc_value_string(body, source->process, strlen(source->process));
    xmlrpc_value_int(body, offset);
    xmlrpc_value_int(body, length);
    xmlrpc_batch_call_end(body);
}

/* Whether a fault inside a multicall is Python's complaint about bytes that it cannot decode: only
 * an exception that no code foresaw is reported by its class. */
static bool is_decoding_failure(const struct xmlrpc_value *code, const struct xmlrpc_value *text)
{
    return code != NULL && code->type == XMLRPC_INT && code->as.integer == FAULT_FAILED &&
           text != NULL && text->type == XMLRPC_STRING &&
           strncmp(text->as.string.data, "FAILED: <", 9) == 0;
}

/* "…codec can't decode byte 0xe9 in position 5: …" or "…bytes in position 3-4: …" */
static bool parse_position(const char *text, struct logreader_hint *hint)
{
    static const char word[] = " in position ";
    const char *at = strstr(text, "codec can't decode byte");
    if (at == NULL || (at = strstr(at, word)) == NULL)
        return false;
    at += sizeof(word) - 1;
    char *end;
    long long first = strtoll(at, &end, 10), last = first;
    if (end == at || first < 0)
        return false;
    if (*end == '-')
        last = strtoll(end + 1, NULL, 10);
    if (last < first || last - first > 3)
        return false;
    hint->good = first;
    hint->bad = (int) (last - first + 1);
    return true;
}

/* Asks where decoding from offset on fails. The log may grow between two calls, but not within one:
 * the answer counts only if the size was as expected, else another try is made with the new one. */
static void ask_for_hint(struct source *source, int64_t offset, int64_t want,
                         struct logreader_hint *hint)
{
    hint->good = -1;
    for (int i = 0; i < 2 && !source->no_hints; i++) {
        int64_t window = source->tail_size - offset;
        if (window < want || window > HINT_WINDOW)
            return;
        struct supervisor_call call;
        begin(source, &call, "system.multicall");
        xmlrpc_batch_begin(&call.body);
        add_read(source, &call.body, source->tail_method, 0, 0);
        add_read(source, &call.body, source->tail_method, 0, window);
        xmlrpc_batch_end(&call.body);
        if (finish(source, &call) < 0) {
            source->no_hints = true;
            return;
        }
        const struct xmlrpc_value *list = source->result->answer.value;
        if (list->type != XMLRPC_ARRAY || list->as.items.count != 2 ||
            list->as.items.first->type != XMLRPC_ARRAY ||
            list->as.items.first->as.items.count != 3 ||
            list->as.items.first->as.items.first->next->type != XMLRPC_INT) {
            source->no_hints = true;
            return;
        }
        int64_t size = list->as.items.first->as.items.first->next->as.integer;
        if (size != source->tail_size) {
            source->tail_size = size;
            continue;
        }
        const struct xmlrpc_value *text = xmlrpc_member(list->as.items.first->next, "faultString");
        if (text == NULL || text->type != XMLRPC_STRING)
            return; /* all is well up to the end: the piece was only cut */
        if (!parse_position(text->as.string.data, hint))
            source->no_hints = true;
        else if (hint->good + hint->bad > want)
            hint->good = -1; /* behind this piece, which was only cut */
        return;
    }
}

static enum logreader_outcome stop(struct source *source, const char *detail)
{
    supervisor_result_error(source->result, CESID_E_NODE_PROTOCOL, detail);
    source->result->cause = RPC_CAUSE_PROTOCOL;
    return LOGREADER_STOP;
}

/* A control character may have become U+FFFD, of three bytes. */
static enum logreader_outcome take(struct source *source, struct strbuf *out,
                                   const struct xmlrpc_value *value, int64_t want)
{
    if (value->as.string.length > (size_t) want * 3)
        return stop(source, "The answer is longer than what was asked for.");
    strbuf_add(out, value->as.string.data, value->as.string.length);
    return value->as.string.length < (size_t) want ? LOGREADER_GONE : LOGREADER_READ;
}

static enum logreader_outcome read_plain(struct source *source, int64_t offset, int64_t want,
                                         struct strbuf *out)
{
    struct supervisor_call call;
    begin(source, &call, source->read_method);
    if (source->process != NULL)
        xmlrpc_add_string(&call.body, source->process, strlen(source->process));
    xmlrpc_add_int(&call.body, offset);
    xmlrpc_add_int(&call.body, want);
    int error = finish(source, &call);
    if (error == CESID_E_NODE_PROTOCOL && source->result->status == 500)
        return LOGREADER_UNREADABLE;
    if (error < 0)
        return LOGREADER_STOP;
    const struct xmlrpc_value *value = source->result->answer.value;
    if (value->type != XMLRPC_STRING)
        return stop(source, "The answer is not text.");
    return take(source, out, value, want);
}

static enum logreader_outcome read_piece(void *argument, int64_t offset, int64_t want,
                                         struct strbuf *out, struct logreader_hint *hint)
{
    struct source *source = argument;
    if (source->plain)
        return read_plain(source, offset, want, out);

    struct supervisor_call call;
    begin(source, &call, "system.multicall");
    xmlrpc_batch_begin(&call.body);
    add_read(source, &call.body, source->read_method, offset, want);
    xmlrpc_batch_end(&call.body);
    if (finish(source, &call) < 0) {
        if (!source->result->answer.fault)
            return LOGREADER_STOP;
        source->plain = true;
        return read_plain(source, offset, want, out);
    }
    const struct xmlrpc_value *list = source->result->answer.value;
    if (list->type != XMLRPC_ARRAY || list->as.items.count != 1)
        return stop(source, "The answer is not one result.");
    const struct xmlrpc_value *value = list->as.items.first;
    if (value->type == XMLRPC_STRING)
        return take(source, out, value, want);
    const struct xmlrpc_value *code = xmlrpc_member(value, "faultCode");
    const struct xmlrpc_value *text = xmlrpc_member(value, "faultString");
    if (is_decoding_failure(code, text)) {
        if (source->tail_method != NULL && want > 1)
            ask_for_hint(source, offset, want, hint);
        return source->result->error == CESID_E_CANCELLED ? LOGREADER_STOP : LOGREADER_UNREADABLE;
    }
    if (code == NULL || code->type != XMLRPC_INT || text == NULL || text->type != XMLRPC_STRING)
        return stop(source, "The answer is neither text nor a fault.");
    supervisor_result_fault(source->result, code->as.integer, text->as.string.data);
    return LOGREADER_STOP;
}

/* 1, 0, or a negative error: whether the log has a byte at offset. */
static int has_byte(struct source *source, int64_t offset)
{
    struct strbuf scratch;
    struct logreader_hint hint;
    strbuf_init(&scratch, 16);
    enum logreader_outcome outcome = read_piece(source, offset, 1, &scratch, &hint);
    strbuf_destroy(&scratch);
    if (outcome == LOGREADER_STOP)
        return source->result->error;
    return outcome != LOGREADER_GONE;
}

/* For logs whose size nobody tells: supervisord's own, and those of 2 GiB and more, whose size does
 * not fit into the int that tailProcess*Log would answer with. */
static int probe_size(struct source *source, int64_t *size)
{
    int64_t low = 0, high = 65536; /* low bytes are there; byte `high` is the next to look at */
    int found = 0;
    while (high < SIZE_MAX_PROBED && (found = has_byte(source, high - 1)) > 0) {
        low = high;
        high *= 2;
    }
    while (found >= 0 && low < high - 1) {
        int64_t middle = low + (high - low) / 2;
        found = has_byte(source, middle - 1);
        if (found > 0)
            low = middle;
        else if (found == 0)
            high = middle;
    }
    *size = low;
    return found < 0 ? found : 0;
}

static int find_size(struct source *source, int64_t *size)
{
    if (source->tail_method == NULL)
        return probe_size(source, size);
    struct supervisor_call call;
    begin(source, &call, source->tail_method);
    xmlrpc_add_string(&call.body, source->process, strlen(source->process));
    xmlrpc_add_int(&call.body, 0);
    xmlrpc_add_int(&call.body, 0);
    int error = finish(source, &call);
    if (error == CESID_E_NODE_PROTOCOL && source->result->status == 500)
        return probe_size(source, size);
    if (error < 0)
        return error;
    const struct xmlrpc_value *list = source->result->answer.value;
    if (list->type != XMLRPC_ARRAY || list->as.items.count != 3 ||
        list->as.items.first->next->type != XMLRPC_INT ||
        list->as.items.first->next->as.integer < 0) {
        stop(source, "The answer is no size.");
        return CESID_E_NODE_PROTOCOL;
    }
    *size = list->as.items.first->next->as.integer;
    if (*size > 0)
        return 0;
    /* Nothing written yet, or no such log at all: reading tells. */
    int found = has_byte(source, 0);
    return found < 0 ? found : 0;
}

static bool begins_character(struct source *source, int64_t offset)
{
    struct strbuf scratch;
    struct logreader_hint hint;
    strbuf_init(&scratch, 64);
    enum logreader_outcome outcome = LOGREADER_UNREADABLE;
    for (int64_t length = 1; length <= 4 && outcome == LOGREADER_UNREADABLE; length++)
        outcome = read_piece(source, offset, length, &scratch, &hint);
    strbuf_destroy(&scratch);
    return outcome != LOGREADER_UNREADABLE;
}

/* The last so many bytes may begin inside a character. Nobody meant to see the rest of it. */
static void skip_cut_character(struct source *source, struct supervisor_log *log)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    const size_t width = sizeof(replacement) - 1;
    size_t skip = 0;
    while (skip < 3 && strncmp(log->data.data + skip * width, replacement, width) == 0 &&
           !begins_character(source, log->offset + (int64_t) skip))
        skip++;
    if (skip == 0)
        return;
    memmove(log->data.data, log->data.data + skip * width, log->data.length - skip * width);
    strbuf_truncate(&log->data, log->data.length - skip * width);
    log->offset += (int64_t) skip;
}

static void read_range(struct source *source, struct supervisor_log *log, int64_t length,
                       bool from_end)
{
    int64_t piece = source->config->refresh.answer_max / MARKUP_FACTOR;
    piece = piece > PIECE_MAX ? PIECE_MAX : piece < PIECE_MIN ? PIECE_MIN : piece;
    const struct logreader reader = {
        .read = read_piece,
        .argument = source,
        .size = log->size,
        .piece_max = piece,
        .calls_max = CALLS_MAX,
    };
    source->tail_size = log->size;
    struct logreader_end end = logreader_read(&reader, log->offset, length, &log->data);
    log->next = end.next;
    log->truncated = end.short_of_calls || end.stopped;
    if (end.gone)
        log->size = end.next;
    if (from_end && log->offset > 0 && !log->truncated)
        skip_cut_character(source, log);
    int error = source->result->error;
    bool good_enough =
        source->out_of_calls || (error == CESID_E_NODE_TIMEOUT && end.next > log->offset);
    if (!end.stopped || good_enough) {
        supervisor_result_free(source->result);
        source->result->error = 0;
        source->result->cause = RPC_CAUSE_NONE;
        source->result->detail[0] = '\0';
    }
}

int supervisor_read_log(struct rpc_endpoint *endpoint, const struct config *config,
                        const char *process, const char *stream, int64_t offset, int64_t length,
                        bool (*cancelled)(void *argument), void *argument,
                        struct supervisor_log *log, struct supervisor_result *result)
{
    bool errors = strcmp(stream, "stderr") == 0;
    int64_t began = clock_now();
    struct source source = {
        .endpoint = endpoint,
        .config = config,
        .process = process,
        .read_method = process == NULL ? "supervisor.readLog"
                       : errors        ? "supervisor.readProcessStderrLog"
                                       : "supervisor.readProcessStdoutLog",
        .tail_method = process == NULL ? NULL
                       : errors        ? "supervisor.tailProcessStderrLog"
                                       : "supervisor.tailProcessStdoutLog",
        .cancelled = cancelled,
        .argument = argument,
        .deadline = clock_after(config->timeouts.log),
        .result = result,
    };
    *result = (struct supervisor_result){.error = 0};
    *log = (struct supervisor_log){.size = 0};
    if (length < 0)
        length = 0;
    strbuf_init(&log->data, length < INT32_MAX ? (size_t) length * 3 + 64 : INT32_MAX);

    if (find_size(&source, &log->size) == 0) {
        bool from_end = offset < 0;
        if (offset < 0)
            offset = offset < -log->size ? 0 : log->size + offset;
        log->offset = offset > log->size ? log->size : offset;
        log->next = log->offset;
        read_range(&source, log, length, from_end);
    }
    result->duration = clock_seconds_since(began);
    return result->error;
}

void supervisor_log_free(struct supervisor_log *log)
{
    strbuf_destroy(&log->data);
}
