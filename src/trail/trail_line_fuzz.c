/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes as a line of an export, and as a whole export. Nothing crashes; a line that
 * was understood is what the writer writes; and a text is never a log of ours, whose key nobody has
 * here.
 *
 * The first byte chooses: a line, or an export. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "trail/trail_line.h"
#include "trail/trail_verify.h"

enum { ARENA_BYTES_MAX = 4 * TRAIL_LINE_BYTES_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void line_try(struct span line)
{
    struct trail_entry entry;
    struct arena arena;

    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    if (trail_line_read(line, &arena, &entry) == ERR_OK) {
        struct sbuf out = sbuf_on(&arena, TRAIL_LINE_BYTES_MAX + 1);

        PC_ASSERT(trail_line_write(&entry, &out) == ERR_OK);
        PC_ASSERT(out.len == line.len + 1 && memcmp(out.ptr, line.ptr, line.len) == 0);
    }
    arena_reset(&arena);
}

static void found(void *context, struct span sentence)
{
    (void)context;
    PC_ASSERT(sentence.len > 0);
}

/* The key of another log, whose private part is not here. */
static void export_try(struct span text)
{
    struct trail_verifier key = {.key = NULL};
    const struct trail_verify_options options = {
        .verifiers = &key, .verifier_count = 1, .found = found};
    struct trail_verify_summary summary;
    struct trail_verify *verify = NULL;
    int fd = memfd_create("export", MFD_CLOEXEC);

    PC_ASSERT(fd >= 0 && write(fd, text.ptr, text.len) == (ssize_t)text.len);
    PC_ASSERT(lseek(fd, 0, SEEK_SET) == 0);
    PC_ASSERT(trail_verifier_read(
                  SPAN_OF("sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"),
                  &key, NULL) == ERR_OK);
    PC_ASSERT(trail_verify_new(&options, &verify) == ERR_OK);
    PC_ASSERT(trail_verify_file(verify, "fuzz", fd) == ERR_OK);
    trail_verify_end(verify, &summary);
    PC_ASSERT(!summary.is_signed && summary.findings > 0);
    trail_verify_free(verify);
    trail_verifier_free(&key);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 1)
        return 0;
    if (data[0] % 8 != 0)
        line_try(span_make(data + 1, bytes - 1));
    else
        export_try(span_make(data + 1, bytes - 1));
    return 0;
}
