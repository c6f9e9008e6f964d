/* SPDX-License-Identifier: MIT
 * Answers that were kept for their Idempotency-Key: one for each key, none of a kind that is not
 * kept, and each that tells of something made tells of what is there. */
#include "ledger/ledger_check_priv.h"

#include "json/json.h"

enum { REPLY_ARENA_BYTES_MAX = 64 * 1024 * 1024, HASH_BYTES = 16 };

static const struct store_statement keys_scan = {
    .name = "ledger_check_keys",
    .sqlite = "SELECT k.id, k.hash, k.status, k.content_type, k.location, k.reply, k.fingerprint, "
              "EXISTS (SELECT 1 FROM ledger_keys o WHERE o.hash = k.hash AND o.id < k.id), k.at "
              "FROM ledger_keys k WHERE k.id > ?1 ORDER BY k.id LIMIT ?2"};

/* What an answer's id may name, and what must be as it says. The columns: amount (may be NULL),
 * currency, and the account that the answer's member names. */
struct told {
    const char *segment; /* of the Location, before the id */
    const char *account; /* the member */
    struct store_statement find;
};

#define POSTED_TO                                                                                  \
    "SELECT e.posted, a.currency, e.account_id FROM ledger_entries e "                             \
    "JOIN ledger_accounts a ON a.id = e.account_id WHERE e.seq = ?1 AND e.posted > 0"

static const struct told told[] = {
    {"transfers", "to_account_id", {.name = "ledger_check_key_transfer", .sqlite = POSTED_TO}},
    {"reversals", "to_account_id", {.name = "ledger_check_key_reversal", .sqlite = POSTED_TO}},
    {"postings",
     NULL,
     {.name = "ledger_check_key_posting",
      .sqlite = "SELECT NULL, NULL, seq FROM ledger_posts WHERE seq = ?1"}},
    {"transactions",
     "account_id",
     {.name = "ledger_check_key_transaction",
      .sqlite = "SELECT amount, currency, account_id FROM transactions WHERE id = ?1"}},
    {"accounts",
     "id",
     {.name = "ledger_check_key_account",
      .sqlite = "SELECT NULL, currency, id FROM ledger_accounts "
                "WHERE id = ?1"}},
    {"orders",
     "account_id",
     {.name = "ledger_check_key_order",
      .sqlite = "SELECT NULL, currency, account_id FROM orders "
                "WHERE id = ?1"}},
};

struct keys {
    struct ledger_check *check;
    struct arena arena;
    int64_t id; /* of the row */
};

/* ---- one thing that is told of ---- */

static bool number_is(const struct json_value *value, int64_t wanted)
{
    char text[24];
    struct sbuf out = sbuf_over(text, sizeof(text));

    sbuf_add_i64(&out, wanted);
    return value == NULL ||
           (value->type == JSON_NUMBER && span_equal(value->text, sbuf_span(&out)));
}

static void row_agrees(struct keys *keys, const struct told *of, const struct json_value *object,
                       struct store_rows *rows)
{
    const struct json_value *currency = json_get(object, "currency");
    struct span stored = store_rows_text(rows, 1, NULL);

    if (!store_rows_null(rows, 0) &&
        !number_is(json_get(object, "amount_minor"), store_rows_i64(rows, 0)))
        ledger_check_fault(keys->check, LEDGER_I7,
                           "key %lld: its answer tells another amount than %lld",
                           (long long)keys->id, (long long)store_rows_i64(rows, 0));
    if (currency != NULL && stored.ptr != NULL && !span_equal(currency->text, stored))
        ledger_check_fault(keys->check, LEDGER_I7,
                           "key %lld: its answer tells another currency than %.*s",
                           (long long)keys->id, SPAN_ARG(stored));
    if (of->account != NULL && !store_rows_null(rows, 2) &&
        !number_is(json_get(object, of->account), store_rows_i64(rows, 2)))
        ledger_check_fault(keys->check, LEDGER_I7,
                           "key %lld: its answer tells another account than %lld",
                           (long long)keys->id, (long long)store_rows_i64(rows, 2));
}

