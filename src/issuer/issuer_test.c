/* SPDX-License-Identifier: MIT
 * The verdict on tokens of others, what is taken of them, and when their keys are fetched: by a
 * clock that is moved by hand and a server that is a function. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <unistd.h>

#include "issuer/issuer_priv.h"

#define ISS    "https://login.partner.example"
#define CLAIMS "\"iss\":\"" ISS "\",\"sub\":\"alice\",\"exp\":1000060"

enum { NOW_S = 1000000, TEXT_BYTES = 4096 };

static struct clock_fake now;
static struct crypto_key *first_key, *second_key;
static const struct span audiences[] = {SPAN("api"), SPAN("other")};
static const struct span tenants[] = {SPAN("blue"), SPAN("7")};
static const struct issuer_claim required[] = {
    {.path = "tenant", .values = tenants, .value_count = 2}};

/* The server: what it answers, and how often it was asked. */
static struct {
    char text[2 * TEXT_BYTES];
    bool down;
    unsigned asked;
} server;

static enum err fetch(struct issuer *issuer, struct arena *arena, struct span *ret_text,
                      struct crypto_fault *fault)
{
    (void)issuer;
    server.asked++;
    if (server.down) {
        crypto_fault_set(fault, "down");
        return ERR_IO;
    }
    *ret_text = arena_copy(arena, span_from(server.text));
    return ERR_OK;
}

static void publish(struct crypto_key *one, struct crypto_key *other)
{
    struct sbuf out = sbuf_over(server.text, sizeof(server.text) - 1);

    sbuf_add_lit(&out, "{\"keys\":[");
    assert_int_equal(crypto_jwk_add(&out, one, CRYPTO_JWK_PUBLIC), ERR_OK);
    if (other != NULL) {
        sbuf_add_char(&out, ',');
        assert_int_equal(crypto_jwk_add(&out, other, CRYPTO_JWK_PUBLIC), ERR_OK);
    }
    sbuf_add_lit(&out, "]}");
    server.text[out.len] = '\0';
}

static struct issuer_options options_usual(void)
{
    return (struct issuer_options){.name = "partner",
                                   .iss = SPAN(ISS),
                                   .audiences = audiences,
                                   .audience_count = 1,
                                   .algs = 1U << CRYPTO_ES256 | 1U << CRYPTO_RS256,
                                   .alg_of_rsa = CRYPTO_RS256,
                                   .url = "https://login.partner.example/jwks",
                                   .scope_claim = "scope",
                                   .roles_claim = "realm.roles",
                                   .refresh_ns = 300 * CLOCK_NS_PER_S,
                                   .stale_ns = 3600 * CLOCK_NS_PER_S,
                                   .cooldown_ns = 10 * CLOCK_NS_PER_S,
                                   .bytes_max = 65536,
                                   .clock = &now.clock};
}

static int64_t mono(void)
{
    return clock_monotonic_ns(&now.clock);
}

static struct issuer *open_with(const struct issuer_options *options)
{
    struct issuer *issuer;

    server.asked = 0;
    server.down = false;
    publish(first_key, NULL);
    assert_int_equal(issuer_new(options, &issuer, NULL), ERR_OK);
    issuer->fetch = fetch;
    return issuer;
}

static int make_keys(void **state)
{
    (void)state;
    clock_fake_init(&now, NOW_S * CLOCK_NS_PER_S);
    clock_fake_move(&now, CLOCK_NS_PER_S);
    return crypto_key_generate(CRYPTO_ES256, SPAN_OF("one"), &first_key) != ERR_OK ||
           crypto_key_generate(CRYPTO_ES256, SPAN_OF("two"), &second_key) != ERR_OK;
}

static int free_keys(void **state)
{
    (void)state;
    crypto_key_free(first_key);
    crypto_key_free(second_key);
    return 0;
}

