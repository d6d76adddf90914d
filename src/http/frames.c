/* Headers of WebSocket frames. See frames.h. */
#include "cesid/frames.h"

#include <stdbool.h>
#include <string.h>

#define MASKED   0x80
#define MASK_KEY 4

/* Bytes of the length that follow the second byte. */
static size_t length_bytes(const struct frames *frames)
{
    unsigned length = frames->header[1] & 0x7F;
    return length == 127 ? 8 : length == 126 ? 2 : 0;
}

static bool complete(const struct frames *frames)
{
    return frames->have >= 2 && frames->have == 2 + length_bytes(frames) + MASK_KEY;
}

static uint64_t announced(const struct frames *frames)
{
    size_t count = length_bytes(frames);
    uint64_t length = 0;

    if (count == 0)
        return frames->header[1] & 0x7F;
    for (size_t i = 0; i < count; i++)
        length = length << 8 | frames->header[2 + i];
    return length;
}

enum frames_verdict frames_watch(struct frames *frames, const void *data, size_t length,
                                 uint64_t most)
{
    const unsigned char *byte = data, *end = byte + length;

    while (byte < end) {
        if (frames->payload > 0) {
            uint64_t left = (uint64_t) (end - byte);
            uint64_t skipped = frames->payload < left ? frames->payload : left;

            frames->payload -= skipped;
            byte += skipped;
            continue;
        }
        frames->header[frames->have++] = *byte++;
        if (frames->have == 2 && (frames->header[1] & MASKED) == 0)
            return FRAMES_UNMASKED;
        if (!complete(frames))
            continue;
        frames->payload = announced(frames);
        frames->have = 0;
        if (frames->payload > most)
            return FRAMES_TOO_BIG;
    }
    return FRAMES_GOOD;
}
