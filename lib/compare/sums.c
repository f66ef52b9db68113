/* SPDX-License-Identifier: MIT */
/* Reduces ranges of two tensors to sums, counts and maxima, in an order that is fixed. */
#include "config.h"

#include "compare/sums.h"

#include "compare/full.h"

#include <math.h>
#include <string.h>

/* Beyond these magnitudes squares and their sums are scaled; within them nothing is. */
#define LARGE 0x1p400
#define SMALL 0x1p-400

/* Lanes are added in halves, as the kernels do. */
static double sum_lanes(const double *lane)
{
    double sum[TU_LANES];
    memcpy(sum, lane, sizeof sum);
    for (size_t width = TU_LANES / 2; width; width /= 2)
        for (size_t i = 0; i < width; i++)
            sum[i] += sum[i + width];
    return sum[0];
}

static struct tu_scaled sum_of_scaled(struct tu_scaled a, struct tu_scaled b)
{
    if (a.value == 0)
        return b;
    if (b.value == 0)
        return a;
    int exponent = a.exponent > b.exponent ? a.exponent : b.exponent;
    return (struct tu_scaled){
        ldexp(a.value, a.exponent - exponent) + ldexp(b.value, b.exponent - exponent), exponent};
}

/* In the usual case no copy is made, which would wait for what was stored in two parts. */
static inline void add_scaled(struct tu_scaled *sum, const struct tu_scaled *next)
{
    if (!(sum->exponent | next->exponent))
        sum->value += next->value;
    else
        *sum = sum_of_scaled(*sum, *next);
}

static double unscale(struct tu_scaled s)
{
    return s.exponent ? ldexp(s.value, s.exponent) : s.value;
}

/* The same number with a value of moderate size, so that products and quotients of two keep their
 * digits.  Powers of two change no digit. */
static struct tu_scaled normalise(struct tu_scaled s)
{
    int exponent;
    double value = frexp(s.value, &exponent);
    return (struct tu_scaled){value, s.exponent + exponent};
}

/* x / y as if neither had been scaled. */
static double ratio(struct tu_scaled x, struct tu_scaled y)
{
    struct tu_scaled p = normalise(x), q = normalise(y);
    return ldexp(p.value / q.value, p.exponent - q.exponent);
}

static struct tu_scaled product_root(struct tu_scaled x, struct tu_scaled y)
{
    x = normalise(x);
    y = normalise(y);
    struct tu_scaled p = {x.value * y.value, x.exponent + y.exponent};
    int odd = p.exponent & 1;
    return (struct tu_scaled){sqrt(odd ? 2 * p.value : p.value), (p.exponent - odd) / 2};
}

/* ---- Rows ---- */

void tu_row_add(struct tu_row *sum, const struct tu_row *next)
{
    add_scaled(&sum->dot, &next->dot);
    add_scaled(&sum->aa, &next->aa);
    add_scaled(&sum->bb, &next->bb);
    add_scaled(&sum->dd, &next->dd);
    sum->steps += next->steps;
}

struct tu_row tu_partial_row(const struct tu_partial *p)
{
    return (struct tu_row){p->dot, p->aa, p->bb, p->dd, p->steps};
}

static double row_error(const struct tu_row *r)
{
    double to_a = r->aa.value > 0 ? ratio(r->dd, r->aa) : INFINITY;
    double to_b = r->bb.value > 0 ? ratio(r->dd, r->bb) : INFINITY;
    return to_a < to_b ? to_a : to_b;
}

/* The angle between two vectors that are not zero. */
struct angle {
    double cosine, distance;
};

/* 1 - cos = (|a - b|^2 - (|a| - |b|)^2) / (2 |a| |b|), which keeps its digits where the vectors are
 * close; far apart the plain form does. */
static struct angle angle_of(const struct tu_row *r)
{
    struct tu_scaled norms = product_root(r->aa, r->bb);
    double apart = ratio(r->dd, norms), cosine = ratio(r->dot, norms); /* |a - b|^2 / (|a| |b|) */
    if (!(apart < 0.5))
        return (struct angle){cosine, 1 - cosine};
    double stretch = sqrt(ratio(r->aa, norms)) - sqrt(ratio(r->bb, norms));
    double distance = (apart - stretch * stretch) / 2;
    return (struct angle){cosine, distance > 0 ? distance : 0};
}

