/* SPDX-License-Identifier: MIT
 * The route tree: literals before parameters, methods apart, and the same work for one route as for
 * a thousand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "http/http_router.h"

static struct http_router *router_of(const char *const *paths, size_t count)
{
    struct http_router *router;

    assert_int_equal(http_router_new(&router), ERR_OK);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(http_router_add(router, NET_METHOD_GET, paths[i], (uint32_t)i), ERR_OK);
    return router;
}

static void router_prefers_literals_and_falls_back(void **state)
{
    static const char *const paths[] = {"/",      "/a",           "/a/",       "/t/{id}",
                                        "/t/acc", "/t/acc/{acc}", "/t/{id}/x", "/{any}/y/{z}"};
    struct http_router *router = router_of(paths, PC_COUNT(paths));
    struct http_match match;

    (void)state;
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/"), &match), ERR_OK);
    assert_int_equal(match.index, 0);
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/a/"), &match), ERR_OK);
    assert_int_equal(match.index, 2);
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/t/acc"), &match), ERR_OK);
    assert_int_equal(match.index, 4);
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/t/7"), &match), ERR_OK);
    assert_int_equal(match.index, 3);
    assert_true(span_is(match.params[0], "7"));
    /* The literal "acc" leads nowhere here, so it is taken for an id. */
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/t/acc/x"), &match), ERR_OK);
    assert_int_equal(match.index, 5);
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/t/y/z"), &match), ERR_OK);
    assert_int_equal(match.index, 7);
    assert_true(span_is(match.params[0], "t") && span_is(match.params[1], "z"));
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/t/"), &match),
                     ERR_NOT_FOUND);
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/t/7/x/"), &match),
                     ERR_NOT_FOUND);
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/A"), &match),
                     ERR_NOT_FOUND);
    http_router_free(router);
}

static uint32_t found(const struct http_router *router, const char *path)
{
    struct http_match match;

    return http_router_find(router, NET_METHOD_GET, span_from(path), &match) == ERR_OK ? match.index
                                                                                       : 99;
}

/* What no other route has goes to the nearest that takes all below it. */
static void router_gives_the_rest(void **state)
{
    static const char *const paths[] = {"/a/*", "/a/b", "/a/{id}/c", "/a/b/c/*", "/{any}/d"};
    struct http_router *router = router_of(paths, PC_COUNT(paths));
    static const char deep[] = "/a/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18/19/20";

    (void)state;
    assert_int_equal(found(router, "/a"), 0);
    assert_int_equal(found(router, "/a/"), 0);
    assert_int_equal(found(router, "/a/x"), 0);
    assert_int_equal(found(router, deep), 0);
    assert_int_equal(found(router, "/a/b"), 1);
    assert_int_equal(found(router, "/a/b/"), 0);
    assert_int_equal(found(router, "/a/b/x"), 0);
    assert_int_equal(found(router, "/a/x/c"), 2);
    assert_int_equal(found(router, "/a/b/c"), 3);
    assert_int_equal(found(router, "/a/b/c/d/e"), 3);
    assert_int_equal(found(router, "/a/d"), 0);
    assert_int_equal(found(router, "/x/d"), 4);
    assert_int_equal(found(router, "/x/e"), 99);
    assert_int_equal(found(router, "/ab"), 99);
    assert_int_equal(http_router_add(router, NET_METHOD_GET, "/a/*", 9), ERR_CONFIG);
    assert_int_equal(http_router_add(router, NET_METHOD_GET, "/x/*/y", 9), ERR_CONFIG);
    assert_int_equal(http_router_add(router, NET_METHOD_GET, "/*", 9), ERR_OK);
    assert_int_equal(found(router, "/"), 9);
    assert_int_equal(found(router, "/x/e"), 9);
    http_router_free(router);
}

