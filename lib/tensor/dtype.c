/* SPDX-License-Identifier: MIT */
/* The table of element types, and the ways to find one. */
#include "config.h"

#include "tensor/dtype.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

static const struct tu_dtype table[] = {
#define ROW(ID, name, code, elements, bytes, head, kind, flags, ggml)                              \
    {TENSOR_##ID, #ID, TENSOR_KIND_##kind, flags, elements, bytes, head},
    TENSOR_DTYPES(ROW)
#undef ROW
#define ROW(ID, name, code)                                                                        \
    {(enum tensor_dtype)code, #ID, TENSOR_KIND_QUANT, TU_DTYPE_MADE, 1, TU_MADE_BYTES, 0},
        TU_MADE_TYPES(ROW)
#undef ROW
            {(enum tensor_dtype)TU_PACKED, "PACKED", TENSOR_KIND_COMPLEX, TU_DTYPE_MADE, 1, 1, 0},
};

/* So that a shift finds the block of an element. */
#define ROW(ID, name, code, elements, bytes, head, kind, flags, ggml)                              \
    _Static_assert(((elements) & ((elements)-1)) == 0, "a block has a power of two of elements");
TENSOR_DTYPES(ROW)
#undef ROW

const struct tu_dtype *tu_dtype(uint32_t code)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].code == code)
            return &table[i];
    return NULL;
}

const struct tu_dtype *tu_dtype_by_name(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == length && strncasecmp(table[i].name, name, length) == 0)
            return &table[i];
    return NULL;
}

const struct tu_dtype *tu_dtype_table(size_t *count)
{
    *count = sizeof table / sizeof *table;
    return table;
}
