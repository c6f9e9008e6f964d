/* SPDX-License-Identifier: MIT
 * From the options of `client create` and `client update` to the description of a client. Lists
 * that are given replace those there were; an empty value empties them. */
#include "app/command_client.h"

#include "app/command_password.h"

#include <errno.h>
#include <string.h>

enum {
    LIST_BYTES_MAX = 64 * 1024,
    FILE_BYTES_MAX = 64 * 1024,
    MINUTE_S = 60,
    DAY_S = 86400,
    NUMBER_MAX = 100000,
    SECRET_CHARS_MIN = 32, /* one fast hash keeps it, so nobody may be able to guess it */
};

static enum command_exit no_memory(const struct command_call *call)
{
    command_tell(call, "%s", err_sentence(ERR_NO_MEMORY));
    return COMMAND_BAD;
}

/* Names, parted by blanks or commas, of all values: "a b c". */
static enum command_exit read_names(const struct command_call *call, const char *option,
                                    struct arena *arena, struct span *list)
{
    struct sbuf out = sbuf_on(arena, LIST_BYTES_MAX);

    if (!command_given(call, option))
        return COMMAND_GOOD;
    for (const char *const *value = command_values(call, option); *value != NULL; value++)
        for (const char *c = *value; *c != '\0'; c++) {
            bool part = *c == ' ' || *c == ',';

            if (!part && out.len > 0 && (c == *value || c[-1] == ' ' || c[-1] == ','))
                sbuf_add_char(&out, ' ');
            if (!part)
                sbuf_add_char(&out, *c);
        }
    *list = out.len > 0 ? sbuf_span(&out) : SPAN_OF("");
    return out.full ? no_memory(call) : COMMAND_GOOD;
}

/* One address a line. */
static enum command_exit read_uris(const struct command_call *call, const char *option,
                                   struct arena *arena, struct span *list)
{
    struct sbuf out = sbuf_on(arena, LIST_BYTES_MAX);

    if (!command_given(call, option))
        return COMMAND_GOOD;
    for (const char *const *value = command_values(call, option); *value != NULL; value++) {
        if (strchr(*value, '\n') != NULL) {
            command_tell(call, "give each address of %s by itself", option);
            return COMMAND_USAGE;
        }
        if (**value == '\0')
            continue;
        if (out.len > 0)
            sbuf_add_char(&out, '\n');
        sbuf_add_text(&out, *value);
    }
    *list = out.len > 0 ? sbuf_span(&out) : SPAN_OF("");
    return out.full ? no_memory(call) : COMMAND_GOOD;
}

/* A whole number of `unit_s`; 0 is the issuer's own. The check knows the range. */
static enum command_exit read_number(const struct command_call *call, const char *option,
                                     int64_t unit_s, int64_t *ret_s)
{
    const char *text = command_value(call, option);
    int64_t number;

    if (text == NULL)
        return COMMAND_GOOD;
    if (!span_to_i64(span_from(text), &number) || number < 0 || number > NUMBER_MAX) {
        command_tell(call, "%s needs a number, \"%s\" is none that it could be", option, text);
        return COMMAND_USAGE;
    }
    *ret_s = number * unit_s;
    return COMMAND_GOOD;
}

static enum command_exit read_alg(const struct command_call *call, const char *option,
                                  enum crypto_alg *ret_alg)
{
    const char *text = command_value(call, option);

    if (text == NULL)
        return COMMAND_GOOD;
    *ret_alg = crypto_alg_from(span_from(text));
    if (*ret_alg != CRYPTO_ALG_NONE || *text == '\0')
        return COMMAND_GOOD;
    command_tell(call, "%s: \"%s\" is none of RS256, PS256, ES256 and EdDSA", option, text);
    return COMMAND_USAGE;
}

/* What belongs to another method goes with it. */
static enum command_exit read_method(const struct command_call *call, struct oauth_client *client)
{
    const char *text = command_value(call, "--method");

    if (text == NULL)
        return COMMAND_GOOD;
    client->method = oauth_method_from(span_from(text));
    if (client->method == OAUTH_METHOD_UNKNOWN) {
        command_tell(call,
                     "there is no method \"%s\"; there are client_secret, client_secret_basic, "
                     "client_secret_post, private_key_jwt, tls_client_auth and none",
                     text);
        return COMMAND_USAGE;
    }
    if (!oauth_method_has_secret(client->method))
        client->secret = client->old_secret = (struct oauth_secret){0};
    if (client->method != OAUTH_METHOD_PRIVATE_KEY)
        client->jwks = (struct span){0};
    if (client->method != OAUTH_METHOD_CERTIFICATE)
        client->tls_subject = (struct span){0};
    return COMMAND_GOOD;
}

