/*
 * Files of the state directory: small, private to the user that cesid runs as, written whole or
 * not at all. Blocking file access; for start and the rare change, never on a request's way.
 */
#ifndef CESID_STATEFILE_H
#define CESID_STATEFILE_H

#include <stdbool.h>
#include <stddef.h>

#include "cesid/check.h"
#include "cesid/strbuf.h"

/* Makes the directory (0700) when it is missing. INTERNAL and a sentence in *why when it cannot be
 * made or used, or when others may write to it. */
int statefile_directory(const char *directory, struct strbuf *why) CESID_WARN_UNUSED;

/* Makes the directory the caller's own until *fd is closed or the process ends: two servers in one
 * would overwrite each other's files. CONFLICT when another process has it. */
int statefile_lock(const char *directory, int *fd, struct strbuf *why) CESID_WARN_UNUSED;

/* The content of DIRECTORY/NAME in *content (caller's strbuf, whose limit bounds it). *found is
 * false when there is none. Refuses what is no regular file, belongs to somebody else, or can be
 * read or written by others. */
int statefile_read(const char *directory, const char *name, struct strbuf *content, bool *found,
                   struct strbuf *why) CESID_WARN_UNUSED;

/* Writes the content (0600) under a temporary name and flushes it to the disk; *temporary (caller
 * frees) is its path. Then either commit, discard, or create. */
int statefile_prepare(const char *directory, const char *name, const char *content, size_t length,
                      char **temporary, struct strbuf *why) CESID_WARN_UNUSED;
/* Puts it in the place of DIRECTORY/NAME, durably. May be repeated. */
int statefile_commit(const char *directory, const char *name, const char *temporary,
                     struct strbuf *why) CESID_WARN_UNUSED;
/* The same, but never over a file that is there: CONFLICT then. Removes the temporary one. */
int statefile_create(const char *directory, const char *name, const char *temporary,
                     struct strbuf *why) CESID_WARN_UNUSED;
void statefile_discard(const char *temporary);

char *statefile_path(const char *directory, const char *name); /* caller frees */

#endif
