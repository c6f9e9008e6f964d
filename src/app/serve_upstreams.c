/* SPDX-License-Identifier: MIT
 * The upstreams and routes of the file, as rows of the gateway's table: one row for each method and
 * host of a route. Made anew with each snapshot (serve_snapshot.c); an upstream whose settings are
 * the same is the same, and one that changed stands in place of the former of its name. */
#include "app/serve_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "json/json_writer.h"
#include "upstream/upstream.h"
#include "upstream/upstream_resolve.h"

enum {
    ARENA_BYTES_MAX = 32 * 1024 * 1024,
    ID_BYTES = 32,
    JOINED_BYTES_MAX = 8 * 1024,
    UPGRADE_IDLE_S = 300
};

/* An upstream with the settings that it points into. */
struct serve_upstream {
    struct upstream *upstream;
    struct http_breaker *breaker;       /* NULL: it has none */
    struct upstream_resolver *resolver; /* NULL: no target has a name */
    const struct config_upstream *from;
    struct serve_lease *settings;
    struct arena arena;
    unsigned snapshots; /* that have it */
};

struct serve_upstreams {
    struct arena arena;
    struct serve_upstream **list; /* as in the file */
    size_t count;
    struct http_route *rows; /* closed by a NULL path */
};

/* ---- upstreams ---------------------------------------------------------------------------------
 */

/* "http://10.0.0.7:9001" was checked when it was read. */
enum err serve_target_read(const struct config_target *from, struct arena *arena,
                           struct upstream_target *ret)
{
    struct span host = span_from(from->url);
    struct span name, port = {0};
    size_t scheme = span_find(host, '/') + 2;
    size_t bracket, colon;
    uint64_t number = config_target_is_tls(from->url) ? 443 : 80;

    host = span_slice(host, scheme, host.len);
    name = host;
    bracket = span_find(host, ']');
    colon = bracket < host.len ? bracket + 1 : span_find(host, ':');
    if (colon < host.len) {
        name = span_slice(host, 0, colon);
        port = span_slice(host, colon + 1, host.len);
    }
    if (port.len > 0 && !span_to_u64(port, &number))
        return ERR_CONFIG;
    if (bracket < host.len)
        name = span_slice(name, 1, bracket);
    *ret = (struct upstream_target){.url = from->url,
                                    .host = arena_string(arena, host),
                                    .name = arena_string(arena, name),
                                    .port = (uint16_t)number,
                                    .weight = from->weight,
                                    .drained = from->drain};
    return ret->host != NULL && ret->name != NULL ? ERR_OK : ERR_NO_MEMORY;
}

static enum upstream_balance balance_of(enum config_balance balance)
{
    switch (balance) {
    case CONFIG_ROUND_ROBIN:
        return UPSTREAM_ROUND_ROBIN;
    case CONFIG_LEAST_REQUESTS:
        return UPSTREAM_LEAST_REQUESTS;
    case CONFIG_HASH:
        return UPSTREAM_HASH;
    case CONFIG_POWER_OF_TWO:
    default:
        return UPSTREAM_POWER_OF_TWO;
    }
}

/* "tcp": a connection is enough. */
static bool is_request(const struct config_upstream *from)
{
    return from->check.path != NULL && strcmp(from->check.path, "tcp") != 0;
}

static enum err upstream_make(struct serve *serve, const struct config_upstream *from,
                              const struct upstream *former, struct arena *arena,
                              struct upstream **ret, struct serve_fault *fault)
{
    struct upstream_target *targets = arena_array(arena, from->target_count, sizeof(*targets));
    struct crypto_tls_context *tls[SERVE_TARGETS_MAX];
    bool is_tls = config_target_is_tls(from->targets[0].url);
    const char *why = NULL;
    enum err err;
    const struct upstream_options options = {
        .name = from->name,
        .targets = targets,
        .target_count = from->target_count,
        .tls = is_tls ? tls : NULL,
        .balance = balance_of(from->balance),
        .health = {.fails_max = from->eject.failures,
                   .eject_ns = from->eject.seconds * CLOCK_NS_PER_S,
                   .panic_percent = from->eject.panic_percent,
                   .rise = from->check.rise,
                   .fall = from->check.fall,
                   .slow_start_ns = from->slow_start_seconds * CLOCK_NS_PER_S},
        .connect_ms = from->connect_timeout_ms,
        .response_ms = from->response_timeout_ms,
        .idle_ms = from->idle_timeout_ms,
        .total_ms = from->total_timeout_ms,
        .keep_alive_ms = (int64_t)from->keep_alive_seconds * 1000,
        .links_max = from->connections_max,
        .queue_max = from->queue_max,
        .retries = from->retries,
        .check_path = is_request(from) ? from->check.path : NULL,
        .check_interval_ms = from->check.path != NULL ? from->check.interval_s * 1000 : 0,
        .check_timeout_ms = from->check.timeout_ms,
        .resolve_ms = (int64_t)from->resolve_seconds * 1000,
        .clock = serve->clock,
        .metrics = serve->metrics,
        .logger = serve->logger,
        .former = former};

