/* SPDX-License-Identifier: MIT
 * A link's life beside its upstream: whatever an owner does in whichever call, deadlines, very many
 * links, a loop that stops, no memory and no file descriptors. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "net/net_link_kit.h"

/* --- what an owner does in a call ------------------------------------------------------------- */

static void do_close_other(struct net_kit_probe *probe)
{
    net_kit_close(probe->other);
}

static void do_close_both(struct net_kit_probe *probe)
{
    net_kit_close(probe->other);
    net_kit_close(probe);
}

static void do_send(struct net_kit_probe *probe)
{
    net_kit_send(probe);
    net_kit_send(probe->other);
}

static void do_fill(struct net_kit_probe *probe)
{
    probe->sent = probe->other->sent = 0;
    net_kit_pump(probe);
    net_kit_pump(probe->other);
}

/* A third link, which lives until the loop stops. */
static struct net_kit_probe third;

static void do_open(struct net_kit_probe *probe)
{
    if (third.link == NULL && third.calls[NET_KIT_LOST] == 0)
        net_kit_open(&third);
}

static void do_pause(struct net_kit_probe *probe)
{
    if (probe->link != NULL)
        net_kit_pause(probe);
    if (probe->other->link != NULL)
        net_kit_pause(probe->other);
}

static void do_set_deadline(struct net_kit_probe *probe)
{
    if (probe->link != NULL)
        net_link_deadline(probe->link, net_loop_now_ns(net_kit_loop()));
}

static net_kit_act_fn *const acts[] = {net_kit_close, do_close_other, do_close_both,
                                       do_send,       do_fill,        do_open,
                                       do_pause,      net_kit_resume, do_set_deadline};

static void open_both(struct net_kit_probe *probe)
{
    net_kit_open(probe);
    net_kit_open(probe->other);
}

static void excite(struct net_kit_probe *probe)
{
    if (probe->link != NULL) {
        net_kit_pump(probe);
        net_link_deadline(probe->link, net_loop_now_ns(net_kit_loop()));
    }
}

static void excite_both(struct net_kit_probe *probe)
{
    excite(probe);
    excite(probe->other);
}

/* The upstream speaks, reads, and leaves, so that each call comes if nothing forbids it. */
static void live(net_kit_act_fn *act, enum net_kit_call call)
{
    struct net_kit_probe a = {0};
    struct net_kit_probe b = {.other = &a};
    int listener = net_kit_listen(AF_UNIX, 16);
    int fds[2];
    char buffer[NET_KIT_SEND_BYTES];

    memset(&third, 0, sizeof(third));
    a.other = &b;
    a.act[call] = b.act[call] = act;
    net_kit_run(&a, open_both);
    fds[0] = net_kit_accept(listener);
    fds[1] = net_kit_accept(listener);
    net_kit_run(&a, excite_both);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        net_kit_say(fds[i], 0, 100);
    for (int round = 0; round < 40; round++) {
        for (size_t i = 0; i < PC_COUNT(fds); i++) {
            ssize_t got = recv(fds[i], buffer, sizeof(buffer), MSG_DONTWAIT);

            (void)got;
        }
        if (round % 16 == 0)
            net_kit_pass(NET_KIT_PASS_MS_MIN);
        net_kit_run(&third, net_kit_send);
    }
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        assert_int_equal(close(fds[i]), 0);
    net_kit_run(&a, net_kit_resume);
    net_kit_run(&b, net_kit_resume);
    net_kit_pass(NET_KIT_PASS_MS_MIN);
    net_kit_run(&a, do_close_both);
    net_kit_run(&third, net_kit_close);
    assert_true(a.calls[NET_KIT_LOST] <= 1 && b.calls[NET_KIT_LOST] <= 1);
    assert_int_equal(close(listener), 0);
}

/* No call comes after the end, and nothing is used after it was freed, whatever is done in any
 * call (see also `called` in net_link_kit_test.c). */
static void bears_anything_in_a_call(void **state)
{
    for (size_t i = 0; i < PC_COUNT(acts); i++) {
        for (int call = 0; call < NET_KIT_CALLS; call++)
            live(acts[i], (enum net_kit_call)call);
    }
}

static int two[2];

static void speak_to_both(struct net_kit_probe *probe)
{
    for (size_t i = 0; i < PC_COUNT(two); i++)
        net_kit_say(two[i], 0, 10);
}

