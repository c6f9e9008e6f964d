/* SPDX-License-Identifier: MIT
 * What is known of a target, and who has it. A picker is made anew when the settings change, and
 * forgets nothing: a target of the same name is the same target, and its word of health, its
 * latency and the requests in flight are shared by all pickers that have it. The masks are each
 * picker's own; upstream_picker_refresh makes them say what the words say. */
#include "upstream/upstream_priv.h"

#include <string.h>

#include "base/alloc.h"

static struct upstream_target *target_new(struct span name)
{
    struct upstream_target *target;
    char *block = alloc_zero(sizeof(*target) + name.len + UPSTREAM_LINE_BYTES);

    if (block == NULL)
        return NULL;
    target =
        (struct upstream_target *)(void *)(block + (-(uintptr_t)block & (UPSTREAM_LINE_BYTES - 1)));
    target->block = block;
    target->name_bytes = name.len;
    if (name.len > 0)
        memcpy(target->name, name.ptr, name.len);
    return target;
}

static struct upstream_target *target_of(const struct upstream_picker *former, struct span name)
{
    for (size_t i = 0; former != NULL && name.len > 0 && i < former->count; i++) {
        struct upstream_target *target = former->targets[i];

        if (span_equal(span_make(target->name, target->name_bytes), name))
            return target;
    }
    return NULL;
}

enum err upstream_targets_take(struct upstream_picker *picker, const struct upstream_picker *former,
                               const struct span *names, uint64_t lasting)
{
    for (size_t i = 0; i < picker->count; i++) {
        bool lasts = names != NULL && (lasting & upstream_bit(i)) != 0;
        struct span name = lasts ? names[i] : (struct span){0};
        struct upstream_target *target = target_of(former, name);

        if (target == NULL)
            target = target_new(name);
        if (target == NULL)
            return ERR_NO_MEMORY;
        target->pickers++;
        picker->targets[i] = target;
    }
    upstream_picker_refresh(picker);
    return ERR_OK;
}

void upstream_targets_leave(struct upstream_picker *picker)
{
    for (size_t i = 0; i < picker->count; i++) {
        struct upstream_target *target = picker->targets[i];

        if (target != NULL && --target->pickers == 0)
            alloc_free(target->block);
        picker->targets[i] = NULL;
    }
}
