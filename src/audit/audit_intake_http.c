/* SPDX-License-Identifier: MIT
 * POST /audit/events and /audit/events/batch. Who writes is the common name of the certificate that
 * the connection was made with; what headers say of it is nothing. All who wait share one commit;
 * each answer leaves behind it.
 *
 *   events_create (loop: whose, ids) -> intake_run (writer) -> new: trail_add for each -> 201
 *                                            |                 -> the seal, the commit
 *                                            +- its key is known: the same event -> 201 as before
 *                                            +- another one, a second of this commit -> refused
 *
 * With an Idempotency-Key an event's id is made of source, key and its number in the request, so
 * the log itself knows what came under a key, for ever, and nothing else has to be kept.
 *
 * Times are settled here: the log never goes back, so all events of a commit are told the later one
 * of the clock's time and the log's own. */
#include "audit/audit_priv.h"

#include <string.h>

#include "crypto/digest.h"
#include "http/http_key.h"

enum { RANDOM_BYTES = 10, WEIGHT_BYTES = 1024 };

struct intake {
    const struct audit_event *events;
    size_t count;
    struct span source;
    bool keyed, second;
    bool batch;
    int64_t at_ns;                        /* of the commit that it is in */
    unsigned char (*ids)[TRAIL_ID_BYTES]; /* count, and with a key one more that must not be */
    struct audit_made *made;
};

/* ---- on the loop ------------------------------------------------------------------------------
 */

static bool is_source(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!letter && !(c >= '0' && c <= '9') && strchr("._-:@/", c) == NULL)
            return false;
    }
    return name.len > 0 && name.len <= AUDIT_SOURCE_BYTES_MAX;
}

/* RFC 9562, 5.7: milliseconds since 1970 and random bits. */
static void id_new(int64_t at_ns, const unsigned char *random, unsigned char id[TRAIL_ID_BYTES])
{
    uint64_t ms = (uint64_t)at_ns / 1000000U;

    for (size_t i = 0; i < 6; i++)
        id[i] = (unsigned char)(ms >> (40 - 8 * i));
    memcpy(id + 6, random, RANDOM_BYTES);
    id[6] = (unsigned char)(0x70 | (id[6] & 0x0F));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3F));
}

static enum err ids_new(struct http_request *req, struct intake *intake)
{
    int64_t now_ns = clock_realtime_ns(http_engine_clock(http_engine_of(req)));
    unsigned char *random = arena_alloc(req->arena, intake->count * RANDOM_BYTES);

    if (random == NULL)
        return ERR_NO_MEMORY;
    random_fill(&random_system, random, intake->count * RANDOM_BYTES);
    for (size_t i = 0; i < intake->count; i++)
        id_new(now_ns, random + i * RANDOM_BYTES, intake->ids[i]);
    return ERR_OK;
}

static struct span number_put(char room[8], uint64_t value)
{
    for (size_t i = 0; i < 8; i++)
        room[i] = (char)(value >> (8 * i));
    return span_make(room, 8);
}

/* RFC 9562, 5.8: bits of our own. Each piece stands behind its length, so that none runs into the
 * next. */
static void id_of_key(struct span source, struct span key, size_t number,
                      unsigned char id[TRAIL_ID_BYTES])
{
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];
    char lengths[3][8];
    const struct span pieces[] = {SPAN_OF("portcullis.audit.v1"),
                                  number_put(lengths[0], source.len),
                                  source,
                                  number_put(lengths[1], key.len),
                                  key,
                                  number_put(lengths[2], number)};

    crypto_digest_pieces(CRYPTO_SHA256, pieces, PC_COUNT(pieces), digest);
    memcpy(id, digest, TRAIL_ID_BYTES);
    id[6] = (unsigned char)(0x80 | (id[6] & 0x0F));
    id[8] = (unsigned char)(0x80 | (id[8] & 0x3F));
}

static enum err ids_make(struct http_request *req, struct intake *intake)
{
    char room[LIMIT_LEDGER_KEY_BYTES_MAX];
    struct span key;
    enum err err = http_key_read(req, room, &key);

    if (err)
        return err;
    intake->ids = arena_array(req->arena, intake->count + 1, TRAIL_ID_BYTES);
    intake->made = arena_array(req->arena, intake->count, sizeof(*intake->made));
    if (intake->ids == NULL || intake->made == NULL)
        return ERR_NO_MEMORY;
    intake->keyed = key.len > 0;
    if (!intake->keyed)
        return ids_new(req, intake);
    for (size_t i = 0; i <= intake->count; i++)
        id_of_key(intake->source, key, i, intake->ids[i]);
    return ERR_OK;
}

static enum err ids_tell(struct http_request *req, struct intake *intake)
{
    char *texts = arena_bytes(req->arena, intake->count * AUDIT_ID_TEXT_BYTES);

