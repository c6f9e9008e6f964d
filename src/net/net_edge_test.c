/* SPDX-License-Identifier: MIT
 * Sockets on the edge (net_edge.c), of clients and of upstreams: who gets there, and that whatever
 * a read leaves behind is still found: more than it took, what came while nobody read, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/random.h"
#include "net/http2_client.h"
#include "net/net_link_kit.h"

#define GET    "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"
#define HELLO  "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define UPLOAD "POST /held HTTP/1.1\r\nContent-Length: 300000\r\n\r\n"
#define SUM    "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"

enum { ENOUGH = 8, UPLOAD_BYTES = 300000, PIECE_BYTES = 1000 };

static atomic_int edges, levels;

/* In place of libc's for what is linked in, not for libuv: how the kernel is asked behind its back.
 */
int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_MOD)
        (void)atomic_fetch_add((event->events & EPOLLET) != 0 ? &edges : &levels, 1);
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

/* --- connections ------------------------------------------------------------------------------ */

static struct net_harness harness;

static int start(void **state)
{
    const struct net_server_options options = {.loops = 1};

    atomic_store(&edges, 0);
    atomic_store(&levels, 0);
    net_harness_start(&harness, &options, NULL);
    return 0;
}

static int stop(void **state)
{
    net_harness_stop(&harness);
    return 0;
}

static void ask(int fd, int times)
{
    for (int i = 0; i < times; i++) {
        net_client_send(fd, SPAN_OF(GET));
        net_client_expect(fd, SPAN_OF(HELLO));
    }
}

static int on_the_edge(void)
{
    int before = atomic_load(&edges);
    int fd = net_harness_connect(&harness);

    ask(fd, ENOUGH);
    assert_int_equal(atomic_load(&edges), before + 1);
    return fd;
}

/* One call for all that it asks from then on, and none for who asks little. */
static void a_kept_connection_gets_there_once(void **state)
{
    int fd = net_harness_connect(&harness);

    (void)state;
    ask(fd, 3);
    assert_int_equal(atomic_load(&edges), 0);
    ask(fd, 100);
    assert_int_equal(atomic_load(&edges), 1);
    assert_int_equal(atomic_load(&levels), 0);
    assert_int_equal(close(fd), 0);
}

/* So many at once that no read takes them all; on the way back to the edge as often as one likes.
 */
static void more_than_a_read_takes_is_answered(void **state)
{
    enum { BURST = 3000 };
    static char burst[BURST * (sizeof(GET) - 1)];
    int fd = on_the_edge();

    (void)state;
    for (size_t i = 0; i < BURST; i++)
        memcpy(burst + i * (sizeof(GET) - 1), GET, sizeof(GET) - 1);
    for (int round = 0; round < 5; round++) {
        net_client_send(fd, span_make(burst, sizeof(burst)));
        for (size_t i = 0; i < BURST; i++)
            net_client_expect(fd, SPAN_OF(HELLO));
        ask(fd, ENOUGH);
    }
    assert_true(atomic_load(&levels) > 0);
    assert_int_equal(close(fd), 0);
}

/* A body that comes while its reader pauses, and that is longer than a read. */
static void what_came_in_a_pause_is_read(void **state)
{
    static char body[UPLOAD_BYTES];
    int fd = on_the_edge();
    int told = harness.told;

    (void)state;
    memset(body, 'x', sizeof(body));
    for (int round = 0; round < 3; round++) {
        net_client_send(fd, SPAN_OF(UPLOAD));
        net_harness_wait(&harness.told, ++told);
        net_client_send(fd, span_make(body, sizeof(body) / 2));
        net_harness_resume(&harness);
        net_client_send(fd, span_make(body, sizeof(body) / 2));
        net_client_expect(fd, SPAN_OF(SUM));
        for (size_t at = 0; at < sizeof(body); at += PIECE_BYTES)
            net_client_expect(fd, span_make(body, PIECE_BYTES));
        ask(fd, ENOUGH);
        told += ENOUGH;
    }
    assert_int_equal(close(fd), 0);
}

