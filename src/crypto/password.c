/* SPDX-License-Identifier: MIT
 * Making and checking password hashes. A stored text is taken apart here and its numbers bounded
 * before any work is done, so that a damaged or planted row cannot ask for a gigabyte or an hour.
 *
 *   $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH      libargon2, base64 without padding
 *   $2b$12$SALTHASH                               libxcrypt; 22 + 31 characters
 *
 * bcrypt reads 72 bytes and stops at a NUL. A password it would cut is refused when it is set and
 * never fits when it is tried; it is not hashed beforehand, so that the stored texts mean the same
 * to every other program. */
#include "crypto/password.h"

#include <argon2.h>
#include <crypt.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sbuf.h"
#include "crypto/digest.h"

enum {
    ARGON2_VERSION = 19,
    SALT_BYTES = 16,
    SALT_BYTES_MIN = 8,
    TAG_BYTES = 32,
    TAG_BYTES_MIN = 16,
    BLOB_BYTES_MAX = 64,
    BCRYPT_SETTING_CHARS = 29, /* "$2b$12$" and 22 of salt */
    BCRYPT_CHARS = 60,
    DUMMY_BYTES = 24,
};

/* A stored hash, taken apart. */
struct stored {
    enum crypto_password_kind kind;
    bool current; /* the variant that we would write: 2b, not 2a or 2y */
    unsigned bcrypt_cost;
    unsigned memory_kib, passes, lanes;
    size_t salt_bytes, tag_bytes;
    unsigned char salt[BLOB_BYTES_MAX], tag[BLOB_BYTES_MAX];
};

static struct crypto_password_policy policy_whole(const struct crypto_password_policy *policy)
{
    struct crypto_password_policy whole = *policy;

    if (whole.bcrypt_cost == 0)
        whole.bcrypt_cost = CRYPTO_BCRYPT_COST_DEFAULT;
    if (whole.argon2_memory_kib == 0)
        whole.argon2_memory_kib = CRYPTO_ARGON2_MEMORY_KIB_DEFAULT;
    if (whole.argon2_passes == 0)
        whole.argon2_passes = CRYPTO_ARGON2_PASSES_DEFAULT;
    if (whole.argon2_lanes == 0)
        whole.argon2_lanes = CRYPTO_ARGON2_LANES_DEFAULT;
    return whole;
}

static bool argon2_is_bounded(unsigned memory_kib, unsigned passes, unsigned lanes)
{
    return lanes >= 1 && lanes <= CRYPTO_ARGON2_LANES_MAX && passes >= 1 &&
           passes <= CRYPTO_ARGON2_PASSES_MAX &&
           memory_kib >= CRYPTO_ARGON2_MEMORY_KIB_MIN * lanes &&
           memory_kib <= CRYPTO_ARGON2_MEMORY_KIB_MAX;
}

static bool bcrypt_is_bounded(unsigned cost)
{
    return cost >= CRYPTO_BCRYPT_COST_MIN && cost <= CRYPTO_BCRYPT_COST_MAX;
}

enum err crypto_password_policy_check(const struct crypto_password_policy *policy)
{
    struct crypto_password_policy whole = policy_whole(policy);

    if (whole.kind != CRYPTO_PASSWORD_ARGON2ID && whole.kind != CRYPTO_PASSWORD_BCRYPT)
        return ERR_CONFIG;
    if (!bcrypt_is_bounded(whole.bcrypt_cost))
        return ERR_CONFIG;
    if (!argon2_is_bounded(whole.argon2_memory_kib, whole.argon2_passes, whole.argon2_lanes))
        return ERR_CONFIG;
    return ERR_OK;
}

/* ---- the PHC text ---- */

/* PHC writes base64 with '+' and '/', base64url with '-' and '_'; nothing else differs. */
static void phc_add_blob(struct sbuf *out, const unsigned char *data, size_t bytes)
{
    size_t from = out->len;

    sbuf_add_char(out, '$');
    crypto_base64url_add(out, span_make(data, bytes));
    for (size_t i = from; i < out->len; i++) {
        if (out->ptr[i] == '-')
            out->ptr[i] = '+';
        if (out->ptr[i] == '_')
            out->ptr[i] = '/';
    }
}

