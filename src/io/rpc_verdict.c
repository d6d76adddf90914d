/*
 * What the end of a transfer means to the operator: from libcurl's codes, the system's errno and
 * HTTP status to one cause, one error and one sentence. Sentences are shown to whoever may see the
 * node, so they hold neither credentials nor our own inner life. Loop threads only, no locks.
 */
#include "rpc_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cesid/error.h"

static int error_of(enum rpc_cause cause)
{
    switch (cause) {
    case RPC_CAUSE_NONE:
        return 0;
    case RPC_CAUSE_REFUSED:
    case RPC_CAUSE_UNREACHABLE:
    case RPC_CAUSE_DNS:
    case RPC_CAUSE_TLS:
    case RPC_CAUSE_PERMISSION:
    case RPC_CAUSE_RESET:
        return CESID_E_NODE_UNREACHABLE;
    case RPC_CAUSE_TIMEOUT:
        return CESID_E_NODE_TIMEOUT;
    case RPC_CAUSE_UNAUTHORIZED:
        return CESID_E_NODE_UNAUTHORIZED;
    case RPC_CAUSE_NO_RPC_INTERFACE:
    case RPC_CAUSE_PROTOCOL:
    case RPC_CAUSE_TOO_LARGE:
    case RPC_CAUSES:
        break;
    }
    return CESID_E_NODE_PROTOCOL;
}

void rpc_verdict_set(struct rpc_verdict *verdict, enum rpc_cause cause, const char *format, ...)
{
    verdict->cause = cause;
    verdict->error = error_of(cause);
    va_list arguments;
    va_start(arguments, format);
    (void) vsnprintf(verdict->detail, sizeof(verdict->detail), format, arguments);
    va_end(arguments);
}

void rpc_verdict_status(struct rpc_verdict *verdict, int status)
{
    verdict->status = status;
    switch (status) {
    case 401:
        rpc_verdict_set(verdict, RPC_CAUSE_UNAUTHORIZED,
                        "The node did not accept the username and password (HTTP status 401).");
        return;
    case 403:
        rpc_verdict_set(verdict, RPC_CAUSE_PERMISSION,
                        "The node forbids the access (HTTP status 403).");
        verdict->error = CESID_E_NODE_UNAUTHORIZED;
        return;
    case 404:
    case 405:
    case 501:
        rpc_verdict_set(verdict, RPC_CAUSE_NO_RPC_INTERFACE,
                        "There is no such interface at the node (HTTP status %d).", status);
        return;
    default:
        break;
    }
    if (status >= 300 && status < 400)
        rpc_verdict_set(
            verdict, RPC_CAUSE_PROTOCOL,
            "The node answered with a redirect (HTTP status %d), which is not followed.", status);
    else
        rpc_verdict_set(verdict, RPC_CAUSE_PROTOCOL, "The node answered with HTTP status %d.",
                        status);
}

static void judge_connect(struct rpc_verdict *verdict, const struct rpc_transfer *transfer)
{
    bool local = transfer->endpoint->socket_path != NULL;
    long number = 0;
    if (transfer->socket_error != 0)
        number = transfer->socket_error;
    else
        (void) curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &number);
    switch (number) {
    case ECONNREFUSED:
        rpc_verdict_set(verdict, RPC_CAUSE_REFUSED,
                        local ? "Nothing listens on the node's unix socket."
                              : "The node's host refused the connection.");
        return;
    case ENOENT:
    case ENOTDIR:
        rpc_verdict_set(verdict, RPC_CAUSE_REFUSED, "The node's unix socket is not there.");
        return;
    case EACCES:
    case EPERM:
        if (local)
            rpc_verdict_set(verdict, RPC_CAUSE_PERMISSION,
                            "cesid may not open the node's unix socket.");
        else
            rpc_verdict_set(verdict, RPC_CAUSE_UNREACHABLE,
                            "The system forbids the connection to the node.");
        return;
    case ETIMEDOUT:
    case EAGAIN:
        rpc_verdict_set(verdict, RPC_CAUSE_TIMEOUT,
                        "The node did not accept a connection in time.");
        return;
    case ECONNRESET:
    case EPIPE:
        rpc_verdict_set(verdict, RPC_CAUSE_RESET, "The node reset the connection.");
        return;
    case EMFILE:
    case ENFILE:
        rpc_verdict_set(verdict, RPC_CAUSE_UNREACHABLE,
                        "cesid has no file descriptor left for a connection to the node.");
        return;
    case EHOSTUNREACH:
    case EHOSTDOWN:
        rpc_verdict_set(verdict, RPC_CAUSE_UNREACHABLE, "The node's host cannot be reached.");
        return;
    case ENETUNREACH:
    case ENETDOWN:
        rpc_verdict_set(verdict, RPC_CAUSE_UNREACHABLE, "The node's network cannot be reached.");
        return;
    default:
        break;
    }
    /* A unix socket whose backlog is full: connect() says EAGAIN, which libcurl takes for a
     * connection in the making and forgets. That is a supervisord that hangs, after some
     * unanswered polls. */
    if (local && number == 0)
        rpc_verdict_set(verdict, RPC_CAUSE_TIMEOUT,
                        "The node accepts no more connections on its unix socket.");
    else
        rpc_verdict_set(verdict, RPC_CAUSE_UNREACHABLE, "No connection to the node could be made.");
}

