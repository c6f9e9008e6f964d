/* SPDX-License-Identifier: MIT
 * The names in a listener's certificates, and which of the certificates a client is shown: the
 * first that holds the name it asks for, else one with a wildcard for it, else the listener's own.
 *
 * The choice is made before a ticket is looked at. Made later, as OpenSSL's callback for names does
 * with TLS 1.3, a session of one certificate would be resumed under the name of another
 * (CVE-2025-23419).
 *
 * Source: RFC 6066, 3; RFC 9525, 6.3 (a wildcard is the whole leftmost label). */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "crypto/tls_priv.h"

enum { NAME_BYTES_MAX = 255, NAMES_MAX = 8192 };

struct crypto_tls_name {
    struct span text; /* lower case; on the heap */
    size_t which;
};

void crypto_tls_names_free(struct crypto_tls_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        alloc_free((void *)(uintptr_t)names->list[i].text.ptr);
    alloc_free(names->list);
    *names = (struct crypto_tls_names){0};
}

static enum err name_add(struct crypto_tls_names *names, struct span text, size_t which)
{
    struct crypto_tls_name *list;
    char *copy;

    if (text.len == 0 || text.len > NAME_BYTES_MAX || span_find(text, '\0') != text.len ||
        names->count == NAMES_MAX)
        return ERR_OK; /* asked for by nobody */
    list = alloc_resize(names->list, (names->count + 1) * sizeof(list[0]));
    if (list == NULL)
        return ERR_NO_MEMORY;
    names->list = list;
    copy = alloc_raw(text.len);
    if (copy == NULL)
        return ERR_NO_MEMORY;
    for (size_t i = 0; i < text.len; i++)
        copy[i] = span_lower_char(text.ptr[i]);
    list[names->count++] = (struct crypto_tls_name){span_make(copy, text.len), which};
    return ERR_OK;
}

static enum err alternative_add(struct crypto_tls_names *names, const GENERAL_NAME *name,
                                size_t which)
{
    char address[INET6_ADDRSTRLEN];
    int family;

    if (name->type == GEN_DNS)
        return name_add(names,
                        span_make(ASN1_STRING_get0_data(name->d.dNSName),
                                  (size_t)ASN1_STRING_length(name->d.dNSName)),
                        which);
    if (name->type != GEN_IPADD)
        return ERR_OK;
    family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
    if (family == AF_INET6 && ASN1_STRING_length(name->d.iPAddress) != 16)
        return ERR_OK;
    PC_ASSERT(inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), address,
                        sizeof(address)) != NULL);
    return name_add(names, span_from(address), which);
}

enum err crypto_tls_names_add(struct crypto_tls_names *names, const X509 *certificate, size_t which)
{
    GENERAL_NAMES *all = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    enum err err = ERR_OK;

    for (int i = 0; i < sk_GENERAL_NAME_num(all) && !err; i++)
        err = alternative_add(names, sk_GENERAL_NAME_value(all, i), which);
    GENERAL_NAMES_free(all);
    ERR_clear_error();
    return err;
}

/* ---- finding ---- */

static int text_compare(struct span a, struct span b)
{
    size_t least = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.ptr, b.ptr, least);

    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

/* Of two certificates for one name the first counts. */
static int name_compare(const void *a, const void *b)
{
    const struct crypto_tls_name *left = a;
    const struct crypto_tls_name *right = b;
    int order = text_compare(left->text, right->text);

    if (order != 0)
        return order;
    return left->which < right->which ? -1 : left->which > right->which;
}

void crypto_tls_names_sort(struct crypto_tls_names *names)
{
    if (names->count > 1)
        qsort(names->list, names->count, sizeof(names->list[0]), name_compare);
}

static bool find_exactly(const struct crypto_tls_names *names, struct span text, size_t *ret_which)
{
    size_t low = 0;
    size_t high = names->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (text_compare(names->list[middle].text, text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == names->count || !span_equal(names->list[low].text, text))
        return false;
    *ret_which = names->list[low].which;
    return true;
}

bool crypto_tls_names_find(const struct crypto_tls_names *names, struct span host,
                           size_t *ret_which)
{
    char lower[NAME_BYTES_MAX + 1] = "*";
    size_t dot;

    if (host.len == 0 || host.len > NAME_BYTES_MAX || host.ptr[0] == '*')
        return false;
    for (size_t i = 0; i < host.len; i++)
        lower[i + 1] = span_lower_char(host.ptr[i]);
    if (find_exactly(names, span_make(lower + 1, host.len), ret_which))
        return true;
    dot = span_find(host, '.');
    if (dot == 0 || dot == host.len)
        return false;
    lower[dot] = '*'; /* in the place of the label's last character */
    return find_exactly(names, span_make(lower + dot, host.len - dot + 1), ret_which);
}

bool crypto_tls_context_covers(const struct crypto_tls_context *context, struct span host)
{
    size_t ignored;

    return crypto_tls_names_find(&context->names, host, &ignored);
}

/* ---- the choice ---- */

/* RFC 6066, 3: a list of one name. Anything else is left to OpenSSL, which refuses it. */
static struct span name_asked(SSL *ssl)
{
    const unsigned char *data;
    struct span all;
    size_t bytes;

    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &bytes) != 1 || bytes < 5 ||
        data[2] != TLSEXT_NAMETYPE_host_name)
        return (struct span){0};
    all = span_make(data, bytes);
    if ((size_t)(data[0] << 8 | data[1]) != bytes - 2 ||
        (size_t)(data[3] << 8 | data[4]) != bytes - 5)
        return (struct span){0};
    return span_slice(all, 5, bytes);
}

static int on_hello(SSL *ssl, int *ret_alert, void *argument)
{
    const struct crypto_tls_context *context = argument;
    size_t which = 0;

    if (!crypto_tls_names_find(&context->names, name_asked(ssl), &which) || which == 0)
        return SSL_CLIENT_HELLO_SUCCESS;
    if (SSL_set_SSL_CTX(ssl, context->others[which - 1]) != NULL)
        return SSL_CLIENT_HELLO_SUCCESS;
    *ret_alert = SSL_AD_INTERNAL_ERROR;
    return SSL_CLIENT_HELLO_ERROR;
}

void crypto_tls_names_use(struct crypto_tls_context *context)
{
    crypto_tls_names_sort(&context->names);
    if (context->other_count > 0)
        SSL_CTX_set_client_hello_cb(context->ssl, on_hello, context);
}
