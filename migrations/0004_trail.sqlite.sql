-- SPDX-License-Identifier: MIT
-- What happened to security and money, in the same commit as what it tells of. Nothing here is ever
-- changed or taken away: the triggers refuse it, whoever asks.
-- Times are nanoseconds since 1970; `details` is a JSON object of texts.

CREATE TABLE trail_events (
    seq integer PRIMARY KEY AUTOINCREMENT CHECK (seq > 0),
    at integer NOT NULL,
    event text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused')),
    actor_kind text NOT NULL CHECK (actor_kind IN ('unknown', 'user', 'client', 'system')),
    actor text,
    client text,
    address text,
    request_id text,
    object text,
    reason text,
    details text NOT NULL
) STRICT;

CREATE INDEX trail_events_by_time ON trail_events (at);

CREATE TRIGGER trail_events_no_update BEFORE UPDATE ON trail_events
BEGIN
    SELECT RAISE(ABORT, 'the trail only grows');
END;

CREATE TRIGGER trail_events_no_delete BEFORE DELETE ON trail_events
BEGIN
    SELECT RAISE(ABORT, 'the trail only grows');
END;

-- INSERT OR REPLACE takes the old row away without asking the trigger above.
CREATE TRIGGER trail_events_no_replace BEFORE INSERT ON trail_events
WHEN EXISTS (SELECT 1 FROM trail_events WHERE seq = NEW.seq)
BEGIN
    SELECT RAISE(ABORT, 'the trail only grows');
END;
