/* SPDX-License-Identifier: MIT */
/* How many steps lie between the elements of a pair: whose steps, and what is added up of them. */
#include "config.h"

#include "compare/metrics/distances.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Whose steps ---- */

/* Floats with so many bits of mantissa, and the exponent of their least normal number. */
static const struct float_type {
    enum tensor_dtype type;
    int mantissa, least;
    bool small; /* fewer than 16 bits */
} float_types[] = {
    {TENSOR_F64, 52, -1022, false},
    {TENSOR_F32, 23, -126, false},
    {TENSOR_F16, 10, -14, false},
    {TENSOR_BF16, 7, -126, false},
    {TENSOR_F8_E4M3, 3, -6, true},
    {TENSOR_F8_E5M2, 2, -14, true},
    {TENSOR_F6_E2M3, 3, 0, true},
    {TENSOR_F6_E3M2, 2, -2, true},
    {TENSOR_F4, 1, 0, true},
    {TENSOR_F8_E4M3FNUZ, 3, -7, true},
    {TENSOR_F8_E5M2FNUZ, 2, -15, true},
};

static const struct float_type *float_type(enum tensor_dtype type)
{
    for (size_t i = 0; i < sizeof float_types / sizeof *float_types; i++)
        if (float_types[i].type == type)
            return &float_types[i];
    return NULL;
}

/* Whether all numbers of y, but for their range, are numbers of x. */
static bool is_finer(const struct float_type *x, const struct float_type *y)
{
    return x->mantissa >= y->mantissa && x->least - x->mantissa <= y->least - y->mantissa;
}

static void use_spacing(struct tu_resolution *r, int side, const struct float_type *type)
{
    enum { BIAS = 127 };
    r->spacing[side] = true;
    r->grids[side] = (struct tu_float_grid){type->mantissa, BIAS + type->least};
}

struct tu_resolution tu_resolution_of(const struct tu_decoder *decoders,
                                      const enum tensor_dtype stored[2])
{
    struct tu_resolution r = {0};
    const struct float_type *types[2] = {float_type(stored[0]), float_type(stored[1])};
    if (decoders[0].addend != 0 || decoders[1].addend != 0)
        return r;
    for (int i = 0; i < 2; i++)
        r.blocks[i] = decoders[i].resolve != NULL;
    for (int i = 0; i < 2; i++) {
        const struct float_type *type = types[i], *other = types[!i];
        if (!type || type->mantissa > 23)
            continue;
        if (r.blocks[!i] ? type->small : other && other != type && !is_finer(type, other))
            use_spacing(&r, i, type);
    }
    r.alike = r.blocks[0] && r.blocks[1] && stored[0] == stored[1];
    r.known = r.blocks[0] || r.blocks[1] || r.spacing[0] || r.spacing[1];
    return r;
}

bool tu_resolution_has_blocks(const struct tu_resolution *r)
{
    return r->blocks[0] || r->blocks[1];
}

/* ---- Runs ---- */

/* What a side says of a run; 0: nothing. */
static size_t resolve_side(const struct tu_resolution *r, const struct tu_kernels *kernels,
                           const struct tu_decoder *d, const struct tu_resolved_run *run, int side,
                           float *inverse)
{
    size_t size = d->geometry.dtype->elements;
    if (r->spacing[side]) {
        kernels->spacing(run->values[side], run->count, &r->grids[side], inverse);
        return 1;
    }
    if (!r->blocks[side])
        return 0;
    if (!run->whole[side]) {
        tu_inverse_steps(d, run->parts[side], run->first, run->count, inverse);
        return 1;
    }
    tu_inverse_steps_blocks(d, run->parts[side], run->count / size, inverse);
    return d->grain;
}

/* The same for finer grains, of which a coarser one holds a whole number. */
static void spread(float *inverse, size_t from, size_t to, size_t count)
{
    size_t times = from / to, grains = (count + from - 1) / from;
    if (times == 1)
        return;
    for (size_t i = grains; i--;)
        for (size_t k = times; k--;)
            inverse[i * times + k] = inverse[i];
}

size_t tu_resolve_run(const struct tu_resolution *r, const struct tu_kernels *kernels,
                      const struct tu_decoder *decoders, const struct tu_resolved_run *run,
                      float *inverse)
{
    enum { MOST = 2048 };
    float other[MOST];
    size_t grain = resolve_side(r, kernels, &decoders[0], run, 0, inverse);
    size_t second = resolve_side(r, kernels, &decoders[1], run, 1, grain ? other : inverse);
    if (!grain || !second)
        return grain + second;
    size_t finer = grain < second ? grain : second;
    spread(inverse, grain, finer, run->count);
    spread(other, second, finer, run->count);
    kernels->join_steps(inverse, other, (run->count + finer - 1) / finer);
    return finer;
}

/* ---- Sums ---- */

void tu_apart_add(struct tu_apart *sum, const struct tu_apart *next)
{
    sum->squares += next->squares;
    sum->beyond += next->beyond;
    sum->far += next->far;
}

static void note_most(struct tu_apart_rows *w, const struct tu_apart *sums, uint64_t squares_row,
                      uint64_t beyond_row, uint64_t far_row)
{
    if (!w->known || sums->squares > w->most.squares) {
        w->most.squares = sums->squares;
        w->squares_row = squares_row;
    }
    if (!w->known || sums->beyond > w->most.beyond) {
        w->most.beyond = sums->beyond;
        w->beyond_row = beyond_row;
    }
    if (!w->known || sums->far > w->most.far) {
        w->most.far = sums->far;
        w->far_row = far_row;
    }
    w->known = true;
}

