/* SPDX-License-Identifier: MIT
 * What the parts of the configuration share: the row of the settings table, turning a text into a
 * value, and telling what is wrong.
 *
 *   config.c         the order of things: file, environment, defaults, rules
 *   config_table.c   the table; config_table_row.c and config_table_proxy.c what stands in the
 *                    items of its lists
 *   config_value.c   one text into one checked value, and back into what people may see
 *   config_form.c    the forms of texts that routes and upstreams have
 *   config_yaml.c    the file's shape, keys and values, with line and column of every problem
 *   config_load.c    the checked file into the struct, by libcyaml
 *   config_rows.c    where the members of lists stand in the file, and what it leaves out of them
 *   config_names.c   names that items have, and others that refer to them
 *   config_environ.c the environment's names
 *   config_rules.c   what holds between settings, and in production
 *   config_limits.c  limits: their periods and keys, who shares them, and where Redis is
 *   config_proxy.c   what holds between routes, upstreams and the gateway's own paths
 *   config_breaker.c what holds between the members of a circuit breaker
 *   config_issuer.c  what holds of issuers, and between them and routes
 *   config_tls.c     what holds between the settings of TLS
 *   config_url.c     the parts of a database URL
 *   config_secret.c  whether a secret is one
 *   config_files.c   the file itself and the files that settings name
 *   config_change.c  what a reload would have to leave
 *   config_show.c    --explain, the reference and the example
 *
 * Threads: one at a time.    Memory: all in the arena. */
#ifndef PC_APP_CONFIG_PRIV_H
#define PC_APP_CONFIG_PRIV_H

#include "app/config.h"

enum config_type {
    CONFIG_NUMBER, /* uint32_t */
    CONFIG_SWITCH, /* bool */
    CONFIG_TEXT,   /* const char *, NULL when it has neither value nor default */
    CONFIG_CHOICE, /* an enum whose values are the places in `choices`, from `choice_first` */
    CONFIG_TEXTS,  /* struct config_texts */
    CONFIG_ROWS,   /* struct config_rows: a list of mappings, which may hold lists again */
};

/* The form that a text must have. */
enum config_form {
    CONFIG_ANY,
    CONFIG_HOST,     /* a name or an address */
    CONFIG_NETWORK,  /* an address with a prefix length */
    CONFIG_ORIGIN,   /* scheme://host[:port], or * */
    CONFIG_DATABASE, /* sqlite: or postgresql: */
    CONFIG_ROUTE,    /* METHOD /path */
    CONFIG_URL,      /* http(s)://host[:port][/path], without trailing slash */

    /* config_form.c */
    CONFIG_NAME,            /* of an upstream */
    CONFIG_TARGET,          /* http(s)://host[:port] */
    CONFIG_PROBE,           /* a path to ask, or tcp */
    CONFIG_PATTERN,         /* a route's path */
    CONFIG_PREFIX,          /* of paths, without trailing slash */
    CONFIG_DOMAIN,          /* a host name in lower case */
    CONFIG_SCOPE,           /* RFC 6749, 3.3 */
    CONFIG_ROLE,            /* */
    CONFIG_TOKEN,           /* the name of a header or cookie */
    CONFIG_UPGRADE,         /* a protocol to upgrade to, "websocket" */
    CONFIG_REQUEST_SET,     /* a request header that a route may set */
    CONFIG_REQUEST_REMOVE,  /* or remove */
    CONFIG_RESPONSE_SET,    /* the same of the answer */
    CONFIG_RESPONSE_REMOVE, /* */
    CONFIG_HEADER_VALUE,    /* of one line */

    /* config_limits.c */
    CONFIG_REDIS,     /* redis:// or rediss:// */
    CONFIG_PERIOD,    /* second, seconds:10 */
    CONFIG_LIMIT_KEY, /* address, header:NAME */
};

/* Any list of mappings, whatever its items are: a pointer to the first and how many there are stand
 * side by side in its struct. */
struct config_rows {
    void *items;
    size_t count;
};

/* The contract's issuer, which everybody knows. */
#define CONFIG_ISSUER_KNOWN "https://auth-service.local"

/* One setting. A row of a list is described by such rows again, whose offsets are in the item. */
struct config_setting {
    const char *path;                 /* "limits.requests_per_minute" */
    const char *environ[6];           /* names, closed by NULL; those that are set must agree */
    const char *unit;                 /* "bytes"; NULL for plain counts and texts */
    const char *fallback;             /* as one writes it in the environment; NULL: not set */
    const char *fallback_production;  /* NULL: the same */
    const char *example;              /* for settings without a default */
    const char *about;                /* one sentence */
    const char *const *choices;       /* closed by NULL */
    const struct config_setting *row; /* its members; paths within the item, "check.path" */
    size_t row_count;
    size_t row_bytes; /* of an item */
    size_t offset;    /* in struct config, or in the item of a list */
    enum config_type type;
    enum config_form form;
    uint32_t min, max; /* value of a number, bytes of a text, items of a list */
    uint32_t choice_first;
    bool secret;      /* its value is never shown */
    bool file;        /* names a file that must be readable */
    bool file_secret; /* and that nobody else may read */
    bool required;    /* in a row; in a section of a row, when that is there */
    bool live;        /* a reload takes it over */
};

