/*
 * See logreader.h. Any thread, no lock; blocks as long as the source does.
 *
 * What is known of a byte does not depend on where a character was thought to begin, so questions
 * may be asked anywhere in any order, and one that began inside a character teaches no less.
 */
#include "cesid/logreader.h"

#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/memory.h"
#include "cesid/text.h"

#define CHARACTER_MAX INT64_C(4)
/* What is found out as a whole: when effort ends, at most so much was found out in vain. Less of it
 * where there are no tails, and bytes cost more. */
#define BLOCK           INT64_C(4096)
#define BLOCK_BY_RANGES INT64_C(256)
#define REACH_MIN       INT64_C(16)
/* Spent on a piece before it is taken block by block: enough for a few wrong bytes. */
#define PIECE_EFFORT 128
/* The node does nothing else while it answers a call: about 20 ms of its time. */
#define CALL_EFFORT 256
#define TAILS_MAX   64
/* Reading so much costs the node as much as a question does (4.2.5 on Python 3.11). */
#define EFFORT_BYTES (INT64_C(512) * 1024)

enum fact { FACT_NONE, FACT_LOST, FACT_KNOWN };

struct batch {
    struct logreader_question questions[LOGREADER_QUESTIONS_MAX];
    int count;
};

struct search {
    const struct logreader *reader;
    int64_t from, end; /* facts and bytes are of [from, end) */
    unsigned char *facts, *bytes;
    int64_t effort;
    int64_t fence;      /* decoding that begins before this byte fails here at the latest */
    int64_t unknown;    /* bytes without a fact */
    int64_t tails_most; /* in a call: more while each of them teaches something */
    /* Where there are no tails: */
    int64_t reach; /* of the next range */
    int64_t wrong; /* a wrong byte is known to be before this one, and nothing before that */
    bool blind;    /* tails are not answered */
    bool stopped, gone;
    struct batch tails, ranges; /* too large for the small stacks that this runs on */
};

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t cost_of_tail(const struct search *search, int64_t offset)
{
    return 1 + (search->reader->size - offset) / EFFORT_BYTES;
}

static struct batch *empty(struct batch *batch)
{
    batch->count = 0;
    return batch;
}

static void add(struct batch *batch, int64_t offset, int64_t want, bool tail)
{
    if (want > 0 && batch->count < LOGREADER_QUESTIONS_MAX)
        batch->questions[batch->count++] = (struct logreader_question){
            .offset = offset, .want = want, .tail = tail, .good = -1, .value = -1};
}

/* [from, to), of which the end may cut a character. Longest first. */
static void add_cut(struct batch *batch, int64_t from, int64_t to)
{
    for (int64_t less = 0; less < CHARACTER_MAX; less++)
        add(batch, from, to - from - less, false);
}

/* value -1: nobody tells. */
static void learn(struct search *search, int64_t at, int value)
{
    if (at < search->from || at >= search->end)
        return;
    unsigned char *fact = &search->facts[at - search->from];
    search->unknown -= *fact == FACT_NONE;
    if (value >= 0) {
        *fact = FACT_KNOWN;
        search->bytes[at - search->from] = (unsigned char) value;
    } else if (*fact == FACT_NONE) {
        *fact = FACT_LOST;
    }
}

#define REPLACEMENT        "\xEF\xBF\xBD"
#define REPLACEMENT_LENGTH INT64_C(3)

static bool is_replacement(const struct logreader_question *question, int64_t at)
{
    return (int64_t) question->length - at >= REPLACEMENT_LENGTH &&
           memcmp(question->data + at, REPLACEMENT, REPLACEMENT_LENGTH) == 0;
}

/* Control characters that XML-RPC could not carry came as U+FFFD, and made the text longer. Which
 * of them the log holds itself is known only when it holds none. */
static void learn_longer_text(struct search *search, const struct logreader_question *question)
{
    int64_t length = (int64_t) question->length, replaced = 0, offset = question->offset;
    for (int64_t i = 0; i < length; i++)
        replaced += is_replacement(question, i);
    if (length - question->want == (REPLACEMENT_LENGTH - 1) * replaced) {
        for (int64_t i = 0; i < length; i++, offset++) {
            bool lost = is_replacement(question, i);
            learn(search, offset, lost ? -1 : (unsigned char) question->data[i]);
            i += lost ? REPLACEMENT_LENGTH - 1 : 0;
        }
    } else if (question->want <= CHARACTER_MAX) {
        for (int64_t i = 0; i < question->want; i++)
            learn(search, offset + i, -1);
    }
}

