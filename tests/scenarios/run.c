/* SPDX-License-Identifier: MIT
 * Plays scenario files and prints TAP:
 *
 *   scenario [--adopt | --tcp | --tls] FILE...
 *
 * The store is SQLite in a folder of its own or, under tests/with_postgres, a real PostgreSQL. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "play.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

struct tally {
    size_t played, failed;
    const char *label; /* "adopt sqlite" */
};

struct file {
    const char *path, *name;
    struct span rest;
    size_t line;
    struct span yaml; /* for the next start */
    bool fresh;       /* the next scenario needs a start */
    struct world world;
    bool running;
    struct arena arena;
    struct play_kept kept;
};

static bool read_file(struct file *file)
{
    char *bytes = arena_bytes(&file->arena, FILE_BYTES_MAX);
    int fd = open(file->path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd >= 0 && bytes != NULL ? read(fd, bytes, FILE_BYTES_MAX) : -1;

    if (fd >= 0)
        (void)close(fd);
    if (got <= 0)
        return false;
    file->rest = span_make(bytes, (size_t)got);
    return true;
}

static bool next_line(struct file *file, struct span *ret_line)
{
    file->line++;
    return span_cut(&file->rest, '\n', ret_line);
}

static bool indented(struct span line)
{
    return line.len == 0 || line.ptr[0] == ' ' || line.ptr[0] == '#';
}

/* The lines below, as far as they are indented, and without the two blanks in front. */
static struct span indented_lines(struct file *file)
{
    struct sbuf out = sbuf_on(&file->arena, FILE_BYTES_MAX);
    struct span line;

    while (file->rest.len > 0 && indented(span_slice(file->rest, 0, span_find(file->rest, '\n')))) {
        if (!next_line(file, &line))
            break;
        sbuf_add(&out, span_slice(line, 2, line.len));
        sbuf_add_char(&out, '\n');
    }
    return sbuf_span(&out);
}

static bool ensure_world(struct file *file)
{
    if (file->fresh && file->running)
        world_stop(&file->world);
    if (file->fresh || !file->running)
        file->running = world_start(&file->world, file->yaml);
    file->fresh = false;
    return file->running;
}

/* On one line, so that no text of a reply is taken for TAP. */
static void print_why(const struct file *file, const char *why, size_t line)
{
    printf("# %s:%zu: ", file->path, line);
    for (const char *at = why; *at != '\0'; at++)
        (void)putchar((unsigned char)*at < ' ' ? ' ' : *at);
    (void)putchar('\n');
}

static void report(struct tally *tally, const struct file *file, struct span title, bool good,
                   const struct play *play, size_t line)
{
    tally->played++;
    tally->failed += !good;
    printf("%s %zu - %s: %s: %.*s%s\n", good ? "ok" : "not ok", tally->played, tally->label,
           file->name, SPAN_ARG(title), play->skipped ? " # SKIP not here" : "");
    if (!good)
        print_why(file, play->why, line);
    (void)fflush(stdout);
}

static void play_scenario(struct tally *tally, struct file *file, struct span title)
{
    struct play play;
    struct span line;
    size_t failed_at = file->line;
    bool good = ensure_world(file);

    play_begin(&play, &file->world, &file->kept);
    if (!good)
        (void)play_fail(&play, "the program does not start");
    while (file->rest.len > 0 && indented(span_slice(file->rest, 0, span_find(file->rest, '\n'))) &&
           next_line(file, &line)) {
        if (good && !play_line(&play, line)) {
            good = false;
            failed_at = file->line;
        }
    }
    play_end(&play);
    report(tally, file, title, good, &play, failed_at);
}

static void play_top_line(struct tally *tally, struct file *file, struct span line)
{
    struct span word = play_word(&line);

    if (span_is(word, "scenario")) {
        play_scenario(tally, file, line);
    } else if (span_is(word, "config")) {
        file->yaml = indented_lines(file);
        file->fresh = true;
    } else if (span_is(word, "fresh")) {
        file->fresh = true;
    } else if (span_is(word, "reload")) {
        struct play none = {0};
        bool good = ensure_world(file) && world_reload(&file->world, indented_lines(file));

        report(tally, file, SPAN_OF("the configuration is taken over"), good, &none, file->line);
    } else if (word.len > 0 && word.ptr[0] != '#') {
        printf("Bail out! %s:%zu: \"%.*s\" begins nothing\n", file->path, file->line,
               SPAN_ARG(word));
        exit(2);
    }
}

static void play_file(struct tally *tally, const char *path, enum world_way way)
{
    static struct file file;
    const char *slash = strrchr(path, '/');
    struct span line;

    file = (struct file){.path = path, .name = slash ? slash + 1 : path};
    file.world.way = way;
    file.world.postgres = getenv("PORTCULLIS_TEST_POSTGRES_URL");
    arena_init(&file.arena, NULL, 0, 64 * FILE_BYTES_MAX);
    file.kept.arena = &file.arena;
    if (!read_file(&file)) {
        printf("Bail out! %s cannot be read\n", path);
        exit(2);
    }
    while (next_line(&file, &line))
        play_top_line(tally, &file, line);
    if (file.running)
        world_stop(&file.world);
    arena_reset(&file.arena);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *option, *label;
        enum world_way way;
    } ways[] = {{"--adopt", "in-process", WORLD_ADOPT},
                {"--tcp", "tcp", WORLD_TCP},
                {"--tls", "tls", WORLD_TLS}};
    char label[64];
    struct tally tally = {.label = label};
    const char *store = getenv("PORTCULLIS_TEST_POSTGRES_URL") ? "postgres" : "sqlite";
    size_t way = 0;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)snprintf(label, sizeof(label), "%s %s", ways[0].label, store);
    for (int i = 1; i < argc; i++) {
        bool option = false;

        for (size_t w = 0; w < PC_COUNT(ways); w++) {
            if (strcmp(argv[i], ways[w].option) != 0)
                continue;
            option = true;
            way = w;
            (void)snprintf(label, sizeof(label), "%s %s", ways[w].label, store);
        }
        if (!option)
            play_file(&tally, argv[i], ways[way].way);
    }
    printf("1..%zu\n", tally.played);
    return tally.failed > 0 ? 1 : 0;
}
