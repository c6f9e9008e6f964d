/* SPDX-License-Identifier: MIT
 * A link over TLS to our own server: large bodies both ways, a server that is not the one meant,
 * one that speaks no TLS or nothing at all, and ends at every moment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "crypto/certs.h"
#include "net/net_link_kit.h"

enum { PATH_BYTES = 128, BODY_BYTES = 1024 * 1024, REASON_BYTES = 128, PIECE_BYTES = 10000 };

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static char folder[] = "/tmp/net_link_tls_XXXXXX";
static struct net_harness harness;

static const char *path(char buffer[PATH_BYTES], const char *name)
{
    assert_true(snprintf(buffer, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES);
    return buffer;
}

static int prepare(void **state)
{
    const struct crypto_certs_options options = {.folder = folder, .clock = &clock_system};
    struct crypto_fault fault;

    if (mkdtemp(folder) == NULL || crypto_certs_make(&options, &fault) != ERR_OK)
        return -1;
    return net_kit_warm(state);
}

static int clean(void **state)
{
    static const char *const names[] = {"ca.crt", "ca.key", "server.crt", "server.key"};
    char full[PATH_BYTES];

    for (size_t i = 0; i < PC_COUNT(names); i++)
        (void)unlink(path(full, names[i]));
    return rmdir(folder);
}

static struct crypto_tls_context *server_context(void)
{
    char cert[PATH_BYTES];
    char key[PATH_BYTES];
    const struct crypto_tls_options own = {
        .name = "test", .cert_path = path(cert, "server.crt"), .key_path = path(key, "server.key")};
    struct crypto_tls_context *context = NULL;
    struct crypto_fault fault;

    assert_int_equal(crypto_tls_context_new(&own, &clock_system, &context, &fault), ERR_OK);
    return context;
}

static void start_harness(bool tls)
{
    const struct net_server_options options = {.loops = 1};

    net_harness_start(&harness, &options, tls ? server_context() : NULL);
}

/* The server's context is its listener's until it stops. */
static void stop_harness(void)
{
    struct crypto_tls_context *context = harness.listener->options.tls;

    net_harness_stop(&harness);
    crypto_tls_context_free(context);
}

/* --- a client of one link --------------------------------------------------------------------- */

struct client {
    struct net_link *link;
    const char *host;
    uint16_t port;
    int64_t connect_ms;
    uint64_t fail_at; /* the allocation that fails while opening */
    struct span ask;
    size_t body_left; /* of 'b', sent behind it as there is room */
    bool closes;      /* itself, at the first input */
    bool pauses;
    _Atomic int open;
    _Atomic int lost;
    _Atomic int rooms;
    _Atomic int64_t got;
    char beginning[64];
    enum err err;
    enum err opened;
    char reason[REASON_BYTES];
};

static struct client client;

static void send_body(struct net_link *link)
{
    static char piece[PIECE_BYTES];

    memset(piece, 'b', sizeof(piece));
    while (client.body_left > 0 && net_link_room(link) > 0) {
        size_t most = client.body_left < sizeof(piece) ? client.body_left : sizeof(piece);
        size_t count = most < net_link_room(link) ? most : net_link_room(link);
        const struct span parts[] = {span_make(piece, count / 2),
                                     span_make(piece, count - count / 2)};

        net_link_send(link, parts, PC_COUNT(parts));
        client.body_left -= count;
    }
}

static void ask(struct net_kit_probe *probe)
{
    client.got = 0;
    net_link_send(client.link, &client.ask, 1);
    send_body(client.link);
}

static void on_open(struct net_link *link)
{
    client.open++;
}

static void on_input(struct net_link *link, struct span bytes)
{
    size_t at = (size_t)client.got;

    for (size_t i = 0; i < bytes.len && at + i < sizeof(client.beginning) - 1; i++)
        client.beginning[at + i] = bytes.ptr[i];
    client.got += (int64_t)bytes.len;
    if (client.pauses)
        net_link_pause(link);
    if (client.closes)
        net_link_close(link);
}

static void on_room(struct net_link *link)
{
    client.rooms++;
    send_body(link);
}

static void on_lost(struct net_link *link, enum err err)
{
    client.err = err;
    (void)snprintf(client.reason, sizeof(client.reason), "%s", net_link_tls_reason(link));
    client.lost++;
}

static const struct net_link_app app = {
    .open = on_open, .input = on_input, .room = on_room, .lost = on_lost};

