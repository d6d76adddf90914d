/*
 * Who is calling. auth_check is the one authentication check of the program.
 *
 * Any thread enters, holding no lock. LOCK_AUTH (attempts.c) and LOCK_SESSIONS (session_cache.c)
 * are taken by the rooms below and never held across hashing or the store. A cached session is
 * looked up in the store again every few seconds, because another program (`cesid --create-admin`,
 * a second cesid) may have ended it there; while the store is down the cache alone decides.
 */
#include "cesid/auth.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "account.h"
#include "auth_private.h"
#include "cesid/clock.h"
#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/secret.h"
#include "cesid/statefile.h"
#include "cesid/text.h"
#include "token_secret.h"

#define ISSUER          "cesid"
#define FIRST_ADMIN     "admin"
#define PASSWORD_FILE   "initial-admin-password"
#define CACHE_CAPACITY  10000
#define RECHECK_SECONDS 5.0
#define ATTEMPTS_KEPT   10000
#define HASHERS         2
#define WAITERS         32
#define WAIT_SECONDS    2.0
#define PURGE_SECONDS   600
#define LOAD_TRIES      16

/* ---- start ---- */

struct first_admin {
    const char *directory;
    const char *temporary;
    struct strbuf *why;
};

/* In the transaction, so that of two programs at first start only the one that wins writes. */
static int publish_password(void *argument)
{
    const struct first_admin *first = argument;
    return statefile_commit(first->directory, PASSWORD_FILE, first->temporary, first->why);
}

static int make_first_admin(struct store *store, const char *directory, struct strbuf *why)
{
    char password[PASSWORD_RANDOM_SIZE], line[PASSWORD_RANDOM_SIZE], hash[PASSWORD_HASH_SIZE];
    password_random(password);
    memcpy(line, password, sizeof line);
    line[sizeof line - 1] = '\n';

    struct first_admin first = {.directory = directory, .why = why};
    char *temporary = NULL;
    char *path = statefile_path(directory, PASSWORD_FILE);
    int status = password_hash(password, hash);
    if (status == 0)
        status = statefile_prepare(directory, PASSWORD_FILE, line, sizeof line, &temporary, why);
    if (status == 0) {
        first.temporary = temporary;
        status = account_make_first_admin(store, FIRST_ADMIN, hash, publish_password, &first);
        if (status == CESID_E_CONFLICT) {
            statefile_discard(temporary);
            status = 0;
        } else if (status < 0) {
            statefile_discard(temporary);
            statefile_discard(path);
        } else {
            log_warning("auth",
                        "created the first administrator: sign in with the password in this file, "
                        "change it, and remove the file",
                        log_s("username", FIRST_ADMIN), log_s("file", path));
        }
    }
    if (status < 0 && why->length == 0)
        strbuf_printf(why, "cannot create the first administrator: %s", error_title(status));
    secret_wipe(password, sizeof password);
    secret_wipe(line, sizeof line);
    free(temporary);
    free(path);
    return status;
}

int auth_create(struct config_box *config, struct store *store, struct auth **out,
                struct strbuf *why)
{
    *out = NULL;
    struct auth *auth = mem_alloc(sizeof *auth);
    auth->config = config;
    auth->store = store;
    auth->cache = session_cache_create(CACHE_CAPACITY, RECHECK_SECONDS);
    auth->attempts = attempts_create(ATTEMPTS_KEPT, HASHERS, WAITERS);

    struct config *current = config_get(config);
    const char *directory = current->server.state_dir;
    bool has_admin = false;
    int status = statefile_directory(directory, why);
    if (status == 0)
        status = keyring_load(&auth->keyring, directory, why);
    if (status == 0) {
        status = account_has_admin(store, &has_admin);
        if (status < 0)
            strbuf_printf(why, "cannot read the users: %s", error_title(status));
    }
    if (status == 0 && !has_admin)
        status = make_first_admin(store, directory, why);
    config_unref(&current);
    if (status < 0) {
        auth_destroy(&auth);
        return status;
    }
    *out = auth;
    return 0;
}

