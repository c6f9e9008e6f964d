/* SPDX-License-Identifier: MIT
 * Shared limits on a real Redis (tests/with_redis), and before servers that stand still, lie or
 * have too much to do. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "limit/limit_shared.h"
#include "net/net.h"

enum { NODES_MAX = 2, WAIT_S = 20, HEAR_BYTES = 8192 };

#define SECOND CLOCK_NS_PER_S

/* ---- nodes: each a server with one loop --------------------------------------------------------
 */

static struct node {
    struct limit_shared *shared;
    struct net_server *server;
    struct clock_fake clock;
} nodes[NODES_MAX];

static void loop_started(struct net_loop *loop, void *context)
{
    limit_shared_loop_start(((struct node *)context)->shared, loop);
}

static void loop_stopped(struct net_loop *loop, void *context)
{
    limit_shared_loop_stop(((struct node *)context)->shared, loop);
}

static int redis_port(void)
{
    struct span prefix = SPAN_OF("redis://127.0.0.1:");
    struct span url = span_from(getenv("PORTCULLIS_TEST_REDIS_URL"));
    uint64_t port;

    assert_true(span_starts(url, prefix));
    assert_true(span_to_u64(span_slice(url, prefix.len, url.len), &port));
    return (int)port;
}

static struct limit_shared_options options_to(int port)
{
    struct limit_shared_options options = {
        .nodes = 2,
        .lease_percent = 10,
        .loops = 1,
        .slots = 1024,
        .random = &random_system,
        .redis = {.connect_ms = 5000, .timeout_ms = 5000, .waiting_max = 100}};
    struct sockaddr_in *to = (struct sockaddr_in *)(void *)&options.redis.address;

    to->sin_family = AF_INET;
    to->sin_port = htons((uint16_t)port);
    to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    options.redis.address_bytes = sizeof(*to);
    return options;
}

static void node_start(size_t at, const struct limit_shared_options *options, bool still)
{
    struct node *node = &nodes[at];
    struct net_server_options serving = {.loops = 1,
                                         .loop_started = loop_started,
                                         .loop_stopped = loop_stopped,
                                         .loop_context = node};

    clock_fake_init(&node->clock, SECOND);
    if (still)
        serving.clock = &node->clock.clock;
    assert_int_equal(limit_shared_new(options, &node->shared), ERR_OK);
    assert_int_equal(net_server_new(&serving, &node->server), ERR_OK);
    assert_int_equal(net_server_start(node->server), ERR_OK);
}

static int nodes_stop(void **state)
{
    (void)state;
    for (size_t i = 0; i < NODES_MAX; i++) {
        net_server_free(nodes[i].server);
        limit_shared_free(nodes[i].shared);
        nodes[i] = (struct node){0};
    }
    return 0;
}

