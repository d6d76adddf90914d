/*
 * base64url, strictly: a token must have one spelling, or two texts would name one session. Pure
 * functions without locks.
 */
#include "cesid/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_add(struct strbuf *out, const void *data, size_t length)
{
    const unsigned char *in = data;
    for (; length >= 3; in += 3, length -= 3) {
        strbuf_putc(out, alphabet[in[0] >> 2]);
        strbuf_putc(out, alphabet[(in[0] & 3) << 4 | in[1] >> 4]);
        strbuf_putc(out, alphabet[(in[1] & 15) << 2 | in[2] >> 6]);
        strbuf_putc(out, alphabet[in[2] & 63]);
    }
    if (length == 0)
        return;
    strbuf_putc(out, alphabet[in[0] >> 2]);
    if (length == 1) {
        strbuf_putc(out, alphabet[(in[0] & 3) << 4]);
        return;
    }
    strbuf_putc(out, alphabet[(in[0] & 3) << 4 | in[1] >> 4]);
    strbuf_putc(out, alphabet[(in[1] & 15) << 2]);
}

static int letter(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

int64_t base64url_decode(const char *text, size_t length, void *out, size_t capacity)
{
    unsigned char *bytes = out;
    size_t written = 0;
    uint32_t bits = 0;
    int held = 0;

    if (length % 4 == 1)
        return -1;
    for (size_t i = 0; i < length; i++) {
        int value = letter(text[i]);
        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t) value;
        held += 6;
        if (held < 8)
            continue;
        held -= 8;
        if (written == capacity)
            return -1;
        bytes[written++] = (unsigned char) (bits >> held & 0xff);
        bits &= (UINT32_C(1) << held) - 1;
    }
    /* What is left over of the last letter must be zero, or several texts mean the same bytes. */
    return bits ? -1 : (int64_t) written;
}
