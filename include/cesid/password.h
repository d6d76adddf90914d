/*
 * Passwords: rules, yescrypt hashes, random ones. A hash or a check costs some 17 ms and 16 MiB,
 * so callers bound how many run at once. Any thread; nothing is kept.
 */
#ifndef CESID_PASSWORD_H
#define CESID_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/check.h"

#define PASSWORD_LENGTH_MIN  10  /* characters */
#define PASSWORD_LENGTH_MAX  256 /* bytes */
#define PASSWORD_HASH_SIZE   128
#define PASSWORD_RANDOM_SIZE 21 /* 20 letters and a NUL: 115 bits */

/* 0, or VALIDATION_FAILED and a static sentence in *why. */
int password_check(const char *username, const char *password, const char **why) CESID_WARN_UNUSED;

/* 0, or INTERNAL (logged) when the system cannot hash. */
int password_hash(const char *password, char hash[PASSWORD_HASH_SIZE]) CESID_WARN_UNUSED;

/* hash NULL: there is no such user; false, in the time that a real check takes. */
bool password_verify(const char *password, const char *hash);

/* Whether that hash, of ours, costs a guesser less than one made today: time to make it anew. */
bool password_hash_is_weak(const char *hash);

/* From letters and digits that nobody confuses (no 0 O o 1 l I). */
void password_random(char out[PASSWORD_RANDOM_SIZE]);

#endif