void auth_destroy(struct auth **pointer)
{
    struct auth *auth = *pointer;
    if (!auth)
        return;
    session_cache_destroy(&auth->cache);
    attempts_destroy(&auth->attempts);
    secret_wipe(&auth->keyring, sizeof auth->keyring);
    free(auth);
    *pointer = NULL;
}

void auth_watch(struct auth *auth, void (*changed)(void *argument), void *argument)
{
    auth->changed = changed;
    auth->changed_argument = argument;
}

void auth_tell_change(struct auth *auth)
{
    if (auth->changed)
        auth->changed(auth->changed_argument);
}

/* ---- the check ---- */

void auth_store_answers(void *argument)
{
    struct auth *auth = argument;
    char id[AUTH_ID_SIZE];
    if (!atomic_exchange(&auth->untold, false))
        return;
    while (session_cache_untold(auth->cache, id)) {
        if (account_end_session(auth->store, id) < 0) {
            atomic_store(&auth->untold, true);
            return;
        }
        session_cache_told(auth->cache, id);
    }
}

typedef int load_session(struct store *store, const char *id, struct session **session);

/* One look into cache and store. CONFLICT: it was revoked meanwhile, look again. */
static int find_session(struct auth *auth, const char *id, load_session *load,
                        struct session **session)
{
    struct session *cached = NULL;
    uint64_t ticket = session_cache_ticket(auth->cache, id);
    switch (session_cache_get(auth->cache, id, &cached)) {
    case SESSION_FRESH:
        *session = cached;
        return 0;
    case SESSION_REVOKED:
        return CESID_E_UNAUTHENTICATED;
    case SESSION_STALE:
    case SESSION_UNKNOWN:
        break;
    }

    struct session *loaded = NULL;
    int status = load(auth->store, id, &loaded);
    if (status == CESID_E_NOT_FOUND) {
        if (cached) {
            session_cache_revoke(auth->cache, id, 0);
            auth_tell_change(auth);
        }
        session_unref(&cached);
        return CESID_E_UNAUTHENTICATED;
    }
    if (status < 0) {
        *session = cached;
        return cached ? 0 : status;
    }
    session_unref(&cached);
    if (!session_cache_put(auth->cache, loaded, ticket)) {
        session_unref(&loaded);
        return CESID_E_CONFLICT;
    }
    auth_store_answers(auth);
    *session = loaded;
    return 0;
}

static int look_up(struct auth *auth, const char *id, load_session *load, struct session **session)
{
    int status, tries = 0;
    do
        status = find_session(auth, id, load, session);
    while (status == CESID_E_CONFLICT && ++tries < LOAD_TRIES);
    return status == CESID_E_CONFLICT ? CESID_E_STORE_UNAVAILABLE : status;
}

static int check_jwt(struct auth *auth, const char *token, struct session **session)
{
    struct jwt_claims claims;
    const char *why = "";
    int status = jwt_verify(token, strlen(token), auth->keyring.keys, auth->keyring.count, ISSUER,
                            clock_wall() / 1000, &claims, &why);
    if (status < 0) {
        log_debug("auth", "a token was refused", log_s("reason", why));
        return status;
    }
    if (strlen(claims.id) >= AUTH_ID_SIZE)
        return CESID_E_UNAUTHENTICATED;
    status = look_up(auth, claims.id, account_load_session, session);
    if (status == 0 &&
        (strcmp((*session)->user.id, claims.subject) != 0 || (*session)->token_hash[0] != '\0'))
        status = CESID_E_UNAUTHENTICATED;
    return status;
}

static int check_api_token(struct auth *auth, const char *token, struct session **session)
{
    char id[AUTH_ID_SIZE], hash[TOKEN_HASH_SIZE];
    if (!token_secret_parse(token, id, hash))
        return CESID_E_UNAUTHENTICATED;
    int status = look_up(auth, id, token_load, session);
    if (status == 0 && !text_equal_secret(hash, strlen(hash), (*session)->token_hash,
                                          strlen((*session)->token_hash)))
        status = CESID_E_UNAUTHENTICATED;
    return status;
}