static struct span token_by(struct crypto_key *key, const char *typ, const char *claims,
                            char text[TEXT_BYTES])
{
    struct sbuf out = sbuf_over(text, TEXT_BYTES);
    struct crypto_signer signer;

    assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
    assert_int_equal(crypto_jwt_sign(&signer, span_from(typ), span_from(claims), &out), ERR_OK);
    return sbuf_span(&out);
}

static enum err verdict(struct issuer *issuer, struct span token, struct issuer_identity *ret)
{
    struct issuer_identity identity = {0};
    struct arena arena;
    enum err err;

    arena_init(&arena, NULL, 0, 256 * 1024);
    err = issuer_verify(issuer, token, NOW_S, mono(), &arena, &identity);
    if (ret != NULL)
        *ret = identity;
    arena_reset(&arena);
    return err;
}

/* ---- claims ---- */

static void claims_decide(void **state)
{
    static const struct {
        const char *typ, *claims;
        enum err wanted;
    } rows[] = {
        {"JWT", "{" CLAIMS ",\"aud\":\"api\",\"tenant\":\"blue\"}", ERR_OK},
        {"at+jwt", "{" CLAIMS ",\"aud\":[\"x\",\"api\"],\"tenant\":7}", ERR_OK},
        {"", "{" CLAIMS ",\"aud\":\"api\",\"tenant\":[\"red\",\"blue\"]}", ERR_OK},
        {"logout+jwt", "{" CLAIMS ",\"aud\":\"api\",\"tenant\":\"blue\"}", ERR_TOKEN_INVALID},
        {"JWT", "{" CLAIMS ",\"aud\":\"other\",\"tenant\":\"blue\"}", ERR_TOKEN_INVALID},
        {"JWT", "{" CLAIMS ",\"tenant\":\"blue\"}", ERR_TOKEN_INVALID},
        {"JWT", "{" CLAIMS ",\"aud\":\"api\",\"tenant\":\"red\"}", ERR_TOKEN_INVALID},
        {"JWT", "{" CLAIMS ",\"aud\":\"api\"}", ERR_TOKEN_INVALID},
        {"JWT", "{" CLAIMS ",\"aud\":\"api\",\"tenant\":null}", ERR_TOKEN_INVALID},
        {"JWT", "{\"iss\":\"" ISS "\",\"sub\":\"a\",\"aud\":\"api\",\"tenant\":\"blue\"}",
         ERR_TOKEN_INVALID}, /* no end */
        {"JWT", "{\"exp\":1000060,\"sub\":\"a\",\"aud\":\"api\",\"tenant\":\"blue\"}",
         ERR_TOKEN_INVALID}, /* no issuer */
        {"JWT",
         "{\"iss\":\"" ISS "/\",\"exp\":1000060,\"sub\":\"a\",\"aud\":\"api\",\"tenant\":\"blue\"}",
         ERR_TOKEN_INVALID},
        {"JWT", "{\"iss\":\"" ISS "\",\"exp\":1000060,\"aud\":\"api\",\"tenant\":\"blue\"}",
         ERR_TOKEN_INVALID}, /* nobody */
        {"JWT",
         "{\"iss\":\"" ISS "\",\"exp\":999999,\"sub\":\"a\",\"aud\":\"api\",\"tenant\":\"blue\"}",
         ERR_TOKEN_EXPIRED},
        {"logout+jwt",
         "{\"iss\":\"" ISS "\",\"exp\":999999,\"sub\":\"a\",\"aud\":\"api\",\"tenant\":\"blue\"}",
         ERR_TOKEN_INVALID}, /* the header's verdict comes first */
        {"JWT",
         "{\"iss\":\"" ISS "\",\"exp\":1000060,\"sub\":\"a\\r\\nX-Admin: 1\",\"aud\":\"api\","
         "\"tenant\":\"blue\"}",
         ERR_TOKEN_INVALID}, /* would be a header line */
        {"JWT", "{" CLAIMS ",\"aud\":\"api\",\"tenant\":\"blue\",\"cnf\":{\"jkt\":\"x\"}}",
         ERR_TOKEN_BOUND},
        {"JWT",
         "{" CLAIMS ",\"aud\":\"api\",\"tenant\":\"blue\",\"cnf\":{\"x5t#S256\":\"x\","
         "\"jkt\":\"y\"}}",
         ERR_TOKEN_BOUND},
    };
    struct issuer_options options = options_usual();
    struct issuer *issuer;

    (void)state;
    options.required = required;
    options.required_count = 1;
    issuer = open_with(&options);
    issuer_turn(issuer, mono());
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        char text[TEXT_BYTES];
        enum err err =
            verdict(issuer, token_by(first_key, rows[i].typ, rows[i].claims, text), NULL);

        if (err != rows[i].wanted)
            fail_msg("row %zu: %s", i, err_slug(err));
    }
    issuer_free(issuer);
}

