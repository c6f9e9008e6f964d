/* SPDX-License-Identifier: MIT
 * The configuration file itself, and the files that settings name: are they there, and can nobody
 * else read the secret ones?
 *
 * A file with a secret belongs to the user who runs the program, or to root, and others may not
 * read it. A group may read a file of root's, as Debian's ssl-cert does. */
#include "app/config_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_DEFAULT "portcullis.yaml"

enum { NOT_REGULAR = -1 }; /* in errno's place */

static const char *reason_of(int number)
{
    return number == NOT_REGULAR ? "it is not a regular file" : strerror(number);
}

static enum err tell_unreadable(struct config_loader *loader, int number)
{
    config_problem_at(loader, 0, 0, "cannot be read: %s", reason_of(number));
    return ERR_IO;
}

/* The whole of an open file, at most bytes_max; errno says why on failure. */
static enum err read_all(int fd, size_t bytes_max, struct arena *arena, struct span *ret)
{
    char *bytes = arena_bytes(arena, bytes_max + 1);
    size_t len = 0;
    ssize_t got;

    if (bytes == NULL)
        return ERR_NO_MEMORY;
    while (len <= bytes_max) {
        got = read(fd, bytes + len, bytes_max + 1 - len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return ERR_IO;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    *ret = span_make(bytes, len);
    return ERR_OK;
}

/* Opens a regular file; a folder or a pipe is not one. */
static int open_regular(const char *path)
{
    struct stat about = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0)
        return -1;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode))
        return fd;
    (void)close(fd);
    errno = S_ISDIR(about.st_mode) ? EISDIR : NOT_REGULAR;
    return -1;
}

enum err config_file_read(struct config_loader *loader)
{
    const struct config_sources *sources = loader->sources;
    const char *path = sources->path != NULL ? sources->path : FILE_DEFAULT;
    enum err err;
    int fd;

    if (sources->text != NULL) {
        loader->file = path;
        loader->text = *sources->text;
    } else {
        fd = open_regular(path);
        if (fd < 0 && errno == ENOENT && sources->path == NULL)
            return ERR_OK;
        loader->file = path;
        if (fd < 0)
            return tell_unreadable(loader, errno);
        err = read_all(fd, CONFIG_FILE_BYTES_MAX, loader->arena, &loader->text);
        if (err == ERR_IO)
            err = tell_unreadable(loader, errno);
        (void)close(fd);
        if (err)
            return err;
    }
    if (loader->text.len > CONFIG_FILE_BYTES_MAX) {
        config_problem_at(loader, 0, 0, "is longer than %d bytes", CONFIG_FILE_BYTES_MAX);
        return ERR_CONFIG;
    }
    return ERR_OK;
}

/* ---- secrets ---- */

/* Why others may come by what is in this file; NULL when they may not. */
static const char *exposure(const struct stat *about)
{
    bool ours = about->st_uid == geteuid() || about->st_uid == 0;
    bool group_reads = (about->st_mode & 0040) != 0;

    if (!ours)
        return "belongs to another user";
    if (about->st_mode & 0027)
        return "can be read or changed by others, give it mode 0600";
    if (group_reads && about->st_uid != 0)
        return "can be read by its group, give it mode 0600";
    return NULL;
}

static bool in_production(const struct config_loader *loader)
{
    return loader->config->environment == CONFIG_PRODUCTION;
}

/* Production refuses an exposed secret, development warns. */
static void secret_mode_check(struct config_loader *loader, const char *setting, const char *path)
{
    struct stat about;
    const char *why;

    if (stat(path, &about) != 0)
        return; /* told where it is opened */
    why = exposure(&about);
    if (why != NULL)
        config_problem_with(loader, !in_production(loader), setting, "the file %.256s %s", path,
                            why);
}

static enum err secret_read(struct config_loader *loader, const char *setting, const char *path,
                            const char **ret)
{
    struct span text = {0};
    struct span first;
    int fd = open_regular(path);
    enum err err;

    if (fd < 0)
        return ERR_OK; /* told by the rule for named files */
    err = read_all(fd, CONFIG_SECRET_BYTES_MAX, loader->arena, &text);
    (void)close(fd);
    if (err == ERR_NO_MEMORY)
        return err;
    if (err || !span_cut(&text, '\n', &first) || first.len == 0 ||
        first.len > CONFIG_SECRET_BYTES_MAX || memchr(first.ptr, '\0', first.len) != NULL) {
        config_problem_with(loader, false, setting,
                            "the first line of %.256s must be a secret of 1 to %d bytes", path,
                            CONFIG_SECRET_BYTES_MAX);
        return ERR_OK;
    }
    *ret = arena_string(loader->arena, first);
    return *ret == NULL ? ERR_NO_MEMORY : ERR_OK;
}

