/* SPDX-License-Identifier: MIT
 * TLS towards a server over a socket pair: whom it trusts, whom it refuses and what it asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "crypto/certs.h"
#include "crypto/tls_priv.h"

enum { PATH_BYTES = 128 };

static char folder[] = "/tmp/crypto-tls-client-XXXXXX";
static struct clock_fake past; /* makes certificates that are over by now */

static const char *path(char buffer[PATH_BYTES], const char *name)
{
    assert_true(snprintf(buffer, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES);
    return buffer;
}

static int make_certificates(void **state)
{
    static const char *const clients[] = {"teller", NULL};
    char path_own[PATH_BYTES];
    struct crypto_certs_options options = {.clients = clients, .clock = &clock_system};
    struct crypto_fault fault;

    if (mkdtemp(folder) == NULL)
        return -1;
    options.folder = path(path_own, "good");
    if (crypto_certs_make(&options, &fault) != ERR_OK)
        return -1;
    options.folder = path(path_own, "other");
    if (crypto_certs_make(&options, &fault) != ERR_OK)
        return -1;
    clock_fake_init(&past, INT64_C(1000000000) * CLOCK_NS_PER_S);
    options.clock = &past.clock;
    options.folder = path(path_own, "old");
    options.days = 1;
    return crypto_certs_make(&options, &fault) == ERR_OK ? 0 : -1;
}

static int remove_certificates(void **state)
{
    static const char *const folders[] = {"good", "other", "old"};
    static const char *const names[] = {"ca", "server", "teller"};
    char name[64];
    char full[PATH_BYTES];

    for (size_t i = 0; i < PC_COUNT(folders); i++) {
        for (size_t k = 0; k < PC_COUNT(names) * 2; k++) {
            (void)snprintf(name, sizeof(name), "%s/%s.%s", folders[i], names[k / 2],
                           k % 2 == 0 ? "crt" : "key");
            (void)unlink(path(full, name));
        }
        (void)rmdir(path(full, folders[i]));
    }
    return rmdir(folder);
}

/* A server of OpenSSL's own, that shows any certificate. */
struct server {
    SSL_CTX *context;
    SSL *ssl;
    int fds[2];
};

static void server_open(struct server *server, const char *identity, int version_max)
{
    char name[64];
    char full[PATH_BYTES];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, server->fds), 0);
    server->context = SSL_CTX_new(TLS_server_method());
    (void)snprintf(name, sizeof(name), "%s.crt", identity);
    assert_int_equal(SSL_CTX_use_certificate_chain_file(server->context, path(full, name)), 1);
    (void)snprintf(name, sizeof(name), "%s.key", identity);
    assert_int_equal(
        SSL_CTX_use_PrivateKey_file(server->context, path(full, name), SSL_FILETYPE_PEM), 1);
    if (version_max != 0)
        SSL_CTX_set_max_proto_version(server->context, version_max);
    server->ssl = SSL_new(server->context);
    SSL_set_fd(server->ssl, server->fds[0]);
    SSL_set_accept_state(server->ssl);
}

static void server_close(struct server *server)
{
    SSL_free(server->ssl);
    SSL_CTX_free(server->context);
    assert_int_equal(close(server->fds[0]) | close(server->fds[1]), 0);
}

static enum crypto_tls_state shake(struct server *server, struct crypto_tls *tls)
{
    enum crypto_tls_state state = CRYPTO_TLS_WANT_READ;

    for (int i = 0; i < 20 && state != CRYPTO_TLS_DONE && state != CRYPTO_TLS_FAILED; i++) {
        state = crypto_tls_handshake(tls);
        SSL_do_handshake(server->ssl);
    }
    return state;
}

