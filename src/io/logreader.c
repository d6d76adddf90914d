/*
 * See logreader.h. Any thread, no lock; blocks as long as the source's read does.
 *
 * Invariant: position is where text_add_utf8 would begin a character or a wrong byte, too. It moves
 * over a piece that was readable as a whole, over a byte at which no character begins, and nothing
 * else.
 */
#include "cesid/logreader.h"

#include "cesid/check.h"

#define CHARACTER_MAX 4
/* The piece to begin with after a wrong byte. */
#define WANT_MIN    INT64_C(8)
#define REPLACEMENT "\xEF\xBF\xBD"

struct walk {
    const struct logreader *reader;
    struct strbuf *out;
    int64_t position, from, end;
    int64_t want;    /* the next piece, unless something is known to be wrong before its end */
    int64_t bad_end; /* a wrong byte lies in [position, bad_end); 0: nothing known */
    int calls;
    bool hinted; /* the source says where the wrong bytes are: no need to feel for them */
    bool done;
    struct logreader_end result;
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* One call. When it ends the walk (out of calls, STOP, GONE) says LOGREADER_STOP. */
static enum logreader_outcome ask(struct walk *walk, int64_t length, struct logreader_hint *hint)
{
    *hint = (struct logreader_hint){.good = -1};
    if (walk->calls >= walk->reader->calls_max) {
        walk->result.short_of_calls = walk->done = true;
        return LOGREADER_STOP;
    }
    walk->calls++;
    size_t before = walk->out->length;
    enum logreader_outcome outcome =
        walk->reader->read(walk->reader->argument, walk->position, length, walk->out, hint);
    switch (outcome) {
    case LOGREADER_READ:
        return outcome;
    case LOGREADER_UNREADABLE:
        CHECK(walk->out->length == before);
        if (hint->good >= length || hint->bad < 1 || hint->bad > CHARACTER_MAX)
            hint->good = -1;
        if (hint->good >= 0) {
            walk->hinted = true;
            hint->bad = (int) least(hint->bad, length - hint->good);
        }
        return outcome;
    case LOGREADER_GONE:
        walk->position += (int64_t) (walk->out->length - before);
        walk->result.gone = walk->done = true;
        return LOGREADER_STOP;
    case LOGREADER_STOP:
    default:
        walk->result.stopped = walk->done = true;
        return LOGREADER_STOP;
    }
}

static void move(struct walk *walk, int64_t length)
{
    walk->position += length;
    if (walk->position >= walk->bad_end)
        walk->bad_end = 0;
    walk->want = walk->hinted ? walk->reader->piece_max
                              : least(walk->reader->piece_max,
                                      walk->want < CHARACTER_MAX ? WANT_MIN : walk->want * 2);
}

static void replace(struct walk *walk, int count)
{
    for (int i = 0; i < count; i++)
        strbuf_puts(walk->out, REPLACEMENT);
    walk->position += count;
    walk->bad_end = 0;
    walk->want = walk->hinted ? walk->reader->piece_max : WANT_MIN;
}

/* Whether the character at position crosses the end of what was asked for. Then the walk is over,
 * with that character only when there would be nothing else. */
static bool crosses_end(struct walk *walk)
{
    int64_t most = least(CHARACTER_MAX, walk->reader->size - walk->position);
    for (int64_t length = walk->end - walk->position + 1; length <= most; length++) {
        struct logreader_hint hint;
        size_t before = walk->out->length;
        switch (ask(walk, length, &hint)) {
        case LOGREADER_READ:
            if (walk->position == walk->from)
                walk->position += length;
            else
                strbuf_truncate(walk->out, before);
            walk->done = true;
            return true;
        case LOGREADER_UNREADABLE:
            continue;
        default:
            return true;
        }
    }
    return false;
}

/* The next few bytes, one way or another. */
static void step(struct walk *walk)
{
    int64_t length = least(CHARACTER_MAX, walk->end - walk->position);
    while (length > 0) {
        struct logreader_hint hint;
        switch (ask(walk, length, &hint)) {
        case LOGREADER_READ:
            move(walk, length);
            return;
        case LOGREADER_UNREADABLE:
            break;
        default:
            return;
        }
        if (hint.good > 0) {
            length = hint.good;
        } else if (hint.good == 0 && hint.bad < length) {
            replace(walk, hint.bad);
            return;
        } else {
            length = hint.good == 0 ? 0 : length - 1;
        }
    }
    if (!crosses_end(walk))
        replace(walk, 1);
}

/* A piece was unreadable at a known place: takes what is before it. What is wrong may be no more
 * than a cut when it touches the end of the piece: then it is looked at from its first byte. */
static void follow_hint(struct walk *walk, int64_t length, struct logreader_hint hint)
{
    if (hint.good > 0) {
        struct logreader_hint again;
        switch (ask(walk, hint.good, &again)) {
        case LOGREADER_READ:
            move(walk, hint.good);
            break;
        case LOGREADER_UNREADABLE: /* the log changed under our hands */
            walk->want = hint.good / 2;
            return;
        default:
            return;
        }
    }
    if (hint.good + hint.bad < length)
        replace(walk, hint.bad);
    else
        step(walk);
}

/* A piece was unreadable, nobody knows where. */
static void narrow(struct walk *walk, int64_t length)
{
    if (walk->bad_end == 0) {
        /* Most often only the last character is cut. */
        for (int64_t less = 1; less < CHARACTER_MAX; less++) {
            struct logreader_hint hint;
            switch (ask(walk, length - less, &hint)) {
            case LOGREADER_READ:
                move(walk, length - less);
                return;
            case LOGREADER_UNREADABLE:
                continue;
            default:
                return;
            }
        }
        walk->bad_end = walk->position + length;
    }
    walk->want = length / 2;
}

struct logreader_end logreader_read(const struct logreader *reader, int64_t offset, int64_t length,
                                    struct strbuf *out)
{
    CHECK(offset >= 0 && length >= 0 && reader->piece_max > 0);
    struct walk walk = {
        .reader = reader,
        .out = out,
        .position = offset,
        .from = offset,
        .end = offset >= reader->size ? offset : offset + least(length, reader->size - offset),
        .want = reader->piece_max,
    };
    while (!walk.done && walk.position < walk.end) {
        int64_t piece = least(walk.want, walk.end - walk.position);
        if (walk.bad_end > walk.position)
            piece = least(piece, (walk.bad_end - walk.position) / 2);
        if (piece <= CHARACTER_MAX) {
            step(&walk);
            continue;
        }
        struct logreader_hint hint;
        switch (ask(&walk, piece, &hint)) {
        case LOGREADER_READ:
            move(&walk, piece);
            break;
        case LOGREADER_UNREADABLE:
            if (hint.good >= 0)
                follow_hint(&walk, piece, hint);
            else
                narrow(&walk, piece);
            break;
        default:
            break;
        }
    }
    walk.result.next = walk.position;
    return walk.result;
}
