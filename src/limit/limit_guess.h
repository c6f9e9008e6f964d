/* SPDX-License-Identifier: MIT
 * Slows whoever guesses passwords, without locking the owner out.
 *
 * Three budgets of failures, each in a table of fixed size:
 *   pair      account and address: five failures are free, then each next attempt waits 1 s, 2 s,
 *             4 s … 15 min; forgotten after an hour without an attempt
 *   address   over all accounts, against one password tried on many of them
 *   account   over all addresses, against one account tried from many of them
 * An address that has logged in to an account is *known* to it. A known address answers to its own
 * pair budget alone, so strangers cannot use up what the owner needs, however many they are.
 *
 * An attempt counts as failed from the moment it is let in until it is told otherwise, so attempts
 * that run side by side cannot overdraw a budget.
 *
 *   limit_guess_check(guess, email, limit_address(ip), false, now_ns, &attempt);
 *   if (!attempt.allowed)
 *       return ERR_LOCKED;                  Retry-After: attempt.retry_after_ns, rounded up
 *   … verify the password, for unknown accounts too …
 *   limit_guess_succeeded(guess, &attempt, now_ns);     or _failed, or _cancelled
 *
 * Threads: any (one short lock; not on the way of ordinary requests).
 * Memory: limit_guess_new / limit_guess_free; about 3 MB when every table is in use.
 * Units: monotonic nanoseconds.    Source: OWASP Authentication Cheat Sheet; NIST SP
 * 800-63B, 5.2.2. */
#ifndef PC_LIMIT_GUESS_H
#define PC_LIMIT_GUESS_H

#include "limit/limit.h"

struct limit_guess;

struct limit_guess_options {
    uint32_t free_failures;    /* 0: 5 */
    int64_t delay_ns_first;    /* 0: 1 s; doubles */
    int64_t delay_ns_max;      /* 0: 15 min */
    int64_t forget_ns;         /* 0: 1 h; at least delay_ns_max */
    struct limit_rate address; /* all zero: 60 an hour, 30 at once */
    struct limit_rate account; /* all zero: 100 an hour, 50 at once */
    int64_t known_ns;          /* how long a success is remembered; 0: 30 days */
    size_t slots;              /* of each table, a power of two; 0: 16384 */
};

enum limit_guess_reason {
    LIMIT_GUESS_ALLOWED,
    LIMIT_GUESS_PAIR,    /* this address failed on this account too often */
    LIMIT_GUESS_ADDRESS, /* this address failed on too many accounts */
    LIMIT_GUESS_ACCOUNT, /* this account was tried from too many unknown addresses */
};

/* One attempt, from check to its end. Plain values; may be copied and handed to another thread. */
struct limit_guess_attempt {
    bool allowed;
    bool known;
    enum limit_guess_reason reason;
    int64_t retry_after_ns;          /* 0 when allowed */
    uint64_t account, address, pair; /* keyed hashes, for the call that ends the attempt */
};

PC_CHECKED enum err limit_guess_new(const struct limit_guess_options *options,
                                    const struct random_source *source,
                                    struct limit_guess **ret_guess);
void limit_guess_free(struct limit_guess *guess); /* accepts NULL */

/* May this address try this account now? `account` is the normalised name that was typed, whether
 * it exists or not. `known`: the caller itself can prove an earlier success (a device cookie, a row
 * in the store). An allowed attempt must be ended by one of the three functions below. */
void limit_guess_check(struct limit_guess *guess, struct span account, struct span address,
                       bool known, int64_t now_ns, struct limit_guess_attempt *ret_attempt);

/* The password was wrong. */
void limit_guess_failed(struct limit_guess *guess, const struct limit_guess_attempt *attempt,
                        int64_t now_ns);

/* It was right: what the attempt cost is given back, the pair's failures are forgotten, and the
 * address is known to the account from now on. */
void limit_guess_succeeded(struct limit_guess *guess, const struct limit_guess_attempt *attempt,
                           int64_t now_ns);

/* It was never decided (store down, queue full): what it cost is given back. */
void limit_guess_cancelled(struct limit_guess *guess, const struct limit_guess_attempt *attempt,
                           int64_t now_ns);

/* Marks the address as known without an attempt: at start, from the sessions in the store. */
void limit_guess_remember(struct limit_guess *guess, struct span account, struct span address,
                          int64_t now_ns);

#endif
