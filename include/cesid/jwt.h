/*
 * Session tokens: JWT (RFC 7519) in compact form, signed with HS256 and nothing else. Strict: the
 * header must be exactly the one that jwt_sign writes for one of the given keys, the signature is
 * compared in constant time before the payload is looked at, and the payload holds iss, sub, jti,
 * iat and exp in exactly the spelling of jwt_sign. Pure functions, any thread.
 */
#ifndef CESID_JWT_H
#define CESID_JWT_H

#include <stddef.h>
#include <stdint.h>

#include "cesid/check.h"
#include "cesid/strbuf.h"

#define JWT_KEY_BYTES      32
#define JWT_KID_SIZE       17 /* 16 letters of [0-9a-f] and a NUL */
#define JWT_SIGNATURE_SIZE 44 /* 43 letters and a NUL */
#define JWT_TEXT_SIZE      65 /* iss, sub, jti: 1 to 64 of [A-Za-z0-9._-] */
#define JWT_LENGTH_MAX     1024

struct jwt_key {
    char kid[JWT_KID_SIZE];
    unsigned char secret[JWT_KEY_BYTES];
};

struct jwt_claims {
    char issuer[JWT_TEXT_SIZE];
    char subject[JWT_TEXT_SIZE];
    char id[JWT_TEXT_SIZE];
    int64_t issued_at;  /* seconds since 1970 */
    int64_t expires_at; /* seconds since 1970, later than issued_at */
};

/* Claims are ours, so wrong ones are our own mistake. */
void jwt_sign(struct strbuf *out, const struct jwt_key *key, const struct jwt_claims *claims);

/* 0 and the claims; SESSION_EXPIRED for a genuine token whose time is over; UNAUTHENTICATED for
 * everything else, with a static reason for the log in *why. now is in seconds since 1970. */
int jwt_verify(const char *token, size_t length, const struct jwt_key *keys, size_t keys_count,
               const char *issuer, int64_t now, struct jwt_claims *claims,
               const char **why) CESID_WARN_UNUSED;

/* HMAC-SHA-256 in base64url. */
void jwt_signature(const void *key, size_t key_length, const char *input, size_t length,
                   char out[JWT_SIGNATURE_SIZE]);

#endif