static void wait_until_connected(size_t at, size_t wanted)
{
    const struct timespec pause = {.tv_nsec = 5000000};
    struct limit_shared_state state;

    for (int i = 0; i < WAIT_S * 200; i++) {
        limit_shared_look(nodes[at].shared, &state);
        if (state.connected == wanted)
            return;
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("%zu connected, not %zu", state.connected, wanted);
}

/* ---- asking ------------------------------------------------------------------------------------
 */

struct asked {
    struct net_task task;
    struct limit_question question;
    struct node *node;
    sem_t answered;
};

static void on_answer(struct limit_question *question)
{
    struct asked *asked = PC_CONTAINER(question, struct asked, question);

    assert_int_equal(sem_post(&asked->answered), 0);
}

static void ask_now(struct net_task *task)
{
    struct asked *asked = PC_CONTAINER(task, struct asked, task);

    if (limit_shared_ask(asked->node->shared, net_server_loop(asked->node->server, 0),
                         &asked->question) != LIMIT_WAITS)
        on_answer(&asked->question);
}

static void ask_begin(struct asked *asked, size_t at)
{
    assert_int_equal(sem_init(&asked->answered, 0, 0), 0);
    asked->node = &nodes[at];
    asked->question.done = on_answer;
    asked->task.run = ask_now;
    net_loop_post(net_server_loop(nodes[at].server, 0), &asked->task);
}

static enum limit_fate ask_end(struct asked *asked)
{
    struct timespec until;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += WAIT_S;
    while (sem_timedwait(&asked->answered, &until) != 0)
        assert_int_equal(errno, EINTR);
    assert_int_equal(sem_destroy(&asked->answered), 0);
    return asked->question.fate;
}

static struct limit_ask ask_of(const char *name, uint32_t requests, int64_t period_ns)
{
    return (struct limit_ask){.rate = {.id = limit_name_id(span_from(name)),
                                       .requests = requests,
                                       .period_ns = period_ns},
                              .name = span_from(name),
                              .key = SPAN_OF("someone")};
}

static struct asked asking(struct limit_sharing sharing, struct limit_ask ask)
{
    return (struct asked){.question = {.sharing = sharing, .asks = {ask}, .count = 1}};
}

static const struct limit_sharing exact = {.mode = LIMIT_EXACT};
static const struct limit_sharing leased = {.mode = LIMIT_LEASED};

static enum limit_fate ask(size_t at, struct limit_sharing sharing, struct limit_ask limit,
                           struct limit_verdict *ret_verdict)
{
    struct asked asked = asking(sharing, limit);
    enum limit_fate fate;

    ask_begin(&asked, at);
    fate = ask_end(&asked);
    if (ret_verdict != NULL)
        *ret_verdict = asked.question.verdict;
    return fate;
}

/* ---- a plain connection to Redis ---------------------------------------------------------------
 */

static int dial(int port)
{
    const struct timeval wait = {.tv_sec = WAIT_S};
    const struct limit_shared_options options = options_to(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(
        connect(fd, (const struct sockaddr *)&options.redis.address, options.redis.address_bytes),
        0);
    return fd;
}

static void redis_say(const char *line, const char *answer)
{
    char text[HEAR_BYTES];
    int fd = dial(redis_port());
    ssize_t got;

    assert_int_equal(write(fd, line, strlen(line)), (ssize_t)strlen(line));
    got = read(fd, text, sizeof(text) - 1);
    assert_true(got > 0);
    text[got] = '\0';
    if (strncmp(text, answer, strlen(answer)) != 0)
        fail_msg("%s: %s", line, text);
    assert_int_equal(close(fd), 0);
}

static int flush(void **state)
{
    (void)state;
    redis_say("FLUSHALL\r\n", "+OK");
    return 0;
}

/* ---- on a real Redis ---------------------------------------------------------------------------
 */

static void counts_down_across_nodes(void **state)
{
    const struct limit_shared_options options = options_to(redis_port());
    const struct limit_ask limit = ask_of("day", 10, 86400 * SECOND);
    struct limit_verdict verdict;

    (void)state;
    for (size_t i = 0; i < NODES_MAX; i++) {
        node_start(i, &options, false);
        wait_until_connected(i, 1);
    }
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(ask(i % NODES_MAX, exact, limit, &verdict), LIMIT_ADMITTED);
        assert_int_equal(verdict.limit, 10);
        assert_int_equal(verdict.remaining, 9 - i);
        assert_true(verdict.full_after_ns > (int64_t)i * 8640 * SECOND);
        assert_true(verdict.full_after_ns <= (int64_t)(i + 1) * 8640 * SECOND);
    }
    for (size_t i = 0; i < NODES_MAX; i++) {
        assert_int_equal(ask(i, exact, limit, &verdict), LIMIT_REFUSED);
        assert_int_equal(verdict.remaining, 0);
        assert_true(verdict.retry_after_ns > 8000 * SECOND);
        assert_true(verdict.retry_after_ns <= 8640 * SECOND);
    }
}

static void several_limits_admit_together(void **state)
{
    const struct limit_shared_options options = options_to(redis_port());
    struct limit_verdict verdict;

    (void)state;
    node_start(0, &options, false);
    wait_until_connected(0, 1);
    for (size_t i = 0; i < 8; i++) {
        struct asked asked = {.question = {.sharing = exact,
                                           .asks = {ask_of("wide", 100, 86400 * SECOND),
                                                    ask_of("narrow", 3, 86400 * SECOND)},
                                           .count = 2}};

        ask_begin(&asked, 0);
        assert_int_equal(ask_end(&asked), i < 3 ? LIMIT_ADMITTED : LIMIT_REFUSED);
        assert_int_equal(asked.question.tightest, 1);
    }
    assert_int_equal(ask(0, exact, ask_of("wide", 100, 86400 * SECOND), &verdict), LIMIT_ADMITTED);
    assert_int_equal(verdict.remaining, 100 - 3 - 1);
}

static void a_limit_of_none_is_refused_unasked(void **state)
{
    const struct limit_shared_options options = options_to(1);

    (void)state;
    node_start(0, &options, false);
    assert_int_equal(ask(0, exact, ask_of("none", 0, SECOND), NULL), LIMIT_REFUSED);
}

static void leases_save_round_trips_and_go_back(void **state)
{
    const struct limit_shared_options options = options_to(redis_port());
    const struct limit_ask limit = ask_of("day", 100, 86400 * SECOND);
    struct limit_shared_state seen;
    struct limit_verdict verdict;

    (void)state;
    for (size_t i = 0; i < NODES_MAX; i++) {
        node_start(i, &options, i == 0);
        wait_until_connected(i, 1);
    }
    for (size_t i = 0; i < 14; i++) /* two leases of ten, of which six are left */
        assert_int_equal(ask(0, leased, limit, NULL), LIMIT_ADMITTED);
    assert_int_equal(ask(1, exact, limit, &verdict), LIMIT_ADMITTED);
    assert_int_equal(verdict.remaining, 100 - 20 - 1);
    for (int i = 0; i < 15; i++) { /* the loop sees each step of its clock, until they are back */
        const struct timespec pause = {.tv_nsec = 50000000};

        clock_fake_move(&nodes[0].clock, CLOCK_NS_PER_S / 4);
        (void)nanosleep(&pause, NULL);
        assert_int_equal(ask(0, exact, ask_of("other", 1000000, SECOND), NULL), LIMIT_ADMITTED);
    }
    assert_int_equal(ask(1, exact, limit, &verdict), LIMIT_ADMITTED);
    assert_int_equal(verdict.remaining, 100 - 14 - 2);
    limit_shared_look(nodes[0].shared, &seen);
    assert_int_equal(seen.admitted, 14 + 15);
}

static void leases_admit_no_more_than_there_is(void **state)
{
    const struct limit_shared_options options = options_to(redis_port());
    const struct limit_ask limit = ask_of("day", 60, 86400 * SECOND);
    static struct asked many[200];
    size_t admitted = 0;
    struct limit_verdict last = {0};

    (void)state;
    for (size_t i = 0; i < NODES_MAX; i++) {
        node_start(i, &options, false);
        wait_until_connected(i, 1);
    }
    for (size_t i = 0; i < PC_COUNT(many); i++) {
        many[i] = asking(leased, limit);
        ask_begin(&many[i], i % NODES_MAX);
    }
    for (size_t i = 0; i < PC_COUNT(many); i++) {
        admitted += ask_end(&many[i]) == LIMIT_ADMITTED;
        last = many[i].question.verdict;
    }
    assert_int_equal(admitted, 60);
    assert_false(last.allowed);
    assert_true(last.retry_after_ns > 0);
}

static void a_forgotten_script_is_sent_again(void **state)
{
    const struct limit_shared_options options = options_to(redis_port());
    struct limit_shared_state seen;

    (void)state;
    node_start(0, &options, false);
    wait_until_connected(0, 1);
    redis_say("SCRIPT FLUSH\r\n", "+OK");
    assert_int_equal(ask(0, exact, ask_of("day", 10, 86400 * SECOND), NULL), LIMIT_ADMITTED);
    limit_shared_look(nodes[0].shared, &seen);
    assert_int_equal(seen.away, 0);
}

static void who_may_not_write_is_away(void **state)
{
    const struct limit_shared_options options = options_to(redis_port());
    const struct limit_sharing denies = {LIMIT_EXACT, LIMIT_OUTAGE_DENY};
    const struct limit_ask limit = ask_of("day", 10, 86400 * SECOND);

    (void)state;
    node_start(0, &options, false);
    wait_until_connected(0, 1);
    redis_say("REPLICAOF 127.0.0.1 1\r\n", "+OK");
    assert_int_equal(ask(0, denies, limit, NULL), LIMIT_DENIED);
    wait_until_connected(0, 0);
    redis_say("REPLICAOF NO ONE\r\n", "+OK");
    wait_until_connected(0, 1);
    assert_int_equal(ask(0, denies, limit, NULL), LIMIT_ADMITTED);
}

static void a_password_is_shown(void **state)
{
    struct limit_shared_options options = options_to(redis_port());

    (void)state;
    redis_say("ACL SETUSER limits on >secret ~portcullis:* +@all\r\n", "+OK");
    options.redis.user = SPAN_OF("limits");
    options.redis.password = SPAN_OF("secret");
    options.redis.database = 3;
    node_start(0, &options, false);
    wait_until_connected(0, 1);
    options.redis.password = SPAN_OF("wrong");
    node_start(1, &options, false);
    assert_int_equal(ask(1, (struct limit_sharing){LIMIT_EXACT, LIMIT_OUTAGE_DENY},
                         ask_of("day", 10, 86400 * SECOND), NULL),
                     LIMIT_DENIED);
}

/* ---- while it is away --------------------------------------------------------------------------
 */

static void does_as_it_was_told_while_away(void **state)
{
    const struct limit_shared_options options = options_to(1); /* nobody listens there */
    const struct limit_ask limit = ask_of("day", 10, 86400 * SECOND);
    struct asked asked = asking((struct limit_sharing){LIMIT_LEASED, LIMIT_OUTAGE_ALLOW}, limit);
    struct limit_shared_state seen;
    struct limit_verdict verdict;
    size_t admitted = 0;

    (void)state;
    node_start(0, &options, false);
    for (size_t i = 0; i < 20; i++)
        admitted += ask(0, exact, limit, &verdict) == LIMIT_ADMITTED;
    assert_int_equal(admitted, 5); /* of ten, by one of two nodes */
    assert_int_equal(verdict.limit, 5);
    assert_true(verdict.retry_after_ns > 8640 * SECOND); /* twice as long as with both */
    assert_int_equal(ask(0, (struct limit_sharing){LIMIT_EXACT, LIMIT_OUTAGE_DENY}, limit, NULL),
                     LIMIT_DENIED);
    ask_begin(&asked, 0);
    assert_int_equal(ask_end(&asked), LIMIT_ADMITTED);
    assert_false(asked.question.told);
    limit_shared_look(nodes[0].shared, &seen);
    assert_int_equal(seen.away, 22);
    assert_int_equal(seen.connected, 0);
}

static void follows_redis_where_it_moves(void **state)
{
    const struct limit_shared_options nowhere = options_to(1);
    const struct limit_shared_options there = options_to(redis_port());

    (void)state;
    node_start(0, &nowhere, false);
    assert_int_equal(ask(0, (struct limit_sharing){LIMIT_EXACT, LIMIT_OUTAGE_DENY},
                         ask_of("day", 10, 86400 * SECOND), NULL),
                     LIMIT_DENIED);
    limit_shared_move(nodes[0].shared, (const struct sockaddr *)&there.redis.address,
                      there.redis.address_bytes);
    wait_until_connected(0, 1);
}

/* What was admitted before counts against the share, too. */
static void an_outage_does_not_begin_anew(void **state)
{
    const struct limit_shared_options options = options_to(redis_port());
    const struct limit_ask limit = ask_of("day", 10, 86400 * SECOND);
    size_t admitted = 0;

    (void)state;
    node_start(0, &options, false);
    wait_until_connected(0, 1);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(ask(0, exact, limit, NULL), LIMIT_ADMITTED);
    redis_say("REPLICAOF 127.0.0.1 1\r\n", "+OK");
    for (size_t i = 0; i < 10; i++)
        admitted += ask(0, exact, limit, NULL) == LIMIT_ADMITTED;
    redis_say("REPLICAOF NO ONE\r\n", "+OK");
    assert_int_equal(admitted, 1);
}

/* ---- servers that are none ---------------------------------------------------------------------
 */

static struct {
    pthread_t thread;
    int listener;
    int port;
    const char *lie; /* to the first question; NULL: silence */
} liar;

#define SHA "$40\r\n0123456789abcdef0123456789abcdef01234567\r\n"

/* Answers what makes a connection ready, and then as it is told. */
static void *lie(void *unused)
{
    static const char *const ready[] = {SHA, "*3\r\n:1\r\n:0\r\n:1\r\n"};
    char text[HEAR_BYTES];
    int fd;

    (void)unused;
    while ((fd = accept(liar.listener, NULL, NULL)) >= 0) {
        for (size_t i = 0; read(fd, text, sizeof(text)) > 0; i++) {
            const char *answer = i < PC_COUNT(ready) ? ready[i] : liar.lie;

            if (answer != NULL)
                (void)send(fd, answer, strlen(answer), MSG_NOSIGNAL);
        }
        (void)close(fd);
    }
    return NULL;
}

static void liar_start(const char *text)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof(at);

    liar.lie = text;
    liar.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(liar.listener, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(liar.listener, 8), 0);
    assert_int_equal(getsockname(liar.listener, (struct sockaddr *)&at, &bytes), 0);
    liar.port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&liar.thread, NULL, lie, NULL), 0);
}

