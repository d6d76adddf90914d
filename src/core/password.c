/*
 * Passwords with libxcrypt's yescrypt. The work area of crypt_rn (32 KiB) is on the heap:
 * CivetWeb's workers have 100 KiB of stack. Any thread, no locks.
 */
#include "cesid/password.h"

#include <crypt.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cesid/error.h"
#include "cesid/log.h"
#include "cesid/memory.h"
#include "cesid/random.h"
#include "cesid/secret.h"
#include "cesid/text.h"

_Static_assert(PASSWORD_HASH_SIZE > 3 + 8 + 64 + 43, "a yescrypt hash of our settings fits");

#define PREFIX "$y$"
/* Of crypt_gensalt's scale for yescrypt, 1 to 11; its default. Who raises it has every hash made
 * anew at its user's next login. */
#define COST 5

/* The most common ones of ten bytes and more in published leaks, and what somebody in front of
 * this program would try. Compared without regard to case. */
static const char *const common[] = {
    "1234567890",       "0123456789",       "0987654321",
    "9876543210",       "1234567891",       "12345678910",
    "123456789a",       "123456789q",       "a123456789",
    "q123456789",       "1234554321",       "1212121212",
    "1111111111",       "0000000000",       "2222222222",
    "3333333333",       "5555555555",       "6666666666",
    "7777777777",       "8888888888",       "9999999999",
    "1122334455",       "1020304050",       "1029384756",
    "123456123456",     "123123123123",     "123123123a",
    "123321123321",     "112233445566",     "147258369a",
    "741852963a",       "159753456852",     "123456789123",
    "123456789987",     "987654321a",       "abcdefghij",
    "abcdefghijk",      "abcdefg123",       "abcd123456",
    "abc1234567",       "abc123456789",     "abcde12345",
    "aaaaaaaaaa",       "asdfghjkl1",       "asdfghjkl;",
    "asdfasdfasdf",     "asdf123456",       "qwertyuiop",
    "qwertyuiop1",      "qwertyuiop123",    "qwertyuiop[]",
    "qwerty1234",       "qwerty12345",      "qwerty123456",
    "qwerty12345678",   "qwertyqwerty",     "qwerasdfzxcv",
    "qazwsxedcrfv",     "qazwsxedc1",       "qazwsx123456",
    "1q2w3e4r5t",       "1q2w3e4r5t6y",     "1qaz2wsx3edc",
    "1qazxsw23edc",     "q1w2e3r4t5",       "q1w2e3r4t5y6",
    "zaq12wsxcde3",     "zxcvbnm123",       "zxcvbnm,./",
    "password12",       "password123",      "password1234",
    "password12345",    "password123!",     "password1!",
    "passwordpassword", "p@ssw0rd123",      "p@ssword123",
    "passw0rd123",      "passw0rd1234",     "mypassword",
    "mypassword1",      "newpassword",      "changeme123",
    "changemenow",      "letmein123",       "letmeinnow",
    "welcome123",       "welcome1234",      "welcome2023",
    "welcome2024",      "welcome2025",      "iloveyou12",
    "iloveyou123",      "iloveyou1234",     "sunshine123",
    "princess123",      "football123",      "baseball123",
    "superman123",      "spiderman1",       "michael123",
    "jordan2323",       "trustno1trustno1", "basketball",
    "basketball1",      "liverpool1",       "manchester",
    "manchester1",      "christopher",      "alexander1",
    "butterfly1",       "chocolate1",       "strawberry",
    "strawberry1",      "california",       "california1",
    "motherfucker",     "motherlode",       "unbelievable",
    "administrator",    "administrator1",   "admin12345",
    "admin123456",      "admin1234567",     "adminadmin",
    "adminadmin123",    "adminpassword",    "administrateur",
    "rootpassword",     "rootroot12",       "rootrootroot",
    "toor123456",       "supervisor",       "supervisor1",
    "supervisor123",    "supervisord",      "supervisord1",
    "cesidcesid",       "cesidadmin",       "correcthorsebatterystaple",
};