static void learn_text(struct search *search, const struct logreader_question *question)
{
    int64_t length = (int64_t) question->length;
    if (length > question->want) {
        learn_longer_text(search, question);
        return;
    }
    for (int64_t i = 0; i < length; i++)
        learn(search, question->offset + i, (unsigned char) question->data[i]);
}

static void learn_wrong(struct search *search, struct logreader_question *question)
{
    if (question->good < 0 || question->good >= question->want) {
        question->good = -1;
        search->blind = true;
        return;
    }
    int64_t at = question->offset + question->good;
    /* A continuation byte right where decoding began may have been part of a character. */
    bool really = question->good > 0 || question->value < 0x80 || question->value >= 0xC0;
    if (really && at > search->fence)
        search->fence = at;
    learn(search, at, question->value);
}

/* False: the search is over. */
static bool ask(struct search *search, struct batch *batch)
{
    if (search->stopped || search->gone)
        return false;
    if (batch->count == 0)
        return true;
    for (int i = 0; i < batch->count; i++)
        search->effort -=
            batch->questions[i].tail ? cost_of_tail(search, batch->questions[i].offset) : 1;
    if (!search->reader->ask(search->reader->argument, batch->questions, batch->count)) {
        search->stopped = true;
        return false;
    }
    for (int i = 0; i < batch->count && !search->gone; i++) {
        struct logreader_question *question = &batch->questions[i];
        if (question->outcome != LOGREADER_UNREADABLE)
            question->good = -1;
        if (question->outcome == LOGREADER_READ || question->outcome == LOGREADER_GONE)
            learn_text(search, question);
        else if (question->tail && question->outcome == LOGREADER_UNREADABLE)
            learn_wrong(search, question);
        else if (question->tail)
            search->blind = true;
        if (question->outcome == LOGREADER_GONE) {
            int64_t end = question->offset + (int64_t) question->length;
            search->gone = true;
            search->end = end < search->from ? search->from : least(end, search->end);
        }
    }
    return !search->gone;
}

static int64_t first_unknown(const struct search *search, int64_t from, int64_t to)
{
    while (from < to && search->facts[from - search->from] != FACT_NONE)
        from++;
    return from;
}

/* Whether at is the first of some bytes that are not known: a tail from there is never in vain. */
static bool is_start(const struct search *search, int64_t at)
{
    return at == search->from || search->facts[at - 1 - search->from] != FACT_NONE;
}

/* Tails before the fence, where they end soon: from all starts, or from places spread over what is
 * not known while there are few starts. And one tail behind the fence, which moves it. */
static void add_tails(struct search *search, struct batch *tails, int64_t from, int64_t to)
{
    int64_t before = 0, behind = 0, starts = 0;
    for (int64_t at = from; (at = first_unknown(search, at, to)) < to; at++) {
        if (at < search->fence) {
            before++;
            starts += is_start(search, at);
        } else {
            behind++;
        }
    }
    int64_t most = least(search->tails_most, CALL_EFFORT / cost_of_tail(search, from) + 1);
    bool spread = starts * 8 < most;
    int64_t all = spread ? before : starts, seen = 0, picked = 0;
    int64_t behind_at = search->fence < from ? 0 : behind / 2, behind_seen = 0;
    for (int64_t at = from; (at = first_unknown(search, at, to)) < to; at++) {
        bool pick = false;
        if (at >= search->fence)
            pick = behind_seen++ == behind_at;
        else if (spread || is_start(search, at))
            pick = seen++ >= picked * all / least(most, all);
        picked += pick;
        if (pick)
            add(tails, at, search->reader->size - at, true);
    }
}

/* Tails, and then what they found readable. */
static void ask_tails(struct search *search, int64_t from, int64_t to)
{
    struct batch *tails = empty(&search->tails), *ranges = empty(&search->ranges);
    add_tails(search, tails, from, to);
    if (!ask(search, tails))
        return;
    int64_t last = -1;
    int useful = 0;
    for (int i = 0; i < tails->count; i++) {
        const struct logreader_question *tail = &tails->questions[i];
        int64_t end = tail->offset + tail->good;
        useful += end != last;
        if (tail->outcome != LOGREADER_UNREADABLE || tail->good <= 0 || end == last)
            continue;
        last = end;
        int64_t most_to = least(search->end, tail->offset + search->reader->piece_max);
        if (end > most_to)
            add_cut(ranges, tail->offset, most_to);
        else
            add(ranges, tail->offset, tail->good, false);
    }
    search->tails_most = useful * 4 < tails->count * 3 ? (search->tails_most + 1) / 2
                                                       : least(search->tails_most * 2, TAILS_MAX);
    int64_t rest = search->fence < from ? to : first_unknown(search, search->fence + 1, to);
    if (rest < to)
        add_cut(ranges, rest, to);
    (void) ask(search, ranges);
}

