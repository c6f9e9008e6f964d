/* SPDX-License-Identifier: MIT
 * What a reload has to leave as it was. An operator who changes the port and reloads must hear that
 * the port has not changed. */
#include "app/config_priv.h"

#include <string.h>

static bool same_text(const void *a, const void *b)
{
    const char *left;
    const char *right;

    memcpy(&left, a, sizeof(left));
    memcpy(&right, b, sizeof(right));
    return left == right || (left != NULL && right != NULL && strcmp(left, right) == 0);
}

/* Is the setting's value the same in the structs at `a` and `b`? */
static bool same(const struct config_setting *setting, const void *a, const void *b)
{
    const void *left = (const char *)a + setting->offset;
    const void *right = (const char *)b + setting->offset;

    switch (setting->type) {
    case CONFIG_NUMBER:
    case CONFIG_CHOICE:
        return memcmp(left, right, sizeof(uint32_t)) == 0;
    case CONFIG_SWITCH:
        return memcmp(left, right, sizeof(bool)) == 0;
    case CONFIG_TEXT:
        return same_text(left, right);
    case CONFIG_TEXTS:
    case CONFIG_ROWS:
        break;
    }
    PC_WRONG("all lists are live");
}

bool config_needs_restart(const struct config *running, const struct config *wanted,
                          struct sbuf *out)
{
    size_t begin = out->len;

    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];

        if (setting->live || same(setting, running, wanted))
            continue;
        sbuf_add_format(out, "%s%s", out->len > begin ? ", " : "", setting->path);
    }
    return out->len > begin;
}
