/* SPDX-License-Identifier: MIT
 * The header Idempotency-Key, for the routes that take one (http_route.keyed).
 *
 * Threads: the request's.    Memory: the key lies in the request's head, or in `room`.
 * Source:  draft-ietf-httpapi-idempotency-key-header-07; RFC 8941, 3.3.3. */
#ifndef PC_HTTP_HTTP_KEY_H
#define PC_HTTP_HTTP_KEY_H

#include "base/limits.h"
#include "http/http.h"

/* The empty span when there is none. 422 when it is malformed, or given twice. */
PC_CHECKED enum err http_key_read(struct http_request *req, char room[LIMIT_LEDGER_KEY_BYTES_MAX],
                                  struct span *ret_key);

#endif
