/* SPDX-License-Identifier: MIT */
/* A stretch of bytes that grows as more is put into it. */
#include "config.h"

#include "base/buffer.h"

#include <stdlib.h>

int tu_buffer_reserve(struct tu_buffer *b, uint64_t length, struct tu_error *error)
{
    b->length = (size_t)length;
    if (length <= b->capacity)
        return 0;
    free(b->bytes);
    b->capacity = 0;
    b->bytes = malloc((size_t)length);
    if (!b->bytes)
        return tu_fail_memory(error);
    b->capacity = (size_t)length;
    return 0;
}
