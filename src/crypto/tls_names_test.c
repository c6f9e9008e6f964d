/* SPDX-License-Identifier: MIT
 * A listener with several certificates, and what its tickets are good for: which certificate a name
 * is shown, and that no ticket opens another door than the one it is from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "crypto/certs.h"
#include "crypto/tls_priv.h"

enum { PATH_BYTES = 128 };

static char folder[] = "/tmp/crypto-tls-names-XXXXXX";
static struct clock_fake fake;
static const char *const folders[] = {"own", "shop", "wild"};

static const char *path_of(const char *name)
{
    static char paths[16][PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % PC_COUNT(paths)];

    assert_true(snprintf(path, PATH_BYTES, "%s/%s", folder, name) < PATH_BYTES);
    return path;
}

static int make_certificates(void **state)
{
    static const char *const clients[] = {"alice", NULL};
    static const char *const names[][3] = {
        {"own.test", NULL}, {"shop.test", "www.shop.test", NULL}, {"*.wild.test", NULL}};

    if (mkdtemp(folder) == NULL)
        return -1;
    clock_fake_init(&fake, clock_realtime_ns(&clock_system));
    for (size_t i = 0; i < PC_COUNT(folders); i++) {
        const struct crypto_certs_options options = {.folder = path_of(folders[i]),
                                                     .names = names[i],
                                                     .clients = clients,
                                                     .clock = &clock_system};
        struct crypto_fault fault;

        if (crypto_certs_make(&options, &fault) != ERR_OK)
            return -1;
    }
    return 0;
}

static int remove_certificates(void **state)
{
    static const char *const files[] = {"ca.crt",    "ca.key",    "server.crt", "server.key",
                                        "alice.crt", "alice.key", "list.crl"};
    char name[64];

    for (size_t i = 0; i < PC_COUNT(folders); i++) {
        for (size_t k = 0; k < PC_COUNT(files); k++) {
            (void)snprintf(name, sizeof(name), "%s/%s", folders[i], files[k]);
            (void)unlink(path_of(name));
        }
        (void)rmdir(path_of(folders[i]));
    }
    return rmdir(folder);
}

struct listener {
    const char *name;
    enum crypto_tls_client client;
    bool alone; /* one certificate */
    const char *crl;
};

static struct crypto_tls_context *listen_as(const struct listener *listener)
{
    const struct crypto_tls_identity others[] = {
        {path_of("shop/server.crt"), path_of("shop/server.key")},
        {path_of("wild/server.crt"), path_of("wild/server.key")}};
    const struct crypto_tls_options options = {.name = listener->name,
                                               .cert_path = path_of("own/server.crt"),
                                               .key_path = path_of("own/server.key"),
                                               .others = others,
                                               .other_count = listener->alone ? 0 : 2,
                                               .client = listener->client,
                                               .client_ca_path = path_of("own/ca.crt"),
                                               .client_crl_path = listener->crl};
    struct crypto_tls_context *context = NULL;
    struct crypto_fault fault = {.text = ""};

