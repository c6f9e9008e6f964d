/* SPDX-License-Identifier: MIT
 * The names under which states and kinds are stored, and the numbers of the house's accounts. */
#include "ledger/ledger_priv.h"

#include "base/check.h"

const char *const ledger_states[LEDGER_STATE_COUNT] = {
    [LEDGER_CLOSED] = "closed",
    [LEDGER_FROZEN] = "frozen",
    [LEDGER_ACTIVE] = "active",
};

static const char *const kinds[LEDGER_KIND_COUNT] = {
#define LEDGER_KIND(id, name, event) [id] = (name),
#include "ledger/ledger_kind.def"
#undef LEDGER_KIND
};

const char *ledger_kind_name(enum ledger_kind kind)
{
    PC_ASSERT(kind > LEDGER_KIND_NONE && kind < LEDGER_KIND_COUNT);
    return kinds[kind];
}

/* The letters of the code as a number in base 26, so that the account of a currency stays the same
 * when others are added to the table. */
int64_t ledger_house_account(enum ledger_house house, enum currency currency)
{
    const char *code = currency_code(currency);
    int64_t letters = 0;

    PC_ASSERT(house == LEDGER_SETTLEMENT || house == LEDGER_POSITION);
    PC_ASSERT(currency > CURRENCY_NONE && currency < CURRENCY_COUNT);
    for (size_t i = 0; i < 3; i++)
        letters = letters * 26 + (code[i] - 'A');
    return -((int64_t)house * 100000 + letters);
}

bool ledger_state_read(struct span text, enum ledger_state *ret_state)
{
    for (size_t i = 0; i < LEDGER_STATE_COUNT; i++) {
        if (span_is(text, ledger_states[i])) {
            *ret_state = (enum ledger_state)i;
            return true;
        }
    }
    return false;
}
