/* SPDX-License-Identifier: MIT
 * Upstreams and routes: what the file says of them arrives whole, what is left out has its default,
 * and nothing is taken that the gateway serves itself. */
#include "app/config_test.h"
#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "app/serve_priv.h"
#include "web/web.h"

/* Every wrong file is told as the table says, word for word, with line and column. */
static void bad_files_are_told(void **state)
{
    for (size_t i = 0; i < config_proxy_bad_case_count; i++) {
        const struct config_case *bad = &config_proxy_bad_cases[i];
        enum err err = config_test_load(bad->text, NULL);

        assert_string_equal(config_test_told(), bad->told);
        assert_int_equal(err, strncmp(bad->told, "warning: ", 9) == 0 ? ERR_OK : ERR_CONFIG);
    }
    assert_true(config_proxy_bad_case_count >= 140);
}

/* Every member of every kind, and two upstreams and routes so that items are told apart. */
static const char everything[] =
    "upstreams:\n"
    "  - name: shop\n"
    "    targets:\n"
    "      - {url: http://127.0.0.1:9001, weight: 2}\n"
    "      - {url: \"http://[::1]\", drain: true}\n"
    "      - url: http://shop-3.internal:80\n"
    "    balance: hash\n"
    "    hash_on: cookie\n"
    "    hash_name: session\n"
    "    connect_timeout_ms: 1\n"
    "    response_timeout_ms: 3600000\n"
    "    idle_timeout_ms: 7\n"
    "    total_timeout_ms: 0\n"
    "    connections_max: 10000\n"
    "    queue_max: 0\n"
    "    keep_alive_seconds: 0\n"
    "    retries: 0\n"
    "    check: {path: \"/health?deep=1\", interval_seconds: 9, timeout_ms: 8, rise: 7, fall: 6}\n"
    "    eject:\n"
    "      failures: 3\n"
    "      seconds: 300\n"
    "      panic_percent: 100\n"
    "  - name: pages-2\n"
    "    targets: [{url: http://a}]\n"
    "    check: {path: tcp}\n"
    "routes:\n"
    "  - path: \"/shop/{id}/*\"\n"
    "    methods: [POST, OPTIONS]\n"
    "    hosts: [shop.example.com, 192.0.2.1]\n"
    "    upstream: shop\n"
    "    access: bearer\n"
    "    scopes: [orders:read, orders:write]\n"
    "    roles: [auditor]\n"
    "    strip_prefix: /shop\n"
    "    add_prefix: /v2/shop\n"
    "    request_headers:\n"
    "      set:\n"
    "        - {name: X-Api-Key, value: hunter2 hunter2}\n"
    "        - {name: X-B, value: \"b\"}\n"
    "      remove: [Authorization, Cookie]\n"
    "    response_headers:\n"
    "      set: [{name: Cache-Control, value: no-store}]\n"
    "      remove: [Server]\n"
    "    body_bytes_max: 4294967295\n"
    "    requests_per_minute: 60\n"
    "    burst: 10\n"
    "    preserve_host: true\n"
    "    upgrades: [websocket, x-own/2]\n"
    "    upgrade_idle_seconds: 86400\n"
    "    trailers: true\n"
    "    timeouts: {connect_ms: 10, response_ms: 20, idle_ms: 30, total_ms: 40}\n"
    "    circuit_breaker: {failure_threshold: 4, timeout_seconds: 30, window_seconds: 20,\n"
    "      requests_min: 50, error_percent: 60, slow_ms: 250, slow_percent: 70, probes_max: 3}\n"
    "  - {path: /*, upstream: pages-2, access: open, rate_exempt: true,\n"
    "     circuit_breaker: {disabled: true}}\n"
    "  - {path: /shop/, upstream: pages-2, access: admin}\n";

