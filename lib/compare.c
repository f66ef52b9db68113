/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "compare.h"

#include <math.h>
#include <string.h>

/* Beyond these magnitudes squares and their sums are scaled; within them nothing is. */
#define LARGE 0x1p400
#define SMALL 0x1p-400

static double sum_lanes(const double *lane)
{
    double sum[TU_LANES];
    memcpy(sum, lane, sizeof sum);
    for (size_t width = TU_LANES / 2; width; width /= 2)
        for (size_t i = 0; i < width; i++)
            sum[i] += sum[i + width];
    return sum[0];
}

static uint64_t count_lanes(const uint64_t *lane)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < TU_LANES; i++)
        sum += lane[i];
    return sum;
}

static struct tu_scaled add_scaled(struct tu_scaled a, struct tu_scaled b)
{
    if (a.value == 0)
        return b;
    if (b.value == 0)
        return a;
    int exponent = a.exponent > b.exponent ? a.exponent : b.exponent;
    return (struct tu_scaled){
        ldexp(a.value, a.exponent - exponent) + ldexp(b.value, b.exponent - exponent), exponent};
}

static double unscale(struct tu_scaled s)
{
    return ldexp(s.value, s.exponent);
}

/* ---- Pairs that float32 holds ---- */

struct block {
    float a[TU_COMPARE_BLOCK], b[TU_COMPARE_BLOCK];
    size_t count;   /* of pairs */
    uint64_t first; /* index of the first */
    size_t removed, removed_equal;
};

/* Counts pairs that are not finite and replaces them by (0, 0), which adds nothing. */
static void remove_non_finite(struct block *block, struct tu_partial *out)
{
    for (size_t i = 0; i < block->count; i++) {
        float a = block->a[i], b = block->b[i];
        if (isfinite(a) && isfinite(b))
            continue;
        out->nan_a += isnan(a) != 0;
        out->nan_b += isnan(b) != 0;
        out->nan_both += isnan(a) && isnan(b);
        out->inf_a += isinf(a) != 0;
        out->inf_b += isinf(b) != 0;
        block->removed++;
        block->removed_equal += a == b;
        block->a[i] = block->b[i] = 0;
    }
}

static void find_worst(const struct block *block, double max, struct tu_partial *out)
{
    out->max_diff = max;
    for (size_t i = 0; i < block->count; i++) {
        if (fabs((double)block->a[i] - (double)block->b[i]) == max) {
            out->worst_index = block->first + i;
            out->worst_a = (double)block->a[i];
            out->worst_b = (double)block->b[i];
            return;
        }
    }
}

static double relative(double a, double b, double difference)
{
    double x = fabs(a), y = fabs(b), larger = x > y ? x : y;
    return larger > 0 ? difference / larger : 0;
}

static void find_relative(const struct block *block, struct tu_partial *out)
{
    for (size_t i = 0; i < block->count; i++) {
        double a = (double)block->a[i], b = (double)block->b[i];
        double r = relative(a, b, fabs(a - b));
        out->max_rel_diff = r > out->max_rel_diff ? r : out->max_rel_diff;
    }
}

