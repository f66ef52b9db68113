/* SPDX-License-Identifier: MIT */
/* One product y = W x: a matrix, or a stack of them, with its x, what becomes of it, and its names.
 */
#ifndef TU_MATMUL_TASK_H
#define TU_MATMUL_TASK_H

#include "base/arena.h"
#include "compute/convert.h"
#include "compute/matmul/matmul.h"
#include "tree/value.h"

/* A matrix with its x, ready to be multiplied. */
struct tu_matmul_task {
    struct tu_matrix w;
    struct tu_vectors *x;
    const struct tu_tensor *x_tensor;
    enum tu_path path;              /* not auto */
    const struct tu_dtype *rounded; /* type of activations of the fused product; NULL: none */
};

/* y in float32 or in float64, the other one is NULL: rows of x times rows of W, or, of a stack,
 * that for each matrix. */
struct tu_matmul_result {
    float *y;
    double *y64;
    size_t count;
};

/* Whether x has rows for each matrix of a stack. */
bool tu_matmul_divides(const struct tu_tensor *x, const struct tu_tensor *w);

/* Room for y, zeroed. */
int tu_matmul_result_make(const struct tu_matmul_task *t, bool wide, struct tu_matmul_result *y,
                          struct tu_error *error) TU_MUST_CHECK;
/* The bytes of y as a tensor has them, for a sink. */
int tu_matmul_result_bytes(const struct tu_matmul_result *y, tu_sink_fn *sink, void *context,
                           struct tu_error *error) TU_MUST_CHECK;
void tu_matmul_result_free(struct tu_matmul_result *y);

/* The task as it is handed to tu_multiply(), by some path and with some x. */
struct tu_product tu_matmul_product(const struct tu_matmul_task *t, enum tu_path how,
                                    const struct tu_vectors *x, const struct tu_matmul_result *y);
/* Fills y; may be repeated where the matrix can be read again. */
int tu_matmul_run(const struct tu_matmul_task *t, unsigned threads,
                  const struct tu_matmul_result *y, struct tu_error *error) TU_MUST_CHECK;

/* y as a tensor, W's name with ".y" behind it.  It has the shape of x with the last dimension that
 * of the rows of W; of a stack, with the number of matrices before it, if x has not got that. */
int tu_matmul_describe(const struct tu_matmul_task *t, struct tu_arena *arena,
                       struct tu_tensor *out, struct tu_geometry *geometry,
                       struct tu_error *error) TU_MUST_CHECK;
/* What stands beside it: path, the types of W and x, the name of x. */
int tu_matmul_extra(const struct tu_matmul_task *t, struct tu_arena *arena,
                    struct tensor_value *out, struct tu_error *error) TU_MUST_CHECK;
/* What a record about a task says of it, from the name on; task is a struct tu_matmul_task. */
int tu_matmul_fill_names(struct tu_builder *b, const void *task,
                         struct tu_error *error) TU_MUST_CHECK;

struct tu_named_real {
    const char *key;
    double value;
};

int tu_put_reals(struct tu_builder *b, const struct tu_named_real *reals, size_t count,
                 struct tu_error *error) TU_MUST_CHECK;

#endif
