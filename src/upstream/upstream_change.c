/* SPDX-License-Identifier: MIT
 * From one upstream to the one in its place, loop by loop (upstream.h). Each loop does its part by
 * itself: what it keeps of the former goes to the new one, and what is under way comes to its end
 * where it began. */
#include "upstream/upstream_pool.h"

#include <string.h>

#include "base/alloc.h"

enum err upstream_line_join(struct upstream *upstream, const struct upstream *former)
{
    struct upstream_line *line = former != NULL ? former->line : alloc_zero(sizeof(*line));

    if (line == NULL)
        return ERR_NO_MEMORY;
    line->members++;
    upstream->line = line;
    return ERR_OK;
}

void upstream_line_leave(struct upstream *upstream)
{
    if (upstream->line != NULL && --upstream->line->members == 0)
        alloc_free(upstream->line);
    upstream->line = NULL;
}

struct upstream *upstream_heir(const struct upstream_pool *pool)
{
    return pool->upstream->line->now[net_loop_index(pool->loop)];
}

static bool is_same_place(const struct upstream_place *a, const struct upstream_place *b)
{
    return a->bytes > 0 && a->bytes == b->bytes && memcmp(&a->address, &b->address, a->bytes) == 0;
}

/* Where `heir` has the target of this connection, with the version of its place; SIZE_MAX: nowhere.
 * A name that means another address by now is another target. */
static size_t place_in(struct upstream *heir, const struct upstream_wire *wire,
                       uint32_t *ret_version)
{
    struct upstream *own = wire->pool->upstream;
    const struct upstream_place place = upstream_place_now(own, wire->target);

    for (size_t i = 0; place.version == wire->version && i < heir->options.target_count; i++) {
        const struct upstream_place other = upstream_place_now(heir, i);

        if (strcmp(heir->targets[i].url, own->targets[wire->target].url) != 0 ||
            !is_same_place(&place, &other))
            continue;
        *ret_version = other.version;
        return i;
    }
    return SIZE_MAX;
}

void upstream_wire_hand_over(struct upstream_wire *wire)
{
    struct upstream *heir = upstream_heir(wire->pool);
    uint32_t version = 0;
    size_t target = heir != NULL ? place_in(heir, wire, &version) : SIZE_MAX;
    struct upstream_pool *pool =
        target != SIZE_MAX ? upstream_pool_of(heir, wire->pool->loop) : NULL;

    /* What it was shown, and showed, may not be what the heir asks for. */
    if (pool == NULL || pool->left || wire->pool->upstream->tls != NULL || heir->tls != NULL ||
        heir->options.keep_alive_ms == 0 || pool->wire_count >= heir->options.links_max) {
        upstream_wire_close(wire);
        return;
    }
    wire->pool->wire_count--;
    wire->pool = pool;
    wire->target = target;
    wire->version = version;
    pool->wire_count++;
    upstream_wire_keep(wire);
}

/* Nothing new will come here. Who waits for a connection still gets one. */
static void leave_pool(struct upstream_pool *pool)
{
    pool->left = true;
    for (size_t i = 0; i < pool->upstream->options.target_count; i++) {
        while (pool->kept[i] != NULL) {
            struct upstream_wire *wire = pool->kept[i];

            upstream_wire_unkeep(wire);
            upstream_wire_hand_over(wire);
        }
    }
    upstream_serve(pool);
}

void upstream_loop_enter(struct upstream *upstream, struct net_loop *loop)
{
    size_t index = net_loop_index(loop);

    PC_ASSERT(index < UPSTREAM_LOOPS_MAX);
    upstream->line->now[index] = upstream;
    upstream_picker_refresh(upstream->picker);
    if (upstream->entered[index]++ > 0)
        return;
    if (index == 0 && upstream_check_start(upstream, loop) != ERR_OK)
        log_error(upstream->options.logger, "upstream_unchecked",
                  LOG_STRING("upstream", upstream->options.name));
}

void upstream_loop_leave(struct upstream *upstream, struct net_loop *loop)
{
    size_t index = net_loop_index(loop);

    PC_ASSERT(upstream->entered[index] > 0);
    if (--upstream->entered[index] > 0)
        return;
    if (upstream->line->now[index] == upstream)
        upstream->line->now[index] = NULL;
    if (index == 0)
        upstream_check_stop(upstream);
    if (upstream->pools[index] != NULL)
        leave_pool(upstream->pools[index]);
}
