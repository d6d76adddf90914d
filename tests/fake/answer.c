/*
 * What a request is answered: the node's fault first, the truth otherwise.
 */
#include "connection.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 301:
    case 302:
    case 307:
        return "Moved";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 500:
        return "Internal Server Error";
    default:
        return "Whatever";
    }
}

static void put_head(struct buffer *out, int status, const char *more)
{
    static char date[40];
    static time_t at;
    time_t now = (time_t) fake.now;
    struct tm when;

    if (now != at && gmtime_r(&now, &when) != NULL) {
        at = now;
        strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &when);
    }
    buffer_puts(out, "HTTP/1.1 ");
    buffer_int(out, status);
    buffer_puts(out, " ");
    buffer_puts(out, reason(status));
    buffer_puts(out, "\r\nServer: Medusa/1.12\r\nDate: ");
    buffer_puts(out, date);
    buffer_puts(out, "\r\n");
    buffer_puts(out, more);
}

static void put_length(struct buffer *out, size_t length)
{
    buffer_puts(out, "Content-Length: ");
    buffer_int(out, (long long) length);
    buffer_puts(out, "\r\n\r\n");
}

static void answer_status(struct connection *connection, int status)
{
    struct buffer head = {0};
    char body[300];
    int length = snprintf(body, sizeof(body),
                          "<head>\r\n<title>Error response</title>\r\n</head>\r\n<body>\r\n"
                          "<h1>Error response</h1>\r\n<p>Error code %d.\r\n<p>Message: %s.\r\n"
                          "</body>\r\n",
                          status, reason(status));

    put_head(&head, status,
             status == 401   ? "WWW-Authenticate: Basic realm=\"default\"\r\n"
             : status == 302 ? "Location: http://127.0.0.1:9/RPC2\r\n"
                             : "");
    buffer_puts(&head, "Content-Type: text/html\r\n");
    put_length(&head, (size_t) length);
    buffer_add(&head, body, (size_t) length);
    connection_send(connection, head.data, head.length);
    buffer_free(&head);
    connection_answered(connection);
}

static void generate(struct connection *connection, const char *head, const char *piece,
                     const char *tail, uint64_t pieces, bool chunked)
{
    connection->mode = MODE_GENERATING;
    connection->generate_head = head;
    connection->generate_piece = piece;
    connection->generate_tail = tail;
    connection->generate_left = pieces;
    connection->generate_chunked = chunked;
    connection->close_after = true;
    connection_push(connection);
}

static void put_piece(struct connection *connection, const char *text, size_t times)
{
    if (connection->generate_chunked)
        buffer_printf(&connection->out, "%zx\r\n", strlen(text) * times);
    for (size_t i = 0; i < times; i++)
        buffer_puts(&connection->out, text);
    if (connection->generate_chunked)
        buffer_puts(&connection->out, "\r\n");
}

void answer_more(struct connection *connection)
{
    uint64_t left = connection->generate_left;
    size_t now = left < 64 ? (size_t) left : 64;

    if (connection->generate_head != NULL) {
        put_piece(connection, connection->generate_head, 1);
        connection->generate_head = NULL;
    } else if (left > 0) {
        put_piece(connection, connection->generate_piece, now);
        if (left != UINT64_MAX)
            connection->generate_left -= now;
    } else {
        put_piece(connection, connection->generate_tail, 1);
        connection->mode = MODE_READING;
    }
}

static const char array_head[] = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n"
                                 "<value><array><data>\n";
static const char array_tail[] =
    "</data></array></value>\n</param>\n</params>\n</methodResponse>\n";

