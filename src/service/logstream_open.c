/*
 * One upstream of a log. First what the process is and how large its log is (so that bytes have
 * offsets): when the log is another file than before, it begins anew for those who watch. Then what
 * they miss of it is read, and then comes /logtail/, which starts up to 1,024 bytes back
 * (supervisor/http.py, tail_f_producer) and goes on as the log grows.
 *
 * Everything here runs on the rpc loop threads, or on the logstream thread for the first step.
 * Lock: LOCK_LOGSTREAMS.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "logstream_private.h"

#define FILL_LEAST  512            /* bytes: /logtail/ brings as much anyway */
#define FILL_MOST   (256LL * 1024) /* of a log that went on, or is new */
#define ROUNDS_MOST 4

/* Whether there is nothing to be opened any more. */
static bool is_over_locked(const struct logstream *stream)
{
    lock_assert_held(&stream->streams->lock);
    return stream->closed || stream->streams->stopping || stream->moved;
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

/* Nobody wants it any more, or its node is another one now: that is no failure. */
static void give_up(struct logstream *stream, int error)
{
    bool cancelled = error == CESID_E_CANCELLED;

    logstream_ended(stream, cancelled ? CESID_OK : error, cancelled);
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
        .on_data = logstream_data,
        .done = upstream_done,
        .argument = stream,
    };
    struct rpc_call *call = NULL;
    struct strbuf path;
    uint64_t attempt;
    bool over, stored = false;
    int error = CESID_E_CANCELLED;

    strbuf_init(&path, 2048);
    logtail_path(&path, stream);
    request.path = path.data;
    lock_acquire(&streams->lock);
    attempt = stream->attempt;
    over = is_over_locked(stream);
    stream->references++; /* of this function, past the call's own */
    lock_release(&streams->lock);

    if (!over)
        error = rpc_submit(endpoint, &request, &call);
    if (error != CESID_OK) {
        give_up(stream, error);
    } else {
        lock_acquire(&streams->lock);
        over = is_over_locked(stream);
        if (over || stream->stale) /* said while there was no call to cancel */
            rpc_call_cancel(call);
        if (!over && stream->attempt == attempt) {
            stream->call = call;
            stored = true;
        }
        lock_release(&streams->lock);
        if (!stored)
            rpc_call_unref(&call);
    }
    logstream_release(stream);
    strbuf_destroy(&path);
    config_unref(&config);
}

/* What is asked before the upstream is opened. */
struct opening {
    struct logstream *stream;       /* reference */
    struct node_settings *settings; /* reference */
    bool plain;                     /* without multicall, which tells nothing of the process */
    int rounds;                     /* how often it was asked */
    int64_t size;                   /* of the log, as told last */
    int64_t began, next, want;      /* what is read of it, in parts */
    int shorter;                    /* bytes less than that, not to end inside a character */
};

static void inquire(struct opening *opening);

static void finish(struct opening *opening, int error)
{
    struct logstream *stream = opening->stream;

    if (error != CESID_OK) {
        give_up(stream, error);
    } else {
        lock_acquire(&stream->streams->lock);
        logstream_place_open_locked(stream, opening->size);
        lock_release(&stream->streams->lock);
        open_upstream(stream, opening->settings->endpoint);
    }
    node_settings_unref(&opening->settings);
    free(opening);
}

/* True, and it is finished: nobody waits for more. */
static bool abandoned(struct opening *opening)
{
    struct logstream *stream = opening->stream;
    bool over;

    lock_acquire(&stream->streams->lock);
    over = is_over_locked(stream);
    lock_release(&stream->streams->lock);
    if (over)
        finish(opening, CESID_E_CANCELLED);
    return over;
}

/* ---- what /logtail/ will not bring is read ---- */

static void read_part(struct opening *opening);

/* Where what watchers miss begins; what is too much of it is left out. */
static int64_t find_gap_locked(struct logstream *stream, int64_t size)
{
    int64_t excess = size - FILL_MOST - stream->next_offset;

    if (stream->next_offset < 0)
        return size;
    stream->partial_length = 0;
    stream->discard = 0;
    stream->at_line_start = excess <= 0;
    if (excess > 0) {
        stream->resumed = true;
        stream->skipped += excess;
        stream->next_offset += excess;
    }
    return stream->next_offset;
}

