/* SPDX-License-Identifier: MIT
 * Starting and stopping the program under test. The base configuration is quick rather than safe:
 * the cheapest hashes, no limits worth mentioning, and proxies of every kind are trusted, so that a
 * scenario can come from any address by X-Forwarded-For. */
#include "world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/certs.h"
#include "store/store.h"

enum { ARENA_BYTES_MAX = 4 * 1024 * 1024, YAML_BYTES_MAX = 64 * 1024 };

/* A section that the scenario's own lines may replace; %s is the folder. */
static const struct {
    const char *name, *text;
} base[] = {
    {"environment:", "environment: development\n"},
    {"limits:", "limits:\n  requests_per_minute: 100000\n"},
    {"trusted_proxies:", "trusted_proxies: [\"0.0.0.0/32\", \"127.0.0.1/32\"]\n"},
    {"password:", "password:\n  scheme: bcrypt\n  bcrypt_cost: 4\n"},
    {"shutdown:", "shutdown:\n  drain_seconds: 1\n"},
    {"workers:", "workers:\n  loops: 2\n  hashers: 2\n"},
};

const char *const world_certificates[] = {"web-portal", "payments-gateway", "risk-engine", NULL};

static int64_t ahead_monotonic(void *context)
{
    struct world *world = context;

    return clock_monotonic_ns(&clock_system) + atomic_load(&world->ahead_ns);
}

static int64_t ahead_realtime(void *context)
{
    struct world *world = context;

    return clock_realtime_ns(&clock_system) + atomic_load(&world->ahead_ns);
}

void world_clock_move(struct world *world, int64_t ns)
{
    atomic_fetch_add(&world->ahead_ns, ns);
}

/* ---- configuration ----------------------------------------------------------------------------
 */

static bool names_section(struct span yaml, const char *name)
{
    struct span line;

    while (span_cut(&yaml, '\n', &line)) {
        if (span_starts(line, span_from(name)))
            return true;
    }
    return false;
}

static void add_listener(const struct world *world, enum config_service service, struct sbuf *out)
{
    sbuf_add_format(out, "%s:\n  host: 127.0.0.1\n  port: 0\n", config_service_name(service));
    if (world->way == WORLD_TLS)
        sbuf_add_format(out,
                        "  tls:\n    certificate: %s/certs/server.crt\n"
                        "    key: %s/certs/server.key\n    client_auth: optional\n"
                        "    client_ca: %s/certs/ca.crt\n",
                        world->dir, world->dir, world->dir);
}

static void add_places(const struct world *world, struct sbuf *out)
{
    sbuf_add_format(out, "data: %s\nlog:\n  path: %s/log\n  level: debug\n", world->dir,
                    world->dir);
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++)
        add_listener(world, i, out);
    if (world->postgres != NULL)
        sbuf_add_format(out, "database:\n  url: %s\n  sslmode: disable\n", world->postgres);
}

static bool load(struct world *world, struct span yaml, struct config *ret)
{
    struct sbuf text = sbuf_on(&world->arena, YAML_BYTES_MAX);
    struct config_sources sources = {.path = "scenario.yaml"};
    struct config_problems problems = {0};
    struct span whole;

    add_places(world, &text);
    for (size_t i = 0; i < PC_COUNT(base); i++) {
        if (!names_section(yaml, base[i].name))
            sbuf_add_text(&text, base[i].text);
    }
    sbuf_add(&text, yaml);
    whole = sbuf_span(&text);
    sources.text = &whole;
    if (!text.full && config_load(&sources, &world->arena, ret, NULL, &problems) == ERR_OK)
        return true;
    printf("# the configuration is refused\n");
    for (size_t i = 0; i < problems.count; i++)
        printf("#   %.*s\n", SPAN_ARG(problems.list[i].line));
    return false;
}

/* ---- an empty store ---------------------------------------------------------------------------
 */

struct sql {
    struct store_statement statement;
    int64_t number;
};

static enum err sql_run(struct store_conn *conn, struct store_job *job)
{
    const struct sql *sql = job->context;

    return store_exec(conn, &sql->statement, NULL, 0, NULL);
}

static enum err number_run(struct store_conn *conn, struct store_job *job)
{
    struct sql *sql = job->context;
    PC_AUTO(store_rows) rows = NULL;
    enum err err = store_query(conn, &sql->statement, NULL, 0, &rows);

    if (err)
        return err;
    if (!store_next(rows))
        return store_rows_end(rows, ERR_NOT_FOUND);
    sql->number = store_rows_i64(rows, 0);
    return store_rows_err(rows);
}