static void answer_huge(struct connection *connection, bool endless)
{
    static char piece[1025];
    double megabytes =
        connection->node->fault_argument > 0 ? connection->node->fault_argument : 100;
    uint64_t pieces = endless ? UINT64_MAX : (uint64_t) (megabytes * 1024);
    struct buffer head = {0};

    memset(piece, 'x', sizeof(piece) - 1);
    memcpy(piece, "<value><string>", 15);
    memcpy(piece + 1024 - 18, "</string></value>\n", 18);
    put_head(&head, 200, "Content-Type: text/xml\r\n");
    if (endless)
        buffer_puts(&head, "Transfer-Encoding: chunked\r\n\r\n");
    else
        put_length(&head, strlen(array_head) + strlen(array_tail) + (size_t) pieces * 1024);
    connection_send(connection, head.data, head.length);
    buffer_free(&head);
    generate(connection, array_head, piece, array_tail, pieces, endless);
}

/* The body of an answer that is no answer; false: the node's fault is none of these. */
static bool wrong_body(enum fault fault, struct buffer *body)
{
    uint32_t random = 12345;

    switch (fault) {
    case FAULT_GARBAGE:
        for (int i = 0; i < 20000; i++) {
            random = random * 1664525u + 1013904223u;
            buffer_add(body, (const char[]){(char) (random >> 24)}, 1);
        }
        return true;
    case FAULT_HTML:
        buffer_puts(body, "<!DOCTYPE html><html><title>Hello</title><p>This is a web site.</html>");
        return true;
    case FAULT_STRANGE:
        buffer_puts(body, array_head);
        buffer_puts(body, "<value><int>-1</int></value>\n<value><struct>\n<member><name>name</name>"
                          "<value><int>7</int></value></member>\n</struct></value>\n"
                          "<value><nil/></value>\n");
        buffer_puts(body, array_tail);
        return true;
    case FAULT_DEEP:
        buffer_puts(body, array_head);
        for (int i = 0; i < 100000; i++)
            buffer_puts(body, "<value><array><data>");
        for (int i = 0; i < 100000; i++)
            buffer_puts(body, "</data></array></value>");
        buffer_puts(body, array_tail);
        return true;
    default:
        return false;
    }
}

/* Sends a body with its head, as wrong as the fault wants it. */
static void send_answer(struct connection *connection, enum fault fault, const struct buffer *body)
{
    struct buffer head = {0};
    const char *data = body->data;
    size_t length = body->length, told = length;

    put_head(&head, 200,
             fault == FAULT_HTML     ? "Content-Type: text/html\r\n"
             : fault == FAULT_LATIN1 ? "Content-Type: text/xml; charset=iso-8859-1\r\n"
                                     : "Content-Type: text/xml\r\n");
    if (fault == FAULT_CLOSE)
        buffer_puts(&head, "Connection: close\r\n");
    if (fault == FAULT_TRUNCATE)
        length /= 2;
    else if (fault == FAULT_LONGER)
        told += 1000;
    else if (fault == FAULT_SHORTER)
        told = told > 100 ? told - 100 : 0;
    else if (fault == FAULT_HEADERS)
        length = 0;
    put_length(&head, told);
    if (fault == FAULT_DRIP) {
        buffer_add(&head, data, length);
        buffer_add(&connection->out, head.data, head.length);
        buffer_free(&head);
        connection->mode = MODE_DRIPPING;
        connection->wake_at = fake.monotonic;
        connection_timed(connection, true);
        return;
    }
    buffer_add(&head, data, length);
    connection_send(connection, head.data, head.length);
    buffer_free(&head);
    if (fault == FAULT_CLOSE || fault == FAULT_DROP || fault == FAULT_TRUNCATE)
        connection->close_after = true;
    connection->mode = fault == FAULT_HEADERS || fault == FAULT_LONGER ? MODE_HUNG : MODE_READING;
    connection_push(connection);
}

static void finish_pending(struct node *node)
{
    if (!node->pending_restart)
        return;
    node->pending_restart = false;
    connection_drop_all(node, false);
    node_restart(node);
    if (node->pending_shutdown)
        fake_unlisten(node, true);
    node->pending_shutdown = false;
}

