/* SPDX-License-Identifier: MIT
 * What a reload has to leave as it was. An operator who changes the port and reloads must hear that
 * the port has not changed; and what it took over, for the trail. */
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

static bool same_texts(const struct config_texts *left, const struct config_texts *right)
{
    size_t i = 0;

    while (left->count == right->count && i < left->count &&
           strcmp(left->items[i], right->items[i]) == 0)
        i++;
    return left->count == right->count && i == left->count;
}

static bool same_row(const struct config_setting *setting, const void *left, const void *right)
{
    for (size_t i = 0; i < setting->row_count; i++) {
        if (!config_same_member(&setting->row[i], left, right))
            return false;
    }
    return true;
}

static bool same_rows(const struct config_setting *setting, const void *a, const void *b)
{
    const struct config_rows left = config_rows_at(setting, a);
    const struct config_rows right = config_rows_at(setting, b);
    size_t i = 0;

    while (left.count == right.count && i < left.count &&
           same_row(setting, (const char *)left.items + i * setting->row_bytes,
                    (const char *)right.items + i * setting->row_bytes))
        i++;
    return left.count == right.count && i == left.count;
}

bool config_same_member(const struct config_setting *setting, const void *a, const void *b)
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
        return same_texts(left, right);
    case CONFIG_ROWS:
        return same_rows(setting, a, b);
    }
    PC_WRONG("unknown type");
}

bool config_same_upstream(const struct config_upstream *a, const struct config_upstream *b)
{
    return same_row(config_setting_find(SPAN_OF("upstreams")), a, b);
}

bool config_same_issuer(const struct config_issuer *a, const struct config_issuer *b)
{
    return same_row(config_setting_find(SPAN_OF("issuers")), a, b);
}

bool config_same_route(const struct config_route *a, const struct config_route *b)
{
    return same_row(config_setting_find(SPAN_OF("routes")), a, b);
}

bool config_needs_restart(const struct config *running, const struct config *wanted,
                          struct sbuf *out)
{
    size_t begin = out->len;

    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];

        if (setting->live || config_same_member(setting, running, wanted))
            continue;
        sbuf_add_format(out, "%s%s", out->len > begin ? ", " : "", setting->path);
    }
    return out->len > begin;
}

/* Names until there is no room; then how many more there are. */
struct names {
    struct sbuf *out;
    size_t more;
};

enum { MORE_BYTES = 16 };

static void name_add(struct names *names, const char *path)
{
    struct sbuf *out = names->out;

    if (names->more > 0 || out->len + strlen(path) + 1 + MORE_BYTES > out->cap)
        names->more++;
    else
        sbuf_add_format(out, "%s%s", out->len > 0 ? " " : "", path);
}

static void names_end(struct names *names)
{
    if (names->more > 0)
        sbuf_add_format(names->out, " and %zu more", names->more);
}

void config_changed(const struct config *before, const struct config *now,
                    enum config_changes which, struct sbuf *out)
{
    struct names names = {.out = out};

    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];

        if (setting->live == (which == CONFIG_CHANGED_LIVE) &&
            !config_same_member(setting, before, now))
            name_add(&names, setting->path);
    }
    names_end(&names);
}

void config_given(const struct config_origins *origins, struct sbuf *out)
{
    struct names names = {.out = out};

    for (size_t i = 0; i < config_setting_count; i++) {
        if (origins->of[i].kind != CONFIG_FROM_DEFAULT)
            name_add(&names, config_settings[i].path);
    }
    names_end(&names);
}