static void rights_come_from_their_claims(void **state)
{
    struct issuer_options options = options_usual();
    struct issuer *issuer = open_with(&options);
    struct issuer_identity identity;
    struct arena arena;
    char text[TEXT_BYTES];

    (void)state;
    arena_init(&arena, NULL, 0, 256 * 1024);
    issuer_turn(issuer, mono());
    assert_int_equal(
        issuer_verify(issuer,
                      token_by(first_key, "JWT",
                               "{" CLAIMS ",\"aud\":\"api\",\"azp\":\"app\",\"jti\":\"t1\","
                               "\"scope\":\"a:read  b\\u0001c a:write\","
                               "\"realm\":{\"roles\":[\"clerk\",\"two words\",\"b\\\"c\",5]},"
                               "\"cnf\":{\"x5t#S256\":\"abc\"}}",
                               text),
                      NOW_S, mono(), &arena, &identity),
        ERR_OK);
    assert_true(span_is(identity.subject, "alice"));
    assert_true(span_is(identity.client_id, "app"));
    assert_true(span_is(identity.token_id, "t1"));
    assert_true(span_is(identity.scope, "a:read a:write"));
    assert_true(span_is(identity.roles, "clerk"));
    assert_true(span_is(identity.thumbprint, "abc"));
    assert_int_equal(identity.expires_at_s, 1000060);
    arena_reset(&arena);
    issuer_free(issuer);
}

/* A name with dots of its own comes before the way that its dots would be. */
static void paths_find_claims(void **state)
{
    static const struct {
        const char *path, *wanted;
    } rows[] = {{"a", "{\"b\":{\"c\":1},\"x\":2}"},
                {"a.b", "{\"c\":1}"},
                {"a.b.c", "1"},
                {"a.x", "3"},
                {"https://x.example/r", "4"},
                {"a.b.c.d", NULL},
                {"a..c", NULL},
                {"", NULL},
                {".", NULL},
                {"none", NULL}};
    const struct json_value *claims;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, 64 * 1024);
    assert_int_equal(json_read(SPAN_OF("{\"a\":{\"b\":{\"c\":1},\"x\":2},\"a.x\":3,"
                                       "\"https://x.example/r\":4}"),
                               &arena, &claims, NULL),
                     ERR_OK);
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        const struct json_value *found = issuer_claim_find(claims, rows[i].path);

        assert_int_equal(found != NULL, rows[i].wanted != NULL);
        if (found != NULL)
            assert_true(span_is(found->source, rows[i].wanted));
    }
    arena_reset(&arena);
}

/* ---- keys ---- */

