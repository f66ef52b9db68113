/* SPDX-License-Identifier: MIT */
/* Comparing: the same bits however the work is cut, and whichever processor does it. */
#include "config.h"

#include "compare/metrics/sums.h"

#include "../tap.h"

enum { ELEMENTS = 5 * TU_COMPARE_BLOCK + 123 };

struct operand {
    struct tu_decoder decoder;
    uint8_t *bytes;
};

static const struct tu_kernels *baseline(void)
{
    return tu_kernels_choose("baseline");
}

/* A tensor of random numbers, some of them special. */
static struct operand make(uint32_t dtype, uint64_t seed, bool special, const struct tu_kernels *kernels)
{
    struct operand o = {0};
    struct tu_geometry g;
    struct tu_error error = {0};
    uint64_t shape[] = {ELEMENTS}, state = seed;
    if (tu_geometry(dtype, TENSOR_PACKING_FLAT, shape, 1, &g, &error) < 0 ||
        tu_decoder_init(&o.decoder, &g, kernels, NULL, &error) < 0)
        tap_fail(__FILE__, __LINE__, "%s", error.text);
    o.bytes = malloc(g.nbytes);
    for (size_t i = 0; i < ELEMENTS; i++) {
        double x = ldexp((double)(int64_t)tap_random(&state), -60) * ldexp(1, (int)(tap_random(&state) % 24));
        uint64_t r = tap_random(&state) % 1000;
        if (special)
            x = r == 0 ? NAN : r == 1 ? INFINITY : r == 2 ? -INFINITY : r < 50 ? 0 : r < 60 ? -0.0 : r < 70 ? 1e-42 : x;
        float f = (float)x;
        if (dtype == TENSOR_F32)
            memcpy(o.bytes + 4 * i, &f, 4);
        else
            memcpy(o.bytes + 8 * i, &x, 8);
    }
    return o;
}

static void compare_rows(const struct tu_kernels *k, const struct operand *a, const struct operand *b, uint64_t row,
                         uint64_t first, uint64_t count, struct tu_partial *out, struct tu_row *rows)
{
    uint64_t ao, bo, length;
    if (count == 0)
        return;
    tu_geometry_span(&a->decoder.geometry, first, count, &ao, &length);
    tu_geometry_span(&b->decoder.geometry, first, count, &bo, &length);
    struct tu_comparison c = {.kernels = k, .decoders = {a->decoder, b->decoder}, .row = row};
    const enum tensor_dtype types[2] = {a->decoder.geometry.dtype->code, b->decoder.geometry.dtype->code};
    c.resolution = tu_resolution_of(c.decoders, types);
    const uint8_t *const spans[2] = {a->bytes + ao, b->bytes + bo};
    tu_compare_range(&c, spans, first, count, out, rows, NULL, NULL);
}

static void compare(const struct tu_kernels *k, const struct operand *a, const struct operand *b, uint64_t first,
                    uint64_t count, struct tu_partial *out)
{
    compare_rows(k, a, b, ELEMENTS, first, count, out, NULL);
}

static bool same_sum(struct tu_scaled x, struct tu_scaled y)
{
    return memcmp(&x.value, &y.value, sizeof x.value) == 0 && x.exponent == y.exponent;
}

static bool same_gain(const struct tu_gain *x, const struct tu_gain *y)
{
    return same_sum(x->aa, y->aa) && same_sum(x->bb, y->bb) && x->row == y->row;
}

