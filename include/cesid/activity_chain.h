/*
 * The chain over records of activity: each record of an instance carries a number, an HMAC that
 * binds it to the one before, and a seal over what may change until it ends. The key is in the
 * state directory (`activity.key`), not in the store; beside it `activity.head` remembers how far
 * the chain has come, so that records cut off at the end are missed too.
 *
 * Whoever writes the store without the key can therefore not change, remove, insert or reorder a
 * record unseen. One thread at a time; the key is immutable.
 */
#ifndef CESID_ACTIVITY_CHAIN_H
#define CESID_ACTIVITY_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cesid/activity.h"
#include "cesid/check.h"
#include "cesid/strbuf.h"

#define ACTIVITY_MAC_SIZE 33 /* 128 bits in hexadecimal, and a NUL */

struct activity_chain;

/* A place in the chain: number 0 with an empty mac is before the first record. */
struct activity_link {
    uint64_t number;
    char mac[ACTIVITY_MAC_SIZE];
};

/* Reads the key, or makes it (0600) when there is none. reading: makes and remembers nothing.
 * INTERNAL and a sentence in *why. */
int activity_chain_open(const char *state_dir, bool reading, struct activity_chain **chain,
                        struct strbuf *why) CESID_WARN_UNUSED;
void activity_chain_close(struct activity_chain **chain);
/* Whose chain it is: made with the key. */
const char *activity_chain_instance(const struct activity_chain *chain);

/* The link of a record after another: over what never changes. */
void activity_chain_next(const struct activity_chain *chain, const struct activity_link *previous,
                         const struct activity *record, struct activity_link *link);
/* Over what a record's end changes, bound to its link. */
void activity_chain_seal(const struct activity_chain *chain, const struct activity_link *link,
                         const struct activity *record, char seal[ACTIVITY_MAC_SIZE]);
/* Says that retention removed everything up to that link. */
void activity_chain_anchor(const struct activity_chain *chain, const struct activity_link *link,
                           char seal[ACTIVITY_MAC_SIZE]);
bool activity_chain_equal(const char *one, const char *other); /* macs, seals */

/* How far the chain had come. Remembering is cheap and not flushed to the disk: it may lag behind
 * the store, never lead. False: there is no readable one. */
void activity_chain_remember(struct activity_chain *chain, const struct activity_link *head);
bool activity_chain_remembered(const struct activity_chain *chain, struct activity_link *head);

#endif