    if (targets == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < from->target_count; i++) {
        err = serve_target_read(&from->targets[i], arena, &targets[i]);
        if (err)
            return serve_fail(fault, err, "%s", err_sentence(err));
    }
    err = is_tls ? serve_upstream_tls_make(serve, from, tls, fault) : ERR_OK;
    if (err)
        return err;
    err = upstream_new(&options, arena, ret, &why);
    serve_upstream_tls_free(tls, is_tls ? from->target_count : 0);
    return err ? serve_fail(fault, err, "%s", why != NULL ? why : err_sentence(err)) : ERR_OK;
}

static struct serve_upstream *find(const struct serve_snapshot *snapshot, const char *name)
{
    const struct serve_upstreams *set = snapshot != NULL ? snapshot->upstreams : NULL;

    for (size_t i = 0; set != NULL && i < set->count; i++) {
        if (strcmp(set->list[i]->from->name, name) == 0)
            return set->list[i];
    }
    return NULL;
}

static void item_free(struct serve_upstream *item)
{
    if (item == NULL || --item->snapshots > 0)
        return;
    upstream_resolver_stop(item->resolver);
    http_breaker_free(item->breaker);
    upstream_free(item->upstream);
    serve_lease_end(item->settings);
    arena_reset(&item->arena);
    alloc_free(item);
}

/* The sentence is copied: what it stands in may go. */
static enum err item_make(const struct serve_snapshot *made, const struct config_upstream *from,
                          const struct serve_upstream *former, struct serve_upstream **ret,
                          struct serve_fault *fault)
{
    struct serve_upstream *item = alloc_zero(sizeof(*item));
    enum err err;

    if (item == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    arena_init(&item->arena, NULL, 0, ARENA_BYTES_MAX);
    item->from = from;
    item->settings = serve_lease_share(made->settings);
    item->snapshots = 1;
    err = upstream_make(made->serve, from, former != NULL ? former->upstream : NULL, &item->arena,
                        &item->upstream, fault);
    if (err) {
        item_free(item);
        return err;
    }
    err = serve_breaker_make(made, from, former != NULL ? former->breaker : NULL, &item->breaker);
    if (!err)
        err = upstream_resolver_start(&item->upstream, 1, &item->resolver);
    if (err) {
        err = serve_fail(fault, err, "%s", err_sentence(err));
        item_free(item);
        return err;
    }
    *ret = item;
    return ERR_OK;
}

/* Certificates and keys are read again: their files change while the settings stay. */
static enum err item_take(const struct serve_snapshot *made, const struct serve_snapshot *now,
                          const struct config_upstream *from, struct serve_upstream **ret,
                          struct serve_fault *fault)
{
    struct serve_upstream *former = find(now, from->name);

    if (former == NULL || config_target_is_tls(from->targets[0].url) ||
        !config_same_upstream(former->from, from) ||
        !serve_breaker_same(from, now->config, made->config))
        return item_make(made, from, former, ret, fault);
    former->snapshots++;
    *ret = former;
    return ERR_OK;
}

/* ---- routes ------------------------------------------------------------------------------------
 */

/* "a b c"; NULL for none, and without memory, which *ok tells. */
static const char *joined(const struct config_texts *texts, struct arena *arena, bool *ok)
{
    struct sbuf out = sbuf_on(arena, JOINED_BYTES_MAX);
    const char *text;

    if (texts->count == 0)
        return NULL;
    for (size_t i = 0; i < texts->count; i++) {
        sbuf_add_text(&out, i > 0 ? " " : "");
        sbuf_add_text(&out, texts->items[i]);
    }
    text = out.full ? NULL : arena_string(arena, sbuf_span(&out));
    *ok = *ok && text != NULL;
    return text;
}

static struct span lower(const char *name, struct arena *arena, bool *ok)
{
    struct span from = span_from(name);
    char *text = arena_bytes(arena, from.len + 1);

