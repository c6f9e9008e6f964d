/* SPDX-License-Identifier: MIT
 * An account as its clients see it: the one table from which replies and API pages come. */
#include "account/account_priv.h"

const char *const account_states[] = {"active", "frozen", "closed", NULL};

static const struct json_field account_fields[] = {
    {.name = "id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct account_reply, id),
     .example = "7"},
    {.name = "user_id",
     .kind = JSON_KIND_I64,
     .min = 1,
     .max = INT64_MAX,
     .offset = offsetof(struct account_reply, user_id),
     .example = "2",
     .about = "Whose it is."},
    {.name = "account_number",
     .kind = JSON_KIND_TEXT,
     .max = ACCOUNT_NUMBER_CHARS_MAX,
     .offset = offsetof(struct account_reply, account_number),
     .example = "******7890",
     .about = "All but its last 4 letters and digits masked."},
    {.name = "account_type",
     .kind = JSON_KIND_TEXT,
     .max = ACCOUNT_TYPE_CHARS_MAX,
     .offset = offsetof(struct account_reply, account_type),
     .example = "checking"},
    {.name = "currency",
     .kind = JSON_KIND_TEXT,
     .max = 3,
     .offset = offsetof(struct account_reply, currency),
     .example = "USD"},
    {.name = "status",
     .kind = JSON_KIND_TEXT,
     .choices = account_states,
     .offset = offsetof(struct account_reply, status),
     .example = "active",
     .about = "Into a frozen account money may come, but not go out; a closed one stays as it is."},
    ACCOUNT_DECIMAL_FIELD(struct account_reply, balance,
                          "What is there, exactly, in the account's currency."),
    ACCOUNT_MINOR_FIELD(struct account_reply, balance_minor),
    {.name = "created_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct account_reply, created_at),
     .example = "2026-02-03T04:05:06Z"},
    {.name = "updated_at",
     .kind = JSON_KIND_TIME,
     .offset = offsetof(struct account_reply, updated_at),
     .example = "2026-02-03T04:05:06Z",
     .about = "When its type, status or limit was changed."},
};
const struct json_schema account_schema = {.name = "Account",
                                           .about = "An account of a customer.",
                                           .fields = account_fields,
                                           .field_count = PC_COUNT(account_fields),
                                           .bytes = sizeof(struct account_reply)};

static const struct json_field id_fields[] = {
    ACCOUNT_ID_FIELD(struct account_id_input),
};
const struct json_schema account_id_schema = {.name = "AccountId",
                                              .fields = id_fields,
                                              .field_count = PC_COUNT(id_fields),
                                              .bytes = sizeof(struct account_id_input)};

enum err account_reply_of(const struct account *account, struct arena *arena,
                          struct account_reply *ret_reply)
{
    *ret_reply = (struct account_reply){
        .id = account->id,
        .user_id = account->user_id,
        .account_number = account_number_masked(account->number, arena),
        .account_type = account->type,
        .currency = span_from(currency_code(account->currency)),
        .status = span_from(ledger_states[account->state]),
        .balance = account_decimal(arena, account->posted, account->currency),
        .balance_minor = account->posted,
        .created_at = account->created_at_ns,
        .updated_at = account->updated_at_ns};
    return arena->overflowed ? ERR_NO_MEMORY : ERR_OK;
}

enum err account_replies_of(const struct account *accounts, size_t count, struct arena *arena,
                            struct json_list *ret_list)
{
    struct account_reply *replies = arena_array(arena, count + 1, sizeof(*replies));

    if (replies == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        enum err err = account_reply_of(&accounts[i], arena, &replies[i]);

        if (err)
            return err;
    }
    *ret_list = (struct json_list){.items = replies, .count = count};
    return ERR_OK;
}
