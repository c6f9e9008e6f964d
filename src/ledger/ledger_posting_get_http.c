/* SPDX-License-Identifier: MIT
 * GET /postings/{id}, and how a posting is shown. For those who see every customer's money: a
 * posting may have legs of several, so for a customer there is nothing here. */
#include "ledger/ledger_posting_http.h"

#include "ledger/ledger_call.h"
#include "ledger/ledger_list.h"
#include "ledger/ledger_transfer.h"

static const struct json_field leg_fields[] = {
    {.name = "account_id",
     .kind = JSON_KIND_I64,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_leg_row, account_id),
     .example = "7",
     .about = "Below zero: the house's."},
    {.name = "account",
     .kind = JSON_KIND_TEXT,
     .max = LEDGER_ACCOUNT_NAME_BYTES_MAX,
     .offset = offsetof(struct ledger_leg_row, account),
     .example = "7",
     .about = "As it is named in an order: an id, or settlement:EUR."},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .max = 3,
     .offset = offsetof(struct ledger_leg_row, currency),
     .example = "USD"},
    {.name = "amount",
     .kind = JSON_KIND_DECIMAL,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_leg_row, amount),
     .example = "-19.95"},
    {.name = "amount_minor",
     .kind = JSON_KIND_I64,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_leg_row, minor),
     .example = "-1995"},
    {.name = "held",
     .kind = JSON_KIND_DECIMAL,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_leg_row, held),
     .example = "0.00",
     .about = "How much more it has promised."},
    {.name = "held_minor",
     .kind = JSON_KIND_I64,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_leg_row, held_minor),
     .example = "0"},
    {.name = "incoming",
     .kind = JSON_KIND_DECIMAL,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_leg_row, incoming),
     .example = "0.00",
     .about = "How much more is promised to it."},
    {.name = "incoming_minor",
     .kind = JSON_KIND_I64,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_leg_row, incoming_minor),
     .example = "0"},
};
static const struct json_schema leg_schema = {.name = "PostingLeg",
                                              .about = "What one account gave or got.",
                                              .fields = leg_fields,
                                              .field_count = PC_COUNT(leg_fields),
                                              .bytes = sizeof(struct ledger_leg_row)};

enum { REFERENCES_MAX = 100 };

static const struct json_field seq_item = {
    .kind = JSON_KIND_I64, .min = 1, .max = INT64_MAX, .example = "44"};

static const struct json_field posting_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_posting_row, seq),
     .example = "41",
     .about = "Its number: one more than that of the posting before it."},
    {.name = "kind",
     .kind = JSON_KIND_TEXT,
     .max = 16,
     .offset = offsetof(struct ledger_posting_row, kind),
     .example = "posting"},
    {.name = "legs",
     .kind = JSON_KIND_LIST,
     .min = 2,
     .max = LIMIT_LEDGER_LEGS_MAX,
     .schema = &leg_schema,
     .offset = offsetof(struct ledger_posting_row, legs)},
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct ledger_posting_row, description),
     .example = "Exchange 10.00 USD"},
    {.name = "refers_to",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_posting_row, refers_to),
     .has_offset = offsetof(struct ledger_posting_row, has_reference),
     .example = "40",
     .about = "The posting that it reverses, captures or ends."},
    {.name = "referred_by",
     .kind = JSON_KIND_LIST,
     .max = REFERENCES_MAX,
     .item = &seq_item,
     .offset = offsetof(struct ledger_posting_row, referred_by),
     .example = "[44]",
     .about = "The postings that reverse, capture or end it: the first hundred."},
    {.name = "transaction_id",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct ledger_posting_row, transaction_id),
     .has_offset = offsetof(struct ledger_posting_row, has_transaction),
     .example = "12"},
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct ledger_posting_row, created_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "effective_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct ledger_posting_row, effective_at),
     .example = "2026-02-03T04:05:06Z"},
};
const struct json_schema ledger_posting_schema = {.name = "Posting",
                                                  .about = "What moved at once.",
                                                  .fields = posting_fields,
                                                  .field_count = PC_COUNT(posting_fields),
                                                  .bytes = sizeof(struct ledger_posting_row)};

static const struct store_statement posting_find = {
    .name = "posting_find",
    .sqlite = "SELECT kind, refers_to, transaction_id, description, at, effective_at "
              "FROM ledger_posts WHERE seq = ?1"};
static const struct store_statement posting_legs = {
    .name = "posting_legs",
    .sqlite = "SELECT e.account_id, a.currency, e.posted, e.held, e.incoming FROM ledger_entries e "
              "CROSS JOIN ledger_accounts a WHERE e.seq = ?1 AND a.id = e.account_id "
              "ORDER BY e.leg LIMIT ?2"};

static const struct store_statement posting_references = {
    .name = "posting_references",
    .sqlite = "SELECT seq FROM ledger_posts WHERE refers_to = ?1 ORDER BY seq LIMIT ?2"};

/* ---- accounts by name -------------------------------------------------------------------------
 */

static const struct {
    struct span prefix;
    enum ledger_house house;
} houses[] = {{SPAN("settlement:"), LEDGER_SETTLEMENT}, {SPAN("position:"), LEDGER_POSITION}};

void ledger_account_name_add(struct sbuf *out, int64_t account_id, enum currency currency)
{
    for (size_t i = 0; i < PC_COUNT(houses); i++) {
        if (account_id != ledger_house_account(houses[i].house, currency))
            continue;
        sbuf_add(out, houses[i].prefix);
        sbuf_add_text(out, currency_code(currency));
        return;
    }
    sbuf_add_i64(out, account_id);
}

