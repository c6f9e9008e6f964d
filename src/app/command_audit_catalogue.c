/* SPDX-License-Identifier: MIT
 * `portcullis audit catalogue`: every event that the log may hold and its fields, as the page
 * docs/events.md, for those who write rules on them. */
#include "app/command.h"
#include "trail/trail_catalogue.h"

static command_run_fn catalogue_run;

static const struct command_example examples[] = {
    {"audit catalogue", "What may be in the audit log?"},
    {"audit catalogue >docs/events.md", "Make the page again."},
};

const struct command command_audit_catalogue = {
    .name = "audit catalogue",
    .about = "Print every event of the audit log and its fields",
    .help = "The page is made from the table that the events themselves are held against, so the\n"
            "log holds nothing else. No store and no settings are needed.",
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = catalogue_run,
};

enum { PAGE_BYTES_MAX = 256 * 1024 };

static enum command_exit catalogue_run(const struct command_call *call)
{
    enum command_exit answer;
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, 2 * PAGE_BYTES_MAX);
    out = sbuf_on(&arena, PAGE_BYTES_MAX);
    trail_catalogue_write(&out);
    answer = command_print(call, &out);
    arena_reset(&arena);
    return answer;
}
