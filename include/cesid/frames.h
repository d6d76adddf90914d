/*
 * The headers of a peer's WebSocket frames (RFC 6455, 5.2), watched byte by byte as they come from
 * the socket. CivetWeb takes frames that are not masked, and collects whatever length a header
 * announces before it shows the frame; who watches the stream can end it at the header.
 *
 * A pure state machine: no locks, one thread at a time.
 */
#ifndef CESID_FRAMES_H
#define CESID_FRAMES_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_MOST 14

enum frames_verdict { FRAMES_GOOD, FRAMES_UNMASKED, FRAMES_TOO_BIG };

/* All zero: a stream that begins. */
struct frames {
    unsigned char header[FRAME_HEADER_MOST];
    size_t have;      /* bytes of the header */
    uint64_t payload; /* bytes of the frame that are still to come */
};

/* The next bytes of the stream. A payload of more than most bytes is too big. After anything but
 * FRAMES_GOOD the stream is over. */
enum frames_verdict frames_watch(struct frames *frames, const void *data, size_t length,
                                 uint64_t most);

#endif
