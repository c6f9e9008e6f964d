/* SPDX-License-Identifier: MIT
 * Erasing what the log holds of a person, from the first entry to the last, a window at a time:
 *
 *   window: a read finds those of its entries that are the subject's (no index: it passes once)
 *     -> a write reads each again, checks its leaf, changes its row, and tells in the same commit
 *   at the end, on SQLite: the write-ahead log, which holds the rows as they were, is emptied
 *
 * In the row a commitment stands for what goes. The seed, of which its salt could be made again,
 * goes too, so the fields that stay keep their own salts (trail_leaf.c says how). */
#include "trail/trail_erase.h"

#include <semaphore.h>
#include <time.h>

#include "base/alloc.h"
#include "trail/trail_priv.h"

enum {
    WINDOW = 20000,
    BATCH = 128,
    NUMBER_BYTES = 24,
    ARENA_BYTES_MAX = 16 * 1024 * 1024,
    PAUSE_MS = 20, /* between two looks at what somebody else must do */
};

static const struct span USER_PREFIX = SPAN("user:");

/* ?1 the subject; ?2 the user's id that it names, or NULL. */
#define IS_SUBJECT                                                                                 \
    "(actor = ?1 OR principal = ?1 OR object = ?1 OR (actor_kind = 'user' AND "                    \
    "actor = CAST(?2 AS text)))"

static const struct store_statement subject_count = {
    .name = "trail_erase_count",
    .sqlite = "SELECT count(*) FROM trail_events WHERE " IS_SUBJECT " AND seq >= ?3 AND seq < ?4"};

static const struct store_statement subject_find = {
    .name = "trail_erase_find",
    .sqlite = "SELECT seq FROM trail_events WHERE " IS_SUBJECT
              " AND seq >= ?3 AND seq < ?4 ORDER BY seq LIMIT ?5"};

static const struct store_statement row_erase = {
    .name = "trail_erase_row",
    .sqlite = "UPDATE trail_events SET actor = ?2, principal = ?3, address = ?4, object = ?5, "
              "reason = ?6, details = ?7, seed = NULL, erased = ?8 WHERE seq = ?1"};

static const struct store_statement log_empty = {
    .name = "trail_erase_log", .sqlite = "PRAGMA wal_checkpoint(TRUNCATE)", .postgres = "SELECT 1"};

struct erasing {
    const struct trail_erase_order *order;
    struct span user_id; /* of "user:7": 7 */
    int64_t size, from, to;
    int64_t seqs[BATCH];
    size_t count;
    int64_t found, corrupt_seq;
    struct arena arena;
};

/* ---- whose it is -------------------------------------------------------------------------------
 */

static bool is_name(const struct erasing *erasing, struct span text)
{
    return text.len > 0 && span_equal(text, erasing->order->subject);
}

static bool is_actor(const struct erasing *erasing, const struct trail_entry *entry)
{
    struct span actor = entry->personal[TRAIL_PERSONAL_ACTOR];

    return is_name(erasing, actor) ||
           (erasing->user_id.len > 0 && actor.len > 0 && span_is(entry->actor_kind, "user") &&
            span_equal(actor, erasing->user_id));
}

/* Which fields of the entry go. */
static void choose(const struct erasing *erasing, const struct trail_entry *entry,
                   bool ret_goes[TRAIL_PERSONAL_COUNT])
{
    bool acted = is_actor(erasing, entry);
    bool gained = is_name(erasing, entry->personal[TRAIL_PERSONAL_PRINCIPAL]);

    ret_goes[TRAIL_PERSONAL_ACTOR] = acted;
    ret_goes[TRAIL_PERSONAL_PRINCIPAL] = gained;
    ret_goes[TRAIL_PERSONAL_OBJECT] = is_name(erasing, entry->personal[TRAIL_PERSONAL_OBJECT]);
    ret_goes[TRAIL_PERSONAL_ADDRESS] = acted || gained;
    ret_goes[TRAIL_PERSONAL_REASON] = acted || gained;
    ret_goes[TRAIL_PERSONAL_DETAILS] = acted || gained;
}

/* ---- one entry ---------------------------------------------------------------------------------
 */

static enum err field_keep(const struct trail_entry *entry, enum trail_personal field, bool goes,
                           struct sbuf *out)
{
    struct trail_hash hash = {{0}};
    enum trail_stand stand = TRAIL_STAND_NONE;
    enum err err = trail_stand(entry, field, &stand, &hash);

