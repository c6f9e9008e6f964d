/* SPDX-License-Identifier: MIT
 * Whole requests while the n-th call to the database, or the n-th allocation, fails, for every n
 * that a request reaches: an answer that is whole or a clear refusal, nothing half done in the
 * store, and the same request works afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "crypto/key.h"
#include "inside.h"
#include "store/store.h"

enum { TRIES_MAX = 400, ACCOUNTS_MAX = 2 * TRIES_MAX };

/* The breaker must not open: it would hide the calls behind it. */
#define SETTINGS                                                                                   \
    "circuit_breaker:\n  failure_threshold: 1000\n"                                                \
    "limits:\n  requests_per_minute: 1000000\n  routes:\n"                                         \
    "    - {route: POST /api/v1/oauth/token, burst: 1000000}\n"                                    \
    "    - {route: POST /api/v1/oauth/refresh, burst: 1000000}\n"                                  \
    "workers:\n  loops: 1\n"                                                                       \
    "oauth:\n  private_key_file: "

static char key_file[] = "/tmp/portcullis-failing-XXXXXX"; /* made once: RSA keys take long */
static struct span yaml;

static struct world world;
static struct caller caller = {.world = &world};
static char access_token[INSIDE_TEXT_BYTES];
static char refresh_token[INSIDE_TEXT_BYTES];
static char grant_token[INSIDE_TEXT_BYTES]; /* the refresh token of a grant */
static unsigned accounts;                   /* registered so far */
static unsigned refusals;                   /* answered so far */

/* Makes the n-th something fail from now; 0 stops that and tells whether it had yet to strike. */
typedef bool arm_fn(uint64_t nth);

static bool arm_store(uint64_t nth)
{
    bool waiting = store_fail_pending();

    store_fail_at(nth);
    return waiting;
}

static bool arm_alloc(uint64_t nth)
{
    bool waiting = alloc_fail_pending() != 0;

    alloc_fail_at(nth);
    return waiting;
}

static bool key_make(void)
{
    static char text[512];
    struct crypto_fault fault;
    PC_AUTO(crypto_key) key = NULL;
    int fd = mkstemp(key_file);

    if (fd < 0 || close(fd) != 0 || unlink(key_file) != 0 ||
        crypto_key_generate(CRYPTO_RS256, (struct span){0}, &key) != ERR_OK ||
        crypto_key_save(key, key_file, &fault) != ERR_OK)
        return false;
    (void)snprintf(text, sizeof(text), SETTINGS "%s\n", key_file);
    yaml = span_from(text);
    return true;
}

static int start(void **state)
{
    const char *way = getenv("PORTCULLIS_TEST_POSTGRES_URL");

    (void)state;
    world.way = WORLD_ADOPT;
    world.postgres = way;
    accounts = 0;
    refusals = 0;
    return key_make() && world_start(&world, yaml) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    inside_hangup(&caller);
    world_stop(&world);
    (void)unlink(key_file);
    return 0;
}

/* What must hold whatever failed. Each query counts what is wrong. */
static void assert_store_is_whole(void)
{
    static const struct span wrong[] = {
        /* A session has exactly one token that was not used; a used one has one successor. */
        SPAN("SELECT count(*) FROM sessions s WHERE s.client IS NULL AND (SELECT count(*) FROM "
             "refresh_tokens r WHERE r.session_id = s.id AND r.used_at IS NULL) <> 1"),
        SPAN("SELECT count(*) FROM refresh_tokens r WHERE r.used_at IS NOT NULL AND "
             "(SELECT count(*) FROM refresh_tokens c WHERE c.parent = r.id) <> 1"),
        /* A grant has one as well, and is the session of its client. */
        SPAN("SELECT count(*) FROM oauth_grants g WHERE (SELECT count(*) FROM "
             "oauth_refresh_tokens r WHERE r.session_id = g.session_id AND r.used_at IS NULL) "
             "<> 1"),
        SPAN("SELECT count(*) FROM sessions s WHERE s.client IS NOT NULL AND NOT EXISTS "
             "(SELECT 1 FROM oauth_grants g WHERE g.session_id = s.id)"),
        /* Whoever registered is logged in. */
        SPAN("SELECT count(*) FROM users u WHERE u.id > 3 AND NOT EXISTS "
             "(SELECT 1 FROM sessions s WHERE s.user_id = u.id)"),
        /* Whoever is not active has no session, and others have heard of each that ended. */
        SPAN("SELECT count(*) FROM sessions s JOIN users u ON u.id = s.user_id "
             "WHERE NOT u.is_active AND s.ended_at IS NULL"),
        SPAN("SELECT count(*) FROM sessions s WHERE s.ended_at IS NOT NULL AND NOT EXISTS "
             "(SELECT 1 FROM identity_changes c WHERE c.subject = s.user_id)"),
        /* What happened is recorded, and nothing is recorded that did not happen. */
        SPAN("SELECT count(*) FROM sessions s WHERE NOT EXISTS (SELECT 1 FROM trail_events e "
             "WHERE e.object = 'session:' || s.id AND e.event IN ('user.login', "
             "'user.registered', 'token.issued'))"),
        SPAN("SELECT count(*) FROM trail_events e WHERE e.object LIKE 'session:%' AND NOT EXISTS "
             "(SELECT 1 FROM sessions s WHERE e.object = 'session:' || s.id)"),
        SPAN("SELECT abs((SELECT count(*) FROM refresh_tokens WHERE used_at IS NOT NULL) + "
             "(SELECT count(*) FROM oauth_refresh_tokens WHERE used_at IS NOT NULL) - "
             "(SELECT count(*) FROM trail_events WHERE event = 'token.refreshed'))"),
        SPAN("SELECT abs((SELECT count(*) FROM sessions WHERE end_reason = 'logout') - "
             "(SELECT count(*) FROM trail_events WHERE event = 'user.logout'))"),
        SPAN("SELECT abs((SELECT count(*) FROM identity_changes WHERE subject = 3 AND at > "
             "(SELECT created_at FROM users WHERE id = 3)) - "
             "(SELECT count(*) FROM trail_events WHERE event = 'user.changed'))"),
    };

    for (size_t i = 0; i < PC_COUNT(wrong); i++) {
        int64_t count = world_number(&world, wrong[i]);

        if (count != 0)
            fail_msg("%lld of: %s", (long long)count, wrong[i].ptr);
    }
}

