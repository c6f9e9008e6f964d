/* SPDX-License-Identifier: MIT
 * What stands in an item of a listener's `tls.certificates`. */
#include "app/config_priv.h"

#define AT(member) .offset = offsetof(struct config_certificate, member), .min = 1, .max = 4095

const struct config_setting config_certificate_members[CONFIG_CERTIFICATE_MEMBER_COUNT] = {
    {.path = "cert_file",
     .type = CONFIG_TEXT,
     AT(cert_file),
     .file = true,
     .required = true,
     .example = "/etc/portcullis/tls/shop.pem",
     .about = "PEM file with the certificate and its chain."},
    {.path = "key_file",
     .type = CONFIG_TEXT,
     AT(key_file),
     .file = true,
     .file_secret = true,
     .required = true,
     .example = "/etc/portcullis/tls/shop-key.pem",
     .about = "PEM file with its private key."},
};
