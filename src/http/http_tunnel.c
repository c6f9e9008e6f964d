/* SPDX-License-Identifier: MIT
 * Another protocol through a passage (RFC 9110, 7.8): a client asks to go on in it, the upstream
 * agrees with 101, and only then do bytes pass as they are. Until that moment this is a request
 * like any other, so access, limits and the breaker hold; what a client sends early is kept.
 *
 *   offered --101 in an offered protocol--> open --a way ends, the other ends--> over
 *      |                                      +--cut, silent, token over-------> over
 *      +--any other answer: passed on as it is
 *      +--101 in another protocol: 502
 *
 * Nothing is offered to an upstream but what the route names, and a client's offer that the route
 * does not know is no offer: the request passes without it. */
#include "http/http_priv.h"

#include "net/http1_answer.h"
#include "upstream/upstream.h"

enum {
    OFFERED_BYTES_MAX = 512,
    LEFT_MS_MIN = 1000,  /* of a token that is let in for the sake of clocks that differ */
    LOOK_MS = 5000,      /* from one look at the token to the next */
    LOOK_BYTES = 1 << 16 /* of what the store says of its rights */
};

static const struct metric_def open_def = {.name = "http_tunnels_open",
                                           .help = "Connections that went on in another protocol.",
                                           .kind = METRIC_GAUGE};
static const struct metric_def bytes_def = {
    .name = "http_tunnel_bytes_total",
    .help = "Bytes that such connections carried, counted at their end.",
    .kind = METRIC_COUNTER,
    .labels = {"direction"}};

enum err http_tunnel_engine(struct http_engine *engine)
{
    static const struct span directions[] = {SPAN("in"), SPAN("out")};
    struct metric *open;
    struct metric *bytes;
    enum err err;

    if ((err = metric_register(engine->options.metrics, &open_def, &open)) != ERR_OK ||
        (err = metric_register(engine->options.metrics, &bytes_def, &bytes)) != ERR_OK)
        return err;
    engine->tunnels = metric_only(open);
    for (size_t i = 0; i < PC_COUNT(directions); i++)
        engine->tunnel_bytes[i] = metric_series(bytes, &directions[i], 1);
    return ERR_OK;
}

/* ---- what is offered ---------------------------------------------------------------------------
 */

static bool lists(const struct net_head *head, const char *name, struct span wanted)
{
    return http_list_has(head->headers, head->header_count, name, wanted);
}

static bool asks(const struct http_call *call)
{
    return call->req.route->proxy->upgrade_count > 0 && call->req.method == NET_METHOD_GET &&
           net_stream_may_upgrade(call->stream) &&
           lists(call->req.head, "connection", SPAN_OF("upgrade"));
}

enum err http_tunnel_offer(struct http_call *call)
{
    const struct http_proxy *proxy = call->req.route->proxy;
    struct sbuf offered = sbuf_on(call->req.arena, OFFERED_BYTES_MAX);

    if (!asks(call))
        return ERR_OK;
    for (size_t i = 0; i < proxy->upgrade_count; i++) {
        if (!lists(call->req.head, "upgrade", proxy->upgrades[i]))
            continue;
        if (offered.len > 0)
            sbuf_add_lit(&offered, ", ");
        sbuf_add(&offered, proxy->upgrades[i]);
    }
    if (offered.len == 0 && !offered.full)
        return ERR_OK;
    call->tunnel = arena_zero(call->req.arena, sizeof(*call->tunnel));
    if (call->tunnel == NULL || offered.full) {
        http_breaker_leave(call);
        return ERR_NO_MEMORY;
    }
    call->tunnel->offered = sbuf_span(&offered);
    return ERR_OK;
}

/* The one that both sides and the route agree on; empty: none. */
static struct span agreed(const struct http_call *call, const struct net_answer_head *head)
{
    const struct net_header *told =
        net_header_find(head->headers, head->header_count, SPAN_OF("upgrade"));
    struct span rest = call->tunnel->offered;
    struct span token;

    if (told == NULL || net_header_count(head->headers, head->header_count, told->name) != 1)
        return (struct span){0};
    while (rest.len > 0 && span_cut(&rest, ',', &token)) {
        if (span_equal_nocase(span_trim(token), told->value))
            return span_trim(token);
    }
    return (struct span){0};
}

/* ---- the token that opened it ------------------------------------------------------------------
 */

/* A request is looked at once, a tunnel every few seconds: it ends with its token, be that expired
 * or revoked, and when the rights that the route asks for are gone. Looking costs a comparison (the
 * epochs, http_epoch.h); only when something about its user or client has changed is the store
 * asked, and whatever keeps it from answering is no reason to end a tunnel. Whoever asks again is
 * looked at again. Of other issuers' tokens nobody hears that they are revoked: they expire. */
static void end_tunnel(struct http_call *call, enum err why)
{
    struct net_stream *stream = call->stream;

    net_stream_hold(stream);
    http_proxy_stop(call, why);
    net_stream_abort(stream);
    net_stream_release(stream);
}

static enum err look_run(struct store_conn *conn, struct store_job *job)
{
    struct http_tunnel *tunnel = PC_CONTAINER(job, struct http_tunnel, look);
    const struct http_identity *identity = http_identity_of(tunnel->call);

    return identity->load(identity->context, conn, &tunnel->arena, &tunnel->seen);
}

/* On the loop again; the tunnel may have ended meanwhile. */
static void look_home(struct net_task *task)
{
    struct http_tunnel *tunnel = PC_CONTAINER(task, struct http_tunnel, home);
    struct net_stream *stream = tunnel->call->stream;
    enum err err = tunnel->look.err;

    tunnel->looking = false;
    if (!tunnel->ended && err == ERR_OK)
        err = http_rights_judge(tunnel->call, &tunnel->seen);
    arena_reset(&tunnel->arena);
    if (!tunnel->ended && (err_status(err) == 401 || err_status(err) == 403))
        end_tunnel(tunnel->call, err);
    net_stream_release(stream);
}

