/* SPDX-License-Identifier: MIT
 * What the operators' socket answers of a program that runs: which path and method, what is wrong
 * with a request, and that nothing is done that the trail was not told of. */
#include "app/config_test.h"
#include "app/serve_priv.h"
#include "base/folder_test_kit.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ANSWER_BYTES = 256 * 1024 };

static const char yaml[] =
    "log:\n  path: log\nworkers:\n  loops: 1\nshutdown:\n  drain_seconds: 0\n"
    "gateway: {port: 0}\nauth: {port: 0}\naccount: {port: 0}\ntransaction: {port: 0}\n"
    "audit: {port: 0}\nmonitoring: {port: 0}\n"
    "limits:\n"
    "  routes: [{route: POST /api/v1/auth/login, requests_per_minute: 7, burst: 9}]\n"
    "upstreams:\n"
    "  - {name: shop, targets: [{url: \"http://127.0.0.1:1\"}, {url: \"http://127.0.0.1:2\"}]}\n"
    "routes:\n"
    "  - {path: /shop, upstream: shop, access: open}\n"
    "  - {path: /free, upstream: shop, access: open, rate_exempt: true}\n"
    "  - {path: /few, upstream: shop, access: open,\n"
    "     limits: [{key: address, requests: 3, per: hour, burst: 4}]}\n";

static char folder[TEST_FOLDER_BYTES];
static struct serve *serve;
static struct serve_fault fault;
static char answer[ANSWER_BYTES];

static int start(void **state)
{
    const struct serve_options options = {.config = &config_test.config, .version = "0.0.0"};

    if (!test_folder("answers", folder) || chdir(folder) != 0 ||
        config_test_load(yaml, NULL) != ERR_OK) {
        print_error("%s\n", config_test_told());
        return -1;
    }
    if (serve_start(&options, &serve, &fault) == ERR_OK)
        return 0;
    print_error("%s\n", fault.text);
    return -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    return remove(path);
}

static int stop(void **state)
{
    serve_stop(serve);
    serve = NULL;
    return chdir("/") == 0 && nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

/* The status; what was answered is in `answer`. */
static int asked(const char *method, const char *target)
{
    struct sbuf out = sbuf_over(answer, sizeof(answer) - 1);
    int status = serve_admin_answer(serve, span_from(method), span_from(target), &out);

    assert_false(out.full);
    answer[out.len] = '\0';
    return status;
}

static void assert_has(const char *text)
{
    if (strstr(answer, text) == NULL)
        fail_msg("no %s in %s", text, answer);
}

#define NO_PATH   "{\"error\":\"no such path; GET / lists them\"}"
#define NO_METHOD "{\"error\":\"this path takes another method\"}"
#define NO_TARGET "{\"error\":\"there is no such upstream, or it has no such target\"}"

static void what_is_asked_wrongly_is_told(void **state)
{
    static const struct {
        const char *method, *target;
        int status;
        const char *told;
    } rows[] = {
        {"GET", "/nothing", 404, NO_PATH},
        {"GET", "", 404, NO_PATH},
        {"GET", "*", 404, NO_PATH},
        {"GET", "/upstreams/", 404, NO_PATH},
        {"GET", "//", 404, NO_PATH},
        {"POST", "/upstreams/shop/targets/x", 404, NO_PATH},
        {"POST", "/upstreams//targets/x/drain", 404, NO_PATH},
        {"POST", "/upstreams/shop/targets/x/drain/more", 404, NO_PATH},
        {"POST", "/upstreams/*/targets/*/drain", 404, NO_TARGET},
        {"POST", "/", 405, NO_METHOD},
        {"get", "/", 405, NO_METHOD},
        {"GET", "/reload", 405, NO_METHOD},
        {"DELETE", "/upstreams", 405, NO_METHOD},
        {"GET", "/upstreams/shop/targets/x/undrain", 405, NO_METHOD},
        {"POST", "/reload", 501, "{\"error\":\"this program does not reload\"}"},
        {"POST", "/upstreams/shop/targets/127.0.0.1:3/drain", 404, NO_TARGET},
        {"POST", "/upstreams/bank/targets/127.0.0.1:1/drain", 404, NO_TARGET},
        {"POST", "/upstreams/shop/targets/127.0.0.1%3/undrain", 404, NO_TARGET},
        {"POST", "/upstreams/shop/targets/%00127.0.0.1:1/drain", 404, NO_TARGET},
    };

    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        if (asked(rows[i].method, rows[i].target) != rows[i].status)
            fail_msg("row %zu: %s", i, answer);
        assert_string_equal(answer, rows[i].told);
    }
}