static bool phc_read_blob(struct span text, unsigned char blob[BLOB_BYTES_MAX], size_t *ret_bytes)
{
    char url[BLOB_BYTES_MAX * 2];

    if (text.len > sizeof(url))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '-' || c == '_')
            return false;
        url[i] = c;
        if (c == '+')
            url[i] = '-';
        if (c == '/')
            url[i] = '_';
    }
    return crypto_base64url_decode(span_make(url, text.len), blob, BLOB_BYTES_MAX, ret_bytes) ==
           ERR_OK;
}

/* "m=19456" with the right letter and a canonical number. */
static bool phc_read_number(struct span part, const char *name, unsigned *ret_value)
{
    struct span digits;
    uint64_t value;

    if (!span_starts(part, span_from(name)))
        return false;
    digits = span_slice(part, strlen(name), part.len);
    if (digits.len > 7 || (digits.len > 1 && digits.ptr[0] == '0'))
        return false;
    if (!span_to_u64(digits, &value))
        return false;
    *ret_value = (unsigned)value;
    return true;
}

static bool phc_read_costs(struct span costs, struct stored *ret)
{
    struct span memory, passes, lanes;

    return span_cut(&costs, ',', &memory) && phc_read_number(memory, "m=", &ret->memory_kib) &&
           span_cut(&costs, ',', &passes) && phc_read_number(passes, "t=", &ret->passes) &&
           span_cut(&costs, ',', &lanes) && phc_read_number(lanes, "p=", &ret->lanes) &&
           !span_cut(&costs, ',', &lanes) &&
           argon2_is_bounded(ret->memory_kib, ret->passes, ret->lanes);
}

static bool phc_read(struct span text, struct stored *ret)
{
    struct span part;
    unsigned version;

    ret->kind = CRYPTO_PASSWORD_ARGON2ID;
    ret->current = true;
    text = span_slice(text, sizeof("$argon2id$") - 1, text.len);
    return span_cut(&text, '$', &part) && phc_read_number(part, "v=", &version) &&
           version == ARGON2_VERSION && span_cut(&text, '$', &part) && phc_read_costs(part, ret) &&
           span_cut(&text, '$', &part) && phc_read_blob(part, ret->salt, &ret->salt_bytes) &&
           ret->salt_bytes >= SALT_BYTES_MIN && span_cut(&text, '$', &part) &&
           phc_read_blob(part, ret->tag, &ret->tag_bytes) && ret->tag_bytes >= TAG_BYTES_MIN &&
           !span_cut(&text, '$', &part);
}

static bool bcrypt_read(struct span text, struct stored *ret)
{
    static const char alphabet[] =
        "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t cost;

    if (text.len != BCRYPT_CHARS || text.ptr[3] != '$' || text.ptr[6] != '$' ||
        !span_to_u64(span_slice(text, 4, 6), &cost))
        return false;
    for (size_t i = 7; i < text.len; i++) {
        if (text.ptr[i] == '\0' || strchr(alphabet, text.ptr[i]) == NULL)
            return false;
    }
    ret->kind = CRYPTO_PASSWORD_BCRYPT;
    ret->current = text.ptr[2] == 'b';
    ret->bcrypt_cost = (unsigned)cost;
    return bcrypt_is_bounded(ret->bcrypt_cost);
}

static bool stored_read(struct span text, struct stored *ret)
{
    *ret = (struct stored){0};
    if (text.len >= CRYPTO_PASSWORD_HASH_BYTES)
        return false;
    if (span_starts(text, SPAN_OF("$argon2id$")))
        return phc_read(text, ret);
    if (span_starts(text, SPAN_OF("$2b$")) || span_starts(text, SPAN_OF("$2a$")) ||
        span_starts(text, SPAN_OF("$2y$")))
        return bcrypt_read(text, ret);
    return false;
}

/* ---- the work ---- */

static int argon2_take(uint8_t **ret_memory, size_t bytes)
{
    *ret_memory = alloc_raw(bytes);
    return *ret_memory == NULL ? ARGON2_MEMORY_ALLOCATION_ERROR : ARGON2_OK;
}

