-- SPDX-License-Identifier: MIT
-- Orders settle through the ledger: an open order to buy holds its cost, and each fill moves what
-- it cost. Amounts are whole minor units of the order's currency; times are nanoseconds since 1970.

ALTER TABLE orders ADD COLUMN filled_quantity integer NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN hold_seq integer;
ALTER TABLE orders ADD COLUMN cost_max integer CHECK (cost_max > 0);
ALTER TABLE orders ADD COLUMN reason text;

CREATE INDEX orders_by_account ON orders (account_id, created_at DESC, id);
CREATE INDEX orders_by_status ON orders (status, created_at DESC, id);
CREATE INDEX orders_by_time ON orders (created_at DESC, id);

CREATE TABLE order_fills (
    order_id text NOT NULL REFERENCES orders (id),
    number integer NOT NULL CHECK (number > 0),
    quantity integer NOT NULL CHECK (quantity > 0),
    price integer NOT NULL CHECK (price > 0),
    amount integer NOT NULL CHECK (amount > 0),
    posted_seq integer NOT NULL,
    at integer NOT NULL,
    PRIMARY KEY (order_id, number)
) STRICT, WITHOUT ROWID;
