/* SPDX-License-Identifier: MIT
 * What loading settings minds on the disk: the file itself, the files that settings name, and who
 * may read those that hold a secret. */
#include "app/config_test.h"

#include "base/alloc.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/portcullis-config-XXXXXX";

/* What production needs beside its secret. */
#define PRODUCTION                                                                                 \
    "TLS_TERMINATED_IN_FRONT=true", "TRUSTED_PROXIES=10.0.0.0/8",                                  \
        "AUTH_JWT_ISSUER=https://auth.example.com"

static int folder_make(void **state)
{
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
}

static int folder_remove(void **state)
{
    static const char *const names[] = {"portcullis.yaml", "secret", "key.pem", "cert.pem"};

    for (size_t i = 0; i < PC_COUNT(names); i++)
        (void)unlink(names[i]);
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

static void file_write(const char *name, const char *text, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    (void)close(fd);
}

/* Without --config the file in the working folder is read if there is one; a file that was asked
 * for must be there, be a file, and be of a sane size. */
static void file_is_found(void **state)
{
    char *large = alloc_zero(CONFIG_FILE_BYTES_MAX + 2);

    assert_int_equal(config_test_load_file(NULL, NULL), ERR_OK);
    file_write("portcullis.yaml", "gateway:\n  port: 1\n", 0644);
    assert_int_equal(config_test_load_file(NULL, NULL), ERR_OK);
    assert_int_equal(config_test.config.listeners[CONFIG_GATEWAY].port, 1);
    assert_int_equal(config_test_load_file("other.yaml", NULL), ERR_IO);
    assert_string_equal(config_test_told(),
                        "other.yaml: cannot be read: No such file or directory");
    assert_int_equal(config_test_load_file(folder, NULL), ERR_IO);
    assert_non_null(large);
    memset(large, '#', CONFIG_FILE_BYTES_MAX + 1);
    file_write("portcullis.yaml", large, 0644);
    assert_int_equal(config_test_load_file(NULL, NULL), ERR_CONFIG);
    assert_string_equal(config_test_told(), "portcullis.yaml: is longer than 262144 bytes");
    alloc_free(large);
}

/* A file with a secret in it is for its owner only: production refuses, development warns. */
static void secret_files_are_private(void **state)
{
    static const char *const production[] = {"ENVIRONMENT=production", PRODUCTION,
                                             "JWT_SECRET_KEY_FILE=secret", NULL};
    static const char *const inside[] = {"ENVIRONMENT=production", PRODUCTION, NULL};

    file_write("secret", CONFIG_TEST_SECRET "\nsecond line\n", 0600);
    assert_int_equal(config_test_load_file(NULL, production), ERR_OK);
    assert_string_equal(config_test.config.jwt.secret, CONFIG_TEST_SECRET);
    file_write("secret", CONFIG_TEST_SECRET "\n", 0604);
    assert_int_equal(config_test_load_file(NULL, production), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "environment JWT_SECRET_KEY_FILE: jwt.secret_file: the file secret "
                        "can be read or changed by others, give it mode 0600");
    assert_int_equal(config_test_load_file(NULL, production + 1), ERR_OK);
    assert_true(config_test.problems.list[0].warning);

    file_write("portcullis.yaml", "jwt:\n  secret: " CONFIG_TEST_SECRET "\n", 0644);
    assert_int_equal(config_test_load_file(NULL, inside), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "portcullis.yaml:2:3: jwt.secret: the file portcullis.yaml can be "
                        "read or changed by others, give it mode 0600");
    assert_int_equal(config_test_load_file(NULL, production),
                     ERR_CONFIG); /* the secret file is still open */
    file_write("portcullis.yaml", "jwt:\n  secret: " CONFIG_TEST_SECRET "\n", 0600);
    assert_int_equal(config_test_load_file(NULL, inside), ERR_OK);
}

/* So does a database password in the file. */
static void database_password_is_private(void **state)
{
    static const char *const production[] = {"ENVIRONMENT=production", PRODUCTION,
                                             "JWT_SECRET_KEY=" CONFIG_TEST_SECRET, NULL};

    file_write("portcullis.yaml", "database:\n  url: postgresql://a:b@c/d\n", 0644);
    assert_int_equal(config_test_load_file(NULL, production), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "portcullis.yaml:2:3: database.url: the file portcullis.yaml can "
                        "be read or changed by others, give it mode 0600");
    file_write("portcullis.yaml", "database:\n  url: postgresql://a@c/d\n", 0644);
    assert_int_equal(config_test_load_file(NULL, production), ERR_OK);
}

/* Files that settings name must be readable files, and a secret must be in its file. */
static void named_files_are_checked(void **state)
{
    static const char *const production[] = {"ENVIRONMENT=production", PRODUCTION, NULL};

    file_write("portcullis.yaml",
               "gateway:\n  tls: {certificate: cert.pem, key: key.pem}\njwt:\n  secret_file: "
               "secret\n",
               0644);
    file_write("cert.pem", "x", 0644);
    assert_int_equal(config_test_load_file(NULL, NULL), ERR_CONFIG);
    assert_string_equal(
        config_test_told(),
        "portcullis.yaml:2:32: gateway.tls.key: the file key.pem cannot be read: No such "
        "file or directory\n"
        "portcullis.yaml:4:3: jwt.secret_file: the file secret cannot be read: No such "
        "file or directory");
    file_write("key.pem", "x", 0600);
    assert_int_equal(config_test_load_file(NULL, production), ERR_CONFIG);
    assert_int_equal(config_test.problems.errors, 1); /* not "production needs a secret" as well */
    file_write("secret", "\n", 0600);
    assert_int_equal(config_test_load_file(NULL, NULL), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "portcullis.yaml:4:3: jwt.secret_file: the first line of secret "
                        "must be a secret of 1 to 1024 bytes");
}

/* A folder is no certificate, nor is a device. */
static void named_folders_are_refused(void **state)
{
    file_write("portcullis.yaml", "gateway:\n  tls: {certificate: /etc, key: key.pem}\n", 0644);
    file_write("key.pem", "x", 0600);
    assert_int_equal(config_test_load_file(NULL, NULL), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "portcullis.yaml:2:9: gateway.tls.certificate: the file /etc cannot "
                        "be read: Is a directory");
    file_write("portcullis.yaml", "gateway:\n  tls: {certificate: /dev/null, key: key.pem}\n",
               0644);
    assert_int_equal(config_test_load_file(NULL, NULL), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "portcullis.yaml:2:9: gateway.tls.certificate: the file /dev/null cannot "
                        "be read: it is not a regular file");
}

/* The secret comes from one place: two in one source are a mistake, and what the environment gives
 * stands over what the file names. */
static void secret_has_one_source(void **state)
{
    static const char *const variables[] = {"JWT_SECRET_KEY=" CONFIG_TEST_SECRET "x", NULL};

    file_write("secret", CONFIG_TEST_SECRET "\n", 0600);
    file_write("portcullis.yaml", "jwt:\n  secret_file: secret\n", 0600);
    assert_int_equal(config_test_load_file(NULL, NULL), ERR_OK);
    assert_string_equal(config_test.config.jwt.secret, CONFIG_TEST_SECRET);
    assert_int_equal(config_test_load_file(NULL, variables), ERR_OK);
    assert_string_equal(config_test.config.jwt.secret, CONFIG_TEST_SECRET "x");
    file_write("portcullis.yaml", "jwt:\n  secret_file: secret\n  secret: " CONFIG_TEST_SECRET "\n",
               0600);
    assert_int_equal(config_test_load_file(NULL, NULL), ERR_CONFIG);
    assert_string_equal(config_test_told(),
                        "portcullis.yaml:2:3: jwt.secret_file: give either this or "
                        "jwt.secret, not both");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_is_found, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(secret_files_are_private, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(database_password_is_private, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(named_files_are_checked, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(named_folders_are_refused, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(secret_has_one_source, folder_make, folder_remove),
    };

    return cmocka_run_group_tests(tests, config_test_set_up, config_test_tear_down);
}
