/* SPDX-License-Identifier: MIT
 * What the files of store/ share. */
#ifndef PC_STORE_STORE_PRIV_H
#define PC_STORE_STORE_PRIV_H

#include "store/store.h"

/* Whether the call about to be made must fail (see store_fail_at). */
bool store_fail_strikes(void);

#endif
