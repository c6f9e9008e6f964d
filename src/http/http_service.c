/* SPDX-License-Identifier: MIT
 * Engine and service: what is made once at start so that a request finds everything in place.
 * A route row that is not whole (no access decision, no handler, a bad schema) stops the start. */
#include "http/http_priv.h"

#include <string.h>

#include "base/alloc.h"

enum { ENGINE_LIMIT_SLOTS = 64 * 1024, SERVICE_ARENA_BYTES_MAX = 16 * 1024 * 1024 };

enum err http_engine_new(const struct http_engine_options *options, struct http_engine **ret_engine)
{
    struct http_engine *engine = alloc_zero(sizeof(*engine));
    enum err err;

    if (engine == NULL)
        return ERR_NO_MEMORY;
    engine->options = *options;
    engine->bucket_next = HTTP_BUCKET_ROUTES;
    atomic_store(&engine->epochs.feed_ns, INT64_MIN / 2); /* nothing heard yet: trust nothing */
    err = limit_table_new(options->limit_slots ? options->limit_slots : ENGINE_LIMIT_SLOTS,
                          options->random, &engine->limits);
    if (err == ERR_OK)
        err = http_record_engine(engine);
    if (err) {
        http_engine_free(engine);
        return err;
    }
    *ret_engine = engine;
    return ERR_OK;
}

void http_engine_free(struct http_engine *engine)
{
    if (engine == NULL)
        return;
    limit_table_free(engine->limits);
    alloc_free(engine);
}

const struct clock *http_engine_clock(const struct http_engine *engine)
{
    return engine->options.clock;
}

struct logger *http_engine_logger(const struct http_engine *engine)
{
    return engine->options.logger;
}

void http_engine_feed_alive(struct http_engine *engine, int64_t monotonic_ns)
{
    atomic_store_explicit(&engine->epochs.feed_ns, monotonic_ns, memory_order_release);
}

void http_forget_subject(struct http_engine *engine, int64_t subject)
{
    if (subject != 0)
        http_epoch_move(&engine->epochs, subject);
    else
        http_epoch_move_all(&engine->epochs);
}

uint32_t http_changes_seen(const struct http_engine *engine)
{
    return http_epoch_moves(&engine->epochs);
}

uint32_t http_subject_mark(const struct http_engine *engine, int64_t subject)
{
    return http_epoch_now(&engine->epochs, subject);
}

bool http_subject_is_fresh(const struct http_engine *engine, int64_t subject, uint32_t mark)
{
    int64_t feed_ns = atomic_load_explicit(&engine->epochs.feed_ns, memory_order_acquire);
    int64_t now_ns = clock_monotonic_ns(engine->options.clock);

    return mark == http_epoch_now(&engine->epochs, subject) &&
           now_ns - feed_ns <= HTTP_FEED_STALE_MS * CLOCK_NS_PER_MS;
}

void http_loop_started(struct net_loop *loop, void *context)
{
    struct http_lane *lane = alloc_zero(sizeof(*lane));

    PC_ASSERT(lane != NULL);
    lane->engine = context;
    lane->loop = loop;
    PC_ASSERT(http_cache_new(&lane->cache) == ERR_OK);
    *net_loop_slot(loop) = lane;
}

void http_loop_stopped(struct net_loop *loop, void *context)
{
    struct http_lane *lane = *net_loop_slot(loop);

    (void)context;
    http_cache_free(lane->cache);
    alloc_free(lane);
    *net_loop_slot(loop) = NULL;
}

void *http_context(const struct http_request *req)
{
    return http_call_state(req)->context;
}

struct http_engine *http_engine_of(const struct http_request *req)
{
    return req->service->engine;
}

/* A form holds names and texts, so no lists and objects can come of it. */
static bool is_flat(const struct json_schema *schema)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        enum json_kind kind = schema->fields[i].kind;

        if (kind != JSON_KIND_TEXT && kind != JSON_KIND_BOOL && kind != JSON_KIND_I64 &&
            kind != JSON_KIND_DECIMAL && kind != JSON_KIND_TIME)
            return false;
    }
    return true;
}

