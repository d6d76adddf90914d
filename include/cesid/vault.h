/*
 * Secrets at rest: sealed with AES-256-GCM under a key of the state directory, so that the store
 * alone gives nothing away. Each is bound to a name; moved to another it does not open. Any thread;
 * the key is immutable.
 */
#ifndef CESID_VAULT_H
#define CESID_VAULT_H

#include "cesid/check.h"
#include "cesid/secret.h"
#include "cesid/strbuf.h"

struct vault;

/* Reads the key, or makes it (0600) when there is none. On failure a sentence is in *why. */
int vault_open(const char *state_dir, struct vault **vault, struct strbuf *why) CESID_WARN_UNUSED;
void vault_close(struct vault **vault);

/* Appends the sealed secret as text without blanks. */
void vault_seal(const struct vault *vault, const char *name, const struct secret *secret,
                struct strbuf *out);
/* 0 and a reference in *secret; INTERNAL for what was not sealed under this key and name. */
int vault_unseal(const struct vault *vault, const char *name, const char *sealed,
                 struct secret **secret) CESID_WARN_UNUSED;

#endif
