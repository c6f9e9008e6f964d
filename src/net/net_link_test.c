/* SPDX-License-Identifier: MIT
 * A link and its upstream over real sockets: opening and failing to, talking, and an upstream that
 * leaves at every moment or does not read. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "net/net_link_kit.h"

/* --- opening ---------------------------------------------------------------------------------- */

static void talk(int family)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(family, 8);
    int fd;

    if (listener < 0)
        return;
    fd = net_kit_connected(&probe, listener);
    for (int64_t i = 0; i < 5; i++) { /* it is used again */
        net_kit_run(&probe, net_kit_send);
        net_client_expect(fd, SPAN_OF("ping"));
        net_kit_say(fd, i * 4, 4);
        net_kit_wait_input(&probe, (i + 1) * 4);
    }
    assert_int_equal(probe.calls[NET_KIT_LOST], 0);
    assert_int_equal(net_kit_metric("portcullis_net_upstream_connections_open "), 1);
    assert_int_equal(close(fd), 0);
    net_kit_wait(&probe, NET_KIT_LOST, 1); /* idle, and it notices */
    assert_int_equal(probe.err, ERR_END);
    assert_int_equal(close(listener), 0);
}

static void talks(void **state)
{
    talk(AF_INET);
    talk(AF_INET6);
    talk(AF_UNIX);
}

static void sets_its_socket(void **state)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(AF_INET, 8);
    int fd = net_kit_connected(&probe, listener);
    int own = net_kit_own_end(net_kit_port());
    int on = 0;
    socklen_t bytes = sizeof(on);

    assert_true(own >= 0);
    assert_int_equal(fcntl(own, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(own, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
    assert_int_equal(getsockopt(own, IPPROTO_TCP, TCP_NODELAY, &on, &bytes), 0);
    assert_int_equal(on, 1);
    net_kit_run(&probe, net_kit_close);
    net_client_expect_end(fd);
    assert_int_equal(close(listener), 0);
}

/* Opening failed, later, for that reason. */
static void expect_failure(struct net_kit_probe *probe, enum err err, int error)
{
    assert_int_equal(probe->opened, ERR_OK);
    net_kit_wait(probe, NET_KIT_LOST, 1);
    assert_int_equal(probe->err, err);
    assert_int_equal(probe->error, error);
    assert_int_equal(probe->calls[NET_KIT_OPEN], 0);
}

static void refuse(int family, int error)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(family, 1);

    if (listener < 0)
        return;
    assert_int_equal(close(listener), 0);
    net_kit_run(&probe, net_kit_open);
    expect_failure(&probe, ERR_IO, error);
}

static void is_refused(void **state)
{
    struct net_kit_probe probe = {0};
    int listener;

    refuse(AF_INET, ECONNREFUSED);
    refuse(AF_INET6, ECONNREFUSED);
    refuse(AF_UNIX, ECONNREFUSED);
    listener = net_kit_listen(AF_UNIX, 1);
    assert_int_equal(unlink(((const struct sockaddr_un *)(const void *)net_kit_aimed())->sun_path),
                     0);
    net_kit_run(&probe, net_kit_open);
    expect_failure(&probe, ERR_IO, ENOENT);
    assert_true(net_kit_metric("portcullis_net_upstream_failures_total{reason=\"refused\"} ") >= 3);
    assert_int_equal(net_kit_metric("portcullis_net_upstream_connections_total "), 0);
    assert_int_equal(close(listener), 0);
}

static void open_other(struct net_kit_probe *probe)
{
    net_kit_open(probe->other);
}

/* A second try from inside of lost, as a proxy makes it. */
static void tries_again(void **state)
{
    struct net_kit_probe second = {0};
    struct net_kit_probe first = {.other = &second, .act[NET_KIT_LOST] = open_other};
    int listener = net_kit_listen(AF_INET, 1);

    assert_int_equal(close(listener), 0);
    net_kit_run(&first, net_kit_open);
    expect_failure(&first, ERR_IO, ECONNREFUSED);
    expect_failure(&second, ERR_IO, ECONNREFUSED);
}

/* The kernel drops what does not fit the backlog, so connecting never ends. */
static void fill_backlog(int family, int *fds, size_t count)
{
    socklen_t bytes = family == AF_UNIX ? sizeof(struct sockaddr_un) : sizeof(struct sockaddr_in);

    for (size_t i = 0; i < count; i++) {
        fds[i] = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        assert_true(fds[i] >= 0);
        (void)connect(fds[i], (const struct sockaddr *)net_kit_aimed(), bytes);
    }
}

static void gives_up_connecting(void **state)
{
    struct net_kit_probe probe = {.connect_ms = 1000};
    struct net_kit_probe patient = {0};
    int listener = net_kit_listen(AF_INET, 0);
    int fds[3];

    fill_backlog(AF_INET, fds, PC_COUNT(fds));
    net_kit_run(&probe, net_kit_open);
    net_kit_run(&patient, net_kit_open);
    net_kit_pass(900);
    assert_int_equal(probe.calls[NET_KIT_LOST], 0);
    net_kit_pass(200);
    expect_failure(&probe, ERR_REQUEST_TIMEOUT, 0);
    net_kit_pass(3800);
    assert_int_equal(patient.calls[NET_KIT_LOST], 0);
    net_kit_pass(200); /* 5 s are the default */
    expect_failure(&patient, ERR_REQUEST_TIMEOUT, 0);
    assert_int_equal(net_kit_metric("portcullis_net_upstream_failures_total{reason=\"timeout\"} "),
                     2);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        assert_int_equal(close(fds[i]), 0);
    assert_int_equal(close(listener), 0);
}

/* A full backlog of a unix socket is known at once. */
static void finds_no_room(void **state)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(AF_UNIX, 0);
    int fds[3];

    fill_backlog(AF_UNIX, fds, PC_COUNT(fds));
    net_kit_run(&probe, net_kit_open);
    expect_failure(&probe, ERR_IO, EAGAIN);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        assert_int_equal(close(fds[i]), 0);
    assert_int_equal(close(listener), 0);
}