static void algorithms_are_the_keys(void **state)
{
    struct issuer_options options = options_usual();
    struct crypto_key *hmac, *other;
    struct issuer *issuer;
    struct sbuf pem;
    char secret[TEXT_BYTES], text[TEXT_BYTES];
    const char *claims = "{" CLAIMS ",\"aud\":\"api\"}";

    (void)state;
    issuer = open_with(&options);
    issuer_turn(issuer, mono());
    pem = sbuf_over(secret, sizeof(secret));
    assert_int_equal(crypto_key_add_public_pem(first_key, &pem), ERR_OK);
    assert_int_equal(
        crypto_key_from_secret(CRYPTO_HS256, sbuf_span(&pem), SPAN_OF("one"), &hmac, NULL), ERR_OK);
    assert_int_equal(crypto_key_generate(CRYPTO_EDDSA, SPAN_OF("one"), &other), ERR_OK);
    assert_int_equal(verdict(issuer, token_by(hmac, "JWT", claims, text), NULL), ERR_TOKEN_INVALID);
    assert_int_equal(verdict(issuer, token_by(other, "JWT", claims, text), NULL),
                     ERR_TOKEN_INVALID);
    assert_int_equal(verdict(issuer,
                             SPAN_OF("eyJhbGciOiJub25lIn0."
                                     "eyJpc3MiOiJodHRwczovL2xvZ2luLnBhcnRuZXIuZXhhbXBsZSJ9."),
                             NULL),
                     ERR_TOKEN_INVALID);
    assert_int_equal(server.asked, 1); /* none of them made anybody ask */
    crypto_key_free(hmac);
    crypto_key_free(other);
    issuer_free(issuer);
}

#define EC_ONE                                                                                     \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"1\","                                             \
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","                                       \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}"

static void sets_are_read_with_care(void **state)
{
    static const struct {
        const char *text;
        size_t count; /* 0: refused */
    } rows[] = {
        {"{\"keys\":[" EC_ONE "]}", 1},
        {"{\"keys\":[" EC_ONE "," EC_ONE "]}", 1},
        {"{\"keys\":[" EC_ONE ",{\"kty\":\"new\"},{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"},"
         "7]}",
         1},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"enc\",\"x\":\"AA\",\"y\":\"AA\"}]"
         "}",
         0},
        {"{\"keys\":[" EC_ONE ",{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}", 0},
        {"{\"keys\":[" EC_ONE ",{\"kty\":\"EC\",\"d\":\"AA\"}]}", 0},
        {"{\"keys\":[]}", 0},
        {"{\"keys\":{}}", 0},
        {"{}", 0},
        {"[]", 0},
        {"<html></html>", 0},
        {"{\"keys\":[" EC_ONE "],\"keys\":[]}", 0},
        {"", 0},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        PC_AUTO(crypto_keyset) set = NULL;
        struct crypto_fault fault = {{0}};
        enum err err = issuer_keys_read(span_from(rows[i].text), 1U << CRYPTO_ES256,
                                        CRYPTO_ALG_NONE, &set, &fault);

        if (rows[i].count == 0) {
            assert_int_equal(err, ERR_KEY);
            assert_string_not_equal(fault.text, "");
            continue;
        }
        assert_int_equal(err, ERR_OK);
        assert_int_equal(crypto_keyset_count(set), rows[i].count);
    }
}

static void a_set_has_a_bound(void **state)
{
    static char text[512 * (LIMIT_JWK_KEYS_MAX + 2)];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct crypto_keyset *set;

    (void)state;
    sbuf_add_lit(&out, "{\"keys\":[" EC_ONE);
    for (int i = 0; i < LIMIT_JWK_KEYS_MAX; i++)
        sbuf_add_lit(&out, ",{}");
    sbuf_add_lit(&out, "]}");
    assert_int_equal(
        issuer_keys_read(sbuf_span(&out), 1U << CRYPTO_ES256, CRYPTO_ALG_NONE, &set, NULL),
        ERR_KEY);
}

/* ---- fetching ---- */

static struct span good_token(struct crypto_key *key, char text[TEXT_BYTES])
{
    return token_by(key, "JWT", "{" CLAIMS ",\"aud\":\"api\"}", text);
}

