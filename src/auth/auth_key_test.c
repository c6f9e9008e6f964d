/* SPDX-License-Identifier: MIT
 * API keys on both databases: who shows one is its owner with its rights, until it ends or is taken
 * back, and nobody learns a key from the store. */
#include "auth/auth_test_kit.h"

#include "auth/auth_key.h"

static int64_t now_ns;

static int64_t clock_ns(void *context)
{
    (void)context;
    return now_ns;
}

static const struct clock still = {.monotonic_ns = clock_ns, .realtime_ns = clock_ns};
static const struct clock *clock_still = &still;

struct made {
    struct auth_key key;
    char text[AUTH_KEY_TEXT_BYTES];
};

static enum err make_steps(struct store_conn *conn, void *context)
{
    struct made *made = context;

    return auth_key_create(conn, &made->key, span_make(made->text, sizeof(made->text)),
                           &made->key.id);
}

static struct made make(const char *owner, int64_t expires_at_ns)
{
    struct made made = {.key = {.owner = span_from(owner),
                                .scopes = SPAN("orders:read orders:write"),
                                .roles = SPAN("clerk"),
                                .created_at_ns = T0,
                                .expires_at_ns = expires_at_ns}};

    auth_key_make(&random_system, made.text);
    assert_int_equal(writing(bench.store, make_steps, &made), ERR_OK);
    return made;
}

static enum err revoke_steps(struct store_conn *conn, void *context)
{
    const int64_t *id = context;

    return auth_key_revoke(conn, *id, T0 + 5);
}

struct shown {
    struct span text;
    struct http_principal principal;
};

static enum err show_steps(struct store_conn *conn, void *context)
{
    struct shown *shown = context;
    const struct http_identity identity = auth_key_identity(&clock_still);
    enum err err = identity.verify(identity.context, shown->text, now_ns / CLOCK_NS_PER_S,
                                   &bench.arena, &shown->principal);

    return err ? err : identity.load(identity.context, conn, &bench.arena, &shown->principal);
}

static enum err show(const char *text, size_t bytes, struct http_principal *ret)
{
    struct shown shown = {.text = span_make(text, bytes)};
    enum err err = reading(bench.store, show_steps, &shown);

    if (ret != NULL)
        *ret = shown.principal;
    return err;
}

static void a_key_is_its_owner(void **state)
{
    struct made made = make("warehouse", 0);
    struct made other = make("warehouse", 0);
    struct http_principal who;

    (void)state;
    now_ns = T0;
    assert_int_equal(show(made.text, sizeof(made.text), &who), ERR_OK);
    assert_int_equal(who.kind, HTTP_TOKEN_KEY);
    assert_true(span_is(who.subject, "warehouse"));
    assert_true(span_is(who.scope, "orders:read orders:write"));
    assert_true(span_is(who.roles, "clerk"));
    assert_true(span_starts(who.client_id, SPAN_OF("key:")));
    assert_int_equal(who.user_id, 0);
    assert_int_equal(who.expires_at_s, INT64_MAX);
    assert_false(who.is_admin);
    assert_memory_not_equal(made.text, other.text, sizeof(made.text));
    made.text[20] = made.text[20] == 'A' ? 'B' : 'A';
    assert_int_equal(show(made.text, sizeof(made.text), NULL), ERR_TOKEN_INVALID);
}

static void what_is_no_key_asks_no_store(void **state)
{
    static const char *const texts[] = {"",
                                        "pck_",
                                        "eyJhbGciOiJub25lIn0..",
                                        "pck_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                        "pck_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ",
                                        "PCK_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};
    const struct http_identity identity = auth_key_identity(&clock_still);

    (void)state;
    for (size_t i = 0; i < PC_COUNT(texts); i++) {
        struct http_principal who = {0};

        assert_int_equal(
            identity.verify(identity.context, span_from(texts[i]), T0_S, &bench.arena, &who),
            ERR_TOKEN_INVALID);
    }
}

static void a_key_ends(void **state)
{
    struct made made = make("a", T0 + CLOCK_NS_PER_S);
    struct http_principal who;
    int64_t none = 999999;

    (void)state;
    now_ns = T0 + CLOCK_NS_PER_S - 1;
    assert_int_equal(show(made.text, sizeof(made.text), &who), ERR_OK);
    assert_int_equal(who.expires_at_s, T0_S + 1);
    now_ns++;
    assert_int_equal(show(made.text, sizeof(made.text), NULL), ERR_TOKEN_EXPIRED);
    now_ns = T0;
    assert_int_equal(writing(bench.store, revoke_steps, &made.key.id), ERR_OK);
    assert_int_equal(show(made.text, sizeof(made.text), NULL), ERR_TOKEN_REVOKED);
    assert_int_equal(writing(bench.store, revoke_steps, &made.key.id), ERR_OK);
    assert_int_equal(writing(bench.store, revoke_steps, &none), ERR_NOT_FOUND);
}

static const struct store_statement news = {
    .name = "test_news",
    .sqlite = "SELECT count(*) FROM identity_changes WHERE what = 'apikey' AND subject < -1000000"};

/* Every node hears of it, under a subject that is no client's. */
static void a_revoked_key_is_news(void **state)
{
    struct made made = make("a", 0);
    struct number number = {.statement = &news};

    (void)state;
    assert_int_equal(writing(bench.store, revoke_steps, &made.key.id), ERR_OK);
    assert_int_equal(reading(bench.store, number_steps, &number), ERR_OK);
    assert_int_equal(number.value, 1);
}

static void descriptions_are_checked(void **state)
{
    static const struct {
        struct auth_key key;
        const char *flaw;
    } rows[] = {{{.owner = SPAN("a")}, NULL},
                {{.owner = SPAN("")}, "owner"},
                {{.owner = SPAN("a b")}, "owner"},
                {{.owner = SPAN("a\r\nX: 1")}, "owner"},
                {{.owner = SPAN("a"), .scopes = SPAN("a  b")}, "scopes"},
                {{.owner = SPAN("a"), .scopes = SPAN("a\"b")}, "scopes"},
                {{.owner = SPAN("a"), .roles = SPAN("\n")}, "roles"},
                {{.owner = SPAN("a"), .created_at_ns = 5, .expires_at_ns = 5}, "expiry"}};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        const char *flaw = auth_key_flaw(&rows[i].key);

        assert_int_equal(flaw != NULL, rows[i].flaw != NULL);
        if (flaw != NULL)
            assert_string_equal(flaw, rows[i].flaw);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_key_is_its_owner, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(what_is_no_key_asks_no_store, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_key_ends, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(a_revoked_key_is_news, bench_setup, bench_teardown),
        cmocka_unit_test(descriptions_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
