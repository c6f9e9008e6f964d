/* SPDX-License-Identifier: MIT
 * TLS over a socket pair against OpenSSL's own client, with certificates made on the spot: what is
 * agreed, who the client is, what is refused, and what an operator is told about bad files. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "crypto/certs.h"
#include "crypto/tls_priv.h"

static char folder[64];
static struct clock_fake past; /* makes certificates that are over by now */

static char *path_of(const char *name)
{
    static char paths[8][128];
    static unsigned next;
    char *path = paths[next++ % PC_COUNT(paths)];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static int make_certificates(void **state)
{
    static const char *const clients[] = {"payments", "risk", NULL};
    struct crypto_certs_options options = {
        .folder = folder, .clients = clients, .clock = &clock_system};
    struct crypto_fault fault = {.text = ""};

    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/crypto-tls-test-XXXXXX");
    if (mkdtemp(folder) == NULL || crypto_certs_make(&options, &fault) != ERR_OK)
        return -1;
    options.folder = path_of("other");
    if (crypto_certs_make(&options, &fault) != ERR_OK)
        return -1;
    clock_fake_init(&past, INT64_C(1000000000) * CLOCK_NS_PER_S);
    options.clock = &past.clock;
    options.folder = path_of("old");
    options.days = 1;
    return crypto_certs_make(&options, &fault) == ERR_OK ? 0 : -1;
}

static int remove_certificates(void **state)
{
    static const char *const folders[] = {"/other", "/old", ""};
    static const char *const names[] = {"ca",       "server", "payments", "risk",
                                        "combined", "bad",    "extra",    "loose"};
    char path[160];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(folders); i++) {
        for (size_t k = 0; k < PC_COUNT(names); k++) {
            snprintf(path, sizeof(path), "%s%s/%s.crt", folder, folders[i], names[k]);
            unlink(path);
            snprintf(path, sizeof(path), "%s%s/%s.key", folder, folders[i], names[k]);
            unlink(path);
        }
        snprintf(path, sizeof(path), "%s%s", folder, folders[i]);
        if (rmdir(path) != 0)
            return -1;
    }
    return 0;
}

static struct crypto_tls_options server_options(void)
{
    return (struct crypto_tls_options){
        .name = "gateway", .cert_path = path_of("server.crt"), .key_path = path_of("server.key")};
}

static struct crypto_tls_context *context_of(const struct crypto_tls_options *options)
{
    struct crypto_fault fault = {.text = ""};
    struct crypto_tls_context *context = NULL;
    enum err err = crypto_tls_context_new(options, &clock_system, &context, &fault);

    if (err)
        fail_msg("%s: %s", err_name(err), fault.text);
    return context;
}

/* Both ends of one connection. */
struct pair {
    int fds[2];
    struct crypto_tls *server;
    SSL_CTX *client_context;
    SSL *client;
};

struct client_options {
    const char *identity; /* file name without its end; NULL: no certificate */
    const char *alpn;     /* wire form */
    int version_max;
    SSL_SESSION *session;
};

static void pair_open(struct pair *pair, struct crypto_tls_context *context,
                      const struct client_options *options)
{
    char name[64];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair->fds), 0);
    assert_int_equal(crypto_tls_new(context, pair->fds[0], &pair->server), ERR_OK);
    pair->client_context = SSL_CTX_new(TLS_client_method());
    assert_int_equal(SSL_CTX_load_verify_file(pair->client_context, path_of("ca.crt")), 1);
    SSL_CTX_set_verify(pair->client_context, SSL_VERIFY_PEER, NULL);
    if (options->version_max != 0)
        SSL_CTX_set_max_proto_version(pair->client_context, options->version_max);
    if (options->identity != NULL) {
        snprintf(name, sizeof(name), "%s.crt", options->identity);
        assert_int_equal(SSL_CTX_use_certificate_chain_file(pair->client_context, path_of(name)),
                         1);
        snprintf(name, sizeof(name), "%s.key", options->identity);
        assert_int_equal(
            SSL_CTX_use_PrivateKey_file(pair->client_context, path_of(name), SSL_FILETYPE_PEM), 1);
    }
    pair->client = SSL_new(pair->client_context);
    if (options->alpn != NULL)
        SSL_set_alpn_protos(pair->client, (const unsigned char *)options->alpn,
                            (unsigned)strlen(options->alpn));
    assert_int_equal(SSL_set1_host(pair->client, "localhost"), 1);
    if (options->session != NULL)
        SSL_set_session(pair->client, options->session);
    SSL_set_fd(pair->client, pair->fds[1]);
    SSL_set_connect_state(pair->client);
}