static void open_link(struct net_kit_probe *probe)
{
    struct net_link_options options = {
        .address_bytes = sizeof(struct sockaddr_in), .app = &app, .connect_ms = client.connect_ms};
    struct sockaddr_in *in = (struct sockaddr_in *)(void *)&options.address;
    char ca[PATH_BYTES];
    const struct crypto_tls_client_options wanted = {.host = client.host,
                                                     .ca_path = path(ca, "ca.crt")};
    struct crypto_fault fault;

    in->sin_family = AF_INET;
    in->sin_port = htons(client.port);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    PC_ASSERT(crypto_tls_client_context_new(&wanted, &options.tls, &fault) == ERR_OK);
    alloc_fail_at(client.fail_at);
    client.opened = net_link_open(net_kit_loop(), &options, &client.link);
    alloc_fail_at(0);
    crypto_tls_context_free(options.tls); /* the link has its share */
}

static void open_to(const char *host, uint16_t port, int64_t connect_ms)
{
    memset(&client, 0, sizeof(client));
    client.host = host;
    client.port = port;
    client.connect_ms = connect_ms;
    net_kit_run(NULL, open_link);
    assert_int_equal(client.opened, ERR_OK);
}

static void open_harness(const char *host)
{
    open_to(host, net_listener_port(harness.listener), 0);
}

static void close_link(struct net_kit_probe *probe)
{
    net_link_close(client.link);
}

static void resume_link(struct net_kit_probe *probe)
{
    if (client.lost == 0)
        net_link_resume(client.link);
}

static void wait_got(int64_t bytes)
{
    for (int64_t end = net_harness_ms() + 10000; client.got < bytes;) {
        assert_true(net_harness_ms() < end && client.lost == 0);
        if (client.pauses)
            net_kit_run(NULL, resume_link);
        (void)usleep(200);
    }
}

/* --- tests ------------------------------------------------------------------------------------ */

static void talks(void **state)
{
    start_harness(true);
    open_harness("localhost");
    net_harness_wait(&client.open, 1);
    for (int i = 0; i < 5; i++) {
        client.ask = SPAN_OF(GET("/hello"));
        net_kit_run(NULL, ask);
        wait_got(43);
        assert_int_equal(client.got, 43);
        assert_memory_equal(client.beginning + 38, "hello", 5);
    }
    assert_int_equal(net_server_conn_count(harness.server), 1);
    net_kit_run(NULL, close_link);
    net_harness_wait_conns(&harness, 0);
    assert_int_equal(client.lost, 0);
    stop_harness();
}

static void carries_much(void **state)
{
    start_harness(true);
    for (int paused = 0; paused < 2; paused++) {
        open_harness("127.0.0.1");
        net_harness_wait(&client.open, 1);
        net_kit_make_small(net_kit_own_end(client.port));
        client.ask = SPAN_OF(GET("/large"));
        client.pauses = paused == 1;
        net_kit_run(NULL, ask);
        wait_got(HARNESS_LARGE_BYTES);
        client.ask = SPAN_OF("POST /echo HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n");
        client.body_left = BODY_BYTES;
        net_kit_run(NULL, ask);
        wait_got(BODY_BYTES);
        assert_true(client.rooms > 0);
        net_kit_run(NULL, close_link);
    }
    assert_int_equal(harness.body_bytes, 2 * BODY_BYTES);
    stop_harness();
}

static void expect_refusal(const char *reason)
{
    net_harness_wait(&client.lost, 1);
    assert_int_equal(client.err, ERR_IO);
    assert_int_equal(client.open, 0);
    if (strstr(client.reason, reason) == NULL)
        fail_msg("%s, not: %s", client.reason, reason);
}

/* Nothing is opened to a server that is another one, or none. */
static void insists_on_its_server(void **state)
{
    start_harness(true);
    open_harness("upstream.example");
    expect_refusal("ostname mismatch");
    open_harness("127.0.0.2");
    expect_refusal("IP address mismatch");
    assert_int_equal(net_kit_metric("portcullis_net_upstream_failures_total{reason=\"tls\"} "), 2);
    assert_int_equal(net_kit_metric("portcullis_net_upstream_connections_total "), 0);
    assert_int_equal(harness.told, 0);
    stop_harness();
    start_harness(false);
    open_harness("localhost");
    expect_refusal("");
    stop_harness();
}

