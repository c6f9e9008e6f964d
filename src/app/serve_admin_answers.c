/* SPDX-License-Identifier: MIT
 * What the operators' socket answers: a table of paths, each with a function that writes JSON.
 * What changes something is in the trail before it is done. */
#include "app/serve_priv.h"

#include <string.h>

#include "app/config_priv.h"
#include "app/serve_events.h"
#include "json/json_writer.h"
#include "upstream/upstream.h"

struct asked {
    struct serve *serve;
    struct span parts[2]; /* what stood for * in the path */
    struct sbuf *out;
};

typedef int answer_fn(const struct asked *asked);

static answer_fn tell_paths, tell_upstreams, tell_breakers, tell_limits, tell_config, drain,
    undrain, reload;

static const struct {
    const char *method, *path, *about;
    answer_fn *answer;
} paths[] = {
    {"GET", "/", "these lines", tell_paths},
    {"GET", "/upstreams", "upstreams with their targets: health, requests in flight",
     tell_upstreams},
    {"POST", "/upstreams/*/targets/*/drain", "no new requests go to this target", drain},
    {"POST", "/upstreams/*/targets/*/undrain", "they do again", undrain},
    {"GET", "/breakers", "circuit breakers that are not closed, and how many are", tell_breakers},
    {"GET", "/limits", "rates in force", tell_limits},
    {"GET", "/config", "the settings in force, secrets masked", tell_config},
    {"POST", "/reload", "read the settings again and take them over", reload},
};

static int fail(struct sbuf *out, int status, const char *why)
{
    struct json_writer w = json_writer_on(out);

    json_begin_object(&w);
    json_add_text(&w, "error", span_from(why));
    json_end_object(&w);
    return status;
}

/* ---- what is ---- */

static int tell_paths(const struct asked *asked)
{
    struct json_writer w = json_writer_on(asked->out);

    json_begin_object(&w);
    for (size_t i = 0; i < PC_COUNT(paths); i++) {
        char text[64];
        struct sbuf name = sbuf_over(text, sizeof(text));

        sbuf_add_format(&name, "%s %s", paths[i].method, paths[i].path);
        json_key_span(&w, sbuf_span(&name));
        json_text(&w, span_from(paths[i].about));
    }
    json_end_object(&w);
    return 200;
}

static int tell_upstreams(const struct asked *asked)
{
    struct json_writer w = json_writer_on(asked->out);

    json_begin_object(&w);
    json_key(&w, "upstreams");
    serve_upstreams_tell(asked->serve->now, &w);
    json_end_object(&w);
    return 200;
}

struct breakers {
    struct json_writer w;
    size_t closed;
};

static void see_breaker(void *context, const struct http_breaker_seen *seen)
{
    struct breakers *breakers = context;

    if (seen->state == BREAKER_CLOSED) {
        breakers->closed++;
        return;
    }
    json_begin_object(&breakers->w);
    json_add_text(&breakers->w, "service", span_from(seen->service));
    json_add_text(&breakers->w, "route", span_from(seen->route));
    if (seen->host != NULL)
        json_add_text(&breakers->w, "host", span_from(seen->host));
    json_add_text(&breakers->w, "method", seen->method);
    json_add_text(&breakers->w, "state", span_from(breaker_state_name(seen->state)));
    json_add_i64(&breakers->w, "tried_again_in_ms", seen->open_left_ns / CLOCK_NS_PER_MS);
    json_end_object(&breakers->w);
}

static int tell_breakers(const struct asked *asked)
{
    struct breakers breakers = {.w = json_writer_on(asked->out)};

    json_begin_object(&breakers.w);
    json_key(&breakers.w, "breakers");
    json_begin_list(&breakers.w);
    http_breakers_see(asked->serve->engine, see_breaker, &breakers);
    json_end_list(&breakers.w);
    json_add_u64(&breakers.w, "closed", breakers.closed);
    json_end_object(&breakers.w);
    return 200;
}

static void rate_tell(struct json_writer *w, const struct limit_rate *rate)
{
    json_add_u64(w, "requests", rate->requests);
    json_add_i64(w, "period_s", rate->period_ns / CLOCK_NS_PER_S);
    json_add_u64(w, "burst", rate->burst > 0 ? rate->burst : rate->requests);
}

static void overrides_tell(struct json_writer *w, const char *name, const char *member,
                           const struct http_rate_override *list, size_t count)
{
    json_key(w, name);
    json_begin_list(w);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(w);
        json_add_text(w, member, list[i].what);
        rate_tell(w, &list[i].rate);
        json_end_object(w);
    }
    json_end_list(w);
}

/* Of a route to an upstream that has limits of its own. */
static void route_limits_tell(struct json_writer *w, const struct config_route *route)
{
    if (route->requests_per_minute == 0 && !route->rate_exempt && route->limit_count == 0)
        return;
    json_begin_object(w);
    json_add_text(w, "route", span_from(route->path));
    json_add_bool(w, "exempt", route->rate_exempt);
    json_add_u64(w, "requests_per_minute", route->requests_per_minute);
    json_key(w, "limits");
    json_begin_list(w);
    for (size_t i = 0; i < route->limit_count; i++) {
        const struct config_limit_item *limit = &route->limits[i];

        json_begin_object(w);
        json_add_text(w, "key", span_from(limit->key));
        rate_tell(w, &(struct limit_rate){.requests = limit->requests,
                                          .period_ns = CLOCK_NS_PER_S * config_period_s(limit->per),
                                          .burst = limit->burst});
        json_end_object(w);
    }
    json_end_list(w);
    json_end_object(w);
}