/* Field by field: padding is nobody's. */
static bool same(const struct tu_partial *x, const struct tu_partial *y)
{
    return same_sum(x->dot, y->dot) && same_sum(x->aa, y->aa) && same_sum(x->bb, y->bb) && same_sum(x->dd, y->dd) &&
           same_sum(x->ad, y->ad) && x->steps == y->steps && x->elements == y->elements && x->finite == y->finite && x->max_diff == y->max_diff &&
           x->max_rel_diff == y->max_rel_diff && x->worst_index == y->worst_index && x->worst_a == y->worst_a &&
           x->worst_b == y->worst_b && x->identical == y->identical && x->nan_a == y->nan_a && x->nan_b == y->nan_b &&
           x->nan_both == y->nan_both && x->inf_a == y->inf_a && x->inf_b == y->inf_b && x->inf_both == y->inf_both &&
           x->differs == y->differs && x->first_diff == y->first_diff && x->rows.known == y->rows.known &&
           x->rows.error == y->rows.error && x->rows.error_row == y->rows.error_row && x->rows.cosine == y->rows.cosine &&
           x->rows.distance == y->rows.distance && x->rows.cosine_row == y->rows.cosine_row &&
           same_gain(&x->rows.least, &y->rows.least) && same_gain(&x->rows.most, &y->rows.most);
}

static const uint32_t pairs[][2] = {{TENSOR_F32, TENSOR_F32}, {TENSOR_F64, TENSOR_F64}, {TENSOR_F32, TENSOR_F64}};

TEST(cuts_at_blocks_change_nothing)
{
    for (size_t p = 0; p < 3; p++) {
        for (int special = 0; special < 2; special++) {
            struct operand a = make(pairs[p][0], 1, special, baseline()), b = make(pairs[p][1], 2, special, baseline());
            struct tu_partial whole = {0};
            compare(baseline(), &a, &b, 0, ELEMENTS, &whole);
            CHECK(whole.elements == ELEMENTS && whole.max_diff > 0 && (special ? whole.finite < ELEMENTS : whole.finite == ELEMENTS));
            for (uint64_t mask = 0; mask < 32; mask++) { /* every choice of cuts */
                struct tu_partial joined = {0}, separate = {0}, piece;
                for (uint64_t first = 0, end; first < ELEMENTS; first = end) {
                    end = first + TU_COMPARE_BLOCK;
                    while (end < ELEMENTS && !(mask >> (end / TU_COMPARE_BLOCK - 1) & 1))
                        end += TU_COMPARE_BLOCK;
                    end = end < ELEMENTS ? end : ELEMENTS;
                    compare(baseline(), &a, &b, first, end - first, &joined);
                    /* the maxima so far only save work */
                    piece = (struct tu_partial){.max_diff = separate.max_diff, .max_rel_diff = separate.max_rel_diff};
                    compare(baseline(), &a, &b, first, end - first, &piece);
                    tu_partial_add(&separate, &piece);
                }
                joined.rows = whole.rows; /* of a row that is cut, the caller notes the sum */
                if (!CHECK(same(&joined, &whole)))
                    break;
                /* sums of several blocks may be grouped otherwise by tu_partial_add: all but them is the same */
                if (!CHECK(separate.max_diff == whole.max_diff && separate.worst_index == whole.worst_index &&
                           separate.max_rel_diff == whole.max_rel_diff && separate.identical == whole.identical &&
                           separate.nan_both == whole.nan_both && separate.finite == whole.finite))
                    break;
            }
            free(a.bytes);
            free(b.bytes);
        }
    }
}

TEST(every_instruction_set_gives_the_same_bits)
{
    for (size_t p = 0; p < 3; p++) {
        for (int special = 0; special < 2; special++) {
            struct tu_partial want = {0};
            const struct tu_kernels *k;
            bool supported, is_first = true;
            for (size_t i = 0; (k = tu_kernels_built(i, &supported)); i++) {
                if (!supported)
                    continue;
                struct operand a = make(pairs[p][0], 3, special, k), b = make(pairs[p][1], 4, special, k);
                struct tu_partial got = {0};
                compare(k, &a, &b, 0, ELEMENTS, &got);
                if (is_first)
                    want = got;
                is_first = false;
                if (!same(&got, &want))
                    tap_fail(__FILE__, __LINE__, "pair %zu on %s", p, k->name);
                /* short runs, which fill no lane */
                for (uint64_t n = 1; n < 40; n++) {
                    struct tu_partial few = {0}, again = {0};
                    compare(k, &a, &b, 7, n, &few);
                    struct operand c = make(pairs[p][0], 3, special, baseline()), d = make(pairs[p][1], 4, special, baseline());
                    compare(baseline(), &c, &d, 7, n, &again);
                    free(c.bytes);
                    free(d.bytes);
                    if (!CHECK(same(&few, &again)))
                        break;
                }
                free(a.bytes);
                free(b.bytes);
            }
        }
    }
}

