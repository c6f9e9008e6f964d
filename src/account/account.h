/* SPDX-License-Identifier: MIT
 * Accounts as people know them: a number, a type, an owner. The money in them is the ledger's.
 *
 * Threads: any; routes run where their rows say.
 * Memory:  the request's arena; a struct account_service is its owner's and outlives the requests.
 * Source:  README.md (terms, routes, rights), docs/decisions/account-service.md. */
#ifndef PC_ACCOUNT_ACCOUNT_H
#define PC_ACCOUNT_ACCOUNT_H

#include "auth/auth.h"
#include "http/http.h"
#include "ledger/ledger.h"

enum { ACCOUNT_SCOPES_MAX = 32 }; /* names that the header x-data-scope may have in metrics */

struct account_service {
    struct ledger *ledger;
    struct auth *auth;
    struct metric_series *scopes[ACCOUNT_SCOPES_MAX]; /* account_service_init fills them */
};

/* The metrics are those of the ledger's options. ERR_NO_MEMORY, ERR_TAKEN. */
PC_CHECKED enum err account_service_init(struct account_service *ret_service, struct ledger *ledger,
                                         struct auth *auth);

/* The routes of the account service; their context is a struct account_service. */
extern const struct http_route account_routes[];
extern const struct http_route account_user_routes[]; /* /users, on the service's own port only */

#endif