/* In one segment with the last request, and alone. */
static void the_end_is_seen(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        int fd = on_the_edge();

        if (round % 2 == 0) {
            assert_int_equal(send(fd, GET, sizeof(GET) - 1, MSG_MORE), sizeof(GET) - 1);
            assert_int_equal(shutdown(fd, SHUT_WR), 0);
            net_client_expect(fd, SPAN_OF(HELLO));
        } else {
            assert_int_equal(shutdown(fd, SHUT_WR), 0);
        }
        net_client_expect_end(fd);
    }
}

/* A client that does as it likes; its answers are counted. */
static void a_client_may_do_anything(void **state)
{
    enum { STEPS = 400, MOST = 900 };
    static char burst[MOST * (sizeof(GET) - 1)];
    int fd = on_the_edge();

    (void)state;
    for (size_t i = 0; i < MOST; i++)
        memcpy(burst + i * (sizeof(GET) - 1), GET, sizeof(GET) - 1);
    for (int step = 0; step < STEPS; step++) {
        uint64_t dice;
        size_t count;
        size_t bytes;
        size_t cut;

        random_fill(&random_system, &dice, sizeof(dice));
        count = dice % 5 == 0 ? dice / 8 % MOST + 1 : dice / 8 % 3 + 1;
        bytes = count * (sizeof(GET) - 1);
        cut = (dice >> 16 & 1) != 0 ? (dice >> 20) % bytes : 0;
        net_client_send(fd, span_make(burst, cut));
        net_client_send(fd, span_make(burst + cut, bytes - cut));
        for (size_t i = 0; i < count; i++)
            net_client_expect(fd, SPAN_OF(HELLO));
    }
    assert_int_equal(close(fd), 0);
}

/* --- HTTP/2, which reads on while its answers wait ----------------------------------------------
 */

static int start_http2(void **state)
{
    const struct net_server_options options = {.loops = 1};

    atomic_store(&edges, 0);
    net_harness_start_http2(&harness, &options);
    return 0;
}

/* More than the kernel takes at once, and no window is opened meanwhile, which would be news. */
static void what_waits_leaves_though_it_is_read(void **state)
{
    enum { LAST = 9 };
    static const unsigned char wide[] = {0, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0, 64, 0, 0};
    static const unsigned char more[] = {4, 0, 0, 0};
    const struct span ping = SPAN("12345678");
    const int small = 65536;
    const int at_once = 1;
    static struct net_http2_client client;

    (void)state;
    net_http2_client_open(&client, &harness);
    client.keeps_shut = true;
    for (int i = 0; i < ENOUGH; i++)
        net_http2_client_sync(&client);
    assert_int_equal(atomic_load(&edges), 1);
    assert_int_equal(setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    assert_int_equal(setsockopt(client.fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once)), 0);
    net_http2_client_frame(&client, NGHTTP2_SETTINGS, 0, 0, span_make((const char *)wide, 6));
    net_http2_client_frame(&client, NGHTTP2_WINDOW_UPDATE, 0, 0, span_make((const char *)more, 4));
    for (uint32_t id = 1; id <= LAST; id += 2)
        net_http2_client_get(&client, id, "/large");
    for (int i = 0; i < ENOUGH; i++) {
        (void)usleep(5000);
        net_http2_client_frame(&client, NGHTTP2_PING, 0, 0, ping);
    }
    for (uint32_t id = 1; id <= LAST; id += 2)
        assert_int_equal(net_http2_client_answer(&client, id)->bytes, HARNESS_LARGE_BYTES);
    net_http2_client_close(&client);
}

/* --- links ------------------------------------------------------------------------------------ */

enum { SAID_BYTES = 100 };

