/* SPDX-License-Identifier: MIT
 * The program without its trail, for one purpose: to measure what the trail costs. Everything is
 * the program's own; the linker puts this in the place of what seals a commit (--wrap), so that no
 * event becomes a row or a leaf. It is never installed. */
#include "store/store_priv.h"

enum err __wrap_store_seal_run(struct store_conn *conn);

enum err __wrap_store_seal_run(struct store_conn *conn)
{
    (void)conn;
    return ERR_OK;
}
