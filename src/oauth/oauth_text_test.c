/* SPDX-License-Identifier: MIT
 * Lists and redirect addresses: the tricks by which an address gets past a comparison. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "crypto/digest.h"
#include "oauth/oauth_priv.h"

enum { ARENA_BYTES_MAX = 64 * 1024 };

static bool has(const char *list, const char *name)
{
    return oauth_list_has(span_from(list), span_from(name));
}

static void lists_hold_whole_names(void **state)
{
    (void)state;
    assert_true(has("accounts:read accounts:write", "accounts:write"));
    assert_true(has("openid", "openid"));
    assert_false(has("accounts:read accounts:write", "accounts"));
    assert_false(has("accounts:read", "accounts:reader"));
    assert_false(has("openid", "OpenID"));
    assert_false(has("openid", ""));
    assert_false(has("", "openid"));
    assert_false(has("", ""));
    assert_false(has("a b", "a b"));
}

static void within_asks_for_each(void **state)
{
    (void)state;
    assert_true(oauth_list_within(SPAN_OF("b a"), SPAN_OF("a b c")));
    assert_true(oauth_list_within(SPAN_OF(""), SPAN_OF("a")));
    assert_false(oauth_list_within(SPAN_OF("a d"), SPAN_OF("a b c")));
    assert_false(oauth_list_within(SPAN_OF("a"), SPAN_OF("")));
}

static void both_keeps_the_first_order(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    assert_true(span_is(oauth_list_both(SPAN_OF("c x a c"), SPAN_OF("a b c"), &arena), "c a"));
    assert_int_equal(oauth_list_both(SPAN_OF("x"), SPAN_OF("a"), &arena).len, 0);
    assert_non_null(oauth_list_both(SPAN_OF("x"), SPAN_OF("a"), &arena).ptr);
    arena_reset(&arena);
}

/* Less than was asked for must not look like nothing was allowed. */
static void both_tells_when_memory_ends(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, 0);
    assert_null(oauth_list_both(SPAN_OF("a b"), SPAN_OF("a b"), &arena).ptr);
    arena_reset(&arena);
}

/* RFC 6749, 3.3 */
static void scopes_are_printable_and_single(void **state)
{
    static const char *const good[] = {"openid", "a:read b:write", "!", "~", "urn:x/y?z=#1"};
    static const char *const bad[] = {"",     " a",   "a ",   "a  b",        "a a",     "a\tb",
                                      "a\"b", "a\\b", "a\nb", "caf\xC3\xA9", "a b c a", "a\x7F"};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++)
        assert_true(oauth_scope_is_valid(span_from(good[i])));
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        assert_false(oauth_scope_is_valid(span_from(bad[i])));
    assert_false(oauth_scope_is_valid(span_make("a\0b", 3)));
}

/* Each name is compared with all before it, so a long list is refused for its length. */
static void scopes_end_somewhere(void **state)
{
    char text[OAUTH_SCOPE_BYTES_MAX + 1];

    (void)state;
    memset(text, 'a', sizeof(text));
    assert_true(oauth_scope_is_valid(span_make(text, OAUTH_SCOPE_BYTES_MAX)));
    assert_false(oauth_scope_is_valid(span_make(text, sizeof(text))));
}

/* A name may begin with another without being it. */
static void scopes_may_share_a_beginning(void **state)
{
    (void)state;
    assert_true(oauth_scope_is_valid(SPAN_OF("accounts accounts:read account")));
}

#define REGISTERED                                                                                 \
    "https://shop.example/callback\n"                                                              \
    "https://shop.example/other?tenant=1\n"                                                        \
    "http://127.0.0.1/cb\n"                                                                        \
    "http://[::1]/cb\n"                                                                            \
    "http://localhost:3000/cb\n"                                                                   \
    "com.example.app:/cb"

static bool allowed(const char *uri)
{
    return oauth_uri_allowed(SPAN_OF(REGISTERED), span_from(uri));
}

