/* SPDX-License-Identifier: MIT
 * What is different between two configurations, for people: which routes, upstreams and issuers
 * come, go and change, whom that touches, and which settings differ. Values of secrets are masked,
 * and of lists with many members only the members are named. */
#include "app/config_priv.h"

#include <string.h>

enum { TEXT_BYTES = 1024 };

struct differ {
    const struct config *before, *now;
    config_differs_fn *tell;
    void *context;
};

static void tell(const struct differ *differ, enum config_differs_kind kind,
                 enum config_differs_how how, const char *name, const struct sbuf *detail,
                 bool waits)
{
    struct config_differs difference = {.kind = kind,
                                        .how = how,
                                        .name = span_from(name),
                                        .detail = sbuf_span(detail),
                                        .waits = waits};

    differ->tell(differ->context, &difference);
}

/* "targets, balance": the members that differ. */
static void members_add(const struct config_setting *rows, const void *before, const void *now,
                        struct sbuf *out)
{
    for (size_t i = 0; i < rows->row_count; i++) {
        if (!config_same_member(&rows->row[i], before, now))
            sbuf_add_format(out, "%s%s", out->len > 0 ? ", " : "", rows->row[i].path);
    }
}

/* ---- upstreams ---- */

static const struct config_upstream *upstream_of(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->upstreams.count; i++)
        if (strcmp(config->upstreams.items[i].name, name) == 0)
            return &config->upstreams.items[i];
    return NULL;
}

static bool has_target(const struct config_upstream *upstream, const char *url)
{
    for (size_t i = 0; i < upstream->target_count; i++)
        if (strcmp(upstream->targets[i].url, url) == 0)
            return true;
    return false;
}

static void targets_add(const struct config_upstream *of, const struct config_upstream *other,
                        char sign, struct sbuf *out)
{
    for (size_t i = 0; i < of->target_count; i++)
        if (!has_target(other, of->targets[i].url))
            sbuf_add_format(out, " %c%s", sign, of->targets[i].url);
}

static void affected_add(const struct config *config, const char *upstream, struct sbuf *out)
{
    size_t begin = out->len;

    for (size_t i = 0; i < config->routes.count; i++)
        if (strcmp(config->routes.items[i].upstream, upstream) == 0)
            sbuf_add_format(out, "%s%s", out->len > begin ? ", " : "; affects ",
                            config->routes.items[i].path);
}

static void upstream_changed(const struct differ *differ, const struct config_upstream *before,
                             const struct config_upstream *now)
{
    char text[TEXT_BYTES];
    struct sbuf detail = sbuf_over(text, sizeof(text));

    members_add(config_setting_find(SPAN_OF("upstreams")), before, now, &detail);
    targets_add(now, before, '+', &detail);
    targets_add(before, now, '-', &detail);
    affected_add(differ->now, now->name, &detail);
    tell(differ, CONFIG_DIFFERS_UPSTREAM, CONFIG_DIFFERS_CHANGED, now->name, &detail, false);
}

static void upstreams(const struct differ *differ)
{
    struct sbuf none = {0};

    for (size_t i = 0; i < differ->before->upstreams.count; i++) {
        const struct config_upstream *before = &differ->before->upstreams.items[i];
        const struct config_upstream *now = upstream_of(differ->now, before->name);

        if (now == NULL)
            tell(differ, CONFIG_DIFFERS_UPSTREAM, CONFIG_DIFFERS_GONE, before->name, &none, false);
        else if (!config_same_upstream(before, now))
            upstream_changed(differ, before, now);
    }
    for (size_t i = 0; i < differ->now->upstreams.count; i++) {
        const char *name = differ->now->upstreams.items[i].name;

        if (upstream_of(differ->before, name) == NULL)
            tell(differ, CONFIG_DIFFERS_UPSTREAM, CONFIG_DIFFERS_NEW, name, &none, false);
    }
}

/* ---- issuers ---- */

static const struct config_issuer *issuer_of(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->issuers.count; i++)
        if (strcmp(config->issuers.items[i].name, name) == 0)
            return &config->issuers.items[i];
    return NULL;
}

static bool takes(const struct config_route *route, const char *issuer)
{
    for (size_t i = 0; i < route->issuers.count; i++)
        if (strcmp(route->issuers.items[i], issuer) == 0)
            return true;
    return false;
}

static void issuer_changed(const struct differ *differ, const struct config_issuer *before,
                           const struct config_issuer *now)
{
    char text[TEXT_BYTES];
    struct sbuf detail = sbuf_over(text, sizeof(text));
    size_t begin;

    members_add(config_setting_find(SPAN_OF("issuers")), before, now, &detail);
    begin = detail.len;
    for (size_t i = 0; i < differ->now->routes.count; i++)
        if (takes(&differ->now->routes.items[i], now->name))
            sbuf_add_format(&detail, "%s%s", detail.len > begin ? ", " : "; affects ",
                            differ->now->routes.items[i].path);
    tell(differ, CONFIG_DIFFERS_ISSUER, CONFIG_DIFFERS_CHANGED, now->name, &detail, false);
}

