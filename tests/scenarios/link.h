/* SPDX-License-Identifier: MIT
 * A client's connection to the program under test, and replies read from it byte by byte. It is
 * strict: what a careful client would refuse is an error here.
 *
 * Threads: one.    Memory: link_close; a reply lives until the next one on the same link. */
#ifndef PC_TESTS_SCENARIOS_LINK_H
#define PC_TESTS_SCENARIOS_LINK_H

#include "world.h"

struct link;

enum { LINK_HEADERS_MAX = 64, LINK_REPLY_BYTES_MAX = 8 * 1024 * 1024 };

struct link_reply {
    int status;
    struct span names[LINK_HEADERS_MAX]; /* as sent */
    struct span values[LINK_HEADERS_MAX];
    size_t header_count;
    struct span body;
};

/* NULL when there is no connection to be had (said on standard output). Over TLS it shows the
 * certificate with that name, one of world_certificates; empty: none. */
struct link *link_open(struct world *world, enum config_service service, const char *certificate);
void link_close(struct link *link); /* accepts NULL */

/* What the other side does not take is lost; its reply, if any, can still be read. */
void link_send(struct link *link, struct span bytes);

/* The next reply, or a sentence about what is wrong with it. `head`: the request was a HEAD. */
PC_CHECKED const char *link_read(struct link *link, bool head, struct link_reply *ret_reply);

/* True when the server closes within `ms` without sending another byte. */
bool link_ends(struct link *link, int ms);

/* The value of a header; *ret_count is how many there are. */
struct span link_header(const struct link_reply *reply, struct span name, size_t *ret_count);

#endif
