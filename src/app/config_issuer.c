/* SPDX-License-Identifier: MIT
 * What holds of issuers, and between them and the routes that take their tokens; and of which
 * scripts may call a route. */
#include "app/config_priv.h"

#include <string.h>
#include <unistd.h>

enum { MEMBER_PATH_BYTES_MAX = 3 * CONFIG_PATH_BYTES_MAX };

static const char *path_of(char text[MEMBER_PATH_BYTES_MAX], const char *list, size_t i,
                           const char *member)
{
    struct sbuf out = sbuf_over(text, MEMBER_PATH_BYTES_MAX);

    sbuf_add_format(&out, "%s[%zu].%s", list, i, member);
    sbuf_add_char(&out, '\0');
    PC_ASSERT(!out.full);
    return text;
}

#define TELL(loader, list, i, member, ...)                                                         \
    do {                                                                                           \
        char place[MEMBER_PATH_BYTES_MAX];                                                         \
                                                                                                   \
        config_problem_with((loader), false, path_of(place, (list), (i), (member)), __VA_ARGS__);  \
    } while (0)

/* "http://127.0.0.1:9000/keys"; a name counts when it is the one that every machine has. */
static bool is_here(struct span url)
{
    static const struct span hosts[] = {SPAN("127.0.0.1"), SPAN("[::1]"), SPAN("localhost")};
    struct span rest = span_slice(url, SPAN_OF("http://").len, url.len);

    for (size_t i = 0; i < PC_COUNT(hosts); i++) {
        if (span_starts(rest, hosts[i]) &&
            (rest.len == hosts[i].len || rest.ptr[hosts[i].len] == ':' ||
             rest.ptr[hosts[i].len] == '/'))
            return true;
    }
    return false;
}

static void source_rule(struct config_loader *loader, size_t i, const struct config_issuer *issuer)
{
    struct span url = span_from(issuer->jwks_url);

    if ((issuer->jwks_file == NULL) == (issuer->jwks_url == NULL))
        TELL(loader, "issuers", i, issuer->jwks_url != NULL ? "jwks_url" : "jwks_file",
             "give either jwks_file or jwks_url, one of them");
    if (span_starts(url, SPAN_OF("http://")) && !is_here(url))
        TELL(loader, "issuers", i, "jwks_url",
             "must be https; http is for 127.0.0.1, [::1] and localhost");
    if (issuer->ca_file != NULL && !span_starts(url, SPAN_OF("https://")))
        TELL(loader, "issuers", i, "ca_file", "needs a jwks_url that is https");
    if (issuer->public_only && issuer->jwks_url == NULL)
        TELL(loader, "issuers", i, "public_only", "needs jwks_url");
}

static void file_rule(struct config_loader *loader, size_t i, const char *member, const char *path)
{
    if (path != NULL && !loader->sources->files_unchecked && access(path, R_OK) != 0)
        TELL(loader, "issuers", i, member, "the file %.256s cannot be read", path);
}

static void issuer_rules(struct config_loader *loader, size_t i)
{
    const struct config_issuer *list = loader->config->issuers.items;

    source_rule(loader, i, &list[i]);
    file_rule(loader, i, "jwks_file", list[i].jwks_file);
    file_rule(loader, i, "ca_file", list[i].ca_file);
}

static const struct config_issuer *issuer_find(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->issuers.count; i++) {
        if (strcmp(config->issuers.items[i].name, name) == 0)
            return &config->issuers.items[i];
    }
    return NULL;
}

/* A token says by its claim which of them it is of. */
static void told_apart_rule(struct config_loader *loader, size_t i,
                            const struct config_texts *names)
{
    for (size_t a = 0; a < names->count; a++) {
        const struct config_issuer *one = issuer_find(loader->config, names->items[a]);

        for (size_t b = 0; one != NULL && b < a; b++) {
            const struct config_issuer *other = issuer_find(loader->config, names->items[b]);

            if (other != NULL && strcmp(one->issuer, other->issuer) == 0)
                TELL(loader, "routes", i, "issuers",
                     "\"%s\" and \"%s\" have the same issuer: a token does not say of which it is",
                     other->name, one->name);
        }
    }
}

static void cors_rule(struct config_loader *loader, size_t i, const struct config_route *route)
{
    const struct config_texts *origins = &route->cors.allowed_origins;

    for (size_t j = 0; j < origins->count; j++) {
        if (strcmp(origins->items[j], "*") != 0)
            continue;
        if (route->cors.allow_credentials)
            TELL(loader, "routes", i, "cors.allowed_origins",
                 "* never goes together with credentials, list the origins");
        else if (origins->count > 1)
            TELL(loader, "routes", i, "cors.allowed_origins", "* stands alone");
    }
}

void config_issuer_rules(struct config_loader *loader)
{
    const struct config *config = loader->config;

    for (size_t i = 0; i < config->issuers.count; i++)
        issuer_rules(loader, i);
    for (size_t i = 0; i < config->routes.count; i++) {
        const struct config_route *route = &config->routes.items[i];

        if (route->issuers.count > 0 && route->access != CONFIG_ACCESS_BEARER)
            TELL(loader, "routes", i, "issuers", "need access: bearer");
        if (route->key_header != NULL && route->access != CONFIG_ACCESS_KEY)
            TELL(loader, "routes", i, "api_key_header", "needs access: api_key");
        told_apart_rule(loader, i, &route->issuers);
        cors_rule(loader, i, route);
    }
}
