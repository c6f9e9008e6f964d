/* SPDX-License-Identifier: MIT
 * Alerts as they are kept. One row for each time that something went wrong: while it is not over
 * there is one only by its source and fingerprint, however often it is told.
 *
 *   (none) --firing--> firing --firing--> firing    times + 1; what changed goes to the history
 *                      firing --acknowledged--> firing, with who looks after it
 *                      firing --resolved--> resolved                    which it stays
 *                      firing --not told for too long--> resolved, by the program
 *                      firing --told of a later start--> resolved, by the program; and a new row
 *   (none) --resolved--> resolved       unless that time is known already: it is told late
 *
 * What fires again later is a new row. The end of an earlier time says nothing of this one. Each
 * step that matters is an event of the trail, in the same commit: fired, acknowledged, resolved.
 *
 * Threads: inside a store job.    Memory: the arena's.    Units: nanoseconds since 1970.
 * Errors:  the store's; ERR_NOT_FOUND; ERR_CONFLICT with a sentence. */
#ifndef PC_MONITOR_MONITOR_ALERT_H
#define PC_MONITOR_MONITOR_ALERT_H

#include "base/arena.h"
#include "base/err.h"
#include "store/store.h"
#include "trail/trail.h"

enum {
    MONITOR_CHANGES_MAX = 100, /* of one alert, that its history keeps; older ones go */
    MONITOR_NOTE_CHARS_MAX = 1024,
    MONITOR_WHO_BYTES_MAX = 160,
    MONITOR_NAME_BYTES_MAX = 256,
    MONITOR_SEVERITY_BYTES_MAX = 64,
};

/* Who tells of it. `shown` is what the alert keeps: "user:1", "client:alertmanager", "system". */
struct monitor_who {
    struct span shown;
    enum trail_actor kind;
    struct span actor, client_id, address, request_id;
};
extern const struct monitor_who monitor_who_system; /* the program itself */

/* What somebody tells of an alert, cleaned. */
struct monitor_told {
    struct span source, fingerprint, name, severity;
    struct span labels, annotations; /* JSON objects of texts */
    struct span generator_url;       /* {NULL, 0}: none */
    int64_t starts_at_ns;
    int64_t ends_at_ns; /* of one that is over; 0: now */
    bool firing;
    bool only_open;    /* its end is worth nothing when no row is open any more */
    bool start_counts; /* the start says which time is meant: the sender keeps it while it fires */
};

enum monitor_step { MONITOR_NOTHING, MONITOR_FIRED, MONITOR_REPEATED, MONITOR_RESOLVED };

/* The row that it is told of; *ret_id is 0 when there is none. */
PC_CHECKED enum err monitor_alert_tell(struct store_conn *conn, const struct monitor_told *told,
                                       const struct monitor_who *who, int64_t now_ns,
                                       struct arena *arena, int64_t *ret_id,
                                       enum monitor_step *ret_step);

/* ERR_CONFLICT: it is over, or somebody looks after it already (*reterr_why says which). */
PC_CHECKED enum err monitor_alert_acknowledge(struct store_conn *conn, int64_t id, struct span note,
                                              const struct monitor_who *who, int64_t now_ns,
                                              const char **reterr_why);
/* ERR_CONFLICT: it is over. */
PC_CHECKED enum err monitor_alert_resolve(struct store_conn *conn, int64_t id, struct span note,
                                          const struct monitor_who *who, int64_t now_ns,
                                          const char **reterr_why);

struct monitor_alert {
    int64_t id; /* 0: of this node, and not stored yet */
    struct span fingerprint, source, name, severity, status;
    struct span labels, annotations;
    struct span generator_url;
    int64_t starts_at, ends_at, received_at, last_at, times;
    int64_t acknowledged_at, resolved_at; /* 0: not */
    struct span acknowledged_by, resolved_by;
};

struct monitor_filter {
    struct span status, severity, name; /* empty: any */
    int64_t before_id;                  /* INT64_MAX: from the newest */
    size_t limit;
};

struct monitor_page {
    struct monitor_alert *list;
    size_t count;
    bool more;
};

/* The newest first; at most `limit`, or fewer when they are long. */
PC_CHECKED enum err monitor_alert_list(struct store_conn *conn, const struct monitor_filter *filter,
                                       struct arena *arena, struct monitor_page *ret_page);
PC_CHECKED enum err monitor_alert_get(struct store_conn *conn, int64_t id, struct arena *arena,
                                      struct monitor_alert *ret_alert);

struct monitor_happening {
    int64_t at;
    struct span what, who;
    struct span note, was; /* {NULL, 0}: none */
};

/* The newest that fit into an answer, the oldest of them first. */
struct monitor_history {
    struct monitor_happening *list;
    size_t count;
    bool cut; /* older ones are left out */
};

PC_CHECKED enum err monitor_alert_history(struct store_conn *conn, int64_t id, struct arena *arena,
                                          struct monitor_history *ret_history);

/* How many fire, and how many of them are critical or looked after by nobody. */
struct monitor_tally {
    int64_t firing, critical, unacknowledged;
};
PC_CHECKED enum err monitor_alert_tally(struct store_conn *conn, struct monitor_tally *ret_tally);

/* How long alerts are kept as they are; 0: for ever. */
struct monitor_keep {
    int64_t resolved_ns; /* then one that is over is forgotten */
    int64_t untold_ns;   /* then one that its sender does not tell of is over */
};

/* A bounded number of both at once; *ret_more: there is more. */
PC_CHECKED enum err monitor_alert_sweep(struct store_conn *conn, const struct monitor_keep *keep,
                                        int64_t now_ns, bool *ret_more);

#endif
