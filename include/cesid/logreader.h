/*
 * Reads a part of a log from somebody who hands out whole characters only: supervisord decodes what
 * it read as UTF-8 and fails as a whole on one wrong byte or on a cut inside a character.
 *
 * The reader collects facts about single bytes, at their places, until it knows all of them: a
 * range that could be read tells its bytes, and the failure to decode a log up to its end tells how
 * many bytes are good and, mostly, which byte is not. So the result is the log's bytes. Two kinds
 * of byte nobody tells, and each of them becomes one U+FFFD: the first of several that begin a
 * character which does not go on, and what is not UTF-8 where only ranges can be asked for (more
 * than tail_max before the end; supervisord's own log).
 *
 * Pure: the calls are made by the source, many questions in one call.
 */
#ifndef CESID_LOGREADER_H
#define CESID_LOGREADER_H

#include <stdbool.h>
#include <stdint.h>

#include "cesid/strbuf.h"

#define LOGREADER_LENGTH_MAX    (INT64_C(1) << 20) /* of one read */
#define LOGREADER_QUESTIONS_MAX 160                /* in one call */

enum logreader_outcome {
    LOGREADER_UNKNOWN,    /* no answer */
    LOGREADER_READ,       /* data is what was asked for */
    LOGREADER_UNREADABLE, /* not whole characters */
    LOGREADER_GONE        /* the log ends before these bytes; data is what there was */
};

struct logreader_question {
    int64_t offset;
    int64_t want; /* bytes, at least 1 */
    bool tail;    /* up to the end of the log, want says how far that is */

    enum logreader_outcome outcome;
    const char *data; /* valid until the next call */
    size_t length;
    /* UNREADABLE tail: so many bytes are whole characters, and the next one is not: its value, or
     * -1 when that was not told. */
    int64_t good;
    int value;
};

struct logreader {
    /* Answers all of them; false: out of time, or a failure that the source keeps. */
    bool (*ask)(void *argument, struct logreader_question *questions, int count);
    void *argument;
    int64_t size;      /* of the log; reading stops there */
    int64_t piece_max; /* most bytes to ask for at once */
    int64_t tail_max;  /* how far before the end a tail may begin; 0: there are none */
    bool from_end;     /* when effort does not suffice, the end of the range is what matters; what
                        * the beginning cuts of a character is left out */
    bool give_up;      /* when effort does not suffice, bytes that are not known become U+FFFD */
    int64_t effort;    /* about so many questions; one that makes the node read much counts more */
};

struct logreader_end {
    int64_t offset; /* of the first byte in out */
    int64_t next;   /* the byte after the last one that is in out */
    int64_t effort; /* left */
    bool short_of_effort;
    bool stopped; /* the source said so */
    bool gone;    /* the log became shorter meanwhile */
};

/* Appends the bytes of [offset, offset + length), at most LOGREADER_LENGTH_MAX. It ends before that
 * at the last whole character when the end cuts one and the log goes on, unless that would be
 * nothing at all. */
struct logreader_end logreader_read(const struct logreader *reader, int64_t offset, int64_t length,
                                    struct strbuf *out);

#endif
