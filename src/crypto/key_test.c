/* SPDX-License-Identifier: MIT
 * Keys: every algorithm signs and verifies its own and nobody else's, and what is weak or damaged
 * does not become a key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/alloc.h"
#include "crypto/certs.h"
#include "crypto/crypto_priv.h"
#include "crypto/jwk.h"

static struct crypto_key *keys[CRYPTO_ALG_COUNT]; /* one of each that can sign */
static const struct span text = SPAN("pay 100 to 7");

static int make_keys(void **state)
{
    (void)state;
    for (enum crypto_alg alg = CRYPTO_HS256; alg < CRYPTO_ALG_COUNT; alg++) {
        if (crypto_alg_can_sign(alg) &&
            crypto_key_generate(alg, (struct span){0}, &keys[alg]) != ERR_OK)
            return -1;
    }
    return 0;
}

static int free_keys(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(keys); i++)
        crypto_key_free(keys[i]);
    return 0;
}

static void each_algorithm_verifies_its_own_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(keys); i++) {
        unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
        size_t bytes = 0;

        if (keys[i] == NULL)
            continue;
        assert_int_equal(crypto_key_sign(keys[i], text, signature, &bytes), ERR_OK);
        for (size_t k = 0; k < PC_COUNT(keys); k++) {
            if (keys[k] != NULL)
                assert_int_equal(crypto_key_verify(keys[k], text, span_make(signature, bytes)),
                                 k == i);
        }
        assert_false(crypto_key_verify(keys[i], SPAN_OF("pay 900"), span_make(signature, bytes)));
        assert_false(crypto_key_verify(keys[i], text, span_make(signature, bytes - 1)));
        assert_false(crypto_key_verify(keys[i], text, (struct span){0}));
        signature[bytes / 2] ^= 1;
        assert_false(crypto_key_verify(keys[i], text, span_make(signature, bytes)));
    }
}

/* RFC 7518, 3.4: r and s at full length, whatever their leading zeros. */
static void curve_signatures_have_one_length(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
        size_t bytes = 0;

        assert_int_equal(crypto_key_sign(keys[CRYPTO_ES256], text, signature, &bytes), ERR_OK);
        assert_int_equal(bytes, 64);
        assert_true(crypto_key_verify(keys[CRYPTO_ES256], text, span_make(signature, bytes)));
    }
}

/* A public key from a JWK verifies, has the same name, and cannot sign. */
static void jwk_round_trips(void **state)
{
    static char room[16 * 1024];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(keys); i++) {
        PC_AUTO(crypto_key) open = NULL;
        PC_AUTO(crypto_key) whole = NULL;
        unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
        struct sbuf out = sbuf_over(room, sizeof(room));
        size_t bytes = 0;

        if (keys[i] == NULL)
            continue;
        assert_int_equal(crypto_jwk_add(&out, keys[i], CRYPTO_JWK_PRIVATE), ERR_OK);
        assert_int_equal(crypto_key_from_jwk_text(sbuf_span(&out), CRYPTO_ALG_NONE, &whole, NULL),
                         ERR_OK);
        assert_true(crypto_key_is_private(whole));
        assert_int_equal(crypto_key_sign(whole, text, signature, &bytes), ERR_OK);
        assert_true(crypto_key_verify(keys[i], text, span_make(signature, bytes)));
        sbuf_truncate(&out, 0);
        if (crypto_alg_is_symmetric((enum crypto_alg)i)) {
            assert_int_equal(crypto_jwk_add(&out, keys[i], CRYPTO_JWK_PUBLIC), ERR_KEY);
            assert_int_equal(out.len, 0);
            continue;
        }
        assert_int_equal(crypto_jwk_add(&out, keys[i], CRYPTO_JWK_PUBLIC), ERR_OK);
        assert_null(memmem(room, out.len, "\"d\"", 3));
        assert_int_equal(crypto_key_from_jwk_text(sbuf_span(&out), CRYPTO_ALG_NONE, &open, NULL),
                         ERR_OK);
        assert_true(crypto_key_verify(open, text, span_make(signature, bytes)));
        assert_false(crypto_key_is_private(open));
        assert_int_equal(crypto_key_sign(open, text, signature, &bytes), ERR_KEY);
        assert_true(span_equal(crypto_key_kid(open), crypto_key_kid(keys[i])));
        assert_true(span_equal(crypto_key_thumbprint(open), crypto_key_thumbprint(keys[i])));
    }
}