static void pair_close(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_CTX_free(pair->client_context);
    crypto_tls_free(pair->server);
    close(pair->fds[0]);
    if (pair->fds[1] >= 0)
        close(pair->fds[1]);
}

/* Lets both sides talk until the server is done or has failed. */
static enum crypto_tls_state pair_shake(struct pair *pair)
{
    enum crypto_tls_state state = CRYPTO_TLS_WANT_READ;

    for (int round = 0; round < 20 && state != CRYPTO_TLS_DONE && state != CRYPTO_TLS_FAILED;
         round++) {
        SSL_do_handshake(pair->client);
        state = crypto_tls_handshake(pair->server);
    }
    SSL_do_handshake(pair->client);
    return state;
}

/* "ping" one way and "pong" the other. */
static void pair_talk(struct pair *pair)
{
    char buffer[64];
    size_t bytes = 0;

    assert_int_equal(SSL_write(pair->client, "ping", 4), 4);
    assert_int_equal(crypto_tls_read(pair->server, buffer, 2, &bytes), CRYPTO_TLS_DONE);
    assert_true(crypto_tls_pending(pair->server));
    assert_int_equal(crypto_tls_read(pair->server, buffer + 2, 60, &bytes), CRYPTO_TLS_DONE);
    assert_memory_equal(buffer, "ping", 4);
    assert_false(crypto_tls_pending(pair->server));
    assert_int_equal(crypto_tls_read(pair->server, buffer, 60, &bytes), CRYPTO_TLS_WANT_READ);
    assert_int_equal(crypto_tls_write(pair->server, "pong", 4, &bytes), CRYPTO_TLS_DONE);
    assert_int_equal(bytes, 4);
    assert_int_equal(SSL_read(pair->client, buffer, sizeof(buffer)), 4);
    assert_memory_equal(buffer, "pong", 4);
}

static void both_versions_carry_bytes(void **state)
{
    static const struct {
        int version;
        const char *name;
    } rows[] = {{TLS1_3_VERSION, "TLSv1.3"}, {TLS1_2_VERSION, "TLSv1.2"}};
    struct crypto_tls_options options = server_options();
    PC_AUTO(crypto_tls_context) context = context_of(&options);

    (void)state;
    assert_true(crypto_tls_context_end_s(context) >
                clock_realtime_s(&clock_system) + 300 * INT64_C(86400));
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct client_options client = {.version_max = rows[i].version};
        struct pair pair;
        size_t bytes;
        char c;

        pair_open(&pair, context, &client);
        assert_int_equal(pair_shake(&pair), CRYPTO_TLS_DONE);
        assert_string_equal(crypto_tls_version(pair.server), rows[i].name);
        assert_non_null(strstr(crypto_tls_cipher(pair.server), "GCM"));
        assert_int_equal(crypto_tls_peer(pair.server)->subject.len, 0);
        assert_int_equal(crypto_tls_alpn(pair.server).len, 0);
        pair_talk(&pair);
        SSL_shutdown(pair.client);
        assert_int_equal(crypto_tls_read(pair.server, &c, 1, &bytes), CRYPTO_TLS_CLOSED);
        assert_int_equal(crypto_tls_shutdown(pair.server), CRYPTO_TLS_DONE);
        assert_string_equal(crypto_tls_reason(pair.server), "");
        pair_close(&pair);
    }
}

