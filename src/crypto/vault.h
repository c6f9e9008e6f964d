/* SPDX-License-Identifier: MIT
 * Private keys in a process of their own. It is forked before the first key is read, reads and
 * makes keys by itself, signs what it is sent, and tells public keys only: a hole that shows the
 * memory of the process with the sockets shows no private key, since there has never been one.
 *
 * While a vault is there, crypto_key_load, crypto_key_generate and crypto_key_save of asymmetric
 * keys go through it, and what they give signs through it (crypto_signer_local as well). Secrets of
 * HS256 and its like stay where tokens are verified, since verifying takes them.
 *
 * Threads: start while there is one thread; the rest any. Each request has a pair of sockets and a
 *          thread of the vault for itself while it lasts.
 * Memory:  one vault a process; it ends with its parent, and with crypto_vault_stop.
 * Errors:  ERR_BUSY when the vault is gone: nobody signs any more. */
#ifndef PC_CRYPTO_VAULT_H
#define PC_CRYPTO_VAULT_H

#include "crypto/key.h"

struct crypto_vault_options {
    unsigned channels;                 /* requests at once, 1 to 64; more wait */
    unsigned answer_s;                 /* how long one may take, else it is lost; 0: 60 */
    enum err (*settle)(void *context); /* in the vault, before it takes requests: may refuse */
    void *context;
};

enum { CRYPTO_VAULT_CHANNELS_MAX = 64 };

/* Forks it. ERR_IO when that fails or the vault ended before it was ready. */
PC_CHECKED enum err crypto_vault_start(const struct crypto_vault_options *options,
                                       struct crypto_fault *fault);

/* Is there one, and does it answer? False without one. */
bool crypto_vault_is_there(void);
bool crypto_vault_answers(void);

/* Has it ended, or left a request without an answer? Does not wait; false without one. */
bool crypto_vault_is_lost(void);

int crypto_vault_pid(void); /* 0: there is none */

/* Lets it end, and waits for that a few seconds: if it stands still it ends with this process. Keys
 * that it held sign no more. */
void crypto_vault_stop(void);

#endif