static void argon2_give(uint8_t *memory, size_t bytes)
{
    alloc_wipe(memory, bytes < 1024 ? bytes : 1024); /* libargon2 has wiped what it used */
    alloc_free(memory);
}

/* The tag of `want` for this password, one lane after the other on this thread. */
static enum err argon2_work(const struct stored *want, struct span password,
                            unsigned char tag[BLOB_BYTES_MAX])
{
    struct Argon2_Context context = {
        .out = tag,
        .outlen = (uint32_t)want->tag_bytes,
        .pwd = (uint8_t *)(uintptr_t)password.ptr,
        .pwdlen = (uint32_t)password.len,
        .salt = (uint8_t *)(uintptr_t)want->salt,
        .saltlen = (uint32_t)want->salt_bytes,
        .t_cost = want->passes,
        .m_cost = want->memory_kib,
        .lanes = want->lanes,
        .threads = 1,
        .version = ARGON2_VERSION_13,
        .allocate_cbk = argon2_take,
        .free_cbk = argon2_give,
        .flags = ARGON2_DEFAULT_FLAGS,
    };
    int result = argon2id_ctx(&context);

    if (result == ARGON2_MEMORY_ALLOCATION_ERROR)
        return ERR_NO_MEMORY;
    return result == ARGON2_OK ? ERR_OK : ERR_INTERNAL;
}

/* What bcrypt makes of the first 72 bytes with this setting. */
static enum err bcrypt_work(const char *setting, struct span password,
                            char ret_text[BCRYPT_CHARS + 1])
{
    char phrase[CRYPTO_BCRYPT_PASSWORD_BYTES_MAX + 1] = {0};
    struct crypt_data *data = alloc_zero(sizeof(*data));
    size_t bytes = password.len < sizeof(phrase) - 1 ? password.len : sizeof(phrase) - 1;
    const char *text;
    enum err err = ERR_INTERNAL;

    if (data == NULL)
        return ERR_NO_MEMORY;
    if (bytes > 0)
        memcpy(phrase, password.ptr, bytes);
    text = crypt_rn(phrase, setting, data, sizeof(*data));
    if (text != NULL && strlen(text) == BCRYPT_CHARS) {
        memcpy(ret_text, text, BCRYPT_CHARS + 1);
        err = ERR_OK;
    }
    alloc_wipe(phrase, sizeof(phrase));
    alloc_wipe(data, sizeof(*data));
    alloc_free(data);
    return err;
}

static bool bcrypt_would_cut(struct span password)
{
    return password.len > CRYPTO_BCRYPT_PASSWORD_BYTES_MAX ||
           span_find(password, '\0') != password.len;
}

static enum err hash_argon2(const struct crypto_password_policy *policy,
                            const struct random_source *source, struct span password,
                            struct sbuf *out)
{
    struct stored want = {
        .memory_kib = policy->argon2_memory_kib,
        .passes = policy->argon2_passes,
        .lanes = policy->argon2_lanes,
        .salt_bytes = SALT_BYTES,
        .tag_bytes = TAG_BYTES,
    };
    enum err err;

    random_fill(source, want.salt, want.salt_bytes);
    err = argon2_work(&want, password, want.tag);
    if (err)
        return err;
    sbuf_add_format(out, "$argon2id$v=%d$m=%u,t=%u,p=%u", ARGON2_VERSION, want.memory_kib,
                    want.passes, want.lanes);
    phc_add_blob(out, want.salt, want.salt_bytes);
    phc_add_blob(out, want.tag, want.tag_bytes);
    return ERR_OK;
}

static enum err hash_bcrypt(const struct crypto_password_policy *policy,
                            const struct random_source *source, struct span password,
                            struct sbuf *out)
{
    char salt[SALT_BYTES];
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    char text[BCRYPT_CHARS + 1];
    enum err err;

