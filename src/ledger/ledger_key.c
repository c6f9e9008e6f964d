/* SPDX-License-Identifier: MIT
 * Idempotency-Key: what was answered under a key is kept in the commit of what it tells, and given
 * again when the key comes again. A key is its sender's own, and one route's: what is kept is found
 * by a hash over whose it is, the route's id and the key, so that strangers cannot meet. Beside it
 * stands a print of what was asked (json_fingerprint), which tells another request from the same.
 *
 * Turns are taken one after the other over all nodes, so what is found inside of one is final. */
#include "ledger/ledger_key.h"

#include <string.h>

#include "base/limits.h"
#include "crypto/digest.h"
#include "http/http_key.h"

enum { PRINT_LENGTH_BYTES = 4 };

/* ---- what is asked ----------------------------------------------------------------------------
 */

static void put_number(char *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (char)(value >> (8 * i));
}

/* Whose, which route's, which: each with its length, so that none can run into the next. */
static void hash_key(const struct http_request *req, struct span key, char *ret_hash)
{
    const struct http_principal *principal = req->principal;
    int64_t whose = principal->user_id != 0 ? principal->user_id : -principal->client_key;
    struct span route = span_from(req->route->id);
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];
    char whose_text[8], lengths[2][8];
    const struct span pieces[] = {span_make(whose_text, sizeof(whose_text)),
                                  span_make(lengths[0], sizeof(lengths[0])), route,
                                  span_make(lengths[1], sizeof(lengths[1])), key};

    PC_ASSERT(whose != 0);
    put_number(whose_text, (uint64_t)whose, sizeof(whose_text));
    put_number(lengths[0], route.len, sizeof(lengths[0]));
    put_number(lengths[1], key.len, sizeof(lengths[1]));
    crypto_digest_pieces(CRYPTO_SHA256, pieces, PC_COUNT(pieces), digest);
    memcpy(ret_hash, digest, LEDGER_KEY_HASH_BYTES);
}

static enum err print_part(const struct json_schema *schema, const void *value, struct arena *arena,
                           struct span *ret_print)
{
    if (schema == NULL || value == NULL)
        return ERR_OK;
    return json_fingerprint(schema, value, arena, ret_print);
}

/* The input's length, its print, and the body's. */
static enum err print_of(const struct http_request *req, struct span *ret_print)
{
    struct span input = {0}, body = {0};
    char *print;
    enum err err;

    err = print_part(req->route->input, req->input, req->arena, &input);
    if (err == ERR_OK)
        err = print_part(req->route->body, req->body, req->arena, &body);
    if (err)
        return err;
    print = arena_bytes(req->arena, PRINT_LENGTH_BYTES + input.len + body.len);
    if (print == NULL)
        return ERR_NO_MEMORY;
    put_number(print, input.len, PRINT_LENGTH_BYTES);
    if (input.len > 0)
        memcpy(print + PRINT_LENGTH_BYTES, input.ptr, input.len);
    if (body.len > 0)
        memcpy(print + PRINT_LENGTH_BYTES + input.len, body.ptr, body.len);
    *ret_print = span_make(print, PRINT_LENGTH_BYTES + input.len + body.len);
    return ERR_OK;
}

enum err ledger_key_read(struct http_request *req, struct ledger_key *ret_key)
{
    char room[LIMIT_LEDGER_KEY_BYTES_MAX];
    struct span key;
    enum err err = http_key_read(req, room, &key);

    *ret_key = (struct ledger_key){0};
    if (err || key.len == 0)
        return err;
    ret_key->is_given = true;
    hash_key(req, key, ret_key->hash);
    return print_of(req, &ret_key->print);
}

/* Takes the two prints apart. */
static bool split(struct span print, struct span *ret_input, struct span *ret_body)
{
    uint64_t len = 0;

    if (print.len < PRINT_LENGTH_BYTES)
        return false;
    for (size_t i = PRINT_LENGTH_BYTES; i-- > 0;)
        len = len << 8 | (unsigned char)print.ptr[i];
    if (len > print.len - PRINT_LENGTH_BYTES)
        return false;
    *ret_input = span_slice(print, PRINT_LENGTH_BYTES, PRINT_LENGTH_BYTES + len);
    *ret_body = span_slice(print, PRINT_LENGTH_BYTES + len, print.len);
    return true;
}

