/* SPDX-License-Identifier: MIT
 * The catalogue with its fields (trail.def, trail_fields.def): what an event may tell, and what it
 * always tells. Whoever writes rules for a SIEM reads the page made from it, docs/events.md; so
 * every record is held against it, and one that does not fit is a mistake of ours.
 *
 * Threads: any.    Memory: the tables live for ever.    Source: PCI DSS 4.0, 10.2.2. */
#ifndef PC_TRAIL_TRAIL_CATALOGUE_H
#define PC_TRAIL_TRAIL_CATALOGUE_H

#include "base/sbuf.h"
#include "trail/trail.h"

enum trail_need { TRAIL_SOMETIMES = 0, TRAIL_ALWAYS };

struct trail_field {
    enum trail_event event;
    const char *name; /* "object" and "reason" are columns; the others are details */
    enum trail_need need;
    const char *about; /* Markdown */
};

/* The fields of an event, in their order. */
const struct trail_field *trail_event_fields(enum trail_event event, size_t *ret_count);
const char *trail_event_about(enum trail_event event); /* a sentence without its full stop */

/* Whether the record has only fields of its event and all that are always there; if not, one
 * sentence in `why`. An event given in from outside has fields of its own. */
PC_CHECKED bool trail_fits(const struct trail_record *record, struct sbuf *why);

/* What becomes of a record that does not fit: somebody is told. It is written all the same: better
 * an odd record than none. NULL: it is counted only. Set before threads begin. */
typedef void trail_misfit_fn(void *context, enum trail_event event, struct span why);
void trail_misfits_tell(trail_misfit_fn *tell, void *context);
trail_misfit_fn trail_misfit_ends; /* for tests of the program: it is a broken promise */
uint64_t trail_misfits(void);      /* how many there were */

/* The page. */
void trail_catalogue_write(struct sbuf *out);

#endif
