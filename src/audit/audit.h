/* SPDX-License-Identifier: MIT
 * The audit service: events come in from services that show who they are, and go out to those who
 * look after them, with proofs. The log itself is trail/'s.
 *
 * Threads: any; routes run where their rows say.
 * Memory:  the request's arena; a struct audit_service is its owner's and outlives the requests.
 * Source:  contract, section 4; README.md here. */
#ifndef PC_AUDIT_AUDIT_H
#define PC_AUDIT_AUDIT_H

#include "http/http.h"

struct trail_keeper;

struct audit_service {
    struct store *store; /* that the log is in; the engine's, unless the log has its own */
    struct trail_keeper *keeper;
    const char *origin;         /* the log's name, as its checkpoints have it */
    uint32_t events_per_minute; /* of each writer; 0: none */
    size_t rows_max;            /* that a page of a list looks at; 0: 50 000 */
};

/* What is read, also below the gateway, and what is written, on the service's own port only. Their
 * context is a struct audit_service, and their mount's store is its store. */
extern const struct http_route audit_read_routes[];
extern const struct http_route audit_write_routes[];

#endif
