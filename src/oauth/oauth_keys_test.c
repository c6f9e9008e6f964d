/* SPDX-License-Identifier: MIT
 * Signing keys: made once, agreed upon, shared by nodes, turned over and taken out. */
#include "oauth/oauth_keys_test_kit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "crypto/certs.h"

static unsigned mode_of(char which, const char *name)
{
    struct stat info;
    char path[PATH_BYTES];

    file_path(which, name, path);
    assert_int_equal(stat(path, &info), 0);
    return info.st_mode & 07777;
}

/* ---- first start ------------------------------------------------------------------------------
 */

/* From nothing: a folder and files that are ours alone, a key for each algorithm that signs and
 * verifies, each recorded; and the next start finds them. */
static void the_first_start_makes_keys(void **state)
{
    static const enum crypto_alg algs[] = {CRYPTO_PS256, CRYPTO_RS256, CRYPTO_ES256, CRYPTO_EDDSA};
    struct oauth_keys_options options = node_options('a');
    struct oauth_keys *keys = NULL;
    struct span token;

    (void)state;
    options.alg = CRYPTO_PS256;
    assert_int_equal(oauth_keys_open(&options, &keys, NULL), ERR_OK);
    assert_int_equal(mode_of('a', ""), 0700);
    assert_int_equal(mode_of('a', "RS256-1.pem"), 0600);
    assert_int_equal(mode_of('a', "PS256-1.pem"), 0600);
    assert_int_equal(folder_count('a'), 4);
    for (size_t i = 0; i < PC_COUNT(algs); i++) {
        assert_true(token_verifies(keys, token_sign(keys, algs[i])));
        assert_true(signer_of(keys, algs[i])->kid.len > 0);
    }
    assert_null(oauth_keys_signer(keys, CRYPTO_ES384, now_ns()));
    assert_int_equal(oauth_keys_alg(keys), CRYPTO_PS256);
    assert_int_equal(oauth_keys_max_age_s(keys), 300);
    assert_int_equal(number_of(&kit_trail), 4);
    assert_int_equal(number_of(&kit_changes), 1);
    token = token_sign(keys, CRYPTO_PS256);
    oauth_keys_free(keys);

    assert_int_equal(oauth_keys_open(&options, &keys, NULL), ERR_OK);
    assert_true(token_verifies(keys, token));
    assert_int_equal(folder_count('a'), 4);
    assert_int_equal(number_of(&kit_rows), 4);
    assert_int_equal(number_of(&kit_trail), 4);
    oauth_keys_free(keys);
}

/* What verifiers may cache for is less than a new key waits, whatever the settings. */
static void caches_are_shorter_than_the_wait(void **state)
{
    static const struct {
        int64_t publish_s, max_age_s;
    } cases[] = {{360, 300}, {3600, 300}, {359, 299}, {61, 1}, {60, 0}, {0, 0}};

    (void)state;
    folder_fill('a');
    for (size_t i = 0; i < PC_COUNT(cases); i++) {
        struct oauth_keys_options options = node_options('a');
        struct oauth_keys *keys = NULL;

        options.publish_s = cases[i].publish_s;
        assert_int_equal(oauth_keys_open(&options, &keys, NULL), ERR_OK);
        assert_int_equal(oauth_keys_max_age_s(keys), cases[i].max_age_s);
        oauth_keys_free(keys);
    }
}

struct start {
    struct oauth_keys_options options;
    struct oauth_keys *keys; /* NULL when it failed */
};

static void *open_thread(void *context)
{
    struct start *start = context;

    if (oauth_keys_open(&start->options, &start->keys, NULL) != ERR_OK)
        start->keys = NULL;
    return NULL;
}

