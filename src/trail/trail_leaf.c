/* SPDX-License-Identifier: MIT
 * What a leaf of the log is made of: the whole record, each field behind its length, so that no two
 * records have the same bytes. Fields that may tell of a person enter as commitments, so that they
 * can be erased and the leaf stays what it was.
 *
 *   data       = 0x01, then for each field: its length (4 bytes, big-endian), its bytes
 *   fields     = id, at (8 bytes, big-endian), the plain texts, then the personal ones:
 *                nothing where there is none, else 32 bytes of commitment
 *   commitment = SHA-256("portcullis.trail.v1" 0x00 name 0x00 salt value)
 *   salt       = 16 random bytes, then the entry's id
 *   leaf       = SHA-256(0x00 data)
 *
 * `erased` holds for each field, in their order, its number and 32 bytes: of one that was erased
 * the commitment; of one that stays, its number with TRAIL_ERASED_SALT and its salt, since the
 * seed, which holds the random bytes of all that are there, one behind the other, goes.
 *
 * Source: RFC 6962, 2.1 (leaf); docs/decisions/trail-log.md. */
#include "trail/trail_priv.h"

#include "crypto/digest.h"

#define TRAIL_DOMAIN "portcullis.trail.v1"

enum { FORMAT = 1, DATA_BYTES = 16 * 1024 };

static const struct span names[TRAIL_PERSONAL_COUNT] = {
    [TRAIL_PERSONAL_ACTOR] = SPAN("actor"),     [TRAIL_PERSONAL_PRINCIPAL] = SPAN("principal"),
    [TRAIL_PERSONAL_ADDRESS] = SPAN("address"), [TRAIL_PERSONAL_OBJECT] = SPAN("object"),
    [TRAIL_PERSONAL_REASON] = SPAN("reason"),   [TRAIL_PERSONAL_DETAILS] = SPAN("details"),
};

/* With the NULs around them, as they are hashed. */
static const struct span commit_prefixes[TRAIL_PERSONAL_COUNT] = {
    [TRAIL_PERSONAL_ACTOR] = SPAN(TRAIL_DOMAIN "\0actor\0"),
    [TRAIL_PERSONAL_PRINCIPAL] = SPAN(TRAIL_DOMAIN "\0principal\0"),
    [TRAIL_PERSONAL_ADDRESS] = SPAN(TRAIL_DOMAIN "\0address\0"),
    [TRAIL_PERSONAL_OBJECT] = SPAN(TRAIL_DOMAIN "\0object\0"),
    [TRAIL_PERSONAL_REASON] = SPAN(TRAIL_DOMAIN "\0reason\0"),
    [TRAIL_PERSONAL_DETAILS] = SPAN(TRAIL_DOMAIN "\0details\0"),
};

struct span trail_personal_name(enum trail_personal field)
{
    PC_ASSERT(field < TRAIL_PERSONAL_COUNT);
    return names[field];
}

void trail_plain(const struct trail_entry *entry, struct span ret[TRAIL_PLAIN_COUNT])
{
    ret[TRAIL_PLAIN_EVENT] = entry->event;
    ret[TRAIL_PLAIN_CATEGORY] = entry->category;
    ret[TRAIL_PLAIN_SEVERITY] = entry->severity;
    ret[TRAIL_PLAIN_OUTCOME] = entry->outcome;
    ret[TRAIL_PLAIN_SOURCE] = entry->source;
    ret[TRAIL_PLAIN_ACTOR_KIND] = entry->actor_kind;
    ret[TRAIL_PLAIN_CLIENT] = entry->client;
    ret[TRAIL_PLAIN_REQUEST_ID] = entry->request_id;
    ret[TRAIL_PLAIN_TAGS] = entry->tags;
}

static struct span hash_span(const struct trail_hash *hash)
{
    return span_make(hash->bytes, sizeof(hash->bytes));
}

/* How many of the first `count` fields are there. */
static size_t there(const struct trail_entry *entry, size_t count)
{
    size_t some = 0;

    for (size_t i = 0; i < count; i++)
        some += entry->personal[i].len > 0;
    return some;
}

size_t trail_seed_bytes(const struct trail_entry *entry)
{
    return there(entry, TRAIL_PERSONAL_COUNT) * TRAIL_SALT_OWN_BYTES;
}

void trail_salt(const struct trail_entry *entry, enum trail_personal field, struct trail_hash *ret)
{
    _Static_assert(TRAIL_SALT_OWN_BYTES + TRAIL_ID_BYTES == TRAIL_HASH_BYTES, "a salt is filled");
    memcpy(ret->bytes, entry->seed.ptr + there(entry, field) * TRAIL_SALT_OWN_BYTES,
           TRAIL_SALT_OWN_BYTES);
    memcpy(ret->bytes + TRAIL_SALT_OWN_BYTES, entry->id, TRAIL_ID_BYTES);
}

