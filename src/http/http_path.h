/* SPDX-License-Identifier: MIT
 * One canonical path and query from a request target. Routing, policy, limits, logs and upstreams
 * all see this one text, so no two of them can disagree about what was asked.
 *
 * Decoded exactly once. Refused: bad escapes, %2F %5C %00 and control characters in any spelling,
 * a raw backslash, ';' (path parameters), '#', invalid UTF-8, dot segments that climb over the
 * root. Normalised: "//" becomes "/", "." and ".." are resolved, also when spelt %2e.
 *
 * Threads: pure.    Memory: results live in the arena.
 * Source: RFC 3986 (5.2.4, 6.2.2); RFC 9112, 3.2 (forms of a target). */
#ifndef PC_HTTP_HTTP_PATH_H
#define PC_HTTP_HTTP_PATH_H

#include "base/arena.h"
#include "base/err.h"
#include "base/sbuf.h"
#include "base/span.h"

struct http_target {
    struct span path;      /* canonical, decoded; begins with '/'; "*" only for OPTIONS * */
    bool path_is_plain;    /* it was so when it came, and none of its bytes needs an escape */
    struct span query;     /* raw, without '?'; empty if there was none */
    struct span authority; /* of an absolute-form target; else empty */
};

/* ERR_BAD_PATH on anything ambiguous, ERR_BAD_HOST on a bad absolute form. */
PC_CHECKED enum err http_target_read(struct span target, struct arena *arena,
                                     struct http_target *ret_target);

/* Takes the next `name=value` off *rest, decoded ('+' is a space). ERR_END when there is no more,
 * ERR_BAD_QUERY on a bad escape or invalid UTF-8. */
PC_CHECKED enum err http_query_next(struct span *rest, struct arena *arena, struct span *ret_name,
                                    struct span *ret_value);

/* A host name, IPv4 or bracketed IPv6 address with an optional port: RFC 3986, 3.2.2, without the
 * parts nobody needs (user info, percent escapes). */
bool http_host_is_valid(struct span host);

/* The byte that "%xy" at `at` stands for, or -1. */
int http_escape_byte(struct span s, size_t at);

/* Whether the path is this one, or has more segments behind it. */
bool http_path_is_below(struct span path, const char *top);

/* Writes `path` with what may not stand bare in a URI percent-encoded. */
void http_path_encode(struct sbuf *out, struct span path);

#endif