static enum err thing_look(struct keys *keys, const struct told *of,
                           const struct json_value *object)
{
    const struct json_value *id = json_get(object, "id");
    PC_AUTO(store_rows) rows = NULL;
    struct store_value value;
    int64_t number = 0;
    enum err err;

    if (id == NULL || (id->type == JSON_NUMBER && !json_to_i64(id, &number))) {
        ledger_check_fault(keys->check, LEDGER_I7, "key %lld: its answer tells no id",
                           (long long)keys->id);
        return ERR_OK;
    }
    value = id->type == JSON_NUMBER ? STORE_I64(number) : STORE_TEXT(id->text);
    err = store_query(keys->check->conn, &of->find, &value, 1, &rows);
    if (err)
        return err;
    if (store_next(rows))
        row_agrees(keys, of, object, rows);
    else
        ledger_check_fault(keys->check, LEDGER_I7,
                           "key %lld: its answer tells of %s %.*s, which is not there",
                           (long long)keys->id, of->segment, SPAN_ARG(id->text));
    return store_rows_err(rows);
}

/* ---- one answer ---- */

/* The word before the id: "/transfers/7". */
static const struct told *told_of(struct span location)
{
    struct span part;
    struct span before = {0};
    struct span last = {0};

    while (span_cut(&location, '/', &part)) {
        before = last;
        last = part;
    }
    for (size_t i = 0; i < PC_COUNT(told); i++)
        if (span_is(before, told[i].segment))
            return &told[i];
    return NULL;
}

/* {"transfers": [{"transfer": {...}}, ...]} */
static enum err batch_look(struct keys *keys, const struct json_value *list)
{
    enum err err = ERR_OK;

    for (uint32_t i = 0; list != NULL && i < list->count && !err; i++) {
        const struct json_value *transfer = json_get(&list->items[i], "transfer");

        if (transfer != NULL && transfer->type == JSON_OBJECT)
            err = thing_look(keys, &told[0], transfer);
    }
    return err;
}

static enum err reply_look(struct keys *keys, struct span location, struct span reply)
{
    const struct told *of = told_of(location);
    const struct json_value *root = NULL;
    enum err err;

    if (reply.len == 0)
        return ERR_OK;
    arena_reset(&keys->arena);
    err = json_read(reply, &keys->arena, &root, NULL);
    if (err == ERR_NO_MEMORY)
        return err;
    if (err) {
        ledger_check_fault(keys->check, LEDGER_I7, "key %lld: its answer is no JSON",
                           (long long)keys->id);
        return ERR_OK;
    }
    if (of != NULL)
        return thing_look(keys, of, root);
    return batch_look(keys, json_get(root, "transfers"));
}

static enum err key_one(struct keys *keys, const struct ledger_scan *scan)
{
    struct store_rows *rows = scan->rows;
    struct ledger_check *check = keys->check;
    int64_t status = store_rows_i64(rows, 2);

    keys->id = scan->key[0];
    check->summary.keys++;
    if (store_rows_bool(rows, 7))
        ledger_check_fault(check, LEDGER_I7, "key %lld: has the hash of an earlier one",
                           (long long)keys->id);
    if (store_rows_blob(rows, 1, NULL).len != HASH_BYTES || store_rows_blob(rows, 6, NULL).len == 0)
        ledger_check_fault(check, LEDGER_I7, "key %lld: a hash of %zu bytes, a fingerprint of %zu",
                           (long long)keys->id, store_rows_blob(rows, 1, NULL).len,
                           store_rows_blob(rows, 6, NULL).len);
    if (status < 200 || status > 499)
        ledger_check_fault(check, LEDGER_I7, "key %lld: keeps an answer of status %lld",
                           (long long)keys->id, (long long)status);
    if (status < 200 || status > 299)
        return ERR_OK;
    return reply_look(keys, store_rows_text(rows, 4, NULL), store_rows_blob(rows, 5, NULL));
}

enum err ledger_check_keys(struct ledger_check *check)
{
    struct keys keys = {.check = check};
    struct ledger_scan scan;
    enum err err = ERR_OK;
    enum err other;

    arena_init(&keys.arena, NULL, 0, REPLY_ARENA_BYTES_MAX);
    ledger_scan_begin_as(&scan, check->conn, &keys_scan, 1, false, LEDGER_SCAN_PAGE_SMALL);
    for (; !scan.over && !err; ledger_scan_next(&scan))
        err = key_one(&keys, &scan);
    other = ledger_scan_end(&scan);
    arena_reset(&keys.arena);
    return err ? err : other;
}
