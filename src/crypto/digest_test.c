/* SPDX-License-Identifier: MIT
 * Digests, HMAC and base64url against published vectors and at their edges. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/digest.h"

static void hex_is(const unsigned char *bytes, size_t len, const char *hex)
{
    char buffer[2 * CRYPTO_HASH_BYTES_MAX];
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));

    sbuf_add_hex(&out, bytes, len);
    assert_false(out.full);
    assert_true(span_is(sbuf_span(&out), hex));
}

/* FIPS 180-4 examples: the empty text and "abc". */
static void digests_match_the_standard(void **state)
{
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];

    (void)state;
    crypto_sha256(SPAN_OF("abc"), digest);
    hex_is(digest, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256((struct span){0}, digest);
    hex_is(digest, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    crypto_digest(CRYPTO_SHA384, SPAN_OF("abc"), digest);
    hex_is(
        digest, 48,
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca1"
        "34c825a7");
    crypto_digest(CRYPTO_SHA512, SPAN_OF("abc"), digest);
    hex_is(
        digest, 64,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23"
        "a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

static void pieces_hash_like_the_whole(void **state)
{
    const struct span pieces[] = {SPAN("a"), {NULL, 0}, SPAN("bc")};
    unsigned char whole[CRYPTO_HASH_BYTES_MAX], parts[CRYPTO_HASH_BYTES_MAX];

    (void)state;
    crypto_digest(CRYPTO_SHA512, SPAN_OF("abc"), whole);
    crypto_digest_pieces(CRYPTO_SHA512, pieces, PC_COUNT(pieces), parts);
    assert_memory_equal(whole, parts, 64);
}

/* Every length around a block's end, and around what is hashed in one go, cut at every place, as
 * EVP hashes it. */
static void sha256_is_that_of_evp(void **state)
{
    unsigned char right[CRYPTO_HASH_BYTES_MAX], whole[CRYPTO_SHA256_BYTES];
    unsigned char parts[CRYPTO_SHA256_BYTES];
    char text[520];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (char)(7 * i);
    for (size_t len = 0; len < sizeof(text); len++) {
        crypto_digest(CRYPTO_SHA256, span_make(text, len), right);
        crypto_sha256(span_make(text, len), whole);
        assert_memory_equal(whole, right, sizeof(whole));
        for (size_t cut = 0; cut <= len; cut++) {
            const struct span pieces[] = {{text, cut}, {NULL, 0}, {text + cut, len - cut}};

            crypto_sha256_pieces(pieces, PC_COUNT(pieces), parts);
            assert_memory_equal(parts, right, sizeof(parts));
        }
    }
}

/* RFC 4231: test case 2 (a short key) and test case 6 (a key longer than a block). */
static void hmac_matches_rfc_4231(void **state)
{
    struct crypto_hmac hmac;
    unsigned char tag[CRYPTO_HASH_BYTES_MAX];
    char long_key[131];

    (void)state;
    memset(long_key, 0xaa, sizeof(long_key));
    crypto_hmac_init(&hmac, CRYPTO_SHA256, SPAN_OF("Jefe"));
    crypto_hmac_sign(&hmac, SPAN_OF("what do ya want for nothing?"), tag);
    hex_is(tag, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    crypto_hmac_init(&hmac, CRYPTO_SHA384, SPAN_OF("Jefe"));
    crypto_hmac_sign(&hmac, SPAN_OF("what do ya want for nothing?"), tag);
    hex_is(
        tag, 48,
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ec"
        "fab21649");
    crypto_hmac_init(&hmac, CRYPTO_SHA256, span_make(long_key, sizeof(long_key)));
    crypto_hmac_sign(&hmac, SPAN_OF("Test Using Larger Than Block-Size Key - Hash Key First"), tag);
    hex_is(tag, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* Every wrong length and every wrong bit must be told apart from the right tag. */
static void hmac_refuses_any_other_tag(void **state)
{
    struct crypto_hmac hmac;
    unsigned char tag[CRYPTO_HASH_BYTES_MAX];
    struct span data = SPAN("transfer 100");

    (void)state;
    crypto_hmac_init(&hmac, CRYPTO_SHA256, SPAN_OF("key"));
    crypto_hmac_sign(&hmac, data, tag);
    assert_true(crypto_hmac_verify(&hmac, data, span_make(tag, 32)));
    assert_false(crypto_hmac_verify(&hmac, data, span_make(tag, 31)));
    assert_false(crypto_hmac_verify(&hmac, data, (struct span){0}));
    for (size_t bit = 0; bit < 256; bit++) {
        tag[bit / 8] ^= (unsigned char)(1U << bit % 8);
        assert_false(crypto_hmac_verify(&hmac, data, span_make(tag, 32)));
        tag[bit / 8] ^= (unsigned char)(1U << bit % 8);
    }
    crypto_hmac_wipe(&hmac);
    assert_false(crypto_hmac_verify(&hmac, data, span_make(tag, 32)));
}

/* All 256 values at every place of a group come back as they were, with the length foretold. */
static void base64url_round_trips(void **state)
{
    unsigned char data[260], back[260];
    char text[400];

    (void)state;
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7);
    for (size_t len = 0; len <= sizeof(data); len++) {
        struct sbuf out = sbuf_over(text, sizeof(text));
        size_t bytes = 0;

        crypto_base64url_add(&out, span_make(data, len));
        assert_int_equal(out.len, crypto_base64url_length(len));
        assert_int_equal(crypto_base64url_decode(sbuf_span(&out), back, sizeof(back), &bytes),
                         ERR_OK);
        assert_int_equal(bytes, len);
        assert_memory_equal(data, back, len);
    }
}

static void base64url_refuses_a_second_text_for_a_value(void **state)
{
    static const char *const bad[] = {"A",    "AA=",    "AA==",     "AB",      "AAB",
                                      "AA A", " AAA",   "AAA\n",    "A+AA",    "A/AA",
                                      "A.AA", "AAAAA",  "\xc3\xa9", "AAA=",    "A\tAA",
                                      "=",    "AAAAAB", "AAAAAAB",  "A\xff-AA"};
    unsigned char buffer[16];
    size_t bytes = 7;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        assert_int_equal(crypto_base64url_decode(span_from(bad[i]), buffer, sizeof(buffer), &bytes),
                         ERR_BAD_REQUEST);
    assert_int_equal(crypto_base64url_decode(SPAN_OF("A\0AA"), buffer, sizeof(buffer), &bytes),
                     ERR_BAD_REQUEST);
    assert_int_equal(crypto_base64url_decode(SPAN_OF("AAAA"), buffer, 2, &bytes), ERR_NO_SPACE);
    assert_int_equal(bytes, 7);
}

static void base64url_read_stops_at_a_full_arena(void **state)
{
    char first[8];
    struct arena arena;
    struct span data = SPAN("kept");

    (void)state;
    arena_init(&arena, first, sizeof(first), 0);
    assert_int_equal(crypto_base64url_read(SPAN_OF("Zm9v"), &arena, &data), ERR_OK);
    assert_true(span_is(data, "foo"));
    assert_int_equal(crypto_base64url_read(SPAN_OF("Zm9vYmFyZm9v"), &arena, &data), ERR_NO_MEMORY);
    assert_true(span_is(data, "foo"));
    arena_reset(&arena);
}

static void *hash_often(void *ret_digest)
{
    unsigned char digest[CRYPTO_SHA256_BYTES];

    for (int i = 0; i < 1000; i++)
        crypto_sha256(SPAN_OF("abc"), digest);
    memcpy(ret_digest, digest, sizeof(digest));
    return NULL;
}

/* Each thread has its own context, and it goes with the thread. */
static void threads_do_not_share_a_context(void **state)
{
    pthread_t threads[4];
    unsigned char digests[4][CRYPTO_SHA256_BYTES], mine[CRYPTO_SHA256_BYTES];

    (void)state;
    crypto_sha256(SPAN_OF("abc"), mine);
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_often, digests[i]), 0);
    for (size_t i = 0; i < PC_COUNT(threads); i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_memory_equal(digests[i], mine, sizeof(mine));
    }
}

/* RFC 4648, 10, and what a lenient reader would pass over. */
static void base64_has_one_text(void **state)
{
    static const struct {
        const char *text;
        struct span data;
    } good[] = {{"", SPAN("")},
                {"Zg==", SPAN("f")},
                {"Zm8=", SPAN("fo")},
                {"Zm9v", SPAN("foo")},
                {"Zm9vYg==", SPAN("foob")},
                {"Zm9vYmE=", SPAN("fooba")},
                {"Zm9vYmFy", SPAN("foobar")},
                {"+/+/", SPAN("\xfb\xff\xbf")}};
    static const char *const bad[] = {"Z",     "Zg",     "Zg=",  "Zh==",     "Zm9=",
                                      "Zm9v=", "====",   "Z===", "Zg==Zg==", "Zm8=Zm9v",
                                      "-_-_",  "Zm9v\n", "Zm 9", "Zg=g"};
    unsigned char data[16];
    char text[32];
    size_t bytes;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++) {
        struct sbuf out = sbuf_over(text, sizeof(text));

        crypto_base64_add(&out, good[i].data);
        assert_true(span_is(sbuf_span(&out), good[i].text));
        assert_int_equal(crypto_base64_decode(sbuf_span(&out), data, sizeof(data), &bytes), ERR_OK);
        assert_true(span_equal(span_make(data, bytes), good[i].data));
    }
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        assert_int_equal(crypto_base64_decode(span_from(bad[i]), data, sizeof(data), &bytes),
                         ERR_BAD_REQUEST);
    assert_int_equal(crypto_base64_decode(SPAN_OF("Zm9v"), data, 2, &bytes), ERR_NO_SPACE);
}

/* What stands behind the text is somebody else's. */
static void base64_is_written_in_its_place(void **state)
{
    char text[8] = "--------";
    struct sbuf out = sbuf_over(text, sizeof(text));

    (void)state;
    crypto_base64_add(&out, SPAN_OF("\xfb\xff\xbf"));
    assert_memory_equal(text, "+/+/----", sizeof(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64_has_one_text),
        cmocka_unit_test(base64_is_written_in_its_place),
        cmocka_unit_test(digests_match_the_standard),
        cmocka_unit_test(pieces_hash_like_the_whole),
        cmocka_unit_test(sha256_is_that_of_evp),
        cmocka_unit_test(hmac_matches_rfc_4231),
        cmocka_unit_test(hmac_refuses_any_other_tag),
        cmocka_unit_test(base64url_round_trips),
        cmocka_unit_test(base64url_refuses_a_second_text_for_a_value),
        cmocka_unit_test(base64url_read_stops_at_a_full_arena),
        cmocka_unit_test(threads_do_not_share_a_context),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