/* Hands the part to watchers. False: the log holds no such text. */
static bool take_part(struct opening *opening, const struct xmlrpc_value *list)
{
    struct logstream *stream = opening->stream;
    const struct xmlrpc_value *text;

    if (list == NULL || list->type != XMLRPC_ARRAY || list->as.items.count != 1)
        return false;
    text = list->as.items.first;
    /* A length that is not as expected: characters that XML had no way to carry. */
    if (text->type != XMLRPC_STRING || text->as.string.length != (size_t) opening->want)
        return false;
    lock_acquire(&stream->streams->lock);
    strbuf_clear(&stream->held);
    strbuf_add(&stream->held, text->as.string.data, text->as.string.length);
    stream->settled = true;
    stream->opening = false;
    stream->anew_at = -1;
    stream->read = text->as.string.length;
    lock_release(&stream->streams->lock);
    logstream_deliver(stream);
    return true;
}

static void part_known(void *argument, struct supervisor_result *result)
{
    struct opening *opening = argument;
    const struct xmlrpc_value *list = result->error == CESID_OK ? result->answer.value : NULL;

    if (take_part(opening, list)) {
        opening->next += opening->want;
        opening->shorter = 0;
    } else if (list != NULL && opening->shorter < 3) {
        opening->shorter++;
    } else {
        opening->next = opening->size; /* it is no text: what /logtail/ brings must do */
        opening->rounds = ROUNDS_MOST;
    }
    read_part(opening);
}

static void read_part(struct opening *opening)
{
    struct logstream *stream = opening->stream;
    int64_t missing = opening->size - opening->next;
    struct supervisor_call call;
    struct config *config;
    int error;

    if (abandoned(opening))
        return;
    if (missing <= FILL_LEAST) {
        /* The log grew meanwhile: the upstream is opened with what is true now. */
        if (opening->rounds < ROUNDS_MOST && opening->next > opening->began)
            inquire(opening);
        else
            finish(opening, CESID_OK);
        return;
    }
    opening->want = (missing < LOGSTREAM_PIECE ? missing : LOGSTREAM_PIECE) - opening->shorter;
    config = config_get(stream->streams->config);
    /* supervisord stumbles over bytes that are no UTF-8, but not within a multicall. */
    supervisor_call_init(&call, "system.multicall", config, config->timeouts.log);
    xmlrpc_batch_begin(&call.body);
    logstream_add_read(&call, stream, opening->next, opening->want);
    xmlrpc_batch_end(&call.body);
    error = supervisor_submit(opening->settings->endpoint, &call, part_known, opening, NULL);
    supervisor_call_destroy(&call);
    config_unref(&config);
    if (error != CESID_OK)
        finish(opening, error);
}

/* ---- which file it is, and where it stands ---- */

/* Whether it is another log than before, or there again: then watchers are told. *another: it is to
 * be read from its beginning. */
static bool note_locked(struct logstream *stream, const char *path, bool *another)
{
    bool back = stream->absent;

    *another = stream->path_known && !logstream_same_path(path, stream->path);
    stream->absent = false;
    stream->path_known = true;
    free(stream->path);
    stream->path = path != NULL ? mem_string(path) : NULL;
    if (*another && stream->next_offset >= 0)
        logstream_begin_anew_locked(stream, 0);
    if (*another || back)
        stream->told = CESID_OK;
    return *another || back;
}

static const char *path_in(const struct xmlrpc_value *info, const char *kind)
{
    const struct xmlrpc_value *path =
        xmlrpc_member(info, strcmp(kind, "stdout") == 0 ? "stdout_logfile" : "stderr_logfile");

    return path != NULL && path->type == XMLRPC_STRING && path->as.string.length > 0
               ? path->as.string.data
               : NULL;
}

