/* SPDX-License-Identifier: MIT
 * Passwords that others would guess, told from a dictionary on this machine (cracklib's). Nothing
 * leaves it. For new passwords only: what was chosen before is not looked at again.
 *
 * Threads: any, one at a time inside (cracklib keeps its state in static memory); takes about a
 *          millisecond and reads files, so run it on the hash threads or in a command.
 * Memory:  what we copied is wiped; what cracklib copies for itself is not.
 * Errors:  ERR_VALIDATION with a sentence; ERR_IO when the dictionary cannot be read.
 * Source:  NIST SP 800-63B, 5.1.1.2; docs/decisions/crypto-passwords.md. */
#ifndef PC_CRYPTO_PASSWORD_COMMON_H
#define PC_CRYPTO_PASSWORD_COMMON_H

#include "base/err.h"
#include "base/span.h"

/* Zero is the strict choice. */
enum crypto_password_common {
    CRYPTO_COMMON_REFUSE_SIMILAR = 0, /* words and what is made of them: "Passw0rd1", "qwertz" */
    CRYPTO_COMMON_REFUSE_LISTED,      /* the words themselves, in any case */
    CRYPTO_COMMON_ALLOW,
};

/* May this become the password of somebody called so? (`username` may be empty.) *ret_why is set
 * with ERR_VALIDATION only: what is wrong and what to do, to follow the word "password". */
PC_CHECKED enum err crypto_password_common_check(enum crypto_password_common what,
                                                 struct span password, struct span username,
                                                 const char **ret_why);

/* Where the dictionary is, and whether it can be read there. */
const char *crypto_password_dictionary(void);
bool crypto_password_dictionary_is_there(void);

#endif
