/* SPDX-License-Identifier: MIT
 * The connections of one loop to one upstream:
 *
 *   net_link_open -> carries a call -> waits, kept (the last used is the first to be used again) ->
 *   carries a call -> ... -> closed: by the other side, by age, for another target, at a fault
 *
 * A connection that waits and hears a byte is closed: whatever it says answers nothing. */
#include "upstream/upstream_pool.h"

#include "base/alloc.h"

static void wire_free(struct upstream_wire *wire)
{
    if (!wire->entered)
        alloc_free(wire);
}

void upstream_wire_unkeep(struct upstream_wire *wire)
{
    if (wire->ref == NULL)
        return;
    *wire->ref = wire->next;
    if (wire->next != NULL)
        wire->next->ref = wire->ref;
    wire->ref = NULL;
    wire->next = NULL;
}

void upstream_wire_close(struct upstream_wire *wire)
{
    PC_ASSERT(!wire->closed && wire->call == NULL);
    wire->closed = true;
    upstream_wire_unkeep(wire);
    if (wire->link != NULL)
        net_link_close(wire->link);
    wire->link = NULL;
    wire->pool->wire_count--;
    wire_free(wire);
}

/* ---- what the connection tells -----------------------------------------------------------------
 */

static void on_open(struct net_link *link)
{
    struct upstream_wire *wire = net_link_context(link);

    wire->entered = true;
    upstream_call_open(wire);
    wire->entered = false;
    if (wire->closed)
        wire_free(wire);
}

static void on_input(struct net_link *link, struct span bytes)
{
    struct upstream_wire *wire = net_link_context(link);

    wire->entered = true;
    if (wire->call != NULL)
        upstream_call_input(wire, bytes);
    else
        upstream_wire_close(wire);
    wire->entered = false;
    if (wire->closed)
        wire_free(wire);
}

static void on_room(struct net_link *link)
{
    struct upstream_wire *wire = net_link_context(link);
    struct upstream_call *call = wire->call;

    if (call == NULL || !call->starved)
        return;
    wire->entered = true;
    call->starved = false;
    call->ask.app->room(call);
    wire->entered = false;
    if (wire->closed)
        wire_free(wire);
}

static void on_late(struct net_link *link)
{
    struct upstream_wire *wire = net_link_context(link);

    wire->entered = true;
    if (wire->call != NULL)
        upstream_call_late(wire);
    else
        upstream_wire_close(wire);
    wire->entered = false;
    if (wire->closed)
        wire_free(wire);
}

static bool on_ended(struct net_link *link)
{
    struct upstream_wire *wire = net_link_context(link);
    bool goes_on;

    wire->entered = true;
    goes_on = upstream_tunnel_ended(wire) && !wire->closed;
    wire->entered = false;
    if (wire->closed)
        wire_free(wire);
    return goes_on;
}

static void on_lost(struct net_link *link, enum err err)
{
    struct upstream_wire *wire = net_link_context(link);
    const char *why = net_link_tls_reason(link);
    bool was_open = wire->call != NULL && wire->call->ready;

    wire->entered = true;
    wire->link = NULL;
    if (why[0] != '\0') {
        upstream_tls_tell(wire->pool, wire->target, why);
        err = ERR_UPSTREAM_TLS;
    }
    if (wire->call != NULL)
        upstream_call_lost(wire, err, was_open);
    else
        upstream_wire_close(wire);
    wire->entered = false;
    if (wire->closed)
        wire_free(wire);
}

static const struct net_link_app wire_app = {.open = on_open,
                                             .input = on_input,
                                             .room = on_room,
                                             .late = on_late,
                                             .ended = on_ended,
                                             .lost = on_lost};

/* ---- taking and keeping ------------------------------------------------------------------------
 */

static enum err wire_open(struct upstream_pool *pool, size_t target, int64_t connect_ms,
                          struct upstream_wire **ret)
{
    const struct upstream_place place = upstream_place_now(pool->upstream, target);
    struct upstream_wire *wire = alloc_zero(sizeof(*wire));
    struct net_link_options options = {.address = place.address,
                                       .address_bytes = place.bytes,
                                       .app = &wire_app,
                                       .context = wire,
                                       .connect_ms = connect_ms};
    enum err err;

    if (wire == NULL)
        return ERR_NO_MEMORY;
    options.tls = upstream_tls_of(pool->upstream, target);
    wire->pool = pool;
    wire->target = target;
    wire->version = place.version;
    err = net_link_open(pool->loop, &options, &wire->link);
    if (err) {
        alloc_free(wire);
        return err;
    }
    pool->wire_count++;
    *ret = wire;
    return ERR_OK;
}

/* A connection that waits for calls to another target is of no use to this one. */
static bool make_room(struct upstream_pool *pool)
{
    for (size_t i = 0; i < pool->upstream->options.target_count; i++) {
        if (pool->kept[i] != NULL) {
            upstream_wire_close(pool->kept[i]);
            return true;
        }
    }
    return false;
}

/* Another address has its place by now. */
static bool is_elsewhere(const struct upstream_wire *wire)
{
    const struct upstream *upstream = wire->pool->upstream;

    return atomic_load_explicit(&upstream->place_versions[wire->target], memory_order_relaxed) !=
           wire->version;
}

enum err upstream_wire_take(struct upstream_pool *pool, size_t target, int64_t connect_ms,
                            struct upstream_wire **ret_wire)
{
    struct upstream_wire *wire = pool->kept[target];

    while (wire != NULL && PC_UNLIKELY(is_elsewhere(wire))) {
        upstream_wire_close(wire);
        wire = pool->kept[target];
    }
    if (wire != NULL) {
        upstream_wire_unkeep(wire);
        *ret_wire = wire;
        return ERR_OK;
    }
    if (pool->wire_count >= pool->upstream->options.links_max && !make_room(pool))
        return ERR_BUSY;
    return wire_open(pool, target, connect_ms, ret_wire);
}

void upstream_wire_keep(struct upstream_wire *wire)
{
    struct upstream_pool *pool = wire->pool;
    int64_t keep_ms = pool->upstream->options.keep_alive_ms;

    wire->uses++;
    if (pool->left) {
        upstream_wire_hand_over(wire);
        return;
    }
    net_link_resume(wire->link); /* whoever was held back with the last piece */
    wire->next = pool->kept[wire->target];
    wire->ref = &pool->kept[wire->target];
    if (wire->next != NULL)
        wire->next->ref = &wire->next;
    pool->kept[wire->target] = wire;
    net_link_deadline(wire->link, net_loop_now_ns(pool->loop) + keep_ms * CLOCK_NS_PER_MS);
}

/* ---- the pool ----------------------------------------------------------------------------------
 */

struct upstream_pool *upstream_pool_of(struct upstream *upstream, struct net_loop *loop)
{
    size_t index = net_loop_index(loop);
    struct upstream_pool *pool;

    PC_ASSERT(index < UPSTREAM_LOOPS_MAX);
    pool = upstream->pools[index];
    if (pool != NULL)
        return pool;
    pool = alloc_zero(sizeof(*pool));
    if (pool == NULL)
        return NULL;
    pool->upstream = upstream;
    pool->loop = loop;
    pool->waiting_end = &pool->waiting;
    upstream->pools[index] = pool;
    return pool;
}

/* The loops are gone, and their connections with them: each was told so by on_lost. */
void upstream_pool_free(struct upstream_pool *pool)
{
    if (pool == NULL)
        return;
    PC_ASSERT(pool->wire_count == 0 && pool->waiting == NULL);
    alloc_free(pool);
}