/* info: of the process; NULL: nothing was told of it. */
static int read_answer(const struct supervisor_result *result, bool plain,
                       const struct xmlrpc_value **info, int64_t *size)
{
    const struct xmlrpc_value *value = result->answer.value, *code;

    *info = NULL;
    if (result->error != CESID_OK)
        return result->error;
    if (!plain) {
        if (value->type != XMLRPC_ARRAY || value->as.items.count != 2)
            return CESID_E_NODE_PROTOCOL;
        code = xmlrpc_member(value->as.items.first, "faultCode");
        if (code != NULL && code->type == XMLRPC_INT && code->as.integer == FAULT_BAD_NAME)
            return CESID_E_NOT_FOUND;
        *info = code == NULL ? value->as.items.first : NULL;
        value = value->as.items.first->next;
        if (xmlrpc_member(value, "faultCode") != NULL)
            return CESID_E_NODE_FAULT;
    }
    *size = logstream_place_size(value);
    return *size < 0 ? CESID_E_NODE_PROTOCOL : CESID_OK;
}

static void answered(void *argument, struct supervisor_result *result)
{
    struct opening *opening = argument;
    struct logstream *stream = opening->stream;
    const struct xmlrpc_value *info;
    bool tell = false, another = false, look;
    int error = read_answer(result, opening->plain, &info, &opening->size);

    if (!opening->plain && result->answer.fault &&
        result->answer.fault_code == FAULT_UNKNOWN_METHOD) {
        opening->plain = true;
        inquire(opening);
        return;
    }
    lock_acquire(&stream->streams->lock);
    if (error == CESID_E_NOT_FOUND)
        stream->absent = true;
    else if (info != NULL)
        tell = note_locked(stream, path_in(info, stream->kind), &another);
    else if (error == CESID_OK)
        stream->absent = stream->path_known = false; /* nothing to compare a view with */
    if (error == CESID_OK)
        opening->began = opening->next = find_gap_locked(stream, opening->size);
    look = stream->stale; /* by what was known before: does it still hold? */
    stream->stale = false;
    lock_release(&stream->streams->lock);
    if (tell)
        logstream_tell(stream, CESID_OK, another ? 0 : error != CESID_OK ? -1 : opening->began);
    if (look)
        logstream_process_check(stream);
    if (error != CESID_OK)
        finish(opening, error);
    else
        read_part(opening);
}

static void add_process(struct strbuf *body, const struct logstream *stream, const char *method)
{
    xmlrpc_batch_call(body, method);
    xmlrpc_value_string(body, stream->process, strlen(stream->process));
}

/* In one call, so that the size is that file's. */
static void inquire(struct opening *opening)
{
    struct logstream *stream = opening->stream;
    struct config *config = config_get(stream->streams->config);
    const char *tail = strcmp(stream->kind, "stdout") == 0 ? "supervisor.tailProcessStdoutLog"
                                                           : "supervisor.tailProcessStderrLog";
    struct supervisor_call call;
    int error;

    if (abandoned(opening)) {
        config_unref(&config);
        return;
    }
    opening->rounds++;
    supervisor_call_init(&call, opening->plain ? tail : "system.multicall", config,
                         config->timeouts.log);
    if (opening->plain) {
        xmlrpc_add_string(&call.body, stream->process, strlen(stream->process));
        xmlrpc_add_int(&call.body, 0);
        xmlrpc_add_int(&call.body, 0);
    } else {
        xmlrpc_batch_begin(&call.body);
        add_process(&call.body, stream, "supervisor.getProcessInfo");
        xmlrpc_batch_call_end(&call.body);
        add_process(&call.body, stream, tail);
        xmlrpc_value_int(&call.body, 0);
        xmlrpc_value_int(&call.body, 0);
        xmlrpc_batch_call_end(&call.body);
        xmlrpc_batch_end(&call.body);
    }
    error = supervisor_submit(opening->settings->endpoint, &call, answered, opening, NULL);
    supervisor_call_destroy(&call);
    config_unref(&config);
    if (error != CESID_OK)
        finish(opening, error);
}

void logstream_open(struct logstream *stream)
{
    struct logstreams *streams = stream->streams;
    struct node *node = registry_find(streams->registry, stream->node);
    struct node_settings *settings;
    struct opening *opening;
    char *old;

    lock_acquire(&streams->lock);
    stream->stale = stream->moved = false;
    lock_release(&streams->lock);
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
    opening = mem_alloc(sizeof(*opening));
    *opening = (struct opening){.stream = stream, .settings = settings};
    inquire(opening);
}
