/* SPDX-License-Identifier: MIT */
/* Makes numbers of weights that are several tensors, a few rows at a time. */
#include "config.h"

#include "model/packs/pack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/packs/planes.h"
#include "tensor/elements.h"

/* Elements that are made at once: many where their codes lie apart. */
enum { AT_ONCE = 1 << 16, AT_ONCE_TURNED = 1 << 20 };

/* A piece in work. */
struct work {
    const struct tu_pack *p;
    struct tu_span piece;
    uint8_t *codes;
    float *values, *steps; /* steps: NULL: they are not wanted */
    struct tu_numbers scales, zeros, biases, factors;
};

/* Numbers that a run of elements shares. */
struct shared {
    float scale, zero, bias;
};

bool tu_pack_turned(const struct tu_pack *p)
{
    return p->codes.kind >= TU_CODES_COLUMNS && p->codes.kind <= TU_CODES_AWQ;
}

static float outer_of(const struct tu_pack *p, uint64_t slice)
{
    const struct tu_outer *o = &p->outer;
    return o->factors ? o->factors[o->count > 1 ? slice : 0] : 1;
}

/* Scales with the factors that they have in common. */
static void finish_scales(const struct work *w, struct tu_numbers *n, uint64_t count)
{
    float outer = outer_of(w->p, w->piece.slice);
    for (uint64_t i = 0; i < count && w->p->outer.factors; i++)
        n->values[i] = w->p->outer.divides ? n->values[i] / outer : n->values[i] * outer;
    for (uint64_t i = 0; i < count && w->p->inverse; i++)
        n->values[i] = 1 / n->values[i];
}

static uint64_t count_of(const struct work *w, const struct tu_plane *plane,
                         const struct tu_numbers *n)
{
    if (plane->kind != TU_PLANE_GRID)
        return n->values ? n->width : 0;
    const struct tu_span *a = &w->piece;
    return ((a->row + a->rows - 1) / plane->row_block + 1 - n->row) * n->width;
}

static int read_planes(struct work *w, struct tu_error *error)
{
    const struct tu_pack *p = w->p;
    if (tu_plane_read(p, &p->scales, w->piece, &w->scales, error) < 0 ||
        tu_plane_read(p, &p->zeros, w->piece, &w->zeros, error) < 0 ||
        tu_plane_read(p, &p->biases, w->piece, &w->biases, error) < 0)
        return -1;
    finish_scales(w, &w->scales, count_of(w, &p->scales, &w->scales));
    struct tu_span row = w->piece;
    row.row = row.slice = 0;
    row.rows = 1;
    return tu_plane_read(p, &p->factors, row, &w->factors, error);
}

/* ---- Values ---- */

static void make_whole(const uint8_t *restrict codes, size_t n, float zero, float scale,
                       float *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = ((float)codes[i] - zero) * scale;
}

static void make_signed(const uint8_t *restrict codes, size_t n, float zero, float scale,
                        float *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = ((float)(int8_t)codes[i] - zero) * scale;
}

static void make_listed(const uint8_t *restrict codes, size_t n, const float *table, float zero,
                        float scale, float *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (table[codes[i]] - zero) * scale;
}

/* Rounded once, as programs that multiply and add at once do. */
static void make_biased(const uint8_t *restrict codes, size_t n, float scale, float bias,
                        float *restrict out)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (float)((double)codes[i] * (double)scale + (double)bias);
}

static void make_run(const struct tu_pack *p, const uint8_t *codes, size_t n,
                     const struct shared *s, float *out)
{
    if (p->biases.kind != TU_PLANE_NONE)
        make_biased(codes, n, s->scale, p->minus ? -s->bias : s->bias, out);
    else if (p->table)
        make_listed(codes, n, p->table, s->zero, s->scale, out);
    else if (p->is_signed)
        make_signed(codes, n, s->zero, s->scale, out);
    else
        make_whole(codes, n, s->zero, s->scale, out);
    for (size_t i = 0; i < n && p->factor != 1; i++)
        out[i] *= p->factor;
}

/* ---- Steps ---- */

