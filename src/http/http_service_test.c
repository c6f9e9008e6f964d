/* SPDX-License-Identifier: MIT
 * A service is made whole or not at all: rows that leave a decision out are refused at the start,
 * and so is a start without memory. */
#include "http/http_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/alloc.h"

static enum err answer(struct http_request *req)
{
    return http_reply_empty(req, 204);
}

static const struct http_policy policy = {.rate = {.requests = 60, .period_ns = CLOCK_NS_PER_S},
                                          .breaker_failures = 5,
                                          .breaker_open_ns = CLOCK_NS_PER_S,
                                          .breaker_probes = 1};

static struct http_engine *engine_of(struct metrics *metrics)
{
    const struct http_engine_options options = {
        .clock = &clock_system, .random = &random_system, .metrics = metrics, .limit_slots = 64};
    struct http_engine *engine;

    assert_int_equal(http_engine_new(&options, &engine), ERR_OK);
    return engine;
}

static struct http_service_options options_of(const struct http_mount *mounts, size_t count)
{
    return (struct http_service_options){.name = "test",
                                         .title = "Test",
                                         .about = "Test.",
                                         .version = "1",
                                         .docs_base = "/api/",
                                         .mounts = mounts,
                                         .mount_count = count,
                                         .policy = &policy};
}

#define GOOD .method = NET_METHOD_GET, .access = HTTP_ACCESS_OPEN, .handle = answer, .id = "x"

static const struct json_field bad_fields[] = {{.name = "a"}}; /* of no kind */
static const struct json_schema bad_schema = {
    .name = "Bad", .fields = bad_fields, .field_count = 1, .bytes = 8};

static const struct json_schema deep_item = {
    .name = "Item", .fields = NULL, .field_count = 0, .bytes = 8};
static const struct json_field deep_fields[] = {
    {.name = "a", .kind = JSON_KIND_OBJECT, .schema = &deep_item}};
static const struct json_schema deep_schema = {
    .name = "Deep", .fields = deep_fields, .field_count = 1, .bytes = 8};

static void own_form(struct http_request *req, struct http_problem *problem)
{
    (void)req;
    (void)problem;
}

/* Zero means strict: what a row leaves out stops the start, with a sentence. */
static void rows_that_are_not_whole_are_refused(void **state)
{
    static const struct http_route rows[][3] = {
        {{.method = NET_METHOD_GET, .handle = answer, .id = "x", .path = "/a"}},
        {{.method = NET_METHOD_GET, .access = HTTP_ACCESS_OPEN, .id = "x", .path = "/a"}},
        {{.access = HTTP_ACCESS_OPEN, .handle = answer, .id = "x", .path = "/a"}},
        {{.method = NET_METHOD_GET, .access = HTTP_ACCESS_OPEN, .handle = answer, .path = "/a"}},
        {{GOOD, .path = "/a", .body = &bad_schema}},
        {{GOOD, .path = "/a", .input = &bad_schema}},
        {{GOOD, .path = "/a"}, {GOOD, .path = "/a"}},
        {{GOOD, .path = "/{a}"}, {GOOD, .path = "/{b}"}},
        {{GOOD, .path = "a"}},
        {{GOOD, .path = "/livez"}},                 /* built in */
        {{GOOD, .path = "/a", .scopes = "a:read"}}, /* of nobody */
        {{GOOD, .path = "/a", .roles = "admin"}},
        {{GOOD, .path = "/a", .tokens = HTTP_TOKENS_ANY}},
        {{GOOD, .path = "/a", .certificate = true}},
        {{.method = NET_METHOD_GET,
          .access = HTTP_ACCESS_BEARER,
          .handle = answer,
          .id = "x",
          .path = "/a",
          .scopes = "a:read,a:write \""}},
        {{GOOD, .path = "/a", .keyed = true}}, /* whose would a key be */
        {{.method = NET_METHOD_POST,
          .access = HTTP_ACCESS_BEARER,
          .handle = answer,
          .id = "x",
          .path = "/a",
          .keyed = true,
          .problem = own_form}},
        {{GOOD, .path = "/a", .form = HTTP_FORM_URLENCODED}},
        {{GOOD, .path = "/a", .form = HTTP_FORM_EITHER, .body = &deep_schema}},
    };
    struct metrics *metrics;
    struct http_engine *engine;

    (void)state;
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    engine = engine_of(metrics);
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        const struct http_mount table = {.rows = rows[i]};
        struct http_service_options options = options_of(&table, 1);
        struct http_service *service = NULL;
        const char *why = NULL;

        if (http_service_new(engine, &options, &service, &why) != ERR_CONFIG)
            fail_msg("row %zu is taken", i);
        assert_non_null(why);
        assert_null(service);
    }
    http_engine_free(engine);
    metrics_free(metrics);
}