    if (crypto_tls_context_new(&options, &fake.clock, &context, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return context;
}

struct client {
    const char *sni; /* NULL: none */
    bool shows;      /* alice's certificate */
    int version;     /* 0: any */
    SSL_SESSION *session;
};

/* What came of one connection. */
struct outcome {
    bool done, resumed;
    char cn[32];          /* of the client, as the server knows it */
    const char *why;      /* it failed */
    X509 *shown;          /* by the server; to be freed */
    SSL_SESSION *session; /* to be freed */
};

static void client_open(const struct client *client, int fd, SSL_CTX **ret_context, SSL **ret_ssl)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (client->version != 0)
        SSL_CTX_set_max_proto_version(context, client->version);
    if (client->shows) {
        assert_int_equal(SSL_CTX_use_certificate_chain_file(context, path_of("own/alice.crt")), 1);
        assert_int_equal(
            SSL_CTX_use_PrivateKey_file(context, path_of("own/alice.key"), SSL_FILETYPE_PEM), 1);
    }
    *ret_ssl = SSL_new(context);
    *ret_context = context;
    if (client->sni != NULL)
        SSL_ctrl(*ret_ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                 (void *)(uintptr_t)client->sni); /* the macro's cast drops const */
    if (client->session != NULL)
        assert_int_equal(SSL_set_session(*ret_ssl, client->session), 1);
    SSL_set_fd(*ret_ssl, fd);
    SSL_set_connect_state(*ret_ssl);
}

static struct outcome meet(struct crypto_tls_context *server, const struct client *client)
{
    enum crypto_tls_state state = CRYPTO_TLS_WANT_READ;
    struct outcome outcome = {.why = ""};
    struct crypto_tls *tls;
    SSL_CTX *context;
    char buffer[8];
    size_t bytes;
    int fds[2];
    SSL *ssl;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    assert_int_equal(crypto_tls_new(server, fds[0], &tls), ERR_OK);
    client_open(client, fds[1], &context, &ssl);
    for (int i = 0; i < 20 && state != CRYPTO_TLS_DONE && state != CRYPTO_TLS_FAILED; i++) {
        SSL_do_handshake(ssl);
        state = crypto_tls_handshake(tls);
    }
    SSL_do_handshake(ssl);
    outcome.done = state == CRYPTO_TLS_DONE;
    outcome.why = crypto_tls_reason(tls);
    if (outcome.done) {
        assert_int_equal(crypto_tls_write(tls, "pong", 4, &bytes), CRYPTO_TLS_DONE);
        assert_int_equal(SSL_read(ssl, buffer, sizeof(buffer)), 4);
        outcome.resumed = crypto_tls_resumed(tls);
        (void)snprintf(outcome.cn, sizeof(outcome.cn), "%.*s", SPAN_ARG(crypto_tls_peer(tls)->cn));
        outcome.shown = SSL_get1_peer_certificate(ssl);
        outcome.session = SSL_get1_session(ssl);
        SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    SSL_CTX_free(context);
    crypto_tls_free(tls);
    ERR_clear_error();
    assert_int_equal(close(fds[0]) | close(fds[1]), 0);
    return outcome;
}

static void outcome_free(struct outcome *outcome)
{
    X509_free(outcome->shown);
    SSL_SESSION_free(outcome->session);
}

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

/* By the names in them, a wildcard for one label, and the first for everybody else. */
static void a_name_is_shown_its_certificate(void **state)
{
    static const struct {
        const char *asked, *holds;
    } rows[] = {
        {NULL, "own.test"},
        {"own.test", "own.test"},
        {"shop.test", "shop.test"},
        {"SHOP.Test", "shop.test"},
        {"www.shop.test", "shop.test"},
        {"a.wild.test", "*.wild.test"},
        {"wild.test", "own.test"},
        {"a.b.wild.test", "own.test"},
        {".wild.test", "own.test"},
        {"unknown.test", "own.test"},
        {"localhost", "own.test"},
    };
    const struct listener listener = {.name = "gateway"};
    PC_AUTO(crypto_tls_context) context = listen_as(&listener);

    for (size_t i = 0; i < PC_COUNT(rows) * PC_COUNT(versions); i++) {
        const struct client client = {.sni = rows[i / 2].asked, .version = versions[i % 2]};
        const char *holds = rows[i / 2].holds;
        struct outcome outcome = meet(context, &client);

        assert_true(outcome.done);
        if (X509_check_host(outcome.shown, holds[0] == '*' ? "x.wild.test" : holds, 0,
                            X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL) != 1)
            fail_msg("%s was not shown %s", rows[i / 2].asked, holds);
        outcome_free(&outcome);
    }
}

static void names_and_addresses_are_covered(void **state)
{
    static const char *const good[] = {"own.test",  "WWW.shop.test", "b.wild.test",
                                       "localhost", "127.0.0.1",     "::1"};
    static const char *const bad[] = {"",          "test",        "evil.test",  "a.own.test",
                                      "127.0.0.2", "*.wild.test", ".wild.test", "a.b.wild.test",
                                      "own.test.", "own.test/x"};
    const struct listener listener = {.name = "gateway"};
    PC_AUTO(crypto_tls_context) context = listen_as(&listener);

    for (size_t i = 0; i < PC_COUNT(good); i++)
        assert_true(crypto_tls_context_covers(context, span_from(good[i])));
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        assert_false(crypto_tls_context_covers(context, span_from(bad[i])));
}

/* CVE-2025-23419: a session of one certificate is not resumed under the name of another. */
static void a_ticket_stays_with_its_name(void **state)
{
    const struct listener listener = {.name = "gateway", .client = CRYPTO_TLS_CLIENT_OPTIONAL};
    PC_AUTO(crypto_tls_context) context = listen_as(&listener);

    for (size_t i = 0; i < PC_COUNT(versions); i++) {
        struct client client = {.sni = "shop.test", .shows = true, .version = versions[i]};
        struct outcome first = meet(context, &client);
        struct outcome again;

        assert_false(first.resumed);
        assert_string_equal(first.cn, "alice");
        client.session = first.session;
        client.shows = false;
        again = meet(context, &client);
        assert_true(again.resumed);
        assert_string_equal(again.cn, "alice");
        outcome_free(&again);
        client.sni = "a.wild.test";
        again = meet(context, &client);
        assert_true(again.done);
        assert_false(again.resumed);
        assert_string_equal(again.cn, "");
        outcome_free(&again);
        outcome_free(&first);
    }
}

/* CVE-2014-3616: nor on another listener or under another rule, though the keys were the same. */
static void a_ticket_stays_with_its_listener(void **state)
{
    static const struct listener rows[] = {
        {.name = "audit", .client = CRYPTO_TLS_CLIENT_OPTIONAL},
        {.name = "gateway", .client = CRYPTO_TLS_CLIENT_REQUIRED},
        {.name = "gateway", .client = CRYPTO_TLS_CLIENT_NONE},
    };
    const struct listener listener = {.name = "gateway", .client = CRYPTO_TLS_CLIENT_OPTIONAL};
    PC_AUTO(crypto_tls_context) context = listen_as(&listener);

    for (size_t i = 0; i < PC_COUNT(rows) * PC_COUNT(versions) * 2; i++) {
        PC_AUTO(crypto_tls_context) other = listen_as(&rows[i / 4]);
        struct client client = {.version = versions[i % 2]};
        struct outcome first = meet(context, &client);
        struct outcome again;

        client.session = first.session;
        if (i / 2 % 2 == 0) /* as if they shared them */
            memcpy(other->tickets->keys, context->tickets->keys, sizeof(other->tickets->keys));
        again = meet(other, &client);
        assert_false(again.resumed);
        assert_int_equal(again.done, rows[i / 4].client != CRYPTO_TLS_CLIENT_REQUIRED);
        outcome_free(&again);
        outcome_free(&first);
    }
}

/* An hour to seal and one more to open; what is older is forgotten. */
static void keys_of_tickets_turn(void **state)
{
    const struct listener listener = {.name = "gateway"};
    PC_AUTO(crypto_tls_context) context = listen_as(&listener);

    for (size_t i = 0; i < PC_COUNT(versions); i++) {
        struct client client = {.version = versions[i]};
        struct outcome first = meet(context, &client);
        unsigned char name[16];
        struct outcome again;

        client.session = first.session;
        memcpy(name, context->tickets->keys[0].name, sizeof(name));
        clock_fake_move(&fake, 3599 * CLOCK_NS_PER_S);
        again = meet(context, &client);
        assert_true(again.resumed);
        outcome_free(&again);
        assert_memory_equal(context->tickets->keys[0].name, name, sizeof(name));
        clock_fake_move(&fake, 1 * CLOCK_NS_PER_S);
        again = meet(context, &client);
        assert_true(again.resumed);
        outcome_free(&again);
        assert_memory_not_equal(context->tickets->keys[0].name, name, sizeof(name));
        clock_fake_move(&fake, 3600 * CLOCK_NS_PER_S);
        again = meet(context, &client);
        assert_true(again.done);
        assert_false(again.resumed);
        outcome_free(&again);
        outcome_free(&first);
        clock_fake_move(&fake, 7200 * CLOCK_NS_PER_S);
    }
}

/* ---- lists of what is revoked ---- */

/* A list of the authority `ca`, with the certificate `revoked` on it (NULL: nothing), that ends so
 * many seconds from now. */
static const char *list_write(const char *ca, const char *revoked, int64_t ends_s)
{
    char name[64];
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *begins = ASN1_TIME_set(NULL, time(NULL) - 86400);
    ASN1_TIME *ends = ASN1_TIME_set(NULL, time(NULL) + ends_s);
    const char *path;
    EVP_PKEY *key;
    X509 *issuer;
    FILE *file;

    (void)snprintf(name, sizeof(name), "%s/ca.crt", ca);
    file = fopen(path_of(name), "r");
    issuer = PEM_read_X509(file, NULL, NULL, NULL);
    (void)fclose(file);
    (void)snprintf(name, sizeof(name), "%s/ca.key", ca);
    file = fopen(path_of(name), "r");
    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    (void)fclose(file);
    assert_int_equal(X509_CRL_set_version(crl, X509_CRL_VERSION_2), 1);
    assert_int_equal(X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer)), 1);
    X509_CRL_set1_lastUpdate(crl, begins);
    X509_CRL_set1_nextUpdate(crl, ends);
    if (revoked != NULL) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509 *certificate;

