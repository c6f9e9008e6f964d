/* SPDX-License-Identifier: MIT
 * A link whose ways end one by one, in either order, with bytes that wait and a peer that breaks
 * off behind its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/net_link_kit.h"

enum { SAID_BYTES = 1000 };

static int connected(struct net_kit_probe *probe)
{
    int listener = net_kit_listen(AF_INET, 1);
    int fd = net_kit_connected(probe, listener);

    assert_int_equal(close(listener), 0);
    return fd;
}

static void expect_lost(struct net_kit_probe *probe, enum err err)
{
    net_kit_wait(probe, NET_KIT_LOST, 1);
    assert_int_equal(probe->err, err);
}

/* The owner ends first: the peer is told, answers, and ends. */
static void the_owner_ends_first(void **state)
{
    struct net_kit_probe probe = {.goes_on = true};
    int fd = connected(&probe);

    (void)state;
    net_kit_run(&probe, net_kit_shut);
    net_client_expect_end(dup(fd));
    assert_int_equal(probe.calls[NET_KIT_LOST], 0);
    net_kit_say(fd, 0, SAID_BYTES);
    net_kit_wait_input(&probe, SAID_BYTES);
    assert_int_equal(close(fd), 0);
    expect_lost(&probe, ERR_END);
    assert_int_equal(probe.calls[NET_KIT_ENDED], 1);
}

/* The peer ends first: the owner speaks on, and is not polled for what cannot come. */
static void the_peer_ends_first(void **state)
{
    struct net_kit_probe probe = {.goes_on = true};
    int fd = connected(&probe);

    (void)state;
    net_kit_say(fd, 0, SAID_BYTES);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_kit_wait(&probe, NET_KIT_ENDED, 1);
    assert_int_equal(probe.input, SAID_BYTES);
    net_kit_run(&probe, net_kit_send);
    net_client_expect(fd, SPAN_OF("ping"));
    assert_int_equal(net_kit_polled(), 0);
    assert_int_equal(probe.calls[NET_KIT_LOST], 0);
    net_kit_run(&probe, net_kit_shut);
    expect_lost(&probe, ERR_END);
    net_client_expect_end(fd);
}

/* What waits leaves before the end is told. */
static void the_end_comes_behind_what_waits(void **state)
{
    struct net_kit_probe probe = {.goes_on = true};
    int fd = connected(&probe);
    int64_t sent;

    (void)state;
    net_kit_run(&probe, net_kit_pump); /* until there is no room */
    sent = probe.sent;
    assert_true(sent < NET_KIT_MANY_BYTES);
    net_kit_run(&probe, net_kit_shut);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_kit_wait(&probe, NET_KIT_ENDED, 1);
    assert_int_equal(probe.calls[NET_KIT_LOST], 0);
    net_kit_hear(fd, 0, sent);
    expect_lost(&probe, ERR_END);
    net_client_expect_end(fd);
}

/* Whoever does not go on hears of the loss at once, as without the question. */
static void whoever_does_not_go_on(void **state)
{
    struct net_kit_probe probe = {0};
    int fd = connected(&probe);

    (void)state;
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect_lost(&probe, ERR_END);
    net_client_expect_end(fd);
}

/* The owner closes from inside of the question, and shuts from inside of it. */
static void the_question_may_end_it(void **state)
{
    struct net_kit_probe closed = {.goes_on = true, .act[NET_KIT_ENDED] = net_kit_close};
    struct net_kit_probe shut = {.goes_on = true, .act[NET_KIT_ENDED] = net_kit_shut};
    int fd = connected(&closed);

    (void)state;
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_client_expect_end(fd);
    fd = connected(&shut);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    expect_lost(&shut, ERR_END);
    net_client_expect_end(fd);
    assert_int_equal(closed.calls[NET_KIT_LOST], 0);
}

/* Behind its end the peer is gone altogether: sending shows it. */
static void a_peer_that_breaks_off_behind_its_end(void **state)
{
    struct net_kit_probe probe = {.goes_on = true};
    int fd = connected(&probe);

    (void)state;
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    net_kit_wait(&probe, NET_KIT_ENDED, 1);
    net_kit_reset(fd);
    for (int i = 0; i < 100 && probe.calls[NET_KIT_LOST] == 0; i++) {
        net_kit_run(&probe, net_kit_send);
        (void)usleep(1000);
    }
    expect_lost(&probe, ERR_IO);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, net_kit_start, net_kit_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_owner_ends_first),
        TEST(the_peer_ends_first),
        TEST(the_end_comes_behind_what_waits),
        TEST(whoever_does_not_go_on),
        TEST(the_question_may_end_it),
        TEST(a_peer_that_breaks_off_behind_its_end),
    };

    return cmocka_run_group_tests(tests, net_kit_warm, NULL);
}