/* RFC 7638, 3.1: the example and its thumbprint. */
static void thumbprint_is_rfc_7638(void **state)
{
    PC_AUTO(crypto_key) key = NULL;

    (void)state;
    assert_int_equal(
        crypto_key_from_jwk_text(
            SPAN_OF("{\"kty\":\"RSA\",\"n\":\"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4c"
                    "bbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY"
                    "4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb"
                    "9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2Nc"
                    "Rwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw\",\"e\":\"AQAB\","
                    "\"alg\":\"RS256\",\"kid\":\"2011-04-29\"}"),
            CRYPTO_ALG_NONE, &key, NULL),
        ERR_OK);
    assert_true(span_is(crypto_key_thumbprint(key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    assert_true(span_is(crypto_key_kid(key), "2011-04-29"));
}

static void weak_secrets_are_refused(void **state)
{
    static const struct {
        enum crypto_alg alg;
        size_t bytes_min;
    } rows[] = {{CRYPTO_HS256, 32}, {CRYPTO_HS384, 48}, {CRYPTO_HS512, 64}};
    char secret[LIMIT_SECRET_BYTES_MAX + 1];
    struct crypto_fault fault;

    (void)state;
    memset(secret, 's', sizeof(secret));
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        PC_AUTO(crypto_key) key = NULL;

        assert_int_equal(crypto_key_from_secret(rows[i].alg,
                                                span_make(secret, rows[i].bytes_min - 1),
                                                (struct span){0}, &key, &fault),
                         ERR_KEY);
        assert_non_null(strstr(fault.text, "needs at least"));
        assert_null(key);
        assert_int_equal(crypto_key_from_secret(rows[i].alg, span_make(secret, rows[i].bytes_min),
                                                (struct span){0}, &key, &fault),
                         ERR_OK);
        /* A secret's name would be a hash of it: it has none unless it is given one. */
        assert_int_equal(crypto_key_kid(key).len, 0);
    }
    assert_int_equal(crypto_key_from_secret(CRYPTO_HS256, span_make(secret, sizeof(secret)),
                                            (struct span){0}, &keys[0], &fault),
                     ERR_KEY);
    assert_int_equal(crypto_key_from_secret(CRYPTO_RS256, span_make(secret, 64), (struct span){0},
                                            &keys[0], &fault),
                     ERR_KEY);
}

/* The PEM of a new OpenSSL key of the given type. */
static struct span pem_of(EVP_PKEY *pkey, char *room, size_t room_bytes)
{
    CRYPTO_AUTO(BIO) bio = BIO_new(BIO_s_mem());
    int bytes;

    assert_int_equal(PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL), 1);
    bytes = BIO_read(bio, room, (int)room_bytes);
    EVP_PKEY_free(pkey);
    return span_make(room, (size_t)bytes);
}

static void pem_of_the_wrong_kind_is_refused(void **state)
{
    struct crypto_fault fault;
    char room[8192];
    struct span pem;

    (void)state;
    pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), room, sizeof(room));
    assert_int_equal(crypto_key_from_pem(pem, CRYPTO_RS256, SPAN_OF("k"), &keys[0], &fault),
                     ERR_KEY);
    assert_string_equal(fault.text, "an RSA key needs at least 2048 bits");
    assert_int_equal(crypto_key_from_pem(pem, CRYPTO_ES256, SPAN_OF("k"), &keys[0], &fault),
                     ERR_KEY);
    assert_int_equal(crypto_key_from_pem(pem, CRYPTO_HS256, SPAN_OF("k"), &keys[0], &fault),
                     ERR_KEY);
    pem = pem_of(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), room, sizeof(room));
    assert_int_equal(crypto_key_from_pem(pem, CRYPTO_ES256, SPAN_OF("k"), &keys[0], &fault),
                     ERR_KEY);
    assert_string_equal(fault.text, "the key is on another curve");
    assert_int_equal(crypto_key_from_pem(pem, CRYPTO_EDDSA, SPAN_OF("k"), &keys[0], &fault),
                     ERR_KEY);
    pem.len /= 2;
    assert_int_equal(crypto_key_from_pem(pem, CRYPTO_ES384, SPAN_OF("k"), &keys[0], &fault),
                     ERR_KEY);
    assert_int_equal(
        crypto_key_from_pem(SPAN_OF("hello"), CRYPTO_ES384, SPAN_OF("k"), &keys[0], &fault),
        ERR_KEY);
    assert_int_equal(crypto_key_from_pem(SPAN_OF("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"),
                                         CRYPTO_ES384, SPAN_OF("k"), &keys[0], &fault),
                     ERR_KEY);
    assert_non_null(strstr(fault.text, "passphrase"));
    assert_null(keys[0]);
}

