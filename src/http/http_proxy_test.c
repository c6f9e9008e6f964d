/* SPDX-License-Identifier: MIT
 * Requests on their way to an upstream, byte for byte: what is sent, what comes back, and that
 * memory that runs out anywhere costs one request and nothing else. */
#include "http/http_test_kit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>

#include "base/alloc.h"
#include "upstream/upstream.h"

enum { PIECE_BYTES = 16 * 1024 };

/* ---- a server that says the same to everybody, and keeps what it heard last ---------------------
 */

static struct {
    int listener;
    pthread_t thread;
    pthread_mutex_t lock;
    char heard[PIECE_BYTES];
    _Atomic(const char *) answer;
} peer;

static size_t body_bytes_of(const char *head)
{
    const char *length = strstr(head, "Content-Length: ");
    uint64_t bytes = 0;

    if (length == NULL)
        return 0;
    length += 16;
    return span_to_u64(span_make(length, strcspn(length, "\r")), &bytes) ? (size_t)bytes : 0;
}

/* One request. False when the connection is over. */
static bool serve_one(int fd)
{
    char text[PIECE_BYTES];
    const char *answer;
    size_t bytes = 0;
    char *end = NULL;

    while (end == NULL || bytes < (size_t)(end + 4 - text) + body_bytes_of(text) ||
           (strstr(text, "chunked\r\n") != NULL && strstr(text, "\r\n0\r\n") == NULL)) {
        ssize_t got = recv(fd, text + bytes, sizeof(text) - 1 - bytes, 0);

        if (got <= 0)
            return false;
        bytes += (size_t)got;
        text[bytes] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    (void)pthread_mutex_lock(&peer.lock);
    memcpy(peer.heard, text, bytes + 1);
    (void)pthread_mutex_unlock(&peer.lock);
    answer = peer.answer;
    return send(fd, answer, strlen(answer), MSG_NOSIGNAL) > 0;
}

static void *serve_connection(void *context)
{
    int fd = (int)(intptr_t)context;

    while (serve_one(fd))
        continue;
    (void)close(fd);
    return NULL;
}

static void *serve_all(void *context)
{
    pthread_attr_t attr;

    (void)context;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int fd = accept(peer.listener, NULL, NULL);
        pthread_t thread;

        if (fd < 0)
            break;
        if (pthread_create(&thread, &attr, serve_connection, (void *)(intptr_t)fd) != 0)
            (void)close(fd);
    }
    (void)pthread_attr_destroy(&attr);
    return NULL;
}

/* ---- the service -------------------------------------------------------------------------------
 */

static struct upstream *upstream;
static struct arena names;
static struct http_proxy plain, edited, keeping, frail, tunnels, trailing;

static const struct span protocols[] = {SPAN("websocket"), SPAN("x-own/2")};

static const struct http_edit sets[] = {{SPAN("x-added"), SPAN("by us")}};
static const struct span removed[] = {SPAN("x-secret"), SPAN("server")};

