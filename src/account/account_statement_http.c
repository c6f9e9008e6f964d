/* SPDX-License-Identifier: MIT
 * GET /accounts/{id}/statement. The first page looks at the last posting there is and goes no
 * further, nor do the pages behind it: their cursor says "<that posting>.<effective date>.<line>",
 * so postings added meanwhile move nothing. */
#include "account/account_priv.h"

enum { CURSOR_BYTES_MAX = 3 * 20 + 2, DISPOSITION_BYTES = 64 };

struct period_input {
    struct http_page page;
    int64_t id, from, to, seq;
    struct span by, format;
    bool has_from, has_to, has_seq;
};

static const char *const orders[] = {"commit", "effective", NULL};
static const char *const formats[] = {"json", "csv", NULL};

static const struct json_field period_fields[] = {
    HTTP_PAGE_FIELDS(CURSOR_BYTES_MAX, "1042.0.977"),
    ACCOUNT_ID_FIELD(struct period_input),
    {.name = "from",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .offset = offsetof(struct period_input, from),
     .has_offset = offsetof(struct period_input, has_from),
     .example = "2026-02-01T00:00:00Z",
     .about = "Then or later."},
    {.name = "to",
     .kind = JSON_KIND_TIME,
     .optional = true,
     .offset = offsetof(struct period_input, to),
     .has_offset = offsetof(struct period_input, has_to),
     .example = "2026-03-01T00:00:00Z",
     .about = "Before then."},
    {.name = "by",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = orders,
     .fallback = "commit",
     .offset = offsetof(struct period_input, by),
     .example = "commit",
     .about = "Which time: that of the commit, or the effective date."},
    {.name = "seq",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct period_input, seq),
     .has_offset = offsetof(struct period_input, has_seq),
     .example = "1042",
     .about = "Nothing behind this posting: the statement as it was then."},
    {.name = "format",
     .kind = JSON_KIND_TEXT,
     .optional = true,
     .choices = formats,
     .offset = offsetof(struct period_input, format),
     .example = "csv",
     .about = "Wins over the header Accept."},
};
const struct json_schema account_period_schema = {.name = "StatementPeriod",
                                                  .fields = period_fields,
                                                  .field_count = PC_COUNT(period_fields),
                                                  .bytes = sizeof(struct period_input)};

static const struct json_field line_fields[] = {
    {.name = "seq",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct account_line, seq),
     .example = "977",
     .about = "The posting."},
    {.name = "at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct account_line, at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "effective_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct account_line, effective_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "kind",
     .kind = JSON_KIND_TEXT,
     .max = 32,
     .offset = offsetof(struct account_line, kind),
     .example = "transfer"},
    {.name = "description",
     .kind = JSON_KIND_TEXT,
     .nullable = true,
     .max = LIMIT_LEDGER_DESCRIPTION_CHARS_MAX,
     .offset = offsetof(struct account_line, description),
     .example = "rent"},
    ACCOUNT_DECIMAL_FIELD(struct account_line, amount, "Below zero: it went out."),
    ACCOUNT_MINOR_FIELD(struct account_line, amount_minor),
    ACCOUNT_DECIMAL_FIELD(struct account_line, balance_after, "What this line left."),
    ACCOUNT_MINOR_FIELD(struct account_line, balance_after_minor),
    {.name = "counterparty_account_id",
     .kind = JSON_KIND_I64,
     .nullable = true,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .offset = offsetof(struct account_line, counterparty),
     .has_offset = offsetof(struct account_line, has_counterparty),
     .example = "9",
     .about = "The other side, where there is one; below zero: the house."},
};
static const struct json_schema line_schema = {.name = "StatementLine",
                                               .about = "What a posting moved.",
                                               .fields = line_fields,
                                               .field_count = PC_COUNT(line_fields),
                                               .bytes = sizeof(struct account_line)};

struct statement_reply {
    int64_t account_id;
    struct span currency, by;
    int64_t seq;
    struct span opening_balance, closing_balance;
    int64_t opening_balance_minor, closing_balance_minor;
    struct json_list lines;
};

static const struct json_field statement_fields[] = {
    {.name = "account_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct statement_reply, account_id),
     .example = "7"},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .max = 3,
     .offset = offsetof(struct statement_reply, currency),
     .example = "USD"},
    {.name = "by",
     .kind = JSON_KIND_TEXT,
     .choices = orders,
     .offset = offsetof(struct statement_reply, by),
     .example = "commit"},
    {.name = "seq",
     .kind = JSON_KIND_I64,
     .max = INT64_MAX,
     .offset = offsetof(struct statement_reply, seq),
     .example = "1042",
     .about = "The last posting that was looked at."},
    ACCOUNT_DECIMAL_FIELD(struct statement_reply, opening_balance, "Before the first line."),
    ACCOUNT_MINOR_FIELD(struct statement_reply, opening_balance_minor),
    {.name = "lines",
     .kind = JSON_KIND_LIST,
     .max = LIMIT_PAGE_ITEMS_MAX,
     .offset = offsetof(struct statement_reply, lines),
     .schema = &line_schema,
     .about = "Oldest first."},
    ACCOUNT_DECIMAL_FIELD(struct statement_reply, closing_balance, "Behind the last line."),
    ACCOUNT_MINOR_FIELD(struct statement_reply, closing_balance_minor),
};
const struct json_schema account_statement_schema = {.name = "Statement",
                                                     .about = "One page of what moved.",
                                                     .fields = statement_fields,
                                                     .field_count = PC_COUNT(statement_fields),
                                                     .bytes = sizeof(struct statement_reply)};