    if (err || stand == TRAIL_STAND_NONE)
        return err;
    if (stand == TRAIL_STAND_VALUE && goes)
        trail_commit(field, &hash, entry->personal[field], &hash);
    sbuf_add_char(out,
                  (char)(stand == TRAIL_STAND_VALUE && !goes ? field | TRAIL_ERASED_SALT : field));
    sbuf_add_bytes(out, hash.bytes, sizeof(hash.bytes));
    return ERR_OK;
}

/* The entry as it is from now on; its leaf must be the same. */
static enum err entry_change(const struct erasing *erasing, struct trail_entry *entry,
                             struct sbuf *erased)
{
    bool goes[TRAIL_PERSONAL_COUNT];
    struct trail_hash leaf;
    enum err err = trail_entry_leaf(entry, &leaf);

    if (err || memcmp(&leaf, &entry->leaf, sizeof(leaf)) != 0)
        return err ? err : ERR_STORE_CORRUPT;
    choose(erasing, entry, goes);
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT && err == ERR_OK; i++)
        err = field_keep(entry, (enum trail_personal)i, goes[i], erased);
    if (err)
        return err;
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT; i++) {
        if (goes[i])
            entry->personal[i] = (struct span){0};
    }
    entry->seed = (struct span){0};
    entry->erased = sbuf_span(erased);
    err = trail_entry_leaf(entry, &leaf);
    PC_ASSERT(err || memcmp(&leaf, &entry->leaf, sizeof(leaf)) == 0);
    return err;
}

static struct store_value text_or_null(struct span text)
{
    return text.len == 0 ? STORE_NULL : STORE_TEXT(text);
}

static enum err entry_write(struct store_conn *conn, const struct trail_entry *entry)
{
    struct store_value values[2 + TRAIL_PERSONAL_COUNT] = {STORE_I64(entry->seq)};

    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT; i++)
        values[1 + i] = text_or_null(entry->personal[i]);
    values[1 + TRAIL_PERSONAL_COUNT] = STORE_BLOB(entry->erased);
    return store_exec_each(conn, &row_erase, values, PC_COUNT(values), 1);
}

static enum err entry_erase(struct store_conn *conn, struct erasing *erasing, int64_t seq)
{
    const struct trail_filter filter = {.from_seq = seq, .oldest_first = true, .limit = 1};
    char room[TRAIL_PERSONAL_COUNT * TRAIL_ERASED_BYTES];
    struct sbuf erased = sbuf_over(room, sizeof(room));
    struct trail_entry *entry = NULL;
    size_t count = 0;
    enum err err = trail_find(conn, &filter, &erasing->arena, &entry, &count);

    if (err == ERR_OK && (count == 0 || entry->seq != seq))
        err = ERR_STORE_CORRUPT;
    if (err == ERR_OK)
        err = entry_change(erasing, entry, &erased);
    if (err == ERR_STORE_CORRUPT)
        erasing->corrupt_seq = seq;
    return err ? err : entry_write(conn, entry);
}

/* ---- some entries, one commit ------------------------------------------------------------------
 */

static struct span number_text(struct sbuf *out, int64_t number)
{
    size_t from = out->len;

    sbuf_add_i64(out, number);
    return span_make(out->ptr + from, out->len - from);
}

/* Who, why and how much; never whom. */
static enum err record_add(struct store_conn *conn, const struct erasing *erasing)
{
    char room[3 * NUMBER_BYTES];
    struct sbuf numbers = sbuf_over(room, sizeof(room));
    struct trail_record record = {.event = TRAIL_AUDIT_ERASED,
                                  .outcome = TRAIL_DONE,
                                  .at_ns = erasing->order->now_ns,
                                  .actor_kind = TRAIL_ACTOR_SYSTEM,
                                  .actor = erasing->order->actor,
                                  .reason = erasing->order->basis};

    record.details[0] =
        (struct trail_detail){"entries", number_text(&numbers, (int64_t)erasing->count)};
    record.details[1] = (struct trail_detail){"first", number_text(&numbers, erasing->seqs[0])};
    record.details[2] =
        (struct trail_detail){"last", number_text(&numbers, erasing->seqs[erasing->count - 1])};
    return trail_add(conn, &record);
}

