/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes as a note, as a key's line and as a proof. Nothing crashes; a key that was
 * read is written as the same line; and nobody but the log signs for it.
 *
 * The first byte chooses: a note; a text that is signed first, so that its form is reached; a key;
 * a proof. */
#include <stdlib.h>
#include <string.h>

#include "crypto/digest.h"
#include "trail/trail_proof.h"

enum { ARENA_BYTES_MAX = 4 * TRAIL_PROOF_BYTES_MAX, LINE_BYTES = 512 };

static struct trail_verifier signer;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct crypto_key *key = NULL;

    (void)argc, (void)argv;
    PC_ASSERT(crypto_key_generate(CRYPTO_EDDSA, (struct span){0}, &key) == ERR_OK);
    PC_ASSERT(trail_verifier_of(key, SPAN_OF("log"), &signer) == ERR_OK);
    crypto_key_free(key);
    return 0;
}

static void note_try(struct span note, bool ours)
{
    struct trail_checkpoint said;
    struct crypto_fault fault = {""};

    if (trail_note_check(note, &signer, 1, &said, &fault) == ERR_OK)
        PC_ASSERT(ours && said.size <= INT64_MAX && span_is(said.origin, "log"));
    else
        PC_ASSERT(fault.text[0] != '\0');
    if (trail_note_read(note, &said, NULL) == ERR_OK)
        PC_ASSERT(trail_name_is_good(said.origin));
}

static void signed_try(struct span text, struct arena *arena)
{
    struct sbuf out = sbuf_on(arena, ARENA_BYTES_MAX / 2);
    unsigned char raw[4 + CRYPTO_SIGNATURE_BYTES_MAX];
    size_t bytes = 0;

    PC_ASSERT(crypto_key_sign(signer.key, text, raw + 4, &bytes) == ERR_OK);
    for (unsigned i = 0; i < 4; i++)
        raw[i] = (unsigned char)(signer.hash >> (24 - 8 * i));
    sbuf_add(&out, text);
    sbuf_add_text(&out, "\n\xe2\x80\x94 log ");
    crypto_base64_add(&out, span_make(raw, 4 + bytes));
    sbuf_add_char(&out, '\n');
    note_try(sbuf_span(&out), true);
}

static void key_try(struct span line)
{
    struct trail_verifier verifier = {.key = NULL};
    char text[LINE_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));

    if (trail_verifier_read(line, &verifier, NULL) != ERR_OK)
        return;
    PC_ASSERT(trail_verifier_add(&verifier, &out) == ERR_OK);
    PC_ASSERT(span_equal(sbuf_span(&out), line));
    trail_verifier_free(&verifier);
}

static void proof_try(struct span text, struct arena *arena)
{
    struct crypto_fault fault = {""};
    struct trail_proved proved;

    PC_ASSERT(trail_proof_check(text, &signer, 1, arena, &proved, &fault) != ERR_OK);
    if (trail_proof_check(text, NULL, 0, arena, &proved, &fault) == ERR_OK)
        PC_ASSERT((uint64_t)proved.entry.seq < proved.said.size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct span text = span_make(data + 1, bytes < 1 ? 0 : bytes - 1);
    struct arena arena;

    if (bytes < 1)
        return 0;
    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    if (data[0] % 4 == 0)
        note_try(text, false);
    else if (data[0] % 4 == 1)
        signed_try(text, &arena);
    else if (data[0] % 4 == 2)
        key_try(text);
    else
        proof_try(text, &arena);
    arena_reset(&arena);
    return 0;
}
