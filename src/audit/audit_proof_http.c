/* SPDX-License-Identifier: MIT
 * Proofs (RFC 6962, 2.1): that an event is in the log, and that the log only grew; and the tiles
 * that whoever wants to work them out himself needs. They hold hashes and no event, so asking for
 * them is none. */
#include "audit/audit_priv.h"

#include <string.h>

#include "trail/trail_checkpoints.h"
#include "trail/trail_tiles.h"

enum { HASH_TEXT_BYTES = 44, LEVEL_MAX = TRAIL_TILE_LEVELS - 1 };

static const struct json_field hash_item = {.kind = JSON_KIND_TEXT, .max = HASH_TEXT_BYTES};

#define SIZE_FIELD(type, label, member, sample)                                                    \
    .name = (label), .kind = JSON_KIND_I64, .max = INT64_MAX, .offset = offsetof(type, member),    \
    .example = (sample)
#define HASH_FIELD(type, label, member)                                                            \
    .name = (label), .kind = JSON_KIND_TEXT, .max = HASH_TEXT_BYTES,                               \
    .offset = offsetof(type, member), .example = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
#define HASHES_FIELD(type)                                                                         \
    .name = "hashes", .kind = JSON_KIND_LIST, .item = &hash_item, .max = TRAIL_PROOF_MAX,          \
    .offset = offsetof(type, hashes), .about = "The proof, base64, in the order of RFC 6962."
#define NOTE_FIELD(type)                                                                           \
    .name = "checkpoint", .kind = JSON_KIND_TEXT, .nullable = true, .max = TRAIL_NOTE_BYTES_MAX,   \
    .offset = offsetof(type, note),                                                                \
    .about = "The signed note about a tree of that size; null where none was signed."

struct inclusion_ask {
    int64_t seq, size;
    struct span id;
    bool has_seq, has_size;
};
static const struct json_field inclusion_ask_fields[] = {
    {SIZE_FIELD(struct inclusion_ask, "seq", seq, "41"), .optional = true,
     .has_offset = offsetof(struct inclusion_ask, has_seq), .about = "The event's `seq`, or"},
    {.name = "id",
     .kind = JSON_KIND_TEXT,
     .format = JSON_FORMAT_UUID,
     .optional = true,
     .offset = offsetof(struct inclusion_ask, id),
     .example = "0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b",
     .about = "its id: one of the two."},
    {SIZE_FIELD(struct inclusion_ask, "size", size, "20852"), .optional = true,
     .has_offset = offsetof(struct inclusion_ask, has_size),
     .about = "Of the tree that it is shown to be in; left out: the newest checkpoint's."},
};
const struct json_schema audit_inclusion_ask_schema = {.name = "InclusionAsk",
                                                       .fields = inclusion_ask_fields,
                                                       .field_count =
                                                           PC_COUNT(inclusion_ask_fields),
                                                       .bytes = sizeof(struct inclusion_ask)};

struct inclusion_reply {
    int64_t leaf_index, tree_size;
    struct span leaf, root, note;
    struct json_list hashes;
};
static const struct json_field inclusion_fields[] = {
    {SIZE_FIELD(struct inclusion_reply, "leaf_index", leaf_index, "41")},
    {SIZE_FIELD(struct inclusion_reply, "tree_size", tree_size, "20852")},
    {HASH_FIELD(struct inclusion_reply, "leaf_hash", leaf)},
    {HASH_FIELD(struct inclusion_reply, "root", root)},
    {HASHES_FIELD(struct inclusion_reply)},
    {NOTE_FIELD(struct inclusion_reply)},
};
const struct json_schema audit_inclusion_schema = {.name = "InclusionProof",
                                                   .about = "The event is a leaf of the tree.",
                                                   .fields = inclusion_fields,
                                                   .field_count = PC_COUNT(inclusion_fields),
                                                   .bytes = sizeof(struct inclusion_reply)};

