/* SPDX-License-Identifier: MIT */
/* Comparing: the same bits however the work is cut, and whichever processor does it. */
#include "config.h"

#include "compare.h"

#include "tap.h"

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

static void compare(const struct tu_kernels *k, const struct operand *a, const struct operand *b, uint64_t first,
                    uint64_t count, struct tu_partial *out)
{
    uint64_t ao, bo, length;
    if (count == 0)
        return;
    tu_geometry_span(&a->decoder.geometry, first, count, &ao, &length);
    tu_geometry_span(&b->decoder.geometry, first, count, &bo, &length);
    tu_compare_range(k, &a->decoder, a->bytes + ao, &b->decoder, b->bytes + bo, first, count, out);
}

static bool same_sum(struct tu_scaled x, struct tu_scaled y)
{
    return memcmp(&x.value, &y.value, sizeof x.value) == 0 && x.exponent == y.exponent;
}

/* Field by field: padding is nobody's. */
static bool same(const struct tu_partial *x, const struct tu_partial *y)
{
    return same_sum(x->dot, y->dot) && same_sum(x->aa, y->aa) && same_sum(x->bb, y->bb) && same_sum(x->dd, y->dd) &&
           same_sum(x->ad, y->ad) && x->elements == y->elements && x->finite == y->finite && x->max_diff == y->max_diff &&
           x->max_rel_diff == y->max_rel_diff && x->worst_index == y->worst_index && x->worst_a == y->worst_a &&
           x->worst_b == y->worst_b && x->identical == y->identical && x->nan_a == y->nan_a && x->nan_b == y->nan_b &&
           x->nan_both == y->nan_both && x->inf_a == y->inf_a && x->inf_b == y->inf_b;
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
            bool supported;
            for (size_t i = 0; (k = tu_kernels_built(i, &supported)); i++) {
                if (!supported)
                    continue;
                struct operand a = make(pairs[p][0], 3, special, k), b = make(pairs[p][1], 4, special, k);
                struct tu_partial got = {0};
                compare(k, &a, &b, 0, ELEMENTS, &got);
                if (i == 0)
                    want = got;
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
