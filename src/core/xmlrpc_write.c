/*
 * Writing XML-RPC requests. Pure, any thread, no lock.
 *
 * XML 1.0 has no spelling for most control characters, not even an escaped one, and supervisord's
 * parser refuses them. Text that holds one is sent as base64, which supervisord decodes to the
 * same string; so a keystroke such as Ctrl-C reaches a process's standard input.
 */
#include "cesid/xmlrpc.h"

#include <string.h>

#include "cesid/text.h"

static void add_escaped(struct strbuf *out, const char *data, size_t length)
{
    size_t plain = 0;
    for (size_t i = 0; i < length; i++) {
        const char *entity;
        switch (data[i]) {
        case '&':
            entity = "&amp;";
            break;
        case '<':
            entity = "&lt;";
            break;
        case '>':
            entity = "&gt;";
            break;
        case '\r': /* raw, a parser would make it a line feed */
            entity = "&#13;";
            break;
        default:
            continue;
        }
        strbuf_add(out, data + plain, i - plain);
        strbuf_puts(out, entity);
        plain = i + 1;
    }
    strbuf_add(out, data + plain, length - plain);
}

static void add_base64(struct strbuf *out, const char *data, size_t length)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < length; i += 3) {
        size_t have = length - i < 3 ? length - i : 3;
        uint32_t bits = 0;
        for (size_t j = 0; j < 3; j++)
            bits = bits << 8 | (j < have ? (unsigned char) data[i + j] : 0);
        char quad[4];
        for (size_t j = 0; j < 4; j++)
            quad[j] = j <= have ? digits[bits >> (18 - 6 * j) & 63] : '=';
        strbuf_add(out, quad, sizeof(quad));
    }
}

/* data is valid UTF-8. */
static bool fits_xml(const char *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char) data[i];
        if (c < 0x20 && c != '\t' && c != '\n' && c != '\r')
            return false;
        /* U+FFFE and U+FFFF */
        if (c == 0xEF && i + 2 < length && (unsigned char) data[i + 1] == 0xBF &&
            (unsigned char) data[i + 2] >= 0xBE)
            return false;
    }
    return true;
}

void xmlrpc_call_begin(struct strbuf *out, const char *method)
{
    strbuf_puts(out, "<?xml version=\"1.0\"?>\n<methodCall><methodName>");
    add_escaped(out, method, strlen(method));
    strbuf_puts(out, "</methodName><params>");
}

static void add_text(struct strbuf *out, const char *value, size_t length)
{
    bool plain = fits_xml(value, length);
    strbuf_puts(out, plain ? "<value><string>" : "<value><base64>");
    if (plain)
        add_escaped(out, value, length);
    else
        add_base64(out, value, length);
    strbuf_puts(out, plain ? "</string></value>" : "</base64></value>");
}

void xmlrpc_value_string(struct strbuf *out, const char *value, size_t length)
{
    if (text_is_utf8(value, length)) {
        add_text(out, value, length);
        return;
    }
    struct strbuf repaired;
    strbuf_init(&repaired, length * 3);
    text_add_utf8(&repaired, value, length);
    add_text(out, repaired.data, repaired.length);
    strbuf_destroy(&repaired);
}

void xmlrpc_value_int(struct strbuf *out, int64_t value)
{
    strbuf_printf(out, "<value><int>%lld</int></value>", (long long) value);
}

void xmlrpc_add_string(struct strbuf *out, const char *value, size_t length)
{
    strbuf_puts(out, "<param>");
    xmlrpc_value_string(out, value, length);
    strbuf_puts(out, "</param>");
}

void xmlrpc_add_int(struct strbuf *out, int64_t value)
{
    strbuf_puts(out, "<param>");
    xmlrpc_value_int(out, value);
    strbuf_puts(out, "</param>");
}

void xmlrpc_add_boolean(struct strbuf *out, bool value)
{
    strbuf_puts(out, value ? "<param><value><boolean>1</boolean></value></param>"
                           : "<param><value><boolean>0</boolean></value></param>");
}

void xmlrpc_call_end(struct strbuf *out)
{
    strbuf_puts(out, "</params></methodCall>\n");
}

void xmlrpc_batch_begin(struct strbuf *out)
{
    strbuf_puts(out, "<param><value><array><data>");
}

void xmlrpc_batch_call(struct strbuf *out, const char *method)
{
    strbuf_puts(out, "<value><struct><member><name>methodName</name>");
    xmlrpc_value_string(out, method, strlen(method));
    strbuf_puts(out, "</member><member><name>params</name><value><array><data>");
}

void xmlrpc_batch_call_end(struct strbuf *out)
{
    strbuf_puts(out, "</data></array></value></member></struct></value>");
}

void xmlrpc_batch_end(struct strbuf *out)
{
    strbuf_puts(out, "</data></array></value></param>");
}
