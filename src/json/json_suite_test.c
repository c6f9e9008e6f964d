/* SPDX-License-Identifier: MIT
 * Runs the reader over a checkout of JSONTestSuite (github.com/nst/JSONTestSuite): y_ files must be
 * read, n_ files refused, i_ files may go either way; ours are printed, since our choice is part of
 * the contract with a client (src/json/README.md).
 *
 *   json_suite_test DIRECTORY    holding jsontestsuite/test_parsing; PORTCULLIS_VECTORS goes before
 *
 * Exit: 0 agreed, 1 did not, 77 there is no such directory (meson's "skipped").
 *
 * The suite follows RFC 8259, in which names only *should* be unique. So the grammar is judged
 * without our stricter rule, and a y_ file that json_read refuses must be refused for that alone.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "json/json_priv.h"

enum { FILE_BYTES_MAX = 1 << 20, ARENA_BYTES_MAX = 16 << 20, EXIT_SKIPPED = 77 };

struct tally {
    int files, agreed, accepted, refused, duplicates, optional_read, optional_refused;
};

static const char *verdict(enum err err)
{
    return err ? "refused" : "read";
}

static void judge(const char *name, struct span text, struct tally *tally)
{
    const struct json_value *root;
    struct json_fault fault = {0};
    struct arena arena;
    enum err grammar;
    enum err strict;

    arena_init(&arena, NULL, 0, ARENA_BYTES_MAX);
    grammar = json_read_grammar(text, &arena, &root, NULL);
    strict = json_read(text, &arena, &root, &fault);
    arena_reset(&arena);
    tally->files++;
    if (name[0] == 'i') {
        printf("%-60s %s%s%s\n", name, verdict(strict), strict ? ": " : "",
               strict ? json_reason_text(fault.reason) : "");
        *(strict ? &tally->optional_refused : &tally->optional_read) += 1;
    }
    if (name[0] == 'y' && grammar == ERR_OK && strict && fault.reason == JSON_REASON_DUPLICATE)
        tally->duplicates++;
    else if (name[0] != 'i' && strict != grammar)
        printf("%-60s json_read and the grammar disagree\n", name);
    else if ((name[0] == 'y' && grammar) || (name[0] == 'n' && !grammar))
        printf("%-60s WRONG: %s\n", name, verdict(grammar));
    if ((name[0] == 'y' && !grammar) || (name[0] == 'n' && grammar && strict) || name[0] == 'i')
        tally->agreed++;
    *(grammar ? &tally->refused : &tally->accepted) += name[0] != 'i';
}

/* A block of exactly the file's size, so that a sanitizer sees a read past its end. */
static bool judge_file(const char *directory, const char *name, struct tally *tally)
{
    char path[4096];
    char *buffer = alloc_raw(FILE_BYTES_MAX);
    char *exact = NULL;
    FILE *file;
    size_t len = 0;

    if (buffer == NULL || snprintf(path, sizeof(path), "%s/%s", directory, name) < 0)
        return false;
    file = fopen(path, "rb");
    if (file != NULL) {
        len = fread(buffer, 1, FILE_BYTES_MAX, file);
        fclose(file);
        exact = alloc_raw(len + (len == 0));
    }
    if (exact != NULL) {
        memcpy(exact, buffer, len);
        judge(name, span_make(exact, len), tally);
    }
    alloc_free(buffer);
    alloc_free(exact);
    return exact != NULL;
}

static int judge_all(const char *directory, DIR *listing)
{
    struct tally tally = {0};
    struct dirent *entry;

    while ((entry = readdir(listing)) != NULL) {
        if (strchr("yni", entry->d_name[0]) == NULL || entry->d_name[1] != '_')
            continue;
        if (!judge_file(directory, entry->d_name, &tally)) {
            printf("%s/%s cannot be read\n", directory, entry->d_name);
            return EXIT_FAILURE;
        }
    }
    printf("JSONTestSuite: %d of %d files agree; %d read, %d refused, %d free to choose "
           "(%d read, %d refused); %d y_ files break our rule against duplicate members\n",
           tally.agreed, tally.files, tally.accepted, tally.refused,
           tally.optional_read + tally.optional_refused, tally.optional_read,
           tally.optional_refused, tally.duplicates);
    return tally.agreed == tally.files && tally.files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    const char *root = getenv("PORTCULLIS_VECTORS");
    char directory[4096];
    DIR *listing;
    int status;

    if (root == NULL)
        root = argc > 1 ? argv[1] : "../shared/vectors";
    if (snprintf(directory, sizeof(directory), "%s/jsontestsuite/test_parsing", root) < 0)
        return EXIT_FAILURE;
    listing = opendir(directory);
    if (listing == NULL) {
        printf("skipped: no JSONTestSuite in %s; set PORTCULLIS_VECTORS\n", directory);
        return EXIT_SKIPPED;
    }
    status = judge_all(directory, listing);
    closedir(listing);
    return status;
}
