/* SPDX-License-Identifier: MIT */
/* A matrix whose elements lie as those of its transpose, some columns at a time. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "compute/fault/victim.h"

enum { COLUMNS = 64 /* that are turned over at once; of blocks, TU_BLOCK_MAX */ };

/* Where columns go, and the rows that they become. */
struct turning {
    const struct tu_victim *v;
    uint64_t rows, columns;
    tu_sink_fn *sink;
    void *context;
};

int tu_fault_transpose(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    if (v->tensor->rank != 2)
        return tu_refuse(v, error, "it is no matrix");
    if (t->head || (t->elements != 1 && (!v->work->session->kernels->encode[t->code] ||
                                         v->tensor->shape[1] % t->elements != 0)))
        return tu_refuse(v, error, "its type cannot be made from numbers");
    v->transposed = true;
    bool changes;
    if (tu_victim_changes(v, &changes, error) < 0)
        return -1;
    return changes ? 0 : tu_refuse(v, error, "its transpose lies as it does");
}

/* Columns [first, first + count) become rows: read a piece of each row, and turn them over. */
static int write_columns(const struct turning *t, uint64_t first, uint64_t count, uint8_t *pieces,
                         uint8_t *column, struct tu_error *error)
{
    size_t size = t->v->geometry.dtype->bytes;
    for (uint64_t i = 0; i < t->rows; i++)
        if (tu_read_original(t->v, (i * t->columns + first) * size, pieces + i * count * size,
                             count * size, error) < 0)
            return -1;
    for (uint64_t j = 0; j < count; j++) {
        for (uint64_t i = 0; i < t->rows; i++)
            memcpy(column + i * size, pieces + (i * count + j) * size, size);
        if (t->sink(t->context, column, t->rows * size, error) < 0)
            return -1;
    }
    return 0;
}

/* The elements of [a, b] as those of [b, a] lie; the shape says nothing of it. */
static int write_elements(const struct turning *t, struct tu_error *error)
{
    size_t size = t->v->geometry.dtype->bytes;
    uint8_t *pieces = malloc(t->rows * COLUMNS * size), *column = malloc(t->rows * size);
    int result = pieces && column ? 0 : tu_fail_memory(error);
    for (uint64_t first = 0; first < t->columns && result == 0; first += COLUMNS) {
        uint64_t left = t->columns - first;
        result = write_columns(t, first, left < COLUMNS ? left : COLUMNS, pieces, column, error);
    }
    free(pieces);
    free(column);
    return result;
}

/* The same of blocks: columns of numbers become rows, which are encoded anew. */
struct blocks_out {
    const struct turning *turning;
    const struct tu_dtype *dtype;
    const struct tu_kernels *kernels;
    float values[TU_BLOCK_MAX];
    size_t count;
};

static int put_number(struct blocks_out *out, float value, struct tu_error *error)
{
    uint8_t block[512];
    out->values[out->count++] = value;
    if (out->count < out->dtype->elements)
        return 0;
    out->count = 0;
    out->kernels->encode[out->dtype->code](out->values, 1, block);
    return out->turning->sink(out->turning->context, block, out->dtype->bytes, error);
}

/* Columns [first, first + count), which are whole blocks. */
static int write_block_columns(struct blocks_out *out, uint64_t first, uint64_t count,
                               float *numbers, struct tu_error *error)
{
    const struct turning *t = out->turning;
    const struct tu_dtype *d = out->dtype;
    uint8_t raw[TU_BLOCK_MAX * 4];
    size_t n = count / d->elements;
    for (uint64_t i = 0; i < t->rows; i++) {
        uint64_t block = (i * t->columns + first) / d->elements;
        if (tu_read_original(t->v, block * d->bytes, raw, n * d->bytes, error) < 0)
            return -1;
        out->kernels->decode[d->code](raw, n, numbers + i * count);
    }
    for (uint64_t j = 0; j < count; j++)
        for (uint64_t i = 0; i < t->rows; i++)
            if (put_number(out, numbers[i * count + j], error) < 0)
                return -1;
    return 0;
}

static int write_blocks(const struct turning *t, struct tu_error *error)
{
    struct blocks_out out = {
        .turning = t, .dtype = t->v->geometry.dtype, .kernels = t->v->work->session->kernels};
    float *numbers = calloc(t->rows, TU_BLOCK_MAX * sizeof *numbers);
    int result = numbers ? 0 : tu_fail_memory(error);
    for (uint64_t first = 0; first < t->columns && result == 0; first += TU_BLOCK_MAX) {
        uint64_t left = t->columns - first;
        result = write_block_columns(&out, first, left < TU_BLOCK_MAX ? left : TU_BLOCK_MAX,
                                     numbers, error);
    }
    free(numbers);
    return result;
}

int tu_write_transposed(const struct tu_victim *v, tu_sink_fn *sink, void *context,
                        struct tu_error *error)
{
    struct turning t = {v, v->tensor->shape[0], v->tensor->shape[1], sink, context};
    return v->geometry.dtype->elements == 1 ? write_elements(&t, error) : write_blocks(&t, error);
}
