/* SPDX-License-Identifier: MIT
 * Names into addresses. A name owns some of the picker's places from the start; its addresses take
 * them and leave them:
 *
 *   absent --an address is new (place_take)--> present --it is told no more (place_leave)--> absent
 *
 * An address that comes back finds its own place again, with its kept connections. A place is given
 * to another address only when no request is in flight there, so that no result is told of the
 * wrong one; its version grows, and connections of an earlier version are closed when met. */
#include "upstream/upstream_resolve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "upstream/upstream_pool.h"

enum { NAME_BYTES = 256 };

/* ---- asking the system -------------------------------------------------------------------------
 */

static size_t look_up(const char *name, bool literal, struct upstream_place *list, size_t max,
                      const char **reterr_why)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = literal ? AI_NUMERICHOST : 0};
    struct addrinfo *answer = NULL;
    size_t count = 0;
    int failed = getaddrinfo(name, NULL, &hints, &answer);

    if (failed != 0) {
        *reterr_why = gai_strerror(failed);
        return 0;
    }
    for (const struct addrinfo *one = answer; one != NULL && count < max; one = one->ai_next) {
        if (one->ai_addrlen > sizeof(list[count].address))
            continue;
        memset(&list[count], 0, sizeof(list[count]));
        memcpy(&list[count].address, one->ai_addr, one->ai_addrlen);
        list[count++].bytes = one->ai_addrlen;
    }
    freeaddrinfo(answer);
    return count;
}

size_t upstream_look_up(void *context, const char *name, struct upstream_place *list, size_t max,
                        const char **reterr_why)
{
    (void)context;
    return look_up(name, false, list, max, reterr_why);
}

/* ---- reading answers ---------------------------------------------------------------------------
 */

/* The address itself, as bytes; empty when it is none that can be asked. */
static struct span bytes_of(const struct upstream_place *place)
{
    static const struct in6_addr nobody;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)&place->address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)&place->address;

    if (v4->sin_family == AF_INET && place->bytes >= sizeof(*v4) && v4->sin_addr.s_addr != 0 &&
        !IN_MULTICAST(ntohl(v4->sin_addr.s_addr)))
        return span_make((const char *)&v4->sin_addr, sizeof(v4->sin_addr));
    if (v6->sin6_family == AF_INET6 && place->bytes >= sizeof(*v6) &&
        memcmp(&v6->sin6_addr, &nobody, sizeof(nobody)) != 0 &&
        !IN6_IS_ADDR_MULTICAST(&v6->sin6_addr))
        return span_make((const char *)&v6->sin6_addr, sizeof(v6->sin6_addr));
    return (struct span){0};
}

static bool is_same(const struct upstream_place *a, const struct upstream_place *b)
{
    struct span one = bytes_of(a);

    return one.len > 0 && span_equal(one, bytes_of(b));
}

/* Addresses of four bytes first, then by their bytes: the same answer in any order is the same. */
static int place_compare(const void *a, const void *b)
{
    struct span one = bytes_of(a);
    struct span other = bytes_of(b);

    if (one.len != other.len)
        return one.len < other.len ? -1 : 1;
    return memcmp(one.ptr, other.ptr, one.len);
}

static void port_set(struct upstream_place *place, uint16_t port)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&place->address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&place->address;

    if (v4->sin_family == AF_INET)
        v4->sin_port = htons(port);
    else
        v6->sin6_port = htons(port);
}

/* Each once, in order, and none that cannot be asked. */
static size_t clean(struct upstream_place *list, size_t count, uint16_t port)
{
    size_t good = 0;
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (bytes_of(&list[i]).len == 0)
            continue;
        port_set(&list[i], port);
        list[good++] = list[i];
    }
    if (good > 1)
        qsort(list, good, sizeof(list[0]), place_compare);
    for (size_t i = 0; i < good; i++) {
        if (kept == 0 || !is_same(&list[kept - 1], &list[i]))
            list[kept++] = list[i];
    }
    return kept;
}

/* ---- places ------------------------------------------------------------------------------------
 */

static uint64_t id_of(const struct upstream_place *place)
{
    static const struct hash_key key = {.k0 = UINT64_C(0x61646472657373), .k1 = 2};
    uint64_t id = hash_span(&key, bytes_of(place));

    return id != 0 ? id : 1;
}

static int64_t now_of(const struct upstream *upstream)
{
    return clock_monotonic_ns(upstream->options.clock);
}

static void place_take(struct upstream *upstream, size_t slot, const struct upstream_place *place,
                       bool first)
{
    bool is_another = !is_same(&upstream->places[slot], place);

    if (is_another) {
        (void)pthread_mutex_lock(&upstream->places_lock);
        upstream->places[slot] = *place;
        (void)atomic_fetch_add(&upstream->place_versions[slot], 1);
        (void)pthread_mutex_unlock(&upstream->places_lock);
    }
    upstream_enter(upstream->picker, slot, id_of(place), is_another,
                   first ? UPSTREAM_AT_ONCE : now_of(upstream));
}

