/* SPDX-License-Identifier: MIT
 * The clients of the development environment: contract, section 6. A production start makes none.
 */
#include "oauth/oauth_priv.h"

enum { SEED_ARENA_BYTES_MAX = 256 * 1024 };

#define SEED_SECRET "change-me"

/* The documentation pages of every listener and of the gateway; a loopback port may vary, but only
 * over http (RFC 8252, 7.3), so the usual ones are named for TLS. */
#define DOCS_URIS                                                                                  \
    "http://127.0.0.1/docs/oauth2-redirect.html\n"                                                 \
    "http://[::1]/docs/oauth2-redirect.html\n"                                                     \
    "http://localhost/docs/oauth2-redirect.html\n"                                                 \
    "http://127.0.0.1/api/docs/oauth2-redirect.html\n"                                             \
    "http://[::1]/api/docs/oauth2-redirect.html\n"                                                 \
    "http://localhost/api/docs/oauth2-redirect.html\n"                                             \
    "https://127.0.0.1:8000/api/docs/oauth2-redirect.html\n"                                       \
    "https://localhost:8000/api/docs/oauth2-redirect.html\n"                                       \
    "https://127.0.0.1:8001/docs/oauth2-redirect.html\n"                                           \
    "https://localhost:8001/docs/oauth2-redirect.html\n"                                           \
    "https://127.0.0.1:8002/docs/oauth2-redirect.html\n"                                           \
    "https://localhost:8002/docs/oauth2-redirect.html\n"                                           \
    "https://127.0.0.1:8003/docs/oauth2-redirect.html\n"                                           \
    "https://localhost:8003/docs/oauth2-redirect.html"

static const struct oauth_client seeds[] = {
    {.client_id = SPAN("web-portal"),
     .name = SPAN("Retail Web Portal"),
     .method = OAUTH_METHOD_SECRET,
     .grants = SPAN("password client_credentials authorization_code refresh_token"),
     .scopes = SPAN("openid profile email offline_access accounts:read accounts:write "
                    "transactions:read transactions:write orders:read orders:write"),
     .roles = SPAN("customer"),
     .redirect_uris = SPAN("http://127.0.0.1/callback\nhttp://localhost:3000/callback"),
     .logout_uris = SPAN("http://127.0.0.1/\nhttp://localhost:3000/")},
    {.client_id = SPAN("payments-gateway"),
     .name = SPAN("Payments Gateway"),
     .method = OAUTH_METHOD_SECRET,
     .grants = SPAN("client_credentials"),
     .scopes = SPAN("transactions:read transactions:write"),
     .roles = SPAN("payments")},
    {.client_id = SPAN("risk-engine"),
     .name = SPAN("Risk Engine"),
     .method = OAUTH_METHOD_SECRET,
     .grants = SPAN("client_credentials"),
     .scopes = SPAN("transactions:read accounts:read"),
     .roles = SPAN("risk")},
    {.client_id = SPAN("alertmanager"),
     .name = SPAN("Alertmanager"),
     .method = OAUTH_METHOD_SECRET,
     .grants = SPAN("client_credentials"),
     .scopes = SPAN("monitoring:write")},
    {.client_id = SPAN("api-docs"),
     .name = SPAN("API documentation"),
     .method = OAUTH_METHOD_NONE,
     .grants = SPAN("authorization_code refresh_token"),
     .scopes = SPAN("openid profile email offline_access accounts:read accounts:write "
                    "transactions:read transactions:write orders:read orders:write audit:read "
                    "monitoring:read admin"),
     .redirect_uris = SPAN(DOCS_URIS),
     .logout_uris = SPAN("http://127.0.0.1/docs\nhttp://localhost/docs")},
};

struct seeding {
    const struct oauth_options *options;
    size_t created;
};

static enum err seed_one(struct store_conn *conn, const struct oauth_options *options,
                         const struct oauth_client *seed, struct arena *arena)
{
    struct oauth_client client = *seed;
    struct crypto_fault fault;
    enum err err = ERR_OK;

    if (client.method == OAUTH_METHOD_SECRET)
        err = oauth_secret_of(options->random, SPAN_OF(SEED_SECRET), &client.secret);
    if (!err)
        err = oauth_client_check(&client, arena, &fault);
    if (err)
        return err;
    return oauth_client_create(conn, &client, clock_realtime_ns(options->clock));
}

static enum err seed_run(struct store_conn *conn, struct store_job *job)
{
    struct seeding *seeding = job->context;
    struct oauth_client *there;
    struct arena arena;
    size_t count;
    enum err err;

    seeding->created = 0;
    arena_init(&arena, NULL, 0, SEED_ARENA_BYTES_MAX);
    err = oauth_client_list(conn, 0, 1, &arena, &there, &count);
    for (size_t i = 0; !err && count == 0 && i < PC_COUNT(seeds); i++) {
        err = seed_one(conn, seeding->options, &seeds[i], &arena);
        seeding->created++;
    }
    arena_reset(&arena);
    return err;
}

enum err oauth_seed(struct store *store, const struct oauth_options *options, size_t *ret_created)
{
    struct seeding seeding = {.options = options};
    enum err err = store_do(store, seed_run, &seeding, true);

    *ret_created = err ? 0 : seeding.created;
    return err;
}