static void reduce_block(const struct tu_kernels *kernels, struct block *block,
                         struct tu_partial *out)
{
    /* The kernel tests in float32 whether a relative difference is beyond the largest so far; the
     * margin covers its rounding, and what passes is looked at exactly. */
    float bound = (float)(out->max_rel_diff * (1 - 0x1p-20));
    size_t padded = (block->count + TU_LANES - 1) / TU_LANES * TU_LANES;
    for (size_t i = block->count; i < padded; i++)
        block->a[i] = block->b[i] = 0;
    struct tu_lanes lanes = {0};
    kernels->reduce(block->a, block->b, padded, bound, &lanes);
    if (!isfinite(sum_lanes(lanes.aa) + sum_lanes(lanes.bb))) {
        remove_non_finite(block, out);
        lanes = (struct tu_lanes){0};
        kernels->reduce(block->a, block->b, padded, bound, &lanes);
    }
    out->dot = add_scaled(out->dot, (struct tu_scaled){sum_lanes(lanes.dot), 0});
    out->aa = add_scaled(out->aa, (struct tu_scaled){sum_lanes(lanes.aa), 0});
    out->bb = add_scaled(out->bb, (struct tu_scaled){sum_lanes(lanes.bb), 0});
    out->dd = add_scaled(out->dd, (struct tu_scaled){sum_lanes(lanes.dd), 0});
    out->ad = add_scaled(out->ad, (struct tu_scaled){sum_lanes(lanes.ad), 0});
    double max = 0;
    for (size_t i = 0; i < TU_LANES; i++)
        max = lanes.max[i] > max ? lanes.max[i] : max;
    if (max > out->max_diff)
        find_worst(block, max, out);
    if (count_lanes(lanes.beyond))
        find_relative(block, out);
    uint64_t equal = count_lanes(lanes.equal) - (padded - block->count);
    out->identical += equal - block->removed + block->removed_equal;
    out->elements += block->count;
    out->finite += block->count - block->removed;
}

/* ---- Pairs that need float64 or whole 64-bit integers ---- */

struct wide_block {
    double a[TU_COMPARE_BLOCK], a_low[TU_COMPARE_BLOCK];
    double b[TU_COMPARE_BLOCK], b_low[TU_COMPARE_BLOCK];
    double difference[TU_COMPARE_BLOCK];
    size_t count;
    uint64_t first;
};

static void count_non_finite(double a, double b, struct tu_partial *out)
{
    out->nan_a += isnan(a) != 0;
    out->nan_b += isnan(b) != 0;
    out->nan_both += isnan(a) && isnan(b);
    out->inf_a += isinf(a) != 0;
    out->inf_b += isinf(b) != 0;
    out->identical += a == b;
}

