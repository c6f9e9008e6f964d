/* SPDX-License-Identifier: MIT
 * Proofs as texts. */
#include "trail/trail_proof.h"

#include <string.h>

#include "crypto/digest.h"
#include "trail/trail_checkpoints.h"
#include "trail/trail_line.h"
#include "trail/trail_tiles.h"

static const struct span first_line = SPAN("c2sp.org/tlog-proof@v1");

/* ---- writing ---- */

static void hash_line_add(struct sbuf *out, const struct trail_hash *hash)
{
    crypto_base64_add(out, span_make(hash->bytes, sizeof(hash->bytes)));
    sbuf_add_char(out, '\n');
}

static enum err line_add(const struct trail_entry *entry, struct arena *arena, struct sbuf *out)
{
    struct sbuf line = sbuf_on(arena, TRAIL_LINE_BYTES_MAX);
    enum err err = trail_line_write(entry, &line);

    if (err)
        return err;
    sbuf_add_lit(out, "extra ");
    crypto_base64_add(out, span_slice(sbuf_span(&line), 0, line.len - 1));
    sbuf_add_format(out, "\nindex %llu\n", (unsigned long long)entry->seq);
    return ERR_OK;
}

enum err trail_proof_write(struct store_conn *conn, const struct trail_entry *entry,
                           struct arena *arena, struct sbuf *out)
{
    struct trail_signed newest;
    struct trail_proof proof;
    struct trail_nodes *nodes = NULL;
    enum err err = trail_signed_newest(conn, arena, &newest);

    if (err == ERR_NOT_FOUND || (!err && newest.size <= (uint64_t)entry->seq))
        return ERR_AGAIN;
    if (!err)
        err = trail_nodes_on(conn, arena, &nodes);
    if (!err)
        err = trail_proof_inclusion((uint64_t)entry->seq, newest.size, trail_node, nodes, &proof);
    if (err)
        return err;
    sbuf_add(out, first_line);
    sbuf_add_char(out, '\n');
    err = line_add(entry, arena, out);
    if (err)
        return err;
    for (size_t i = 0; i < proof.count; i++)
        hash_line_add(out, &proof.path[i]);
    sbuf_add_char(out, '\n');
    sbuf_add(out, newest.note);
    return out->full ? ERR_NO_SPACE : ERR_OK;
}

/* ---- checking ---- */

static enum err wrong(struct crypto_fault *fault, const char *what)
{
    crypto_fault_set(fault, "%s", what);
    return ERR_BAD_REQUEST;
}

/* The line behind "extra ", decoded. */
static bool extra_read(struct span line, struct arena *arena, struct span *ret)
{
    static const struct span name = SPAN("extra ");
    struct span text = span_slice(line, name.len, line.len);
    char *room;
    size_t bytes = 0;

    if (!span_starts(line, name))
        return false;
    room = arena_bytes(arena, text.len + 1);
    if (room == NULL || crypto_base64_decode(text, room, text.len, &bytes) != ERR_OK)
        return false;
    *ret = span_make(room, bytes);
    return true;
}

static bool index_read(struct span line, uint64_t *ret)
{
    static const struct span name = SPAN("index ");
    struct span text = span_slice(line, name.len, line.len);

    return span_starts(line, name) && span_to_u64(text, ret) &&
           (text.len == 1 || text.ptr[0] != '0');
}

/* Hashes up to the empty line. */
static bool path_read(struct span *rest, struct trail_proof *ret)
{
    struct span line;

    ret->count = 0;
    while (span_cut(rest, '\n', &line) && line.len > 0) {
        size_t bytes = 0;

        if (ret->count == TRAIL_PROOF_MAX ||
            crypto_base64_decode(line, ret->path[ret->count].bytes, TRAIL_HASH_BYTES, &bytes) !=
                ERR_OK ||
            bytes != TRAIL_HASH_BYTES)
            return false;
        ret->count++;
    }
    return rest->len > 0;
}

static enum err record_check(struct span line, uint64_t index, struct arena *arena,
                             struct trail_entry *ret, struct crypto_fault *fault)
{
    struct trail_hash leaf;
    enum err err = trail_line_read(line, arena, ret);

    if (err == ERR_NO_MEMORY)
        return err;
    if (err || trail_entry_leaf(ret, &leaf) != ERR_OK)
        return wrong(fault, "the proof's record is not as it was written");
    if (memcmp(leaf.bytes, ret->leaf.bytes, sizeof(leaf.bytes)) != 0)
        return wrong(fault, "the proof's record was changed: its leaf is another");
    if ((uint64_t)ret->seq != index)
        return wrong(fault, "the proof is of another place than the record's");
    return ERR_OK;
}

enum err trail_proof_check(struct span text, const struct trail_verifier *verifiers, size_t count,
                           struct arena *arena, struct trail_proved *ret,
                           struct crypto_fault *fault)
{
    struct trail_proved proved = {.line = {0}};
    struct span rest = text;
    struct span line = {0};
    struct trail_proof proof;
    uint64_t index = 0;
    enum err err;

    if (text.len > TRAIL_PROOF_BYTES_MAX || !span_cut(&rest, '\n', &line) ||
        !span_equal(line, first_line) || !span_cut(&rest, '\n', &line) ||
        !extra_read(line, arena, &proved.line) || !span_cut(&rest, '\n', &line) ||
        !index_read(line, &index) || !path_read(&rest, &proof))
        return arena->overflowed ? ERR_NO_MEMORY : wrong(fault, "this is no proof of the log");
    err = record_check(proved.line, index, arena, &proved.entry, fault);
    if (!err)
        err = count == 0 ? trail_note_read(rest, &proved.said, fault)
                         : trail_note_check(rest, verifiers, count, &proved.said, fault);
    if (err)
        return err;
    if (!trail_check_inclusion(&proved.entry.leaf, index, proved.said.size, &proof,
                               &proved.said.root))
        return wrong(fault, "the record is not in the tree of the proof's checkpoint");
    *ret = proved;
    return ERR_OK;
}