    if (texts == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < intake->count; i++) {
        char *text = texts + i * AUDIT_ID_TEXT_BYTES;

        audit_id_write(intake->ids[i], text);
        intake->made[i].id = span_make(text, AUDIT_ID_TEXT_BYTES);
    }
    return ERR_OK;
}

static const char *field_of(struct http_request *req, const struct intake *intake, size_t number,
                            const char *name)
{
    struct sbuf out = sbuf_on(req->arena, 64);

    if (intake->batch)
        sbuf_add_format(&out, "events[%zu]%s", number, name[0] != '\0' ? "." : "");
    sbuf_add_text(&out, name);
    return out.full ? name : arena_string(req->arena, sbuf_span(&out));
}

static enum err check_tags(struct http_request *req, const struct intake *intake)
{
    char room[AUDIT_TAGS_BYTES_MAX];
    struct span tags;

    for (size_t i = 0; i < intake->count; i++) {
        struct sbuf out = sbuf_over(room, sizeof(room));

        if (audit_tags_write(&intake->events[i], &out, &tags) != ERR_OK)
            return http_fail_field(req, field_of(req, intake, i, "compliance_tags"),
                                   "must be at most 2048 bytes together");
    }
    return ERR_OK;
}

/* ---- in the commit ----------------------------------------------------------------------------
 */

static enum err add_one(struct http_request *req, const struct intake *intake, size_t number)
{
    const struct audit_event *event = &intake->events[number];
    char room[AUDIT_TAGS_BYTES_MAX];
    struct sbuf out = sbuf_over(room, sizeof(room));
    struct trail_external external = {.event = event->action,
                                      .category = event->category,
                                      .severity = event->severity,
                                      .principal = event->principal};
    const struct trail_record record = {
        .event = TRAIL_AUDIT_EXTERNAL,
        .outcome = span_is(event->outcome, "done") ? TRAIL_DONE : TRAIL_REFUSED,
        .at_ns = intake->at_ns,
        .actor_kind = TRAIL_ACTOR_UNKNOWN, /* whom the source knows, and nobody else */
        .actor = event->actor,
        .client_id = req->principal->client_id,
        .address = req->address,
        .request_id = req->request_id,
        .object = event->resource,
        .reason = event->reason,
        .source = intake->source,
        .external = &external};

    if (!span_is(event->metadata, "{}"))
        external.metadata = event->metadata;
    memcpy(external.id, intake->ids[number], TRAIL_ID_BYTES);
    if (audit_tags_write(event, &out, &external.tags) != ERR_OK)
        return ERR_NO_SPACE;
    return trail_add(req->store, &record);
}

static enum err reply_made(struct http_request *req, const struct intake *intake)
{
    const struct audit_made_batch batch = {
        .events = {.items = intake->made, .count = intake->count}};

    return intake->batch ? http_reply(req, &batch) : http_reply(req, &intake->made[0]);
}

static enum err add_all(struct http_request *req, struct intake *intake)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < intake->count && err == ERR_OK; i++) {
        intake->made[i].created_at = intake->at_ns;
        err = add_one(req, intake, i);
    }
    return err ? err : reply_made(req, intake);
}

static enum err refuse_other(struct http_request *req, const struct intake *intake, size_t number)
{
    enum err err = http_fail_field(req, intake->batch ? field_of(req, intake, number, "") : "body",
                                   "differs from what came with this key before");

    return err == ERR_VALIDATION ? ERR_KEY_REUSED : err;
}

/* The first of them is there: all must be, and be the same, and there must be no further one. */
static enum err find_kept(struct http_request *req, struct intake *intake, struct arena *scratch)
{
    for (size_t i = 0; i <= intake->count; i++) {
        struct trail_entry entry = {0};
        enum err err = trail_get_given(req->store, intake->ids[i], scratch, &entry);

        if (err != ERR_OK && err != ERR_NOT_FOUND)
            return err;
        if ((err == ERR_NOT_FOUND) != (i == intake->count))
            return refuse_other(req, intake, i < intake->count ? i : 0);
        if (i == intake->count)
            break;
        if (!audit_event_became(&intake->events[i], intake->source, &entry))
            return refuse_other(req, intake, i);
        intake->made[i].created_at = entry.at_ns;
    }
    http_reply_header(req, "Idempotency-Replayed", SPAN_OF("true"));
    return reply_made(req, intake);
}

static enum err intake_visit(struct http_request *req)
{
    struct intake *intake = req->group_work;
    struct trail_entry first = {0};
    struct arena scratch;
    enum err err;

