/* SPDX-License-Identifier: MIT
 * `portcullis version`: what this program is and which source it was built from. Nothing of the
 * building machine or its clock is in it, so the same source gives the same program. */
#include "app/command.h"

#include "app/version.h"

static command_run_fn version_run;

static const struct command_option options[] = {
    {.name = "--json", .about = "Print it as a JSON object"},
};

static const struct command_example examples[] = {
    {"version --json", "For scripts: name, version, revision, compiler."},
};

const struct command command_version = {
    .name = "version",
    .about = "Print the version",
    .help = "The revision is what `git describe` said of the source; outside of a git checkout it\n"
            "is the version again.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = version_run,
};

const char *command_version_number(void)
{
    return PC_VERSION;
}

const char *command_version_revision(void)
{
    return PC_REVISION;
}

static enum command_exit version_run(const struct command_call *call)
{
#if defined(__clang__)
    static const char compiler[] = "clang " __clang_version__;
#else
    static const char compiler[] = "gcc " __VERSION__;
#endif
    char buffer[512];
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));

    if (command_given(call, "--json")) {
        sbuf_add_lit(&out, "{\"name\":\"portcullis\",\"version\":");
        sbuf_add_json(&out, span_from(PC_VERSION));
        sbuf_add_lit(&out, ",\"revision\":");
        sbuf_add_json(&out, span_from(PC_REVISION));
        sbuf_add_lit(&out, ",\"compiler\":");
        sbuf_add_json(&out, span_trim(span_from(compiler)));
        sbuf_add_lit(&out, "}\n");
    } else {
        sbuf_add_format(&out, "portcullis %s (%s)\n", PC_VERSION, PC_REVISION);
    }
    return command_print(call, &out);
}
