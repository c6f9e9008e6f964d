/* SPDX-License-Identifier: MIT
 * The table of reasons, cut from reason.def, and the page that tells them with the errors of
 * err.def: what a client, a dashboard or a rule of a SIEM may rely on. */
#include "base/reason.h"

#include "base/err.h"

enum where {
    REASON_OF_ANSWER,
    REASON_OF_CONNECTION,
    REASON_OF_LINK,
    REASON_OF_FLOOD,
    REASON_OF_DENIAL,
    REASON_OF_BREAKER,
    WHERE_COUNT
};

static const struct {
    enum where where;
    const char *code, *meaning, *remedy;
} reasons[REASON_COUNT] = {
#define REASON(name_, where_, code_, meaning_, remedy_)                                            \
    [name_] = {.where = (where_), .code = (code_), .meaning = (meaning_), .remedy = (remedy_)},
#include "base/reason.def"
#undef REASON
};

const char *reason_code(enum reason reason)
{
    PC_ASSERT(reason < REASON_COUNT);
    return reasons[reason].code;
}

/* ---- the page ---------------------------------------------------------------------------------
 */

static const char preface[] =
    "# Reasons\n"
    "\n"
    "<!-- Made by `portcullis reasons >docs/reasons.md`; do not edit. -->\n"
    "\n"
    "Why a request, a connection or a call was refused, by a code that stays the same from version "
    "to version. There are no\n"
    "other codes than these.\n"
    "\n"
    "| where | what it is called |\n"
    "| --- | --- |\n"
    "| the answer | the end of `type`: `urn:portcullis:problem:CODE`; at the issuer's routes, "
    "`error` |\n"
    "| the access log | `reason`, with `source`: who refused; `error`, where the program did |\n"
    "| `/metrics` | `http_refusals_total{service, source, reason}` |\n"
    "\n"
    "`source` is `gateway` (this program refused), `upstream` (the service behind answered so, and "
    "was passed on) or\n"
    "`client` (it went away). What is refused before its route is known is counted by "
    "`portcullis_net_requests_refused_total{reason}`\n"
    "as well. `/oauth/authorize` sends browsers back with the words of RFC 6749 and OpenID "
    "Connect; that is no refusal here.\n";

static const struct {
    const char *title, *about;
} chapters[WHERE_COUNT] = {
    [REASON_OF_ANSWER] = {"Answers that the program does not explain",
                          "In the access log and in `http_refusals_total` alone."},
    [REASON_OF_CONNECTION] = {"Connections closed at once",
                              "`portcullis_net_connections_refused_total{reason}`."},
    [REASON_OF_LINK] = {"Connections to upstreams that failed",
                        "`portcullis_net_upstream_failures_total{reason}`."},
    [REASON_OF_FLOOD] = {"HTTP/2 connections closed for a flood",
                         "`portcullis_net_http2_floods_total{kind}`."},
    [REASON_OF_DENIAL] = {"Denials",
                          "`reason` of the event `access.denied`, beside every code of 401 and "
                          "403 above."},
    [REASON_OF_BREAKER] = {"Breakers", "`reason` of the event `breaker.moved` and of the log line "
                                       "`circuit_breaker`."},
};

static void errors_write(struct sbuf *out)
{
    sbuf_add_lit(out, "\n## Answers\n\n| code | status | meaning | what to do |\n"
                      "| --- | --- | --- | --- |\n");
    for (int status = 400; status < 600; status++) {
        for (enum err err = ERR_OK; err < ERR_COUNT; err++) {
            if (err_is_told(err) && err_status(err) == status)
                sbuf_add_format(out, "| `%s` | %d | %s. | %s |\n", err_slug(err), status,
                                err_sentence(err), err_remedy(err));
        }
    }
}

static void chapter_write(struct sbuf *out, enum where where)
{
    sbuf_add_format(out, "\n## %s\n%s\n\n", chapters[where].title, chapters[where].about);
    sbuf_add_lit(out, "| code | meaning | what to do |\n| --- | --- | --- |\n");
    for (enum reason reason = 0; reason < REASON_COUNT; reason++) {
        if (reasons[reason].where == where)
            sbuf_add_format(out, "| `%s` | %s. | %s |\n", reasons[reason].code,
                            reasons[reason].meaning, reasons[reason].remedy);
    }
}

void reason_page_write(struct sbuf *out)
{
    sbuf_add_text(out, preface);
    errors_write(out);
    for (enum where where = 0; where < WHERE_COUNT; where++)
        chapter_write(out, where);
}