static void look_done(struct store_job *job)
{
    struct http_tunnel *tunnel = PC_CONTAINER(job, struct http_tunnel, look);

    tunnel->home.run = look_home;
    net_loop_post(tunnel->call->lane->loop, &tunnel->home);
}

/* The epoch first: a change while the store is asked is seen at the next look. */
static void look_send(struct http_call *call)
{
    struct http_tunnel *tunnel = call->tunnel;

    tunnel->seen = call->principal;
    tunnel->seen.epoch = http_rights_epoch(call);
    arena_init(&tunnel->arena, NULL, 0, LOOK_BYTES);
    tunnel->look = (struct store_job){.run = look_run, .done = look_done};
    tunnel->looking = true;
    net_stream_hold(call->stream);
    if (store_read(call->lane->engine->options.store, &tunnel->look) == ERR_OK)
        return;
    tunnel->looking = false;
    net_stream_release(call->stream);
}

static bool may_have_changed(const struct http_call *call)
{
    return call->principal.issuer == NULL && !call->by_bearer &&
           call->lane->engine->options.store != NULL &&
           call->principal.epoch != http_rights_epoch(call);
}

static void on_watch(struct net_timer *timer);

static void watch_on(struct http_call *call)
{
    struct http_tunnel *tunnel = call->tunnel;
    struct net_loop *loop = call->lane->loop;
    int64_t left_ms = tunnel->ends_ms - net_loop_realtime_ns(loop) / CLOCK_NS_PER_MS;
    int64_t wait_ms = LOOK_MS;

    if (tunnel->ends_ms > 0 && left_ms < LOOK_MS)
        wait_ms = left_ms > 1 ? left_ms : 1;
    net_timer_start(loop, &tunnel->watch, wait_ms, on_watch);
}

static void on_watch(struct net_timer *timer)
{
    struct http_call *call = PC_CONTAINER(timer, struct http_tunnel, watch)->call;
    struct http_tunnel *tunnel = call->tunnel;

    if (tunnel->ends_ms > 0 &&
        net_loop_realtime_ns(call->lane->loop) / CLOCK_NS_PER_MS >= tunnel->ends_ms) {
        end_tunnel(call, ERR_TOKEN_EXPIRED);
        return;
    }
    if (!tunnel->looking && may_have_changed(call))
        look_send(call);
    watch_on(call);
}

/* A token that never ends, as keys may, is still looked at. */
static void watch_token(struct http_call *call)
{
    int64_t now_ms = net_loop_realtime_ns(call->lane->loop) / CLOCK_NS_PER_MS;
    int64_t left_ms;

    if (call->req.principal == NULL)
        return;
    if (call->req.principal->expires_at_s > 0 &&
        call->req.principal->expires_at_s < INT64_MAX / 1000) {
        left_ms = call->req.principal->expires_at_s * 1000 - now_ms;
        call->tunnel->ends_ms = now_ms + (left_ms > LEFT_MS_MIN ? left_ms : LEFT_MS_MIN);
    }
    watch_on(call);
}

enum err http_tunnel_open(struct http_call *call, struct upstream_call *up,
                          const struct net_answer_head *head)
{
    struct http_tunnel *tunnel = call->tunnel;
    struct http_passed passed = {0};
    struct net_upgrade upgrade = {.idle_ms = call->req.route->proxy->upgrade_idle_ms};

    tunnel->protocol = agreed(call, head);
    if (tunnel->protocol.len == 0)
        return ERR_UPSTREAM_ANSWER;
    http_proxy_lines(call, head, &passed);
    if (passed.lines.ptr != NULL)
        upgrade.head = http_passed_head(call, &passed);
    if (upgrade.head.len == 0)
        return ERR_NO_MEMORY;
    tunnel->open = true;
    tunnel->call = call;
    metric_move(call->lane->engine->tunnels, 1);
    tunnel->opened_ns = net_loop_now_ns(call->lane->loop);
    call->answered = true;
    call->status = head->status;
    http_breaker_release(call, clock_monotonic_ns(call->lane->engine->options.clock));
    watch_token(call);
    upstream_tunnel(up); /* early bytes of the client come with what is next */
    net_upgrade(call->stream, &upgrade);
    return ERR_OK;
}

bool http_tunnel_is_open(const struct http_call *call)
{
    return call->tunnel != NULL && call->tunnel->open;
}

/* ---- its end -----------------------------------------------------------------------------------
 */

void http_tunnel_over(const struct http_call *call)
{
    const struct http_engine *engine = call->lane->engine;

    if (!http_tunnel_is_open(call))
        return;
    call->tunnel->ended = true;
    net_timer_stop(&call->tunnel->watch);
    metric_move(engine->tunnels, -1);
    metric_add(engine->tunnel_bytes[0], call->tunnel->bytes_in);
    metric_add(engine->tunnel_bytes[1], call->tunnel->bytes_out);
}

void http_tunnel_lines(const struct http_call *call, struct sbuf *out)
{
    const struct http_tunnel *tunnel = call->tunnel;

    if (!http_tunnel_is_open(call))
        return;
    sbuf_add_lit(out, ",\"upgrade\":");
    sbuf_add_json(out, tunnel->protocol);
    sbuf_add_lit(out, ",\"bytes_in\":");
    sbuf_add_u64(out, tunnel->bytes_in);
    sbuf_add_lit(out, ",\"bytes_out\":");
    sbuf_add_u64(out, tunnel->bytes_out);
}
