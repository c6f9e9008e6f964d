/* SPDX-License-Identifier: MIT
 * The settings in one number: what two nodes, or a node and the file on disk, are compared by, and
 * what the trail keeps of a configuration. Values of secrets are not in it: nobody may try guesses
 * against it. */
#include "app/config_priv.h"

#include <pthread.h>

#include "crypto/digest.h"

enum { TEXT_BYTES_MAX = 1024 * 1024 };

/* "limits.requests_per_minute=60", a line a setting, in the table's order. */
static void all_write(const struct config *config, struct sbuf *out)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        sbuf_add_format(out, "%s=", config_settings[i].path);
        config_value_show(&config_settings[i], config, out);
        sbuf_add_char(out, '\n');
    }
}

/* Its room is there from the start: what is told of a start or reload must not want for memory. */
void config_hash(const struct config *config, char hex[CONFIG_HASH_BYTES])
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static char room[TEXT_BYTES_MAX];
    unsigned char digest[CRYPTO_SHA256_BYTES];
    struct sbuf text = sbuf_over(hex, CONFIG_HASH_BYTES);
    struct sbuf out = sbuf_over(room, sizeof(room));

    PC_ASSERT(pthread_mutex_lock(&lock) == 0);
    all_write(config, &out);
    PC_ASSERT(!out.full); /* every text and list of the settings is bounded */
    crypto_sha256(sbuf_span(&out), digest);
    PC_ASSERT(pthread_mutex_unlock(&lock) == 0);
    sbuf_add_hex(&text, digest, sizeof(digest));
}
