/* SPDX-License-Identifier: MIT
 * Accounts as people know them: a number, a type, an owner. The money in them is the ledger's.
 *
 * Threads: any; routes run where their rows say.    Memory: the request's arena. */
#ifndef PC_ACCOUNT_ACCOUNT_H
#define PC_ACCOUNT_ACCOUNT_H

#include "auth/auth.h"
#include "http/http.h"
#include "ledger/ledger.h"

struct account_service {
    struct ledger *ledger;
    struct auth *auth;
};

/* The routes of the account service; their context is a struct account_service. */
extern const struct http_route account_routes[];
extern const struct http_route account_user_routes[]; /* /users, on the service's own port only */

#endif
