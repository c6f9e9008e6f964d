/* SPDX-License-Identifier: MIT
 * A client as people and scripts read it: everything but its secret. */
#include "app/command_client.h"

#include "json/json_writer.h"

enum { LABEL_WIDTH = 16 };

static void add_label(struct sbuf *out, const char *label)
{
    sbuf_add_format(out, "%-*s ", LABEL_WIDTH, label);
}

static void add_text(struct sbuf *out, const char *label, struct span text)
{
    add_label(out, label);
    sbuf_add_format(out, "%.*s\n", SPAN_ARG(text.len > 0 ? text : SPAN_OF("-")));
}

static void add_lines(struct sbuf *out, const char *label, struct span list)
{
    struct span line;

    if (list.len == 0)
        add_text(out, label, list);
    for (bool first = true; list.len > 0 && span_cut(&list, '\n', &line); first = false)
        add_text(out, first ? label : "", line);
}

static void add_secret(struct sbuf *out, const struct oauth_client *client)
{
    add_label(out, "secret");
    sbuf_add_text(out, client->secret.set ? "set" : "-");
    if (client->old_secret.set) {
        sbuf_add_lit(out, ", the one before works until ");
        clock_add_rfc3339(out, client->old_secret_until_ns, 0);
    }
    sbuf_add_char(out, '\n');
}

/* "15 minutes, ES256", or what the issuer does. */
static void add_tokens(struct sbuf *out, const char *label, int64_t life, const char *unit,
                       enum crypto_alg alg)
{
    add_label(out, label);
    if (life > 0)
        sbuf_add_format(out, "%lld %s", (long long)life, unit);
    if (life > 0 && alg != CRYPTO_ALG_NONE)
        sbuf_add_lit(out, ", ");
    if (life == 0 && alg == CRYPTO_ALG_NONE)
        sbuf_add_lit(out, "as the issuer's");
    sbuf_add_format(out, "%s\n", crypto_alg_name(alg));
}

static void show_text(const struct oauth_client *client, struct sbuf *out)
{
    add_text(out, "client id", client->client_id);
    add_text(out, "name", client->name);
    add_text(out, "state", client->is_active ? SPAN_OF("active") : SPAN_OF("disabled"));
    add_text(out, "method", span_from(oauth_method_name(client->method)));
    add_secret(out, client);
    add_text(out, "key set", client->jwks.len > 0 ? SPAN_OF("set") : (struct span){0});
    add_text(out, "tls subject", client->tls_subject);
    add_text(out, "tokens bound", client->is_bound ? SPAN_OF("yes") : SPAN_OF("no"));
    add_text(out, "grants", client->grants);
    add_text(out, "scopes", client->scopes);
    add_text(out, "roles", client->roles);
    add_lines(out, "redirect URIs", client->redirect_uris);
    add_lines(out, "logout URIs", client->logout_uris);
    add_tokens(out, "access tokens", client->access_s / 60, "minutes", client->access_alg);
    add_tokens(out, "refresh tokens", client->refresh_s / 86400, "days", CRYPTO_ALG_NONE);
    add_tokens(out, "id tokens", 0, "", client->id_alg);
    add_label(out, "created");
    clock_add_rfc3339(out, client->created_at_ns, 0);
    sbuf_add_char(out, '\n');
}

static void add_list(struct json_writer *json, const char *name, struct span list, char separator)
{
    struct span part;

    json_key(json, name);
    json_begin_list(json);
    while (list.len > 0 && span_cut(&list, separator, &part))
        json_text(json, part);
    json_end_list(json);
}

static void show_json(const struct oauth_client *client, struct sbuf *out)
{
    struct json_writer json = json_writer_on(out);

    json_begin_object(&json);
    json_add_text(&json, "client_id", client->client_id);
    json_add_text(&json, "client_name", client->name);
    json_add_bool(&json, "is_active", client->is_active);
    json_add_text(&json, "token_endpoint_auth_method",
                  span_from(oauth_method_name(client->method)));
    json_add_bool(&json, "has_secret", client->secret.set);
    if (client->old_secret.set)
        json_add_time(&json, "old_secret_until", client->old_secret_until_ns);
    if (client->jwks.len > 0)
        json_add_raw(&json, "jwks", client->jwks);
    if (client->tls_subject.len > 0)
        json_add_text(&json, "tls_client_auth_subject_dn", client->tls_subject);
    json_add_bool(&json, "tls_client_certificate_bound_access_tokens", client->is_bound);
    add_list(&json, "grant_types", client->grants, ' ');
    add_list(&json, "scopes", client->scopes, ' ');
    add_list(&json, "roles", client->roles, ' ');
    add_list(&json, "redirect_uris", client->redirect_uris, '\n');
    add_list(&json, "post_logout_redirect_uris", client->logout_uris, '\n');
    json_add_i64(&json, "access_token_seconds", client->access_s);
    json_add_i64(&json, "refresh_token_seconds", client->refresh_s);
    json_add_text(&json, "access_token_signed_response_alg",
                  span_from(crypto_alg_name(client->access_alg)));
    json_add_text(&json, "id_token_signed_response_alg",
                  span_from(crypto_alg_name(client->id_alg)));
    json_add_time(&json, "created_at", client->created_at_ns);
    json_end_object(&json);
}

void command_client_describe(const struct oauth_client *client, bool as_json, struct sbuf *out)
{
    if (as_json)
        show_json(client, out);
    else
        show_text(client, out);
}
