/* SPDX-License-Identifier: MIT
 * The parts under the server, each alone: the wheel of timers against a plain list, shares of
 * connections, waiting output, tasks from other threads, the pool, signals. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/random_test_kit.h"
#include "net/net_pool.h"
#include "net/net_priv.h"
#include "net/net_signal.h"

/* --- the wheel ------------------------------------------------------------------------------- */

enum { TIMERS = 64, STEPS = 200000 };

#define TICK_NS (INT64_C(1) << NET_WHEEL_TICK_BITS)

struct alarm {
    struct net_timer timer;
    int64_t due_ns; /* 0: not armed */
};

static int64_t now_ns;
static int fired;

static void on_alarm(struct net_timer *timer)
{
    struct alarm *alarm = PC_CONTAINER(timer, struct alarm, timer);

    assert_true(alarm->due_ns != 0);
    assert_true(now_ns >= alarm->due_ns);               /* never early */
    assert_true(now_ns - alarm->due_ns <= 2 * TICK_NS); /* hardly late */
    alarm->due_ns = 0;
    fired++;
}

static void turn(struct net_wheel *wheel, struct random_seeded *random, struct alarm *alarm)
{
    switch (test_draw(random, 4)) {
    case 0:
        net_timer_stop(&alarm->timer);
        alarm->due_ns = 0;
        return;
    case 1:
    case 2:
        alarm->due_ns =
            now_ns + 1 + (int64_t)test_draw(random, 30000000000u >> test_draw(random, 20));
        net_wheel_set(wheel, &alarm->timer, alarm->due_ns);
        return;
    default:
        now_ns += (int64_t)test_draw(random, (uint64_t)TICK_NS);
        net_wheel_run(wheel, now_ns);
    }
}

/* Armed, moved and stopped at random, every timer fires once, in its tick, never early; and the
 * wheel never claims to be idle while one is due. */
static void wheel_is_exact(void **state)
{
    static struct alarm alarms[TIMERS];
    static struct net_wheel wheel;
    struct random_seeded random;

    random_seeded_init(&random, 7);
    now_ns = 123456789;
    net_wheel_init(&wheel, now_ns);
    for (size_t i = 0; i < TIMERS; i++)
        alarms[i].timer.fire = on_alarm;
    for (int step = 0; step < STEPS; step++) {
        size_t at = test_draw(&random, TIMERS);

        turn(&wheel, &random, &alarms[at]);
        if (alarms[at].due_ns != 0)
            assert_true(net_wheel_next_ns(&wheel) <= alarms[at].due_ns + TICK_NS);
    }
    assert_true(fired > 1000);
    for (size_t i = 0; i < TIMERS; i++)
        net_timer_stop(&alarms[i].timer);
}

/* After a long sleep everything due fires, and the wheel goes on from there. */
static void wheel_survives_a_jump(void **state)
{
    static struct net_wheel wheel;
    struct alarm near = {.timer.fire = on_alarm};
    struct alarm far = {.timer.fire = on_alarm};

    now_ns = 0;
    net_wheel_init(&wheel, now_ns);
    assert_int_equal(net_wheel_next_ns(&wheel), NET_NO_DEADLINE);
    net_wheel_set(&wheel, &near.timer, 5);
    net_wheel_set(&wheel, &far.timer, 3600 * CLOCK_NS_PER_S);
    now_ns = 3599 * CLOCK_NS_PER_S;
    near.due_ns = now_ns;
    fired = 0;
    net_wheel_run(&wheel, now_ns);
    assert_int_equal(fired, 1);
    far.due_ns = now_ns += 2 * CLOCK_NS_PER_S;
    net_wheel_run(&wheel, now_ns);
    assert_int_equal(fired, 2);
}

/* --- shares ---------------------------------------------------------------------------------- */

static struct net_peer peer_of(uint32_t number, bool v6)
{
    struct net_peer peer = {.family = v6 ? AF_INET6 : AF_INET};

    memcpy(peer.bytes, &number, sizeof(number));
    return peer;
}

/* Every address has its own share, also when the table grows and entries leave its middle. */
static void shares_are_counted(void **state)
{
    struct net_admit *admit;

    assert_int_equal(net_admit_new(2, &random_system, &admit), ERR_OK);
    for (uint32_t i = 0; i < 2000; i++) {
        struct net_peer peer = peer_of(i / 2, i % 2 == 1);

        assert_true(net_admit_take(admit, &peer));
        assert_true(net_admit_take(admit, &peer));
        assert_false(net_admit_take(admit, &peer));
    }
    for (uint32_t i = 0; i < 2000; i += 3) {
        struct net_peer peer = peer_of(i / 2, i % 2 == 1);

        net_admit_give(admit, &peer);
        net_admit_give(admit, &peer);
    }
    for (uint32_t i = 0; i < 2000; i++) {
        struct net_peer peer = peer_of(i / 2, i % 2 == 1);

        assert_int_equal(net_admit_take(admit, &peer), i % 3 == 0);
    }
    net_admit_free(admit);
}

