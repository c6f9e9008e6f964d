/* SPDX-License-Identifier: MIT
 * Password hashes: known texts of other programs, round trips at low cost, and everything that a
 * stored text may have wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "crypto/password.h"

static const struct crypto_password_policy cheap_argon2 = {
    .argon2_memory_kib = 64, .argon2_passes = 1, .argon2_lanes = 2};
static const struct crypto_password_policy cheap_bcrypt = {.kind = CRYPTO_PASSWORD_BCRYPT,
                                                           .bcrypt_cost = 4};

static void both_kinds_verify_what_they_hash(void **state)
{
    const struct crypto_password_policy *const policies[] = {&cheap_argon2, &cheap_bcrypt};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(policies); i++) {
        char hash[CRYPTO_PASSWORD_HASH_BYTES], again[CRYPTO_PASSWORD_HASH_BYTES];
        struct span secret = SPAN("correct horse \xc3\xa9");

        assert_int_equal(crypto_password_hash(policies[i], &random_system, secret, hash), ERR_OK);
        assert_int_equal(crypto_password_hash(policies[i], &random_system, secret, again), ERR_OK);
        assert_string_not_equal(hash, again);
        assert_int_equal(crypto_password_verify(span_from(hash), secret), ERR_OK);
        assert_int_equal(crypto_password_verify(span_from(hash), SPAN_OF("correct horse")),
                         ERR_CREDENTIALS);
        assert_int_equal(crypto_password_verify(span_from(hash), (struct span){0}),
                         ERR_CREDENTIALS);
        assert_false(crypto_password_needs_rehash(policies[i], span_from(hash)));
        assert_true(crypto_password_needs_rehash(policies[1 - i], span_from(hash)));
    }
}

/* Texts made by other programs: the argon2 reference's test suite, and OpenBSD's and PHP's bcrypt.
 */
static void texts_of_others_verify(void **state)
{
    static const struct {
        const char *stored, *password;
    } rows[] = {
        {"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
         "password"},
        {"$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
         "password"},
        {"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
        {"$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"},
        {"$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U"},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        assert_int_equal(
            crypto_password_verify(span_from(rows[i].stored), span_from(rows[i].password)), ERR_OK);
        assert_int_equal(crypto_password_verify(span_from(rows[i].stored), SPAN_OF("Password")),
                         ERR_CREDENTIALS);
    }
}

/* What asks for absurd work, or is not exactly in form, is refused before any work is done. */
static void damaged_texts_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "admin123",
        "$",
        "$argon2id$",
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=4294967295,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/"
        "4",
        "$argon2id$v=19$m=999999,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=17,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=0,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=02,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=17$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=8,t=2,p=2$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$t=2,m=256,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1,x=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c2Fs$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ=$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR_uIPnA4rEsF5h7TKyQwu9U1bMCHGi_4",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgL",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4$x",
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lw",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwKK",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lw!",
        "$2b$+5$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK",
        "$6$salt$"
        "IxDD3jeSOb5eB1CX5LBsqZFVkJdido3OUILO5Ifz5iwMuTS4XMS130MTSuDDl3aCI6WouIL9AjRbLCelDCy"
        ".g.",
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        assert_int_equal(crypto_password_verify(span_from(bad[i]), SPAN_OF("password")), ERR_KEY);
        assert_true(crypto_password_needs_rehash(&cheap_argon2, span_from(bad[i])));
    }
}

/* bcrypt would silently cut at 72 bytes and at NUL; we refuse instead, Argon2id needs neither. */
static void bcrypt_never_cuts_a_password(void **state)
{
    char hash[CRYPTO_PASSWORD_HASH_BYTES] = "kept";
    char longest[CRYPTO_BCRYPT_PASSWORD_BYTES_MAX + 1];

    (void)state;
    memset(longest, 'p', sizeof(longest));
    assert_int_equal(crypto_password_hash(&cheap_bcrypt, &random_system,
                                          span_make(longest, sizeof(longest)), hash),
                     ERR_VALIDATION);
    assert_int_equal(crypto_password_hash(&cheap_bcrypt, &random_system, SPAN_OF("a\0b"), hash),
                     ERR_VALIDATION);
    assert_string_equal(hash, "kept");
    assert_int_equal(crypto_password_hash(&cheap_bcrypt, &random_system,
                                          span_make(longest, sizeof(longest) - 1), hash),
                     ERR_OK);
    assert_int_equal(crypto_password_verify(span_from(hash), span_make(longest, 72)), ERR_OK);
    assert_int_equal(crypto_password_verify(span_from(hash), span_make(longest, 73)),
                     ERR_CREDENTIALS);
    assert_int_equal(
        crypto_password_hash(&cheap_argon2, &random_system, span_make(longest, 73), hash), ERR_OK);
    assert_int_equal(crypto_password_verify(span_from(hash), span_make(longest, 73)), ERR_OK);
    assert_int_equal(crypto_password_verify(span_from(hash), span_make(longest, 72)),
                     ERR_CREDENTIALS);
}

