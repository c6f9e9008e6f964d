/* SPDX-License-Identifier: MIT
 * Notes and keys against the vectors of the signed note's first implementation, every changed byte
 * of a note, and everything that is almost one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/digest.h"
#include "trail/trail_key.h"

/* golang.org/x/mod/sumdb/note, note_test.go */
#define PETER "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
/* The key of the transparency log of Go modules. */
#define GO_SUM "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"

static struct trail_verifier signer;
static char note_text[TRAIL_NOTE_BYTES_MAX];
static struct sbuf note;
static struct trail_hash the_root;

static int setup(void **state)
{
    struct crypto_key *key = NULL;

    (void)state;
    trail_hash_leaf(SPAN_OF("root"), &the_root);
    assert_int_equal(crypto_key_generate(CRYPTO_EDDSA, (struct span){0}, &key), ERR_OK);
    assert_int_equal(trail_verifier_of(key, SPAN_OF("log.example"), &signer), ERR_OK);
    crypto_key_free(key);
    note = sbuf_over(note_text, sizeof(note_text));
    assert_int_equal(trail_note_sign(&signer, 1234567, &the_root, &note), ERR_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    trail_verifier_free(&signer);
    return 0;
}

static enum err check(struct span text, struct trail_checkpoint *ret)
{
    struct crypto_fault fault;

    return trail_note_check(text, &signer, 1, ret, &fault);
}

/* ---- keys ---- */

static void keys_are_read_and_written(void **state)
{
    static const char *const lines[] = {PETER, GO_SUM};

    (void)state;
    for (size_t i = 0; i < PC_COUNT(lines); i++) {
        struct trail_verifier verifier = {.key = NULL};
        char text[256];
        struct sbuf out = sbuf_over(text, sizeof(text));

        assert_int_equal(trail_verifier_read(span_from(lines[i]), &verifier, NULL), ERR_OK);
        assert_int_equal(trail_verifier_add(&verifier, &out), ERR_OK);
        assert_true(span_is(sbuf_span(&out), lines[i]));
        trail_verifier_free(&verifier);
    }
}

static void no_other_line_is_a_key(void **state)
{
    static const char *const wrong[] = {
        "",
        "PeterNeumann",
        "PeterNeumann+c74f20a3",
        "PeterNeumann+c74f20a3+",
        "+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumanm+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TX",
        "PeterNeumann+c74f20a3+AhpC2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy1w==",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    };

    (void)state;
    for (size_t i = 0; i < PC_COUNT(wrong); i++) {
        struct trail_verifier verifier = {.key = NULL};

        assert_int_equal(trail_verifier_read(span_from(wrong[i]), &verifier, NULL),
                         ERR_BAD_REQUEST);
        assert_null(verifier.key);
    }
}

static void names_hold_no_spaces(void **state)
{
    static const char *const good[] = {"a", "log.example/2026", "\xc3\xa9t\xc3\xa9"};
    static const char *const bad[] = {
        "",      "a b",  "a+b",       "a\tb",          "a\nb",
        "a\x7f", "\xff", "a\xc2\xa0", "\xe2\x80\x83x", "\xe3\x80\x80"};
    char name[TRAIL_NAME_BYTES_MAX + 1];

    (void)state;
    for (size_t i = 0; i < PC_COUNT(good); i++)
        assert_true(trail_name_is_good(span_from(good[i])));
    for (size_t i = 0; i < PC_COUNT(bad); i++)
        assert_false(trail_name_is_good(span_from(bad[i])));
    memset(name, 'n', sizeof(name));
    assert_true(trail_name_is_good(span_make(name, TRAIL_NAME_BYTES_MAX)));
    assert_false(trail_name_is_good(span_make(name, TRAIL_NAME_BYTES_MAX + 1)));
}

/* ---- notes ---- */

static void a_note_says_what_was_signed(void **state)
{
    struct trail_checkpoint said;

    (void)state;
    assert_int_equal(check(sbuf_span(&note), &said), ERR_OK);
    assert_true(span_is(said.origin, "log.example"));
    assert_int_equal(said.size, 1234567);
    assert_memory_equal(said.root.bytes, the_root.bytes, sizeof(the_root.bytes));
}

/* The note that the documentation of the format's first implementation shows: its signature is
 * right, but what it says is no checkpoint. */
static void anothers_signature_is_right(void **state)
{
    static const char text[] = "If you think cryptography is the answer to your problem,\n"
                               "then you don't know what your problem is.\n";
    static const char signature[] = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZ"
                                    "SNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";
    struct trail_verifier verifier = {.key = NULL};
    struct trail_checkpoint said;
    unsigned char raw[68];
    size_t bytes = 0;

    (void)state;
    assert_int_equal(trail_verifier_read(SPAN_OF(PETER), &verifier, NULL), ERR_OK);
    assert_int_equal(crypto_base64_decode(span_from(signature), raw, sizeof(raw), &bytes), ERR_OK);
    assert_int_equal(bytes, 68);
    assert_memory_equal(raw, "\xc7\x4f\x20\xa3", 4);
    assert_true(crypto_key_verify(verifier.key, span_from(text), span_make(raw + 4, 64)));
    sbuf_truncate(&note, 0);
    sbuf_add_format(&note, "%s\n\xe2\x80\x94 PeterNeumann %s\n", text, signature);
    assert_int_equal(trail_note_check(sbuf_span(&note), &verifier, 1, &said, NULL),
                     ERR_BAD_REQUEST);
    trail_verifier_free(&verifier);
}

/* A changed byte spoils the note, or hits a signature that was nobody's anyway: never another
 * meaning under the same signature. */
static void no_changed_byte_passes(void **state)
{
    struct trail_checkpoint said;

    (void)state;
    for (size_t i = 0; i < note.len; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            note_text[i] ^= (char)(1U << bit);
            assert_int_equal(check(sbuf_span(&note), &said), ERR_BAD_REQUEST);
            note_text[i] ^= (char)(1U << bit);
        }
    }
    for (size_t len = 0; len < note.len; len++)
        assert_int_equal(check(span_make(note_text, len), &said), ERR_BAD_REQUEST);
    assert_int_equal(check(sbuf_span(&note), &said), ERR_OK);
}