static struct angle row_angle(const struct tu_row *r)
{
    if (r->dd.value == 0)
        return (struct angle){1, 0};
    if (!(r->aa.value > 0 && r->bb.value > 0))
        return (struct angle){0, 1};
    return angle_of(r);
}

/* Whether a row can be among the worst: cheaper than its numbers.  1 - cos is at most |a - b|^2 /
 * (2 |a| |b|). */
static bool may_be_worst(const struct tu_worst_rows *w, const struct tu_row *r)
{
    const double slack = 1 - 0x1p-40;
    double aa = r->aa.value, bb = r->bb.value, dd = r->dd.value, apart = 2 * w->distance;
    if (!w->known || (r->aa.exponent | r->bb.exponent | r->dd.exponent))
        return true;
    return dd >= slack * w->error * (aa > bb ? aa : bb) ||
           dd * dd >= slack * apart * apart * aa * bb;
}

/* Whether the norm of a row, of these squares, grew more from a to b than that of another one. */
static bool grew_more(const struct tu_scaled *aa, const struct tu_scaled *bb,
                      const struct tu_scaled *other_aa, const struct tu_scaled *other_bb)
{
    if (aa->exponent | bb->exponent | other_aa->exponent | other_bb->exponent)
        return ratio(*bb, *aa) > ratio(*other_bb, *other_aa);
    return bb->value * other_aa->value > other_bb->value * aa->value;
}

static void note_gain(struct tu_worst_rows *w, const struct tu_scaled *aa,
                      const struct tu_scaled *bb, uint64_t row)
{
    if (!(aa->value > 0 && bb->value > 0))
        return;
    bool first = !(w->most.aa.value > 0);
    if (first || grew_more(aa, bb, &w->most.aa, &w->most.bb))
        w->most = (struct tu_gain){*aa, *bb, row};
    if (first || grew_more(&w->least.aa, &w->least.bb, aa, bb))
        w->least = (struct tu_gain){*aa, *bb, row};
}

static void note_noise(struct tu_worst_rows *w, double noise, uint64_t index)
{
    if (!w->predicted || noise > w->noise) {
        w->noise = noise;
        w->noise_row = index;
    }
    w->predicted = true;
}

/* The mean square of a row below which a type cannot hold it with the usual precision: its numbers,
 * or its scales, which are halves, lose their digits there. */
static double faint_square(const struct tu_decoder *d)
{
    switch (d->geometry.dtype->code) {
    case TENSOR_Q2_K:
    case TENSOR_Q3_K:
    case TENSOR_Q4_K:
    case TENSOR_Q5_K:
    case TENSOR_Q6_K:
        return 0x1p-36;
    case TENSOR_Q4_0:
    case TENSOR_Q4_1:
    case TENSOR_Q5_0:
    case TENSOR_Q5_1:
    case TENSOR_APR_Q4:
        return 0x1p-34;
    case TENSOR_F16:
    case TENSOR_F8_E5M2:
        return 0x1p-28;
    case TENSOR_BF16:
        return 0x1p-240;
    case TENSOR_F8_E4M3:
        return 0x1p-12;
    case TENSOR_Q8_0:
    case TENSOR_Q8_1:
    case TENSOR_IQ4_NL:
        return 0x1p-26;
    case TENSOR_Q8_K:
    case TENSOR_MXFP4:
        return 0;
    default:
        return d->geometry.dtype->kind == TENSOR_KIND_QUANT ? 0x1p-22 : 0;
    }
}

static bool is_at_least(struct tu_scaled square, double least)
{
    return square.value > 0 && unscale(square) >= least;
}

/* The sum of squares of a row below which it is faint on a side. */
static double faint_row(const struct tu_comparison *c)
{
    double a = faint_square(&c->decoders[0]), b = faint_square(&c->decoders[1]);
    return (a > b ? a : b) * (double)c->row;
}

