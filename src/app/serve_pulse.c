/* SPDX-License-Identifier: MIT
 * Whether the loops still turn: each is asked, and has to have answered when it is asked again. */
#include "app/serve_priv.h"

#include <stdatomic.h>

#include "base/alloc.h"

struct serve_pulse {
    struct net_task task;
    _Atomic bool answered;
};

static void answer(struct net_task *task)
{
    struct serve_pulse *pulse = PC_CONTAINER(task, struct serve_pulse, task);

    atomic_store(&pulse->answered, true);
}

bool serve_is_alive(struct serve *serve)
{
    size_t count = net_server_loop_count(serve->server);

    if (serve->pulses == NULL) {
        serve->pulses = alloc_zero(count * sizeof(*serve->pulses));
        if (serve->pulses == NULL)
            return false;
        for (size_t i = 0; i < count; i++)
            atomic_init(&serve->pulses[i].answered, true);
    }
    for (size_t i = 0; i < count; i++)
        if (!atomic_load(&serve->pulses[i].answered))
            return false;
    for (size_t i = 0; i < count; i++) {
        struct serve_pulse *pulse = &serve->pulses[i];

        atomic_store(&pulse->answered, false);
        pulse->task.run = answer;
        net_loop_post(net_server_loop(serve->server, i), &pulse->task);
    }
    return true;
}