static void talk(struct server *server, struct crypto_tls *tls)
{
    enum crypto_tls_state state = CRYPTO_TLS_WANT_READ;
    char buffer[16];
    size_t bytes;

    assert_int_equal(crypto_tls_write(tls, "ping", 4, &bytes), CRYPTO_TLS_DONE);
    assert_int_equal(SSL_read(server->ssl, buffer, sizeof(buffer)), 4);
    assert_int_equal(SSL_write(server->ssl, "pong", 4), 4);
    for (int i = 0; i < 4 && state == CRYPTO_TLS_WANT_READ; i++) /* the server's tickets first */
        state = crypto_tls_read(tls, buffer, sizeof(buffer), &bytes);
    assert_int_equal(state, CRYPTO_TLS_DONE);
    assert_memory_equal(buffer, "pong", 4);
    assert_int_equal(crypto_tls_read(tls, buffer, sizeof(buffer), &bytes), CRYPTO_TLS_WANT_READ);
    assert_int_equal(crypto_tls_shutdown(tls), CRYPTO_TLS_DONE);
    assert_int_equal(SSL_read(server->ssl, buffer, sizeof(buffer)), 0);
}

struct meeting {
    const char *identity; /* what the server shows */
    const char *host;     /* whom we mean */
    const char *ca;       /* whom we trust; NULL: the system's roots */
    const char *reason;   /* why not; NULL: good */
};

static struct crypto_tls_context *context_new(const struct meeting *meeting, bool unverified)
{
    char ca[PATH_BYTES];
    const struct crypto_tls_client_options options = {
        .host = meeting->host,
        .ca_path = meeting->ca == NULL ? NULL : path(ca, meeting->ca),
        .unverified = unverified};
    struct crypto_tls_context *context;
    struct crypto_fault fault;

    if (crypto_tls_client_context_new(&options, &context, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return context;
}

static void meet(const struct meeting *meeting, int version_max, bool unverified)
{
    PC_AUTO(crypto_tls_context) context = context_new(meeting, unverified);
    struct server server;
    struct crypto_tls *tls;
    size_t bytes;

    server_open(&server, meeting->identity, version_max);
    assert_int_equal(crypto_tls_new(context, server.fds[1], &tls), ERR_OK);
    if (meeting->reason == NULL || unverified) {
        assert_int_equal(shake(&server, tls), CRYPTO_TLS_DONE);
        assert_string_equal(crypto_tls_reason(tls), "");
        talk(&server, tls);
    } else {
        assert_int_equal(shake(&server, tls), CRYPTO_TLS_FAILED);
        if (strstr(crypto_tls_reason(tls), meeting->reason) == NULL)
            fail_msg("%s: %s, not: %s", meeting->host, crypto_tls_reason(tls), meeting->reason);
        assert_int_equal(crypto_tls_write(tls, "secret", 6, &bytes), CRYPTO_TLS_FAILED);
        assert_false(SSL_is_init_finished(server.ssl) && SSL_pending(server.ssl) > 0);
    }
    crypto_tls_free(tls);
    server_close(&server);
}

/* Only the host that was meant, with a certificate for a server, of a trusted root, valid now. */
static void knows_its_server(void **state)
{
    static const struct meeting meetings[] = {
        {"good/server", "localhost", "good/ca.crt", NULL},
        {"good/server", "LocalHost", "good/ca.crt", NULL},
        {"good/server", "127.0.0.1", "good/ca.crt", NULL},
        {"good/server", "::1", "good/ca.crt", NULL},
        {"good/server", "other.example", "good/ca.crt", "ostname mismatch"},
        {"good/server", "localhost.example", "good/ca.crt", "ostname mismatch"},
        {"good/server", "127.0.0.2", "good/ca.crt", "IP address mismatch"},
        {"good/server", "localhost", "other/ca.crt", "certificate"},
        {"good/server", "localhost", NULL, "certificate"},
        {"other/server", "localhost", "good/ca.crt", "certificate"},
        {"old/server", "localhost", "old/ca.crt", "expired"},
        {"good/teller", "localhost", "good/ca.crt", "purpose"},
        {"good/teller", "teller", "good/ca.crt", ""},
    };

    for (size_t i = 0; i < PC_COUNT(meetings); i++) {
        meet(&meetings[i], 0, false);
        meet(&meetings[i], TLS1_2_VERSION, false);
        meet(&meetings[i], 0, true);
    }
}

/* A name is told, an address is not; no protocol is offered. */
static void asks_for_its_server(void **state)
{
    static const struct meeting named = {"good/server", "localhost", "good/ca.crt", NULL};
    static const struct meeting numbered = {"good/server", "127.0.0.1", "good/ca.crt", NULL};
    const struct meeting *const rows[] = {&named, &numbered};

    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        PC_AUTO(crypto_tls_context) context = context_new(rows[i], false);
        struct server server;
        struct crypto_tls *tls;
        const char *name;

        server_open(&server, rows[i]->identity, 0);
        assert_int_equal(crypto_tls_new(context, server.fds[1], &tls), ERR_OK);
        assert_int_equal(shake(&server, tls), CRYPTO_TLS_DONE);
        name = SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name);
        assert_true(rows[i] == &named ? strcmp(name, "localhost") == 0 : name == NULL);
        assert_int_equal(crypto_tls_alpn(tls).len, 0);
        assert_int_equal(crypto_tls_peer(tls)->subject.len, 0);
        assert_string_equal(crypto_tls_version(tls), "TLSv1.3");
        crypto_tls_free(tls);
        server_close(&server);
    }
}

