/* SPDX-License-Identifier: MIT
 * `portcullis certs dev`: certificates for trying HTTPS and mutual TLS on this machine. */
#include "app/command.h"

#include "base/clock.h"
#include "crypto/certs.h"

static command_run_fn certs_dev_run;

static const struct command_option options[] = {
    {.name = "--folder",
     .value = "FOLDER",
     .kind = COMMAND_VALUE_FOLDER,
     .about = "Where to write them (./certs)"},
    {.name = "--host",
     .value = "NAME",
     .many = true,
     .about = "A further name or address of the server"},
    {.name = "--upstream",
     .value = "NAME",
     .many = true,
     .about = "A server behind the gateway that gets a certificate of its own"},
    {.name = "--revoke",
     .value = "NAME",
     .many = true,
     .about = "Put its certificate on the list ca.crl, and make none"},
    {.name = "--days", .value = "N", .about = "How long they last (30)"},
    {.name = "--force", .about = "Replace what is there, the authority too"},
};

static const struct command_example examples[] = {
    {"certs dev", "An authority and a server certificate for localhost, in ./certs."},
    {"certs dev --host api.test alice payments", "Further name, and two client certificates."},
    {"certs dev --upstream shop.test gateway", "For TLS between the gateway and an upstream."},
    {"certs dev --revoke alice", "Her certificate is on the list from now on."},
};

const struct command command_certs_dev = {
    .name = "certs dev",
    .operands = "[CLIENT]...",
    .operands_max = COMMAND_OPERANDS_MAX - 1,
    .about = "Make certificates for development",
    .help =
        "Makes an authority of your own, a server certificate for localhost and this machine's\n"
        "name, and a client certificate for each CLIENT, and tells how to use them. An\n"
        "authority that is there already is used again. Its list of revoked certificates is\n"
        "ca.crl. Not for production.",
    .options = options,
    .option_count = PC_COUNT(options),
    .examples = examples,
    .example_count = PC_COUNT(examples),
    .run = certs_dev_run,
};

enum { DAYS_DEFAULT = 30, DAYS_MAX = 825, TEXT_BYTES_MAX = 16 * 1024 };

static void add_advice(const char *folder, const char *client, struct sbuf *out)
{
    sbuf_add_format(out, "Certificates are in %s. For portcullis.yaml:\n\n", folder);
    for (enum config_service i = 0; i < CONFIG_SERVICE_COUNT; i++) {
        sbuf_add_format(out,
                        "%s:\n"
                        "  tls:\n"
                        "    certificate: %s/server.crt\n"
                        "    key: %s/server.key\n",
                        config_service_name(i), folder, folder);
        if (client != NULL)
            sbuf_add_format(out, "    client_ca: %s/ca.crt\n    client_auth: optional\n", folder);
    }
    sbuf_add_format(out, "\nTry it:\n\ncurl --cacert %s/ca.crt ", folder);
    if (client != NULL)
        sbuf_add_format(out, "--cert %s/%s.crt --key %s/%s.key ", folder, client, folder, client);
    sbuf_add_lit(out, "https://localhost:8000/api/v1/health\n");
}

static bool days_read(const struct command_call *call, int64_t *ret)
{
    const char *text = command_value(call, "--days");

    if (text == NULL) {
        *ret = DAYS_DEFAULT;
        return true;
    }
    if (span_to_i64(span_from(text), ret) && *ret >= 1 && *ret <= DAYS_MAX)
        return true;
    command_tell(call, "--days must be a number from 1 to %d", DAYS_MAX);
    return false;
}

static enum command_exit certs_dev_run(const struct command_call *call)
{
    const char *folder = command_value(call, "--folder");
    struct crypto_certs_options wanted = {.folder = folder != NULL ? folder : "certs",
                                          .names = command_values(call, "--host"),
                                          .clients = call->operands,
                                          .servers = command_values(call, "--upstream"),
                                          .clock = &clock_system,
                                          .force = command_given(call, "--force")};
    bool revokes = command_given(call, "--revoke");
    struct crypto_fault fault = {{0}};
    char buffer[TEXT_BYTES_MAX];
    struct sbuf out = sbuf_over(buffer, sizeof(buffer));

    if (!days_read(call, &wanted.days))
        return COMMAND_USAGE;
    if ((!revokes && crypto_certs_make(&wanted, &fault) != ERR_OK) ||
        crypto_certs_revoke(&wanted, command_values(call, "--revoke"), &fault) != ERR_OK) {
        command_tell(call, "%s", fault.text);
        return COMMAND_BAD;
    }
    if (revokes)
        sbuf_add_format(&out, "The list is %s/ca.crl.\n", wanted.folder);
    else
        add_advice(wanted.folder, call->operands[0], &out);
    return command_print(call, &out);
}
