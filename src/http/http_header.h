/* SPDX-License-Identifier: MIT
 * What a header's name means to a message that passes through.
 *
 * Threads: pure.    Source: RFC 9110, 7.6.1; RFC 9113, 8.2.2; docs/decisions/gateway-proxy.md. */
#ifndef PC_HTTP_HEADER_H
#define PC_HTTP_HEADER_H

#include "base/span.h"

enum http_header_kind {
    HTTP_HEADER_HOP = 1 << 0,         /* of one hop */
    HTTP_HEADER_TO_UPSTREAM = 1 << 1, /* framing, and what only we may say: written by us or not */
    HTTP_HEADER_TO_CLIENT = 1 << 2,   /* what every answer has from us, or net/ writes */
    HTTP_HEADER_LIMIT = 1 << 3,       /* what we say when a limit was asked */
    HTTP_HEADER_CROSS = 1 << 4,       /* what we say when there is a policy for other origins */
    HTTP_HEADER_KEPT = 1 << 5,        /* what Connection cannot name away */
};

/* Of a name in small letters: a set of the above. */
unsigned http_header_kind(struct span name);

#endif
