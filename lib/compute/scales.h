/* SPDX-License-Identifier: MIT */
/*
 * Scales that lie in a tensor of their own: FP8 checkpoints keep NAME_scale or NAME_scale_inv
 * beside NAME, or NAME.scale, or NAME.scale_weight, with or without the ".weight" of NAME.  The
 * value of an element is weight times scale for all spellings; scales that are bytes are powers of
 * two, F8_E8M0.
 */
#ifndef TU_SCALES_H
#define TU_SCALES_H

#include "model/operand.h"

/* One scale for each block of rows and columns: 1 x 1 for the whole tensor, rows x 1 for rows.  Of
 * a stack of matrices no block crosses from one into the next. */
struct tu_scales {
    float *values;
    uint64_t matrix;                    /* rows of a matrix of the tensor */
    uint64_t rows, columns;             /* of scales, for each matrix */
    uint64_t block_rows, block_columns; /* elements that share one */
    uint64_t row;                       /* elements of a row of the tensor */
};

/* 1: the tensor has scales in the operand, which are read; 0: it has none; -1: they do not fit it.
 * They are freed by tu_scales_free. */
int tu_scales_find(const struct tu_operand *o, const struct tu_tensor *t,
                   const struct tu_kernels *kernels, struct tu_scales *out,
                   struct tu_error *error) TU_MUST_CHECK;
void tu_scales_free(struct tu_scales *s);

/* Multiplies the values of elements [first, first + count) by their scales. */
void tu_scales_apply(const struct tu_scales *s, uint64_t first, size_t count, float *values);

/* The tensor of the operand whose scales t holds, by its name, or NULL; *applied: that has a type
 * whose scales are. */
const struct tu_tensor *tu_scaled_by(const struct tu_operand *o, const struct tu_tensor *t,
                                     bool *applied);

#endif