static void note_row(struct tu_worst_rows *w, double faint, uint64_t index, const struct tu_row *r)
{
    if (!is_at_least(r->aa, faint) && !is_at_least(r->bb, faint))
        return;
    if (r->steps > 0 && isfinite(r->steps))
        note_noise(w, unscale(r->dd) / r->steps, index);
    note_gain(w, &r->aa, &r->bb, index);
    if ((w->known && r->dd.value == 0) || !may_be_worst(w, r))
        return;
    const struct angle angle = row_angle(r);
    double error = row_error(r);
    if (!w->known || error > w->error) {
        w->error = error;
        w->error_row = index;
    }
    if (!w->known || angle.distance > w->distance) {
        w->distance = angle.distance;
        w->cosine = angle.cosine;
        w->cosine_row = index;
    }
    w->known = true;
}

void tu_note_row(struct tu_worst_rows *w, const struct tu_comparison *c, uint64_t index,
                 const struct tu_row *r)
{
    note_row(w, faint_row(c), index, r);
}

static void add_worst_rows(struct tu_worst_rows *sum, const struct tu_worst_rows *next)
{
    note_gain(sum, &next->least.aa, &next->least.bb, next->least.row);
    note_gain(sum, &next->most.aa, &next->most.bb, next->most.row);
    if (next->predicted)
        note_noise(sum, next->noise, next->noise_row);
    if (!next->known)
        return;
    if (!sum->known || next->error > sum->error) {
        sum->error = next->error;
        sum->error_row = next->error_row;
    }
    if (!sum->known || next->distance > sum->distance) {
        sum->distance = next->distance;
        sum->cosine = next->cosine;
        sum->cosine_row = next->cosine_row;
    }
    sum->known = true;
}

/* ---- What pairs of any type have in common ---- */

static void count_non_finite(double a, double b, struct tu_partial *out)
{
    out->nan_a += isnan(a) != 0;
    out->nan_b += isnan(b) != 0;
    out->nan_both += isnan(a) && isnan(b);
    out->inf_a += isinf(a) != 0;
    out->inf_b += isinf(b) != 0;
    out->inf_both += isinf(a) && a == b;
    out->identical += a == b;
}

static void note_first_diff(struct tu_partial *out, uint64_t index)
{
    if (!out->differs)
        out->first_diff = index;
    out->differs = true;
}

static double relative(double a, double b, double difference)
{
    double x = fabs(a), y = fabs(b), larger = x > y ? x : y;
    return larger > 0 ? difference / larger : 0;
}

/* ---- Pairs that float32 holds ---- */

/* A segment, or a part of one: a and b are decoded, and may be changed. */
struct segment {
    float *a, *b;
    size_t count;
    uint64_t first; /* index of the first */
};

static void find_first_diff(const struct segment *s, struct tu_partial *out)
{
    for (size_t i = 0; i < s->count && !out->differs; i++)
        if (s->a[i] != s->b[i] && !(isnan(s->a[i]) && isnan(s->b[i])))
            note_first_diff(out, s->first + i);
}

/* Counts pairs that are not finite and replaces them by (0, 0), which adds nothing; how many. */
static size_t remove_non_finite(const struct segment *s, struct tu_partial *out)
{
    size_t removed = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (isfinite(s->a[i]) && isfinite(s->b[i]))
            continue;
        count_non_finite((double)s->a[i], (double)s->b[i], out);
        s->a[i] = s->b[i] = 0;
        removed++;
    }
    return removed;
}

static void find_worst(const struct tu_kernels *kernels, const struct segment *s,
                       struct tu_partial *out)
{
    double max = kernels->largest_diff(s->a, s->b, s->count);
    if (!(max > out->max_diff))
        return;
    size_t i = 0;
    while (fabs((double)s->a[i] - (double)s->b[i]) != max)
        i++;
    out->max_diff = max;
    out->worst_index = s->first + i;
    out->worst_a = (double)s->a[i];
    out->worst_b = (double)s->b[i];
}

static void find_relative(const struct tu_kernels *kernels, const struct segment *s,
                          struct tu_partial *out)
{
    double max = kernels->largest_rel_diff(s->a, s->b, s->count);
    out->max_rel_diff = max > out->max_rel_diff ? max : out->max_rel_diff;
}