static void liar_stop(void)
{
    (void)nodes_stop(NULL);
    (void)shutdown(liar.listener, SHUT_RDWR);
    assert_int_equal(pthread_join(liar.thread, NULL), 0);
    assert_int_equal(close(liar.listener), 0);
}

static void no_lie_is_believed(void **state)
{
    static const char *const lies[] = {
        "*3\r\n:1\r\n:0\r\n:2\r\n",                   /* gave more than was asked */
        "*3\r\n:1\r\n:0\r\n:0\r\n",                   /* admitted, and gave nothing */
        "*3\r\n:0\r\n:0\r\n:1\r\n",                   /* gave, and did not admit */
        "*3\r\n:2\r\n:0\r\n:1\r\n",                   /* neither yes nor no */
        "*3\r\n:1\r\n:-1\r\n:1\r\n",                  /* more than full */
        "*3\r\n:0\r\n:9223372036854775807\r\n:0\r\n", /* emptier than it can be */
        "*3\r\n:1\r\n:864000000000\r\n:1\r\n",        /* gave what it had not */
        "*1\r\n:1\r\n",
        "*5\r\n:1\r\n:0\r\n:1\r\n:0\r\n:1\r\n",
        ":1\r\n",
        "+OK\r\n",
        "$-1\r\n",
        "*1000000000\r\n",
        "-READONLY You can't write against a read only replica.\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        "-NOSCRIPT No matching script.\r\n-NOSCRIPT No matching script.\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "*3\r\n:1\r\n:0\r\n:1\r\n*3\r\n:1\r\n:0\r\n:1\r\n", /* to what nobody asked */
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(lies); i++) {
        struct limit_shared_options options;
        struct limit_sharing denies = {LIMIT_EXACT, LIMIT_OUTAGE_DENY};
        enum limit_fate fate;

        liar_start(lies[i]);
        options = options_to(liar.port);
        node_start(0, &options, false);
        wait_until_connected(0, 1);
        fate = ask(0, denies, ask_of("day", 10, 86400 * SECOND), NULL);
        if (i + 1 < PC_COUNT(lies) && fate != LIMIT_DENIED)
            fail_msg("believed: %s", lies[i]);
        liar_stop();
    }
}

