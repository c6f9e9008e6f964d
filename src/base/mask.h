/* SPDX-License-Identifier: MIT
 * Card data in free text: found and masked before the text is kept, logged or shown anywhere. What
 * is found: card numbers (13 to 19 digits grouped as people write them, Luhn, issuer range and
 * length; the last four stay), IBANs (country and last four stay), card verification values by
 * their name, and track data. Digits of other scripts, those of a URL (%34), and characters without
 * width are looked through. Ids, amounts and times are fields of their own and never come here.
 *
 *   "card 4111 1111 1111 1111, cvv 123"  becomes  "card **** **** **** 1111, cvv ***"
 *
 * Every hidden character becomes a star of as many bytes, so no length changes, neither in bytes
 * nor in characters, and masking twice is masking once.
 *
 * Threads: pure.    Memory: the result is the text itself when nothing was found, else in the
 * arena.
 * Source:  ISO/IEC 7812 (Luhn, issuers: card_issuer.def), ISO 13616 (IBAN: iban.def),
 *          ISO/IEC 7813 (tracks), PCI DSS 4.0 3.3.1, 3.4.1. */
#ifndef PC_BASE_MASK_H
#define PC_BASE_MASK_H

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/* ERR_NO_MEMORY when the arena is full: the text must then not be used. */
PC_CHECKED enum err mask_card_data(struct span text, struct arena *arena, struct span *ret_text);

/* Whether there is anything to mask. */
bool mask_finds(struct span text);

/* The same in place, on a buffer that is ours; the length stays. Never fails. */
void mask_in_place(char *text, size_t len);

#endif