/* Nodes that share a folder and start for the first time at once hold the same keys. */
static void racing_starts_agree(void **state)
{
    struct start starts[4];
    pthread_t threads[4];

    (void)state;
    folder_fill('a');
    for (size_t i = 1; i < PC_COUNT(kit_names); i++) { /* but for the slow one */
        char path[PATH_BYTES];

        file_path('a', kit_names[i], path);
        assert_int_equal(unlink(path), 0);
    }
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        starts[i] = (struct start){.options = node_options('a')};
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, open_thread, &starts[i]), 0);
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    for (size_t i = 0; i < PC_COUNT(threads); i++) {
        assert_non_null(starts[i].keys);
        for (size_t k = 0; k < PC_COUNT(kit_algs); k++)
            assert_true(span_equal(signer_of(starts[i].keys, kit_algs[k])->kid,
                                   signer_of(starts[0].keys, kit_algs[k])->kid));
    }
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        oauth_keys_free(starts[i].keys);
    assert_int_equal(folder_count('a'), 3);
    assert_int_equal(number_of(&kit_rows), 3);
    assert_int_equal(number_of(&kit_trail), 3);
}

/* ---- folders ----------------------------------------------------------------------------------
 */

static void open_fails(const struct oauth_keys_options *options, enum err wanted, const char *why)
{
    struct crypto_fault fault = {""};
    struct oauth_keys *keys = NULL;

    assert_int_equal(oauth_keys_open(options, &keys, &fault), wanted);
    assert_null(keys);
    if (strstr(fault.text, why) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", fault.text, why);
}

/* A folder or file that others may look into, or that is no folder or key, stops the start. */
static void folders_must_be_ours(void **state)
{
    struct oauth_keys_options options = node_options('a');
    char path[PATH_BYTES];

    (void)state;
    folder_fill('a');
    assert_int_equal(chmod(options.dir, 0750), 0);
    open_fails(&options, ERR_KEY, "is open to other users: chmod 0700");
    assert_int_equal(chmod(options.dir, 0700), 0);

    key_save('a', "ES256-2.pem", CRYPTO_ES256);
    file_path('a', "ES256-2.pem", path);
    assert_int_equal(chmod(path, 0644), 0);
    open_fails(&options, ERR_IO, "ES256-2.pem: may be read by others");
}

/* Files are not taken for what they are not. */
static void files_must_be_keys(void **state)
{
    struct oauth_keys_options options = node_options('a');
    char path[PATH_BYTES], other[PATH_BYTES];
    FILE *file;

    (void)state;
    folder_fill('a');
    file_path('a', "EdDSA-7.pem", path);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs("nothing", file) >= 0 && fclose(file) == 0 && chmod(path, 0600) == 0);
    open_fails(&options, ERR_KEY, "EdDSA-7.pem: there is no readable PEM key");
    assert_int_equal(unlink(path), 0);

    file_path('a', "ES256-1.pem", other);
    assert_int_equal(link(other, path), 0);
    open_fails(&options, ERR_KEY, "EdDSA-7.pem: ");
    assert_int_equal(unlink(path), 0);

    file_path('a', "ES256-2.pem", path);
    assert_int_equal(link(other, path), 0);
    open_fails(&options, ERR_KEY, "another file of this folder holds the same key");
    options.dir = other;
    open_fails(&options, ERR_IO, "this is where the folder of signing keys must be");
    options.alg = CRYPTO_HS256;
    open_fails(&options, ERR_KEY, "HS256 cannot sign what others verify");
}

