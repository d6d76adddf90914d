/*
 * One upstream of a log: the size first (so that bytes have offsets), then /logtail/, which starts
 * up to 1,024 bytes back (supervisor/http.py, tail_f_producer) and goes on as the log grows.
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
        .on_data = logstream_data,
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