/* RFC 9325: nothing older than TLS 1.2, and only 1.3 if so wanted. */
static void refuses_old_versions(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_1_VERSION};
    char ca[PATH_BYTES];
    struct crypto_tls_client_options options = {.host = "localhost", .tls13_only = true};

    options.ca_path = path(ca, "good/ca.crt");
    for (size_t i = 0; i < PC_COUNT(versions); i++) {
        struct crypto_tls_context *context;
        struct crypto_fault fault;
        struct server server;
        struct crypto_tls *tls;

        options.tls13_only = i == 0;
        assert_int_equal(crypto_tls_client_context_new(&options, &context, &fault), ERR_OK);
        server_open(&server, "good/server", versions[i]);
        assert_int_equal(crypto_tls_new(context, server.fds[1], &tls), ERR_OK);
        assert_int_equal(shake(&server, tls), CRYPTO_TLS_FAILED);
        crypto_tls_free(tls);
        crypto_tls_context_free(context);
        server_close(&server);
    }
}

static void explains_bad_files(void **state)
{
    struct crypto_tls_client_options options = {.host = "localhost", .ca_path = "/nowhere/ca.crt"};
    struct crypto_tls_context *context = NULL;
    struct crypto_fault fault = {.text = ""};

    assert_int_equal(crypto_tls_client_context_new(&options, &context, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "/nowhere/ca.crt"));
    assert_null(context);
    for (uint64_t nth = 1; nth < 3; nth++) {
        alloc_fail_at(nth);
        assert_int_equal(crypto_tls_client_context_new(&options, &context, &fault), ERR_NO_MEMORY);
    }
    alloc_fail_at(0);
}

/* One connection to our own server, with a few bytes each way. */
static bool resumes(struct crypto_tls_context *server, struct crypto_tls_context *client)
{
    struct crypto_tls *ends[2];
    enum crypto_tls_state states[2] = {CRYPTO_TLS_WANT_READ, CRYPTO_TLS_WANT_READ};
    char buffer[16];
    size_t bytes;
    int fds[2];
    bool resumed;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(crypto_tls_new(server, fds[0], &ends[0]), ERR_OK);
    assert_int_equal(crypto_tls_new(client, fds[1], &ends[1]), ERR_OK);
    for (int i = 0; i < 20; i++)
        states[i % 2] = crypto_tls_handshake(ends[i % 2]);
    assert_int_equal(states[0] | states[1], CRYPTO_TLS_DONE);
    assert_int_equal(crypto_tls_write(ends[0], "pong", 4, &bytes), CRYPTO_TLS_DONE);
    for (int i = 0; i < 4 && states[1] != CRYPTO_TLS_WANT_READ; i++) /* with the tickets */
        states[1] = crypto_tls_read(ends[1], buffer, sizeof(buffer), &bytes);
    resumed = crypto_tls_resumed(ends[1]);
    assert_int_equal(resumed, crypto_tls_resumed(ends[0]));
    crypto_tls_free(ends[0]);
    crypto_tls_free(ends[1]);
    assert_int_equal(close(fds[0]) | close(fds[1]), 0);
    return resumed;
}

static struct crypto_tls_context *our_server(const char *name, bool tls13_only)
{
    char cert[PATH_BYTES];
    char key[PATH_BYTES];
    const struct crypto_tls_options options = {.name = name,
                                               .cert_path = path(cert, "good/server.crt"),
                                               .key_path = path(key, "good/server.key"),
                                               .tls13_only = tls13_only};
    struct crypto_tls_context *context;
    struct crypto_fault fault;