static void answer_code(struct connection *connection, enum fault fault, int code,
                        const char *extra, const struct buffer *value)
{
    static struct buffer body;
    struct node *node = connection->node;

    body.length = 0;
    if (fault == FAULT_LATIN1) {
        static const char declared[] = "<?xml version='1.0' encoding='ISO-8859-1'?>\n";

        rpc_answer(&body, code, extra, value);
        buffer_cut(&body, strlen("<?xml version='1.0'?>\n"));
        buffer_need(&body, sizeof(declared));
        memmove(body.data + sizeof(declared) - 1, body.data, body.length);
        memcpy(body.data, declared, sizeof(declared) - 1);
        body.length += sizeof(declared) - 1;
    } else if (!wrong_body(fault, &body)) {
        rpc_answer(&body, code, extra, value);
    }
    send_answer(connection, fault, &body);
    finish_pending(node);
}

/* The fault that this request meets, if any. */
static enum fault take_fault(struct node *node, const char *method)
{
    if (node->fault == FAULT_NONE || node->fault_times == 0)
        return FAULT_NONE;
    if (node->fault_method[0] != '\0' && fnmatch(node->fault_method, method, 0) != 0)
        return FAULT_NONE;
    if (node->fault_times > 0)
        node->fault_times--;
    return node->fault;
}

static void count_call(struct node *node, const char *method)
{
    int index = rpc_method_index(method);

    fake.requests++;
    node->calls[index]++;
    if (strcmp(method, "supervisor.getAllProcessInfo") != 0)
        return;
    if (node->last_poll > 0)
        node->lags[node->lag_count++ % FAKE_LAGS] = (float) (fake.monotonic - node->last_poll);
    node->last_poll = fake.monotonic;
}

/* True: the fault has answered, or never will. */
static bool answer_fault(struct connection *connection, enum fault fault)
{
    struct node *node = connection->node;

    switch (fault) {
    case FAULT_SILENT:
    case FAULT_STUCK:
        connection->mode = MODE_HUNG;
        return true;
    case FAULT_RESET:
    case FAULT_REFUSE:
        connection_close(connection, true);
        return true;
    case FAULT_CLOSED:
        connection_close(connection, false);
        return true;
    case FAULT_NOISE:
        connection_send(connection, "220 mail.example ESMTP ready\r\n500 what?\r\n", 41);
        connection->close_after = true;
        connection_answered(connection);
        return true;
    case FAULT_FLOOD:
        connection_send(connection, "HTTP/1.1 200 OK\r\n", 17);
        generate(connection, "X-First: 1\r\n",
                 "X-Flood: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
                 "", UINT64_MAX, false);
        return true;
    case FAULT_STATUS:
        answer_status(connection, node->fault_argument > 0 ? (int) node->fault_argument : 500);
        return true;
    case FAULT_HUGE:
    case FAULT_ENDLESS:
        answer_huge(connection, fault == FAULT_ENDLESS);
        return true;
    default:
        return false;
    }
}

static void answer_call(struct connection *connection, struct request *request, enum fault fault)
{
    static struct buffer value;
    int code;

    value.length = 0;
    request->waiting = &connection->waiting;
    if (fault == FAULT_RPC) {
        code = (int) connection->node->fault_argument;
        snprintf(request->fault, sizeof(request->fault), "on order");
        answer_code(connection, fault, code, request->fault, &value);
        return;
    }
    code = rpc_call(connection->node, request, &value);
    if (code != RPC_LATER) {
        answer_code(connection, fault, code, request->fault, &value);
        return;
    }
    connection->mode = MODE_WAITING;
    connection->wake_at = 0;
    connection_timed(connection, true);
}

