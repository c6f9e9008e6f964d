/* SPDX-License-Identifier: MIT
 * What the program itself tells the trail: that it started and with which settings, that these were
 * changed or could not be, that it stopped, that it made a key or brought the store to its schema.
 * A start that cannot be written down is none, and neither is a reload. */
#include "app/serve_events.h"

#include <stdio.h>
#include <unistd.h>

#include "app/serve_priv.h"
#include "base/alloc.h"
#include "trail/trail_catalogue.h"

enum {
    HOST_BYTES = 256,
    NAMES_BYTES = TRAIL_TEXT_BYTES_MAX,
    NUMBER_BYTES = 24,
    MIGRATIONS_MAX = 1000
};

/* "program:gateway-1" */
static struct span program_name(char text[HOST_BYTES])
{
    char host[HOST_BYTES - 16] = "";
    struct sbuf out = sbuf_over(text, HOST_BYTES);

    (void)gethostname(host, sizeof(host) - 1);
    sbuf_add_format(&out, "program:%s", host);
    return sbuf_span(&out);
}

static struct span number_text(char text[NUMBER_BYTES], int64_t number)
{
    struct sbuf out = sbuf_over(text, NUMBER_BYTES);

    sbuf_add_i64(&out, number);
    return sbuf_span(&out);
}

/* Records that belong into one commit. */
struct telling {
    const struct trail_record *records;
    size_t count;
};

static enum err tell_run(struct store_conn *conn, struct store_job *job)
{
    const struct telling *telling = job->context;
    enum err err = ERR_OK;

    for (size_t i = 0; i < telling->count && !err; i++)
        err = trail_add(conn, &telling->records[i]);
    return err;
}

static enum err tell(struct store *store, const struct trail_record *records, size_t count,
                     struct serve_fault *fault)
{
    struct telling telling = {.records = records, .count = count};
    enum err err = store_do(store, tell_run, &telling, true);

    return err ? serve_fail(fault, err, "the trail cannot be written: %s", err_sentence(err))
               : ERR_OK;
}

static struct trail_record record_of(enum trail_event event, const struct clock *clock)
{
    return (struct trail_record){.event = event,
                                 .outcome = TRAIL_DONE,
                                 .at_ns = clock_realtime_ns(clock),
                                 .actor_kind = TRAIL_ACTOR_SYSTEM,
                                 .actor = SPAN("system")};
}

static void add_detail(struct trail_record *record, const char *name, struct span value)
{
    size_t at = 0;

    while (at < TRAIL_DETAILS_MAX && record->details[at].name != NULL)
        at++;
    PC_ASSERT(at < TRAIL_DETAILS_MAX);
    if (value.len > 0)
        record->details[at] = (struct trail_detail){.name = name, .value = value};
}

/* ---- what the catalogue does not know ---------------------------------------------------------
 */

static void misfit(void *context, enum trail_event event, struct span why)
{
    const struct serve *serve = context;

    log_error(serve->logger, "event_misfit", LOG_STRING("trail_event", trail_event_name(event)),
              LOG_TEXT("why", why));
}

static int64_t count_misfits(void *context)
{
    (void)context;
    return (int64_t)trail_misfits();
}

enum err serve_event_watch(struct serve *serve)
{
    static const struct metric_def def = {
        .name = "trail_misfits_total",
        .help = "Events that were not as the catalogue says; written all the same.",
        .kind = METRIC_COUNTER};
    struct metric *metric;
    enum err err = metric_register(serve->metrics, &def, &metric);

    if (err)
        return err;
    metric_callback(metric_only(metric), count_misfits, NULL);
    trail_misfits_tell(serve->is_lenient ? misfit : trail_misfit_ends, serve);
    return ERR_OK;
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

/* "gateway auth" */
static struct span services_of(const struct serve *serve, char text[NAMES_BYTES])
{
    struct sbuf out = sbuf_over(text, NAMES_BYTES);

    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        if (serve_serves(serve, i))
            sbuf_add_format(&out, "%s%s", out.len > 0 ? " " : "", config_service_name(i));
    }
    return sbuf_span(&out);
}

static int64_t newest_migration(void)
{
    const struct store_migration *list;
    size_t count;

    store_migrations(&list, &count);
    return count > 0 ? list[count - 1].number : 0;
}

enum err serve_event_started(struct serve *serve, const struct config_origins *origins,
                             struct serve_fault *fault)
{
    struct trail_record records[] = {record_of(TRAIL_CONFIG_LOADED, serve->clock),
                                     record_of(TRAIL_PROGRAM_STARTED, serve->clock)};
    char host[HOST_BYTES], services[NAMES_BYTES], given[NAMES_BYTES], schema[NUMBER_BYTES];
    char hash[CONFIG_HASH_BYTES];
    struct sbuf names = sbuf_over(given, sizeof(given));
    enum err err;

    config_hash(serve->config, hash);
    if (origins != NULL)
        config_given(origins, &names);
    records[0].object = records[1].object = program_name(host);
    records[0].reason = SPAN_OF("start");
    add_detail(&records[0], "config", span_make(hash, sizeof(hash)));
    add_detail(&records[0], "changed", sbuf_span(&names));
    add_detail(&records[1], "version", span_from(serve->version));
    add_detail(&records[1], "services", services_of(serve, services));
    add_detail(&records[1], "config", span_make(hash, sizeof(hash)));
    add_detail(&records[1], "schema", number_text(schema, newest_migration()));
    err = tell(serve->store, records, PC_COUNT(records), fault);
    if (err)
        return err;
    serve->started_ns = clock_monotonic_ns(serve->clock);
    serve->is_started = true;
    return ERR_OK;
}

