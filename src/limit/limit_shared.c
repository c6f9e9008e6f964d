/* SPDX-License-Identifier: MIT
 * Questions and their answers: asked of Redis at once for all limits (exact), of the leases at hand
 * (limit_lease.c), or of nobody while Redis is away. */
#include "limit/limit_shared.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "limit/limit_shared_priv.h"

enum outcome { ADMITTED, REFUSED, AWAY, BUSY, OUTCOMES };

struct limit_shared {
    struct limit_shared_options options; /* the address under `place_lock` */
    pthread_mutex_t place_lock;
    struct limit_table *shares; /* of this node alone */
    struct limit_node *nodes[LIMIT_LOOPS_MAX];
    _Atomic size_t loops, connected, away;
    _Atomic uint64_t counts[OUTCOMES];
    struct metric_series *outcomes[OUTCOMES];
    struct metric_series *connections;
};

static void count(struct limit_shared *shared, enum outcome outcome)
{
    atomic_fetch_add_explicit(&shared->counts[outcome], 1, memory_order_relaxed);
    metric_add(shared->outcomes[outcome], 1);
}

static int64_t now_of(const struct limit_question *question)
{
    return net_loop_now_ns(question->node->redis.loop);
}

/* ---- this node's share -------------------------------------------------------------------------
 */

/* The same rate, seen over as many periods as there are nodes. What is so rare that its share would
 * take years is not divided, but has no burst. */
static struct limit_rate share_of(const struct limit_rate *rate, uint32_t nodes)
{
    uint32_t burst = rate->burst ? rate->burst : rate->requests;
    struct limit_rate share = *rate;

    share.burst = burst / nodes > 0 ? burst / nodes : 1;
    share.period_ns = rate->period_ns * nodes;
    if (rate->requests > 0 && !limit_rate_is_valid(&share)) {
        share.period_ns = rate->period_ns;
        if (!limit_rate_is_valid(&share))
            share.burst = 1;
    }
    return share;
}

static void shares_of(const struct limit_question *question, struct limit_ask *ret_shares)
{
    for (size_t i = 0; i < question->count; i++) {
        ret_shares[i] = question->asks[i];
        ret_shares[i].rate =
            share_of(&question->asks[i].rate, question->node->shared->options.nodes);
    }
}

/* What was admitted counts here too; that the share is used up means nothing while others answer.
 */
static void count_shares(const struct limit_question *question)
{
    struct limit_ask shares[LIMIT_ASKS_MAX];
    struct limit_verdict ignored;

    if (question->sharing.on_outage != LIMIT_OUTAGE_LOCAL_SHARE)
        return;
    shares_of(question, shares);
    for (size_t i = 0; i < question->count; i++)
        limit_take(question->node->shared->shares, shares[i].key, &shares[i].rate, now_of(question),
                   &ignored);
}

/* ---- answers -----------------------------------------------------------------------------------
 */

enum limit_fate limit_question_decided(struct limit_question *question)
{
    struct limit_shared *shared = question->node->shared;

    question->told = true;
    if (question->verdict.allowed)
        count_shares(question);
    count(shared, question->verdict.allowed ? ADMITTED : REFUSED);
    return question->verdict.allowed ? LIMIT_ADMITTED : LIMIT_REFUSED;
}

enum limit_fate limit_question_away(struct limit_question *question)
{
    struct limit_shared *shared = question->node->shared;
    struct limit_ask shares[LIMIT_ASKS_MAX];

    count(shared, AWAY);
    if (question->sharing.on_outage == LIMIT_OUTAGE_ALLOW)
        return LIMIT_ADMITTED;
    if (question->sharing.on_outage == LIMIT_OUTAGE_DENY)
        return LIMIT_DENIED;
    shares_of(question, shares);
    limit_take_all(shared->shares, shares, question->count, now_of(question), &question->verdict,
                   &question->tightest);
    question->told = true;
    return question->verdict.allowed ? LIMIT_ADMITTED : LIMIT_REFUSED;
}

enum limit_fate limit_question_busy(struct limit_question *question)
{
    count(question->node->shared, BUSY);
    return limit_question_away(question);
}

void limit_question_over(struct limit_question *question, enum limit_fate fate)
{
    question->fate = fate;
    question->done(question);
}

/* ---- exact -------------------------------------------------------------------------------------
 */

static void on_exact(struct limit_command *command, const struct limit_reply *reply)
{
    struct limit_question *question = PC_CONTAINER(command, struct limit_question, command);
    bool allowed;

    if (reply == NULL) {
        limit_question_over(question, limit_question_away(question));
        return;
    }
    allowed = reply->numbers[0] == 1;
    for (size_t i = 0; i < question->count; i++) {
        struct limit_verdict verdict =
            limit_part_verdict(&question->parts[i], reply->numbers[1 + 2 * i], allowed);

        verdict.allowed = allowed || verdict.retry_after_ns == 0;
        if (i == 0 || limit_is_tighter(&verdict, &question->verdict)) {
            question->verdict = verdict;
            question->tightest = i;
        }
    }
    question->verdict.allowed = allowed;
    limit_question_over(question, limit_question_decided(question));
}