static void old_versions_are_refused(void **state)
{
    struct crypto_tls_options options = server_options();
    PC_AUTO(crypto_tls_context) context = context_of(&options);
    struct client_options client = {.version_max = TLS1_1_VERSION};
    struct pair pair;

    (void)state;
    pair_open(&pair, context, &client);
    SSL_set_security_level(pair.client, 0);
    assert_int_equal(pair_shake(&pair), CRYPTO_TLS_FAILED);
    assert_string_equal(crypto_tls_reason(pair.server), "unsupported protocol");
    assert_int_equal(crypto_tls_handshake(pair.server), CRYPTO_TLS_FAILED); /* and stays so */
    assert_int_equal(crypto_tls_shutdown(pair.server), CRYPTO_TLS_FAILED);
    pair_close(&pair);
    options.tls13_only = true;
    PC_AUTO(crypto_tls_context) modern = context_of(&options);
    client.version_max = TLS1_2_VERSION;
    pair_open(&pair, modern, &client);
    assert_int_equal(pair_shake(&pair), CRYPTO_TLS_FAILED);
    pair_close(&pair);
}

static void alpn_is_ours_in_our_order(void **state)
{
    struct crypto_tls_options options = server_options();
    struct client_options client = {.alpn = "\x08http/1.1\x02h2"};
    struct pair pair;

    (void)state;
    options.alpn[0] = "h2";
    options.alpn[1] = "http/1.1";
    PC_AUTO(crypto_tls_context) context = context_of(&options);
    pair_open(&pair, context, &client);
    assert_int_equal(pair_shake(&pair), CRYPTO_TLS_DONE);
    assert_true(span_is(crypto_tls_alpn(pair.server), "h2"));
    pair_close(&pair);
    client.alpn = "\x03"
                  "foo";
    pair_open(&pair, context, &client);
    assert_int_equal(pair_shake(&pair), CRYPTO_TLS_FAILED);
    pair_close(&pair);
}

static void client_certificates_name_the_peer(void **state)
{
    struct crypto_tls_options options = server_options();
    struct client_options client = {.identity = "payments"};
    const struct crypto_tls_peer *peer;
    struct pair pair;

    (void)state;
    options.client = CRYPTO_TLS_CLIENT_REQUIRED;
    options.client_ca_path = path_of("ca.crt");
    PC_AUTO(crypto_tls_context) context = context_of(&options);
    pair_open(&pair, context, &client);
    assert_int_equal(pair_shake(&pair), CRYPTO_TLS_DONE);
    peer = crypto_tls_peer(pair.server);
    assert_true(span_is(peer->subject, "CN=payments,O=Portcullis development"));
    assert_true(span_is(peer->cn, "payments"));
    assert_int_equal(peer->thumbprint.len, 43);
    pair_talk(&pair);
    pair_close(&pair);
}