/* A socket that was given the port it connects to talks to itself, and must not pass for an
 * upstream. */
static void knows_itself(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    struct net_kit_probe probe = {0};
    int own = net_harness_socket();
    int listener;
    int fd;
    int pair[2];

    assert_int_equal(bind(own, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(own, (struct sockaddr *)&address, &bytes), 0);
    assert_int_equal(connect(own, (const struct sockaddr *)&address, sizeof(address)), 0);
    assert_true(net_link_is_own(own));
    assert_int_equal(close(own), 0);
    listener = net_kit_listen(AF_INET, 1);
    fd = net_kit_connected(&probe, listener);
    assert_false(net_link_is_own(fd));
    assert_int_equal(close(fd), 0);
    net_kit_wait(&probe, NET_KIT_LOST, 1);
    assert_int_equal(close(listener), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_false(net_link_is_own(pair[0]));
    assert_int_equal(close(pair[0]) | close(pair[1]), 0);
}

/* --- an upstream that leaves ------------------------------------------------------------------ */

static void leave(int fd)
{
    assert_int_equal(close(fd), 0);
}

static void leave_half(int fd)
{
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
}

static void say_and_leave(int fd)
{
    net_kit_say(fd, 0, 5000);
    leave(fd);
}

static void say_and_reset(int fd)
{
    net_kit_say(fd, 0, 5000);
    net_kit_reset(fd);
}

struct parting {
    void (*part)(int fd);
    net_kit_act_fn *before; /* what the link does before */
    enum err err;
    int error;
    int64_t input;
    int family;
    bool keeps; /* the upstream's end stays open */
};

static void part(const struct parting *parting, bool paused)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(parting->family, 1);
    int fd = net_kit_connected(&probe, listener);

    if (paused)
        net_kit_run(&probe, net_kit_pause);
    if (parting->before != NULL)
        net_kit_run(&probe, parting->before);
    parting->part(fd);
    if (paused && parting->input > 0) {
        net_kit_run(&probe,
                    net_kit_send); /* into the void; the loop has looked at the socket by then */
        net_kit_run(&probe, net_kit_send);
        assert_int_equal(probe.calls[NET_KIT_INPUT] + probe.calls[NET_KIT_LOST], 0);
        net_kit_run(&probe, net_kit_resume);
    }
    net_kit_wait(&probe, NET_KIT_LOST, 1);
    if (parting->err != ERR_END || !paused)
        assert_int_equal(probe.err, parting->err);
    if (!paused)
        assert_int_equal(probe.error, parting->error);
    assert_int_equal(probe.input_at_lost, parting->input);
    assert_int_equal(probe.calls[NET_KIT_LOST], 1);
    if (parting->keeps)
        assert_int_equal(close(fd), 0);
    assert_int_equal(close(listener), 0);
}

/* However it leaves, lost says so once; and what it said before is heard first, also when it cut
 * the connection, when we failed to send, and when we had paused. */
static void loses_its_upstream(void **state)
{
    static const struct parting partings[] = {
        {leave, NULL, ERR_END, 0, 0, AF_INET, false},
        {leave, NULL, ERR_END, 0, 0, AF_UNIX, false},
        {leave_half, NULL, ERR_END, 0, 0, AF_INET, true},
        {leave_half, NULL, ERR_END, 0, 0, AF_UNIX, true},
        {leave, net_kit_send, ERR_IO, ECONNRESET, 0, AF_INET, false},
        {leave, net_kit_send, ERR_IO, ECONNRESET, 0, AF_UNIX, false},
        {net_kit_reset, NULL, ERR_IO, ECONNRESET, 0, AF_INET, false},
        {net_kit_reset, net_kit_send, ERR_IO, ECONNRESET, 0, AF_INET, false},
        {say_and_leave, NULL, ERR_END, 0, 5000, AF_INET, false},
        {say_and_leave, NULL, ERR_END, 0, 5000, AF_UNIX, false},
        {say_and_leave, net_kit_send, ERR_IO, ECONNRESET, 5000, AF_INET, false},
        {say_and_reset, NULL, ERR_IO, ECONNRESET, 5000, AF_INET, false},
        {say_and_reset, net_kit_send, ERR_IO, ECONNRESET, 5000, AF_INET, false},
    };

    for (size_t i = 0; i < PC_COUNT(partings); i++) {
        part(&partings[i], false);
        part(&partings[i], true);
    }
    assert_true(net_kit_metric("portcullis_net_upstream_failures_total{reason=\"reset\"} ") >= 12);
}

/* Accepted and dropped before or while the link learns that it is open. */
static void loses_it_at_once(void **state)
{
    for (int i = 0; i < 50; i++) {
        struct net_kit_probe probe = {0};
        int listener = net_kit_listen(AF_INET, 1);

        net_kit_run(&probe, net_kit_open);
        if (i % 2 == 0)
            assert_int_equal(close(net_kit_accept(listener)), 0);
        else
            net_kit_reset(net_kit_accept(listener));
        net_kit_wait(&probe, NET_KIT_LOST, 1);
        assert_int_equal(close(listener), 0);
    }
}

static int upstream; /* its end, for what happens on the loop */

/* So much that it is sent at once. */
static void send_much(struct net_kit_probe *probe)
{
    static const char zeros[NET_LETTER_BYTES_MAX + 1];
    const struct span part = span_make(zeros, sizeof(zeros));

    net_link_send(probe->link, &part, 1);
}

static void cut_and_send(struct net_kit_probe *probe)
{
    net_kit_reset(upstream);
    send_much(probe);
    send_much(probe);
    PC_ASSERT(!net_link_is_open(probe->link) && net_link_room(probe->link) == 0);
    PC_ASSERT(net_link_is_drained(probe->link) && probe->calls[NET_KIT_LOST] == 0);
}

/* A failed send says nothing itself: lost comes from the loop. */
static void tells_later(void **state)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(AF_INET, 1);

    upstream = net_kit_connected(&probe, listener);
    net_kit_run(&probe, cut_and_send);
    net_kit_wait(&probe, NET_KIT_LOST, 1);
    assert_int_equal(probe.err, ERR_IO);
    assert_true(probe.error == ECONNRESET || probe.error == EPIPE);
    assert_int_equal(close(listener), 0);
}