static bool part_differs(const struct json_schema *schema, struct span one, struct span other,
                         struct sbuf *name)
{
    if (schema != NULL)
        return json_fingerprint_differs(schema, one, other, name);
    if (span_equal(one, other))
        return false;
    sbuf_add_lit(name, "body");
    return true;
}

bool ledger_key_differs(const struct http_request *req, const struct ledger_key *key,
                        struct span *ret_name)
{
    struct sbuf name = sbuf_on(req->arena, 256);
    struct span input, body, kept_input, kept_body;
    bool differs;

    PC_ASSERT(key->kept != NULL && split(key->print, &input, &body));
    if (span_equal(key->print, key->kept->print))
        return false;
    differs = split(key->kept->print, &kept_input, &kept_body) &&
              (part_differs(req->route->input, kept_input, input, &name) ||
               part_differs(req->route->body, kept_body, body, &name));
    if (!differs)
        sbuf_add_lit(&name, "body");
    *ret_name = name.full ? SPAN_OF("") : sbuf_span(&name);
    return true;
}

/* ---- finding ----------------------------------------------------------------------------------
 */

/* Keys of one turn by their hash; open addressing. The hash is a digest: nobody picks its bits. */
struct key_table {
    struct ledger_key **slots;
    size_t mask;
};

static struct ledger_key **slot_of(const struct key_table *table, const char *hash)
{
    size_t at;

    memcpy(&at, hash, sizeof(at));
    for (at &= table->mask; table->slots[at] != NULL; at = (at + 1) & table->mask) {
        if (memcmp(table->slots[at]->hash, hash, LEDGER_KEY_HASH_BYTES) == 0)
            break;
    }
    return &table->slots[at];
}

static enum err table_fill(struct key_table *table, struct ledger_key *const *keys, size_t count,
                           struct arena *arena)
{
    size_t size = 16;

    while (size < 2 * count)
        size *= 2;
    table->mask = size - 1;
    table->slots = arena_array(arena, size, sizeof(struct ledger_key *));
    if (table->slots == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        struct ledger_key **slot = slot_of(table, keys[i]->hash);

        keys[i]->kept = NULL;
        keys[i]->is_second = *slot != NULL;
        if (*slot == NULL)
            *slot = keys[i];
    }
    return ERR_OK;
}

#define KEPT_COLUMNS "fingerprint, status, content_type, location, reply"

/* What is read goes into the head of an answer: it must be what was written. */
static bool is_whole(const struct http_answer *answer)
{
    const struct span lines[] = {answer->content_type, answer->location};

    for (size_t i = 0; i < PC_COUNT(lines); i++) {
        for (size_t k = 0; k < lines[i].len; k++) {
            if ((unsigned char)lines[i].ptr[k] < 0x20 || lines[i].ptr[k] == 0x7F)
                return false;
        }
    }
    return answer->status >= 200 && answer->status < 500;
}

static enum err take_kept(struct store_rows *rows, size_t column, struct arena *arena,
                          struct ledger_key *key)
{
    struct ledger_kept *kept = arena_zero(arena, sizeof(*kept));
    int64_t status;

    if (kept == NULL)
        return ERR_NO_MEMORY;
    kept->print = store_rows_blob(rows, column, arena);
    status = store_rows_i64(rows, column + 1);
    kept->answer.status = status > 0 && status < 1000 ? (int)status : 0;
    kept->answer.content_type = store_rows_text(rows, column + 2, arena);
    kept->answer.location = store_rows_text(rows, column + 3, arena);
    kept->answer.body = store_rows_blob(rows, column + 4, arena);
    if (arena->overflowed)
        return ERR_NO_MEMORY;
    if (!is_whole(&kept->answer))
        return ERR_STORE_CORRUPT;
    key->kept = kept;
    return ERR_OK;
}

/* Embedded, a look at the index costs a microsecond: one by one. */
static enum err find_one(struct store_conn *conn, struct ledger_key *key, struct arena *arena)
{
    static const struct store_statement by_hash = {
        .name = "ledger_key_by_hash",
        .sqlite = "SELECT " KEPT_COLUMNS " FROM ledger_keys WHERE hash = ?1",
    };
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(
        conn, &by_hash, STORE_PARAMS(STORE_BLOB(span_make(key->hash, sizeof(key->hash)))), &rows);