/* What the kernel tests relative differences for, in float32.  The margin covers its rounding; what
 * passes is looked at exactly.  A difference of 1, which is that to a zero, and one of 2, which is
 * the largest there is, are met again and again: for these the kernel needs no margin. */
static float bound_of(double max_rel_diff)
{
    if (max_rel_diff == 1 || max_rel_diff >= 2)
        return (float)max_rel_diff;
    return (float)(max_rel_diff * (1 - 0x1p-20));
}

static void reduce_segment(const struct tu_kernels *kernels, const struct segment *s,
                           struct tu_partial *out, struct tu_sums *sums)
{
    float bound = bound_of(out->max_rel_diff);
    size_t removed = 0;
    kernels->reduce(s->a, s->b, s->count, bound, sums);
    if (!out->differs && sums->equal < s->count)
        find_first_diff(s, out);
    if (!isfinite(sums->aa + sums->bb)) {
        removed = remove_non_finite(s, out);
        kernels->reduce(s->a, s->b, s->count, bound, sums);
    }
    /* Of numbers, a larger one has no smaller rounding. */
    if (sums->max > 0 && sums->max >= (float)out->max_diff)
        find_worst(kernels, s, out);
    if (sums->beyond)
        find_relative(kernels, s, out);
    out->identical += sums->equal - removed;
    out->finite += s->count - removed;
}

/* ---- Pairs that need float64 or whole 64-bit integers ---- */

/* A segment, or a part of one, whose values are hi + lo; difference has room for as many. */
struct wide_segment {
    double *a, *a_low, *b, *b_low, *difference;
    size_t count;
    uint64_t first;
};

/* The difference of a pair of finite numbers, which may overflow: no larger number can be told. */
static double wide_difference(const struct wide_segment *w, size_t i)
{
    double d = fabs((w->a[i] - w->b[i]) + (w->a_low[i] - w->b_low[i]));
    return isfinite(d) ? d : __DBL_MAX__;
}

static void inspect_wide_pair(const struct wide_segment *w, size_t i, struct tu_partial *out)
{
    double a = w->a[i], b = w->b[i], d = w->difference[i] = wide_difference(w, i);
    double r = relative(a, b, d);
    bool identical = a == b && w->a_low[i] == w->b_low[i];
    out->finite++;
    out->identical += identical;
    if (!identical)
        note_first_diff(out, w->first + i);
    out->max_rel_diff = r > out->max_rel_diff ? r : out->max_rel_diff;
    if (d > out->max_diff) {
        out->max_diff = d;
        out->worst_index = w->first + i;
        out->worst_a = a;
        out->worst_b = b;
    }
}

/* Takes differences and maxima, and leaves the pairs that are not finite out as (0, 0). */
static void inspect_wide(const struct wide_segment *w, struct tu_partial *out)
{
    for (size_t i = 0; i < w->count; i++) {
        double a = w->a[i], b = w->b[i];
        if (isfinite(a) && isfinite(b)) {
            inspect_wide_pair(w, i, out);
            continue;
        }
        if (a != b && !(isnan(a) && isnan(b)))
            note_first_diff(out, w->first + i);
        count_non_finite(a, b, out);
        w->a[i] = w->b[i] = w->difference[i] = 0;
    }
}

/* The power of two that brings the largest magnitude of a run near 1, 0 if it is moderate. */
static int scale_of(const double *values, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(values[i]));
    return largest == 0 || (largest < LARGE && largest > SMALL) ? 0 : ilogb(largest);
}

/* Sum of x * y over fixed lanes. */
static struct tu_scaled sum_products(const double *x, int x_scale, const double *y, int y_scale,
                                     size_t count)
{
    double lanes[TU_LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        double p = x_scale ? ldexp(x[i], -x_scale) : x[i];
        double q = y_scale ? ldexp(y[i], -y_scale) : y[i];
        lanes[i % TU_LANES] += p * q;
    }
    return (struct tu_scaled){sum_lanes(lanes), x_scale + y_scale};
}

static struct tu_scaled sum_values(const double *x, int scale, size_t count)
{
    double lanes[TU_LANES] = {0};
    for (size_t i = 0; i < count; i++)
        lanes[i % TU_LANES] += scale ? ldexp(x[i], -scale) : x[i];
    return (struct tu_scaled){sum_lanes(lanes), scale};
}