/* Who may come in, by the listener's rule and what the client shows. */
static void client_rules_decide(void **state)
{
    static const struct {
        const char *identity, *reason;
        enum crypto_tls_client rule;
        enum crypto_tls_state wanted;
    } rows[] = {
        {NULL, "", CRYPTO_TLS_CLIENT_NONE, CRYPTO_TLS_DONE},
        {"payments", "", CRYPTO_TLS_CLIENT_NONE, CRYPTO_TLS_DONE},
        {NULL, "", CRYPTO_TLS_CLIENT_OPTIONAL, CRYPTO_TLS_DONE},
        {"payments", "", CRYPTO_TLS_CLIENT_OPTIONAL, CRYPTO_TLS_DONE},
        {"other/payments", "self-signed certificate in certificate chain",
         CRYPTO_TLS_CLIENT_OPTIONAL, CRYPTO_TLS_FAILED},
        {NULL, "peer did not return a certificate", CRYPTO_TLS_CLIENT_REQUIRED, CRYPTO_TLS_FAILED},
        {"other/risk", "self-signed certificate in certificate chain", CRYPTO_TLS_CLIENT_REQUIRED,
         CRYPTO_TLS_FAILED},
        {"old/risk", NULL, CRYPTO_TLS_CLIENT_REQUIRED, CRYPTO_TLS_FAILED},
        /* A server's certificate is not a client's. */
        {"server", "unsuitable certificate purpose", CRYPTO_TLS_CLIENT_REQUIRED, CRYPTO_TLS_FAILED},
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct crypto_tls_options options = server_options();
        struct client_options client = {.identity = rows[i].identity};
        struct pair pair;

        options.client = rows[i].rule;
        options.client_ca_path = path_of("ca.crt");
        PC_AUTO(crypto_tls_context) context = context_of(&options);
        pair_open(&pair, context, &client);
        assert_int_equal(pair_shake(&pair), rows[i].wanted);
        if (rows[i].reason != NULL)
            assert_string_equal(crypto_tls_reason(pair.server), rows[i].reason);
        if (rows[i].rule == CRYPTO_TLS_CLIENT_NONE)
            assert_int_equal(crypto_tls_peer(pair.server)->cn.len, 0);
        pair_close(&pair);
    }
}

/* A ticket of the client that talked over `pair`. */
static SSL_SESSION *ticket_of(struct pair *pair)
{
    SSL_SESSION *session;

    pair_talk(pair);
    session = SSL_get1_session(pair->client);
    SSL_shutdown(pair->client); /* else OpenSSL takes the session for broken */
    return session;
}

/* A session resumes where it began, with the same peer, and on no other listener. */
static void sessions_stay_with_their_listener(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct crypto_tls_options options = server_options();

    (void)state;
    options.client = CRYPTO_TLS_CLIENT_OPTIONAL;
    options.client_ca_path = path_of("ca.crt");
    PC_AUTO(crypto_tls_context) context = context_of(&options);
    options.name = "audit";
    PC_AUTO(crypto_tls_context) elsewhere = context_of(&options);
    for (size_t i = 0; i < PC_COUNT(versions); i++) {
        struct client_options client = {.identity = "risk", .version_max = versions[i]};
        struct pair pair;

        pair_open(&pair, context, &client);
        assert_int_equal(pair_shake(&pair), CRYPTO_TLS_DONE);
        assert_false(crypto_tls_resumed(pair.server));
        client.session = ticket_of(&pair);
        pair_close(&pair);
        client.identity = NULL;
        pair_open(&pair, context, &client);
        assert_int_equal(pair_shake(&pair), CRYPTO_TLS_DONE);
        assert_true(crypto_tls_resumed(pair.server));
        assert_true(span_is(crypto_tls_peer(pair.server)->cn, "risk"));
        pair_close(&pair);
        pair_open(&pair, elsewhere, &client);
        pair_shake(&pair);
        assert_false(crypto_tls_resumed(pair.server));
        assert_int_equal(crypto_tls_peer(pair.server)->cn.len, 0);
        pair_close(&pair);
        SSL_SESSION_free(client.session);
    }
}

/* Connects with the session, replaces it by what the server gave, and says whether it resumed. */
static bool resumes(struct crypto_tls_context *context, SSL_SESSION **session)
{
    struct client_options client = {.version_max = TLS1_3_VERSION, .session = *session};
    struct pair pair;
    bool resumed;

    pair_open(&pair, context, &client);
    assert_int_equal(pair_shake(&pair), CRYPTO_TLS_DONE);
    resumed = crypto_tls_resumed(pair.server);
    client.session = ticket_of(&pair);
    pair_close(&pair);
    SSL_SESSION_free(*session);
    *session = client.session;
    return resumed;
}

/* Clients of TLS 1.3 use a ticket once: each connection has to give them the next. But the whole
 * handshake must not be longer ago than two hours. */
