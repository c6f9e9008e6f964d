/* SPDX-License-Identifier: MIT
 * A stop while requests are on other threads and their clients have gone: what was let in is
 * finished, with everything it needs still there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "inside.h"

enum { ROUNDS = 5, CLIENTS = 40, SEEDS = 3 };

/* Dear enough that some passwords are still being hashed when the program stops. */
static const struct span yaml = SPAN("password:\n  scheme: bcrypt\n  bcrypt_cost: 7\n"
                                     "workers:\n  loops: 1\n  hashers: 8\n");

static struct link *register_one(struct world *world, size_t number)
{
    struct link *link = link_open(world, CONFIG_GATEWAY, "");
    char text[512];
    char body[256];

    assert_non_null(link);
    (void)snprintf(body, sizeof(body),
                   "{\"username\":\"user-%zu\",\"email\":\"user-%zu@example.com\","
                   "\"password\":\"secure_password123\"}",
                   number, number);
    (void)snprintf(text, sizeof(text),
                   "POST /api/v1/auth/register HTTP/1.1\r\nHost: localhost\r\n"
                   "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                   strlen(body), body);
    link_send(link, span_from(text));
    return link;
}

/* What was sent before has been read: connections are taken in order, and all that are readable are
 * read in one turn. */
static void wait_for_loop(struct world *world)
{
    struct caller caller = {.world = world};

    for (int turn = 0; turn < 2; turn++)
        assert_int_equal(inside_ask(&caller, "GET", "/livez", NULL, NULL), 200);
    inside_hangup(&caller);
}

static void what_was_let_in_is_finished(void **state)
{
    struct link *links[CLIENTS];

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        struct world world = {.way = WORLD_ADOPT,
                              .postgres = getenv("PORTCULLIS_TEST_POSTGRES_URL")};

        assert_true(world_start(&world, yaml));
        for (size_t i = 0; i < CLIENTS; i++)
            links[i] = register_one(&world, i);
        wait_for_loop(&world);
        for (size_t i = 0; i < CLIENTS; i++)
            link_close(links[i]);
        serve_stop(world.serve);
        world.serve = NULL;
        assert_int_equal(world_number(&world, SPAN_OF("SELECT count(*) FROM users")),
                         SEEDS + CLIENTS);
        world_stop(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_let_in_is_finished),
    };

    return cmocka_run_group_tests_name("stopping", tests, NULL, NULL);
}
