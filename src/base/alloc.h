/* SPDX-License-Identifier: MIT
 * The heap, in one place, so that a test can make the n-th allocation fail and count what is live.
 * Everything that is not in an arena comes from here; other files do not call malloc.
 *
 * Threads: any.    Memory: alloc_free gives back; it accepts NULL. */
#ifndef PC_BASE_ALLOC_H
#define PC_BASE_ALLOC_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

/* Zeroed bytes, or NULL. bytes > 0. */
PC_CHECKED void *alloc_zero(size_t bytes);

/* Bytes with any content, or NULL. bytes > 0. */
PC_CHECKED void *alloc_raw(size_t bytes);

/* Grows or shrinks; on NULL the old block is untouched. */
PC_CHECKED void *alloc_resize(void *block, size_t bytes);

void alloc_free(void *block);

/* Overwrites with zeros in a way the compiler cannot leave out. */
void alloc_wipe(void *block, size_t bytes);

/* What lies there is not needed any more, but its place is: whole pages within it go back to the
 * system until they are written again, and their content is lost. */
void alloc_rest(void *block, size_t bytes);

/* Once, at the start of a long-lived process: large blocks (password hashing takes 19 MiB at a
 * time) go back to the system when they are freed instead of staying with the heap. */
void alloc_settle(void);

/* For tests: the n-th allocation from now (1 is the next) fails, once; 0 switches it off.
 * alloc_fail_pending tells whether it has yet to strike. */
void alloc_fail_at(uint64_t nth);
int alloc_fail_pending(void);

#endif