    assert_int_equal(crypto_tls_context_new(&options, &clock_system, &context, &fault), ERR_OK);
    return context;
}

/* With the server it was made with, and no other name of it. */
static void sessions_are_resumed(void **state)
{
    static const struct meeting meeting = {"good/server", "localhost", "good/ca.crt", NULL};
    static const struct meeting twelve = {"good/server", "127.0.0.1", "good/ca.crt", NULL};
    PC_AUTO(crypto_tls_context) server = our_server("here", true);
    PC_AUTO(crypto_tls_context) moved = our_server("here", true);
    PC_AUTO(crypto_tls_context) client = context_new(&meeting, false);
    PC_AUTO(crypto_tls_context) other = NULL;
    PC_AUTO(crypto_tls_context) unverified = context_new(&twelve, true);

    assert_int_equal(crypto_tls_client_context_for(client, "127.0.0.1", &other), ERR_OK);
    assert_false(resumes(server, client));
    assert_true(resumes(server, client));
    assert_true(resumes(server, client));
    assert_false(resumes(server, other));
    assert_true(resumes(server, other));
    assert_true(resumes(server, client));
    assert_false(resumes(moved, client)); /* a ticket that it cannot read is no failure */
    assert_true(resumes(moved, client));
    crypto_tls_client_forget(client);
    assert_false(resumes(moved, client));
    assert_false(resumes(server, unverified));
}

/* What lists say of the server is looked at in a whole handshake alone, so there is one each hour,
 * however often the session was handed on since. */
static void sessions_end_an_hour_after_they_began(void **state)
{
    struct clock_fake fake;
    char ca[PATH_BYTES];
    const struct crypto_tls_client_options options = {
        .host = "localhost", .ca_path = path(ca, "good/ca.crt"), .clock = &fake.clock};
    PC_AUTO(crypto_tls_context) server = our_server("here", true);
    PC_AUTO(crypto_tls_context) client = NULL;
    PC_AUTO(crypto_tls_context) other = NULL;
    struct crypto_fault fault;

    (void)state;
    clock_fake_init(&fake, clock_realtime_ns(&clock_system));
    assert_int_equal(crypto_tls_client_context_new(&options, &client, &fault), ERR_OK);
    assert_int_equal(crypto_tls_client_context_for(client, "127.0.0.1", &other), ERR_OK);
    assert_false(resumes(server, client));
    assert_false(resumes(server, other));
    for (int i = 0; i < 3; i++) {
        clock_fake_move(&fake, 1199 * CLOCK_NS_PER_S);
        assert_true(resumes(server, client));
        assert_true(resumes(server, other));
    }
    clock_fake_move(&fake, 3 * CLOCK_NS_PER_S);
    assert_false(resumes(server, client));
    assert_false(resumes(server, other));
    assert_true(resumes(server, client));
}

/* The host of a further context is insisted on like the first one's. */
static void a_further_host_is_verified(void **state)
{
    static const struct meeting meeting = {"good/server", "localhost", "good/ca.crt", NULL};
    PC_AUTO(crypto_tls_context) client = context_new(&meeting, false);
    PC_AUTO(crypto_tls_context) other = NULL;
    struct crypto_tls_context *none = NULL;
    struct server server;
    struct crypto_tls *tls;

    assert_int_equal(crypto_tls_client_context_for(client, "other.example", &other), ERR_OK);
    assert_int_equal(crypto_tls_client_context_for(client, "", &none), ERR_CONFIG);
    assert_null(none);
    server_open(&server, "good/server", 0);
    assert_int_equal(crypto_tls_new(other, server.fds[1], &tls), ERR_OK);
    assert_int_equal(shake(&server, tls), CRYPTO_TLS_FAILED);
    assert_true(crypto_tls_is_refused(tls));
    crypto_tls_free(tls);
    server_close(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_its_server),
        cmocka_unit_test(asks_for_its_server),
        cmocka_unit_test(refuses_old_versions),
        cmocka_unit_test(explains_bad_files),
        cmocka_unit_test(sessions_are_resumed),
        cmocka_unit_test(a_further_host_is_verified),
        cmocka_unit_test(sessions_end_an_hour_after_they_began),
    };

    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
