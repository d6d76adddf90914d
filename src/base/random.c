/*
 * Random bytes from the kernel, for ids, keys and jitter alike: one getrandom() costs less than a
 * microsecond, so there is no generator of our own whose state could leak or be shared.
 */
#include "cesid/random.h"

#include <errno.h>
#include <sys/random.h>

#include "cesid/check.h"

void random_bytes(void *out, size_t length)
{
    unsigned char *next = out;
    while (length > 0) {
        ssize_t got = getrandom(next, length, 0);
        if (got < 0) {
            CHECK(errno == EINTR);
            continue;
        }
        next += got;
        length -= (size_t) got;
    }
}

void random_hex(char *out, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    while (bytes > 0) {
        unsigned char chunk[32];
        size_t length = bytes < sizeof chunk ? bytes : sizeof chunk;
        random_bytes(chunk, length);
        for (size_t i = 0; i < length; i++) {
            *out++ = digits[chunk[i] >> 4];
            *out++ = digits[chunk[i] & 15];
        }
        bytes -= length;
    }
    *out = '\0';
}

uint32_t random_below(uint32_t bound)
{
    CHECK(bound > 0);
    /* Values beyond the last whole multiple of bound would favour small results. */
    uint32_t limit = UINT32_MAX - UINT32_MAX % bound;
    uint32_t value;
    do
        random_bytes(&value, sizeof value);
    while (value >= limit);
    return value % bound;
}

double random_uniform(void)
{
    uint64_t value;
    random_bytes(&value, sizeof value);
    return (double) (value >> 11) / 9007199254740992.0;
}
