/* SPDX-License-Identifier: MIT
 * The rows of the signing keys: what every node publishes and verifies with. Each change is one
 * commit together with its record in the trail and a line in the feed of changes, by which running
 * nodes hear of it within a second. */
#include <unistd.h>

#include "oauth/oauth_keys_priv.h"

enum {
    JWK_BYTES_MAX = 4096,
    OBJECT_BYTES_MAX = CRYPTO_KID_BYTES_MAX + 8,
    ROWS_MAX = 10000,
    ACTOR_BYTES = 32
};

static const struct store_statement keys_all = {
    .name = "oauth_keys_all",
    .sqlite = "SELECT kid, alg, jwk, created_at, signs_from, signs_until, gone_at FROM oauth_keys "
              "ORDER BY created_at DESC, kid LIMIT ?1"};
static const struct store_statement key_insert = {
    .name = "oauth_key_insert",
    .sqlite = "INSERT INTO oauth_keys (kid, alg, jwk, created_at, signs_from) "
              "VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (kid) DO NOTHING"};
static const struct store_statement key_stop = {
    .name = "oauth_key_stop",
    .sqlite = "UPDATE oauth_keys SET signs_until = ?2, gone_at = ?3 "
              "WHERE kid = ?1 AND (signs_until IS NULL OR signs_until > ?2)"};
static const struct store_statement key_out = {
    .name = "oauth_key_out",
    .sqlite = "UPDATE oauth_keys SET gone_at = ?2, "
              "signs_until = CASE WHEN signs_until < ?2 THEN signs_until ELSE ?2 END "
              "WHERE kid = ?1 AND (gone_at IS NULL OR gone_at > ?2)"};

/* ---- reading ---- */

static enum err row_read(struct store_rows *rows, struct arena *arena, struct oauth_key_found *ret)
{
    *ret = (struct oauth_key_found){.row = {.kid = store_rows_text(rows, 0, arena),
                                            .alg = crypto_alg_from(store_rows_text(rows, 1, NULL)),
                                            .created_at_ns = store_rows_i64(rows, 3),
                                            .signs_from_ns = store_rows_i64(rows, 4),
                                            .signs_until_ns = store_rows_i64_or(rows, 5, 0),
                                            .gone_at_ns = store_rows_i64_or(rows, 6, 0)},
                                    .jwk = store_rows_text(rows, 2, arena)};
    if (arena->overflowed)
        return ERR_NO_MEMORY;
    return ret->row.alg == CRYPTO_ALG_NONE ? store_rows_end(rows, ERR_STORE_CORRUPT) : ERR_OK;
}

static enum err rows_read(struct store_rows *rows, struct arena *arena,
                          struct oauth_key_found **ret_rows, size_t *ret_count)
{
    struct oauth_key_found *found = NULL;
    size_t count = 0, room = 0;

    while (store_next(rows)) {
        enum err err;

        if (count == room) {
            struct oauth_key_found *more = arena_array(arena, 2 * room + 16, sizeof(*more));

            if (more == NULL)
                return ERR_NO_MEMORY;
            if (count > 0)
                memcpy(more, found, count * sizeof(*found));
            found = more;
            room = 2 * room + 16;
        }
        err = row_read(rows, arena, &found[count++]);
        if (err)
            return err;
    }
    *ret_rows = found;
    *ret_count = count;
    return store_rows_err(rows);
}

static enum err rows_find(struct store_conn *conn, struct arena *arena,
                          struct oauth_key_found **ret_rows, size_t *ret_count)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &keys_all, STORE_PARAMS(STORE_I64(ROWS_MAX)), &rows);

    if (err)
        return err;
    return rows_read(rows, arena, ret_rows, ret_count);
}

struct reading {
    struct arena *arena;
    struct oauth_key_found *rows;
    size_t count;
};

static enum err read_run(struct store_conn *conn, struct store_job *job)
{
    struct reading *reading = job->context;

    return rows_find(conn, reading->arena, &reading->rows, &reading->count);
}

enum err oauth_key_rows(struct store *store, struct arena *arena, struct oauth_key_found **ret_rows,
                        size_t *ret_count)
{
    struct reading reading = {.arena = arena};
    enum err err = store_do(store, read_run, &reading, false);

    if (err)
        return err;
    *ret_rows = reading.rows;
    *ret_count = reading.count;
    return ERR_OK;
}

enum err oauth_key_list(struct store_conn *conn, struct arena *arena,
                        struct oauth_key_row **ret_rows, size_t *ret_count)
{
    struct oauth_key_found *found;
    struct oauth_key_row *list;
    size_t count;
    enum err err;

