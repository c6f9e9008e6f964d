/* SPDX-License-Identifier: MIT
 * Many clients at once: what may happen once happens once, whatever the interleaving. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "inside.h"

enum { RACERS = 8, ROUNDS = 12, LIMIT = 40 };

static const struct span yaml = SPAN("limits:\n  requests_per_minute: 1000000\n"
                                     "  routes:\n    - route: GET /api/v1/users/profile\n"
                                     "      requests_per_minute: 40\n");

static struct world world;
static pthread_barrier_t line;

/* One of many clients and what it does when all are ready. */
struct racer {
    struct caller caller;
    pthread_t thread;
    size_t number;
    const char *token; /* shared */
    char body[INSIDE_TEXT_BYTES];
    const char *method, *path;
    unsigned times; /* how often it asks */
    unsigned taken; /* how often that was answered below 400 */
    int status;     /* of the last reply */
};

static void *run(void *context)
{
    struct racer *racer = context;

    /* The connection first, so that the requests meet. */
    racer->status = inside_ask(&racer->caller, "GET", "/livez", NULL, NULL);
    (void)pthread_barrier_wait(&line);
    for (unsigned i = 0; i < racer->times; i++) {
        racer->status = inside_ask(&racer->caller, racer->method, racer->path, racer->token,
                                   racer->body[0] != '\0' ? racer->body : NULL);
        racer->taken += racer->status > 0 && racer->status < 400;
    }
    return NULL;
}

static void race(struct racer *racers, size_t count)
{
    assert_int_equal(pthread_barrier_init(&line, NULL, (unsigned)count), 0);
    for (size_t i = 0; i < count; i++) {
        racers[i].number = i;
        racers[i].caller.world = &world;
        racers[i].times = racers[i].times ? racers[i].times : 1;
        racers[i].taken = 0;
        assert_int_equal(pthread_create(&racers[i].thread, NULL, run, &racers[i]), 0);
    }
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
        inside_hangup(&racers[i].caller);
    }
    assert_int_equal(pthread_barrier_destroy(&line), 0);
}

static size_t with_status(const struct racer *racers, size_t count, int status)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++)
        found += racers[i].status == status;
    return found;
}

static int start(void **state)
{
    (void)state;
    world.way = WORLD_ADOPT;
    world.postgres = getenv("PORTCULLIS_TEST_POSTGRES_URL");
    return world_start(&world, yaml) ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    world_stop(&world);
    return 0;
}

static void login(const char *email, const char *password, char *ret_access, char *ret_refresh)
{
    struct caller caller = {.world = &world};

    assert_true(inside_login(&caller, email, password, ret_access, ret_refresh));
    inside_hangup(&caller);
}

/* Eight clients with one refresh token, as when a page is open eight times: all get the same pair,
 * byte by byte, and it goes on from there. */
static void one_token_gives_one_pair(void **state)
{
    static struct racer racers[RACERS];
    static char refresh[INSIDE_TEXT_BYTES];

    (void)state;
    login("user@example.com", "user123", NULL, refresh);
    for (int round = 0; round < ROUNDS; round++) {
        memset(racers, 0, sizeof(racers));
        for (size_t i = 0; i < RACERS; i++) {
            racers[i].method = "POST";
            racers[i].path = "/api/v1/auth/refresh";
            (void)snprintf(racers[i].body, sizeof(racers[i].body),
                           "{\"refresh_token\":\"%.4000s\"}", refresh);
        }
        race(racers, RACERS);
        assert_int_equal(with_status(racers, RACERS, 200), RACERS);
        for (size_t i = 1; i < RACERS; i++)
            assert_string_equal(racers[i].caller.body, racers[0].caller.body);
        assert_true(inside_text(&racers[0].caller, "refresh_token", refresh));
    }
    assert_int_equal(world_number(&world, SPAN_OF("SELECT count(*) FROM refresh_tokens r JOIN "
                                                  "sessions s ON s.id = r.session_id "
                                                  "WHERE r.used_at IS NULL")),
                     world_number(&world, SPAN_OF("SELECT count(*) FROM sessions")));
}

/* Two administrators take each other's rights away at the same moment: one stays. */
static void an_administrator_stays(void **state)
{
    static struct racer racers[2];
    static char tokens[2][INSIDE_TEXT_BYTES];

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        assert_true(world_sql(&world, SPAN_OF("UPDATE users SET is_admin = TRUE WHERE id <> 2")));
        login("admin@example.com", "admin123", tokens[0], NULL);
        login("analyst@example.com", "P@ssw0rd!", tokens[1], NULL);
        memset(racers, 0, sizeof(racers));
        for (size_t i = 0; i < 2; i++) {
            racers[i].method = "PATCH";
            racers[i].path = i == 0 ? "/api/v1/admin/users/3" : "/api/v1/admin/users/1";
            racers[i].token = tokens[i];
            (void)snprintf(racers[i].body, sizeof(racers[i].body), "%s",
                           round % 2 ? "{\"is_admin\":false}"
                                     : "{\"is_admin\":false,\"is_active\":true}");
        }
        race(racers, 2);
        assert_int_equal(with_status(racers, 2, 200), 1);
        assert_int_equal(with_status(racers, 2, 409) + with_status(racers, 2, 403), 1);
        assert_int_equal(world_number(&world, SPAN_OF("SELECT count(*) FROM users WHERE is_admin "
                                                      "AND is_active")),
                         1);
    }
    assert_true(world_sql(&world, SPAN_OF("UPDATE users SET is_admin = (id = 1)")));
}

