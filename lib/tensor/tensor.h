/* SPDX-License-Identifier: MIT */
/* What is known of a tensor without its data: name, type, shape, and where its bytes lie. */
#ifndef TU_TENSOR_H
#define TU_TENSOR_H

#include "base/arena.h"
#include "base/error.h"
#include "tensor/geometry.h"
#include "tensor/scope.h"

/* Part of a tensor's bytes that lies in one piece. */
struct tu_extent {
    uint64_t offset; /* in the file */
    uint64_t length;
};

struct tu_pack; /* model/packs/pack.h */

/* What is known of a tensor before its data is read.  In a model everything lives as long as the
 * model; in a stream until the next object is read. */
struct tu_tensor {
    const char *name; /* UTF-8, followed by a NUL */
    size_t name_length;
    enum tensor_dtype dtype;
    enum tensor_packing packing;
    uint32_t rank;
    const uint64_t *shape;
    uint64_t elements;
    uint64_t nbytes;
    const struct tu_extent *extents; /* in a model; NULL in a stream */
    size_t extent_count;
    const struct tu_pack *pack; /* makes its values of several tensors; NULL: its bytes are stored */
    bool side; /* belongs to packed weights and is none */
    struct tu_scope scope;
};

/* Checks name, type, shape and nbytes and fills elements; the message speaks of the tensor alone.
 */
int tu_tensor_check(struct tu_tensor *t, struct tu_geometry *geometry,
                    struct tu_error *error) TU_MUST_CHECK;

/* The order of names: that of their bytes. */
int tu_compare_names(const char *a, size_t a_length, const char *b, size_t b_length);

/* The shape without leading and trailing ones: how many dimensions it has. */
uint32_t tu_shape_core(const struct tu_tensor *t, const uint64_t **shape);
/* Whether shapes agree, but for leading and trailing ones. */
bool tu_same_shape(const struct tu_tensor *a, const struct tu_tensor *b);

int tu_tensor_copy(struct tu_arena *arena, const struct tu_tensor *t, struct tu_tensor *out,
                   struct tu_error *error) TU_MUST_CHECK;

#endif
