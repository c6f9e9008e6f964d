/* SPDX-License-Identifier: MIT
 * POST /alerts: what Alertmanager sends when something begins or is over. It gets its 202 behind
 * the commit, since it sends again what it got no answer for, and never what it got one for. So a
 * notification is refused only if it is none: what is too long in it is cut, not turned away, and
 * an alert that cannot be kept is left out, counted and logged, so that the others are not lost.
 * Source: Alertmanager, "webhook_config", data of version 4. */
#include "monitor/monitor_webhook.h"

#include "base/mask.h"
#include "monitor/monitor_priv.h"

enum {
    TAKEN_MAX = 1000,         /* alerts of a notification; they are one commit */
    LISTED_MAX = 32 * 1024,   /* more than a body has room for */
    MAP_BYTES_MAX = 1 << 20,  /* as much as a body has */
    TEXT_CHARS_MAX = 1 << 20, /* of what is read past */
    TIME_CHARS_MAX = 64,
    FINGERPRINT_CHARS_MAX = 128,
    URL_BYTES_MAX = 4096, /* of an address that is kept */
    SCRATCH_BYTES_MAX = 8 * 1024 * 1024,
    KEPT_BYTES_MAX = 8 * 1024 * 1024,
};

static const char *const statuses[] = {"firing", "resolved", NULL};

static const struct json_field alert_fields[] = {
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .choices = statuses,
     .offset = offsetof(struct monitor_webhook_alert, status),
     .example = "firing"},
    {.name = "labels",
     .kind = JSON_KIND_MAP,
     .max = MAP_BYTES_MAX,
     .offset = offsetof(struct monitor_webhook_alert, labels),
     .about = "Strings by name, at most 64; alertname and severity say what it is.",
     .example = "{\"alertname\":\"BreakerOpen\",\"severity\":\"critical\"}"},
    {.name = "annotations",
     .kind = JSON_KIND_MAP,
     .optional = true,
     .nullable = true,
     .max = MAP_BYTES_MAX,
     .offset = offsetof(struct monitor_webhook_alert, annotations),
     .about = "Strings by name, at most 64.",
     .example = "{\"summary\":\"A breaker is open\"}"},
    {.name = "startsAt",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = TIME_CHARS_MAX,
     .offset = offsetof(struct monitor_webhook_alert, starts_at),
     .about = "RFC 3339; now when it is left out.",
     .example = "2026-02-03T04:05:06.789Z"},
    {.name = "endsAt",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .max = TIME_CHARS_MAX,
     .offset = offsetof(struct monitor_webhook_alert, ends_at),
     .about = "RFC 3339; 0001-01-01T00:00:00Z while it is not known.",
     .example = "0001-01-01T00:00:00Z"},
    {.name = "generatorURL",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .nullable = true,
     .max = TEXT_CHARS_MAX,
     .offset = offsetof(struct monitor_webhook_alert, generator_url),
     .about = "Kept when it is http or https and at most 4096 bytes long.",
     .example = "http://prometheus.example.com/graph?g0.expr=up"},
    {.name = "fingerprint",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .min = 1,
     .max = FINGERPRINT_CHARS_MAX,
     .offset = offsetof(struct monitor_webhook_alert, fingerprint),
     .about = "Names the alert; made of the labels as Alertmanager does when it is left out.",
     .example = "c0ffee0123456789"},
};
const struct json_schema monitor_webhook_alert_schema = {.name = "WebhookAlert",
                                                         .about = "One alert of a notification.",
                                                         .fields = alert_fields,
                                                         .field_count = PC_COUNT(alert_fields),
                                                         .bytes =
                                                             sizeof(struct monitor_webhook_alert)};

