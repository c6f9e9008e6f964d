/* SPDX-License-Identifier: MIT
 * Making an upstream: defaults, and where its targets are. */
#include "upstream/upstream.h"

#include "upstream/upstream_pool.h"
#include "upstream/upstream_resolve.h"

#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

enum { INTERIMS_MAX = 8 };

static int64_t or_ms(int64_t value, int64_t fallback)
{
    return value != 0 ? value : fallback;
}

static size_t or_count(size_t value, size_t fallback)
{
    return value != 0 ? value : fallback;
}

static void fill_in(struct upstream_options *options)
{
    if (options->clock == NULL)
        options->clock = &clock_system;
    options->connect_ms = or_ms(options->connect_ms, 2000);
    options->response_ms = or_ms(options->response_ms, 15000);
    options->idle_ms = or_ms(options->idle_ms, 30000);
    options->keep_alive_ms = or_ms(options->keep_alive_ms, 60000);
    options->resolve_ms = or_ms(options->resolve_ms, 30000);
    if (options->look_up == NULL)
        options->look_up = upstream_look_up;
    options->check_timeout_ms = or_ms(options->check_timeout_ms, 1000);
    options->links_max = or_count(options->links_max, 256);
    options->queue_max = or_count(options->queue_max, 256);
    options->head_bytes_max = or_count(options->head_bytes_max, LIMIT_HTTP_HEAD_BYTES_MAX);
    options->headers_max = or_count(options->headers_max, LIMIT_HTTP_HEADERS_MAX);
}

void upstream_times_complete(const struct upstream *upstream, struct upstream_times *times)
{
    const struct upstream_options *options = &upstream->options;

    times->connect_ms = or_ms(times->connect_ms, options->connect_ms);
    times->response_ms = or_ms(times->response_ms, options->response_ms);
    times->idle_ms = or_ms(times->idle_ms, options->idle_ms);
    times->total_ms = or_ms(times->total_ms, options->total_ms);
}

/* ---- places ------------------------------------------------------------------------------------
 */

struct upstream_place upstream_place_now(struct upstream *upstream, size_t target)
{
    struct upstream_place place;

    (void)pthread_mutex_lock(&upstream->places_lock);
    place = upstream->places[target];
    place.version = atomic_load(&upstream->place_versions[target]); /* of this address */
    (void)pthread_mutex_unlock(&upstream->places_lock);
    return place;
}

/* How many places each name gets of those that literal addresses leave. */
static size_t places_of_name(size_t literals, size_t names)
{
    size_t each = names > 0 ? (UPSTREAM_TARGETS_MAX - literals) / names : 1;

    return each < UPSTREAM_ADDRESSES_MAX ? each : UPSTREAM_ADDRESSES_MAX;
}

static void place_targets(struct upstream *upstream)
{
    struct upstream_options *options = &upstream->options;
    bool literal[UPSTREAM_TARGETS_MAX];
    struct upstream_place places[UPSTREAM_TARGETS_MAX];
    size_t literals = 0;
    size_t each;
    size_t slot = 0;

    for (size_t i = 0; i < options->target_count; i++) {
        const struct upstream_target *target = &options->targets[i];

        literal[i] = upstream_is_literal(target->name, target->port, &places[i]);
        literals += literal[i];
    }
    each = places_of_name(literals, options->target_count - literals);
    for (size_t i = 0; i < options->target_count; i++) {
        size_t count = literal[i] ? 1 : each;

        if (literal[i])
            upstream->places[slot] = places[i];
        else
            upstream->names[upstream->name_count++] =
                (struct upstream_name){.first = slot, .count = count};
        for (size_t n = 0; n < count; n++, slot++) {
            upstream->targets[slot] = options->targets[i];
            upstream->targets[slot].number = i;
        }
    }
    options->target_count = slot;
    options->targets = upstream->targets;
}

/* What an operator said of a target by name stays, though nothing else known of its places does. */
static void hold_as_before(struct upstream *upstream, const struct upstream *former, size_t place)
{
    const char *url = upstream->targets[place].url;

    for (size_t i = 0; i < former->options.target_count; i++) {
        struct upstream_target_state state;

        if (strcmp(former->targets[i].url, url) != 0)
            continue;
        state = upstream_target_state(former->picker, i, 0);
        if (state.held)
            upstream_hold(upstream->picker, place, state.drained);
        return; /* all of its places are held alike */
    }
}

static void hold_names(struct upstream *upstream)
{
    const struct upstream *former = upstream->options.former;

    for (size_t i = 0; i < upstream->name_count && former != NULL; i++)
        for (size_t n = 0; n < upstream->names[i].count; n++)
            hold_as_before(upstream, former, upstream->names[i].first + n);
}

static enum err make_picker(struct upstream *upstream)
{
    const struct upstream_options *options = &upstream->options;
    uint32_t weights[UPSTREAM_TARGETS_MAX];
    struct span names[UPSTREAM_TARGETS_MAX];
    uint64_t lasting = UINT64_MAX; /* a place of a name is one address today, another tomorrow */
    enum err err;