static void addresses_must_be_the_same(void **state)
{
    static const char *const good[] = {
        "https://shop.example/callback", "https://shop.example/other?tenant=1",
        "http://127.0.0.1/cb",           "http://[::1]/cb",
        "http://localhost:3000/cb",      "com.example.app:/cb"};
    static const char *const bad[] = {
        "",
        "https://shop.example/",
        "https://shop.example/callback/",
        "https://shop.example/callback?",
        "https://shop.example/callback#",
        "https://shop.example/callback#fragment",
        "https://shop.example/callback?x=1",
        "https://shop.example/Callback",
        "https://SHOP.example/callback",
        "HTTPS://shop.example/callback",
        "http://shop.example/callback",
        "https://shop.example:443/callback",
        "https://shop.example:8443/callback",
        "https://shop.example./callback",
        "https://shop.example/%63allback",
        "https://shop.example/%2e/callback",
        "https://shop.example/./callback",
        "https://shop.example//callback",
        "https://shop.example\\/callback",
        "https://shop.example/callback\\",
        "https://evil.example\\@shop.example/callback",
        "https://evil.example@shop.example/callback",
        "https://shop.example@evil.example/callback",
        "https://user:word@shop.example/callback",
        "https://shop.example.evil.example/callback",
        "https://shop.example/callback ",
        " https://shop.example/callback",
        "https://shop.example/callback\n",
        "https://shop.example/callback\nhttps://shop.example/other?tenant=1",
        "https://shop.example/other?tenant=2",
        "https://shop.example/other?tenant=1&tenant=2",
        "https://shop.example/other",
        "com.example.app:/cb/../x",
        "com.example.app://cb",
        "javascript:alert(1)",
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++)
        if (!allowed(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        if (allowed(bad[i]))
            fail_msg("allowed: %s", bad[i]);
}

/* RFC 8252, 7.3: a native application is given a port when it starts. */
static void a_loopback_port_may_vary(void **state)
{
    static const char *const good[] = {
        "http://127.0.0.1:1/cb",    "http://127.0.0.1:65535/cb", "http://[::1]:49152/cb",
        "http://localhost:8080/cb", "http://localhost/cb",
    };
    static const char *const bad[] = {
        "http://127.0.0.1:0/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:65536/cb",
        "http://127.0.0.1:080/cb",
        "http://127.0.0.1:+80/cb",
        "http://127.0.0.1:80:80/cb",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://127.0.0.1:80.evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:80\\/cb",
        "http://127.0.0.1:80/cb/",
        "http://127.0.0.1:80/cb?x=1",
        "http://127.0.0.1:80/CB",
        "http://127.0.0.1:80",
        "http://127.0.0.2:80/cb",
        "http://127.1:80/cb",
        "http://2130706433:80/cb",
        "http://0.0.0.0:80/cb",
        "http://[::]:80/cb",
        "http://[0:0:0:0:0:0:0:1]:80/cb",
        "http://[::1]80/cb",
        "http://LOCALHOST:80/cb",
        "http://localhost.:80/cb",
        "http://localhost.evil.example:80/cb",
        "http://localhostevil.example/cb",
        "https://127.0.0.1:80/cb",
        "https://localhost:3000/cb",
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++)
        if (!allowed(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        if (allowed(bad[i]))
            fail_msg("allowed: %s", bad[i]);
}

/* One name of the machine does not stand for another. */
static void loopback_hosts_stay_apart(void **state)
{
    (void)state;
    assert_false(oauth_uri_allowed(SPAN_OF("http://127.0.0.1/cb"), SPAN_OF("http://localhost/cb")));
    assert_false(oauth_uri_allowed(SPAN_OF("http://[::1]/cb"), SPAN_OF("http://127.0.0.1/cb")));
    assert_false(oauth_uri_allowed(SPAN_OF(""), SPAN_OF("http://127.0.0.1/cb")));
    assert_false(oauth_uri_allowed((struct span){0}, SPAN_OF("http://127.0.0.1/cb")));
}

static void random_values_differ_and_hash(void **state)
{
    unsigned char first[OAUTH_HASH_BYTES], second[OAUTH_HASH_BYTES], again[OAUTH_HASH_BYTES];
    struct span a, b;
    struct arena arena;

    (void)state;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    assert_int_equal(oauth_token_make(&random_system, &arena, &a, first), ERR_OK);
    assert_int_equal(oauth_token_make(&random_system, &arena, &b, second), ERR_OK);
    assert_int_equal(a.len, OAUTH_TOKEN_TEXT_BYTES);
    assert_false(span_equal(a, b));
    assert_memory_not_equal(first, second, sizeof(first));
    oauth_token_hash(a, again);
    assert_memory_equal(first, again, sizeof(first));
    crypto_sha256(a, again);
    assert_memory_equal(first, again, sizeof(first));
    arena_reset(&arena);

    arena_init(&arena, NULL, 0, 0);
    assert_int_equal(oauth_token_make(&random_system, &arena, &a, first), ERR_NO_MEMORY);
    arena_reset(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_hold_whole_names),
        cmocka_unit_test(within_asks_for_each),
        cmocka_unit_test(both_keeps_the_first_order),
        cmocka_unit_test(both_tells_when_memory_ends),
        cmocka_unit_test(scopes_are_printable_and_single),
        cmocka_unit_test(scopes_end_somewhere),
        cmocka_unit_test(scopes_may_share_a_beginning),
        cmocka_unit_test(addresses_must_be_the_same),
        cmocka_unit_test(a_loopback_port_may_vary),
        cmocka_unit_test(loopback_hosts_stay_apart),
        cmocka_unit_test(random_values_differ_and_hash),
    };

    return cmocka_run_group_tests_name("oauth text", tests, NULL, NULL);
}