static const struct json_field webhook_fields[] = {
    {.name = "version",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = (const char *const[]){"4", NULL},
     .offset = offsetof(struct monitor_webhook_body, version),
     .example = "4"},
    {.name = "groupKey",
     .kind = JSON_KIND_ANY,
     .optional = true,
     .max = MAP_BYTES_MAX,
     .offset = offsetof(struct monitor_webhook_body, group_key),
     .example = "\"{}:{alertname=\\\"BreakerOpen\\\"}\""},
    {.name = "truncatedAlerts",
     .kind = JSON_KIND_I64,
     .optional = true,
     .max = INT64_MAX,
     .offset = offsetof(struct monitor_webhook_body, truncated),
     .about = "How many alerts the sender left out; they are counted.",
     .example = "0"},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = statuses,
     .offset = offsetof(struct monitor_webhook_body, status),
     .about = "Of the group; what counts is each alert's own.",
     .example = "firing"},
    {.name = "receiver",
     .kind = JSON_KIND_ANY,
     .optional = true,
     .max = MAP_BYTES_MAX,
     .offset = offsetof(struct monitor_webhook_body, receiver),
     .example = "\"portcullis\""},
    {.name = "groupLabels",
     .kind = JSON_KIND_ANY,
     .optional = true,
     .max = MAP_BYTES_MAX,
     .offset = offsetof(struct monitor_webhook_body, group_labels),
     .example = "{\"alertname\":\"BreakerOpen\"}"},
    {.name = "commonLabels",
     .kind = JSON_KIND_ANY,
     .optional = true,
     .max = MAP_BYTES_MAX,
     .offset = offsetof(struct monitor_webhook_body, common_labels),
     .example = "{\"alertname\":\"BreakerOpen\"}"},
    {.name = "commonAnnotations",
     .kind = JSON_KIND_ANY,
     .optional = true,
     .max = MAP_BYTES_MAX,
     .offset = offsetof(struct monitor_webhook_body, common_annotations),
     .example = "{}"},
    {.name = "externalURL",
     .kind = JSON_KIND_ANY,
     .optional = true,
     .max = MAP_BYTES_MAX,
     .offset = offsetof(struct monitor_webhook_body, external_url),
     .example = "\"http://alertmanager.example.com\""},
    {.name = "alerts",
     .kind = JSON_KIND_LIST,
     .max = LISTED_MAX,
     .schema = &monitor_webhook_alert_schema,
     .offset = offsetof(struct monitor_webhook_body, alerts),
     .about = "The first 1000 of them are taken."},
};
const struct json_schema monitor_webhook_schema = {.name = "Webhook",
                                                   .about =
                                                       "A notification of Alertmanager, version 4.",
                                                   .fields = webhook_fields,
                                                   .field_count = PC_COUNT(webhook_fields),
                                                   .bytes = sizeof(struct monitor_webhook_body)};

struct received {
    struct span status;
};

static const struct json_field received_fields[] = {
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .max = 16,
     .offset = offsetof(struct received, status),
     .example = "received"},
};
const struct json_schema monitor_received_schema = {.name = "Received",
                                                    .about = "The notification is stored.",
                                                    .fields = received_fields,
                                                    .field_count = PC_COUNT(received_fields),
                                                    .bytes = sizeof(struct received)};

/* ---- one alert --------------------------------------------------------------------------------
 */

static enum err refuse(const char *member, const char *why, const char **reterr_member,
                       const char **reterr_why)
{
    *reterr_member = member;
    *reterr_why = why;
    return ERR_VALIDATION;
}

/* The zero time of Go stands for a time that is not known. */
static bool read_time(struct span text, int64_t otherwise, int64_t *ret_ns)
{
    *ret_ns = otherwise;
    return text.len == 0 || span_starts(text, SPAN_OF("0001-01-01T00:00:00")) ||
           clock_from_rfc3339(text, ret_ns) == ERR_OK;
}

/* An address that somebody will be asked to follow. */
static struct span address_of(struct span url)
{
    bool web = span_starts(url, SPAN_OF("http://")) || span_starts(url, SPAN_OF("https://"));

    return web && url.len <= URL_BYTES_MAX ? url : (struct span){0};
}

static struct span value_or(const struct monitor_labels *labels, const char *name, size_t bytes_max,
                            const char *otherwise)
{
    struct span value = monitor_text_cut(monitor_labels_value(labels, name), bytes_max);

    return value.len > 0 ? value : span_from(otherwise);
}

/* The fingerprint first: it is that of the labels as they came. */
enum err monitor_told_fill(struct monitor_told *told, struct monitor_labels *labels,
                           struct monitor_labels *annotations, struct arena *arena)
{
    char text[MONITOR_FINGERPRINT_BYTES + 1];
    enum err err;

    if (told->fingerprint.len == 0) {
        monitor_labels_fingerprint(labels, text);
        told->fingerprint = arena_copy(arena, span_from(text));
    }
    err = monitor_labels_clean(labels, MONITOR_LABEL_BYTES_MAX, arena);
    if (!err)
        err = monitor_labels_clean(annotations, MONITOR_ANNOTATION_BYTES_MAX, arena);
    if (!err)
        err = monitor_labels_write(labels, arena, &told->labels);
    if (!err)
        err = monitor_labels_write(annotations, arena, &told->annotations);
    told->name = value_or(labels, "alertname", MONITOR_NAME_BYTES_MAX, "unnamed");
    told->severity = value_or(labels, "severity", MONITOR_SEVERITY_BYTES_MAX, "none");
    return !err && arena->overflowed ? ERR_NO_MEMORY : err;
}

