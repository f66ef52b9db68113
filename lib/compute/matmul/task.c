/* SPDX-License-Identifier: MIT */
/* A matrix with its x: the product, its description as a tensor, and what records say of both. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "compute/matmul/task.h"

bool tu_matmul_divides(const struct tu_tensor *x, const struct tu_tensor *w)
{
    return w->rank == 3 && x->rank == 3;
}

void tu_matmul_result_free(struct tu_matmul_result *y)
{
    free(y->y);
    free(y->y64);
}

int tu_matmul_result_make(const struct tu_matmul_task *t, bool wide, struct tu_matmul_result *y,
                          struct tu_error *error)
{
    uint64_t count;
    *y = (struct tu_matmul_result){0};
    bool divided = tu_matmul_divides(t->x_tensor, t->w.tensor);
    if (__builtin_mul_overflow(tu_matrix_rows(t->w.tensor), t->x->rows, &count) ||
        (!divided && __builtin_mul_overflow(count, tu_matrices(t->w.tensor), &count)) ||
        count > SIZE_MAX / sizeof(double) - 1)
        return tu_fail_memory(error);
    y->count = (size_t)count;
    if (wide)
        y->y64 = calloc(y->count + 1, sizeof *y->y64);
    else
        y->y = calloc(y->count + 1, sizeof *y->y);
    return y->y || y->y64 ? 0 : tu_fail_memory(error);
}

struct tu_product tu_matmul_product(const struct tu_matmul_task *t, enum tu_path how,
                                    const struct tu_vectors *x, const struct tu_matmul_result *y)
{
    return (struct tu_product){.path = how,
                               .x = x,
                               .divided = tu_matmul_divides(t->x_tensor, t->w.tensor),
                               .y = y->y,
                               .y64 = y->y64};
}

int tu_matmul_run(const struct tu_matmul_task *t, unsigned threads,
                  const struct tu_matmul_result *y, struct tu_error *error)
{
    const struct tu_product product = tu_matmul_product(t, t->path, t->x, y);
    return tu_multiply(&t->w, &product, 1, threads, error);
}

static int put_kinds(struct tu_builder *b, const struct tu_matmul_task *t, struct tu_error *error)
{
    const struct tu_dtype *x = t->path == TU_PATH_FUSED ? t->rounded : t->x->geometry.dtype;
    if (tu_put_string(b, "path", tu_path_names[t->path], error) < 0 ||
        tu_put_string(b, "dtype_w", t->w.geometry.dtype->name, error) < 0)
        return -1;
    return tu_put_string(b, "dtype_x", x->name, error);
}

int tu_matmul_describe(const struct tu_matmul_task *t, struct tu_arena *arena,
                       struct tu_tensor *out, struct tu_geometry *geometry, struct tu_error *error)
{
    const struct tu_tensor *w = t->w.tensor, *x = t->x_tensor;
    uint32_t more = w->rank == 3 && !tu_matmul_divides(x, w), rank = x->rank + more;
    uint64_t *shape = tu_arena_alloc(arena, rank * sizeof *shape);
    char *name = tu_arena_alloc(arena, w->name_length + 3);
    if (!shape || !name)
        return tu_fail_memory(error);
    shape[0] = tu_matrices(w);
    memcpy(shape + more, x->shape, x->rank * sizeof *shape);
    shape[rank - 1] = tu_matrix_rows(w);
    memcpy(name, w->name, w->name_length);
    memcpy(name + w->name_length, ".y", 3);
    *out = (struct tu_tensor){.name = name,
                              .name_length = w->name_length + 2,
                              .dtype = t->path == TU_PATH_F64 ? TENSOR_F64 : TENSOR_F32,
                              .rank = rank,
                              .shape = shape};
    struct tu_error inner = {0};
    if (tu_geometry(out->dtype, TENSOR_PACKING_ROWS, shape, rank, geometry, &inner) == 0) {
        out->nbytes = geometry->nbytes;
        if (tu_tensor_check(out, geometry, &inner) == 0)
            return 0;
    }
    return tu_fail(error, inner.code, "y of tensor '%.200s': %s", w->name, inner.text);
}

int tu_matmul_extra(const struct tu_matmul_task *t, struct tu_arena *arena,
                    struct tensor_value *out, struct tu_error *error)
{
    struct tu_builder b;
    if (tu_builder_begin(&b, arena, TU_DUPLICATES_REFUSED, error) < 0)
        return -1;
    if (put_kinds(&b, t, error) == 0 &&
        tu_put_bytes(&b, "x", t->x_tensor->name, t->x_tensor->name_length, error) == 0)
        return tu_builder_end(&b, out, error);
    tu_builder_cancel(&b);
    return -1;
}

int tu_matmul_fill_names(struct tu_builder *b, const void *task, struct tu_error *error)
{
    const struct tu_matmul_task *t = task;
    const struct tu_tensor *w = t->w.tensor;
    if (tu_put_bytes(b, "name", w->name, w->name_length, error) < 0 ||
        tu_put_bytes(b, "x", t->x_tensor->name, t->x_tensor->name_length, error) < 0 ||
        put_kinds(b, t, error) < 0 || tu_put_uint(b, "rows", tu_matrix_rows(w), error) < 0 ||
        tu_put_uint(b, "columns", tu_matrix_columns(w), error) < 0 ||
        (w->rank == 3 && tu_put_uint(b, "matrices", tu_matrices(w), error) < 0))
        return -1;
    return tu_put_uint(b, "vectors", t->x->rows, error);
}

int tu_put_reals(struct tu_builder *b, const struct tu_named_real *reals, size_t count,
                 struct tu_error *error)
{
    for (size_t i = 0; i < count; i++)
        if (tu_put_real(b, reals[i].key, reals[i].value, error) < 0)
            return -1;
    return 0;
}

int tu_matmul_result_bytes(const struct tu_matmul_result *y, tu_sink_fn *sink, void *context,
                           struct tu_error *error)
{
    enum { PIECE = 4096 };
    uint8_t bytes[PIECE * sizeof(double)];
    size_t size = y->y64 ? sizeof *y->y64 : sizeof *y->y;
    for (size_t first = 0, n; first < y->count; first += n) {
        n = y->count - first < PIECE ? y->count - first : PIECE;
        for (size_t i = 0; i < n; i++) {
            uint64_t bits = 0;
            uint32_t half;
            if (y->y64)
                memcpy(&bits, &y->y64[first + i], sizeof bits);
            else if (memcpy(&half, &y->y[first + i], sizeof half))
                bits = half;
            for (size_t k = 0; k < size; k++)
                bytes[i * size + k] = (uint8_t)(bits >> 8 * k);
        }
        if (sink(context, bytes, n * size, error) < 0)
            return -1;
    }
    return 0;
}