/* Its own size and root under another head line: the name of the key is that of the log. */
static void a_note_is_of_its_own_log(void **state)
{
    struct trail_verifier other = {.key = NULL};
    const struct trail_verifier both[] = {signer, other};
    struct crypto_key *key = NULL;
    struct trail_checkpoint said;

    (void)state;
    assert_int_equal(crypto_key_generate(CRYPTO_EDDSA, (struct span){0}, &key), ERR_OK);
    assert_int_equal(trail_verifier_of(key, SPAN_OF("log.example"), &other), ERR_OK);
    crypto_key_free(key);
    assert_int_equal(trail_note_check(sbuf_span(&note), &other, 1, &said, NULL), ERR_BAD_REQUEST);
    assert_int_equal(trail_note_check(sbuf_span(&note), both, 1, &said, NULL), ERR_OK);
    assert_int_equal(trail_note_read(sbuf_span(&note), &said, NULL), ERR_OK);
    trail_verifier_free(&other);
}

static void add_signature(struct sbuf *out, const char *name, size_t bytes)
{
    unsigned char raw[4096];

    memset(raw, 0x5a, sizeof(raw));
    sbuf_add_format(out, "\xe2\x80\x94 %s ", name);
    crypto_base64_add(out, span_make(raw, bytes));
    sbuf_add_char(out, '\n');
}

static void others_may_sign_too(void **state)
{
    struct trail_checkpoint said;
    size_t len = note.len;

    (void)state;
    add_signature(&note, "witness.example/w1", 76);
    add_signature(&note, "post-quantum.example", 2432);
    add_signature(&note, "log.example", 68); /* the same name, another key */
    assert_int_equal(check(sbuf_span(&note), &said), ERR_OK);
    assert_int_equal(said.size, 1234567);
    add_signature(&note, "bad name", 68);
    assert_int_equal(check(sbuf_span(&note), &said), ERR_BAD_REQUEST);
    sbuf_truncate(&note, len);
    for (size_t i = 0; i < TRAIL_NOTE_SIGNATURES_MAX; i++)
        add_signature(&note, "w", 68);
    assert_int_equal(check(sbuf_span(&note), &said), ERR_BAD_REQUEST);
}

/* One good signature does not heal a wrong one of a known key. */
static void a_wrong_signature_spoils_all(void **state)
{
    struct trail_checkpoint said;
    unsigned char raw[68] = {0};

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        raw[i] = (unsigned char)(signer.hash >> (24 - 8 * i));
    sbuf_add_text(&note, "\xe2\x80\x94 log.example ");
    crypto_base64_add(&note, span_make(raw, sizeof(raw)));
    sbuf_add_char(&note, '\n');
    assert_int_equal(check(sbuf_span(&note), &said), ERR_BAD_REQUEST);
}

static const char *const bodies[] = {
    "log.example\n7\n%s\n",       /* good */
    "log.example\n7\n%s\nmore\n", /* good: an extension */
    "log.example\n0\n%s\n",       /* good */
    "log.example\n07\n%s\n",
    "log.example\n+7\n%s\n",
    "log.example\n-7\n%s\n",
    "log.example\n7 \n%s\n",
    "log.example\n\n%s\n",
    "log.example\n9223372036854775808\n%s\n",
    "log.example\n18446744073709551616\n%s\n",
    "log.example\n7\n%s=\n",
    "log.example\n7\nAAAA\n",
    "log.example\n7\n",
    "log.example\n",
    "\n7\n%s\n",
    "log.example\n7\n%s\n\nmore\n", /* an empty line within */
    "log.example\r\n7\n%s\n",
    "log.example\n7\n%s\n\x01\n",
    "log.example\n7\n%s\n\xff\n",
};

