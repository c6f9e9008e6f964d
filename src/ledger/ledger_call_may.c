/* SPDX-License-Identifier: MIT
 * Whose account a request may see or move, and the amounts it names: what the handlers of all
 * services that move money ask alike. */
#include "ledger/ledger_call.h"

bool ledger_moves_all(const struct http_principal *principal)
{
    return http_has_role(principal, "payments") || http_has_role(principal, "risk");
}

bool ledger_sees_all(const struct http_principal *principal)
{
    return ledger_moves_all(principal) || principal->is_admin ||
           http_has_role(principal, "auditor") || http_has_role(principal, "admin");
}

enum err ledger_not_owner(struct http_request *req, const char *kind, int64_t id)
{
    return http_denied(req, ERR_NOT_FOUND, REASON_NOT_OWNER, http_object(req, kind, id));
}

/* A client of its own is nobody's owner, and the house's accounts are not its. */
static enum err account_of(struct http_request *req, struct ledger_turn *turn, bool all,
                           int64_t account_id, struct ledger_account *ret_account)
{
    struct ledger_account account = {0};
    enum err err = ledger_turn_account(turn, account_id, &account);

    if (err)
        return err;
    if (!all && (req->principal->user_id == 0 || account.user_id != req->principal->user_id))
        return ledger_not_owner(req, "account:", account_id);
    *ret_account = account;
    return ERR_OK;
}

enum err ledger_account_seen(struct http_request *req, struct ledger_turn *turn, int64_t account_id,
                             struct ledger_account *ret_account)
{
    return account_of(req, turn, ledger_sees_all(req->principal), account_id, ret_account);
}

enum err ledger_account_moved(struct http_request *req, struct ledger_turn *turn,
                              int64_t account_id, struct ledger_account *ret_account)
{
    return account_of(req, turn, ledger_moves_all(req->principal), account_id, ret_account);
}

static const char *digits_message(enum currency currency)
{
    static const char *const messages[] = {
        "must be a whole number, as its currency has no digits behind the point",
        "must have at most 1 digit behind the point, as its currency has",
        "must have at most 2 digits behind the point, as its currency has",
        "must have at most 3 digits behind the point, as its currency has",
        "must have at most 4 digits behind the point, as its currency has",
    };
    unsigned exponent = currency_exponent(currency);

    PC_ASSERT(exponent < PC_COUNT(messages));
    return messages[exponent];
}

enum err ledger_amount_read(struct http_request *req, const char *field, struct span decimal,
                            enum currency currency, struct money *ret_amount)
{
    struct money amount = {0};
    const char *message = "is out of range";
    enum err err = money_read(decimal, currency, &amount);
    enum err told;

    if (err == ERR_OK && amount.minor <= 0) {
        err = ERR_AMOUNT_RANGE;
        message = "must be above zero";
    }
    if (err == ERR_OK) {
        *ret_amount = amount;
        return ERR_OK;
    }
    if (err == ERR_AMOUNT_DIGITS)
        message = digits_message(currency);
    told = http_fail_field(req, field, message);
    return told == ERR_VALIDATION ? err : told;
}
