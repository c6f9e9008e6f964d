/* SPDX-License-Identifier: MIT
 * What a request for tokens leaves behind when the store or memory fails at any of its calls: an
 * honest 5xx, nothing half done, and a client that may simply ask again. */
#include "oauth/oauth_site_test_kit.h"

#include <time.h>

#include "base/alloc.h"

enum { CALLS_MAX = 60, ALLOCATIONS_MAX = 400 };

static const struct store_statement open_count = {
    .name = "test_open",
    .sqlite = "SELECT count(*) FROM sessions WHERE ended_at IS NULL AND client <> 'browser'"};
static const struct store_statement issued_count = {
    .name = "test_issued",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = 'token.issued'"};

#define WEB "client_id=web&client_secret=" SECRET

/* One request on a connection that is there already, so that the failure strikes the issuer; 0 when
 * it hung up without a word. */
static int ask(int fd, const char *text)
{
    size_t len = 0;
    uint64_t status = 0;
    ssize_t got;

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    while ((got = read(fd, site.text + len, SITE_TEXT_BYTES - 1 - len)) > 0)
        len += (size_t)got;
    (void)close(fd);
    site.text[len] = '\0';
    if (len > 12)
        assert_true(span_to_u64(span_make(site.text + 9, 3), &status));
    return (int)status;
}

static void request_of(char *text, size_t bytes, const char *path, const char *form)
{
    int len = snprintf(text, bytes,
                       "POST %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                       "Content-Type: application/x-www-form-urlencoded\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       path, strlen(form), form);

    assert_in_range(len, 1, bytes - 1);
}

static void assert_honest(int status)
{
    if (status != 0 && status != 200 && status < 500)
        fail_msg("a failure of ours is the client's: %s", site.text);
}

static void wait_a_little(void)
{
    const struct timespec wait = {.tv_nsec = 5000000};

    (void)nanosleep(&wait, NULL);
}

/* Whatever the store answers once it has picked itself up. */
static int64_t looked_at(steps_fn *steps, struct number *number)
{
    enum err err = reading(bench.store, steps, number);

    for (int i = 0; err == ERR_STORE_UNAVAILABLE && i < 1000; i++) {
        wait_a_little();
        err = reading(bench.store, steps, number);
    }
    assert_int_equal(err, ERR_OK);
    return number->value;
}

static int64_t count_of(const struct store_statement *statement)
{
    struct number number = {.statement = statement};

    return looked_at(number_steps, &number);
}

static int64_t events_of(enum trail_event event)
{
    struct number number = {.statement = (const void *)trail_event_name(event)};

    return looked_at(site_events_steps, &number);
}

/* Asks until the store has picked itself up: a handle that failed is opened anew. */
static int again(const char *path, const char *form)
{
    int status = site_form(path, "", form);

    for (int i = 0; status == 503 && i < 1000; i++) {
        wait_a_little();
        status = site_form(path, "", form);
    }
    return status;
}

/* ---- the store --------------------------------------------------------------------------------
 */

/* Sends the form with the n-th call of the store failing; true while there was an n-th. */
static bool with_store_failing(uint64_t nth, const char *path, const char *form, int *ret_status)
{
    char text[4096];
    int fd = site_dial();
    bool struck;

    request_of(text, sizeof(text), path, form);
    store_fail_at(nth);
    *ret_status = ask(fd, text);
    struck = !store_fail_pending();
    store_fail_at(0);
    assert_honest(*ret_status);
    assert_in_range(nth, 1, CALLS_MAX);
    return struck;
}

static void code_form(char *form, size_t bytes, struct span code)
{
    (void)snprintf(form, bytes,
                   "grant_type=authorization_code&" WEB "&code=%.*s&redirect_uri=" CALLBACK
                   "&code_verifier=" VERIFIER,
                   SPAN_ARG(code));
}

static void refresh_form(char *form, size_t bytes, struct span token)
{
    (void)snprintf(form, bytes, "grant_type=refresh_token&" WEB "&refresh_token=%.*s",
                   SPAN_ARG(token));
}

static void a_client_asks_again_after_a_failure(void **state)
{
    uint64_t nth = 0;
    int64_t before;
    int status;
    bool struck;

    (void)state;
    do {
        before = count_of(&issued_count);
        struck =
            with_store_failing(++nth, "/auth/token", "grant_type=client_credentials&" WEB, &status);
        assert_int_equal(count_of(&issued_count), before + (status == 200));
    } while (struck);
    assert_int_equal(again("/auth/token", "grant_type=client_credentials&" WEB), 200);
    assert_true(nth > 3);
}

/* A code whose exchange failed is as good as before; none ever works twice. */
static void a_code_survives_a_failure(void **state)
{
    uint64_t nth = 0;
    char form[1024];
    int status;
    bool struck;

    (void)state;
    do {
        struct site_code code = site_code("web", "accounts:read");
        int64_t before = count_of(&open_count);

        code_form(form, sizeof(form), code.text);
        struck = with_store_failing(++nth, "/auth/token", form, &status);
        assert_int_equal(count_of(&open_count), before + (status == 200));
        if (status != 200)
            assert_int_equal(again("/auth/token", form), 200);
        assert_int_equal(count_of(&open_count), before + 1);
    } while (struck);
    assert_true(nth > 5);
}

static void a_refresh_token_survives_a_failure(void **state)
{
    struct site_code code = site_code("web", "accounts:read");
    struct span token;
    uint64_t nth = 0;
    char form[1024];
    int status;
    bool struck;

    (void)state;
    assert_int_equal(site_exchange(code.text, "web", NULL, NULL), 200);
    token = site_said("refresh_token");
    do {
        refresh_form(form, sizeof(form), token);
        struck = with_store_failing(++nth, "/auth/token", form, &status);
        if (status != 200)
            assert_int_equal(again("/auth/token", form), 200);
        token = site_said("refresh_token");
        assert_int_equal(token.len, OAUTH_TOKEN_TEXT_BYTES);
        site_later(GRACE_S);
    } while (struck);
    assert_true(nth > 5);
    assert_int_equal(count_of(&open_count), 1);
}

/* A thief is refused, and what he stole ends, in one commit or not at all. */
static void a_theft_is_dealt_with_whole(void **state)
{
    uint64_t nth = 0;
    char form[1024], text[4096];
    int status;

    (void)state;
    do {
        struct site_code code = site_code("web", "accounts:read");
        int64_t before = events_of(TRAIL_CODE_REUSED);
        int fd = site_dial();

        code_form(form, sizeof(form), code.text);
        assert_int_equal(again("/auth/token", form), 200);
        request_of(text, sizeof(text), "/auth/token", form);
        store_fail_at(++nth);
        status = ask(fd, text);
        store_fail_at(0);
        assert_true(status == 400 || status >= 500);
        assert_int_equal(count_of(&open_count), status == 400 ? 0 : 1);
        assert_int_equal(events_of(TRAIL_CODE_REUSED), before + (status == 400));
        assert_refusal(again("/auth/token", form), "invalid_grant");
        assert_int_equal(count_of(&open_count), 0);
        assert_in_range(nth, 1, CALLS_MAX);
    } while (status != 400);
    assert_true(nth > 3);
}

static void a_password_may_be_given_again(void **state)
{
    static const char form[] = "grant_type=password&" WEB
                               "&username=anna@example.com&password=correct+horse+battery+staple";
    uint64_t nth = 0;
    int status;
    bool struck;

    (void)state;
    do {
        int64_t before = count_of(&open_count);

        struck = with_store_failing(++nth, "/auth/token", form, &status);
        assert_int_equal(count_of(&open_count), before + (status == 200));
    } while (struck); /* and no failure of ours counts as a guess */
    assert_int_equal(again("/auth/token", form), 200);
}

static void giving_back_may_be_repeated(void **state)
{
    uint64_t nth = 0;
    char form[1024];
    int status;
    bool struck;

    (void)state;
    do {
        struct site_code code = site_code("web", "accounts:read");

        code_form(form, sizeof(form), code.text);
        assert_int_equal(again("/auth/token", form), 200);
        (void)snprintf(form, sizeof(form), WEB "&token=%.*s", SPAN_ARG(site_said("refresh_token")));
        struck = with_store_failing(++nth, "/auth/revoke", form, &status);
        assert_int_equal(count_of(&open_count), status == 200 ? 0 : 1);
        assert_int_equal(again("/auth/revoke", form), 200);
        assert_int_equal(count_of(&open_count), 0);
    } while (struck);
}

static void asking_may_be_repeated(void **state)
{
    uint64_t nth = 0;
    char form[4096];
    int status;
    bool struck;

    (void)state;
    assert_int_equal(site_token("grant_type=client_credentials&" WEB), 200);
    (void)snprintf(form, sizeof(form), WEB "&token=%.*s", SPAN_ARG(site_said("access_token")));
    do
        struck = with_store_failing(++nth, "/auth/introspect", form, &status);
    while (struck);
    assert_int_equal(again("/auth/introspect", form), 200);
    assert_said("active", "true");
}

/* ---- memory -----------------------------------------------------------------------------------
 */

/* Sends the form with the n-th allocation failing; true while there was an n-th. */
static bool with_memory_failing(uint64_t nth, const char *path, const char *form, int *ret_status)
{
    char text[4096];
    int fd = site_dial();
    bool struck;

    request_of(text, sizeof(text), path, form);
    alloc_fail_at(nth);
    *ret_status = ask(fd, text);
    struck = alloc_fail_pending() == 0;
    alloc_fail_at(0);
    assert_honest(*ret_status);
    assert_in_range(nth, 1, ALLOCATIONS_MAX);
    return struck;
}

/* Whatever was lost on the way, the reply or the work, asking again within the grace gives tokens:
 * nobody is logged out. */
static void no_memory_logs_nobody_out(void **state)
{
    struct site_code code = site_code("slow", "openid accounts:read");
    struct span token;
    uint64_t nth = 0;
    char form[1024];
    int status;
    bool struck;

    (void)state;
    assert_int_equal(site_exchange(code.text, "slow", NULL, NULL), 200);
    token = site_said("refresh_token");
    do {
        (void)snprintf(form, sizeof(form),
                       "grant_type=refresh_token&client_id=slow&client_secret=" SECRET
                       "&refresh_token=%.*s",
                       SPAN_ARG(token));
        struck = with_memory_failing(++nth, "/auth/token", form, &status);
        if (status != 200)
            assert_int_equal(again("/auth/token", form), 200);
        token = site_said("refresh_token");
        assert_int_equal(token.len, OAUTH_TOKEN_TEXT_BYTES);
        site_later(GRACE_S);
    } while (struck);
    assert_true(nth > 2);
    assert_int_equal(count_of(&open_count), 1);
}

static void no_memory_is_no_refusal(void **state)
{
    static const char *const forms[] = {
        "grant_type=client_credentials&" WEB,
        "grant_type=password&" WEB
        "&username=anna@example.com&password=correct+horse+battery+staple&scope=openid",
    };

    (void)state;
    assert_int_equal(site_token(forms[0]), 200); /* all threads are up */
    for (size_t i = 0; i < PC_COUNT(forms); i++) {
        uint64_t nth = 0;
        int status;

        while (with_memory_failing(++nth, "/auth/token", forms[i], &status))
            continue;
        assert_int_equal(status, 200);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, site_setup, site_teardown)
    const struct CMUnitTest tests[] = {
        T(a_client_asks_again_after_a_failure),
        T(a_code_survives_a_failure),
        T(a_refresh_token_survives_a_failure),
        T(a_theft_is_dealt_with_whole),
        T(a_password_may_be_given_again),
        T(giving_back_may_be_repeated),
        T(asking_may_be_repeated),
        T(no_memory_logs_nobody_out),
        T(no_memory_is_no_refusal),
    };
#undef T

    return cmocka_run_group_tests_name("oauth_fault", tests, make_keys, free_keys);
}
