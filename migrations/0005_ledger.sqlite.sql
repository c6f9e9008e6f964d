-- SPDX-License-Identifier: MIT
-- The ledger: postings that sum to zero, their entries, and the balances that are their sum, all
-- written in one commit. Postings and entries are never changed or taken away: triggers refuse it.
-- Amounts are whole minor units. Times are nanoseconds since 1970.
--
-- Three balances: posted is what is there, held what is promised away, incoming what is promised
-- to come. What may be spent is posted - held + credit_limit.

-- One row. Whoever posts holds it until the commit, so numbers have no gaps and times only rise.
CREATE TABLE ledger_head (
    id integer PRIMARY KEY CHECK (id = 1),
    seq integer NOT NULL,
    at integer NOT NULL,
    transaction_id integer NOT NULL
) STRICT;

INSERT INTO ledger_head (id, seq, at, transaction_id) VALUES (1, 0, 0, 0);

-- Customers' accounts count up from 1; the house's own have fixed numbers below 0.
CREATE TABLE ledger_accounts (
    id integer PRIMARY KEY AUTOINCREMENT CHECK (id <> 0),
    user_id integer REFERENCES users (id),
    currency text NOT NULL,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'frozen', 'closed')),
    posted integer NOT NULL DEFAULT 0,
    held integer NOT NULL DEFAULT 0 CHECK (held >= 0),
    incoming integer NOT NULL DEFAULT 0 CHECK (incoming >= 0),
    credit_limit integer NOT NULL DEFAULT 0 CHECK (credit_limit >= 0),
    seq integer NOT NULL DEFAULT 0,
    hold_expires_at integer,
    CHECK ((id > 0) = (user_id IS NOT NULL)),
    CHECK (id < 0 OR posted - held + credit_limit >= 0)
) STRICT;

CREATE INDEX ledger_accounts_by_user ON ledger_accounts (user_id, id);

-- What an account's limit was, from which posting on.
CREATE TABLE ledger_limits (
    account_id integer NOT NULL REFERENCES ledger_accounts (id),
    seq integer NOT NULL,
    credit_limit integer NOT NULL CHECK (credit_limit >= 0),
    at integer NOT NULL,
    PRIMARY KEY (account_id, seq, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_posts (
    seq integer PRIMARY KEY CHECK (seq > 0),
    at integer NOT NULL,
    kind text NOT NULL,
    effective_at integer NOT NULL,
    refers_to integer,
    transaction_id integer,
    actor text NOT NULL,
    description text,
    CHECK (effective_at <= at)
) STRICT;

CREATE INDEX ledger_posts_by_time ON ledger_posts (at);
CREATE INDEX ledger_posts_by_reference ON ledger_posts (refers_to) WHERE refers_to IS NOT NULL;
CREATE INDEX ledger_posts_backdated ON ledger_posts (seq) WHERE effective_at < at;

-- One leg of a posting: what it changes, and the account's balances behind it. No foreign key: the
-- account was read and locked in the same commit, and `ledger check` looks for it.
CREATE TABLE ledger_entries (
    account_id integer NOT NULL,
    seq integer NOT NULL,
    leg integer NOT NULL,
    posted integer NOT NULL,
    held integer NOT NULL,
    incoming integer NOT NULL,
    posted_after integer NOT NULL,
    held_after integer NOT NULL,
    incoming_after integer NOT NULL,
    PRIMARY KEY (seq, account_id)
) STRICT, WITHOUT ROWID;

-- Rows are wide and come in the order of their numbers; what is spread over the accounts is narrow.
CREATE UNIQUE INDEX ledger_entries_by_account ON ledger_entries (account_id, seq);

-- A hold is known by the posting that placed it, and ends once.
CREATE TABLE ledger_holds (
    seq integer PRIMARY KEY,
    account_id integer NOT NULL REFERENCES ledger_accounts (id),
    to_account_id integer NOT NULL REFERENCES ledger_accounts (id),
    amount integer NOT NULL CHECK (amount > 0),
    captured integer NOT NULL DEFAULT 0,
    expires_at integer,
    ended_seq integer,
    CHECK (captured >= 0 AND captured <= amount)
) STRICT;

CREATE INDEX ledger_holds_open ON ledger_holds (account_id, expires_at) WHERE ended_seq IS NULL;
CREATE INDEX ledger_holds_by_expiry ON ledger_holds (expires_at)
    WHERE ended_seq IS NULL AND expires_at IS NOT NULL;

-- Answers that were given to requests with an Idempotency-Key, in the commit of what they tell.
CREATE TABLE ledger_keys (
    id integer PRIMARY KEY AUTOINCREMENT,
    hash blob NOT NULL UNIQUE,
    at integer NOT NULL,
    fingerprint blob NOT NULL,
    status integer NOT NULL,
    content_type text NOT NULL,
    location text,
    reply blob NOT NULL
) STRICT;

-- A payment on one account: an instruction whose status moves, and what it moved.
CREATE TABLE transactions (
    id integer PRIMARY KEY,
    account_id integer NOT NULL REFERENCES ledger_accounts (id),
    user_id integer NOT NULL REFERENCES users (id),
    amount integer NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    direction text NOT NULL CHECK (direction IN ('debit', 'credit')),
    description text,
    status text NOT NULL
        CHECK (status IN ('pending', 'completed', 'cancelled', 'failed', 'reversed')),
    effective_at integer,
    hold_seq integer,
    posted_seq integer,
    created_at integer NOT NULL,
    updated_at integer NOT NULL,
    CHECK ((status IN ('completed', 'reversed')) = (posted_seq IS NOT NULL))
) STRICT;

CREATE INDEX transactions_by_account ON transactions (account_id, id);
CREATE INDEX transactions_by_user ON transactions (user_id, id);
CREATE INDEX transactions_by_status ON transactions (status, id);
CREATE INDEX transactions_by_currency ON transactions (currency, id);
CREATE INDEX transactions_by_direction ON transactions (direction, id);
CREATE INDEX transactions_by_amount ON transactions (currency, amount, id);
CREATE INDEX transactions_by_time ON transactions (created_at, id);

-- What a customer's ledger account is to people.
CREATE TABLE accounts (
    id integer PRIMARY KEY REFERENCES ledger_accounts (id),
    account_number text NOT NULL,
    number_key text NOT NULL UNIQUE,
    account_type text NOT NULL,
    created_at integer NOT NULL,
    updated_at integer NOT NULL
) STRICT;

CREATE TRIGGER ledger_posts_no_update BEFORE UPDATE ON ledger_posts
BEGIN
    SELECT RAISE(ABORT, 'the ledger only grows');
END;

CREATE TRIGGER ledger_posts_no_delete BEFORE DELETE ON ledger_posts
BEGIN
    SELECT RAISE(ABORT, 'the ledger only grows');
END;

CREATE TRIGGER ledger_entries_no_update BEFORE UPDATE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger only grows');
END;

CREATE TRIGGER ledger_entries_no_delete BEFORE DELETE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'the ledger only grows');
END;

CREATE TRIGGER ledger_limits_no_update BEFORE UPDATE ON ledger_limits
BEGIN
    SELECT RAISE(ABORT, 'the ledger only grows');
END;

CREATE TRIGGER ledger_limits_no_delete BEFORE DELETE ON ledger_limits
BEGIN
    SELECT RAISE(ABORT, 'the ledger only grows');
END;

CREATE TRIGGER transactions_no_delete BEFORE DELETE ON transactions
BEGIN
    SELECT RAISE(ABORT, 'the ledger only grows');
END;
