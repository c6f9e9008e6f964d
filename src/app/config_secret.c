/* SPDX-License-Identifier: MIT
 * Whether a secret is one. A well-known or patterned secret is public knowledge however long it is:
 * anyone who has read the examples can sign tokens with it. */
#include "app/config_priv.h"

enum { BYTES_MIN = 32, DISTINCT_MIN = 10 };

/* Values that examples, images and habits put where a secret belongs. */
static const char *const known_values[] = {
    "123456",      "12345678",      "123456789", "1234567890",  "access",      "admin",
    "admin123",    "administrator", "changeit",  "changeme",    "change-me",   "change_me",
    "database",    "default",       "demo",      "dev",         "development", "example",
    "guest",       "hunter2",       "jwt",       "key",         "letmein",     "master",
    "none",        "null",          "p@ssw0rd",  "pass",        "passw0rd",    "password",
    "password123", "portcullis",    "postgres",  "private",     "qwerty",      "root",
    "secret",      "secret123",     "secretkey", "supersecret", "test",        "testing",
    "toor",        "undefined",     "user",      "user123",
};

/* Words that a placeholder is made of and that no random text will hold. */
static const char *const placeholder_words[] = {
    "change-me",   "changeme",   "change_me",   "change-in",   "change_in",    "change-this",
    "change_this", "changethis", "your-secret", "your_secret", "yoursecret",   "your-super",
    "your_super",  "your-jwt",   "your_jwt",    "your-256",    "your-key",     "your_key",
    "secret-key",  "secret_key", "secretkey",   "supersecret", "super-secret", "super_secret",
    "replace-me",  "replace_me", "replaceme",   "placeholder", "insecure",     "example",
    "password",    "default",    "do-not-use",  "portcullis",
};

static bool holds_word(struct span text, const char *word)
{
    struct span wanted = span_from(word);

    for (size_t i = 0; i + wanted.len <= text.len; i++)
        if (span_equal_nocase(span_slice(text, i, i + wanted.len), wanted))
            return true;
    return false;
}

bool config_secret_is_known(struct span secret)
{
    for (size_t i = 0; i < PC_COUNT(known_values); i++)
        if (span_is_nocase(secret, known_values[i]))
            return true;
    for (size_t i = 0; i < PC_COUNT(placeholder_words); i++)
        if (holds_word(secret, placeholder_words[i]))
            return true;
    return false;
}

static size_t count_distinct(struct span text)
{
    bool seen[256] = {false};
    size_t count = 0;

    for (size_t i = 0; i < text.len; i++) {
        bool *at = &seen[(unsigned char)text.ptr[i]];

        count += *at ? 0 : 1;
        *at = true;
    }
    return count;
}

/* Is it one shorter text again and again? */
static bool repeats(struct span text)
{
    for (size_t period = 1; period <= text.len / 2; period++) {
        size_t i = period;

        while (i < text.len && text.ptr[i] == text.ptr[i - period])
            i++;
        if (i == text.len)
            return true;
    }
    return false;
}

/* Do most characters only count on from the one before, as in abcdef or 987654? */
static bool counts_on(struct span text)
{
    size_t steps = 0;

    for (size_t i = 1; i < text.len; i++) {
        int step = text.ptr[i] - text.ptr[i - 1];

        steps += step >= -1 && step <= 1 ? 1 : 0;
    }
    return steps > text.len / 2;
}

const char *config_secret_weakness(struct span secret)
{
    if (config_secret_is_known(secret))
        return "is well known from examples";
    if (secret.len < BYTES_MIN)
        return "is shorter than 32 bytes";
    if (count_distinct(secret) < DISTINCT_MIN)
        return "has fewer than 10 different characters";
    if (repeats(secret))
        return "repeats itself";
    if (counts_on(secret))
        return "is a sequence";
    return NULL;
}
