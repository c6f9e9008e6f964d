/* SPDX-License-Identifier: MIT
 * For tests in C of the whole program inside one process: one call for a request and its reply.
 *
 * Threads: a caller for each thread; the world is shared.    Memory: inside_hangup. */
#ifndef PC_TESTS_SCENARIOS_INSIDE_H
#define PC_TESTS_SCENARIOS_INSIDE_H

#include "link.h"

enum { INSIDE_TEXT_BYTES = 8192 };

/* One client with one connection, and texts of its last reply. */
struct caller {
    struct world *world;
    enum config_service service;
    struct link *link;
    struct link_reply reply;
    char body[INSIDE_TEXT_BYTES]; /* of the last reply, ends in NUL */
};

/* The status, or 0 when the connection ended without an answer. `token` and `body` may be NULL; a
 * token is a bearer unless it begins with "Basic ", a body JSON if it begins with a brace, else a
 * form. */
int inside_ask(struct caller *caller, const char *method, const char *path, const char *token,
               const char *body);
void inside_hangup(struct caller *caller);

/* A text member of the last reply; false when it is not there. */
PC_CHECKED bool inside_text(const struct caller *caller, const char *name,
                            char ret_text[INSIDE_TEXT_BYTES]);

/* Logs in and keeps both tokens (each may be NULL). */
PC_CHECKED bool inside_login(struct caller *caller, const char *email, const char *password,
                             char *ret_access, char *ret_refresh);

#endif