static void assert_texts(const struct config_texts *texts, const char *const *wanted)
{
    size_t count = 0;

    while (wanted[count] != NULL)
        count++;
    assert_int_equal(texts->count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(texts->items[i], wanted[i]);
}
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void upstreams_arrive(void **state)
{
    const struct config_upstream *shop;

    assert_int_equal(config_test_load(everything, NULL), ERR_OK);
    assert_string_equal(config_test_told(), "");
    assert_int_equal(config_test.config.upstreams.count, 2);
    shop = &config_test.config.upstreams.items[0];
    assert_string_equal(shop->name, "shop");
    assert_int_equal(shop->target_count, 3);
    assert_string_equal(shop->targets[0].url, "http://127.0.0.1:9001");
    assert_int_equal(shop->targets[0].weight, 2);
    assert_false(shop->targets[0].drain);
    assert_string_equal(shop->targets[1].url, "http://[::1]");
    assert_int_equal(shop->targets[1].weight, 1);
    assert_true(shop->targets[1].drain);
    assert_string_equal(shop->targets[2].url, "http://shop-3.internal:80");
    assert_int_equal(shop->balance, CONFIG_HASH);
    assert_int_equal(shop->hash_on, CONFIG_HASH_COOKIE);
    assert_string_equal(shop->hash_name, "session");
    assert_int_equal(shop->connect_timeout_ms, 1);
    assert_int_equal(shop->response_timeout_ms, 3600000);
    assert_int_equal(shop->idle_timeout_ms, 7);
    assert_int_equal(shop->total_timeout_ms, 0);
    assert_int_equal(shop->connections_max, 10000);
    assert_int_equal(shop->queue_max, 0);
    assert_int_equal(shop->keep_alive_seconds, 0);
    assert_int_equal(shop->retries, 0);
    assert_string_equal(shop->check.path, "/health?deep=1");
    assert_int_equal(shop->check.interval_s, 9);
    assert_int_equal(shop->check.timeout_ms, 8);
    assert_int_equal(shop->check.rise, 7);
    assert_int_equal(shop->check.fall, 6);
    assert_int_equal(shop->eject.failures, 3);
    assert_int_equal(shop->eject.seconds, 300);
    assert_int_equal(shop->eject.panic_percent, 100);
}

/* What is left out has its default, though another item gives it, and a given 0 stays. */
static void upstreams_have_defaults(void **state)
{
    const struct config_upstream *pages;

    assert_int_equal(config_test_load(everything, NULL), ERR_OK);
    pages = &config_test.config.upstreams.items[1];
    assert_string_equal(pages->name, "pages-2");
    assert_int_equal(pages->target_count, 1);
    assert_int_equal(pages->targets[0].weight, 1);
    assert_int_equal(pages->balance, CONFIG_POWER_OF_TWO);
    assert_int_equal(pages->hash_on, CONFIG_HASH_ADDRESS);
    assert_null(pages->hash_name);
    assert_int_equal(pages->connect_timeout_ms, 2000);
    assert_int_equal(pages->response_timeout_ms, 15000);
    assert_int_equal(pages->idle_timeout_ms, 30000);
    assert_int_equal(pages->total_timeout_ms, 60000);
    assert_int_equal(pages->connections_max, 256);
    assert_int_equal(pages->queue_max, 256);
    assert_int_equal(pages->keep_alive_seconds, 60);
    assert_int_equal(pages->retries, 1);
    assert_string_equal(pages->check.path, "tcp");
    assert_int_equal(pages->check.interval_s, 5);
    assert_int_equal(pages->check.timeout_ms, 2000);
    assert_int_equal(pages->check.rise, 2);
    assert_int_equal(pages->check.fall, 3);
    assert_int_equal(pages->eject.failures, 5);
    assert_int_equal(pages->eject.seconds, 10);
    assert_int_equal(pages->eject.panic_percent, 50);
    assert_int_equal(config_test_load("", NULL), ERR_OK);
    assert_int_equal(config_test.config.upstreams.count, 0);
    assert_int_equal(config_test.config.routes.count, 0);
}

static void routes_arrive(void **state)
{
    const struct config_route *route;

    assert_int_equal(config_test_load(everything, NULL), ERR_OK);
    assert_int_equal(config_test.config.routes.count, 3);
    route = &config_test.config.routes.items[0];
    assert_string_equal(route->path, "/shop/{id}/*");
    assert_texts(&route->methods, TEXTS("POST", "OPTIONS"));
    assert_texts(&route->hosts, TEXTS("shop.example.com", "192.0.2.1"));
    assert_string_equal(route->upstream, "shop");
    assert_int_equal(route->access, CONFIG_ACCESS_BEARER);
    assert_texts(&route->scopes, TEXTS("orders:read", "orders:write"));
    assert_texts(&route->roles, TEXTS("auditor"));
    assert_string_equal(route->strip_prefix, "/shop");
    assert_string_equal(route->add_prefix, "/v2/shop");
    assert_int_equal(route->request_set_count, 2);
    assert_string_equal(route->request_set[0].name, "X-Api-Key");
    assert_string_equal(route->request_set[0].value, "hunter2 hunter2");
    assert_string_equal(route->request_set[1].value, "b");
    assert_texts(&route->request_remove, TEXTS("Authorization", "Cookie"));
    assert_int_equal(route->response_set_count, 1);
    assert_string_equal(route->response_set[0].name, "Cache-Control");
    assert_string_equal(route->response_set[0].value, "no-store");
    assert_texts(&route->response_remove, TEXTS("Server"));
    assert_int_equal(route->body_bytes_max, UINT32_MAX);
    assert_int_equal(route->requests_per_minute, 60);
    assert_int_equal(route->burst, 10);
    assert_false(route->rate_exempt);
    assert_true(route->preserve_host);
    assert_int_equal(route->upgrades.count, 2);
    assert_string_equal(route->upgrades.items[1], "x-own/2");
    assert_int_equal(route->upgrade_idle_seconds, 86400);
    assert_true(route->trailers);
    assert_int_equal(route->timeouts.connect_ms, 10);
    assert_int_equal(route->timeouts.response_ms, 20);
    assert_int_equal(route->timeouts.idle_ms, 30);
    assert_int_equal(route->timeouts.total_ms, 40);
    assert_int_equal(route->breaker.failures, 4);
    assert_int_equal(route->breaker.seconds, 30);
    assert_int_equal(route->breaker.window_seconds, 20);
    assert_int_equal(route->breaker.requests_min, 50);
    assert_int_equal(route->breaker.error_percent, 60);
    assert_int_equal(route->breaker.slow_ms, 250);
    assert_int_equal(route->breaker.slow_percent, 70);
    assert_int_equal(route->breaker.probes_max, 3);
    assert_false(route->breaker_off);
}

static void routes_have_defaults(void **state)
{
    const struct config_route *route;

    assert_int_equal(config_test_load(everything, NULL), ERR_OK);
    route = &config_test.config.routes.items[1];
    assert_string_equal(route->path, "/*");
    assert_int_equal(route->access, CONFIG_ACCESS_OPEN);
    assert_true(route->rate_exempt);
    assert_true(route->breaker_off);
    assert_int_equal(route->methods.count + route->hosts.count + route->scopes.count, 0);
    assert_int_equal(route->roles.count + route->request_remove.count, 0);
    assert_int_equal(route->request_set_count + route->response_set_count, 0);
    assert_null(route->strip_prefix);
    assert_null(route->add_prefix);
    assert_int_equal(route->body_bytes_max + route->requests_per_minute + route->burst, 0);
    assert_int_equal(route->timeouts.connect_ms + route->timeouts.total_ms, 0);
    assert_false(route->timeouts.endless);
    assert_int_equal(config_test.config.upstreams.items[0].slow_start_seconds, 0);
    assert_false(config_breaker_is_given(&route->breaker));
    assert_false(config_breaker_is_given(&config_test.config.upstreams.items[0].breaker));
    assert_false(route->preserve_host);
    assert_int_equal(route->upgrades.count, 0);
    assert_int_equal(route->upgrade_idle_seconds, 0);
    assert_false(route->trailers);
    route = &config_test.config.routes.items[2];
    assert_int_equal(route->access, CONFIG_ACCESS_ADMIN);
    assert_false(route->rate_exempt);
    assert_false(route->breaker_off);
}

/* An item a line, as one would write it; values that a target is sent are not shown. */
static void items_are_explained(void **state)
{
    struct sbuf out = sbuf_on(&config_test.arena, CONFIG_TEST_TEXT_BYTES_MAX);

    assert_int_equal(config_test_load(everything, NULL), ERR_OK);
    out = sbuf_on(&config_test.arena, CONFIG_TEST_TEXT_BYTES_MAX);
    config_explain(&config_test.config, &config_test.origins, &out);
    sbuf_add_char(&out, '\0');
    assert_non_null(strstr(out.ptr, "\nupstreams                           2 items             "
                                    "          portcullis.yaml:1\n  - {name: shop, targets: "
                                    "[{url: http://127.0.0.1:9001, weight: 2}, {url: http://[::1], "
                                    "weight: 1, drain: true}, "));
    assert_non_null(strstr(out.ptr, ", queue_max: 0, keep_alive_seconds: 0, retries: 0, check: "
                                    "{path: /health?deep=1, interval_seconds: 9, timeout_ms: 8, "
                                    "rise: 7, fall: 6}, eject: {failures: 3, seconds: 300, "
                                    "panic_percent: 100}, tls: {min_version: 1.2}}\n  - {name: "
                                    "pages-2, "));
    assert_non_null(strstr(out.ptr, "\n  - {path: /shop/{id}/*, methods: [POST, OPTIONS], hosts: "
                                    "[shop.example.com, 192.0.2.1], upstream: shop, access: "
                                    "bearer, "));
    assert_non_null(strstr(out.ptr, "request_headers: {set: [{name: X-Api-Key, value: ********}, "
                                    "{name: X-B, value: ********}], remove: [Authorization, "
                                    "Cookie]}, response_headers: {set: [{name: Cache-Control, "
                                    "value: no-store}], remove: [Server]}, body_bytes_max: "));
    assert_non_null(strstr(out.ptr, "\n  - {path: /*, upstream: pages-2, access: open, "
                                    "rate_exempt: true, circuit_breaker: {disabled: true}}\n"));
    assert_null(strstr(out.ptr, "hunter2"));
}

#define UP "upstreams: [{name: a, targets: [{url: http://a}]}]\n"

/* Open to anyone is told in production, and nothing else is. */
static void production_tells_open_routes(void **state)
{
    static const char *const environ[] = {"ENVIRONMENT=production",
                                          "JWT_SECRET_KEY=" CONFIG_TEST_SECRET,
                                          "TLS_TERMINATED_IN_FRONT=true",
                                          "TRUSTED_PROXIES=10.0.0.0/8",
                                          "AUTH_JWT_ISSUER=https://auth.example.com",
                                          NULL};
    static const char text[] = UP "routes:\n  - {path: /a/*, upstream: a, access: open}\n"
                                  "  - {path: /b, upstream: a, access: bearer}\n";

    assert_int_equal(config_test_load(text, NULL), ERR_OK);
    assert_string_equal(config_test_told(), "");
    assert_int_equal(config_test_load(text, environ), ERR_OK);
    assert_string_equal(config_test_told(),
                        "warning: portcullis.yaml:3:31: routes[0].access: open lets anyone use "
                        "/a/* without a token");
}

/* Good neighbours: other methods, hosts or forms of a path, and paths beside the gateway's own. */
static void routes_that_differ_are_good(void **state)
{
    static const char *const texts[] = {
        "  - {path: /a, upstream: a, access: open, methods: [GET]}\n"
        "  - {path: /a, upstream: a, access: open, methods: [PUT]}\n",
        "  - {path: /a, upstream: a, access: open}\n"
        "  - {path: /a, upstream: a, access: open, methods: [OPTIONS]}\n",
        "  - {path: /a, upstream: a, access: open}\n"
        "  - {path: /a, upstream: a, access: open, hosts: [a.example]}\n"
        "  - {path: /a, upstream: a, access: open, hosts: [b.example]}\n",
        "  - {path: /a, upstream: a, access: open}\n  - {path: /a/, upstream: a, access: open}\n"
        "  - {path: /a/*, upstream: a, access: open}\n"
        "  - {path: \"/a/{id}\", upstream: a, access: open}\n",
        "  - {path: /api/shop/*, upstream: a, access: open}\n"
        "  - {path: /api/v10, upstream: a, access: open}\n"
        "  - {path: /consoles, upstream: a, access: open}\n"
        "  - {path: \"/{page}\", upstream: a, access: open}\n"
        "  - {path: /.well-known/acme-challenge/*, upstream: a, access: open}\n"
        "  - {path: /*, upstream: a, access: open}\n",
        "  - {path: \"/-._~!$&'()+,=:@\", upstream: a, access: admin, scopes: [a], roles: [b]}\n",
        "  - {path: /a/b/*, strip_prefix: /a/b, upstream: a, access: open}\n"
        "  - {path: /a/b, strip_prefix: /a/b, upstream: a, access: open}\n",
        "  - {path: \"/{a}/{b}/{c}/{d}\", upstream: a, access: open}\n",
    };

    for (size_t i = 0; i < PC_COUNT(texts); i++) {
        char text[1024];

        (void)snprintf(text, sizeof(text), UP "routes:\n%s", texts[i]);
        assert_int_equal(config_test_load(text, NULL), ERR_OK);
        assert_string_equal(config_test_told(), "");
    }
}

static void assert_own(const char *before, struct span rest)
{
    char text[1024];

    (void)snprintf(text, sizeof(text),
                   UP "routes: [{path: \"%s%.*s\", upstream: a, access: open}]\n", before,
                   SPAN_ARG(rest));
    assert_int_equal(config_test_load(text, NULL), ERR_CONFIG);
    assert_non_null(strstr(config_test_told(), "which the gateway serves itself"));
}

/* No path of the gateway's tables and pages can be taken. */
static void own_paths_cannot_be_taken(void **state)
{
    struct serve_mounts mounts;
    const struct http_service_options gateway = serve_service_options(CONFIG_GATEWAY, "", &mounts);
    const struct web_asset *assets;
    size_t count;
    size_t rows = 0;

    for (size_t i = 0; i < gateway.mount_count; i++) {
        const struct http_mount *mount = &gateway.mounts[i];
        struct span from = span_from(mount->from);

        for (const struct http_route *row = mount->rows; row->path != NULL; row++, rows++) {
            struct span path = span_from(row->path);

            assert_own(mount->to ? mount->to : "", span_slice(path, from.len, path.len));
        }
    }
    assert_true(rows > 50);
    assets = web_list(&count);
    for (size_t i = 0; i < count; i++)
        assert_own(gateway.docs_base, assets[i].path);
    assert_own(gateway.docs_base, SPAN_OF("openapi.json"));
    assert_own(gateway.docs_base, SPAN_OF("openapi.yaml"));
}

/* A reload takes both over, and every member counts. */
static void changes_are_seen(void **state)
{
    static const struct {
        const char *before, *now;
    } edits[] = {
        {"weight: 2", "weight: 3"},         {"drain: true", "drain: false"},
        {"name: session", "name: another"}, {"fall: 6", "fall: 5"},
        {"access: admin", "access: open"},  {"[Authorization, Cookie]", "[Authorization]"},
        {"value: hunter2", "value: other"}, {"host: true", "host: false"},
        {"path: tcp", "path: /"},           {"disabled: true", "disabled: false"},
    };
    struct config before;
    struct arena kept;
    char text[sizeof(everything) + 64];
    char names[256];
    struct sbuf out = sbuf_over(names, sizeof(names));

    assert_int_equal(config_test_load(everything, NULL), ERR_OK);
    before = config_test.config; /* its texts must outlive the next loading */
    kept = config_test.arena;
    arena_init(&config_test.arena, NULL, 0, CONFIG_TEST_ARENA_BYTES_MAX);
    assert_int_equal(config_test_load(everything, NULL), ERR_OK);
    assert_false(config_needs_restart(&before, &config_test.config, &out));
    for (size_t i = 0; i < PC_COUNT(edits); i++) {
        const char *at = strstr(everything, edits[i].before);

        assert_non_null(at);
        (void)snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - everything), everything,
                       edits[i].now, at + strlen(edits[i].before));
        assert_int_equal(config_test_load(text, NULL), ERR_OK);
        out = sbuf_over(names, sizeof(names));
        assert_false(config_needs_restart(&before, &config_test.config, &out));
        config_changed(&before, &config_test.config, CONFIG_CHANGED_LIVE, &out);
        assert_true(span_is(sbuf_span(&out), "upstreams") || span_is(sbuf_span(&out), "routes"));
    }
    assert_int_equal(config_test_load("", NULL), ERR_OK);
    out = sbuf_over(names, sizeof(names));
    config_changed(&before, &config_test.config, CONFIG_CHANGED_LIVE, &out);
    assert_true(span_is(sbuf_span(&out), "upstreams routes"));
    out = sbuf_over(names, sizeof(names));
    config_changed(&before, &config_test.config, CONFIG_CHANGED_WAITING, &out);
    assert_int_equal(out.len, 0);
    arena_reset(&kept);
}

