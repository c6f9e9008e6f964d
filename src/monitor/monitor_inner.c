/* SPDX-License-Identifier: MIT
 * Alerts in memory. An entry lives from the first look that found its cause until its end is
 * stored; when there are more than can be kept, new ones wait until a place is free. */
#include "monitor/monitor_inner.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "monitor/monitor_webhook.h"

enum { TEXT_BYTES = 4096, GONE_LOOKS = 2 };

/* Its texts lie one behind the other in `text`. */
struct entry {
    struct monitor_told told; /* firing: its cause is there, and was found often enough */
    int64_t row;              /* 0: the store has none */
    int64_t told_at;          /* when the store was last told; 0: never */
    unsigned found, missed;   /* looks in a row */
    bool begun;               /* it was firing at least once */
    bool seen;                /* by the look under way */
    bool end_told;
    char text[TEXT_BYTES];
};

struct monitor_inner {
    pthread_mutex_t lock;
    struct logger *logger;
    struct metric_series *gauges[2]; /* [critical] */
    struct entry *entries[MONITOR_INNER_MAX];
    size_t count;
};

static const struct metric_def firing_def = {
    .name = "monitoring_inner_alerts_firing",
    .help = "Alerts that this node raised itself and that are firing.",
    .kind = METRIC_GAUGE,
    .labels = {"severity"}};

enum err monitor_inner_new(struct logger *logger, struct metrics *metrics,
                           struct monitor_inner **ret_inner)
{
    static const struct span severities[] = {SPAN("warning"), SPAN("critical")};
    struct monitor_inner *inner;
    struct metric *metric;
    enum err err = metric_register(metrics, &firing_def, &metric);

    if (err)
        return err;
    inner = alloc_zero(sizeof(*inner));
    if (inner == NULL)
        return ERR_NO_MEMORY;
    PC_ASSERT(pthread_mutex_init(&inner->lock, NULL) == 0);
    inner->logger = logger;
    for (size_t i = 0; i < PC_COUNT(severities); i++)
        inner->gauges[i] = metric_series(metric, &severities[i], 1);
    *ret_inner = inner;
    return ERR_OK;
}

void monitor_inner_free(struct monitor_inner *inner)
{
    if (inner == NULL)
        return;
    for (size_t i = 0; i < inner->count; i++)
        alloc_free(inner->entries[i]);
    (void)pthread_mutex_destroy(&inner->lock);
    alloc_free(inner);
}

static void lock(struct monitor_inner *inner)
{
    PC_ASSERT(pthread_mutex_lock(&inner->lock) == 0);
}

static void unlock(struct monitor_inner *inner)
{
    PC_ASSERT(pthread_mutex_unlock(&inner->lock) == 0);
}

/* ---- entries ----------------------------------------------------------------------------------
 */

/* The texts, moved into `room`. False: they do not fit. */
static bool keep_texts(struct monitor_told *told, char *room, size_t bytes)
{
    struct span *const texts[] = {&told->fingerprint, &told->name,        &told->severity,
                                  &told->labels,      &told->annotations, &told->source};
    struct sbuf out = sbuf_over(room, bytes);

    for (size_t i = 0; i < PC_COUNT(texts); i++) {
        size_t at = out.len;

        sbuf_add(&out, *texts[i]);
        *texts[i] = span_make(room + at, texts[i]->len);
    }
    return !out.full;
}

/* The one of this fingerprint that is not over. */
static struct entry *find(struct monitor_inner *inner, struct span fingerprint)
{
    for (size_t i = 0; i < inner->count; i++) {
        struct entry *entry = inner->entries[i];

        if ((entry->told.firing || !entry->begun) &&
            span_equal(entry->told.fingerprint, fingerprint))
            return entry;
    }
    return NULL;
}

/* NULL: there is no place or no memory; a later look tries again. */
static struct entry *add(struct monitor_inner *inner, const struct monitor_told *told)
{
    struct entry *entry;

    if (inner->count == MONITOR_INNER_MAX)
        return NULL;
    entry = alloc_zero(sizeof(*entry));
    if (entry == NULL)
        return NULL;
    entry->told = *told;
    if (!keep_texts(&entry->told, entry->text, sizeof(entry->text))) {
        alloc_free(entry);
        return NULL;
    }
    inner->entries[inner->count++] = entry;
    return entry;
}

/* The order stays: the oldest first. */
static void drop(struct monitor_inner *inner, size_t at)
{
    alloc_free(inner->entries[at]);
    inner->count--;
    memmove(&inner->entries[at], &inner->entries[at + 1],
            (inner->count - at) * sizeof(struct entry *));
}

/* ---- looking ----------------------------------------------------------------------------------
 */

static enum err told_of(const struct monitor_finding *finding, struct arena *arena, int64_t now_ns,
                        struct monitor_told *ret_told)
{
    struct monitor_labels labels = {.count = 0}, annotations = {.count = 0};

