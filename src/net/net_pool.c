/* SPDX-License-Identifier: MIT
 * Threads over a bounded queue; nothing else. */
#include "net/net_pool.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"

enum { NAME_BYTES = 16, NICE_MAX = 19 };

struct net_pool {
    struct queue *queue;
    const char *name;
    int nice;
    size_t threads;
    pthread_t thread[];
};

/* On Linux each thread has a nice value of its own, and adding to it is always allowed. */
static void step_back(int nice)
{
    id_t self = (id_t)gettid();
    int wanted = getpriority(PRIO_PROCESS, self) + nice;

    if (nice > 0)
        PC_ASSERT(setpriority(PRIO_PROCESS, self, wanted > NICE_MAX ? NICE_MAX : wanted) == 0);
}

static void *pool_main(void *context)
{
    struct net_pool *pool = context;
    struct queue_item *item;

    step_back(pool->nice);
    while ((item = queue_pop(pool->queue, -1)) != NULL) {
        struct net_job *job = PC_CONTAINER(item, struct net_job, link);

        job->run(job);
    }
    return NULL;
}

static enum err thread_add(struct net_pool *pool)
{
    pthread_t *thread = &pool->thread[pool->threads];
    char name[NAME_BYTES];

    if (pthread_create(thread, NULL, pool_main, pool) != 0)
        return ERR_NO_MEMORY;
    (void)snprintf(name, sizeof(name), "%s", pool->name);
    (void)pthread_setname_np(*thread, name);
    pool->threads++;
    return ERR_OK;
}

enum err net_pool_new(const char *name, size_t threads, size_t queue_max,
                      struct net_pool **ret_pool)
{
    return net_pool_new_nice(name, threads, queue_max, 0, ret_pool);
}

enum err net_pool_new_nice(const char *name, size_t threads, size_t queue_max, int nice,
                           struct net_pool **ret_pool)
{
    struct net_pool *pool = alloc_zero(sizeof(*pool) + threads * sizeof(pool->thread[0]));
    enum err err;

    PC_ASSERT(threads > 0 && queue_max > 0 && nice >= 0 && nice <= NICE_MAX);
    if (pool == NULL)
        return ERR_NO_MEMORY;
    pool->name = name;
    pool->nice = nice;
    err = queue_new(queue_max, &pool->queue);
    for (size_t i = 0; i < threads && err == ERR_OK; i++)
        err = thread_add(pool);
    if (err) {
        net_pool_free(pool);
        return err;
    }
    *ret_pool = pool;
    return ERR_OK;
}

enum err net_pool_submit(struct net_pool *pool, struct net_job *job)
{
    return queue_push(pool->queue, &job->link);
}

size_t net_pool_length(struct net_pool *pool)
{
    return queue_length(pool->queue);
}

void net_pool_free(struct net_pool *pool)
{
    if (pool == NULL)
        return;
    if (pool->queue != NULL)
        queue_close(pool->queue);
    for (size_t i = 0; i < pool->threads; i++)
        PC_ASSERT(pthread_join(pool->thread[i], NULL) == 0);
    queue_free(pool->queue);
    alloc_free(pool);
}