        file = fopen(path_of(revoked), "r");
        certificate = PEM_read_X509(file, NULL, NULL, NULL);
        (void)fclose(file);
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate));
        X509_REVOKED_set_revocationDate(entry, begins);
        assert_int_equal(X509_CRL_add0_revoked(crl, entry), 1);
        X509_free(certificate);
    }
    X509_CRL_sort(crl);
    assert_true(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
    (void)snprintf(name, sizeof(name), "%s/list.crl", ca);
    path = path_of(name);
    file = fopen(path, "w");
    assert_int_equal(PEM_write_X509_CRL(file, crl), 1);
    (void)fclose(file);
    X509_CRL_free(crl);
    X509_free(issuer);
    EVP_PKEY_free(key);
    ASN1_TIME_free(begins);
    ASN1_TIME_free(ends);
    return path;
}

static void what_is_revoked_is_refused(void **state)
{
    static const struct {
        const char *ca, *revoked, *why;
        int64_t ends_s;
        bool shows;
    } rows[] = {
        {"own", NULL, "", 3600, true},
        {"own", "own/server.crt", "", 3600, true},
        {"own", "own/alice.crt", "certificate revoked", 3600, true},
        {"own", "own/alice.crt", "", 3600, false}, /* certificates are optional */
        {"shop", NULL, "CRL signature failure", 3600, true},
    };

    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        const struct listener listener = {
            .name = "gateway",
            .client = CRYPTO_TLS_CLIENT_OPTIONAL,
            .crl = list_write(rows[i].ca, rows[i].revoked, rows[i].ends_s)};
        PC_AUTO(crypto_tls_context) context = listen_as(&listener);
        const struct client client = {.shows = rows[i].shows};
        struct outcome outcome = meet(context, &client);

        assert_string_equal(outcome.why, rows[i].why);
        assert_int_equal(outcome.done, rows[i].why[0] == '\0');
        outcome_free(&outcome);
    }
}

