/* SPDX-License-Identifier: MIT
 * A file in pieces of some megabytes, each cut into lines; what is left of a piece is the beginning
 * of the next. The last line needs its newline too: without it, it was cut. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "trail/trail_verify_priv.h"

/* Fills the piece up behind the `kept` bytes. ERR_END: the file is over. */
static enum err piece_fill(int fd, char *piece, size_t kept, size_t *ret_bytes)
{
    size_t bytes = kept;
    ssize_t n = 1;

    while (bytes < VERIFY_PIECE_BYTES && n > 0) {
        n = read(fd, piece + bytes, VERIFY_PIECE_BYTES - bytes);
        if (n < 0 && errno == EINTR) {
            n = 1;
            continue;
        }
        bytes += n > 0 ? (size_t)n : 0;
    }
    *ret_bytes = bytes;
    return n < 0 ? ERR_IO : n == 0 ? ERR_END : ERR_OK;
}

/* As many lines as there is room for; returns where the first one begins that is not among them. */
static size_t lines_cut(struct trail_verify *verify, size_t from, size_t bytes, size_t *ret_count)
{
    size_t count = 0;

    while (count < VERIFY_LINES_MAX) {
        const char *begin = verify->piece + from;
        const char *end = bytes > from ? memchr(begin, '\n', bytes - from) : NULL;

        if (end == NULL)
            break;
        verify->lines[count++].text = span_make(begin, (size_t)(end - begin));
        from += (size_t)(end - begin) + 1;
    }
    *ret_count = count;
    return from;
}

/* Every whole line of the piece; returns where the rest begins. */
static size_t piece_do(struct trail_verify *verify, size_t bytes)
{
    size_t from = 0;
    size_t count = 0;

    do {
        from = lines_cut(verify, from, bytes, &count);
        trail_verify_work_do(&verify->work, verify->lines, count);
        for (size_t i = 0; i < count; i++)
            trail_verify_fold(verify, &verify->lines[i]);
    } while (count == VERIFY_LINES_MAX);
    return from;
}

enum err trail_verify_file(struct trail_verify *verify, const char *name, int fd)
{
    size_t kept = 0;
    size_t bytes = 0;
    enum err err = ERR_OK;

    trail_verify_begin(verify, name);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL); /* reads further ahead */
    while (!err) {
        err = piece_fill(fd, verify->piece, kept, &bytes);
        if (err == ERR_IO)
            return err;
        size_t from = piece_do(verify, bytes);

        kept = bytes - from;
        if (kept == VERIFY_PIECE_BYTES) {
            verify->line++;
            trail_verify_found(verify, "a line is longer than any may be");
            return ERR_OK;
        }
        memmove(verify->piece, verify->piece + from, kept);
    }
    if (kept > 0) {
        verify->line++;
        trail_verify_found(verify, "the last line was cut");
    }
    trail_verify_finish(verify);
    return ERR_OK;
}