int auth_check(struct auth *auth, const struct credentials *credentials, struct session **session)
{
    *session = NULL;
    const char *token = credentials->bearer ? credentials->bearer : credentials->cookie;
    if (!token)
        return CESID_E_UNAUTHENTICATED;
    struct session *found = NULL;
    bool api_token = credentials->bearer && strncmp(token, TOKEN_PREFIX, strlen(TOKEN_PREFIX)) == 0;
    int status = api_token ? check_api_token(auth, token, &found) : check_jwt(auth, token, &found);
    if (status == 0 && found->expires_at <= clock_wall())
        status = CESID_E_SESSION_EXPIRED;
    if (status < 0) {
        session_unref(&found);
        return status;
    }
    *session = found;
    return 0;
}

void auth_rights_changed(struct auth *auth, const char *user_id)
{
    char(*ids)[AUTH_ID_SIZE] = NULL;
    size_t count = session_cache_outdate(auth->cache, user_id, &ids);
    for (size_t i = 0; i < count; i++) {
        struct session *known = session_cache_peek(auth->cache, ids[i], clock_wall());
        struct session *session = NULL;
        if (known && look_up(auth, ids[i], known->token_hash[0] ? token_load : account_load_session,
                             &session) < 0)
            log_debug("auth", "a session ended with a change of rights");
        session_unref(&session);
        session_unref(&known);
    }
    free(ids);
    auth_tell_change(auth);
}

bool auth_session_valid(struct auth *auth, const struct session *session)
{
    return session_cache_holds(auth->cache, session->id, clock_wall());
}

struct session *auth_session_current(struct auth *auth, const struct session *session)
{
    return session_cache_peek(auth->cache, session->id, clock_wall());
}

/* ---- signing in and out ---- */

static void purge_now_and_then(struct auth *auth)
{
    int64_t now = clock_now();
    int64_t due = atomic_load(&auth->purge_at);
    if (now < due ||
        !atomic_compare_exchange_strong(&auth->purge_at, &due, now + PURGE_SECONDS * CLOCK_SECOND))
        return;
    int64_t purged = 0;
    if (account_purge_sessions(auth->store, clock_wall(), &purged) == 0 && purged > 0)
        log_debug("auth", "removed expired sessions", log_i("sessions", purged));
}

static void limits_of(struct auth *auth, struct attempts_limits *limits, double *session_ttl)
{
    struct config *config = config_get(auth->config);
    limits->failures = config->auth.login_attempts;
    limits->lockout = config->auth.lockout;
    *session_ttl = config->auth.session_ttl;
    config_unref(&config);
}

/* hash is empty: there is no such user. In both cases it takes the same time. */
static int verify_bounded(struct auth *auth, const char *password, const char *hash)
{
    int status = attempts_hash_begin(auth->attempts, clock_after(WAIT_SECONDS));
    if (status < 0)
        return status;
    bool right = password_verify(password, hash[0] ? hash : NULL);
    attempts_hash_end(auth->attempts);
    return right ? 0 : CESID_E_INVALID_CREDENTIALS;
}

/* Takes over user. */
static int begin_session(struct auth *auth, struct user *user, const char *hash,
                         const char *address, double ttl, struct strbuf *token,
                         struct session **out)
{
    int64_t now = clock_wall();
    int64_t expires_at = now + (int64_t) (ttl * 1000.0);
    struct jwt_claims claims = {
        .issuer = ISSUER, .issued_at = now / 1000, .expires_at = (expires_at + 999) / 1000};
    char csrf_token[AUTH_ID_SIZE];
    random_hex(claims.id, (AUTH_ID_SIZE - 1) / 2);
    random_hex(csrf_token, sizeof csrf_token / 2);
    memcpy(claims.subject, user->id, strlen(user->id) + 1);
    if (claims.expires_at <= claims.issued_at)
        claims.expires_at = claims.issued_at + 1;

    struct access *access = NULL;
    uint64_t ticket = session_cache_ticket(auth->cache, claims.id);
    int status = account_access(auth->store, user->id, &access);
    if (status == 0) {
        char short_address[65];
        size_t length = strnlen(address, sizeof short_address - 1);
        memcpy(short_address, address, length);
        short_address[length] = '\0';
        const struct account_session session = {.id = claims.id,
                                                .csrf_token = csrf_token,
                                                .address = short_address,
                                                .created_at = now,
                                                .expires_at = expires_at};
        status = account_begin_session(auth->store, &session, user->id, hash);
    }
    if (status < 0) {
        access_unref(&access);
        return status;
    }
    user->last_login_at = now;
    struct session *session = session_create(claims.id, csrf_token, expires_at, user, access);
    /* When its kind was revoked meanwhile, the first request reads it from the store. */
    (void) session_cache_put(auth->cache, session, ticket);
    jwt_sign(token, &auth->keyring.keys[0], &claims);
    *out = session;
    return 0;
}

