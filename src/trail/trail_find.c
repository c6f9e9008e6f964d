/* SPDX-License-Identifier: MIT
 * Finding events. Each filter that is set narrows the search; the one that narrows most leads,
 * along an index that is in the order of the log, so a page costs what it shows and not what there
 * is. PostgreSQL's own index it is there; on SQLite trail_index.h gives spans of the log in which
 * to look.
 *
 * What the leading index does not settle is looked at row by row, which may be the whole log: so a
 * search with a bound first asks that index how far so many rows go, and ends there.
 *
 * Times become places in the log first: `at` never goes back, so the first event of a moment is
 * found by halving, inside the database. */
#include "trail/trail_priv.h"

#include "base/alloc.h"

enum { FIND_PARAMS = 11 };

/* What may lead; the better one first. */
enum lead {
    LEAD_OBJECT,
    LEAD_ACTOR,
    LEAD_TAG,
    LEAD_EVENT,
    LEAD_SEVERITY,
    LEAD_CATEGORY,
    LEAD_SEQ,
    LEAD_COUNT
};

#define COLUMN_NAMES                                                                               \
    "SELECT e.seq, e.id, e.at, e.event, e.category, e.severity, e.outcome, e.source, "             \
    "e.actor_kind, e.client, e.request_id, e.tags, e.actor, e.principal, e.address, e.object, "    \
    "e.reason, e.details, e.seed, e.erased, e.leaf FROM "

#define ANY(column, parameter)                                                                     \
    " AND (CAST(?" parameter " AS text) IS NULL OR e." column " = ?" parameter ")"
#define ONE(column, parameter) " AND e." column " = ?" parameter
#define ANY_TAG                                                                                    \
    " AND (CAST(?9 AS text) IS NULL OR EXISTS (SELECT 1 FROM trail_tags t WHERE t.tag = ?9 "       \
    "AND t.seq = e.seq))"
#define EVENTS   "trail_events e"
#define BY_TAG   "trail_tags t JOIN trail_events e ON e.seq = t.seq"
#define ONE_TAG  " AND t.tag = ?9"
#define NO_INFO  " AND e.severity <> 'info'"
#define NO_MONEY " AND e.category <> 'transaction'"

/* ?1 the first seq, ?2 the one behind the last, ?3 how many, then the filters. */
#define FIND(way, order, from, seq, actor, category, event, object, severity, tag)                 \
    {                                                                                              \
        .name = "trail_find_" way,                                                                 \
        .sqlite = COLUMN_NAMES from                                                                \
            " WHERE " seq ".seq >= ?1 AND " seq                                                    \
            ".seq < ?2" actor category event object severity tag ANY("source", "10")               \
                ANY("outcome", "11") " ORDER BY " seq ".seq " order " LIMIT ?3"                    \
    }
#define FIND_ALL(way, order)                                                                       \
    {                                                                                              \
        [LEAD_OBJECT] =                                                                            \
            FIND("object_" way, order, EVENTS, "e", ANY("actor", "4"), ANY("category", "5"),       \
                 ANY("event", "6"), ONE("object", "7"), ANY("severity", "8"), ANY_TAG),            \
        [LEAD_ACTOR] =                                                                             \
            FIND("actor_" way, order, EVENTS, "e", ONE("actor", "4"), ANY("category", "5"),        \
                 ANY("event", "6"), ANY("object", "7"), ANY("severity", "8"), ANY_TAG),            \
        [LEAD_TAG] = FIND("tag_" way, order, BY_TAG, "t", ANY("actor", "4"), ANY("category", "5"), \
                          ANY("event", "6"), ANY("object", "7"), ANY("severity", "8"), ONE_TAG),   \
        [LEAD_EVENT] =                                                                             \
            FIND("event_" way, order, EVENTS, "e", ANY("actor", "4"), ANY("category", "5"),        \
                 ONE("event", "6"), ANY("object", "7"), ANY("severity", "8"), ANY_TAG),            \
        [LEAD_SEVERITY] =                                                                          \
            FIND("severity_" way, order, EVENTS, "e", ANY("actor", "4"), ANY("category", "5"),     \
                 ANY("event", "6"), ANY("object", "7"), NO_INFO ONE("severity", "8"), ANY_TAG),    \
        [LEAD_CATEGORY] = FIND("category_" way, order, EVENTS, "e", ANY("actor", "4"),             \
                               NO_MONEY ONE("category", "5"), ANY("event", "6"),                   \
                               ANY("object", "7"), ANY("severity", "8"), ANY_TAG),                 \
        [LEAD_SEQ] = FIND("seq_" way, order, EVENTS, "e", ANY("actor", "4"), ANY("category", "5"), \
                          ANY("event", "6"), ANY("object", "7"), ANY("severity", "8"), ANY_TAG),   \
    }