/* Once for each block of the index that they are in. */
static enum err index_erase(struct store_conn *conn, const struct erasing *erasing)
{
    const struct trail_indexed gone[] = {
        {.field = TRAIL_INDEX_ACTOR, .value = erasing->order->subject},
        {.field = TRAIL_INDEX_OBJECT, .value = erasing->order->subject},
        {.field = TRAIL_INDEX_ACTOR, .value = erasing->user_id},
    };
    size_t count = erasing->user_id.len > 0 ? PC_COUNT(gone) : PC_COUNT(gone) - 1;
    enum err err = ERR_OK;

    for (size_t i = 0; i < erasing->count && err == ERR_OK; i++) {
        if (i == 0 ||
            erasing->seqs[i] / TRAIL_INDEX_LEAVES != erasing->seqs[i - 1] / TRAIL_INDEX_LEAVES)
            err = trail_index_forget(conn, erasing->seqs[i], gone, count);
    }
    return err;
}

static enum err batch_run(struct store_conn *conn, struct store_job *job)
{
    struct erasing *erasing = job->context;
    enum err err = trail_wipe(conn);

    arena_reset(&erasing->arena);
    for (size_t i = 0; i < erasing->count && err == ERR_OK; i++)
        err = entry_erase(conn, erasing, erasing->seqs[i]);
    if (err == ERR_OK)
        err = index_erase(conn, erasing);
    return err ? err : record_add(conn, erasing);
}

/* ---- the whole log -----------------------------------------------------------------------------
 */

static enum err size_run(struct store_conn *conn, struct store_job *job)
{
    struct erasing *erasing = job->context;
    struct trail_tree tree;
    int64_t at;
    enum err err = trail_tree_read(conn, &tree, &at);

    if (err == ERR_OK)
        erasing->size = (int64_t)tree.size;
    return err;
}

static void window_params(const struct erasing *erasing, struct store_value params[4])
{
    params[0] = STORE_TEXT(erasing->order->subject);
    params[1] = text_or_null(erasing->user_id);
    params[2] = STORE_I64(erasing->from);
    params[3] = STORE_I64(erasing->to);
}

static enum err count_run(struct store_conn *conn, struct store_job *job)
{
    struct erasing *erasing = job->context;
    struct store_value params[4];
    PC_AUTO(store_rows) rows = NULL;
    enum err err;

    window_params(erasing, params);
    err = store_query(conn, &subject_count, params, PC_COUNT(params), &rows);
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_INTERNAL);
    erasing->found += store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static enum err find_run(struct store_conn *conn, struct store_job *job)
{
    struct erasing *erasing = job->context;
    struct store_value params[5];
    PC_AUTO(store_rows) rows = NULL;
    enum err err;

    window_params(erasing, params);
    params[4] = STORE_I64(BATCH);
    erasing->count = 0;
    err = store_query(conn, &subject_find, params, PC_COUNT(params), &rows);
    if (err)
        return err;
    while (erasing->count < BATCH && store_next(rows))
        erasing->seqs[erasing->count++] = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static enum err window_erase(struct store *store, struct erasing *erasing)
{
    enum err err;

    do {
        err = store_do(store, find_run, erasing, false);
        if (err || erasing->count == 0)
            return err;
        err = store_do(store, batch_run, erasing, true);
        if (err)
            return err;
        erasing->found += (int64_t)erasing->count;
        erasing->from = erasing->seqs[erasing->count - 1] + 1;
    } while (erasing->count == BATCH);
    return ERR_OK;
}

static enum err windows_pass(struct store *store, struct erasing *erasing)
{
    enum err err = store_do(store, size_run, erasing, false);

    for (int64_t at = 0; at < erasing->size && err == ERR_OK; at += WINDOW) {
        erasing->from = at;
        erasing->to = at + WINDOW < erasing->size ? at + WINDOW : erasing->size;
        err = erasing->order->only_count ? store_do(store, count_run, erasing, false)
                                         : window_erase(store, erasing);
    }
    return err;
}

/* The row says whether it could: an error it is not. */
static enum err empty_run(struct store_conn *conn, struct store_job *job)
{
    bool is_postgres = store_conn_kind(conn) == STORE_POSTGRES;
    PC_AUTO(store_rows) rows = NULL;
    int64_t busy;
    enum err err = store_query(conn, &log_empty, NULL, 0, &rows);

    (void)job;
    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_INTERNAL);
    busy = is_postgres ? 0 : store_rows_i64(rows, 0);
    err = store_rows_err(rows);
    return err == ERR_OK && busy != 0 ? ERR_BUSY : err;
}

