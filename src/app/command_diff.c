/* SPDX-License-Identifier: MIT
 * `portcullis diff OLD NEW`: what a reload from one file to the other would change. */
#include "app/command.h"

static command_run_fn diff_run;

static const struct command_example examples[] = {
    {"diff portcullis.yaml new.yaml", "Which routes and upstreams does it touch?"},
};

const struct command command_diff = {
    .name = "diff",
    .operands = "OLD NEW",
    .about = "Tell what differs between two configurations",
    .help =
        "Reads both files as `check` does and prints a line for each difference: upstreams,\n"
        "issuers and routes that come (+), go (-) or change (~), the routes that an upstream or\n"
        "issuer touches, and settings with both values; secrets are masked. Settings that a\n"
        "reload does not take over say so. The environment counts for both. Exits with 1 when a\n"
        "file is wrong.",
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .operands_min = 2,
    .operands_max = 2,
    .run = diff_run,
};

enum { TEXT_BYTES_MAX = 1024 * 1024 };

static void add_line(void *context, const struct config_differs *difference)
{
    struct sbuf *out = context;

    config_differs_line(difference, out);
    sbuf_add_char(out, '\n');
}

static enum command_exit compare(const struct command_call *call, struct command_settings *before,
                                 const struct command_settings *now)
{
    struct sbuf out = sbuf_on(&before->arena, TEXT_BYTES_MAX);

    config_differences(&before->config, &now->config, add_line, &out);
    if (out.len == 0)
        sbuf_add_lit(&out, "Nothing differs.\n");
    return command_print(call, &out);
}

static enum command_exit diff_run(const struct command_call *call)
{
    struct command_settings before, now;
    enum command_exit answer = command_settings_read(call, call->operands[0], &before);

    if (answer == COMMAND_GOOD) {
        answer = command_settings_read(call, call->operands[1], &now);
        if (answer == COMMAND_GOOD)
            answer = compare(call, &before, &now);
        command_settings_free(&now);
    }
    command_settings_free(&before);
    return answer;
}
