/* SPDX-License-Identifier: MIT
 * What the tests of calls share: servers that the test plays, and someone who asks. */
#ifndef PC_UPSTREAM_UPSTREAM_CALL_TEST_KIT_H
#define PC_UPSTREAM_UPSTREAM_CALL_TEST_KIT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "upstream/upstream_pool.h"

enum { TEXT_BYTES = 4096, WAIT_MS = 10000 };

/* ---- the server side ---------------------------------------------------------------------------
 */

static inline int listen_on(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static inline bool is_readable(int fd, int ms)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};

    return poll(&one, 1, ms) == 1;
}

static inline int take(int listener)
{
    int fd;

    assert_true(is_readable(listener, WAIT_MS));
    fd = accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    return fd;
}

/* Reads until the text is there, which is what has come. */
static inline void hear(int fd, const char *wanted)
{
    char text[TEXT_BYTES];
    size_t bytes = 0;

    while (bytes < strlen(wanted)) {
        ssize_t got;

        assert_true(is_readable(fd, WAIT_MS));
        got = recv(fd, text + bytes, sizeof(text) - bytes, 0);
        assert_true(got > 0);
        bytes += (size_t)got;
    }
    assert_int_equal(bytes, strlen(wanted));
    assert_memory_equal(text, wanted, bytes);
}

static inline void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static inline void hear_end(int fd)
{
    char byte;

    assert_true(is_readable(fd, WAIT_MS));
    assert_true(recv(fd, &byte, 1, 0) <= 0);
    (void)close(fd);
}

/* ---- the asking side ---------------------------------------------------------------------------
 */

struct asker {
    struct upstream_call call;
    struct net_task task;
    struct arena arena;
    const char *head;
    const char *body; /* NULL: none */
    bool unsafe;
    char text[TEXT_BYTES]; /* of the answer's body */
    size_t bytes;
    int status;
    _Atomic int begun; /* 1 and what upstream_begin said */
    _Atomic int ready;
    _Atomic int heads;
    _Atomic int over; /* 1 and what became of it */
    bool leaves_at_head;
    bool pauses;     /* at each piece of the body, and never goes on */
    bool keeps_body; /* it is not given yet */
};

static struct net_server *server;
static struct upstream *upstream;
static struct arena names;
static int listeners[2];
static uint16_t ports[2];

static inline struct asker *asker_of(struct upstream_call *call)
{
    return PC_CONTAINER(call, struct asker, call);
}

static inline struct span write_head(struct upstream_call *call,
                                     const struct upstream_target *target)
{
    (void)target;
    return span_from(asker_of(call)->head);
}

static inline void give(struct asker *asker)
{
    struct span body;

    if (asker->body == NULL || asker->keeps_body)
        return;
    body = span_from(asker->body);
    upstream_give(&asker->call, &body, 1);
    upstream_given(&asker->call);
}

static inline void on_ready(struct upstream_call *call)
{
    asker_of(call)->ready++;
    give(asker_of(call));
}

static inline void on_room(struct upstream_call *call)
{
    (void)call;
}

static inline void on_head(struct upstream_call *call, const struct net_answer_head *head)
{
    struct asker *asker = asker_of(call);

    asker->status = head->status;
    if (asker->leaves_at_head)
        upstream_cancel(call);
    asker->heads++;
}

static inline void on_body(struct upstream_call *call, struct span bytes)
{
    struct asker *asker = asker_of(call);

    assert_true(asker->bytes + bytes.len <= sizeof(asker->text));
    memcpy(asker->text + asker->bytes, bytes.ptr, bytes.len);
    asker->bytes += bytes.len;
    if (asker->pauses)
        upstream_pause(call);
}

static inline void on_quiet(struct upstream_call *call)
{
    (void)call;
}

static inline void on_end(struct upstream_call *call)
{
    asker_of(call)->over = 1;
}

