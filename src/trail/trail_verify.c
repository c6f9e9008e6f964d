/* SPDX-License-Identifier: MIT
 * What the lines of an export say together.
 *
 *   head        {"log":"portcullis","format":1,"from":0,"to":3}, with "roots" where from is not 0
 *   entries     from, from + 1, ... to - 1, without a gap, never back in time
 *   checkpoint  {"checkpoint":"NOTE"} of that many leaves, or of more with "consistency"
 *
 * A log is as whole as its checkpoints reach: what stands behind the last one is a finding.
 *
 * The tree is grown by the leaves that the lines say; that each of them is its record's own was
 * looked at before (trail_verify_work.c). */
#include "trail/trail_verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "trail/trail_verify_priv.h"

enum { SENTENCE_BYTES = 1024, JSON_BYTES_MAX = 256 * 1024 };

/* ---- what is found -------------------------------------------------------------------------- */

void trail_verify_found(struct trail_verify *verify, const char *format, ...)
{
    char text[SENTENCE_BYTES];
    int head = 0;
    int len;
    va_list args;

    if (verify->summary.findings++ >= TRAIL_VERIFY_FINDINGS_MAX)
        return;
    if (verify->name != NULL)
        head = snprintf(text, sizeof(text), "%.512s:%llu: ", verify->name,
                        (unsigned long long)verify->line);
    va_start(args, format);
    len = vsnprintf(text + head, sizeof(text) - (size_t)head, format, args);
    va_end(args);
    if (head + len >= (int)sizeof(text))
        len = (int)sizeof(text) - head - 1;
    verify->options.found(verify->options.context, span_make(text, (size_t)head + (size_t)len));
}

static unsigned long long number(uint64_t value)
{
    return value;
}

/* ---- checkpoints ---------------------------------------------------------------------------- */