/* Where there are no tails: the text at offset, up to the first wrong byte by quarters of what is
 * left, and that byte is lost. */
static void ask_ranges(struct search *search, int64_t offset, int64_t to)
{
    struct batch *batch = empty(&search->ranges);
    int64_t width = search->wrong > to ? 0 : search->wrong - offset;
    bool somewhere = width > 0, here = somewhere && width <= 2 * CHARACTER_MAX;
    int64_t step = somewhere ? width / 4 : least(search->reach, to - offset);
    if (here)
        add_cut(batch, offset, least(offset + CHARACTER_MAX, search->reader->size));
    else
        for (int64_t length = somewhere ? step * 3 : step; length > 0; length -= step)
            add_cut(batch, offset, offset + length);
    if (!ask(search, batch))
        return;
    int64_t at = first_unknown(search, offset, to);
    if (here && at == offset) {
        learn(search, offset, -1);
        search->wrong = 0;
        search->reach = REACH_MIN; /* wrong bytes come in flocks */
    } else if (!here && at == offset) {
        search->wrong = offset + step;
    } else if (!here && somewhere && at + step + CHARACTER_MAX <= search->wrong) {
        search->wrong = offset + ((at - offset + CHARACTER_MAX - 1) / step + 1) * step;
    } else if (!somewhere) {
        search->reach = least(search->reach * 4, search->reader->piece_max);
    }
}

static bool has_tails(const struct search *search, int64_t from)
{
    return !search->blind && search->reader->size - from <= search->reader->tail_max;
}

/* Until all of [from, to) is known, or effort is down to what is to be left. */
static bool settle(struct search *search, int64_t from, int64_t to, int64_t left)
{
    bool tails = true;
    while (!search->stopped && !search->gone) {
        int64_t at = first_unknown(search, from, to);
        if (at == to)
            return true;
        if (search->effort <= left)
            return false;
        int64_t before = search->unknown;
        if (tails && has_tails(search, from)) {
            ask_tails(search, from, to);
            tails = search->unknown < before; /* else the log grows too fast for them */
        } else {
            ask_ranges(search, at, to);
        }
    }
    return false;
}

/* False: effort did not suffice, or the search is over. */
static bool settle_piece(struct search *search, int64_t from, int64_t to)
{
    struct batch *batch = empty(&search->ranges);
    add(batch, from, to - from, false);
    if (!ask(search, batch))
        return false;
    if (first_unknown(search, from, to) == to)
        return true;
    /* Most often only a character is cut. */
    empty(batch);
    for (int64_t less = 1; less < CHARACTER_MAX; less++) {
        add(batch, from, to - from - less, false);
        add(batch, from + less, to - from - less, false);
    }
    if (!ask(search, batch))
        return false;
    if (settle(search, from, to, search->effort - PIECE_EFFORT))
        return true;
    int64_t block = has_tails(search, from)    ? BLOCK
                    : search->reader->from_end ? BLOCK_BY_RANGES
                                               : to - from;
    int64_t blocks = (to - from + block - 1) / block;
    for (int64_t i = 0; i < blocks; i++) {
        int64_t begin = from + (search->reader->from_end ? blocks - 1 - i : i) * block;
        if (!settle(search, begin, least(begin + block, to), 0))
            return false;
    }
    return true;
}

/* What is text in a piece that was given up can be had all the same. */
static void skim_piece(struct search *search, int64_t from, int64_t to)
{
    bool more = true;
    while (more && from < to) {
        struct batch *batch = empty(&search->ranges);
        for (; from < to && batch->count < LOGREADER_QUESTIONS_MAX; from += BLOCK)
            add(batch, from, least(BLOCK, to - from), false);
        more = ask(search, batch);
    }
}