static void deafen_and_send(struct net_kit_probe *probe)
{
    PC_ASSERT(shutdown(upstream, SHUT_RD) == 0);
    net_kit_send(probe);
}

/* An upstream that listens no more, though it could still speak. */
static void loses_a_deaf_one(void **state)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(AF_UNIX, 1);

    upstream = net_kit_connected(&probe, listener);
    net_kit_run(&probe, deafen_and_send);
    net_kit_wait(&probe, NET_KIT_LOST, 1);
    assert_int_equal(probe.err, ERR_IO);
    assert_int_equal(probe.error, EPIPE);
    assert_int_equal(close(upstream) | close(listener), 0);
}

/* An upstream that has heard enough answers and leaves in the middle of what it is sent. */
static void hears_an_early_answer(void **state)
{
    for (int64_t heard = 1; heard < 3000000; heard *= 6) {
        struct net_kit_probe probe = {.act[NET_KIT_ROOM] = net_kit_pump};
        int listener = net_kit_listen(AF_INET, 1);
        int fd = net_kit_connected(&probe, listener);

        net_kit_run(&probe, net_kit_pump);
        net_kit_hear(fd, 0, heard);
        net_kit_say(fd, 0, 100);
        assert_int_equal(close(fd), 0);
        net_kit_wait(&probe, NET_KIT_LOST, 1);
        assert_int_equal(probe.input_at_lost, 100);
        assert_int_equal(close(listener), 0);
    }
}

/* --- back-pressure ---------------------------------------------------------------------------- */