static void router_keeps_methods_apart(void **state)
{
    static const char *const paths[] = {"/a"};
    struct http_router *router = router_of(paths, 1);
    struct http_match match;

    (void)state;
    assert_int_equal(http_router_add(router, NET_METHOD_POST, "/a", 9), ERR_OK);
    assert_int_equal(http_router_add(router, NET_METHOD_POST, "/a", 9), ERR_CONFIG);
    assert_int_equal(http_router_add(router, NET_METHOD_GET, "a", 9), ERR_CONFIG);
    assert_int_equal(http_router_find(router, NET_METHOD_DELETE, SPAN_OF("/a"), &match),
                     ERR_METHOD_NOT_ALLOWED);
    assert_int_equal(match.methods, (1U << NET_METHOD_GET) | (1U << NET_METHOD_POST));
    assert_int_equal(http_router_find(router, NET_METHOD_POST, SPAN_OF("/a"), &match), ERR_OK);
    assert_int_equal(match.index, 9);
    http_router_free(router);
}

/* However deep and however many: every route is found, and nothing else. */
static void router_finds_each_of_many(void **state)
{
    enum { ROUTES = 3000 };
    static char texts[ROUTES][40];
    struct http_router *router;
    struct http_match match;

    (void)state;
    assert_int_equal(http_router_new(&router), ERR_OK);
    for (uint32_t i = 0; i < ROUTES; i++) {
        struct sbuf out = sbuf_over(texts[i], sizeof(texts[i]));

        sbuf_add_format(&out, "/v%u/r%u", i % 7, i);
        sbuf_add_char(&out, '\0');
        assert_int_equal(http_router_add(router, NET_METHOD_GET, texts[i], i), ERR_OK);
    }
    for (uint32_t i = 0; i < ROUTES; i++) {
        assert_int_equal(http_router_find(router, NET_METHOD_GET, span_from(texts[i]), &match),
                         ERR_OK);
        assert_int_equal(match.index, i);
    }
    assert_int_equal(http_router_find(router, NET_METHOD_GET, SPAN_OF("/v1/r0"), &match),
                     ERR_NOT_FOUND);
    http_router_free(router);
}

static void router_bounds_what_it_takes(void **state)
{
    struct http_router *router;
    struct http_match match;

    (void)state;
    assert_int_equal(http_router_new(&router), ERR_OK);
    assert_int_equal(http_router_add(router, NET_METHOD_GET, "/{a}/{b}/{c}/{d}/{e}", 1),
                     ERR_CONFIG);
    assert_int_equal(
        http_router_add(router, NET_METHOD_GET, "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", 1),
        ERR_CONFIG);
    assert_int_equal(http_router_find(router, NET_METHOD_GET,
                                      SPAN_OF("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/18"),
                                      &match),
                     ERR_NOT_FOUND);
    http_router_free(router);
}

static void router_survives_each_failing_allocation(void **state)
{
    (void)state;
    for (uint64_t nth = 1;; nth++) {
        struct http_router *router = NULL;
        enum err err;

        alloc_fail_at(nth);
        err = http_router_new(&router);
        for (uint32_t i = 0; err == ERR_OK && i < 100; i++) {
            static const char *const paths[] = {"/{a}", "/{a}/b", "/{a}/b/c", "/d/e/f/g/h/i"};

            err = http_router_add(router, (enum net_method)(1 + i / 4 % 6), paths[i % 4], i);
            if (err == ERR_CONFIG)
                err = ERR_OK;
        }
        http_router_free(router);
        if (alloc_fail_pending())
            break;
        assert_true(err == ERR_NO_MEMORY || err == ERR_OK);
    }
    alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(router_prefers_literals_and_falls_back),
        cmocka_unit_test(router_gives_the_rest),
        cmocka_unit_test(router_keeps_methods_apart),
        cmocka_unit_test(router_finds_each_of_many),
        cmocka_unit_test(router_bounds_what_it_takes),
        cmocka_unit_test(router_survives_each_failing_allocation),
    };

    return cmocka_run_group_tests_name("http router", tests, NULL, NULL);
}
