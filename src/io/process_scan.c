/* See process_scan.h. The spelling: xmlrpc.client's Marshaller, and getProcessInfo in
 * supervisor/rpcinterface.py 4.2.5, whose members have always come in this order. */
#include "cesid/process_scan.h"

#include <string.h>

#include "cesid/check.h"
#include "cesid/supervisor.h"

#define HEAD          "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n"
#define TAIL          "</data></array></value>\n</param>\n</params>\n</methodResponse>\n"
#define PROCESS_BEGIN "<value><struct>\n"
#define PROCESS_END   "</struct></value>\n"
#define TEXT_END      "</string></value>\n</member>\n"
#define NUMBER_END    "</int></value>\n</member>\n"

#define TEXT(member, field)                                                                        \
    {                                                                                              \
        "<member>\n<name>" member "</name>\n<value><string>",                                      \
            sizeof("<member>\n<name>" member "</name>\n<value><string>") - 1, true,                \
            offsetof(struct scanned_process, field), 0                                             \
    }
#define NUMBER(member, field, low)                                                                 \
    {                                                                                              \
        "<member>\n<name>" member "</name>\n<value><int>",                                         \
            sizeof("<member>\n<name>" member "</name>\n<value><int>") - 1, false,                  \
            offsetof(struct scanned_process, field), low                                           \
    }
#define IGNORED SIZE_MAX
#define UNREAD(member)                                                                             \
    {                                                                                              \
        "<member>\n<name>" member "</name>\n<value><string>",                                      \
            sizeof("<member>\n<name>" member "</name>\n<value><string>") - 1, true, IGNORED, 0     \
    }

static const struct {
    const char *begin;
    size_t length;
    bool text;
    size_t field;
    int64_t low; /* of a number */
} members[] = {
    TEXT("name", name),
    TEXT("group", group),
    NUMBER("start", start, 0),
    NUMBER("stop", stop, 0),
    NUMBER("now", now, 0),
    NUMBER("state", statecode, 0),
    UNREAD("statename"),
    TEXT("spawnerr", spawn_error),
    NUMBER("exitstatus", exit_status, INT32_MIN),
    UNREAD("logfile"),
    TEXT("stdout_logfile", stdout_log),
    TEXT("stderr_logfile", stderr_log),
    NUMBER("pid", pid, 0),
    TEXT("description", description),
};

static bool skip(struct process_scan *scan, const char *text, size_t length)
{
    if ((size_t) (scan->end - scan->at) < length || memcmp(scan->at, text, length) != 0)
        return false;
    scan->at += length;
    return true;
}

#define SKIP(scan, literal) skip(scan, literal, sizeof(literal) - 1)

/* Bytes that mean themselves in XML text, wherever they stand: "]]>" needs a '>'. */
static bool is_plain(const char *data, size_t length)
{
    bool plain = true;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char) data[i];
        plain &= c >= 0x20 && c < 0x7F && c != '&' && c != '>';
    }
    return plain;
}

static bool read_text(struct process_scan *scan, struct scanned_text *text)
{
    const char *end = memchr(scan->at, '<', (size_t) (scan->end - scan->at));
    if (end == NULL)
        return false;
    *text = (struct scanned_text){scan->at, (size_t) (end - scan->at)};
    scan->at = end;
    return is_plain(text->data, text->length) && SKIP(scan, TEXT_END);
}

static bool read_number(struct process_scan *scan, int64_t low, int64_t *number)
{
    bool negative = scan->at < scan->end && *scan->at == '-';
    const char *digits = scan->at + (negative ? 1 : 0), *at = digits;
    int64_t value = 0;
    while (at < scan->end && at - digits < 10 && *at >= '0' && *at <= '9')
        value = value * 10 + (*at++ - '0');
    if (at == digits)
        return false;
    scan->at = at;
    *number = negative ? -value : value;
    return *number >= low && *number <= INT32_MAX && SKIP(scan, NUMBER_END);
}

static bool is_name(struct scanned_text text)
{
    return text.length > 0 && text.length <= SUPERVISOR_NAME_MAX;
}

bool process_scan_begin(struct process_scan *scan, const char *answer, size_t length)
{
    *scan = (struct process_scan){answer, answer + length};
    return SKIP(scan, HEAD);
}

bool process_scan_next(struct process_scan *scan, struct scanned_process *process)
{
    if (!SKIP(scan, PROCESS_BEGIN))
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++) {
        char *field = members[i].field == IGNORED ? NULL : (char *) process + members[i].field;
        if (!skip(scan, members[i].begin, members[i].length))
            return false;
        struct scanned_text text;
        int64_t number;
        if (members[i].text ? !read_text(scan, &text) : !read_number(scan, members[i].low, &number))
            return false;
        if (field != NULL && members[i].text)
            memcpy(field, &text, sizeof(text));
        else if (field != NULL)
            memcpy(field, &number, sizeof(number));
    }
    return is_name(process->name) && is_name(process->group) && SKIP(scan, PROCESS_END);
}

bool process_scan_end(struct process_scan *scan)
{
    return SKIP(scan, TAIL) && scan->at == scan->end;
}

bool scanned_text_equals(struct scanned_text text, const char *known)
{
    if (known == NULL)
        return text.length == 0;
    return strncmp(known, text.data, text.length) == 0 && known[text.length] == '\0';
}
