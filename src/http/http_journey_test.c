/* SPDX-License-Identifier: MIT
 * What may happen to a request while it is on its way: its job is run again, the queue ahead is
 * full, its user's rights change; and what its line in the log must not hold. Routes of the test's
 * own on a whole service. */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/folder_test_kit.h"
#include "http/http.h"
#include "net/net_pool.h"

enum { REPLY_BYTES = 4096, WAIT_S = 10, USER = 7 };

static char dir[TEST_FOLDER_BYTES];
static char log_path[TEST_FOLDER_BYTES + 8];
static struct logger *logger;
static struct store *store;
static struct net_pool *pool;
static struct http_engine *engine;
static struct http_service *service;
static struct net_server *server;
static struct net_listener *listener;

/* ---- routes -----------------------------------------------------------------------------------
 */

struct note {
    bool loud, has_loud;
};

static const struct json_field note_fields[] = {
    {.name = "loud",
     .kind = JSON_KIND_BOOL,
     .optional = true,
     .offset = offsetof(struct note, loud),
     .has_offset = offsetof(struct note, has_loud)},
};
static const struct json_schema note_schema = {.name = "Note",
                                               .about = "What a test sends.",
                                               .fields = note_fields,
                                               .field_count = PC_COUNT(note_fields),
                                               .bytes = sizeof(struct note)};

static atomic_int first_runs;
static atomic_int last_runs;
static atomic_bool is_admin;

static enum err last(struct http_request *req)
{
    atomic_fetch_add(&last_runs, 1);
    return http_reply_empty(req, 204);
}

/* The first time, the transaction is lost after the handler was done. */
static enum err written_twice(struct http_request *req)
{
    enum err err = http_hop(req, HTTP_RUN_LOOP, last);

    if (err)
        return err;
    return atomic_fetch_add(&first_runs, 1) == 0 ? ERR_STORE_RETRY : ERR_OK;
}

static enum err read_then_hash(struct http_request *req)
{
    return http_hop(req, HTTP_RUN_HASH, last);
}

static enum err too_long(struct http_request *req)
{
    static char value[12000];

    memset(value, 'x', sizeof(value));
    http_reply_header(req, "X-Long", span_make(value, sizeof(value)));
    return http_reply_text(req, 200, "text/plain", SPAN_OF("body"));
}

static const struct http_route routes[] = {
    {.method = NET_METHOD_GET,
     .path = "/long",
     .access = HTTP_ACCESS_OPEN,
     .run = HTTP_RUN_LOOP,
     .handle = too_long,
     .id = "long"},
    {.method = NET_METHOD_POST,
     .path = "/twice",
     .access = HTTP_ACCESS_OPEN,
     .run = HTTP_RUN_WRITE,
     .handle = written_twice,
     .id = "twice"},
    {.method = NET_METHOD_POST,
     .path = "/far",
     .access = HTTP_ACCESS_OPEN,
     .run = HTTP_RUN_READ,
     .handle = read_then_hash,
     .id = "far"},
    {.method = NET_METHOD_PATCH,
     .path = "/admin",
     .access = HTTP_ACCESS_ADMIN,
     .body = &note_schema,
     .run = HTTP_RUN_LOOP,
     .handle = last,
     .id = "admin"},
    {.path = NULL},
};

/* Any token is good, and always the same user's. */
static enum err verify(void *context, struct span token, int64_t now_s, struct arena *arena,
                       struct http_principal *ret_principal)
{
    (void)context;
    (void)token;
    (void)arena;
    *ret_principal = (struct http_principal){.user_id = USER, .expires_at_s = now_s + 3600};
    return ERR_OK;
}

static enum err load(void *context, struct store_conn *conn, struct arena *arena,
                     struct http_principal *principal)
{
    (void)context;
    (void)conn;
    (void)arena;
    principal->username = SPAN_OF("tester");
    principal->email = SPAN_OF("tester@example.com");
    principal->is_admin = atomic_load(&is_admin);
    return ERR_OK;
}

/* ---- the service ------------------------------------------------------------------------------
 */