static const struct store_statement finds[2][LEAD_COUNT] = {FIND_ALL("new", "DESC"),
                                                            FIND_ALL("old", "ASC")};

/* ?3 rows of the lead's on the way from ?2 back to ?1: the place of the one behind them. */
#define EDGE(lead, from, seq, where)                                                               \
    {                                                                                              \
        .name = "trail_find_edge_" lead, .sqlite = "SELECT " seq ".seq FROM " from " WHERE " seq   \
                                                   ".seq >= ?1 AND " seq ".seq < ?2" where         \
                                                   " ORDER BY " seq ".seq DESC LIMIT 1 OFFSET ?3"  \
    }
static const struct store_statement edges[LEAD_COUNT] = {
    [LEAD_OBJECT] = EDGE("object", EVENTS, "e", ONE("object", "4")),
    [LEAD_ACTOR] = EDGE("actor", EVENTS, "e", ONE("actor", "4")),
    [LEAD_TAG] = EDGE("tag", "trail_tags t", "t", " AND t.tag = ?4"),
    [LEAD_EVENT] = EDGE("event", EVENTS, "e", ONE("event", "4")),
    [LEAD_SEVERITY] = EDGE("severity", EVENTS, "e", NO_INFO ONE("severity", "4")),
    [LEAD_CATEGORY] = EDGE("category", EVENTS, "e", NO_MONEY ONE("category", "4")),
    [LEAD_SEQ] = EDGE("seq", EVENTS, "e", ""),
};

/* The first place whose event is not before ?1: the size of the log when there is none. */
static const struct store_statement place_of_time = {
    .name = "trail_place_of_time",
    .sqlite = "WITH RECURSIVE half(low, high) AS (SELECT CAST(0 AS bigint), "
              "coalesce((SELECT max(seq) FROM trail_events), -1) + 1 UNION ALL SELECT "
              "CASE WHEN (SELECT at FROM trail_events WHERE seq = (low + high) / 2) < ?1 "
              "THEN (low + high) / 2 + 1 ELSE low END, "
              "CASE WHEN (SELECT at FROM trail_events WHERE seq = (low + high) / 2) < ?1 "
              "THEN high ELSE (low + high) / 2 END FROM half WHERE low < high) "
              "SELECT low FROM half WHERE low >= high"};

static enum err place_find(struct store_conn *conn, int64_t at_ns, int64_t *ret_seq)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &place_of_time, STORE_PARAMS(STORE_I64(at_ns)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_STORE_CORRUPT);
    *ret_seq = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static enum lead lead_of(const struct trail_filter *filter)
{
    if (filter->object.len > 0)
        return LEAD_OBJECT;
    if (filter->actor.len > 0)
        return LEAD_ACTOR;
    if (filter->tag.len > 0)
        return LEAD_TAG;
    if (filter->event.len > 0)
        return LEAD_EVENT;
    if (filter->severity.len > 0 && !span_is(filter->severity, "info"))
        return LEAD_SEVERITY;
    if (filter->category.len > 0 && !span_is(filter->category, "transaction"))
        return LEAD_CATEGORY;
    return LEAD_SEQ;
}

/* From which place to which: *ret_to is not in it. */
static enum err range_find(struct store_conn *conn, const struct trail_filter *filter,
                           int64_t *ret_from, int64_t *ret_to)
{
    int64_t from = 0;
    int64_t to = INT64_MAX;
    enum err err = ERR_OK;

    if (filter->from_ns > 0)
        err = place_find(conn, filter->from_ns, &from);
    if (err == ERR_OK && filter->to_ns > 0)
        err = place_find(conn, filter->to_ns, &to);
    if (err)
        return err;
    *ret_from = filter->from_seq > from ? filter->from_seq : from;
    *ret_to = filter->before_seq > 0 && filter->before_seq < to ? filter->before_seq : to;
    return ERR_OK;
}

static struct store_value text_or_any(struct span text)
{
    return text.len == 0 ? STORE_NULL : STORE_TEXT(text);
}

/* What a search has so far. */
struct found {
    struct trail_entry *list; /* room for filter->limit */
    size_t count;
};

static enum err entries_take(struct store_rows *rows, struct arena *arena, size_t limit,
                             struct found *found)
{
    enum err err = ERR_OK;

    while (err == ERR_OK && found->count < limit && store_next(rows))
        err = trail_entry_take(rows, arena, &found->list[found->count++]);
    return err ? err : store_rows_err(rows);
}

