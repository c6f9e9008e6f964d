/* SPDX-License-Identifier: MIT
 * What http's tests share: a whole service over socket pairs, made from the test's own rows, and a
 * client that asks one thing a connection. */
#ifndef PC_HTTP_HTTP_TEST_KIT_H
#define PC_HTTP_HTTP_TEST_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/folder_test_kit.h"
#include "http/http.h"
#include "net/net_pool.h"

enum { SITE_TEXT_BYTES = 64 * 1024, SITE_WAIT_S = 10 };

static const struct http_policy site_policy = {
    .rate = {.requests = 100000, .period_ns = 60 * CLOCK_NS_PER_S},
    .rate_verify = {.requests = 100000, .period_ns = 60 * CLOCK_NS_PER_S},
    .body_bytes_max = 65536,
    .breaker_failures = 1000};

/* The service of the running test. */
struct site {
    char dir[TEST_FOLDER_BYTES];
    struct store *store;   /* its own, unless the test brings one */
    struct net_pool *pool; /* hashes and signs */
    struct http_engine *engine;
    struct http_service *service;
    struct net_server *server;
    struct net_listener *listener;
    char text[SITE_TEXT_BYTES]; /* the last answer */
};
static struct site site;

/* A store of its own, ready for events: whoever is not let in makes one. */
static inline bool site_store_make(void)
{
    const struct store_options options = {.data_dir = site.dir, .seal = &trail_seal};
    const struct store_migration *list;
    size_t count;

    store_migrations(&list, &count);
    return store_open(&options, &site.store, NULL) == ERR_OK &&
           store_migrate(site.store, list, count, NULL) == ERR_OK;
}

static inline bool site_make(const struct http_service_options *service,
                             struct http_engine_options engine)
{
    struct http_service_options options = *service;
    const char *why = NULL;

    if (!test_folder("http", site.dir) || net_pool_new("work", 1, 8, &site.pool) != ERR_OK)
        return false;
    if (engine.store == NULL && !site_store_make())
        return false;
    if (engine.clock == NULL)
        engine.clock = &clock_system;
    engine.random = &random_system;
    if (engine.store == NULL)
        engine.store = site.store;
    engine.hash_pool = engine.sign_pool = site.pool;
    options.name = "test";
    if (options.policy == NULL)
        options.policy = &site_policy;
    return http_engine_new(&engine, &site.engine) == ERR_OK &&
           http_service_new(site.engine, &options, &site.service, &why) == ERR_OK;
}

/* The service, served by one loop. What `engine` leaves out is filled in. */
static inline int site_start(const struct http_service_options *service,
                             struct http_engine_options engine)
{
    struct net_server_options options = {
        .loops = 1, .loop_started = http_loop_started, .loop_stopped = http_loop_stopped};
    struct net_listener_options listening = {.name = "test", .app = &http_net_app};

    if (!site_make(service, engine))
        return -1;
    options.clock = engine.clock;
    options.loop_context = site.engine;
    listening.app_context = site.service;
    return net_server_new(&options, &site.server) == ERR_OK &&
                   net_server_listen_none(site.server, &listening, &site.listener) == ERR_OK &&
                   net_server_start(site.server) == ERR_OK
               ? 0
               : -1;
}

static inline int site_stop(void **state)
{
    char command[96];

    (void)state;
    net_server_free(site.server);
    net_pool_free(site.pool);
    store_close(site.store);
    http_service_free(site.service);
    http_engine_free(site.engine);
    (void)snprintf(command, sizeof(command), "rm -r %s", site.dir);
    site = (struct site){0};
    return system(command);
}

static inline int site_dial(void)
{
    const struct timeval wait = {.tv_sec = SITE_WAIT_S};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(net_server_adopt(site.server, site.listener, pair[1]), ERR_OK);
    return pair[0];
}

/* The server may have answered and hung up before all of it was said: what it answered counts. */
static inline void site_say(int fd, const char *text)
{
    for (size_t left = strlen(text); left > 0;) {
        ssize_t sent = send(fd, text, left, MSG_NOSIGNAL);

        if (sent < 0)
            break;
        text += sent;
        left -= (size_t)sent;
    }
}

/* Everything until the server hangs up, in site.text; the status. */
static inline int site_hear(int fd)
{
    size_t len = 0;
    uint64_t status;
    ssize_t got;

    while ((got = read(fd, site.text + len, SITE_TEXT_BYTES - 1 - len)) > 0)
        len += (size_t)got;
    (void)close(fd);
    site.text[len] = '\0';
    assert_int_equal(got, 0);
    assert_true(len > 12);
    assert_memory_equal(site.text, "HTTP/1.1 ", 9);
    assert_true(span_to_u64(span_make(site.text + 9, 3), &status));
    return (int)status;
}

/* One request on a connection of its own: "GET /a", further header lines, and a body unless NULL.
 * Gives the status; the whole answer is in site.text. */
static inline int site_ask(const char *what, const char *headers, const char *body)
{
    char text[16 * 1024];
    int fd = site_dial();
    int len = snprintf(text, sizeof(text), "%s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n%s",
                       what, headers);

    assert_in_range(len, 1, sizeof(text) - 1);
    site_say(fd, text);
    if (body != NULL) {
        (void)snprintf(text, sizeof(text), "Content-Length: %zu\r\n", strlen(body));
        site_say(fd, text);
    }
    site_say(fd, "\r\n");
    if (body != NULL)
        site_say(fd, body);
    return site_hear(fd);
}

static inline void assert_says(const char *part)
{
    if (strstr(site.text, part) == NULL)
        fail_msg("\"%s\" is not in %s", part, site.text);
}

static inline void assert_silent(const char *part)
{
    if (strstr(site.text, part) != NULL)
        fail_msg("\"%s\" is in %s", part, site.text);
}

#endif