static bool start_engine(void)
{
    static const struct http_policy policy = {
        .rate = {.requests = 100000, .period_ns = 60 * CLOCK_NS_PER_S},
        .rate_verify = {.requests = 100000, .period_ns = 60 * CLOCK_NS_PER_S},
        .body_bytes_max = 65536,
        .breaker_failures = 1000};
    static const struct http_mount mounts[] = {{.rows = routes}};
    const struct log_options logging = {.path = log_path};
    const struct store_options store_options = {.data_dir = dir, .seal = &trail_seal};
    const struct http_service_options service_options = {
        .name = "test", .mounts = mounts, .mount_count = 1, .policy = &policy};
    struct http_engine_options options = {.clock = &clock_system,
                                          .random = &random_system,
                                          .identity = {.verify = verify, .load = load}};
    const struct store_migration *list;
    size_t count;
    const char *why;

    store_migrations(&list, &count);
    if (!test_folder("journey", dir))
        return false;
    (void)snprintf(log_path, sizeof(log_path), "%s/log", dir);
    if (log_open(&logging, &logger) != ERR_OK ||
        store_open(&store_options, &store, NULL) != ERR_OK ||
        store_migrate(store, list, count, NULL) != ERR_OK ||
        net_pool_new("hash", 1, 1, &pool) != ERR_OK)
        return false;
    options.logger = logger;
    options.access_log = true;
    options.store = store;
    options.hash_pool = pool;
    return http_engine_new(&options, &engine) == ERR_OK &&
           http_service_new(engine, &service_options, &service, &why) == ERR_OK;
}

static int start(void **state)
{
    const struct net_server_options options = {
        .loops = 1, .loop_started = http_loop_started, .loop_stopped = http_loop_stopped};
    struct net_server_options with_engine = options;
    struct net_listener_options listening = {.name = "test", .app = &http_net_app};

    (void)state;
    if (!start_engine())
        return -1;
    with_engine.loop_context = engine;
    listening.app_context = service;
    return net_server_new(&with_engine, &server) == ERR_OK &&
                   net_server_listen_none(server, &listening, &listener) == ERR_OK &&
                   net_server_start(server) == ERR_OK
               ? 0
               : -1;
}

static int stop(void **state)
{
    char command[TEST_FOLDER_BYTES + 8];

    (void)state;
    net_server_free(server);
    net_pool_free(pool);
    store_close(store);
    http_service_free(service);
    http_engine_free(engine);
    log_close(logger);
    (void)snprintf(command, sizeof(command), "rm -r %s", dir);
    return system(command);
}

/* ---- a client ---------------------------------------------------------------------------------
 */

