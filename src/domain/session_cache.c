/*
 * The cache of session records. LOCK_SESSIONS guards all of it and is held for hash operations
 * only. The hash keeps the order of insertion, and a hit moves its entry to the end, so the front
 * is the least recently used.
 *
 * An entry whose session somebody holds (a WebSocket, a request under way) is never dropped for
 * room: session_cache_holds() would end that connection. Those are bounded by the connections.
 */
#include "session_cache.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cesid/clock.h"
#include "cesid/lock.h"
#include "cesid/memory.h"

/* Revocations are counted by a part of the id, so that a busy server's logouts rarely make another
 * one's load start again. */
#define KINDS 256
/* How many entries from the front are looked at when one must go. */
#define EVICTION_STEPS 16

struct entry {
    char id[AUTH_ID_SIZE];
    struct session *session; /* NULL: revoked, and the store was not told */
    int64_t expires_at;      /* wall milliseconds */
    int64_t recheck_at;      /* clock_now() */
    UT_hash_handle hh;
};

struct session_cache {
    /* immutable */
    size_t capacity;
    double recheck;

    struct lock lock;
    /* guarded by lock */
    struct entry *entries;
    uint64_t revocations[KINDS];
};

static size_t kind_of(const char *id)
{
    size_t kind = 0;
    for (int i = 0; i < 2 && id[i]; i++)
        kind = kind * 16 + (size_t) (id[i] <= '9' ? id[i] - '0' : id[i] - 'a' + 10);
    return kind % KINDS;
}

struct session_cache *session_cache_create(size_t capacity, double recheck)
{
    struct session_cache *cache = mem_alloc(sizeof *cache);
    cache->capacity = capacity;
    cache->recheck = recheck;
    lock_init(&cache->lock, LOCK_SESSIONS);
    return cache;
}

static void drop_locked(struct session_cache *cache, struct entry *entry)
{
    lock_assert_held(&cache->lock);
    HASH_DEL(cache->entries, entry);
    session_unref(&entry->session);
    free(entry);
}

void session_cache_destroy(struct session_cache **pointer)
{
    struct session_cache *cache = *pointer;
    if (!cache)
        return;
    lock_acquire(&cache->lock);
    struct entry *entry, *next;
    HASH_ITER(hh, cache->entries, entry, next)
    {
        drop_locked(cache, entry);
    }
    lock_release(&cache->lock);
    lock_destroy(&cache->lock);
    free(cache);
    *pointer = NULL;
}

static struct entry *find_locked(struct session_cache *cache, const char *id)
{
    struct entry *entry = NULL;
    lock_assert_held(&cache->lock);
    HASH_FIND_STR(cache->entries, id, entry);
    return entry;
}

static void add_locked(struct session_cache *cache, struct entry *entry)
{
    HASH_ADD_STR(cache->entries, id, entry);
}

static void touch_locked(struct session_cache *cache, struct entry *entry)
{
    if (!entry->hh.next)
        return;
    HASH_DEL(cache->entries, entry);
    add_locked(cache, entry);
}

enum session_lookup session_cache_get(struct session_cache *cache, const char *id,
                                      struct session **session)
{
    enum session_lookup found = SESSION_UNKNOWN;
    int64_t now = clock_now();
    *session = NULL;
    lock_acquire(&cache->lock);
    struct entry *entry = find_locked(cache, id);
    if (entry && !entry->session) {
        found = SESSION_REVOKED;
    } else if (entry) {
        found = SESSION_FRESH;
        if (now >= entry->recheck_at) {
            /* One caller asks the store, the others go on meanwhile. */
            entry->recheck_at = clock_after(cache->recheck);
            found = SESSION_STALE;
        }
        *session = session_ref(entry->session);
        touch_locked(cache, entry);
    }
    lock_release(&cache->lock);
    return found;
}

struct session *session_cache_peek(struct session_cache *cache, const char *id, int64_t now_wall)
{
    struct session *session = NULL;
    lock_acquire(&cache->lock);
    struct entry *entry = find_locked(cache, id);
    if (entry && entry->session && entry->expires_at > now_wall)
        session = session_ref(entry->session);
    lock_release(&cache->lock);
    return session;
}

bool session_cache_holds(struct session_cache *cache, const char *id, int64_t now_wall)
{
    lock_acquire(&cache->lock);
    struct entry *entry = find_locked(cache, id);
    bool holds = entry && entry->session && entry->expires_at > now_wall;
    lock_release(&cache->lock);
    return holds;
}