/* When the cost of a hash has risen since it was made. The login holds without it. */
static void refresh_hash(struct auth *auth, const struct user *user, const char *password,
                         const char *hash)
{
    char fresh[PASSWORD_HASH_SIZE];
    if (!password_hash_is_weak(hash))
        return;
    int status = attempts_hash_begin(auth->attempts, clock_after(WAIT_SECONDS));
    if (status == 0) {
        status = password_hash(password, fresh);
        attempts_hash_end(auth->attempts);
    }
    if (status == 0)
        status = account_refresh_hash(auth->store, user->id, hash, fresh);
    if (status == 0)
        log_info("auth", "hashed a password anew at today's cost",
                 log_s("username", user->username));
    else
        log_warning("auth", "cannot hash a password anew", log_s("username", user->username),
                    log_s("error", error_code(status)));
}

/* CONFLICT: the user was disabled or the hash replaced while the password was checked against it.
 */
static int try_sign_in(struct auth *auth, const char *username, const char *password,
                       const char *address, double ttl, struct user *user, struct strbuf *token,
                       struct session **session)
{
    char hash[PASSWORD_HASH_SIZE] = "";
    int status = 0;
    user_destroy(user);
    if (text_is_name(username)) {
        status = account_find(auth->store, username, user, hash);
        if (status == CESID_E_NOT_FOUND)
            status = 0;
    }
    if (status == 0)
        status = verify_bounded(auth, password, hash);
    if (status == 0 && !user->active)
        status = CESID_E_INVALID_CREDENTIALS;
    if (status == 0)
        status = begin_session(auth, user, hash, address, ttl, token, session);
    if (status == 0)
        refresh_hash(auth, &(*session)->user, password, hash);
    return status;
}

static int sign_in(struct auth *auth, const char *username, const char *password,
                   const char *address, double ttl, struct strbuf *token, struct session **session)
{
    struct user user = {0};
    int status = try_sign_in(auth, username, password, address, ttl, &user, token, session);
    /* Another login of the same user may have refreshed the hash. */
    if (status == CESID_E_CONFLICT)
        status = try_sign_in(auth, username, password, address, ttl, &user, token, session);
    if (status == CESID_E_CONFLICT)
        status = CESID_E_INVALID_CREDENTIALS;
    /* A name that is nobody's may be a password in the wrong field: it is not logged. */
    const char *shown = user.username ? username : NULL;
    if (status == CESID_E_INVALID_CREDENTIALS)
        log_warning("auth", "a sign-in was refused", log_s("username", shown),
                    log_s("address", address));
    user_destroy(&user);
    return status;
}

int auth_login(struct auth *auth, const char *username, const char *password, const char *address,
               struct strbuf *token, struct session **session, double *retry_after)
{
    struct attempts_limits limits;
    double ttl;
    *session = NULL;
    *retry_after = 1.0;
    limits_of(auth, &limits, &ttl);
    int status = attempts_begin(auth->attempts, username, address, &limits,
                                clock_after(WAIT_SECONDS), retry_after);
    if (status < 0) {
        log_warning("auth", "a sign-in was refused unseen", log_s("error", error_code(status)),
                    log_s("address", address));
        return status;
    }
    status = sign_in(auth, username, password, address, ttl, token, session);
    attempts_end(auth->attempts, username, address, &limits,
                 status == 0                             ? ATTEMPT_RIGHT
                 : status == CESID_E_INVALID_CREDENTIALS ? ATTEMPT_WRONG
                                                         : ATTEMPT_UNKNOWN);
    if (status == 0) {
        log_info("auth", "signed in", log_s("username", (*session)->user.username),
                 log_s("address", address));
        purge_now_and_then(auth);
        auth_store_answers(auth);
    }
    return status;
}

