/*
 * Telling the ends of an operation's targets, once each, for the record of activity. Any thread;
 * LOCK_OPERATION for a moment, never across the one who is told.
 */
#include "operation_private.h"

void operations_tell(struct operations *operations,
                     void (*tell)(void *argument, const struct operation_told *told),
                     void *argument)
{
    CHECK(!operations->thread.started);
    operations->tell = tell;
    operations->tell_argument = argument;
}

static void tell_target(struct operation *operation, struct target *target)
{
    struct operations *operations = operation->operations;
    struct operation_outcome outcome;
    struct node_settings *settings = node_settings(target->node);
    double duration;

    lock_acquire(&operation->lock);
    outcome = target->outcome;
    duration = target->duration;
    lock_release(&operation->lock);
    operations->tell(operations->tell_argument,
                     &(struct operation_told){.operation = operation->id,
                                              .actor = operation->actor,
                                              .address = operation->address,
                                              .request_id = operation->request_id,
                                              .action = operation->action,
                                              .node = node_name(target->node),
                                              .environment = settings->config.environment,
                                              .process = target->process,
                                              .error = outcome.error,
                                              .detail = outcome.detail,
                                              .duration = duration});
    node_settings_unref(&settings);
}

void operation_tell(struct operation *operation)
{
    bool now;

    if (operation->operations->tell == NULL)
        return;
    lock_acquire(&operation->lock);
    now = operation->tell && !operation->told && operation->state != OPERATION_RUNNING;
    operation->told = operation->told || now;
    lock_release(&operation->lock);
    for (size_t i = 0; now && i < operation->targets_count; i++)
        tell_target(operation, &operation->targets[i]);
}

void operation_tell_later(struct operation *operation)
{
    lock_acquire(&operation->lock);
    operation->tell = true;
    lock_release(&operation->lock);
    operation_tell(operation);
}
