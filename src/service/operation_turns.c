/*
 * Turns and timers: what operations share. Two operations never work on one process at a time; the
 * later one queues, with a timeout. One heap wakes the operations thread for turns, watches and
 * batch timeouts. Lock: LOCK_OPERATIONS; whoever wins a turn or a timer under it goes on alone.
 */
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/clock.h"
#include "cesid/memory.h"
#include "operation_private.h"

bool turn_take(struct target *target)
{
    struct operations *operations = target->operation->operations;
    struct turn *turn;
    bool taken = false;

    lock_acquire(&operations->lock);
    HASH_FIND_STR(operations->turns, target->key, turn);
    if (turn == NULL) {
        turn = mem_alloc(sizeof(*turn));
        turn->key = mem_string(target->key);
        HASH_ADD_KEYPTR(hh, operations->turns, turn->key, strlen(turn->key), turn);
        taken = true;
    } else {
        target->in_turn_queue = true;
        target->next_turn = NULL;
        if (turn->last_waiting != NULL)
            turn->last_waiting->next_turn = target;
        else
            turn->first_waiting = target;
        turn->last_waiting = target;
    }
    lock_release(&operations->lock);
    return taken;
}

void turn_give(struct target *target)
{
    struct operations *operations = target->operation->operations;
    struct target *next;
    struct turn *turn;

    lock_acquire(&operations->lock);
    HASH_FIND_STR(operations->turns, target->key, turn);
    CHECK(turn != NULL);
    next = turn->first_waiting;
    if (next != NULL) {
        turn->first_waiting = next->next_turn;
        if (turn->first_waiting == NULL)
            turn->last_waiting = NULL;
        next->in_turn_queue = false;
        /* Served by the operations thread: a chain of targets that end at once would otherwise be
         * as deep as the queue is long. */
        next->next_turn = NULL;
        if (operations->last_ready != NULL)
            operations->last_ready->next_turn = next;
        else
            operations->first_ready = next;
        operations->last_ready = next;
        cond_broadcast(&operations->changed);
    } else {
        HASH_DEL(operations->turns, turn);
        free(turn->key);
        free(turn);
    }
    lock_release(&operations->lock);
}

bool turn_leave(struct target *target)
{
    struct operations *operations = target->operation->operations;
    struct target *previous = NULL, *other;
    struct turn *turn;
    bool was_waiting;

    lock_acquire(&operations->lock);
    was_waiting = target->in_turn_queue;
    if (was_waiting) {
        HASH_FIND_STR(operations->turns, target->key, turn);
        CHECK(turn != NULL);
        for (other = turn->first_waiting; other != target; other = other->next_turn)
            previous = other;
        if (previous != NULL)
            previous->next_turn = target->next_turn;
        else
            turn->first_waiting = target->next_turn;
        if (turn->last_waiting == target)
            turn->last_waiting = previous;
        target->in_turn_queue = false;
    }
    lock_release(&operations->lock);
    return was_waiting;
}

void target_set_timer(struct target *target, int64_t at)
{
    struct operations *operations = target->operation->operations;

    lock_acquire(&operations->lock);
    if (target->timer.position == DUE_NOWHERE)
        operation_ref(target->operation);
    due_heap_remove(&operations->target_timers, &target->timer);
    due_heap_push(&operations->target_timers, &target->timer, at);
    if (due_heap_first(&operations->target_timers) == &target->timer)
        cond_broadcast(&operations->changed);
    lock_release(&operations->lock);
}

void target_clear_timer(struct target *target)
{
    struct operations *operations = target->operation->operations;
    struct operation *operation = target->operation;
    bool was_set;

    lock_acquire(&operations->lock);
    was_set = target->timer.position != DUE_NOWHERE;
    due_heap_remove(&operations->target_timers, &target->timer);
    lock_release(&operations->lock);
    if (was_set)
        operation_unref(&operation);
}
