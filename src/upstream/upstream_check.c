/* SPDX-License-Identifier: MIT
 * Active checks: one loop asks every target of an upstream again and again whether it is well, by a
 * connection or by a request, and tells the picker. Each check has a connection of its own: what is
 * checked is whether a new client would be served. */
#include "upstream/upstream_pool.h"

#include "base/alloc.h"

enum { FIRST_BYTES = 2048, HEAD_BYTES_MAX = 8 * 1024, HEADERS_MAX = 64, REQUEST_BYTES = 1024 };

struct upstream_check {
    struct upstream_checks *all;
    size_t target;
    struct net_link *link; /* NULL: resting */
    uint32_t version;      /* of the place's address that is asked */
    struct net_answer answer;
    struct arena arena;
    _Alignas(16) char first[FIRST_BYTES];
};

struct upstream_checks {
    struct upstream *upstream;
    struct net_loop *loop;
    struct net_timer timer;
    struct net_answer_limits limits;
    struct upstream_check list[];
};

static bool by_request(const struct upstream_checks *checks)
{
    return checks->upstream->options.check_path != NULL;
}

static void tell(struct upstream_check *check, bool well)
{
    struct upstream_checks *checks = check->all;
    const struct upstream *upstream = checks->upstream;
    int64_t now_ns = net_loop_now_ns(checks->loop);
    bool was_down = upstream_target_state(upstream->picker, check->target, now_ns).down;
    bool is_down;

    if (atomic_load(&upstream->place_versions[check->target]) != check->version)
        return; /* another address has the place by now: this is no news of it */
    upstream_checked(upstream->picker, check->target, well, now_ns);
    is_down = upstream_target_state(upstream->picker, check->target, now_ns).down;
    if (is_down != was_down)
        log_warn(upstream->options.logger, is_down ? "upstream_target_down" : "upstream_target_up",
                 LOG_STRING("upstream", upstream->options.name),
                 LOG_STRING("target", upstream->targets[check->target].url));
}

static void finish(struct upstream_check *check, bool well)
{
    if (check->link != NULL)
        net_link_close(check->link);
    check->link = NULL;
    arena_reset(&check->arena);
    tell(check, well);
}

static void on_open(struct net_link *link)
{
    struct upstream_check *check = net_link_context(link);
    const struct upstream *upstream = check->all->upstream;
    char text[REQUEST_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));
    struct span request;

    if (!by_request(check->all)) {
        finish(check, true);
        return;
    }
    sbuf_add_format(&out,
                    "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: portcullis-check\r\n"
                    "Connection: close\r\n\r\n",
                    upstream->options.check_path, upstream->targets[check->target].host);
    PC_ASSERT(!out.full); /* both are bounded where they are read */
    request = sbuf_span(&out);
    net_answer_start(&check->answer, &check->arena, &check->all->limits, false, false);
    net_link_send(link, &request, 1);
}

/* The status says it all; the body is of no interest. */
static void on_input(struct net_link *link, struct span bytes)
{
    struct upstream_check *check = net_link_context(link);
    enum net_answer_event event = NET_ANSWER_INTERIM;
    struct span piece;
    const char *why;

    if (!by_request(check->all))
        return;
    while (event == NET_ANSWER_INTERIM)
        event = net_answer_next(&check->answer, &bytes, &piece, &why);
    if (event != NET_ANSWER_MORE)
        finish(check, event == NET_ANSWER_HEAD && check->answer.head.status >= 200 &&
                          check->answer.head.status < 400);
}

static void on_late(struct net_link *link)
{
    finish(net_link_context(link), false);
}

static void on_lost(struct net_link *link, enum err err)
{
    struct upstream_check *check = net_link_context(link);
    const char *why = net_link_tls_reason(link);

    check->link = NULL;
    if (why[0] != '\0')
        upstream_tls_log(check->all->upstream, check->target, why);
    if (err == ERR_DRAINING)
        arena_reset(&check->arena);
    else
        finish(check, false);
}

static const struct net_link_app check_app = {
    .open = on_open, .input = on_input, .late = on_late, .lost = on_lost};

static void begin(struct upstream_check *check)
{
    struct upstream_checks *checks = check->all;
    struct upstream *upstream = checks->upstream;
    const struct upstream_place place = upstream_place_now(upstream, check->target);
    int64_t timeout_ms = upstream->options.check_timeout_ms;
    struct net_link_options options = {.address = place.address,
                                       .address_bytes = place.bytes,
                                       .app = &check_app,
                                       .context = check,
                                       .connect_ms = timeout_ms};
    enum err err;

    check->version = place.version;
    arena_init(&check->arena, check->first, sizeof(check->first), 4 * HEAD_BYTES_MAX);
    options.tls = upstream_tls_of(upstream, check->target);
    err = net_link_open(checks->loop, &options, &check->link);
    if (err) {
        check->link = NULL; /* no descriptor, no memory: that is our trouble */
        return;
    }
    net_link_deadline(check->link, net_loop_now_ns(checks->loop) + timeout_ms * CLOCK_NS_PER_MS);
}

static void on_timer(struct net_timer *timer)
{
    struct upstream_checks *checks = PC_CONTAINER(timer, struct upstream_checks, timer);
    const struct upstream_options *options = &checks->upstream->options;

    for (size_t i = 0; i < options->target_count; i++) {
        if (checks->list[i].link == NULL &&
            !upstream_target_state(checks->upstream->picker, i, 0).absent)
            begin(&checks->list[i]);
    }
    net_timer_start(checks->loop, &checks->timer, options->check_interval_ms, on_timer);
}

enum err upstream_check_start(struct upstream *upstream, struct net_loop *loop)
{
    const struct upstream_options *options = &upstream->options;
    struct upstream_checks *checks;

    if (options->check_interval_ms == 0)
        return ERR_OK;
    checks = alloc_zero(sizeof(*checks) + options->target_count * sizeof(checks->list[0]));
    if (checks == NULL)
        return ERR_NO_MEMORY;
    checks->upstream = upstream;
    checks->loop = loop;
    checks->limits = (struct net_answer_limits){
        .head_bytes_max = HEAD_BYTES_MAX, .headers_max = HEADERS_MAX, .interims_max = 4};
    for (size_t i = 0; i < options->target_count; i++)
        checks->list[i] = (struct upstream_check){.all = checks, .target = i};
    upstream->checks = checks;
    net_timer_start(loop, &checks->timer, 1, on_timer);
    return ERR_OK;
}

void upstream_check_stop(struct upstream *upstream)
{
    struct upstream_checks *checks = upstream->checks;

    if (checks == NULL)
        return;
    net_timer_stop(&checks->timer);
    for (size_t i = 0; i < upstream->options.target_count; i++) {
        if (checks->list[i].link != NULL) {
            net_link_close(checks->list[i].link);
            arena_reset(&checks->list[i].arena);
        }
    }
    upstream->checks = NULL;
    alloc_free(checks);
}
