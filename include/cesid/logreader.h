/*
 * Reads a part of a log from somebody who hands out whole characters only: supervisord decodes what
 * it read as UTF-8 and fails as a whole on one wrong byte or on a cut inside a character. The
 * reader narrows until it finds what can be read, and puts U+FFFD for each byte that cannot; the
 * text is what text_add_utf8 would make of the bytes. Pure: the calls are made by the source.
 */
#ifndef CESID_LOGREADER_H
#define CESID_LOGREADER_H

#include <stdbool.h>
#include <stdint.h>

#include "cesid/strbuf.h"

enum logreader_outcome {
    LOGREADER_READ,       /* appended to out */
    LOGREADER_UNREADABLE, /* not whole characters; nothing was appended */
    LOGREADER_GONE,       /* the log ends before these bytes; what there was is appended */
    LOGREADER_STOP        /* out of time, or a failure that the source keeps */
};

/* What is known about why a piece was unreadable. */
struct logreader_hint {
    int64_t good; /* so many bytes are whole characters; -1: not known */
    int bad;      /* and so many after them are not, 1 to 4 */
};

struct logreader {
    /* Reads want (at least 1) bytes at offset. */
    enum logreader_outcome (*read)(void *argument, int64_t offset, int64_t want, struct strbuf *out,
                                   struct logreader_hint *hint);
    void *argument;
    int64_t size;      /* of the log; reading stops there */
    int64_t piece_max; /* most bytes to ask for at once */
    int calls_max;
};

struct logreader_end {
    int64_t next; /* the byte after the last one that is in out */
    bool short_of_calls;
    bool stopped; /* the source said STOP */
    bool gone;    /* the log became shorter meanwhile */
};

/* Appends the text of [offset, offset + length). It ends before that at the last whole character
 * when the end cuts one and the log goes on, unless that would be nothing at all. */
struct logreader_end logreader_read(const struct logreader *reader, int64_t offset, int64_t length,
                                    struct strbuf *out);

#endif