/* The setting `file_path` names the file that fills `secret_path`. What the environment gives
 * stands over what the file gives. */
static enum err secret_fill(struct config_loader *loader, const char *secret_path,
                            const char *file_path, const char *path, const char **ret)
{
    struct config_origin *secret = &loader->origins->of[config_setting_at(secret_path)];
    const struct config_origin *file = config_origin_of(loader, file_path);
    enum err err;

    if (file->kind == CONFIG_FROM_DEFAULT)
        return ERR_OK;
    if (secret->kind == file->kind) {
        config_problem_with(loader, false, file_path, "give either this or %s, not both",
                            secret_path);
        return ERR_OK;
    }
    if (secret->kind == CONFIG_FROM_ENVIRONMENT)
        return ERR_OK;
    err = secret_read(loader, file_path, path, ret);
    if (err == ERR_OK)
        *secret = *file;
    return err;
}

enum err config_file_secrets(struct config_loader *loader)
{
    struct config *config = loader->config;
    enum err err;

    if (loader->sources->files_unchecked)
        return ERR_OK;
    err = secret_fill(loader, "jwt.secret", "jwt.secret_file", config->jwt.secret_file,
                      &config->jwt.secret);
    if (!err)
        err = secret_fill(loader, "monitoring.webhook_token", "monitoring.webhook_token_file",
                          config->monitor.webhook_token_file, &config->monitor.webhook_token);
    if (!err)
        err = secret_fill(loader, "redis.password", "redis.password_file",
                          config->redis.password_file, &config->redis.password);
    return err;
}

/* ---- rules ---- */

/* `base` is what the setting is in, `name` what it is called. */
static void named_file_check(struct config_loader *loader, const struct config_setting *setting,
                             const void *base, const char *name)
{
    const char *path;
    int fd;

    memcpy(&path, (const char *)base + setting->offset, sizeof(path));
    if (path == NULL)
        return;
    fd = open_regular(path);
    if (fd < 0) {
        config_problem_with(loader, false, name, "the file %.256s cannot be read: %s", path,
                            reason_of(errno));
        return;
    }
    (void)close(fd);
    if (setting->file_secret)
        secret_mode_check(loader, name, path);
}

/* Files that members of a list name. */
static void rows_check(struct config_loader *loader, const struct config_setting *setting)
{
    const struct config_rows rows = config_rows_at(setting, loader->config);
    char name[2 * CONFIG_PATH_BYTES_MAX];

    for (size_t i = 0; i < rows.count; i++)
        for (size_t j = 0; j < setting->row_count; j++) {
            const struct config_setting *member = &setting->row[j];

            if (!member->file)
                continue;
            (void)snprintf(name, sizeof(name), "%s[%zu].%s", setting->path, i, member->path);
            named_file_check(loader, member, (const char *)rows.items + i * setting->row_bytes,
                             name);
        }
}

void config_file_rules(struct config_loader *loader)
{
    static const struct {
        const char *secret, *file;
    } secrets[] = {{"jwt.secret", "jwt.secret_file"},
                   {"monitoring.webhook_token", "monitoring.webhook_token_file"},
                   {"redis.password", "redis.password_file"}};
    const struct config_origin *url = config_origin_of(loader, "database.url");

    if (loader->sources->files_unchecked)
        return;
    for (size_t i = 0; i < config_setting_count; i++) {
        if (config_settings[i].file)
            named_file_check(loader, &config_settings[i], loader->config, config_settings[i].path);
        if (config_settings[i].type == CONFIG_ROWS)
            rows_check(loader, &config_settings[i]);
    }
    if (loader->sources->text != NULL || loader->file == NULL)
        return;
    for (size_t i = 0; i < PC_COUNT(secrets); i++) {
        const struct config_origin *secret = config_origin_of(loader, secrets[i].secret);

        if (secret->kind == CONFIG_FROM_FILE && secret->line > 0 &&
            config_origin_of(loader, secrets[i].file)->kind != CONFIG_FROM_FILE)
            secret_mode_check(loader, secrets[i].secret, loader->file);
    }
    if (url->kind == CONFIG_FROM_FILE &&
        config_url_read(span_from(loader->config->database.url)).password.len > 0)
        secret_mode_check(loader, "database.url", loader->file);
}