/* One request that can be sent again and again; the status that is right. */
typedef int request_fn(void);

static int ask_login(void)
{
    return inside_ask(&caller, "POST", "/api/v1/auth/login", NULL,
                      "{\"email\":\"user@example.com\",\"password\":\"user123\"}");
}

static int ask_register(void)
{
    char body[256];
    int status;

    (void)snprintf(body, sizeof(body),
                   "{\"username\":\"user-%u\",\"email\":\"user-%u@example.com\","
                   "\"password\":\"secure_password123\"}",
                   accounts, accounts);
    status = inside_ask(&caller, "POST", "/api/v1/auth/register", NULL, body);
    /* 409: it was committed, and the connection died before that could be told. */
    if (status == 201 || status == 409)
        accounts++;
    return status == 409 ? 201 : status;
}

/* Of somebody else each time: one address may fail on many. */
static int ask_stranger(void)
{
    static unsigned strangers;
    char body[128];
    int status;

    (void)snprintf(body, sizeof(body), "{\"email\":\"stranger-%u@example.com\",\"password\":\"x\"}",
                   strangers++);
    status = inside_ask(&caller, "POST", "/api/v1/auth/login", NULL, body);
    refusals += status == 401;
    return status;
}

static int ask_refresh(void)
{
    char body[INSIDE_TEXT_BYTES + 64];
    int status;

    (void)snprintf(body, sizeof(body), "{\"refresh_token\":\"%s\"}", refresh_token);
    status = inside_ask(&caller, "POST", "/api/v1/auth/refresh", NULL, body);
    if (status == 200)
        assert_true(inside_text(&caller, "refresh_token", refresh_token));
    return status;
}

static int ask_change(void)
{
    static bool active;

    active = !active;
    return inside_ask(&caller, "PATCH", "/api/v1/admin/users/3", access_token,
                      active ? "{\"is_active\":true}" : "{\"is_active\":false}");
}

static int ask_list(void)
{
    return inside_ask(&caller, "GET", "/api/v1/admin/users?limit=2", access_token, NULL);
}

static int ask_orders(void)
{
    return inside_ask(&caller, "GET", "/api/v1/trading/orders", access_token, NULL);
}

static int ask_logout(void)
{
    if (!inside_login(&caller, "user@example.com", "user123", access_token, NULL))
        return 0;
    return inside_ask(&caller, "POST", "/api/v1/auth/logout", access_token, NULL);
}

#define PORTAL "Basic d2ViLXBvcnRhbDpjaGFuZ2UtbWU=" /* web-portal:change-me */

static int ask_machine(void)
{
    return inside_ask(&caller, "POST", "/api/v1/oauth/token", PORTAL,
                      "grant_type=client_credentials");
}

static int ask_grant(void)
{
    int status = inside_ask(&caller, "POST", "/api/v1/oauth/token", PORTAL,
                            "grant_type=password&username=user@example.com&password=user123");

    if (status == 200)
        assert_true(inside_text(&caller, "refresh_token", grant_token));
    return status;
}

static int ask_renew(void)
{
    char body[INSIDE_TEXT_BYTES + 64];
    int status;

    if (grant_token[0] == '\0')
        return ask_grant();
    (void)snprintf(body, sizeof(body), "{\"refresh_token\":\"%s\"}", grant_token);
    status = inside_ask(&caller, "POST", "/api/v1/oauth/refresh", PORTAL, body);
    if (status == 200)
        assert_true(inside_text(&caller, "refresh_token", grant_token));
    return status;
}

