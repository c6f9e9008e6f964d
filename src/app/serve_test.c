/* SPDX-License-Identifier: MIT
 * The running program, started here and there and in a wrong way: places, ports, reloads, and what
 * is left on disk. What it answers is played by tests/scenarios. */
#include "app/config_test.h"
#include "app/serve_priv.h"
#include "base/folder_test_kit.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <ftw.h>
#include <netdb.h>
#include <poll.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[TEST_FOLDER_BYTES];
static struct serve *serve;
static struct serve_fault fault;

static int folder_make(void **state)
{
    return test_folder("serve", folder) && chdir(folder) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    return remove(path);
}

static int folder_remove(void **state)
{
    serve_stop(serve);
    serve = NULL;
    return chdir("/") == 0 && nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

#define QUICK "log:\n  path: log\nworkers:\n  loops: 1\nshutdown:\n  drain_seconds: 0\n"
#define FREE                                                                                       \
    "gateway: {port: 0}\nauth: {port: 0}\naccount: {port: 0}\ntransaction: {port: 0}\n"            \
    "audit: {port: 0}\nmonitoring: {port: 0}\n"

static enum err start_at(const char *yaml, unsigned services, const struct clock *clock)
{
    const struct serve_options options = {
        .config = &config_test.config, .version = "0.0.0", .services = services, .clock = clock};

    assert_int_equal(config_test_load(yaml, NULL), ERR_OK);
    return serve_start(&options, &serve, &fault);
}

static enum err start(const char *yaml, unsigned services)
{
    return start_at(yaml, services, NULL);
}

/* A socket at a port of this machine; -1 when nobody listens there. */
static int reach(uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

/* Port 0 gives each service a free port of its own, which is known and answers. */
static void each_service_has_its_place(void **state)
{
    assert_int_equal(start(QUICK FREE, 0), ERR_OK);
    assert_int_not_equal(serve_port(serve, CONFIG_GATEWAY), serve_port(serve, CONFIG_AUTH));
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        int fd = reach(serve_port(serve, i));

        assert_true(serve_serves(serve, i));
        assert_true(fd >= 0);
        (void)close(fd);
    }
}

static sem_t stuck, freed;

static void stand_still(struct net_task *task)
{
    (void)sem_post(&stuck);
    while (sem_wait(&freed) != 0)
        continue;
}

/* One loop of two that stands still is enough to count as dead, and what turns again lives. */
static void it_lives_while_all_loops_turn(void **state)
{
    struct net_task task = {.run = stand_still};

    assert_int_equal(sem_init(&stuck, 0, 0) + sem_init(&freed, 0, 0), 0);
    assert_int_equal(start(FREE "log: {path: log}\nworkers: {loops: 2}\n", 0), ERR_OK);
    net_loop_post(net_server_loop(serve->server, 1), &task);
    while (sem_wait(&stuck) != 0)
        continue;
    assert_true(serve_is_alive(serve)); /* nobody was asked before */
    for (int i = 0; i < 100; i++) {
        assert_false(serve_is_alive(serve));
        (void)poll(NULL, 0, 1);
    }
    (void)sem_post(&freed);
    for (int i = 0, turns = 0; turns < 3; i++) {
        assert_true(i < 60000);
        turns += serve_is_alive(serve) ? 1 : 0;
        (void)poll(NULL, 0, 1);
    }
    (void)sem_destroy(&stuck);
    (void)sem_destroy(&freed);
}

/* What is not served is not bound. */
static void only_what_is_wanted(void **state)
{
    assert_int_equal(start(QUICK FREE, CONFIG_SERVICE_BIT(CONFIG_AUTH)), ERR_OK);
    assert_true(serve_serves(serve, CONFIG_AUTH));
    assert_false(serve_serves(serve, CONFIG_GATEWAY));
    assert_int_equal(serve_port(serve, CONFIG_GATEWAY), 0);
}

/* Listens at a free port of this machine. */
static int listen_here(uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

/* The gateway alone at this port, with so many sockets from `first` on. */
static enum err start_given(uint16_t port, int first, unsigned count)
{
    char yaml[256];
    const struct serve_options options = {.config = &config_test.config,
                                          .version = "0.0.0",
                                          .services = CONFIG_SERVICE_BIT(CONFIG_GATEWAY),
                                          .given_first = first,
                                          .given_count = count};

    (void)snprintf(yaml, sizeof(yaml), QUICK "gateway: {host: 127.0.0.1, port: %u}\n", port);
    assert_int_equal(config_test_load(yaml, NULL), ERR_OK);
    return serve_start(&options, &serve, &fault);
}

static void assert_answers(int fd)
{
    static const char request[] = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    char answer[16] = {0};

    assert_true(fd >= 0);
    assert_int_equal(write(fd, request, sizeof(request) - 1), sizeof(request) - 1);
    assert_int_equal(recv(fd, answer, 12, MSG_WAITALL), 12);
    assert_string_equal(answer, "HTTP/1.1 200");
    (void)close(fd);
}

/* A socket that is somebody else's goes on listening when the program ends: who connects then waits
 * for the next one, and is not refused. */
static void a_given_socket_is_served(void **state)
{
    uint16_t port;
    int socket = listen_here(&port), waiting;

    assert_int_equal(start_given(port, fcntl(socket, F_DUPFD_CLOEXEC, 100), 1), ERR_OK);
    for (int i = 0; i < 20; i++)
        assert_answers(reach(port));
    serve_stop(serve);
    serve = NULL;
    waiting = reach(port);
    assert_true(waiting >= 0);
    assert_int_equal(start_given(port, fcntl(socket, F_DUPFD_CLOEXEC, 100), 1), ERR_OK);
    assert_answers(waiting);
    (void)close(socket);
}

static void a_socket_without_a_place_is_refused(void **state)
{
    uint16_t port, other;
    int first = listen_here(&port), second = listen_here(&other);
    int block = fcntl(first, F_DUPFD_CLOEXEC, 200);

    assert_int_equal(start_given(other, block, 1), ERR_CONFIG); /* at another port */
    assert_non_null(strstr(fault.text, "LISTEN_FDS: a socket listens at 127.0.0.1 port "));
    assert_int_equal(fcntl(block, F_GETFD), -1);
    block = fcntl(first, F_DUPFD_CLOEXEC, 200);
    assert_int_equal(fcntl(first, F_DUPFD_CLOEXEC, block), block + 1);
    assert_int_equal(start_given(port, block, 2), ERR_CONFIG); /* two at one place */
    assert_non_null(strstr(fault.text, "or has one already"));
    assert_int_equal(fcntl(block, F_GETFD), -1);
    assert_int_equal(fcntl(block + 1, F_GETFD), -1);
    block = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(start_given(port, block, 1), ERR_CONFIG); /* does not listen */
    assert_non_null(strstr(fault.text, "is no TCP socket that listens"));
    block = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(start_given(port, block, 1), ERR_CONFIG);
    assert_non_null(strstr(fault.text, "is no TCP socket that listens"));
    (void)close(first);
    (void)close(second);
}

/* A port that is taken stops the start with the name of the service. */
static void a_taken_port_is_told(void **state)
{
    uint16_t port;
    int fd = listen_here(&port);
    char yaml[256];
    char told[128];

    (void)snprintf(yaml, sizeof(yaml), QUICK "gateway:\n  port: 0\nauth:\n  port: %u\n", port);
    (void)snprintf(told, sizeof(told),
                   "auth: 127.0.0.1 port %u cannot be bound: Address already in use", port);
    assert_int_equal(start(yaml, 0), ERR_IO);
    assert_string_equal(fault.text, told);
    (void)close(fd);
}

static void a_strange_host_is_told(void **state)
{
    assert_int_equal(start(QUICK "gateway:\n  port: 0\nauth:\n  host: nowhere.invalid\n", 0),
                     ERR_CONFIG);
    assert_non_null(strstr(fault.text, "auth.host: \"nowhere.invalid\" is no address of this"));
}

static void assert_private(const char *path)
{
    struct stat about;

    assert_int_equal(stat(path, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0700);
}

/* A first start makes its folders for itself alone, and users and clients once. */
static void a_first_start_makes_what_is_missing(void **state)
{
    assert_int_equal(start(QUICK FREE, 0), ERR_OK);
    assert_private("data");
    assert_private("data/keys");
    assert_private("data/keys/oauth");
    assert_int_equal(serve_seeded(serve), 3);
    assert_int_equal(serve_clients_seeded(serve), 6);
    serve_stop(serve);
    serve = NULL;
    assert_int_equal(start(QUICK FREE, 0), ERR_OK);
    assert_int_equal(serve_seeded(serve), 0);
    assert_int_equal(serve_clients_seeded(serve), 0);
}

/* Where the issuer's folder should be is a file. */
static void no_room_for_keys_is_told(void **state)
{
    FILE *file;

    assert_int_equal(mkdir("data", 0700), 0);
    assert_int_equal(mkdir("data/keys", 0700), 0);
    file = fopen("data/keys/oauth", "we");
    assert_non_null(file);
    (void)fclose(file);
    assert_int_equal(start(QUICK FREE, 0), ERR_IO);
    assert_string_equal(fault.text, "./data/keys/oauth: this is where the data folder must be, and "
                                    "it is something else");
}

static enum err reload(const struct config *config)
{
    const struct serve_settings settings = {.config = config};

    return serve_reload(serve, &settings, &fault);
}

/* What a reload cannot do is told with the name of the service, and all stays as it was. */
static void a_reload_is_whole(void **state)
{
    struct config wanted;

    assert_int_equal(start(QUICK FREE, 0), ERR_OK);
    wanted = config_test.config;
    assert_int_equal(reload(&wanted), ERR_OK);
    wanted.listeners[CONFIG_AUTH].certificate = "a.pem";
    assert_int_equal(reload(&wanted), ERR_CONFIG);
    assert_string_equal(fault.text,
                        "auth: TLS cannot be switched on or off by a reload; restart instead");
}

static atomic_bool gone;

static void on_gone(void *context)
{
    (void)context;
    atomic_store(&gone, true);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All that is said until the end. */
static void hear_end(int fd)
{
    char text[4096];

    while (recv(fd, text, sizeof(text), 0) > 0)
        continue;
    (void)close(fd);
}

/* Former settings are let go of when their last request is over, not at the next reload. */
static void former_settings_go_with_their_last_request(void **state)
{
    static struct config before, after;
    const struct serve_settings settings = {.config = &before, .over = on_gone};
    struct clock_fake now;
    char yaml[512];
    uint16_t port;
    int upstream = listen_here(&port);
    int client, target;
    char head[1024];

    clock_fake_init(&now, INT64_C(1800000000) * CLOCK_NS_PER_S);
    (void)snprintf(yaml, sizeof(yaml),
                   QUICK FREE "upstreams: [{name: a, targets: [{url: \"http://127.0.0.1:%u\"}]}]\n"
                              "routes: [{path: /a, upstream: a, access: open}]\n",
                   port);
    assert_int_equal(start_at(yaml, 0, &now.clock), ERR_OK);
    before = after = config_test.config;
    assert_int_equal(serve_reload(serve, &settings, &fault), ERR_OK);
    client = reach(serve_port(serve, CONFIG_GATEWAY));
    say(client, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    target = accept(upstream, NULL, NULL);
    assert_true(recv(target, head, sizeof(head), 0) > 0);
    assert_int_equal(reload(&after), ERR_OK);
    say(target, "HTTP/1.1 204 No Content\r\n\r\n");
    hear_end(client);
    client = reach(serve_port(serve, CONFIG_GATEWAY)); /* the loop is beyond it */
    say(client, "GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    hear_end(client);
    assert_false(atomic_load(&gone));
    clock_fake_move(&now, 60 * CLOCK_NS_PER_S);
    while (!atomic_load(&gone))
        (void)sched_yield();
    serve_stop(serve);
    serve = NULL;
    (void)close(target);
    (void)close(upstream);
}

/* Whoever asked has gone; there is no other way to the end of this. */
static void asker_is_gone(int fd)
{
    char text[4096];

    while (recv(fd, text, sizeof(text), 0) > 0)
        continue;
    (void)close(fd);
}

/* Waits for somebody to ask, and leaves him without an answer. */
static void ask_is_heard(int server, int *ret_fd)
{
    *ret_fd = accept(server, NULL, NULL);
    assert_true(*ret_fd >= 0);
}

static bool is_asked(int server)
{
    struct pollfd at = {.fd = server, .events = POLLIN};

    return poll(&at, 1, 0) > 0;
}

/* An issuer that stays is the same one, which nobody asks again; one that changed is another, and
 * the former has gone with its thread when the reload is answered. */
static void a_reload_swaps_issuers(void **state)
{
    enum { RELOADS = 20 };
    static struct config_issuer issuers[2];
    static struct config changed;
    uint16_t kept_port, changed_port;
    int kept = listen_here(&kept_port);
    int other = listen_here(&changed_port);
    int kept_asking, asking;
    struct config first;
    char yaml[1024];

    (void)snprintf(yaml, sizeof(yaml),
                   QUICK FREE
                   "issuers:\n"
                   "  - {name: kept, issuer: k, audience: [a], algorithms: [ES256],\n"
                   "     jwks_url: \"http://127.0.0.1:%u/k\", timeout_ms: 60000}\n"
                   "  - {name: other, issuer: o, audience: [a], algorithms: [ES256],\n"
                   "     jwks_url: \"http://127.0.0.1:%u/k\", timeout_ms: 60000}\n"
                   "upstreams: [{name: a, targets: [{url: \"http://127.0.0.1:1\"}]}]\n"
                   "routes:\n"
                   "  - {path: /a, upstream: a, access: bearer, issuers: [kept, other]}\n",
                   kept_port, changed_port);
    assert_int_equal(start(yaml, 0), ERR_OK);
    ask_is_heard(kept, &kept_asking);
    ask_is_heard(other, &asking);
    first = changed = config_test.config;
    memcpy(issuers, first.issuers.items, sizeof(issuers));
    changed.issuers.items = issuers;
    issuers[1].leeway_seconds++;
    assert_int_equal(reload(&first), ERR_OK); /* the same: nobody begins or ends */
    for (size_t i = 0; i < RELOADS; i++) {
        int before = asking;

        assert_int_equal(reload(i % 2 ? &first : &changed), ERR_OK);
        asker_is_gone(before);
        ask_is_heard(other, &asking);
    }
    assert_false(is_asked(kept));
    assert_false(is_asked(other));
    changed.issuers.count = 1;
    changed.routes.count = 0; /* it names both */
    assert_int_equal(reload(&changed), ERR_OK);
    asker_is_gone(asking);
    serve_stop(serve);
    serve = NULL;
    asker_is_gone(kept_asking);
    (void)close(kept);
    (void)close(other);
}

/* In place of the system's resolver: some names hang until they are let go. */
static sem_t dead_asked, dead_end;
static atomic_int redis_asked, dead_through;

typedef int look_up_fn(const char *name, const char *service, const struct addrinfo *req,
                       struct addrinfo **pai);

int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    bool is_redis = name != NULL && strcmp(name, "redis.example") == 0;
    bool is_literal = req != NULL && (req->ai_flags & AI_NUMERICHOST) != 0;
    look_up_fn *real;

    if (!is_literal && ((is_redis && atomic_fetch_add(&redis_asked, 1) > 0) ||
                        (name != NULL && strcmp(name, "keys.example") == 0))) {
        PC_ASSERT(sem_post(&dead_asked) == 0);
        PC_ASSERT(sem_wait(&dead_end) == 0);
        (void)atomic_fetch_add(&dead_through, 1);
        return EAI_AGAIN;
    }
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    return real(is_redis && !is_literal ? "127.0.0.1" : name, service, req, pai);
}

/* Redis is away and its name is looked up again, an issuer's keys are fetched: neither a reload nor
 * the end waits for a resolver that answers nobody. */
static void nobody_waits_for_a_dead_resolver(void **state)
{
    struct config wanted;

    assert_int_equal(sem_init(&dead_asked, 0, 0), 0);
    assert_int_equal(sem_init(&dead_end, 0, 0), 0);
    assert_int_equal(start(QUICK FREE
                           "redis: {url: \"redis://redis.example:1\"}\n"
                           "limits: {shared: {mode: exact, nodes: 2, on_outage: local_share}}\n"
                           "issuers:\n"
                           "  - {name: k, issuer: k, audience: [a], algorithms: [ES256],\n"
                           "     jwks_url: \"https://keys.example/k\", timeout_ms: 60000}\n",
                           0),
                     ERR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sem_wait(&dead_asked), 0);
    wanted = config_test.config;
    wanted.issuers.count = 0;
    assert_int_equal(reload(&wanted), ERR_OK);
    serve_stop(serve);
    serve = NULL;
    assert_int_equal(atomic_load(&dead_through), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(sem_post(&dead_end), 0);
    while (atomic_load(&dead_through) < 2)
        (void)sched_yield();
}

/* A node that is there, too busy to take another connection, is not pushed aside or waited for. */
static void a_busy_operators_socket_is_anothers(void **state)
{
    const struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "busy.sock"};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int first = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(connect(first, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(start(QUICK FREE "admin: {socket: busy.sock}\n", 0), ERR_IO);
    assert_non_null(strstr(fault.text, "another node answers there"));
    (void)close(first);
    (void)close(fd);
}

/* A rate is for a route of a service that is served. */
static void rates_are_for_routes(void **state)
{
    static const char yaml[] =
        "limits:\n  routes:\n    - {route: \"POST /auth/token\", burst: 5}\n";
    const unsigned gateway = CONFIG_SERVICE_BIT(CONFIG_GATEWAY);

    assert_int_equal(config_test_load(yaml, NULL), ERR_OK);
    assert_int_equal(serve_routes_check(&config_test.config, 0, &fault), ERR_OK);
    assert_int_equal(serve_routes_check(&config_test.config, gateway, &fault), ERR_CONFIG);
    assert_int_equal(
        config_test_load("limits:\n  routes:\n    - {route: GET /whoam, burst: 5}\n", NULL),
        ERR_OK);
    assert_int_equal(serve_routes_check(&config_test.config, 0, &fault), ERR_CONFIG);
    assert_string_equal(fault.text, "limits.routes: \"GET /whoam\" is not a route that is limited, "
                                    "did you mean \"GET /whoami\"?");
}

/* ---- what the trail was told ------------------------------------------------------------------
 */

static const struct store_statement told_find = {
    .name = "test_serve_told",
    .sqlite = "SELECT count(*) FROM trail_events WHERE event = ?1 AND outcome = ?2 AND "
              "actor_kind = 'system' AND (reason || ' ' || coalesce(details, '') LIKE ?3 OR "
              "details LIKE ?3)"};

struct told {
    const char *event, *outcome, *like;
    int64_t count;
};

static enum err told_run(struct store_conn *conn, struct store_job *job)
{
    struct told *told = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &told_find,
                               STORE_PARAMS(STORE_TEXT(span_from(told->event)),
                                            STORE_TEXT(span_from(told->outcome)),
                                            STORE_TEXT(span_from(told->like))),
                               &rows);

    if (err)
        return err;
    told->count = store_next(rows) ? store_rows_i64(rows, 0) : -1;
    return store_rows_err(rows);
}

/* From outside, as an operator would look. */
static int64_t told(const char *event, const char *outcome, const char *like)
{
    const struct store_options options = {.data_dir = "data"};
    struct told asked = {.event = event, .outcome = outcome, .like = like};
    struct store *store = NULL;

    assert_int_equal(store_open(&options, &store, NULL), ERR_OK);
    assert_int_equal(store_do(store, told_run, &asked, false), ERR_OK);
    store_close(store);
    return asked.count;
}

/* What ran, with which settings, and how it ended; a first start makes a schema and a key too. */
static void a_run_is_told(void **state)
{
    assert_int_equal(start(QUICK FREE, CONFIG_SERVICE_BIT(CONFIG_GATEWAY)), ERR_OK);
    assert_int_equal(told("schema.migrated", "done", "start {\"from\":\"0\",%"), 1);
    assert_int_equal(told("key.created", "done", "first start {\"alg\":\"HS256\"}"), 1);
    assert_int_equal(told("key.created", "done", "first start {\"alg\":\"EdDSA\"}"), 1);
    assert_int_equal(told("program.started", "done",
                          "{\"version\":\"0.0.0\",\"services\":\"gateway\",\"config\":%"),
                     1);
    assert_int_equal(told("config.loaded", "done", "start {\"config\":%"), 1);
    assert_int_equal(told("program.stopped", "done", "%"), 0);
    serve_stop(serve);
    serve = NULL;
    assert_int_equal(told("program.stopped", "done", "{\"drained\":\"yes\",%"), 1);
    assert_int_equal(start(QUICK FREE, 0), ERR_OK);
    assert_int_equal(told("program.started", "done", "%"), 2);
    assert_int_equal(told("schema.migrated", "done", "%"), 1);
    assert_int_equal(told("key.created", "done", "first start {\"alg\":\"HS256\"}"), 1);
}

/* A reload tells what it took over and what waits; a refused one what was wrong. */
static void a_reload_is_told(void **state)
{
    struct config wanted;

    assert_int_equal(start(QUICK FREE, 0), ERR_OK);
    wanted = config_test.config;
    wanted.limits.burst++;
    wanted.workers.loops++;
    assert_int_equal(reload(&wanted), ERR_OK);
    assert_int_equal(told("config.loaded", "done",
                          "reload %\"changed\":\"limits.burst\",\"waiting\":\"workers.loops\"}"),
                     1);
    assert_int_equal(reload(&wanted), ERR_OK);
    assert_int_equal(told("config.loaded", "done", "reload %\"changed\"%"), 1);
    wanted.listeners[CONFIG_AUTH].certificate = "a.pem";
    assert_int_equal(reload(&wanted), ERR_CONFIG);
    assert_int_equal(told("config.loaded", "refused", "auth: TLS cannot be switched%"), 1);
    serve_not_reloaded(serve, SPAN_OF("portcullis.yaml:1:1: unknown key"));
    assert_int_equal(told("config.loaded", "refused", "portcullis.yaml:1:1: unknown key%"), 1);
}

/* What cannot be written down does not happen. */
static void nothing_starts_untold(void **state)
{
    struct config wanted;

    assert_int_equal(start(QUICK FREE, 0), ERR_OK);
    wanted = config_test.config;
    store_fail_at(STORE_FAIL_ALWAYS);
    assert_int_equal(reload(&wanted), ERR_STORE_UNAVAILABLE);
    store_fail_at(0);
    assert_string_equal(fault.text, "the trail cannot be written: The store cannot be reached");
    assert_int_equal(told("config.loaded", "done", "reload%"), 0);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(each_service_has_its_place),
        IN_FOLDER(a_run_is_told),
        IN_FOLDER(a_reload_is_told),
        IN_FOLDER(nothing_starts_untold),
        IN_FOLDER(it_lives_while_all_loops_turn),
        IN_FOLDER(a_given_socket_is_served),
        IN_FOLDER(a_socket_without_a_place_is_refused),
        IN_FOLDER(only_what_is_wanted),
        IN_FOLDER(a_taken_port_is_told),
        IN_FOLDER(a_strange_host_is_told),
        IN_FOLDER(a_first_start_makes_what_is_missing),
        IN_FOLDER(no_room_for_keys_is_told),
        IN_FOLDER(a_reload_is_whole),
        IN_FOLDER(former_settings_go_with_their_last_request),
        IN_FOLDER(a_reload_swaps_issuers),
        IN_FOLDER(nobody_waits_for_a_dead_resolver),
        IN_FOLDER(a_busy_operators_socket_is_anothers),
        cmocka_unit_test(rates_are_for_routes),
    };
#undef IN_FOLDER

    return cmocka_run_group_tests(tests, config_test_set_up, config_test_tear_down);
}