static int tell_limits(const struct asked *asked)
{
    const struct http_policy *policy = &asked->serve->now->policy->policy;
    const struct config *config = asked->serve->now->config;
    struct json_writer w = json_writer_on(asked->out);

    json_begin_object(&w);
    json_key(&w, "default");
    json_begin_object(&w);
    rate_tell(&w, &policy->rate);
    json_end_object(&w);
    overrides_tell(&w, "routes", "route", policy->route_rates, policy->route_rate_count);
    overrides_tell(&w, "users", "user", policy->user_rates, policy->user_rate_count);
    json_key(&w, "upstream_routes");
    json_begin_list(&w);
    for (size_t i = 0; i < config->routes.count; i++)
        route_limits_tell(&w, &config->routes.items[i]);
    json_end_list(&w);
    json_end_object(&w);
    return 200;
}

enum { VALUE_BYTES = 4096 };

static int tell_config(const struct asked *asked)
{
    const struct config *config = asked->serve->now->config;
    struct json_writer w = json_writer_on(asked->out);
    char hash[CONFIG_HASH_BYTES];

    config_hash(config, hash);
    json_begin_object(&w);
    json_add_text(&w, "hash", span_make(hash, sizeof(hash)));
    json_key(&w, "settings");
    json_begin_object(&w);
    for (size_t i = 0; i < config_setting_count; i++) {
        char text[VALUE_BYTES];
        struct sbuf value = sbuf_over(text, sizeof(text));

        config_explain_value(&config_settings[i], config, &value);
        json_add_text(&w, config_settings[i].path, sbuf_span(&value));
    }
    json_end_object(&w);
    json_end_object(&w);
    return 200;
}

/* ---- what is done ---- */

static int hold(const struct asked *asked, bool drained)
{
    struct json_writer w = json_writer_on(asked->out);
    struct serve *serve = asked->serve;
    struct serve_fault fault;
    struct upstream *upstream;
    struct span url;
    size_t target;

    if (!serve_upstreams_find(serve->now, asked->parts[0], asked->parts[1], &upstream, &target))
        return fail(asked->out, 404, "there is no such upstream, or it has no such target");
    url = span_from(upstream_target(upstream, target)->url);
    if (serve_event_target(serve, asked->parts[0], url, drained, &fault) != ERR_OK)
        return fail(asked->out, 503, fault.text);
    upstream_hold_target(upstream, target, drained);
    log_warn(serve->logger, drained ? "upstream_target_drained" : "upstream_target_undrained",
             LOG_TEXT("upstream", asked->parts[0]), LOG_TEXT("target", url));
    json_begin_object(&w);
    json_add_text(&w, "target", url);
    json_add_bool(&w, "drained", drained);
    json_end_object(&w);
    return 200;
}

static int drain(const struct asked *asked)
{
    return hold(asked, true);
}

static int undrain(const struct asked *asked)
{
    return hold(asked, false);
}

static int reload(const struct asked *asked)
{
    const struct serve *serve = asked->serve;

    if (serve->reload == NULL)
        return fail(asked->out, 501, "this program does not reload");
    return serve->reload(serve->reload_context, asked->out) ? 200 : 422;
}

/* ---- which it is ---- */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = span_lower_char(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "http%3A%2F%2F10.0.0.7" in place: a URL may stand in a segment. */
static struct span decoded(struct span from, char *to)
{
    size_t len = 0;

    for (size_t i = 0; i < from.len; i++) {
        bool is_code = from.ptr[i] == '%' && i + 2 < from.len && hex(from.ptr[i + 1]) >= 0 &&
                       hex(from.ptr[i + 2]) >= 0;

        to[len++] =
            is_code ? (char)(hex(from.ptr[i + 1]) * 16 + hex(from.ptr[i + 2])) : from.ptr[i];
        i += is_code ? 2 : 0;
    }
    return span_make(to, len);
}

static bool matches(const char *path, struct span target, struct span parts[2])
{
    struct span pattern = span_from(path);
    struct span want, have;
    size_t count = 0;

    for (;;) {
        bool more = span_cut(&pattern, '/', &want);

        if (more != span_cut(&target, '/', &have))
            return false;
        if (!more)
            return true;
        if (span_is(want, "*") && have.len > 0)
            parts[count++] = have;
        else if (!span_equal(want, have))
            return false;
    }
}

enum { TARGET_BYTES_MAX = 2048 };

int serve_admin_answer(struct serve *serve, struct span method, struct span target,
                       struct sbuf *out)
{
    struct asked asked = {.serve = serve, .out = out};
    char text[2][TARGET_BYTES_MAX];
    size_t found = PC_COUNT(paths);
    bool known = false;
    int status;

    target = span_slice(target, 0, span_find(target, '?'));
    if (target.len > TARGET_BYTES_MAX)
        return fail(out, 414, "the path is too long");
    for (size_t i = 0; i < PC_COUNT(paths) && found == PC_COUNT(paths); i++) {
        bool same = matches(paths[i].path, target, asked.parts);

        known = known || same;
        if (same && span_is(method, paths[i].method))
            found = i;
    }
    if (found == PC_COUNT(paths))
        return fail(out, known ? 405 : 404,
                    known ? "this path takes another method" : "no such path; GET / lists them");
    for (size_t i = 0; i < PC_COUNT(text); i++)
        asked.parts[i] = decoded(asked.parts[i], text[i]);
    if (paths[found].answer == reload) /* takes the lock itself */
        return reload(&asked);
    PC_ASSERT(pthread_mutex_lock(&serve->change) == 0);
    status = paths[found].answer(&asked);
    PC_ASSERT(pthread_mutex_unlock(&serve->change) == 0);
    return status;
}
