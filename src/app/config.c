/* SPDX-License-Identifier: MIT
 * The order of things when settings are loaded, and the list of what is wrong.
 *
 *   file read -> YAML checked -> loaded into the struct -> environment over it -> defaults under it
 *   -> secrets that stand in files -> rules between settings
 *
 * A file with a problem is not loaded, but its names are still compared and the environment is
 * checked, so that one run tells them all. The other rules compare values, and come only after all
 * of those are good. */
#include "app/config.h"
#include "app/config_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *config_service_name(enum config_service service)
{
    static const char *const names[CONFIG_SERVICE_COUNT] = {
        [CONFIG_GATEWAY] = "gateway", [CONFIG_AUTH] = "auth",
        [CONFIG_ACCOUNT] = "account", [CONFIG_TRANSACTION] = "transaction",
        [CONFIG_AUDIT] = "audit",     [CONFIG_MONITORING] = "monitoring"};

    PC_ASSERT(service < CONFIG_SERVICE_COUNT);
    return names[service];
}

/* RFC 3986, 3.2.2: an IPv6 address stands in brackets. */
void config_listener_url(const struct config_listener *listener, const char *host, uint16_t port,
                         struct sbuf *out)
{
    bool bare = strchr(host, ':') != NULL;

    sbuf_add_format(out, "%s://%s%s%s", listener->certificate ? "https" : "http", bare ? "[" : "",
                    host, bare ? "]" : "");
    if (port != 0)
        sbuf_add_format(out, ":%u", port);
}

static unsigned service_bit(struct span name)
{
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++)
        if (span_is(name, config_service_name(i)))
            return CONFIG_SERVICE_BIT(i);
    return 0;
}

bool config_services_read(struct span list, unsigned *ret_services, struct span *ret_wrong)
{
    unsigned services = 0;
    struct span name;

    while (span_cut(&list, ',', &name)) {
        unsigned bit = service_bit(span_trim(name));

        if (bit == 0) {
            *ret_wrong = span_trim(name);
            return false;
        }
        services |= bit;
    }
    *ret_wrong = (struct span){0};
    *ret_services = services;
    return services != 0;
}

const struct config_setting *config_setting_find(struct span path)
{
    for (size_t i = 0; i < config_setting_count; i++)
        if (span_is(path, config_settings[i].path))
            return &config_settings[i];
    return NULL;
}

size_t config_setting_at(const char *path)
{
    const struct config_setting *setting = config_setting_find(span_from(path));

    PC_ASSERT(setting != NULL);
    return (size_t)(setting - config_settings);
}

const struct config_origin *config_origin_of(const struct config_loader *loader, const char *path)
{
    return &loader->origins->of[config_setting_at(path)];
}

/* ---- problems ---- */

void config_problem_add(struct config_loader *loader, bool warning, const struct sbuf *line)
{
    struct config_problems *problems = loader->problems;
    struct span text;

    if (!warning)
        problems->errors++;
    if (problems->count == CONFIG_PROBLEMS_MAX) {
        problems->omitted++;
        return;
    }
    text = arena_copy(loader->arena, sbuf_span(line));
    if (text.ptr == NULL)
        text = SPAN_OF("(no memory to tell this problem)");
    problems->list[problems->count++] = (struct config_problem){.warning = warning, .line = text};
}

/* Everything that is formatted here is bounded by the caller; a line that does not fit is cut. */
PC_FORMAT(2, 0)
static void add_formatted(struct sbuf *line, const char *format, va_list args)
{
    char text[CONFIG_LINE_BYTES_MAX];
    int len = vsnprintf(text, sizeof(text), format, args);

    PC_ASSERT(len >= 0);
    sbuf_add_bytes(line, text, (size_t)len < sizeof(text) ? (size_t)len : sizeof(text) - 1);
}

void config_problem_at(struct config_loader *loader, size_t line, size_t column, const char *format,
                       ...)
{
    char buffer[2 * CONFIG_LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));
    va_list args;

    if (line > 0)
        sbuf_add_format(&out, "%.512s:%zu:%zu: ", loader->file, line, column);
    else
        sbuf_add_format(&out, "%.512s: ", loader->file);
    va_start(args, format);
    add_formatted(&out, format, args);
    va_end(args);
    config_problem_add(loader, false, &out);
}