static void reduce_wide(const struct wide_segment *w, struct tu_partial *out, struct tu_row *sums,
                        struct tu_scaled *ad)
{
    inspect_wide(w, out);
    int a = scale_of(w->a, w->count), b = scale_of(w->b, w->count);
    int d = scale_of(w->difference, w->count);
    sums->dot = sum_products(w->a, a, w->b, b, w->count);
    sums->aa = sum_products(w->a, a, w->a, a, w->count);
    sums->bb = sum_products(w->b, b, w->b, b, w->count);
    sums->dd = sum_products(w->difference, d, w->difference, d, w->count);
    *ad = sum_values(w->difference, d, w->count);
}

/* ---- Ranges ---- */

/* A range that is gone through, a run of elements at a time: a segment of a long row, or as many
 * short rows as fit. */
struct range {
    const struct tu_comparison *c;
    const uint8_t *const *spans;
    uint64_t origins[2];    /* offsets of what they point to */
    uint64_t index, column; /* of the next element: its row, and where it is there */
    struct tu_partial *out;
    struct tu_row row;   /* of the row that was begun */
    struct tu_row *rows; /* where its sums go next; NULL: among the worst */
    bool whole;          /* the range is whole rows */
    bool predicts;       /* a side has steps */
    double faint;        /* the sum of squares below which a row is none of the worst */
    /* Of the run: where it begins, and its bytes.  Blocks that no segment cuts follow one another;
     * else their size is 0. */
    uint64_t at;
    const uint8_t *parts[2];
    size_t block[2];
    struct tu_full *full;
    uint64_t first;
};

static const uint8_t *part(const struct range *r, int side, uint64_t first, size_t count)
{
    const struct tu_geometry *g = &r->c->decoders[side].geometry;
    uint64_t offset, length;
    tu_geometry_span(g, first, count, &offset, &length);
    return r->spans[side] + (offset - r->origins[side]);
}

/* How many elements the next run has, of those that are left. */
static size_t run_length(const struct range *r, size_t left)
{
    uint64_t row = r->c->row, in_row = row - r->column;
    uint64_t n = TU_COMPARE_BLOCK - r->column % TU_COMPARE_BLOCK;
    if (row <= TU_COMPARE_BLOCK && r->column == 0)
        n = TU_COMPARE_BLOCK / row * row;
    else if (n > in_row)
        n = in_row;
    return n < left ? (size_t)n : left;
}

/* How many elements of a run lie in the row that its next one is in. */
static size_t in_row(const struct range *r, size_t count)
{
    uint64_t left = r->c->row - r->column;
    return left < count ? (size_t)left : count;
}

static void end_row(struct range *r, const struct tu_row *sums)
{
    if (r->whole && r->rows)
        *r->rows++ = *sums;
    else if (r->whole)
        note_row(&r->out->rows, r->faint, r->index, sums);
    r->index++;
    r->column = 0;
}

/* How many elements a block of a side has, if none is cut. */
static size_t uncut_block(const struct tu_comparison *c, int side)
{
    const struct tu_decoder *d = &c->decoders[side];
    size_t size = d->geometry.dtype->elements;
    bool uncut = d->geometry.row % size == 0 && c->row % size == 0;
    return uncut && TU_COMPARE_BLOCK % size == 0 ? size : 0;
}

/* The squares of the steps of a segment, of both sides. */
static double steps_of(const struct range *r, uint64_t first, size_t count)
{
    double sum = 0;
    for (int i = 0; i < 2; i++) {
        const struct tu_decoder *d = &r->c->decoders[i];
        size_t size = r->block[i], before = (size_t)(first - r->at);
        if (size && d->steps)
            sum += d->steps(r->parts[i] + before / size * d->geometry.dtype->bytes, count / size) *
                   ((double)d->scale * (double)d->scale);
        else if (d->steps)
            sum += tu_steps(d, part(r, i, first, count), first, count);
    }
    return sum;
}

