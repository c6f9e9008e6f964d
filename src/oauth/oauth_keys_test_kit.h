/* SPDX-License-Identifier: MIT
 * What the tests of the signing keys share: folders with keys that are already made (an RSA key
 * takes its time), a clock that is held, and tokens. */
#ifndef PC_OAUTH_OAUTH_KEYS_TEST_KIT_H
#define PC_OAUTH_OAUTH_KEYS_TEST_KIT_H

#include "auth/auth_test_kit.h"
#include "oauth/oauth_keys_priv.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

enum { PUBLISH_S = 360, VERIFY_S = 960, LIFE_S = 900, PATH_BYTES = 512 };

static const char *const kit_names[] = {"RS256-1.pem", "ES256-1.pem", "EdDSA-1.pem"};
static const enum crypto_alg kit_algs[] = {CRYPTO_RS256, CRYPTO_ES256, CRYPTO_EDDSA};

/* Folders below one root: 'a' and 'b' for two nodes; 't' holds the keys to begin with. */
static char kit_root[64];
static struct clock_fake kit_clock;

static inline void folder_path(char which, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/%c", kit_root, which);
}

static inline void file_path(char which, const char *name, char path[PATH_BYTES])
{
    (void)snprintf(path, PATH_BYTES, "%s/%c/%s", kit_root, which, name);
}

static inline void folder_empty(char which, bool remove)
{
    char path[PATH_BYTES];
    struct dirent *entry;
    DIR *dir;

    folder_path(which, path);
    (void)chmod(path, 0700);
    dir = opendir(path);
    if (dir == NULL)
        return;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        file_path(which, entry->d_name, path);
        (void)unlink(path);
    }
    (void)closedir(dir);
    folder_path(which, path);
    if (remove)
        (void)rmdir(path);
}

static inline size_t folder_count(char which)
{
    char path[PATH_BYTES];
    struct dirent *entry;
    size_t count = 0;
    DIR *dir;

    folder_path(which, path);
    dir = opendir(path);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    (void)closedir(dir);
    return count;
}

static inline bool file_exists(char which, const char *name)
{
    char path[PATH_BYTES];

    file_path(which, name, path);
    return access(path, F_OK) == 0;
}

static inline struct crypto_key *key_new(enum crypto_alg alg)
{
    struct crypto_key *key = NULL;

    assert_int_equal(crypto_key_generate(alg, (struct span){0}, &key), ERR_OK);
    return key;
}

static inline void key_save(char which, const char *name, enum crypto_alg alg)
{
    struct crypto_key *key = key_new(alg);
    char path[PATH_BYTES];

    file_path(which, name, path);
    assert_int_equal(crypto_key_save(key, path, NULL), ERR_OK);
    crypto_key_free(key);
}

/* The folder with the keys that are already made. */
static inline void folder_fill(char which)
{
    char path[PATH_BYTES], from[PATH_BYTES];

    folder_path(which, path);
    (void)mkdir(path, 0700);
    for (size_t i = 0; i < PC_COUNT(kit_names); i++) {
        file_path('t', kit_names[i], from);
        file_path(which, kit_names[i], path);
        assert_int_equal(link(from, path), 0);
    }
}

/* Node b has an RSA key of its own only where a test needs it; else the small ones. */
static inline int kit_begin(void **state)
{
    char path[PATH_BYTES];

    (void)state;
    (void)snprintf(kit_root, sizeof(kit_root), "/tmp/portcullis-keys-XXXXXX");
    if (mkdtemp(kit_root) == NULL)
        return -1;
    folder_path('t', path);
    if (mkdir(path, 0700) != 0)
        return -1;
    for (size_t i = 0; i < PC_COUNT(kit_names); i++)
        key_save('t', kit_names[i], kit_algs[i]);
    key_save('t', "other.pem", CRYPTO_RS256);
    return 0;
}

static inline int kit_end(void **state)
{
    (void)state;
    folder_empty('t', true);
    return rmdir(kit_root);
}

static inline int keys_setup(void **state)
{
    clock_fake_init(&kit_clock, T0);
    return bench_setup(state);
}

static inline int keys_teardown(void **state)
{
    folder_empty('a', true);
    folder_empty('b', true);
    return bench_teardown(state);
}

/* The paths live as long as the program. */
static inline struct oauth_keys_options node_options(char which)
{
    static char paths[2][PATH_BYTES];
    char *path = paths[which == 'a' ? 0 : 1];

    folder_path(which, path);
    return (struct oauth_keys_options){.clock = &kit_clock.clock,
                                       .store = bench.store,
                                       .dir = path,
                                       .alg = CRYPTO_RS256,
                                       .publish_s = PUBLISH_S,
                                       .verify_s = VERIFY_S};
}

static inline struct oauth_keys *node_open(char which)
{
    struct oauth_keys_options options = node_options(which);
    struct crypto_fault fault = {""};
    struct oauth_keys *keys = NULL;
    enum err err = oauth_keys_open(&options, &keys, &fault);

    if (err)
        fail_msg("%s: %s", err_name(err), fault.text);
    return keys;
}

static inline int64_t now_ns(void)
{
    return clock_realtime_ns(&kit_clock.clock);
}

static inline void pass_s(int64_t seconds)
{
    clock_fake_move(&kit_clock, seconds * CLOCK_NS_PER_S);
}

static inline const struct crypto_signer *signer_of(const struct oauth_keys *keys,
                                                    enum crypto_alg alg)
{
    const struct crypto_signer *signer = oauth_keys_signer(keys, alg, now_ns());

    assert_non_null(signer);
    assert_int_equal(signer->alg, alg);
    return signer;
}

static inline struct span token_sign(const struct oauth_keys *keys, enum crypto_alg alg)
{
    struct sbuf out = sbuf_on(&bench.arena, 4096);

    assert_int_equal(crypto_jwt_sign(signer_of(keys, alg), SPAN_OF("at+jwt"),
                                     SPAN_OF("{\"iss\":\"https://i\",\"sub\":\"1\"}"), &out),
                     ERR_OK);
    return sbuf_span(&out);
}

static inline bool token_verifies(const struct oauth_keys *keys, struct span token)
{
    const struct crypto_jwt_rules rules = {
        .iss = SPAN("https://i"), .typ = SPAN("at+jwt"), .exp_optional = true};
    struct crypto_jwt jwt;

    return crypto_jwt_verify(oauth_keys_public(keys, now_ns()), &rules, token,
                             now_ns() / CLOCK_NS_PER_S, &bench.arena, &jwt, NULL) == ERR_OK;
}

static inline struct oauth_key_row rotate(char which, enum crypto_alg alg, bool at_once)
{
    struct oauth_keys_options options = node_options(which);
    struct crypto_fault fault = {""};
    struct oauth_key_row row;
    enum err err = oauth_key_rotate(&options, alg, at_once, &bench.arena, &row, &fault);

    if (err)
        fail_msg("%s: %s", err_name(err), fault.text);
    return row;
}

static const struct store_statement kit_rows = {.name = "test_keys",
                                                .sqlite = "SELECT count(*) FROM oauth_keys"};
static const struct store_statement kit_changes = {
    .name = "test_key_changes",
    .sqlite = "SELECT count(*) FROM identity_changes WHERE subject = 0 AND what = 'keys'"};
static const struct store_statement kit_trail = {
    .name = "test_key_trail",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event LIKE 'key.%'"};

#define KEYS_TEST(function) cmocka_unit_test_setup_teardown(function, keys_setup, keys_teardown)

#endif
