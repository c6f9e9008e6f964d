/* SPDX-License-Identifier: MIT
 * Connections that a proxy passes on: whose they are, whose share they take, and how long a header
 * may take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/metric.h"
#include "net/net_harness.h"

static struct net_harness harness;
static _Atomic bool trusts;
static _Atomic int refusals;
static const char *_Atomic refused_why;

static bool on_proxied(void *context, const struct net_peer *peer)
{
    assert_ptr_equal(context, &harness);
    assert_true(span_is(peer->address, "127.0.0.1"));
    return trusts;
}

static void on_refused(void *context, const struct net_peer *peer, const char *what,
                       const char *why)
{
    assert_string_equal(what, "proxy_protocol");
    atomic_store(&refused_why, why);
    atomic_fetch_add(&refusals, 1);
}

static void start(const struct net_server_options *options)
{
    struct net_server_options filled = *options;
    const struct net_listener_options door = {.name = "test",
                                              .host = "127.0.0.1",
                                              .app = net_harness_app(),
                                              .app_context = &harness,
                                              .proxied = on_proxied,
                                              .refused = on_refused,
                                              .door_context = &harness};

    memset(&harness, 0, sizeof(harness));
    trusts = true;
    refusals = 0;
    filled.loops = 1;
    assert_int_equal(net_server_new(&filled, &harness.server), ERR_OK);
    assert_int_equal(net_server_listen(harness.server, &door, &harness.listener, NULL), ERR_OK);
    assert_int_equal(net_server_start(harness.server), ERR_OK);
}

/* Asks on a connection that is kept; "" when it was closed instead. */
static const char *ask(int fd, const char *header)
{
    static char answer[1024];
    ssize_t bytes;

    net_client_send(fd, span_from(header));
    net_client_send(fd, SPAN_OF("GET /peer HTTP/1.1\r\nHost: a\r\n\r\n"));
    bytes = read(fd, answer, sizeof(answer) - 1);
    answer[bytes > 0 ? bytes : 0] = '\0';
    return answer;
}

static void the_address_is_the_clients(void **state)
{
    const struct net_server_options options = {0};
    int fd;

    start(&options);
    fd = net_harness_connect(&harness);
    assert_non_null(strstr(ask(fd, "PROXY TCP4 192.0.2.7 10.0.0.1 4711 443\r\n"), "192.0.2.7"));
    assert_non_null(strstr(ask(fd, ""), "192.0.2.7")); /* once for all of its requests */
    assert_int_equal(close(fd), 0);
    fd = net_harness_connect(&harness);
    assert_non_null(strstr(ask(fd, "PROXY UNKNOWN\r\n"), "127.0.0.1"));
    assert_int_equal(close(fd), 0);
    net_harness_stop(&harness);
}

/* A share of each client, none of the proxy. */
static void shares_are_the_clients(void **state)
{
    const struct net_server_options options = {.conns_per_ip_max = 1};
    int fds[3];

    start(&options);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        fds[i] = net_harness_connect(&harness);
    assert_non_null(strstr(ask(fds[0], "PROXY TCP4 192.0.2.7 10.0.0.1 1 443\r\n"), "192.0.2.7"));
    assert_string_equal(ask(fds[1], "PROXY TCP4 192.0.2.7 10.0.0.1 2 443\r\n"), "");
    assert_non_null(strstr(ask(fds[2], "PROXY TCP4 192.0.2.8 10.0.0.1 1 443\r\n"), "192.0.2.8"));
    assert_int_equal(close(fds[0]) | close(fds[1]), 0);
    net_harness_wait_conns(&harness, 1);
    fds[0] = net_harness_connect(&harness); /* the share was given back */
    assert_non_null(strstr(ask(fds[0], "PROXY TCP4 192.0.2.7 10.0.0.1 3 443\r\n"), "192.0.2.7"));
    assert_int_equal(close(fds[0]) | close(fds[2]), 0);
    net_harness_wait_conns(&harness, 0);
    net_harness_stop(&harness);
}

static void others_are_closed(void **state)
{
    const struct net_server_options options = {0};
    int fd;

    start(&options);
    trusts = false;
    fd = net_harness_connect(&harness);
    net_client_expect_end(fd);
    net_harness_wait(&refusals, 1);
    trusts = true;
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF("G"));
    net_client_expect_end(fd);
    net_harness_wait(&refusals, 2);
    assert_string_equal(atomic_load(&refused_why), "it does not begin like one");
    net_harness_wait_conns(&harness, 0);
    assert_int_equal(harness.told, 0);
    net_harness_stop(&harness);
}

/* One that never comes, or stops in the middle, is not waited for. */
static void a_header_has_its_time(void **state)
{
    static const struct span pieces[] = {SPAN(""), SPAN("PROXY TCP4 192"),
                                         SPAN("\r\n\r\n\0\r\nQUIT\n\x21")};
    const struct net_server_options options = {.head_ms = 50};

    start(&options);
    for (size_t i = 0; i < PC_COUNT(pieces); i++) {
        int fd = net_harness_connect(&harness);

        if (pieces[i].len > 0)
            net_client_send(fd, pieces[i]);
        net_client_expect_end(fd);
    }
    net_harness_stop(&harness);
}

/* A server that drains does not wait for one either. */
static void draining_waits_for_none(void **state)
{
    const struct net_server_options options = {0};
    int fd;

    start(&options);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF("PROXY"));
    net_harness_wait_conns(&harness, 1);
    assert_true(net_server_drain(harness.server, 10000));
    assert_int_equal(close(fd), 0);
    net_harness_stop(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_address_is_the_clients), cmocka_unit_test(shares_are_the_clients),
        cmocka_unit_test(others_are_closed),          cmocka_unit_test(a_header_has_its_time),
        cmocka_unit_test(draining_waits_for_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
