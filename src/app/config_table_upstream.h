/* SPDX-License-Identifier: MIT
 * How an upstream is reached over TLS. For config_table_proxy.c alone, whose UP, RANGE and versions
 * stand in it. */
#ifndef PC_APP_CONFIG_TABLE_UPSTREAM_H
#define PC_APP_CONFIG_TABLE_UPSTREAM_H

#define CONFIG_UPSTREAM_TLS                                                                        \
    {.path = "tls.ca_file",                                                                        \
     .type = CONFIG_TEXT,                                                                          \
     UP(tls.ca_file),                                                                              \
     RANGE(1, 4095),                                                                               \
     .file = true,                                                                                 \
     .about = "PEM file with the authorities whose certificates https targets may show; the "      \
              "system's when left out. They are always verified."},                                \
        {.path = "tls.crl_file",                                                                   \
         .type = CONFIG_TEXT,                                                                      \
         UP(tls.crl_file),                                                                         \
         RANGE(1, 4095),                                                                           \
         .file = true,                                                                             \
         .about = "PEM file with a list of revoked certificates of each of these authorities; "    \
                  "when set, none may be missing or out of date."},                                \
        {.path = "tls.server_name",                                                                \
         .type = CONFIG_TEXT,                                                                      \
         .form = CONFIG_DOMAIN,                                                                    \
         UP(tls.server_name),                                                                      \
         RANGE(1, 253),                                                                            \
         .about = "The name that certificates of its targets must hold; when left out, the host "  \
                  "of each target's own URL."},                                                    \
        {.path = "tls.cert_file",                                                                  \
         .type = CONFIG_TEXT,                                                                      \
         UP(tls.cert_file),                                                                        \
         RANGE(1, 4095),                                                                           \
         .file = true,                                                                             \
         .about = "PEM file with the certificate that the gateway shows to targets that ask, and " \
                  "its chain."},                                                                   \
        {.path = "tls.key_file",                                                                   \
         .type = CONFIG_TEXT,                                                                      \
         UP(tls.key_file),                                                                         \
         RANGE(1, 4095),                                                                           \
         .file = true,                                                                             \
         .file_secret = true,                                                                      \
         .about = "PEM file with that certificate's private key."},                                \
    {                                                                                              \
        .path = "tls.min_version", .type = CONFIG_CHOICE, UP(tls.min_version),                     \
        .choices = tls_versions, .fallback = "1.2",                                                \
        .about = "The oldest version of TLS that is spoken with targets."                          \
    }

#endif