/* A list that ends while it is used lets nobody in who shows a certificate. */
static void a_list_that_ends_refuses(void **state)
{
    const struct listener listener = {.name = "gateway",
                                      .client = CRYPTO_TLS_CLIENT_OPTIONAL,
                                      .crl = list_write("own", NULL, -60)};
    struct client client = {.shows = true};
    struct crypto_tls_context *context;
    struct outcome outcome;

    clock_fake_init(&fake, clock_realtime_ns(&clock_system) - 120 * CLOCK_NS_PER_S);
    context = listen_as(&listener);
    clock_fake_init(&fake, clock_realtime_ns(&clock_system));
    outcome = meet(context, &client);
    assert_string_equal(outcome.why, "CRL has expired");
    outcome_free(&outcome);
    client.shows = false;
    outcome = meet(context, &client);
    assert_true(outcome.done);
    outcome_free(&outcome);
    crypto_tls_context_free(context);
}

/* A list that is missing, over or none is found when it is read. */
static void bad_lists_are_named(void **state)
{
    const struct {
        const char *path, *wanted;
    } rows[] = {{path_of("nowhere.crl"), "nowhere.crl: No such file"},
                {path_of("own/ca.crt"), "ca.crt: there is no readable list"},
                {list_write("own", NULL, -60), "list.crl: a list of revoked certificates has "
                                               "expired"}};

    for (size_t i = 0; i < PC_COUNT(rows); i++) {
        const struct crypto_tls_options options = {.name = "gateway",
                                                   .cert_path = path_of("own/server.crt"),
                                                   .key_path = path_of("own/server.key"),
                                                   .client = CRYPTO_TLS_CLIENT_REQUIRED,
                                                   .client_ca_path = path_of("own/ca.crt"),
                                                   .client_crl_path = rows[i].path};
        struct crypto_tls_context *context = NULL;
        struct crypto_fault fault = {.text = ""};

        assert_int_equal(crypto_tls_context_new(&options, &clock_system, &context, &fault),
                         ERR_CONFIG);
        if (strstr(fault.text, rows[i].wanted) == NULL)
            fail_msg("wanted \"%s\", got \"%s\"", rows[i].wanted, fault.text);
        assert_null(context);
    }
}

