/* SPDX-License-Identifier: MIT
 * Pages for man(1), in the old macros (man(7)) that groff and mandoc read alike.
 *
 * Threads: pure functions, any thread.    Memory: the caller's buffer, which tells when it is full.
 * Source:  groff_man(7), mandoc's man(7). */
#ifndef PC_APP_ROFF_H
#define PC_APP_ROFF_H

#include "base/sbuf.h"

/* The head of a page and its NAME section. */
void roff_page(const char *title, const char *section, const char *about, struct sbuf *out);

/* A text within a line: nothing in it is taken for a request or an escape; a line's end stays. */
void roff_text(struct span text, struct sbuf *out);
/* The same as a line of its own, behind a macro such as ".B " or none. */
void roff_line(const char *macro, const char *text, struct sbuf *out);

/* Paragraphs parted by an empty line; those with an indented line stay as they are laid out. */
void roff_paragraphs(const char *text, struct sbuf *out);

#endif
