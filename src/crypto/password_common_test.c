/* SPDX-License-Identifier: MIT
 * Which passwords are too common, as strictly as one asks, from many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "crypto/password_common.h"

static const struct {
    const char *password, *username;
    bool listed, similar;
} cases[] = {
    {"password", "", true, true},
    {"PassWord", "", true, true},
    {"sunshine", "", true, true},
    {"Password123", "", false, true},
    {"drowssap", "", false, true},
    {"12345678", "", false, true},
    {"aaaaaaaa", "", false, true},
    {"abcdefgh", "", false, true},
    {"qwertyuiop", "", false, true},
    {"annabelle-ferrer1", "annabelle-ferrer", false, true},
    {"annabelle-ferrer1", "bert", false, false},
    {"secure_password123", "", false, false},
    {"P@ssw0rd!", "", false, false},
    {"correct horse battery staple", "", false, false},
    {"x9F-kd82!mqz", "", false, false},
    {"\xC3\xA9\xC3\xA8\xC3\xBC kr\xC3\xB6te \xE2\x82\xAC 77", "J\xC3\xB6rg", false, false},
};

static enum err check(enum crypto_password_common what, size_t i, const char **ret_why)
{
    return crypto_password_common_check(what, span_from(cases[i].password),
                                        span_from(cases[i].username), ret_why);
}

static bool is_right(enum crypto_password_common what, size_t i)
{
    bool refused = what == CRYPTO_COMMON_REFUSE_SIMILAR  ? cases[i].similar
                   : what == CRYPTO_COMMON_REFUSE_LISTED ? cases[i].listed
                                                         : false;
    const char *why = NULL;

    return check(what, i, &why) == (refused ? ERR_VALIDATION : ERR_OK) && (why != NULL) == refused;
}

static void common_passwords_are_refused_as_asked(void **state)
{
    (void)state;
    assert_true(crypto_password_dictionary_is_there());
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        if (!is_right(CRYPTO_COMMON_REFUSE_SIMILAR, i))
            fail_msg("similar: %s", cases[i].password);
        if (!is_right(CRYPTO_COMMON_REFUSE_LISTED, i))
            fail_msg("listed: %s", cases[i].password);
        if (!is_right(CRYPTO_COMMON_ALLOW, i))
            fail_msg("allow: %s", cases[i].password);
    }
}

/* Whatever the length, nothing is written past an end. */
static void any_length_is_looked_at(void **state)
{
    char text[4096] = "";
    const char *why;

    (void)state;
    for (size_t len = 0; len <= sizeof(text); len = len < 300 ? len + 1 : len * 2) {
        for (size_t i = 0; i < len; i++)
            text[i] = (char)('!' + (i * 7 + i / 31) % 90);
        (void)!crypto_password_common_check(CRYPTO_COMMON_REFUSE_SIMILAR, span_make(text, len),
                                            span_make(text, len), &why);
        if (len >= 300)
            assert_int_equal(crypto_password_common_check(CRYPTO_COMMON_REFUSE_LISTED,
                                                          span_make(text, len), SPAN_OF(""), &why),
                             ERR_OK);
    }
}

static void *check_many(void *context)
{
    size_t *wrong = context;

    for (size_t i = 0; i < 20 * PC_COUNT(cases); i++)
        *wrong += !is_right(i % 2 ? CRYPTO_COMMON_REFUSE_SIMILAR : CRYPTO_COMMON_REFUSE_LISTED,
                            i % PC_COUNT(cases));
    return NULL;
}

static void threads_take_turns(void **state)
{
    pthread_t threads[4];
    size_t wrong[PC_COUNT(threads)] = {0};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, check_many, &wrong[i]), 0);
    for (size_t i = 0; i < PC_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(wrong[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_passwords_are_refused_as_asked),
        cmocka_unit_test(any_length_is_looked_at),
        cmocka_unit_test(threads_take_turns),
    };

    return cmocka_run_group_tests_name("password_common", tests, NULL, NULL);
}
