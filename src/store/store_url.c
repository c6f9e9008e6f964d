/* SPDX-License-Identifier: MIT
 * Reads DATABASE_URL: which database, where, and how it may be shown. Passwords stop here: what
 * goes into messages is made from the parts that cannot hold one. */
#include "store/store_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/sbuf.h"

enum { URL_BYTES_MAX = 4096 };

static const char how[] = "use sqlite:NAME, sqlite:/PATH or postgresql://USER@HOST/DATABASE";

enum err store_fault_set(struct store_fault *reterr, enum err err, const char *format, ...)
{
    struct store_fault fault;
    va_list args;

    if (reterr == NULL)
        return err;
    va_start(args, format);
    (void)vsnprintf(fault.text, sizeof(fault.text), format, args);
    va_end(args);
    *reterr = fault;
    return err;
}

/* SQLAlchemy's asyncpg says ssl=MODE where libpq says sslmode=MODE. */
static const char *uri_postgres(struct arena *arena, struct span rest)
{
    struct sbuf out = sbuf_on(arena, URL_BYTES_MAX);
    size_t query = span_find(rest, '?');
    struct span params = span_slice(rest, query + 1, rest.len);
    struct span param;
    char before = '?';

    sbuf_add_lit(&out, "postgresql://");
    sbuf_add(&out, span_slice(rest, 0, query));
    while (span_cut(&params, '&', &param)) {
        sbuf_add_char(&out, before);
        sbuf_add_text(&out, span_starts(param, SPAN_OF("ssl=")) ? "sslmode=" : "");
        sbuf_add(&out,
                 span_starts(param, SPAN_OF("ssl=")) ? span_slice(param, 4, param.len) : param);
        before = '&';
    }
    return arena_string(arena, sbuf_span(&out));
}

static enum err read_postgres(struct span rest, const struct store_options *options,
                              struct arena *arena, struct store_target *target,
                              struct store_fault *reterr)
{
    target->kind = STORE_POSTGRES;
    target->uri = uri_postgres(arena, rest);
    target->sslmode = options->sslmode;
    if (target->uri == NULL)
        return ERR_NO_MEMORY;
    return store_postgres_check(arena, target, reterr);
}

static bool path_is_inside(struct span path)
{
    struct span part;

    while (span_cut(&path, '/', &part)) {
        if (span_is(part, ".."))
            return false;
    }
    return true;
}

static enum err read_sqlite(struct span rest, const struct store_options *options,
                            struct arena *arena, struct store_target *target,
                            struct store_fault *reterr)
{
    struct sbuf out = sbuf_on(arena, URL_BYTES_MAX);

    if (span_is(rest, ":memory:") || rest.len == 0)
        return store_fault_set(reterr, ERR_STORE_URL,
                               "The database URL names no file: use sqlite:NAME (inside the data "
                               "folder) or sqlite:/PATH.");
    if (span_starts(rest, SPAN_OF("//")))
        return store_fault_set(
            reterr, ERR_STORE_URL,
            "The database URL sqlite:%.*s is ambiguous: write sqlite:NAME (inside "
            "the data folder) or sqlite:/PATH, without further slashes.",
            SPAN_ARG(rest));
    if (span_find(rest, '?') < rest.len || rest.ptr[rest.len - 1] == '/')
        return store_fault_set(reterr, ERR_STORE_URL,
                               "The database URL sqlite:%.*s must be a plain file name without "
                               "parameters.",
                               SPAN_ARG(rest));
    if (rest.ptr[0] != '/' && !path_is_inside(rest))
        return store_fault_set(reterr, ERR_STORE_URL,
                               "The database URL sqlite:%.*s leaves the data folder: use "
                               "sqlite:/PATH for a file elsewhere.",
                               SPAN_ARG(rest));
    target->in_data_dir = rest.ptr[0] != '/';
    if (target->in_data_dir) {
        sbuf_add_text(&out, options->data_dir);
        sbuf_add_char(&out, '/');
    }
    sbuf_add(&out, rest);
    target->kind = STORE_SQLITE;
    target->path = arena_string(arena, sbuf_span(&out));
    sbuf_truncate(&out, 0);
    sbuf_add_lit(&out, "sqlite:");
    sbuf_add(&out, rest);
    target->shown = arena_string(arena, sbuf_span(&out));
    return target->path == NULL || target->shown == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* The scheme, unless it may be something secret: no sentence repeats what is not a plain word. */
static struct span shown_scheme(struct span scheme)
{
    if (scheme.len > 24)
        return SPAN_OF("...");
    for (size_t i = 0; i < scheme.len; i++) {
        char c = span_lower_char(scheme.ptr[i]);

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '+')
            return SPAN_OF("...");
    }
    return scheme;
}

static enum err refuse_scheme(struct span url, struct store_fault *reterr)
{
    size_t colon = span_find(url, ':');

    if (colon == url.len)
        return store_fault_set(reterr, ERR_STORE_URL, "The database URL has no scheme: %s.", how);
    return store_fault_set(reterr, ERR_STORE_URL,
                           "The database URL scheme \"%.*s\" is not supported: %s.",
                           SPAN_ARG(shown_scheme(span_slice(url, 0, colon))), how);
}

enum err store_target_read(const struct store_options *options, struct arena *arena,
                           struct store_target *ret_target, struct store_fault *reterr)
{
    static const char *const postgres[] = {"postgresql://", "postgres://", "postgresql+asyncpg://",
                                           "postgresql+psycopg://", "postgresql+psycopg2://"};
    struct span url = span_trim(options->url);

    if (url.len > URL_BYTES_MAX / 2 || memchr(url.ptr != NULL ? url.ptr : "", 0, url.len) != NULL)
        return store_fault_set(reterr, ERR_STORE_URL,
                               "The database URL is too long or holds a NUL.");
    if (span_starts(url, SPAN_OF("sqlite:")))
        return read_sqlite(span_slice(url, 7, url.len), options, arena, ret_target, reterr);
    for (size_t i = 0; i < PC_COUNT(postgres); i++) {
        struct span prefix = span_from(postgres[i]);

        if (span_starts(url, prefix))
            return read_postgres(span_slice(url, prefix.len, url.len), options, arena, ret_target,
                                 reterr);
    }
    return refuse_scheme(url, reterr);
}
