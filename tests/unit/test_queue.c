/*
 * The bounded queue: in order, never waited for by who fills it, drained after it was closed.
 */
#include "unit.h"

#include "cesid/clock.h"
#include "cesid/queue.h"
#include "cesid/thread.h"

static void gives_back_in_order(void **state)
{
    (void) state;
    struct queue *queue = queue_create(3);
    int items[100];

    /* Around the ring many times, at every fill. */
    for (size_t i = 0, o = 0; o < ARRAY_LENGTH(items); o++) {
        while (i < ARRAY_LENGTH(items) && i - o < 1 + o % 3)
            assert_true(queue_push(queue, &items[i++]));
        assert_int_equal(queue_length(queue), i - o);
        assert_ptr_equal(queue_pop(queue, 0), &items[o]);
    }
    assert_int_equal(queue_length(queue), 0);
    queue_destroy(&queue);
    assert_null(queue);
    queue_destroy(&queue);
}

static void refuses_what_does_not_fit(void **state)
{
    (void) state;
    struct queue *queue = queue_create(2);
    int a, b, c;

    assert_true(queue_push(queue, &a));
    assert_true(queue_push(queue, &b));
    assert_false(queue_push(queue, &c));
    assert_int_equal(queue_length(queue), 2);
    assert_ptr_equal(queue_pop(queue, 0), &a);
    assert_true(queue_push(queue, &c));
    assert_ptr_equal(queue_pop(queue, 0), &b);
    assert_ptr_equal(queue_pop(queue, 0), &c);
    queue_destroy(&queue);
}

static void waits_until_its_deadline(void **state)
{
    (void) state;
    struct queue *queue = queue_create(1);
    int64_t deadline = clock_after(0.02);

    assert_null(queue_pop(queue, deadline));
    assert_true(clock_now() >= deadline);
    assert_null(queue_pop(queue, 0));
    queue_destroy(&queue);
}

static void closed_it_is_drained_and_takes_nothing(void **state)
{
    (void) state;
    struct queue *queue = queue_create(4);
    int a, b;

    assert_true(queue_push(queue, &a));
    assert_true(queue_push(queue, &b));
    queue_close(queue);
    queue_close(queue);
    assert_false(queue_push(queue, &a));
    assert_ptr_equal(queue_pop(queue, CLOCK_NEVER), &a);
    assert_ptr_equal(queue_pop(queue, CLOCK_NEVER), &b);
    assert_null(queue_pop(queue, CLOCK_NEVER));
    queue_destroy(&queue);
}

static void pop_until_closed(void *argument)
{
    CHECK(queue_pop(argument, CLOCK_NEVER) == NULL);
}

static void closing_wakes_every_waiter(void **state)
{
    (void) state;
    struct queue *queue = queue_create(1);
    struct thread threads[3];

    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        assert_int_equal(thread_start(&threads[i], "test", "pop", pop_until_closed, queue), 0);
    queue_close(queue);
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++)
        thread_join(&threads[i]);
    queue_destroy(&queue);
}

#define PRODUCERS 3
#define EACH      1000

struct message {
    size_t producer, number;
};

static struct message messages[PRODUCERS][EACH];

struct producer {
    struct queue *queue;
    struct message *messages;
};

struct consumer {
    struct queue *queue;
    size_t got;
    size_t next[PRODUCERS]; /* lowest number that may still come from each */
};

static void produce(void *argument)
{
    struct producer *producer = argument;

    for (size_t i = 0; i < EACH; i++)
        while (!queue_push(producer->queue, &producer->messages[i]))
            rest();
}

static void consume(void *argument)
{
    struct consumer *consumer = argument;
    struct message *message;

    while ((message = queue_pop(consumer->queue, CLOCK_NEVER)) != NULL) {
        CHECK(message->number >= consumer->next[message->producer]);
        consumer->next[message->producer] = message->number + 1;
        consumer->got++;
    }
}

static void many_threads_lose_and_double_nothing(void **state)
{
    (void) state;
    struct queue *queue = queue_create(16);
    struct producer producers[PRODUCERS];
    struct consumer consumers[2] = {{.queue = queue}, {.queue = queue}};
    struct thread producing[PRODUCERS], consuming[2];

    for (size_t i = 0; i < 2; i++)
        assert_int_equal(thread_start(&consuming[i], "test", "consume", consume, &consumers[i]), 0);
    for (size_t i = 0; i < PRODUCERS; i++) {
        for (size_t j = 0; j < EACH; j++)
            messages[i][j] = (struct message){i, j};
        producers[i] = (struct producer){queue, messages[i]};
        assert_int_equal(thread_start(&producing[i], "test", "produce", produce, &producers[i]), 0);
    }
    for (size_t i = 0; i < PRODUCERS; i++)
        thread_join(&producing[i]);
    queue_close(queue);
    for (size_t i = 0; i < 2; i++)
        thread_join(&consuming[i]);
    assert_int_equal(consumers[0].got + consumers[1].got, PRODUCERS * EACH);
    queue_destroy(&queue);
}

static void push_nothing(void)
{
    struct queue *queue = queue_create(1);

    (void) queue_push(queue, NULL);
}

static void nothing_is_no_item(void **state)
{
    (void) state;
    assert_aborts(push_nothing, "broken invariant: item != NULL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NAMED("queue: gives back in order", gives_back_in_order),
        NAMED("queue: refuses what does not fit", refuses_what_does_not_fit),
        NAMED("queue: waits until its deadline", waits_until_its_deadline),
        NAMED("queue: closed, it is drained and takes nothing",
              closed_it_is_drained_and_takes_nothing),
        NAMED("queue: closing wakes every waiter", closing_wakes_every_waiter),
        NAMED("queue: many threads lose and double nothing", many_threads_lose_and_double_nothing),
        NAMED("queue: nothing is no item", nothing_is_no_item),
    };
    return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