/* One IPv6 customer has a whole /64 of addresses and still one share. */
static void a_network_is_one_address(void **state)
{
    struct net_peer one = peer_of(1, true);
    struct net_peer other = peer_of(1, true);
    struct net_admit *admit;

    other.bytes[15] = 9;
    assert_int_equal(net_admit_new(1, &random_system, &admit), ERR_OK);
    assert_true(net_admit_take(admit, &one));
    assert_false(net_admit_take(admit, &other));
    other.bytes[7] = 1;
    assert_true(net_admit_take(admit, &other));
    net_admit_free(admit);
}

static void addresses_are_read(void **state)
{
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = 0x5000};
    struct net_conn conn = {0};

    mapped.sin6_addr.s6_addr[10] = mapped.sin6_addr.s6_addr[11] = 0xff;
    mapped.sin6_addr.s6_addr[12] = 192;
    mapped.sin6_addr.s6_addr[15] = 7;
    net_conn_address(&conn, (const struct sockaddr *)&mapped);
    assert_int_equal(conn.peer.family, AF_INET);
    assert_true(span_is(conn.peer.address, "192.0.0.7"));
    assert_int_equal(conn.peer.port, 80);
    mapped.sin6_addr.s6_addr[0] = 0x20;
    net_conn_address(&conn, (const struct sockaddr *)&mapped);
    assert_int_equal(conn.peer.family, AF_INET6);
    assert_true(span_is(conn.peer.address, "2000::ffff:c000:7"));
}

/* --- output ---------------------------------------------------------------------------------- */

static char output_byte(const struct net_output *output)
{
    struct iovec vector = {0};

    assert_int_equal(net_output_peek(output, &vector, 1), 1);
    return *(const char *)vector.iov_base;
}

/* What goes in comes out, in order, whatever is copied, referred to, and taken in between. */
static void output_keeps_order(void **state)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
    struct net_output output = {0};
    struct random_seeded random;
    uint64_t in = 0;
    uint64_t out = 0;

    random_seeded_init(&random, 3);
    for (int step = 0; step < 20000; step++) {
        size_t len = test_draw(&random, 26 - in % 26 + 1);
        struct span piece = span_make(letters + in % 26, len);

        assert_true(step % 5 == 0 ? net_output_refer(&output, piece)
                                  : net_output_copy(&output, piece));
        in += len;
        assert_int_equal(output.bytes, in - out);
        len = test_draw(&random, output.bytes + 1);
        net_output_drop(&output, len);
        out += len;
        if (output.bytes > 0)
            assert_int_equal(output_byte(&output), letters[out % 26]);
    }
    net_output_clear(&output);
    assert_null(output.oldest);
    alloc_fail_at(1);
    assert_false(net_output_copy(&output, SPAN_OF("x")));
    assert_int_equal(output.bytes, 0);
}

/* --- tasks and timers of a loop --------------------------------------------------------------- */

enum { SENDERS = 4, TASKS = 5000 };

struct errand {
    struct net_task task;
    int sender;
    int number;
};

static struct errand errands[SENDERS][TASKS];
static int last[SENDERS];
static _Atomic int done;
static struct net_loop *loop;

static void run_errand(struct net_task *task)
{
    struct errand *errand = PC_CONTAINER(task, struct errand, task);

    assert_true(net_loop_is_current(loop));
    assert_int_equal(errand->number, last[errand->sender] + 1);
    last[errand->sender] = errand->number;
    done++;
}

static void *send_errands(void *context)
{
    struct errand *list = context;

    for (int i = 0; i < TASKS; i++)
        net_loop_post(loop, &list[i].task);
    return NULL;
}

static void wait_done(int count)
{
    for (int i = 0; i < 5000 && done < count; i++)
        (void)usleep(2000);
    assert_int_equal(done, count);
}

