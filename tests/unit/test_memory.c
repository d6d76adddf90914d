/*
 * Memory: what is freed goes back to the system.
 */
#include "unit.h"

#include <malloc.h>

#include "cesid/memory.h"

#define LONG_ANSWER ((size_t) 16 << 20)

static void large_blocks_go_back(void **state)
{
    (void) state;
    size_t before;

    mem_start();
    before = mallinfo2().arena;
    for (int i = 0; i < 3; i++)
        free(mem_alloc(LONG_ANSWER));
    assert_in_range(mallinfo2().arena, 0, before + LONG_ANSWER / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("memory: what a long answer took goes back to the system", large_blocks_go_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
