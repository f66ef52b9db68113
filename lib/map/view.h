/* SPDX-License-Identifier: MIT */
/*
 * A tensor seen another way: as rows of others in another order, transposed, with a number added.
 * A view looks like a tensor whose bytes can be read in any range; nothing of it is kept in memory.
 * Views are made of others, in an arena, and live as long as it.
 */
#ifndef TU_VIEW_H
#define TU_VIEW_H

#include "tensor/elements.h"
#include "model/select.h"

struct tu_view {
    enum {
        TU_VIEW_LEAF,
        TU_VIEW_PART,      /* bytes from an offset on, under a shape */
        TU_VIEW_ROPE,      /* rows of the first dimension: halves of a head to pairs, or back */
        TU_VIEW_ORDER,     /* rows in the order of permuted axes */
        TU_VIEW_JOIN,      /* several, one after another */
        TU_VIEW_FLOAT,     /* F32 values, multiplied, with a number added */
        TU_VIEW_TRANSPOSE, /* the last two dimensions change places */
        TU_VIEW_COLUMNS,   /* a range of the last dimension */
        TU_VIEW_SWAPPED,   /* the bytes of each element the other way round */
        TU_VIEW_GATHERED,  /* columns in another order */
    } kind;
    struct tu_tensor tensor; /* without a name, but for a leaf */
    struct tu_geometry geometry;
    struct tu_member leaf;
    const struct tu_view **of;
    size_t count;
    uint64_t *ends;  /* JOIN: bytes up to the end of each */
    uint64_t offset; /* PART: bytes; COLUMNS: elements */
    uint64_t heads;  /* ROPE */
    bool undo;       /* ROPE: from pairs to halves */
    struct tu_axes { /* ORDER: for each axis, its length and its step in rows of the source */
        uint64_t length[TENSOR_MAX_RANK], stride[TENSOR_MAX_RANK];
        uint32_t rank;
    } axes;
    const uint64_t *order;     /* GATHERED: which column of the source each is */
    struct tu_decoder decoder; /* FLOAT */
    float factor, addend;
    bool transposed; /* it, or one of those it is made of, is */
};

/* What views are made with. */
struct tu_view_maker {
    struct tu_arena *arena;
    const struct tu_kernels *kernels;
};

/* Makers give NULL with the error set where the view is not possible. */
const struct tu_view *tu_view_leaf(const struct tu_view_maker *m, struct tu_member leaf,
                                   struct tu_error *error);
const struct tu_view *tu_view_rope(const struct tu_view_maker *m, const struct tu_view *of,
                                   uint64_t heads, bool undo, struct tu_error *error);
/* Rows [first, end) of the first dimension. */
const struct tu_view *tu_view_rows(const struct tu_view_maker *m, const struct tu_view *of,
                                   uint64_t first, uint64_t end, struct tu_error *error);
/* One of the first dimension, which is left out of its shape. */
const struct tu_view *tu_view_item(const struct tu_view_maker *m, const struct tu_view *of,
                                   uint64_t index, struct tu_error *error);
const struct tu_view *tu_view_columns(const struct tu_view_maker *m, const struct tu_view *of,
                                      uint64_t first, uint64_t end, struct tu_error *error);
const struct tu_view *tu_view_reshape(const struct tu_view_maker *m, const struct tu_view *of,
                                      const uint64_t *shape, uint32_t rank, struct tu_error *error);
/* Axis i of the view is axis axes[i]; the last one stays. */
const struct tu_view *tu_view_permute(const struct tu_view_maker *m, const struct tu_view *of,
                                      const uint64_t *axes, uint32_t rank, bool undo,
                                      struct tu_error *error);
const struct tu_view *tu_view_transpose(const struct tu_view_maker *m, const struct tu_view *of,
                                        struct tu_error *error);
const struct tu_view *tu_view_add(const struct tu_view_maker *m, const struct tu_view *of,
                                  float addend, struct tu_error *error);
const struct tu_view *tu_view_scale(const struct tu_view_maker *m, const struct tu_view *of,
                                    float factor, struct tu_error *error);
/* The first dimension is count equal shares: share i of the view is the one at order[i]. */
const struct tu_view *tu_view_order(const struct tu_view_maker *m, const struct tu_view *of,
                                    const uint64_t *order, size_t count, struct tu_error *error);
/* The last dimension is count equal shares: share i of the view is the one at order[i].  A plain
 * view of it is what is seen. */
const struct tu_view *tu_view_gather(const struct tu_view_maker *m, const struct tu_view *of,
                                     const uint64_t *order, size_t count, struct tu_error *error);
/* The same bytes as elements of another type whose blocks are of the same size. */
const struct tu_view *tu_view_type(const struct tu_view_maker *m, const struct tu_view *of,
                                   enum tensor_dtype dtype, struct tu_error *error);
/* The bytes of each element the other way round; of plain types alone. */
const struct tu_view *tu_view_swapped(const struct tu_view_maker *m, const struct tu_view *of,
                                      struct tu_error *error);
/* The same view of another tensor, which has the shape and type of the one it is made of; NULL
 * without an error where it is made of several, or holds on to what one of them has. */
const struct tu_view *tu_view_rebased(const struct tu_view_maker *m, const struct tu_view *of,
                                      struct tu_member leaf, struct tu_error *error);
/* One after another along the first dimension; stacked: along a new one. */
const struct tu_view *tu_view_join(const struct tu_view_maker *m, const struct tu_view **of,
                                   size_t count, bool stacked, struct tu_error *error);
/* The same in a type of one element a block: itself, or its values as F32. */
const struct tu_view *tu_view_plain(const struct tu_view_maker *m, const struct tu_view *of,
                                    struct tu_error *error);

/* Of a ROPE or ORDER: elements of what it takes for a row, and the row of its source that one is.
 */
uint64_t tu_view_row_elements(const struct tu_view *v);
uint64_t tu_view_row(const struct tu_view *v, uint64_t row);

/* Reads bytes [offset, offset + length) of the view.  Safe from several threads. */
int tu_view_read(const struct tu_view *v, uint64_t offset, void *buffer, size_t length,
                 struct tu_error *error) TU_MUST_CHECK;

/* How many bytes are best read at once, in order from the start: a whole number of rows where the
 * view is transposed.  At least 1. */
size_t tu_view_piece(const struct tu_view *v);

/* What decodes its elements. */
int tu_view_decoder(const struct tu_view *v, const struct tu_kernels *kernels,
                    struct tu_decoder *out, struct tu_error *error) TU_MUST_CHECK;
/* Decodes elements [first, first + count). */
int tu_view_values(const struct tu_view *v, const struct tu_kernels *kernels, uint64_t first,
                   size_t count, float *out, struct tu_error *error) TU_MUST_CHECK;

/* A piece of a matrix: the view as rows of its last dimension. */
struct tu_area {
    uint64_t row, rows, column, columns;
};

/* Reads an area of a view whose type is plain, row by row. */
int tu_view_read_area(const struct tu_view *v, struct tu_area area, void *buffer,
                      struct tu_error *error) TU_MUST_CHECK;

#endif
