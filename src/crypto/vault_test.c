/* SPDX-License-Identifier: MIT
 * Keys in a process of their own: what they sign verifies here, their private halves are not here,
 * and when that process ends nothing is signed any more. */
#include "crypto/vault.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "crypto/jwk.h"
#include "crypto/signer.h"

static char folder[] = "/tmp/portcullis-vault-XXXXXX";

static int begin(void **state)
{
    const struct crypto_vault_options options = {.channels = 2};
    struct crypto_fault fault = {{0}};

    (void)state;
    if (crypto_vault_start(&options, &fault) != ERR_OK)
        fail_msg("%s", fault.text);
    return 0;
}

static int end(void **state)
{
    (void)state;
    crypto_vault_stop();
    assert_false(crypto_vault_is_there());
    return 0;
}

static const char *path_of(const char *name)
{
    static char path[128];

    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void signs(struct crypto_key *key)
{
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    struct crypto_signer signer;
    size_t bytes = 0;

    assert_int_equal(crypto_signer_local(key, &signer), ERR_OK);
    assert_int_equal(signer.sign(signer.context, SPAN_OF("pay 10 EUR"), signature, &bytes), ERR_OK);
    assert_true(crypto_key_verify(key, SPAN_OF("pay 10 EUR"), span_make(signature, bytes)));
    assert_false(crypto_key_verify(key, SPAN_OF("pay 90 EUR"), span_make(signature, bytes)));
}

static const enum crypto_alg algs[] = {CRYPTO_RS256, CRYPTO_PS256, CRYPTO_ES256, CRYPTO_ES384,
                                       CRYPTO_EDDSA};

static void makes_saves_and_loads(void **state)
{
    (void)state;
    for (size_t i = 0; i < PC_COUNT(algs); i++) {
        PC_AUTO(crypto_key) made = NULL;
        PC_AUTO(crypto_key) loaded = NULL;
        const char *path = path_of(crypto_alg_name(algs[i]));
        struct crypto_fault fault = {{0}};
        char text[4096];
        struct sbuf out = sbuf_over(text, sizeof(text));
        struct stat info;

        assert_int_equal(crypto_key_generate(algs[i], (struct span){0}, &made), ERR_OK);
        assert_true(crypto_key_is_private(made));
        signs(made);
        assert_int_not_equal(crypto_jwk_add(&out, made, CRYPTO_JWK_PRIVATE), ERR_OK);
        assert_int_equal(crypto_key_save(made, path, &fault), ERR_OK);
        assert_int_equal(crypto_key_save(made, path, &fault), ERR_TAKEN);
        assert_int_equal(stat(path, &info), 0);
        assert_int_equal(info.st_mode & 0777, 0600);
        assert_int_equal(crypto_key_load(path, algs[i], SPAN_OF("named"), &loaded, &fault), ERR_OK);
        assert_true(span_is(crypto_key_kid(loaded), "named"));
        assert_true(span_equal(crypto_key_thumbprint(loaded), crypto_key_thumbprint(made)));
        signs(loaded);
        (void)unlink(path);
    }
}

static void tells_what_is_wrong(void **state)
{
    struct crypto_fault fault = {{0}};
    struct crypto_key *key;

    (void)state;
    assert_int_equal(crypto_key_load(path_of("none"), CRYPTO_ES256, (struct span){0}, &key, &fault),
                     ERR_IO);
    assert_non_null(strstr(fault.text, "none: No such file"));
}

static void secrets_stay_here(void **state)
{
    PC_AUTO(crypto_key) key = NULL;

    (void)state;
    assert_int_equal(crypto_key_generate(CRYPTO_HS256, (struct span){0}, &key), ERR_OK);
    signs(key);
}

/* More keys than it has room for, one after the other: what is freed makes room. */
static void forgets(void **state)
{
    (void)state;
    for (int i = 0; i < 600; i++) {
        PC_AUTO(crypto_key) key = NULL;

        assert_int_equal(crypto_key_generate(CRYPTO_EDDSA, (struct span){0}, &key), ERR_OK);
    }
}

static void *signs_often(void *context)
{
    for (int i = 0; i < 200; i++)
        signs(context);
    return NULL;
}

/* More threads than pairs of sockets. */
static void many_threads_sign(void **state)
{
    PC_AUTO(crypto_key) key = NULL;
    pthread_t threads[8];

    (void)state;
    assert_int_equal(crypto_key_generate(CRYPTO_EDDSA, (struct span){0}, &key), ERR_OK);
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, signs_often, key), 0);
    for (size_t i = 0; i < PC_COUNT(threads); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void too_much_is_refused(void **state)
{
    static char data[64 * 1024];
    PC_AUTO(crypto_key) key = NULL;
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t bytes;

    (void)state;
    assert_int_equal(crypto_key_generate(CRYPTO_EDDSA, (struct span){0}, &key), ERR_OK);
    assert_int_equal(crypto_key_sign(key, span_make(data, sizeof(data)), signature, &bytes),
                     ERR_KEY);
    signs(key);
}

static void fails_closed(void **state)
{
    PC_AUTO(crypto_key) key = NULL;
    struct crypto_key *other;
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    size_t bytes;

    (void)state;
    assert_int_equal(crypto_key_generate(CRYPTO_ES256, (struct span){0}, &key), ERR_OK);
    assert_true(crypto_vault_answers());
    assert_int_equal(kill(crypto_vault_pid(), SIGKILL), 0);
    assert_int_equal(crypto_key_sign(key, SPAN_OF("x"), signature, &bytes), ERR_BUSY);
    assert_false(crypto_vault_answers());
    assert_true(crypto_vault_is_lost());
    assert_int_equal(crypto_key_generate(CRYPTO_ES256, (struct span){0}, &other), ERR_BUSY);
}

/* One that stands still keeps nobody waiting for ever, and none is waited for in the end. */
static void standing_still_is_lost(void **state)
{
    const struct crypto_vault_options options = {.channels = 2, .answer_s = 1};
    PC_AUTO(crypto_key) key = NULL;
    unsigned char signature[CRYPTO_SIGNATURE_BYTES_MAX];
    siginfo_t stopped;
    size_t bytes;
    int pid;

    (void)state;
    assert_int_equal(crypto_vault_start(&options, NULL), ERR_OK);
    pid = crypto_vault_pid();
    assert_int_equal(crypto_key_generate(CRYPTO_ES256, (struct span){0}, &key), ERR_OK);
    assert_false(crypto_vault_is_lost());
    assert_int_equal(kill(pid, SIGSTOP), 0); /* its threads may run on until each has heard of it */
    assert_int_equal(waitid(P_PID, (id_t)pid, &stopped, WSTOPPED), 0);
    assert_false(crypto_vault_is_lost()); /* nobody has asked it yet */
    assert_int_equal(crypto_key_sign(key, SPAN_OF("x"), signature, &bytes), ERR_BUSY);
    assert_true(crypto_vault_is_lost());
    crypto_vault_stop();
    assert_false(crypto_vault_is_there());
    assert_int_equal(kill(pid, SIGKILL), 0); /* the end of this process would be its end as well */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static enum err refuses(void *context)
{
    (void)context;
    return ERR_CONFIG;
}

static void must_settle(void **state)
{
    const struct crypto_vault_options options = {.channels = 1, .settle = refuses};

    (void)state;
    assert_int_equal(crypto_vault_start(&options, NULL), ERR_IO);
    assert_false(crypto_vault_is_there());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(makes_saves_and_loads, begin, end),
        cmocka_unit_test_setup_teardown(tells_what_is_wrong, begin, end),
        cmocka_unit_test_setup_teardown(secrets_stay_here, begin, end),
        cmocka_unit_test_setup_teardown(forgets, begin, end),
        cmocka_unit_test_setup_teardown(many_threads_sign, begin, end),
        cmocka_unit_test_setup_teardown(too_much_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(fails_closed, begin, end),
        cmocka_unit_test(standing_still_is_lost),
        cmocka_unit_test(must_settle),
    };
    int failed;

    if (mkdtemp(folder) == NULL)
        return 1;
    failed = cmocka_run_group_tests_name("vault", tests, NULL, NULL);
    (void)rmdir(folder);
    return failed;
}
