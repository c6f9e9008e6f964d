/* SPDX-License-Identifier: MIT
 * Folders of tests: under TMPDIR, so that whoever runs them decides what disk, or memory, they lie
 * on; /tmp where it is not set. The test removes its folder itself. */
#ifndef PC_BASE_FOLDER_TEST_KIT_H
#define PC_BASE_FOLDER_TEST_KIT_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

enum { TEST_FOLDER_BYTES = 64 };

/* A new folder of that name and six characters. False: TMPDIR is too long, or it can't be made. */
static inline bool test_folder(const char *name, char ret_path[TEST_FOLDER_BYTES])
{
    const char *place = getenv("TMPDIR");
    int length = snprintf(ret_path, TEST_FOLDER_BYTES, "%s/portcullis-%s-XXXXXX",
                          place != NULL && place[0] != '\0' ? place : "/tmp", name);

    return length > 0 && length < TEST_FOLDER_BYTES && mkdtemp(ret_path) != NULL;
}

#endif
