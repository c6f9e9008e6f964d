/* SPDX-License-Identifier: MIT
 * What must be remembered: every event that matters to security or money, handed over in the same
 * commit as what it records. If the record cannot be written, neither is the change.
 *
 * Threads: inside a store job.    Memory: a record borrows its texts until trail_add returns.
 * Units: nanoseconds since 1970.  Errors: the store's.
 * Source: docs/decisions/trail-events.md; PCI DSS 4.0, 10.2 (what must be told). */
#ifndef PC_TRAIL_TRAIL_H
#define PC_TRAIL_TRAIL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"
#include "store/store.h"

/* The catalogue: trail.def has a line for each event. */
enum trail_event {
#define TRAIL_EVENT(id, name, category, severity, about) id,
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
};

const char *trail_event_name(enum trail_event event); /* "user.login" */
const char *
trail_event_category(enum trail_event event); /* security, transaction, compliance, platform */
const char *trail_event_severity(enum trail_event event); /* info, warning, critical */

/* Adds the event to the commit that `conn` is in. */
PC_CHECKED enum err trail_add(struct store_conn *conn, const struct trail_record *record);

/* The same for many, at the cost of one. */
PC_CHECKED enum err trail_add_many(struct store_conn *conn, const struct trail_record *records,
                                   size_t count, struct arena *arena);

#endif
