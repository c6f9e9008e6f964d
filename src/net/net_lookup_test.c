/* SPDX-License-Identifier: MIT
 * Looking names up, by a resolver that answers, refuses, or hangs until it is let go. */
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/net_lookup.h"

static sem_t go_on;
static atomic_int asked, through;

typedef int look_up_fn(const char *name, const char *port, const struct addrinfo *hints,
                       struct addrinfo **ret);

/* In place of the system's. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *req,
                struct addrinfo **pai)
{
    look_up_fn *real;
    int failed;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if ((req->ai_flags & AI_NUMERICHOST) != 0)
        return real(name, service, req, pai);
    (void)atomic_fetch_add(&asked, 1);
    if (strcmp(name, "nobody") == 0)
        return EAI_NONAME;
    if (strcmp(name, "hangs") == 0)
        PC_ASSERT(sem_wait(&go_on) == 0);
    failed = real("127.0.0.7", service, req, pai);
    (void)atomic_fetch_add(&through, 1);
    return failed;
}

static int64_t in_ms(int64_t ms)
{
    return clock_monotonic_ns(&clock_system) + ms * CLOCK_NS_PER_MS;
}

static int start(void **state)
{
    struct net_lookup *lookup;

    atomic_store(&asked, 0);
    atomic_store(&through, 0);
    if (sem_init(&go_on, 0, 0) != 0 || net_lookup_new(&lookup) != ERR_OK)
        return -1;
    *state = lookup;
    return 0;
}

static void addresses_are_told(void **state)
{
    struct net_lookup_answer answer = {.count = 0};
    const struct sockaddr_in *at = (const struct sockaddr_in *)(const void *)&answer.list[0].at;
    const char *why = NULL;

    assert_int_equal(net_lookup_ask(*state, "quick", "8080", in_ms(60000), -1, &answer, &why),
                     ERR_OK);
    assert_int_equal(answer.count, 1);
    assert_int_equal(at->sin_family, AF_INET);
    assert_int_equal(ntohs(at->sin_port), 8080);
    assert_int_equal(ntohl(at->sin_addr.s_addr), 0x7F000007);
    assert_int_equal(net_lookup_ask(*state, "nobody", "80", in_ms(60000), -1, &answer, &why),
                     ERR_IO);
    assert_string_equal(why, gai_strerror(EAI_NONAME));
    assert_int_equal(net_lookup_ask(*state, "::1", "443", in_ms(0), -1, &answer, &why), ERR_OK);
    assert_int_equal(answer.list[0].at.ss_family, AF_INET6);
    assert_int_equal(atomic_load(&asked), 2); /* an address is none to be asked for */
    net_lookup_free(*state);
}

/* Whoever asks again waits for the same thread; another name has one of its own. */
static void nobody_waits_longer_than_he_likes(void **state)
{
    struct net_lookup_answer answer;
    const char *why = NULL;

    for (int i = 0; i < 5; i++) {
        assert_int_equal(net_lookup_ask(*state, "hangs", "80", in_ms(5), -1, &answer, &why),
                         ERR_IO);
        assert_string_equal(why, "its name is looked up for too long");
    }
    while (atomic_load(&asked) == 0)
        (void)sched_yield();
    PC_ASSERT(sem_post(&go_on) == 0);
    assert_int_equal(net_lookup_ask(*state, "hangs", "80", in_ms(60000), -1, &answer, &why),
                     ERR_OK);
    assert_int_equal(answer.count, 1);
    assert_int_equal(atomic_load(&asked), 1);
    assert_int_equal(net_lookup_ask(*state, "hangs", "80", in_ms(0), -1, &answer, &why), ERR_IO);
    assert_int_equal(net_lookup_ask(*state, "quick", "80", in_ms(60000), -1, &answer, &why),
                     ERR_OK);
    while (atomic_load(&asked) < 3)
        (void)sched_yield();
    PC_ASSERT(sem_post(&go_on) == 0);
    while (atomic_load(&through) < 3) /* the next test counts from 0 */
        (void)sched_yield();
    net_lookup_free(*state);
}

static void stopping_waits_for_nobody(void **state)
{
    struct net_lookup_answer answer;
    const char *why = NULL;
    int stop[2];

    assert_int_equal(pipe(stop), 0);
    (void)close(stop[1]);
    assert_int_equal(net_lookup_ask(*state, "hangs", "80", INT64_MAX, stop[0], &answer, &why),
                     ERR_IO);
    assert_string_equal(why, "the program stops");
    net_lookup_free(*state);
    assert_int_equal(atomic_load(&through), 0);
    PC_ASSERT(sem_post(&go_on) == 0); /* it ends with what is its own */
    while (atomic_load(&through) == 0)
        (void)sched_yield();
    (void)close(stop[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(addresses_are_told, start),
        cmocka_unit_test_setup(nobody_waits_longer_than_he_likes, start),
        cmocka_unit_test_setup(stopping_waits_for_nobody, start),
    };

    return cmocka_run_group_tests_name("net_lookup", tests, NULL, NULL);
}
