/* SPDX-License-Identifier: MIT
 * A token that is bound to a certificate, over TLS with curl: good for the one who holds the
 * certificate's key, for nobody else, and not for who shows no certificate. And routes that want a
 * certificate of whoever comes. */
#include "http/http_test_kit.h"

#include "crypto/certs.h"
#include "crypto/tls.h"

static char folder[] = "/tmp/http_bound_XXXXXX";
static struct crypto_tls_context *context;
static _Atomic(const char *) bound = "";

static enum err verify(void *port, struct span token, int64_t now_s, struct arena *arena,
                       struct http_principal *ret_principal)
{
    (void)port;
    (void)arena;
    *ret_principal = (struct http_principal){.user_id = 1, .expires_at_s = now_s + 3600};
    if (span_is(token, "/secret"))
        ret_principal->thumbprint = span_from(bound);
    return ERR_OK;
}

static enum err load(void *port, struct store_conn *conn, struct arena *arena,
                     struct http_principal *principal)
{
    (void)port;
    (void)conn;
    (void)arena;
    (void)principal;
    return ERR_OK;
}

static enum err peer(struct http_request *req)
{
    return http_reply_text(req, 200, "text/plain", http_peer(req)->tls_thumbprint);
}

static const struct http_route routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/peer",
     .access = HTTP_ACCESS_OPEN,
     .handle = peer,
     .id = "peer"},
    {.method = NET_METHOD_GET,
     .path = "/secret",
     .access = HTTP_ACCESS_BEARER,
     .handle = peer,
     .id = "secret"},
    {.method = NET_METHOD_GET,
     .path = "/known",
     .access = HTTP_ACCESS_BEARER,
     .certificate = true,
     .handle = peer,
     .id = "known"},
    {.path = NULL},
};

static bool make_context(void)
{
    static const char *const clients[] = {"teller", "robber", NULL};
    const struct crypto_certs_options certs = {
        .folder = folder, .clients = clients, .clock = &clock_system, .force = true};
    char cert[64];
    char key[64];
    char ca[64];
    const struct crypto_tls_options options = {.name = "test",
                                               .cert_path = cert,
                                               .key_path = key,
                                               .client = CRYPTO_TLS_CLIENT_OPTIONAL,
                                               .client_ca_path = ca,
                                               .alpn = {"http/1.1"}};
    struct crypto_fault fault;

    if (mkdtemp(folder) == NULL || crypto_certs_make(&certs, &fault) != ERR_OK)
        return false;
    (void)snprintf(cert, sizeof(cert), "%s/server.crt", folder);
    (void)snprintf(key, sizeof(key), "%s/server.key", folder);
    (void)snprintf(ca, sizeof(ca), "%s/ca.crt", folder);
    return crypto_tls_context_new(&options, &clock_system, &context, &fault) == ERR_OK;
}

static int start(void **state)
{
    static const struct http_mount mounts[] = {{.rows = routes}};
    const struct http_service_options service = {.mounts = mounts, .mount_count = 1};
    const struct http_engine_options engine = {.identity = {.verify = verify, .load = load}};
    struct net_server_options options = {
        .loops = 1, .loop_started = http_loop_started, .loop_stopped = http_loop_stopped};
    struct net_listener_options listening = {
        .name = "test", .host = "127.0.0.1", .app = &http_net_app};

    (void)state;
    if (!make_context() || !site_make(&service, engine))
        return -1;
    options.loop_context = site.engine;
    listening.app_context = site.service;
    listening.tls = context;
    return net_server_new(&options, &site.server) == ERR_OK &&
                   net_server_listen(site.server, &listening, &site.listener, NULL) == ERR_OK &&
                   net_server_start(site.server) == ERR_OK
               ? 0
               : -1;
}

static int stop(void **state)
{
    char command[64];

    if (site_stop(state) != 0)
        return -1;
    crypto_tls_context_free(context);
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

/* What curl shows of the answer, in site.text: its body, a space and its status. The path is the
 * token too. */
static void curl(const char *path, const char *client)
{
    char command[512];
    char cert[192] = "";
    size_t len;
    FILE *pipe;

    if (client != NULL)
        (void)snprintf(cert, sizeof(cert), "--cert %s/%s.crt --key %s/%s.key", folder, client,
                       folder, client);
    (void)snprintf(command, sizeof(command),
                   "curl --silent --cacert %s/ca.crt %s --header 'Authorization: Bearer %s' "
                   "--header 'X-MTLS-Client-CN: teller' "
                   "--write-out ' %%{http_code}' https://localhost:%u%s",
                   folder, cert, path, (unsigned)net_listener_port(site.listener), path);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    len = fread(site.text, 1, SITE_TEXT_BYTES - 1, pipe);
    site.text[len] = '\0';
    assert_int_equal(pclose(pipe), 0);
}

/* What a header says of a certificate is nothing. */
static void a_certificate_is_asked_for(void **state)
{
    (void)state;
    curl("/known", "teller");
    assert_says(" 200");
    curl("/known", NULL);
    assert_says("client-certificate");
    assert_says(" 403");
}

static void a_bound_token_is_its_owners_alone(void **state)
{
    static char thumbprint[64];

    (void)state;
    curl("/peer", "teller");
    assert_int_equal(strlen(site.text), 43 + strlen(" 200"));
    (void)snprintf(thumbprint, sizeof(thumbprint), "%.43s", site.text);
    bound = thumbprint;
    for (size_t i = 0; i < 2; i++) { /* the second time from the cache */
        http_engine_feed_alive(site.engine, clock_monotonic_ns(&clock_system));
        curl("/secret", "teller");
        assert_says(bound);
        assert_says(" 200");
        curl("/secret", "robber");
        assert_says("bound-token");
        assert_says(" 401");
        curl("/secret", NULL);
        assert_says("bound-token");
        assert_says(" 401");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_certificate_is_asked_for),
                                       cmocka_unit_test(a_bound_token_is_its_owners_alone)};

    return cmocka_run_group_tests_name("http_bound", tests, start, stop);
}
