/* SPDX-License-Identifier: MIT
 * A bound on waiting for the writer. What is being committed when a disk hangs must wait for the
 * disk, since nobody can say what becomes of it; but those behind it are refused, so that clients
 * are told and memory is not filled with them. */
#include "store/store_priv.h"

int64_t store_stalled_ns(struct store *store)
{
    int64_t now_ns = clock_monotonic_ns(&clock_system);
    int64_t least_ns = INT64_MAX;

    /* As long as one of the writers comes along, nobody waits in vain. */
    for (size_t i = 0; i < store->options.writers; i++) {
        int64_t since_ns = atomic_load(&store->workers[i].since_ns);
        int64_t own_ns = since_ns != 0 && now_ns > since_ns ? now_ns - since_ns : 0;

        least_ns = own_ns < least_ns ? own_ns : least_ns;
    }
    return least_ns;
}

bool store_is_stalled(struct store *store)
{
    return store_stalled_ns(store) > LIMIT_STORE_STALL_MS * CLOCK_NS_PER_MS;
}

static void refuse(struct store *store, struct queue_item *first)
{
    struct queue_item *next;

    for (struct queue_item *item = first; item != NULL; item = next) {
        struct store_job *job = PC_CONTAINER(item, struct store_job, link);

        next = item->next; /* the job may be gone after this */
        atomic_fetch_add_explicit(&store->failures, 1, memory_order_relaxed);
        job->err = ERR_STORE_SLOW;
        job->done(job);
    }
}

void store_refuse_stalled(struct store *store)
{
    if (store_is_stalled(store))
        refuse(store, queue_pop_many(store->writes, SIZE_MAX, 0));
}

struct store_job *store_refuse_late(struct store *store, struct store_job *first)
{
    int64_t bound_ns = clock_monotonic_ns(&clock_system) - LIMIT_STORE_WAIT_MS * CLOCK_NS_PER_MS;
    struct queue_item *late = first != NULL ? &first->link : NULL;
    struct queue_item **end = &late;

    /* They stand in the order in which they came. */
    while (*end != NULL && PC_CONTAINER(*end, struct store_job, link)->queued_ns < bound_ns)
        end = &(*end)->next;
    first = *end != NULL ? PC_CONTAINER(*end, struct store_job, link) : NULL;
    *end = NULL;
    refuse(store, late);
    return first;
}
