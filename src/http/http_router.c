/* SPDX-License-Identifier: MIT
 * The route tree: a node per path prefix, its literal children in one hash table for the whole
 * tree (found by parent and segment; all that is in it is the operator's, so the hash need not be a
 * secret one), its parameter child beside them. A search tries the literal
 * first and falls back to the parameter, then to what takes everything below, so it makes at most
 * three steps a segment at each fork and never looks at routes that share no prefix with the
 * path. */
#include "http/http_router.h"

#include <stddef.h>
#include <string.h>

#include "base/alloc.h"

enum { NODES_MAX = 4096, EDGES_BITS = 13, EDGES = 1 << EDGES_BITS, NONE = 0 };

struct node {
    bool forks;                        /* has literal children */
    uint32_t param_child;              /* NONE: no parameter here */
    uint32_t rest_child;               /* what is asked for here and below; NONE: nothing */
    uint32_t methods;                  /* bit per method that ends here */
    uint32_t routes[NET_METHOD_COUNT]; /* index by method, where its bit is set */
};

struct edge {
    struct span segment;
    uint32_t parent;
    uint32_t child; /* NONE: free */
};

struct http_router {
    uint32_t node_count; /* node 0 is unused, node 1 the root */
    uint32_t node_room;
    struct node *nodes;
    struct edge edges[EDGES];
};

enum { ROOT = 1 };

enum err http_router_new(struct http_router **ret_router)
{
    struct http_router *router = alloc_zero(sizeof(*router));

    if (router == NULL)
        return ERR_NO_MEMORY;
    router->node_room = 64;
    router->nodes = alloc_zero(router->node_room * sizeof(struct node));
    if (router->nodes == NULL) {
        alloc_free(router);
        return ERR_NO_MEMORY;
    }
    router->node_count = ROOT + 1;
    *ret_router = router;
    return ERR_OK;
}

void http_router_free(struct http_router *router)
{
    if (router == NULL)
        return;
    alloc_free(router->nodes);
    alloc_free(router);
}

/* Eight bytes at a time, each word spread over the upper bits by a multiplication (2^64 divided by
 * the golden ratio: Knuth, "The Art of Computer Programming", 6.4). */
static size_t edge_hash(uint32_t parent, struct span segment)
{
    const uint64_t golden = UINT64_C(0x9E3779B97F4A7C15);
    uint64_t hash = (parent + segment.len) * golden;
    uint64_t word = 0;

    for (; segment.len >= sizeof(word); segment = span_slice(segment, sizeof(word), segment.len)) {
        memcpy(&word, segment.ptr, sizeof(word));
        hash = (hash ^ (hash >> 32) ^ word) * golden;
    }
    word = 0;
    if (segment.len > 0)
        memcpy(&word, segment.ptr, segment.len);
    return (size_t)(((hash ^ (hash >> 32) ^ word) * golden) >> (64 - EDGES_BITS));
}

/* The slot of this edge, or the free one where it would go. */
static size_t edge_slot(const struct http_router *router, uint32_t parent, struct span segment)
{
    size_t at = edge_hash(parent, segment);

    while (router->edges[at].child != NONE &&
           !(router->edges[at].parent == parent && span_equal(router->edges[at].segment, segment)))
        at = (at + 1) & (EDGES - 1);
    return at;
}

static enum err node_new(struct http_router *router, uint32_t *ret_node)
{
    struct node *grown;

    if (router->node_count == NODES_MAX)
        return ERR_CONFIG; /* and so the edges stay half empty */
    if (router->node_count == router->node_room) {
        grown = alloc_resize(router->nodes, 2 * router->node_room * sizeof(struct node));
        if (grown == NULL)
            return ERR_NO_MEMORY;
        memset(grown + router->node_room, 0, router->node_room * sizeof(struct node));
        router->nodes = grown;
        router->node_room *= 2;
    }
    *ret_node = router->node_count++;
    return ERR_OK;
}