extern const struct config_setting config_settings[];
extern const size_t config_setting_count;

/* config_table_row.c: what stands in one item of those lists. */
enum { CONFIG_ROUTE_ROW_COUNT = 5, CONFIG_USER_ROW_COUNT = 4, CONFIG_PLAN_ROW_COUNT = 3 };
extern const struct config_setting config_route_row[CONFIG_ROUTE_ROW_COUNT];
extern const struct config_setting config_user_row[CONFIG_USER_ROW_COUNT];
extern const struct config_setting config_plan_row[CONFIG_PLAN_ROW_COUNT];

/* config_table_tls.c */
enum { CONFIG_CERTIFICATE_MEMBER_COUNT = 2 };
extern const struct config_setting config_certificate_members[CONFIG_CERTIFICATE_MEMBER_COUNT];

/* config_table_proxy.c */
enum { CONFIG_UPSTREAM_MEMBER_COUNT = 37, CONFIG_PROXY_MEMBER_COUNT = 42 };
extern const struct config_setting config_upstream_members[CONFIG_UPSTREAM_MEMBER_COUNT];
extern const struct config_setting config_proxy_members[CONFIG_PROXY_MEMBER_COUNT + 3];

/* config_table_issuer.c */
enum { CONFIG_ISSUER_MEMBER_COUNT = 17 };
extern const struct config_setting config_issuer_members[CONFIG_ISSUER_MEMBER_COUNT];

enum {
    CONFIG_FILE_BYTES_MAX = 256 * 1024,
    CONFIG_SECRET_BYTES_MAX = 1024,
    CONFIG_ITEM_BYTES_MAX = 512,  /* of one text in a list */
    CONFIG_LINE_BYTES_MAX = 1024, /* of a told problem */
    CONFIG_SHOWN_BYTES_MAX = 48,  /* of a wrong value repeated in a problem */
    CONFIG_PATH_BYTES_MAX = 80,   /* of a setting's path */
};

/* Where a member of a list, or an item of one, stands in the file. */
struct config_place;
enum { CONFIG_PLACE_SLOTS = 512 };

/* Names that items of a list have, and those that other items mean by them. */
struct config_name;
struct config_names_list {
    struct config_name *first, *last;
    size_t count;
};
struct config_names {
    struct config_names_list given, meant;
    size_t items; /* that the list has, with or without a name */
    bool listed;  /* it is in the file, and is a list */
};
enum { CONFIG_NAMES_UPSTREAMS, CONFIG_NAMES_ISSUERS, CONFIG_NAMES_COUNT };

/* The loading under way. */
struct config_loader {
    const struct config_sources *sources;
    struct arena *arena;
    struct config *config;
    struct config_origins *origins;
    struct config_problems *problems;
    const char *file; /* its name in problems; NULL: there is none */
    struct span text; /* of the file */
    struct config_place *places[CONFIG_PLACE_SLOTS];
    struct config_names names[CONFIG_NAMES_COUNT];
    bool cut_off; /* the file could not be read to its end */
};

/* config_value.c */

/* Is `text` a value of this setting? If not, says why in `why` without repeating a secret. */
bool config_value_check(const struct config_setting *setting, struct span text, struct sbuf *why);

/* Writes a text that passed the check into `base` + offset. ERR_NO_MEMORY is the only failure. */
PC_CHECKED enum err config_value_set(const struct config_setting *setting, struct span text,
                                     struct arena *arena, void *base);

/* The value as people may see it: secrets and passwords are masked, no value is "-". */
void config_value_show(const struct config_setting *setting, const void *base, struct sbuf *out);

/* "1 to 65535", "list of up to 8 texts": what a setting takes, in Markdown. */
void config_reference_kind(const struct config_setting *setting, struct sbuf *out);

/* config_change.c: is this setting's value the same in the structs at `a` and `b`? */
bool config_same_member(const struct config_setting *setting, const void *a, const void *b);

/* The same, of a long list only how many items it has. */
void config_explain_value(const struct config_setting *setting, const struct config *config,
                          struct sbuf *out);

/* "a number from 0 to 65535": what a setting takes. */
void config_value_kind(const struct config_setting *setting, struct sbuf *out);

/* A wrong value or key in quotes, cut and escaped so that it stays on its line. */
void config_shown(struct sbuf *out, struct span text);

/* config_form.c */

/* Is `text` of this form, one of CONFIG_NAME and what follows it? If not, says why. */
bool config_form_check(const struct config_setting *setting, struct span text, struct sbuf *why);
const char *config_form_kind(enum config_form form);

