/* SPDX-License-Identifier: MIT
 * Sealed text opens with its key alone, and no changed bit goes unnoticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/seal.h"

static void seal_opens_with_its_key_alone(void **state)
{
    unsigned char key[CRYPTO_SEAL_KEY_BYTES] = {7};
    struct arena arena;
    struct span sealed;
    struct span again;
    struct span plain;

    (void)state;
    arena_init(&arena, NULL, 0, 1 << 16);
    assert_int_equal(crypto_seal(key, SPAN_OF("two tokens"), &random_system, &arena, &sealed),
                     ERR_OK);
    assert_int_equal(crypto_seal(key, SPAN_OF("two tokens"), &random_system, &arena, &again),
                     ERR_OK);
    assert_false(span_equal(sealed, again));
    assert_int_equal(crypto_unseal(key, sealed, &arena, &plain), ERR_OK);
    assert_true(span_is(plain, "two tokens"));
    key[31] ^= 1;
    assert_int_equal(crypto_unseal(key, sealed, &arena, &plain), ERR_KEY);
    arena_reset(&arena);
}

static void seal_notices_every_bit(void **state)
{
    unsigned char key[CRYPTO_SEAL_KEY_BYTES] = {9};
    struct arena arena;
    struct span sealed;
    struct span plain;
    char copy[64];

    (void)state;
    arena_init(&arena, NULL, 0, 1 << 20);
    assert_int_equal(crypto_seal(key, SPAN_OF("pair"), &random_system, &arena, &sealed), ERR_OK);
    for (size_t bit = 0; bit < sealed.len * 8; bit++) {
        memcpy(copy, sealed.ptr, sealed.len);
        copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << (bit % 8)));
        assert_int_equal(crypto_unseal(key, span_make(copy, sealed.len), &arena, &plain), ERR_KEY);
    }
    assert_int_equal(crypto_unseal(key, span_slice(sealed, 0, 28), &arena, &plain), ERR_KEY);
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seal_opens_with_its_key_alone),
        cmocka_unit_test(seal_notices_every_bit),
    };

    return cmocka_run_group_tests_name("seal", tests, NULL, NULL);
}
