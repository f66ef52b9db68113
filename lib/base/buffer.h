/* SPDX-License-Identifier: MIT */
/* Bytes that are read into again and again. */
#ifndef TU_BUFFER_H
#define TU_BUFFER_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Zero-initialise; the caller frees the bytes. */
struct tu_buffer {
    uint8_t *bytes;
    size_t length, capacity;
};

/* Makes room for so many bytes; what was there is lost. */
int tu_buffer_reserve(struct tu_buffer *b, uint64_t length, struct tu_error *error) TU_MUST_CHECK;

#endif
