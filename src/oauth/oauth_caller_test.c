/* SPDX-License-Identifier: MIT
 * How clients prove who they are, and everything they may show instead: secrets, certificates,
 * nothing; and how a refusal is remembered. */
#include "oauth/oauth_caller_test_kit.h"

/* ---- secrets ----------------------------------------------------------------------------------
 */

static void secrets_come_by_the_ways_agreed(void **state)
{
    static const struct {
        const char *client_id;
        bool basic, post;
    } cases[] = {{"either", true, true},  {"basic", true, false}, {"post", false, true},
                 {"robot", false, false}, {"bank", false, false}, {"spa", false, false}};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct oauth_shown shown = {.client_id = span_from(cases[i].client_id),
                                    .client_secret = SPAN(SECRET)};
        char pair[128];

        request();
        (void)snprintf(pair, sizeof(pair), "%s:%s", cases[i].client_id, SECRET);
        with_basic(pair);
        assert_int_equal(proof(&(struct oauth_shown){0}),
                         cases[i].basic ? ERR_OK : ERR_OAUTH_INVALID_CLIENT);
        assert_int_equal(caller.shown, OAUTH_METHOD_SECRET_BASIC);
        request();
        assert_int_equal(proof(&shown), cases[i].post ? ERR_OK : ERR_OAUTH_INVALID_CLIENT);
        assert_int_equal(caller.shown, OAUTH_METHOD_SECRET_POST);
        assert_null(stage.detail);
        assert_int_equal(oauth_caller_run(&caller), HTTP_RUN_LOOP);
    }
}

static void wrong_secrets_are_refused(void **state)
{
    static const char *const pairs[] = {"either:wrong", "either:", "either:" SECRET " ",
                                        "either: " SECRET};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(pairs); i++) {
        request();
        with_basic(pairs[i]);
        assert_refused(&(struct oauth_shown){0}, "the secret is wrong");
    }
    request();
    with_basic("nobody:" SECRET);
    assert_refused(&(struct oauth_shown){0}, "there is no such client");
    request();
    assert_refused(&(struct oauth_shown){.client_id = SPAN("either")}, "nothing was shown");
    request();
    assert_refused(&(struct oauth_shown){.client_id = SPAN("nobody")}, "there is no such client");
}

/* RFC 6749, 2.3.1: "%3A" and "+" in Basic are not themselves. */
static void basic_is_form_encoded(void **state)
{
    struct oauth_client client = {
        .client_id = SPAN("odd"), .name = SPAN("odd"), .method = OAUTH_METHOD_SECRET};

    (void)state;
    assert_int_equal(oauth_secret_of(&random_system, SPAN_OF("a b:c%+"), &client.secret), ERR_OK);
    assert_int_equal(writing(bench.store, create_one, &client), ERR_OK);
    request();
    with_basic("o%64d:a+b%3ac%25%2B");
    assert_int_equal(proof(&(struct oauth_shown){0}), ERR_OK);
    assert_true(span_is(caller.client_id, "odd"));
    request();
    with_basic("odd:a b:c%25%2B");
    assert_int_equal(proof(&(struct oauth_shown){0}), ERR_OK);
    request();
    with_basic("odd:a b:c%");
    assert_int_equal(proof(&(struct oauth_shown){0}), ERR_OAUTH_INVALID_REQUEST);
}

static void broken_headers_are_refused(void **state)
{
    static const struct {
        const char *value;
        enum err err;
    } cases[] = {
        {"Bearer abc", ERR_OAUTH_INVALID_CLIENT},
        {"Basic", ERR_OAUTH_INVALID_REQUEST},
        {"", ERR_OAUTH_INVALID_CLIENT},
        {"Basic ", ERR_OAUTH_INVALID_REQUEST},
        {"Basic !!!!", ERR_OAUTH_INVALID_REQUEST},
        {"Basic ZWl0aGVy", ERR_OAUTH_INVALID_REQUEST},
        {"Basic ====", ERR_OAUTH_INVALID_REQUEST},
        {"Basic YTpi Y", ERR_OAUTH_INVALID_REQUEST},
        {"Basic YTp-", ERR_OAUTH_INVALID_REQUEST},
        {"Basic YTo", ERR_OAUTH_INVALID_REQUEST},
        {"Basic YTq=", ERR_OAUTH_INVALID_REQUEST},
        {"BasicYTpi", ERR_OAUTH_INVALID_CLIENT},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        request();
        with_header(cases[i].value);
        if (proof(&(struct oauth_shown){0}) != cases[i].err)
            fail_msg("taken: %s", cases[i].value);
        assert_int_equal(stage.failures, 1);
    }
    request();
    with_header("bAsIc ZWl0aGVyOng=");
    assert_refused(&(struct oauth_shown){0}, "the secret is wrong");
    request();
    with_basic("either:" SECRET);
    with_basic("either:" SECRET);
    assert_int_equal(proof(&(struct oauth_shown){0}), ERR_OAUTH_INVALID_REQUEST);
}

