/* SPDX-License-Identifier: MIT
 * Head, lines and checkpoint of an export. */
#include "trail/trail_export.h"

#include "crypto/digest.h"
#include "json/json_writer.h"
#include "trail/trail_checkpoints.h"
#include "trail/trail_edge.h"
#include "trail/trail_log.h"

enum { HASH_TEXT_BYTES = 48 };

static void hashes_add(struct json_writer *w, const char *name, const struct trail_hash *hashes,
                       size_t count)
{
    json_key(w, name);
    json_begin_list(w);
    for (size_t i = 0; i < count; i++) {
        char text[HASH_TEXT_BYTES];
        struct sbuf out = sbuf_over(text, sizeof(text));

        crypto_base64url_add(&out, span_make(hashes[i].bytes, sizeof(hashes[i].bytes)));
        json_text(w, sbuf_span(&out));
    }
    json_end_list(w);
}

static enum err line_end(struct json_writer *w, struct sbuf *out)
{
    json_end_object(w);
    sbuf_add_char(out, '\n');
    return out->full ? ERR_NO_SPACE : ERR_OK;
}

/* The roots of the whole subtrees of the first `size` leaves. */
static enum err roots_read(struct store_conn *conn, uint64_t size, struct arena *arena,
                           struct trail_tree *ret)
{
    struct trail_edge *edge = arena_alloc(arena, sizeof(*edge));
    struct trail_nodes *nodes = NULL;
    enum err err = edge == NULL ? ERR_NO_MEMORY : trail_nodes_on(conn, arena, &nodes);

    if (!err)
        err = trail_edge_load(nodes, size, edge);
    if (!err)
        *ret = edge->tree;
    return err;
}

enum err trail_export_head(struct store_conn *conn, struct span origin, uint64_t from, uint64_t to,
                           struct arena *arena, struct sbuf *out)
{
    struct json_writer w = json_writer_on(out);
    struct trail_tree tree = {.size = 0};
    int64_t at;
    enum err err = trail_tree_read(conn, &tree, &at);

    if (!err && (from > to || to > tree.size))
        err = ERR_BAD_REQUEST;
    if (!err && from > 0)
        err = roots_read(conn, from, arena, &tree);
    if (err)
        return err;
    json_begin_object(&w);
    json_add_text(&w, "log", origin);
    json_add_i64(&w, "format", 1);
    json_add_u64(&w, "from", from);
    json_add_u64(&w, "to", to);
    if (from > 0)
        hashes_add(&w, "roots", tree.roots, trail_tree_roots(from));
    return line_end(&w, out);
}

enum err trail_export_lines(struct store_conn *conn, uint64_t from, uint64_t to, size_t limit,
                            struct arena *arena, struct sbuf *out, uint64_t *ret_next)
{
    struct trail_filter filter = {
        .from_seq = (int64_t)from, .before_seq = (int64_t)to, .oldest_first = true, .limit = limit};
    struct trail_entry *list = NULL;
    size_t count = 0;
    enum err err = ERR_OK;

    *ret_next = to;
    if (from < to)
        err = trail_find(conn, &filter, arena, &list, &count);
    for (size_t i = 0; i < count && !err; i++)
        err = trail_line_write(&list[i], out);
    if (!err && from < to)
        *ret_next = count < limit ? to : (uint64_t)list[count - 1].seq + 1;
    return err;
}

enum err trail_export_checkpoint(struct store_conn *conn, uint64_t to, struct arena *arena,
                                 struct sbuf *out)
{
    struct json_writer w = json_writer_on(out);
    struct trail_signed newest;
    struct trail_proof proof = {.count = 0};
    struct trail_nodes *nodes = NULL;
    enum err err = trail_signed_newest(conn, arena, &newest);

    if (err == ERR_NOT_FOUND || (!err && newest.size < to))
        return ERR_OK;
    if (!err && newest.size > to)
        err = trail_nodes_on(conn, arena, &nodes);
    if (!err && newest.size > to)
        err = trail_proof_consistency(to, newest.size, trail_node, nodes, &proof);
    if (err)
        return err;
    json_begin_object(&w);
    json_add_text(&w, "checkpoint", newest.note);
    if (newest.size > to)
        hashes_add(&w, "consistency", proof.path, proof.count);
    return line_end(&w, out);
}