static void pushes_back_our_side(int family, bool small)
{
    struct net_kit_probe probe = {.act[NET_KIT_ROOM] = net_kit_pump};
    int listener = net_kit_listen(family, 1);
    int fd = net_kit_connected(&probe, listener);

    if (small)
        net_kit_make_small(net_kit_own_end(net_kit_port()));
    net_kit_run(&probe, net_kit_pump);
    assert_true(probe.sent < NET_KIT_MANY_BYTES);
    assert_int_equal(probe.calls[NET_KIT_ROOM], 0);
    net_kit_hear(fd, 0, NET_KIT_MANY_BYTES);
    assert_true(probe.calls[NET_KIT_ROOM] > 0);
    assert_true(probe.waiting > NET_OUTPUT_BYTES_MAX / 2);
    assert_true(probe.waiting <= NET_OUTPUT_BYTES_MAX);
    net_kit_say(fd, 0, 3);
    net_kit_wait_input(&probe, 3);
    net_kit_run(&probe, net_kit_close);
    net_client_expect_end(fd);
    assert_int_equal(close(listener), 0);
}

/* As much as it takes now. */
static int64_t say_some(int fd, int64_t from)
{
    int64_t at = from;

    while (at < NET_KIT_MANY_BYTES) {
        char bytes[NET_KIT_SEND_BYTES];
        size_t most = NET_KIT_MANY_BYTES - at < NET_KIT_SEND_BYTES
                          ? (size_t)(NET_KIT_MANY_BYTES - at)
                          : NET_KIT_SEND_BYTES;
        ssize_t sent;

        for (size_t i = 0; i < most; i++)
            bytes[i] = net_kit_byte(at + (int64_t)i);
        sent = send(fd, bytes, most, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0)
            break;
        at += sent;
    }
    return at;
}

static void holds_back_its_side(int family)
{
    struct net_kit_probe probe = {.act[NET_KIT_INPUT] = net_kit_pause};
    int listener = net_kit_listen(family, 1);
    int fd = net_kit_connected(&probe, listener);
    int small = 64 * 1024;
    int64_t said;

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    said = say_some(fd, 0);
    net_kit_wait(&probe, NET_KIT_INPUT, 1);
    while (probe.input < NET_KIT_MANY_BYTES) {
        int reads = probe.calls[NET_KIT_INPUT];

        assert_true(probe.input <= (int64_t)reads * NET_READ_BYTES);
        said = say_some(fd, said);
        net_kit_run(&probe, net_kit_resume);
        if (said > probe.input)
            net_kit_wait(&probe, NET_KIT_INPUT, reads + 1);
    }
    assert_int_equal(probe.input, NET_KIT_MANY_BYTES);
    assert_int_equal(close(fd), 0);
    net_kit_wait(&probe, NET_KIT_LOST, 1);
    assert_int_equal(probe.err, ERR_END);
    assert_int_equal(close(listener), 0);
}

static void pushes_back(void **state)
{
    pushes_back_our_side(AF_INET, false);
    pushes_back_our_side(AF_INET, true);
    pushes_back_our_side(AF_UNIX, false);
    holds_back_its_side(AF_INET);
    holds_back_its_side(AF_UNIX);
}

/* What waits in the socket of a paused link neither comes nor keeps the loop busy. */
static void pauses(void **state)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(AF_UNIX, 1);
    int fd = net_kit_connected(&probe, listener);
    int64_t said;

    net_kit_run(&probe, net_kit_pause);
    net_kit_run(&probe, net_kit_resume);
    net_kit_run(&probe, net_kit_pause);
    said = say_some(fd, 0);
    assert_true(said < 2 * 1024 * 1024);
    for (int i = 0; i < 20; i++)
        net_kit_run(&probe, net_kit_send);
    assert_int_equal(probe.calls[NET_KIT_INPUT], 0);
    assert_int_equal(net_kit_polled(), 0);
    net_kit_run(&probe, net_kit_resume);
    net_kit_wait_input(&probe, said);
    assert_int_equal(net_kit_polled(), 1);
    net_kit_run(&probe, net_kit_close);
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(listener), 0);
}

/* The clock stands, so that no timer of a link does what its poll should. */
#define TEST(test) cmocka_unit_test_setup_teardown(test, net_kit_start_still, net_kit_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(talks),
        TEST(sets_its_socket),
        TEST(is_refused),
        TEST(tries_again),
        TEST(gives_up_connecting),
        TEST(finds_no_room),
        TEST(knows_itself),
        TEST(loses_its_upstream),
        TEST(loses_it_at_once),
        TEST(tells_later),
        TEST(loses_a_deaf_one),
        TEST(hears_an_early_answer),
        TEST(pushes_back),
        TEST(pauses),
    };

    return cmocka_run_group_tests(tests, net_kit_warm, NULL);
}
