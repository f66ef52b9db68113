/* SPDX-License-Identifier: MIT */
/* Measures what is looked at on request alone: columns, units in the last place, the largest pairs.
 */
#include "config.h"

#include "compare/metrics/full.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Plans ---- */

/* A type of floats with so many bits of mantissa and a least exponent of normal numbers. */
static struct tu_ulp_type ulp_type(int mantissa, int least)
{
    enum { BIAS = 127, MANTISSA = 23 };
    return (struct tu_ulp_type){.least = (uint32_t)(BIAS + least) << MANTISSA,
                                .bias = (uint32_t)(BIAS + least - 1) << mantissa,
                                .shift = MANTISSA - mantissa,
                                .magic = ldexpf(1, least - mantissa + MANTISSA)};
}

static bool find_ulp_type(enum tensor_dtype type, struct tu_ulp_type *out)
{
    static const struct {
        enum tensor_dtype type;
        int mantissa, least;
    } types[] = {
        {TENSOR_F16, 10, -14},       {TENSOR_F8_E4M3, 3, -6},      {TENSOR_F8_E5M2, 2, -14},
        {TENSOR_F6_E2M3, 3, 0},      {TENSOR_F6_E3M2, 2, -2},      {TENSOR_F4, 1, 0},
        {TENSOR_F8_E4M3FNUZ, 3, -7}, {TENSOR_F8_E5M2FNUZ, 2, -15},
    };
    /* The exponents of these are those of float32, subnormal numbers included. */
    *out = (struct tu_ulp_type){.shift = type == TENSOR_BF16 ? 16 : 0};
    if (type == TENSOR_F32 || type == TENSOR_BF16)
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].type != type)
            continue;
        *out = ulp_type(types[i].mantissa, types[i].least);
        return true;
    }
    return false;
}

struct tu_full_plan tu_full_plan(const struct tu_dtype *a, const struct tu_dtype *b,
                                 uint64_t elements, uint64_t columns)
{
    bool columned = columns && columns < elements && columns <= TU_FULL_COLUMNS;
    struct tu_full_plan p = {.columns = columned ? columns : 0};
    p.scaled = a->code == TENSOR_F64 || b->code == TENSOR_F64;
    p.ulps = a == b && (find_ulp_type(a->code, &p.type) || a->code == TENSOR_F64);
    return p;
}

/* ---- The largest pairs ---- */

/* Of a run one in 1000 is left out, to nearest: no more than the kernel finds of a lane. */
enum { MOST_LARGEST = 2 };
_Static_assert((TU_COMPARE_BLOCK + 500) / 1000 <= MOST_LARGEST, "runs are short");

static size_t count_largest(size_t count)
{
    return (count + 500) / 1000;
}

static uint32_t key_of(float a, float b)
{
    uint32_t x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    x &= INT32_MAX;
    y &= INT32_MAX;
    return x > y ? x : y;
}

/* The first pair with a key that some lane has, and no lane a larger one. */
static size_t find_largest(const uint32_t *lanes, const float *a, const float *b, size_t count)
{
    uint32_t most = 0;
    size_t found = count;
    for (size_t k = 0; k < TU_STRIDE; k++)
        most = lanes[k] > most ? lanes[k] : most;
    for (size_t k = 0; k < TU_STRIDE; k++)
        for (size_t i = k; lanes[k] == most && i < found; i += TU_STRIDE)
            if (key_of(a[i], b[i]) == most)
                found = i;
    return found;
}

static void add_rest(struct tu_full *d, struct tu_scaled dot, struct tu_scaled aa,
                     struct tu_scaled bb)
{
    tu_add_scaled(&d->dot, &dot);
    tu_add_scaled(&d->aa, &aa);
    tu_add_scaled(&d->bb, &bb);
}

static struct tu_scaled plain(double value)
{
    return (struct tu_scaled){value, 0};
}

/* Where little is left of a sum it is taken anew, so that it is no remainder of rounding. */
static bool is_much(double rest, double all)
{
    return rest >= all / 2;
}

/* A pair that is left out, for a while. */
struct removed {
    size_t i;
    float a, b;
};

static struct removed remove_pair(float *a, float *b, size_t i)
{
    struct removed pair = {i, a[i], b[i]};
    a[i] = b[i] = 0;
    return pair;
}

