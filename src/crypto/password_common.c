/* SPDX-License-Identifier: MIT
 * The dictionary of common passwords, through cracklib. Its friendly entry, FascistCheck, ends the
 * process when the dictionary is gone and looks at the Unix user who runs it; so the dictionary is
 * opened here, and the look-up is asked directly. */
#include "crypto/password_common.h"

#include <crack.h>
#include <packer.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"

/* Longer ones are cut by cracklib as well; its words have less than 32. */
enum { TEXT_BYTES = 256, WORD_BYTES_MAX = 31, PATH_BYTES = 512 };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

const char *crypto_password_dictionary(void)
{
    return GetDefaultCracklibDict();
}

bool crypto_password_dictionary_is_there(void)
{
    static const char *const endings[] = {".pwd", ".pwi"};

    for (size_t i = 0; i < PC_COUNT(endings); i++) {
        char path[PATH_BYTES];
        struct span dictionary = span_from(crypto_password_dictionary());

        if (dictionary.len + sizeof(".pwd") > sizeof(path))
            return false;
        memcpy(path, dictionary.ptr, dictionary.len);
        memcpy(path + dictionary.len, endings[i], sizeof(".pwd"));
        if (access(path, R_OK) != 0)
            return false;
    }
    return true;
}

static void copy(char text[TEXT_BYTES], struct span from, bool lower)
{
    size_t len = from.len < TEXT_BYTES ? from.len : TEXT_BYTES - 1;

    for (size_t i = 0; i < len; i++)
        text[i] = lower ? span_lower_char(from.ptr[i]) : from.ptr[i];
    text[len] = '\0';
}

/* FindPW answers the number of all words for one that is not there; no word begins like this. */
static bool is_listed(PWDICT *dictionary, char word[TEXT_BYTES])
{
    char none[] = "\x01";

    return strlen(word) <= WORD_BYTES_MAX && FindPW(dictionary, word) != FindPW(dictionary, none);
}

static enum err look(PWDICT *dictionary, enum crypto_password_common what, struct span password,
                     struct span username, const char **ret_why)
{
    char text[TEXT_BYTES];
    char user[TEXT_BYTES];
    char gecos[] = "";
    bool listed;
    bool similar = false;

    copy(text, password, true);
    listed = is_listed(dictionary, text);
    if (!listed && what == CRYPTO_COMMON_REFUSE_SIMILAR) {
        copy(text, password, false);
        copy(user, username, false);
        similar = FascistLookUser(dictionary, text, user, gecos) != NULL;
    }
    alloc_wipe(text, sizeof(text));
    if (listed)
        *ret_why = "is a word that everybody tries first; take several words that have nothing to "
                   "do with each other";
    else if (similar)
        *ret_why = "is too easy to guess; take several words that have nothing to do with each "
                   "other";
    return listed || similar ? ERR_VALIDATION : ERR_OK;
}

enum err crypto_password_common_check(enum crypto_password_common what, struct span password,
                                      struct span username, const char **ret_why)
{
    char mode[] = "r";
    PWDICT *dictionary;
    enum err err = ERR_IO;

    if (what == CRYPTO_COMMON_ALLOW)
        return ERR_OK;
    PC_ASSERT(pthread_mutex_lock(&turn) == 0);
    dictionary =
        crypto_password_dictionary_is_there() ? PWOpen(crypto_password_dictionary(), mode) : NULL;
    if (dictionary != NULL) {
        err = look(dictionary, what, password, username, ret_why);
        (void)PWClose(dictionary);
    }
    PC_ASSERT(pthread_mutex_unlock(&turn) == 0);
    return err;
}