/* Both are readable in the same turn of the loop; the first one closes the other, which hears
 * nothing any more. */
static void closes_the_next(void **state)
{
    struct net_kit_probe a = {.act[NET_KIT_INPUT] = do_close_other};
    struct net_kit_probe b = {.act[NET_KIT_INPUT] = do_close_other, .other = &a};
    int listener = net_kit_listen(AF_UNIX, 16);

    a.other = &b;
    two[0] = net_kit_connected(&a, listener);
    two[1] = net_kit_connected(&b, listener);
    net_kit_run(&a, speak_to_both);
    for (int i = 0; i < 5; i++)
        net_kit_run(&a, net_kit_send);
    assert_int_equal(a.calls[NET_KIT_INPUT] + b.calls[NET_KIT_INPUT], 1);
    net_kit_run(&a, do_close_both);
    assert_int_equal(close(two[0]) | close(two[1]) | close(listener), 0);
}

/* --- deadlines -------------------------------------------------------------------------------- */

static int64_t deadline_ms; /* from now; < 0: none */

static void set_deadline(struct net_kit_probe *probe)
{
    net_link_deadline(probe->link, deadline_ms < 0 ? NET_LINK_NO_DEADLINE
                                                   : net_loop_now_ns(net_kit_loop()) +
                                                         deadline_ms * CLOCK_NS_PER_MS);
}

static void set(struct net_kit_probe *probe, int64_t ms)
{
    deadline_ms = ms;
    net_kit_run(probe, set_deadline);
}

static void set_again(struct net_kit_probe *probe)
{
    if (probe->calls[NET_KIT_LATE] > 3)
        return;
    deadline_ms = 500;
    set_deadline(probe);
}

static void keeps_deadlines(void **state)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(AF_INET, 8);
    int fd = net_kit_connected(&probe, listener);

    set(&probe, 1000);
    net_kit_pass(900);
    set(&probe, 1000); /* further away */
    net_kit_pass(900);
    assert_int_equal(probe.calls[NET_KIT_LATE], 0);
    net_kit_pass(200);
    assert_int_equal(probe.calls[NET_KIT_LATE], 1);
    net_kit_pass(60000); /* once is enough; and connect_ms has long been over */
    assert_int_equal(probe.calls[NET_KIT_LATE], 1);
    set(&probe, 1000);
    set(&probe, -1);
    net_kit_pass(60000);
    assert_int_equal(probe.calls[NET_KIT_LATE], 1);
    set(&probe, 60000);
    set(&probe, 100); /* nearer */
    net_kit_pass(200);
    assert_int_equal(probe.calls[NET_KIT_LATE], 2);
    probe.act[NET_KIT_LATE] = set_again;
    set(&probe, 100);
    for (int i = 0; i < 10; i++)
        net_kit_pass(600);
    assert_int_equal(probe.calls[NET_KIT_LATE], 5);
    net_kit_run(&probe, net_kit_close);
    net_client_expect_end(fd);
    assert_int_equal(close(listener), 0);
}

static int fill[3];

static int listen_full(void)
{
    int listener = net_kit_listen(AF_INET, 0);

    for (size_t i = 0; i < PC_COUNT(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fill[i], (const struct sockaddr *)net_kit_aimed(),
                      sizeof(struct sockaddr_in));
    }
    return listener;
}

static void close_full(int listener)
{
    for (size_t i = 0; i < PC_COUNT(fill); i++)
        assert_int_equal(close(fill[i]), 0);
    assert_int_equal(close(listener), 0);
}

/* The owner's deadline counts while connecting too, and does not end it. */
static void is_late_while_connecting(void **state)
{
    struct net_kit_probe probe = {.connect_ms = 2000};
    int listener = listen_full();

    net_kit_run(&probe, net_kit_open);
    set(&probe, 1000);
    net_kit_pass(900);
    assert_int_equal(probe.calls[NET_KIT_LATE], 0);
    net_kit_pass(200);
    assert_int_equal(probe.calls[NET_KIT_LATE], 1);
    assert_int_equal(probe.calls[NET_KIT_LOST], 0);
    net_kit_pass(1000);
    assert_int_equal(probe.calls[NET_KIT_LOST], 1);
    assert_int_equal(probe.err, ERR_REQUEST_TIMEOUT);
    close_full(listener);
}