void trail_commit(enum trail_personal field, const struct trail_hash *salt, struct span value,
                  struct trail_hash *ret)
{
    const struct span pieces[] = {commit_prefixes[field], hash_span(salt), value};

    crypto_sha256_pieces(pieces, PC_COUNT(pieces), ret->bytes);
}

/* ---- fields ------------------------------------------------------------------------------------
 */

/* What `erased` says under that number; NULL: nothing. */
static const unsigned char *erased_find(struct span erased, unsigned number)
{
    const unsigned char *bytes = (const unsigned char *)erased.ptr;

    for (size_t i = 0; i + TRAIL_ERASED_BYTES <= erased.len; i += TRAIL_ERASED_BYTES) {
        if (bytes[i] == number)
            return bytes + i + 1;
    }
    return NULL;
}

enum err trail_stand(const struct trail_entry *entry, enum trail_personal field,
                     enum trail_stand *ret, struct trail_hash *ret_hash)
{
    bool has = entry->personal[field].len > 0;
    const unsigned char *gone = erased_find(entry->erased, field);
    const unsigned char *salt = erased_find(entry->erased, field | TRAIL_ERASED_SALT);

    if (entry->erased.len % TRAIL_ERASED_BYTES != 0 || (gone != NULL && (has || salt != NULL)) ||
        (has && salt == NULL && entry->seed.len < trail_seed_bytes(entry)))
        return ERR_STORE_CORRUPT;
    *ret = gone != NULL ? TRAIL_STAND_ERASED : has ? TRAIL_STAND_VALUE : TRAIL_STAND_NONE;
    if (gone != NULL)
        memcpy(ret_hash->bytes, gone, sizeof(ret_hash->bytes));
    else if (has && salt != NULL)
        memcpy(ret_hash->bytes, salt, sizeof(ret_hash->bytes));
    else if (has)
        trail_salt(entry, field, ret_hash);
    return ERR_OK;
}

/* ---- the data ----------------------------------------------------------------------------------
 */

static void field_add(struct sbuf *out, struct span value)
{
    const unsigned char length[4] = {(unsigned char)(value.len >> 24),
                                     (unsigned char)(value.len >> 16),
                                     (unsigned char)(value.len >> 8), (unsigned char)value.len};

    PC_ASSERT(value.len <= UINT32_MAX);
    sbuf_add_bytes(out, length, sizeof(length));
    sbuf_add(out, value);
}

static void time_add(struct sbuf *out, int64_t at_ns)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)((uint64_t)at_ns >> (56 - 8 * i));
    field_add(out, span_make(bytes, sizeof(bytes)));
}

static enum err personal_add(const struct trail_entry *entry, enum trail_personal field,
                             struct sbuf *out)
{
    struct trail_hash hash = {{0}};
    enum trail_stand stand = TRAIL_STAND_NONE;
    enum err err = trail_stand(entry, field, &stand, &hash);

    if (err)
        return err;
    if (stand == TRAIL_STAND_VALUE)
        trail_commit(field, &hash, entry->personal[field], &hash);
    field_add(out, stand == TRAIL_STAND_NONE ? SPAN_OF("") : hash_span(&hash));
    return ERR_OK;
}

enum err trail_leaf_write(const struct trail_entry *entry, struct sbuf *out)
{
    struct span plain[TRAIL_PLAIN_COUNT];
    enum err err = ERR_OK;

    sbuf_add_char(out, FORMAT);
    field_add(out, span_make(entry->id, sizeof(entry->id)));
    time_add(out, entry->at_ns);
    trail_plain(entry, plain);
    for (size_t i = 0; i < TRAIL_PLAIN_COUNT; i++)
        field_add(out, plain[i]);
    for (size_t i = 0; i < TRAIL_PERSONAL_COUNT && err == ERR_OK; i++)
        err = personal_add(entry, (enum trail_personal)i, out);
    if (err == ERR_OK && out->full)
        err = ERR_NO_SPACE;
    return err;
}

enum err trail_entry_leaf(const struct trail_entry *entry, struct trail_hash *ret)
{
    char room[DATA_BYTES];
    struct sbuf out = sbuf_over(room, sizeof(room));
    enum err err = trail_leaf_write(entry, &out);

    if (err)
        return err == ERR_NO_SPACE ? ERR_STORE_CORRUPT : err;
    trail_hash_leaf(sbuf_span(&out), ret);
    return ERR_OK;
}