/* Names that are not ours are left alone. */
static void other_files_are_passed_over(void **state)
{
    static const char *const names[] = {"RS256-0.pem",  "RS256-01.pem",      "RS256-.pem",
                                        "RS256.pem",    "HS256-1.pem",       "none-1.pem",
                                        "ES256-1.pem~", "RS256-1000000.pem", "ES256-1.pem.x.new"};
    struct oauth_keys *keys;

    (void)state;
    folder_fill('a');
    for (size_t i = 0; i < PC_COUNT(names); i++) {
        char path[PATH_BYTES];
        FILE *file;

        file_path('a', names[i], path);
        file = fopen(path, "we");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
    keys = node_open('a');
    assert_int_equal(crypto_keyset_count(oauth_keys_public(keys, now_ns())), 3);
    oauth_keys_free(keys);
}

/* A file without a row is passed over while another key signs, and taken when none does. */
static void files_without_rows_wait(void **state)
{
    static const struct store_statement forget = {
        .name = "test_forget", .sqlite = "DELETE FROM oauth_keys WHERE alg = 'ES256'"};
    struct oauth_keys *keys;
    struct span first, kid;

    (void)state;
    folder_fill('a');
    keys = node_open('a');
    key_save('a', "ES256-2.pem", CRYPTO_ES256);
    first = arena_copy(&bench.arena, signer_of(keys, CRYPTO_ES256)->kid);
    assert_int_equal(oauth_keys_reload(keys), ERR_OK);
    assert_true(span_equal(signer_of(keys, CRYPTO_ES256)->kid, first));
    assert_int_equal(number_of(&kit_rows), 3);

    kit_exec(bench.store, &forget);
    assert_int_equal(oauth_keys_reload(keys), ERR_OK);
    kid = signer_of(keys, CRYPTO_ES256)->kid;
    assert_int_equal(folder_count('a'), 4);
    assert_int_equal(number_of(&kit_rows), 3);
    assert_true(kid.len > 0);
    oauth_keys_free(keys);
}

/* Puts the file of a new key where a look finds it and takes it away, each time by another name. */
static void *flicker_thread(void *context)
{
    _Atomic bool *stopping = context;
    char name[32], path[PATH_BYTES];

    for (int number = 2; !atomic_load(stopping); number++) {
        struct crypto_key *key = NULL;

        (void)snprintf(name, sizeof(name), "ES256-%d.pem", number);
        file_path('a', name, path);
        if (crypto_key_generate(CRYPTO_ES256, (struct span){0}, &key) == ERR_OK &&
            crypto_key_save(key, path, NULL) == ERR_OK)
            (void)unlink(path);
        crypto_key_free(key);
    }
    return NULL;
}

/* A file may go between the look that lists it and the one that reads it: who retires a key
 * takes it away beside a running node. */
static void a_file_may_go_meanwhile(void **state)
{
    _Atomic bool stopping = false;
    struct oauth_keys *keys;
    pthread_t thread;
    int bad = 0;

    (void)state;
    folder_fill('a');
    keys = node_open('a');
    assert_int_equal(pthread_create(&thread, NULL, flicker_thread, &stopping), 0);
    for (int i = 0; i < 500; i++)
        bad += oauth_keys_reload(keys) != ERR_OK;
    atomic_store(&stopping, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(bad, 0);
    oauth_keys_free(keys);
}

/* ---- a key by path ----------------------------------------------------------------------------
 */

/* A key that is given signs, before those of the folder, under the name that is given. */
static void a_given_key_signs(void **state)
{
    struct oauth_keys_options options = node_options('a');
    struct oauth_keys *keys = node_open((folder_fill('a'), 'a'));
    struct span old = token_sign(keys, CRYPTO_RS256);
    char path[PATH_BYTES];

    (void)state;
    oauth_keys_free(keys);
    pass_s(10);
    file_path('t', "other.pem", path);
    options.private_path = path;
    options.public_path = path;
    options.kid = SPAN_OF("main-1");
    assert_int_equal(oauth_keys_open(&options, &keys, NULL), ERR_OK);
    assert_true(span_is(signer_of(keys, CRYPTO_RS256)->kid, "main-1"));
    assert_true(token_verifies(keys, token_sign(keys, CRYPTO_RS256)));
    assert_true(token_verifies(keys, old));
    assert_int_equal(number_of(&kit_rows), 4);
    oauth_keys_free(keys);

    /* What others gave us to hold we do not turn over. */
    {
        struct crypto_fault fault = {""};
        struct oauth_key_row row;

        assert_int_equal(
            oauth_key_rotate(&options, CRYPTO_RS256, false, &bench.arena, &row, &fault),
            ERR_CONFLICT);
        assert_non_null(strstr(fault.text, "name another file there"));
        assert_int_equal(
            oauth_key_rotate(&options, CRYPTO_ES256, false, &bench.arena, &row, &fault), ERR_OK);
    }
}

/* Names and halves that do not fit are told apart. */
static void given_keys_must_fit(void **state)
{
    struct oauth_keys_options options = node_options('a');
    struct oauth_keys *keys = NULL;
    struct crypto_key *other;
    char path[PATH_BYTES], own[PATH_BYTES], public_path[PATH_BYTES], pem[4096];
    struct sbuf out = sbuf_over(pem, sizeof(pem));
    FILE *file;

    (void)state;
    folder_fill('a');
    file_path('t', "other.pem", path);
    file_path('t', kit_names[0], own);
    file_path('a', "public.pem", public_path);
    assert_int_equal(crypto_key_load(path, CRYPTO_RS256, (struct span){0}, &other, NULL), ERR_OK);
    assert_int_equal(crypto_key_add_public_pem(other, &out), ERR_OK);
    crypto_key_free(other);
    file = fopen(public_path, "we");
    assert_non_null(file);
    assert_true(fwrite(pem, 1, out.len, file) == out.len && fclose(file) == 0);

    options.public_path = public_path;
    open_fails(&options, ERR_KEY, "a public key without its private key is of no use");
    options.private_path = own;
    open_fails(&options, ERR_KEY, "is not the public part of");
    options.private_path = public_path;
    open_fails(&options, ERR_KEY, "holds no private key");
    options.private_path = "/nowhere.pem";
    open_fails(&options, ERR_IO, "/nowhere.pem");

    options.private_path = path;
    options.kid = SPAN_OF("main");
    assert_int_equal(oauth_keys_open(&options, &keys, NULL), ERR_OK);
    oauth_keys_free(keys);
    options.alg = CRYPTO_PS256;
    open_fails(&options, ERR_KEY, "is published for RS256: another algorithm needs a new key");
    options.alg = CRYPTO_RS256;
    options.private_path = own;
    options.public_path = NULL;
    open_fails(&options, ERR_KEY, "the key id main belongs to another key already");
}

/* A key has no end until it is replaced; one that a certificate names ends with that. */
static void ends_are_told(void **state)
{
    struct oauth_keys_options options = node_options('a');
    struct crypto_certs_options certs = {.clock = &clock_system};
    struct oauth_keys *keys = NULL;
    char folder[PATH_BYTES], path[PATH_BYTES], public_path[PATH_BYTES];

    (void)state;
    folder_fill('a');
    keys = node_open('a');
    assert_int_equal(oauth_keys_end_s(keys, now_ns()), 0);
    oauth_keys_free(keys);

    folder_path('b', folder);
    certs.folder = folder;
    assert_int_equal(crypto_certs_make(&certs, NULL), ERR_OK);
    file_path('b', "server.key", path);
    file_path('b', "server.crt", public_path);
    options.alg = CRYPTO_ES256;
    options.private_path = path;
    options.public_path = public_path;
    assert_int_equal(oauth_keys_open(&options, &keys, NULL), ERR_OK);
    assert_in_range(oauth_keys_end_s(keys, now_ns()),
                    clock_realtime_s(&clock_system) + INT64_C(364) * 86400,
                    clock_realtime_s(&clock_system) + INT64_C(365) * 86400);
    oauth_keys_free(keys);
}

/* A key that was taken out does not come back, under whatever name. */
static void retired_keys_stay_out(void **state)
{
    struct oauth_keys_options options = node_options('a'), beside = options;
    struct oauth_keys *keys = NULL;
    char path[PATH_BYTES];

    (void)state;
    folder_fill('a');
    file_path('t', "other.pem", path);
    options.private_path = path;
    options.kid = SPAN_OF("stolen");
    assert_int_equal(oauth_keys_open(&options, &keys, NULL), ERR_OK);
    oauth_keys_free(keys);
    oauth_keys_free(node_open('a'));
    assert_int_equal(oauth_key_retire(&beside, SPAN_OF("stolen"), NULL), ERR_OK);
    open_fails(&options, ERR_KEY, "this key was taken out of service");
    options.kid = SPAN_OF("found");
    open_fails(&options, ERR_KEY, "this key was taken out of service");
}

/* ---- two nodes --------------------------------------------------------------------------------
 */

/* Each node has keys of its own, publishes those of both and believes both. */
static void nodes_believe_each_other(void **state)
{
    struct oauth_keys *a, *b;
    char path[PATH_BYTES], other[PATH_BYTES];

    (void)state;
    folder_fill('a');
    folder_path('b', path);
    assert_int_equal(mkdir(path, 0700), 0);
    file_path('t', "other.pem", other);
    file_path('b', "RS256-1.pem", path);
    assert_int_equal(link(other, path), 0);
    a = node_open('a');
    b = node_open('b');
    for (size_t i = 0; i < PC_COUNT(kit_algs); i++) {
        assert_true(token_verifies(b, token_sign(a, kit_algs[i])));
        assert_false(token_verifies(a, token_sign(b, kit_algs[i])));
    }
    assert_int_equal(oauth_keys_reload(a), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(kit_algs); i++) {
        assert_true(token_verifies(a, token_sign(b, kit_algs[i])));
        assert_false(span_equal(signer_of(a, kit_algs[i])->kid, signer_of(b, kit_algs[i])->kid));
    }
    assert_int_equal(crypto_keyset_count(oauth_keys_public(a, now_ns())), 6);

    /* One that turns its key over leaves the other's alone. */
    (void)rotate('a', CRYPTO_ES256, true);
    assert_int_equal(oauth_keys_reload(b), ERR_OK);
    pass_s(VERIFY_S);
    assert_true(token_verifies(b, token_sign(b, CRYPTO_ES256)));
    oauth_keys_free(a);
    oauth_keys_free(b);
}

/* ---- turning over -----------------------------------------------------------------------------
 */

/* Published at once, signing later, the old one gone when its last token is over; and none of it
 * needs anything but time. */
static void a_new_key_takes_over_in_time(void **state)
{
    struct oauth_keys *keys;
    struct oauth_key_row row;
    struct span old, token;

    (void)state;
    folder_fill('a');
    keys = node_open('a');
    old = signer_of(keys, CRYPTO_EDDSA)->kid;
    row = rotate('a', CRYPTO_EDDSA, false);
    assert_int_equal(row.signs_from_ns, now_ns() + PUBLISH_S * CLOCK_NS_PER_S);
    assert_int_equal(number_of(&kit_changes), 2);
    assert_int_equal(number_of(&kit_trail), 4);
    assert_int_equal(oauth_keys_reload(keys), ERR_OK);

    assert_int_equal(crypto_keyset_count(oauth_keys_public(keys, now_ns())), 4);
    pass_s(PUBLISH_S - 1);
    assert_true(span_equal(signer_of(keys, CRYPTO_EDDSA)->kid, old));
    token = token_sign(keys, CRYPTO_EDDSA);
    pass_s(1);
    assert_true(span_equal(signer_of(keys, CRYPTO_EDDSA)->kid, row.kid));
    pass_s(VERIFY_S - 1);
    assert_true(token_verifies(keys, token));
    assert_true(file_exists('a', "EdDSA-1.pem"));
    pass_s(1);
    assert_false(token_verifies(keys, token));
    assert_int_equal(crypto_keyset_count(oauth_keys_public(keys, now_ns())), 3);

    assert_int_equal(oauth_keys_reload(keys), ERR_OK);
    assert_false(file_exists('a', "EdDSA-1.pem"));
    assert_true(file_exists('a', "EdDSA-2.pem"));
    assert_true(span_equal(signer_of(keys, CRYPTO_EDDSA)->kid, row.kid));
    oauth_keys_free(keys);
}

/* A stolen key stops at once; what it signed is believed until it is retired, and then no more. */
static void a_stolen_key_goes_at_once(void **state)
{
    struct oauth_keys_options options = node_options('a');
    struct crypto_fault fault = {""};
    struct oauth_keys *keys;
    struct span old, token;

    (void)state;
    folder_fill('a');
    keys = node_open('a');
    old = signer_of(keys, CRYPTO_ES256)->kid;
    token = token_sign(keys, CRYPTO_ES256);
    assert_int_equal(oauth_key_retire(&options, old, &fault), ERR_CONFLICT);
    assert_string_equal(
        fault.text, "no other key signs with its algorithm yet: `keys rotate --now` comes first");
    (void)rotate('a', CRYPTO_ES256, false);
    assert_int_equal(oauth_key_retire(&options, old, &fault), ERR_CONFLICT);
    (void)rotate('a', CRYPTO_ES256, true);
    assert_int_equal(oauth_keys_reload(keys), ERR_OK);
    assert_false(span_equal(signer_of(keys, CRYPTO_ES256)->kid, old));
    assert_true(token_verifies(keys, token));
    assert_int_equal(oauth_key_retire(&options, old, &fault), ERR_OK);
    assert_false(file_exists('a', "ES256-1.pem"));
    assert_int_equal(oauth_keys_reload(keys), ERR_OK);
    assert_false(token_verifies(keys, token));
    assert_int_equal(oauth_key_retire(&options, old, &fault), ERR_NOT_FOUND);
    assert_int_equal(oauth_key_retire(&options, SPAN_OF("nobody"), &fault), ERR_NOT_FOUND);
    oauth_keys_free(keys);
}

/* A node that enters a key beside those of others has to wait until they heard of it; one that
 * comes back with its folder, or is alone, has not. */
static void a_node_that_joins_is_told(void **state)
{
    struct oauth_keys *a, *b;

    (void)state;
    folder_fill('a');
    a = node_open('a');
    assert_false(oauth_keys_joined(a));
    b = node_open('b');
    assert_true(oauth_keys_joined(b));
    oauth_keys_free(b);
    b = node_open('b');
    assert_false(oauth_keys_joined(b));
    oauth_keys_free(b);
    oauth_keys_free(a);
}

/* Rotated at once: the old key signs until every node has heard of the new one. */
static void a_key_signs_when_all_have_heard(void **state)
{
    struct oauth_keys_options options = node_options('a');
    struct crypto_fault fault = {""};
    struct oauth_key_row row;
    struct oauth_keys *keys;
    struct span old;

    (void)state;
    folder_fill('a');
    keys = node_open('a');
    old = signer_of(keys, CRYPTO_ES256)->kid;
    options.heard_s = 3;
    assert_int_equal(oauth_key_rotate(&options, CRYPTO_ES256, true, &bench.arena, &row, &fault),
                     ERR_OK);
    assert_int_equal(oauth_keys_reload(keys), ERR_OK);
    pass_s(2);
    assert_true(span_equal(signer_of(keys, CRYPTO_ES256)->kid, old));
    pass_s(1);
    assert_true(span_equal(signer_of(keys, CRYPTO_ES256)->kid, row.kid));
    oauth_keys_free(keys);
}

/* A node whose key another node took out makes itself a new one rather than stand still. */
static void a_node_without_a_key_makes_one(void **state)
{
    struct oauth_keys_options options = node_options('b');
    struct oauth_keys *a;
    struct span old;
    char path[PATH_BYTES];

    (void)state;
    folder_fill('a');
    a = node_open('a');
    folder_path('b', path);
    assert_int_equal(mkdir(path, 0700), 0);
    key_save('b', "EdDSA-1.pem", CRYPTO_EDDSA);
    file_path('t', "other.pem", path);
    {
        char to[PATH_BYTES];

        file_path('b', "RS256-1.pem", to);
        assert_int_equal(link(path, to), 0);
    }
    oauth_keys_free(node_open('b'));
    old = signer_of(a, CRYPTO_EDDSA)->kid;
    assert_int_equal(oauth_key_retire(&options, old, NULL), ERR_OK);
    assert_int_equal(oauth_keys_reload(a), ERR_OK);
    assert_false(span_equal(signer_of(a, CRYPTO_EDDSA)->kid, old));
    assert_false(file_exists('a', "EdDSA-1.pem"));
    assert_true(file_exists('a', "EdDSA-2.pem"));
    oauth_keys_free(a);
}

/* A key that is only announced cannot be taken away from under the one that gives way to it. */
static void an_announced_key_is_needed(void **state)
{
    struct oauth_keys_options options = node_options('a');
    struct crypto_fault fault = {""};
    struct oauth_key_row first, second;
    struct oauth_keys *keys;

    (void)state;
    folder_fill('a');
    keys = node_open('a');
    first = rotate('a', CRYPTO_EDDSA, false);
    assert_int_equal(oauth_key_retire(&options, first.kid, &fault), ERR_CONFLICT);
    pass_s(100);
    second = rotate('a', CRYPTO_EDDSA, false);
    assert_int_equal(oauth_key_retire(&options, first.kid, &fault), ERR_CONFLICT); /* the gap */
    assert_int_equal(oauth_key_retire(&options, second.kid, &fault), ERR_CONFLICT);
    (void)rotate('a', CRYPTO_EDDSA, true);
    assert_int_equal(oauth_key_retire(&options, second.kid, &fault), ERR_OK);
    assert_int_equal(oauth_key_retire(&options, first.kid, &fault), ERR_OK);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(oauth_keys_reload(keys), ERR_OK);
        assert_true(token_verifies(keys, token_sign(keys, CRYPTO_EDDSA)));
        pass_s(60);
    }
    assert_int_equal(number_of(&kit_rows), 6);
    oauth_keys_free(keys);
}

struct reader {
    const struct oauth_keys *keys;
    int64_t now_ns;
    _Atomic bool stopping;
    _Atomic bool failed;
};

/* Signs and looks for the key in the set, again and again. */
static void *read_thread(void *context)
{
    struct reader *reader = context;

    while (!atomic_load(&reader->stopping)) {
        const struct crypto_signer *signer =
            oauth_keys_signer(reader->keys, CRYPTO_EDDSA, reader->now_ns);
        const struct crypto_keyset *set = oauth_keys_public(reader->keys, reader->now_ns);
        unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
        const struct crypto_key *found;
        size_t bytes;

        if (signer == NULL || signer->sign(signer->context, SPAN_OF("x"), signature, &bytes) ||
            crypto_keyset_find(set, signer->kid, CRYPTO_EDDSA, &found, 1) != 1 ||
            !crypto_key_verify(found, SPAN_OF("x"), span_make(signature, bytes)))
            atomic_store(&reader->failed, true);
    }
    return NULL;
}

/* While keys are turned over, whoever signs or verifies always holds a whole picture. */
static void readers_see_whole_pictures(void **state)
{
    struct oauth_keys *keys;
    struct reader reader = {.now_ns = now_ns()};
    pthread_t threads[2];

    (void)state;
    folder_fill('a');
    reader.keys = keys = node_open('a');
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_thread, &reader), 0);
    for (int i = 0; i < 12; i++) {
        (void)rotate('a', CRYPTO_EDDSA, true);
        assert_int_equal(oauth_keys_reload(keys), ERR_OK);
    }
    atomic_store(&reader.stopping, true);
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_false(atomic_load(&reader.failed));
    oauth_keys_free(keys);
}