/* --- very many -------------------------------------------------------------------------------- */

enum { MANY = 1000 };

static struct net_kit_probe many[MANY];

static void open_many(struct net_kit_probe *probe)
{
    for (size_t i = 0; i < MANY; i++)
        net_kit_open(&many[i]);
}

static void close_odd(struct net_kit_probe *probe)
{
    for (size_t i = 1; i < MANY; i += 2)
        net_kit_close(&many[i]);
}

static void carries_many(void **state)
{
    static int fds[MANY];
    int listener = net_kit_listen(AF_INET, MANY);

    memset(many, 0, sizeof(many));
    net_kit_run(NULL, open_many);
    for (size_t i = 0; i < MANY; i++) {
        fds[i] = net_kit_accept(listener);
        net_kit_say(fds[i], 0, 7);
    }
    for (size_t i = 0; i < MANY; i++)
        net_kit_wait_input(&many[i], 7);
    assert_int_equal(net_kit_metric("portcullis_net_upstream_connections_open "), MANY);
    assert_int_equal(net_kit_metric("portcullis_net_upstream_connections_total "), MANY);
    net_kit_run(NULL, close_odd);
    assert_int_equal(net_kit_metric("portcullis_net_upstream_connections_open "), MANY / 2);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(close(fds[i]), 0);
    for (size_t i = 0; i < MANY; i++) {
        if (i % 2 == 0)
            net_kit_wait(&many[i], NET_KIT_LOST, 1);
        assert_int_equal(many[i].calls[NET_KIT_OPEN], 1);
        assert_int_equal(many[i].calls[NET_KIT_LOST], i % 2 == 0);
    }
    assert_int_equal(close(listener), 0);
}

/* --- stopping --------------------------------------------------------------------------------- */

static struct net_kit_probe too_late;

/* A proxy's second try; and another one's link is closed. */
static void try_again(struct net_kit_probe *probe)
{
    net_kit_open(&too_late);
    if (probe->other != NULL)
        net_kit_close(probe->other);
}

static void stops_with_links(void **state)
{
    struct net_kit_probe probes[6] = {0};
    struct net_kit_probe *idle = &probes[0];
    struct net_kit_probe *busy = &probes[1];
    struct net_kit_probe *paused = &probes[2];
    struct net_kit_probe *timed = &probes[3];
    struct net_kit_probe *connecting = &probes[4];
    struct net_kit_probe *closed = &probes[5];
    int listener = net_kit_listen(AF_UNIX, 16);
    int full;
    int fds[5];

    memset(&too_late, 0, sizeof(too_late));
    for (size_t i = 0; i < PC_COUNT(probes); i++)
        probes[i].act[NET_KIT_LOST] = try_again;
    fds[0] = net_kit_connected(idle, listener);
    fds[1] = net_kit_connected(busy, listener);
    fds[2] = net_kit_connected(paused, listener);
    fds[3] = net_kit_connected(timed, listener);
    fds[4] = net_kit_connected(closed, listener);
    net_kit_run(busy, net_kit_pump);
    net_kit_run(paused, net_kit_pause);
    net_kit_say(fds[2], 0, 10);
    set(timed, 3600 * 1000);
    idle->other = busy->other = closed; /* whoever comes first closes it */
    closed->act[NET_KIT_LOST] = NULL;
    full = listen_full();
    net_kit_run(connecting, net_kit_open);
    net_kit_stop_server();
    for (size_t i = 0; i < PC_COUNT(probes); i++) {
        bool told = &probes[i] != closed;

        assert_true(probes[i].calls[NET_KIT_LOST] == 1 || !told);
        assert_true(probes[i].err == ERR_DRAINING || !told);
    }
    assert_int_equal(too_late.opened, ERR_DRAINING);
    assert_int_equal(net_kit_metric("portcullis_net_upstream_failures_total{reason=\"reset\"} "),
                     0);
    for (size_t i = 0; i < PC_COUNT(fds); i++)
        assert_int_equal(close(fds[i]), 0);
    close_full(full);
    assert_int_equal(close(listener), 0);
}