static void trim(struct tu_full *d, const struct tu_kernels *kernels, const struct tu_full_run *run,
                 float *a, float *b)
{
    double dot = run->dot.value, aa = run->aa.value, bb = run->bb.value;
    size_t most = count_largest(run->count);
    uint32_t lanes[2][TU_STRIDE];
    struct removed pairs[MOST_LARGEST];
    kernels->full.largest(a, b, run->count, lanes);
    for (size_t n = 0; n < most; n++) {
        size_t i = find_largest(lanes[0], a, b, run->count);
        double x = (double)a[i], y = (double)b[i];
        dot -= x * y;
        aa -= x * x;
        bb -= y * y;
        pairs[n] = remove_pair(a, b, i);
        lanes[0][i % TU_STRIDE] = lanes[1][i % TU_STRIDE];
    }
    if (is_much(aa, run->aa.value) && is_much(bb, run->bb.value)) {
        add_rest(d, plain(dot), plain(aa), plain(bb));
    } else {
        struct tu_sums sums;
        kernels->reduce(a, b, run->count, 2, &(const struct tu_run_steps){0}, &sums);
        add_rest(d, plain(sums.dot), plain(sums.aa), plain(sums.bb));
    }
    for (size_t n = most; n--;) { /* backwards: of zeros, the first pair is found again */
        a[pairs[n].i] = pairs[n].a;
        b[pairs[n].i] = pairs[n].b;
    }
}

static double larger(double a, double b)
{
    double x = fabs(a), y = fabs(b);
    return x > y ? x : y;
}

/* The same steps as above, so that float64 that are float32 have the same bits; where they have to
 * be scaled what is left is always taken anew. */
static void trim_wide(struct tu_full *d, const struct tu_full_run *run, double *a, double *b)
{
    double dot = run->dot.value, aa = run->aa.value, bb = run->bb.value;
    int x = tu_scale_of(a, run->count), y = tu_scale_of(b, run->count);
    for (size_t n = count_largest(run->count); n; n--) {
        size_t most = 0;
        for (size_t i = 1; i < run->count; i++)
            most = larger(a[i], b[i]) > larger(a[most], b[most]) ? i : most;
        dot -= a[most] * b[most];
        aa -= a[most] * a[most];
        bb -= b[most] * b[most];
        a[most] = b[most] = 0;
    }
    if (x == 0 && y == 0 && is_much(aa, run->aa.value) && is_much(bb, run->bb.value)) {
        add_rest(d, plain(dot), plain(aa), plain(bb));
        return;
    }
    x = tu_scale_of(a, run->count), y = tu_scale_of(b, run->count);
    add_rest(d, tu_sum_products(a, x, b, y, run->count), tu_sum_products(a, x, a, x, run->count),
             tu_sum_products(b, y, b, y, run->count));
}

/* ---- Columns ---- */

/* Of a column. */
enum { SUMS = 4 };

static size_t sums_of(uint64_t width)
{
    return (size_t)((width + TU_COLUMNS - 1) / TU_COLUMNS * TU_COLUMNS * SUMS);
}

/* Where the first of the sums of a column is; the others follow at distances of TU_COLUMNS. */
static size_t place_of(uint64_t column)
{
    return (size_t)(column / TU_COLUMNS * TU_COLUMNS * SUMS + column % TU_COLUMNS);
}

/* Where rows are long, their sums are not in the nearest cache: few rows wait for more, until they
 * fill it themselves.  Their distance is an odd number of its lines, so that they do not get in
 * each other's way there. */
static int begin_waiting(struct tu_full_rows *w, uint64_t width, struct tu_error *error)
{
    enum { LINE = 16, MOST_ROWS = 8, MOST_VALUES = 6 << 14 };
    w->stride = ((size_t)(width + LINE - 1) / LINE | 1) * LINE;
    w->most = MOST_VALUES / w->stride;
    w->most = w->most < MOST_ROWS ? w->most : MOST_ROWS;
    w->rows = 0;
    size_t count = 2 * w->most * w->stride;
    if (count <= w->room)
        return 0;
    tu_full_rows_free(w);
    if (!(w->values = malloc(count * sizeof *w->values)))
        return tu_fail_memory(error);
    w->room = count;
    return 0;
}

void tu_full_rows_free(struct tu_full_rows *w)
{
    free(w->values);
    w->values = NULL;
    w->room = 0;
}

static void add_waiting(struct tu_full *d, const struct tu_kernels *kernels)
{
    struct tu_full_rows *w = d->waiting;
    const float *a = w->values, *b = a + w->most * w->stride;
    kernels->full.columns(a, b, w->rows, (size_t)d->width, w->stride, d->columns);
    w->rows = 0;
}

static void have_wait(struct tu_full *d, const struct tu_kernels *kernels,
                      const struct tu_full_run *run, const float *a, const float *b)
{
    struct tu_full_rows *w = d->waiting;
    size_t width = (size_t)d->width, side = w->most * w->stride;
    for (size_t done = 0, n; done < run->count; done += n) {
        size_t column = (size_t)((run->first + done) % width);
        float *to = w->values + w->rows * w->stride + column;
        n = width - column < run->count - done ? width - column : run->count - done;
        if (to != a) {
            memcpy(to, a + done, n * sizeof *to);
            memcpy(to + side, b + done, n * sizeof *to);
        }
        w->rows += column + n == width;
        if (w->rows == w->most)
            add_waiting(d, kernels);
    }
}