/* However many keys nobody knows: one fetch in the time that is set for it. */
static void unknown_keys_are_asked_for_once(void **state)
{
    struct issuer_options options = options_usual();
    struct issuer *issuer = open_with(&options);
    char text[TEXT_BYTES];
    struct span token = good_token(second_key, text);

    (void)state;
    issuer_turn(issuer, mono());
    clock_fake_move(&now, 11 * CLOCK_NS_PER_S);
    for (int i = 0; i < 100000; i++) {
        bool waits = issuer_ask(issuer, mono());

        assert_int_equal(waits, i == 0);
        issuer->due_ns = issuer_turn(issuer, mono());
        clock_fake_move(&now, 100 * CLOCK_NS_PER_US); /* 10 s in all */
    }
    assert_int_equal(server.asked, 2);
    assert_int_equal(verdict(issuer, token, NULL), ERR_ISSUER_UNAVAILABLE); /* asked again */
    assert_int_equal(verdict(issuer, token, NULL), ERR_ISSUER_UNAVAILABLE); /* under way */
    issuer_turn(issuer, mono());
    assert_int_equal(server.asked, 3);
    assert_int_equal(verdict(issuer, token, NULL), ERR_TOKEN_INVALID); /* there is no such key */
    publish(first_key, second_key);
    clock_fake_move(&now, 10 * CLOCK_NS_PER_S);
    assert_int_equal(verdict(issuer, token, NULL), ERR_ISSUER_UNAVAILABLE);
    issuer_turn(issuer, mono());
    assert_int_equal(verdict(issuer, token, NULL), ERR_OK);
    issuer_free(issuer);
}

static void keys_outlive_an_outage_up_to_a_bound(void **state)
{
    struct issuer_options options = options_usual();
    struct issuer *issuer = open_with(&options);
    struct issuer_identity identity;
    char text[TEXT_BYTES];
    struct span token = good_token(first_key, text);

    (void)state;
    server.down = true;
    issuer_turn(issuer, mono());
    assert_int_equal(verdict(issuer, token, NULL), ERR_ISSUER_UNAVAILABLE);
    server.down = false;
    clock_fake_move(&now, CLOCK_NS_PER_S);
    issuer_turn(issuer, mono());
    assert_int_equal(server.asked, 2);
    assert_int_equal(verdict(issuer, token, &identity), ERR_OK);
    server.down = true;
    for (int s = 0; s < 3899; s++) {
        clock_fake_move(&now, CLOCK_NS_PER_S);
        issuer_turn(issuer, mono());
    }
    assert_in_range(server.asked, 60, 70); /* one a minute */
    assert_int_equal(verdict(issuer, token, NULL), ERR_OK);
    assert_true(issuer_is_fresh(issuer, identity.epoch, mono()));
    clock_fake_move(&now, CLOCK_NS_PER_S);
    assert_int_equal(verdict(issuer, token, NULL), ERR_ISSUER_UNAVAILABLE);
    assert_false(issuer_is_fresh(issuer, identity.epoch, mono()));
    server.down = false;
    clock_fake_move(&now, 60 * CLOCK_NS_PER_S);
    issuer_turn(issuer, mono());
    assert_int_equal(verdict(issuer, token, NULL), ERR_OK);
    issuer_free(issuer);
}

static void a_withdrawn_key_ends_what_is_remembered(void **state)
{
    struct issuer_options options = options_usual();
    struct issuer *issuer = open_with(&options);
    struct issuer_identity identity;
    char text[TEXT_BYTES];
    struct span token = good_token(first_key, text);

    (void)state;
    issuer_turn(issuer, mono());
    assert_int_equal(verdict(issuer, token, &identity), ERR_OK);
    publish(first_key, second_key);
    clock_fake_move(&now, 300 * CLOCK_NS_PER_S);
    issuer_turn(issuer, mono());
    assert_true(issuer_is_fresh(issuer, identity.epoch, mono())); /* one more is no change */
    snprintf(server.text, sizeof(server.text), "{\"keys\":[]}");
    clock_fake_move(&now, 300 * CLOCK_NS_PER_S);
    issuer_turn(issuer, mono());
    assert_true(issuer_is_fresh(issuer, identity.epoch, mono())); /* nothing is no answer */
    publish(second_key, NULL);
    clock_fake_move(&now, 300 * CLOCK_NS_PER_S);
    issuer_turn(issuer, mono());
    assert_false(issuer_is_fresh(issuer, identity.epoch, mono()));
    assert_int_not_equal(verdict(issuer, token, NULL), ERR_OK);
    issuer_free(issuer);
}