    if (err == ERR_OK && store_next(rows))
        err = take_kept(rows, 0, arena, key);
    return err ? err : store_rows_err(rows);
}

static enum err take_found(struct store_rows *rows, const struct key_table *table,
                           struct arena *arena)
{
    struct span hash = store_rows_blob(rows, 0, NULL);
    struct ledger_key **slot;

    if (hash.len != LEDGER_KEY_HASH_BYTES)
        return ERR_STORE_CORRUPT;
    slot = slot_of(table, hash.ptr);
    return *slot == NULL ? ERR_STORE_CORRUPT : take_kept(rows, 1, arena, *slot);
}

/* Over a network, all at once. */
static enum err find_set(struct store_conn *conn, const struct key_table *table,
                         struct ledger_key *const *keys, size_t count, struct arena *arena)
{
    static const struct store_statement by_hashes = {
        .name = "ledger_keys_by_hashes",
        .sqlite = "SELECT 1",
        .postgres = "SELECT hash, " KEPT_COLUMNS " FROM ledger_keys WHERE hash = ANY (ARRAY("
                    "SELECT decode(value, 'hex') FROM json_array_elements_text(?1::json)))"};
    struct sbuf list = sbuf_on(arena, 16 + count * (2 * LEDGER_KEY_HASH_BYTES + 3));
    PC_AUTO(store_rows) rows = NULL;
    enum err err;

    for (size_t i = 0; i < count; i++) {
        sbuf_add_text(&list, i > 0 ? ",\"" : "[\"");
        sbuf_add_hex(&list, keys[i]->hash, LEDGER_KEY_HASH_BYTES);
        sbuf_add_char(&list, '"');
    }
    sbuf_add_char(&list, ']');
    if (list.full)
        return ERR_NO_MEMORY;
    err = store_query(conn, &by_hashes, STORE_PARAMS(STORE_TEXT(sbuf_span(&list))), &rows);
    while (err == ERR_OK && store_next(rows))
        err = take_found(rows, table, arena);
    return err ? err : store_rows_err(rows);
}

static enum err find_each(struct store_conn *conn, struct ledger_key *const *keys, size_t count,
                          struct arena *arena)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < count && !err; i++) {
        if (!keys[i]->is_second)
            err = find_one(conn, keys[i], arena);
    }
    return err;
}

enum err ledger_keys_find(struct store_conn *conn, struct ledger_key *const *keys, size_t count,
                          struct arena *arena)
{
    struct key_table table = {0};
    enum err err;

    if (count == 0)
        return ERR_OK;
    err = table_fill(&table, keys, count, arena);
    if (err == ERR_OK)
        err = store_conn_kind(conn) == STORE_POSTGRES ? find_set(conn, &table, keys, count, arena)
                                                      : find_each(conn, keys, count, arena);
    for (size_t i = 0; i < count && !err; i++) {
        if (!keys[i]->is_second) /* who is second to a key that was answered is told the same */
            continue;
        keys[i]->kept = (*slot_of(&table, keys[i]->hash))->kept;
        keys[i]->is_second = keys[i]->kept == NULL;
    }
    return err;
}

/* ---- keeping ----------------------------------------------------------------------------------
 */

static struct span not_null(struct span text)
{
    return text.ptr != NULL ? text : SPAN_OF("");
}

enum err ledger_key_keep(struct ledger_turn *turn, const struct ledger_key *key,
                         const struct http_request *req)
{
    static const struct store_statement keep = {
        .name = "ledger_key_keep",
        .sqlite = "INSERT INTO ledger_keys (hash, at, " KEPT_COLUMNS ") "
                  "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    };
    const struct http_answer answer = http_answer_of(req);
    const struct store_value values[] = {STORE_BLOB(span_make(key->hash, sizeof(key->hash))),
                                         STORE_I64(ledger_turn_now(turn)),
                                         STORE_BLOB(key->print),
                                         STORE_I64(answer.status),
                                         STORE_TEXT(not_null(answer.content_type)),
                                         STORE_TEXT_OR_NULL(answer.location),
                                         STORE_BLOB(not_null(answer.body))};

    return ledger_turn_add(turn, &keep, values, PC_COUNT(values));
}