    err = rows_find(conn, arena, &found, &count);
    if (err)
        return err;
    list = arena_array(arena, count > 0 ? count : 1, sizeof(*list));
    if (list == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        list[i] = found[i].row;
    *ret_rows = list;
    *ret_count = count;
    return ERR_OK;
}

/* ---- writing ---- */

static enum err record(struct store_conn *conn, enum trail_event event, struct span kid,
                       enum crypto_alg alg, const char *reason, int64_t now_ns)
{
    char text[OBJECT_BYTES_MAX], actor[ACTOR_BYTES];
    struct sbuf object = sbuf_over(text, sizeof(text));
    struct sbuf who = sbuf_over(actor, sizeof(actor));
    struct trail_record record = {.event = event,
                                  .outcome = TRAIL_DONE,
                                  .at_ns = now_ns,
                                  .actor_kind = TRAIL_ACTOR_SYSTEM,
                                  .reason = span_from(reason)};

    sbuf_add_lit(&object, "key:");
    sbuf_add(&object, kid);
    sbuf_add_format(&who, "uid:%ld", (long)getuid()); /* all that is known of who typed it */
    PC_ASSERT(!object.full && !who.full);
    record.object = sbuf_span(&object);
    record.actor = sbuf_span(&who);
    record.details[0] =
        (struct trail_detail){.name = "alg", .value = span_from(crypto_alg_name(alg))};
    return trail_add(conn, &record);
}

static enum err changed(struct store_conn *conn, int64_t now_ns)
{
    return auth_change_add(conn, 0, (struct span){0}, "keys", now_ns);
}

static enum err key_add(struct store_conn *conn, const struct oauth_key_entering *entering,
                        const struct crypto_key *key, int64_t *ret_added)
{
    char text[JWK_BYTES_MAX];
    struct sbuf jwk = sbuf_over(text, sizeof(text));
    enum err err = crypto_jwk_add(&jwk, key, CRYPTO_JWK_PUBLIC);

    if (err || jwk.full)
        return err ? err : ERR_NO_SPACE;
    err = store_exec(conn, &key_insert,
                     STORE_PARAMS(STORE_TEXT(crypto_key_kid(key)),
                                  STORE_TEXT(span_from(crypto_alg_name(crypto_key_alg(key)))),
                                  STORE_TEXT(sbuf_span(&jwk)), STORE_I64(entering->now_ns),
                                  STORE_I64(entering->signs_from_ns)),
                     ret_added);
    if (err || *ret_added == 0)
        return err;
    return record(conn, TRAIL_KEY_CREATED, crypto_key_kid(key), crypto_key_alg(key),
                  entering->reason, entering->now_ns);
}

static enum err enter_run(struct store_conn *conn, struct store_job *job)
{
    const struct oauth_key_entering *entering = job->context;
    int64_t sum = 0;
    enum err err;

    for (size_t i = 0; i < entering->count; i++) {
        int64_t added = 0;

        err = key_add(conn, entering, entering->keys[i], &added);
        if (err)
            return err;
        sum += added;
    }
    for (size_t i = 0; i < entering->stopping_count; i++) {
        err = store_exec(conn, &key_stop,
                         STORE_PARAMS(STORE_TEXT(entering->stopping[i]),
                                      STORE_I64(entering->signs_from_ns),
                                      STORE_I64(entering->gone_at_ns)),
                         NULL);
        if (err)
            return err;
    }
    return sum > 0 ? changed(conn, entering->now_ns) : ERR_OK;
}

enum err oauth_key_enter(struct store *store, const struct oauth_key_entering *entering)
{
    struct oauth_key_entering copy = *entering;

    return store_do(store, enter_run, &copy, true);
}

struct leaving {
    struct span kid;
    enum crypto_alg alg;
    int64_t now_ns;
};

static enum err leave_run(struct store_conn *conn, struct store_job *job)
{
    const struct leaving *leaving = job->context;
    int64_t count;
    enum err err = store_exec(
        conn, &key_out, STORE_PARAMS(STORE_TEXT(leaving->kid), STORE_I64(leaving->now_ns)), &count);

    if (err || count == 0)
        return err;
    err = record(conn, TRAIL_KEY_RETIRED, leaving->kid, leaving->alg, "retired", leaving->now_ns);
    if (err)
        return err;
    return changed(conn, leaving->now_ns);
}

enum err oauth_key_take_out(struct store *store, struct span kid, enum crypto_alg alg,
                            int64_t now_ns)
{
    struct leaving leaving = {.kid = kid, .alg = alg, .now_ns = now_ns};

    return store_do(store, leave_run, &leaving, true);
}