/* Adds those of [from, to). */
static enum err range_read(struct store_conn *conn, const struct trail_filter *filter, int64_t from,
                           int64_t to, struct arena *arena, struct found *found)
{
    const struct store_value params[FIND_PARAMS] = {
        STORE_I64(from),
        STORE_I64(to),
        STORE_I64((int64_t)(filter->limit - found->count)),
        text_or_any(filter->actor),
        text_or_any(filter->category),
        text_or_any(filter->event),
        text_or_any(filter->object),
        text_or_any(filter->severity),
        text_or_any(filter->tag),
        text_or_any(filter->source),
        text_or_any(filter->outcome),
    };
    const struct store_statement *find = &finds[filter->oldest_first ? 1 : 0][lead_of(filter)];
    PC_AUTO(store_rows) rows = NULL;
    enum err err;

    if (from >= to || found->count == filter->limit)
        return ERR_OK;
    err = store_query(conn, find, params, FIND_PARAMS, &rows);
    return err ? err : entries_take(rows, arena, filter->limit, found);
}

/* ---- with a bound ------------------------------------------------------------------------------
 */

/* Empty: no filter leads. */
static struct span lead_value(const struct trail_filter *filter, enum lead lead)
{
    const struct span values[LEAD_COUNT] = {
        [LEAD_OBJECT] = filter->object,     [LEAD_ACTOR] = filter->actor,
        [LEAD_TAG] = filter->tag,           [LEAD_EVENT] = filter->event,
        [LEAD_SEVERITY] = filter->severity, [LEAD_CATEGORY] = filter->category};

    return values[lead];
}

/* Whether each row that the lead leads to is one that is wanted. */
static bool is_settled(const struct trail_filter *filter, enum lead lead)
{
    const struct span filters[] = {filter->actor,  filter->category, filter->event,
                                   filter->object, filter->severity, filter->tag,
                                   filter->source, filter->outcome};
    size_t given = 0;

    for (size_t i = 0; i < PC_COUNT(filters); i++)
        given += filters[i].len > 0;
    return given == (lead == LEAD_SEQ ? 0 : 1);
}

/* *ret_seq: -1 when there are no more rows than that. */
static enum err edge_find(struct store_conn *conn, const struct trail_filter *filter,
                          size_t rows_max, int64_t from, int64_t to, int64_t *ret_seq)
{
    enum lead lead = lead_of(filter);
    const struct store_value params[] = {STORE_I64(from), STORE_I64(to),
                                         STORE_I64((int64_t)rows_max),
                                         STORE_TEXT(lead_value(filter, lead))};
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &edges[lead], params,
                               lead == LEAD_SEQ ? PC_COUNT(params) - 1 : PC_COUNT(params), &rows);

    if (err)
        return err;
    *ret_seq = store_next(rows) ? store_rows_i64(rows, 0) : -1;
    return store_rows_err(rows);
}

/* With a bound, *ret_edge becomes the place of the first row that was not looked at, or -1. */
static enum err bounded_read(struct store_conn *conn, const struct trail_filter *filter,
                             size_t rows_max, int64_t from, int64_t to, struct arena *arena,
                             struct found *found, int64_t *ret_edge)
{
    enum err err = ERR_OK;

    *ret_edge = -1;
    if (rows_max > 0 && from < to && !is_settled(filter, lead_of(filter)))
        err = edge_find(conn, filter, rows_max, from, to, ret_edge);
    if (err == ERR_OK)
        err = range_read(conn, filter, *ret_edge >= 0 ? *ret_edge + 1 : from, to, arena, found);
    return err;
}

/* ---- along our own index: SQLite ---------------------------------------------------------------
 */

struct indexed {
    enum trail_index_field field;
    struct span value;
    int64_t end;       /* of the index */
    int64_t rows_left; /* that may be looked at */
};

static bool is_indexed(const struct store_conn *conn, const struct trail_filter *filter,
                       struct indexed *ret)
{
    static const struct {
        bool is;
        enum trail_index_field field;
    } fields[LEAD_COUNT] = {[LEAD_OBJECT] = {true, TRAIL_INDEX_OBJECT},
                            [LEAD_ACTOR] = {true, TRAIL_INDEX_ACTOR},
                            [LEAD_EVENT] = {true, TRAIL_INDEX_EVENT},
                            [LEAD_SEVERITY] = {true, TRAIL_INDEX_SEVERITY},
                            [LEAD_CATEGORY] = {true, TRAIL_INDEX_CATEGORY}};
    enum lead lead = lead_of(filter);

    ret->field = fields[lead].field;
    ret->value = lead_value(filter, lead);
    return store_conn_kind(conn) == STORE_SQLITE && fields[lead].is;
}

/* Those of the spans. *ret_edge: where the bound was met, or -1. */
static enum err spans_read(struct store_conn *conn, const struct trail_filter *filter,
                           struct indexed *indexed, const struct trail_spans *spans,
                           struct arena *arena, struct found *found, int64_t *ret_edge)
{
    enum err err = ERR_OK;

