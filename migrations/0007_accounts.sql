-- SPDX-License-Identifier: MIT
-- Lists of accounts, newest first, by what narrows them; ledger_accounts_by_user is there already.

CREATE INDEX accounts_by_type ON accounts (account_type, id);
CREATE INDEX ledger_accounts_by_currency ON ledger_accounts (currency, id);
CREATE INDEX ledger_accounts_by_state ON ledger_accounts (state, id);
