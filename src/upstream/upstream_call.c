/* SPDX-License-Identifier: MIT
 * One request to an upstream:
 *
 *   upstream_begin -> attempt --no connection is free--> waiting --one is--> attempt
 *                        |
 *                        v            (failed, nothing heard, safe) --> attempt at another target
 *                  [connecting] -> head sent -> [body given] -> answer's head -> body -> end
 *                        \______________________ failed, cancelled ______________________/
 *
 * What makes asking again safe: nothing of the body has left, nothing of an answer has come, and
 * either nothing was sent at all or the method says that twice is as good as once. */
#include "upstream/upstream_pool.h"

#include "base/alloc.h"

enum {
    STALE_MAX = 2, /* kept connections that turn out closed, for one call */
    ROOM_LOW_BYTES = 128 * 1024,
};

static void fail(struct upstream_call *call, enum err err)
{
    call->over = true;
    call->ask.app->failed(call, err);
}

static int64_t now_of(const struct upstream_call *call)
{
    return net_loop_now_ns(call->pool->loop);
}

static const struct upstream_options *options_of(const struct upstream_call *call)
{
    return &call->pool->upstream->options;
}

/* ---- time --------------------------------------------------------------------------------------
 */

static int64_t total_ns(const struct upstream_call *call)
{
    int64_t total_ms = call->times->total_ms;

    return total_ms > 0 ? call->begun_ns + total_ms * CLOCK_NS_PER_MS : NET_LINK_NO_DEADLINE;
}

/* The next thing is to happen within this time. */
static void expect(struct upstream_call *call)
{
    const struct upstream_times *times = call->times;
    int64_t ms = call->first_ns == 0 && call->given ? times->response_ms : times->idle_ms;
    int64_t at_ns = now_of(call) + ms * CLOCK_NS_PER_MS;
    int64_t last_ns = total_ns(call);

    net_link_deadline(call->wire->link, at_ns < last_ns ? at_ns : last_ns);
}

/* ---- an attempt --------------------------------------------------------------------------------
 */

static void settle(struct upstream_call *call, enum upstream_outcome outcome)
{
    int64_t now_ns = now_of(call);
    int64_t from_ns = call->sent_ns != 0 ? call->sent_ns : call->begun_ns;
    int64_t to_ns = call->first_ns != 0 ? call->first_ns : now_ns;

    if (call->tunnel) /* how it answered was told */
        outcome = UPSTREAM_NEUTRAL;
    upstream_settle(call->pool->upstream->picker, call->target, outcome, to_ns - from_ns, now_ns);
    if (PC_UNLIKELY(call->pool->left) && upstream_heir(call->pool) != NULL)
        upstream_picker_refresh(upstream_heir(call->pool)->picker);
    if (call->tunnel)
        return;
    metric_add(call->pool->upstream->counts[call->target].attempts[outcome], 1);
}

static bool send_head(struct upstream_call *call)
{
    struct upstream_wire *wire = call->wire;
    const struct upstream *upstream = call->pool->upstream;
    struct span head = call->ask.write_head(call, &upstream->targets[call->target]);

    if (head.len == 0)
        return false;
    net_answer_start(&wire->answer, call->ask.arena, &upstream->limits, call->ask.is_head,
                     call->ask.upgrade);
    call->sent_ns = now_of(call);
    call->ready = true;
    net_link_send(wire->link, &head, 1);
    expect(call);
    return true;
}

static void wait_in_line(struct upstream_call *call)
{
    struct upstream_pool *pool = call->pool;

    call->next = NULL;
    call->link = pool->waiting_end;
    *pool->waiting_end = call;
    pool->waiting_end = &call->next;
    pool->waiting_count++;
}

static void leave_line(struct upstream_call *call)
{
    struct upstream_pool *pool = call->pool;

    if (call->link == NULL)
        return;
    *call->link = call->next;
    if (call->next != NULL)
        call->next->link = call->link;
    else
        pool->waiting_end = call->link;
    call->link = NULL;
    pool->waiting_count--;
    net_timer_stop(&call->timer);
}

static void on_waited(struct net_timer *timer)
{
    struct upstream_call *call = PC_CONTAINER(timer, struct upstream_call, timer);

    leave_line(call);
    fail(call, ERR_UPSTREAM_FULL);
}