    *ret_edge = -1;
    for (size_t i = 0; i < spans->count && *ret_edge < 0 && err == ERR_OK; i++) {
        struct trail_span span = spans->list[i];
        int64_t rows = span.last - span.first + 1;

        if (found->count == filter->limit)
            return ERR_OK;
        if (rows > indexed->rows_left) { /* only where the newest come first */
            *ret_edge = span.last - indexed->rows_left;
            span.first = *ret_edge + 1;
        }
        err = range_read(conn, filter, span.first, span.last + 1, arena, found);
        indexed->rows_left -= rows;
    }
    return err;
}

/* What the index leads to in [from, to). */
static enum err index_read(struct store_conn *conn, const struct trail_filter *filter,
                           struct indexed *indexed, int64_t from, int64_t to, struct arena *arena,
                           struct found *found, int64_t *ret_edge)
{
    struct trail_span range = {.first = from, .last = to - 1};
    struct trail_spans spans = {.more = true};
    enum err err = ERR_OK;

    *ret_edge = -1;
    while (err == ERR_OK && spans.more && *ret_edge < 0 && found->count < filter->limit) {
        err = trail_index_find(conn, indexed->field, indexed->value, range, indexed->end,
                               filter->oldest_first, &spans);
        if (err == ERR_OK)
            err = spans_read(conn, filter, indexed, &spans, arena, found, ret_edge);
        if (!spans.more)
            break;
        if (filter->oldest_first)
            range.first = spans.list[spans.count - 1].last + 1;
        else
            range.last = spans.list[spans.count - 1].first - 1;
    }
    return err;
}

/* The last events are in no block of it yet: those are looked at one by one. */
static enum err indexed_read(struct store_conn *conn, const struct trail_filter *filter,
                             struct indexed *indexed, size_t rows_max, int64_t from, int64_t to,
                             struct arena *arena, struct found *found, int64_t *ret_edge)
{
    enum err err = trail_index_end(conn, &indexed->end);
    int64_t middle = indexed->end < to ? indexed->end : to;

    if (err)
        return err;
    indexed->rows_left = rows_max > 0 ? (int64_t)rows_max : INT64_MAX;
    if (filter->oldest_first) {
        err = index_read(conn, filter, indexed, from, middle, arena, found, ret_edge);
        return err ? err
                   : range_read(conn, filter, from > middle ? from : middle, to, arena, found);
    }
    err = bounded_read(conn, filter, rows_max, from > middle ? from : middle, to, arena, found,
                       ret_edge);
    if (err || *ret_edge >= 0)
        return err;
    return index_read(conn, filter, indexed, from, middle, arena, found, ret_edge);
}

/* ---- either way --------------------------------------------------------------------------------
 */

/* `rows_max` 0: no bound. */
static enum err search(struct store_conn *conn, const struct trail_filter *filter, size_t rows_max,
                       struct arena *arena, struct found *found, int64_t *ret_edge)
{
    struct indexed indexed;
    int64_t from = 0;
    int64_t to = 0;
    enum err err = range_find(conn, filter, &from, &to);

    PC_ASSERT(filter->limit > 0);
    found->count = 0;
    found->list = arena_array(arena, filter->limit, sizeof(*found->list));
    if (err == ERR_OK && found->list == NULL)
        err = ERR_NO_MEMORY;
    if (err)
        return err;
    *ret_edge = -1;
    if (is_indexed(conn, filter, &indexed))
        return indexed_read(conn, filter, &indexed, rows_max, from, to, arena, found, ret_edge);
    return bounded_read(conn, filter, rows_max, from, to, arena, found, ret_edge);
}

enum err trail_find(struct store_conn *conn, const struct trail_filter *filter, struct arena *arena,
                    struct trail_entry **ret_list, size_t *ret_count)
{
    struct found found;
    int64_t edge;
    enum err err = search(conn, filter, 0, arena, &found, &edge);

    if (err)
        return err;
    *ret_list = found.list;
    *ret_count = found.count;
    return ERR_OK;
}

enum err trail_find_some(struct store_conn *conn, const struct trail_filter *filter,
                         size_t rows_max, struct arena *arena, struct trail_entry **ret_list,
                         size_t *ret_count, int64_t *ret_before_seq)
{
    struct found found;
    int64_t edge;
    enum err err;

    PC_ASSERT(!filter->oldest_first && rows_max > 0);
    err = search(conn, filter, rows_max, arena, &found, &edge);
    if (err)
        return err;
    *ret_list = found.list;
    *ret_count = found.count;
    *ret_before_seq = edge + 1;
    return ERR_OK;
}