static void jwk_flaws_are_refused(void **state)
{
    static const char *const bad[] = {
        "[]",
        "{}",
        "{\"kty\":\"RSA\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\"}",
        "{\"kty\":\"oct\",\"alg\":\"HS256\"}",
        "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
        "\"}",
        "{\"kty\":\"oct\",\"alg\":\"none\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"oct\",\"alg\":\"RS256\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"oct\",\"use\":\"enc\",\"alg\":\"HS256\",\"k\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"oct\",\"key_ops\":[\"encrypt\"],\"alg\":\"HS256\",\"k\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"oct\",\"kid\":7,\"alg\":\"HS256\",\"k\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "{\"kty\":\"oct\",\"alg\":\"HS256\",\"alg\":\"HS256\",\"k\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        /* (1, 1) is not on P-256 */
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
        "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"AQ\"}",
        /* a good point with a byte behind x, and behind y */
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEUA\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0A\"}",
        "{\"kty\":\"EC\",\"crv\":\"P-224\",\"x\":\"AQ\",\"y\":\"AQ\"}",
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQ\"}",
        "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":"
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
        "not json",
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        struct crypto_fault fault = {.text = ""};
        struct crypto_key *key = NULL;

        assert_int_equal(crypto_key_from_jwk_text(span_from(bad[i]), CRYPTO_ALG_NONE, &key, &fault),
                         ERR_KEY);
        assert_true(fault.text[0] != '\0');
        assert_null(key);
    }
}

/* A folder that goes away with the test. */
static void folder_make(char folder[64])
{
    snprintf(folder, 64, "/tmp/crypto-key-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static void files_keep_secrets_closed(void **state)
{
    static const enum crypto_alg algs[] = {CRYPTO_ES256, CRYPTO_HS256, CRYPTO_EDDSA};
    struct crypto_fault fault;
    char folder[64], path[96];

    (void)state;
    folder_make(folder);
    for (size_t i = 0; i < PC_COUNT(algs); i++) {
        PC_AUTO(crypto_key) back = NULL;
        struct stat info;

        snprintf(path, sizeof(path), "%s/%zu.key", folder, i);
        assert_int_equal(crypto_key_save(keys[algs[i]], path, &fault), ERR_OK);
        assert_int_equal(crypto_key_save(keys[algs[i]], path, &fault), ERR_TAKEN);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_int_equal(crypto_key_load(path, algs[i], (struct span){0}, &back, &fault), ERR_OK);
        assert_true(span_equal(crypto_key_kid(back), crypto_key_kid(keys[algs[i]])));
        assert_int_equal(chmod(path, 0644), 0);
        crypto_key_free(back);
        back = NULL;
        assert_int_equal(crypto_key_load(path, algs[i], (struct span){0}, &back, &fault), ERR_IO);
        assert_non_null(strstr(fault.text, "may be read by others"));
        assert_int_equal(unlink(path), 0);
        assert_int_equal(crypto_key_load(path, algs[i], (struct span){0}, &back, &fault), ERR_IO);
        assert_non_null(strstr(fault.text, "No such file"));
    }
    assert_int_equal(crypto_key_load(folder, CRYPTO_ES256, (struct span){0}, &keys[0], &fault),
                     ERR_IO);
    /* Nothing else was left behind. */
    assert_int_equal(rmdir(folder), 0);
}

static void write_file(const char *path, const void *data, size_t bytes)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

/* What an operator may have put in a key file's place, and what is said about it. */
static void odd_files_are_named(void **state)
{
    static const char secret[] = "{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":"
                                 "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}";
    static char large[LIMIT_KEY_FILE_BYTES_MAX];
    struct crypto_fault fault;
    char folder[64], path[96];

    (void)state;
    folder_make(folder);
    snprintf(path, sizeof(path), "%s/key", folder);
    write_file(path, "", 0);
    assert_int_equal(crypto_key_load(path, CRYPTO_ES256, SPAN_OF("k"), &keys[0], &fault), ERR_IO);
    assert_non_null(strstr(fault.text, "key: is empty"));
    write_file(path, large, sizeof(large));
    assert_int_equal(crypto_key_load(path, CRYPTO_ES256, SPAN_OF("k"), &keys[0], &fault), ERR_IO);
    assert_non_null(strstr(fault.text, "key: is too large"));
    write_file(path, "hello\n", 6);
    assert_int_equal(crypto_key_load(path, CRYPTO_ES256, SPAN_OF("k"), &keys[0], &fault), ERR_KEY);
    assert_non_null(strstr(fault.text, "key: there is no readable PEM key"));
    write_file(path, "  \n", 3);
    assert_int_equal(crypto_key_load(path, CRYPTO_ES256, SPAN_OF("k"), &keys[0], &fault), ERR_KEY);
    write_file(path, secret, sizeof(secret) - 1);
    assert_int_equal(crypto_key_load(path, CRYPTO_HS512, SPAN_OF("k"), &keys[0], &fault), ERR_KEY);
    assert_non_null(strstr(fault.text, "the key is for HS256, not for HS512"));
    if (geteuid() == 0) { /* only root can give a file away */
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_int_equal(crypto_key_load(path, CRYPTO_HS256, SPAN_OF("k"), &keys[0], &fault),
                         ERR_IO);
        assert_non_null(strstr(fault.text, "belongs to another user"));
    }
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/no/such/folder", folder);
    assert_int_equal(crypto_key_save(keys[CRYPTO_ES256], path, &fault), ERR_IO);
    assert_int_equal(rmdir(folder), 0);
    assert_null(keys[0]);
}

/* AUTH_PUBLIC_KEY_PATH may name a certificate: its key is taken. */
static void a_certificate_gives_its_key(void **state)
{
    static const char *const names[] = {"ca.crt", "ca.key", "server.crt", "server.key"};
    struct crypto_certs_options options = {.clock = &clock_system};
    PC_AUTO(crypto_key) whole = NULL;
    PC_AUTO(crypto_key) open = NULL;
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    char folder[64], path[96];
    size_t bytes = 0;

    (void)state;
    folder_make(folder);
    options.folder = folder;
    assert_int_equal(crypto_certs_make(&options, NULL), ERR_OK);
    snprintf(path, sizeof(path), "%s/server.key", folder);
    assert_int_equal(crypto_key_load(path, CRYPTO_ES256, (struct span){0}, &whole, NULL), ERR_OK);
    snprintf(path, sizeof(path), "%s/server.crt", folder);
    assert_int_equal(crypto_key_load(path, CRYPTO_ES256, (struct span){0}, &open, NULL), ERR_OK);
    assert_int_equal(crypto_key_sign(whole, text, signature, &bytes), ERR_OK);
    assert_true(crypto_key_verify(open, text, span_make(signature, bytes)));
    assert_int_equal(crypto_key_save(open, path, NULL), ERR_KEY);
    assert_int_equal(crypto_key_end_s(whole), 0);
    assert_in_range(crypto_key_end_s(open), clock_realtime_s(&clock_system) + INT64_C(364) * 86400,
                    clock_realtime_s(&clock_system) + INT64_C(365) * 86400);
    for (size_t i = 0; i < PC_COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

static void public_pem_verifies_alone(void **state)
{
    PC_AUTO(crypto_key) key = NULL;
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    char room[2048];
    struct sbuf out = sbuf_over(room, sizeof(room));
    size_t bytes = 0;

    (void)state;
    assert_int_equal(crypto_key_add_public_pem(keys[CRYPTO_PS256], &out), ERR_OK);
    assert_int_equal(crypto_key_from_pem(sbuf_span(&out), CRYPTO_PS256, SPAN_OF("k"), &key, NULL),
                     ERR_OK);
    assert_int_equal(crypto_key_sign(keys[CRYPTO_PS256], text, signature, &bytes), ERR_OK);
    assert_true(crypto_key_verify(key, text, span_make(signature, bytes)));
    assert_false(crypto_key_is_private(key));
    assert_int_equal(crypto_key_add_public_pem(keys[CRYPTO_HS256], &out), ERR_KEY);
}

static void sets_find_and_refuse(void **state)
{
    PC_AUTO(crypto_keyset) set = NULL;
    PC_AUTO(crypto_keyset) back = NULL;
    const struct crypto_key *found[2] = {NULL};
    static char room[16 * 1024];
    struct sbuf out = sbuf_over(room, sizeof(room));

    (void)state;
    assert_int_equal(crypto_keyset_new(&set), ERR_OK);
    assert_int_equal(crypto_keyset_add(set, keys[CRYPTO_ES256]), ERR_OK);
    assert_int_equal(crypto_keyset_add(set, keys[CRYPTO_RS256]), ERR_OK);
    assert_int_equal(crypto_keyset_add(set, keys[CRYPTO_ES256]), ERR_KEY); /* twice */
    assert_int_equal(crypto_keyset_add(set, keys[CRYPTO_HS256]), ERR_KEY); /* a secret */
    assert_int_equal(crypto_keyset_count(set), 2);
    assert_int_equal(crypto_keyset_find(set, crypto_key_kid(keys[CRYPTO_RS256]), CRYPTO_RS256,
                                        found, PC_COUNT(found)),
                     1);
    assert_ptr_equal(found[0], keys[CRYPTO_RS256]);
    assert_int_equal(crypto_keyset_find(set, crypto_key_kid(keys[CRYPTO_RS256]), CRYPTO_PS256,
                                        found, PC_COUNT(found)),
                     0);
    assert_int_equal(
        crypto_keyset_find(set, (struct span){0}, CRYPTO_ES256, found, PC_COUNT(found)), 1);
    assert_int_equal(crypto_keyset_find(set, SPAN_OF("x"), CRYPTO_ES256, found, PC_COUNT(found)),
                     0);
    found[1] = keys[CRYPTO_EDDSA]; /* room for none: all are counted, none is told */
    assert_int_equal(crypto_keyset_find(set, (struct span){0}, CRYPTO_ES256, found + 1, 0), 1);
    assert_ptr_equal(found[1], keys[CRYPTO_EDDSA]);
    assert_int_equal(crypto_jwks_add(&out, set), ERR_OK);
    assert_int_equal(crypto_keyset_from_jwks(sbuf_span(&out), CRYPTO_ALG_NONE, &back, NULL),
                     ERR_OK);
    assert_int_equal(crypto_keyset_count(back), 2);
    assert_false(crypto_key_is_private(crypto_keyset_at(back, 0)));
}

/* A set that could be read in two ways is refused whole, and so is one without end. */
static void ambiguous_sets_are_refused(void **state)
{
    static char room[64 * 1024];
    char one[1024], other[1024], secret[1024];
    struct sbuf out = sbuf_over(room, sizeof(room));
    struct sbuf one_out = sbuf_over(one, sizeof(one)), other_out = sbuf_over(other, sizeof(other));
    struct sbuf secret_out = sbuf_over(secret, sizeof(secret));
    PC_AUTO(crypto_keyset) set = NULL;

    (void)state;
    assert_int_equal(crypto_jwk_add(&one_out, keys[CRYPTO_EDDSA], CRYPTO_JWK_PUBLIC), ERR_OK);
    assert_int_equal(crypto_jwk_add(&other_out, keys[CRYPTO_ES256], CRYPTO_JWK_PUBLIC), ERR_OK);
    assert_int_equal(crypto_jwk_add(&secret_out, keys[CRYPTO_HS256], CRYPTO_JWK_PRIVATE), ERR_OK);
    const struct span pairs[][2] = {{sbuf_span(&one_out), sbuf_span(&one_out)},
                                    {sbuf_span(&one_out), sbuf_span(&secret_out)}};
    for (size_t i = 0; i < PC_COUNT(pairs); i++) {
        struct crypto_fault fault;

        sbuf_truncate(&out, 0);
        sbuf_add_format(&out, "{\"keys\":[%.*s,%.*s]}", SPAN_ARG(pairs[i][0]),
                        SPAN_ARG(pairs[i][1]));
        assert_int_equal(crypto_keyset_from_jwks(sbuf_span(&out), CRYPTO_ALG_NONE, &set, &fault),
                         ERR_KEY);
        assert_non_null(strstr(fault.text, "the set mixes"));
    }
    sbuf_truncate(&out, 0);
    sbuf_add_lit(&out, "{\"keys\":[");
    for (int i = 0; i <= LIMIT_JWK_KEYS_MAX; i++)
        sbuf_add_format(&out,
                        "%s{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"%d\",\"k\":"
                        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
                        i == 0 ? "" : ",", i);
    sbuf_add_lit(&out, "]}");
    assert_int_equal(crypto_keyset_from_jwks(sbuf_span(&out), CRYPTO_ALG_NONE, &set, NULL),
                     ERR_KEY);
    assert_null(set);
}

/* Keys for other uses are passed over; a broken one spoils the set. RFC 7517, 5. */
static void sets_pass_over_what_is_not_theirs(void **state)
{
    static const char other[] = "{\"keys\":[{\"kty\":\"XXX\"},{\"kty\":\"RSA\",\"use\":\"enc\"}]}";
    static const char weak[] = "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AAAA\"}]}";
    PC_AUTO(crypto_keyset) set = NULL;
    struct crypto_fault fault;

    (void)state;
    assert_int_equal(crypto_keyset_from_jwks(span_from(other), CRYPTO_ALG_NONE, &set, &fault),
                     ERR_OK);
    assert_int_equal(crypto_keyset_count(set), 0);
    assert_int_equal(crypto_keyset_from_jwks(span_from(weak), CRYPTO_ALG_NONE, &set, &fault),
                     ERR_KEY);
    assert_int_equal(
        crypto_keyset_from_jwks(SPAN_OF("{\"keys\":{}}"), CRYPTO_ALG_NONE, &set, &fault), ERR_KEY);
    assert_int_equal(
        crypto_keyset_from_jwks(SPAN_OF("{\"keys\":[7]}"), CRYPTO_ALG_NONE, &set, &fault), ERR_KEY);
    assert_int_equal(crypto_keyset_from_jwks(SPAN_OF("{"), CRYPTO_ALG_NONE, &set, &fault), ERR_KEY);
}

/* Whichever allocation fails, it is reported and nothing leaks (the sanitizer looks). */
static void every_failing_allocation_is_reported(void **state)
{
    static char room[8 * 1024];
    struct sbuf out = sbuf_over(room, sizeof(room));
    PC_AUTO(crypto_keyset) set = NULL;
    enum err err = ERR_NO_MEMORY;
    char folder[64], path[96];

    (void)state;
    assert_int_equal(crypto_jwk_add(&out, keys[CRYPTO_HS512], CRYPTO_JWK_PRIVATE), ERR_OK);
    for (uint64_t nth = 1; err == ERR_NO_MEMORY; nth++) {
        PC_AUTO(crypto_key) key = NULL;

        alloc_fail_at(nth);
        err = crypto_key_from_jwk_text(sbuf_span(&out), CRYPTO_ALG_NONE, &key, NULL);
        assert_int_equal(err == ERR_OK, alloc_fail_pending());
        assert_true(nth < 20);
    }
    assert_int_equal(err, ERR_OK);
    sbuf_truncate(&out, 0);
    alloc_fail_at(0);
    assert_int_equal(crypto_keyset_new(&set), ERR_OK);
    assert_int_equal(crypto_keyset_add(set, keys[CRYPTO_EDDSA]), ERR_OK);
    assert_int_equal(crypto_jwks_add(&out, set), ERR_OK);
    err = ERR_NO_MEMORY;
    for (uint64_t nth = 1; err == ERR_NO_MEMORY; nth++) {
        PC_AUTO(crypto_keyset) back = NULL;

        alloc_fail_at(nth);
        err = crypto_keyset_from_jwks(sbuf_span(&out), CRYPTO_ALG_NONE, &back, NULL);
        assert_true(nth < 20);
    }
    assert_int_equal(err, ERR_OK);
    alloc_fail_at(0);
    folder_make(folder);
    snprintf(path, sizeof(path), "%s/key", folder);
    assert_int_equal(crypto_key_save(keys[CRYPTO_EDDSA], path, NULL), ERR_OK);
    err = ERR_NO_MEMORY;
    for (uint64_t nth = 1; err == ERR_NO_MEMORY; nth++) {
        PC_AUTO(crypto_key) key = NULL;

        alloc_fail_at(nth);
        err = crypto_key_load(path, CRYPTO_EDDSA, (struct span){0}, &key, NULL);
        assert_true(nth < 20);
    }
    assert_int_equal(err, ERR_OK);
    alloc_fail_at(0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* The last one: what OpenSSL has set up so is there until the process ends. */
static void private_numbers_have_their_place(void **state)
{
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    struct crypto_key *key = NULL;
    size_t bytes, before;

    (void)state;
    assert_false(crypto_key_lock(60000)); /* too small for any */
    if (!crypto_key_lock(100000))
        skip(); /* nothing may be locked here */
    before = CRYPTO_secure_used();
    assert_int_equal(crypto_key_generate(CRYPTO_ES256, SPAN_OF("locked"), &key), ERR_OK);
    assert_true(CRYPTO_secure_used() > before);
    assert_int_equal(crypto_key_sign(key, SPAN_OF("pay"), signature, &bytes), ERR_OK);
    assert_true(crypto_key_verify(key, SPAN_OF("pay"), span_make(signature, bytes)));
    crypto_key_free(key);
    assert_int_equal(CRYPTO_secure_used(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_algorithm_verifies_its_own_alone),
        cmocka_unit_test(curve_signatures_have_one_length),
        cmocka_unit_test(jwk_round_trips),
        cmocka_unit_test(thumbprint_is_rfc_7638),
        cmocka_unit_test(weak_secrets_are_refused),
        cmocka_unit_test(pem_of_the_wrong_kind_is_refused),
        cmocka_unit_test(jwk_flaws_are_refused),
        cmocka_unit_test(files_keep_secrets_closed),
        cmocka_unit_test(odd_files_are_named),
        cmocka_unit_test(a_certificate_gives_its_key),
        cmocka_unit_test(public_pem_verifies_alone),
        cmocka_unit_test(sets_find_and_refuse),
        cmocka_unit_test(ambiguous_sets_are_refused),
        cmocka_unit_test(sets_pass_over_what_is_not_theirs),
        cmocka_unit_test(every_failing_allocation_is_reported),
        cmocka_unit_test(private_numbers_have_their_place),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