static enum err queue(struct upstream_call *call)
{
    if (call->pool->waiting_count >= options_of(call)->queue_max)
        return ERR_UPSTREAM_FULL;
    wait_in_line(call);
    net_timer_start(call->pool->loop, &call->timer, call->times->connect_ms, on_waited);
    return ERR_OK;
}

/* Takes a connection to one target. ERR_BUSY: none is free. */
static enum err attempt_at(struct upstream_call *call, size_t target)
{
    enum err err;

    call->target = target;
    call->picked = true;
    err = upstream_wire_take(call->pool, target, call->times->connect_ms, &call->wire);
    if (err) {
        call->wire = NULL;
        settle(call, err == ERR_IO ? UPSTREAM_FAILED : UPSTREAM_NEUTRAL);
        return err;
    }
    call->wire->call = call;
    if (net_link_is_open(call->wire->link) && !send_head(call)) {
        struct upstream_wire *wire = call->wire;

        wire->call = NULL;
        call->wire = NULL;
        upstream_wire_keep(wire);
        settle(call, UPSTREAM_NEUTRAL);
        return ERR_NO_MEMORY;
    }
    return ERR_OK;
}

/* A kept connection that turned out closed says nothing of how much the upstream has to do. */
static bool may_ask_again(struct upstream_call *call, bool nothing_sent, bool stale)
{
    unsigned most = options_of(call)->retries + (stale ? STALE_MAX : 0);
    /* Once it may be given, a piece of it can come at any moment. */
    bool no_body_under_way = !call->body_begun && (nothing_sent || !call->ask.has_body);
    const struct upstream_attempt attempt = {.method = call->ask.method,
                                             .has_idempotency_key = call->ask.has_idempotency_key,
                                             .answer_untouched = call->first_ns == 0,
                                             .request_unwritten = nothing_sent,
                                             .body_repeatable = no_body_under_way};

    return call->attempts < most && upstream_retry_is_safe(&attempt) &&
           (stale || upstream_retry_take(&call->pool->budget, now_of(call)));
}

/* On its way, in line, or why not. */
static enum err attempt(struct upstream_call *call)
{
    struct upstream *upstream = call->pool->upstream;

    call->ready = false;
    call->sent_ns = 0;
    for (;;) {
        size_t target =
            upstream_pick(upstream->picker, &call->pool->turn, net_loop_random(call->pool->loop),
                          call->ask.key, call->tried, now_of(call));
        enum err err;

        if (target == UPSTREAM_NO_TARGET)
            return ERR_UPSTREAM_NONE;
        err = attempt_at(call, target);
        if (err == ERR_BUSY)
            return queue(call);
        if (err != ERR_IO)
            return err;
        if ((call->tried & (UINT64_C(1) << target)) || !may_ask_again(call, true, false))
            return ERR_UPSTREAM_CONNECT;
        call->attempts++;
        call->tried |= UINT64_C(1) << target;
    }
}

/* ---- over --------------------------------------------------------------------------------------
 */

/* The connection goes its own way. */
static struct upstream_wire *detach(struct upstream_call *call)
{
    struct upstream_wire *wire = call->wire;

    wire->call = NULL;
    call->wire = NULL;
    return wire;
}

/* The attempt came to nothing. `stale`: the connection was kept, and closed before we knew. */
static void attempt_failed(struct upstream_call *call, enum err err, bool stale)
{
    struct upstream_pool *pool = call->pool;
    bool nothing_sent = !call->ready;

    settle(call, stale ? UPSTREAM_NEUTRAL : UPSTREAM_FAILED);
    upstream_wire_close(detach(call));
    if (may_ask_again(call, nothing_sent, stale)) {
        call->attempts++;
        if (!stale)
            call->tried |= UINT64_C(1) << call->target;
        err = attempt(call);
        if (err == ERR_OK && call->ready && call->ask.has_body)
            call->ask.app->ready(call);
        if (err == ERR_OK)
            return;
    }
    fail(call, err);
    upstream_serve(pool);
}