/* Straight sums in long double, against which the result must be good to 1e-13. */
TEST(the_sums_are_right)
{
    struct operand a = make(TENSOR_F32, 5, true, baseline()), b = make(TENSOR_F32, 6, true, baseline());
    const float *x = (const float *)(const void *)a.bytes, *y = (const float *)(const void *)b.bytes;
    long double dot = 0, aa = 0, bb = 0, dd = 0, ad = 0, max = 0, relative = 0;
    uint64_t finite = 0, identical = 0, nan_both = 0, worst = 0;
    for (uint64_t i = 0; i < ELEMENTS; i++) {
        identical += x[i] == y[i];
        nan_both += isnan(x[i]) && isnan(y[i]);
        if (!isfinite(x[i]) || !isfinite(y[i]))
            continue;
        long double d = fabsl((long double)x[i] - (long double)y[i]);
        long double larger = fmaxl(fabsl((long double)x[i]), fabsl((long double)y[i]));
        finite++;
        dot += (long double)x[i] * (long double)y[i];
        aa += (long double)x[i] * (long double)x[i];
        bb += (long double)y[i] * (long double)y[i];
        dd += d * d;
        ad += d;
        worst = d > max ? i : worst;
        max = d > max ? d : max;
        relative = larger > 0 && d / larger > relative ? d / larger : relative;
    }
    struct tu_partial s = {0};
    compare(tu_kernels_choose(NULL), &a, &b, 0, ELEMENTS, &s);
    struct tu_metrics m = tu_partial_metrics(&s);
    long double n = finite, cosine = dot / sqrtl(aa * bb);
    CHECK(s.finite == finite && s.identical == identical && s.nan_both == nan_both && s.worst_index == worst);
    CHECK((long double)s.max_diff == max);
    const struct {
        double got;
        long double want;
    } numbers[] = {{m.norm_a, sqrtl(aa)},        {m.norm_b, sqrtl(bb)}, {m.cosine_similarity, cosine},
                   {m.cosine_distance, 1 - cosine}, {m.mean_diff, ad / n}, {m.rmse, sqrtl(dd / n)},
                   {m.nmse, dd / aa},            {m.sqnr_db, -10 * log10l(dd / aa)}, {s.max_rel_diff, relative}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!(fabsl((long double)numbers[i].got - numbers[i].want) <= 1e-13L * fabsl(numbers[i].want) + 1e-15L))
            tap_fail(__FILE__, __LINE__, "number %zu is %.17g, not %.17Lg", i, numbers[i].got, numbers[i].want);
    free(a.bytes);
    free(b.bytes);
}

static void measure_row(const float *x, const float *y, uint64_t row, long double *error, long double *cosine)
{
    long double dot = 0, aa = 0, bb = 0, dd = 0;
    for (uint64_t i = 0; i < row; i++) {
        if (!isfinite(x[i]) || !isfinite(y[i]))
            continue;
        dot += (long double)x[i] * (long double)y[i];
        aa += (long double)x[i] * (long double)x[i];
        bb += (long double)y[i] * (long double)y[i];
        dd += ((long double)x[i] - (long double)y[i]) * ((long double)x[i] - (long double)y[i]);
    }
    *error = aa > 0 || bb > 0 ? dd / fmaxl(aa, bb) : 0;
    *cosine = dd == 0 ? 1 : aa > 0 && bb > 0 ? dot / sqrtl(aa * bb) : 0;
}

