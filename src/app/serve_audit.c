/* SPDX-License-Identifier: MIT
 * The audit log of the running program: where it is, who carries events to it when it has a
 * database of its own, and who looks after it.
 *
 *   one database:  every commit writes its events into the log       store -----> trail_events
 *   two:           ... into the outbox, and the carrier moves them   store -> trail_outbox
 *                                                                       -> carrier -> trail_events
 */
#include "app/serve_priv.h"

#include <semaphore.h>

#include "base/alloc.h"
#include "base/limits.h"
#include "trail/trail.h"
#include "trail/trail_carrier.h"
#include "trail/trail_outbox.h"
#include "trail/trail_pressure.h"
#include "trail/trail_watch.h"

struct serve_trail {
    struct trail_outbox outbox;
    sem_t written;
    struct trail_pressure *pressure;
    struct trail_carrier *carrier;
    struct trail_watch *watch;
};

static bool is_apart(const struct serve *serve)
{
    return serve->config->audit.database.url != NULL;
}

enum err serve_audit_prepare(struct serve *serve)
{
    const struct config *config = serve->config;
    const struct trail_pressure_options options = {
        .clock = serve->clock,
        .logger = serve->logger,
        .apart = is_apart(serve),
        .waiting_max = config->audit.outbox_max,
        .wait_ns_max = (int64_t)config->audit.outbox_wait_s * CLOCK_NS_PER_S};
    struct serve_trail *trail = alloc_zero(sizeof(*trail));

    if (trail == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(sem_init(&trail->written, 0, 0) == 0);
    serve->trail = trail;
    return trail_pressure_new(&options, &trail->pressure);
}

const struct store_seal *serve_audit_seal(struct serve *serve)
{
    struct serve_trail *trail = serve->trail;

    if (!is_apart(serve))
        return &trail_seal;
    trail_outbox_init(&trail->outbox, trail->pressure, &trail->written);
    return &trail->outbox.seal;
}

static enum err open_apart(struct serve *serve, struct serve_fault *fault)
{
    const struct config *config = serve->config;
    const struct store_options options = {.url = span_from(config->audit.database.url),
                                          .data_dir = config->data,
                                          .sslmode = config->audit.database.sslmode,
                                          .clock = serve->clock,
                                          .logger = serve->logger,
                                          .seal = &trail_seal,
                                          .readers = config->workers.readers,
                                          .queue_max = config->workers.store_queue_max,
                                          .clock_skew_ms_max = LIMIT_STORE_SKEW_MS};
    const struct store_migration *list;
    struct store_fault why = {0};
    size_t count;
    enum err err = store_open(&options, &serve->audit_store, &why);

    if (!err) {
        store_migrations(&list, &count);
        err = store_migrate(serve->audit_store, list, count, &why);
    }
    return err ? serve_fail(fault, err, "the audit log: %s", why.text) : ERR_OK;
}

enum err serve_audit_open(struct serve *serve, struct serve_fault *fault)
{
    enum err err = ERR_OK;

    if (is_apart(serve))
        err = open_apart(serve, fault);
    else
        serve->audit_store = serve->store;
    serve->audit.store = serve->audit_store;
    serve->audit.events_per_minute = serve->config->audit.events_per_minute;
    return err;
}

/* What waits in the outbox is carried, also when another setting of before has left it there. */
enum err serve_audit_start(struct serve *serve)
{
    struct serve_trail *trail = serve->trail;
    const struct trail_carrier_options carrier = {.from = serve->store,
                                                  .to = serve->audit_store,
                                                  .pressure =
                                                      is_apart(serve) ? trail->pressure : NULL,
                                                  .logger = serve->logger,
                                                  .written = &trail->written,
                                                  .until_empty = !is_apart(serve)};
    const struct trail_watch_options watch = {.store = serve->store,
                                              .log = serve->audit_store,
                                              .waiting_max = serve->config->audit.outbox_max,
                                              .pressure = trail->pressure};
    enum err err = trail_carrier_start(&carrier, &trail->carrier);