uint64_t session_cache_ticket(struct session_cache *cache, const char *id)
{
    lock_acquire(&cache->lock);
    uint64_t ticket = cache->revocations[kind_of(id)];
    lock_release(&cache->lock);
    return ticket;
}

static void make_room_locked(struct session_cache *cache)
{
    int64_t now_wall = clock_wall();
    struct entry *entry = cache->entries;
    for (int i = 0; entry && i < EVICTION_STEPS; i++) {
        struct entry *next = entry->hh.next;
        bool over = HASH_COUNT(cache->entries) >= cache->capacity;
        if (entry->expires_at <= now_wall ||
            (over && entry->session && session_is_sole(entry->session)))
            drop_locked(cache, entry);
        else if (over)
            touch_locked(cache, entry); /* or those that must stay would hide the others */
        else
            break;
        entry = next;
    }
}

bool session_cache_put(struct session_cache *cache, struct session *session, uint64_t ticket)
{
    struct session *old = NULL;
    lock_acquire(&cache->lock);
    bool current = cache->revocations[kind_of(session->id)] == ticket;
    if (current) {
        struct entry *entry = find_locked(cache, session->id);
        if (!entry) {
            make_room_locked(cache);
            entry = mem_alloc(sizeof *entry);
            memcpy(entry->id, session->id, sizeof entry->id);
            add_locked(cache, entry);
        } else {
            touch_locked(cache, entry);
        }
        old = entry->session;
        if (old)
            session_continue(session, old);
        entry->session = session_ref(session);
        entry->expires_at = session->expires_at;
        entry->recheck_at = clock_after(cache->recheck);
    }
    lock_release(&cache->lock);
    session_unref(&old);
    return current;
}

void session_cache_revoke(struct session_cache *cache, const char *id, int64_t keep_until)
{
    struct session *old = NULL;
    lock_acquire(&cache->lock);
    cache->revocations[kind_of(id)]++;
    struct entry *entry = find_locked(cache, id);
    if (!entry && keep_until > 0) {
        entry = mem_alloc(sizeof *entry);
        memcpy(entry->id, id, strlen(id) + 1);
        add_locked(cache, entry);
    }
    if (entry) {
        old = entry->session;
        entry->session = NULL;
        entry->expires_at = keep_until;
        if (keep_until == 0)
            drop_locked(cache, entry);
    }
    lock_release(&cache->lock);
    session_unref(&old);
}

void session_cache_revoke_user(struct session_cache *cache, const char *user_id,
                               const char *except_id, bool tokens)
{
    lock_acquire(&cache->lock);
    for (size_t i = 0; i < KINDS; i++)
        cache->revocations[i]++;
    struct entry *entry, *next;
    HASH_ITER(hh, cache->entries, entry, next)
    {
        if (entry->session && strcmp(entry->session->user.id, user_id) == 0 &&
            (tokens || entry->session->token_hash[0] == '\0') &&
            (!except_id || strcmp(entry->id, except_id) != 0))
            drop_locked(cache, entry);
    }
    lock_release(&cache->lock);
}

size_t session_cache_outdate(struct session_cache *cache, const char *user_id,
                             char (**ids)[AUTH_ID_SIZE])
{
    size_t count = 0;
    lock_acquire(&cache->lock);
    for (size_t i = 0; i < KINDS; i++)
        cache->revocations[i]++;
    *ids = mem_array(HASH_COUNT(cache->entries) + 1, sizeof **ids);
    for (struct entry *entry = cache->entries; entry; entry = entry->hh.next) {
        if (!entry->session || (user_id && strcmp(entry->session->user.id, user_id) != 0))
            continue;
        entry->recheck_at = 0;
        memcpy((*ids)[count++], entry->id, AUTH_ID_SIZE);
    }
    lock_release(&cache->lock);
    return count;
}

bool session_cache_untold(struct session_cache *cache, char id[AUTH_ID_SIZE])
{
    bool found = false;
    lock_acquire(&cache->lock);
    for (struct entry *entry = cache->entries; entry && !found; entry = entry->hh.next) {
        if (!entry->session) {
            memcpy(id, entry->id, AUTH_ID_SIZE);
            found = true;
        }
    }
    lock_release(&cache->lock);
    return found;
}

void session_cache_told(struct session_cache *cache, const char *id)
{
    lock_acquire(&cache->lock);
    struct entry *entry = find_locked(cache, id);
    if (entry && !entry->session)
        drop_locked(cache, entry);
    lock_release(&cache->lock);
}

size_t session_cache_length(struct session_cache *cache)
{
    lock_acquire(&cache->lock);
    size_t length = HASH_COUNT(cache->entries);
    lock_release(&cache->lock);
    return length;
}
