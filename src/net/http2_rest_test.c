/* SPDX-License-Identifier: MIT
 * HTTP/2: what a connection lets go of while nothing is asked on it, and that nobody misses it. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/http2_client.h"
#include "net/http2_priv.h"

enum { EMPTIED_TABLE = 0x20 }; /* RFC 7541, 6.3 */

static struct net_harness harness;
static struct net_http2_client client;

static int setup(void **state)
{
    static const struct net_server_options usual = {0};

    (void)state;
    net_harness_start_http2(&harness, &usual);
    net_http2_client_open(&client, &harness);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_http2_client_close(&client);
    net_harness_stop(&harness);
    return 0;
}

/* Asks and is answered; whether the answer's head began with an emptied table. */
static bool empties_table(uint32_t id)
{
    const struct net_http2_answer *answer = &client.answers[id / 2];
    bool empties;

    net_http2_client_get(&client, id, "/hello");
    while (answer->status == 0)
        assert_true(net_http2_client_read(&client));
    empties = client.payload[0] == EMPTIED_TABLE;
    (void)net_http2_client_answer(&client, id);
    assert_int_equal(answer->status, 200);
    assert_string_equal(answer->text, "hello");
    return empties;
}

/* nghttp2's memory for frames is known by its size. */
static void finds_what_may_rest(void **state)
{
    struct net_http2_spares spares = {{NULL}};
    struct net_http2_memory memory = {.spares = &spares};
    nghttp2_mem functions = net_http2_memory_functions(&memory);
    nghttp2_session_callbacks *callbacks;
    nghttp2_session *session;

    (void)state;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    assert_int_equal(nghttp2_session_server_new3(&session, callbacks, NULL, NULL, &functions), 0);
    nghttp2_session_callbacks_del(callbacks);
    net_http2_memory_made(&memory);
    assert_non_null(memory.frames);
    nghttp2_session_del(session);
    assert_null(memory.frames);
    assert_int_equal(memory.bytes, 0);
    net_http2_spares_free(&spares);
}

static void nobody_misses_what_rested(void **state)
{
    (void)state;
    for (uint32_t id = 1; id < 12; id += 2) {
        bool rested = id == 7 || id == 9;

        if (rested)
            (void)usleep(2200000);
        assert_int_equal(empties_table(id), rested);
    }
}

/* A table that was small for a moment must be said to be empty, before the first answer, too. */
static void tells_of_the_smallest_table(void **state)
{
    static const unsigned char sizes[] = {0, 1, 0, 0, 0, 100, 0, 1, 0, 0, 16, 0};

    (void)state;
    net_http2_client_frame(&client, NGHTTP2_SETTINGS, 0, 0, span_make(sizes, sizeof(sizes)));
    net_http2_client_sync(&client);
    assert_int_equal(nghttp2_hd_inflate_change_table_size(client.inflater, 100), 0);
    assert_int_equal(nghttp2_hd_inflate_change_table_size(client.inflater, 4096), 0);
    assert_true(empties_table(1));
    assert_false(empties_table(3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_may_rest),
        cmocka_unit_test_setup_teardown(nobody_misses_what_rested, setup, teardown),
        cmocka_unit_test_setup_teardown(tells_of_the_smallest_table, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
