-- SPDX-License-Identifier: MIT
-- SQLite's index of entries by account begins anew every 8192 postings. Here entries are found by
-- their primary key, which begins with the account; it stays as it is.

COMMENT ON TABLE ledger_entries IS 'by account along the primary key';