    *ok = *ok && text != NULL;
    for (size_t i = 0; text != NULL && i < from.len; i++)
        text[i] = span_lower_char(from.ptr[i]);
    return text != NULL ? span_make(text, from.len) : (struct span){0};
}

static const struct http_edit *edits(const struct config_header *from, size_t count,
                                     struct arena *arena, bool *ok)
{
    struct http_edit *list = arena_array(arena, count + 1, sizeof(*list));

    *ok = *ok && list != NULL;
    for (size_t i = 0; list != NULL && i < count; i++)
        list[i] = (struct http_edit){lower(from[i].name, arena, ok), span_from(from[i].value)};
    return list;
}

static const struct span *names(const struct config_texts *from, struct arena *arena, bool *ok)
{
    struct span *list = arena_array(arena, from->count + 1, sizeof(*list));

    *ok = *ok && list != NULL;
    for (size_t i = 0; list != NULL && i < from->count; i++)
        list[i] = lower(from->items[i], arena, ok);
    return list;
}

static enum http_hash_on hash_on_of(enum config_hash_on on)
{
    switch (on) {
    case CONFIG_HASH_USER:
        return HTTP_HASH_USER;
    case CONFIG_HASH_HEADER:
        return HTTP_HASH_HEADER;
    case CONFIG_HASH_COOKIE:
        return HTTP_HASH_COOKIE;
    case CONFIG_HASH_ADDRESS:
    default:
        return HTTP_HASH_ADDRESS;
    }
}

static const struct config_upstream *settings_of(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->upstreams.count; i++) {
        if (strcmp(config->upstreams.items[i].name, name) == 0)
            return &config->upstreams.items[i];
    }
    return NULL;
}

static int64_t upgrade_idle_ms(const struct config_route *from)
{
    return (from->upgrade_idle_seconds > 0 ? (int64_t)from->upgrade_idle_seconds : UPGRADE_IDLE_S) *
           1000;
}

