/* SPDX-License-Identifier: MIT */
/* How a tensor of a type lies in bytes. */
#ifndef TU_GEOMETRY_H
#define TU_GEOMETRY_H

#include "tensor/dtype.h"

/* How the elements of one tensor lie in its bytes. */
struct tu_geometry {
    const struct tu_dtype *dtype;
    uint64_t elements;
    uint64_t row;       /* elements of a run without padding: the last dimension, or all of them */
    uint64_t rows;      /* runs */
    uint64_t row_bytes; /* bytes of a run */
    uint64_t nbytes;    /* of the tensor, head included */
};

/* Checks rank, shape and type and fills out; the message speaks of the tensor alone, callers name
 * it.  The product of the shape and the bytes fit 63 bits. */
int tu_geometry(uint32_t dtype, uint32_t packing, const uint64_t *shape, uint32_t rank,
                struct tu_geometry *out, struct tu_error *error) TU_MUST_CHECK;

/* Bytes, counted from the start of the tensor, of the blocks that hold elements
 * [first, first + count); count is not 0. */
void tu_geometry_span(const struct tu_geometry *g, uint64_t first, uint64_t count, uint64_t *offset,
                      uint64_t *length);

/* Tensors are worked on in tiles of about TU_TILE elements.  A tile never cuts a block: where rows
 * are padded it is whole rows, or a piece of one row, and so it is for any unit of elements that is
 * whole rows.  A piece ends a multiple of 4096 elements after the start of its unit, or with it. */
#define TU_TILE 65536

uint64_t tu_geometry_unit(const struct tu_geometry *g);

/* How many elements the tile that starts at an element has; tile is TU_TILE, or a multiple of it.
 */
size_t tu_geometry_tile(const struct tu_geometry *g, uint64_t unit, uint64_t tile, uint64_t first);

#endif