/* Finds the bytes of the run that begins at an element. */
static void find_parts(struct range *r, uint64_t at, size_t count)
{
    for (int i = 0; i < 2; i++) {
        if (r->block[i] && r->parts[i])
            r->parts[i] += (at - r->at) / r->block[i] * r->c->decoders[i].geometry.dtype->bytes;
        else
            r->parts[i] = part(r, i, at, count);
    }
    r->at = at;
}

static void decode_part(const struct range *r, int side, size_t count, float *out)
{
    const struct tu_decoder *d = &r->c->decoders[side];
    if (r->block[side])
        tu_decode_blocks(d, r->parts[side], count / r->block[side], out);
    else
        tu_decode(d, r->parts[side], r->at, count, out);
}

/* Adds the sums of the next segment, which begins at an element, to all that it belongs to. */
static void add_segment(struct range *r, uint64_t first, size_t count, struct tu_row *sums,
                        const struct tu_scaled *ad)
{
    struct tu_partial *out = r->out;
    sums->steps = r->predicts ? steps_of(r, first, count) : 0;
    out->steps += sums->steps;
    out->elements += count;
    add_scaled(&out->dot, &sums->dot);
    add_scaled(&out->aa, &sums->aa);
    add_scaled(&out->bb, &sums->bb);
    add_scaled(&out->dd, &sums->dd);
    add_scaled(&out->ad, ad);
    if (count == r->c->row) {
        end_row(r, sums);
        return;
    }
    tu_row_add(&r->row, sums);
    r->column += count;
    if (r->column == r->c->row) {
        end_row(r, &r->row);
        r->row = (struct tu_row){0};
    }
}

static void compare_run(struct range *r, uint64_t at, size_t count)
{
    const struct tu_comparison *c = r->c;
    float here[2][TU_COMPARE_BLOCK], *a = here[0], *b = here[1];
    if (r->full)
        tu_full_place(r->full, at - r->first, count, &a, &b);
    find_parts(r, at, count);
    decode_part(r, 0, count, a);
    decode_part(r, 1, count, b);
    struct tu_full_run run = {.first = at - r->first, .count = count};
    uint64_t finite = r->out->finite;
    for (size_t done = 0, n; done < count; done += n) {
        n = in_row(r, count - done);
        const struct segment s = {a + done, b + done, n, at + done};
        struct tu_sums sums;
        reduce_segment(c->kernels, &s, r->out, &sums);
        struct tu_row row = {{sums.dot, 0}, {sums.aa, 0}, {sums.bb, 0}, {sums.dd, 0}, 0};
        add_segment(r, at + done, n, &row, &(const struct tu_scaled){sums.ad, 0});
        run.dot += sums.dot;
        run.aa += sums.aa;
        run.bb += sums.bb;
    }
    run.left_out = count - (size_t)(r->out->finite - finite);
    if (r->full)
        tu_full_add_run(r->full, c->kernels, &run, a, b);
}

static void compare_wide_run(struct range *r, uint64_t at, size_t count)
{
    const struct tu_comparison *c = r->c;
    double values[5][TU_COMPARE_BLOCK];
    find_parts(r, at, count);
    tu_decode_wide(&c->decoders[0], r->parts[0], at, count, values[0], values[1]);
    tu_decode_wide(&c->decoders[1], r->parts[1], at, count, values[2], values[3]);
    struct tu_full_run run = {.first = at - r->first, .count = count};
    uint64_t finite = r->out->finite;
    for (size_t done = 0, n; done < count; done += n) {
        n = in_row(r, count - done);
        const struct wide_segment w = {values[0] + done, values[1] + done, values[2] + done,
                                       values[3] + done, values[4] + done, n,
                                       at + done};
        struct tu_row row;
        struct tu_scaled ad;
        reduce_wide(&w, r->out, &row, &ad);
        add_segment(r, at + done, n, &row, &ad);
    }
    run.left_out = count - (size_t)(r->out->finite - finite);
    if (r->full)
        tu_full_add_wide_run(r->full, &run, values[0], values[2]);
}