/* Takes differences and maxima, and leaves the pairs that are not finite out as (0, 0). */
static void inspect_wide(struct wide_block *w, struct tu_partial *out)
{
    for (size_t i = 0; i < w->count; i++) {
        double a = w->a[i], b = w->b[i];
        w->difference[i] = 0;
        if (!isfinite(a) || !isfinite(b)) {
            count_non_finite(a, b, out);
            w->a[i] = w->b[i] = 0;
            continue;
        }
        out->finite++;
        out->identical += a == b && w->a_low[i] == w->b_low[i];
        double d = fabs((a - b) + (w->a_low[i] - w->b_low[i]));
        /* The difference of two finite doubles may overflow; no larger number can be told. */
        w->difference[i] = d = isfinite(d) ? d : __DBL_MAX__;
        double r = relative(a, b, d);
        out->max_rel_diff = r > out->max_rel_diff ? r : out->max_rel_diff;
        if (d > out->max_diff) {
            out->max_diff = d;
            out->worst_index = w->first + i;
            out->worst_a = a;
            out->worst_b = b;
        }
    }
    out->elements += w->count;
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

static void reduce_wide(struct wide_block *w, struct tu_partial *out)
{
    inspect_wide(w, out);
    int a = scale_of(w->a, w->count), b = scale_of(w->b, w->count);
    int d = scale_of(w->difference, w->count);
    out->dot = add_scaled(out->dot, sum_products(w->a, a, w->b, b, w->count));
    out->aa = add_scaled(out->aa, sum_products(w->a, a, w->a, a, w->count));
    out->bb = add_scaled(out->bb, sum_products(w->b, b, w->b, b, w->count));
    out->dd = add_scaled(out->dd, sum_products(w->difference, d, w->difference, d, w->count));
    out->ad = add_scaled(out->ad, sum_values(w->difference, d, w->count));
}

/* ---- Ranges ---- */

static const uint8_t *part(const struct tu_decoder *d, const uint8_t *span, uint64_t range_first,
                           uint64_t first, size_t count)
{
    uint64_t origin, offset, length;
    tu_geometry_span(&d->geometry, range_first, 1, &origin, &length);
    tu_geometry_span(&d->geometry, first, count, &offset, &length);
    return span + (offset - origin);
}

void tu_compare_range(const struct tu_kernels *kernels, const struct tu_decoder *a,
                      const uint8_t *span_a, const struct tu_decoder *b, const uint8_t *span_b,
                      uint64_t first, size_t count, struct tu_partial *out)
{
    bool wide = a->decode_wide || b->decode_wide;
    for (size_t done = 0, n; done < count; done += n) {
        uint64_t at = first + done;
        n = count - done < TU_COMPARE_BLOCK ? count - done : TU_COMPARE_BLOCK;
        const uint8_t *pa = part(a, span_a, first, at, n), *pb = part(b, span_b, first, at, n);
        struct tu_partial sums = {.max_diff = out->max_diff, .max_rel_diff = out->max_rel_diff};
        if (wide) {
            struct wide_block block;
            block.count = n;
            block.first = at;
            tu_decode_wide(a, pa, at, n, block.a, block.a_low);
            tu_decode_wide(b, pb, at, n, block.b, block.b_low);
            reduce_wide(&block, &sums);
        } else {
            struct block block;
            block.count = n;
            block.first = at;
            block.removed = block.removed_equal = 0;
            tu_decode(a, pa, at, n, block.a);
            tu_decode(b, pb, at, n, block.b);
            reduce_block(kernels, &block, &sums);
        }
        tu_partial_add(out, &sums);
    }
}

void tu_partial_add(struct tu_partial *sum, const struct tu_partial *next)
{
    sum->elements += next->elements;
    sum->finite += next->finite;
    sum->dot = add_scaled(sum->dot, next->dot);
    sum->aa = add_scaled(sum->aa, next->aa);
    sum->bb = add_scaled(sum->bb, next->bb);
    sum->dd = add_scaled(sum->dd, next->dd);
    sum->ad = add_scaled(sum->ad, next->ad);
    if (next->max_diff > sum->max_diff) {
        sum->max_diff = next->max_diff;
        sum->worst_index = next->worst_index;
        sum->worst_a = next->worst_a;
        sum->worst_b = next->worst_b;
    }
    if (next->max_rel_diff > sum->max_rel_diff)
        sum->max_rel_diff = next->max_rel_diff;
    sum->identical += next->identical;
    sum->nan_a += next->nan_a;
    sum->nan_b += next->nan_b;
    sum->nan_both += next->nan_both;
    sum->inf_a += next->inf_a;
    sum->inf_b += next->inf_b;
}

/* ---- Metrics ---- */

static double root(struct tu_scaled square)
{
    int odd = square.exponent & 1;
    return ldexp(sqrt(odd ? 2 * square.value : square.value), (square.exponent - odd) / 2);
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

/* 1 - cos = (|a - b|^2 - (|a| - |b|)^2) / (2 |a| |b|), which keeps its digits where the vectors are
 * close; far apart the plain form does. */
static double distance(const struct tu_partial *s, struct tu_scaled norms, double cosine)
{
    double apart = ratio(s->dd, norms); /* |a - b|^2 / (|a| |b|) */
    if (!(apart < 0.5))
        return 1 - cosine;
    double stretch = sqrt(ratio(s->aa, norms)) - sqrt(ratio(s->bb, norms));
    double result = (apart - stretch * stretch) / 2;
    return result > 0 ? result : 0;
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
                           .nmse = ratio(s->dd, s->aa)};
    m.sqnr_db = 10 * log10(ratio(s->aa, s->dd));
    if (s->aa.value > 0 && s->bb.value > 0) {
        struct tu_scaled norms = product_root(s->aa, s->bb);
        m.cosine_similarity = ratio(s->dot, norms);
        m.cosine_distance = distance(s, norms, m.cosine_similarity);
    }
    return m;
}
