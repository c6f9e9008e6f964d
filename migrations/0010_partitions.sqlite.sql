-- SPDX-License-Identifier: MIT
-- The index of entries by account begins anew every 8192 postings (LEDGER_PARTITION_POSTS), so what
-- a posting writes of it does not grow with the ledger: in one index over all, each account's last
-- entries lie on a page of their own once there are many. An account and a number are there once by
-- the primary key.

DROP INDEX ledger_entries_by_account;
CREATE INDEX ledger_entries_by_account ON ledger_entries (seq >> 13, account_id, seq);
