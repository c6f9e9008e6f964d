/* SPDX-License-Identifier: MIT
 * A call whose answer was 101: from then on its connection carries another protocol.
 *
 *   head (101) -> upstream_tunnel -> body*, upstream_give* -> ended, upstream_shut -> end
 *                                                  \__ failed: cut by the other side
 *
 * The target has answered, so it is told to be well at once; the call stays counted in flight as
 * long as the tunnel is open, since it takes a place there. No deadline of an answer holds any
 * more: the asker watches over silence. */
#include "upstream/upstream_pool.h"

void upstream_tunnel(struct upstream_call *call)
{
    struct upstream *upstream = call->pool->upstream;
    int64_t now_ns = net_loop_now_ns(call->pool->loop);

    PC_ASSERT(call->status == 101 && !call->tunnel);
    upstream_answered(upstream->picker, call->target, call->first_ns - call->sent_ns, now_ns);
    metric_add(upstream->counts[call->target].attempts[UPSTREAM_WELL], 1);
    call->tunnel = true;
    call->given = false; /* from now on: what the client sends is over */
    net_link_deadline(call->wire->link, NET_LINK_NO_DEADLINE);
}

void upstream_tunnel_input(struct upstream_wire *wire, struct span bytes)
{
    struct upstream_call *call = wire->call;

    if (bytes.len > 0)
        call->ask.app->body(call, bytes);
}

/* Both have said all: what is on its way has as long as silence may last, since with that the asker
 * may be gone who watched over it. */
static void both_over(struct upstream_call *call)
{
    net_link_deadline(call->wire->link,
                      net_loop_now_ns(call->pool->loop) + call->times->idle_ms * CLOCK_NS_PER_MS);
}

bool upstream_tunnel_ended(struct upstream_wire *wire)
{
    struct upstream_call *call = wire->call;

    if (call == NULL || !call->tunnel)
        return false;
    call->peer_over = true;
    call->ask.app->ended(call);
    if (wire->call == call && call->given)
        both_over(call);
    return true;
}

void upstream_shut(struct upstream_call *call)
{
    bool first = !call->over && !call->given;

    PC_ASSERT(call->tunnel);
    call->given = true;
    if (!first)
        return;
    if (call->peer_over)
        both_over(call);
    net_link_shut(call->wire->link);
}
