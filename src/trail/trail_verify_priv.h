/* SPDX-License-Identifier: MIT
 * What the files of the checker share.
 *
 *   trail_verify.c       what the lines say together: places, the tree, checkpoints
 *   trail_verify_read.c  a file in large pieces, cut into lines
 *   trail_verify_work.c  what each line says by itself, by two threads */
#ifndef PC_TRAIL_TRAIL_VERIFY_PRIV_H
#define PC_TRAIL_TRAIL_VERIFY_PRIV_H

#include <pthread.h>

#include "trail/trail_line.h"
#include "trail/trail_verify.h"

enum {
    VERIFY_PIECE_BYTES = 4 * 1024 * 1024,
    VERIFY_LINES_MAX = 16 * 1024, /* of one piece */
    VERIFY_WORK_BYTES = 2 * TRAIL_LINE_BYTES_MAX + 4096,
};

/* What a line is, looked at alone. */
enum trail_verify_kind {
    VERIFY_OTHER,   /* not an entry: a head or a checkpoint */
    VERIFY_WRONG,   /* no line that we would write */
    VERIFY_CHANGED, /* the leaf is not that of the record */
    VERIFY_GOOD,
};

struct trail_verify_line {
    struct span text;
    enum trail_verify_kind kind;
    int64_t seq; /* -1: not known */
    int64_t at_ns;
    struct trail_hash leaf; /* as the line says */
};

/* Two threads, of which the caller is one. */
struct trail_verify_work {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, stopping, busy; /* under lock: busy while the other one has lines */
    struct trail_verify_line *lines;
    size_t count, begun; /* lines, and how many of them somebody took */
    char *room[2];       /* VERIFY_WORK_BYTES each */
};

PC_CHECKED enum err trail_verify_work_start(struct trail_verify_work *work);
void trail_verify_work_stop(struct trail_verify_work *work);

/* Fills in what the lines are. */
void trail_verify_work_do(struct trail_verify_work *work, struct trail_verify_line *lines,
                          size_t count);

struct trail_verify_note {
    const char *name;
    struct trail_checkpoint said; /* without its origin */
    bool is_signed, is_done;
};

struct trail_verify {
    struct trail_verify_options options;
    struct trail_verify_work work;
    char *piece;                     /* VERIFY_PIECE_BYTES and one line more */
    struct trail_verify_line *lines; /* VERIFY_LINES_MAX */

    struct trail_verify_note notes[TRAIL_VERIFY_NOTES_MAX];
    size_t note_count;
    size_t note_next; /* sorted by size once the first file is begun: the next to be met */
    bool begun;

    const char *name; /* of the file */
    uint64_t line;    /* in it, from 1 */
    bool has_head;    /* of this file */
    uint64_t to;      /* that the head says */

    struct trail_tree tree;
    uint64_t next;   /* the place that comes next */
    bool is_broken;  /* leaves are missing or out of order: there is no tree any more */
    uint64_t broken; /* since here */
    bool is_rooted;  /* the tree is known from its first leaf on */
    uint64_t held;   /* up to here a checkpoint vouches for the leaves */
    int64_t at_ns;
    struct trail_verify_summary summary;
};

/* trail_verify.c */
PC_FORMAT(2, 3) void trail_verify_found(struct trail_verify *verify, const char *format, ...);
void trail_verify_fold(struct trail_verify *verify, const struct trail_verify_line *line);
void trail_verify_begin(struct trail_verify *verify, const char *name);
void trail_verify_finish(struct trail_verify *verify);

#endif