    *ret_told = (struct monitor_told){.source = SPAN_OF("portcullis"), .starts_at_ns = now_ns};
    monitor_labels_add(&labels, "alertname", span_from(finding->name));
    monitor_labels_add(&labels, "severity", span_from(finding->severity));
    monitor_labels_add(&labels, "node", finding->node);
    if (finding->label != NULL)
        monitor_labels_add(&labels, finding->label, finding->value);
    monitor_labels_add(&annotations, "summary", finding->summary);
    return monitor_told_fill(ret_told, &labels, &annotations, arena);
}

static void log_step(struct monitor_inner *inner, const struct entry *entry, const char *event)
{
    log_warn(inner->logger, event, LOG_TEXT("name", entry->told.name),
             LOG_TEXT("severity", entry->told.severity),
             LOG_TEXT("fingerprint", entry->told.fingerprint));
}

static void found(struct monitor_inner *inner, const struct monitor_told *told, unsigned looks)
{
    struct entry *entry = find(inner, told->fingerprint);

    if (entry == NULL)
        entry = add(inner, told);
    if (entry == NULL)
        return;
    entry->seen = true;
    entry->missed = 0;
    entry->found++;
    if (entry->told.firing || entry->found < looks)
        return;
    entry->told.firing = entry->begun = true;
    log_step(inner, entry, "alert_fired");
}

static void missed(struct monitor_inner *inner, struct entry *entry, int64_t now_ns)
{
    entry->found = 0;
    entry->missed++;
    if (!entry->told.firing || entry->missed < GONE_LOOKS)
        return;
    entry->told.firing = false;
    entry->told.ends_at_ns = now_ns;
    log_step(inner, entry, "alert_resolved");
}

static bool is_done(const struct entry *entry)
{
    return entry->begun ? !entry->told.firing && entry->end_told : entry->found == 0;
}

/* Not found: that says something only if it could have been. */
static bool is_gone(const struct entry *entry, const struct monitor_findings *findings)
{
    return !entry->seen &&
           (findings->knows_nodes || !span_is(entry->told.name, MONITOR_ALERT_MISSING));
}

static void look_at_missed(struct monitor_inner *inner, const struct monitor_findings *findings,
                           int64_t now_ns)
{
    for (size_t i = inner->count; i-- > 0;) {
        if (is_gone(inner->entries[i], findings))
            missed(inner, inner->entries[i], now_ns);
        inner->entries[i]->seen = false;
        if (is_done(inner->entries[i]))
            drop(inner, i);
    }
}

static void tally(const struct monitor_inner *inner, size_t *ret_firing, size_t *ret_critical)
{
    *ret_firing = *ret_critical = 0;
    for (size_t i = 0; i < inner->count; i++) {
        if (!inner->entries[i]->told.firing)
            continue;
        ++*ret_firing;
        *ret_critical += span_is(inner->entries[i]->told.severity, "critical");
    }
}

enum err monitor_inner_look(struct monitor_inner *inner, const struct monitor_findings *findings,
                            int64_t now_ns, struct arena *scratch)
{
    size_t firing, critical;
    enum err err = ERR_OK;

    lock(inner);
    for (size_t i = 0; !err && i < findings->count; i++) {
        struct monitor_told told;

        err = told_of(&findings->list[i], scratch, now_ns, &told);
        if (!err)
            found(inner, &told, findings->list[i].looks);
    }
    if (!err)
        look_at_missed(inner, findings, now_ns);
    tally(inner, &firing, &critical);
    unlock(inner);
    metric_set(inner->gauges[1], (int64_t)critical);
    metric_set(inner->gauges[0], (int64_t)(firing - critical));
    return err;
}

void monitor_inner_adopt(struct monitor_inner *inner, const struct monitor_alert *alert,
                         int64_t now_ns)
{
    const struct monitor_told told = {.source = alert->source,
                                      .fingerprint = alert->fingerprint,
                                      .name = alert->name,
                                      .severity = alert->severity,
                                      .labels = alert->labels,
                                      .annotations = alert->annotations,
                                      .starts_at_ns = alert->starts_at,
                                      .firing = true};
    struct entry *entry;

    lock(inner);
    entry = find(inner, told.fingerprint);
    if (entry == NULL)
        entry = add(inner, &told);
    if (entry != NULL) { /* also one that was not yet found often enough: it was, before */
        entry->told.firing = entry->begun = true;
        entry->told.starts_at_ns = alert->starts_at;
        entry->row = alert->id;
        entry->told_at = now_ns;
    }
    unlock(inner);
}

void monitor_inner_tally(struct monitor_inner *inner, size_t *ret_firing, size_t *ret_critical)
{
    lock(inner);
    tally(inner, ret_firing, ret_critical);
    unlock(inner);
}

void monitor_inner_tally_unread(struct monitor_inner *inner, int64_t last_id,
                                struct monitor_tally *tally)
{
    lock(inner);
    for (size_t i = 0; i < inner->count; i++) {
        const struct entry *entry = inner->entries[i];

        if (!entry->told.firing || (entry->row != 0 && entry->row <= last_id))
            continue;
        tally->firing++;
        tally->critical += span_is(entry->told.severity, "critical");
        tally->unacknowledged++;
    }
    unlock(inner);
}

