/* SPDX-License-Identifier: MIT */
/* What is known of a tensor without its data: checked, ordered by name, copied. */
#include "config.h"

#include "tensor/tensor.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"

int tu_tensor_check(struct tu_tensor *t, struct tu_geometry *geometry, struct tu_error *error)
{
    if (t->name_length == 0)
        return tu_fail(error, TU_EINVALID, "its name is empty");
    if (t->name_length > TENSOR_MAX_NAME)
        return tu_fail(error, TU_EINVALID, "its name has %zu bytes (at most %u)", t->name_length,
                       TENSOR_MAX_NAME);
    if (memchr(t->name, '\0', t->name_length))
        return tu_fail(error, TU_EINVALID, "its name holds a NUL");
    if (!tu_is_utf8(t->name, t->name_length))
        return tu_fail(error, TU_EINVALID, "its name is no UTF-8");
    if (tu_geometry(t->dtype, t->packing, t->shape, t->rank, geometry, error) < 0)
        return -1;
    if (t->nbytes != geometry->nbytes)
        return tu_fail(error, TU_EINVALID,
                       "it has %" PRIu64 " bytes, its type %s and shape need %" PRIu64, t->nbytes,
                       geometry->dtype->name, geometry->nbytes);
    t->elements = geometry->elements;
    return 0;
}

int tu_compare_names(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int order = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

uint32_t tu_shape_core(const struct tu_tensor *t, const uint64_t **shape)
{
    uint32_t first = 0, last = t->rank;
    while (first < last && t->shape[first] == 1)
        first++;
    while (last > first && t->shape[last - 1] == 1)
        last--;
    *shape = first ? t->shape + first : t->shape; /* a scalar may have none to point to */
    return last - first;
}

bool tu_same_shape(const struct tu_tensor *a, const struct tu_tensor *b)
{
    const uint64_t *x, *y;
    uint32_t n = tu_shape_core(a, &x);
    if (n != tu_shape_core(b, &y))
        return false;
    return n == 0 || memcmp(x, y, n * sizeof *x) == 0; /* a scalar may have no shape to point to */
}

int tu_tensor_copy(struct tu_arena *arena, const struct tu_tensor *t, struct tu_tensor *out,
                   struct tu_error *error)
{
    *out = *t;
    out->name = tu_arena_copy(arena, t->name, t->name_length);
    uint64_t *shape = tu_arena_alloc(arena, t->rank * sizeof *shape);
    if (!out->name || !shape)
        return tu_fail_memory(error);
    if (t->rank)
        memcpy(shape, t->shape, t->rank * sizeof *shape);
    out->shape = shape;
    return tu_scope_copy(arena, &t->scope, &out->scope, error);
}