static inline void on_failed(struct upstream_call *call, enum err err)
{
    asker_of(call)->over = 1 + (int)err;
}

static const struct upstream_app app = {.ready = on_ready,
                                        .room = on_room,
                                        .head = on_head,
                                        .body = on_body,
                                        .quiet = on_quiet,
                                        .end = on_end,
                                        .failed = on_failed};

static inline void begin_task(struct net_task *task)
{
    struct asker *asker = PC_CONTAINER(task, struct asker, task);
    const struct upstream_ask ask = {.app = &app,
                                     .arena = &asker->arena,
                                     .write_head = write_head,
                                     .method = asker->unsafe ? UPSTREAM_METHOD_OTHER
                                                             : UPSTREAM_METHOD_IDEMPOTENT,
                                     .has_body = asker->body != NULL};
    enum err err = upstream_begin(upstream, net_server_loop(server, 0), &asker->call, &ask);

    if (err == ERR_OK && asker->call.ready && asker->body != NULL)
        give(asker);
    asker->begun = 1 + (int)err;
}

static inline void cancel_task(struct net_task *task)
{
    struct asker *asker = PC_CONTAINER(task, struct asker, task);

    upstream_cancel(&asker->call);
    asker->over = 1 + (int)ERR_AGAIN;
}

static inline void wait_for(_Atomic int *what)
{
    for (int i = 0; i < WAIT_MS && *what == 0; i++)
        (void)usleep(1000);
    assert_int_not_equal(*what, 0);
}

static inline void run(struct asker *asker, net_task_fn *task, _Atomic int *done)
{
    asker->task.run = task;
    net_loop_post(net_server_loop(server, 0), &asker->task);
    wait_for(done);
}

static inline void begin(struct asker *asker, const char *head)
{
    arena_reset(&asker->arena);
    arena_init(&asker->arena, NULL, 0, 64 * 1024);
    asker->head = head;
    asker->begun = asker->over = asker->heads = asker->ready = 0;
    asker->bytes = 0;
    asker->status = 0;
    run(asker, begin_task, &asker->begun);
    assert_int_equal(asker->begun, 1 + ERR_OK);
}

static inline void ended(struct asker *asker, enum err err)
{
    wait_for(&asker->over);
    assert_int_equal(asker->over, 1 + (int)err);
    arena_reset(&asker->arena);
}

static inline void answered(struct asker *asker, int status, const char *body)
{
    ended(asker, ERR_OK);
    assert_int_equal(asker->status, status);
    assert_int_equal(asker->bytes, strlen(body));
    assert_memory_equal(asker->text, body, asker->bytes);
}

/* ---- around each test --------------------------------------------------------------------------
 */

static inline int setup(void **state)
{
    const struct net_server_options options = {.loops = 1};

    (void)state;
    if (net_server_new(&options, &server) != ERR_OK || net_server_start(server) != ERR_OK)
        return -1;
    arena_init(&names, NULL, 0, 64 * 1024);
    for (size_t i = 0; i < 2; i++)
        listeners[i] = listen_on(&ports[i]);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    net_server_stop(server);
    net_server_free(server);
    upstream_free(upstream);
    upstream = NULL;
    arena_reset(&names);
    for (size_t i = 0; i < 2; i++)
        (void)close(listeners[i]);
    return 0;
}

static inline void make(struct upstream_options options, size_t targets)
{
    static struct upstream_target list[2];
    const char *why;

    for (size_t i = 0; i < targets; i++)
        list[i] = (struct upstream_target){.url = i == 0 ? "http://one" : "http://two",
                                           .host = "h",
                                           .name = options.look_up ? "shop.test" : "127.0.0.1",
                                           .port = ports[i]};
    options.name = "test";
    options.targets = list;
    options.target_count = targets;
    assert_int_equal(upstream_new(&options, &names, &upstream, &why), ERR_OK);
}

#define REQUEST "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK_ABC  "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
