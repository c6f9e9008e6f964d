/* SPDX-License-Identifier: MIT
 * GET /accounts/{id}/balance: what is there, now or at a moment of the past.
 *
 * A moment of the past must tell the same for ever. Until the last posting that is known, it does;
 * behind it another may come whose clock is a little late. So the answer to `at` speaks of that
 * posting's moment at the latest, and says so. */
#include "account/account_priv.h"

enum { TIME_BYTES_MAX = 48 };

struct moment {
    int64_t id, seq, at, effective_at;
    bool has_seq, has_at, has_effective;
};

static const struct json_field moment_fields[] = {
    ACCOUNT_ID_FIELD(struct moment),
    {.name = "seq",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct moment, seq),
     .has_offset = offsetof(struct moment, has_seq),
     .example = "1042",
     .about = "Behind this posting."},
    {.name = "at",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .offset = offsetof(struct moment, at),
     .has_offset = offsetof(struct moment, has_at),
     .example = "2026-02-03T04:05:06Z",
     .about = "At this time, by commit."},
    {.name = "effective_at",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .offset = offsetof(struct moment, effective_at),
     .has_offset = offsetof(struct moment, has_effective),
     .example = "2026-02-03T00:00:00Z",
     .about = "Counts only what has effect then or earlier."},
};
const struct json_schema account_moment_schema = {.name = "BalanceMoment",
                                                  .fields = moment_fields,
                                                  .field_count = PC_COUNT(moment_fields),
                                                  .bytes = sizeof(struct moment)};

struct balance_reply {
    int64_t account_id;
    struct span currency;
    struct span posted, held, incoming, available, credit_limit;
    int64_t posted_minor, held_minor, incoming_minor, available_minor, credit_limit_minor;
    int64_t seq;
    struct span at;
};

static const struct json_field balance_fields[] = {
    {.name = "account_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct balance_reply, account_id),
     .example = "7"},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .max = 3,
     .offset = offsetof(struct balance_reply, currency),
     .example = "USD"},
    ACCOUNT_DECIMAL_FIELD(struct balance_reply, posted, "What is there."),
    ACCOUNT_MINOR_FIELD(struct balance_reply, posted_minor),
    ACCOUNT_DECIMAL_FIELD(struct balance_reply, held, "What of it is promised away."),
    ACCOUNT_MINOR_FIELD(struct balance_reply, held_minor),
    ACCOUNT_DECIMAL_FIELD(struct balance_reply, incoming, "What is promised to come."),
    ACCOUNT_MINOR_FIELD(struct balance_reply, incoming_minor),
    ACCOUNT_DECIMAL_FIELD(struct balance_reply, available,
                          "What may be spent: posted - held + credit_limit."),
    ACCOUNT_MINOR_FIELD(struct balance_reply, available_minor),
    ACCOUNT_DECIMAL_FIELD(struct balance_reply, credit_limit, "How far below zero it may go."),
    ACCOUNT_MINOR_FIELD(struct balance_reply, credit_limit_minor),
    {.name = "seq",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct balance_reply, seq),
     .example = "1042",
     .about = "The last posting that is counted; 0: none."},
    {.name = "at",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_DATE_TIME,
     .offset = offsetof(struct balance_reply, at),
     .example = "2026-02-03T04:05:06.123456789Z",
     .about = "The moment for which it holds, to the nanosecond."},
};
const struct json_schema account_balance_schema = {.name = "Balance",
                                                   .about = "What is in an account at a moment.",
                                                   .fields = balance_fields,
                                                   .field_count = PC_COUNT(balance_fields),
                                                   .bytes = sizeof(struct balance_reply)};

/* A limit is in force behind its posting, so not yet for whoever asks for that posting itself. */
static const struct store_statement limit_at_seq = {
    .name = "account_limit_at_seq",
    .sqlite = "SELECT credit_limit FROM ledger_limits WHERE account_id = ?1 AND seq < ?2 AND "
              "at <= ?3 ORDER BY seq DESC, at DESC LIMIT 1"};
static const struct store_statement post_time = {
    .name = "account_post_time", .sqlite = "SELECT at FROM ledger_posts WHERE seq = ?1"};

static enum err reply_with(struct http_request *req, const struct account *account,
                           const struct ledger_account *money, int64_t at_ns)
{
    const enum currency currency = account->currency;
    int64_t available = ledger_available(money);
    struct sbuf at = sbuf_on(req->arena, TIME_BYTES_MAX);
    struct balance_reply reply = {
        .account_id = account->id,
        .currency = span_from(currency_code(currency)),
        .posted = account_decimal(req->arena, money->posted, currency),
        .posted_minor = money->posted,
        .held = account_decimal(req->arena, money->held, currency),
        .held_minor = money->held,
        .incoming = account_decimal(req->arena, money->incoming, currency),
        .incoming_minor = money->incoming,
        .available = account_decimal(req->arena, available, currency),
        .available_minor = available,
        .credit_limit = account_decimal(req->arena, money->credit_limit, currency),
        .credit_limit_minor = money->credit_limit,
        .seq = money->seq};

    clock_add_rfc3339(&at, at_ns, 9);
    reply.at = sbuf_span(&at);
    return req->arena->overflowed ? ERR_NO_MEMORY : http_reply(req, &reply);
}

