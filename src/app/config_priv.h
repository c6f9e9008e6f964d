/* SPDX-License-Identifier: MIT
 * What the parts of the configuration share: the row of the settings table, turning a text into a
 * value, and telling what is wrong.
 *
 *   config.c         the order of things: file, environment, defaults, rules
 *   config_table.c   the table
 *   config_value.c   one text into one checked value, and back into what people may see
 *   config_yaml.c    the file's shape, keys and values, with line and column of every problem
 *   config_load.c    the checked file into the struct, by libcyaml
 *   config_environ.c the environment's names
 *   config_rules.c   what holds between settings, and in production
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
    CONFIG_CHOICE, /* an enum whose values are the places in `choices` */
    CONFIG_TEXTS,  /* struct config_texts */
    CONFIG_ROWS,   /* struct config_limits: a list of small mappings */
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
};

/* The contract's issuer, which everybody knows. */
#define CONFIG_ISSUER_KNOWN "https://auth-service.local"

/* One setting. A row of a list is described by such rows again, whose offsets are in the item. */
struct config_setting {
    const char *path;                /* "limits.requests_per_minute" */
    const char *environ[6];          /* names, closed by NULL; those that are set must agree */
    const char *unit;                /* "bytes"; NULL for plain counts and texts */
    const char *fallback;            /* as one writes it in the environment; NULL: not set */
    const char *fallback_production; /* NULL: the same */
    const char *example;             /* for settings without a default */
    const char *about;               /* one sentence */
    const char *const *choices;      /* closed by NULL */
    const struct config_setting *row;
    size_t row_count;
    size_t offset; /* in struct config, or in the item of a list */
    enum config_type type;
    enum config_form form;
    uint32_t min, max; /* value of a number, bytes of a text, items of a list */
    bool secret;       /* its value is never shown */
    bool file;         /* names a file that must be readable */
    bool file_secret;  /* and that nobody else may read */
    bool required;     /* in a row */
    bool live;         /* a reload takes it over */
};

extern const struct config_setting config_settings[];
extern const size_t config_setting_count;

/* Names of the contract that this version does not serve yet, with what to know about it. */
struct config_unserved {
    const char *name;
    const char *about;
};
extern const struct config_unserved config_unserved_names[];
extern const size_t config_unserved_count;

enum {
    CONFIG_FILE_BYTES_MAX = 256 * 1024,
    CONFIG_SECRET_BYTES_MAX = 1024,
    CONFIG_ITEM_BYTES_MAX = 512,  /* of one text in a list */
    CONFIG_LINE_BYTES_MAX = 1024, /* of a told problem */
    CONFIG_SHOWN_BYTES_MAX = 48,  /* of a wrong value repeated in a problem */
    CONFIG_PATH_BYTES_MAX = 80,   /* of a setting's path */
};

/* The loading under way. */
struct config_loader {
    const struct config_sources *sources;
    struct arena *arena;
    struct config *config;
    struct config_origins *origins;
    struct config_problems *problems;
    const char *file; /* its name in problems; NULL: there is none */
    struct span text; /* of the file */
};

/* config_value.c */

/* Is `text` a value of this setting? If not, says why in `why` without repeating a secret. */
bool config_value_check(const struct config_setting *setting, struct span text, struct sbuf *why);

/* Writes a text that passed the check into `base` + offset. ERR_NO_MEMORY is the only failure. */
PC_CHECKED enum err config_value_set(const struct config_setting *setting, struct span text,
                                     struct arena *arena, void *base);

/* The value as people may see it: secrets and passwords are masked, no value is "-". */
void config_value_show(const struct config_setting *setting, const void *base, struct sbuf *out);

/* "a number from 0 to 65535": what a setting takes. */
void config_value_kind(const struct config_setting *setting, struct sbuf *out);

/* A wrong value or key in quotes, cut and escaped so that it stays on its line. */
void config_shown(struct sbuf *out, struct span text);

/* config.c */

/* A problem is written on a buffer of CONFIG_LINE_BYTES_MAX and then added, whole. */
void config_problem_add(struct config_loader *loader, bool warning, const struct sbuf *line);

/* A finished problem at a place of the file. */
PC_FORMAT(4, 5)
void config_problem_at(struct config_loader *loader, size_t line, size_t column, const char *format,
                       ...);

/* A finished problem about a setting, told with the place its value came from. */
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
void config_url_show(struct span url, struct sbuf *out); /* without its password */

/* config_secret.c: why a secret is weak, as the end of a sentence; NULL when it is not. */
const char *config_secret_weakness(struct span secret);
bool config_secret_is_known(struct span secret);

#endif