/* Nobody can fill the set of published keys by turning over and over. */
static void turning_is_bounded(void **state)
{
    struct oauth_keys_options options = node_options('a');
    struct crypto_fault fault = {""};
    struct oauth_key_row row;
    struct oauth_keys *keys;
    size_t turned = 0;
    enum err err;

    (void)state;
    folder_fill('a');
    keys = node_open('a');
    do {
        err = oauth_key_rotate(&options, CRYPTO_EDDSA, true, &bench.arena, &row, &fault);
        turned++;
    } while (err == ERR_OK && turned < 100);
    assert_int_equal(err, ERR_CONFLICT);
    assert_int_equal(turned, OAUTH_KEYS_FULL - 3 + 1);
    assert_non_null(strstr(fault.text, "too many keys are published"));
    assert_int_equal(oauth_keys_reload(keys), ERR_OK);
    assert_true(span_equal(signer_of(keys, CRYPTO_EDDSA)->kid, row.kid));
    assert_int_equal(oauth_key_rotate(&options, CRYPTO_HS256, true, &bench.arena, &row, &fault),
                     ERR_KEY);
    oauth_keys_free(keys);
}

struct listing {
    struct oauth_key_row *rows;
    size_t count;
};

static enum err list_steps(struct store_conn *conn, void *context)
{
    struct listing *listing = context;