/* "http://[::1]:80" to the host as it stands, without brackets, and the port; it must be good. */
void config_target_read(struct span url, struct span *ret_host, uint32_t *ret_port);

bool config_host_is_valid(struct span host); /* a name or an address; config_value.c */
bool config_port_is_valid(struct span port);

/* config_rows.c */

/* The list in the struct at `base`. */
struct config_rows config_rows_at(const struct config_setting *setting, const void *base);

/* "routes[2].hosts" or "routes[2]" was read there. */
PC_CHECKED enum err config_place_add(struct config_loader *loader, const char *path, size_t line,
                                     size_t column);

/* Was it in the file? Its place, from 1, then. */
bool config_place_find(const struct config_loader *loader, struct span path, uint32_t *ret_line,
                       uint32_t *ret_column);

/* What the items leave out gets its default, in the lists that they hold too. */
PC_CHECKED enum err config_rows_default(struct config_loader *loader,
                                        const struct config_setting *setting);

/* config_names.c */

/* A good text was read at "routes[2].upstream"; is it a name, or does it mean one? */
PC_CHECKED enum err config_names_text(struct config_loader *loader, const char *path,
                                      struct span text);

/* This list was read, and has so many items. */
void config_names_listed(struct config_loader *loader, const char *path, size_t count);

/* Tells names that are there twice and those that nobody has; `whole`: everything in the file is
 * good, so a list that is not there has no items. */
void config_names_rules(struct config_loader *loader, bool whole);

/* config.c */

/* A problem is written on a buffer of CONFIG_LINE_BYTES_MAX and then added, whole. */
void config_problem_add(struct config_loader *loader, bool warning, const struct sbuf *line);

/* A finished problem at a place of the file. */
PC_FORMAT(4, 5)
void config_problem_at(struct config_loader *loader, size_t line, size_t column, const char *format,
                       ...);

/* A finished problem about a setting, told with the place its value came from. A member of a list,
 * "routes[2].hosts", that the file leaves out is told at its item. */
PC_FORMAT(4, 5)
void config_problem_with(struct config_loader *loader, bool warning, const char *path,
                         const char *format, ...);

/* The place of a setting in the table, by its path; it must exist. */
size_t config_setting_at(const char *path);
const struct config_origin *config_origin_of(const struct config_loader *loader, const char *path);

/* The setting with this path, or NULL. */
const struct config_setting *config_setting_find(struct span path);

/* config_files.c */
PC_CHECKED enum err config_file_read(struct config_loader *loader);
PC_CHECKED enum err config_file_secrets(struct config_loader *loader);
void config_file_rules(struct config_loader *loader);

/* config_yaml.c: ERR_OK when the text was read to its end, whatever problems were found. */
PC_CHECKED enum err config_yaml_check(struct config_loader *loader);

/* config_load.c: only after config_yaml_check found no problem. */
PC_CHECKED enum err config_yaml_load(struct config_loader *loader);

/* config_environ.c */
PC_CHECKED enum err config_environ_load(struct config_loader *loader);

/* config_rules.c */
void config_rules(struct config_loader *loader);
/* A bucket must fill within a year; 0 is: as in general. */
void config_rule_fill(struct config_loader *loader, const char *path, uint32_t requests,
                      uint32_t burst);

/* config_proxy.c */
void config_proxy_rules(struct config_loader *loader);

/* config_breaker.c */
void config_breaker_rules(struct config_loader *loader);
/* config_issuer.c */
void config_issuer_rules(struct config_loader *loader);

/* config_limits.c */
void config_limits_rules(struct config_loader *loader);
/* Why a text has not the form; NULL when it has. */
const char *config_redis_fault(struct span s);
const char *config_period_fault(struct span s);
const char *config_limit_key_fault(struct span s);

/* config_tls.c */
void config_tls_rules(struct config_loader *loader);

/* config_url.c: the parts of a database URL; those that are missing are empty. */
struct config_url {
    struct span scheme; /* "postgresql" */
    struct span user;
    struct span password;
    struct span hosts; /* "db1:5432,db2" */
    struct span path;  /* from the slash, or what follows "sqlite:" */
    struct span query; /* after the question mark */
};
struct config_url config_url_read(struct span url);
bool config_url_is_loopback(const struct config_url *url);
struct span config_url_query_value(const struct config_url *url, const char *name);
/* Whether both name one database, as far as their texts tell; `data` is where SQLite's plain names
 * are. */
bool config_url_is_same(struct span a, struct span b, struct span data);
void config_url_show(struct span url, struct sbuf *out); /* without its password */

/* config_secret.c: why a secret is weak, as the end of a sentence; NULL when it is not. */
const char *config_secret_weakness(struct span secret);
bool config_secret_is_known(struct span secret);

#endif