static void must_work(request_fn *request, int good, uint64_t nth)
{
    int status = 0;

    /* A store thread may still be reconnecting. */
    for (int i = 0; i < 50 && status != good; i++)
        status = request();
    if (status != good)
        fail_msg("after failure %llu the answer is %d: %s", (unsigned long long)nth, status,
                 caller.body);
}

static void torture(arm_fn *arm, request_fn *request, int good)
{
    uint64_t struck = 0;

    must_work(request, good, 0);
    for (uint64_t nth = 1; nth < TRIES_MAX; nth++) {
        bool waiting;
        int status;

        (void)arm(nth);
        status = request();
        waiting = arm(0);
        if (status != good && status != 0 && status < 500)
            fail_msg("with failure %llu the answer is %d: %s", (unsigned long long)nth, status,
                     caller.body);
        must_work(request, good, nth);
        if (waiting)
            break;
        struck++;
    }
    print_message("# %llu failures\n", (unsigned long long)struck);
    assert_in_range(struck, 1, TRIES_MAX - 2);
    assert_store_is_whole();
}

static const struct {
    const char *name;
    request_fn *request;
    int good;
    bool by_admin;
} requests[] = {
    {"login", ask_login, 200, false},     {"register", ask_register, 201, false},
    {"refresh", ask_refresh, 200, false}, {"change", ask_change, 200, true},
    {"list", ask_list, 200, true},        {"orders", ask_orders, 200, false},
    {"logout", ask_logout, 200, false},   {"stranger", ask_stranger, 401, false},
    {"machine", ask_machine, 200, false}, {"grant", ask_grant, 200, false},
    {"renew", ask_renew, 200, false},
};

static void torture_named(arm_fn *arm, const char *name)
{
    for (size_t i = 0; i < PC_COUNT(requests); i++) {
        if (strcmp(requests[i].name, name) != 0)
            continue;
        inside_hangup(&caller); /* idle for too long, where processors are slow */
        assert_true(inside_login(
            &caller, requests[i].by_admin ? "admin@example.com" : "user@example.com",
            requests[i].by_admin ? "admin123" : "user123", access_token, refresh_token));
        torture(arm, requests[i].request, requests[i].good);
        return;
    }
    fail_msg("no request is called %s", name);
}

#define FAILING(name)                                                                              \
    static void name##_survives_the_store(void **state)                                            \
    {                                                                                              \
        (void)state;                                                                               \
        torture_named(arm_store, #name);                                                           \
    }                                                                                              \
    static void name##_survives_the_heap(void **state)                                             \
    {                                                                                              \
        (void)state;                                                                               \
        torture_named(arm_alloc, #name);                                                           \
    }
FAILING(login)
FAILING(register)
FAILING(refresh)
FAILING(change)
FAILING(list)
FAILING(orders)
FAILING(logout)
FAILING(machine)
FAILING(grant)
FAILING(renew)
#undef FAILING

/* Nobody is refused without a record of it. */
static void refusing_survives_the_store(void **state)
{
    (void)state;
    torture_named(arm_store, "stranger");
    assert_true(refusals > 0);
    assert_true(world_number(&world, SPAN_OF("SELECT count(*) FROM trail_events WHERE "
                                             "event = 'user.login' AND outcome = 'refused'")) >=
                (int64_t)refusals);
}

/* ---- the start --------------------------------------------------------------------------------
 */

enum { START_HEAP_MAX = 150, START_STEP = 5 };

/* Whatever fails, the start says so or succeeds; either way all is given back. */
static void start_and_stop(arm_fn *arm, uint64_t nth, bool *ret_waiting)
{
    static struct world other;
    bool good;

    other = (struct world){.way = WORLD_ADOPT};
    (void)arm(nth);
    good = world_start(&other, yaml);
    *ret_waiting = arm(0);
    if (good)
        world_stop(&other);
}

static void starting_survives_the_store(void **state)
{
    bool waiting = false;
    uint64_t nth = 0;

    (void)state;
    while (!waiting) {
        start_and_stop(arm_store, ++nth, &waiting);
        assert_in_range(nth, 1, TRIES_MAX);
    }
    assert_in_range(nth, 20, TRIES_MAX);
}

/* Not to the very end: what the loops need when their threads begin is asserted. */
static void starting_survives_the_heap(void **state)
{
    bool waiting;

    (void)state;
    for (uint64_t nth = 1; nth < START_HEAP_MAX; nth += START_STEP) {
        start_and_stop(arm_alloc, nth, &waiting);
        assert_false(waiting);
    }
}

int main(void)
{
#define BOTH(name)                                                                                 \
    cmocka_unit_test(name##_survives_the_store), cmocka_unit_test(name##_survives_the_heap)
    const struct CMUnitTest tests[] = {
        BOTH(login), BOTH(register), BOTH(refresh),  BOTH(change),
        BOTH(list),  BOTH(orders),   BOTH(logout),   BOTH(machine),
        BOTH(grant), BOTH(renew),    BOTH(starting), cmocka_unit_test(refusing_survives_the_store),
    };
#undef BOTH

    return cmocka_run_group_tests_name("failing", tests, start, stop);
}