/* ---- telling the store ------------------------------------------------------------------------
 */

static bool is_untold(const struct entry *entry, int64_t now_ns)
{
    if (!entry->begun)
        return false;
    if (!entry->told.firing)
        return !entry->end_told;
    return entry->told_at == 0 || now_ns - entry->told_at >= MONITOR_INNER_AGAIN_S * CLOCK_NS_PER_S;
}

static enum err copy_told(const struct monitor_told *told, struct arena *arena,
                          struct monitor_told *ret_told)
{
    char *room = arena_bytes(arena, TEXT_BYTES);

    *ret_told = *told;
    return room != NULL && keep_texts(ret_told, room, TEXT_BYTES) ? ERR_OK : ERR_NO_MEMORY;
}

enum err monitor_inner_untold(struct monitor_inner *inner, int64_t now_ns, struct arena *arena,
                              struct monitor_inner_telling *ret_telling)
{
    enum err err = ERR_OK;

    ret_telling->count = 0;
    lock(inner);
    for (size_t i = 0; !err && i < inner->count; i++) {
        const struct entry *entry = inner->entries[i];
        size_t at = ret_telling->count;

        if (!is_untold(entry, now_ns))
            continue;
        err = copy_told(&entry->told, arena, &ret_telling->told[at]);
        ret_telling->ids[at] = entry->row;
        ret_telling->count += err ? 0 : 1;
    }
    unlock(inner);
    return err;
}

static bool is_same(const struct monitor_told *one, const struct monitor_told *other)
{
    return one->starts_at_ns == other->starts_at_ns &&
           span_equal(one->fingerprint, other->fingerprint);
}

static void note_told(struct monitor_inner *inner, const struct monitor_told *told, int64_t row,
                      int64_t now_ns)
{
    for (size_t i = inner->count; i-- > 0;) {
        struct entry *entry = inner->entries[i];

        if (!is_same(&entry->told, told))
            continue;
        entry->row = row != 0 ? row : entry->row;
        entry->told_at = now_ns;
        entry->end_told = !told->firing;
        if (is_done(entry))
            drop(inner, i);
    }
}

void monitor_inner_told(struct monitor_inner *inner, const struct monitor_inner_telling *telling,
                        int64_t now_ns)
{
    lock(inner);
    for (size_t i = 0; i < telling->count; i++)
        note_told(inner, &telling->told[i], telling->ids[i], now_ns);
    unlock(inner);
}

/* An end whose row somebody closed meanwhile needs no row of its own. */
enum err monitor_inner_tell(struct store_conn *conn, struct monitor_inner_telling *telling,
                            int64_t now_ns, struct arena *arena)
{
    const struct monitor_who who = {
        .shown = SPAN("system"), .kind = TRAIL_ACTOR_SYSTEM, .actor = SPAN("system")};

    for (size_t i = 0; i < telling->count; i++) {
        struct monitor_told told = telling->told[i];
        enum monitor_step step;
        enum err err;

        told.only_open = telling->ids[i] != 0;
        err = monitor_alert_tell(conn, &told, &who, now_ns, arena, &telling->ids[i], &step);
        if (err)
            return err;
    }
    return ERR_OK;
}

/* ---- telling who asks -------------------------------------------------------------------------
 */

static struct monitor_alert alert_of(const struct monitor_told *told, int64_t row)
{
    return (struct monitor_alert){.id = row,
                                  .fingerprint = told->fingerprint,
                                  .source = told->source,
                                  .name = told->name,
                                  .severity = told->severity,
                                  .status = told->firing ? SPAN_OF("firing") : SPAN_OF("resolved"),
                                  .labels = told->labels,
                                  .annotations = told->annotations,
                                  .starts_at = told->starts_at_ns,
                                  .ends_at = told->ends_at_ns,
                                  .received_at = told->starts_at_ns,
                                  .last_at = told->firing ? told->starts_at_ns : told->ends_at_ns,
                                  .times = 1,
                                  .resolved_at = told->ends_at_ns,
                                  .resolved_by =
                                      told->firing ? (struct span){0} : SPAN_OF("system")};
}

static bool is_unstored(const struct entry *entry)
{
    return entry->begun && (entry->row == 0 || (!entry->told.firing && !entry->end_told));
}

enum err monitor_inner_unstored(struct monitor_inner *inner, struct arena *arena,
                                struct monitor_alert **ret_list, size_t *ret_count)
{
    struct monitor_alert *list = arena_array(arena, MONITOR_INNER_MAX, sizeof(*list));
    enum err err = list != NULL ? ERR_OK : ERR_NO_MEMORY;

    *ret_count = 0;
    lock(inner);
    for (size_t i = inner->count; !err && i-- > 0;) {
        const struct entry *entry = inner->entries[i];
        struct monitor_told told;

        if (!is_unstored(entry))
            continue;
        err = copy_told(&entry->told, arena, &told);
        if (!err)
            list[(*ret_count)++] = alert_of(&told, entry->row);
    }
    unlock(inner);
    *ret_list = list;
    return err;
}