/* GET /logtail/NAME/CHANNEL: up to 1024 bytes from the end, then what comes. */
static void answer_log(struct connection *connection, const char *path, size_t length)
{
    static const char head[] = "Content-Type: text/plain;charset=utf-8\r\nX-Accel-Buffering: no\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    struct node *node = connection->node;
    char name[80];
    size_t used = 0;
    int index;
    bool whole;
    struct buffer out = {0};

    for (size_t i = 0; i < length && path[i] != '/' && used < sizeof(name) - 1; i++) {
        if (path[i] == '%' && i + 2 < length && path[i + 1] == '3' && (path[i + 2] | 32) == 'a') {
            name[used++] = ':';
            i += 2;
        } else {
            name[used++] = path[i];
        }
    }
    name[used] = '\0';
    if (process_find(node, name, &index, &whole) == 0 || whole) {
        answer_status(connection, 404);
        return;
    }
    connection->tailed = &node->processes[index];
    connection->tail_at = log_size(node, connection->tailed) - 1024;
    if (connection->tail_at < 0)
        connection->tail_at = 0;
    put_head(&out, 200, head);
    connection_send(connection, out.data, out.length);
    buffer_free(&out);
    connection->mode = MODE_TAILING;
    connection->wake_at = 0;
    connection_timed(connection, true);
    connection_busy(connection, false);
    connection_push(connection);
}

static void tail_more(struct connection *connection)
{
    int64_t size = log_size(connection->node, connection->tailed);
    struct buffer text = {0};

    if (connection->out.length > 0)
        return; /* the reader is slow */
    if (size < connection->tail_at)
        connection->tail_at = 0;
    if (size == connection->tail_at)
        return;
    log_read(&text, connection->tailed, connection->tail_at, size - connection->tail_at);
    connection->tail_at = size;
    buffer_printf(&connection->out, "%zx\r\n", text.length);
    buffer_add(&connection->out, text.data, text.length);
    buffer_puts(&connection->out, "\r\n");
    buffer_free(&text);
    connection_push(connection);
}

void answer_wake(struct connection *connection)
{
    static struct buffer value;
    int code;

    switch (connection->mode) {
    case MODE_WAITING:
        value.length = 0;
        code = waiting_look(connection->node, &connection->waiting, &value);
        if (code == RPC_LATER)
            return;
        connection_timed(connection, false);
        answer_code(connection, FAULT_NONE, code, connection->waiting.name, &value);
        return;
    case MODE_DELAYED:
        connection_timed(connection, false);
        connection->delayed = true;
        connection->mode = MODE_READING; /* its request is read again */
        return;
    case MODE_DRIPPING:
        connection->wake_at =
            fake.monotonic +
            (connection->node->fault_argument > 0 ? connection->node->fault_argument : 1.0);
        if (send(connection->fd, connection->out.data + connection->sent, 1, MSG_NOSIGNAL) == 1) {
            connection->sent++;
            fake.sent++;
        }
        if (connection->sent == connection->out.length) {
            connection->out.length = connection->sent = 0;
            connection_timed(connection, false);
            connection_answered(connection);
        }
        return;
    case MODE_TAILING:
        tail_more(connection);
        return;
    default:
        connection_timed(connection, false);
    }
}

static bool starts_with(const struct head *head, const char *text)
{
    size_t length = strlen(text);

    return head->line_length >= length && memcmp(head->line, text, length) == 0;
}

void answer_request(struct connection *connection, const struct head *head)
{
    struct node *node = connection->node;
    struct request request = {0};
    bool log = starts_with(head, "GET /logtail/");
    enum fault fault;

    connection->close_after = head->close;
    if (!log &&
        (!starts_with(head, "POST /RPC2") || !rpc_read(&request, head->body, head->body_length))) {
        fake.requests++;
        answer_status(connection, starts_with(head, "POST /RPC2") ? 400 : 404);
        goto done;
    }
    if (log)
        snprintf(request.method, sizeof(request.method), "logtail");
    if (!connection->delayed)
        count_call(node, request.method);
    fault = connection->delayed ? FAULT_NONE : take_fault(node, request.method);
    if (fault == FAULT_DELAY) {
        connection->mode = MODE_DELAYED;
        connection->wake_at = fake.monotonic + node->fault_argument;
        connection_timed(connection, true);
    } else if (answer_fault(connection, fault)) {
        ;
    } else if (!head->authorized) {
        fake.unauthorized++;
        answer_status(connection, 401);
    } else if (log) {
        answer_log(connection, head->line + 13, head->line_length - 13);
    } else {
        answer_call(connection, &request, fault);
    }
done:
    rpc_free(&request);
}