/* The distance of numbers of a type near x. */
static float unit_of(enum tensor_dtype dtype, float x)
{
    int exponent, mantissa = dtype == TENSOR_BF16 ? 8 : dtype == TENSOR_F16 ? 11 : 24;
    if (x == 0 || !isfinite(x))
        return 0;
    frexpf(x, &exponent);
    return ldexpf(1, exponent - mantissa);
}

/* What a code tells apart is a step of its table, times the scale; a bias is rounded itself. */
static void make_steps(const struct tu_pack *p, const uint8_t *codes, size_t n,
                       const struct shared *s, float *out)
{
    float unit = fabsf(s->scale * p->factor), least = p->least;
    float bias = p->biases.kind != TU_PLANE_NONE ? unit_of(p->biases.dtype, s->bias) : 0;
    least = bias > least ? bias : least;
    for (size_t i = 0; i < n; i++) {
        float step = p->spacing ? unit * p->spacing[codes[i]] : unit;
        out[i] = step > least ? step : least;
    }
}

/* ---- Rows ---- */

static struct shared shared_at(const struct work *w, uint64_t row, uint64_t column, uint64_t *run)
{
    const struct tu_pack *p = w->p;
    uint64_t slice = w->piece.slice;
    struct shared s = {.scale = 1, .zero = p->zero};
    if (w->scales.values)
        s.scale = w->scales.values[tu_plane_at(p, &p->scales, &w->scales, slice, row, column, run)];
    if (w->zeros.values)
        s.zero = w->zeros.values[tu_plane_at(p, &p->zeros, &w->zeros, slice, row, column, run)];
    if (w->biases.values)
        s.bias = w->biases.values[tu_plane_at(p, &p->biases, &w->biases, slice, row, column, run)];
    return s;
}

/* Factors of columns come last. */
static void apply_factors(const struct work *w, uint64_t count, float *values, float *steps)
{
    for (uint64_t i = 0; i < count && w->factors.values; i++) {
        values[i] *= w->factors.values[i];
        if (steps)
            steps[i] *= fabsf(w->factors.values[i]);
    }
}

static void make_row(const struct work *w, uint64_t i)
{
    const struct tu_span *a = &w->piece;
    uint64_t at = i * a->columns;
    for (uint64_t done = 0, run; done < a->columns; done += run) {
        run = a->columns - done;
        struct shared s = shared_at(w, a->row + i, a->column + done, &run);
        make_run(w->p, w->codes + at + done, (size_t)run, &s, w->values + at + done);
        if (w->steps)
            make_steps(w->p, w->codes + at + done, (size_t)run, &s, w->steps + at + done);
    }
    apply_factors(w, a->columns, w->values + at, w->steps ? w->steps + at : NULL);
}

/* Elements that have a type of their own, with a scale besides. */
static int make_values(const struct work *w, struct tu_error *error)
{
    const struct tu_pack *p = w->p;
    const struct tu_tensor *t = p->codes.from.tensor;
    const struct tu_span *a = &w->piece;
    struct tu_tensor copy = *t;
    struct tu_geometry g;
    struct tu_decoder d;
    uint64_t first = (a->slice * p->rows + a->row) * p->columns + a->column, offset, length;
    uint64_t count = a->rows * a->columns;
    if (tu_tensor_check(&copy, &g, error) < 0 ||
        tu_decoder_init(&d, &g, p->kernels, NULL, error) < 0)
        return -1;
    tu_geometry_span(&g, first, count, &offset, &length);
    uint8_t *raw = malloc((size_t)length);
    int result = raw ? tu_model_read(p->codes.from.model, t, offset, raw, (size_t)length, error)
                     : tu_fail_memory(error);
    if (result == 0) {
        tu_decode(&d, raw, first, (size_t)count, w->values);
        if (w->steps && d.resolve)
            tu_inverse_steps(&d, raw, first, (size_t)count, w->steps);
        float scale = outer_of(p, a->slice);
        for (uint64_t i = 0; i < count; i++) {
            w->values[i] *= scale;
            if (w->steps)
                w->steps[i] = fabsf(scale) / w->steps[i];
        }
    }
    free(raw);
    return result;
}