struct consistency_ask {
    int64_t from, to;
    bool has_to;
};
static const struct json_field consistency_ask_fields[] = {
    {SIZE_FIELD(struct consistency_ask, "from", from, "4096"),
     .about = "How large the tree was when you saw it."},
    {SIZE_FIELD(struct consistency_ask, "to", to, "20852"), .optional = true,
     .has_offset = offsetof(struct consistency_ask, has_to),
     .about = "How large it was later; left out: the newest checkpoint's size."},
};
const struct json_schema audit_consistency_ask_schema = {.name = "ConsistencyAsk",
                                                         .fields = consistency_ask_fields,
                                                         .field_count =
                                                             PC_COUNT(consistency_ask_fields),
                                                         .bytes = sizeof(struct consistency_ask)};

struct consistency_reply {
    int64_t from_size, tree_size;
    struct span from_root, root, note;
    struct json_list hashes;
};
static const struct json_field consistency_fields[] = {
    {SIZE_FIELD(struct consistency_reply, "from_size", from_size, "4096")},
    {SIZE_FIELD(struct consistency_reply, "tree_size", tree_size, "20852")},
    {HASH_FIELD(struct consistency_reply, "from_root", from_root)},
    {HASH_FIELD(struct consistency_reply, "root", root)},
    {HASHES_FIELD(struct consistency_reply)},
    {NOTE_FIELD(struct consistency_reply)},
};
const struct json_schema audit_consistency_schema = {
    .name = "ConsistencyProof",
    .about = "The later tree has all that the earlier one had, in its order, and only grew.",
    .fields = consistency_fields,
    .field_count = PC_COUNT(consistency_fields),
    .bytes = sizeof(struct consistency_reply)};

struct tile_ask {
    int64_t level, number, width;
    bool has_width;
};
static const struct json_field tile_ask_fields[] = {
    {.name = "level",
     .kind = JSON_KIND_I64,
     .max = LEVEL_MAX,
     .offset = offsetof(struct tile_ask, level),
     .example = "0",
     .about = "0: the leaves' own hashes; above it the roots of 256 of the level below."},
    {SIZE_FIELD(struct tile_ask, "number", number, "0"),
     .about = "Which of its level, from the left."},
    {.name = "width",
     .kind = JSON_KIND_I64,
     .optional = true,
     .min = 1,
     .max = TRAIL_TILE_HASHES,
     .offset = offsetof(struct tile_ask, width),
     .has_offset = offsetof(struct tile_ask, has_width),
     .example = "256",
     .about = "How many hashes; left out: as many as there are, 256 at most."},
};
const struct json_schema audit_tile_schema = {.name = "TileAsk",
                                              .fields = tile_ask_fields,
                                              .field_count = PC_COUNT(tile_ask_fields),
                                              .bytes = sizeof(struct tile_ask)};

/* ---- common -----------------------------------------------------------------------------------
 */

static enum err hashes_fill(struct arena *arena, const struct trail_proof *proof,
                            struct json_list *ret_hashes)
{
    struct span *texts = arena_array(arena, proof->count + 1, sizeof(*texts));

    if (texts == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < proof->count; i++)
        texts[i] = audit_hash_text(arena, &proof->path[i]);
    *ret_hashes = (struct json_list){.items = texts, .count = proof->count};
    return ERR_OK;
}

/* The size that was asked for, or the newest checkpoint's; and what was signed about it. */
static enum err size_find(struct http_request *req, bool given, int64_t asked, int64_t *ret_size,
                          struct span *ret_note)
{
    struct trail_signed *list = NULL;
    struct trail_tree tree = {.size = 0};
    size_t count = 0;
    int64_t at_ns;
    enum err err = trail_tree_read(req->store, &tree, &at_ns);