static enum err proxy_make(const struct serve_snapshot *made, const struct config_route *from,
                           const struct http_proxy **ret)
{
    struct arena *arena = &made->upstreams->arena;
    struct http_proxy *proxy = arena_zero(arena, sizeof(*proxy));
    const struct config_upstream *settings = settings_of(made->config, from->upstream);
    bool ok = true;

    if (proxy == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(settings != NULL); /* checked when the file was read */
    *proxy = (struct http_proxy){
        .upstream = find(made, from->upstream)->upstream,
        .strip = span_from(from->strip_prefix != NULL ? from->strip_prefix : ""),
        .prefix = span_from(from->add_prefix != NULL ? from->add_prefix : ""),
        .request_set = edits(from->request_set, from->request_set_count, arena, &ok),
        .request_set_count = from->request_set_count,
        .request_remove = names(&from->request_remove, arena, &ok),
        .request_remove_count = from->request_remove.count,
        .response_set = edits(from->response_set, from->response_set_count, arena, &ok),
        .response_set_count = from->response_set_count,
        .response_remove = names(&from->response_remove, arena, &ok),
        .response_remove_count = from->response_remove.count,
        .hash_on = hash_on_of(settings->hash_on),
        .hash_name = settings->hash_name,
        .keeps_host = from->preserve_host,
        .trailers = from->trailers,
        .upgrades = names(&from->upgrades, arena, &ok),
        .upgrade_count = from->upgrades.count,
        .upgrade_idle_ms = upgrade_idle_ms(from),
        .times = serve_times(from, find(made, from->upstream)->upstream, arena, &ok),
        .breaker = serve_breaker_options(&from->breaker),
        .shared = find(made, from->upstream)->breaker};
    *ret = proxy;
    return ok ? ERR_OK : ERR_NO_MEMORY;
}

static enum http_access access_of(enum config_access access)
{
    switch (access) {
    case CONFIG_ACCESS_OPEN:
        return HTTP_ACCESS_OPEN;
    case CONFIG_ACCESS_BEARER:
        return HTTP_ACCESS_BEARER;
    case CONFIG_ACCESS_ADMIN:
        return HTTP_ACCESS_ADMIN;
    case CONFIG_ACCESS_KEY:
        return HTTP_ACCESS_KEY;
    case CONFIG_ACCESS_NONE_SAID:
    default:
        return HTTP_ACCESS_DENIED;
    }
}

static const struct {
    const char *name;
    enum net_method method;
} methods[] = {{"GET", NET_METHOD_GET},       {"POST", NET_METHOD_POST},
               {"PUT", NET_METHOD_PUT},       {"PATCH", NET_METHOD_PATCH},
               {"DELETE", NET_METHOD_DELETE}, {"OPTIONS", NET_METHOD_OPTIONS}};

/* HEAD comes with GET; OPTIONS is ours unless it is asked for by name. */
static bool has_method(const struct config_route *route, size_t at)
{
    const struct config_texts *wanted = &route->methods;

    if (wanted->count == 0)
        return methods[at].method != NET_METHOD_OPTIONS;
    for (size_t i = 0; i < wanted->count; i++) {
        if (strcmp(wanted->items[i], methods[at].name) == 0)
            return true;
        if (methods[at].method == NET_METHOD_GET && strcmp(wanted->items[i], "HEAD") == 0)
            return true;
    }
    return false;
}

/* ", X-Shop, X-Cart" */
static struct span listed(const struct config_texts *names, struct arena *arena, bool *ok)
{
    struct sbuf out = sbuf_on(arena, JOINED_BYTES_MAX);

    for (size_t i = 0; i < names->count; i++) {
        sbuf_add_lit(&out, ", ");
        sbuf_add_text(&out, names->items[i]);
    }
    *ok = *ok && !out.full;
    return sbuf_span(&out);
}

/* NULL: as in general; and without memory, which *ok tells. */
static const struct http_cors *cors_make(const struct config_route *from,
                                         uint32_t general_max_age_s, struct arena *arena, bool *ok)
{
    const struct config_texts *texts = &from->cors.allowed_origins;
    struct http_cors *cors;
    struct span *origins;

    if (texts->count == 0)
        return NULL;
    cors = arena_zero(arena, sizeof(*cors));
    origins = arena_array(arena, texts->count, sizeof(*origins));
    *ok = *ok && cors != NULL && origins != NULL;
    if (!*ok)
        return NULL;
    for (size_t i = 0; i < texts->count; i++)
        origins[i] = span_from(texts->items[i]);
    *cors = (struct http_cors){.origins = origins,
                               .origin_count = texts->count,
                               .credentials = from->cors.allow_credentials,
                               .max_age_s = from->cors.max_age_s != 0 ? from->cors.max_age_s
                                                                      : general_max_age_s,
                               .headers = listed(&from->cors.allowed_headers, arena, ok),
                               .exposed = listed(&from->cors.exposed_headers, arena, ok)};
    return cors;
}

static enum err row_make(const struct serve_snapshot *made, const struct config_route *from,
                         size_t number, struct http_route *row)
{
    struct arena *arena = &made->upstreams->arena;
    char text[ID_BYTES];
    struct sbuf id = sbuf_over(text, sizeof(text));
    bool takes_token = from->access == CONFIG_ACCESS_BEARER || from->access == CONFIG_ACCESS_ADMIN;
    bool ok = true;
    enum err err;

    sbuf_add_format(&id, "route_%zu", number);
    *row = (struct http_route){.path = from->path,
                               .access = access_of(from->access),
                               .cors = cors_make(from, made->config->cors.max_age_s, arena, &ok),
                               .key_header = from->key_header != NULL
                                                 ? lower(from->key_header, arena, &ok)
                                                 : (struct span){0},
                               .scopes = joined(&from->scopes, arena, &ok),
                               .roles = joined(&from->roles, arena, &ok),
                               .tokens = takes_token ? HTTP_TOKENS_ANY : HTTP_TOKENS_BY_SCOPE,
                               .rate = from->rate_exempt ? HTTP_RATE_EXEMPT : HTTP_RATE_LIMITED,
                               .per_minute = from->requests_per_minute,
                               .guard = from->breaker_off ? HTTP_GUARD_NONE : HTTP_GUARD_BREAKER,
                               .body_bytes_max = from->body_bytes_max,
                               .id = arena_string(arena, sbuf_span(&id)),
                               .hidden = true};
    if (!ok || row->id == NULL)
        return ERR_NO_MEMORY;
    err = serve_issuers_row(made, &from->issuers, arena, row);
    if (err)
        return err;
    return proxy_make(made, from, &row->proxy);
}

static size_t rows_of_route(const struct config_route *route)
{
    size_t count = 0;

    for (size_t i = 0; i < PC_COUNT(methods); i++)
        count += has_method(route, i);
    return count * (route->hosts.count > 0 ? route->hosts.count : 1);
}

static enum err routes_make(const struct serve_snapshot *snapshot)
{
    const struct config *config = snapshot->config;
    struct serve_upstreams *made = snapshot->upstreams;
    size_t count = 0;
    size_t at = 0;

    for (size_t i = 0; i < config->routes.count; i++)
        count += rows_of_route(&config->routes.items[i]);
    made->rows = arena_array(&made->arena, count + 1, sizeof(made->rows[0]));
    if (made->rows == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < config->routes.count; i++) {
        const struct config_route *from = &config->routes.items[i];
        size_t hosts = from->hosts.count > 0 ? from->hosts.count : 1;
        struct http_route row;
        enum err err = row_make(snapshot, from, i, &row);

        if (!err)
            err = serve_limits_route(config, from, &made->arena, &row.limits);
        if (err)
            return err;
        for (size_t m = 0; m < PC_COUNT(methods); m++) {
            row.method = methods[m].method;
            for (size_t h = 0; has_method(from, m) && h < hosts; h++) {
                row.host = from->hosts.count > 0 ? from->hosts.items[h] : NULL;
                made->rows[at++] = row;
            }
        }
    }
    made->rows[at] = (struct http_route){.path = NULL};
    return ERR_OK;
}

enum err serve_upstreams_make(struct serve_snapshot *made, const struct serve_snapshot *now,
                              struct serve_fault *fault)
{
    const struct config *config = made->config;
    struct serve_upstreams *set = alloc_zero(sizeof(*set));
    enum err err = ERR_OK;

    if (set == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    made->upstreams = set;
    arena_init(&set->arena, NULL, 0, ARENA_BYTES_MAX);
    set->list =
        arena_array(&set->arena, config->upstreams.count + 1, sizeof(struct serve_upstream *));
    if (set->list == NULL)
        return serve_fail(fault, ERR_NO_MEMORY, "no memory");
    for (size_t i = 0; i < config->upstreams.count && err == ERR_OK; i++) {
        err = item_take(made, now, &config->upstreams.items[i], &set->list[i], fault);
        set->count += err == ERR_OK;
    }
    if (err)
        return err;
    err = routes_make(made);
    return err ? serve_fail(fault, err, "%s", err_sentence(err)) : ERR_OK;
}

static void show(const struct serve_upstream *item)
{
    upstream_show(item->upstream);
    http_breaker_show(item->breaker);
}

void serve_upstreams_taken(struct serve_snapshot *snapshot)
{
    for (size_t i = 0; i < snapshot->upstreams->count; i++)
        show(snapshot->upstreams->list[i]);
}

void serve_upstreams_enter(struct serve_snapshot *snapshot, struct net_loop *loop)
{
    for (size_t i = 0; i < snapshot->upstreams->count; i++)
        upstream_loop_enter(snapshot->upstreams->list[i]->upstream, loop);
}

void serve_upstreams_leave(struct serve_snapshot *snapshot, struct net_loop *loop)
{
    for (size_t i = 0; i < snapshot->upstreams->count; i++)
        upstream_loop_leave(snapshot->upstreams->list[i]->upstream, loop);
}

/* ---- for the operators -------------------------------------------------------------------------
 */

static const char *state_name(const struct upstream_target_state *state)
{
    if (state->drained)
        return "drained";
    if (state->absent)
        return "absent";
    if (state->down)
        return "down";
    if (state->ejected)
        return "ejected";
    return state->on_trial ? "on_trial" : "well";
}

static void target_tell(const struct upstream_target *target,
                        const struct upstream_target_state *state, struct json_writer *w)
{
    json_begin_object(w);
    json_add_text(w, "url", span_from(target->url));
    json_add_text(w, "state", span_from(state_name(state)));
    json_add_u64(w, "weight", target->weight > 0 ? target->weight : 1);
    json_add_u64(w, "in_flight", state->in_flight);
    json_add_i64(w, "latency_us", state->latency_ns / 1000);
    json_add_bool(w, "down", state->down);
    json_add_bool(w, "ejected", state->ejected || state->on_trial);
    json_add_u64(w, "ejections", state->ejections);
    json_add_bool(w, "drained", state->drained);
    json_add_bool(w, "held_by_operator", state->held);
    json_end_object(w);
}

/* Places of a name that no address has are left out; its first one stands for a name without any,
 * and one with a request in flight is still to be waited for. */
static bool is_told(struct upstream *upstream, size_t place, int64_t now_ns)
{
    const struct upstream_picker *picker = upstream_picker(upstream);
    struct upstream_target_state state = upstream_target_state(picker, place, now_ns);
    size_t number = upstream_target(upstream, place)->number;

    if (!state.absent || state.in_flight > 0)
        return true;
    for (size_t i = 0; i < upstream_targets(upstream); i++) {
        if (upstream_target(upstream, i)->number != number)
            continue;
        if (i < place || !upstream_target_state(picker, i, now_ns).absent)
            return false;
    }
    return true;
}

static void item_tell(const struct serve_upstream *item, int64_t now_ns, struct json_writer *w)
{
    const struct upstream_picker *picker = upstream_picker(item->upstream);

    json_begin_object(w);
    json_add_text(w, "name", span_from(item->from->name));
    json_add_bool(w, "panic", upstream_is_panicking(picker, now_ns));
    if (item->breaker != NULL)
        json_add_text(w, "breaker",
                      span_from(breaker_state_name(
                          breaker_state_at(http_breaker_inner(item->breaker), now_ns))));
    json_key(w, "targets");
    json_begin_list(w);
    for (size_t i = 0; i < upstream_targets(item->upstream); i++) {
        struct upstream_target_state state = upstream_target_state(picker, i, now_ns);

        if (!is_told(item->upstream, i, now_ns))
            continue;
        target_tell(upstream_target(item->upstream, i), &state, w);
    }
    json_end_list(w);
    json_end_object(w);
}

void serve_upstreams_tell(const struct serve_snapshot *snapshot, struct json_writer *w)
{
    int64_t now_ns = clock_monotonic_ns(snapshot->serve->clock);

    json_begin_list(w);
    for (size_t i = 0; i < snapshot->upstreams->count; i++)
        item_tell(snapshot->upstreams->list[i], now_ns, w);
    json_end_list(w);
}

bool serve_upstreams_find(const struct serve_snapshot *snapshot, struct span name,
                          struct span target, struct upstream **ret_upstream, size_t *ret_target)
{
    for (size_t i = 0; i < snapshot->upstreams->count; i++) {
        const struct serve_upstream *item = snapshot->upstreams->list[i];

        for (size_t j = 0; j < upstream_targets(item->upstream); j++) {
            const struct upstream_target *own = upstream_target(item->upstream, j);

            if (!span_is(name, item->from->name) ||
                (!span_is(target, own->url) && !span_is(target, own->host)))
                continue;
            *ret_upstream = item->upstream;
            *ret_target = j;
            return true;
        }
    }
    return false;
}

const struct http_route *serve_upstreams_rows(const struct serve_snapshot *snapshot)
{
    return snapshot->upstreams->rows;
}

void serve_upstreams_free(struct serve_snapshot *snapshot)
{
    struct serve_upstreams *set = snapshot->upstreams;

    if (set == NULL)
        return;
    for (size_t i = 0; i < set->count; i++)
        item_free(set->list[i]);
    arena_reset(&set->arena);
    alloc_free(set);
    snapshot->upstreams = NULL;
}
