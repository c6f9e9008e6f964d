/* SPDX-License-Identifier: MIT
 * The names of the environment, over the file. A name that is set but empty counts as not set,
 * which is what `${NAME:-}` in a compose file gives. Several names of one setting must agree. */
#include "app/config_priv.h"

/* The value of a name; {NULL, 0} when it is not set or empty. */
static struct span value_of(const char *const *environ, const char *name)
{
    struct span wanted = span_from(name);

    for (size_t i = 0; environ[i] != NULL; i++) {
        struct span line = span_from(environ[i]);

        if (line.len > wanted.len + 1 && line.ptr[wanted.len] == '=' && span_starts(line, wanted))
            return span_slice(line, wanted.len + 1, line.len);
    }
    return (struct span){0};
}

static void tell_difference(struct config_loader *loader, const struct config_setting *setting,
                            const char *name, const char *other)
{
    char buffer[CONFIG_LINE_BYTES_MAX];
    struct sbuf line = sbuf_over(buffer, sizeof(buffer));

    sbuf_add_format(&line, "environment %s: differs from %s, but both name %s", other, name,
                    setting->path);
    if (span_is(span_from(setting->path), "database.url"))
        sbuf_add_text(&line, span_is(span_from(other), "AUTH_DATABASE_URL")
                                 ? "; a user's rights are read where money is kept, so they need "
                                   "one database"
                                 : "; money and accounts share one commit, so they need one "
                                   "database");
    config_problem_add(loader, false, &line);
}

/* The first name that is set, its value in *ret; NULL when none is. */
static const char *choose(struct config_loader *loader, const struct config_setting *setting,
                          struct span *ret)
{
    const char *chosen = NULL;

    for (size_t i = 0; i < PC_COUNT(setting->environ) && setting->environ[i] != NULL; i++) {
        const char *name = setting->environ[i];
        struct span value = value_of(loader->sources->environ, name);

        if (value.ptr == NULL)
            continue;
        if (chosen == NULL) {
            chosen = name;
            *ret = value;
        } else if (!span_equal(*ret, value)) {
            tell_difference(loader, setting, chosen, name);
        }
    }
    return chosen;
}

static enum err load_one(struct config_loader *loader, size_t i)
{
    const struct config_setting *setting = &config_settings[i];
    char buffer[CONFIG_LINE_BYTES_MAX];
    struct sbuf why = sbuf_over(buffer, sizeof(buffer));
    struct span value = {0};
    const char *name = choose(loader, setting, &value);

    if (name == NULL)
        return ERR_OK;
    sbuf_add_format(&why, "environment %s: ", name);
    if (!config_value_check(setting, value, &why)) {
        config_problem_add(loader, false, &why);
        return ERR_OK;
    }
    loader->origins->of[i] = (struct config_origin){.kind = CONFIG_FROM_ENVIRONMENT, .name = name};
    return config_value_set(setting, value, loader->arena, loader->config);
}

enum err config_environ_load(struct config_loader *loader)
{
    enum err err;

    if (loader->sources->environ == NULL)
        return ERR_OK;
    for (size_t i = 0; i < config_setting_count; i++) {
        err = load_one(loader, i);
        if (err)
            return err;
    }
    return ERR_OK;
}
