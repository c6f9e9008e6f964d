/* SPDX-License-Identifier: MIT
 * Requests of tests in C. Allocates only to connect, so that a countdown of allocations strikes the
 * program and not its client. */
#include "inside.h"

#include <stdio.h>
#include <string.h>

#include "json/json.h"

void inside_hangup(struct caller *caller)
{
    link_close(caller->link);
    caller->link = NULL;
}

static void keep_body(struct caller *caller)
{
    size_t len = caller->reply.body.len;

    if (len >= sizeof(caller->body))
        len = sizeof(caller->body) - 1;
    if (len > 0)
        memcpy(caller->body, caller->reply.body.ptr, len);
    caller->body[len] = '\0';
}

int inside_ask(struct caller *caller, const char *method, const char *path, const char *token,
               const char *body)
{
    char text[2 * INSIDE_TEXT_BYTES];
    struct sbuf out = sbuf_over(text, sizeof(text));
    size_t count;

    if (caller->link == NULL)
        caller->link = link_open(caller->world, caller->service, "");
    if (caller->link == NULL)
        return 0;
    sbuf_add_format(&out, "%s %s HTTP/1.1\r\nHost: localhost\r\n", method, path);
    if (token != NULL)
        sbuf_add_format(&out, "Authorization: %s%s\r\n",
                        strncmp(token, "Basic ", 6) == 0 ? "" : "Bearer ", token);
    if (body != NULL)
        sbuf_add_format(&out, "Content-Type: application/%s\r\nContent-Length: %zu\r\n",
                        body[0] == '{' ? "json" : "x-www-form-urlencoded", strlen(body));
    sbuf_add_format(&out, "\r\n%s", body ? body : "");
    PC_ASSERT(!out.full);
    link_send(caller->link, sbuf_span(&out));
    if (link_read(caller->link, false, &caller->reply) != NULL) {
        inside_hangup(caller);
        return 0;
    }
    keep_body(caller);
    if (span_is(link_header(&caller->reply, SPAN_OF("Connection"), &count), "close"))
        inside_hangup(caller);
    return caller->reply.status;
}

bool inside_text(const struct caller *caller, const char *name, char ret_text[INSIDE_TEXT_BYTES])
{
    const struct json_value *root;
    struct span found;
    char first[INSIDE_TEXT_BYTES]; /* a reply's few members need no heap */
    struct arena arena;
    bool good;

    arena_init(&arena, first, sizeof(first), 1 << 20);
    good = json_read(span_from(caller->body), &arena, &root, NULL) == ERR_OK &&
           json_to_text(json_get(root, name), &found) && found.len < INSIDE_TEXT_BYTES;
    if (good) {
        memcpy(ret_text, found.ptr, found.len);
        ret_text[found.len] = '\0';
    }
    arena_reset(&arena);
    return good;
}

bool inside_login(struct caller *caller, const char *email, const char *password, char *ret_access,
                  char *ret_refresh)
{
    char body[512];

    (void)snprintf(body, sizeof(body), "{\"email\":\"%s\",\"password\":\"%s\"}", email, password);
    return inside_ask(caller, "POST", "/api/v1/auth/login", NULL, body) == 200 &&
           (ret_access == NULL || inside_text(caller, "access_token", ret_access)) &&
           (ret_refresh == NULL || inside_text(caller, "refresh_token", ret_refresh));
}
