/* SPDX-License-Identifier: MIT
 * The last checkpoint, in a file outside the database: who rewrites the one has to reach the other
 * as well. The file is replaced whole. */
#include "trail/trail_keeper_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 4096 };

static bool write_all(int fd, struct span text)
{
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        text = span_slice(text, (size_t)n, text.len);
    }
    return true;
}

enum err trail_memory_write(const char *path, struct span note)
{
    char beside[PATH_BYTES_MAX];
    struct sbuf name = sbuf_over(beside, sizeof(beside));
    bool written;
    int fd;

    sbuf_add_format(&name, "%s.new", path);
    sbuf_add_char(&name, '\0');
    if (name.full)
        return ERR_IO;
    fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ERR_IO;
    written = write_all(fd, note) && fsync(fd) == 0;
    written = close(fd) == 0 && written && rename(beside, path) == 0;
    return written ? ERR_OK : ERR_IO;
}

enum err trail_memory_read(const char *path, char note[TRAIL_NOTE_BYTES_MAX], size_t *ret_bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t bytes = 0;
    ssize_t n = 1;

    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    while (n > 0 && bytes < TRAIL_NOTE_BYTES_MAX) {
        n = read(fd, note + bytes, TRAIL_NOTE_BYTES_MAX - bytes);
        bytes += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    if (n < 0)
        return ERR_IO;
    *ret_bytes = bytes;
    return ERR_OK;
}
