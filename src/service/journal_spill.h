/*
 * The spill: records that the store could not take, one a line, in a file of the state directory.
 * What spill_append has taken survives kill -9 and a power cut; a line that was cut short is no
 * record. Owned by the journal's thread.
 */
#ifndef CESID_JOURNAL_SPILL_H
#define CESID_JOURNAL_SPILL_H

#include <stdbool.h>
#include <stdint.h>

#include "cesid/activity_store.h"
#include "cesid/check.h"

#define SPILL_LIMIT   ((uint64_t) 64 << 20) /* for what may be refused */
#define SPILL_RESERVE ((uint64_t) 16 << 20) /* beyond it: for outcomes of what was not refused */

struct spill;

/* Drops what a crash left half written at its end. reading: changes nothing, and cesid may be
 * writing meanwhile; there may be no file. INTERNAL and a sentence in *why. */
int spill_open(const char *state_dir, bool reading, struct spill **spill,
               struct strbuf *why) CESID_WARN_UNUSED;
void spill_close(struct spill **spill);

uint64_t spill_size(const struct spill *spill);                    /* bytes that wait */
uint64_t spill_count(const struct spill *spill);                   /* records that wait */
const struct activity_link *spill_last(const struct spill *spill); /* number 0: none */

/* All or none, flushed to the disk. STORE_UNAVAILABLE: full, or the disk does not take it. */
int spill_append(struct spill *spill, const struct activity_row *rows, size_t count,
                 uint64_t limit) CESID_WARN_UNUSED;
/* At most limit of the oldest that wait, and where the next begins. Caller destroys the records and
 * frees. What cannot be read is passed over. */
int spill_read(struct spill *spill, size_t limit, struct activity_row **rows, size_t *count,
               uint64_t *next) CESID_WARN_UNUSED;
/* Those up to next are in the store. At the end the file is emptied, durably. */
int spill_advance(struct spill *spill, uint64_t next, size_t count) CESID_WARN_UNUSED;

#endif