static const struct http_route routes[] = {{.method = NET_METHOD_GET,
                                            .path = "/plain/*",
                                            .access = HTTP_ACCESS_OPEN,
                                            .rate = HTTP_RATE_EXEMPT,
                                            .id = "plain",
                                            .proxy = &plain},
                                           {.method = NET_METHOD_POST,
                                            .path = "/plain/*",
                                            .access = HTTP_ACCESS_OPEN,
                                            .rate = HTTP_RATE_EXEMPT,
                                            .id = "plain_post",
                                            .body_bytes_max = 16,
                                            .proxy = &plain},
                                           {.method = NET_METHOD_GET,
                                            .path = "/edited/*",
                                            .access = HTTP_ACCESS_OPEN,
                                            .rate = HTTP_RATE_EXEMPT,
                                            .id = "edited",
                                            .proxy = &edited},
                                           {.method = NET_METHOD_GET,
                                            .path = "/frail",
                                            .access = HTTP_ACCESS_OPEN,
                                            .rate = HTTP_RATE_EXEMPT,
                                            .id = "frail",
                                            .proxy = &frail},
                                           {.method = NET_METHOD_POST,
                                            .path = "/trailing",
                                            .access = HTTP_ACCESS_OPEN,
                                            .rate = HTTP_RATE_EXEMPT,
                                            .id = "trailing",
                                            .proxy = &trailing},
                                           {.method = NET_METHOD_GET,
                                            .path = "/tunnel",
                                            .access = HTTP_ACCESS_OPEN,
                                            .rate = HTTP_RATE_EXEMPT,
                                            .id = "tunnel",
                                            .proxy = &tunnels},
                                           {.method = NET_METHOD_GET,
                                            .path = "/hosted",
                                            .host = "shop.example",
                                            .access = HTTP_ACCESS_OPEN,
                                            .rate = HTTP_RATE_EXEMPT,
                                            .id = "hosted",
                                            .proxy = &keeping},
                                           {.method = NET_METHOD_GET,
                                            .path = "/hosted",
                                            .host = "other.example",
                                            .access = HTTP_ACCESS_OPEN,
                                            .rate = HTTP_RATE_EXEMPT,
                                            .id = "hosted_too",
                                            .proxy = &edited},
                                           {.path = NULL}};

static bool upstream_make(uint16_t port)
{
    const struct upstream_target target = {
        .url = "http://peer", .host = "peer.example", .name = "127.0.0.1", .port = port};
    const struct upstream_options options = {
        .name = "peer", .targets = &target, .target_count = 1, .retries = 1};
    const char *why;

    arena_init(&names, NULL, 0, 64 * 1024);
    if (upstream_new(&options, &names, &upstream, &why) != ERR_OK)
        return false;
    plain = (struct http_proxy){.upstream = upstream};
    edited = (struct http_proxy){.upstream = upstream,
                                 .strip = SPAN_OF("/edited"),
                                 .prefix = SPAN_OF("/v2"),
                                 .request_set = sets,
                                 .request_set_count = PC_COUNT(sets),
                                 .request_remove = removed,
                                 .request_remove_count = PC_COUNT(removed),
                                 .response_set = sets,
                                 .response_set_count = PC_COUNT(sets),
                                 .response_remove = removed,
                                 .response_remove_count = PC_COUNT(removed)};
    frail = (struct http_proxy){.upstream = upstream,
                                .breaker = {.failures = 1, .open_ns = 3600 * CLOCK_NS_PER_S}};
    trailing = (struct http_proxy){.upstream = upstream,
                                   .request_remove = removed,
                                   .request_remove_count = PC_COUNT(removed),
                                   .response_remove = removed,
                                   .response_remove_count = PC_COUNT(removed),
                                   .trailers = true};
    tunnels = (struct http_proxy){.upstream = upstream,
                                  .upgrades = protocols,
                                  .upgrade_count = PC_COUNT(protocols),
                                  .upgrade_idle_ms = 10 * 1000};
    keeping = (struct http_proxy){.upstream = upstream, .keeps_host = true};
    return true;
}

static int start(void **state)
{
    static const struct http_mount mounts[] = {{.rows = routes}};
    const struct http_service_options options = {.mounts = mounts, .mount_count = 1};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof(address);

    (void)state;
    peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)pthread_mutex_init(&peer.lock, NULL);
    if (bind(peer.listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(peer.listener, 64) != 0 ||
        getsockname(peer.listener, (struct sockaddr *)&address, &bytes) != 0 ||
        pthread_create(&peer.thread, NULL, serve_all, NULL) != 0)
        return -1;
    if (!upstream_make(ntohs(address.sin_port)))
        return -1;
    return site_start(&options, (struct http_engine_options){0});
}

static int stop(void **state)
{
    int failed = site_stop(state);

    upstream_free(upstream);
    arena_reset(&names);
    (void)shutdown(peer.listener, SHUT_RDWR);
    (void)pthread_join(peer.thread, NULL);
    (void)close(peer.listener);
    return failed;
}

static void assert_heard(const char *part)
{
    (void)pthread_mutex_lock(&peer.lock);
    if (strstr(peer.heard, part) == NULL)
        fail_msg("\"%s\" is not in %s", part, peer.heard);
    (void)pthread_mutex_unlock(&peer.lock);
}