    return oauth_key_list(conn, &bench.arena, &listing->rows, &listing->count);
}

/* The list tells all, the newest first. */
static void the_list_is_whole(void **state)
{
    struct listing listing;
    struct oauth_key_row row;

    (void)state;
    assert_int_equal(reading(bench.store, list_steps, &listing), ERR_OK);
    assert_int_equal(listing.count, 0);
    folder_fill('a');
    oauth_keys_free(node_open('a'));
    pass_s(5);
    row = rotate('a', CRYPTO_RS256, false);
    assert_int_equal(reading(bench.store, list_steps, &listing), ERR_OK);
    assert_int_equal(listing.count, 4);
    assert_true(span_equal(listing.rows[0].kid, row.kid));
    assert_int_equal(listing.rows[0].alg, CRYPTO_RS256);
    assert_int_equal(listing.rows[0].signs_until_ns, 0);
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(listing.rows[i].gone_at_ns,
                         listing.rows[i].alg == CRYPTO_RS256
                             ? row.signs_from_ns + VERIFY_S * CLOCK_NS_PER_S
                             : 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        KEYS_TEST(the_first_start_makes_keys),
        KEYS_TEST(caches_are_shorter_than_the_wait),
        KEYS_TEST(racing_starts_agree),
        KEYS_TEST(folders_must_be_ours),
        KEYS_TEST(files_must_be_keys),
        KEYS_TEST(other_files_are_passed_over),
        KEYS_TEST(files_without_rows_wait),
        KEYS_TEST(a_file_may_go_meanwhile),
        KEYS_TEST(a_given_key_signs),
        KEYS_TEST(given_keys_must_fit),
        KEYS_TEST(ends_are_told),
        KEYS_TEST(retired_keys_stay_out),
        KEYS_TEST(nodes_believe_each_other),
        KEYS_TEST(a_node_that_joins_is_told),
        KEYS_TEST(a_key_signs_when_all_have_heard),
        KEYS_TEST(a_new_key_takes_over_in_time),
        KEYS_TEST(a_stolen_key_goes_at_once),
        KEYS_TEST(a_node_without_a_key_makes_one),
        KEYS_TEST(an_announced_key_is_needed),
        KEYS_TEST(readers_see_whole_pictures),
        KEYS_TEST(turning_is_bounded),
        KEYS_TEST(the_list_is_whole),
    };

    return cmocka_run_group_tests(tests, kit_begin, kit_end);
}