/* As many as there may be load within the memory of a loading; one more is refused. */
static void lists_are_bounded(void **state)
{
    static char text[CONFIG_FILE_BYTES_MAX];
    char hex[CONFIG_HASH_BYTES];

    for (size_t more = 0; more < 2; more++) {
        struct sbuf yaml = sbuf_over(text, sizeof(text) - 1);

        sbuf_add_lit(&yaml, "upstreams:\n");
        for (size_t i = 0; i < CONFIG_UPSTREAMS_MAX; i++) {
            sbuf_add_format(&yaml, "  - name: u%zu\n    targets:\n", i);
            for (size_t j = 0; j < CONFIG_TARGETS_MAX; j++)
                sbuf_add_format(&yaml, "      - url: http://a:%zu\n", j + 1);
        }
        sbuf_add_lit(&yaml, "routes:\n");
        for (size_t i = 0; i < CONFIG_ROUTES_MAX + more; i++)
            sbuf_add_format(&yaml, "  - {path: /a%zu, upstream: u%zu, access: open}\n", i,
                            i % CONFIG_UPSTREAMS_MAX);
        assert_false(yaml.full);
        text[yaml.len] = '\0';
        assert_int_equal(config_test_load(text, NULL), more ? ERR_CONFIG : ERR_OK);
        if (more == 0)
            config_hash(&config_test.config, hex);
    }
    assert_string_equal(config_test_told(),
                        "portcullis.yaml:4227:3: routes: the list has more than 512 items");
}

