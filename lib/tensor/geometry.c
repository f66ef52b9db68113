/* SPDX-License-Identifier: MIT */
/* How the elements of a tensor lie in its bytes: rows, blocks, and the tiles that work is cut into.
 */
#include "config.h"

#include "tensor/geometry.h"

#include <inttypes.h>

static int multiply_shape(const uint64_t *shape, uint32_t rank, uint64_t *out,
                          struct tu_error *error)
{
    uint64_t product = 1;
    bool empty = false;
    for (uint32_t i = 0; i < rank; i++) {
        empty |= shape[i] == 0;
        if (shape[i] && __builtin_mul_overflow(product, shape[i], &product))
            product = UINT64_MAX;
        if (product > INT64_MAX)
            return tu_fail(error, TU_EINVALID, "its shape overflows (more than 2^63 elements)");
    }
    *out = empty ? 0 : product;
    return 0;
}

int tu_geometry(uint32_t code, uint32_t packing, const uint64_t *shape, uint32_t rank,
                struct tu_geometry *out, struct tu_error *error)
{
    const struct tu_dtype *type = tu_dtype(code);
    if (!type)
        return tu_fail(error, TU_EINVALID, "unknown element type %" PRIu32, code);
    if (rank > TENSOR_MAX_RANK)
        return tu_fail(error, TU_EINVALID, "%" PRIu32 " dimensions (at most %u)", rank,
                       TENSOR_MAX_RANK);
    if (packing > TENSOR_PACKING_FLAT)
        return tu_fail(error, TU_EINVALID, "unknown packing %" PRIu32, packing);
    uint64_t elements = 0;
    if (multiply_shape(shape, rank, &elements, error) < 0)
        return -1;
    bool flat = packing == TENSOR_PACKING_FLAT || (type->flags & TENSOR_DTYPE_FLAT) || rank == 0 ||
                elements == 0 || shape[rank - 1] % type->elements == 0;
    uint64_t row = flat ? elements : shape[rank - 1];
    uint64_t rows = elements ? elements / row : 0;
    if ((type->flags & TENSOR_DTYPE_WHOLE) && elements % type->elements)
        return tu_fail(error, TU_EINVALID, "%" PRIu64 " elements of %s are not whole bytes",
                       elements, type->name);
    uint64_t row_bytes, nbytes;
    uint64_t blocks = row / type->elements + (row % type->elements != 0);
    if (__builtin_mul_overflow(blocks, type->bytes, &row_bytes) ||
        __builtin_mul_overflow(row_bytes, rows, &nbytes) ||
        nbytes > (uint64_t)INT64_MAX - type->head)
        return tu_fail(error, TU_EINVALID, "its size overflows (more than 2^63 bytes)");
    *out = (struct tu_geometry){.dtype = type,
                                .elements = elements,
                                .row = row,
                                .rows = rows,
                                .row_bytes = row_bytes,
                                .nbytes = elements ? nbytes + type->head : 0};
    return 0;
}

/* Offset of the block that holds an element. */
static uint64_t block_offset(const struct tu_geometry *g, uint64_t element)
{
    /* Divisions are slow, and most tensors are one run. */
    uint64_t row = g->rows > 1 ? element / g->row : 0, column = element - row * g->row;
    uint64_t block = column >> __builtin_ctz(g->dtype->elements);
    return g->dtype->head + row * g->row_bytes + block * g->dtype->bytes;
}

void tu_geometry_span(const struct tu_geometry *g, uint64_t first, uint64_t count, uint64_t *offset,
                      uint64_t *length)
{
    *offset = block_offset(g, first);
    *length = block_offset(g, first + count - 1) + g->dtype->bytes - *offset;
}

uint64_t tu_geometry_unit(const struct tu_geometry *g)
{
    return g->rows > 1 ? g->row : 0;
}

size_t tu_geometry_tile(const struct tu_geometry *g, uint64_t unit, uint64_t tile, uint64_t first)
{
    enum { SPAN_MAX = 1 << 20, SMALLEST = 4096 };
    uint64_t left = g->elements - first;
    while (g->rows > 1 && tile > SMALLEST && tile > g->row &&
           tile / g->row * g->row_bytes > SPAN_MAX)
        tile /= 2;
    if (unit > tile)
        left = left < unit - first % unit ? left : unit - first % unit;
    else if (unit)
        tile = tile / unit * unit;
    return (size_t)(left < tile ? left : tile);
}
