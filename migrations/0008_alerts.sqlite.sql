-- SPDX-License-Identifier: MIT
-- What is wrong and who looks after it, and what each node tells of itself.
-- Times are nanoseconds since 1970; labels and annotations are JSON objects of texts.

-- One row for each time that something went wrong. While it is not resolved there is one only, by
-- its fingerprint, however often it is told.
CREATE TABLE alerts (
    id integer PRIMARY KEY AUTOINCREMENT,
    fingerprint text NOT NULL,
    source text NOT NULL CHECK (source IN ('alertmanager', 'portcullis')),
    name text NOT NULL,
    severity text NOT NULL,
    status text NOT NULL CHECK (status IN ('firing', 'resolved')),
    labels text NOT NULL,
    annotations text NOT NULL,
    generator_url text,
    starts_at integer NOT NULL,
    ends_at integer,
    received_at integer NOT NULL,
    last_at integer NOT NULL,
    times integer NOT NULL CHECK (times > 0),
    acknowledged_at integer,
    acknowledged_by text,
    resolved_at integer,
    resolved_by text
) STRICT;

-- Each source names its own: nobody outside can end what the program found in itself.
CREATE UNIQUE INDEX "alerts.fingerprint" ON alerts (source, fingerprint) WHERE status = 'firing';
CREATE INDEX alerts_by_fingerprint ON alerts (source, fingerprint, starts_at);
CREATE INDEX alerts_by_status ON alerts (status, id);
CREATE INDEX alerts_by_severity ON alerts (severity, id);
CREATE INDEX alerts_by_name ON alerts (name, id);
CREATE INDEX alerts_by_end ON alerts (resolved_at) WHERE status = 'resolved';

-- What happened to an alert, in its order. `was` is what a change replaced: a JSON object with the
-- labels, annotations and severity of before.
CREATE TABLE alert_history (
    seq integer PRIMARY KEY AUTOINCREMENT,
    alert_id integer NOT NULL REFERENCES alerts (id),
    at integer NOT NULL,
    what text NOT NULL CHECK (what IN ('fired', 'changed', 'acknowledged', 'resolved')),
    who text NOT NULL,
    note text,
    was text
) STRICT;

CREATE INDEX alert_history_by_alert ON alert_history (alert_id, seq);

-- The last that each node told of itself, for the others; one that stopped in good order says when.
CREATE TABLE node_reports (
    node text PRIMARY KEY,
    at integer NOT NULL,
    stopped_at integer,
    report text NOT NULL
) STRICT;