/* Whether a character crosses offset: then question is about it. */
static bool crosses(struct search *search, int64_t offset, struct logreader_question *question)
{
    struct batch *batch = empty(&search->ranges);
    for (int64_t back = 1; back < CHARACTER_MAX && back <= offset; back++)
        for (int64_t length = back + 1; length <= CHARACTER_MAX; length++)
            if (offset - back + length <= search->reader->size)
                add(batch, offset - back, length, false);
    if (!ask(search, batch))
        return false;
    for (int i = 0; i < batch->count; i++) {
        *question = batch->questions[i];
        /* one character only: without its last byte there would be none */
        if (question->outcome == LOGREADER_READ && question->length == (size_t) question->want &&
            text_utf8_complete(question->data, question->length - 1) == 0)
            return true;
    }
    return false;
}

static bool may_cut_at_start(const struct search *search, int64_t at)
{
    return search->facts[at - search->from] != FACT_KNOWN ||
           (search->bytes[at - search->from] & 0xC0) == 0x80;
}

static bool may_cut_at_end(const struct search *search, int64_t from, int64_t to)
{
    size_t length = (size_t) (to - from);
    const char *bytes = (const char *) search->bytes + (from - search->from);
    return search->facts[to - 1 - search->from] != FACT_KNOWN ||
           text_utf8_complete(bytes, length) < length;
}

static void add_bytes(const struct search *search, int64_t from, int64_t to, struct strbuf *out)
{
    for (int64_t at = from; at < to; at++) {
        if (search->facts[at - search->from] == FACT_KNOWN)
            strbuf_putc(out, (char) search->bytes[at - search->from]);
        else
            strbuf_puts(out, REPLACEMENT);
    }
}

/* Leaves out what the ends of [from, to) cut of a character, and appends the rest. */
static void finish(struct search *search, int64_t from, int64_t to, struct strbuf *out,
                   struct logreader_end *result)
{
    struct logreader_question character;
    if (from < to && from > 0 && search->reader->from_end && may_cut_at_start(search, from) &&
        crosses(search, from, &character))
        from = least(to, character.offset + character.want);
    result->offset = from;
    result->next = to;
    if (from < to && to < search->reader->size && !search->gone &&
        may_cut_at_end(search, from, to)) {
        if (crosses(search, to, &character)) {
            if (character.offset == from) {
                strbuf_add(out, character.data, character.length);
                result->next = from + character.want;
                return;
            }
            if (character.offset > from)
                result->next = character.offset;
        } else if (search->stopped) { /* nobody says: whole characters only, if there are any */
            size_t whole = text_utf8_complete((const char *) search->bytes + (from - search->from),
                                              (size_t) (to - from));
            result->next = whole > 0 ? from + (int64_t) whole : to;
        }
    }
    add_bytes(search, from, result->next, out);
}

struct logreader_end logreader_read(const struct logreader *reader, int64_t offset, int64_t length,
                                    struct strbuf *out)
{
    CHECK(offset >= 0 && length >= 0 && reader->piece_max > 0);
    struct logreader_end result = {.offset = offset, .next = offset, .effort = reader->effort};
    length = least(length, LOGREADER_LENGTH_MAX);
    if (length == 0 || offset >= reader->size)
        return result;
    length = least(length, reader->size - offset);
    struct search *search = mem_alloc(sizeof(*search));
    search->reader = reader;
    search->from = offset;
    search->end = offset + length;
    search->facts = mem_alloc((size_t) length);
    search->bytes = mem_alloc((size_t) length);
    search->effort = reader->effort;
    search->unknown = length;
    search->tails_most = 1;
    search->reach = reader->piece_max;
    search->fence = -1;

    int64_t to = search->end, from = offset;
    int64_t pieces = (length + reader->piece_max - 1) / reader->piece_max;
    for (int64_t i = 0; i < pieces && !result.short_of_effort && !search->stopped; i++) {
        int64_t begin = offset + (reader->from_end ? pieces - 1 - i : i) * reader->piece_max;
        int64_t end = least(begin + reader->piece_max, to);
        if (settle_piece(search, begin, end))
            continue;
        if (reader->give_up)
            skim_piece(search, begin, end);
        else
            result.short_of_effort = !search->stopped && !search->gone;
    }
    result.stopped = search->stopped;
    result.gone = search->gone;
    to = search->end;
    if (reader->from_end)
        for (from = to; from > offset && search->facts[from - 1 - offset] != FACT_NONE; from--)
            ;
    else if (!reader->give_up || search->stopped || search->gone)
        to = first_unknown(search, offset, to);
    finish(search, from, to, out, &result);
    result.effort = search->effort;
    free(search->facts);
    free(search->bytes);
    free(search);
    return result;
}
