/* SPDX-License-Identifier: MIT
 * A page of a statement as CSV, and whether a client would rather have that. Whoever opens it in a
 * spreadsheet must find texts there, whatever somebody wrote into a payment's description: a cell
 * that could be a formula begins with an apostrophe. Amounts and ids are numbers, and stay.
 *
 * Source: RFC 4180; OWASP, "CSV Injection"; RFC 9110, 12.4.2 and 12.5.1. */
#include "account/account_priv.h"

enum { CSV_BYTES_MAX = 1024 * 1024, QUALITY_ONE = 1000 };

static void add_text(struct sbuf *out, struct span text)
{
    const struct span dangerous = SPAN("=+-@\t\r\n");

    sbuf_add_char(out, '"');
    if (text.len > 0 && span_find(dangerous, text.ptr[0]) < dangerous.len)
        sbuf_add_char(out, '\'');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"')
            sbuf_add_char(out, '"');
        sbuf_add_char(out, text.ptr[i]);
    }
    sbuf_add_char(out, '"');
}

static void add_amount(struct sbuf *out, int64_t minor, enum currency currency)
{
    money_add_decimal(out, (struct money){.minor = minor, .currency = currency});
    sbuf_add_char(out, ',');
    sbuf_add_i64(out, minor);
    sbuf_add_char(out, ',');
}

static void add_line(struct sbuf *out, const struct account_line *line, enum currency currency)
{
    sbuf_add_i64(out, line->seq);
    sbuf_add_char(out, ',');
    clock_add_rfc3339(out, line->at, 6);
    sbuf_add_char(out, ',');
    clock_add_rfc3339(out, line->effective_at, 6);
    sbuf_add_char(out, ',');
    sbuf_add(out, line->kind);
    sbuf_add_char(out, ',');
    add_text(out, line->description);
    sbuf_add_char(out, ',');
    sbuf_add_text(out, currency_code(currency));
    sbuf_add_char(out, ',');
    add_amount(out, line->amount_minor, currency);
    add_amount(out, line->balance_after_minor, currency);
    if (line->has_counterparty)
        sbuf_add_i64(out, line->counterparty);
    sbuf_add_lit(out, "\r\n");
}

enum err account_statement_csv(const struct account_page *page, enum currency currency,
                               struct arena *arena, struct span *ret_text)
{
    struct sbuf out = sbuf_on(arena, CSV_BYTES_MAX);

    sbuf_add_lit(&out, "seq,at,effective_at,kind,description,currency,amount,amount_minor,"
                       "balance_after,balance_after_minor,counterparty_account_id\r\n");
    for (size_t i = 0; i < page->count; i++)
        add_line(&out, &page->lines[i], currency);
    return sbuf_finish(&out, ret_text);
}

/* ---- what a client would rather have ----------------------------------------------------------
 */

/* "0.25" in thousandths; what is no weight is the full one. RFC 9110, 12.4.2. */
static unsigned quality_of(struct span text)
{
    unsigned quality = 0, unit = QUALITY_ONE / 10;

    if (text.len == 0 || text.ptr[0] != '0')
        return QUALITY_ONE;
    for (size_t i = 2; i < text.len && unit > 0; i++, unit /= 10) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return QUALITY_ONE;
        quality += unit * (unsigned)(text.ptr[i] - '0');
    }
    return quality;
}

static unsigned quality_in(struct span parameters)
{
    struct span part;

    while (parameters.len > 0 && span_cut(&parameters, ';', &part)) {
        struct span trimmed = span_trim(part);

        if (trimmed.len > 2 && span_lower_char(trimmed.ptr[0]) == 'q' && trimmed.ptr[1] == '=')
            return quality_of(span_slice(trimmed, 2, trimmed.len));
    }
    return QUALITY_ONE;
}

/* How well a media range fits "major/minor": 3 exactly, 2 by its kind, 1 as anything, 0 not. */
static unsigned fit(struct span range, const char *type, const char *kind)
{
    if (span_is_nocase(range, type))
        return 3;
    if (span_is_nocase(range, kind))
        return 2;
    return span_is(range, "*/*") ? 1 : 0;
}

/* The weight of what fits best. */
static unsigned weight(struct span accept, const char *type, const char *kind)
{
    unsigned best = 0, quality = 0;
    struct span part;

    while (accept.len > 0 && span_cut(&accept, ',', &part)) {
        size_t end = span_find(part, ';');
        unsigned fits = fit(span_trim(span_slice(part, 0, end)), type, kind);

        if (fits <= best)
            continue;
        best = fits;
        quality = quality_in(span_slice(part, end + 1, part.len));
    }
    return quality;
}

enum err account_statement_form(struct span accept, bool *ret_csv)
{
    unsigned csv = weight(accept, "text/csv", "text/*");
    unsigned json = weight(accept, "application/json", "application/*");

    *ret_csv = accept.len > 0 && csv > json;
    return accept.len > 0 && csv == 0 && json == 0 ? ERR_NOT_ACCEPTABLE : ERR_OK;
}