/* `*ret_said`: what the upstream has said by then. */
static int link_on_the_edge(struct net_kit_probe *probe, int family, int64_t *ret_said)
{
    int before = atomic_load(&edges);
    int listener = net_kit_listen(family, 1);
    int fd = net_kit_connected(probe, listener);

    assert_int_equal(close(listener), 0);
    for (*ret_said = 0; *ret_said < ENOUGH * SAID_BYTES; *ret_said += SAID_BYTES) {
        net_kit_say(fd, *ret_said, SAID_BYTES);
        net_kit_wait_input(probe, *ret_said + SAID_BYTES);
    }
    assert_int_equal(atomic_load(&edges), before + 1);
    return fd;
}

static void an_upstream_is_heard_to_its_end(void **state)
{
    static const int families[] = {AF_INET, AF_UNIX};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(families); i++) {
        struct net_kit_probe probe = {0};
        int64_t said;
        int fd = link_on_the_edge(&probe, families[i], &said);
        char last[SAID_BYTES];

        net_kit_say(fd, said, 1000000);
        net_kit_wait_input(&probe, said += 1000000);
        net_kit_run(&probe, net_kit_pause);
        net_kit_say(fd, said, SAID_BYTES);
        net_kit_run(&probe, net_kit_resume);
        net_kit_wait_input(&probe, said += SAID_BYTES);
        for (size_t at = 0; at < sizeof(last); at++)
            last[at] = net_kit_byte(said + (int64_t)at);
        assert_int_equal(send(fd, last, sizeof(last), MSG_MORE), sizeof(last));
        assert_int_equal(close(fd), 0);
        net_kit_wait(&probe, NET_KIT_LOST, 1);
        assert_int_equal(probe.err, ERR_END);
        assert_int_equal(probe.input, said + SAID_BYTES);
    }
}

/* A kept one that hangs up is not kept any longer. */
static void a_resting_upstream_that_leaves_is_seen(void **state)
{
    struct net_kit_probe probe = {0};
    int64_t said;
    int fd = link_on_the_edge(&probe, AF_INET, &said);

    (void)state;
    net_kit_reset(fd);
    net_kit_wait(&probe, NET_KIT_LOST, 1);
}

/* What waits to be sent leaves, though its owner reads all the time. */
static void a_full_link_is_told_of_room(void **state)
{
    struct net_kit_probe probe = {.act = {[NET_KIT_ROOM] = net_kit_pump}};
    int64_t said;
    int fd = link_on_the_edge(&probe, AF_INET, &said);

    (void)state;
    net_kit_run(&probe, net_kit_pump);
    assert_true(probe.sent < NET_KIT_MANY_BYTES);
    for (int i = 0; i < ENOUGH; i++, said += SAID_BYTES) {
        net_kit_say(fd, said, SAID_BYTES);
        net_kit_wait_input(&probe, said + SAID_BYTES);
    }
    net_kit_hear(fd, 0, NET_KIT_MANY_BYTES);
    assert_int_equal(close(fd), 0);
    net_kit_wait(&probe, NET_KIT_LOST, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_kept_connection_gets_there_once, start, stop),
        cmocka_unit_test_setup_teardown(more_than_a_read_takes_is_answered, start, stop),
        cmocka_unit_test_setup_teardown(what_came_in_a_pause_is_read, start, stop),
        cmocka_unit_test_setup_teardown(the_end_is_seen, start, stop),
        cmocka_unit_test_setup_teardown(a_client_may_do_anything, start, stop),
        cmocka_unit_test_setup_teardown(what_waits_leaves_though_it_is_read, start_http2, stop),
        cmocka_unit_test_setup_teardown(an_upstream_is_heard_to_its_end, net_kit_start,
                                        net_kit_stop),
        cmocka_unit_test_setup_teardown(a_resting_upstream_that_leaves_is_seen, net_kit_start,
                                        net_kit_stop),
        cmocka_unit_test_setup_teardown(a_full_link_is_told_of_room, net_kit_start, net_kit_stop),
    };

    return cmocka_run_group_tests(tests, net_kit_warm, NULL);
}