/* Whole rows, or a piece of one. */
static void add_at_once(struct tu_full *d, const struct tu_kernels *kernels,
                        const struct tu_full_run *run, const float *a, const float *b)
{
    size_t width = (size_t)d->width, rows = run->count / width;
    double *sums = d->columns + place_of(run->first % width);
    kernels->full.columns(a, b, rows ? rows : 1, rows ? width : run->count, width, sums);
}

static void add_columns(struct tu_full *d, const struct tu_kernels *kernels,
                        const struct tu_full_run *run, const float *a, const float *b)
{
    enum { ENOUGH = 4 };
    const struct tu_full_rows *w = d->waiting;
    bool enough = run->count / d->width >= ENOUGH && !(w && w->rows);
    if (!w || w->most <= 1 || enough)
        add_at_once(d, kernels, run, a, b);
    else
        have_wait(d, kernels, run, a, b);
}

bool tu_full_place(struct tu_full *d, uint64_t first, size_t count, float **a, float **b)
{
    const struct tu_full_rows *w = d->plan->columns ? d->waiting : NULL;
    size_t column = w ? (size_t)(first % d->width) : 0;
    if (!w || w->most <= 1 || column + count > d->width)
        return false;
    *a = w->values + w->rows * w->stride + column;
    *b = *a + w->most * w->stride;
    return true;
}

void tu_full_end(struct tu_full *d, const struct tu_kernels *kernels)
{
    if (d->plan->columns && d->waiting && d->waiting->rows)
        add_waiting(d, kernels);
    d->waiting = NULL;
}

/* Whether squares of numbers, and many of them together, are in the range of a double. */
static bool is_moderate(double x)
{
    double size = fabs(x);
    return size == 0 || (size < 0x1p400 && size > 0x1p-400);
}

static struct tu_scaled sum_at(const struct tu_full *d, size_t i)
{
    return (struct tu_scaled){d->columns[i], d->exponents ? d->exponents[i] : 0};
}

static void add_at(struct tu_full *d, size_t i, struct tu_scaled next)
{
    struct tu_scaled sum = sum_at(d, i);
    tu_add_scaled(&sum, &next);
    d->columns[i] = sum.value;
    if (d->exponents)
        d->exponents[i] = sum.exponent;
}

static void add_column_wide(struct tu_full *d, uint64_t element, double a, double b)
{
    size_t at = place_of(element % d->width);
    struct tu_scaled x = {a, 0}, y = {b, 0}, apart = {a - b, 0};
    if (is_moderate(a) && is_moderate(b) && is_moderate(a - b)) {
        add_at(d, at, plain(a * b));
        add_at(d, at + TU_COLUMNS, plain(a * a));
        add_at(d, at + 2 * TU_COLUMNS, plain(b * b));
        add_at(d, at + 3 * TU_COLUMNS, plain((a - b) * (a - b)));
        return;
    }
    if (!isfinite(apart.value))
        apart = (struct tu_scaled){a / 2 - b / 2, 1};
    add_at(d, at, tu_product(x, y));
    add_at(d, at + TU_COLUMNS, tu_product(x, x));
    add_at(d, at + 2 * TU_COLUMNS, tu_product(y, y));
    add_at(d, at + 3 * TU_COLUMNS, tu_product(apart, apart));
}

static int begin_columns(struct tu_full *d, struct tu_error *error)
{
    size_t sums = sums_of(d->width);
    if (d->waiting && begin_waiting(d->waiting, d->width, error) < 0)
        return -1;
    if (sums > d->column_room || (d->plan->scaled && !d->exponents)) {
        tu_full_free(d);
        d->columns = malloc(sums * sizeof *d->columns);
        d->exponents = d->plan->scaled ? malloc(sums * sizeof *d->exponents) : NULL;
        if (!d->columns || (d->plan->scaled && !d->exponents))
            return tu_fail_memory(error);
        d->column_room = sums;
    }
    for (size_t i = 0; i < sums; i++)
        d->columns[i] = 0;
    for (size_t i = 0; d->exponents && i < sums; i++)
        d->exponents[i] = 0;
    return 0;
}

/* ---- Tiles ---- */

int tu_full_begin(struct tu_full *d, const struct tu_full_plan *plan, uint64_t column,
                  uint64_t width, struct tu_full_rows *waiting, struct tu_error *error)
{
    memset(d->beyond, 0, sizeof d->beyond);
    memset(d->ulps, 0, sizeof d->ulps);
    d->dot = d->aa = d->bb = plain(0);
    d->plan = plan;
    d->column = column;
    d->width = width;
    d->waiting = waiting;
    return plan->columns ? begin_columns(d, error) : 0;
}