static void each_connection_gives_a_ticket_for_a_time(void **state)
{
    const int64_t minute_ns = 60 * CLOCK_NS_PER_S;
    struct crypto_tls_options options = server_options();
    struct crypto_fault fault = {.text = ""};
    struct crypto_tls_context *made = NULL;
    SSL_SESSION *session = NULL;
    struct clock_fake clock;

    (void)state;
    clock_fake_init(&clock, clock_realtime_ns(&clock_system));
    assert_int_equal(crypto_tls_context_new(&options, &clock.clock, &made, &fault), ERR_OK);
    PC_AUTO(crypto_tls_context) context = made;
    assert_false(resumes(context, &session));
    for (size_t i = 0; i < 3; i++) {
        SSL_SESSION *first = session;

        assert_int_equal(SSL_SESSION_up_ref(first), 1);
        assert_true(resumes(context, &session));
        assert_ptr_not_equal(session, first); /* a new one */
        SSL_SESSION_free(first);
        clock_fake_move(&clock, 39 * minute_ns);
    }
    assert_true(resumes(context, &session)); /* after 117 minutes */
    clock_fake_move(&clock, 3 * minute_ns);
    assert_false(resumes(context, &session));
    assert_true(resumes(context, &session)); /* it begins anew */
    SSL_SESSION_free(session);
}

static void renegotiation_is_refused(void **state)
{
    struct crypto_tls_options options = server_options();
    PC_AUTO(crypto_tls_context) context = context_of(&options);
    struct client_options client = {.version_max = TLS1_2_VERSION};
    struct pair pair;
    size_t bytes;
    char c;

    (void)state;
    pair_open(&pair, context, &client);
    assert_int_equal(pair_shake(&pair), CRYPTO_TLS_DONE);
    assert_int_equal(SSL_renegotiate(pair.client), 1);
    SSL_do_handshake(pair.client);
    assert_int_not_equal(crypto_tls_read(pair.server, &c, 1, &bytes), CRYPTO_TLS_DONE);
    SSL_do_handshake(pair.client);
    assert_int_equal(SSL_session_reused(pair.client), 0);
    assert_int_equal(SSL_num_renegotiations(pair.client), 1); /* asked for, never done */
    assert_false(SSL_is_init_finished(pair.client));
    pair_close(&pair);
}

/* A peer that is gone gives FAILED, not a signal; a full socket gives WANT_WRITE. */
static void a_gone_peer_is_no_signal(void **state)
{
    static char block[16384];
    struct crypto_tls_options options = server_options();
    PC_AUTO(crypto_tls_context) context = context_of(&options);
    struct client_options client = {0};
    enum crypto_tls_state result = CRYPTO_TLS_DONE;
    struct pair pair;
    size_t bytes;

    (void)state;
    pair_open(&pair, context, &client);
    assert_int_equal(pair_shake(&pair), CRYPTO_TLS_DONE);
    for (int i = 0; i < 10000 && result == CRYPTO_TLS_DONE; i++)
        result = crypto_tls_write(pair.server, block, sizeof(block), &bytes);
    assert_int_equal(result, CRYPTO_TLS_WANT_WRITE);
    close(pair.fds[1]);
    pair.fds[1] = -1;
    assert_int_equal(crypto_tls_write(pair.server, block, sizeof(block), &bytes),
                     CRYPTO_TLS_FAILED);
    assert_true(crypto_tls_reason(pair.server)[0] != '\0');
    SSL_set_quiet_shutdown(pair.client, 1);
    pair_close(&pair);
}