static enum err one_number(struct store_conn *conn, const struct store_statement *statement,
                           const struct store_value *values, size_t count, int64_t *number)
{
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, statement, values, count, &rows);

    if (err)
        return err;
    if (store_next(rows))
        *number = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

/* 0 would be none; nothing has effect in the first nanosecond of 1970. */
static int64_t effective_ns(const struct moment *input)
{
    if (!input->has_effective)
        return 0;
    return input->effective_at != 0 ? input->effective_at : -1;
}

/* 422 for what has not happened yet. The ledger's time may have run ahead of the clock. */
static enum err check_moment(struct http_request *req, int64_t now_ns, int64_t head_seq,
                             int64_t head_at_ns)
{
    const struct moment *input = req->input;

    if (input->has_seq && input->has_at)
        return http_fail_field(req, "at", "does not go together with seq");
    if (input->has_at && input->at > now_ns && input->at > head_at_ns)
        return http_fail_field(req, "at", "must not be in the future");
    if (input->has_seq && input->seq > head_seq)
        return http_fail_field(req, "seq", "is no posting yet");
    return ERR_OK;
}

/* What is asked for is bound to the last posting there is, so that its answer stays true. */
static enum err bind_moment(struct http_request *req, int64_t now_ns,
                            struct ledger_moment *ret_moment, int64_t *ret_at_ns)
{
    const struct moment *input = req->input;
    int64_t seq, at_ns;
    enum err err = account_ledger_head(req->store, &seq, &at_ns);

    if (!err)
        err = check_moment(req, now_ns, seq, at_ns);
    if (err)
        return err;
    if (input->has_at && (at_ns == 0 || input->at < at_ns))
        at_ns = input->at;
    if (input->has_seq)
        err = one_number(req->store, &post_time, STORE_PARAMS(STORE_I64(input->seq)), &at_ns);
    *ret_moment = (struct ledger_moment){.seq = input->has_seq ? input->seq : 0,
                                         .at_ns = input->has_seq ? 0 : at_ns,
                                         .effective_at_ns = effective_ns(input)};
    *ret_at_ns = at_ns != 0 ? at_ns : now_ns;
    return err;
}

/* Nothing was posted yet by anybody, so nothing was ever there. */
static bool is_before_all(const struct ledger_moment *moment)
{
    return moment->seq == 0 && moment->at_ns == 0;
}

static enum err balance_then(struct http_request *req, const struct account *account,
                             int64_t now_ns)
{
    struct ledger_account money = {.id = account->id, .currency = account->currency};
    struct ledger_balance balance = {0};
    struct ledger_moment moment = {0};
    int64_t at_ns = now_ns;
    enum err err = bind_moment(req, now_ns, &moment, &at_ns);

    if (!err && !is_before_all(&moment))
        err = ledger_balance_at(req->store, account->id, &moment, &balance);
    if (!err)
        err = one_number(req->store, &limit_at_seq,
                         STORE_PARAMS(STORE_I64(account->id),
                                      STORE_I64(moment.seq != 0 ? moment.seq : INT64_MAX),
                                      STORE_I64(moment.at_ns != 0 ? moment.at_ns : INT64_MAX)),
                         &money.credit_limit);
    if (err)
        return err;
    money.posted = balance.posted;
    money.held = balance.held;
    money.incoming = balance.incoming;
    money.seq = balance.seq;
    return reply_with(req, account, &money, at_ns);
}

static enum err balance_now(struct http_request *req, const struct account *account, int64_t now_ns)
{
    const struct account_service *service = http_context(req);
    struct ledger_account money = {0};
    enum err err = ledger_account_get(service->ledger, req->store, account->id, &money);

    return err ? err : reply_with(req, account, &money, now_ns);
}

enum err account_balance(struct http_request *req)
{
    const struct moment *input = req->input;
    const struct account_service *service = http_context(req);
    int64_t now_ns = clock_realtime_ns(ledger_options_of(service->ledger)->clock);
    struct account account = {0};
    enum err err;

    account_count_scopes(req);
    err = account_find_seen(req, input->id, &account);
    if (err)
        return err;
    if (input->has_seq || input->has_at || input->has_effective)
        return balance_then(req, &account, now_ns);
    return balance_now(req, &account, now_ns);
}