void tu_full_free(struct tu_full *d)
{
    free(d->columns);
    free(d->exponents);
    d->columns = NULL;
    d->exponents = NULL;
    d->column_room = 0;
}

void tu_full_add_run(struct tu_full *d, const struct tu_kernels *kernels,
                     const struct tu_full_run *run, float *a, float *b)
{
    kernels->full.beyond(a, b, run->count, d->beyond);
    if (d->plan->ulps) {
        kernels->full.ulps(a, b, run->count, &d->plan->type, d->ulps);
        d->ulps[0] -= run->left_out;
    }
    trim(d, kernels, run, a, b);
    if (d->plan->columns)
        add_columns(d, kernels, run, a, b);
}

/* How many float64 are below a magnitude: its bits. */
static uint64_t rank_wide(double x)
{
    uint64_t bits;
    x = fabs(x);
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* 0, 1, 2, 3 to 4, 5 to 8, ... */
static size_t bucket_wide(double a, double b)
{
    uint64_t p = rank_wide(a), q = rank_wide(b), apart = p > q ? p - q : q - p;
    if (signbit(a) != signbit(b))
        apart = p + q;
    return apart < 2 ? (size_t)apart : (size_t)(65 - __builtin_clzll(apart - 1));
}

static void count_beyond_wide(double a, double b, uint64_t counts[3])
{
    /* Halves, so that their difference does not overflow. */
    double apart = fabs(a / 2 - b / 2), most = larger(a, b) / 2;
    counts[0] += apart > 0.001 * most;
    counts[1] += apart > 0.01 * most;
    counts[2] += apart > 0.1 * most;
}

void tu_full_add_wide_run(struct tu_full *d, const struct tu_full_run *run, double *a, double *b)
{
    for (size_t i = 0; i < run->count; i++) {
        count_beyond_wide(a[i], b[i], d->beyond);
        if (d->plan->ulps)
            d->ulps[bucket_wide(a[i], b[i])]++;
        if (d->plan->columns)
            add_column_wide(d, run->first + i, a[i], b[i]);
    }
    if (d->plan->ulps)
        d->ulps[0] -= run->left_out;
    trim_wide(d, run, a, b);
}

void tu_full_add(struct tu_full *sum, const struct tu_full *next)
{
    for (size_t i = 0; i < 3; i++)
        sum->beyond[i] += next->beyond[i];
    for (size_t i = 0; i < TU_ULP_BUCKETS; i++)
        sum->ulps[i] += next->ulps[i];
    add_rest(sum, next->dot, next->aa, next->bb);
    if (!sum->plan->columns)
        return;
    /* Tiles begin at a group. */
    size_t to = place_of(next->column);
    for (size_t i = 0, n = sums_of(next->width); i < n; i++)
        if (sum->exponents)
            add_at(sum, to + i, sum_at(next, i));
        else
            sum->columns[to + i] += next->columns[i];
}

/* ---- Metrics ---- */

/* Equal tensors have exactly 1: products of the usual size are taken as they are. */
static double cosine_of(struct tu_scaled dot, struct tu_scaled aa, struct tu_scaled bb)
{
    double product = aa.value * bb.value;
    bool usual = !(dot.exponent | aa.exponent | bb.exponent) && isnormal(product);
    double cosine = usual ? dot.value / sqrt(product) : tu_ratio(dot, tu_product_root(aa, bb));
    return fmax(-1, fmin(1, cosine)); /* beyond is rounding */
}

static void note_column(struct tu_full_metrics *out, uint64_t i, const struct tu_full *d)
{
    size_t at = place_of(i);
    const struct tu_scaled dot = sum_at(d, at), aa = sum_at(d, at + TU_COLUMNS),
                           bb = sum_at(d, at + 2 * TU_COLUMNS), dd = sum_at(d, at + 3 * TU_COLUMNS);
    if (!(aa.value > 0 || bb.value > 0))
        return;
    double error =
        sqrt(bb.value > 0 && tu_ratio(aa, bb) <= 1 ? tu_ratio(dd, bb) : tu_ratio(dd, aa));
    double cosine = dd.value == 0 ? 1 : aa.value > 0 && bb.value > 0 ? cosine_of(dot, aa, bb) : 0;
    if (!out->columns || error > out->error) {
        out->error = error;
        out->error_column = i;
    }
    if (!out->columns || cosine < out->cosine) {
        out->cosine = cosine;
        out->cosine_column = i;
    }
    out->columns = true;
}

struct tu_full_metrics tu_full_metrics(const struct tu_full *d)
{
    struct tu_full_metrics m = {.trimmed_cosine = NAN};
    if (d->aa.value > 0 && d->bb.value > 0)
        m.trimmed_cosine = cosine_of(d->dot, d->aa, d->bb);
    for (uint64_t i = 0; i < d->plan->columns; i++)
        note_column(&m, i, d);
    return m;
}