    *ret_note = (struct span){0};
    if (err == ERR_OK && given && (uint64_t)asked > tree.size)
        return audit_input_fail(req, "size", "is more than the log has");
    if (err == ERR_OK)
        err = trail_signed_list(req->store, given ? (uint64_t)asked + 1 : 0, 1, req->arena, &list,
                                &count);
    if (err)
        return err;
    if (!given && count == 0)
        return http_fail(req, ERR_NOT_FOUND, "Nothing is signed yet.");
    *ret_size = given ? asked : (int64_t)list[0].size;
    if (count > 0 && (int64_t)list[0].size == *ret_size)
        *ret_note = list[0].note;
    return ERR_OK;
}

/* The note must be about this root: a proof out of a tile that was changed fits itself and no note,
 * and would be worth nothing to whoever checks it. */
static enum err note_hold(struct span note, uint64_t size, const struct trail_hash *root)
{
    struct trail_checkpoint said = {.size = 0};
    enum err err = note.len == 0 ? ERR_OK : trail_note_read(note, &said, NULL);

    if (err == ERR_OK &&
        (note.len == 0 ||
         (said.size == size && memcmp(said.root.bytes, root->bytes, sizeof(root->bytes)) == 0)))
        return ERR_OK;
    return err == ERR_OK || err == ERR_BAD_REQUEST ? ERR_STORE_CORRUPT : err;
}

/* ---- inclusion --------------------------------------------------------------------------------
 */

static enum err seq_find(struct http_request *req, const struct inclusion_ask *ask,
                         int64_t *ret_seq)
{
    unsigned char id[TRAIL_ID_BYTES];
    struct trail_entry entry = {0};
    enum err err;

    if (ask->has_seq == (ask->id.len > 0))
        return audit_input_fail(req, "seq", "or id must be given, and not both");
    *ret_seq = ask->seq;
    if (ask->has_seq)
        return ERR_OK;
    if (!audit_id_read(ask->id, id))
        return ERR_NOT_FOUND;
    err = trail_get(req->store, id, req->arena, &entry);
    if (err == ERR_OK)
        *ret_seq = entry.seq;
    return err;
}

static enum err inclusion_make(struct http_request *req, struct inclusion_reply *reply)
{
    uint64_t index = (uint64_t)reply->leaf_index;
    uint64_t size = (uint64_t)reply->tree_size;
    struct trail_nodes *nodes = NULL;
    struct trail_proof proof = {.count = 0};
    struct trail_hash leaf = {{0}}, root = {{0}};
    enum err err = trail_nodes_on(req->store, req->arena, &nodes);

    if (err == ERR_OK)
        err = trail_node(nodes, 0, index, &leaf);
    if (err == ERR_OK)
        err = trail_proof_inclusion(index, size, trail_node, nodes, &proof);
    if (err == ERR_OK)
        err = trail_root_at(size, trail_node, nodes, &root);
    if (err == ERR_OK && !trail_check_inclusion(&leaf, index, size, &proof, &root))
        err = ERR_STORE_CORRUPT; /* what does not convince us convinces nobody */
    if (err == ERR_OK)
        err = note_hold(reply->note, size, &root);
    if (err)
        return err;
    reply->leaf = audit_hash_text(req->arena, &leaf);
    reply->root = audit_hash_text(req->arena, &root);
    return hashes_fill(req->arena, &proof, &reply->hashes);
}

enum err audit_inclusion(struct http_request *req)
{
    const struct inclusion_ask *ask = req->input;
    struct inclusion_reply reply = {0};
    enum err err = seq_find(req, ask, &reply.leaf_index);

    if (err == ERR_OK)
        err = size_find(req, ask->has_size, ask->size, &reply.tree_size, &reply.note);
    if (err)
        return err;
    if (reply.leaf_index >= reply.tree_size && !ask->has_size) {
        err = http_fail(req, ERR_CONFLICT, "No checkpoint covers this event yet; ask again.");
        return http_fail_retry(req, err, CLOCK_NS_PER_S);
    }
    if (reply.leaf_index >= reply.tree_size)
        return audit_input_fail(req, "size", "must be above the event's seq");
    err = inclusion_make(req, &reply);
    return err ? err : http_reply(req, &reply);
}