static enum command_exit read_jwks(const struct command_call *call, struct arena *arena,
                                   struct span *ret_text)
{
    const char *path = command_value(call, "--jwks");
    char *bytes;
    size_t got;
    FILE *file;
    bool bad;

    if (path == NULL)
        return COMMAND_GOOD;
    bytes = arena_bytes(arena, FILE_BYTES_MAX);
    if (bytes == NULL)
        return no_memory(call);
    file = fopen(path, "re");
    if (file == NULL) {
        command_tell(call, "cannot open %s: %s", path, strerror(errno));
        return COMMAND_BAD;
    }
    got = fread(bytes, 1, FILE_BYTES_MAX, file);
    bad = ferror(file) != 0;
    if (fclose(file) != 0 || bad || got == FILE_BYTES_MAX) {
        command_tell(call, bad ? "cannot read %s" : "%s is too long for a key set", path);
        return COMMAND_BAD;
    }
    *ret_text = span_make(bytes, got);
    return COMMAND_GOOD;
}

enum command_exit command_client_read(const struct command_call *call, struct arena *arena,
                                      struct oauth_client *client)
{
    enum command_exit answer = read_method(call, client);

    if (command_given(call, "--name"))
        client->name = span_from(command_value(call, "--name"));
    if (command_given(call, "--tls-subject"))
        client->tls_subject = span_from(command_value(call, "--tls-subject"));
    if (command_given(call, "--bound"))
        client->is_bound = true;
    if (answer == COMMAND_GOOD)
        answer = read_names(call, "--grant", arena, &client->grants);
    if (answer == COMMAND_GOOD)
        answer = read_names(call, "--scope", arena, &client->scopes);
    if (answer == COMMAND_GOOD)
        answer = read_names(call, "--role", arena, &client->roles);
    if (answer == COMMAND_GOOD)
        answer = read_uris(call, "--redirect-uri", arena, &client->redirect_uris);
    if (answer == COMMAND_GOOD)
        answer = read_uris(call, "--logout-uri", arena, &client->logout_uris);
    if (answer == COMMAND_GOOD)
        answer = read_jwks(call, arena, &client->jwks);
    if (answer == COMMAND_GOOD)
        answer = read_number(call, "--access-minutes", MINUTE_S, &client->access_s);
    if (answer == COMMAND_GOOD)
        answer = read_number(call, "--refresh-days", DAY_S, &client->refresh_s);
    if (answer == COMMAND_GOOD)
        answer = read_alg(call, "--access-alg", &client->access_alg);
    if (answer == COMMAND_GOOD)
        answer = read_alg(call, "--id-alg", &client->id_alg);
    return answer;
}

/* ---- the secret ---- */

static enum command_exit given_secret(const struct command_call *call,
                                      struct oauth_secret *ret_secret)
{
    struct command_password line;
    struct span text;
    enum command_exit answer = command_line_read(call, &line);
    enum err err;

    if (answer != COMMAND_GOOD)
        return answer;
    text = command_password_span(&line);
    for (size_t i = 0; i < text.len && answer == COMMAND_GOOD; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7F)
            answer = COMMAND_USAGE;
    if (answer != COMMAND_GOOD || text.len < SECRET_CHARS_MIN) {
        command_tell(call,
                     "a secret has at least %d printable characters without blanks; without "
                     "--secret-stdin a good one is made",
                     SECRET_CHARS_MIN);
        command_password_wipe(&line);
        return COMMAND_USAGE;
    }
    err = oauth_secret_of(&random_system, text, ret_secret);
    command_password_wipe(&line);
    return err ? no_memory(call) : COMMAND_GOOD;
}

enum command_exit command_client_secret(const struct command_call *call, struct arena *arena,
                                        struct span *ret_text, struct oauth_secret *ret_secret)
{
    char *text;

    *ret_text = (struct span){0};
    if (command_given(call, "--secret-stdin"))
        return given_secret(call, ret_secret);
    text = arena_bytes(arena, OAUTH_SECRET_TEXT_BYTES);
    if (text == NULL || oauth_secret_make(&random_system, text, ret_secret) != ERR_OK)
        return no_memory(call);
    *ret_text = span_make(text, OAUTH_SECRET_TEXT_BYTES);
    return COMMAND_GOOD;
}
