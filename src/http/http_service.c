/* SPDX-License-Identifier: MIT
 * Engine and service: what is made once at start so that a request finds everything in place.
 * A route row that is not whole (no access decision, no handler, a bad schema) stops the start. */
#include "http/http_priv.h"

#include <string.h>

#include "base/alloc.h"
#include "limit/limit_shared.h"

enum { ENGINE_LIMIT_SLOTS = 64 * 1024, SERVICE_ARENA_BYTES_MAX = 16 * 1024 * 1024 };

enum err http_engine_new(const struct http_engine_options *options, struct http_engine **ret_engine)
{
    struct http_engine *engine = alloc_zero(sizeof(*engine));
    enum err err;

    if (engine == NULL)
        return ERR_NO_MEMORY;
    engine->options = *options;
    engine->bucket_next = HTTP_BUCKET_ROUTES;
    PC_ASSERT(pthread_mutex_init(&engine->lasting_lock, NULL) == 0);
    atomic_store(&engine->epochs.feed_ns, INT64_MIN / 2); /* nothing heard yet: trust nothing */
    err = limit_table_new(options->limit_slots ? options->limit_slots : ENGINE_LIMIT_SLOTS,
                          options->random, &engine->limits);
    if (err == ERR_OK)
        err = http_changer_new(engine);
    if (err == ERR_OK)
        err = http_record_engine(engine);
    if (err == ERR_OK)
        err = http_denied_engine(engine);
    if (err == ERR_OK)
        err = http_strangers_engine(engine);
    if (err == ERR_OK)
        err = http_tunnel_engine(engine);
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
    http_changer_free(engine);
    http_lasting_free_all(engine);
    PC_ASSERT(pthread_mutex_destroy(&engine->lasting_lock) == 0);
    limit_table_free(engine->limits);
    limit_table_free(engine->strangers);
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

void http_engine_leave(struct http_engine *engine)
{
    atomic_store_explicit(&engine->leaving, true, memory_order_relaxed);
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
    PC_ASSERT(http_cache_new(&random_system, &lane->cache) == ERR_OK);
    *net_loop_slot(loop) = lane;
    if (lane->engine->options.limits_shared != NULL)
        limit_shared_loop_start(lane->engine->options.limits_shared, loop);
    http_lane_enter(lane);
}

void http_loop_stopped(struct net_loop *loop, void *context)
{
    struct http_lane *lane = *net_loop_slot(loop);

    (void)context;
    if (lane->engine->options.limits_shared != NULL)
        limit_shared_loop_stop(lane->engine->options.limits_shared, loop);
    http_lane_leave(lane);
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
    bool takes_token = row->access == HTTP_ACCESS_BEARER || row->access == HTTP_ACCESS_ADMIN ||
                       row->access == HTTP_ACCESS_KEY;

    if (row->access == HTTP_ACCESS_DENIED)
        return "a route has no access decision";
    if ((row->handle == NULL) == (row->proxy == NULL) || row->method == NET_METHOD_OTHER)
        return "a route has no handler or method";
    if (row->proxy != NULL && !row->proxy->is_ours &&
        (row->body != NULL || row->input != NULL || row->keyed))
        return "a route to an upstream reads what is the upstream's to read";
    if (row->id == NULL)
        return "a route has no id";
    if (!takes_token && (row->scopes != NULL || row->roles != NULL || row->tokens != 0 ||
                         row->certificate || row->bearer != NULL))
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

static enum err add_row(struct http_service *service, const struct http_route *row,
                        const char *path, const struct web_asset *asset, const char **reterr_why)
{
    struct http_route_state *state = &service->routes[service->route_count];
    struct http_router *router = service->router;
    enum err err;

    *reterr_why = row_fault(row);
    if (*reterr_why != NULL)
        return ERR_CONFIG;
    state->row = *row;
    state->row.path = path;
    state->asset = asset;
    state->service = service;
    state->store = service->engine->options.store;
    *reterr_why = http_needs_compile(service->scopes, service->roles, state);
    if (*reterr_why != NULL)
        return ERR_CONFIG;
    err = row->host != NULL ? http_host_add(service, row->host, &router) : ERR_OK;
    if (err)
        return err;
    err = http_router_add(router, row->method, path, (uint32_t)service->route_count);
    if (err == ERR_CONFIG)
        *reterr_why = "two routes have the same method and path, or a path is malformed";
    if (err)
        return err;
    service->route_count++;
    err = http_breaker_make(service, state);
    if (!err)
        err = http_limit_name(service, state);
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
    if (mount->store != NULL)
        service->routes[service->route_count - 1].store = mount->store;
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

void http_service_show(const struct http_service *service)
{
    for (size_t i = 0; i < service->route_count; i++)
        http_record_show(service->routes[i].lasting);
}

static enum err begin(struct http_service *service, size_t rows)
{
    service->routes = alloc_zero((rows + 1) * sizeof(service->routes[0]));
    return service->routes != NULL ? http_router_new(&service->router) : ERR_NO_MEMORY;
}

static enum err fill(struct http_service *service, const char **reterr_why)
{
    const struct http_service_options *options = &service->options;
    const struct http_mount builtin = {.rows = http_builtin_routes};
    enum err err = begin(service, rows_at_most(options));

    for (size_t i = 0; i < options->mount_count && !err; i++)
        err = add_table(service, &options->mounts[i], reterr_why);
    if (!err)
        err = add_table(service, &builtin, reterr_why);
    if (!err)
        err = add_documents(service, reterr_why);
    if (err)
        return err;
    service->nowhere.service = service;
    err = http_lasting_take(&service->nowhere, NULL);
    if (!err)
        err = http_record_route(service, &service->nowhere);
    if (!err)
        err = http_rules_new(service, options->policy, 0, &service->rules);
    if (!err)
        http_service_show(service);
    return err;
}

static struct http_service *service_of(struct http_engine *engine,
                                       const struct http_service_options *options,
                                       struct http_names *scopes, struct http_names *roles)
{
    struct http_service *service = alloc_zero(sizeof(*service));

    if (service == NULL)
        return NULL;
    service->engine = engine;
    service->options = *options;
    service->scopes = scopes;
    service->roles = roles;
    arena_init(&service->arena, NULL, 0, SERVICE_ARENA_BYTES_MAX);
    return service;
}

enum err http_service_proxied(struct http_service *owner, const struct http_policy *policy,
                              uint64_t snapshot, const struct http_route *rows,
                              struct http_names *scopes, struct http_names *roles,
                              struct http_service **ret, const char **reterr_why)
{
    const struct http_mount table = {.rows = rows};
    const struct http_service_options options = {.name = owner->options.name, .policy = policy};
    struct http_service *service = service_of(owner->engine, &options, scopes, roles);
    enum err err;

    *reterr_why = NULL;
    if (service == NULL)
        return ERR_NO_MEMORY;
    err = begin(service, rows_in(rows));
    if (!err)
        err = add_table(service, &table, reterr_why);
    if (!err)
        err = http_rules_new(service, policy, snapshot, &service->rules);
    if (err) {
        http_service_free(service);
        return err;
    }
    *ret = service;
    return ERR_OK;
}

enum err http_service_new(struct http_engine *engine, const struct http_service_options *options,
                          struct http_service **ret_service, const char **reterr_why)
{
    struct http_service *service = service_of(engine, options, &engine->scopes, &engine->roles);
    enum err err;

    *reterr_why = NULL;
    if (service == NULL)
        return ERR_NO_MEMORY;
    err = http_refusals_make(service);
    if (!err)
        err = fill(service, reterr_why);
    if (err) {
        http_service_free(service);
        return err;
    }
    http_changer_add(service);
    *ret_service = service;
    return ERR_OK;
}

void http_service_free(struct http_service *service)
{
    if (service == NULL)
        return;
    http_changer_remove(service);
    alloc_free(service->rules);
    http_lasting_leave(service);
    alloc_free(service->routes);
    http_router_free(service->router);
    http_host_free(service);
    arena_reset(&service->arena);
    alloc_free(service);
}