static int64_t house_from(struct span name)
{
    for (size_t i = 0; i < PC_COUNT(houses); i++) {
        enum currency currency;

        if (!span_starts(name, houses[i].prefix))
            continue;
        currency = currency_from_code(span_slice(name, houses[i].prefix.len, name.len));
        return currency == CURRENCY_NONE ? 0 : ledger_house_account(houses[i].house, currency);
    }
    return 0;
}

int64_t ledger_account_from_name(struct span json)
{
    bool text = json.len > 2 && json.ptr[0] == '"' && json.ptr[json.len - 1] == '"';
    struct span name = text ? span_slice(json, 1, json.len - 1) : json;
    int64_t id;

    if (span_to_i64(name, &id))
        return id > 0 ? id : 0;
    return text ? house_from(name) : 0;
}

/* ---- showing ----------------------------------------------------------------------------------
 */

static struct span decimal(struct arena *arena, enum currency currency, int64_t minor)
{
    return ledger_decimal(arena, (struct money){.minor = minor, .currency = currency});
}

enum err ledger_leg_show(struct arena *arena, enum currency currency, struct ledger_leg_row *leg)
{
    char text[LEDGER_ACCOUNT_NAME_BYTES_MAX];
    struct sbuf name = sbuf_over(text, sizeof(text));

    ledger_account_name_add(&name, leg->account_id, currency);
    leg->account = arena_copy(arena, sbuf_span(&name));
    leg->currency = span_from(currency_code(currency));
    leg->amount = decimal(arena, currency, leg->minor);
    leg->held = decimal(arena, currency, leg->held_minor);
    leg->incoming = decimal(arena, currency, leg->incoming_minor);
    return arena->overflowed ? ERR_NO_MEMORY : ERR_OK;
}

static enum err find(struct http_request *req, int64_t seq, struct ledger_posting_row *ret_row)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(req->store, &posting_find, STORE_PARAMS(STORE_I64(seq)), &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    *ret_row = (struct ledger_posting_row){.seq = seq,
                                           .kind = store_rows_text(rows, 0, req->arena),
                                           .has_reference = !store_rows_null(rows, 1),
                                           .refers_to = store_rows_i64_or(rows, 1, 0),
                                           .has_transaction = !store_rows_null(rows, 2),
                                           .transaction_id = store_rows_i64_or(rows, 2, 0),
                                           .description = store_rows_text(rows, 3, req->arena),
                                           .created_at = store_rows_i64(rows, 4),
                                           .effective_at = store_rows_i64(rows, 5)};
    return store_rows_err(rows);
}

static enum err leg_read(struct http_request *req, struct store_rows *rows,
                         struct ledger_leg_row *ret_leg)
{
    enum currency currency = currency_from_code(store_rows_text(rows, 1, NULL));

    *ret_leg = (struct ledger_leg_row){.account_id = store_rows_i64(rows, 0),
                                       .minor = store_rows_i64(rows, 2),
                                       .held_minor = store_rows_i64(rows, 3),
                                       .incoming_minor = store_rows_i64(rows, 4)};
    if (store_rows_err(rows))
        return store_rows_err(rows);
    return currency == CURRENCY_NONE ? ERR_STORE_CORRUPT
                                     : ledger_leg_show(req->arena, currency, ret_leg);
}

static enum err find_legs(struct http_request *req, struct ledger_posting_row *row)
{
    struct ledger_leg_row *legs = arena_array(req->arena, LIMIT_LEDGER_LEGS_MAX, sizeof(*legs));
    PC_AUTO(store_rows) rows = NULL;
    size_t count = 0;
    enum err err;

    if (legs == NULL)
        return ERR_NO_MEMORY;
    err = store_query(req->store, &posting_legs,
                      STORE_PARAMS(STORE_I64(row->seq), STORE_I64(LIMIT_LEDGER_LEGS_MAX)), &rows);
    if (err)
        return err;
    while (err == ERR_OK && count < LIMIT_LEDGER_LEGS_MAX && store_next(rows))
        err = leg_read(req, rows, &legs[count++]);
    row->legs = (struct json_list){.items = legs, .count = count};
    return err ? err : store_rows_err(rows);
}

static enum err find_references(struct http_request *req, struct ledger_posting_row *row)
{
    int64_t *seqs = arena_array(req->arena, REFERENCES_MAX, sizeof(*seqs));
    PC_AUTO(store_rows) rows = NULL;
    size_t count = 0;
    enum err err;

    if (seqs == NULL)
        return ERR_NO_MEMORY;
    err = store_query(req->store, &posting_references,
                      STORE_PARAMS(STORE_I64(row->seq), STORE_I64(REFERENCES_MAX)), &rows);
    if (err)
        return err;
    while (count < REFERENCES_MAX && store_next(rows))
        seqs[count++] = store_rows_i64(rows, 0);
    row->referred_by = (struct json_list){.items = seqs, .count = count};
    return store_rows_err(rows);
}

enum err ledger_posting_get(struct http_request *req)
{
    const struct ledger_id_input *input = req->input;
    struct ledger_posting_row row = {0};
    enum err err = find(req, input->id, &row);

    if (!err && !ledger_sees_all(req->principal))
        err = ledger_not_owner(req, "posting:", input->id);

    if (!err)
        err = find_legs(req, &row);
    if (!err)
        err = find_references(req, &row);
    return err ? err : http_reply(req, &row);
}
