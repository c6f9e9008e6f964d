/* SPDX-License-Identifier: MIT
 * The helpers of config_test.h. */
#include "app/config_test.h"

struct config_test config_test;

/* All that was told, as one text. */
static void collect(void)
{
    struct config_test *f = &config_test;
    struct sbuf out = sbuf_over(f->told_bytes, sizeof(f->told_bytes) - 1);

    for (size_t i = 0; i < f->problems.count; i++) {
        if (i > 0)
            sbuf_add_char(&out, '\n');
        if (f->problems.list[i].warning)
            sbuf_add_lit(&out, "warning: ");
        sbuf_add(&out, f->problems.list[i].line);
    }
    f->told_bytes[out.len] = '\0';
}

enum err config_test_load(const char *text, const char *const *variables)
{
    struct config_test *f = &config_test;
    enum err err;

    arena_reset(&f->arena);
    f->text = span_from(text);
    f->sources = (struct config_sources){
        .path = "portcullis.yaml", .text = &f->text, .environ = variables, .files_unchecked = true};
    err = config_load(&f->sources, &f->arena, &f->config, &f->origins, &f->problems);
    collect();
    return err;
}

const char *config_test_told(void)
{
    return config_test.told_bytes;
}

int config_test_set_up(void **state)
{
    arena_init(&config_test.arena, NULL, 0, CONFIG_TEST_ARENA_BYTES_MAX);
    return 0;
}

int config_test_tear_down(void **state)
{
    arena_reset(&config_test.arena);
    return 0;
}

enum err config_test_load_file(const char *path, const char *const *variables)
{
    struct config_sources sources = {.path = path, .environ = variables};
    struct config_test *f = &config_test;
    enum err err;

    arena_reset(&f->arena);
    err = config_load(&sources, &f->arena, &f->config, &f->origins, &f->problems);
    collect();
    return err;
}
