/* SPDX-License-Identifier: MIT
 * What the parts of the API document share: the writer, and what was referred to and has to be
 * written once. http_openapi.c writes operations, http_openapi_answers.c what they answer. */
#ifndef PC_HTTP_HTTP_OPENAPI_PRIV_H
#define PC_HTTP_HTTP_OPENAPI_PRIV_H

#include "http/http_priv.h"
#include "json/json_writer.h"

enum { HTTP_DOCUMENT_SCHEMAS_MAX = 256, HTTP_DOCUMENT_ANSWERS_MAX = 256 };

#define HTTP_DOCUMENT_SCHEMAS "#/components/schemas/"

/* Bodies are described as they are read or as they are written: http_document_media. */
enum http_document_side { HTTP_DOCUMENT_TOLD, HTTP_DOCUMENT_ASKED };

/* What an answer may carry besides its body. */
enum http_document_header {
    HTTP_DOCUMENT_REQUEST_ID,
    HTTP_DOCUMENT_PROCESS_TIME,
    HTTP_DOCUMENT_LIMIT,
    HTTP_DOCUMENT_REMAINING,
    HTTP_DOCUMENT_RESET,
    HTTP_DOCUMENT_BREAKER,
    HTTP_DOCUMENT_LOCATION,
    HTTP_DOCUMENT_REPLAYED,
    HTTP_DOCUMENT_AUTHENTICATE,
    HTTP_DOCUMENT_RETRY,
    HTTP_DOCUMENT_HEADER_COUNT
};

/* A refusal: operations that refuse alike refer to one. */
struct http_document_answer {
    int status; /* 0: whatever no operation is asked about */
    uint32_t headers;
    bool errs[ERR_COUNT];
    bool usual;                    /* application/problem+json may come */
    const struct json_schema *own; /* the route's own form; NULL: none */
    const char *own_type;          /* of it, when it is no JSON; NULL: none */
};

struct http_document {
    struct json_writer w;
    struct sbuf *out;
    const struct http_service_options *options;
    struct {
        const struct json_schema *schema;
        bool asked;                       /* a request may hold it */
    } schemas[HTTP_DOCUMENT_SCHEMAS_MAX]; /* every one that is referred to, once */
    size_t schema_count;
    struct http_document_answer answers[HTTP_DOCUMENT_ANSWERS_MAX];
    size_t answer_count;
    uint32_t headers;     /* those referred to, a bit each */
    bool told[ERR_COUNT]; /* errors of which there is an example */
};

void http_document_begin(struct http_document *doc, const char *key);
void http_document_end(struct http_document *doc);
void http_document_text(struct http_document *doc, const char *key, const char *text);

/* One form of a body, with an example; without a schema it is text. */
void http_document_media(struct http_document *doc, const char *type,
                         const struct json_schema *schema, enum http_document_side side);

/* The same of a list of them, as it is written. */
void http_document_list(struct http_document *doc, const char *type,
                        const struct json_schema *items);
/* "schema": a reference to it. */
void http_document_schema(struct http_document *doc, const struct json_schema *schema,
                          enum http_document_side side);

/* http_openapi_answers.c: all answers of an operation; later what they referred to. */
void http_document_answers(struct http_document *doc, const struct http_route *route);
void http_document_components(struct http_document *doc);

#endif