    return err ? err : trail_watch_start(&watch, &trail->watch);
}

/* While the stores are still open. */
void serve_audit_stop(struct serve *serve)
{
    struct serve_trail *trail = serve->trail;

    if (trail == NULL)
        return;
    trail_carrier_stop(trail->carrier);
    trail_watch_stop(trail->watch);
    trail->carrier = NULL;
    trail->watch = NULL;
}

void serve_audit_close(struct serve *serve)
{
    if (serve->audit_store != serve->store)
        store_close(serve->audit_store);
    serve->audit_store = NULL;
}

/* After the stores are closed and nobody reads metrics any more. */
void serve_audit_free(struct serve *serve)
{
    struct serve_trail *trail = serve->trail;

    if (trail == NULL)
        return;
    trail_pressure_free(trail->pressure);
    (void)sem_destroy(&trail->written);
    alloc_free(trail);
    serve->trail = NULL;
}

/* ---- what monitoring reads ---- */

static struct span keeper_word(const struct serve *serve, const struct trail_keeper_state *state)
{
    if (state->refused)
        return SPAN_OF("forked");
    if (state->signs)
        return SPAN_OF("running");
    return trail_keeper_key(serve->audit.keeper).len == 0 ? SPAN_OF("without_key")
                                                          : SPAN_OF("stopped");
}

static void look_at_keeper(const struct serve *serve, struct monitor_audit *audit)
{
    struct trail_keeper_state state = {0};

    if (serve->audit.keeper == NULL)
        return;
    trail_keeper_state(serve->audit.keeper, &state);
    audit->has_tree = true;
    audit->tree_size = (int64_t)state.size;
    audit->signed_size = (int64_t)state.signed_size;
    audit->lag_ms = state.lag_ns / CLOCK_NS_PER_MS;
    audit->keeper = keeper_word(serve, &state);
}

void serve_audit_look(void *context, struct monitor_report *report)
{
    const struct serve *serve = context;
    struct trail_pressure_state state = {0};

    look_at_keeper(serve, &report->audit);
    trail_pressure_read(serve->trail->pressure, &state);
    report->audit.pressure = state.err == ERR_OK ? SPAN_OF("none") : span_from(err_slug(state.err));
    report->audit.has_pressure_at = state.err != ERR_OK;
    report->audit.pressure_at = state.since_ns;
    report->audit.has_outbox = is_apart(serve);
    report->audit.outbox = (int64_t)state.waiting;
    report->audit.outbox_ms = state.lag_ns / CLOCK_NS_PER_MS;
}

static struct trail_pressure_state state_of(void *context)
{
    struct trail_pressure_state state = {0};

    trail_pressure_read(context, &state);
    return state;
}

static int64_t read_waiting(void *context)
{
    return (int64_t)state_of(context).waiting;
}

static int64_t read_lag(void *context)
{
    return state_of(context).lag_ns / CLOCK_NS_PER_S;
}

static int64_t read_pressure(void *context)
{
    return state_of(context).err != ERR_OK;
}

static int64_t read_refusing(void *context)
{
    return state_of(context).refusing;
}

static int64_t read_refused(void *context)
{
    return (int64_t)state_of(context).refused;
}

static int64_t read_total(void *context)
{
    return state_of(context).total_ns / CLOCK_NS_PER_S;
}

static int64_t read_ahead(void *context)
{
    return state_of(context).ahead_ns / CLOCK_NS_PER_S;
}

static const struct {
    struct metric_def def;
    metric_read_fn *read;
} numbers[] = {
    {{.name = "portcullis_audit_outbox_events",
      .help = "Events that wait for the audit log's own database.",
      .kind = METRIC_GAUGE},
     read_waiting},
    {{.name = "portcullis_audit_outbox_oldest_seconds",
      .help = "How long the oldest of them has been waiting.",
      .kind = METRIC_GAUGE},
     read_lag},
    {{.name = "portcullis_audit_lag_seconds",
      .help = "How far the audit log is behind what happened.",
      .kind = METRIC_GAUGE},
     read_lag},
    {{.name = "portcullis_audit_pressure",
      .help = "1 while the audit log does not take events as it should.",
      .kind = METRIC_GAUGE},
     read_pressure},
    {{.name = "portcullis_audit_refusing",
      .help = "1 while writes are refused for it.",
      .kind = METRIC_GAUGE},
     read_refusing},
    {{.name = "portcullis_audit_refused_total",
      .help = "Commits that were refused since the outbox was full or late.",
      .kind = METRIC_COUNTER},
     read_refused},
    {{.name = "portcullis_audit_pressure_seconds_total",
      .help = "How long the audit log did not take events as it should.",
      .kind = METRIC_COUNTER},
     read_total},
    {{.name = "portcullis_audit_ahead_seconds",
      .help = "How far the time of the newest audit event is ahead of this node's clock.",
      .kind = METRIC_GAUGE},
     read_ahead},
};

enum err serve_audit_metrics(struct serve *serve)
{
    struct metric *metric;

    for (size_t i = 0; i < PC_COUNT(numbers); i++) {
        enum err err = metric_register(serve->metrics, &numbers[i].def, &metric);

        if (err)
            return err;
        metric_callback(metric_only(metric), numbers[i].read, serve->trail->pressure);
    }
    return ERR_OK;
}