static void assert_not_heard(const char *part)
{
    (void)pthread_mutex_lock(&peer.lock);
    if (strstr(peer.heard, part) != NULL)
        fail_msg("\"%s\" is in %s", part, peer.heard);
    (void)pthread_mutex_unlock(&peer.lock);
}

/* ---- tests -------------------------------------------------------------------------------------
 */

#define ANSWER "HTTP/1.1 200 OK\r\nServer: peer\r\nX-Secret: s\r\nContent-Length: 2\r\n\r\nok"

/* One canonical path goes on, encoded once; the query as it came. */
static void the_path_is_canonical(void **state)
{
    (void)state;
    peer.answer = ANSWER;
    assert_int_equal(site_ask("GET /plain/./a/%62/../%C3%A9%20x?a=%2F&b", "", NULL), 200);
    assert_heard("GET /plain/a/%C3%A9%20x?a=%2F&b HTTP/1.1\r\nHost: peer.example\r\n");
    assert_says("\r\n\r\nok");
    assert_int_equal(site_ask("GET /plain/a%2Fb", "", NULL), 400);
    assert_int_equal(site_ask("GET /plain", "", NULL), 200);
    assert_heard("GET /plain HTTP/1.1\r\n");
}

static void paths_and_headers_are_edited(void **state)
{
    (void)state;
    peer.answer = ANSWER;
    assert_int_equal(site_ask("GET /edited/a", "X-Secret: 1\r\nX-Added: theirs\r\n", NULL), 200);
    assert_heard("GET /v2/a HTTP/1.1\r\n");
    assert_heard("x-added: by us\r\n");
    assert_not_heard("theirs");
    assert_not_heard("x-secret");
    assert_says("x-added: by us\r\n");
    assert_silent("peer");
    assert_silent("x-secret");
    assert_int_equal(site_ask("GET /edited", "", NULL), 200);
    assert_heard("GET /v2/ HTTP/1.1\r\n");
}

static void hosts_have_routes_of_their_own(void **state)
{
    char text[256];
    int fd = site_dial();

    (void)state;
    peer.answer = ANSWER;
    assert_int_equal(site_ask("GET /hosted", "", NULL), 404);
    (void)snprintf(text, sizeof(text),
                   "GET /hosted HTTP/1.1\r\nHost: SHOP.example:80\r\n"
                   "Connection: close\r\n\r\n");
    site_say(fd, text);
    assert_int_equal(site_hear(fd), 200);
    assert_heard("Host: SHOP.example:80\r\n");
    fd = site_dial();
    site_say(fd, "GET /hosted HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n");
    assert_int_equal(site_hear(fd), 200);
    assert_heard("x-added: by us\r\n");
    fd = site_dial(); /* what a host does not have, all have */
    site_say(fd, "GET /plain/x HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n");
    assert_int_equal(site_hear(fd), 200);
}