static int make_piece(const struct tu_pack *p, struct tu_span piece, float *values, float *steps,
                      struct tu_error *error)
{
    struct work w = {.p = p, .piece = piece, .values = values, .steps = steps};
    if (p->codes.kind == TU_CODES_VALUES)
        return make_values(&w, error);
    w.codes = malloc((size_t)(piece.rows * piece.columns));
    int result = w.codes ? 0 : tu_fail_memory(error);
    if (result == 0)
        result = tu_codes_read(&p->codes, p->rows, p->columns, piece, w.codes, error);
    if (result == 0)
        result = read_planes(&w, error);
    for (uint64_t i = 0; i < piece.rows && result == 0; i++)
        make_row(&w, i);
    free(w.codes);
    tu_numbers_free(&w.scales);
    tu_numbers_free(&w.zeros);
    tu_numbers_free(&w.biases);
    tu_numbers_free(&w.factors);
    return result;
}

/* ---- Reading ---- */

/* The longest piece that starts at an element: whole rows of a slice, or part of a row. */
static struct tu_span piece_at(const struct tu_pack *p, uint64_t first, uint64_t count)
{
    uint64_t most = tu_pack_turned(p) ? AT_ONCE_TURNED : AT_ONCE;
    uint64_t column = first % p->columns, row = first / p->columns;
    struct tu_span a = {row / p->rows, row % p->rows, 1, column, p->columns - column};
    a.columns = a.columns < count ? a.columns : count;
    a.columns = a.columns < most ? a.columns : most;
    if (column || a.columns < p->columns)
        return a;
    uint64_t rows = count / p->columns, fit = most / p->columns, left = p->rows - a.row;
    rows = rows < fit ? rows : fit;
    rows = rows < left ? rows : left;
    a.rows = rows ? rows : 1;
    return a;
}

static int make_range(const struct tu_pack *p, uint64_t first, uint64_t count, float *values,
                      float *steps, struct tu_error *error)
{
    for (uint64_t done = 0; done < count;) {
        struct tu_span a = piece_at(p, first + done, count - done);
        if (make_piece(p, a, values + done, steps ? steps + done : NULL, error) < 0)
            return -1;
        done += a.rows * a.columns;
    }
    return 0;
}

/* Floats as they lie in files. */
static void put_float(uint8_t *to, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(bits >> 8 * i);
}

static void put_elements(const float *values, const float *steps, size_t count, uint8_t *to)
{
    size_t size = steps ? TU_MADE_BYTES : sizeof(float);
    if (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && !steps) {
        memcpy(to, values, count * size);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        put_float(to + i * size, values[i]);
        if (steps)
            put_float(to + i * size + sizeof(float), steps[i]);
    }
}

int tu_pack_read(const struct tu_pack *p, enum tensor_dtype dtype, uint64_t offset, void *buffer,
                 size_t length, struct tu_error *error)
{
    size_t size = dtype == TENSOR_F32 ? sizeof(float) : TU_MADE_BYTES;
    size_t skip = (size_t)(offset % size), most = tu_pack_turned(p) ? AT_ONCE_TURNED : AT_ONCE;
    uint64_t first = offset / size, count = (skip + length + size - 1) / size;
    uint8_t *out = buffer, edge[TU_MADE_BYTES];
    bool whole = size == sizeof(float) && skip == 0 && length % size == 0;
    if (whole && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ &&
        (uintptr_t)buffer % _Alignof(float) == 0)
        return make_range(p, first, count, buffer, NULL, error);
    size_t room = count < most ? (size_t)count : most;
    float *values = malloc(room * 2 * sizeof *values + 1);
    float *steps = size == TU_MADE_BYTES && values ? values + room : NULL;
    int result = values ? 0 : tu_fail_memory(error);
    for (uint64_t done = 0; done < count && result == 0; done += room) {
        size_t n = count - done < room ? (size_t)(count - done) : room;
        result = make_range(p, first + done, n, values, steps, error);
        for (size_t i = 0; i < n && result == 0;) {
            if (skip == 0 && length >= (n - i) * size) {
                put_elements(values + i, steps ? steps + i : NULL, n - i, out);
                out += (n - i) * size;
                length -= (n - i) * size;
                break;
            }
            /* An element that is cut. */
            put_elements(values + i, steps ? steps + i : NULL, 1, edge);
            size_t part = size - skip < length ? size - skip : length;
            memcpy(out, edge + skip, part);
            out += part;
            length -= part;
            skip = 0;
            i++;
        }
    }
    free(values);
    return result;
}