static bool is_present(const struct upstream *upstream, size_t slot)
{
    return !upstream_target_state(upstream->picker, slot, 0).absent;
}

/* The place that has this address, present or not; UPSTREAM_NO_TARGET: none. */
static size_t slot_of(const struct upstream *upstream, const struct upstream_name *name,
                      const struct upstream_place *place)
{
    for (size_t i = name->first; i < name->first + name->count; i++) {
        if (is_same(&upstream->places[i], place))
            return i;
    }
    return UPSTREAM_NO_TARGET;
}

/* A place for a new address: never used, or left by all. */
static size_t slot_free(const struct upstream *upstream, const struct upstream_name *name)
{
    size_t best = UPSTREAM_NO_TARGET;

    for (size_t i = name->first; i < name->first + name->count; i++) {
        if (is_present(upstream, i) || upstream_target_state(upstream->picker, i, 0).in_flight != 0)
            continue;
        if (upstream->places[i].bytes == 0)
            return i;
        best = i;
    }
    return best;
}

static bool is_told(const struct upstream_place *place, const struct upstream_place *list,
                    size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is_same(place, &list[i]))
            return true;
    }
    return false;
}

/* Whether anything changed. Those that are told no more leave last, so that somebody is always
 * there; unless their place is needed. */
static bool apply(struct upstream *upstream, struct upstream_name *name,
                  const struct upstream_place *list, size_t count, bool first)
{
    bool changed = false;

    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < count; i++) {
            size_t slot = slot_of(upstream, name, &list[i]);

            if (slot == UPSTREAM_NO_TARGET)
                slot = slot_free(upstream, name);
            if (slot == UPSTREAM_NO_TARGET || is_present(upstream, slot))
                continue;
            place_take(upstream, slot, &list[i], first);
            changed = true;
        }
        for (size_t i = name->first; i < name->first + name->count; i++) {
            if (!is_present(upstream, i) || is_told(&upstream->places[i], list, count))
                continue;
            upstream_leave(upstream->picker, i);
            changed = true;
        }
    }
    return changed;
}

/* ---- a name ------------------------------------------------------------------------------------
 */

static void told_failed(const struct upstream *upstream, struct upstream_name *name,
                        const char *why)
{
    if (!name->failing)
        log_warn(upstream->options.logger, "upstream_name_unresolved",
                 LOG_STRING("upstream", upstream->options.name),
                 LOG_STRING("target", upstream->targets[name->first].url),
                 LOG_STRING("why", why != NULL ? why : "it has no address"));
    name->failing = true;
    metric_add(name->lookups[1], 1);
}

static void told_changed(const struct upstream *upstream, const struct upstream_name *name,
                         size_t count)
{
    log_info(upstream->options.logger, "upstream_name_resolved",
             LOG_STRING("upstream", upstream->options.name),
             LOG_STRING("target", upstream->targets[name->first].url),
             LOG_U64("addresses", count < name->count ? count : name->count),
             LOG_U64("left_out", count < name->count ? 0 : count - name->count));
}

/* An answer was heard. */
static void take(struct upstream *upstream, struct upstream_name *name, struct upstream_place *list,
                 size_t count, const char *why, bool first)
{
    PC_ASSERT(count <= UPSTREAM_ANSWERS_MAX);
    count = clean(list, count, upstream->targets[name->first].port);
    if (count == 0) {
        told_failed(upstream, name, why);
        return;
    }
    metric_add(name->lookups[0], 1);
    if (apply(upstream, name, list, count < name->count ? count : name->count, first) ||
        name->failing)
        told_changed(upstream, name, count);
    name->failing = false;
}

static void resolve(struct upstream *upstream, struct upstream_name *name, bool first)
{
    const struct upstream_options *options = &upstream->options;
    struct upstream_place list[UPSTREAM_ANSWERS_MAX];
    const char *why = NULL;
    size_t count = options->look_up(options->look_up_context, upstream->targets[name->first].name,
                                    list, UPSTREAM_ANSWERS_MAX, &why);

    take(upstream, name, list, count, why, first);
}

void upstream_resolve(struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->name_count; i++)
        resolve(upstream, &upstream->names[i], false);
}

bool upstream_is_literal(const char *name, uint16_t port, struct upstream_place *ret_place)
{
    const char *why;

    if (look_up(name, true, ret_place, 1, &why) == 0)
        return false;
    port_set(ret_place, port);
    return true;
}

void upstream_resolve_first(struct upstream *upstream)
{
    for (size_t i = 0; i < upstream->name_count; i++)
        resolve(upstream, &upstream->names[i], true);
}

/* ---- the thread --------------------------------------------------------------------------------
 * Nobody waits for a look-up that hangs: while it asks, the thread has its own memory only, and
 * what it hears is taken under the lock, if it was not stopped meanwhile. */