static int dial(void)
{
    const struct timeval wait = {.tv_sec = WAIT_S};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_int_equal(setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
    assert_int_equal(net_server_adopt(server, listener, pair[1]), ERR_OK);
    return pair[0];
}

static void say(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

/* The status of the next answer, which must come in one piece. */
static int hear(int fd)
{
    char text[REPLY_BYTES];
    ssize_t len = read(fd, text, sizeof(text));
    uint64_t status;

    assert_true(len > 12);
    assert_memory_equal(text, "HTTP/1.1 ", 9);
    assert_true(span_to_u64(span_make(text + 9, 3), &status));
    return (int)status;
}

/* ---- tests ------------------------------------------------------------------------------------
 */

/* A handler of the writer that asks for another stop, and whose transaction is rolled back: it is
 * the one that runs again, not the stop it asked for. */
static void what_is_rolled_back_runs_again(void **state)
{
    int fd = dial();

    (void)state;
    atomic_store(&last_runs, 0);
    say(fd, "POST /twice HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(hear(fd), 204);
    assert_int_equal(atomic_load(&first_runs), 2);
    assert_int_equal(atomic_load(&last_runs), 1);
    (void)close(fd);
}

static sem_t begun, go_on;

static void wait_for_test(struct net_job *job)
{
    (void)job;
    (void)sem_post(&begun);
    (void)sem_wait(&go_on);
}

static void tell_test(struct net_job *job)
{
    (void)job;
    (void)sem_post(&begun);
}

/* A full queue half way, while a body that nobody asked for waits to be read and is malformed: one
 * answer, not two. */
static void a_full_queue_is_one_answer(void **state)
{
    static struct net_job running = {.run = wait_for_test};
    static struct net_job queued = {.run = tell_test};
    int fd = dial();

    (void)state;
    assert_int_equal(sem_init(&begun, 0, 0), 0);
    assert_int_equal(sem_init(&go_on, 0, 0), 0);
    assert_int_equal(net_pool_submit(pool, &running), ERR_OK);
    assert_int_equal(sem_wait(&begun), 0);
    assert_int_equal(net_pool_submit(pool, &queued), ERR_OK);
    say(fd, "POST /far HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n");
    assert_int_equal(hear(fd), 503);
    (void)close(fd);
    /* The same with a client that goes away instead. */
    fd = dial();
    say(fd, "POST /far HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    (void)close(fd);
    fd = dial();
    say(fd, "GET /livez HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(hear(fd), 200);
    (void)close(fd);
    assert_int_equal(sem_post(&go_on), 0);
    assert_int_equal(sem_wait(&begun), 0);
}

/* Who was an administrator when the head came, and is none when the body is here, may not. */
static void rights_are_those_when_the_body_is_here(void **state)
{
    int fd = dial();

    (void)state;
    atomic_store(&is_admin, true);
    http_engine_feed_alive(engine, clock_monotonic_ns(&clock_system));
    say(fd, "PATCH /admin HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer t\r\n"
            "Content-Type: application/json\r\nContent-Length: 2\r\n"
            "Expect: 100-continue\r\n\r\n");
    assert_int_equal(hear(fd), 100);
    atomic_store(&is_admin, false);
    http_forget_subject(engine, USER);
    say(fd, "{}");
    assert_int_equal(hear(fd), 403);
    (void)close(fd);
}

/* The access log's next line for this path, which nobody answers. */
static void log_must_say(const char *path, const char *said)
{
    static long seen;
    char text[REPLY_BYTES];
    int fd = dial();
    FILE *log;

    (void)snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
    say(fd, text);
    assert_int_equal(hear(fd), 404);
    (void)close(fd);
    assert_true(log_flush(logger, WAIT_S * 1000));
    log = fopen(log_path, "r");
    assert_non_null(log);
    assert_int_equal(fseek(log, seen, SEEK_SET), 0);
    do
        assert_non_null(fgets(text, sizeof(text), log));
    while (strstr(text, "\"status_code\":404") == NULL);
    seen = ftell(log);
    (void)fclose(log);
    if (strstr(text, said) == NULL)
        fail_msg("%s is logged as %s", path, text);
}

/* A card number in a path is masked, with its usual blanks and dashes too; an id is not. */
static void the_log_holds_no_card_number(void **state)
{
    (void)state;
    log_must_say("/c/4111111111111111/x", "\"/c/************1111/x\"");
    log_must_say("/c/4111111111111112/x", "\"/c/************/x\"");
    log_must_say("/c/4111111111111112", "\"/c/************\"");
    log_must_say("/111111111112/41111111111/x-411111-1111112/y",
                 "\"/************/41111111111/x-************/y\"");
    log_must_say("/c/4111-1111-1111-1111/x", "\"/c/****-****-****-1111/x\"");
    log_must_say("/c/4111%201111%201111%201111", "\"/c/**** **** **** 1111\"");
    log_must_say("/c/DE89370400440532013000/cvv=123", "\"/c/DE****************3000/cvv=***\"");
    log_must_say("/c/4111--1111-11/1111-2-", "\"/c/4111--1111-11/1111-2-\"");
    log_must_say("/u/0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d",
                 "\"/u/0b9d3f0e-6f0c-4f3e-9a53-8d9a4a1c2b3d\"");
    log_must_say("/u/12345678901-", "\"/u/12345678901-\"");
}

/* Header lines that do not fit are no answer: a line cut in two would run into the next. */
static void a_cut_header_is_an_error(void **state)
{
    int fd = dial();

    (void)state;
    say(fd, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(hear(fd), 500);
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_rolled_back_runs_again),
        cmocka_unit_test(a_full_queue_is_one_answer),
        cmocka_unit_test(rights_are_those_when_the_body_is_here),
        cmocka_unit_test(the_log_holds_no_card_number),
        cmocka_unit_test(a_cut_header_is_an_error),
    };

    return cmocka_run_group_tests_name("journey", tests, start, stop);
}
