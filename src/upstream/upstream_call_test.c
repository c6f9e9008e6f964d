/* SPDX-License-Identifier: MIT
 * Calls to an upstream whose every byte the test sends itself: what is kept, what is asked again,
 * what waits, and what is given up. */
#include "upstream/upstream_call_test_kit.h"
#include "upstream/upstream_resolve.h"

/* ---- tests -------------------------------------------------------------------------------------
 */

static void a_connection_is_kept(void **state)
{
    static struct asker asker;
    int fd;

    make((struct upstream_options){0}, 1);
    begin(&asker, REQUEST);
    fd = take(listeners[0]);
    for (int i = 0; i < 3; i++) {
        asker.pauses = i > 0; /* who holds back the last piece holds nobody else back */
        hear(fd, REQUEST);
        say(fd, OK_ABC);
        answered(&asker, 200, "abc");
        begin(&asker, REQUEST);
    }
    asker.pauses = false;
    hear(fd, REQUEST);
    say(fd, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 \r\nConnection: close\r\n");
    say(fd, "Content-Length: 0\r\n\r\n");
    answered(&asker, 404, "");
    hear_end(fd);
    assert_false(is_readable(listeners[0], 0));
    (void)state;
}

/* It was closed before the request came: asked again by another one, where that does no harm. */
static void a_stale_connection_is_no_failure(void **state)
{
    static struct asker asker;

    make((struct upstream_options){0}, 1);
    for (int unsafe = 0; unsafe < 2; unsafe++) {
        int fd;

        asker.unsafe = false;
        begin(&asker, REQUEST);
        fd = take(listeners[0]);
        hear(fd, REQUEST);
        say(fd, OK_ABC);
        answered(&asker, 200, "abc");
        asker.unsafe = unsafe;
        begin(&asker, REQUEST);
        hear(fd, REQUEST);
        (void)close(fd);
        if (unsafe) {
            ended(&asker, ERR_UPSTREAM_CUT);
            continue;
        }
        fd = take(listeners[0]);
        hear(fd, REQUEST);
        say(fd, OK_ABC "x"); /* what nobody asked for closes it */
        answered(&asker, 200, "abc");
        hear_end(fd);
    }
    assert_int_equal(
        upstream_target_state(upstream_picker(upstream), 0, clock_monotonic_ns(&clock_system))
            .in_flight,
        0);
    (void)state;
}

/* Who was told that its body may come is not told otherwise: it may be on its way. */
static void a_body_that_may_come_is_waited_for_once(void **state)
{
    static struct asker asker;
    int fd;

    make((struct upstream_options){.retries = 3}, 1);
    begin(&asker, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    say(fd, OK_ABC);
    answered(&asker, 200, "abc");
    asker.body = "body";
    asker.keeps_body = true;
    begin(&asker, REQUEST);
    hear(fd, REQUEST);
    (void)close(fd);
    ended(&asker, ERR_UPSTREAM_CUT);
    assert_false(is_readable(listeners[0], 0));
    (void)state;
}

static void another_target_is_asked(void **state)
{
    static struct asker asker = {.unsafe = true}; /* nothing was sent, so it does no harm */
    int fd;

    (void)close(listeners[0]);
    make((struct upstream_options){.retries = 1}, 2);
    for (int i = 0; i < 4; i++) {
        begin(&asker, REQUEST);
        fd = take(listeners[1]);
        hear(fd, REQUEST);
        say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        answered(&asker, 200, "");
        hear_end(fd);
    }
    (void)close(listeners[1]);
    begin(&asker, REQUEST);
    ended(&asker, ERR_UPSTREAM_CONNECT);
    listeners[0] = listen_on(&ports[0]);
    listeners[1] = listen_on(&ports[1]);
    (void)state;
}

/* With one connection the second call waits for it, and the third finds no place to wait. */
static void calls_wait_in_line(void **state)
{
    static struct asker first, second, third;
    int fd;

    make((struct upstream_options){.links_max = 1, .queue_max = 1}, 1);
    begin(&first, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    begin(&second, REQUEST);
    third.head = REQUEST;
    arena_init(&third.arena, NULL, 0, 4096);
    run(&third, begin_task, &third.begun);
    assert_int_equal(third.begun, 1 + ERR_UPSTREAM_FULL);
    say(fd, OK_ABC);
    answered(&first, 200, "abc");
    hear(fd, REQUEST);
    begin(&first, REQUEST);
    run(&first, cancel_task, &first.over); /* while it waits */
    say(fd, OK_ABC);
    answered(&second, 200, "abc");
    (void)close(fd);
    (void)state;
}

static void who_waits_too_long_is_told(void **state)
{
    static struct asker first, second;
    int fd;

    make((struct upstream_options){.links_max = 1, .queue_max = 1, .connect_ms = 500}, 1);
    begin(&first, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    begin(&second, REQUEST);
    ended(&second, ERR_UPSTREAM_FULL);
    say(fd, OK_ABC);
    answered(&first, 200, "abc");
    (void)close(fd);
    (void)state;
}

static void silence_is_given_up(void **state)
{
    static struct asker asker;
    int fd;

    make((struct upstream_options){.response_ms = 50}, 1);
    begin(&asker, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    ended(&asker, ERR_UPSTREAM_SLOW);
    hear_end(fd);
    (void)state;
}

static void silence_in_an_answer_is_given_up(void **state)
{
    static struct asker asker;
    int fd;

    make((struct upstream_options){.idle_ms = 50}, 1);
    begin(&asker, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na");
    ended(&asker, ERR_UPSTREAM_SLOW);
    assert_int_equal(asker.status, 200);
    hear_end(fd);
    (void)state;
}

static void all_of_it_has_its_time(void **state)
{
    static struct asker asker;
    int fd;

    make((struct upstream_options){.total_ms = 1000}, 1);
    begin(&asker, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for (int i = 0; i < 500 && asker.over == 0; i++) {
        (void)send(fd, "a", 1, MSG_NOSIGNAL);
        (void)usleep(10 * 1000);
    }
    ended(&asker, ERR_UPSTREAM_SLOW);
    (void)close(fd);
    (void)state;
}

#define POST "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n"

static void a_body_follows_its_head(void **state)
{
    static struct asker asker = {.body = "body", .unsafe = true};
    int fd;

    make((struct upstream_options){0}, 1);
    begin(&asker, POST);
    fd = take(listeners[0]);
    hear(fd, POST "body");
    assert_int_equal(asker.ready, 1);
    say(fd, OK_ABC);
    answered(&asker, 200, "abc");
    begin(&asker, POST); /* on the kept one it is ready at once */
    hear(fd, POST "body");
    assert_int_equal(asker.ready, 0);
    say(fd, OK_ABC);
    answered(&asker, 200, "abc");
    asker.keeps_body = true; /* an answer that does not wait for it ends the connection */
    begin(&asker, POST);
    hear(fd, POST);
    say(fd, "HTTP/1.1 413 \r\nContent-Length: 0\r\n\r\n");
    answered(&asker, 413, "");
    hear_end(fd);
    (void)state;
}

static void calls_can_be_left(void **state)
{
    static struct asker asker;
    int fd;

    make((struct upstream_options){0}, 1);
    begin(&asker, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    run(&asker, cancel_task, &asker.over);
    hear_end(fd);
    asker.leaves_at_head = true;
    begin(&asker, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    say(fd, OK_ABC);
    wait_for(&asker.heads);
    hear_end(fd);
    assert_int_equal(asker.over, 0);
    assert_int_equal(asker.bytes, 0);
    arena_reset(&asker.arena);
    asker.leaves_at_head = false;
    (void)state;
}

/* A connection that waits and talks, or grows old, goes. */
static void what_waits_is_quiet(void **state)
{
    static struct asker asker;
    int fd;

    make((struct upstream_options){.keep_alive_ms = 100}, 1);
    for (int i = 0; i < 2; i++) {
        begin(&asker, REQUEST);
        fd = take(listeners[0]);
        hear(fd, REQUEST);
        say(fd, OK_ABC);
        answered(&asker, 200, "abc");
        if (i == 0)
            say(fd, OK_ABC);
        hear_end(fd);
    }
    (void)state;
}

static void answers_that_break_off(void **state)
{
    static struct asker asker;
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3",
                                          "HTTP/1.1 2"};

    make((struct upstream_options){0}, 1);
    for (size_t i = 0; i < PC_COUNT(answers); i++) {
        int fd;

        begin(&asker, REQUEST);
        fd = take(listeners[0]);
        hear(fd, REQUEST);
        say(fd, answers[i]);
        (void)shutdown(fd, SHUT_WR);
        ended(&asker, ERR_UPSTREAM_CUT);
        hear_end(fd);
    }
    (void)state;
}

/* What still runs when the loops stop is told so. */
static void stopping_ends_all(void **state)
{
    static struct asker asker;
    int fd;

    make((struct upstream_options){0}, 1);
    begin(&asker, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    net_server_stop(server);
    ended(&asker, ERR_DRAINING);
    hear_end(fd);
    (void)state;
}

static _Atomic int checking;

static void check_task(struct net_task *task)
{
    (void)task;
    assert_int_equal(upstream_check_start(upstream, net_server_loop(server, 0)), ERR_OK);
    checking = 1;
}

static void wait_until_down(bool down)
{
    for (int i = 0; i < WAIT_MS; i++) {
        if (upstream_target_state(upstream->picker, 0, clock_monotonic_ns(&clock_system)).down ==
            down)
            return;
        (void)usleep(1000);
    }
    fail_msg("never %s", down ? "down" : "up");
}

/* What a target says when it is asked whether it is well is what counts, and nothing is as bad. */
static void checks_find_out(void **state)
{
    static const char *const bad[] = {"HTTP/1.1 503 \r\nContent-Length: 0\r\n\r\n",
                                      "nonsense\r\n\r\n", ""};
    struct net_task task = {.run = check_task};

    make((struct upstream_options){.check_path = "/health",
                                   .check_interval_ms = 20,
                                   .check_timeout_ms = WAIT_MS,
                                   .health = {.rise = 1, .fall = 1}},
         1);
    checking = 0;
    net_loop_post(net_server_loop(server, 0), &task);
    wait_for(&checking);
    for (size_t i = 0; i < 2 * PC_COUNT(bad); i++) {
        int fd = take(listeners[0]);

        hear(fd, "GET /health HTTP/1.1\r\nHost: h\r\nUser-Agent: portcullis-check\r\n"
                 "Connection: close\r\n\r\n");
        say(fd, i % 2 == 0 ? bad[i / 2] : "HTTP/1.1 204 \r\n\r\n");
        if (i % 2 == 0)
            (void)shutdown(fd, SHUT_WR);
        wait_until_down(i % 2 == 0);
        hear_end(fd);
    }
    (void)state;
}

/* ---- names --------------------------------------------------------------------------------------
 */

static const char *address; /* that the name has */

static size_t say_address(void *context, const char *name, struct upstream_place *list, size_t max,
                          const char **reterr_why)
{
    struct sockaddr_in *one = (struct sockaddr_in *)(void *)&list[0].address;

    (void)context;
    (void)name;
    (void)max;
    (void)reterr_why;
    *one = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {inet_addr(address)}};
    list[0].bytes = sizeof(*one);
    return 1;
}

/* What is under way where the name was ends there; what comes goes where it is now, and no kept
 * connection leads back. */
static void a_name_moves(void **state)
{
    static struct asker first;
    static struct asker second;
    struct sockaddr_in there = {.sin_family = AF_INET, .sin_addr = {inet_addr("127.0.0.2")}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int kept;
    int fd;

    (void)state;
    there.sin_port = htons(ports[0]);
    assert_int_equal(bind(listener, (struct sockaddr *)&there, sizeof(there)), 0);
    assert_int_equal(listen(listener, 16), 0);
    address = "127.0.0.1";
    make((struct upstream_options){.look_up = say_address}, 1);
    begin(&first, REQUEST);
    begin(&second, REQUEST);
    kept = take(listeners[0]);
    hear(kept, REQUEST);
    fd = take(listeners[0]);
    hear(fd, REQUEST);
    say(kept, OK_ABC);
    answered(&first, 200, "abc");

    address = "127.0.0.2";
    upstream_resolve(upstream);
    begin(&first, REQUEST);
    say(fd, OK_ABC);
    answered(&second, 200, "abc");
    (void)close(fd);
    fd = take(listener);
    hear(fd, REQUEST);
    say(fd, OK_ABC);
    answered(&first, 200, "abc");
    assert_false(is_readable(kept, 0));

    address = "127.0.0.1"; /* it comes back, and finds its connection */
    upstream_resolve(upstream);
    begin(&first, REQUEST);
    hear(kept, REQUEST);
    say(kept, OK_ABC);
    answered(&first, 200, "abc");
    (void)close(kept);
    (void)close(fd);
    (void)close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_kept),
        TEST(a_stale_connection_is_no_failure),
        TEST(a_body_that_may_come_is_waited_for_once),
        TEST(another_target_is_asked),
        TEST(calls_wait_in_line),
        TEST(who_waits_too_long_is_told),
        TEST(silence_is_given_up),
        TEST(silence_in_an_answer_is_given_up),
        TEST(all_of_it_has_its_time),
        TEST(a_body_follows_its_head),
        TEST(calls_can_be_left),
        TEST(what_waits_is_quiet),
        TEST(answers_that_break_off),
        TEST(stopping_ends_all),
        TEST(checks_find_out),
        TEST(a_name_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
