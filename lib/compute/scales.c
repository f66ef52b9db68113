/* SPDX-License-Identifier: MIT */
/* Scales that lie in tensors of their own, and the weights that they multiply. */
#include "config.h"

#include "compute/scales.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "tensor/elements.h"

/* The most scales that are read: those of 2^40 elements in blocks of 128 x 128. */
enum { SCALES_MAX = 1 << 26 };

static const char *const suffixes[] = {"_scale_inv", "_scale", ".scale", ".scale_weight"};
enum { SUFFIXES = sizeof suffixes / sizeof *suffixes };
static const char weight_suffix[] = ".weight";

static bool can_have_scales(const struct tu_tensor *t)
{
    static const enum tensor_dtype types[] = {TENSOR_F8_E4M3, TENSOR_F8_E5M2, TENSOR_F6_E2M3,
                                              TENSOR_F6_E3M2, TENSOR_F4,      TENSOR_NVFP4};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (t->dtype == types[i])
            return true;
    return false;
}

/* The tensor of a name made of a stem and a suffix. */
static struct tu_member find_named(const struct tu_operand *o, const char *stem, size_t length,
                                   const char *suffix)
{
    size_t more = strlen(suffix);
    char *name = malloc(length + more + 1);
    if (!name)
        return (struct tu_member){0};
    memcpy(name, stem, length);
    memcpy(name + length, suffix, more + 1);
    struct tu_member m = tu_operand_find(o, name, length + more);
    free(name);
    return m;
}

static struct tu_member find_scales(const struct tu_operand *o, const struct tu_tensor *t)
{
    struct tu_member m = {0};
    for (size_t i = 0; i < SUFFIXES && !m.model; i++)
        m = find_named(o, t->name, t->name_length, suffixes[i]);
    size_t stem = tu_stem(t->name, t->name_length, weight_suffix);
    for (size_t i = 0; i < SUFFIXES && !m.model && stem; i++)
        if (suffixes[i][0] == '.')
            m = find_named(o, t->name, stem, suffixes[i]);
    return m;
}

const struct tu_tensor *tu_scaled_by(const struct tu_operand *o, const struct tu_tensor *t,
                                     bool *applied)
{
    const struct tu_tensor *found = NULL;
    *applied = false;
    for (size_t i = 0; i < SUFFIXES; i++) {
        size_t stem = tu_stem(t->name, t->name_length, suffixes[i]);
        if (!stem)
            continue;
        struct tu_member m = tu_operand_find(o, t->name, stem);
        if (!m.model)
            m = find_named(o, t->name, stem, weight_suffix);
        if (!m.model)
            continue;
        found = m.tensor;
        if ((*applied = can_have_scales(m.tensor)))
            break;
    }
    return found;
}

static int read_values(const struct tu_member *m, const struct tu_kernels *kernels, float *values,
                       struct tu_error *error)
{
    struct tu_tensor t = *m->tensor;
    t.dtype = t.dtype == TENSOR_U8 ? TENSOR_F8_E8M0 : t.dtype;
    struct tu_geometry g;
    struct tu_decoder d;
    uint8_t head[8] = {0}, *raw = NULL;
    if (tu_tensor_check(&t, &g, error) < 0)
        return -1;
    if (g.dtype->head && tu_model_read(m->model, m->tensor, 0, head, g.dtype->head, error) < 0)
        return -1;
    int result = tu_decoder_init(&d, &g, kernels, head, error);
    if (result == 0 && !(raw = malloc((size_t)g.nbytes)))
        result = tu_fail_memory(error);
    if (result == 0)
        result = tu_model_read(m->model, m->tensor, 0, raw, (size_t)g.nbytes, error);
    if (result == 0)
        tu_decode(&d, raw + g.dtype->head, 0, (size_t)g.elements, values);
    free(raw);
    return result;
}

/* How many elements share a scale along one dimension: a power of two where that fits, as 128 for
 * DeepSeek's blocks whose last one may be smaller; else an equal share; 0 if neither does. */
static uint64_t block_size(uint64_t elements, uint64_t scales)
{
    uint64_t share = elements / scales + (elements % scales != 0), power = 1;
    while (power < share)
        power *= 2;
    if (scales == 1)
        return elements;
    if (elements / power + (elements % power != 0) == scales)
        return power;
    return elements % scales == 0 ? elements / scales : 0;
}

/* Whether both are stacks of as many matrices. */
static bool stacked_alike(const struct tu_tensor *t, const struct tu_tensor *scales)
{
    return t->rank > 2 && scales->rank == t->rank &&
           memcmp(t->shape, scales->shape, (t->rank - 2) * sizeof *t->shape) == 0;
}

static int fit(const struct tu_tensor *t, const struct tu_tensor *scales, struct tu_scales *out,
               struct tu_error *error)
{
    uint64_t row = t->rank ? t->shape[t->rank - 1] : 1, rows = t->elements / row;
    bool matrix = scales->rank >= 2 && scales->elements > 1, stack = stacked_alike(t, scales);
    *out = (struct tu_scales){.row = row,
                              .matrix = stack ? t->shape[t->rank - 2] : rows,
                              .columns = matrix ? scales->shape[scales->rank - 1] : 1,
                              .rows = scales->elements};
    out->rows = stack ? scales->shape[scales->rank - 2] : out->rows / out->columns;
    out->block_rows = out->rows <= out->matrix ? block_size(out->matrix, out->rows) : 0;
    out->block_columns = out->columns <= row ? block_size(row, out->columns) : 0;
    if (scales->elements > SCALES_MAX || !out->block_rows || !out->block_columns)
        return tu_fail(error, TU_EINVALID,
                       "tensor '%s': the %" PRIu64 " scales in '%s' do not fit its shape", t->name,
                       scales->elements, scales->name);
    return 0;
}

int tu_scales_find(const struct tu_operand *o, const struct tu_tensor *t,
                   const struct tu_kernels *kernels, struct tu_scales *out, struct tu_error *error)
{
    *out = (struct tu_scales){0};
    if (!can_have_scales(t) || t->elements == 0)
        return 0;
    struct tu_member m = find_scales(o, t);
    if (!m.model || m.tensor->elements == 0)
        return 0;
    if (fit(t, m.tensor, out, error) < 0)
        return -1;
    out->values = malloc((size_t)m.tensor->elements * sizeof *out->values);
    if (!out->values)
        return tu_fail_memory(error);
    if (read_values(&m, kernels, out->values, error) == 0)
        return 1;
    tu_scales_free(out);
    return -1;
}

void tu_scales_free(struct tu_scales *s)
{
    free(s->values);
    *s = (struct tu_scales){0};
}

void tu_scales_apply(const struct tu_scales *s, uint64_t first, size_t count, float *values)
{
    for (size_t done = 0; done < count;) {
        uint64_t row = (first + done) / s->row, column = (first + done) % s->row;
        uint64_t block = column / s->block_columns;
        uint64_t end = (block + 1) * s->block_columns;
        uint64_t in_block = (end < s->row ? end : s->row) - column;
        size_t n = count - done < in_block ? count - done : (size_t)in_block;
        uint64_t group = row / s->matrix * s->rows + row % s->matrix / s->block_rows;
        float scale = s->values[group * s->columns + block];
        for (size_t i = 0; i < n; i++)
            values[done + i] *= scale;
        done += n;
    }
}