/* A path may have 2048 bytes; what stands behind a question mark is nobody's. */
static void paths_are_bounded(void **state)
{
    char path[2048 + 2];

    memset(path, 'a', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    assert_int_equal(asked("GET", path), 414);
    assert_string_equal(answer, "{\"error\":\"the path is too long\"}");
    path[2048] = '\0';
    assert_int_equal(asked("GET", path), 404);
    path[0] = '/';
    path[1] = '?';
    path[2048] = 'a';
    assert_int_equal(asked("GET", path), 200);
}

static void the_paths_are_listed(void **state)
{
    assert_int_equal(asked("GET", "/"), 200);
    assert_has("\"GET /upstreams\":");
    assert_has("\"POST /upstreams/*/targets/*/undrain\":\"they do again\"");
    assert_has("\"POST /reload\":");
}

static void what_is_in_force_is_told(void **state)
{
    assert_int_equal(asked("GET", "/breakers"), 200);
    assert_has("{\"breakers\":[],\"closed\":");
    assert_int_equal(asked("GET", "/config?x"), 200);
    assert_has("{\"hash\":\"");
    assert_has("\"shutdown.drain_seconds\":\"0\"");
    assert_int_equal(asked("GET", "/limits"), 200);
    assert_has("{\"default\":{\"requests\":");
    assert_has(
        "{\"route\":\"POST /api/v1/auth/login\",\"requests\":7,\"period_s\":60,\"burst\":9}");
    assert_has("{\"route\":\"/free\",\"exempt\":true,\"requests_per_minute\":0,\"limits\":[]}");
    assert_has("{\"key\":\"address\",\"requests\":3,\"period_s\":3600,\"burst\":4}");
    assert_null(strstr(answer, "\"/shop\"")); /* it has none of its own */
}

/* By its address or its URL, whose signs are written as %XX in either case. */
static void a_target_is_drained_and_back(void **state)
{
    static const char drained[] = "{\"target\":\"http://127.0.0.1:2\",\"drained\":true}";
    static const char back[] = "{\"target\":\"http://127.0.0.1:2\",\"drained\":false}";

    assert_int_equal(asked("POST", "/upstreams/shop/targets/http%3A%2F%2f127.0.0.1%3a2/drain"),
                     200);
    assert_string_equal(answer, drained);
    assert_int_equal(asked("GET", "/upstreams"), 200);
    assert_has("\"drained\":true");
    assert_int_equal(asked("POST", "/upstreams/s%68op/targets/http:%2F%2F127.0.0.1:2/undrain"),
                     200);
    assert_string_equal(answer, back);
    assert_int_equal(asked("GET", "/upstreams"), 200);
    assert_null(strstr(answer, "\"drained\":true"));
}

/* What cannot be written down is not done. */
static void nothing_is_drained_untold(void **state)
{
    store_fail_at(STORE_FAIL_ALWAYS);
    assert_int_equal(asked("POST", "/upstreams/shop/targets/http%3A%2F%2F127.0.0.1%3A1/drain"),
                     503);
    store_fail_at(0);
    assert_has("{\"error\":\"the trail cannot be written");
    assert_int_equal(asked("GET", "/upstreams"), 200);
    assert_null(strstr(answer, "\"drained\":true"));
}

static bool reloaded(void *context, struct sbuf *out)
{
    bool good = *(bool *)context;

    sbuf_add_text(out, good ? "{\"changes\":[]}" : "{\"errors\":[]}");
    return good;
}

static void a_reload_says_how_it_went(void **state)
{
    bool good = true;

    serve->reload = reloaded;
    serve->reload_context = &good;
    assert_int_equal(asked("POST", "/reload"), 200);
    assert_string_equal(answer, "{\"changes\":[]}");
    good = false;
    assert_int_equal(asked("POST", "/reload"), 422);
    assert_string_equal(answer, "{\"errors\":[]}");
}

int main(void)
{
#define RUNNING(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        RUNNING(what_is_asked_wrongly_is_told), RUNNING(paths_are_bounded),
        RUNNING(the_paths_are_listed),          RUNNING(what_is_in_force_is_told),
        RUNNING(a_target_is_drained_and_back),  RUNNING(nothing_is_drained_untold),
        RUNNING(a_reload_says_how_it_went),
    };
#undef RUNNING

    return cmocka_run_group_tests_name("serve admin answers", tests, config_test_set_up,
                                       config_test_tear_down);
}