/* What is missing in a row, or NULL. */
static const char *row_fault(const struct http_route *row)
{
    bool takes_token = row->access == HTTP_ACCESS_BEARER || row->access == HTTP_ACCESS_ADMIN;

    if (row->access == HTTP_ACCESS_DENIED)
        return "a route has no access decision";
    if (row->handle == NULL || row->method == NET_METHOD_OTHER)
        return "a route has no handler or method";
    if (row->id == NULL)
        return "a route has no id";
    if (!takes_token && (row->scopes != NULL || row->roles != NULL || row->tokens != 0))
        return "a route without a token asks something of it";
    if (row->body != NULL && json_schema_check(row->body) != NULL)
        return "a route's body schema is not whole";
    if (row->form != HTTP_FORM_JSON && (row->body == NULL || !is_flat(row->body)))
        return "a route's form has no schema, or one that no form can fill";
    if (row->keyed && (!takes_token || row->problem != NULL))
        return "a route that takes keys asks for no token, or has errors in a form of its own";
    if (row->input != NULL && json_schema_check(row->input) != NULL)
        return "a route's input schema is not whole";
    return NULL;
}

static size_t rows_in(const struct http_route *table)
{
    size_t count = 0;

    while (table[count].path != NULL)
        count++;
    return count;
}

static size_t rows_at_most(const struct http_service_options *options)
{
    size_t count = rows_in(http_builtin_routes) + 2 * rows_in(http_builtin_documents);
    size_t assets;

    (void)web_list(&assets);
    for (size_t i = 0; i < options->mount_count; i++)
        count += rows_in(options->mounts[i].rows);
    return count + assets;
}

static void breaker_moved(void *context, const struct breaker_move *move)
{
    struct http_route_state *state = context;
    struct http_engine *engine = state->service->engine;

    metric_add(engine->breaker_moved[move->to], 1);
    log_warn(engine->options.logger, "circuit_breaker",
             LOG_STRING("service", state->service->options.name),
             LOG_STRING("route", state->row.path),
             LOG_STRING("from", breaker_state_name(move->from)),
             LOG_STRING("to", breaker_state_name(move->to)));
}

static enum err make_breaker(struct http_service *service, struct http_route_state *state)
{
    const struct http_policy *policy = service->options.policy;
    struct breaker_options options = {.failures = policy->breaker_failures,
                                      .open_ns = policy->breaker_open_ns,
                                      .probes = policy->breaker_probes,
                                      .moved = breaker_moved,
                                      .context = state};

    if (state->row.guard == HTTP_GUARD_NONE || state->row.path == NULL)
        return ERR_OK;
    return breaker_new(&options, &state->breaker);
}

static enum err add_row(struct http_service *service, const struct http_route *row,
                        const char *path, const struct web_asset *asset, const char **reterr_why)
{
    struct http_route_state *state = &service->routes[service->route_count];
    enum err err;

    *reterr_why = row_fault(row);
    if (*reterr_why != NULL)
        return ERR_CONFIG;
    state->row = *row;
    state->row.path = path;
    state->asset = asset;
    state->service = service;
    *reterr_why = http_needs_compile(service->engine, state);
    if (*reterr_why != NULL)
        return ERR_CONFIG;
    err = http_router_add(service->router, row->method, path, (uint32_t)service->route_count);
    if (err == ERR_CONFIG)
        *reterr_why = "two routes have the same method and path, or a path is malformed";
    if (err)
        return err;
    service->route_count++;
    err = make_breaker(service, state);
    if (err)
        return err;
    return http_record_route(service, state);
}

struct span http_mount_path(const struct http_mount *mount, const struct http_route *row,
                            char text[HTTP_PATH_BYTES_MAX])
{
    struct sbuf path = sbuf_over(text, HTTP_PATH_BYTES_MAX);
    struct span from = span_from(mount->from);
    struct span whole = span_from(row->path);

    if (!span_starts(whole, from))
        return (struct span){0};
    sbuf_add_text(&path, mount->to != NULL ? mount->to : "");
    sbuf_add(&path, span_slice(whole, from.len, whole.len));
    return path.full ? (struct span){0} : sbuf_span(&path);
}

static enum err add_mounted(struct http_service *service, const struct http_mount *mount,
                            const struct http_route *row, const char **reterr_why)
{
    char text[HTTP_PATH_BYTES_MAX];
    struct span path = http_mount_path(mount, row, text);
    const char *kept = arena_string(&service->arena, path);
    enum err err;

    if (kept == NULL)
        return ERR_NO_MEMORY;
    if (path.len == 0)
        *reterr_why = "a route's path does not begin as its mount says, or is too long";
    err = path.len > 0 ? add_row(service, row, kept, NULL, reterr_why) : ERR_CONFIG;
    if (err)
        return err;
    service->routes[service->route_count - 1].context = mount->context;
    return ERR_OK;
}

