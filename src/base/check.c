/*
 * A broken invariant: say where, and stop before it does harm. Any thread; writes to standard error
 * by hand, because the log may be what broke.
 */
#include "cesid/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line, const char *function)
{
    fprintf(stderr, "cesid: %s:%d: %s: broken invariant: %s\n", file, line, function, condition);
    abort();
}