static void one_way_at_a_time(void **state)
{
    static const struct oauth_shown cases[] = {
        {.client_secret = SPAN(SECRET)},
        {.client_assertion = SPAN("a.b.c"), .client_assertion_type = SPAN(OAUTH_ASSERTION_TYPE)},
        {.client_id = SPAN("post")},
        {.client_assertion_type = SPAN(OAUTH_ASSERTION_TYPE)},
    };
    struct oauth_shown both = cases[1];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        request();
        with_basic("either:" SECRET);
        assert_int_equal(proof(&cases[i]), ERR_OAUTH_INVALID_REQUEST);
    }
    request();
    both.client_id = SPAN_OF("either");
    both.client_secret = SPAN_OF(SECRET);
    assert_int_equal(proof(&both), ERR_OAUTH_INVALID_REQUEST);
    request();
    with_basic("either:" SECRET);
    assert_int_equal(proof(&(struct oauth_shown){.client_id = SPAN("either")}), ERR_OK);
    request();
    assert_int_equal(proof(&(struct oauth_shown){0}), ERR_OAUTH_INVALID_CLIENT);
}

/* Who sends what cannot be read is held back like who guesses. */
static void unreadable_requests_are_limited(void **state)
{
    (void)state;
    request();
    stage.limit = ERR_RATE_LIMITED;
    with_header("Basic !!!!");
    assert_int_equal(proof(&(struct oauth_shown){0}), ERR_RATE_LIMITED);
}

static enum err rotate_steps(struct store_conn *conn, void *context)
{
    struct oauth_secret secret;
    enum err err = oauth_secret_of(&random_system, SPAN_OF("another"), &secret);

    (void)context;
    return err ? err
               : oauth_client_set_secret(conn, SPAN_OF("either"), &secret, T0 + 60 * CLOCK_NS_PER_S,
                                         T0);
}

static void an_old_secret_ends_in_time(void **state)
{
    const struct oauth_shown old = {.client_id = SPAN("either"), .client_secret = SPAN(SECRET)};
    const struct oauth_shown new = {.client_id = SPAN("either"), .client_secret = SPAN("another")};

    (void)state;
    assert_int_equal(writing(bench.store, rotate_steps, NULL), ERR_OK);
    request();
    assert_int_equal(proof(&old), ERR_OK);
    assert_int_equal(proof(&new), ERR_OK);
    clock_fake_move(&stage.clock, 60 * CLOCK_NS_PER_S);
    assert_refused(&old, "the secret is wrong");
    assert_int_equal(proof(&new), ERR_OK);
}

static enum err disable_steps(struct store_conn *conn, void *context)
{
    return oauth_client_set_active(conn, span_from(context), false, T0);
}

static void disabled_clients_are_refused(void **state)
{
    const struct oauth_shown shown = {.client_id = SPAN("either"), .client_secret = SPAN(SECRET)};
    char id[] = "either";

    (void)state;
    request();
    assert_int_equal(proof(&shown), ERR_OK);
    assert_int_equal(writing(bench.store, settle_caller, NULL), ERR_OK);
    assert_int_equal(writing(bench.store, disable_steps, id), ERR_OK);
    /* Checked before, disabled meanwhile. */
    assert_int_equal(writing(bench.store, settle_caller, NULL), ERR_OAUTH_INVALID_CLIENT);
    assert_string_equal(caller.why, "the client was disabled or changed meanwhile");
    assert_refused(&shown, "the client is disabled");
}

static enum err enable_steps(struct store_conn *conn, void *context)
{
    return oauth_client_set_active(conn, span_from(context), true, T0);
}

/* Its tokens ended while this request was under way, maybe behind a password: a new one would be
 * the only one that lives. */
static void what_ends_tokens_ends_those_on_their_way(void **state)
{
    const struct oauth_shown shown = {.client_id = SPAN("either"), .client_secret = SPAN(SECRET)};
    char id[] = "either";

    (void)state;
    request();
    assert_int_equal(proof(&shown), ERR_OK);
    assert_int_equal(writing(bench.store, disable_steps, id), ERR_OK);
    assert_int_equal(writing(bench.store, enable_steps, id), ERR_OK);
    assert_int_equal(writing(bench.store, settle_caller, NULL), ERR_OAUTH_INVALID_CLIENT);
    assert_string_equal(caller.why, "the client was disabled or changed meanwhile");
    assert_int_equal(proof(&shown), ERR_OK);
    assert_int_equal(writing(bench.store, settle_caller, NULL), ERR_OK);
}

/* ---- certificates and public clients ----------------------------------------------------------
 */

static void certificates_prove_their_subject(void **state)
{
    const struct oauth_shown shown = {.client_id = SPAN("bank")};

    (void)state;
    request();
    assert_refused(&shown, "no certificate was shown");
    stage.peer.tls_subject = SPAN_OF("CN=bank,O=Example");
    stage.peer.tls_thumbprint = SPAN_OF("thumb");
    assert_int_equal(proof(&shown), ERR_OK);
    assert_true(span_is(caller.thumbprint, "thumb"));
    stage.peer.tls_subject = SPAN_OF("CN=bank,O=Evil");
    assert_refused(&shown, "the certificate has another subject");
    stage.peer.tls_subject = SPAN_OF("CN=bank,O=Example,C=LV");
    assert_refused(&shown, "the certificate has another subject");
    /* A certificate proves nothing for those who agreed on something else. */
    assert_refused(&(struct oauth_shown){.client_id = SPAN("either")}, "nothing was shown");
}