    if (intake->second)
        return http_fail_retry(req, ERR_KEY_RUNNING, CLOCK_NS_PER_S);
    if (!intake->keyed)
        return add_all(req, intake);
    arena_init(&scratch, NULL, 0, AUDIT_READ_BYTES_MAX);
    err = trail_get_given(req->store, intake->ids[0], &scratch, &first);
    if (err == ERR_NOT_FOUND)
        err = add_all(req, intake);
    else if (err == ERR_OK)
        err = find_kept(req, intake, &scratch);
    arena_reset(&scratch);
    return err;
}

/* A key that came with something else before: somebody's mistake, or a try. */
static enum err tell_refusal(struct http_request *req, const struct intake *intake, enum err err)
{
    const struct trail_record record = {.event = TRAIL_AUDIT_REFUSED,
                                        .outcome = TRAIL_REFUSED,
                                        .at_ns = intake->at_ns,
                                        .actor_kind = TRAIL_ACTOR_CLIENT,
                                        .actor = req->principal->client_id,
                                        .client_id = req->principal->client_id,
                                        .address = req->address,
                                        .request_id = req->request_id,
                                        .object = SPAN_OF("audit-log"),
                                        .reason = span_from(err_slug(err)),
                                        .details = {{"source", intake->source}}};

    return err == ERR_KEY_RUNNING ? ERR_OK : trail_add(req->store, &record);
}

static enum err serve(struct http_request *req)
{
    enum err refusal = http_visit(req, intake_visit);
    enum err err = ERR_OK;

    if (refusal != ERR_OK && refusal != ERR_KEY_RUNNING && refusal != ERR_KEY_REUSED)
        return refusal;
    if (refusal)
        err = tell_refusal(req, req->group_work, refusal);
    if (err)
        return err;
    http_settle(req, refusal);
    return req->arena->overflowed ? ERR_NO_MEMORY : ERR_OK;
}

/* Whether an earlier one of this commit has the same key: what it adds is not there to be found
 * yet. */
static bool is_second(struct http_request *const *requests, size_t at)
{
    const struct intake *intake = requests[at]->group_work;

    for (size_t i = 0; intake->keyed && i < at; i++) {
        const struct intake *other = requests[i]->group_work;

        if (other->keyed && memcmp(other->ids[0], intake->ids[0], TRAIL_ID_BYTES) == 0)
            return true;
    }
    return false;
}

static enum err intake_run(const struct http_group *group, struct store_conn *conn,
                           struct http_request *const *requests, size_t count)
{
    int64_t now_ns = clock_realtime_ns(http_engine_clock(http_engine_of(requests[0])));
    int64_t at_ns = 0;
    struct trail_tree tree;
    enum err err = trail_tree_read(conn, &tree, &at_ns);

    (void)group;
    for (size_t i = 0; i < count && err == ERR_OK; i++) {
        struct intake *intake = requests[i]->group_work;

        intake->at_ns = now_ns > at_ns ? now_ns : at_ns;
        intake->second = is_second(requests, i);
        err = serve(requests[i]);
    }
    return err;
}

static const struct http_group intake_group = {.name = "audit_intake", .run = intake_run};

/* ---- handlers ---------------------------------------------------------------------------------
 */

/* Who would be taken for a part of this program, in the log and in the rules of a SIEM. */
static enum err check_source(struct http_request *req, struct span source)
{
    if (!is_source(source))
        return http_fail(req, ERR_CERTIFICATE,
                         "The certificate's common name must be 1 to 64 letters, digits or any of "
                         "\"._-:@/\".");
    if (trail_is_own_source(source))
        return http_fail(req, ERR_CERTIFICATE,
                         "The certificate's common name is that of a service of this program, "
                         "which gives in no events from outside.");
    return ERR_OK;
}

static enum err take(struct http_request *req, const struct audit_event *events, size_t count,
                     bool batch)
{
    const struct audit_service *service = http_context(req);
    size_t bytes = req->body_text.len / WEIGHT_BYTES;
    uint32_t weight = (uint32_t)(count > bytes ? count : bytes);
    struct intake *intake = arena_zero(req->arena, sizeof(*intake));
    enum err err;

    if (intake == NULL)
        return ERR_NO_MEMORY;
    *intake = (struct intake){
        .events = events, .count = count, .batch = batch, .source = http_peer(req)->tls_cn};
    req->group_work = intake;
    err = check_source(req, intake->source);
    if (err == ERR_OK)
        err = check_tags(req, intake);
    if (err == ERR_OK) /* an event, or a KiB of them, for a token */
        err = http_limit_cost(req, service->events_per_minute, weight);
    if (err == ERR_OK)
        err = ids_make(req, intake);
    if (err == ERR_OK)
        err = ids_tell(req, intake);
    if (err)
        return err;
    return http_hop_together(req, &intake_group, weight);
}

enum err audit_events_create(struct http_request *req)
{
    return take(req, req->body, 1, false);
}

enum err audit_batch_create(struct http_request *req)
{
    const struct audit_batch *batch = req->body;

    return take(req, batch->events.items, batch->events.count, true);
}
