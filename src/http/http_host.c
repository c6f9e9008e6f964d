/* SPDX-License-Identifier: MIT
 * Routes that only some host names have: a tree for each name, asked before the tree of all. Found
 * by a hash, so that a hundred names cost no more than one. */
#include "http/http_priv.h"

#include "base/alloc.h"
#include "base/hash.h"

enum { NAME_BYTES_MAX = 255 };

static const struct hash_key same = {0}; /* the names are the operator's */

/* Without its port, in lower case, in `text`; the empty span when it is too long. */
static struct span name_of(struct span host, char text[NAME_BYTES_MAX])
{
    size_t end = host.len;

    if (host.len > 0 && host.ptr[host.len - 1] != ']') {
        for (size_t i = host.len; i > 0 && host.ptr[i - 1] != ']'; i--) {
            if (host.ptr[i - 1] == ':')
                end = i - 1;
        }
    }
    if (end > NAME_BYTES_MAX)
        return (struct span){0};
    for (size_t i = 0; i < end; i++)
        text[i] = span_lower_char(host.ptr[i]);
    return span_make(text, end);
}

static struct http_host *place_of(const struct http_service *service, struct span name)
{
    size_t at = (size_t)hash_span(&same, name) & (HTTP_HOSTS - 1);

    while (service->hosts[at].name.ptr != NULL && !span_equal(service->hosts[at].name, name))
        at = (at + 1) & (HTTP_HOSTS - 1);
    return &service->hosts[at];
}

enum err http_host_find_own(const struct http_service *service, struct span host,
                            enum net_method method, struct span path, struct http_match *ret)
{
    char text[NAME_BYTES_MAX];
    const struct http_router *router = NULL;

    if (service->hosts != NULL)
        router = place_of(service, name_of(host, text))->router;
    return router != NULL ? http_router_find(router, method, path, ret) : ERR_NOT_FOUND;
}

enum err http_host_find(const struct http_service *service, struct span host,
                        enum net_method method, struct span path, struct http_match *ret)
{
    enum err err = http_host_find_own(service, host, method, path, ret);

    return err != ERR_NOT_FOUND ? err : http_router_find(service->router, method, path, ret);
}

enum err http_host_add(struct http_service *service, const char *host,
                       struct http_router **ret_router)
{
    char text[NAME_BYTES_MAX];
    struct span name = name_of(span_from(host), text);
    struct http_host *place;
    enum err err;

    if (service->hosts == NULL)
        service->hosts = alloc_zero(HTTP_HOSTS * sizeof(service->hosts[0]));
    if (service->hosts == NULL)
        return ERR_NO_MEMORY;
    place = place_of(service, name);
    if (place->name.ptr == NULL) {
        struct span kept = arena_copy(&service->arena, name);

        if (kept.ptr == NULL)
            return ERR_NO_MEMORY;
        if (service->host_count == HTTP_HOSTS / 2)
            return ERR_CONFIG;
        err = http_router_new(&place->router);
        if (err)
            return err;
        place->name = kept;
        service->host_count++;
    }
    *ret_router = place->router;
    return ERR_OK;
}

void http_host_free(struct http_service *service)
{
    for (size_t i = 0; service->hosts != NULL && i < HTTP_HOSTS; i++)
        http_router_free(service->hosts[i].router);
    alloc_free(service->hosts);
    service->hosts = NULL;
}