static bool root_equal(const struct trail_hash *a, const struct trail_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static enum err note_open(struct trail_verify *verify, const char *what, struct span note,
                          struct trail_checkpoint *ret)
{
    const struct trail_verify_options *options = &verify->options;
    struct crypto_fault fault = {0};
    enum err err =
        options->verifier_count == 0
            ? trail_note_read(note, ret, &fault)
            : trail_note_check(note, options->verifiers, options->verifier_count, ret, &fault);

    if (err == ERR_BAD_REQUEST)
        trail_verify_found(verify, "%s: %s", what, fault.text);
    return err;
}

/* A note that the tree does, or does not, bear out. Where it does, it vouches for the leaves that
 * are there so far, also when it is of more: behind them anything may follow. */
static void held(struct trail_verify *verify, const char *what, uint64_t size, bool holds)
{
    if (!holds) {
        trail_verify_found(
            verify,
            "%s is of another log: something between seq %llu and seq %llu was changed, "
            "put in, taken out or moved",
            what, number(verify->held), number(size > 0 ? size - 1 : 0));
        return;
    }
    verify->summary.checkpoints++;
    if (size >= verify->summary.checkpoint_size)
        verify->summary.checkpoint_size = size;
    verify->summary.is_signed |= verify->options.verifier_count > 0;
    verify->held = verify->tree.size;
}

static bool tree_is_there(struct trail_verify *verify, const char *what, uint64_t size)
{
    if (verify->is_broken)
        trail_verify_found(
            verify,
            "%s of %llu leaves cannot be compared: the leaves before it are not in their "
            "order since seq %llu",
            what, number(size), number(verify->broken));
    return !verify->is_broken;
}

/* The notes from outside whose size the tree has reached. */
static void notes_meet(struct trail_verify *verify)
{
    while (verify->note_next < verify->note_count) {
        struct trail_verify_note *note = &verify->notes[verify->note_next];
        struct trail_hash root;
        bool holds;

        if (verify->is_broken || note->said.size > verify->tree.size)
            return;
        verify->note_next++;
        if (note->said.size < verify->tree.size)
            continue;
        trail_tree_root(&verify->tree, &root);
        note->is_done = true;
        holds = root_equal(&root, &note->said.root);
        held(verify, note->name, note->said.size, holds);
        if (holds)
            verify->summary.kept_size = note->said.size;
    }
}

static int note_order(const void *a, const void *b)
{
    const struct trail_verify_note *left = a;
    const struct trail_verify_note *right = b;

    return left->said.size < right->said.size ? -1 : left->said.size > right->said.size;
}

enum err trail_verify_note(struct trail_verify *verify, const char *name, struct span note)
{
    struct trail_verify_note *kept = &verify->notes[verify->note_count];
    enum err err;

    PC_ASSERT(!verify->begun);
    if (verify->note_count == TRAIL_VERIFY_NOTES_MAX) {
        trail_verify_found(verify, "%s: more than %d checkpoints", name, TRAIL_VERIFY_NOTES_MAX);
        return ERR_OK;
    }
    err = note_open(verify, name, note, &kept->said);
    if (err)
        return err == ERR_BAD_REQUEST ? ERR_OK : err;
    kept->said.origin = (struct span){0};
    kept->name = name;
    verify->note_count++;
    return ERR_OK;
}

/* ---- heads and checkpoints as lines --------------------------------------------------------- */

static bool hash_of(const struct json_value *value, struct trail_hash *ret)
{
    size_t bytes = 0;

    return json_is_text(value) &&
           crypto_base64url_decode(value->text, ret->bytes, sizeof(ret->bytes), &bytes) == ERR_OK &&
           bytes == sizeof(ret->bytes);
}

/* A tree of INT64_MAX leaves has room for no more, so none is begun or ended there. */
static bool size_of(const struct json_value *value, uint64_t *ret)
{
    int64_t size = -1;

    if (!json_to_i64(value, &size) || size < 0 || size == INT64_MAX)
        return false;
    *ret = (uint64_t)size;
    return true;
}

/* The whole subtrees to the left of the first line. */
static bool roots_of(const struct json_value *list, uint64_t from, struct trail_tree *ret)
{
    if (!json_is_list(list) || list->count != trail_tree_roots(from))
        return false;
    ret->size = from;
    for (uint32_t i = 0; i < list->count; i++)
        if (!hash_of(&list->items[i], &ret->roots[i]))
            return false;
    return true;
}

/* The first head says where the log begins; further ones must go on from there. */
static void head_do(struct trail_verify *verify, const struct json_value *head)
{
    struct trail_tree tree = {.size = 0};
    uint64_t from = 0;
    int64_t format = 0;
    bool is_rooted;

    if (verify->has_head || !json_to_i64(json_get(head, "format"), &format) || format != 1 ||
        !size_of(json_get(head, "from"), &from) || !size_of(json_get(head, "to"), &verify->to) ||
        verify->to < from) {
        trail_verify_found(verify, "this is no head of an export that is known here");
        return;
    }
    verify->has_head = true;
    is_rooted = from == 0 || roots_of(json_get(head, "roots"), from, &tree);
    if (!verify->is_rooted && verify->next == 0 && !verify->is_broken) {
        verify->is_rooted = is_rooted;
        verify->tree = tree;
        verify->next = from;
        verify->summary.from = from;
        verify->held = from;
        if (!is_rooted) {
            verify->is_broken = true;
            verify->broken = from;
            trail_verify_found(verify, "the head lacks the roots of the leaves before seq %llu",
                               number(from));
        }
    } else if (from != verify->next) {
        trail_verify_found(verify, "the export goes on at seq %llu, after seq %llu", number(from),
                           number(verify->next - 1));
        verify->is_broken = true;
        verify->broken = verify->next;
        verify->next = from;
    }
    notes_meet(verify);
}

static bool proof_of(const struct json_value *list, struct trail_proof *ret)
{
    ret->count = 0;
    if (!json_is_list(list) || list->count > TRAIL_PROOF_MAX)
        return false;
    for (uint32_t i = 0; i < list->count; i++)
        if (!hash_of(&list->items[i], &ret->path[ret->count++]))
            return false;
    return true;
}

static void checkpoint_do(struct trail_verify *verify, const struct json_value *line)
{
    static const char what[] = "the export's checkpoint";
    struct trail_checkpoint said = {.size = 0};
    struct trail_proof proof = {.count = 0};
    struct span note = {0};
    struct trail_hash root;

    if (!json_to_text(json_get(line, "checkpoint"), &note)) {
        trail_verify_found(verify, "%s is no text", what);
        return;
    }
    if (note_open(verify, what, note, &said) != ERR_OK || !tree_is_there(verify, what, said.size))
        return;
    if (said.size < verify->tree.size) {
        trail_verify_found(verify, "%s of %llu leaves stands behind more leaves than it is of",
                           what, number(said.size));
        return;
    }
    trail_tree_root(&verify->tree, &root);
    if (said.size == verify->tree.size)
        held(verify, what, said.size, root_equal(&root, &said.root));
    else if (!proof_of(json_get(line, "consistency"), &proof))
        trail_verify_found(verify, "%s is of %llu leaves, the export ends after %llu: it was cut",
                           what, number(said.size), number(verify->tree.size));
    else
        held(verify, what, said.size,
             trail_check_consistency(verify->tree.size, &root, said.size, &said.root, &proof));
}

static void other_do(struct trail_verify *verify, const struct trail_verify_line *line)
{
    const struct json_value *root = NULL;
    struct json_fault fault;
    struct arena arena;

    arena_init(&arena, NULL, 0, JSON_BYTES_MAX);
    if (json_read(line->text, &arena, &root, &fault) != ERR_OK)
        trail_verify_found(verify, "the line is no JSON: %s", json_reason_text(fault.reason));
    else if (json_get(root, "log") != NULL)
        head_do(verify, root);
    else
        checkpoint_do(verify, root);
    arena_reset(&arena);
}

/* ---- entries -------------------------------------------------------------------------------- */

static void break_at(struct trail_verify *verify, uint64_t seq)
{
    if (!verify->is_broken)
        verify->broken = seq;
    verify->is_broken = true;
}

static void place_check(struct trail_verify *verify, const struct trail_verify_line *line)
{
    uint64_t seq = (uint64_t)line->seq;

    if (seq == verify->next)
        return;
    if (seq > verify->next + 1)
        trail_verify_found(verify, "seq %llu to seq %llu are missing", number(verify->next),
                           number(seq - 1));
    else if (seq > verify->next)
        trail_verify_found(verify, "seq %llu is missing", number(verify->next));
    else
        trail_verify_found(verify, "seq %llu stands behind seq %llu: repeated, put in or moved",
                           number(seq), number(verify->next - 1));
    break_at(verify, seq < verify->next ? seq : verify->next);
}

/* A place that has no line of its own kind; the next one is taken to follow. */
static void wrong_do(struct trail_verify *verify, const struct trail_verify_line *line)
{
    if (line->seq >= 0)
        trail_verify_found(verify, "seq %llu was changed: the line is not as it was written",
                           number((uint64_t)line->seq));
    else
        trail_verify_found(verify, "the line is not as it was written, after seq %lld",
                           (long long)verify->next - 1);
    break_at(verify, verify->next);
    verify->next = line->seq >= 0 && (uint64_t)line->seq >= verify->next ? (uint64_t)line->seq + 1
                                                                         : verify->next + 1;
}

static void entry_do(struct trail_verify *verify, const struct trail_verify_line *line)
{
    uint64_t seq = (uint64_t)line->seq;

    place_check(verify, line);
    if (line->kind == VERIFY_CHANGED)
        trail_verify_found(verify, "seq %llu was changed: its leaf is not that of the record",
                           number(seq));
    if (line->at_ns < verify->at_ns)
        trail_verify_found(verify, "seq %llu is older than the one before it", number(seq));
    verify->at_ns = line->at_ns;
    if (seq >= verify->next)
        verify->next = seq + 1;
    if (verify->is_broken)
        return;
    trail_tree_add(&verify->tree, &line->leaf);
    notes_meet(verify);
}

void trail_verify_fold(struct trail_verify *verify, const struct trail_verify_line *line)
{
    verify->line++;
    if (line->kind == VERIFY_OTHER) {
        other_do(verify, line);
        return;
    }
    if (!verify->has_head) {
        trail_verify_found(verify, "this is no export: its first line is no head");
        verify->has_head = true;
        verify->is_rooted = true;
        verify->to = UINT64_MAX;
    }
    if (line->kind == VERIFY_WRONG)
        wrong_do(verify, line);
    else
        entry_do(verify, line);
}

/* ---- files ---------------------------------------------------------------------------------- */

void trail_verify_begin(struct trail_verify *verify, const char *name)
{
    if (!verify->begun)
        qsort(verify->notes, verify->note_count, sizeof(verify->notes[0]), note_order);
    verify->begun = true;
    verify->name = name;
    verify->line = 0;
    verify->has_head = false;
    verify->to = UINT64_MAX;
}

void trail_verify_finish(struct trail_verify *verify)
{
    if (!verify->has_head)
        trail_verify_found(verify, "this is no export: there is no line");
    else if (verify->to != UINT64_MAX && verify->next < verify->to)
        trail_verify_found(verify,
                           "the export was cut: it ends after %llu leaves, its head says %llu",
                           number(verify->next), number(verify->to));
    else if (verify->to != UINT64_MAX && verify->next > verify->to)
        trail_verify_found(verify, "the export has %llu leaves, its head says %llu",
                           number(verify->next), number(verify->to));
    verify->name = NULL;
}

/* Whoever hands over a log can append to it, or write anew all that is behind a genuine note. Of a
 * broken log it was told already why no note can be compared. */
static void coverage_check(struct trail_verify *verify)
{
    if (verify->summary.checkpoints == 0 && verify->summary.findings == 0)
        trail_verify_found(verify, "there is no checkpoint: nothing says that this is the log");
    else if (verify->summary.checkpoints > 0 && !verify->is_broken && verify->held < verify->next)
        trail_verify_found(verify,
                           "events seq %llu to seq %llu are behind the last checkpoint: nothing "
                           "signed vouches for them",
                           number(verify->held), number(verify->next - 1));
}

void trail_verify_end(struct trail_verify *verify, struct trail_verify_summary *ret)
{
    for (size_t i = 0; i < verify->note_count; i++) {
        const struct trail_verify_note *note = &verify->notes[i];

        if (note->is_done)
            continue;
        if (note->said.size < verify->summary.from)
            trail_verify_found(verify, "%s is of %llu leaves, the export begins behind them",
                               note->name, number(note->said.size));
        else if (note->said.size > verify->next)
            trail_verify_found(verify, "%s is of %llu leaves, the log was cut after %llu",
                               note->name, number(note->said.size), number(verify->next));
        else
            (void)tree_is_there(verify, note->name, note->said.size);
    }
    coverage_check(verify);
    verify->summary.size = verify->next;
    trail_tree_root(&verify->tree, &verify->summary.root);
    *ret = verify->summary;
}

enum err trail_verify_new(const struct trail_verify_options *options, struct trail_verify **ret)
{
    struct trail_verify *verify = alloc_zero(sizeof(*verify));
    enum err err;

    if (verify == NULL)
        return ERR_NO_MEMORY;
    verify->options = *options;
    verify->piece = alloc_raw(VERIFY_PIECE_BYTES);
    verify->lines = alloc_raw(VERIFY_LINES_MAX * sizeof(*verify->lines));
    err = trail_verify_work_start(&verify->work);
    if (err || verify->piece == NULL || verify->lines == NULL) {
        trail_verify_free(verify);
        return ERR_NO_MEMORY;
    }
    *ret = verify;
    return ERR_OK;
}

void trail_verify_free(struct trail_verify *verify)
{
    if (verify == NULL)
        return;
    trail_verify_work_stop(&verify->work);
    alloc_free(verify->piece);
    alloc_free(verify->lines);
    alloc_free(verify);
}