void serve_event_stopped(struct serve *serve, bool drained, int64_t drain_ns)
{
    struct trail_record record = record_of(TRAIL_PROGRAM_STOPPED, serve->clock);
    int64_t ran_ns = clock_monotonic_ns(serve->clock) - serve->started_ns;
    char host[HOST_BYTES], drain[NUMBER_BYTES], ran[NUMBER_BYTES];
    enum err err;

    if (!serve->is_started)
        return;
    record.object = program_name(host);
    add_detail(&record, "drained", drained ? SPAN_OF("yes") : SPAN_OF("no"));
    add_detail(&record, "drain_ms", number_text(drain, drain_ns / CLOCK_NS_PER_MS));
    add_detail(&record, "ran_s", number_text(ran, ran_ns / CLOCK_NS_PER_S));
    err = tell(serve->store, &record, 1, NULL);
    if (err)
        log_error(serve->logger, "stop_not_recorded", LOG_ERR("error", err));
}

/* ---- settings ---------------------------------------------------------------------------------
 */

enum err serve_event_reloaded(struct serve *serve, const struct config *wanted,
                              struct serve_fault *fault)
{
    struct trail_record record = record_of(TRAIL_CONFIG_LOADED, serve->clock);
    char host[HOST_BYTES], taken[NAMES_BYTES], later[NAMES_BYTES], hash[CONFIG_HASH_BYTES];
    struct sbuf changed = sbuf_over(taken, sizeof(taken));
    struct sbuf waiting = sbuf_over(later, sizeof(later));

    config_hash(wanted, hash);
    config_changed(serve->settled, wanted, CONFIG_CHANGED_LIVE, &changed);
    config_changed(serve->config, wanted, CONFIG_CHANGED_WAITING, &waiting);
    record.object = program_name(host);
    record.reason = SPAN_OF("reload");
    add_detail(&record, "config", span_make(hash, sizeof(hash)));
    add_detail(&record, "changed", sbuf_span(&changed));
    add_detail(&record, "waiting", sbuf_span(&waiting));
    return tell(serve->store, &record, 1, fault);
}

void serve_event_not_reloaded(struct serve *serve, const struct config *wanted, struct span why)
{
    struct trail_record record = record_of(TRAIL_CONFIG_LOADED, serve->clock);
    char host[HOST_BYTES], hash[CONFIG_HASH_BYTES];
    enum err err;

    record.outcome = TRAIL_REFUSED;
    record.object = program_name(host);
    record.reason = why.len > 0 ? why : SPAN_OF("the settings cannot be read");
    if (wanted != NULL) {
        config_hash(wanted, hash);
        add_detail(&record, "config", span_make(hash, sizeof(hash)));
    }
    err = tell(serve->store, &record, 1, NULL);
    if (err)
        log_error(serve->logger, "reload_not_recorded", LOG_ERR("error", err));
}

enum err serve_event_target(struct serve *serve, struct span upstream, struct span url,
                            bool drained, struct serve_fault *fault)
{
    struct trail_record record = record_of(TRAIL_UPSTREAM_TARGET, serve->clock);
    char text[NAMES_BYTES];
    struct sbuf object = sbuf_over(text, sizeof(text));

    sbuf_add_lit(&object, "target:");
    sbuf_add(&object, url);
    record.object = sbuf_span(&object);
    record.reason = drained ? SPAN_OF("drained") : SPAN_OF("undrained");
    add_detail(&record, "upstream", upstream);
    return tell(serve->store, &record, 1, fault);
}

/* ---- what is made -----------------------------------------------------------------------------
 */

/* Before the key is: one that is told of and was not made is tried again, and told of again. */
enum err serve_event_key(struct serve *serve, struct span object, const char *alg,
                         struct serve_fault *fault)
{
    struct trail_record record = record_of(TRAIL_KEY_CREATED, serve->clock);

    record.object = object;
    record.reason = SPAN_OF("first start");
    add_detail(&record, "alg", span_from(alg));
    return tell(serve->store, &record, 1, fault);
}

static enum err migrated_to(struct store *store, int64_t *ret_number, struct store_fault *reterr)
{
    const struct store_migration *list;
    int64_t applied_at[MIGRATIONS_MAX] = {0};
    size_t count;
    enum err err;

    store_migrations(&list, &count);
    PC_ASSERT(count <= MIGRATIONS_MAX);
    *ret_number = 0;
    err = store_migrate_status(store, list, count, applied_at, reterr);
    for (size_t i = 0; i < count && !err; i++) {
        if (applied_at[i] != 0)
            *ret_number = list[i].number;
    }
    return err;
}

enum err serve_store_migrate(struct store *store, const struct clock *clock, const char *reason,
                             struct store_fault *reterr)
{
    struct trail_record record = record_of(TRAIL_SCHEMA_MIGRATED, clock);
    char from[NUMBER_BYTES], to[NUMBER_BYTES];
    const struct store_migration *list;
    struct serve_fault fault;
    int64_t was;
    size_t count;
    enum err err = migrated_to(store, &was, reterr);

    store_migrations(&list, &count);
    if (!err)
        err = store_migrate(store, list, count, reterr);
    if (err || was == newest_migration())
        return err;
    record.object = SPAN_OF("schema");
    record.reason = span_from(reason);
    add_detail(&record, "from", number_text(from, was));
    add_detail(&record, "to", number_text(to, newest_migration()));
    err = tell(store, &record, 1, &fault);
    if (err && reterr != NULL)
        (void)snprintf(reterr->text, sizeof(reterr->text), "%.*s", STORE_FAULT_BYTES - 1,
                       fault.text);
    return err;
}
