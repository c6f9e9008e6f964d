/* SPDX-License-Identifier: MIT
 * What must be remembered: every event that matters to security or money, handed over in the same
 * commit as what it records. If the record cannot be written, neither is the change.
 *
 * Threads: inside a store job that writes.
 * Memory: a record borrows its texts until trail_add returns.
 * Units: nanoseconds since 1970.  Errors: the store's.
 * Source: docs/decisions/trail-events.md; PCI DSS 4.0, 10.2 (what must be told). */
#ifndef PC_TRAIL_TRAIL_H
#define PC_TRAIL_TRAIL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/sbuf.h"
#include "base/span.h"
#include "store/store.h"

/* The catalogue: trail.def has a line for each event. */
enum trail_event {
#define TRAIL_EVENT(id, name, category, severity, source, about) id,
#include "trail/trail.def"
#undef TRAIL_EVENT
    TRAIL_EVENT_COUNT
};

enum trail_outcome { TRAIL_REFUSED = 0, TRAIL_DONE };

/* Who: a user's id, a client's id, "system", or what somebody claimed to be. */
enum trail_actor {
    TRAIL_ACTOR_UNKNOWN = 0,
    TRAIL_ACTOR_USER,
    TRAIL_ACTOR_CLIENT,
    TRAIL_ACTOR_SYSTEM
};

enum { TRAIL_DETAILS_MAX = 6, TRAIL_TEXT_BYTES_MAX = 512 };

struct trail_detail {
    const char *name; /* of the catalogue's fields */
    struct span value;
};

struct trail_record {
    enum trail_event event;
    enum trail_outcome outcome;
    int64_t at_ns;
    enum trail_actor actor_kind;
    struct span actor;      /* never a secret, never a whole token */
    struct span client_id;  /* through which client; may be empty */
    struct span address;    /* where from; may be empty */
    struct span request_id; /* may be empty */
    struct span object;     /* on what: "session:…", "client:…", "key:…"; may be empty */
    struct span reason;     /* why it was refused or done; may be empty */
    struct trail_detail details[TRAIL_DETAILS_MAX]; /* up to the first without a name */
    struct span source;                    /* which service tells; empty: the catalogue's */
    const struct trail_external *external; /* of TRAIL_AUDIT_EXTERNAL; else NULL */
};

/* What a program outside says of its event, checked and masked by the audit service. */
struct trail_external {
    unsigned char id[16];
    struct span event, category, severity;
    struct span principal; /* for whom the actor acted; may be empty */
    struct span tags;      /* a JSON array of texts; may be empty */
    struct span metadata;  /* a JSON object; may be empty */
};

const char *trail_event_name(enum trail_event event); /* "user.login" */
const char *
trail_event_category(enum trail_event event); /* security, transaction, compliance, platform */
const char *trail_event_severity(enum trail_event event); /* info, warning, critical */
const char *trail_event_source(enum trail_event event);   /* "auth-service" */

/* Whether events of the catalogue come from one of that name, in any case of its letters. */
PC_CHECKED bool trail_is_own_source(struct span name);

/* How a JSON text from outside stands in the log: the same, with what would end a line or turn the
 * direction of writing escaped. At most TRAIL_JSON_TIMES_MAX times as long. */
enum { TRAIL_JSON_TIMES_MAX = 6 };
void trail_json_plain(struct span json, struct sbuf *out);

/* Adds the event to the commit that `conn` is in: it is written right before the COMMIT, and
 * whatever refuses it refuses the commit. ERR_VALIDATION: the tags of an external one are too long.
 */
PC_CHECKED enum err trail_add(struct store_conn *conn, const struct trail_record *record);

PC_CHECKED enum err trail_add_many(struct store_conn *conn, const struct trail_record *records,
                                   size_t count);

/* What writes the records of each commit into the log of the same database; every store that is
 * opened for writing is given it (store_options.seal), or one that carries them elsewhere. Without
 * one trail_add is ERR_INTERNAL: nothing is done that nobody remembers. */
extern const struct store_seal trail_seal;

/* Counts what enters the log from now on: audit_events_total{category,source}. One registry at a
 * time, until trail_count_stop. */
struct metrics;
PC_CHECKED enum err trail_count_in(struct metrics *metrics);
void trail_count_stop(void);

#endif