struct emptying {
    struct store_job job;
    sem_t over;
};

static void empty_done(struct store_job *job)
{
    PC_ASSERT(sem_post(&PC_CONTAINER(job, struct emptying, job)->over) == 0);
}

/* Not in a transaction, which would hold what it is to empty. */
static enum err log_empty_once(struct store *store)
{
    struct emptying emptying = {.job = {.run = empty_run, .done = empty_done}};
    enum err err;

    PC_ASSERT(sem_init(&emptying.over, 0, 0) == 0);
    err = store_read(store, &emptying.job);
    while (err == ERR_OK && sem_wait(&emptying.over) != 0)
        continue; /* a signal */
    (void)sem_destroy(&emptying.over);
    return err ? err : emptying.job.err;
}

/* False when the time is over. */
static bool wait_more(int64_t until_ns)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * CLOCK_NS_PER_MS};

    if (clock_monotonic_ns(&clock_system) >= until_ns)
        return false;
    (void)nanosleep(&pause, NULL);
    return true;
}

/* Also when nothing was found: a time before, somebody may have been in the way. */
static enum err log_make_empty(struct store *store, int64_t wait_ns)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + wait_ns;
    enum err err;

    do
        err = log_empty_once(store);
    while (err == ERR_BUSY && wait_more(until_ns));
    return err;
}

enum err trail_erase(struct store *store, const struct trail_erase_order *order,
                     struct trail_erased *ret)
{
    struct erasing *erasing = alloc_zero(sizeof(*erasing));
    bool holds = false;
    enum err err;

    PC_ASSERT(order->subject.len > 0 && (order->only_count || order->basis.len > 0));
    if (erasing == NULL)
        return ERR_NO_MEMORY;
    erasing->order = order;
    erasing->corrupt_seq = -1;
    if (span_starts(order->subject, USER_PREFIX))
        erasing->user_id = span_slice(order->subject, USER_PREFIX.len, order->subject.len);
    arena_init(&erasing->arena, NULL, 0, ARENA_BYTES_MAX);
    err = windows_pass(store, erasing);
    if (err == ERR_OK && !order->only_count) {
        err = log_make_empty(store, order->wait_ns);
        holds = err == ERR_BUSY;
    }
    *ret = (struct trail_erased){
        .entries = erasing->found, .corrupt_seq = erasing->corrupt_seq, .log_holds = holds};
    arena_reset(&erasing->arena);
    alloc_free(erasing);
    return err;
}

/* ---- what is on its way to the log -------------------------------------------------------------
 */

static const struct store_statement outbox_newest = {
    .name = "trail_erase_newest", .sqlite = "SELECT coalesce(max(number), 0) FROM trail_outbox"};
static const struct store_statement outbox_waiting = {
    .name = "trail_erase_waiting",
    .sqlite = "SELECT count(*) FROM trail_outbox WHERE number <= ?1"};

struct awaiting {
    int64_t newest, waiting;
};

static enum err number_read(struct store_conn *conn, const struct store_statement *what,
                            const struct store_value *params, size_t count, int64_t *ret)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, what, params, count, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_INTERNAL);
    *ret = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static enum err newest_run(struct store_conn *conn, struct store_job *job)
{
    struct awaiting *awaiting = job->context;

    return number_read(conn, &outbox_newest, NULL, 0, &awaiting->newest);
}

static enum err waiting_run(struct store_conn *conn, struct store_job *job)
{
    struct awaiting *awaiting = job->context;

    return number_read(conn, &outbox_waiting, STORE_PARAMS(STORE_I64(awaiting->newest)),
                       &awaiting->waiting);
}

enum err trail_erase_await(struct store *outbox, int64_t wait_ns, int64_t *ret_waiting)
{
    int64_t until_ns = clock_monotonic_ns(&clock_system) + wait_ns;
    struct awaiting awaiting = {0};
    enum err err = store_do(outbox, newest_run, &awaiting, false);

    if (err)
        return err;
    do
        err = store_do(outbox, waiting_run, &awaiting, false);
    while (err == ERR_OK && awaiting.waiting > 0 && wait_more(until_ns));
    *ret_waiting = awaiting.waiting;
    return err;
}