/* Tasks of several threads all run, on the loop, each thread's in its order. */
static void tasks_run_in_order(void **state)
{
    const struct net_server_options options = {.loops = 1};
    struct net_server *server;
    pthread_t senders[SENDERS];

    assert_int_equal(net_server_new(&options, &server), ERR_OK);
    assert_int_equal(net_server_start(server), ERR_OK);
    loop = net_server_loop(server, 0);
    for (int s = 0; s < SENDERS; s++) {
        for (int i = 0; i < TASKS; i++)
            errands[s][i] = (struct errand){.task.run = run_errand, .sender = s, .number = i + 1};
        assert_int_equal(pthread_create(&senders[s], NULL, send_errands, errands[s]), 0);
    }
    for (int s = 0; s < SENDERS; s++)
        assert_int_equal(pthread_join(senders[s], NULL), 0);
    wait_done(SENDERS * TASKS);
    net_server_free(server);
}

static struct net_timer ring;
static int64_t ring_due_ns;

static void on_ring(struct net_timer *timer)
{
    assert_true(net_loop_now_ns(loop) >= ring_due_ns);
    assert_int_equal(net_loop_http_date(loop).len, 29);
    done++;
}

static void start_ring(struct net_task *task)
{
    ring_due_ns = net_loop_now_ns(loop) + 20 * CLOCK_NS_PER_MS;
    net_timer_start(loop, &ring, 20, on_ring);
}

static void timers_ring(void **state)
{
    const struct net_server_options options = {.loops = 1};
    struct net_task task = {.run = start_ring};
    struct net_server *server;

    done = 0;
    assert_int_equal(net_server_new(&options, &server), ERR_OK);
    loop = net_server_loop(server, 0);
    net_loop_post(loop, &task);
    assert_int_equal(net_server_start(server), ERR_OK);
    wait_done(1);
    net_server_free(server);
}

/* --- the pool and signals ----------------------------------------------------------------------
 */

static _Atomic bool hold_jobs;

static void run_job(struct net_job *job)
{
    while (hold_jobs)
        (void)usleep(1000);
    done++;
}

/* A full queue refuses; freeing the pool still runs what was accepted. */
static void pool_is_bounded(void **state)
{
    struct net_job jobs[5] = {
        {.run = run_job}, {.run = run_job}, {.run = run_job}, {.run = run_job}, {.run = run_job}};
    struct net_pool *pool;

    done = 0;
    hold_jobs = true;
    assert_int_equal(net_pool_new("hash", 1, 3, &pool), ERR_OK);
    assert_int_equal(net_pool_submit(pool, &jobs[0]), ERR_OK);
    while (net_pool_length(pool) > 0)
        (void)usleep(1000);
    for (int i = 1; i < 4; i++)
        assert_int_equal(net_pool_submit(pool, &jobs[i]), ERR_OK);
    assert_int_equal(net_pool_submit(pool, &jobs[4]), ERR_BUSY);
    hold_jobs = false;
    net_pool_free(pool);
    assert_int_equal(done, 4);
    for (uint64_t nth = 1; nth < 3; nth++) {
        alloc_fail_at(nth);
        assert_int_equal(net_pool_new("hash", 1, 3, &pool), ERR_NO_MEMORY);
    }
}

static _Atomic int job_nice;

static void run_nice_job(struct net_job *job)
{
    job_nice = getpriority(PRIO_PROCESS, (id_t)gettid());
}

/* The pool's threads step back behind the one that made them, which stays as it was. */
static void pool_steps_back(void **state)
{
    struct net_job job = {.run = run_nice_job};
    int before = getpriority(PRIO_PROCESS, (id_t)gettid());
    struct net_pool *pool;

    assert_int_equal(net_pool_new_nice("hash", 1, 3, 3, &pool), ERR_OK);
    assert_int_equal(net_pool_submit(pool, &job), ERR_OK);
    net_pool_free(pool);
    assert_int_equal(job_nice, before + 3 > 19 ? 19 : before + 3);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)gettid()), before);
}

static void signals_are_waited_for(void **state)
{
    net_signals_block();
    assert_int_equal(net_signals_wait(0), NET_SIGNAL_NONE);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(net_signals_wait(1000), NET_SIGNAL_RELOAD);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(net_signals_wait(-1), NET_SIGNAL_STOP);
    assert_true(net_raise_fd_limit() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(signals_are_waited_for), /* first: before there are threads */
        cmocka_unit_test(wheel_is_exact),         cmocka_unit_test(wheel_survives_a_jump),
        cmocka_unit_test(shares_are_counted),     cmocka_unit_test(a_network_is_one_address),
        cmocka_unit_test(addresses_are_read),     cmocka_unit_test(output_keeps_order),
        cmocka_unit_test(tasks_run_in_order),     cmocka_unit_test(timers_ring),
        cmocka_unit_test(pool_is_bounded),        cmocka_unit_test(pool_steps_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