static enum err add_table(struct http_service *service, const struct http_mount *mount,
                          const char **reterr_why)
{
    for (const struct http_route *row = mount->rows; row->path != NULL; row++) {
        enum err err = add_mounted(service, mount, row, reterr_why);

        if (err)
            return err;
    }
    return ERR_OK;
}

/* Adds `row` at base + tail. */
static enum err add_below(struct http_service *service, const char *base,
                          const struct http_route *row, struct span tail,
                          const struct web_asset *asset, const char **reterr_why)
{
    char text[HTTP_PATH_BYTES_MAX];
    struct sbuf path = sbuf_over(text, sizeof(text));
    const char *kept;

    sbuf_add_text(&path, base);
    sbuf_add(&path, tail);
    kept = path.full ? NULL : arena_string(&service->arena, sbuf_span(&path));
    return kept ? add_row(service, row, kept, asset, reterr_why) : ERR_NO_MEMORY;
}

/* The API's document is at the root of every listener too, wherever its pages are. */
static enum err add_documents(struct http_service *service, const char **reterr_why)
{
    const char *base = service->options.docs_base;
    size_t count;
    const struct web_asset *assets = web_list(&count);
    enum err err = ERR_OK;

    if (base == NULL)
        return ERR_OK;
    for (const struct http_route *row = http_builtin_documents; row->path && !err; row++) {
        err = add_below(service, base, row, span_from(row->path), NULL, reterr_why);
        if (!err && !span_is(span_from(base), "/"))
            err = add_below(service, "/", row, span_from(row->path), NULL, reterr_why);
    }
    for (size_t i = 0; i < count && !err; i++)
        err = add_below(service, base, &http_builtin_asset, assets[i].path, &assets[i], reterr_why);
    return err ? err : http_builtin_render(service);
}

static enum err fill(struct http_service *service, const char **reterr_why)
{
    const struct http_service_options *options = &service->options;
    const struct http_mount builtin = {.rows = http_builtin_routes};
    struct http_rules *rules;
    enum err err;

    service->routes = alloc_zero(rows_at_most(options) * sizeof(service->routes[0]));
    if (service->routes == NULL)
        return ERR_NO_MEMORY;
    err = http_router_new(&service->router);
    for (size_t i = 0; i < options->mount_count && !err; i++)
        err = add_table(service, &options->mounts[i], reterr_why);
    if (!err)
        err = add_table(service, &builtin, reterr_why);
    if (!err)
        err = add_documents(service, reterr_why);
    if (err)
        return err;
    service->bucket_first = service->engine->bucket_next;
    service->engine->bucket_next += 2 * (uint32_t)service->route_count;
    service->nowhere.service = service;
    err = http_record_route(service, &service->nowhere);
    if (err)
        return err;
    err = http_rules_new(service, options->policy, &rules);
    if (err)
        return err;
    atomic_store(&service->rules, rules);
    return ERR_OK;
}

enum err http_service_new(struct http_engine *engine, const struct http_service_options *options,
                          struct http_service **ret_service, const char **reterr_why)
{
    struct http_service *service = alloc_zero(sizeof(*service));
    enum err err;

    *reterr_why = NULL;
    if (service == NULL)
        return ERR_NO_MEMORY;
    service->engine = engine;
    service->options = *options;
    arena_init(&service->arena, NULL, 0, SERVICE_ARENA_BYTES_MAX);
    err = fill(service, reterr_why);
    if (err) {
        http_service_free(service);
        return err;
    }
    *ret_service = service;
    return ERR_OK;
}

void http_service_free(struct http_service *service)
{
    struct http_rules *rules;

    if (service == NULL)
        return;
    rules = atomic_load(&service->rules);
    while (rules != NULL) {
        struct http_rules *older = rules->older;

        alloc_free(rules);
        rules = older;
    }
    for (size_t i = 0; i < service->route_count; i++)
        breaker_free(service->routes[i].breaker);
    alloc_free(service->routes);
    http_router_free(service->router);
    arena_reset(&service->arena);
    alloc_free(service);
}

enum err http_service_policy(struct http_service *service, const struct http_policy *policy)
{
    struct http_rules *rules;
    enum err err = http_rules_new(service, policy, &rules);

    if (err)
        return err;
    rules->older = atomic_load(&service->rules);
    atomic_store_explicit(&service->rules, rules, memory_order_release);
    return ERR_OK;
}
