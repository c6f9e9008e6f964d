/* SPDX-License-Identifier: MIT
 * Signed notes, strictly: what two readers could understand in two ways is refused.
 *
 *   note      = text, an empty line, signatures
 *   text      = origin, size, root, further lines that others may add; each ends in a newline
 *   signature = "— " name " " base64(key hash, signature)
 *
 * The text is what is signed, its last newline with it. */
#include "trail/trail_note.h"

#include <string.h>

#include "crypto/digest.h"

enum {
    ED25519 = 1, /* the kind of a signature, C2SP signed-note */
    KEY_BYTES = 32,
    SIGNATURE_BYTES_MAX = 8192, /* of kinds that we do not know */
    HASH_BYTES = 4,
    SIZE_DIGITS_MAX = 20,
};

static const struct span dash = SPAN("\xe2\x80\x94 ");

static enum err wrong(struct crypto_fault *fault, const char *what)
{
    crypto_fault_set(fault, "%s", what);
    return ERR_BAD_REQUEST;
}

/* ---- names ---- */

/* What Unicode calls a space beyond ASCII, as UTF-8. */
static const struct span spaces[] = {
    SPAN("\xc2\x85"),     SPAN("\xc2\xa0"),     SPAN("\xe1\x9a\x80"), SPAN("\xe2\x80\xa8"),
    SPAN("\xe2\x80\xa9"), SPAN("\xe2\x80\xaf"), SPAN("\xe2\x81\x9f"), SPAN("\xe3\x80\x80"),
};

static bool is_space_at(struct span rest)
{
    for (size_t i = 0; i < PC_COUNT(spaces); i++)
        if (span_starts(rest, spaces[i]))
            return true;
    /* U+2000 to U+200A */
    return rest.len >= 3 && memcmp(rest.ptr, "\xe2\x80", 2) == 0 &&
           (unsigned char)rest.ptr[2] >= 0x80 && (unsigned char)rest.ptr[2] <= 0x8a;
}

bool trail_name_is_good(struct span name)
{
    if (name.len == 0 || name.len > TRAIL_NAME_BYTES_MAX || !span_is_utf8(name))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.ptr[i];

        if (byte <= ' ' || byte == '+' || byte == 0x7f ||
            is_space_at(span_slice(name, i, name.len)))
            return false;
    }
    return true;
}

/* ---- keys ---- */

static uint32_t number_of(const unsigned char bytes[HASH_BYTES])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           (uint32_t)bytes[3];
}

static uint32_t key_hash(struct span name, const unsigned char key[KEY_BYTES])
{
    const struct span pieces[] = {name, SPAN("\n\x01"), span_make(key, KEY_BYTES)};
    unsigned char digest[CRYPTO_HASH_BYTES_MAX];

    crypto_digest_pieces(CRYPTO_SHA256, pieces, PC_COUNT(pieces), digest);
    return number_of(digest);
}

enum err trail_verifier_of(struct crypto_key *key, struct span name, struct trail_verifier *ret)
{
    struct trail_verifier made = {.name_bytes = name.len};
    unsigned char bytes[KEY_BYTES];
    enum err err;

    if (!trail_name_is_good(name))
        return ERR_BAD_REQUEST;
    err = crypto_key_ed25519(key, bytes);
    if (err)
        return err;
    memcpy(made.name, name.ptr, name.len);
    made.hash = key_hash(name, bytes);
    made.key = crypto_key_share(key);
    *ret = made;
    return ERR_OK;
}

static struct span name_of(const struct trail_verifier *verifier)
{
    return span_make(verifier->name, verifier->name_bytes);
}