    for (size_t i = 0; i < upstream->name_count; i++)
        for (size_t n = 0; n < upstream->names[i].count; n++)
            lasting &= ~(UINT64_C(1) << (upstream->names[i].first + n));

    for (size_t i = 0; i < options->target_count; i++) {
        weights[i] = upstream->targets[i].weight > 0 ? upstream->targets[i].weight : 1;
        names[i] = span_from(upstream->targets[i].url);
    }
    err = upstream_picker_renew(options->former != NULL ? options->former->picker : NULL,
                                options->balance, weights, names, options->target_count,
                                &options->health, lasting, &upstream->picker);
    if (err == ERR_OK)
        hold_names(upstream);
    for (size_t i = 0; i < options->target_count && err == ERR_OK; i++)
        upstream_drain_as_set(upstream->picker, i, upstream->targets[i].drained);
    for (size_t i = 0; i < upstream->name_count && err == ERR_OK; i++)
        upstream_group(upstream->picker, upstream->names[i].first, upstream->names[i].count);
    return err;
}

/* ---- what is counted ---------------------------------------------------------------------------
 */

static const struct metric_def attempts_def = {
    .name = "upstream_attempts_total",
    .help = "Requests sent to a target, or tried to: well, failed, or neither (neutral).",
    .kind = METRIC_COUNTER,
    .labels = {"upstream", "target", "outcome"}};
static const struct metric_def well_def = {
    .name = "upstream_target_well",
    .help = "1 when a target is asked, 0 when it is down, ejected or drained.",
    .kind = METRIC_GAUGE,
    .labels = {"upstream", "target"}};

static const struct metric_def addresses_def = {.name = "upstream_target_addresses",
                                                .help =
                                                    "Addresses of a target's name that are asked.",
                                                .kind = METRIC_GAUGE,
                                                .labels = {"upstream", "target"}};
static const struct metric_def lookups_def = {
    .name = "upstream_lookups_total",
    .help = "Names of targets that were looked up: well, or failed.",
    .kind = METRIC_COUNTER,
    .labels = {"upstream", "target", "outcome"}};

/* How many of a target's places are well, or have an address. */
static int64_t count_places(const struct upstream_counts *counts, bool all)
{
    const struct upstream *upstream = counts->upstream;
    int64_t now_ns = clock_monotonic_ns(upstream->options.clock);
    int64_t count = 0;

    for (size_t i = 0; i < counts->places; i++) {
        struct upstream_target_state state =
            upstream_target_state(upstream->picker, counts->target + i, now_ns);

        count += !state.absent && (all || (!state.down && !state.ejected && !state.drained));
    }
    return count;
}

static int64_t read_addresses(void *context)
{
    return count_places(context, true);
}

/* A name is well as long as one of its addresses is. */
static int64_t read_well(void *context)
{
    return count_places(context, false) > 0;
}

static enum err count_names(struct upstream *upstream)
{
    const struct upstream_options *options = &upstream->options;
    struct metric *addresses, *lookups;
    enum err err = metric_register(options->metrics, &addresses_def, &addresses);

    if (err == ERR_OK)
        err = metric_register(options->metrics, &lookups_def, &lookups);
    for (size_t i = 0; i < upstream->name_count && err == ERR_OK; i++) {
        struct upstream_name *name = &upstream->names[i];
        struct upstream_counts *counts = &upstream->counts[name->first];
        struct span labels[] = {span_from(options->name),
                                span_from(upstream->targets[name->first].url), SPAN("well")};

        counts->places = name->count;
        counts->addresses = metric_series(addresses, labels, 2);
        name->lookups[0] = metric_series(lookups, labels, 3);
        labels[2] = SPAN_OF("failed");
        name->lookups[1] = metric_series(lookups, labels, 3);
        for (size_t n = 1; n < name->count; n++)
            upstream->counts[name->first + n].places = 0;
    }
    return err;
}

static enum err count_targets(struct upstream *upstream)
{
    static const char *const outcomes[UPSTREAM_OUTCOMES] = {
        [UPSTREAM_NEUTRAL] = "neutral", [UPSTREAM_WELL] = "well", [UPSTREAM_FAILED] = "failed"};
    const struct upstream_options *options = &upstream->options;
    struct metric *attempts, *well;
    enum err err = metric_register(options->metrics, &attempts_def, &attempts);

    if (err == ERR_OK)
        err = metric_register(options->metrics, &well_def, &well);
    for (size_t i = 0; i < options->target_count && err == ERR_OK; i++) {
        struct upstream_counts *counts = &upstream->counts[i];
        struct span labels[] = {span_from(options->name), span_from(upstream->targets[i].url), {0}};

        for (size_t j = 0; j < UPSTREAM_OUTCOMES; j++) {
            labels[2] = span_from(outcomes[j]);
            counts->attempts[j] = metric_series(attempts, labels, 3);
        }
        if (counts->places == 0) /* one of a name's, which tells for all of them */
            continue;
        counts->well = metric_series(well, labels, 2);
    }
    return err;
}

