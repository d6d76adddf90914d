/*
 * Headers of WebSocket frames, watched however the bytes happen to come.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cesid/check.h"
#include "cesid/frames.h"

#define MOST 70000

/* A frame of so many bytes, masked or not, its length written in the given number of bytes. */
static size_t put(unsigned char *to, uint64_t length, size_t width, bool masked)
{
    size_t at = 0;
    to[at++] = 0x81;
    to[at++] = (unsigned char) ((masked ? 0x80 : 0) | (width == 8   ? 127
                                                       : width == 2 ? 126
                                                                    : (unsigned char) length));
    for (size_t i = 0; i < width; i++)
        to[at++] = (unsigned char) (length >> (8 * (width - 1 - i)));
    if (masked)
        at += 4;
    return at;
}

static size_t width_of(uint64_t length)
{
    return length < 126 ? 0 : length < 65536 ? 2 : 8;
}

static enum frames_verdict at_once(const unsigned char *data, size_t length, uint64_t most)
{
    struct frames frames = {0};
    return frames_watch(&frames, data, length, most);
}

static void each_verdict(void **state)
{
    static const uint64_t lengths[] = {0, 1, 125, 126, 127, 65535, 65536, MOST};
    unsigned char frame[FRAME_HEADER_MOST];
    (void) state;
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        uint64_t length = lengths[i];
        size_t size = put(frame, length, width_of(length), true);
        assert_int_equal(at_once(frame, size, MOST), FRAMES_GOOD);
        assert_int_equal(at_once(frame, size, length), FRAMES_GOOD);
        if (length > 0)
            assert_int_equal(at_once(frame, size, length - 1), FRAMES_TOO_BIG);
        (void) put(frame, length, width_of(length), false);
        assert_int_equal(at_once(frame, 2, MOST), FRAMES_UNMASKED);
    }
    size_t size = put(frame, UINT64_MAX, 8, true);
    assert_int_equal(at_once(frame, size, MOST), FRAMES_TOO_BIG);
    assert_int_equal(at_once(frame, size - 1, MOST), FRAMES_GOOD);
}

/* Streams of good frames whose payloads look like bad headers, cut anywhere; then one bad frame. */
static void cut_anywhere(void **state)
{
    static unsigned char stream[20 * (MOST + FRAME_HEADER_MOST)];
    (void) state;
    srandom(7);
    for (int round = 0; round < 300; round++) {
        size_t length = 0;
        int count = (int) (random() % 20);
        for (int i = 0; i < count; i++) {
            uint64_t payload = (uint64_t) random() % (i % 7 == 0 ? MOST : 300U);
            length += put(stream + length, payload, width_of(payload), true);
            memset(stream + length, round % 2 == 0 ? 0x00 : 0x7F, payload);
            length += payload;
        }
        bool unmasked = round % 3 == 0;
        size_t good = length;
        length += put(stream + length, unmasked ? 5 : MOST + 1, unmasked ? 0 : 8, !unmasked);
        struct frames frames = {0};
        for (size_t at = 0; at < good;) {
            size_t piece = 1 + (size_t) random() % (round % 5 == 0 ? 7U : 20000U);
            if (piece > good - at)
                piece = good - at;
            assert_int_equal(frames_watch(&frames, stream + at, piece, MOST), FRAMES_GOOD);
            at += piece;
        }
        assert_int_equal(frames_watch(&frames, stream + good, length - good, MOST),
                         unmasked ? FRAMES_UNMASKED : FRAMES_TOO_BIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_verdict),
        cmocka_unit_test(cut_anywhere),
    };
    return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