/* The row whose norm has changed the most, against that of all. */
static void check_gain(const struct tu_partial *all, const struct tu_row *sums, uint64_t rows)
{
    uint64_t row = 0;
    double gain = tu_partial_gain(all, &row), most = 0;
    for (uint64_t i = 0; i < rows; i++) {
        if (!(sums[i].aa.value > 0 && sums[i].bb.value > 0))
            continue;
        double x = fabs(log(sums[i].bb.value / sums[i].aa.value * (all->aa.value / all->bb.value)) / 2);
        most = x > most ? x : most;
    }
    double there = sqrt(sums[row].bb.value / sums[row].aa.value * (all->aa.value / all->bb.value));
    if (!(fabs(fabs(log(gain)) - most) <= 1e-12 * (most + 1)) || !(fabs(there - gain) <= 1e-12 * gain))
        tap_fail(__FILE__, __LINE__, "gain %.17g of row %u, where it is %.17g; its log should be %.17g", gain, (unsigned)row, there, most);
}

/* Rows of every length, cut where rows end, against sums in long double. */
TEST(the_worst_rows_are_found)
{
    struct operand a = make(TENSOR_F32, 7, true, baseline()), b = make(TENSOR_F32, 8, true, baseline());
    const float *x = (const float *)(const void *)a.bytes, *y = (const float *)(const void *)b.bytes;
    static const uint64_t lengths[] = {1, 2, 3, 16, 17, 33, 49, 512, 2047, 2048, 2049, 4096, 5000, ELEMENTS};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        uint64_t row = lengths[l], rows = ELEMENTS / row;
        long double worst = 0, least = 1, *errors = calloc(rows, sizeof *errors), *cosines = calloc(rows, sizeof *cosines);
        for (uint64_t r = 0; r < rows; r++) {
            measure_row(x + r * row, y + r * row, row, &errors[r], &cosines[r]);
            worst = errors[r] > worst ? errors[r] : worst;
            least = cosines[r] < least ? cosines[r] : least;
        }
        struct tu_partial joined = {0}, piece;
        for (uint64_t first = 0, n; first < rows; first += n) {
            n = rows - first < 3 ? rows - first : 3;
            piece = (struct tu_partial){0};
            compare_rows(tu_kernels_choose(NULL), &a, &b, row, first * row, n * row, &piece, NULL);
            tu_partial_add(&joined, &piece);
        }
        const struct tu_worst_rows *w = &joined.rows;
        CHECK(w->error_row < rows && w->cosine_row < rows);
        if (!(fabsl((long double)w->error - worst) <= 1e-13L * worst) || !(errors[w->error_row] >= worst * (1 - 1e-13L)) ||
            !(fabsl((long double)w->cosine - least) <= 1e-12L) || !(cosines[w->cosine_row] <= least + 1e-12L))
            tap_fail(__FILE__, __LINE__, "rows of %u: error %.17g in %u, not %.17Lg; cosine %.17g in %u, not %.17Lg", (unsigned)row,
                     w->error, (unsigned)w->error_row, worst, w->cosine, (unsigned)w->cosine_row, least);
        free(errors);
        free(cosines);
        struct tu_row *sums = calloc((size_t)rows, sizeof *sums);
        struct tu_partial apart = {0};
        const struct tu_comparison c = {.decoders = {a.decoder, b.decoder}, .row = row};
        compare_rows(tu_kernels_choose(NULL), &a, &b, row, 0, rows * row, &apart, sums);
        CHECK(!apart.rows.known);
        for (uint64_t r = 0; r < rows; r++)
            tu_note_row(&apart.rows, &c, r, &sums[r]);
        CHECK(apart.rows.error == joined.rows.error && apart.rows.error_row == joined.rows.error_row);
        CHECK(apart.rows.cosine == joined.rows.cosine && apart.rows.cosine_row == joined.rows.cosine_row);
        CHECK(same_gain(&apart.rows.least, &joined.rows.least) && same_gain(&apart.rows.most, &joined.rows.most));
        check_gain(&joined, sums, rows);
        free(sums);
    }
    free(a.bytes);
    free(b.bytes);
}