/* Well signed, so that only the form can be at fault. */
static void forms_are_kept(void **state)
{
    char root[64];
    struct sbuf root_text = sbuf_over(root, sizeof(root));

    (void)state;
    crypto_base64_add(&root_text, span_make(the_root.bytes, sizeof(the_root.bytes)));
    for (size_t i = 0; i < PC_COUNT(bodies); i++) {
        unsigned char raw[4 + CRYPTO_SIGNATURE_BYTES_MAX];
        struct trail_checkpoint said;
        const char *place = strstr(bodies[i], "%s");
        size_t bytes = 0;

        sbuf_truncate(&note, 0);
        sbuf_add(&note,
                 span_make(bodies[i], place ? (size_t)(place - bodies[i]) : strlen(bodies[i])));
        if (place != NULL)
            sbuf_add_format(&note, "%.*s%s", SPAN_ARG(sbuf_span(&root_text)), place + 2);
        assert_int_equal(crypto_key_sign(signer.key, sbuf_span(&note), raw + 4, &bytes), ERR_OK);
        for (unsigned j = 0; j < 4; j++)
            raw[j] = (unsigned char)(signer.hash >> (24 - 8 * j));
        sbuf_add_text(&note, "\n\xe2\x80\x94 log.example ");
        crypto_base64_add(&note, span_make(raw, 4 + bytes));
        sbuf_add_char(&note, '\n');
        assert_int_equal(check(sbuf_span(&note), &said), i < 3 ? ERR_OK : ERR_BAD_REQUEST);
    }
}

/* ---- the file ---- */

static void the_key_is_made_once_and_closed(void **state)
{
    char folder[] = "/tmp/trail-key-XXXXXX";
    char path[64], line_path[64];
    struct trail_verifier first = {.key = NULL}, again = {.key = NULL}, read = {.key = NULL};
    struct sbuf line = sbuf_over(note_text, sizeof(note_text));
    struct crypto_fault fault = {0};
    struct stat info;
    FILE *file;

    (void)state;
    assert_non_null(mkdtemp(folder));
    (void)snprintf(path, sizeof(path), "%s/audit.pem", folder);
    (void)snprintf(line_path, sizeof(line_path), "%s/audit.pub", folder);
    assert_int_equal(trail_key_open(path, SPAN_OF("p"), false, &first, &fault), ERR_NOT_FOUND);
    assert_int_equal(trail_key_open(path, SPAN_OF("p q"), true, &first, &fault), ERR_BAD_REQUEST);
    assert_int_equal(trail_key_open(path, SPAN_OF("p"), true, &first, &fault), ERR_OK);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(trail_key_open(path, SPAN_OF("p"), false, &again, &fault), ERR_OK);
    assert_int_equal(first.hash, again.hash);

    assert_int_equal(trail_verifier_add(&first, &line), ERR_OK);
    sbuf_add_char(&line, '\0');
    assert_int_equal(trail_key_public(note_text, &read, &fault), ERR_OK);
    assert_int_equal(read.hash, first.hash);
    assert_false(crypto_key_is_private(read.key));
    trail_verifier_free(&read);
    file = fopen(line_path, "w");
    assert_non_null(file);
    assert_true(fprintf(file, "%s\n", note_text) > 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(trail_key_public(line_path, &read, &fault), ERR_OK);
    assert_int_equal(read.hash, first.hash);
    assert_int_equal(trail_key_public("/nowhere", &again, &fault), ERR_IO);

    assert_int_equal(chmod(path, 0644), 0);
    assert_int_not_equal(trail_key_open(path, SPAN_OF("p"), false, &again, &fault), ERR_OK);
    trail_verifier_free(&first);
    trail_verifier_free(&again);
    trail_verifier_free(&read);
    assert_int_equal(unlink(path) | unlink(line_path) | rmdir(folder), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(keys_are_read_and_written),
        T(no_other_line_is_a_key),
        T(names_hold_no_spaces),
        T(a_note_says_what_was_signed),
        T(anothers_signature_is_right),
        T(no_changed_byte_passes),
        T(a_note_is_of_its_own_log),
        T(others_may_sign_too),
        T(a_wrong_signature_spoils_all),
        T(forms_are_kept),
        T(the_key_is_made_once_and_closed),
    };
#undef T

    return cmocka_run_group_tests_name("trail note", tests, NULL, NULL);
}
