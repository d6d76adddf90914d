/*
 * Users and sessions as plain data. Any thread, no locks: a session never changes, its references
 * are counted atomically.
 */
#include "cesid/session.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cesid/check.h"
#include "cesid/memory.h"

/* Shared by all readings of one record: how many of them somebody still holds. */
struct life {
    atomic_int readings;
};

struct record {
    struct session session;
    struct life *life; /* immutable once others know the session */
    atomic_int references;
};

static struct record *record_of(const struct session *session)
{
    return (struct record *) CONTAINER_OF(session, struct record, session);
}

static void copy_id(char out[AUTH_ID_SIZE], const char *id)
{
    size_t length = strlen(id);
    CHECK(length < AUTH_ID_SIZE);
    memcpy(out, id, length + 1);
}

struct session *session_create(const char *id, const char *csrf_token, int64_t expires_at,
                               struct user *user, struct access *access)
{
    struct record *record = mem_alloc(sizeof *record);
    copy_id(record->session.id, id);
    copy_id(record->session.csrf_token, csrf_token);
    record->session.expires_at = expires_at;
    record->session.user = *user;
    record->session.access = access;
    *user = (struct user){0};
    record->life = mem_alloc(sizeof *record->life);
    atomic_init(&record->life->readings, 1);
    atomic_init(&record->references, 1);
    return &record->session;
}

struct session *session_create_token(const char *id, const char *hash, int64_t expires_at,
                                     struct user *user, struct access *access)
{
    struct session *session = session_create(id, "", expires_at, user, access);
    CHECK(strlen(hash) == TOKEN_HASH_SIZE - 1);
    memcpy(session->token_hash, hash, TOKEN_HASH_SIZE);
    return session;
}

static void leave_life(struct life *life)
{
    if (atomic_fetch_sub_explicit(&life->readings, 1, memory_order_acq_rel) == 1)
        free(life);
}

void session_continue(struct session *session, const struct session *earlier)
{
    struct record *record = record_of(session);
    struct life *life = record_of(earlier)->life;
    CHECK(atomic_load(&record->references) == 1);
    atomic_fetch_add_explicit(&life->readings, 1, memory_order_relaxed);
    leave_life(record->life);
    record->life = life;
}

struct session *session_ref(struct session *session)
{
    int before =
        atomic_fetch_add_explicit(&record_of(session)->references, 1, memory_order_relaxed);
    CHECK(before > 0);
    return session;
}

void session_unref(struct session **pointer)
{
    struct session *session = *pointer;
    *pointer = NULL;
    if (!session)
        return;
    struct record *record = record_of(session);
    int before = atomic_fetch_sub_explicit(&record->references, 1, memory_order_acq_rel);
    CHECK(before > 0);
    if (before > 1)
        return;
    user_destroy(&session->user);
    access_unref(&session->access);
    leave_life(record->life);
    free(record);
}

bool session_is_sole(const struct session *session)
{
    const struct record *record = record_of(session);
    return atomic_load_explicit(&record->references, memory_order_acquire) == 1 &&
           atomic_load_explicit(&record->life->readings, memory_order_acquire) == 1;
}

void user_destroy(struct user *user)
{
    free(user->username);
    free(user->full_name);
    free(user->email);
    *user = (struct user){0};
}

void user_json(struct json *json, const struct user *user)
{
    json_object(json);
    json_put_string(json, "id", user->id);
    json_put_string(json, "username", user->username);
    json_put_string(json, "full_name", user->full_name);
    json_put_string(json, "email", user->email);
    json_put_boolean(json, "active", user->active);
    json_put_time(json, "created_at", user->created_at);
    json_put_time(json, "last_login_at", user->last_login_at);
    json_object_end(json);
}