static enum upstream_outcome outcome_of(int status)
{
    return status >= 502 && status <= 504 ? UPSTREAM_FAILED : UPSTREAM_WELL;
}

/* The answer is complete. `clean`: nothing came behind it. */
static void finish(struct upstream_call *call, bool clean)
{
    struct upstream_pool *pool = call->pool;
    struct upstream_wire *wire = detach(call);

    settle(call, outcome_of(call->status));
    call->trailers = wire->answer.trailers;
    call->trailer_count = wire->answer.trailer_count;
    if (wire->link != NULL && clean && call->given && net_answer_keeps(&wire->answer) &&
        options_of(call)->keep_alive_ms > 0)
        upstream_wire_keep(wire);
    else
        upstream_wire_close(wire);
    call->over = true;
    call->ask.app->end(call);
    upstream_serve(pool);
}

/* ---- what its connection tells -----------------------------------------------------------------
 */

void upstream_call_open(struct upstream_wire *wire)
{
    struct upstream_call *call = wire->call;

    if (call == NULL) {
        upstream_wire_close(wire);
        return;
    }
    if (!send_head(call)) {
        settle(call, UPSTREAM_NEUTRAL);
        upstream_wire_close(detach(call));
        fail(call, ERR_NO_MEMORY);
        return;
    }
    if (call->ask.has_body)
        call->ask.app->ready(call);
}

/* One event of the reader. False when there is no more to do. */
static bool answer_step(struct upstream_wire *wire, struct span *input)
{
    struct upstream_call *call = wire->call;
    struct span piece;
    const char *why;

    switch (net_answer_next(&wire->answer, input, &piece, &why)) {
    case NET_ANSWER_MORE:
        return false;
    case NET_ANSWER_INTERIM: /* 100 is ours to say; hints are dropped */
        return true;
    case NET_ANSWER_HEAD:
        call->status = wire->answer.head.status;
        call->ask.app->head(call, &wire->answer.head);
        if (wire->call != call || !call->tunnel)
            return true;
        upstream_tunnel_input(wire, *input);
        return false;
    case NET_ANSWER_BODY:
        call->ask.app->body(call, piece);
        return true;
    case NET_ANSWER_END:
        finish(call, input->len == 0);
        return false;
    case NET_ANSWER_BAD:
    default:
        log_warn(call->pool->upstream->options.logger, "upstream_bad_answer",
                 LOG_STRING("upstream", upstream_name(call->pool->upstream)),
                 LOG_STRING("target", call->pool->upstream->targets[call->target].url),
                 LOG_STRING("why", why));
        settle(call, UPSTREAM_FAILED);
        upstream_wire_close(detach(call));
        fail(call, ERR_UPSTREAM_ANSWER);
        return false;
    }
}

void upstream_call_input(struct upstream_wire *wire, struct span bytes)
{
    struct upstream_call *call = wire->call;

    if (call->tunnel) {
        upstream_tunnel_input(wire, bytes);
        return;
    }
    if (call->first_ns == 0)
        call->first_ns = now_of(call);
    while (wire->call == call && !wire->closed && answer_step(wire, &bytes))
        continue;
    if (wire->call != call || wire->closed || call->tunnel)
        return;
    expect(call);
    if (call->status != 0)
        call->ask.app->quiet(call);
}

void upstream_call_lost(struct upstream_wire *wire, enum err err, bool was_open)
{
    struct upstream_call *call = wire->call;
    bool timeout = err == ERR_REQUEST_TIMEOUT;
    const char *why;

    if (err == ERR_DRAINING) {
        settle(call, UPSTREAM_NEUTRAL);
        upstream_wire_close(detach(call));
        fail(call, ERR_DRAINING);
        return;
    }
    if (!was_open) {
        if (err != ERR_UPSTREAM_TLS)
            err = timeout ? ERR_UPSTREAM_SLOW : ERR_UPSTREAM_CONNECT;
        attempt_failed(call, err, false);
        return;
    }
    if (call->first_ns == 0) {
        /* With TLS 1.3 a server that wants a certificate says so when we think all is agreed. */
        attempt_failed(call, err == ERR_UPSTREAM_TLS ? err : ERR_UPSTREAM_CUT, wire->uses > 0);
        return;
    }
    if (err == ERR_END &&
        (call->tunnel || net_answer_close(&wire->answer, &why) == NET_ANSWER_END)) {
        finish(call, false);
        return;
    }
    settle(call, UPSTREAM_FAILED);
    upstream_wire_close(detach(call));
    fail(call, ERR_UPSTREAM_CUT);
}