static void too_long_is_refused_by_both(void **state)
{
    static char longest[LIMIT_PASSWORD_BYTES_MAX + 1];
    char hash[CRYPTO_PASSWORD_HASH_BYTES];

    (void)state;
    memset(longest, 'p', sizeof(longest));
    assert_int_equal(crypto_password_hash(&cheap_argon2, &random_system,
                                          span_make(longest, sizeof(longest)), hash),
                     ERR_VALIDATION);
    assert_int_equal(crypto_password_hash(&cheap_argon2, &random_system,
                                          span_make(longest, sizeof(longest) - 1), hash),
                     ERR_OK);
    assert_int_equal(crypto_password_verify(span_from(hash), span_make(longest, sizeof(longest))),
                     ERR_CREDENTIALS);
}

static void policy_is_bounded(void **state)
{
    static const struct crypto_password_policy bad[] = {
        {.bcrypt_cost = 3},
        {.bcrypt_cost = CRYPTO_BCRYPT_COST_MAX + 1},
        {.argon2_memory_kib = 7},
        {.argon2_memory_kib = 15, .argon2_lanes = 2},
        {.argon2_memory_kib = CRYPTO_ARGON2_MEMORY_KIB_MAX + 1},
        {.argon2_passes = CRYPTO_ARGON2_PASSES_MAX + 1},
        {.argon2_lanes = CRYPTO_ARGON2_LANES_MAX + 1},
        {.kind = (enum crypto_password_kind)2},
    };
    static const struct crypto_password_policy defaults;

    (void)state;
    assert_int_equal(crypto_password_policy_check(&defaults), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        assert_int_equal(crypto_password_policy_check(&bad[i]), ERR_CONFIG);
}

static void rehash_follows_the_policy(void **state)
{
    struct crypto_password_policy policy = cheap_argon2;
    char hash[CRYPTO_PASSWORD_HASH_BYTES];

    (void)state;
    assert_int_equal(crypto_password_hash(&policy, &random_system, SPAN_OF("x"), hash), ERR_OK);
    policy.argon2_passes = 2;
    assert_true(crypto_password_needs_rehash(&policy, span_from(hash)));
    policy = cheap_bcrypt;
    assert_int_equal(crypto_password_hash(&policy, &random_system, SPAN_OF("x"), hash), ERR_OK);
    policy.bcrypt_cost = 5;
    assert_true(crypto_password_needs_rehash(&policy, span_from(hash)));
    assert_true(crypto_password_needs_rehash(
        &policy, SPAN_OF("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")));
}

/* The stand-in for an unknown user is a hash like any other, in the policy's own form. */
static void dummy_fits_no_password(void **state)
{
    char hash[CRYPTO_PASSWORD_HASH_BYTES];

    (void)state;
    assert_int_equal(crypto_password_dummy(&cheap_bcrypt, &random_system, hash), ERR_OK);
    assert_false(crypto_password_needs_rehash(&cheap_bcrypt, span_from(hash)));
    assert_int_equal(crypto_password_verify(span_from(hash), (struct span){0}), ERR_CREDENTIALS);
}

static void every_failing_allocation_is_reported(void **state)
{
    const struct crypto_password_policy *const policies[] = {&cheap_argon2, &cheap_bcrypt};
    char hash[CRYPTO_PASSWORD_HASH_BYTES];
    enum err err;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(policies); i++) {
        alloc_fail_at(1);
        err = crypto_password_hash(policies[i], &random_system, SPAN_OF("x"), hash);
        assert_false(alloc_fail_pending());
        assert_int_equal(err, ERR_NO_MEMORY);
        assert_int_equal(crypto_password_hash(policies[i], &random_system, SPAN_OF("x"), hash),
                         ERR_OK);
        alloc_fail_at(1);
        err = crypto_password_verify(span_from(hash), SPAN_OF("x"));
        assert_int_equal(err, ERR_NO_MEMORY);
        alloc_fail_at(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_verify_what_they_hash),
        cmocka_unit_test(texts_of_others_verify),
        cmocka_unit_test(damaged_texts_are_refused),
        cmocka_unit_test(bcrypt_never_cuts_a_password),
        cmocka_unit_test(too_long_is_refused_by_both),
        cmocka_unit_test(policy_is_bounded),
        cmocka_unit_test(rehash_follows_the_policy),
        cmocka_unit_test(dummy_fits_no_password),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
