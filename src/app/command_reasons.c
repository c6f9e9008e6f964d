/* SPDX-License-Identifier: MIT
 * `portcullis reasons`: every reason code of a refusal, as the page docs/reasons.md, for those who
 * write dashboards, rules and clients on them. */
#include "app/command.h"
#include "base/reason.h"

static command_run_fn reasons_run;

static const struct command_example examples[] = {
    {"reasons", "What does upstream-timeout mean?"},
    {"reasons >docs/reasons.md", "Make the page again."},
};

const struct command command_reasons = {
    .name = "reasons",
    .about = "Print every reason code of a refusal and what to do about it",
    .help =
        "The page is made from the tables that answers, log and metrics take their codes from,\n"
        "so there are no others. No store and no settings are needed.",
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = reasons_run,
};

enum { PAGE_BYTES_MAX = 64 * 1024 };

static enum command_exit reasons_run(const struct command_call *call)
{
    enum command_exit answer;
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, 2 * PAGE_BYTES_MAX);
    out = sbuf_on(&arena, PAGE_BYTES_MAX);
    reason_page_write(&out);
    answer = command_print(call, &out);
    arena_reset(&arena);
    return answer;
}
