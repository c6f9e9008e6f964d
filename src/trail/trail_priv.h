/* SPDX-License-Identifier: MIT
 * What the files of trail/ share among themselves. */
#ifndef PC_TRAIL_TRAIL_PRIV_H
#define PC_TRAIL_TRAIL_PRIV_H

#include "trail/trail.h"

/* What of `text` may stand in a record: at most TRAIL_TEXT_BYTES_MAX bytes of whole UTF-8
 * characters. What would end a line, move a cursor or turn the direction of writing, and what is no
 * UTF-8, becomes U+FFFD. Lies in `room`, or is `text` itself where nothing is amiss. */
struct span trail_text(struct span text, char room[TRAIL_TEXT_BYTES_MAX]);

#endif