/* The certificate is looked at again when its session is resumed. */
static void a_ticket_of_a_revoked_client_is_worthless(void **state)
{
    const struct listener listener = {.name = "gateway", .client = CRYPTO_TLS_CLIENT_OPTIONAL};

    for (size_t i = 0; i < PC_COUNT(versions); i++) {
        PC_AUTO(crypto_tls_context) context = listen_as(&listener);
        struct client client = {.shows = true, .version = versions[i]};
        struct outcome first = meet(context, &client);
        const char *list = list_write("own", "own/alice.crt", 3600);
        struct crypto_fault fault;
        struct outcome again;

        client.session = first.session;
        assert_int_equal(crypto_tls_crl_use(context->ssl, list, &clock_system, &fault), ERR_OK);
        again = meet(context, &client);
        assert_false(again.done);
        assert_string_equal(again.why, "certificate revoked");
        outcome_free(&again);
        client.shows = false; /* the ticket alone proves nothing */
        again = meet(context, &client);
        assert_true(again.done);
        assert_false(again.resumed);
        assert_string_equal(again.cn, "");
        outcome_free(&again);
        outcome_free(&first);
    }
}

static void a_further_certificate_that_is_bad_is_named(void **state)
{
    const struct crypto_tls_identity other = {path_of("shop/server.crt"),
                                              path_of("wild/server.key")};
    const struct crypto_tls_options options = {.name = "gateway",
                                               .cert_path = path_of("own/server.crt"),
                                               .key_path = path_of("own/server.key"),
                                               .others = &other,
                                               .other_count = 1};
    struct crypto_tls_context *context = NULL;
    struct crypto_fault fault = {.text = ""};

    assert_int_equal(crypto_tls_context_new(&options, &clock_system, &context, &fault), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "wild/server.key: the key does not match"));
    for (uint64_t nth = 1; nth < 60; nth++) {
        alloc_fail_at(nth);
        assert_int_not_equal(crypto_tls_context_new(&options, &clock_system, &context, &fault),
                             ERR_OK);
    }
    alloc_fail_at(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_shown_its_certificate),
        cmocka_unit_test(names_and_addresses_are_covered),
        cmocka_unit_test(a_ticket_stays_with_its_name),
        cmocka_unit_test(a_ticket_stays_with_its_listener),
        cmocka_unit_test(what_is_revoked_is_refused),
        cmocka_unit_test(a_list_that_ends_refuses),
        cmocka_unit_test(bad_lists_are_named),
        cmocka_unit_test(a_ticket_of_a_revoked_client_is_worthless),
        cmocka_unit_test(a_further_certificate_that_is_bad_is_named),
        cmocka_unit_test(keys_of_tickets_turn), /* moves the clock */
    };

    return cmocka_run_group_tests(tests, make_certificates, remove_certificates);
}