/* What takes the place of an issuer knows nothing of its verdicts. */
static void a_new_issuer_begins_anew(void **state)
{
    struct issuer_options options = options_usual();
    struct issuer *first = open_with(&options);
    struct issuer *second = open_with(&options);
    struct issuer_identity identity;
    char text[TEXT_BYTES];

    (void)state;
    issuer_turn(first, mono());
    issuer_turn(second, mono());
    assert_int_equal(verdict(first, good_token(first_key, text), &identity), ERR_OK);
    assert_true(issuer_is_fresh(first, identity.epoch, mono()));
    assert_false(issuer_is_fresh(second, identity.epoch, mono()));
    issuer_free(first);
    issuer_free(second);
}

/* One whose settings changed goes on with the keys that are there: their age is told by its own
 * settings, and they stay when the former goes. */
static void a_successor_begins_with_the_keys(void **state)
{
    struct issuer_options options = options_usual();
    struct issuer *first = open_with(&options);
    struct issuer *second;
    struct issuer_identity identity;
    char text[TEXT_BYTES];
    struct span token = good_token(first_key, text);
    int64_t fetched_ns = mono();

    (void)state;
    issuer_turn(first, mono());
    assert_int_equal(verdict(first, token, &identity), ERR_OK);
    clock_fake_move(&now, 5 * CLOCK_NS_PER_S);
    options.former = first;
    options.refresh_ns = 100 * CLOCK_NS_PER_S;
    options.stale_ns = 50 * CLOCK_NS_PER_S;
    assert_int_equal(issuer_new(&options, &second, NULL), ERR_OK);
    second->fetch = fetch;
    issuer_free(first);
    assert_int_equal(verdict(second, token, NULL), ERR_OK);
    assert_false(issuer_is_fresh(second, identity.epoch, mono()));
    assert_int_equal(issuer_turn(second, mono()), fetched_ns + 100 * CLOCK_NS_PER_S);
    assert_false(issuer_ask(second, mono())); /* the cool-down goes on */
    assert_int_equal(server.asked, 1);
    server.down = true;
    clock_fake_move(&now, 144 * CLOCK_NS_PER_S);
    assert_int_equal(verdict(second, token, &identity), ERR_OK);
    issuer_turn(second, mono());
    clock_fake_move(&now, CLOCK_NS_PER_S);
    assert_int_equal(verdict(second, token, NULL), ERR_ISSUER_UNAVAILABLE);
    server.down = false;
    publish(second_key, NULL);
    clock_fake_move(&now, 60 * CLOCK_NS_PER_S);
    issuer_turn(second, mono());
    assert_false(issuer_is_fresh(second, identity.epoch, mono())); /* withdrawn since */
    issuer_free(second);
}

/* What is printed is what an issuer of now has, whatever one of that name had before. */
static void the_number_of_keys_is_of_now(void **state)
{
    struct issuer_options options = options_usual();
    struct issuer *first;
    struct issuer *second;

    (void)state;
    assert_int_equal(metrics_new(&options.metrics), ERR_OK);
    first = open_with(&options);
    assert_int_equal(metric_value(first->key_count), 0);
    publish(first_key, second_key);
    issuer_turn(first, mono());
    assert_int_equal(metric_value(first->key_count), 2);
    options.former = first;
    assert_int_equal(issuer_new(&options, &second, NULL), ERR_OK);
    issuer_free(first);
    assert_int_equal(metric_value(second->key_count), 2); /* it has them */
    issuer_free(second);
    options.former = NULL;
    second = open_with(&options);
    assert_int_equal(metric_value(second->key_count), 0); /* not yet */
    issuer_turn(second, mono());
    assert_int_equal(metric_value(second->key_count), 1);
    issuer_free(second);
    metrics_free(options.metrics);
}

