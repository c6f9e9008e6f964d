/* SPDX-License-Identifier: MIT
 * The same server behind TLS, seen by curl: large bodies both ways, verified client certificates,
 * a certificate changed while running. */
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "crypto/certs.h"
#include "crypto/tls.h"
#include "net/net_harness.h"

enum { ARGS_MAX = 16, OUT_BYTES = 4 * 1024 * 1024, PATH_BYTES = 128 };

static struct net_harness harness;
static char folder[] = "/tmp/net_tls_XXXXXX";
static char out[OUT_BYTES];

static void make_certs(void)
{
    const char *const clients[] = {"teller", NULL};
    const struct crypto_certs_options options = {
        .folder = folder, .clients = clients, .clock = &clock_system, .force = true};
    struct crypto_fault fault;

    assert_int_equal(crypto_certs_make(&options, &fault), ERR_OK);
}

static const char *path(char buffer[PATH_BYTES], const char *name)
{
    assert_true(snprintf(buffer, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES);
    return buffer;
}

static struct crypto_tls_context *context_new(enum crypto_tls_client client)
{
    char cert[PATH_BYTES];
    char key[PATH_BYTES];
    char ca[PATH_BYTES];
    const struct crypto_tls_options options = {.name = "test",
                                               .cert_path = path(cert, "server.crt"),
                                               .key_path = path(key, "server.key"),
                                               .client = client,
                                               .client_ca_path = path(ca, "ca.crt"),
                                               .alpn = {"http/1.1"}};
    struct crypto_tls_context *context;
    struct crypto_fault fault;

    if (crypto_tls_context_new(&options, &clock_system, &context, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return context;
}

static size_t read_all(int fd)
{
    size_t at = 0;
    ssize_t n;

    while (at < sizeof(out) && (n = read(fd, out + at, sizeof(out) - at)) > 0)
        at += (size_t)n;
    return at;
}

/* curl with these arguments (NULL-terminated) at the path of the server; *ret_code is its exit
 * status, the result what it printed. */
static struct span curl(const char *target, const char *const *more, int *ret_code)
{
    const char *args[ARGS_MAX] = {"curl", "--silent", "--cacert"};
    char ca[PATH_BYTES];
    char url[PATH_BYTES];
    posix_spawn_file_actions_t actions;
    size_t count = 3;
    size_t bytes;
    int ends[2];
    pid_t pid;

    assert_true(snprintf(url, sizeof(url), "https://localhost:%u%s",
                         (unsigned)net_listener_port(harness.listener), target) < PATH_BYTES);
    args[count++] = path(ca, "ca.crt");
    args[count++] = url;
    while (*more != NULL && count < ARGS_MAX - 1)
        args[count++] = *more++;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(posix_spawn_file_actions_init(&actions), 0);
    assert_int_equal(posix_spawn_file_actions_adddup2(&actions, ends[1], 1), 0);
    assert_int_equal(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
    assert_int_equal(
        posix_spawnp(&pid, "curl", &actions, NULL, (char *const *)(uintptr_t)args, environ), 0);
    assert_int_equal(posix_spawn_file_actions_destroy(&actions), 0);
    assert_int_equal(close(ends[1]), 0);
    bytes = read_all(ends[0]);
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(waitpid(pid, ret_code, 0), pid);
    *ret_code = WEXITSTATUS(*ret_code);
    return span_make(out, bytes);
}

static void expect_curl(const char *target, const char *const *more, const char *expected)
{
    int code;
    struct span answer = curl(target, more, &code);

    if (code != 0 || !span_is(answer, expected))
        fail_msg("%s: curl ended with %d, got: %.*s", target, code, SPAN_ARG(answer));
}

static const char *const nothing_more[] = {NULL};

/* Small and large answers arrive whole, several on one connection too. */
static void answers_over_tls(void **state)
{
    const struct net_server_options options = {.loops = 2};
    struct crypto_tls_context *context = context_new(CRYPTO_TLS_CLIENT_NONE);
    const char *const echo[] = {"--data", "abc", NULL};
    struct span large;
    int code;

    net_harness_start(&harness, &options, context);
    expect_curl("/hello", nothing_more, "hello");
    expect_curl("/later", nothing_more, "later");
    expect_curl("/pieces", nothing_more, "one,two,three");
    expect_curl("/paused", echo, "abc");
    expect_curl("/{hello,later,hello}", nothing_more, "hellolaterhello");
    large = curl("/large", nothing_more, &code);
    assert_int_equal(code, 0);
    assert_int_equal(large.len, HARNESS_LARGE_BYTES);
    large = curl("/flood", nothing_more, &code);
    assert_int_equal(large.len, HARNESS_LARGE_BYTES);
    for (size_t i = 0; i < large.len; i++)
        assert_int_equal(large.ptr[i], 'a' + (int)(i % 26));
    net_harness_stop(&harness);
    crypto_tls_context_free(context);
}

static void uploads_over_tls(void **state)
{
    const struct net_server_options options = {0};
    struct crypto_tls_context *context = context_new(CRYPTO_TLS_CLIENT_NONE);
    const char *upload[] = {"--data-binary", NULL, NULL};
    char file[PATH_BYTES + 1] = "@";
    struct span echoed;
    FILE *letters;
    int code;

    letters = fopen(path(file + 1, "letters"), "w");
    assert_non_null(letters);
    for (int i = 0; i < 1000000; i++)
        assert_true(fputc('a' + i % 26, letters) != EOF);
    assert_int_equal(fclose(letters), 0);
    upload[1] = file;
    net_harness_start(&harness, &options, context);
    echoed = curl("/echo", upload, &code);
    assert_int_equal(code, 0);
    assert_int_equal(echoed.len, 1000000);
    for (size_t i = 0; i < echoed.len; i++)
        assert_int_equal(echoed.ptr[i], 'a' + (int)(i % 26));
    net_harness_stop(&harness);
    crypto_tls_context_free(context);
}

/* The verified certificate is part of the request; without one, an optional listener serves and a
 * strict one does not. */
static void knows_its_client(void **state)
{
    const struct net_server_options options = {0};
    struct crypto_tls_context *optional = context_new(CRYPTO_TLS_CLIENT_OPTIONAL);
    struct crypto_tls_context *required = context_new(CRYPTO_TLS_CLIENT_REQUIRED);
    char cert[PATH_BYTES];
    char key[PATH_BYTES];
    const char *const client[] = {"--cert", path(cert, "teller.crt"), "--key",
                                  path(key, "teller.key"), NULL};
    int code;

    net_harness_start(&harness, &options, optional);
    expect_curl("/peer", nothing_more, "127.0.0.1 tls=1 subject= cn= thumbprint=0");
    expect_curl(
        "/peer", client,
        "127.0.0.1 tls=1 subject=CN=teller,O=Portcullis development cn=teller thumbprint=43");
    net_listener_set_tls(harness.listener, required);
    crypto_tls_context_free(optional);
    expect_curl(
        "/peer", client,
        "127.0.0.1 tls=1 subject=CN=teller,O=Portcullis development cn=teller thumbprint=43");
    assert_int_equal(curl("/peer", nothing_more, &code).len, 0);
    assert_int_not_equal(code, 0);
    net_harness_stop(&harness);
    crypto_tls_context_free(required);
}

/* What is no TLS at all ends in the handshake; what stands still in it ends after a while. */
static void ends_bad_handshakes(void **state)
{
    const struct net_server_options options = {.head_ms = 80};
    struct crypto_tls_context *context = context_new(CRYPTO_TLS_CLIENT_NONE);
    char byte;
    int fd;

    net_harness_start(&harness, &options, context);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF("GET / HTTP/1.1\r\n\r\n"));
    while (recv(fd, &byte, 1, 0) > 0)
        continue;
    assert_int_equal(close(fd), 0);
    fd = net_harness_connect(&harness);
    net_client_send(fd, SPAN_OF("\x16\x03"));
    net_client_expect_end(fd);
    assert_int_equal(harness.told, 0);
    expect_curl("/hello", nothing_more, "hello");
    net_harness_stop(&harness);
    crypto_tls_context_free(context);
}

/* Both ways at once, as far as there is something: towards the server `most` bytes at a time, so
 * that records come in pieces, or several in one. */
static void carry(int client_end, int server, size_t most)
{
    char bytes[512];
    ssize_t n;

    while ((n = recv(client_end, bytes, most, MSG_DONTWAIT)) > 0) {
        net_client_send(server, span_make(bytes, (size_t)n));
        if (most < sizeof(bytes))
            (void)usleep(200); /* the server is to find pieces, not to be given a chance */
    }
    while ((n = recv(server, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        net_client_send(client_end, span_make(bytes, (size_t)n));
}

/* Asks three times: two requests in one record, the third in two. What comes back is in `out`. */
static void ask_in_records(struct crypto_tls *tls, int client_end, int server, size_t most)
{
    static const char *const records[] = {
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /hello HTTP/1.1\r\nHo", "st: a\r\nConnection: close\r\n\r\n"};
    enum crypto_tls_state state;
    size_t at = 0;
    size_t bytes;

    while ((state = crypto_tls_handshake(tls)) == CRYPTO_TLS_WANT_READ)
        carry(client_end, server, most);
    assert_int_equal(state, CRYPTO_TLS_DONE);
    for (size_t i = 0; i < PC_COUNT(records); i++) {
        assert_int_equal(crypto_tls_write(tls, records[i], strlen(records[i]), &bytes),
                         CRYPTO_TLS_DONE);
        assert_int_equal(bytes, strlen(records[i]));
    }
    while ((state = crypto_tls_read(tls, out + at, sizeof(out) - at - 1, &bytes)) !=
           CRYPTO_TLS_CLOSED) {
        assert_true(state == CRYPTO_TLS_DONE || state == CRYPTO_TLS_WANT_READ);
        at += state == CRYPTO_TLS_DONE ? bytes : 0;
        carry(client_end, server, most);
    }
    out[at] = 0;
}

static void reads_records_however_they_come(void **state)
{
    const struct net_server_options options = {.loops = 1};
    const size_t pieces[] = {1, 7, 512};
    struct crypto_tls_context *context = context_new(CRYPTO_TLS_CLIENT_NONE);
    struct crypto_tls_context *client;
    char ca[PATH_BYTES];
    const struct crypto_tls_client_options wanted = {.host = "localhost",
                                                     .ca_path = path(ca, "ca.crt")};
    struct crypto_fault fault;

    assert_int_equal(crypto_tls_client_context_new(&wanted, &client, &fault), ERR_OK);
    net_harness_start(&harness, &options, context);
    for (size_t i = 0; i < PC_COUNT(pieces); i++) {
        struct crypto_tls *tls;
        int server = net_harness_connect(&harness);
        int ends[2];
        int answers = 0;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
        assert_int_equal(crypto_tls_new(client, ends[0], &tls), ERR_OK);
        ask_in_records(tls, ends[1], server, pieces[i]);
        for (const char *at = out; (at = strstr(at, "\r\n\r\nhello")) != NULL; at++)
            answers++;
        assert_int_equal(answers, 3);
        crypto_tls_free(tls);
        assert_int_equal(close(ends[0]) + close(ends[1]) + close(server), 0);
    }
    net_harness_stop(&harness);
    crypto_tls_context_free(client);
    crypto_tls_context_free(context);
}

static int start(void **state)
{
    assert_non_null(mkdtemp(folder));
    make_certs();
    return 0;
}

static int stop(void **state)
{
    static const char *const names[] = {"ca.crt",     "ca.key",     "server.crt", "server.key",
                                        "teller.crt", "teller.key", "letters"};
    char file[PATH_BYTES];

    for (size_t i = 0; i < PC_COUNT(names); i++)
        (void)unlink(path(file, names[i]));
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_over_tls),
        cmocka_unit_test(uploads_over_tls),
        cmocka_unit_test(knows_its_client),
        cmocka_unit_test(ends_bad_handshakes),
        cmocka_unit_test(reads_records_however_they_come),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
