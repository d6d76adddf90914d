/*
 * Reading logs through supervisord. Called by threads that may wait; no lock.
 *
 * readProcess*Log decodes strictly. On bytes that are not UTF-8 its own error handling stumbles
 * (rpcinterface.py looks up a fault named "utf-8"), so that a plain call ends with HTTP 500 and a
 * traceback in supervisord's log. Inside system.multicall the same failure is a quiet fault, and
 * many questions go in one call; the plain call is for servers without multicall. tailProcess*Log
 * says in its failure at which byte decoding stopped, and the byte's value, but can only look at
 * what is between some byte and the end of the log. /logtail would send the bytes as they are, but
 * no more than the last 1,024.
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

#define CALLS_MAX 2048
/* Of one read: less than half a second of the node's time, at 50 us a question. */
#define EFFORT INT64_C(8192)
/* A server without multicall writes a traceback into its log for much of it. */
#define PLAIN_CALLS_MAX 256
#define PIECE_MAX       (INT64_C(256) * 1024)
#define PIECE_MIN       INT64_C(1024)
/* As markup a byte takes up to 5 ("&amp;"), and some questions overlap. */
#define MARKUP_FACTOR 32
/* supervisord reads all of a tail to answer. */
#define TAIL_MAX (INT64_C(4) * 1024 * 1024)
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
    int64_t size; /* of the log, when it was last told */
    int calls;
    bool plain; /* without multicall */
    bool out_of_calls;
    struct supervisor_result *result; /* of the last call */
    struct strbuf kept;               /* what plain calls read */
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
    if (source->calls >= (source->plain ? PLAIN_CALLS_MAX : CALLS_MAX)) {
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

static void add_question(struct source *source, struct strbuf *body,
                         const struct logreader_question *question)
{
    xmlrpc_batch_call(body, question->tail ? source->tail_method : source->read_method);
    if (source->process != NULL)
        xmlrpc_value_string(body, source->process, strlen(source->process));
    xmlrpc_value_int(body, question->tail ? 0 : question->offset);
    xmlrpc_value_int(body, question->want);
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
static void parse_position(const char *text, struct logreader_question *question)
{
    static const char byte[] = "codec can't decode byte", word[] = " in position ";
    const char *at = strstr(text, byte);
    if (at == NULL)
        return;
    at += sizeof(byte) - 1;
    const char *position = strstr(at, word);
    if (position == NULL)
        return;
    char *end;
    position += sizeof(word) - 1;
    long long good = strtoll(position, &end, 10);
    if (end == position || good < 0)
        return;
    question->good = good;
    long value = strncmp(at, " 0x", 3) == 0 ? strtol(at + 1, NULL, 16) : -1;
    question->value = value >= 0x80 && value <= 0xFF ? (int) value : -1;
}

static bool stop(struct source *source, const char *detail)
{
    supervisor_result_error(source->result, CESID_E_NODE_PROTOCOL, detail);
    source->result->cause = RPC_CAUSE_PROTOCOL;
    return false;
}

/* A control character may have become U+FFFD, of three bytes. */
static bool take(struct source *source, struct logreader_question *question,
                 const struct xmlrpc_value *value)
{
    if (value->type != XMLRPC_STRING || value->as.string.length > (size_t) question->want * 3)
        return stop(source, "The answer is not the text that was asked for.");
    question->data = value->as.string.data;
    question->length = value->as.string.length;
    question->outcome =
        question->length < (size_t) question->want ? LOGREADER_GONE : LOGREADER_READ;
    return true;
}

static bool ask_one(struct source *source, struct logreader_question *question)
{
    struct supervisor_call call;
    begin(source, &call, source->read_method);
    if (source->process != NULL)
        xmlrpc_add_string(&call.body, source->process, strlen(source->process));
    xmlrpc_add_int(&call.body, question->offset);
    xmlrpc_add_int(&call.body, question->want);
    int error = finish(source, &call);
    if (error == CESID_E_NODE_PROTOCOL && source->result->status == 500) {
        question->outcome = LOGREADER_UNREADABLE;
        return true;
    }
    return error == 0 && take(source, question, source->result->answer.value);
}

/* One call a question. The text of all of them lives until the next time. */
static bool ask_plain(struct source *source, struct logreader_question *questions, int count)
{
    int64_t known = -1;
    strbuf_clear(&source->kept);
    for (int i = 0; i < count; i++) {
        struct logreader_question *question = &questions[i];
        /* Of those from one place the longest comes first: the others would tell no more. */
        if (question->tail || question->offset == known)
            continue;
        if (!ask_one(source, question))
            return false;
        strbuf_add(&source->kept, question->data, question->length);
        if (question->outcome == LOGREADER_READ)
            known = question->offset;
    }
    const char *data = source->kept.data;
    for (int i = 0; i < count; data += questions[i++].length)
        questions[i].data = data;
    return true;
}

static bool take_outcome(struct source *source, struct logreader_question *question,
                         const struct xmlrpc_value *value)
{
    const struct xmlrpc_value *text = xmlrpc_member(value, "faultString");
    const struct xmlrpc_value *code = xmlrpc_member(value, "faultCode");
    if (is_decoding_failure(code, text)) {
        question->outcome = LOGREADER_UNREADABLE;
        if (question->tail)
            parse_position(text->as.string.data, question);
        return true;
    }
    if (code != NULL && code->type == XMLRPC_INT && text != NULL && text->type == XMLRPC_STRING) {
        supervisor_result_fault(source->result, code->as.integer, text->as.string.data);
        return false;
    }
    if (question->tail && value->type == XMLRPC_ARRAY && value->as.items.count == 3)
        value = value->as.items.first;
    return take(source, question, value);
}

/* Of what tailProcess*Log answers: text, size, whether there is more. */
static bool read_size(const struct xmlrpc_value *value, int64_t *size)
{
    if (value->type != XMLRPC_ARRAY || value->as.items.count != 3 ||
        value->as.items.first->next->type != XMLRPC_INT)
        return false;
    *size = value->as.items.first->next->as.integer;
    return *size >= 0 && *size <= SIZE_MAX_PROBED;
}

/* The size goes first. supervisord writes the logs itself, so that it holds for the whole call;
 * when the log grew since it was last told, the tails began that much later. */
static bool ask_batch(struct source *source, struct logreader_question *questions, int count)
{
    const struct logreader_question size = {.offset = source->size, .tail = true};
    bool tails = false;
    for (int i = 0; i < count; i++)
        tails |= questions[i].tail;
    struct supervisor_call call;
    begin(source, &call, "system.multicall");
    xmlrpc_batch_begin(&call.body);
    if (tails)
        add_question(source, &call.body, &size);
    for (int i = 0; i < count; i++) {
        if (questions[i].tail)
            questions[i].want = source->size - questions[i].offset;
        add_question(source, &call.body, &questions[i]);
    }
    xmlrpc_batch_end(&call.body);
    int error = finish(source, &call);
    if (error < 0 && source->result->answer.fault) {
        source->plain = true;
        return ask_plain(source, questions, count);
    }
    /* A tail that was text, and full of markup; a size beyond XML-RPC's int. */
    if (error == CESID_E_NODE_PROTOCOL && tails &&
        (source->result->cause == RPC_CAUSE_TOO_LARGE || source->result->status == 500))
        return true; /* not answered */
    if (error < 0)
        return false;

    const struct xmlrpc_value *list = source->result->answer.value;
    if (list->type != XMLRPC_ARRAY || list->as.items.count != (size_t) count + tails)
        return stop(source, "The answer is not as many results as were asked for.");
    const struct xmlrpc_value *value = list->as.items.first;
    int64_t grown = 0;
    if (tails) {
        int64_t now;
        if (!read_size(value, &now))
            return stop(source, "The answer is no size.");
        grown = now - source->size;
        source->size = now;
        value = value->next;
    }
    for (int i = 0; i < count; i++, value = value->next) {
        if (questions[i].tail && grown < 0)
            continue;
        if (!take_outcome(source, &questions[i], value))
            return false;
        if (questions[i].tail)
            questions[i].offset += grown;
    }
    return true;
}

static bool ask(void *argument, struct logreader_question *questions, int count)
{
    struct source *source = argument;
    return source->plain ? ask_plain(source, questions, count)
                         : ask_batch(source, questions, count);
}

/* 1, 0, or a negative error: whether the log has a byte at offset. */
static int has_byte(struct source *source, int64_t offset)
{
    struct logreader_question question = {.offset = offset, .want = 1};
    if (!ask(source, &question, 1))
        return source->result->error;
    return question.outcome != LOGREADER_GONE;
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
    if (!read_size(source->result->answer.value, size)) {
        stop(source, "The answer is no size.");
        return CESID_E_NODE_PROTOCOL;
    }
    if (*size > 0)
        return 0;
    /* Nothing written yet, or no such log at all: reading tells. */
    int found = has_byte(source, 0);
    return found < 0 ? found : 0;
}

static void read_range(struct source *source, struct supervisor_log *log, int64_t length,
                       bool from_end, int64_t *effort)
{
    int64_t piece = source->config->refresh.answer_max / MARKUP_FACTOR;
    piece = piece > PIECE_MAX ? PIECE_MAX : piece < PIECE_MIN ? PIECE_MIN : piece;
    const struct logreader reader = {
        .ask = ask,
        .argument = source,
        .size = log->size,
        .piece_max = piece,
        .tail_max = source->tail_method != NULL && !source->plain ? TAIL_MAX : 0,
        .from_end = from_end,
        .give_up = effort != NULL,
        .effort = effort != NULL ? *effort : EFFORT,
    };
    source->size = log->size;
    struct logreader_end end = logreader_read(&reader, log->offset, length, &log->data);
    if (effort != NULL)
        *effort = end.effort < 0 ? 0 : end.effort;
    log->offset = end.offset;
    log->next = end.next;
    log->truncated = end.short_of_effort || end.stopped;
    if (end.gone)
        log->size = end.next;
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
                        int64_t *effort, bool (*cancelled)(void *argument), void *argument,
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
    length = length < 0 ? 0 : length > LOGREADER_LENGTH_MAX ? LOGREADER_LENGTH_MAX : length;
    strbuf_init(&log->data, (size_t) length * 3 + 64);
    strbuf_init(&source.kept, (size_t) INT32_MAX);

    if (find_size(&source, &log->size) == 0) {
        bool from_end = offset < 0;
        if (offset < 0)
            offset = offset < -log->size ? 0 : log->size + offset;
        log->offset = offset > log->size ? log->size : offset;
        log->next = log->offset;
        read_range(&source, log, length, from_end, effort);
    }
    strbuf_destroy(&source.kept);
    result->duration = clock_seconds_since(began);
    return result->error;
}

void supervisor_log_free(struct supervisor_log *log)
{
    strbuf_destroy(&log->data);
}
