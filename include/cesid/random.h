/*
 * Random bytes from the kernel. Never fails: a system without randomness aborts. Any thread.
 */
#ifndef CESID_RANDOM_H
#define CESID_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t length);
/* 2 * bytes lower-case hexadecimal digits and a NUL. */
void random_hex(char *out, size_t bytes);
uint32_t random_below(uint32_t bound); /* 0 to bound - 1, each as likely; bound is not 0 */
double random_uniform(void);           /* 0 to just below 1: for jitter */

#endif
