/* SPDX-License-Identifier: MIT
 * A wheel of timers: 512 slots of 16.8 ms, one list each. Arming and stopping cost a few pointer
 * writes, so that every request can move its connection's deadline.
 *
 * Moving a deadline further away does not touch the wheel at all: the timer is looked at when its
 * old slot comes round and hung up again. A deadline beyond the wheel hangs in its last slot. */
#include <string.h>

#include "net/net_priv.h"

#define TICK_NS (INT64_C(1) << NET_WHEEL_TICK_BITS)

void net_wheel_init(struct net_wheel *wheel, int64_t now_ns)
{
    memset(wheel, 0, sizeof(*wheel));
    wheel->tick = now_ns >> NET_WHEEL_TICK_BITS;
}

void net_timer_stop(struct net_timer *timer)
{
    if (timer->link == NULL)
        return;
    *timer->link = timer->next;
    if (timer->next != NULL)
        timer->next->link = timer->link;
    timer->link = NULL;
    timer->next = NULL;
}

static void hang(struct net_timer **list, struct net_timer *timer)
{
    timer->next = *list;
    timer->link = list;
    if (timer->next != NULL)
        timer->next->link = &timer->next;
    *list = timer;
}

/* The first one that begins after the deadline. */
static int64_t tick_after(int64_t deadline_ns)
{
    return (deadline_ns >> NET_WHEEL_TICK_BITS) + 1;
}

static void hang_in_slot(struct net_wheel *wheel, struct net_timer *timer)
{
    int64_t tick = tick_after(timer->deadline_ns);
    size_t slot;

    if (tick < wheel->tick)
        tick = wheel->tick;
    if (tick > wheel->tick + NET_WHEEL_SLOTS - 1)
        tick = wheel->tick + NET_WHEEL_SLOTS - 1;
    slot = (size_t)tick % NET_WHEEL_SLOTS;
    timer->slot_ns = tick * TICK_NS;
    hang(&wheel->slots[slot], timer);
    wheel->used[slot / 64] |= UINT64_C(1) << (slot % 64);
}

void net_wheel_set(struct net_wheel *wheel, struct net_timer *timer, int64_t deadline_ns)
{
    timer->deadline_ns = deadline_ns;
    if (timer->link != NULL && timer->slot_ns <= tick_after(deadline_ns) * TICK_NS)
        return;
    net_timer_stop(timer);
    hang_in_slot(wheel, timer);
}

/* Everything in one slot: fires what is due, hangs up the rest again. */
static void slot_run(struct net_wheel *wheel, size_t slot, int64_t now_ns)
{
    struct net_timer *list = wheel->slots[slot];

    wheel->slots[slot] = NULL;
    wheel->used[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    if (list != NULL)
        list->link = &list;
    while (list != NULL) {
        struct net_timer *timer = list;

        net_timer_stop(timer);
        if (timer->deadline_ns <= now_ns)
            timer->fire(timer);
        else
            hang_in_slot(wheel, timer);
    }
}

void net_wheel_run(struct net_wheel *wheel, int64_t now_ns)
{
    int64_t now_tick = now_ns >> NET_WHEEL_TICK_BITS;

    for (size_t i = 0; i < NET_WHEEL_SLOTS && wheel->tick <= now_tick; i++) {
        size_t slot = (size_t)wheel->tick % NET_WHEEL_SLOTS;

        wheel->tick++;
        slot_run(wheel, slot, now_ns);
    }
    if (wheel->tick <= now_tick) /* the machine slept */
        wheel->tick = now_tick + 1;
}

int64_t net_wheel_next_ns(const struct net_wheel *wheel)
{
    for (int64_t tick = wheel->tick; tick < wheel->tick + NET_WHEEL_SLOTS;) {
        size_t slot = (size_t)tick % NET_WHEEL_SLOTS;
        uint64_t word = wheel->used[slot / 64] >> (slot % 64);

        if (word != 0)
            return (tick + __builtin_ctzll(word)) * TICK_NS;
        tick += (int64_t)(64 - slot % 64);
    }
    return NET_NO_DEADLINE;
}
