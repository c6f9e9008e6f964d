/* SPDX-License-Identifier: MIT
 * The rules of accounts that need no store: how a number is written, compared and shown, what a
 * type may be called, who may do what, and the data scopes that metrics know. */
#include "account/account.h"

#include "account/account_priv.h"
#include "ledger/ledger_call.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter_or_digit(char c)
{
    return is_digit(c) || (span_lower_char(c) >= 'a' && span_lower_char(c) <= 'z');
}

static char upper(char c)
{
    return (c >= 'a' && c <= 'z') ? (char)(c & ~0x20) : c;
}

enum err account_number_key(struct span number, struct arena *arena, struct span *ret_key)
{
    struct sbuf out = sbuf_on(arena, ACCOUNT_NUMBER_CHARS_MAX);

    if (number.len < ACCOUNT_NUMBER_CHARS_MIN || number.len > ACCOUNT_NUMBER_CHARS_MAX)
        return ERR_VALIDATION;
    for (size_t i = 0; i < number.len; i++) {
        char c = number.ptr[i];

        if (is_letter_or_digit(c))
            sbuf_add_char(&out, upper(c));
        else if (c != ' ' && c != '-')
            return ERR_VALIDATION;
    }
    if (out.full)
        return ERR_NO_MEMORY;
    if (out.len < ACCOUNT_NUMBER_CHARS_MIN)
        return ERR_VALIDATION;
    *ret_key = sbuf_span(&out);
    return ERR_OK;
}

struct span account_number_masked(struct span number, struct arena *arena)
{
    char *text = arena_bytes(arena, number.len);
    size_t shown = 0;

    if (text == NULL)
        return (struct span){0};
    for (size_t i = number.len; i-- > 0;) {
        bool shows = is_letter_or_digit(number.ptr[i]) && shown < ACCOUNT_NUMBER_SHOWN;

        text[i] = '*';
        if (shows)
            text[i] = number.ptr[i];
        shown += shows;
    }
    return span_make(text, number.len);
}

bool account_type_holds(struct span type)
{
    if (type.len == 0 || type.len > ACCOUNT_TYPE_CHARS_MAX || !is_letter_or_digit(type.ptr[0]) ||
        type.ptr[type.len - 1] == ' ')
        return false;
    for (size_t i = 0; i < type.len; i++) {
        char c = type.ptr[i];

        if (!is_letter_or_digit(c) && c != ' ' && c != '_' && c != '-' && c != '.')
            return false;
    }
    return true;
}

struct span account_decimal(struct arena *arena, int64_t minor, enum currency currency)
{
    const struct money money = {.minor = minor, .currency = currency};
    struct sbuf out = sbuf_on(arena, ACCOUNT_DECIMAL_BYTES_MAX);

    money_add_decimal(&out, money);
    if (out.full)
        return (struct span){0};
    return sbuf_span(&out);
}

/* ---- who --------------------------------------------------------------------------------------
 */

/* A client that speaks for itself is user 0, and owns nothing. */
static bool owns(const struct http_principal *principal, int64_t user_id)
{
    return user_id != 0 && principal->user_id == user_id;
}

bool account_is_seen(const struct http_principal *principal, int64_t user_id)
{
    return owns(principal, user_id) || ledger_sees_all(principal);
}

/* An administrator opens, names and closes accounts, but moves no money. */
bool account_is_managed(const struct http_principal *principal, int64_t user_id)
{
    return owns(principal, user_id) || ledger_moves_all(principal) || principal->is_admin ||
           http_has_role(principal, "admin");
}

/* ---- data scopes ------------------------------------------------------------------------------
 */

static const struct metric_def scope_def = {
    .name = "account_service_compliance_flags_total",
    .help = "Requests by what their header x-data-scope says.",
    .kind = METRIC_COUNTER,
    .labels = {"scope"},
};

enum { SCOPES_OF_REQUEST_MAX = 8 };

/* What a label may be; the last stands for all others. Whatever a client sends, no more than these
 * series exist, and none shows a text of theirs. */
static const char *const scope_names[] = {
    "account",  "aml",        "audit",     "cardholder", "ccpa",        "confidential",
    "customer", "dora",       "financial", "gdpr",       "glba",        "hipaa",
    "internal", "iso27001",   "kyc",       "nist",       "owasp",       "payment",
    "pci",      "pci_dss",    "personal",  "phi",        "pii",         "psd2",
    "public",   "restricted", "soc2",      "sox",        "transaction", "other",
};
enum { SCOPE_OTHER = PC_COUNT(scope_names) - 1 };

enum err account_service_init(struct account_service *ret_service, struct ledger *ledger,
                              struct auth *auth)
{
    struct metric *metric;
    enum err err = metric_register(ledger_options_of(ledger)->metrics, &scope_def, &metric);

    if (err)
        return err;
    *ret_service = (struct account_service){.ledger = ledger, .auth = auth};
    for (size_t i = 0; i < PC_COUNT(scope_names); i++) {
        const struct span label = span_from(scope_names[i]);

        ret_service->scopes[i] = metric != NULL ? metric_series(metric, &label, 1) : NULL;
    }
    return ERR_OK;
}

/* "PCI-DSS" is "pci_dss". */
static bool is_scope(struct span text, const char *name)
{
    struct span other = span_from(name);

    if (text.len != other.len)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i] == '-' ? '_' : span_lower_char(text.ptr[i]);

        if (c != other.ptr[i])
            return false;
    }
    return true;
}

static size_t scope_find(struct span text)
{
    for (size_t i = 0; i < SCOPE_OTHER; i++) {
        if (is_scope(text, scope_names[i]))
            return i;
    }
    return SCOPE_OTHER;
}

/* Each scope once, however often it is named. */
void account_count_scopes(const struct http_request *req)
{
    const struct account_service *service = http_context(req);
    struct span rest = http_header(req, "x-data-scope");
    uint64_t seen = 0;
    struct span part;

    for (size_t i = 0; i < SCOPES_OF_REQUEST_MAX && rest.len > 0 && span_cut(&rest, ',', &part);
         i++) {
        struct span name = span_trim(part);
        size_t at = scope_find(name);

        if (name.len == 0 || (seen & (UINT64_C(1) << at)))
            continue;
        seen |= UINT64_C(1) << at;
        metric_add(service->scopes[at], 1);
    }
}
