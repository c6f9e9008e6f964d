/* SPDX-License-Identifier: MIT
 * Where the gateway finds the services that run in other processes. For config_table.c alone, whose
 * AT and RANGE stand in it. */
#ifndef PC_APP_CONFIG_TABLE_BEHIND_H
#define PC_APP_CONFIG_TABLE_BEHIND_H

#define CONFIG_BEHIND_TLS                                                                          \
    {                                                                                              \
        .path = "gateway.behind.ca_file", .type = CONFIG_TEXT, AT(behind_ca_file), RANGE(1, 4095), \
        .file = true, .example = "/etc/portcullis/tls/services-ca.pem",                            \
        .about = "PEM file with the authorities whose certificates services at https places may "  \
                 "show; the system's when left out. They are always verified."                     \
    }

#define CONFIG_BEHIND(member, service)                                                             \
    {                                                                                              \
        .path = "gateway.behind." member, .type = CONFIG_TEXT, .form = CONFIG_TARGET,              \
        AT(behind[service]), RANGE(1, 300), .example = "http://10.0.0.7:9001",                     \
        .about = "Where the gateway finds the " member " service when it runs without it "         \
                 "(serve --only); its listener's port on 127.0.0.1 when left out."                 \
    }

#endif