static void nobody_waits_for_who_stands_still(void **state)
{
    struct limit_shared_options options;
    struct limit_sharing denies = {LIMIT_EXACT, LIMIT_OUTAGE_DENY};
    const struct limit_ask limit = ask_of("day", 10, 86400 * SECOND);
    struct asked many[3];
    struct limit_shared_state seen;

    (void)state;
    liar_start(NULL);
    options = options_to(liar.port);
    options.redis.timeout_ms = 200;
    options.redis.connect_ms = 200;
    node_start(0, &options, false);
    wait_until_connected(0, 1);
    for (size_t i = 0; i < PC_COUNT(many); i++) {
        many[i] = asking(denies, limit);
        many[i].question.sharing.mode = i == 1 ? LIMIT_LEASED : LIMIT_EXACT;
        ask_begin(&many[i], 0);
    }
    for (size_t i = 0; i < PC_COUNT(many); i++)
        assert_int_equal(ask_end(&many[i]), LIMIT_DENIED);
    limit_shared_look(nodes[0].shared, &seen);
    assert_int_equal(seen.away, PC_COUNT(many));
    liar_stop();
}

/* One more than may wait is not let wait, in either mode. */
static void the_queue_has_an_end(void **state)
{
    static const enum limit_mode modes[] = {LIMIT_EXACT, LIMIT_LEASED};
    const struct limit_ask limit = ask_of("day", 10, 86400 * SECOND);

    (void)state;
    for (size_t m = 0; m < PC_COUNT(modes); m++) {
        struct limit_sharing denies = {modes[m], LIMIT_OUTAGE_DENY};
        struct limit_shared_options options;
        struct limit_shared_state seen;
        struct asked many[4];
        size_t last = PC_COUNT(many) - 1;

        liar_start(NULL);
        options = options_to(liar.port);
        options.redis.waiting_max = last;
        node_start(0, &options, false);
        wait_until_connected(0, 1);
        for (size_t i = 0; i < PC_COUNT(many); i++) {
            many[i] = asking(denies, limit);
            ask_begin(&many[i], 0);
        }
        assert_int_equal(ask_end(&many[last]), LIMIT_DENIED);
        limit_shared_look(nodes[0].shared, &seen);
        assert_int_equal(seen.busy, 1);
        assert_int_equal(seen.connected, 1);
        liar_stop(); /* those who wait are told */
        for (size_t i = 0; i < last; i++)
            assert_int_equal(ask_end(&many[i]), LIMIT_DENIED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(counts_down_across_nodes, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(several_limits_admit_together, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(a_limit_of_none_is_refused_unasked, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(leases_save_round_trips_and_go_back, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(leases_admit_no_more_than_there_is, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(a_forgotten_script_is_sent_again, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(who_may_not_write_is_away, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(a_password_is_shown, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(does_as_it_was_told_while_away, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(follows_redis_where_it_moves, flush, nodes_stop),
        cmocka_unit_test_setup_teardown(an_outage_does_not_begin_anew, flush, nodes_stop),
        cmocka_unit_test(no_lie_is_believed),
        cmocka_unit_test(nobody_waits_for_who_stands_still),
        cmocka_unit_test(the_queue_has_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