int password_check(const char *username, const char *password, const char **why)
{
    size_t length = strlen(password);
    *why = NULL;
    if (!text_is_utf8(password, length))
        *why = "must be UTF-8 text";
    else if (text_characters(password) < PASSWORD_LENGTH_MIN)
        *why = "must have at least 10 characters";
    else if (length > PASSWORD_LENGTH_MAX)
        *why = "must have at most 256 bytes";
    else if (strcasecmp(password, username) == 0)
        *why = "must differ from the username";
    else if (strspn(password, (const char[]){password[0], '\0'}) == length)
        *why = "must not repeat one character";
    for (size_t i = 0; !*why && i < length; i++) {
        if ((unsigned char) password[i] < 0x20 || password[i] == 0x7f)
            *why = "must not hold control characters";
    }
    for (size_t i = 0; !*why && i < ARRAY_LENGTH(common); i++) {
        if (strcasecmp(password, common[i]) == 0)
            *why = "is among the most common passwords";
    }
    return *why ? CESID_E_VALIDATION_FAILED : 0;
}

#define SALT_SIZE 32
static const char no_salt[SALT_SIZE] = {0};

/* False when the system cannot hash with that setting. */
static bool hash_with(const char *password, const char *setting, char hash[PASSWORD_HASH_SIZE])
{
    struct crypt_data *area = mem_alloc(sizeof *area);
    const char *result = crypt_rn(password, setting, area, (int) sizeof *area);
    bool ok = result && result[0] != '*' && strlen(result) < PASSWORD_HASH_SIZE;
    if (ok)
        memcpy(hash, result, strlen(result) + 1);
    secret_wipe(area, sizeof *area);
    free(area);
    return ok;
}

static bool make_setting(unsigned long cost, const char random[SALT_SIZE],
                         char setting[CRYPT_GENSALT_OUTPUT_SIZE])
{
    return crypt_gensalt_rn(PREFIX, cost, random, SALT_SIZE, setting, CRYPT_GENSALT_OUTPUT_SIZE);
}

int password_hash(const char *password, char hash[PASSWORD_HASH_SIZE])
{
    char random[SALT_SIZE], setting[CRYPT_GENSALT_OUTPUT_SIZE];
    random_bytes(random, sizeof random);
    if (!make_setting(COST, random, setting) || !hash_with(password, setting, hash)) {
        log_error("auth", "the system cannot hash a password", log_i("errno", errno));
        return CESID_E_INTERNAL;
    }
    return 0;
}

bool password_verify(const char *password, const char *hash)
{
    char computed[PASSWORD_HASH_SIZE] = "";
    bool fits = strlen(password) <= PASSWORD_LENGTH_MAX;
    const char *setting = hash && strncmp(hash, PREFIX, strlen(PREFIX)) == 0 ? hash : NULL;
    const char *tried = fits ? password : "";
    bool ok = setting && hash_with(tried, setting, computed);
    if (!ok) {
        /* What nobody's password is checked against costs what everybody's does. */
        char dummy[CRYPT_GENSALT_OUTPUT_SIZE];
        if (make_setting(COST, no_salt, dummy))
            (void) hash_with(tried, dummy, computed);
    }
    bool equal = ok && text_equal_secret(computed, strlen(computed), setting, strlen(setting));
    secret_wipe(computed, sizeof computed);
    return equal && fits;
}

bool password_hash_is_weak(const char *hash)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    /* "$y$COST$SALT$…" */
    for (unsigned long cost = 1; cost < COST; cost++) {
        const char *end =
            make_setting(cost, no_salt, setting) ? strchr(setting + strlen(PREFIX), '$') : NULL;
        if (end && strncmp(hash, setting, (size_t) (end - setting) + 1) == 0)
            return true;
    }
    return false;
}

void password_random(char out[PASSWORD_RANDOM_SIZE])
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    for (size_t i = 0; i < PASSWORD_RANDOM_SIZE - 1; i++)
        out[i] = letters[random_below(sizeof letters - 1)];
    out[PASSWORD_RANDOM_SIZE - 1] = '\0';
}