/* Framing is ours: told once, as it was read. */
static void bodies_are_framed_anew(void **state)
{
    int fd;

    (void)state;
    peer.answer = ANSWER;
    assert_int_equal(site_ask("POST /plain/x", "", "0123456789"), 200);
    assert_heard("Content-Length: 10\r\n\r\n0123456789");
    assert_int_equal(site_ask("POST /plain/x", "", NULL), 200);
    assert_heard("Content-Length: 0\r\n\r\n");
    assert_int_equal(site_ask("POST /plain/x", "", "12345678901234567"), 413);
    fd = site_dial();
    site_say(fd, "POST /plain/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "9\r\n123456789\r\n9\r\n123456789\r\n0\r\n\r\n");
    assert_int_equal(site_hear(fd), 413);
}

/* An answer may come in pieces of any size, and is the same to the client. */
static void answers_are_framed_anew(void **state)
{
    (void)state;
    peer.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: 5\r\n\r\n"
                  "1;x=y\r\na\r\n2\r\nbc\r\n0\r\nX-Trailer: t\r\n\r\n";
    assert_int_equal(site_ask("GET /plain/x", "", NULL), 200);
    assert_says("Transfer-Encoding: chunked\r\n");
    assert_silent("eep-");
    assert_silent("railer");
    peer.answer = "HTTP/1.1 204 \r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(site_ask("GET /plain/x", "", NULL), 204);
    assert_silent("Content-Length");
    peer.answer = ANSWER;
    assert_int_equal(site_ask("HEAD /plain/x", "", NULL), 200);
    assert_says("Content-Length: 2\r\n");
    assert_silent("ok\n");
}

/* A client that goes, before the answer or in the middle of it, says nothing of the upstream; an
 * answer that breaks off does. */
static void who_is_to_blame(void **state)
{
    char text[512];
    int fd;

    (void)state;
    peer.answer = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun";
    for (int i = 0; i < 2; i++) {
        fd = site_dial();
        site_say(fd, "GET /frail HTTP/1.1\r\nHost: a\r\n\r\n");
        if (i > 0)
            assert_true(read(fd, text, sizeof(text)) > 0);
        (void)close(fd);
        (void)usleep(20 * 1000);
    }
    peer.answer = ANSWER;
    assert_int_equal(site_ask("GET /frail", "", NULL), 200);
    peer.answer = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    assert_int_equal(site_ask("GET /frail", "", NULL), 502);
    peer.answer = ANSWER;
    assert_int_equal(site_ask("GET /frail", "", NULL), 503);
    assert_says("circuit-open");
}

/* Each allocation fails once: the request is answered or cut, and the next one is served. */
static void memory_may_run_out(void **state)
{
    (void)state;
    peer.answer = ANSWER;
    for (uint64_t nth = 1; nth < 40; nth++) {
        char text[256];
        int fd = site_dial();

        (void)usleep(1000); /* the connection itself is there */
        alloc_fail_at(nth);
        (void)snprintf(text, sizeof(text),
                       "POST /plain/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
                       "Connection: close\r\n\r\nabc");
        site_say(fd, text);
        while (read(fd, site.text, SITE_TEXT_BYTES) > 0)
            continue;
        alloc_fail_at(0);
        (void)close(fd);
        assert_int_equal(site_ask("GET /plain/x", "", NULL), 200);
    }
}

/* Only where the route allows them, and to a client that looks at them; never what would mean more
 * in a head, nor what the route removes. */
static void trailers_pass_where_allowed(void **state)
{
    static const char sent[] =
        " HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE, x-hop\r\n"
        "Trailer: X-Sum, content-length, X-Secret\r\n"
        "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n"
        "X-Secret: s\r\nX-Hop: h\r\nX-Forwarded-For: f\r\n\r\n";
    char text[512];
    int fd = site_dial();

    (void)state;
    peer.answer =
        "HTTP/1.1 200 OK\r\nTrailer: X-Done, Date, Server, X-Hop\r\nConnection: x-other\r\n"
        "Transfer-Encoding: chunked\r\nConnection: keep-alive, X-Hop\r\n"
        "\r\n2\r\nok\r\n0\r\nX-Done: yes\r\nServer: peer\r\nX-Hop: h\r\nX-Other: o\r\n"
        "X-Request-Id: t\r\n\r\n";
    (void)snprintf(text, sizeof(text), "POST /trailing%s", sent);
    site_say(fd, text);
    assert_int_equal(site_hear(fd), 200);
    assert_heard("Trailer: x-sum\r\nTE: trailers\r\nConnection: TE\r\n\r\n1\r\nx\r\n0\r\n"
                 "x-sum: 1\r\n\r\n");
    assert_says("Trailer: x-done\r\n");
    assert_says("\r\n\r\n2\r\nok\r\n0\r\nx-done: yes\r\n\r\n");
    fd = site_dial();
    (void)snprintf(text, sizeof(text), "POST /plain/x%s", sent);
    site_say(fd, text);
    assert_int_equal(site_hear(fd), 200);
    assert_not_heard("x-sum");
    assert_not_heard("TE:");
    assert_says("\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    assert_silent("x-done");
    assert_int_equal(site_ask("POST /trailing", "", "x"), 200);
    assert_not_heard("railer");
    assert_says("\r\n\r\n2\r\nok\r\n0\r\n\r\n");
}

#define SWITCHED(protocol)                                                                         \
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: " protocol "\r\n"

/* The head of the answer and what comes with it; then the client ends. */
static int ask_upgrade(const char *protocols_asked)
{
    char text[512];
    int fd = site_dial();
    uint64_t status = 0;
    size_t bytes = 0;

    (void)snprintf(text, sizeof(text),
                   "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: x-named, Upgrade\r\n"
                   "Upgrade: %s\r\nSec-WebSocket-Key: k\r\nX-Named: n\r\n\r\n",
                   protocols_asked);
    site_say(fd, text);
    for (bool shut = false;;) {
        ssize_t got = read(fd, site.text + bytes, SITE_TEXT_BYTES - 1 - bytes);

        if (got <= 0)
            break;
        bytes += (size_t)got;
        site.text[bytes] = '\0';
        if (!shut && strstr(site.text, "\r\n\r\n") != NULL)
            shut = shutdown(fd, SHUT_WR) == 0;
    }
    (void)close(fd);
    assert_true(bytes > 12 && span_to_u64(span_make(site.text + 9, 3), &status));
    return (int)status;
}

/* Behind a 101 in a protocol that was offered, bytes pass as they are; no other 101 is believed. */
static void upgrades_are_agreed_on(void **state)
{
    static const char *const lies[] = {SWITCHED("x-own/1") "\r\nhello",
                                       SWITCHED("websocket/13") "\r\nhello",
                                       SWITCHED("x-own/2, websocket") "\r\nhello",
                                       SWITCHED("h2c") "\r\nhello", SWITCHED("") "\r\nhello"};

    (void)state;
    peer.answer = SWITCHED("x-own/2") "Sec-WebSocket-Accept: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_int_equal(ask_upgrade("h2c, X-Own/2"), 101);
    assert_heard("Upgrade: x-own/2\r\nConnection: Upgrade\r\n\r\n");
    assert_heard("sec-websocket-key: k\r\n");
    assert_not_heard("h2c");
    assert_not_heard("x-named");
    assert_says("Upgrade: x-own/2\r\n");
    assert_says("sec-websocket-accept: a\r\n");
    assert_says("Connection: Upgrade\r\n\r\nhello");
    assert_silent("Content-Length");
    for (size_t i = 0; i < PC_COUNT(lies); i++) {
        peer.answer = lies[i];
        assert_int_equal(ask_upgrade("websocket, x-own/2"), 502);
        assert_silent("hello");
    }
}

/* Each allocation fails once: the tunnel opens and closes, or is refused or cut. */
static void memory_may_run_out_for_tunnels(void **state)
{
    (void)state;
    peer.answer = SWITCHED("websocket") "\r\nhello";
    for (uint64_t nth = 1; nth < 40; nth++) {
        int fd = site_dial();

        (void)usleep(1000);
        alloc_fail_at(nth);
        site_say(fd, "GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n"
                     "Upgrade: websocket\r\n\r\nearly");
        if (read(fd, site.text, SITE_TEXT_BYTES) > 0)
            (void)shutdown(fd, SHUT_WR);
        while (read(fd, site.text, SITE_TEXT_BYTES) > 0)
            continue;
        alloc_fail_at(0);
        (void)close(fd);
        peer.answer = ANSWER;
        assert_int_equal(site_ask("GET /plain/x", "", NULL), 200);
        peer.answer = SWITCHED("websocket") "\r\nhello";
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_is_canonical),
        cmocka_unit_test(paths_and_headers_are_edited),
        cmocka_unit_test(hosts_have_routes_of_their_own),
        cmocka_unit_test(bodies_are_framed_anew),
        cmocka_unit_test(answers_are_framed_anew),
        cmocka_unit_test(who_is_to_blame),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(trailers_pass_where_allowed),
        cmocka_unit_test(upgrades_are_agreed_on),
        cmocka_unit_test(memory_may_run_out_for_tunnels),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
