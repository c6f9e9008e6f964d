-- SPDX-License-Identifier: MIT
-- The same transfer as a function of PostgreSQL, for pgbench: both balances locked in the order of
-- their ids, the payer's looked at, the transfer with its unique key, two balances, two entries.
CREATE TABLE balances (
    id bigint PRIMARY KEY,
    minor bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE moves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token uuid NOT NULL UNIQUE,
    payer bigint NOT NULL,
    payee bigint NOT NULL,
    minor bigint NOT NULL CHECK (minor > 0),
    at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE lines (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    move bigint NOT NULL,
    owner bigint NOT NULL,
    minor bigint NOT NULL,
    after bigint NOT NULL
);

CREATE INDEX lines_by_owner ON lines (owner, id);

INSERT INTO balances SELECT id, 1000000000 FROM generate_series(1, 10000) AS id;

CREATE FUNCTION move(from_id bigint, to_id bigint, amount bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    left_of_payer bigint;
    left_of_payee bigint;
    number bigint;
BEGIN
    PERFORM 1 FROM balances WHERE id = least(from_id, to_id) FOR UPDATE;
    PERFORM 1 FROM balances WHERE id = greatest(from_id, to_id) FOR UPDATE;
    SELECT minor INTO left_of_payer FROM balances WHERE id = from_id;
    IF left_of_payer < amount THEN
        RAISE EXCEPTION 'not enough to spend';
    END IF;
    INSERT INTO moves (token, payer, payee, minor)
        VALUES (gen_random_uuid(), from_id, to_id, amount) RETURNING id INTO number;
    UPDATE balances SET minor = minor - amount WHERE id = from_id
        RETURNING minor INTO left_of_payer;
    UPDATE balances SET minor = minor + amount WHERE id = to_id
        RETURNING minor INTO left_of_payee;
    INSERT INTO lines (move, owner, minor, after)
        VALUES (number, from_id, -amount, left_of_payer), (number, to_id, amount, left_of_payee);
    RETURN number;
END
$$;
