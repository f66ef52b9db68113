/* SPDX-License-Identifier: MIT */
/* The table of element types at run time, and how a tensor of a type lies in bytes. */
#ifndef TU_DTYPE_H
#define TU_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "kernels/made.h"
#include "tensorutils/format.h"

/* A flag of types that are made of several tensors, and that no file or stream has (made.h). */
#define TU_DTYPE_MADE 0x100u

struct tu_dtype {
    enum tensor_dtype code;
    const char *name;
    enum tensor_kind kind;
    unsigned flags;    /* TENSOR_DTYPE_* */
    unsigned elements; /* of a block */
    unsigned bytes;    /* of a block */
    unsigned head;     /* bytes before the first block */
};

/* NULL for a code that is no type. */
const struct tu_dtype *tu_dtype(uint32_t code);
/* By name, whatever its case; NULL if there is none. */
const struct tu_dtype *tu_dtype_by_name(const char *name, size_t length);
/* All types in the order of the table; *count receives how many. */
const struct tu_dtype *tu_dtype_table(size_t *count);

#endif