/* Keys from elsewhere, or of other algorithms, are nobody's to inherit. */
static void keys_of_another_source_are_not_taken(void **state)
{
    struct issuer_options options = options_usual();
    struct issuer *first = open_with(&options);
    char text[TEXT_BYTES];
    struct span token = good_token(first_key, text);

    (void)state;
    issuer_turn(first, mono());
    for (int i = 0; i < 5; i++) {
        struct issuer_options other = options_usual();
        struct issuer *second;

        other.former = first;
        other.url = i == 0 ? "https://elsewhere.example/jwks" : other.url;
        other.ca_path = i == 1 ? "/roots.pem" : NULL;
        other.is_public = i == 2;
        other.algs = i == 3 ? 1U << CRYPTO_ES256 : other.algs;
        assert_int_equal(issuer_new(&other, &second, NULL), ERR_OK);
        assert_int_equal(verdict(second, token, NULL), i < 4 ? ERR_ISSUER_UNAVAILABLE : ERR_OK);
        issuer_free(second);
    }
    issuer_free(first);
}

static void write_file(const char *path, const char *text)
{
    char beside[256];
    FILE *file;

    assert_in_range(snprintf(beside, sizeof(beside), "%s.new", path), 1, sizeof(beside) - 1);
    file = fopen(beside, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(beside, path), 0);
}

static void a_file_is_read_again_when_it_changes(void **state)
{
    char folder[] = "/tmp/issuer_test_XXXXXX";
    char path[64];
    struct issuer_options options = options_usual();
    struct crypto_fault fault = {{0}};
    struct issuer *issuer;
    char text[TEXT_BYTES];

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/jwks", folder);
    options.url = NULL;
    options.path = path;
    assert_int_equal(issuer_new(&options, &issuer, &fault), ERR_KEY);
    assert_non_null(strstr(fault.text, path));
    publish(first_key, NULL);
    write_file(path, server.text);
    assert_int_equal(issuer_new(&options, &issuer, NULL), ERR_OK);
    assert_int_equal(verdict(issuer, good_token(first_key, text), NULL), ERR_OK);
    assert_int_equal(verdict(issuer, good_token(second_key, text), NULL), ERR_TOKEN_INVALID);
    publish(second_key, NULL);
    write_file(path, server.text);
    clock_fake_move(&now, CLOCK_NS_PER_S);
    issuer_turn(issuer, mono());
    assert_int_equal(verdict(issuer, good_token(second_key, text), NULL), ERR_OK);
    assert_int_equal(verdict(issuer, good_token(first_key, text), NULL), ERR_TOKEN_INVALID);
    write_file(path, "{");
    clock_fake_move(&now, CLOCK_NS_PER_S);
    issuer_turn(issuer, mono());
    assert_int_equal(verdict(issuer, good_token(second_key, text), NULL), ERR_OK);
    issuer_free(issuer);
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(folder), 0);
}

/* ---- addresses ---- */

static void urls_are_read(void **state)
{
    static const struct {
        const char *url, *host, *port, *path;
    } rows[] = {{"https://a.example", "a.example", "443", "/"},
                {"https://a.example/keys", "a.example", "443", "/keys"},
                {"http://127.0.0.1:9000/a/b", "127.0.0.1", "9000", "/a/b"},
                {"https://[::1]:8443/k", "::1", "8443", "/k"},
                {"http://[::1]", "::1", "80", "/"},
                {"ftp://a", NULL, NULL, NULL},
                {"https://", NULL, NULL, NULL},
                {"https://a:0/", NULL, NULL, NULL},
                {"https://a:70000/", NULL, NULL, NULL}};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct issuer_url url;

        assert_int_equal(issuer_url_read(rows[i].url, &url), rows[i].host != NULL);
        if (rows[i].host == NULL)
            continue;
        assert_string_equal(url.host, rows[i].host);
        assert_string_equal(url.port, rows[i].port);
        assert_true(span_is(url.path, rows[i].path));
    }
}

