/* SPDX-License-Identifier: MIT
 * The settings of a listener, the same for each service. For config_table.c alone, whose AT, RANGE,
 * PATH_RANGE and client_auths stand in it. */
#ifndef PC_APP_CONFIG_TABLE_LISTEN_H
#define PC_APP_CONFIG_TABLE_LISTEN_H

#define CONFIG_LISTENER(section, service, who, port_name, port_default)                            \
    {.path = section ".host",                                                                      \
     .environ = {"HOST"},                                                                          \
     .type = CONFIG_TEXT,                                                                          \
     .form = CONFIG_HOST,                                                                          \
     AT(listeners[service].host),                                                                  \
     RANGE(1, 253),                                                                                \
     .fallback = "127.0.0.1",                                                                      \
     .fallback_production = "0.0.0.0",                                                             \
     .about = "Address that " who " listens on."},                                                 \
        {.path = section ".port",                                                                  \
         .environ = {port_name},                                                                   \
         .type = CONFIG_NUMBER,                                                                    \
         AT(listeners[service].port),                                                              \
         RANGE(0, 65535),                                                                          \
         .fallback = port_default,                                                                 \
         .about = "Port that " who " listens on; 0 takes any free one."},                          \
        {.path = section ".proxy_protocol",                                                        \
         .type = CONFIG_SWITCH,                                                                    \
         AT(listeners[service].proxy_protocol),                                                    \
         .fallback = "false",                                                                      \
         .about = "Expects the PROXY protocol (version 1 or 2) at the beginning of each "          \
                  "connection, from trusted proxies alone, and takes the address told there for "  \
                  "the client's; everybody else is refused."},                                     \
        {.path = section ".proxy_protocol_from",                                                   \
         .type = CONFIG_TEXTS,                                                                     \
         .form = CONFIG_NETWORK,                                                                   \
         AT(listeners[service].proxy_protocol_from),                                               \
         RANGE(0, 64),                                                                             \
         .fallback = "",                                                                           \
         .example = "10.0.0.0/8",                                                                  \
         .live = true,                                                                             \
         .about = "Networks of the proxies that may speak it; trusted_proxies when left out."},    \
        {.path = section ".tls.certificate",                                                       \
         .type = CONFIG_TEXT,                                                                      \
         AT(listeners[service].certificate),                                                       \
         PATH_RANGE,                                                                               \
         .file = true,                                                                             \
         .example = "/etc/portcullis/tls/fullchain.pem",                                           \
         .live = true,                                                                             \
         .about = "PEM file with the certificate and its chain; setting it turns HTTPS on."},      \
        {.path = section ".tls.key",                                                               \
         .type = CONFIG_TEXT,                                                                      \
         AT(listeners[service].key),                                                               \
         PATH_RANGE,                                                                               \
         .file = true,                                                                             \
         .file_secret = true,                                                                      \
         .example = "/etc/portcullis/tls/key.pem",                                                 \
         .live = true,                                                                             \
         .about = "PEM file with the certificate's private key."},                                 \
        {.path = section ".tls.client_ca",                                                         \
         .type = CONFIG_TEXT,                                                                      \
         AT(listeners[service].client_ca),                                                         \
         PATH_RANGE,                                                                               \
         .file = true,                                                                             \
         .example = "/etc/portcullis/tls/clients-ca.pem",                                          \
         .live = true,                                                                             \
         .about = "PEM file with the authorities whose client certificates are accepted."},        \
        {.path = section ".tls.certificates",                                                      \
         .type = CONFIG_ROWS,                                                                      \
         AT(listeners[service].certificates),                                                      \
         RANGE(0, CONFIG_CERTIFICATES_MAX),                                                        \
         ROWS_OF(config_certificate_members, config_certificate),                                  \
         .live = true,                                                                             \
         .about = "Further certificates: each is shown to clients that ask for a name in it, and " \
                  "tls.certificate to all others."},                                               \
        {.path = section ".tls.crl_file",                                                          \
         .type = CONFIG_TEXT,                                                                      \
         AT(listeners[service].crl_file),                                                          \
         PATH_RANGE,                                                                               \
         .file = true,                                                                             \
         .example = "/etc/portcullis/tls/clients.crl",                                             \
         .live = true,                                                                             \
         .about = "PEM file with a list of revoked certificates of each authority in "             \
                  "tls.client_ca; when one is missing or out of date, no client certificate of "   \
                  "that authority is accepted."},                                                  \
    {                                                                                              \
        .path = section ".tls.client_auth", .type = CONFIG_CHOICE,                                 \
        AT(listeners[service].client_auth), .choices = client_auths, .fallback = "none",           \
        .live = true, .about = "Whether a client shows a certificate."                             \
    }

#endif
