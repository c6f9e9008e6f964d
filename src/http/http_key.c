/* SPDX-License-Identifier: MIT
 * The header Idempotency-Key: what a client calls a request by which it will not have done twice.
 * What is kept under a key, and where, is the services' business. */
#include "http/http_key.h"

#include <string.h>

static const char syntax[] = "must be 1 to 255 visible ASCII characters";

static bool is_visible(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x21 || text.ptr[i] > 0x7E)
            return false;
    }
    return text.len >= 1 && text.len <= LIMIT_LEDGER_KEY_BYTES_MAX;
}

/* RFC 8941, 3.3.3: a string in quotes, where a backslash goes before a quote or a backslash. */
static bool unquote(struct span text, char key[LIMIT_LEDGER_KEY_BYTES_MAX], size_t *ret_len)
{
    size_t len = 0;

    if (text.len < 2 || text.ptr[text.len - 1] != '"')
        return false;
    text = span_slice(text, 1, text.len - 1);
    for (size_t i = 0; i < text.len; i++) {
        bool escaped = text.ptr[i] == '\\';

        i += escaped;
        if (i == text.len || len == LIMIT_LEDGER_KEY_BYTES_MAX)
            return false;
        if (escaped != (text.ptr[i] == '"' || text.ptr[i] == '\\'))
            return false;
        key[len++] = text.ptr[i];
    }
    *ret_len = len;
    return true;
}

/* How often the header is there, and its last value. */
static size_t find_header(const struct http_request *req, struct span *ret_value)
{
    size_t found = 0;

    for (size_t i = 0; req->head != NULL && i < req->head->header_count; i++) {
        if (!span_is(req->head->headers[i].name, "idempotency-key"))
            continue;
        *ret_value = span_trim(req->head->headers[i].value);
        found++;
    }
    return found;
}

enum err http_key_read(struct http_request *req, char room[LIMIT_LEDGER_KEY_BYTES_MAX],
                       struct span *ret_key)
{
    struct span key = {0};
    size_t found = find_header(req, &key);

    *ret_key = (struct span){0};
    if (found == 0)
        return ERR_OK;
    if (found > 1)
        return http_fail_field(req, "Idempotency-Key", "must be given once");
    if (key.len > 0 && key.ptr[0] == '"') {
        size_t len;

        if (!unquote(key, room, &len))
            return http_fail_field(req, "Idempotency-Key", syntax);
        key = span_make(room, len);
    }
    if (!is_visible(key))
        return http_fail_field(req, "Idempotency-Key", syntax);
    *ret_key = key;
    return ERR_OK;
}
