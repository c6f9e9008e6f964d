/* SPDX-License-Identifier: MIT
 * `portcullis openapi`: the API document of a listener, made from its route tables; the same text
 * that the running listener serves. */
#include "app/command.h"

#include <string.h>

#include "app/serve.h"

static command_run_fn openapi_run;

static const char *const services[] = {"gateway", "auth",       "account", "transaction",
                                       "audit",   "monitoring", NULL};

static const struct command_option options[] = {
    {.name = "--yaml", .about = "Print YAML instead of JSON"},
};

static const struct command_example examples[] = {
    {"openapi", "The gateway's document as JSON."},
    {"openapi auth --yaml >auth.yaml", "The auth service's as YAML, into a file."},
};

const struct command command_openapi = {
    .name = "openapi",
    .operands = "[SERVICE]",
    .operand_choices = services,
    .operands_max = 1,
    .about = "Print the OpenAPI 3.1 document of a listener",
    .help =
        "The document is made from the tables that also do the work, so it cannot tell anything\n"
        "else than what the program does. No store and no settings are needed.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = openapi_run,
};

enum { DOCUMENT_BYTES_MAX = 4 * 1024 * 1024 };

static enum err make_text(enum config_service of, bool yaml, struct arena *arena, struct sbuf *out)
{
    struct serve_mounts mounts;
    const struct http_service_options service =
        serve_service_options(of, command_version_number(), &mounts);
    struct sbuf json = sbuf_on(arena, DOCUMENT_BYTES_MAX);
    enum err err = http_openapi_write(&service, &json);

    if (err)
        return err;
    if (yaml)
        return http_openapi_yaml(sbuf_span(&json), arena, out);
    sbuf_add(out, sbuf_span(&json));
    sbuf_add_char(out, '\n');
    return out->full ? ERR_NO_SPACE : ERR_OK;
}

/* The operand is one of the choices, which are the names of the services. */
static enum config_service service_of(const struct command_call *call)
{
    enum config_service service = CONFIG_GATEWAY;

    while (call->operand_count > 0 && strcmp(call->operands[0], config_service_name(service)) != 0)
        service++;
    return service;
}

static enum command_exit openapi_run(const struct command_call *call)
{
    enum command_exit answer = COMMAND_BAD;
    struct arena arena;
    struct sbuf out;

    arena_init(&arena, NULL, 0, 8 * DOCUMENT_BYTES_MAX);
    out = sbuf_on(&arena, DOCUMENT_BYTES_MAX);
    if (make_text(service_of(call), command_given(call, "--yaml"), &arena, &out) == ERR_OK)
        answer = command_print(call, &out);
    else
        command_tell(call, "the document does not fit its buffer");
    arena_reset(&arena);
    return answer;
}
