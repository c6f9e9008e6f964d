/* SPDX-License-Identifier: MIT
 * Random bytes from the kernel, in batches for the loops, or repeatable for tests. Bytes that were
 * handed out are wiped from the batch. */
#include "base/random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

static void system_fill(void *context, void *ptr, size_t len)
{
    unsigned char *at = ptr;

    (void)context;
    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0) {
            PC_ASSERT(errno == EINTR);
            continue;
        }
        at += got;
        len -= (size_t)got;
    }
}

const struct random_source random_system = {.fill = system_fill};

/* splitmix64: every seed gives a full-period stream. */
static void seeded_fill(void *context, void *ptr, size_t len)
{
    struct random_seeded *seeded = context;
    unsigned char *at = ptr;

    while (len > 0) {
        uint64_t z = (seeded->state += UINT64_C(0x9E3779B97F4A7C15));
        size_t take = len < sizeof(z) ? len : sizeof(z);

        z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
        z ^= z >> 31;
        memcpy(at, &z, take);
        at += take;
        len -= take;
    }
}

void random_seeded_init(struct random_seeded *seeded, uint64_t seed)
{
    seeded->source = (struct random_source){.fill = seeded_fill, .context = seeded};
    seeded->state = seed;
}

void random_batch_init(struct random_batch *batch, const struct random_source *source)
{
    batch->source = source;
    batch->used = RANDOM_BATCH_BYTES;
}

void random_batch_fill(struct random_batch *batch, void *ptr, size_t len)
{
    if (len > RANDOM_BATCH_BYTES) {
        random_fill(batch->source, ptr, len);
        return;
    }
    if (len > RANDOM_BATCH_BYTES - batch->used) {
        random_fill(batch->source, batch->bytes, RANDOM_BATCH_BYTES);
        batch->used = 0;
    }
    memcpy(ptr, batch->bytes + batch->used, len);
    memset(batch->bytes + batch->used, 0, len);
    batch->used += len;
}

static void uuid_write(unsigned char raw[16], char text[RANDOM_UUID_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;

    raw[6] = (unsigned char)((raw[6] & 0x0F) | 0x40); /* version 4 */
    raw[8] = (unsigned char)((raw[8] & 0x3F) | 0x80); /* variant of RFC 9562 */
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            text[at++] = '-';
        text[at++] = digits[raw[i] >> 4];
        text[at++] = digits[raw[i] & 15];
    }
    PC_ASSERT(at == RANDOM_UUID_BYTES);
}

void random_batch_uuid(struct random_batch *batch, char text[RANDOM_UUID_BYTES])
{
    unsigned char raw[16];

    random_batch_fill(batch, raw, sizeof(raw));
    uuid_write(raw, text);
}

void random_uuid(const struct random_source *source, char text[RANDOM_UUID_BYTES])
{
    unsigned char raw[16];

    random_fill(source, raw, sizeof(raw));
    uuid_write(raw, text);
}