/* Eight people want one e-mail address. */
static void one_address_makes_one_user(void **state)
{
    static struct racer racers[RACERS];

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        memset(racers, 0, sizeof(racers));
        for (size_t i = 0; i < RACERS; i++) {
            racers[i].method = "POST";
            racers[i].path = "/api/v1/auth/register";
            (void)snprintf(racers[i].body, sizeof(racers[i].body),
                           "{\"username\":\"racer-%d-%zu\",\"email\":\"%s-%d@example.com\","
                           "\"password\":\"secure_password123\"}",
                           round, i, i % 2 ? "RACE" : "race", round);
        }
        race(racers, RACERS);
        assert_int_equal(with_status(racers, RACERS, 201), 1);
        assert_int_equal(with_status(racers, RACERS, 409), RACERS - 1);
    }
    assert_int_equal(world_number(&world, SPAN_OF("SELECT count(*) FROM users")), 3 + ROUNDS);
}

/* The bucket is exact across connections and loops; what time adds meanwhile is one or two. */
static void a_limit_is_exact(void **state)
{
    static struct racer racers[RACERS];
    static char token[INSIDE_TEXT_BYTES];
    unsigned taken = 0;

    (void)state;
    login("user@example.com", "user123", token, NULL);
    memset(racers, 0, sizeof(racers));
    for (size_t i = 0; i < RACERS; i++) {
        racers[i].method = "GET";
        racers[i].path = "/api/v1/users/profile";
        racers[i].token = token;
        racers[i].times = LIMIT;
    }
    race(racers, RACERS);
    for (size_t i = 0; i < RACERS; i++)
        taken += racers[i].taken;
    assert_in_range(taken, LIMIT, LIMIT + 2);
}

/* ---- a session that ends under its users ------------------------------------------------------
 */

static atomic_bool over; /* the answer to the logout is here */
static atomic_uint late; /* requests begun after that and let in */

static void *use_session(void *context)
{
    struct caller caller = {.world = &world};

    for (;;) {
        bool was_over = atomic_load(&over);
        int status = inside_ask(&caller, "GET", "/api/v1/auth/me", context, NULL);

        if (was_over && status != 401)
            atomic_fetch_add(&late, 1);
        if (was_over)
            break;
    }
    inside_hangup(&caller);
    return NULL;
}

static void nobody_is_let_in_after_a_logout(void **state)
{
    static char token[INSIDE_TEXT_BYTES];
    struct caller caller = {.world = &world};
    pthread_t threads[RACERS];

    (void)state;
    atomic_store(&late, 0);
    for (int round = 0; round < ROUNDS; round++) {
        atomic_store(&over, false);
        login("user@example.com", "user123", token, NULL);
        for (size_t i = 0; i < RACERS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, use_session, token), 0);
        for (int i = 0; i < 5; i++)
            assert_int_equal(inside_ask(&caller, "GET", "/api/v1/auth/me", token, NULL), 200);
        assert_int_equal(inside_ask(&caller, "POST", "/api/v1/auth/logout", token, NULL), 200);
        atomic_store(&over, true);
        for (size_t i = 0; i < RACERS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    inside_hangup(&caller);
    assert_int_equal(atomic_load(&late), 0);
}

/* ---- stopping under load ----------------------------------------------------------------------
 */

/* Until the connection is taken away. It is never opened again: there is nobody to open it. */
static void *never_stop_asking(void *context)
{
    struct caller caller = {.world = &world};
    bool quick = (uintptr_t)context % 2 == 0;
    bool whole = inside_ask(&caller, "GET", "/livez", NULL, NULL) == 200;

    (void)pthread_barrier_wait(&line);
    while (caller.link != NULL) {
        int status = quick
                         ? inside_ask(&caller, "GET", "/api/v1/health", NULL, NULL)
                         : inside_ask(&caller, "POST", "/api/v1/auth/login", NULL,
                                      "{\"email\":\"user@example.com\",\"password\":\"user123\"}");

        whole = whole && (status == 0 || status == 200 || status == 503);
    }
    return whole ? context : NULL;
}

/* The program stops while it is asked: every reply that comes is whole, and nothing is left. */
static void stopping_is_clean_under_load(void **state)
{
    const struct timespec load = {.tv_nsec = 50 * 1000 * 1000};
    pthread_t threads[RACERS];
    void *whole;

    (void)state;
    assert_int_equal(pthread_barrier_init(&line, NULL, RACERS + 1), 0);
    for (uintptr_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, never_stop_asking, (void *)(i + 1)), 0);
    (void)pthread_barrier_wait(&line);
    (void)nanosleep(&load, NULL);
    serve_stop(world.serve);
    world.serve = NULL;
    for (size_t i = 0; i < RACERS; i++) {
        assert_int_equal(pthread_join(threads[i], &whole), 0);
        assert_non_null(whole);
    }
    assert_int_equal(pthread_barrier_destroy(&line), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_token_gives_one_pair),
        cmocka_unit_test(an_administrator_stays),
        cmocka_unit_test(one_address_makes_one_user),
        cmocka_unit_test(a_limit_is_exact),
        cmocka_unit_test(nobody_is_let_in_after_a_logout),
        cmocka_unit_test(stopping_is_clean_under_load),
    };

    return cmocka_run_group_tests_name("racing", tests, start, stop);
}