/* A drain waits for clients, not for links. */
static void drains_with_links(void **state)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(AF_UNIX, 16);
    int fd = net_kit_connected(&probe, listener);

    assert_true(net_server_drain(net_kit_server(), 10000));
    net_kit_run(&probe, net_kit_send); /* what still runs may go on */
    net_client_expect(fd, SPAN_OF("ping"));
    net_kit_stop_server();
    assert_int_equal(probe.err, ERR_DRAINING);
    assert_int_equal(close(fd) | close(listener), 0);
}

struct belated {
    struct net_task task;
    struct net_loop *loop;
    enum err err;
};

static void open_belated(struct net_task *task)
{
    struct belated *belated = PC_CONTAINER(task, struct belated, task);
    const struct net_link_options options = {.address = *net_kit_aimed()};
    struct net_link *link;

    belated->err = net_link_open(belated->loop, &options, &link);
}

/* A task that comes when the loop is over. */
static void opens_none_too_late(void **state)
{
    const struct net_server_options options = {.loops = 1};
    struct belated belated = {.task.run = open_belated};
    struct net_server *server;

    assert_int_equal(net_server_new(&options, &server), ERR_OK);
    belated.loop = net_server_loop(server, 0);
    net_loop_post(belated.loop, &belated.task);
    net_server_free(server);
    assert_int_equal(belated.err, ERR_DRAINING);
}

/* --- nothing left ----------------------------------------------------------------------------- */

static uint64_t nth;

static void pump_without_memory(struct net_kit_probe *probe)
{
    alloc_fail_at(nth);
    net_kit_pump(probe);
}

static void open_without_memory(struct net_kit_probe *probe)
{
    alloc_fail_at(1);
    net_kit_open(probe);
}

static void survives_without_memory(void **state)
{
    int listener = net_kit_listen(AF_UNIX, 16);
    struct net_kit_probe none = {0};

    net_kit_run(&none, open_without_memory);
    assert_int_equal(none.opened, ERR_NO_MEMORY);
    for (nth = 1; nth < 6; nth++) {
        struct net_kit_probe probe = {.act[NET_KIT_LOST] = net_kit_pump};
        int fd = net_kit_connected(&probe, listener);

        net_kit_run(&probe, pump_without_memory);
        net_kit_wait(&probe, NET_KIT_LOST, 1);
        assert_int_equal(alloc_fail_pending(), 0);
        assert_int_equal(probe.err, ERR_NO_MEMORY);
        assert_int_equal(close(fd), 0);
    }
    assert_int_equal(net_kit_metric("portcullis_net_upstream_failures_total{reason=\"memory\"} "),
                     5);
    assert_int_equal(close(listener), 0);
}

static int error_of_open;

static void open_for_error(struct net_kit_probe *probe)
{
    errno = 0;
    net_kit_open(probe);
    error_of_open = errno;
}

static void survives_without_files(void **state)
{
    struct net_kit_probe probe = {0};
    int listener = net_kit_listen(AF_INET, 16);
    struct rlimit limit;
    struct rlimit little;
    int next = dup(listener);
    int fd;

    assert_int_equal(close(next), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    little = limit;
    little.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &little), 0);
    net_kit_run(&probe, open_for_error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(probe.opened, ERR_IO);
    assert_int_equal(error_of_open, EMFILE);
    assert_int_equal(net_kit_metric("portcullis_net_upstream_failures_total{reason=\"files\"} "),
                     1);
    fd = net_kit_connected(&probe, listener);
    net_kit_run(&probe, net_kit_close);
    net_client_expect_end(fd);
    assert_int_equal(close(listener), 0);
}

static int prepare(void **state)
{
    assert_true(net_raise_fd_limit() > 2 * MANY + 100);
    return net_kit_warm(state);
}

#define TEST(test)       cmocka_unit_test_setup_teardown(test, net_kit_start, net_kit_stop)
#define TEST_STILL(test) cmocka_unit_test_setup_teardown(test, net_kit_start_still, net_kit_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_STILL(bears_anything_in_a_call),
        TEST(closes_the_next),
        TEST_STILL(keeps_deadlines),
        TEST_STILL(is_late_while_connecting),
        TEST(carries_many),
        TEST(stops_with_links),
        TEST(drains_with_links),
        TEST(opens_none_too_late),
        TEST(survives_without_memory),
        TEST(survives_without_files),
    };

    return cmocka_run_group_tests(tests, prepare, NULL);
}