static void issuers(const struct differ *differ)
{
    struct sbuf none = {0};

    for (size_t i = 0; i < differ->before->issuers.count; i++) {
        const struct config_issuer *before = &differ->before->issuers.items[i];
        const struct config_issuer *now = issuer_of(differ->now, before->name);

        if (now == NULL)
            tell(differ, CONFIG_DIFFERS_ISSUER, CONFIG_DIFFERS_GONE, before->name, &none, false);
        else if (!config_same_issuer(before, now))
            issuer_changed(differ, before, now);
    }
    for (size_t i = 0; i < differ->now->issuers.count; i++) {
        const char *name = differ->now->issuers.items[i].name;

        if (issuer_of(differ->before, name) == NULL)
            tell(differ, CONFIG_DIFFERS_ISSUER, CONFIG_DIFFERS_NEW, name, &none, false);
    }
}

/* ---- routes: the same while path, hosts and methods are ---- */

static bool same_texts(const struct config_texts *a, const struct config_texts *b)
{
    size_t i = 0;

    while (a->count == b->count && i < a->count && strcmp(a->items[i], b->items[i]) == 0)
        i++;
    return a->count == b->count && i == a->count;
}

static const struct config_route *route_of(const struct config *config,
                                           const struct config_route *like)
{
    for (size_t i = 0; i < config->routes.count; i++) {
        const struct config_route *route = &config->routes.items[i];

        if (strcmp(route->path, like->path) == 0 && same_texts(&route->hosts, &like->hosts) &&
            same_texts(&route->methods, &like->methods))
            return route;
    }
    return NULL;
}

/* "GET,POST shop.example.com /shop" */
static void route_name(const struct config_route *route, struct sbuf *out)
{
    for (size_t i = 0; i < route->methods.count; i++)
        sbuf_add_format(out, "%s%s", i > 0 ? "," : "", route->methods.items[i]);
    sbuf_add_text(out, route->methods.count > 0 ? " " : "");
    for (size_t i = 0; i < route->hosts.count; i++)
        sbuf_add_format(out, "%s%s", i > 0 ? "," : "", route->hosts.items[i]);
    sbuf_add_text(out, route->path);
    sbuf_add_char(out, '\0');
}

static void tell_route(const struct differ *differ, enum config_differs_how how,
                       const struct config_route *route, const struct config_route *before)
{
    char name_text[TEXT_BYTES], text[TEXT_BYTES];
    struct sbuf name = sbuf_over(name_text, sizeof(name_text));
    struct sbuf detail = sbuf_over(text, sizeof(text));

    route_name(route, &name);
    if (name.full)
        name_text[sizeof(name_text) - 1] = '\0';
    if (before != NULL)
        members_add(config_setting_find(SPAN_OF("routes")), before, route, &detail);
    else
        sbuf_add_format(&detail, "upstream %s", route->upstream);
    tell(differ, CONFIG_DIFFERS_ROUTE, how, name_text, &detail, false);
}

static void routes(const struct differ *differ)
{
    for (size_t i = 0; i < differ->before->routes.count; i++) {
        const struct config_route *before = &differ->before->routes.items[i];
        const struct config_route *now = route_of(differ->now, before);

        if (now == NULL)
            tell_route(differ, CONFIG_DIFFERS_GONE, before, NULL);
        else if (!config_same_route(before, now))
            tell_route(differ, CONFIG_DIFFERS_CHANGED, now, before);
    }
    for (size_t i = 0; i < differ->now->routes.count; i++) {
        if (route_of(differ->before, &differ->now->routes.items[i]) == NULL)
            tell_route(differ, CONFIG_DIFFERS_NEW, &differ->now->routes.items[i], NULL);
    }
}

/* ---- the others ---- */

static bool is_told_by_item(const struct config_setting *row)
{
    return row == config_setting_find(SPAN_OF("upstreams")) ||
           row == config_setting_find(SPAN_OF("issuers")) ||
           row == config_setting_find(SPAN_OF("routes"));
}

static void setting(const struct differ *differ, const struct config_setting *row)
{
    char text[TEXT_BYTES];
    struct sbuf detail = sbuf_over(text, sizeof(text));

    if (is_told_by_item(row))
        return;
    if (config_same_member(row, differ->before, differ->now))
        return;
    config_value_show(row, differ->before, &detail);
    sbuf_add_lit(&detail, " -> ");
    config_value_show(row, differ->now, &detail);
    tell(differ, CONFIG_DIFFERS_SETTING, CONFIG_DIFFERS_CHANGED, row->path, &detail, !row->live);
}

void config_differences(const struct config *before, const struct config *now,
                        config_differs_fn *told, void *context)
{
    const struct differ differ = {before, now, told, context};

    upstreams(&differ);
    issuers(&differ);
    routes(&differ);
    for (size_t i = 0; i < config_setting_count; i++)
        setting(&differ, &config_settings[i]);
}

void config_differs_line(const struct config_differs *difference, struct sbuf *out)
{
    static const char *const kinds[] = {[CONFIG_DIFFERS_UPSTREAM] = "upstream",
                                        [CONFIG_DIFFERS_ISSUER] = "issuer",
                                        [CONFIG_DIFFERS_ROUTE] = "route",
                                        [CONFIG_DIFFERS_SETTING] = "setting"};
    static const char signs[] = {
        [CONFIG_DIFFERS_NEW] = '+', [CONFIG_DIFFERS_GONE] = '-', [CONFIG_DIFFERS_CHANGED] = '~'};

    sbuf_add_format(out, "%c %s %.*s", signs[difference->how], kinds[difference->kind],
                    SPAN_ARG(difference->name));
    if (difference->detail.len > 0)
        sbuf_add_format(out, ": %.*s", SPAN_ARG(difference->detail));
    if (difference->waits)
        sbuf_add_lit(out, " (waits for a restart)");
}
