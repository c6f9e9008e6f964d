/* SPDX-License-Identifier: MIT
 * A line of an export, read back. There is one text for an entry: a line that trail_line_write
 * would not have written just so is none.
 *
 * Threads: pure.    Memory: texts point into the line or live in the arena.
 * Errors:  ERR_BAD_REQUEST for what is no such line; ERR_NO_MEMORY. */
#ifndef PC_TRAIL_TRAIL_LINE_H
#define PC_TRAIL_TRAIL_LINE_H

#include "trail/trail_log.h"

enum { TRAIL_LINE_BYTES_MAX = 128 * 1024 };

/* `line` is without its newline. The entry has no seed; the salts that the line shows are in
 * `erased`, as those of fields that stay. Whether the leaf is that of the record is for
 * trail_entry_leaf to say. */
PC_CHECKED enum err trail_line_read(struct span line, struct arena *arena, struct trail_entry *ret);

#endif