/* They are printed while an upstream has them, so one that goes takes them away. */
static void each_series(const struct upstream *upstream, void (*what)(struct metric_series *))
{
    for (size_t i = 0; i < upstream->options.target_count; i++) {
        const struct upstream_counts *counts = &upstream->counts[i];

        for (size_t j = 0; j < UPSTREAM_OUTCOMES; j++)
            what(counts->attempts[j]);
        what(counts->well);
        what(counts->addresses);
    }
    for (size_t i = 0; i < upstream->name_count; i++)
        for (size_t j = 0; j < PC_COUNT(upstream->names[i].lookups); j++)
            what(upstream->names[i].lookups[j]);
}

static enum err count(struct upstream *upstream)
{
    enum err err;

    for (size_t i = 0; i < upstream->options.target_count; i++)
        upstream->counts[i] =
            (struct upstream_counts){.upstream = upstream, .target = i, .places = 1};
    err = count_names(upstream);
    if (!err)
        err = count_targets(upstream);
    each_series(upstream, metric_hold);
    upstream->is_counted = true;
    return err;
}

static enum err fill(struct upstream *upstream)
{
    struct upstream_options *options = &upstream->options;
    enum err err = ERR_OK;

    if (options->tls != NULL)
        err = upstream_tls_new(options->tls, options->target_count, &upstream->tls);
    options->tls = NULL; /* they are ours now */
    if (err)
        return err;
    place_targets(upstream);
    err = make_picker(upstream);
    if (err == ERR_OK)
        err = upstream_line_join(upstream, upstream->options.former);
    if (err == ERR_OK)
        err = count(upstream);
    if (err == ERR_OK)
        upstream_resolve_first(upstream);
    return err;
}

void upstream_show(struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->options.target_count; i++) {
        struct upstream_counts *counts = &upstream->counts[i];

        if (counts->places == 0)
            continue;
        metric_callback(counts->well, read_well, counts);
        metric_callback(counts->addresses, read_addresses, counts);
    }
}

enum err upstream_new(const struct upstream_options *options, struct arena *arena,
                      struct upstream **ret_upstream, const char **reterr_why)
{
    struct upstream *upstream = alloc_zero(sizeof(*upstream));
    enum err err;

    (void)arena;
    *reterr_why = NULL;
    if (upstream == NULL)
        return ERR_NO_MEMORY;
    (void)pthread_mutex_init(&upstream->places_lock, NULL);
    PC_ASSERT(options->target_count > 0 && options->target_count <= UPSTREAM_TARGETS_MAX);
    upstream->options = *options;
    fill_in(&upstream->options);
    upstream_times_complete(upstream, &upstream->times);
    upstream->limits =
        (struct net_answer_limits){.head_bytes_max = upstream->options.head_bytes_max,
                                   .headers_max = upstream->options.headers_max,
                                   .interims_max = INTERIMS_MAX};
    err = fill(upstream);
    if (err) {
        upstream_free(upstream);
        return err;
    }
    if (options->former == NULL)
        upstream_show(upstream);
    upstream->options.former = NULL;
    *ret_upstream = upstream;
    return ERR_OK;
}

void upstream_free(struct upstream *upstream)
{
    if (upstream == NULL)
        return;
    for (size_t i = 0; i < upstream->options.target_count; i++) {
        metric_callback_end(upstream->counts[i].well, &upstream->counts[i]);
        metric_callback_end(upstream->counts[i].addresses, &upstream->counts[i]);
    }
    if (upstream->is_counted)
        each_series(upstream, metric_let_go);
    for (size_t i = 0; i < UPSTREAM_LOOPS_MAX; i++)
        upstream_pool_free(upstream->pools[i]);
    upstream_picker_free(upstream->picker);
    upstream_line_leave(upstream);
    upstream_tls_free(upstream->tls);
    alloc_free(upstream->checks);
    (void)pthread_mutex_destroy(&upstream->places_lock);
    alloc_free(upstream);
}

const char *upstream_name(const struct upstream *upstream)
{
    return upstream->options.name;
}

size_t upstream_targets(const struct upstream *upstream)
{
    return upstream->options.target_count;
}

const struct upstream_target *upstream_target(const struct upstream *upstream, size_t index)
{
    PC_ASSERT(index < upstream->options.target_count);
    return &upstream->targets[index];
}

struct upstream_picker *upstream_picker(struct upstream *upstream)
{
    return upstream->picker;
}

void upstream_hold_target(struct upstream *upstream, size_t index, bool drained)
{
    size_t number = upstream_target(upstream, index)->number;

    for (size_t i = 0; i < upstream->options.target_count; i++)
        if (upstream->targets[i].number == number)
            upstream_hold(upstream->picker, i, drained);
}
