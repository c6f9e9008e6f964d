-- SPDX-License-Identifier: MIT
-- Orders to buy or sell. A limit price is whole minor units of the order's currency.

CREATE TABLE orders (
    id text COLLATE "C" NOT NULL CONSTRAINT "orders.id" PRIMARY KEY,
    user_id bigint NOT NULL REFERENCES users (id),
    symbol text NOT NULL,
    side text NOT NULL CHECK (side IN ('buy', 'sell')),
    quantity bigint NOT NULL CHECK (quantity > 0),
    type text NOT NULL CHECK (type IN ('market', 'limit')),
    limit_price_minor bigint CHECK (limit_price_minor > 0),
    currency text NOT NULL,
    account_id bigint,
    status text NOT NULL CHECK (status IN ('open', 'cancelled', 'filled', 'rejected')),
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    CHECK ((type = 'limit') = (limit_price_minor IS NOT NULL))
);

CREATE INDEX orders_by_user ON orders (user_id, created_at DESC, id);
