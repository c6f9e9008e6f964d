-- SPDX-License-Identifier: MIT
-- The trail becomes a log that proves itself: each event is a leaf of an RFC 6962 Merkle tree, in
-- the same commit as what it tells of. The first table of events, which no release knew, goes.
-- Times are nanoseconds since 1970; bytes of a hash are SHA-256; `details` is JSON.
-- A row is written in the commit of every posting, so it has no checks but its types: they would
-- cost a sixth of it. PostgreSQL has them. `leaf` stands in front for those who read it alone.

DROP TABLE trail_events;

CREATE TABLE trail_events (
    seq integer PRIMARY KEY CHECK (seq >= 0),
    leaf blob NOT NULL,
    id blob NOT NULL,
    at integer NOT NULL,
    event text NOT NULL,
    category text NOT NULL,
    severity text NOT NULL,
    outcome text NOT NULL,
    source text NOT NULL,
    actor_kind text NOT NULL,
    client text,
    request_id text,
    tags text,
    actor text,
    principal text,
    address text,
    object text,
    reason text,
    details text,
    seed blob,
    erased blob,
    roots blob
) STRICT;

-- Ids that came from outside, each once. Those that the log made itself are random, and found by
-- the index.
CREATE TABLE trail_given (
    id blob PRIMARY KEY CHECK (length(id) = 16),
    seq integer NOT NULL
) STRICT, WITHOUT ROWID;

-- Where ids, actors, events, objects, severities and categories are: 256 events a row, and then 64
-- of those as 64 rows. An index would be written by every posting. src/trail/trail_index.h has the
-- form.
CREATE TABLE trail_blocks (
    number integer PRIMARY KEY,
    places blob NOT NULL CHECK (length(places) % 8 = 0)
) STRICT;
CREATE TABLE trail_segments (
    number integer PRIMARY KEY,
    places blob NOT NULL CHECK (length(places) % 8 = 0)
) STRICT;

-- Which events carry a tag, for those that look for one.
CREATE TABLE trail_tags (
    tag text NOT NULL,
    seq integer NOT NULL,
    PRIMARY KEY (tag, seq)
) STRICT, WITHOUT ROWID;

-- The tree as it stood when a commit last completed 256 leaves: how many there are, and the roots
-- of its whole subtrees from left to right. A commit that completes none leaves it alone, which
-- spares a page: the last row that it adds has the roots of what is behind the last 256, in
-- `roots`.
CREATE TABLE trail_head (
    id integer PRIMARY KEY CHECK (id = 1),
    size integer NOT NULL CHECK (size >= 0),
    at integer NOT NULL,
    roots blob NOT NULL
) STRICT;

INSERT INTO trail_head (id, size, at, roots) VALUES (1, 0, 0, x'');

-- Tiles of 256 hashes (C2SP tlog-tiles); the leaves' own are of level 0, of which only full ones
-- are kept. Of higher levels the last one grows.
CREATE TABLE trail_tiles (
    level integer NOT NULL,
    number integer NOT NULL,
    hashes blob NOT NULL CHECK (length(hashes) BETWEEN 32 AND 8192 AND length(hashes) % 32 = 0),
    PRIMARY KEY (level, number)
) STRICT, WITHOUT ROWID;

-- Signed notes about the tree at a size.
CREATE TABLE trail_checkpoints (
    size integer PRIMARY KEY,
    at integer NOT NULL,
    root blob NOT NULL CHECK (length(root) = 32),
    note text NOT NULL
) STRICT;

-- Events on their way to a database of their own; see AUDIT_DATABASE_URL.
CREATE TABLE trail_outbox (
    number integer PRIMARY KEY AUTOINCREMENT,
    id blob NOT NULL CHECK (length(id) = 16),
    at integer NOT NULL,
    record blob NOT NULL
) STRICT;

-- Nothing is changed but what belongs to a person who is erased, and that only goes. (The program
-- sets recursive_triggers, so that INSERT OR REPLACE, which takes the old row away, asks as well.)
CREATE TRIGGER trail_events_no_update BEFORE UPDATE ON trail_events
WHEN NEW.seq IS NOT OLD.seq OR NEW.id IS NOT OLD.id OR NEW.at IS NOT OLD.at
    OR NEW.event IS NOT OLD.event OR NEW.category IS NOT OLD.category
    OR NEW.severity IS NOT OLD.severity OR NEW.outcome IS NOT OLD.outcome
    OR NEW.source IS NOT OLD.source OR NEW.actor_kind IS NOT OLD.actor_kind
    OR NEW.client IS NOT OLD.client OR NEW.request_id IS NOT OLD.request_id
    OR NEW.tags IS NOT OLD.tags OR NEW.leaf IS NOT OLD.leaf OR NEW.roots IS NOT OLD.roots
    OR (NEW.actor IS NOT OLD.actor AND NEW.actor IS NOT NULL)
    OR (NEW.principal IS NOT OLD.principal AND NEW.principal IS NOT NULL)
    OR (NEW.address IS NOT OLD.address AND NEW.address IS NOT NULL)
    OR (NEW.object IS NOT OLD.object AND NEW.object IS NOT NULL)
    OR (NEW.reason IS NOT OLD.reason AND NEW.reason IS NOT NULL)
    OR (NEW.details IS NOT OLD.details AND NEW.details IS NOT NULL)
    OR (NEW.seed IS NOT OLD.seed AND NEW.seed IS NOT NULL)
    OR NEW.erased IS NULL
BEGIN
    SELECT RAISE(ABORT, 'the trail only grows');
END;

CREATE TRIGGER trail_events_no_delete BEFORE DELETE ON trail_events
BEGIN
    SELECT RAISE(ABORT, 'the trail only grows');
END;