/* A row in pieces, as of one that is longer than what is worked on at once. */
TEST(a_row_in_pieces_is_the_row)
{
    struct operand a = make(TENSOR_F32, 9, false, baseline()), b = make(TENSOR_F32, 10, false, baseline());
    struct tu_partial whole = {0};
    struct tu_row row = {0};
    struct tu_worst_rows worst = {0};
    const struct tu_comparison c = {.decoders = {a.decoder, b.decoder}, .row = ELEMENTS};
    compare(baseline(), &a, &b, 0, ELEMENTS, &whole);
    for (uint64_t first = 0; first < ELEMENTS; first += TU_COMPARE_BLOCK) {
        struct tu_partial piece = {0};
        uint64_t n = ELEMENTS - first < TU_COMPARE_BLOCK ? ELEMENTS - first : TU_COMPARE_BLOCK;
        compare(baseline(), &a, &b, first, n, &piece);
        CHECK(!piece.rows.known);
        const struct tu_row next = tu_partial_row(&piece);
        tu_row_add(&row, &next);
    }
    tu_note_row(&worst, &c, 0, &row);
    CHECK(whole.rows.known && worst.error == whole.rows.error && worst.cosine == whole.rows.cosine);
    free(a.bytes);
    free(b.bytes);
}

/* A pair of rows of 4 floats each. */
static struct tu_partial compare_floats(const float *x, const float *y, size_t count)
{
    struct tu_error error = {0};
    struct tu_geometry g;
    struct tu_decoder d = {0};
    struct tu_partial out = {0};
    const uint64_t shape[] = {count / 4, 4};
    if (tu_geometry(TENSOR_F32, TENSOR_PACKING_ROWS, shape, 2, &g, &error) < 0 || tu_decoder_init(&d, &g, baseline(), NULL, &error) < 0)
        tap_fail(__FILE__, __LINE__, "%s", error.text);
    const struct tu_comparison c = {.kernels = baseline(), .decoders = {d, d}, .row = 4};
    const uint8_t *const spans[2] = {(const uint8_t *)x, (const uint8_t *)y};
    tu_compare_range(&c, spans, 0, count, &out, NULL, NULL, NULL);
    return out;
}

TEST(rows_of_zeros_and_the_same_rows)
{
    const float zeros[8] = {0}, x[8] = {0, 0, 0, 0, 1, 2, 3, 4}, y[8] = {0, 0, 0, 0, 1, 2, 3, 5};
    struct tu_partial p = compare_floats(zeros, zeros, 8);
    CHECK(!p.rows.known && !p.differs);
    p = compare_floats(x, x, 8);
    CHECK(p.rows.known && p.rows.error == 0 && p.rows.cosine == 1 && p.rows.error_row == 1 && !p.differs);
    p = compare_floats(x, y, 8); /* (1 2 3 4) and (1 2 3 5): 1/39, 34 / sqrt(30 * 39) */
    CHECK(p.rows.error == 1.0 / 39 && fabs(p.rows.cosine - 34 / sqrt(30.0 * 39)) < 1e-15 && p.rows.error_row == 1);
    CHECK(p.differs && p.first_diff == 7 && p.worst_index == 7);
    p = compare_floats(x, zeros, 8); /* one side is zero */
    CHECK(p.rows.error == 1 && p.rows.cosine == 0 && p.rows.error_row == 1 && p.first_diff == 4);
}

/* Rows so close that their cosines are 1 but for rounding: 1 - cos of (1, x) and (1, y) is (x - y)^2 / 2. */
TEST(rows_that_are_close_are_told_apart)
{
    const float x[16] = {1, 3, 0, 0, 1, 0x1p-30f, 0, 0, 1, 0x1p-30f, 0, 0, 1, 7, 0, 0};
    const float y[16] = {1, 3, 0, 0, 1, 0x1p-40f, 0, 0, 1, 0, 0, 0, 1, 7, 0x1p-30f, 0};
    struct tu_partial first = compare_floats(x, y, 8), rest = compare_floats(x + 8, y + 8, 8), all = compare_floats(x, y, 16);
    CHECK(all.rows.cosine_row == 2 && fabs(all.rows.distance - 0x1p-61) < 0x1p-80 && fabs(all.rows.cosine - 1) < 0x1p-50);
    CHECK(first.rows.cosine_row == 1 && rest.rows.cosine_row == 0);
    rest.rows.cosine_row += 2;
    tu_partial_add(&first, &rest);
    CHECK(first.rows.cosine_row == 2 && first.rows.distance == all.rows.distance && first.rows.cosine == all.rows.cosine);
}