/* ---- consistency ------------------------------------------------------------------------------
 */

static enum err consistency_make(struct http_request *req, struct consistency_reply *reply)
{
    uint64_t from = (uint64_t)reply->from_size;
    uint64_t to = (uint64_t)reply->tree_size;
    struct trail_nodes *nodes = NULL;
    struct trail_proof proof = {.count = 0};
    struct trail_hash old_root = {{0}}, root = {{0}};
    enum err err = trail_nodes_on(req->store, req->arena, &nodes);

    if (err == ERR_OK)
        err = trail_proof_consistency(from, to, trail_node, nodes, &proof);
    if (err == ERR_OK)
        err = trail_root_at(from, trail_node, nodes, &old_root);
    if (err == ERR_OK)
        err = trail_root_at(to, trail_node, nodes, &root);
    if (err == ERR_OK && !trail_check_consistency(from, &old_root, to, &root, &proof))
        err = ERR_STORE_CORRUPT;
    if (err == ERR_OK)
        err = note_hold(reply->note, to, &root);
    if (err)
        return err;
    reply->from_root = audit_hash_text(req->arena, &old_root);
    reply->root = audit_hash_text(req->arena, &root);
    return hashes_fill(req->arena, &proof, &reply->hashes);
}

enum err audit_consistency(struct http_request *req)
{
    const struct consistency_ask *ask = req->input;
    struct consistency_reply reply = {.from_size = ask->from};
    enum err err = size_find(req, ask->has_to, ask->to, &reply.tree_size, &reply.note);

    if (err)
        return err;
    if (reply.from_size > reply.tree_size)
        return audit_input_fail(req, "from", "must not be more than to");
    err = consistency_make(req, &reply);
    return err ? err : http_reply(req, &reply);
}

/* ---- tiles ------------------------------------------------------------------------------------
 */

/* How many hashes the tile has in a tree of that size. */
static int64_t hashes_in(const struct tile_ask *ask, uint64_t size)
{
    uint64_t hashes = size >> (TRAIL_TILE_BITS * (unsigned)ask->level);
    uint64_t first = (uint64_t)ask->number << TRAIL_TILE_BITS;

    if ((uint64_t)ask->number > hashes >> TRAIL_TILE_BITS || first >= hashes)
        return 0;
    return hashes - first < TRAIL_TILE_HASHES ? (int64_t)(hashes - first) : TRAIL_TILE_HASHES;
}

enum err audit_tile(struct http_request *req)
{
    const struct tile_ask *ask = req->input;
    struct trail_hash *hashes = arena_array(req->arena, TRAIL_TILE_HASHES, sizeof(*hashes));
    struct trail_nodes *nodes = NULL;
    struct trail_tree tree = {.size = 0};
    int64_t at_ns, there, width;
    enum err err = hashes == NULL ? ERR_NO_MEMORY : trail_tree_read(req->store, &tree, &at_ns);

    if (err)
        return err;
    there = hashes_in(ask, tree.size);
    width = ask->has_width ? ask->width : there;
    if (there == 0 || width > there)
        return ERR_NOT_FOUND;
    err = trail_nodes_on(req->store, req->arena, &nodes);
    if (err == ERR_OK)
        err = trail_tile_read(nodes, (unsigned)ask->level, (uint64_t)ask->number, (size_t)width,
                              hashes);
    if (err)
        return err;
    if (width == TRAIL_TILE_HASHES) /* it never changes */
        http_reply_cache(req, SPAN_OF("private, max-age=31536000, immutable"));
    return http_reply_text(req, 200, "application/octet-stream",
                           span_make(hashes, (size_t)width * TRAIL_HASH_BYTES));
}