/* Plain HTTP on a TLS port, and a peer that leaves in the middle. */
static void what_is_not_tls_fails(void **state)
{
    struct crypto_tls_options options = server_options();
    PC_AUTO(crypto_tls_context) context = context_of(&options);
    struct client_options client = {0};
    struct pair pair;

    (void)state;
    pair_open(&pair, context, &client);
    assert_int_equal(crypto_tls_handshake(pair.server), CRYPTO_TLS_WANT_READ);
    assert_int_equal(write(pair.fds[1], "GET / HTTP/1.1\r\n\r\n", 18), 18);
    assert_int_equal(crypto_tls_handshake(pair.server), CRYPTO_TLS_FAILED);
    assert_string_equal(crypto_tls_reason(pair.server), "http request");
    pair_close(&pair);
    pair_open(&pair, context, &client);
    assert_int_equal(crypto_tls_handshake(pair.server), CRYPTO_TLS_WANT_READ);
    shutdown(pair.fds[1], SHUT_RDWR);
    assert_int_equal(crypto_tls_handshake(pair.server), CRYPTO_TLS_FAILED);
    assert_int_equal(crypto_tls_shutdown(pair.server), CRYPTO_TLS_FAILED);
    pair_close(&pair);
    pair_open(&pair, context, &client);
    assert_int_equal(crypto_tls_handshake(pair.server), CRYPTO_TLS_WANT_READ);
    assert_int_equal(crypto_tls_shutdown(pair.server), CRYPTO_TLS_FAILED); /* too early */
    pair_close(&pair);
}

/* The owner lets a context go while a connection still uses it: a reload. */
static void a_connection_outlives_its_context(void **state)
{
    struct crypto_tls_options options = server_options();
    struct client_options client = {.alpn = "\x02h2"};
    struct crypto_tls_context *context;
    struct pair pair;

    (void)state;
    options.alpn[0] = "h2";
    context = context_of(&options);
    pair_open(&pair, context, &client);
    crypto_tls_context_free(context);
    assert_int_equal(pair_shake(&pair), CRYPTO_TLS_DONE);
    pair_talk(&pair);
    pair_close(&pair);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void bad_files_are_named(void **state)
{
    const struct {
        const char *cert, *key, *ca, *wanted;
    } rows[] = {
        {"none.crt", "server.key", NULL, "none.crt: No such file or directory"},
        {"server.crt", "none.key", NULL, "none.key: No such file or directory"},
        {"bad.crt", "server.key", NULL, "bad.crt: there is no PEM certificate"},
        {"server.crt", "bad.key", NULL, "bad.key: there is no PEM private key"},
        {"server.crt", "payments.key", NULL, "payments.key: the key does not match"},
        {"server.crt", "loose.key", NULL, "loose.key: may be read by others"},
        {"old/server.crt", "old/server.key", NULL, "server.crt: the certificate expired on 2001-"},
        {"server.crt", "server.key", "none.crt", "none.crt: there are no readable certificates"},
        {"server.crt", "server.key", "bad.crt", "bad.crt: there are no readable certificates"},
        {".", "server.key", NULL, "not a regular file"},
    };

    (void)state;
    write_file(path_of("bad.crt"), "hello\n", 0644);
    write_file(path_of("bad.key"), "hello\n", 0600);
    write_file(path_of("loose.key"), "hello\n", 0644);
    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        struct crypto_tls_options options = {.name = "gateway",
                                             .cert_path = path_of(rows[i].cert),
                                             .key_path = path_of(rows[i].key)};
        struct crypto_tls_context *context = NULL;
        struct crypto_fault fault = {.text = ""};

        if (rows[i].ca != NULL) {
            options.client = CRYPTO_TLS_CLIENT_OPTIONAL;
            options.client_ca_path = path_of(rows[i].ca);
        }
        assert_int_equal(crypto_tls_context_new(&options, &clock_system, &context, &fault),
                         ERR_CONFIG);
        if (strstr(fault.text, rows[i].wanted) == NULL)
            fail_msg("wanted \"%s\", got \"%s\"", rows[i].wanted, fault.text);
        assert_null(context);
    }
}