struct item {
    struct upstream *upstream; /* looked at under the lock only */
    struct upstream_name *name;
    upstream_look_up_fn *look_up;
    void *context;
    int64_t due_ns, every_ns;
    char text[NAME_BYTES];
};

struct upstream_resolver {
    pthread_mutex_t lock;
    pthread_cond_t stopped;
    bool stops;
    unsigned holders; /* who started it, and the thread */
    size_t count;
    struct item list[];
};

static void let_go(struct upstream_resolver *resolver)
{
    bool last = --resolver->holders == 0;

    (void)pthread_mutex_unlock(&resolver->lock);
    if (!last)
        return;
    (void)pthread_cond_destroy(&resolver->stopped);
    (void)pthread_mutex_destroy(&resolver->lock);
    alloc_free(resolver);
}

static struct item *next_due(struct upstream_resolver *resolver)
{
    struct item *next = &resolver->list[0];

    for (size_t i = 1; i < resolver->count; i++) {
        if (resolver->list[i].due_ns < next->due_ns)
            next = &resolver->list[i];
    }
    return next;
}

/* With the lock. Until then, or until it stops. */
static void wait_until(struct upstream_resolver *resolver, int64_t due_ns)
{
    struct timespec due = {.tv_sec = due_ns / CLOCK_NS_PER_S, .tv_nsec = due_ns % CLOCK_NS_PER_S};

    while (!resolver->stops) {
        if (pthread_cond_timedwait(&resolver->stopped, &resolver->lock, &due) == ETIMEDOUT)
            return;
    }
}

static void *resolver_thread(void *context)
{
    struct upstream_resolver *resolver = context;
    struct upstream_place list[UPSTREAM_ANSWERS_MAX];

    (void)pthread_mutex_lock(&resolver->lock);
    for (;;) {
        struct item *item = next_due(resolver);
        const char *why = NULL;
        size_t count;

        wait_until(resolver, item->due_ns);
        if (resolver->stops)
            break;
        (void)pthread_mutex_unlock(&resolver->lock);
        count = item->look_up(item->context, item->text, list, UPSTREAM_ANSWERS_MAX, &why);
        (void)pthread_mutex_lock(&resolver->lock);
        if (resolver->stops)
            break;
        take(item->upstream, item->name, list, count, why, false);
        item->due_ns = clock_monotonic_ns(&clock_system) + item->every_ns;
    }
    let_go(resolver);
    return NULL;
}

static enum err thread_start(struct upstream_resolver *resolver)
{
    pthread_condattr_t attributes;
    pthread_t thread;
    bool failed = pthread_condattr_init(&attributes) != 0;

    failed = failed || pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
             pthread_cond_init(&resolver->stopped, &attributes) != 0 ||
             pthread_mutex_init(&resolver->lock, NULL) != 0;
    (void)pthread_condattr_destroy(&attributes);
    resolver->holders = 2;
    failed = failed || pthread_create(&thread, NULL, resolver_thread, resolver) != 0;
    if (failed)
        return ERR_NO_MEMORY;
    (void)pthread_detach(thread);
    return ERR_OK;
}

static void add_names(struct upstream_resolver *resolver, struct upstream *upstream)
{
    const struct upstream_options *options = &upstream->options;

    for (size_t i = 0; i < upstream->name_count; i++) {
        struct item *item = &resolver->list[resolver->count++];
        int64_t every_ns = options->resolve_ms * CLOCK_NS_PER_MS;

        *item = (struct item){.upstream = upstream,
                              .name = &upstream->names[i],
                              .look_up = options->look_up,
                              .context = options->look_up_context,
                              .due_ns = clock_monotonic_ns(&clock_system) + every_ns,
                              .every_ns = every_ns};
        (void)snprintf(item->text, sizeof(item->text), "%s",
                       upstream->targets[upstream->names[i].first].name);
    }
}

enum err upstream_resolver_start(struct upstream *const *list, size_t count,
                                 struct upstream_resolver **ret_resolver)
{
    struct upstream_resolver *resolver;
    size_t names = 0;
    enum err err;

    *ret_resolver = NULL;
    for (size_t i = 0; i < count; i++)
        names += list[i]->name_count;
    if (names == 0)
        return ERR_OK;
    resolver = alloc_zero(sizeof(*resolver) + names * sizeof(resolver->list[0]));
    if (resolver == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++)
        add_names(resolver, list[i]);
    err = thread_start(resolver);
    if (err) {
        alloc_free(resolver);
        return err;
    }
    *ret_resolver = resolver;
    return ERR_OK;
}

void upstream_resolver_stop(struct upstream_resolver *resolver)
{
    if (resolver == NULL)
        return;
    (void)pthread_mutex_lock(&resolver->lock);
    resolver->stops = true;
    (void)pthread_cond_signal(&resolver->stopped);
    let_go(resolver);
}