/* The trail keeps the hash of what is in force, whatever memory there is. */
static void hashing_needs_no_memory(void **state)
{
    char first[CONFIG_HASH_BYTES];
    char again[CONFIG_HASH_BYTES];

    (void)state;
    assert_int_equal(config_test_load(everything, NULL), ERR_OK);
    config_hash(&config_test.config, first);
    alloc_fail_at(1);
    config_hash(&config_test.config, again);
    alloc_fail_at(0);
    assert_memory_equal(first, again, sizeof(first));
    assert_int_equal(config_test_load("", NULL), ERR_OK);
    config_hash(&config_test.config, again);
    assert_memory_not_equal(first, again, sizeof(first));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_files_are_told),
        cmocka_unit_test(upstreams_arrive),
        cmocka_unit_test(upstreams_have_defaults),
        cmocka_unit_test(routes_arrive),
        cmocka_unit_test(routes_have_defaults),
        cmocka_unit_test(hashing_needs_no_memory),
        cmocka_unit_test(items_are_explained),
        cmocka_unit_test(production_tells_open_routes),
        cmocka_unit_test(routes_that_differ_are_good),
        cmocka_unit_test(own_paths_cannot_be_taken),
        cmocka_unit_test(changes_are_seen),
        cmocka_unit_test(lists_are_bounded),
    };

    return cmocka_run_group_tests(tests, config_test_set_up, config_test_tear_down);
}