void tu_apart_note(struct tu_apart_rows *w, uint64_t row, const struct tu_apart *sums)
{
    note_most(w, sums, row, row, row);
}

void tu_apart_rows_move(struct tu_apart_rows *w, uint64_t rows)
{
    w->squares_row += rows;
    w->beyond_row += rows;
    w->far_row += rows;
}

void tu_apart_rows_add(struct tu_apart_rows *sum, const struct tu_apart_rows *next)
{
    if (next->known)
        note_most(sum, &next->most, next->squares_row, next->beyond_row, next->far_row);
}

/* ---- Groups ---- */

void tu_groups_add_run(struct tu_groups *sum, const float *a, const float *b, size_t count)
{
    for (size_t i = 0; i < count; i += TU_GROUP) {
        size_t end = count - i < TU_GROUP ? count : i + TU_GROUP, zeros = 0, equal = 0;
        for (size_t k = i; k < end; k++) {
            zeros += a[k] == 0 && b[k] == 0;
            equal += a[k] == b[k];
        }
        sum->all += zeros < end - i;
        sum->same += zeros < end - i && equal == end - i;
    }
}

/* ---- Columns ---- */

struct tu_column_plan tu_column_plan(const struct tu_resolution *r, uint64_t elements,
                                     uint64_t columns)
{
    /* So many rows tell a column that is lost from one that was rounded; fewer do not. */
    enum { ENOUGH = 64, LEAST = 32, MOST_COLUMNS = 1 << 17 };
    uint64_t rows = columns ? elements / columns : 0;
    struct tu_column_plan none = {0};
    if (!tu_resolution_has_blocks(r) || rows < LEAST || columns > MOST_COLUMNS)
        return none;
    return (struct tu_column_plan){columns, rows > ENOUGH ? rows / ENOUGH : 1};
}

int tu_columns_begin(struct tu_columns *c, const struct tu_column_plan *plan, uint64_t column,
                     uint64_t width, struct tu_error *error)
{
    size_t sums = plan->columns ? (size_t)width * TU_COLUMN_SUMS : 0;
    c->plan = plan;
    c->column = column;
    c->width = width;
    c->rows = 0;
    c->begun = false;
    if (sums > c->room) {
        free(c->sums);
        c->room = 0;
        if (!(c->sums = malloc(sums * sizeof *c->sums)))
            return tu_fail_memory(error);
        c->room = sums;
    }
    return 0;
}

void tu_columns_free(struct tu_columns *c)
{
    free(c->sums);
}

static void begin_sums(struct tu_columns *c)
{
    for (size_t i = 0; !c->begun && i < (size_t)c->width * TU_COLUMN_SUMS; i++)
        c->sums[i] = 0;
    c->begun = true;
}

void tu_columns_add_run(struct tu_columns *c, const struct tu_kernels *kernels, uint64_t row,
                        uint64_t column, const float *const values[2], const float *inverse,
                        size_t grain, size_t count)
{
    if (!c->plan->columns || row / TU_COLUMN_ROWS % c->plan->every)
        return;
    begin_sums(c);
    c->rows += column == 0;
    kernels->column_distances(values[0], values[1], inverse, grain, count,
                              c->sums + (column - c->column), (size_t)c->width);
}

void tu_columns_add(struct tu_columns *sum, const struct tu_columns *next)
{
    sum->rows += next->rows;
    if (!next->begun)
        return;
    begin_sums(sum);
    for (size_t k = 0; k < TU_COLUMN_SUMS; k++) {
        float *to = sum->sums + k * (size_t)sum->width + (size_t)next->column;
        const float *from = next->sums + k * (size_t)next->width;
        for (uint64_t i = 0; i < next->width; i++)
            to[i] += from[i];
    }
}

static void note_column(struct tu_columns_metrics *m, uint64_t i, double rows, double dot,
                        double aa, double bb, double squares)
{
    if (!(squares > 0))
        return;
    if (!m->known || squares / rows > m->square) {
        m->square = squares / rows;
        m->square_column = i;
    }
    m->known = true;
    /* Numbers below half a step have no direction that a block could keep. */
    if (!((aa > bb ? aa : bb) >= rows / 4))
        return;
    double cosine = aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
    if (!m->has_cosine || cosine < m->cosine) {
        m->cosine = cosine;
        m->cosine_column = i;
    }
    double gain = aa > 0 ? sqrt(bb / aa) : (double)INFINITY;
    if (!m->has_cosine || fabs(log(gain)) > fabs(log(m->gain))) {
        m->gain = gain;
        m->gain_column = i;
    }
    m->has_cosine = true;
}

struct tu_columns_metrics tu_columns_metrics(const struct tu_columns *c)
{
    struct tu_columns_metrics m = {0};
    size_t width = (size_t)c->width;
    for (size_t i = 0; c->begun && i < width; i++)
        note_column(&m, i, (double)c->rows, (double)c->sums[TU_COLUMN_DOT * width + i],
                    (double)c->sums[TU_COLUMN_AA * width + i],
                    (double)c->sums[TU_COLUMN_BB * width + i],
                    (double)c->sums[TU_COLUMN_SQUARES * width + i]);
    return m;
}