/* Whoever holds the answer back, or has not sent all of the request, is on our side. */
static bool waits_for_us(const struct upstream_call *call)
{
    return call->paused || (!call->given && net_link_is_drained(call->wire->link));
}

void upstream_call_late(struct upstream_wire *wire)
{
    struct upstream_call *call = wire->call;

    if (waits_for_us(call) && now_of(call) < total_ns(call)) {
        expect(call);
        return;
    }
    settle(call, UPSTREAM_FAILED);
    upstream_wire_close(detach(call));
    fail(call, ERR_UPSTREAM_SLOW);
}

/* ---- what the asker calls ----------------------------------------------------------------------
 */

enum err upstream_begin(struct upstream *upstream, struct net_loop *loop,
                        struct upstream_call *call, const struct upstream_ask *ask)
{
    enum err err;

    *call = (struct upstream_call){.ask = *ask, .pool = upstream_pool_of(upstream, loop)};
    if (call->pool == NULL)
        return ERR_NO_MEMORY;
    call->times = ask->times != NULL ? ask->times : &upstream->times;
    call->begun_ns = now_of(call);
    call->given = !ask->has_body;
    upstream_retry_earn(&call->pool->budget);
    err = attempt(call);
    call->over = err != ERR_OK;
    return err;
}

void upstream_give(struct upstream_call *call, const struct span *parts, size_t count)
{
    PC_ASSERT(call->ready && (call->tunnel || !call->given));
    if (call->over)
        return;
    call->body_begun = true;
    net_link_send(call->wire->link, parts, count);
    call->starved = upstream_room(call) < ROOM_LOW_BYTES;
    if (!call->tunnel)
        expect(call);
}

void upstream_given(struct upstream_call *call)
{
    call->given = true;
    call->given_ns = now_of(call);
    call->body_begun = true;
    if (!call->over)
        expect(call);
}

int64_t upstream_waited_ns(const struct upstream_call *call)
{
    int64_t from_ns = call->ask.has_body ? call->given_ns : call->sent_ns;
    int64_t to_ns = call->first_ns != 0 ? call->first_ns : now_of(call);

    return from_ns != 0 && to_ns > from_ns ? to_ns - from_ns : 0;
}

size_t upstream_room(struct upstream_call *call)
{
    return call->over || call->wire == NULL ? 0 : net_link_room(call->wire->link);
}

void upstream_pause(struct upstream_call *call)
{
    call->paused = true;
    if (!call->over && call->wire != NULL)
        net_link_pause(call->wire->link);
}

void upstream_resume(struct upstream_call *call)
{
    if (!call->paused)
        return;
    call->paused = false;
    if (call->over || call->wire == NULL)
        return;
    if (!call->tunnel)
        expect(call);
    net_link_resume(call->wire->link);
}

void upstream_cancel(struct upstream_call *call)
{
    struct upstream_pool *pool = call->pool;

    if (call->over)
        return;
    call->over = true;
    leave_line(call);
    if (call->wire == NULL)
        return;
    settle(call, UPSTREAM_NEUTRAL);
    upstream_wire_close(detach(call));
    upstream_serve(pool);
}

static bool has_free(const struct upstream_pool *pool)
{
    const struct upstream_options *options = &pool->upstream->options;

    if (pool->wire_count < options->links_max)
        return true;
    for (size_t i = 0; i < options->target_count; i++) {
        if (pool->kept[i] != NULL)
            return true;
    }
    return false;
}

/* In the order in which they came, as many as find a connection. */
void upstream_serve(struct upstream_pool *pool)
{
    while (pool->waiting != NULL && has_free(pool)) {
        struct upstream_call *call = pool->waiting;
        enum err err;

        leave_line(call);
        err = attempt(call);
        if (err != ERR_OK)
            fail(call, err);
        else if (call->ready && call->ask.has_body)
            call->ask.app->ready(call);
    }
}
