/* SPDX-License-Identifier: MIT
 * libFuzzer: any bytes at all; the reader must not fall over, and must agree with jansson. */
#include "json/json_oracle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *difference = json_oracle_difference(span_make(data, size));

    if (difference != NULL)
        PC_WRONG(difference);
    return 0;
}