/* A table is mounted whole: no row may lie outside of what is replaced. */
static void a_mount_must_fit_its_rows(void **state)
{
    static const struct http_route rows[] = {{GOOD, .path = "/auth/a"}, {.path = NULL}};
    static const struct http_route long_rows[] = {
        {GOOD, .path = "/auth/ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/"
                       "ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/"
                       "ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/"
                       "ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_/ten_bytes_"},
        {.path = NULL}};
    static const struct http_mount mounts[] = {{.rows = rows, .from = "/oauth", .to = "/api"},
                                               {.rows = long_rows, .from = "", .to = "/api/v1"},
                                               {.rows = rows, .from = "/auth/a", .to = ""}};
    struct metrics *metrics;
    struct http_engine *engine;

    (void)state;
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    engine = engine_of(metrics);
    for (size_t i = 0; i < PC_COUNT(mounts); i++) {
        struct http_service_options options = options_of(&mounts[i], 1);
        struct http_service *service = NULL;
        const char *why = NULL;

        assert_int_equal(http_service_new(engine, &options, &service, &why), ERR_CONFIG);
        assert_non_null(why);
    }
    http_engine_free(engine);
    metrics_free(metrics);
}

static const struct http_route good_rows[] = {
    {GOOD, .path = "/a"},
    {.method = NET_METHOD_POST,
     .access = HTTP_ACCESS_OPEN,
     .handle = answer,
     .id = "y",
     .path = "/a"},
    {GOOD, .path = "/b/{c}"},
    {.path = NULL},
};

/* Each allocation of the start fails once: it says so and leaves nothing behind. */
static void a_start_without_memory_leaves_nothing(void **state)
{
    const struct http_mount table = {.rows = good_rows};
    struct http_service_options options = options_of(&table, 1);
    struct http_service *service = NULL;
    struct metrics *metrics;
    struct http_engine *engine;
    uint64_t nth = 0;
    enum err err;

    (void)state;
    assert_int_equal(metrics_new(&metrics), ERR_OK);
    engine = engine_of(metrics);
    do {
        const char *why = NULL;

        alloc_fail_at(++nth);
        err = http_service_new(engine, &options, &service, &why);
        if (err != ERR_OK)
            assert_true(err == ERR_NO_MEMORY || err == ERR_NO_SPACE || err == ERR_BODY_TOO_LARGE);
        else if (alloc_fail_pending() == 0)
            http_service_free(service); /* a metric without memory does nothing, and is counted */
    } while (alloc_fail_pending() == 0);
    alloc_fail_at(0);
    assert_int_equal(err, ERR_OK);
    assert_in_range(nth, 10, 5000);
    http_service_free(service);
    http_engine_free(engine);
    metrics_free(metrics);
}

/* Two users may share a counter; a change of one moves the other's too, and no third one's. */
static void epochs_move_for_their_user(void **state)
{
    static struct http_epochs epochs;
    size_t moved = 0;

    (void)state;
    http_epoch_move(&epochs, 42);
    assert_int_equal(http_epoch_now(&epochs, 42), 1);
    for (int64_t id = 0; id < 1000; id++)
        moved += http_epoch_now(&epochs, id) != 0;
    assert_in_range(moved, 1, 4);
    for (int64_t id = -5; id < 5; id++)
        assert_in_range(http_epoch_slot(id), 0, HTTP_EPOCHS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_that_are_not_whole_are_refused),
        cmocka_unit_test(a_mount_must_fit_its_rows),
        cmocka_unit_test(a_start_without_memory_leaves_nothing),
        cmocka_unit_test(epochs_move_for_their_user),
    };

    return cmocka_run_group_tests_name("http_service", tests, NULL, NULL);
}
