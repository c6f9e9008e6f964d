/* SPDX-License-Identifier: MIT
 * Who the client proved to be: the names and the thumbprint of its certificate, copied once after
 * the handshake into one block. */
#include <string.h>

#include "base/alloc.h"
#include "crypto/tls_priv.h"

enum { PEER_BYTES_MAX = 4096, CN_BYTES_MAX = 256 };

/* RFC 4514, with UTF-8 kept as it is. */
static bool subject_add(const X509 *certificate, struct sbuf *out)
{
    unsigned long flags = XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB;
    CRYPTO_AUTO(BIO) bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long bytes;

    if (bio == NULL || X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, flags) < 0)
        return false;
    bytes = BIO_get_mem_data(bio, &text);
    sbuf_add_bytes(out, text, (size_t)bytes);
    return !out->full && bytes > 0;
}

/* Adds nothing unless there is exactly one common name. False for one that could be read in two
 * ways: with a NUL, too long, or no UTF-8. */
static bool cn_add(const X509 *certificate, struct sbuf *out)
{
    const X509_NAME *name = X509_get_subject_name(certificate);
    int first = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    unsigned char *text = NULL;
    struct span cn;
    bool good;
    int bytes;

    if (first < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, first) >= 0)
        return true;
    bytes = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, first)));
    if (bytes < 0)
        return false;
    cn = span_make(text, (size_t)bytes);
    good = cn.len <= CN_BYTES_MAX && span_find(cn, '\0') == cn.len && span_is_utf8(cn);
    if (good)
        sbuf_add(out, cn);
    OPENSSL_free(text);
    return good && !out->full;
}

static bool thumbprint_add(const X509 *certificate, struct sbuf *out)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;

    if (X509_digest(certificate, crypto_hash_md(CRYPTO_SHA256), digest, &bytes) != 1)
        return false;
    crypto_base64url_add(out, span_make(digest, bytes));
    return !out->full;
}

/* One block: the struct, then its texts. */
static enum err peer_make(struct span texts, size_t subject_bytes, size_t cn_bytes,
                          struct crypto_tls_peer **ret_peer)
{
    struct crypto_tls_peer *peer = alloc_raw(sizeof(*peer) + texts.len);
    struct span all;

    if (peer == NULL)
        return ERR_NO_MEMORY;
    memcpy(peer + 1, texts.ptr, texts.len);
    all = span_make(peer + 1, texts.len);
    peer->subject = span_slice(all, 0, subject_bytes);
    peer->cn = span_slice(all, subject_bytes, subject_bytes + cn_bytes);
    peer->thumbprint = span_slice(all, subject_bytes + cn_bytes, all.len);
    *ret_peer = peer;
    return ERR_OK;
}

enum err crypto_tls_peer_read(SSL *ssl, struct crypto_tls_peer **ret_peer, const char **ret_why)
{
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    char room[PEER_BYTES_MAX];
    struct sbuf texts = sbuf_over(room, sizeof(room));
    size_t subject_bytes, cn_bytes;

    if (certificate == NULL)
        return ERR_OK;
    if (SSL_get_verify_result(ssl) != X509_V_OK) {
        *ret_why = "the client certificate was not verified";
        return ERR_KEY;
    }
    /* A resumed session brings back a certificate that was verified when it began. */
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0) {
        *ret_why = "the client certificate has expired";
        return ERR_KEY;
    }
    *ret_why = "the names of the client certificate cannot be used";
    if (!subject_add(certificate, &texts))
        return ERR_KEY;
    subject_bytes = texts.len;
    if (!cn_add(certificate, &texts))
        return ERR_KEY;
    cn_bytes = texts.len - subject_bytes;
    if (!thumbprint_add(certificate, &texts))
        return ERR_KEY;
    *ret_why = "out of memory";
    return peer_make(sbuf_span(&texts), subject_bytes, cn_bytes, ret_peer);
}