static struct store *open_store(const struct world *world)
{
    const struct store_options options = {
        .url = span_from(world->postgres ? world->postgres : "sqlite:portcullis.db"),
        .data_dir = world->dir,
        .sslmode = "disable"};
    struct store *store = NULL;
    struct store_fault fault = {""};

    if (store_open(&options, &store, &fault) != ERR_OK) {
        printf("# the store cannot be opened: %s\n", fault.text);
        return NULL;
    }
    return store;
}

/* Runs a text as a statement, on a store handle of its own. */
static enum err run_text(const struct world *world, struct span text, store_run_fn *run,
                         int64_t *ret_number)
{
    struct store *store = open_store(world);
    char copy[4096];
    struct sql sql = {.statement = {.name = "scenario", .sqlite = copy}};
    enum err err;

    if (store == NULL)
        return ERR_STORE_UNAVAILABLE;
    PC_ASSERT(text.len < sizeof(copy));
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    err = store_do(store, run, &sql, run == sql_run);
    store_close(store);
    if (err)
        printf("# %s: %s\n", err_name(err), copy);
    else
        *ret_number = sql.number;
    return err;
}

bool world_sql(const struct world *world, struct span text)
{
    int64_t none;

    return run_text(world, text, sql_run, &none) == ERR_OK;
}

int64_t world_number(const struct world *world, struct span sql)
{
    int64_t number;

    return run_text(world, sql, number_run, &number) == ERR_OK ? number : -1;
}

static bool empty_postgres(const struct world *world)
{
    return world->postgres == NULL || (world_sql(world, SPAN_OF("DROP SCHEMA public CASCADE")) &&
                                       world_sql(world, SPAN_OF("CREATE SCHEMA public")));
}

static bool make_certificates(const struct world *world)
{
    char folder[96];
    const struct crypto_certs_options options = {
        .folder = folder, .clients = world_certificates, .clock = &clock_system, .force = true};
    struct crypto_fault fault = {0};

    if (world->way != WORLD_TLS)
        return true;
    (void)snprintf(folder, sizeof(folder), "%s/certs", world->dir);
    if (crypto_certs_make(&options, &fault) == ERR_OK)
        return true;
    printf("# no certificates: %s\n", fault.text);
    return false;
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

bool world_start(struct world *world, struct span yaml)
{
    struct serve_options options = {
        .config = &world->config, .version = "0.0.0-scenario", .clock = &world->clock};
    struct serve_fault fault = {""};

    world->clock = (struct clock){
        .monotonic_ns = ahead_monotonic, .realtime_ns = ahead_realtime, .context = world};
    atomic_store(&world->ahead_ns, 0);
    arena_init(&world->arena, NULL, 0, ARENA_BYTES_MAX);
    if (!test_folder("scenario", world->dir))
        return false;
    options.unbound = world->way == WORLD_ADOPT;
    if (make_certificates(world) && load(world, yaml, &world->config) && empty_postgres(world)) {
        if (serve_start(&options, &world->serve, &fault) == ERR_OK)
            return true;
        printf("# the program does not start: %s\n", fault.text);
    }
    world->serve = NULL;
    world_stop(world);
    return false;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *place)
{
    (void)info;
    (void)kind;
    (void)place;
    return remove(path);
}

void world_stop(struct world *world)
{
    serve_stop(world->serve);
    world->serve = NULL;
    arena_reset(&world->arena);
    if (world->dir[0] != '\0')
        (void)nftw(world->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    world->dir[0] = '\0';
}

bool world_reload(struct world *world, struct span yaml)
{
    struct config *config = arena_zero(&world->arena, sizeof(*config));
    const struct serve_settings settings = {.config = config};
    struct serve_fault fault = {""};

    if (config == NULL || !load(world, yaml, config))
        return false;
    if (serve_reload(world->serve, &settings, &fault) == ERR_OK)
        return true;
    printf("# no reload: %s\n", fault.text);
    return false;
}

/* ---- connections ------------------------------------------------------------------------------
 */

static int connect_pair(struct world *world, enum config_service service)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    (void)fcntl(pair[1], F_SETFL, O_NONBLOCK);
    if (serve_adopt(world->serve, service, pair[1]) == ERR_OK)
        return pair[0];
    (void)close(pair[0]);
    (void)close(pair[1]);
    return -1;
}

int world_connect(struct world *world, enum config_service service)
{
    struct sockaddr_in to = {.sin_family = AF_INET};
    int fd;

    if (world->way == WORLD_ADOPT)
        return connect_pair(world, service);
    to.sin_port = htons(serve_port(world->serve, service));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}
