/* SPDX-License-Identifier: MIT
 * OpenSSL's generator as a source: every byte is drawn, none twice, also behind a fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/check.h"
#include "crypto/random.h"

/* A byte that is never written stays zero in eight draws. */
static void every_byte_is_drawn(void **state)
{
    static const size_t sizes[] = {0, 1, 15, 2048, 1024 * 1024 + 7};
    enum { ROOM = 1024 * 1024 + 8 };
    unsigned char *bytes = alloc_zero(ROOM);
    unsigned char *seen = alloc_zero(ROOM);

    (void)state;
    assert_non_null(bytes);
    assert_non_null(seen);
    for (size_t i = 0; i < PC_COUNT(sizes); i++) {
        memset(seen, 0, ROOM);
        memset(bytes, 0, ROOM);
        for (int draw = 0; draw < 8; draw++) {
            random_fill(&crypto_random, bytes, sizes[i]);
            for (size_t j = 0; j < ROOM; j++)
                seen[j] |= bytes[j];
        }
        for (size_t j = 0; j < ROOM; j++)
            assert_int_equal(seen[j] != 0, j < sizes[i]);
    }
    alloc_free(bytes);
    alloc_free(seen);
}

static void a_child_draws_its_own(void **state)
{
    unsigned char mine[32], its[32] = {0};
    int ends[2];
    int status = 0;
    pid_t child;

    (void)state;
    random_fill(&crypto_random, mine, sizeof(mine));
    assert_int_equal(pipe(ends), 0);
    child = fork();
    assert_true(child >= 0);
    random_fill(&crypto_random, mine, sizeof(mine));
    if (child == 0)
        _exit(write(ends[1], mine, sizeof(mine)) == sizeof(mine) ? 0 : 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(read(ends[0], its, sizeof(its)), sizeof(its));
    assert_memory_not_equal(mine, its, sizeof(its));
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_drawn),
        cmocka_unit_test(a_child_draws_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
