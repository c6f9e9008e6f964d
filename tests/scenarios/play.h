/* SPDX-License-Identifier: MIT
 * One scenario while it is played: its connections, what it keeps, the request being put together
 * and the last reply. README.md has the language.
 *
 * Threads: one.    Memory: play_begin / play_end; texts live in the arena until play_end. */
#ifndef PC_TESTS_SCENARIOS_PLAY_H
#define PC_TESTS_SCENARIOS_PLAY_H

#include "link.h"

enum {
    PLAY_LINKS_MAX = 8, /* to each service */
    PLAY_KEPT_MAX = 64,
    PLAY_WHY_BYTES = 1024,
    PLAY_ARENA_BYTES_MAX = 256 * 1024 * 1024,
    PLAY_TEXT_BYTES_MAX = 16 * 1024 * 1024,
};

struct play_request {
    bool pending; /* something waits to be sent */
    bool raw;     /* bytes as they are, instead of method and the rest */
    bool head;
    bool chunked;
    bool bare; /* no Host of ours */
    struct span method, target;
    struct sbuf headers; /* finished lines */
    struct sbuf raw_bytes;
    struct span body;
    bool has_body, has_type;
    bool form; /* the body is a form's */
};

/* What "keep" keeps: for the rest of its file. */
struct play_kept {
    struct arena *arena;
    struct {
        struct span name, value;
    } list[PLAY_KEPT_MAX];
    size_t count;
};

struct play {
    struct world *world;
    struct play_kept *kept;
    struct arena arena;
    struct link *links[CONFIG_SERVICE_COUNT * PLAY_LINKS_MAX]; /* by service, then by number */
    bool used_up[CONFIG_SERVICE_COUNT * PLAY_LINKS_MAX]; /* the last reply: "Connection: close" */
    size_t at;                                           /* the connection in use */
    char certificate[64];                                /* that new ones show; empty: none */
    struct play_request request;
    uint64_t repeat;
    uint64_t within_ms;
    struct link_reply reply;
    const struct json_value *json; /* of the reply; NULL when it is not JSON */
    bool skipped;                  /* not for this way or store */
    char why[PLAY_WHY_BYTES];      /* what went wrong */
};

void play_begin(struct play *play, struct world *world, struct play_kept *kept);
void play_end(struct play *play);

/* Plays one line. False with play->why when it does not go as it says. */
PC_CHECKED bool play_line(struct play *play, struct span line);

/* Says what went wrong; returns false. */
PC_FORMAT(2, 3) bool play_fail(struct play *play, const char *format, ...);

/* A step: what follows its word. False with play->why when it does not go as it says. */
typedef bool step_fn(struct play *play, struct span rest);

/* compose.c: what puts a request together, and the bytes of it. */
PC_CHECKED bool compose_request(struct play *play, struct span method, struct span target);
step_fn compose_header_line, compose_body, compose_filler, compose_chunked, compose_raw,
    compose_raw_times, compose_form, compose_basic;
struct span compose_bytes(struct play *play);

/* judge.c: what a reply must be like, asked for or not. */
PC_CHECKED bool judge_always(struct play *play);
PC_CHECKED bool judge_header(struct play *play, struct span rest);
PC_CHECKED bool judge_json(struct play *play, struct span rest);
PC_CHECKED bool judge_text(struct play *play, struct span rest);
PC_CHECKED bool judge_absent(struct play *play, struct span rest);
PC_CHECKED bool judge_find(struct play *play, struct span what, struct span *ret_value);

/* Is `part` somewhere in `text`? */
bool play_holds(struct span text, struct span part);

/* Takes the first word off *rest, and the blanks behind it. */
struct span play_word(struct span *rest);

#endif
