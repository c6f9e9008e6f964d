/* SPDX-License-Identifier: MIT
 * The running program, started here and there and in a wrong way: places, ports, reloads, and what
 * is left on disk. What it answers is played by tests/scenarios. */
#include "app/config_test.h"
#include "app/serve.h"

#include <arpa/inet.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/portcullis-serve-XXXXXX";
static struct serve *serve;
static struct serve_fault fault;

static int folder_make(void **state)
{
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
    return mkdtemp(folder) != NULL && chdir(folder) == 0 ? 0 : -1;
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
#define FREE  "gateway: {port: 0}\nauth: {port: 0}\naccount: {port: 0}\ntransaction: {port: 0}\n"

static enum err start(const char *yaml, unsigned services)
{
    const struct serve_options options = {
        .config = &config_test.config, .version = "0.0.0", .services = services};

    assert_int_equal(config_test_load(yaml, NULL), ERR_OK);
    return serve_start(&options, &serve, &fault);
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

/* What is not served is not bound. */
static void only_what_is_wanted(void **state)
{
    assert_int_equal(start(QUICK FREE, CONFIG_SERVICE_BIT(CONFIG_AUTH)), ERR_OK);
    assert_true(serve_serves(serve, CONFIG_AUTH));
    assert_false(serve_serves(serve, CONFIG_GATEWAY));
    assert_int_equal(serve_port(serve, CONFIG_GATEWAY), 0);
}

/* A port that is taken stops the start with the name of the service. */
static void a_taken_port_is_told(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char yaml[256];
    char told[128];

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &bytes), 0);
    (void)snprintf(yaml, sizeof(yaml), QUICK "gateway:\n  port: 0\nauth:\n  port: %u\n",
                   ntohs(at.sin_port));
    (void)snprintf(told, sizeof(told),
                   "auth: 127.0.0.1 port %u cannot be bound: Address already in use",
                   ntohs(at.sin_port));
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
    assert_int_equal(serve_clients_seeded(serve), 5);
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

/* What a reload cannot do is told with the name of the service, and all stays as it was. */
static void a_reload_is_whole(void **state)
{
    struct config wanted;

    assert_int_equal(start(QUICK FREE, 0), ERR_OK);
    wanted = config_test.config;
    assert_int_equal(serve_reload(serve, &wanted, &fault), ERR_OK);
    wanted.listeners[CONFIG_AUTH].certificate = "a.pem";
    assert_int_equal(serve_reload(serve, &wanted, &fault), ERR_CONFIG);
    assert_string_equal(fault.text,
                        "auth: TLS cannot be switched on or off by a reload; restart instead");
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

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(each_service_has_its_place),
        IN_FOLDER(only_what_is_wanted),
        IN_FOLDER(a_taken_port_is_told),
        IN_FOLDER(a_strange_host_is_told),
        IN_FOLDER(a_first_start_makes_what_is_missing),
        IN_FOLDER(no_room_for_keys_is_told),
        IN_FOLDER(a_reload_is_whole),
        cmocka_unit_test(rates_are_for_routes),
    };
#undef IN_FOLDER

    return cmocka_run_group_tests(tests, config_test_set_up, config_test_tear_down);
}
