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

/* The console is on the gateway alone. */
#define CONSOLE_URIS                                                                               \
    "http://127.0.0.1/console/callback\n"                                                          \
    "http://[::1]/console/callback\n"                                                              \
    "http://localhost/console/callback\n"                                                          \
    "https://127.0.0.1:8000/console/callback\n"                                                    \
    "https://localhost:8000/console/callback"

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
    {.client_id = SPAN("console"),
     .name = SPAN("Portcullis console"),
     .method = OAUTH_METHOD_NONE,
     .grants = SPAN("authorization_code refresh_token"),
     .scopes = SPAN("openid profile audit:read monitoring:read monitoring:write admin"),
     .redirect_uris = SPAN(CONSOLE_URIS)},
};

struct seeding {
    const struct oauth_options *options;
    size_t created;
};

/* What its client is, as a command would tell of it. */
static enum err seed_record(struct store_conn *conn, const struct oauth_client *client,
                            struct arena *arena, int64_t now_ns)
{
    char object[OAUTH_CLIENT_ID_CHARS_MAX + 16];
    struct sbuf out = sbuf_over(object, sizeof(object));
    struct trail_record record = {
        .event = TRAIL_CLIENT_CREATED,
        .outcome = TRAIL_DONE,
        .at_ns = now_ns,
        .actor_kind = TRAIL_ACTOR_SYSTEM,
        .actor = SPAN("system"),
        .client_id = client->client_id,
        .reason = SPAN("first start in development"),
        .details = {{"method", span_from(oauth_method_name(client->method))},
                    {"grants", client->grants},
                    {"scopes", client->scopes},
                    {"roles", client->roles},
                    {"redirect_uris", oauth_uris_told(client->redirect_uris, arena)},
                    {"bound", client->is_bound ? SPAN_OF("yes") : SPAN_OF("no")}}};

    sbuf_add_lit(&out, "client:");
    sbuf_add(&out, client->client_id);
    record.object = sbuf_span(&out);
    return trail_add(conn, &record);
}

static enum err seed_one(struct store_conn *conn, const struct oauth_options *options,
                         const struct oauth_client *seed, struct arena *arena)
{
    struct oauth_client client = *seed;
    struct crypto_fault fault;
    int64_t now_ns;
    enum err err = ERR_OK;

    if (client.method == OAUTH_METHOD_SECRET)
        err = oauth_secret_of(options->random, SPAN_OF(SEED_SECRET), &client.secret);
    if (!err)
        err = oauth_client_check(&client, arena, &fault);
    if (err)
        return err;
    now_ns = clock_realtime_ns(options->clock);
    err = oauth_client_create(conn, &client, now_ns);
    return err ? err : seed_record(conn, &client, arena, now_ns);
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
