/*
 * The keys that sign session tokens: `session.key` in the state directory, a line "KID SECRET" a
 * key, both in hexadecimal. The first one signs, the others are still accepted: to rotate, put a
 * new line first and restart; take the old one out when its sessions are over.
 */
#ifndef CESID_KEYRING_H
#define CESID_KEYRING_H

#include <stddef.h>

#include "cesid/jwt.h"
#include "cesid/strbuf.h"

#define KEYRING_MAX 8

struct keyring {
    struct jwt_key keys[KEYRING_MAX];
    size_t count; /* at least 1 once loaded */
};

/* Reads the file, or makes it with one key when there is none. INTERNAL and a sentence in *why. */
int keyring_load(struct keyring *keyring, const char *directory,
                 struct strbuf *why) CESID_WARN_UNUSED;

#endif