enum limit_fate limit_question_exact(struct limit_question *question)
{
    struct limit_node *node = question->node;
    enum err err;

    for (size_t i = 0; i < question->count; i++)
        question->parts[i].want = question->parts[i].least = 1;
    question->command = (struct limit_command){
        .done = on_exact, .parts = question->parts, .count = question->count};
    err = limit_redis_ask(&node->redis, &question->command);
    if (err == ERR_OK)
        return LIMIT_WAITS;
    return err == ERR_BUSY ? limit_question_busy(question) : limit_question_away(question);
}

/* A limit of none needs no asking. */
static bool is_denied_anyway(struct limit_question *question)
{
    for (size_t i = 0; i < question->count; i++) {
        const struct limit_rate *rate = &question->asks[i].rate;

        if (rate->requests > 0)
            continue;
        question->tightest = i;
        question->verdict = (struct limit_verdict){.full_after_ns = rate->period_ns,
                                                   .retry_after_ns = rate->period_ns};
        return true;
    }
    return false;
}

enum limit_fate limit_shared_ask(struct limit_shared *shared, struct net_loop *loop,
                                 struct limit_question *question)
{
    PC_ASSERT(question->count > 0 && question->count <= LIMIT_ASKS_MAX);
    PC_ASSERT(net_loop_is_current(loop) && question->sharing.mode != LIMIT_LOCAL);
    question->node = shared->nodes[net_loop_index(loop)];
    question->told = false;
    if (is_denied_anyway(question))
        question->fate = limit_question_decided(question);
    if (question->told)
        return question->fate;
    for (size_t i = 0; i < question->count; i++) {
        question->parts[i] = limit_part_of(&question->asks[i].rate);
        limit_part_name(&question->parts[i], question->asks[i].name, question->asks[i].key);
    }
    question->fate = question->sharing.mode == LIMIT_LEASED ? limit_question_leased(question)
                                                            : limit_question_exact(question);
    return question->fate;
}

/* ---- is Redis there? ---------------------------------------------------------------------------
 */

static void set_connected(struct limit_node *node, bool connected)
{
    struct limit_shared *shared = node->shared;

    if (node->connected == connected)
        return;
    node->connected = connected;
    if (connected)
        atomic_fetch_add(&shared->connected, 1);
    else
        atomic_fetch_sub(&shared->connected, 1);
    metric_move(shared->connections, connected ? 1 : -1);
}

/* One line for the node, whichever of its loops sees it first, and one when all are back. */
static void on_down(struct limit_redis *redis, struct span why)
{
    struct limit_node *node = PC_CONTAINER(redis, struct limit_node, redis);
    struct limit_shared *shared = node->shared;

    set_connected(node, false);
    if (node->told_away)
        return;
    node->told_away = true;
    if (atomic_fetch_add(&shared->away, 1) == 0)
        log_warn(shared->options.logger, "limits_shared_away", LOG_TEXT("reason", why));
}

static void on_up(struct limit_redis *redis)
{
    struct limit_node *node = PC_CONTAINER(redis, struct limit_node, redis);
    struct limit_shared *shared = node->shared;

    set_connected(node, true);
    if (!node->told_away)
        return;
    node->told_away = false;
    if (atomic_fetch_sub(&shared->away, 1) == 1)
        log_info(shared->options.logger, "limits_shared_back");
}

static void on_where(struct limit_redis *redis, struct sockaddr_storage *ret_address,
                     socklen_t *ret_bytes)
{
    struct limit_shared *shared = PC_CONTAINER(redis, struct limit_node, redis)->shared;

    PC_ASSERT(pthread_mutex_lock(&shared->place_lock) == 0);
    *ret_address = shared->options.redis.address;
    *ret_bytes = shared->options.redis.address_bytes;
    PC_ASSERT(pthread_mutex_unlock(&shared->place_lock) == 0);
}

void limit_shared_move(struct limit_shared *shared, const struct sockaddr *address,
                       socklen_t address_bytes)
{
    struct limit_redis_options *redis = &shared->options.redis;

    PC_ASSERT(address_bytes <= sizeof(redis->address));
    PC_ASSERT(pthread_mutex_lock(&shared->place_lock) == 0);
    memset(&redis->address, 0, sizeof(redis->address));
    memcpy(&redis->address, address, address_bytes);
    redis->address_bytes = address_bytes;
    PC_ASSERT(pthread_mutex_unlock(&shared->place_lock) == 0);
}

