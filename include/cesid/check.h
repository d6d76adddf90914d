/*
 * Invariants and compiler attributes.
 *
 * CHECK is for our own mistakes and stays on in release builds: it prints the place and aborts.
 * Nothing that a peer, a user or a file says may ever reach a CHECK.
 */
#ifndef CESID_CHECK_H
#define CESID_CHECK_H

#include <stddef.h>

#define CESID_WARN_UNUSED             __attribute__((warn_unused_result))
#define CESID_PRINTF(position, first) __attribute__((format(printf, position, first)))

#define CHECK(condition)                                                                           \
    ((condition) ? (void) 0 : check_failed(#condition, __FILE__, __LINE__, __func__))

#define ARRAY_LENGTH(array) (sizeof(array) / sizeof((array)[0]))

/* The struct of TYPE that holds the MEMBER at POINTER. */
#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *) (void *) ((char *) (pointer) -offsetof(type, member)))

_Noreturn void check_failed(const char *condition, const char *file, int line,
                            const char *function);

#endif