    if (bcrypt_would_cut(password))
        return ERR_VALIDATION;
    random_fill(source, salt, sizeof(salt));
    if (crypt_gensalt_rn("$2b$", policy->bcrypt_cost, salt, sizeof(salt), setting,
                         sizeof(setting)) == NULL)
        return ERR_INTERNAL;
    err = bcrypt_work(setting, password, text);
    if (err)
        return err;
    sbuf_add_text(out, text);
    return ERR_OK;
}

enum err crypto_password_hash(const struct crypto_password_policy *policy,
                              const struct random_source *source, struct span password,
                              char ret_hash[CRYPTO_PASSWORD_HASH_BYTES])
{
    struct crypto_password_policy whole = policy_whole(policy);
    char text[CRYPTO_PASSWORD_HASH_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));
    enum err err;

    PC_ASSERT(crypto_password_policy_check(&whole) == ERR_OK);
    if (password.len > LIMIT_PASSWORD_BYTES_MAX)
        return ERR_VALIDATION;
    if (whole.kind == CRYPTO_PASSWORD_BCRYPT)
        err = hash_bcrypt(&whole, source, password, &out);
    else
        err = hash_argon2(&whole, source, password, &out);
    if (err)
        return err;
    sbuf_add_char(&out, '\0');
    PC_ASSERT(!out.full);
    memcpy(ret_hash, text, out.len);
    return ERR_OK;
}

static enum err verify_bcrypt(struct span stored, struct span password)
{
    char setting[BCRYPT_SETTING_CHARS + 1] = {0};
    char text[BCRYPT_CHARS + 1];
    bool equal;
    enum err err;

    memcpy(setting, stored.ptr, BCRYPT_SETTING_CHARS);
    err = bcrypt_work(setting, password, text);
    if (err)
        return err;
    equal = span_equal_secret(stored, span_make(text, BCRYPT_CHARS));
    return equal && !bcrypt_would_cut(password) ? ERR_OK : ERR_CREDENTIALS;
}

static enum err verify_argon2(const struct stored *parts, struct span password)
{
    unsigned char tag[BLOB_BYTES_MAX];
    bool equal;
    enum err err;

    err = argon2_work(parts, password, tag);
    if (err)
        return err;
    equal = span_equal_secret(span_make(parts->tag, parts->tag_bytes),
                              span_make(tag, parts->tag_bytes));
    alloc_wipe(tag, sizeof(tag));
    return equal ? ERR_OK : ERR_CREDENTIALS;
}

enum err crypto_password_verify(struct span stored, struct span password)
{
    struct stored parts;

    if (!stored_read(stored, &parts))
        return ERR_KEY;
    if (password.len > LIMIT_PASSWORD_BYTES_MAX)
        return ERR_CREDENTIALS;
    if (parts.kind == CRYPTO_PASSWORD_BCRYPT)
        return verify_bcrypt(stored, password);
    return verify_argon2(&parts, password);
}

bool crypto_password_needs_rehash(const struct crypto_password_policy *policy, struct span stored)
{
    struct crypto_password_policy whole = policy_whole(policy);
    struct stored parts;

    if (!stored_read(stored, &parts) || parts.kind != whole.kind || !parts.current)
        return true;
    if (parts.kind == CRYPTO_PASSWORD_BCRYPT)
        return parts.bcrypt_cost != whole.bcrypt_cost;
    return parts.memory_kib != whole.argon2_memory_kib || parts.passes != whole.argon2_passes ||
           parts.lanes != whole.argon2_lanes || parts.tag_bytes != TAG_BYTES ||
           parts.salt_bytes != SALT_BYTES;
}

enum err crypto_password_dummy(const struct crypto_password_policy *policy,
                               const struct random_source *source,
                               char ret_hash[CRYPTO_PASSWORD_HASH_BYTES])
{
    unsigned char bytes[DUMMY_BYTES];
    char text[DUMMY_BYTES * 2];
    struct sbuf password = sbuf_over(text, sizeof(text));
    enum err err;

    random_fill(source, bytes, sizeof(bytes));
    crypto_base64url_add(&password, span_make(bytes, sizeof(bytes)));
    err = crypto_password_hash(policy, source, sbuf_span(&password), ret_hash);
    alloc_wipe(bytes, sizeof(bytes));
    alloc_wipe(text, sizeof(text));
    return err;
}