void limit_shared_look(struct limit_shared *shared, struct limit_shared_state *ret)
{
    *ret = (struct limit_shared_state){.loops = atomic_load(&shared->loops),
                                       .connected = atomic_load(&shared->connected),
                                       .admitted = atomic_load(&shared->counts[ADMITTED]),
                                       .refused = atomic_load(&shared->counts[REFUSED]),
                                       .away = atomic_load(&shared->counts[AWAY]),
                                       .busy = atomic_load(&shared->counts[BUSY])};
}

/* ---- beginning and end -------------------------------------------------------------------------
 */

static enum err start_metrics(struct limit_shared *shared)
{
    static const struct metric_def outcomes_def = {
        .name = "limits_shared_answers_total",
        .help = "Requests that drew from limits shared with other nodes.",
        .kind = METRIC_COUNTER,
        .labels = {"outcome"}};
    static const struct metric_def connected_def = {
        .name = "limits_shared_connections",
        .help = "Loop threads whose connection to Redis is ready.",
        .kind = METRIC_GAUGE};
    static const struct span names[OUTCOMES] = {[ADMITTED] = SPAN("admitted"),
                                                [REFUSED] = SPAN("refused"),
                                                [AWAY] = SPAN("away"),
                                                [BUSY] = SPAN("busy")};
    struct metrics *metrics = shared->options.metrics;
    struct metric *outcomes = NULL;
    struct metric *connected = NULL;
    enum err err = metric_register(metrics, &outcomes_def, &outcomes);

    if (!err)
        err = metric_register(metrics, &connected_def, &connected);
    if (err || metrics == NULL)
        return err;
    for (size_t i = 0; i < OUTCOMES; i++)
        shared->outcomes[i] = metric_series(outcomes, &names[i], 1);
    shared->connections = metric_only(connected);
    return ERR_OK;
}

static enum err make_nodes(struct limit_shared *shared)
{
    for (size_t i = 0; i < shared->options.loops; i++) {
        struct limit_node *node = alloc_zero(sizeof(*node));

        if (node == NULL)
            return ERR_NO_MEMORY;
        node->shared = shared;
        node->redis.where = on_where;
        node->redis.up = on_up;
        node->redis.down = on_down;
        shared->nodes[i] = node;
    }
    return ERR_OK;
}

enum err limit_shared_new(const struct limit_shared_options *options,
                          struct limit_shared **ret_shared)
{
    struct limit_shared *shared = alloc_zero(sizeof(*shared));
    enum err err;

    PC_ASSERT(options->nodes > 0 && options->nodes <= LIMIT_NODES_MAX);
    PC_ASSERT(options->loops > 0 && options->loops <= LIMIT_LOOPS_MAX);
    if (shared == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&shared->place_lock, NULL) == 0);
    shared->options = *options;
    err = limit_table_new(options->slots, options->random, &shared->shares);
    if (!err)
        err = make_nodes(shared);
    if (!err)
        err = start_metrics(shared);
    if (err) {
        limit_shared_free(shared);
        return err;
    }
    *ret_shared = shared;
    return ERR_OK;
}

void limit_shared_free(struct limit_shared *shared)
{
    if (shared == NULL)
        return;
    for (size_t i = 0; i < LIMIT_LOOPS_MAX; i++) {
        if (shared->nodes[i] != NULL)
            limit_leases_free(&shared->nodes[i]->leases);
        alloc_free(shared->nodes[i]);
    }
    limit_table_free(shared->shares);
    PC_ASSERT(pthread_mutex_destroy(&shared->place_lock) == 0);
    alloc_free(shared);
}

static void on_sweep(struct net_timer *timer)
{
    struct limit_node *node = PC_CONTAINER(timer, struct limit_node, sweep);

    limit_leases_sweep(node);
    net_timer_start(node->redis.loop, &node->sweep, LIMIT_SWEEP_MS, on_sweep);
}

void limit_shared_loop_start(struct limit_shared *shared, struct net_loop *loop)
{
    struct limit_node *node = shared->nodes[net_loop_index(loop)];

    PC_ASSERT(net_loop_index(loop) < shared->options.loops);
    atomic_fetch_add(&shared->loops, 1);
    limit_redis_start(&node->redis, &shared->options.redis, loop);
    net_timer_start(loop, &node->sweep, LIMIT_SWEEP_MS, on_sweep);
}

void limit_shared_loop_stop(struct limit_shared *shared, struct net_loop *loop)
{
    struct limit_node *node = shared->nodes[net_loop_index(loop)];

    net_timer_stop(&node->sweep);
    limit_redis_stop(&node->redis);
    set_connected(node, false);
}

int32_t limit_node_lease(const struct limit_node *node, uint32_t burst)
{
    const struct limit_shared_options *options = &node->shared->options;

    return limit_lease_size(burst, options->lease_percent, options->loops);
}