static bool is_param(struct span segment)
{
    return segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

/* The child by its place in the node. `place` is read again after a node was made: they move. */
static enum err child_or_make(struct http_router *router, uint32_t *node, size_t place)
{
    uint32_t child = *(uint32_t *)(void *)((char *)&router->nodes[*node] + place);
    enum err err;

    if (child == NONE) {
        err = node_new(router, &child);
        if (err)
            return err;
        *(uint32_t *)(void *)((char *)&router->nodes[*node] + place) = child;
    }
    *node = child;
    return ERR_OK;
}

static enum err step_or_make(struct http_router *router, uint32_t *node, struct span segment)
{
    size_t slot;
    uint32_t child;
    enum err err;

    if (is_param(segment))
        return child_or_make(router, node, offsetof(struct node, param_child));
    if (span_is(segment, "*"))
        return child_or_make(router, node, offsetof(struct node, rest_child));
    slot = edge_slot(router, *node, segment);
    if (router->edges[slot].child == NONE) {
        err = node_new(router, &child);
        if (err)
            return err;
        router->edges[slot] = (struct edge){.segment = segment, .parent = *node, .child = child};
        router->nodes[*node].forks = true;
    }
    *node = router->edges[slot].child;
    return ERR_OK;
}

enum err http_router_add(struct http_router *router, enum net_method method, const char *path,
                         uint32_t index)
{
    struct span rest = span_from(path);
    struct span segment;
    uint32_t node = ROOT;
    size_t params = 0;
    size_t depth = 0;
    bool ends = false;
    enum err err;

    if (rest.len == 0 || rest.ptr[0] != '/' || method >= NET_METHOD_COUNT)
        return ERR_CONFIG;
    rest = span_slice(rest, 1, rest.len);
    while (span_cut(&rest, '/', &segment)) {
        if (ends)
            return ERR_CONFIG;
        ends = span_is(segment, "*");
        params += is_param(segment);
        if (++depth > HTTP_SEGMENTS_MAX || params > HTTP_PARAMS_MAX)
            return ERR_CONFIG;
        err = step_or_make(router, &node, segment);
        if (err)
            return err;
    }
    if (router->nodes[node].methods & (1U << method))
        return ERR_CONFIG;
    router->nodes[node].methods |= 1U << method;
    router->nodes[node].routes[method] = index;
    return ERR_OK;
}

static uint32_t rest_of(const struct http_router *router, uint32_t node)
{
    uint32_t child = router->nodes[node].rest_child;

    return child != NONE && router->nodes[child].methods != 0 ? child : NONE;
}

/* Depth first, literal before parameter before the rest; returns the node that takes the whole
 * path, or NONE. */
static uint32_t search(const struct http_router *router, uint32_t node, struct span rest,
                       size_t depth, struct span *params, size_t param_count)
{
    struct span segment;
    uint32_t found;
    uint32_t child;

    if (!span_cut(&rest, '/', &segment))
        return router->nodes[node].methods ? node : rest_of(router, node);
    if (depth == HTTP_SEGMENTS_MAX)
        return rest_of(router, node);
    child = NONE;
    if (router->nodes[node].forks)
        child = router->edges[edge_slot(router, node, segment)].child;
    if (child != NONE) {
        found = search(router, child, rest, depth + 1, params, param_count);
        if (found != NONE)
            return found;
    }
    child = router->nodes[node].param_child;
    if (child == NONE || segment.len == 0 || param_count == HTTP_PARAMS_MAX)
        return rest_of(router, node);
    params[param_count] = segment;
    found = search(router, child, rest, depth + 1, params, param_count + 1);
    return found != NONE ? found : rest_of(router, node);
}

enum err http_router_find(const struct http_router *router, enum net_method method,
                          struct span path, struct http_match *ret)
{
    uint32_t node;

    *ret = (struct http_match){0};
    if (path.len == 0 || path.ptr[0] != '/')
        return ERR_NOT_FOUND;
    node = search(router, ROOT, span_slice(path, 1, path.len), 0, ret->params, 0);
    if (node == NONE)
        return ERR_NOT_FOUND;
    ret->methods = router->nodes[node].methods;
    if (method >= NET_METHOD_COUNT || !(ret->methods & (1U << method)))
        return ERR_METHOD_NOT_ALLOWED;
    ret->index = router->nodes[node].routes[method];
    return ERR_OK;
}
