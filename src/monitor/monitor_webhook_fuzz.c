/* SPDX-License-Identifier: MIT
 * libFuzzer: any notification. What is kept of it is bounded, UTF-8 without NUL, holds no card
 * data, and reads back as the same sets; reading it again gives the same. */
#include "monitor/monitor_webhook.h"

#include <string.h>

#include "base/mask.h"

enum { ARENA_BYTES_MAX = 4 << 20, NOW = 1000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct span text, size_t bytes_max)
{
    PC_ASSERT(text.len <= bytes_max && span_is_utf8(text));
    PC_ASSERT(text.len == 0 || memchr(text.ptr, '\0', text.len) == NULL);
}

static void check_set(struct span json, size_t value_bytes_max, struct arena *arena)
{
    struct monitor_labels labels;
    const char *why = NULL;
    struct span again;
    size_t bytes = 0;

    PC_ASSERT(monitor_labels_read(json, arena, &labels, &why) == ERR_OK);
    for (size_t i = 0; i < labels.count; i++) {
        check_text(labels.list[i].name, MONITOR_LABEL_NAME_BYTES_MAX);
        check_text(labels.list[i].value, value_bytes_max);
        PC_ASSERT(!mask_finds(labels.list[i].name));
        PC_ASSERT(i == 0 || span_compare(labels.list[i - 1].name, labels.list[i].name) < 0);
        bytes += labels.list[i].value.len;
    }
    PC_ASSERT(bytes <= MONITOR_LABELS_BYTES_MAX);
    PC_ASSERT(monitor_labels_write(&labels, arena, &again) == ERR_OK && span_equal(json, again));
}

static void check_told(const struct monitor_told *told, struct arena *arena)
{
    check_text(told->name, MONITOR_NAME_BYTES_MAX);
    check_text(told->severity, MONITOR_SEVERITY_BYTES_MAX);
    check_text(told->generator_url, 4096);
    PC_ASSERT(told->name.len > 0 && told->severity.len > 0);
    PC_ASSERT(told->fingerprint.len > 0 && told->fingerprint.len <= 512);
    check_set(told->labels, MONITOR_LABEL_BYTES_MAX, arena);
    check_set(told->annotations, MONITOR_ANNOTATION_BYTES_MAX, arena);
}

static void try_alert(const struct monitor_webhook_alert *alert, struct arena *arena)
{
    const char *member = NULL, *why = NULL;
    struct monitor_told told, again;
    enum err err = monitor_webhook_read(alert, NOW, arena, &told, &member, &why);

    if (err == ERR_VALIDATION) {
        PC_ASSERT(member != NULL && why != NULL && strncmp(why, "must ", 5) == 0);
        return;
    }
    if (err != ERR_OK)
        return; /* out of room */
    check_told(&told, arena);
    err = monitor_webhook_read(alert, NOW, arena, &again, &member, &why);
    PC_ASSERT(err != ERR_OK || (span_equal(told.labels, again.labels) &&
                                span_equal(told.fingerprint, again.fingerprint)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct monitor_webhook_body body;
    struct json_problems problems = {0};
    const struct json_value *root;
    struct arena arena, scratch;

    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    if (json_read(span_make(data, size), &arena, &root, NULL) == ERR_OK &&
        json_bind(&monitor_webhook_schema, root, &arena, &body, &problems) == ERR_OK) {
        for (size_t i = 0; i < body.alerts.count; i++) {
            arena_init(&scratch, NULL, 0, ARENA_BYTES_MAX);
            try_alert(&((const struct monitor_webhook_alert *)body.alerts.items)[i], &scratch);
            arena_reset(&scratch);
        }
    }
    arena_reset(&arena);
    return 0;
}