static void judge_timeout(struct rpc_verdict *verdict, const struct rpc_transfer *transfer)
{
    static const char resolving[] = "Resolving timed out";
    long sent = 0;
    (void) curl_easy_getinfo(transfer->easy, CURLINFO_REQUEST_SIZE, &sent);
    if (strncmp(transfer->error, resolving, sizeof(resolving) - 1) == 0)
        rpc_verdict_set(verdict, RPC_CAUSE_DNS, "The node's host name was not resolved in time.");
    else if (sent == 0)
        rpc_verdict_set(verdict, RPC_CAUSE_TIMEOUT,
                        "The node did not accept a connection in time.");
    else
        rpc_verdict_set(verdict, RPC_CAUSE_TIMEOUT, "The node did not answer in time.");
}

static void judge_broken(struct rpc_verdict *verdict, const struct rpc_transfer *transfer,
                         CURLcode code)
{
    if (strstr(transfer->error, "chunked-encoding") != NULL)
        rpc_verdict_set(verdict, RPC_CAUSE_PROTOCOL, "The node's answer is not valid HTTP.");
    else if (code == CURLE_PARTIAL_FILE || transfer->headers_done)
        rpc_verdict_set(verdict, RPC_CAUSE_RESET,
                        "The node closed the connection in the middle of its answer.");
    else
        rpc_verdict_set(verdict, RPC_CAUSE_RESET, "The node closed the connection without answer.");
}

void rpc_verdict_curl(struct rpc_verdict *verdict, struct rpc_transfer *transfer, CURLcode code)
{
    verdict->status = transfer->status;
    switch (code) {
    case CURLE_OK:
        rpc_verdict_set(verdict, RPC_CAUSE_NONE, "%s", "");
        return;
    case CURLE_COULDNT_CONNECT:
        judge_connect(verdict, transfer);
        return;
    case CURLE_OPERATION_TIMEDOUT:
        judge_timeout(verdict, transfer);
        return;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        rpc_verdict_set(verdict, RPC_CAUSE_DNS, "The node's host name could not be resolved.");
        return;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        judge_broken(verdict, transfer, code);
        return;
    /* libcurl says out of memory when a single header line passes its own limit. */
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FILESIZE_EXCEEDED:
        rpc_verdict_set(verdict, RPC_CAUSE_TOO_LARGE, "The node's answer is too large.");
        return;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_SHUTDOWN_FAILED:
        if (code == CURLE_SSL_CACERT_BADFILE || transfer->error[0] == '\0')
            rpc_verdict_set(verdict, RPC_CAUSE_TLS, "The TLS handshake with the node failed: %s.",
                            curl_easy_strerror(code));
        else
            rpc_verdict_set(verdict, RPC_CAUSE_TLS,
                            "The TLS handshake with the node failed: %.150s.", transfer->error);
        return;
    case CURLE_URL_MALFORMAT:
        rpc_verdict_set(verdict, RPC_CAUSE_UNREACHABLE, "The node's url cannot be used.");
        return;
    default:
        rpc_verdict_set(verdict, RPC_CAUSE_PROTOCOL, "The node's answer is not valid HTTP.");
    }
}
