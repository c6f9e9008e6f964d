/* SPDX-License-Identifier: MIT
 * What the files of the keeper share.
 *
 *   trail_keeper.c        the thread, its rhythm, what it tells
 *   trail_keeper_round.c  one round: look, grow, compare, write
 *   trail_keeper_base.c   where the first round begins: the last checkpoint that is known
 *   trail_memory.c        the file outside the database */
#ifndef PC_TRAIL_TRAIL_KEEPER_PRIV_H
#define PC_TRAIL_TRAIL_KEEPER_PRIV_H

#include <pthread.h>

#include "trail/trail_checkpoints.h"
#include "trail/trail_edge.h"
#include "trail/trail_keeper.h"
#include "trail/trail_recent.h"

enum {
    KEEPER_LEAVES_MAX = 16 * 1024, /* taken in by one round */
    KEEPER_LEAVES_MANY = 256,      /* from so many on a round takes what memory has of them */
    KEEPER_TILES_MAX = KEEPER_LEAVES_MAX / TRAIL_TILE_HASHES + 2 * TRAIL_TILE_LEVELS,
    KEEPER_WORK_BYTES = 1024 * 1024, /* of one job */
    KEEPER_KEY_BYTES = 256,
};

struct trail_keeper_tile {
    unsigned level;
    uint64_t number;
    size_t count;
    struct trail_hash hashes[TRAIL_TILE_HASHES];
};

/* What one job saw, all at one moment. */
struct trail_keeper_look {
    struct trail_tree head;
    bool has_newest;
    struct trail_signed newest; /* its note is in `note` */
    char note[TRAIL_NOTE_BYTES_MAX];
    size_t count;    /* of the leaves behind the edge */
    bool recalls;    /* it may take leaves from memory */
    size_t recalled; /* so many came from there */
    struct trail_hash leaves[KEEPER_LEAVES_MAX];
};

struct trail_keeper {
    struct store *store;
    const struct clock *clock;
    struct logger *logger;
    const struct trail_verifier *signer;
    const char *memory;
    struct span origin;
    char key[KEEPER_KEY_BYTES];
    size_t key_bytes;

    /* The round's own. */
    bool based;             /* the edge is that of a checkpoint we trust */
    struct trail_edge edge; /* as far as tiles are written */
    struct trail_edge next; /* under way */
    struct trail_tree rows; /* of the leaves whose rows were read; at most as far as the edge */
    struct trail_keeper_look look;
    struct trail_keeper_tile tiles[KEEPER_TILES_MAX];
    size_t tile_count;
    char note[TRAIL_NOTE_BYTES_MAX]; /* that we signed last */
    size_t note_bytes;
    uint64_t noted_size;   /* 0: none yet */
    bool note_is_new;      /* by this round */
    uint64_t checked_size; /* of the newest note in the table whose signature was looked at;
                            * UINT64_MAX: none yet */
    int64_t waiting_since; /* monotonic; 0: every leaf is signed for */
    int64_t thinned_at, remembered_at;
    uint64_t remembered_size;
    bool failed; /* the last round: trouble is told once */
    bool behind; /* there is more than one round takes */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wake;
    struct trail_keeper_state state;
    bool stopping, started;
    pthread_t thread;

    struct metric_series *size_now, *size_signed, *lag_leaves, *lag_seconds, *refused;
    struct metric_series *checkpoints, *failures;
};

/* trail_keeper.c: refuses for good, in words. Returns ERR_CONFLICT. */
PC_FORMAT(2, 3)
PC_CHECKED enum err trail_keeper_refuse(struct trail_keeper *keeper, const char *format, ...);
/* The newest note is not ours, or none at all. */
PC_CHECKED enum err trail_keeper_refuse_note(struct trail_keeper *keeper, const char *fault);

/* trail_keeper_base.c */
PC_CHECKED enum err trail_keeper_base(struct trail_keeper *keeper);

/* trail_keeper_round.c */
PC_CHECKED enum err trail_keeper_turn(struct trail_keeper *keeper);
/* Writes the last note into the file, `now` or when a second has passed. */
void trail_keeper_remember(struct trail_keeper *keeper, bool now);

/* trail_memory.c: ERR_NOT_FOUND when there is no file. */
PC_CHECKED enum err trail_memory_read(const char *path, char note[TRAIL_NOTE_BYTES_MAX],
                                      size_t *ret_bytes);
PC_CHECKED enum err trail_memory_write(const char *path, struct span note);

#endif
