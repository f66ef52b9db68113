/* SPDX-License-Identifier: MIT */
/*
 * The product y = W x: the rows of a matrix, of any type, times the rows of x.  x and y are in
 * memory; W goes by in tiles of whole rows, on any number of threads, which changes no bit of y.  W
 * may be a stack of matrices, as the experts of a layer are: a tensor of three dimensions.
 */
#ifndef TU_MATMUL_H
#define TU_MATMUL_H

#include "tensor/elements.h"
#include "model/feed.h"

/* How a product of two rows is added up; tensor-matmul(1) has the orders. */
enum tu_path {
    TU_PATH_AUTO,  /* fused where the types allow it, else f32 */
    TU_PATH_F64,   /* decoded values, float64 */
    TU_PATH_F32,   /* decoded values, float32, in the order of a BLAS */
    TU_PATH_ROW,   /* decoded values, float32, from left to right */
    TU_PATH_BLOCK, /* the same, block by block */
    TU_PATH_FUSED, /* integers, with x rounded to 8 bits */
};

extern const char *const tu_path_names[];
bool tu_path_parse(const char *text, enum tu_path *path);

/* The path that auto is for a matrix, and the type of activations of its fused product, NULL where
 * there is none. */
enum tu_path tu_path_settle(enum tu_path path, const struct tu_dtype *type, uint64_t columns);
const struct tu_dtype *tu_activation_type(const struct tu_dtype *type, uint64_t columns);
/* Columns of a block in TU_PATH_BLOCK. */
size_t tu_path_block(const struct tu_dtype *type);

/* Every row of one tensor, with what the paths make of it. */
struct tu_vectors {
    const struct tu_kernels *kernels;
    struct tu_geometry geometry;
    const char *name; /* lent */
    uint64_t rows, columns;
    uint8_t *raw;    /* of a type of activations: as it was stored */
    float *values;   /* rows * columns */
    double *hi, *lo; /* of a type that float32 does not hold: the sum of both; lo may be NULL */

    const struct tu_dtype *rounded;    /* the type that what follows is of, or NULL */
    struct tu_activation *activations; /* one for each row */
    int8_t *codes, *pairs;
    float *scales, *terms;
    int16_t *sums;
};

int tu_vectors_load(struct tu_vectors *x, const struct tu_member *member,
                    const struct tu_kernels *kernels, struct tu_error *error) TU_MUST_CHECK;
void tu_vectors_free(struct tu_vectors *x);
/* Makes the activations of a type.  Values have to be finite, and rows of whole blocks. */
int tu_vectors_round(struct tu_vectors *x, const struct tu_dtype *type,
                     struct tu_error *error) TU_MUST_CHECK;
/* What the activations stand for, as vectors of their own. */
int tu_vectors_rounded(const struct tu_vectors *x, struct tu_vectors *out,
                       struct tu_error *error) TU_MUST_CHECK;

/* A matrix that can be read: the current tensor of a feed, a tensor of a model, or what a function
 * reads. */
struct tu_matrix {
    const struct tu_kernels *kernels;
    const struct tu_tensor *tensor;
    struct tu_geometry geometry;
    struct tu_feed *feed;    /* read in order and once, unless there is a model */
    struct tu_member member; /* read in any order */
    /* The same of what has neither: bytes from an offset on, from several threads. */
    int (*read)(const void *context, uint64_t offset, void *buffer, size_t length,
                struct tu_error *error);
    const void *context;
    struct tu_decoder decoder; /* of what is read so */
    /* Elements of a tile, all of which are decoded at once; 0: as tensor-matmul(1) says.  A BLAS
     * gains from larger ones where x has many rows, and may add up in another order. */
    size_t tile;
};

/* Sizes of a tensor of two dimensions, or of three. */
uint64_t tu_matrices(const struct tu_tensor *w);
uint64_t tu_matrix_rows(const struct tu_tensor *w);
uint64_t tu_matrix_columns(const struct tu_tensor *w);

/* One of the products that are wanted of a matrix: y64, or else y, gets x->rows rows of as many
 * numbers as the matrix has rows.  Of a stack it gets that for each matrix, one behind the other;
 * with an x that is divided the n-th matrix is multiplied with the n-th part of the rows. */
struct tu_product {
    enum tu_path path; /* not auto; the activations of FUSED have been made */
    const struct tu_vectors *x;
    bool divided;
    float *y;
    double *y64;
};

/* Goes over the matrix once for all of the products; with none it is just read. */
int tu_multiply(const struct tu_matrix *w, const struct tu_product *products, size_t count,
                unsigned threads, struct tu_error *error) TU_MUST_CHECK;

#endif