static void a_certificate_of_tomorrow_is_refused(void **state)
{
    struct crypto_tls_options options = server_options();
    struct crypto_tls_context *context = NULL;
    struct crypto_fault fault;

    (void)state;
    assert_int_equal(crypto_tls_context_new(&options, &past.clock, &context, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "is not valid before 20"));
    options.client = CRYPTO_TLS_CLIENT_REQUIRED;
    assert_int_equal(crypto_tls_context_new(&options, &clock_system, &context, &fault), ERR_CONFIG);
    assert_string_equal(fault.text, "gateway: client certificates need a CA file");
    options.client = CRYPTO_TLS_CLIENT_NONE;
    options.ciphers12 = "NO-SUCH-CIPHER";
    assert_int_equal(crypto_tls_context_new(&options, &clock_system, &context, &fault), ERR_CONFIG);
}

static void certs_refuse_to_overwrite(void **state)
{
    static const char *const extra[] = {"extra", NULL};
    static const char *const taken[] = {"payments", NULL};
    struct crypto_certs_options options = {.folder = folder, .clock = &clock_system};
    struct crypto_fault fault;
    struct stat before, after;

    (void)state;
    assert_int_equal(stat(path_of("server.key"), &before), 0);
    assert_int_equal(before.st_mode & 0777, 0600);
    assert_int_equal(crypto_certs_make(&options, &fault), ERR_TAKEN);
    assert_non_null(strstr(fault.text, "server.crt: is there already"));
    options.clients = taken;
    assert_int_equal(crypto_certs_make(&options, &fault), ERR_TAKEN);
    assert_int_equal(stat(path_of("server.key"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    /* Without the server's files in the way, the CA that is there is used again. */
    assert_int_equal(unlink(path_of("server.crt")), 0);
    assert_int_equal(unlink(path_of("server.key")), 0);
    assert_int_equal(stat(path_of("ca.key"), &before), 0);
    options.clients = extra;
    assert_int_equal(crypto_certs_make(&options, &fault), ERR_OK);
    assert_int_equal(stat(path_of("ca.key"), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    options.force = true;
    assert_int_equal(crypto_certs_make(&options, &fault), ERR_OK);
    assert_int_equal(stat(path_of("ca.key"), &after), 0);
    assert_int_not_equal(before.st_ino, after.st_ino);
}

/* A CA that is half there or in pieces is not silently replaced. */
static void certs_keep_a_broken_ca(void **state)
{
    struct crypto_certs_options options = {.folder = path_of("bad"), .clock = &clock_system};
    struct crypto_fault fault;

    (void)state;
    assert_int_equal(mkdir(path_of("bad"), 0700), 0);
    write_file(path_of("bad/ca.crt"), "hello\n", 0644);
    assert_int_equal(crypto_certs_make(&options, &fault), ERR_IO);
    assert_non_null(strstr(fault.text, "ca.key: No such file"));
    write_file(path_of("bad/ca.key"), "hello\n", 0600);
    assert_int_equal(crypto_certs_make(&options, &fault), ERR_KEY);
    assert_non_null(strstr(fault.text, "are not a readable pair"));
    assert_int_equal(unlink(path_of("bad/ca.crt")), 0);
    assert_int_equal(unlink(path_of("bad/ca.key")), 0);
    assert_int_equal(rmdir(path_of("bad")), 0);
    options.folder = path_of("server.crt");
    assert_int_equal(crypto_certs_make(&options, &fault), ERR_IO);
    assert_non_null(strstr(fault.text, "server.crt: File exists"));
}

static void chains_are_bounded(void **state)
{
    static char text[64 * 1024];
    struct crypto_tls_options options = {.name = "gateway"};
    struct crypto_tls_context *context = NULL;
    struct crypto_fault fault;
    FILE *file = fopen(path_of("server.crt"), "re");
    size_t bytes = fread(text, 1, sizeof(text) / 8, file);

    (void)state;
    fclose(file);
    for (size_t i = 1; i < 5; i++) /* two certificates each */
        memcpy(text + i * bytes, text, bytes);
    text[5 * bytes] = '\0';
    write_file(path_of("combined.crt"), text, 0644);
    options.cert_path = path_of("combined.crt");
    options.key_path = path_of("server.key");
    assert_int_equal(crypto_tls_context_new(&options, &clock_system, &context, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "the chain has more than 8 certificates"));
}

static void certs_refuse_odd_names(void **state)
{
    static const char *const bad[] = {
        "",        "a,DNS:evil.example", "../x", "a b", "-x", ".x", "x/y", "*", "a*", "x\n", "x=y",
        "\xc3\xa9"};
    struct crypto_fault fault;

    (void)state;
    for (size_t i = 0; i < PC_COUNT(bad); i++) {
        const char *const list[] = {bad[i], NULL};
        struct crypto_certs_options names = {
            .folder = folder, .names = list, .clock = &clock_system, .force = true};
        struct crypto_certs_options clients = {
            .folder = folder, .clients = list, .clock = &clock_system, .force = true};

        assert_int_equal(crypto_certs_make(&names, &fault), ERR_USAGE);
        assert_int_equal(crypto_certs_make(&clients, &fault), ERR_USAGE);
    }
    const char *const ca[] = {"ca", NULL};
    struct crypto_certs_options clients = {
        .folder = folder, .clients = ca, .clock = &clock_system, .force = true};
    assert_int_equal(crypto_certs_make(&clients, &fault), ERR_USAGE);
}

/* Names that were asked for are in the certificate. */
static void certs_carry_their_names(void **state)
{
    static const char *const names[] = {"api.example", "*.bank.example", "10.0.0.7", NULL};
    struct crypto_certs_options options = {
        .folder = folder, .names = names, .clock = &clock_system, .force = true};
    static const char *const clients[] = {"payments", "risk", NULL};
    X509 *certificate;
    FILE *file;

    (void)state;
    options.clients = clients;
    assert_int_equal(crypto_certs_make(&options, NULL), ERR_OK);
    file = fopen(path_of("server.crt"), "re");
    assert_non_null(file);
    certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    assert_int_equal(X509_check_host(certificate, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(certificate, "api.example", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(certificate, "any.bank.example", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(certificate, "example.org", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(certificate, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "10.0.0.7", 0), 1);
    X509_free(certificate);
}

static void every_failing_allocation_is_reported(void **state)
{
    struct crypto_tls_options options = server_options();
    PC_AUTO(crypto_tls_context) context = context_of(&options);
    enum err err = ERR_NO_MEMORY;

    (void)state;
    for (uint64_t nth = 1; err == ERR_NO_MEMORY; nth++) {
        PC_AUTO(crypto_tls_context) made = NULL;

        alloc_fail_at(nth);
        err = crypto_tls_context_new(&options, &clock_system, &made, NULL);
        assert_true(nth < 20);
    }
    assert_int_equal(err, ERR_OK);
    err = ERR_NO_MEMORY;
    for (uint64_t nth = 1; err == ERR_NO_MEMORY; nth++) {
        struct crypto_tls *tls = NULL;

        alloc_fail_at(nth);
        err = crypto_tls_new(context, 0, &tls);
        crypto_tls_free(tls);
        assert_true(nth < 20);
    }
    assert_int_equal(err, ERR_OK);
    alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_versions_carry_bytes),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(alpn_is_ours_in_our_order),
        cmocka_unit_test(client_certificates_name_the_peer),
        cmocka_unit_test(client_rules_decide),
        cmocka_unit_test(sessions_stay_with_their_listener),
        cmocka_unit_test(each_connection_gives_a_ticket_for_a_time),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(a_gone_peer_is_no_signal),
        cmocka_unit_test(what_is_not_tls_fails),
        cmocka_unit_test(a_connection_outlives_its_context),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(a_certificate_of_tomorrow_is_refused),
        cmocka_unit_test(certs_refuse_to_overwrite),
        cmocka_unit_test(certs_keep_a_broken_ca),
        cmocka_unit_test(chains_are_bounded),
        cmocka_unit_test(certs_refuse_odd_names),
        cmocka_unit_test(certs_carry_their_names),
        cmocka_unit_test(every_failing_allocation_is_reported),
    };

    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