/* "<seq>.<effective date>.<line>" of the page before. */
static bool read_cursor(struct span cursor, struct account_period *period)
{
    struct span part;

    period->continues = true;
    return span_cut(&cursor, '.', &part) && span_to_i64(part, &period->seq) &&
           span_cut(&cursor, '.', &part) && span_to_i64(part, &period->after.effective_at_ns) &&
           span_to_i64(cursor, &period->after.seq) && period->seq > 0 && period->after.seq > 0;
}

static void add_link(struct http_request *req, const struct account_period *period,
                     const struct account_line *last)
{
    const struct period_input *input = req->input;
    char text[CURSOR_BYTES_MAX + 1];
    struct sbuf cursor = sbuf_over(text, sizeof(text));

    sbuf_add_format(&cursor, "%lld.%lld.%lld", (long long)period->seq,
                    (long long)last->effective_at, (long long)last->seq);
    http_page_link(req, &input->page, sbuf_span(&cursor));
}

static enum err read_period(struct http_request *req, struct account_period *ret_period)
{
    const struct period_input *input = req->input;
    int64_t seq, at_ns;
    enum err err = account_ledger_head(req->store, &seq, &at_ns);

    if (err)
        return err;
    if (input->has_from && input->has_to && input->from > input->to)
        return http_fail_field(req, "from", "must not be later than to");
    if (input->has_seq && input->seq > seq)
        return http_fail_field(req, "seq", "is no posting yet");
    *ret_period = (struct account_period){.account_id = input->id,
                                          .by_effective = span_is(input->by, "effective"),
                                          .from_ns = input->has_from ? input->from : INT64_MIN,
                                          .to_ns = input->has_to ? input->to : INT64_MAX,
                                          .seq = input->has_seq ? input->seq : seq,
                                          .limit = (size_t)input->page.limit};
    if (input->page.cursor.len == 0)
        return ERR_OK;
    if (!read_cursor(input->page.cursor, ret_period) || ret_period->seq > seq ||
        (input->has_seq && ret_period->seq != input->seq))
        return http_page_fail(req);
    return ERR_OK;
}

static enum err reply_csv(struct http_request *req, const struct account_page *page,
                          enum currency currency)
{
    const struct period_input *input = req->input;
    char text[DISPOSITION_BYTES];
    struct sbuf disposition = sbuf_over(text, sizeof(text));
    struct span csv;
    enum err err = account_statement_csv(page, currency, req->arena, &csv);

    if (err)
        return err;
    sbuf_add_format(&disposition, "attachment; filename=\"statement-%lld.csv\"",
                    (long long)input->id);
    http_reply_header(req, "Content-Disposition", sbuf_span(&disposition));
    return http_reply_text(req, 200, "text/csv; charset=utf-8; header=present", csv);
}

static enum err reply_json(struct http_request *req, const struct account_period *period,
                           const struct account_page *page, enum currency currency)
{
    const struct period_input *input = req->input;
    const struct statement_reply reply = {
        .account_id = period->account_id,
        .currency = span_from(currency_code(currency)),
        .by = input->by,
        .seq = period->seq,
        .opening_balance = account_decimal(req->arena, page->opening, currency),
        .opening_balance_minor = page->opening,
        .lines = {.items = page->lines, .count = page->count},
        .closing_balance = account_decimal(req->arena, page->closing, currency),
        .closing_balance_minor = page->closing};

    for (size_t i = 0; i < page->count; i++) {
        struct account_line *line = &page->lines[i];

        line->amount = account_decimal(req->arena, line->amount_minor, currency);
        line->balance_after = account_decimal(req->arena, line->balance_after_minor, currency);
    }
    return req->arena->overflowed ? ERR_NO_MEMORY : http_reply(req, &reply);
}

enum err account_statement(struct http_request *req)
{
    const struct period_input *input = req->input;
    struct account_period period = {0};
    struct account account = {0};
    struct account_page page = {0};
    bool csv = span_is(input->format, "csv");
    enum err err;

    account_count_scopes(req);
    if (input->format.ptr == NULL) {
        err = account_statement_form(http_header(req, "accept"), &csv);
        http_reply_header(req, "Vary", SPAN_OF("Accept"));
        if (err)
            return err;
    }
    err = account_find_seen(req, input->id, &account);
    if (!err)
        err = read_period(req, &period);
    if (!err)
        err = account_statement_read(req->store, &period, req->arena, &page);
    if (err)
        return err;
    if (page.has_more)
        add_link(req, &period, &page.lines[page.count - 1]);
    return csv ? reply_csv(req, &page, account.currency)
               : reply_json(req, &period, &page, account.currency);
}