static bool is_fingerprint(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = span_lower_char(text.ptr[i]);

        if ((c < '0' || c > '9') && (c < 'a' || c > 'z') && c != '-' && c != '_')
            return false;
    }
    return true;
}

enum err monitor_webhook_read(const struct monitor_webhook_alert *alert, int64_t now_ns,
                              struct arena *arena, struct monitor_told *ret_told,
                              const char **reterr_member, const char **reterr_why)
{
    static const char not_a_time[] = "must be a time (RFC 3339)";
    struct monitor_labels labels, annotations;
    enum err err;

    *ret_told = (struct monitor_told){.source = SPAN_OF("alertmanager"),
                                      .fingerprint = alert->fingerprint,
                                      .firing = span_is(alert->status, "firing")};
    if (!read_time(alert->starts_at, 0, &ret_told->starts_at_ns))
        return refuse("startsAt", not_a_time, reterr_member, reterr_why);
    ret_told->start_counts = ret_told->starts_at_ns != 0;
    if (!ret_told->start_counts)
        ret_told->starts_at_ns = now_ns;
    if (!read_time(alert->ends_at, 0, &ret_told->ends_at_ns))
        return refuse("endsAt", not_a_time, reterr_member, reterr_why);
    if (!is_fingerprint(alert->fingerprint))
        return refuse("fingerprint", "must be letters, digits, - and _", reterr_member, reterr_why);
    *reterr_member = "labels";
    err = monitor_labels_read(alert->labels, arena, &labels, reterr_why);
    if (err)
        return err;
    *reterr_member = "annotations";
    err = monitor_labels_read(alert->annotations, arena, &annotations, reterr_why);
    if (err)
        return err;
    err = mask_card_data(address_of(alert->generator_url), arena, &ret_told->generator_url);
    return err ? err : monitor_told_fill(ret_told, &labels, &annotations, arena);
}

/* ---- the request ------------------------------------------------------------------------------
 */

/* The secret of the settings, in place of a token. Hashes are compared, so that time tells nothing,
 * not even a length. */
bool monitor_webhook_bearer(const struct http_request *req, struct span bearer,
                            struct http_principal *ret_principal)
{
    const struct monitor *monitor = http_context(req);
    unsigned char hash[CRYPTO_SHA256_BYTES];

    if (!monitor->takes_token)
        return false;
    crypto_sha256(bearer, hash);
    *ret_principal = (struct http_principal){.kind = HTTP_TOKEN_ISSUED,
                                             .client_id = SPAN_OF("monitoring.webhook_token"),
                                             .scope = SPAN_OF("monitoring:write")};
    return span_equal_secret(span_make(hash, sizeof(hash)),
                             span_make(monitor->token_hash, sizeof(monitor->token_hash)));
}

/* Alerts that are left out, and the first one that cannot be kept. */
struct skipped {
    size_t count[MONITOR_SKIPPED_COUNT];
    size_t index;
    const char *member, *why;
};

/* The texts are beside the request's own, which has the body to hold. */
struct webhook {
    struct monitor_told *told;
    size_t count;
    struct skipped skipped;
    struct arena kept;
};

/* What one alert takes is given back before the next one, however many there are. */
static enum err tell_all(struct http_request *req, const struct webhook *webhook)
{
    const struct monitor *monitor = http_context(req);
    char room[MONITOR_WHO_BYTES_MAX];
    const struct monitor_who who = monitor_who_of(req, room);
    int64_t now_ns = clock_realtime_ns(monitor->options.clock);
    enum err err = ERR_OK;
    enum monitor_step step;
    struct arena scratch;
    int64_t id;

    arena_init(&scratch, NULL, 0, SCRATCH_BYTES_MAX);
    for (size_t i = 0; !err && i < webhook->count; i++) {
        err = monitor_alert_tell(req->store, &webhook->told[i], &who, now_ns, &scratch, &id, &step);
        arena_reset(&scratch);
    }
    return err;
}

static enum err save(struct http_request *req)
{
    const struct received reply = {.status = SPAN("received")};
    enum err err = tell_all(req, req->work);

    if (err == ERR_STORE_UNIQUE) /* another node was first: the sender comes again */
        return ERR_BUSY;
    return err ? err : http_reply(req, &reply);
}