bool auth_knows(struct auth *auth, const char *username)
{
    struct user user = {0};
    char hash[PASSWORD_HASH_SIZE] = "";
    bool found =
        text_is_name(username) && account_find(auth->store, username, &user, hash) == CESID_OK;
    secret_wipe(hash, sizeof hash);
    user_destroy(&user);
    return found;
}

int auth_logout(struct auth *auth, const struct session *session)
{
    int status = account_end_session(auth->store, session->id);
    session_cache_revoke(auth->cache, session->id, status < 0 ? session->expires_at : 0);
    auth_tell_change(auth);
    if (status < 0)
        atomic_store(&auth->untold, true);
    log_info("auth", "signed out", log_s("username", session->user.username));
    return status;
}

/* ---- passwords ---- */

int auth_hash_new(struct auth *auth, const char *username, const char *password,
                  char hash[PASSWORD_HASH_SIZE], const char **why)
{
    int status = password_check(username, password, why);
    if (status == 0)
        status = attempts_hash_begin(auth->attempts, clock_after(WAIT_SECONDS));
    if (status < 0)
        return status;
    status = password_hash(password, hash);
    attempts_hash_end(auth->attempts);
    return status;
}

static int replace_password(struct auth *auth, const struct session *session,
                            const char *old_password, const char *new_password)
{
    struct user user;
    char old_hash[PASSWORD_HASH_SIZE], new_hash[PASSWORD_HASH_SIZE];
    int status = account_find(auth->store, session->user.username, &user, old_hash);
    if (status == CESID_E_NOT_FOUND)
        return CESID_E_UNAUTHENTICATED;
    if (status < 0)
        return status;
    if (strcmp(user.id, session->user.id) != 0)
        status = CESID_E_UNAUTHENTICATED;
    user_destroy(&user);
    if (status == 0)
        status = verify_bounded(auth, old_password, old_hash);
    if (status == 0)
        status = attempts_hash_begin(auth->attempts, clock_after(WAIT_SECONDS));
    if (status < 0)
        return status;
    status = password_hash(new_password, new_hash);
    attempts_hash_end(auth->attempts);
    if (status == 0)
        status =
            account_set_password(auth->store, session->user.id, old_hash, new_hash, session->id);
    return status;
}

int auth_change_password(struct auth *auth, const struct session *session, const char *old_password,
                         const char *new_password, const char **why)
{
    const char *username = session->user.username;
    int status = password_check(username, new_password, why);
    if (status == 0 && strcmp(old_password, new_password) == 0) {
        *why = "must differ from the old one";
        status = CESID_E_VALIDATION_FAILED;
    }
    if (status < 0)
        return status;

    /* Who found an open page must not guess at will; the session stands for the address. */
    struct attempts_limits limits;
    double ttl, retry_after = 0.0;
    limits_of(auth, &limits, &ttl);
    status = attempts_begin(auth->attempts, username, session->id, &limits,
                            clock_after(WAIT_SECONDS), &retry_after);
    if (status < 0)
        return status;
    status = replace_password(auth, session, old_password, new_password);
    attempts_end(auth->attempts, username, session->id, &limits,
                 status == 0                             ? ATTEMPT_RIGHT
                 : status == CESID_E_INVALID_CREDENTIALS ? ATTEMPT_WRONG
                                                         : ATTEMPT_UNKNOWN);
    if (status == 0) {
        session_cache_revoke_user(auth->cache, session->user.id, session->id, false);
        auth_tell_change(auth);
        log_info("auth", "changed a password", log_s("username", username));
    }
    return status;
}

int auth_create_admin(struct store *store, const char *username, const char *password,
                      const char **why)
{
    char hash[PASSWORD_HASH_SIZE];
    if (!text_is_name(username)) {
        *why = "the name must be 1 to 64 letters, digits, '.', '_' or '-', with a letter or digit "
               "first";
        return CESID_E_VALIDATION_FAILED;
    }
    int status = password_check(username, password, why);
    if (status == 0) {
        *why = "the password cannot be hashed or the store does not answer";
        status = password_hash(password, hash);
    }
    if (status == 0)
        status = account_make_admin(store, username, hash);
    if (status == 0)
        log_info("auth", "created or reset an administrator", log_s("username", username));
    return status;
}
