/* SPDX-License-Identifier: MIT */
/* Reduces ranges of two tensors to sums, counts and maxima, in an order that is fixed. */
#include "config.h"

#include "compare/metrics/sums.h"

#include "compare/metrics/full.h"
#include "compare/metrics/rows.h"

#include <math.h>
#include <string.h>

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
    struct tu_run_steps steps;
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
    kernels->reduce(s->a, s->b, s->count, bound, &s->steps, sums);
    if (!out->differs && sums->equal < s->count)
        find_first_diff(s, out);
    if (!isfinite(sums->aa + sums->bb)) {
        removed = remove_non_finite(s, out);
        kernels->reduce(s->a, s->b, s->count, bound, &s->steps, sums);
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

/* The difference of a pair of finite numbers, which is infinite where it leaves the range. */
static double wide_difference(const struct wide_segment *w, size_t i)
{
    return fabs((w->a[i] - w->b[i]) + (w->a_low[i] - w->b_low[i]));
}

/* Differences that are too large are only of float64, which have no lower part. */
static double half_difference(double a, double b)
{
    return fabs(a / 2 - b / 2);
}

static void inspect_wide_pair(const struct wide_segment *w, size_t i, struct tu_partial *out)
{
    double a = w->a[i], b = w->b[i], d = w->difference[i] = wide_difference(w, i);
    double r = isfinite(d) ? relative(a, b, d) : relative(a / 2, b / 2, half_difference(a, b));
    bool identical = a == b && w->a_low[i] == w->b_low[i];
    out->finite++;
    out->identical += identical;
    if (!identical)
        note_first_diff(out, w->first + i);
    out->max_rel_diff = r > out->max_rel_diff ? r : out->max_rel_diff;
    d = isfinite(d) ? d : __DBL_MAX__; /* no larger number can be told */
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

/* Where a difference is too large all are halved; by which power of two that is. */
static int halve_differences(const struct wide_segment *w)
{
    bool large = false;
    for (size_t i = 0; i < w->count; i++)
        large |= !isfinite(w->difference[i]);
    for (size_t i = 0; large && i < w->count; i++)
        w->difference[i] = half_difference(w->a[i], w->b[i]);
    return large;
}

static void reduce_wide(const struct wide_segment *w, struct tu_partial *out, struct tu_row *sums,
                        struct tu_scaled *ad)
{
    inspect_wide(w, out);
    int halved = halve_differences(w);
    int a = tu_scale_of(w->a, w->count), b = tu_scale_of(w->b, w->count);
    int d = tu_scale_of(w->difference, w->count);
    sums->dot = tu_sum_products(w->a, a, w->b, b, w->count);
    sums->aa = tu_sum_products(w->a, a, w->a, a, w->count);
    sums->bb = tu_sum_products(w->b, b, w->b, b, w->count);
    sums->dd = tu_sum_products(w->difference, d, w->difference, d, w->count);
    *ad = tu_sum_values(w->difference, d, w->count);
    sums->dd.exponent += 2 * halved;
    ad->exponent += halved;
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
    struct tu_columns *columns;
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
    if (row <= TU_COMPARE_BLOCK && r->column == 0 && !r->c->pieces)
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
        tu_rows_note(&r->out->rows, r->faint, r->index, sums);
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

/* How many steps lie between the pairs of a run. */
struct steps {
    size_t grain; /* how many pairs have one; 0: none are known */
    float inverse[TU_COMPARE_BLOCK];
};

static void find_steps(const struct range *r, const float *a, const float *b, size_t count,
                       struct steps *out)
{
    const struct tu_comparison *c = r->c;
    const struct tu_resolved_run run = {.parts = {r->parts[0], r->parts[1]},
                                        .whole = {r->block[0] > 0, r->block[1] > 0},
                                        .values = {a, b},
                                        .first = r->at,
                                        .count = count};
    out->grain = 0;
    if (c->resolution.known)
        out->grain = tu_resolve_run(&c->resolution, c->kernels, c->decoders, &run, out->inverse);
}

static struct tu_run_steps steps_behind(const struct steps *steps, size_t done)
{
    return (struct tu_run_steps){steps->inverse + done / (steps->grain ? steps->grain : 1),
                                 steps->grain};
}

/* Those that are equal are not apart. */
static void note_apart(struct range *r, const struct segment *s, const struct tu_sums *sums,
                       struct tu_row *row)
{
    if (!s->steps.grain || row->dd.value == 0)
        return;
    row->apart.squares = sums->apart;
    if (sums->farthest > 1) {
        struct tu_distances d;
        r->c->kernels->distances(s->a, s->b, &s->steps, s->count, &d);
        row->apart = (struct tu_apart){d.squares, d.beyond, d.far};
    }
    float most = sqrtf(sums->farthest);
    if (most > r->out->most_apart)
        r->out->most_apart = most;
}

static void look_at_groups(const struct range *r, const struct segment *s)
{
    if (r->c->resolution.alike && s->steps.grain)
        tu_groups_add_run(&r->out->groups, s->a, s->b, s->count);
}

static void look_at_columns(const struct range *r, const struct steps *steps, const float *a,
                            const float *b, size_t done, size_t n)
{
    const float *const values[2] = {a, b};
    if (steps->grain && r->columns)
        tu_columns_add_run(r->columns, r->c->kernels, r->index, r->column, values,
                           steps->inverse + done / steps->grain, steps->grain, n);
}

/* Adds the sums of the next segment, which begins at an element, to all that it belongs to. */
static void add_segment(struct range *r, uint64_t first, size_t count, struct tu_row *sums,
                        const struct tu_scaled *ad)
{
    struct tu_partial *out = r->out;
    sums->steps = r->predicts ? steps_of(r, first, count) : 0;
    out->steps += sums->steps;
    tu_apart_add(&out->apart, &sums->apart);
    out->elements += count;
    tu_add_scaled(&out->dot, &sums->dot);
    tu_add_scaled(&out->aa, &sums->aa);
    tu_add_scaled(&out->bb, &sums->bb);
    tu_add_scaled(&out->dd, &sums->dd);
    tu_add_scaled(&out->ad, ad);
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

static void add_run_sums(struct tu_full_run *run, const struct tu_row *segment)
{
    tu_add_scaled(&run->dot, &segment->dot);
    tu_add_scaled(&run->aa, &segment->aa);
    tu_add_scaled(&run->bb, &segment->bb);
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
    struct steps steps;
    find_steps(r, a, b, count, &steps);
    uint64_t finite = r->out->finite;
    for (size_t done = 0, n; done < count; done += n) {
        n = in_row(r, count - done);
        const struct segment s = {a + done, b + done, n, at + done, steps_behind(&steps, done)};
        struct tu_sums sums;
        reduce_segment(c->kernels, &s, r->out, &sums);
        struct tu_row row = {
            .dot = {sums.dot, 0}, .aa = {sums.aa, 0}, .bb = {sums.bb, 0}, .dd = {sums.dd, 0}};
        note_apart(r, &s, &sums, &row);
        look_at_groups(r, &s);
        look_at_columns(r, &steps, s.a, s.b, done, n);
        add_segment(r, at + done, n, &row, &(const struct tu_scaled){sums.ad, 0});
        add_run_sums(&run, &row);
    }
    run.left_out = count - (size_t)(r->out->finite - finite);
    if (r->full)
        tu_full_add_run(r->full, c->kernels, &run, a, b);
}

/* What is looked at in float32 though it is compared in float64. */
struct narrowed {
    float a[TU_COMPARE_BLOCK], b[TU_COMPARE_BLOCK], difference[TU_COMPARE_BLOCK];
    struct steps steps;
};

static void narrow(const double *from, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = isfinite(from[i]) ? (float)from[i] : 0;
}

static void measure_wide(struct range *r, const struct steps *steps, float *difference, size_t done,
                         size_t n, struct tu_row *row)
{
    static float zeros[TU_COMPARE_BLOCK];
    const struct segment s = {difference, zeros, n, 0, steps_behind(steps, done)};
    struct tu_sums sums;
    if (!steps->grain)
        return;
    r->c->kernels->reduce(s.a, s.b, n, 2, &s.steps, &sums);
    note_apart(r, &s, &sums, row);
}

static void compare_wide_run(struct range *r, uint64_t at, size_t count)
{
    const struct tu_comparison *c = r->c;
    double values[5][TU_COMPARE_BLOCK];
    find_parts(r, at, count);
    tu_decode_wide(&c->decoders[0], r->parts[0], at, count, values[0], values[1]);
    tu_decode_wide(&c->decoders[1], r->parts[1], at, count, values[2], values[3]);
    struct tu_full_run run = {.first = at - r->first, .count = count};
    struct narrowed f;
    narrow(values[0], f.a, count);
    narrow(values[2], f.b, count);
    find_steps(r, f.a, f.b, count, &f.steps);
    uint64_t finite = r->out->finite;
    for (size_t done = 0, n; done < count; done += n) {
        n = in_row(r, count - done);
        const struct wide_segment w = {values[0] + done, values[1] + done, values[2] + done,
                                       values[3] + done, values[4] + done, n,
                                       at + done};
        struct tu_row row = {0};
        struct tu_scaled ad;
        reduce_wide(&w, r->out, &row, &ad);
        narrow(w.difference, f.difference, n);
        measure_wide(r, &f.steps, f.difference, done, n, &row);
        look_at_columns(r, &f.steps, f.a + done, f.b + done, done, n);
        add_segment(r, at + done, n, &row, &ad);
        add_run_sums(&run, &row);
    }
    run.left_out = count - (size_t)(r->out->finite - finite);
    if (r->full)
        tu_full_add_wide_run(r->full, &run, values[0], values[2]);
}

void tu_compare_range(const struct tu_comparison *c, const uint8_t *const spans[2], uint64_t first,
                      size_t count, struct tu_partial *out, struct tu_row *rows,
                      struct tu_columns *columns, struct tu_full *full)
{
    bool wide = c->decoders[0].decode_wide || c->decoders[1].decode_wide;
    struct range r = {.c = c,
                      .spans = spans,
                      .index = first / c->row,
                      .column = first % c->row,
                      .out = out,
                      .rows = rows,
                      .predicts = c->decoders[0].steps || c->decoders[1].steps,
                      .faint = tu_faint_row(c),
                      .block = {uncut_block(c, 0), uncut_block(c, 1)},
                      .columns = columns,
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
    tu_add_scaled(&sum->dot, &next->dot);
    tu_add_scaled(&sum->aa, &next->aa);
    tu_add_scaled(&sum->bb, &next->bb);
    tu_add_scaled(&sum->dd, &next->dd);
    tu_add_scaled(&sum->ad, &next->ad);
    sum->steps += next->steps;
    tu_apart_add(&sum->apart, &next->apart);
    sum->groups.all += next->groups.all;
    sum->groups.same += next->groups.same;
    sum->most_apart = next->most_apart > sum->most_apart ? next->most_apart : sum->most_apart;
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
    tu_worst_rows_add(&sum->rows, &next->rows);
}

/* ---- Metrics ---- */

/* No larger number can be told. */
static double told(double size)
{
    return size > __DBL_MAX__ ? __DBL_MAX__ : size;
}

struct tu_metrics tu_partial_metrics(const struct tu_partial *s)
{
    double n = (double)s->finite;
    const struct tu_scaled mean = {s->ad.value / n, s->ad.exponent};
    const struct tu_scaled mean_square = {s->dd.value / n, s->dd.exponent};
    bool large = tu_root(s->aa) > __DBL_MAX__ || tu_root(s->bb) > __DBL_MAX__;
    struct tu_metrics m = {.norm_a = told(tu_root(s->aa)),
                           .norm_b = told(tu_root(s->bb)),
                           .cosine_similarity = NAN,
                           .cosine_distance = NAN,
                           .mean_diff = told(tu_unscale(mean)),
                           .rmse = told(tu_root(mean_square)),
                           .nmse = tu_ratio(s->dd, s->aa),
                           .norm_ratio = NAN,
                           .noise_ratio = NAN};
    m.sqnr_db = 10 * log10(tu_ratio(s->aa, s->dd));
    if (m.norm_a > 0)
        m.norm_ratio = large ? sqrt(tu_ratio(s->bb, s->aa)) : m.norm_b / m.norm_a;
    if (s->steps > 0 && isfinite(s->steps))
        m.noise_ratio = 12 * (tu_unscale(s->dd) / s->steps);
    if (s->aa.value > 0 && s->bb.value > 0) {
        const struct tu_row sums = tu_partial_row(s);
        const struct tu_angle angle = tu_angle_of(&sums);
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
    double whole = tu_ratio(s->bb, s->aa);
    double low = sqrt(tu_ratio(least->bb, least->aa) / whole);
    double high = sqrt(tu_ratio(most->bb, most->aa) / whole);
    bool grew = high * low >= 1;
    *row = grew ? most->row : least->row;
    return grew ? high : low;
}