/* Of the setting, or of the member of a list; else of the item or list that it would stand in. */
static struct config_origin origin_near(const struct config_loader *loader, struct span path)
{
    struct config_origin origin = {.kind = CONFIG_FROM_FILE, .name = loader->file};

    while (config_setting_find(path) == NULL) {
        if (config_place_find(loader, path, &origin.line, &origin.column))
            return origin;
        PC_ASSERT(path.len > 1);
        do
            path.len--;
        while (path.len > 1 && path.ptr[path.len] != '.' && path.ptr[path.len] != '[');
    }
    return loader->origins->of[config_setting_find(path) - config_settings];
}

static void add_origin(struct sbuf *out, const struct config_origin *origin)
{
    switch (origin->kind) {
    case CONFIG_FROM_DEFAULT:
        return;
    case CONFIG_FROM_FILE:
        sbuf_add_format(out, "%.512s:%u:%u: ", origin->name, origin->line, origin->column);
        return;
    case CONFIG_FROM_ENVIRONMENT:
        sbuf_add_format(out, "environment %s: ", origin->name);
        return;
    }
    PC_WRONG("unknown origin");
}

void config_problem_with(struct config_loader *loader, bool warning, const char *path,
                         const char *format, ...)
{
    char buffer[2 * CONFIG_LINE_BYTES_MAX];
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));
    const struct config_origin origin = origin_near(loader, span_from(path));
    va_list args;

    add_origin(&out, &origin);
    sbuf_add_format(&out, "%s: ", path);
    va_start(args, format);
    add_formatted(&out, format, args);
    va_end(args);
    config_problem_add(loader, warning, &out);
}

/* ---- loading ---- */

static const char *fallback_of(const struct config_setting *setting,
                               enum config_environment environment)
{
    if (environment == CONFIG_PRODUCTION && setting->fallback_production != NULL)
        return setting->fallback_production;
    return setting->fallback;
}

/* The environment is the first row, so that the defaults after it know which it is. */
static enum err defaults_load(struct config_loader *loader)
{
    for (size_t i = 0; i < config_setting_count; i++) {
        const struct config_setting *setting = &config_settings[i];
        const char *fallback = fallback_of(setting, loader->config->environment);
        enum err err = ERR_OK;

        if (setting->type == CONFIG_ROWS)
            err = config_rows_default(loader, setting);
        else if (loader->origins->of[i].kind == CONFIG_FROM_DEFAULT && fallback != NULL)
            err = config_value_set(setting, span_from(fallback), loader->arena, loader->config);
        if (err)
            return err;
    }
    return ERR_OK;
}

static enum err file_load(struct config_loader *loader)
{
    enum err err;

    err = config_file_read(loader);
    if (err || loader->file == NULL)
        return err;
    err = config_yaml_check(loader);
    if (err)
        return err;
    if (loader->problems->errors == 0)
        return config_yaml_load(loader);
    if (!loader->cut_off)
        config_names_rules(loader, false);
    return ERR_OK;
}

static enum err load(struct config_loader *loader)
{
    enum err err;

    err = file_load(loader);
    if (err)
        return err;
    err = config_environ_load(loader);
    if (err)
        return err;
    if (loader->problems->errors > 0)
        return ERR_CONFIG;
    err = defaults_load(loader);
    if (err)
        return err;
    err = config_file_secrets(loader);
    if (err)
        return err;
    config_rules(loader);
    config_file_rules(loader);
    return loader->problems->errors > 0 ? ERR_CONFIG : ERR_OK;
}

enum err config_load(const struct config_sources *sources, struct arena *arena, struct config *ret,
                     struct config_origins *ret_origins, struct config_problems *ret_problems)
{
    struct config config = {0};
    struct config_origins *origins = arena_zero(arena, sizeof(*origins));
    struct config_loader loader = {.sources = sources,
                                   .arena = arena,
                                   .config = &config,
                                   .origins = origins,
                                   .problems = ret_problems};
    enum err err;

    *ret_problems = (struct config_problems){0};
    if (origins == NULL)
        return ERR_NO_MEMORY;
    err = load(&loader);
    if (err == ERR_OK && arena->overflowed)
        err = ERR_NO_MEMORY;
    if (err)
        return err;
    *ret = config;
    if (ret_origins != NULL)
        *ret_origins = *origins;
    return ERR_OK;
}
