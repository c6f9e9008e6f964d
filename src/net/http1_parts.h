/* SPDX-License-Identifier: MIT
 * What the readers of requests (http1.c) and of answers (http1_answer.c) have in common: lines
 * gathered up to an empty one, headers taken from llhttp, and the checks of framing that a general
 * parser leaves out. For these two; http2_head.c asks it what a token is.
 *
 * Threads: one at a time.    Memory: text in the arena of its reader.    Source: RFC 9112. */
#ifndef PC_NET_HTTP1_PARTS_H
#define PC_NET_HTTP1_PARTS_H

#include "base/arena.h"
#include "base/err.h"
#include "net/net.h"

/* Extensions are dropped, so a short bound serves everyone. */
enum { NET_CHUNK_LINE_BYTES_MAX = 256 };

bool net_http1_is_token_char(unsigned char c); /* RFC 9110, 5.6.2 */
bool net_http1_is_token(struct span s);

/* Takes `bytes` off the front. */
void net_http1_skip(struct span *input, size_t bytes);

/* --- lines ----------------------------------------------------------------------------------- */

/* Lines that came so far, as one text without seams. */
struct net_lines {
    struct arena *arena;
    size_t bytes_max;
    char *text;
    size_t bytes;    /* how much of it there is */
    size_t line_at;  /* where its present line begins */
    size_t searched; /* no LF before this */
};

/* A whole line without its CR LF. *ret_end: it is the empty one that ends them. */
typedef enum err net_line_fn(void *owner, struct span line, bool *ret_end);
/* The beginning of a line whose end is not here yet: may it still become one? */
typedef enum err net_line_part_fn(void *owner, struct span part);

struct net_lines_rules {
    net_line_fn *line;
    net_line_part_fn *part; /* may be NULL */
};

/* Takes lines off *input up to the end, which is in `text` when *ret_end; else takes everything.
 * ERR_BAD_REQUEST for a CR or LF that stands alone; ERR_HEADERS_TOO_LARGE past bytes_max;
 * ERR_NO_MEMORY; and whatever the rules say. All but ERR_NO_MEMORY is said of the bytes, however
 * they were cut. */
PC_CHECKED enum err net_lines_gather(struct net_lines *lines, struct span *input,
                                     const struct net_lines_rules *rules, void *owner,
                                     bool *ret_end);

/* --- headers --------------------------------------------------------------------------------- */

/* Headers as llhttp finds them in a text without seams. */
struct net_header_list {
    struct net_header *items;
    size_t count;
    size_t max;
};

/* Both return what llhttp wants from a callback; -1 stops it. The name is made lower case where it
 * stands, in `lines`. */
int net_header_list_name(struct net_header_list *list, struct net_lines *lines, const char *at,
                         size_t len);
int net_header_list_value(struct net_header_list *list, const char *at, size_t len);

const struct net_header *net_header_find(const struct net_header *headers, size_t count,
                                         struct span name);
size_t net_header_count(const struct net_header *headers, size_t count, struct span name);

/* --- framing --------------------------------------------------------------------------------- */

/* Where the body ends, by Content-Length and Transfer-Encoding; whatever could be read in two ways
 * is refused. *ret_told is false when there is neither. Returns NULL, or why not. */
PC_CHECKED const char *net_length_read(const struct net_header *headers, size_t count,
                                       int minor_version, bool *ret_told, uint64_t *ret_length);

/* The bytes of a chunked body that are not data. */
struct net_chunking {
    bool after_cr; /* the last one was a CR */
    bool after_lf; /* ... was an LF */
    size_t bytes;  /* since the last data */
};

/* No stray CR or LF, no folding, no control bytes. */
PC_CHECKED bool net_chunking_check(struct net_chunking *chunking, struct span bytes);

/* --- trailers -------------------------------------------------------------------------------- */

/* Takes out whatever may not be a trailer; how many are left. */
size_t net_trailers_keep(struct net_header *trailers, size_t count);

#endif