void tu_compare_range(const struct tu_comparison *c, const uint8_t *const spans[2], uint64_t first,
                      size_t count, struct tu_partial *out, struct tu_row *rows,
                      struct tu_full *full)
{
    bool wide = c->decoders[0].decode_wide || c->decoders[1].decode_wide;
    struct range r = {.c = c,
                      .spans = spans,
                      .index = first / c->row,
                      .column = first % c->row,
                      .out = out,
                      .rows = rows,
                      .predicts = c->decoders[0].steps || c->decoders[1].steps,
                      .faint = faint_row(c),
                      .block = {uncut_block(c, 0), uncut_block(c, 1)},
                      .full = full,
                      .first = first};
    r.whole = r.column == 0 && count % c->row == 0;
    for (int i = 0; i < 2 && count; i++) {
        uint64_t length;
        tu_geometry_span(&c->decoders[i].geometry, first, 1, &r.origins[i], &length);
    }
    for (size_t done = 0, n; done < count; done += n) {
        n = run_length(&r, count - done);
        if (wide)
            compare_wide_run(&r, first + done, n);
        else
            compare_run(&r, first + done, n);
    }
    if (full)
        tu_full_end(full, c->kernels);
}

void tu_partial_add(struct tu_partial *sum, const struct tu_partial *next)
{
    sum->elements += next->elements;
    sum->finite += next->finite;
    add_scaled(&sum->dot, &next->dot);
    add_scaled(&sum->aa, &next->aa);
    add_scaled(&sum->bb, &next->bb);
    add_scaled(&sum->dd, &next->dd);
    add_scaled(&sum->ad, &next->ad);
    sum->steps += next->steps;
    if (next->max_diff > sum->max_diff) {
        sum->max_diff = next->max_diff;
        sum->worst_index = next->worst_index;
        sum->worst_a = next->worst_a;
        sum->worst_b = next->worst_b;
    }
    if (next->max_rel_diff > sum->max_rel_diff)
        sum->max_rel_diff = next->max_rel_diff;
    if (next->differs)
        note_first_diff(sum, next->first_diff);
    sum->identical += next->identical;
    sum->nan_a += next->nan_a;
    sum->nan_b += next->nan_b;
    sum->nan_both += next->nan_both;
    sum->inf_a += next->inf_a;
    sum->inf_b += next->inf_b;
    sum->inf_both += next->inf_both;
    add_worst_rows(&sum->rows, &next->rows);
}

/* ---- Metrics ---- */

static double root(struct tu_scaled square)
{
    int odd = square.exponent & 1;
    return ldexp(sqrt(odd ? 2 * square.value : square.value), (square.exponent - odd) / 2);
}

struct tu_metrics tu_partial_metrics(const struct tu_partial *s)
{
    double n = (double)s->finite;
    struct tu_scaled mean_square = {s->dd.value / n, s->dd.exponent};
    struct tu_metrics m = {.norm_a = root(s->aa),
                           .norm_b = root(s->bb),
                           .cosine_similarity = NAN,
                           .cosine_distance = NAN,
                           .mean_diff =
                               unscale((struct tu_scaled){s->ad.value / n, s->ad.exponent}),
                           .rmse = root(mean_square),
                           .nmse = ratio(s->dd, s->aa),
                           .norm_ratio = NAN,
                           .noise_ratio = NAN};
    m.sqnr_db = 10 * log10(ratio(s->aa, s->dd));
    if (m.norm_a > 0)
        m.norm_ratio = m.norm_b / m.norm_a;
    if (s->steps > 0 && isfinite(s->steps))
        m.noise_ratio = 12 * (unscale(s->dd) / s->steps);
    if (s->aa.value > 0 && s->bb.value > 0) {
        const struct tu_row sums = tu_partial_row(s);
        const struct angle angle = angle_of(&sums);
        m.cosine_similarity = angle.cosine;
        m.cosine_distance = angle.distance;
    }
    return m;
}

double tu_partial_gain(const struct tu_partial *s, uint64_t *row)
{
    const struct tu_gain *least = &s->rows.least, *most = &s->rows.most;
    if (!(most->aa.value > 0 && s->aa.value > 0 && s->bb.value > 0))
        return NAN;
    double whole = ratio(s->bb, s->aa);
    double low = sqrt(ratio(least->bb, least->aa) / whole);
    double high = sqrt(ratio(most->bb, most->aa) / whole);
    bool grew = high * low >= 1;
    *row = grew ? most->row : least->row;
    return grew ? high : low;
}