static enum err bind_steps(struct store_conn *conn, void *context)
{
    struct oauth_client client;
    enum err err = oauth_client_find(conn, SPAN_OF("either"), &bench.arena, &client);

    (void)context;
    client.is_bound = true;
    return err ? err : oauth_client_update(conn, &client, T0);
}

/* Without a certificate its tokens could not be bound to one. */
static void bound_clients_need_a_certificate(void **state)
{
    const struct oauth_shown shown = {.client_id = SPAN("either"), .client_secret = SPAN(SECRET)};

    (void)state;
    assert_int_equal(writing(bench.store, bind_steps, NULL), ERR_OK);
    request();
    assert_int_equal(proof(&shown), ERR_OAUTH_INVALID_REQUEST);
    stage.peer.tls_subject = SPAN_OF("CN=whoever");
    stage.peer.tls_thumbprint = SPAN_OF("thumb");
    assert_int_equal(proof(&shown), ERR_OK);
}

static void public_clients_show_nothing(void **state)
{
    (void)state;
    request();
    assert_int_equal(proof(&(struct oauth_shown){.client_id = SPAN("spa")}), ERR_OK);
    assert_int_equal(caller.shown, OAUTH_METHOD_NONE);
    assert_refused(&(struct oauth_shown){.client_id = SPAN("spa"), .client_secret = SPAN("x")},
                   "the client authenticates in another way");
}

/* ---- refusals are remembered ------------------------------------------------------------------
 */

static const struct store_statement events = {
    .name = "test_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'client.refused' AND "
              "outcome = 'refused' AND address = '192.0.2.7' AND request_id = 'the-request'"};
static const struct store_statement known_events = {
    .name = "test_known_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE client = 'either' AND actor_kind = 'client' "
              "AND reason = 'the secret is wrong'"};
static const struct store_statement unknown_events = {
    .name = "test_unknown_events",
    .sqlite = "SELECT count(*) FROM trail_events WHERE client IS NULL AND "
              "actor_kind = 'unknown' AND actor = 'nobody'"};

static int64_t failed_logins(const char *client_id)
{
    struct span label = span_from(client_id);

    return metric_value(metric_series(stage.oauth->failed_logins, &label, 1));
}

static void refusals_are_counted_and_recorded(void **state)
{
    (void)state;
    request();
    with_basic("either:wrong");
    assert_refused(&(struct oauth_shown){0}, "the secret is wrong");
    assert_int_equal(writing(bench.store, refuse_caller, NULL), ERR_OK);
    assert_int_equal(stage.refused, ERR_OAUTH_INVALID_CLIENT);
    assert_int_equal(number_of(&known_events), 1);
    assert_int_equal(failed_logins("either"), 1);
    /* The job runs again: it was one failure all the same. */
    assert_int_equal(writing(bench.store, refuse_caller, NULL), ERR_OK);
    assert_int_equal(failed_logins("either"), 1);
    assert_int_equal(stage.failures, 1);
    request();
    with_basic("nobody:" SECRET);
    assert_refused(&(struct oauth_shown){0}, "there is no such client");
    assert_int_equal(writing(bench.store, refuse_caller, NULL), ERR_OK);
    assert_int_equal(number_of(&unknown_events), 1);
    assert_int_equal(failed_logins("unknown"), 1);
    assert_int_equal(failed_logins("nobody"), 0);
    assert_int_equal(number_of(&events), 3);
}

/* A flood of wrong secrets fills neither the trail nor the disk. */
static void a_flood_is_not_recorded(void **state)
{
    (void)state;
    request();
    stage.limit = ERR_RATE_LIMITED;
    with_basic("either:wrong");
    assert_refused(&(struct oauth_shown){0}, "the secret is wrong");
    assert_int_equal(writing(bench.store, refuse_caller, NULL), ERR_RATE_LIMITED);
    assert_int_equal(stage.refused, ERR_OK);
    assert_int_equal(number_of(&events), 0);
    assert_int_equal(failed_logins("either"), 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)
    const struct CMUnitTest tests[] = {
        T(secrets_come_by_the_ways_agreed),
        T(wrong_secrets_are_refused),
        T(basic_is_form_encoded),
        T(broken_headers_are_refused),
        T(one_way_at_a_time),
        T(unreadable_requests_are_limited),
        T(an_old_secret_ends_in_time),
        T(disabled_clients_are_refused),
        T(what_ends_tokens_ends_those_on_their_way),
        T(certificates_prove_their_subject),
        T(bound_clients_need_a_certificate),
        T(public_clients_show_nothing),
        T(refusals_are_counted_and_recorded),
        T(a_flood_is_not_recorded),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_caller", tests, NULL, NULL);
}