TEST(the_first_difference_counts_what_is_not_a_number)
{
    const float inf = INFINITY, x[8] = {1, NAN, inf, inf, 2, NAN, 3, 4}, y[8] = {1, NAN, inf, -inf, 2, 5, 3, 4};
    struct tu_partial p = compare_floats(x, y, 8);
    CHECK(p.differs && p.first_diff == 3 && p.nan_both == 1 && p.nan_a == 2 && p.inf_both == 1 && p.inf_a == 2 && p.inf_b == 2);
    CHECK(p.identical == 5 && p.finite == 4 && p.max_diff == 0);
    p = compare_floats(x, x, 8);
    CHECK(!p.differs && p.inf_both == 2 && p.nan_both == 2);
}

/* Largest relative differences at the edges of what the kernels test in float32: a later pair may be
 * beyond an earlier one by less than float32 can tell, and by subnormals. */
TEST(the_largest_relative_difference_is_exact)
{
    const struct {
        float a, b, c, d; /* (a, b), then (c, d) in another run, which is larger */
    } cases[] = {{1, 0, 1, -1e-30f},           {1, 0, 1e-42f, -1e-45f},     {1, 0.5f, 1, 0.49999997f},   {3e-45f, 1.4e-45f, 1, 0.3f},
                 {1, 0.4f, 4.2e-45f, 1.4e-45f}, {-1, 1e-7f, -1, 1.0000001e-7f}, {3e38f, -1e38f, 3e38f, -3e38f}, {1, -1, -2, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct tu_partial want = {0};
        const struct tu_kernels *k;
        bool supported;
        double r[2] = {0};
        for (int j = 0; j < 2; j++) {
            double x = j ? (double)cases[i].c : (double)cases[i].a, y = j ? (double)cases[i].d : (double)cases[i].b;
            r[j] = fabs(x - y) / fmax(fabs(x), fabs(y));
        }
        for (size_t j = 0; (k = tu_kernels_built(j, &supported)); j++) {
            float x[64] = {0}, y[64] = {0};
            struct tu_sums sums;
            x[5] = cases[i].c;
            y[5] = cases[i].d;
            if (!supported)
                continue;
            double bound = r[0] == 1 || r[0] >= 2 ? r[0] : r[0] * (1 - 0x1p-20);
            k->reduce(x, y, 64, (float)bound, &(const struct tu_run_steps){0}, &sums);
            want.max_rel_diff = k->largest_rel_diff(x, y, 64);
            CHECK(want.max_rel_diff == r[1] && (r[1] <= r[0] || sums.beyond));
            CHECK(k->largest_diff(x, y, 64) == fabs((double)x[5] - (double)y[5]));
            CHECK(sums.equal == 63 && sums.max == fabsf(x[5] - y[5]));
        }
    }
}

TEST(nothing_has_no_metrics)
{
    struct tu_partial s = {0};
    struct tu_metrics m = tu_partial_metrics(&s);
    CHECK(isnan(m.cosine_similarity) && isnan(m.cosine_distance) && isnan(m.mean_diff) && isnan(m.rmse) && m.norm_a == 0);
}

TEST(the_distance_of_close_vectors_keeps_its_digits)
{
    /* a = (1, 0), b = (1, e): 1 - cos = 1 - 1/sqrt(1 + e^2), about e^2/2 */
    for (int k = 3; k < 500; k += 7) {
        struct tu_partial s = {.elements = 2, .finite = 2};
        double e = ldexp(1, -k);
        s.aa.value = 1;
        s.bb.value = 1 + e * e;
        s.dot.value = 1;
        s.dd.value = e * e;
        double want = k < 20 ? (double)(1 - 1 / sqrtl(1 + (long double)e * e)) : e * e / 2;
        double got = tu_partial_metrics(&s).cosine_distance;
        if (!(fabs(got - want) <= 1e-9 * want))
            tap_fail(__FILE__, __LINE__, "2^-%d: %.17g, not %.17g", k, got, want);
    }
}