static void tell_skipped(const struct monitor *monitor, const struct skipped *skipped)
{
    const size_t *count = skipped->count;
    bool any = false;

    for (size_t i = 0; i < MONITOR_SKIPPED_COUNT; i++) {
        metric_add(monitor->skipped[i], count[i]);
        any |= count[i] > 0;
    }
    if (!any)
        return;
    log_warn(monitor->options.logger, "alerts_skipped",
             LOG_U64("invalid", count[MONITOR_SKIPPED_INVALID]),
             LOG_U64("excess", count[MONITOR_SKIPPED_EXCESS]),
             LOG_U64("truncated", count[MONITOR_SKIPPED_TRUNCATED]),
             LOG_U64("first", skipped->index), LOG_STRING("member", skipped->member),
             LOG_STRING("why", skipped->why));
}

/* What is sent again is counted when it is taken. */
static void finish(struct http_request *req, enum err err)
{
    const struct monitor *monitor = http_context(req);
    struct webhook *webhook = req->work;

    for (size_t i = 0; err == ERR_OK && i < webhook->count; i++)
        metric_add(monitor->received[webhook->told[i].firing], 1);
    if (err == ERR_OK || err == ERR_VALIDATION)
        tell_skipped(monitor, &webhook->skipped);
    arena_reset(&webhook->kept);
}

/* There is nothing good in it: "alerts[3].labels" is told. */
static enum err refuse_all(struct http_request *req, const struct skipped *skipped)
{
    struct sbuf name = sbuf_on(req->arena, 64);

    sbuf_add_format(&name, "alerts[%zu].%s", skipped->index, skipped->member);
    sbuf_add_char(&name, '\0');
    return name.full ? ERR_NO_MEMORY : http_fail_field(req, name.ptr, skipped->why);
}

/* What is only needed to read it goes with the scratch. */
static enum err keep(struct monitor_told *told, struct arena *arena)
{
    struct span *const texts[] = {&told->fingerprint, &told->name,        &told->severity,
                                  &told->labels,      &told->annotations, &told->generator_url};

    for (size_t i = 0; i < PC_COUNT(texts); i++) {
        if (texts[i]->ptr != NULL)
            *texts[i] = arena_copy(arena, *texts[i]);
    }
    return arena->overflowed ? ERR_NO_MEMORY : ERR_OK;
}

static void skip(struct skipped *skipped, size_t index, const char *member, const char *why)
{
    if (skipped->count[MONITOR_SKIPPED_INVALID]++ > 0)
        return;
    skipped->index = index;
    skipped->member = member;
    skipped->why = why;
}

static enum err read_one(const struct monitor_webhook_alert *alert, size_t index, int64_t now_ns,
                         struct arena *scratch, struct webhook *webhook)
{
    struct monitor_told *told = &webhook->told[webhook->count];
    const char *member = NULL, *why = NULL;
    enum err err = monitor_webhook_read(alert, now_ns, scratch, told, &member, &why);

    if (err == ERR_VALIDATION) {
        skip(&webhook->skipped, index, member, why);
        return ERR_OK;
    }
    if (!err)
        err = keep(told, &webhook->kept);
    webhook->count += err ? 0 : 1;
    return err;
}

static enum err read_all(struct http_request *req, struct webhook *webhook)
{
    const struct monitor *monitor = http_context(req);
    const struct monitor_webhook_body *body = req->body;
    const struct monitor_webhook_alert *alerts = body->alerts.items;
    size_t count = body->alerts.count < TAKEN_MAX ? body->alerts.count : TAKEN_MAX;
    int64_t now_ns = clock_realtime_ns(monitor->options.clock);
    struct arena scratch;
    enum err err = ERR_OK;

    webhook->skipped.count[MONITOR_SKIPPED_EXCESS] = body->alerts.count - count;
    webhook->skipped.count[MONITOR_SKIPPED_TRUNCATED] = (size_t)body->truncated;
    webhook->told = arena_array(&webhook->kept, count + 1, sizeof(*webhook->told));
    if (webhook->told == NULL)
        return ERR_NO_MEMORY;
    arena_init(&scratch, NULL, 0, SCRATCH_BYTES_MAX);
    for (size_t i = 0; !err && i < count; i++) {
        err = read_one(&alerts[i], i, now_ns, &scratch, webhook);
        arena_reset(&scratch);
    }
    return err;
}

enum err monitor_webhook(struct http_request *req)
{
    struct webhook *webhook = arena_zero(req->arena, sizeof(*webhook));
    enum err err;

    if (webhook == NULL)
        return ERR_NO_MEMORY;
    arena_init(&webhook->kept, NULL, 0, KEPT_BYTES_MAX);
    req->work = webhook;
    http_finally(req, finish);
    err = read_all(req, webhook);
    if (err)
        return err;
    if (webhook->count == 0 && webhook->skipped.count[MONITOR_SKIPPED_INVALID] > 0)
        return refuse_all(req, &webhook->skipped);
    return http_hop(req, HTTP_RUN_WRITE, save);
}