/* The handshake has to be done in time as well. */
static void gives_up_on_silence(void **state)
{
    int listener = net_kit_listen(AF_INET, 8);
    int fd;

    open_to("localhost", net_kit_port(), 50);
    fd = net_kit_accept(listener);
    net_harness_wait(&client.lost, 1);
    assert_int_equal(client.err, ERR_REQUEST_TIMEOUT);
    assert_int_equal(close(fd), 0);
    open_to("localhost", net_kit_port(), 0);
    assert_int_equal(close(net_kit_accept(listener)), 0);
    net_harness_wait(&client.lost, 1);
    assert_int_equal(client.err, ERR_IO);
    open_to("localhost", net_kit_port(), 0);
    fd = net_kit_accept(listener);
    net_kit_run(NULL, close_link);
    open_to("localhost", net_kit_port(), 0);
    net_kit_stop_server();
    assert_int_equal(client.err, ERR_DRAINING);
    assert_int_equal(close(fd) | close(listener), 0);
}

static void hears_goodbye(void **state)
{
    start_harness(true);
    open_harness("localhost");
    net_harness_wait(&client.open, 1);
    client.ask = SPAN_OF(GET("/close"));
    net_kit_run(NULL, ask);
    net_harness_wait(&client.lost, 1);
    assert_int_equal(client.err, ERR_END);
    assert_true(client.got > 0);
    open_harness("localhost");
    net_harness_wait(&client.open, 1);
    client.closes = true; /* in the middle of a large answer */
    client.ask = SPAN_OF(GET("/flood"));
    net_kit_run(NULL, ask);
    net_harness_wait_conns(&harness, 0);
    assert_int_equal(client.lost, 0);
    stop_harness();
}

static void do_nothing(struct net_kit_probe *probe)
{
}

static void pause_link(struct net_kit_probe *probe)
{
    net_link_pause(client.link);
}

/* An end without close_notify may be anybody's doing: never ERR_END, not even when paused. */
static void knows_a_cut(void **state)
{
    start_harness(true);
    for (int paused = 0; paused < 2; paused++) {
        open_harness("localhost");
        net_harness_wait(&client.open, 1);
        client.ask = SPAN_OF(GET("/hello")); /* the server's tickets are read as well */
        net_kit_run(NULL, ask);
        wait_got(43);
        client.ask = SPAN_OF(GET("/abort"));
        if (paused == 1)
            net_kit_run(NULL, pause_link);
        net_kit_run(NULL, ask);
        net_harness_wait(&harness.told, 2 * (paused + 1));
        net_harness_wait_conns(&harness, 0);
        for (int i = 0; i < 5; i++)
            net_kit_run(NULL, do_nothing); /* the loop has seen it */
        if (paused == 1)
            net_kit_run(NULL, resume_link);
        net_harness_wait(&client.lost, 1);
        assert_int_equal(client.err, ERR_IO);
    }
    stop_harness();
}

/* And we say goodbye ourselves. */
static void says_goodbye(void **state)
{
    int listener = net_kit_listen(AF_INET, 1);
    struct crypto_tls_context *context = server_context();
    struct crypto_tls *tls;
    char byte;
    size_t bytes;
    int fd;

    open_to("localhost", net_kit_port(), 0);
    fd = net_kit_accept(listener);
    assert_int_equal(crypto_tls_new(context, fd, &tls), ERR_OK);
    assert_int_equal(crypto_tls_handshake(tls), CRYPTO_TLS_DONE);
    net_harness_wait(&client.open, 1);
    net_kit_run(NULL, close_link);
    assert_int_equal(crypto_tls_read(tls, &byte, 1, &bytes), CRYPTO_TLS_CLOSED);
    crypto_tls_free(tls);
    crypto_tls_context_free(context);
    assert_int_equal(close(fd) | close(listener), 0);
}

static void survives_without_memory(void **state)
{
    start_harness(true);
    for (uint64_t nth = 1; nth < 3; nth++) {
        memset(&client, 0, sizeof(client));
        client.host = "localhost";
        client.port = net_listener_port(harness.listener);
        client.fail_at = nth;
        net_kit_run(NULL, open_link);
        assert_int_equal(client.opened, ERR_NO_MEMORY);
    }
    stop_harness();
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, net_kit_start, net_kit_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(talks),
        TEST(carries_much),
        TEST(insists_on_its_server),
        TEST(gives_up_on_silence),
        TEST(hears_goodbye),
        TEST(knows_a_cut),
        TEST(says_goodbye),
        TEST(survives_without_memory),
    };

    return cmocka_run_group_tests(tests, prepare, clean);
}