static bool hash_read(struct span hex, uint32_t *ret)
{
    uint32_t value = 0;

    if (hex.len != 2 * (size_t)HASH_BYTES)
        return false;
    for (size_t i = 0; i < hex.len; i++) {
        char c = hex.ptr[i];

        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret = value;
    return true;
}

enum err trail_verifier_read(struct span line, struct trail_verifier *ret,
                             struct crypto_fault *fault)
{
    unsigned char bytes[1 + KEY_BYTES];
    struct crypto_key *key = NULL;
    struct span rest = line;
    struct span name, hex;
    uint32_t hash = 0;
    size_t count = 0;
    enum err err;

    if (!span_cut(&rest, '+', &name) || !span_cut(&rest, '+', &hex) || !trail_name_is_good(name) ||
        !hash_read(hex, &hash) ||
        crypto_base64_decode(rest, bytes, sizeof(bytes), &count) != ERR_OK)
        return wrong(fault, "a key is a line NAME+HASH+BASE64");
    if (count != sizeof(bytes) || bytes[0] != ED25519)
        return wrong(fault, "the key is no Ed25519 key");
    if (key_hash(name, bytes + 1) != hash)
        return wrong(fault, "the key's hash is not that of its name and bytes");
    err = crypto_key_from_ed25519(bytes + 1, &key, fault);
    if (err)
        return err;
    err = trail_verifier_of(key, name, ret);
    crypto_key_free(key);
    return err;
}

enum err trail_verifier_add(const struct trail_verifier *verifier, struct sbuf *out)
{
    unsigned char bytes[1 + KEY_BYTES] = {ED25519};
    enum err err = crypto_key_ed25519(verifier->key, bytes + 1);

    if (err)
        return err;
    sbuf_add(out, name_of(verifier));
    sbuf_add_format(out, "+%08x+", verifier->hash);
    crypto_base64_add(out, span_make(bytes, sizeof(bytes)));
    return ERR_OK;
}

void trail_verifier_free(struct trail_verifier *verifier)
{
    crypto_key_free(verifier->key);
    *verifier = (struct trail_verifier){.key = NULL};
}

/* ---- writing ---- */

enum err trail_note_sign(const struct trail_verifier *signer, uint64_t size,
                         const struct trail_hash *root, struct sbuf *out)
{
    unsigned char signature[HASH_BYTES + CRYPTO_SIGNATURE_BYTES_MAX];
    size_t begin = out->len;
    size_t bytes = 0;
    enum err err;

    sbuf_add(out, name_of(signer));
    sbuf_add_format(out, "\n%llu\n", (unsigned long long)size);
    crypto_base64_add(out, span_make(root->bytes, sizeof(root->bytes)));
    sbuf_add_char(out, '\n');
    if (out->full)
        return ERR_NO_SPACE;
    for (unsigned i = 0; i < HASH_BYTES; i++)
        signature[i] = (unsigned char)(signer->hash >> (24 - 8 * i));
    err = crypto_key_sign(signer->key, span_slice(sbuf_span(out), begin, out->len),
                          signature + HASH_BYTES, &bytes);
    if (err)
        return err;
    sbuf_add_char(out, '\n');
    sbuf_add(out, dash);
    sbuf_add(out, name_of(signer));
    sbuf_add_char(out, ' ');
    crypto_base64_add(out, span_make(signature, HASH_BYTES + bytes));
    sbuf_add_char(out, '\n');
    return out->full ? ERR_NO_SPACE : ERR_OK;
}

/* ---- reading ---- */

/* A note, taken apart. */
struct parts {
    struct span text;       /* that is signed */
    struct span signatures; /* lines */
};

struct signature {
    struct span name;
    uint32_t hash;
    unsigned char bytes[HASH_BYTES + SIGNATURE_BYTES_MAX];
    size_t count; /* of the bytes */
};

/* The last empty line parts the text from its signatures: the text may have some of its own. */
static bool parts_find(struct span note, struct parts *ret)
{
    for (size_t i = note.len; i >= 2; i--) {
        if (note.ptr[i - 1] == '\n' && note.ptr[i - 2] == '\n') {
            ret->text = span_slice(note, 0, i - 1);
            ret->signatures = span_slice(note, i, note.len);
            return true;
        }
    }
    return false;
}

static bool is_plain(struct span note)
{
    for (size_t i = 0; i < note.len; i++) {
        unsigned char byte = (unsigned char)note.ptr[i];

        if (byte < ' ' && byte != '\n')
            return false;
    }
    return span_is_utf8(note);
}

static bool signature_read(struct span line, struct signature *ret)
{
    struct span name;

    if (!span_starts(line, dash))
        return false;
    line = span_slice(line, dash.len, line.len);
    if (!span_cut(&line, ' ', &name) || !trail_name_is_good(name) ||
        crypto_base64_decode(line, ret->bytes, sizeof(ret->bytes), &ret->count) != ERR_OK ||
        ret->count <= HASH_BYTES)
        return false;
    ret->name = name;
    ret->hash = number_of(ret->bytes);
    return true;
}

/* "7", "0", never "07". */
static bool size_read(struct span text, uint64_t *ret)
{
    if (text.len == 0 || text.len > SIZE_DIGITS_MAX || (text.len > 1 && text.ptr[0] == '0') ||
        !span_to_u64(text, ret))
        return false;
    return *ret <= INT64_MAX;
}

static bool root_read(struct span text, struct trail_hash *ret)
{
    size_t bytes = 0;

    return crypto_base64_decode(text, ret->bytes, sizeof(ret->bytes), &bytes) == ERR_OK &&
           bytes == sizeof(ret->bytes);
}

/* Lines beyond the three are somebody's extensions; an empty one is nobody's. */
static bool checkpoint_read(struct span text, struct trail_checkpoint *ret)
{
    struct span origin, size, root, line;
    struct span rest = span_slice(text, 0, text.len - 1); /* without the last newline */

    if (!span_cut(&rest, '\n', &origin) || !span_cut(&rest, '\n', &size) ||
        !span_cut(&rest, '\n', &root))
        return false;
    if (!trail_name_is_good(origin) || !size_read(size, &ret->size) || !root_read(root, &ret->root))
        return false;
    while (span_cut(&rest, '\n', &line))
        if (line.len == 0)
            return false;
    ret->origin = origin;
    return true;
}

static enum err note_open(struct span note, struct parts *ret_parts, struct trail_checkpoint *ret,
                          struct crypto_fault *fault)
{
    if (note.len == 0 || note.len > TRAIL_NOTE_BYTES_MAX || !is_plain(note) ||
        note.ptr[note.len - 1] != '\n')
        return wrong(fault, "this is no note: at most 16 KiB of lines of UTF-8");
    if (!parts_find(note, ret_parts) || ret_parts->signatures.len == 0)
        return wrong(fault, "this is no note: an empty line and signatures are missing");
    if (!checkpoint_read(ret_parts->text, ret))
        return wrong(fault, "the note is no checkpoint: origin, size and root, a line each");
    return ERR_OK;
}

/* Looks at each signature in turn. ERR_OK with how many are good ones of known keys. */
static enum err signatures_check(const struct parts *parts, const struct trail_verifier *verifiers,
                                 size_t count, struct span origin, size_t *ret_good,
                                 struct crypto_fault *fault)
{
    struct span rest = span_slice(parts->signatures, 0, parts->signatures.len - 1);
    struct span line;
    size_t lines = 0;

    *ret_good = 0;
    while (span_cut(&rest, '\n', &line)) {
        struct signature signature;

        if (++lines > TRAIL_NOTE_SIGNATURES_MAX)
            return wrong(fault, "the note has too many signatures");
        if (!signature_read(line, &signature))
            return wrong(fault, "a signature of the note is malformed");
        for (size_t i = 0; i < count; i++) {
            const struct trail_verifier *known = &verifiers[i];

            if (known->hash != signature.hash || !span_equal(name_of(known), signature.name))
                continue;
            if (!crypto_key_verify(
                    known->key, parts->text,
                    span_make(signature.bytes + HASH_BYTES, signature.count - HASH_BYTES)))
                return wrong(fault, "a signature of the note is wrong");
            *ret_good += span_equal(name_of(known), origin);
        }
    }
    return ERR_OK;
}

enum err trail_note_read(struct span note, struct trail_checkpoint *ret, struct crypto_fault *fault)
{
    return trail_note_check(note, NULL, 0, ret, fault);
}

enum err trail_note_check(struct span note, const struct trail_verifier *verifiers, size_t count,
                          struct trail_checkpoint *ret, struct crypto_fault *fault)
{
    struct parts parts = {0};
    struct trail_checkpoint said = {0};
    size_t good = 0;
    enum err err = note_open(note, &parts, &said, fault);

    if (!err)
        err = signatures_check(&parts, verifiers, count, said.origin, &good, fault);
    if (err)
        return err;
    if (verifiers != NULL && good == 0)
        return wrong(fault, "the note is not signed with a known key of its log");
    *ret = said;
    return ERR_OK;
}
