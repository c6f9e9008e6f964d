/* SPDX-License-Identifier: MIT
 * Finds the route of a path in time that depends on the path alone, not on how many routes there
 * are: one hashed lookup per segment, a literal segment before a parameter.
 *
 * Threads: immutable once built; any thread may search.    Memory: http_router_free. */
#ifndef PC_HTTP_HTTP_ROUTER_H
#define PC_HTTP_HTTP_ROUTER_H

#include "http/http.h"

enum { HTTP_SEGMENTS_MAX = 16 };

struct http_router;

PC_CHECKED enum err http_router_new(struct http_router **ret_router);
void http_router_free(struct http_router *router);

/* "/a/{id}" has a parameter; a last segment of "*" takes the path before it and all below it that
 * no other route has. `index` is handed back by http_router_find. ERR_CONFIG for a path that is
 * malformed or that, with this method, is there already. */
PC_CHECKED enum err http_router_add(struct http_router *router, enum net_method method,
                                    const char *path, uint32_t index);

struct http_match {
    uint32_t index;
    uint32_t methods; /* bit (1 << method) of every method this path has */
    struct span params[HTTP_PARAMS_MAX];
};

/* ERR_NOT_FOUND, or ERR_METHOD_NOT_ALLOWED with ret->methods set. */
PC_CHECKED enum err http_router_find(const struct http_router *router, enum net_method method,
                                     struct span path, struct http_match *ret);

#endif