/* A server of this machine is reached by either family, whatever other addresses there are. */
static void this_machine_is_asked_by_both_families(void **state)
{
    static const struct {
        const char *host;
        int family;
    } rows[] = {{"127.0.0.1", AF_INET}, {"[::1]", AF_INET6}};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        struct sockaddr_in at4 = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
        bool is_v4 = rows[i].family == AF_INET;
        struct sockaddr *address = is_v4 ? (struct sockaddr *)&at4 : (struct sockaddr *)&at;
        socklen_t bytes = is_v4 ? sizeof(at4) : sizeof(at);
        struct issuer_options options = options_usual();
        struct crypto_fault fault = {{0}};
        int fd = socket(rows[i].family, SOCK_STREAM, 0);
        struct issuer *issuer;
        struct arena arena;
        struct span text;
        char url[64];

        if (fd < 0 || bind(fd, address, bytes) != 0)
            continue;                                          /* a machine without this family */
        assert_int_equal(getsockname(fd, address, &bytes), 0); /* nobody listens */
        (void)snprintf(url, sizeof(url), "http://%s:%u/k", rows[i].host,
                       ntohs(is_v4 ? at4.sin_port : at.sin6_port));
        options.url = url;
        options.timeout_ns = CLOCK_NS_PER_S;
        arena_init(&arena, NULL, 0, 256 * 1024);
        assert_int_equal(issuer_new(&options, &issuer, NULL), ERR_OK);
        assert_int_equal(issuer_fetch_url(issuer, &arena, &text, &fault), ERR_IO);
        assert_string_equal(fault.text, "Connection refused");
        issuer_free(issuer);
        arena_reset(&arena);
        close(fd);
    }
}

static void private_addresses_are_known(void **state)
{
    static const struct {
        const char *text;
        bool is_private, is_loopback;
    } rows[] = {{"127.0.0.1", true, true},
                {"127.9.9.9", true, true},
                {"10.1.2.3", true, false},
                {"172.16.0.1", true, false},
                {"172.32.0.1", false, false},
                {"192.168.1.1", true, false},
                {"169.254.169.254", true, false},
                {"100.64.0.1", true, false},
                {"0.0.0.0", true, false},
                {"224.0.0.1", true, false},
                {"255.255.255.255", true, false},
                {"8.8.8.8", false, false},
                {"::1", true, true},
                {"::", true, false},
                {"::ffff:127.0.0.1", true, true},
                {"::ffff:8.8.8.8", false, false},
                {"fe80::1", true, false},
                {"fd00::1", true, false},
                {"ff02::1", true, false},
                {"2002:7f00:1::", true, false},
                {"2001::1", true, false},
                {"2606:4700::1", false, false}};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        bool is_v4 = inet_pton(AF_INET, rows[i].text, &v4.sin_addr) == 1;
        const struct sockaddr *address =
            is_v4 ? (const struct sockaddr *)&v4 : (const struct sockaddr *)&v6;

        if (!is_v4)
            assert_int_equal(inet_pton(AF_INET6, rows[i].text, &v6.sin6_addr), 1);
        if (issuer_address_is_private(address) != rows[i].is_private ||
            issuer_address_is_loopback(address) != rows[i].is_loopback)
            fail_msg("%s", rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_decide),
        cmocka_unit_test(rights_come_from_their_claims),
        cmocka_unit_test(paths_find_claims),
        cmocka_unit_test(algorithms_are_the_keys),
        cmocka_unit_test(sets_are_read_with_care),
        cmocka_unit_test(a_set_has_a_bound),
        cmocka_unit_test(unknown_keys_are_asked_for_once),
        cmocka_unit_test(keys_outlive_an_outage_up_to_a_bound),
        cmocka_unit_test(a_withdrawn_key_ends_what_is_remembered),
        cmocka_unit_test(a_new_issuer_begins_anew),
        cmocka_unit_test(a_successor_begins_with_the_keys),
        cmocka_unit_test(the_number_of_keys_is_of_now),
        cmocka_unit_test(keys_of_another_source_are_not_taken),
        cmocka_unit_test(a_file_is_read_again_when_it_changes),
        cmocka_unit_test(urls_are_read),
        cmocka_unit_test(this_machine_is_asked_by_both_families),
        cmocka_unit_test(private_addresses_are_known),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
