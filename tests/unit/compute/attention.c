/* SPDX-License-Identifier: MIT */
/* Attention in float32 against exact attention, over the shapes that kernels get wrong. */
#include "config.h"

#include "compute/attention/attention.h"

#include "../tap.h"

enum { RATIOS = 7, DIMS = 5, LENGTHS = 7, MOST_FLOATS = 1 << 21 };

static const uint64_t ratios[RATIOS][2] = {{28, 4}, {32, 4}, {12, 2}, {8, 8}, {7, 1}, {32, 8}, {5, 1}};
static const uint64_t dims[DIMS] = {64, 80, 128, 256, 33};
static const uint64_t lengths[LENGTHS] = {1, 2, 31, 32, 33, 257, 1000};

/* A problem whose numbers are made as they are asked for. */
struct problem {
    struct tu_attention a;
    double size; /* of queries */
    uint64_t seed;
    uint64_t special_key; /* whose K (or V) is NaN; UINT64_MAX: none */
    enum tu_attention_part special_part;
};

/* In about [-1.7, 1.7], of standard deviation 1, and a float32. */
static double number(uint64_t seed, uint64_t i)
{
    uint64_t state = (seed + i) * 0x9e3779b97f4a7c15 | 1;
    tap_random(&state);
    return (double)(float)(ldexp((double)(tap_random(&state) >> 11), -53) * 3.4641016 - 1.7320508);
}

static int read_rows(void *context, enum tu_attention_part part, uint64_t batch, uint64_t first, uint64_t count,
                     float *narrow, double *wide, struct tu_error *error)
{
    const struct problem *p = context;
    const struct tu_attention *a = &p->a;
    uint64_t heads = part == TU_ATTENTION_Q ? a->heads : a->kv_heads;
    uint64_t row = heads * (part == TU_ATTENTION_V ? a->value_dim : a->head_dim);
    uint64_t length = part == TU_ATTENTION_Q ? a->queries : a->keys;
    (void)error;
    for (uint64_t i = 0; i < count * row; i++) {
        uint64_t at = (batch * length + first) * row + i;
        bool special = part == p->special_part && first + i / row == p->special_key;
        double x = special ? (double)NAN : number(p->seed + 0x1000000 * (uint64_t)part, at) * (part == TU_ATTENTION_Q ? p->size : 1);
        if (narrow)
            narrow[i] = (float)x;
        else
            wide[i] = (double)(float)x;
    }
    return 0;
}

struct values {
    double *at;
    size_t count;
    bool wide;
};

static int keep(void *context, const void *values, size_t count, struct tu_error *error)
{
    struct values *v = context;
    (void)error;
    if (v->count + count > MOST_FLOATS)
        return -1;
    for (size_t i = 0; i < count; i++)
        v->at[v->count++] = v->wide ? ((const double *)values)[i] : (double)((const float *)values)[i];
    return 0;
}

static struct values attend(struct problem *p, bool wide, const struct tu_kernels *kernels, unsigned threads)
{
    struct tu_error error = {0};
    struct values v = {.at = malloc(MOST_FLOATS * sizeof(double)), .wide = wide};
    const struct tu_attention_rows rows = {.read = read_rows, .context = p};
    const struct tu_attention_how how = {.wide = wide, .threads = threads, .kernels = kernels};
    const struct tu_attention_sink sink = {.put = keep, .context = &v};
    if (tu_attention_check(&p->a, &error) < 0 || tu_attend(&p->a, &rows, TU_ATTENTION_OUT, &how, &sink, &error) < 0)
        tap_fail(__FILE__, __LINE__, "%s", error.text);
    return v;
}

static struct problem make(uint64_t heads, uint64_t kv_heads, uint64_t dim, uint64_t keys, uint64_t queries)
{
    return (struct problem){.a = {.batches = 1,
                                  .queries = queries,
                                  .keys = keys,
                                  .heads = heads,
                                  .kv_heads = kv_heads,
                                  .head_dim = dim,
                                  .value_dim = dim,
                                  .causal = true,
                                  .scale = 1 / sqrt((double)dim)},
                            .size = 1,
                            .seed = heads * keys + dim,
                            .special_key = UINT64_MAX};
}

/* The largest difference, NaN where only one side is NaN. */
static double distance(struct problem *p)
{
    struct values want = attend(p, true, tu_kernels_choose(NULL), 1), got = attend(p, false, tu_kernels_choose(NULL), 2);
    double largest = want.count == got.count && want.count > 0 ? 0 : NAN;
    for (size_t i = 0; i < want.count && i < got.count; i++) {
        double d = isnan(want.at[i]) && isnan(got.at[i]) ? 0 : fabs(want.at[i] - got.at[i]);
        if (!(d <= largest))
            largest = d;
    }
    free(want.at);
    free(got.at);
    return largest;
}

static bool close_to(struct problem *p, double bound)
{
    double d = distance(p);
    return d <= bound || tap_fail(__FILE__, __LINE__, "%ju:%ju heads of %ju, %ju queries, %ju keys: %g apart", (uintmax_t)p->a.heads,
                                  (uintmax_t)p->a.kv_heads, (uintmax_t)p->a.head_dim, (uintmax_t)p->a.queries, (uintmax_t)p->a.keys, d);
}

TEST(one_query_of_every_ratio_dimension_and_length)
{
    for (size_t r = 0; r < RATIOS; r++)
        for (size_t d = 0; d < DIMS; d++)
            for (size_t n = 0; n < LENGTHS; n++) {
                struct problem p = make(ratios[r][0], ratios[r][1], dims[d], lengths[n], 1);
                if (!close_to(&p, lengths[n] == 1 ? 0 : 1e-6))
                    return;
            }
}

TEST(many_queries)
{
    for (size_t r = 0; r < RATIOS; r++)
        for (size_t n = 0; n < LENGTHS; n++) {
            struct problem p = make(ratios[r][0], ratios[r][1], 40, lengths[n], lengths[n] < 70 ? lengths[n] : 70);
            if (!close_to(&p, 2e-6))
                return;
        }
}

TEST(windows_caps_and_biases)
{
    float slopes[12], sinks[12];
    tu_attention_slopes(12, slopes);
    for (size_t i = 0; i < 12; i++)
        sinks[i] = (float)i - 6;
    for (uint64_t window = 0; window < 80; window += 13)
        for (unsigned options = 0; options < 16; options++) {
            struct problem p = make(12, 4, 24, 150, 67);
            p.a.window = window;
            p.a.causal = options & 1;
            p.a.soft_cap = options & 2 ? 3 : 0;
            p.a.slopes = options & 4 ? slopes : NULL;
            p.a.sinks = options & 8 ? sinks : NULL;
            p.a.value_dim = 17;
            if (!close_to(&p, 2e-5))
                return;
        }
}

/* A score of 1e4 is known to about 5e-4 in float32, which is then the relative error of a weight. */
TEST(large_scores)
{
    struct problem p = make(28, 4, 128, 100, 3);
    p.size = 1e4;
    CHECK(close_to(&p, 1e-2));
}

TEST(nan_in_a_key_or_value_that_is_seen_or_not)
{
    for (uint64_t key = 0; key < 40; key += 39)
        for (int part = TU_ATTENTION_K; part <= TU_ATTENTION_V; part++)
            for (uint64_t queries = 1; queries < 40; queries += 19) {
                struct problem p = make(7, 1, 32, 40, queries);
                p.special_key = key;
                p.special_part = (enum tu_attention_part)part;
                if (!close_to(&p, 2e-6))
                    return;
            }
}

TEST(slopes_of_numbers_of_heads_that_are_no_power_of_two)
{
    float s[12];
    tu_attention_slopes(12, s);
    CHECK_REAL(s[0], 0.5);
    CHECK_REAL(s[7], 1.0 / 256);
    CHECK_REAL(s[8], (float)exp2(-0.5));
    CHECK_REAL(s[11], (float)exp2(-3.5));
}

TEST(the_same_bits_on_every_processor_and_for_any_threads)
{
    struct problem p = make(28, 4, 72, 9000, 2);
    struct values want = attend(&p, false, tu_kernels_choose("baseline"), 1);
    const struct tu_kernels *k;
    bool supported;
    for (size_t i = 0; (k = tu_kernels_built(i, &supported)); i++)
        for (unsigned threads = 1; supported && threads < 4; threads++) {
            struct values got = attend(&p, false, k, threads);
            CHECK(got.count == want.count && memcmp(got.at, want.at, got.count * sizeof *got.at) == 0);
            free(got.at);
        }
    free(want.at);
}

/* Rows, keys and sizes around those that registers and caches hold. */
TEST(products_of_any_size_are_right_and_the_same_on_every_processor)
{
    enum { ROWS = 18, KEYS = 50, DIM = 81, STRIDE = 85 };
    static const size_t sizes[] = {1, 7, 15, 16, 17, 31, 33, 48, 80, 81}, counts[] = {1, 2, 3, 15, 16, 17, 31, 33, 50};
    static float q[ROWS * STRIDE], k[KEYS * STRIDE], want[ROWS * KEYS], got[ROWS * KEYS], weighed[ROWS * DIM], other[ROWS * DIM];
    const struct tu_attend_kernels *base = &tu_kernels_choose("baseline")->attend;
    for (size_t i = 0; i < ROWS * STRIDE; i++)
        q[i] = (float)number(1, i);
    for (size_t i = 0; i < KEYS * STRIDE; i++)
        k[i] = (float)number(2, i);
    const struct tu_kernels *kernels;
    bool supported;
    for (size_t i = 0; (kernels = tu_kernels_built(i, &supported)); i++)
        for (size_t d = 0; supported && d < sizeof sizes / sizeof *sizes; d++)
            for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
                for (size_t rows = 1, n = counts[c], dim = sizes[d]; rows <= ROWS; rows++) {
                    base->scores(q, STRIDE, rows, k, STRIDE, n, dim, want);
                    kernels->attend.scores(q, STRIDE, rows, k, STRIDE, n, dim, got);
                    CHECK(memcmp(want, got, rows * n * sizeof *got) == 0);
                    base->weigh(want, rows, k, STRIDE, n, dim, weighed);
                    kernels->attend.weigh(want, rows, k, STRIDE, n, dim, other);
                    CHECK(memcmp(weighed, other, rows * dim * sizeof *other) == 0);
                    double score = 0, value = 0;
                    for (size_t e = 0; e < dim; e++)
                        score += (double)q[(rows - 1) * STRIDE + e] * (double)k[(n - 1) * STRIDE + e];
                    for (size_t j = 0; j < n; j++)
                        value += (double)want[(rows - 1) * n + j] * (double)k[j * STRIDE + dim - 1];
                    CHECK(fabs((double)want[rows * n - 1] - score) < 1e-5);
                    CHECK(fabs((double)weighed[rows * dim - 1] - value) < 1e-4);
                }
}

TEST(values_that_are_not_finite_are_found_wherever_they_are)
{
    float v[40];
    const struct tu_kernels *k;
    bool supported;
    for (size_t i = 0; (k = tu_kernels_built(i, &supported)); i++)
        for (size_t n = 0; supported && n <= 40; n++) {
            for (size_t at = 0; at < n; at++)
                v[at] = at % 2 ? 0x1.fffffep127f : -0x1p-149f;
            CHECK(k->attend.finite(v, n));
            for (size_t at = 0; at < n; at++) {
                float was = v[at];
                v[at] = at % 3 == 0 ? NAN : at % 3 == 1 ? INFINITY : -INFINITY;
                CHECK(!k->attend.finite(v, n));
                v[at] = was;
            }
        }
}

TEST(exponentials_are_within_one_unit_in_the_last_place)
{
    const struct tu_kernels *k = tu_kernels_choose(NULL);
    double worst = 0;
    for (double x = 0; x > -87.3; x -= 0.000731) {
        float y = (float)x;
        double want = exp((double)y);
        k->attend.exp(&y, 1, 0);
        double unit = ldexp(1, ilogb(want) - 23);
        worst = fmax(worst, fabs((double)y - want) / unit);
    }
    CHECK(worst < 1);
    float special[] = {-INFINITY, NAN, 0, -1e30f};
    k->attend.exp(special, 4, 0);
    CHECK_REAL(special[0], 0);
    CHECK(isnan(special[1]));
    CHECK_REAL(special[2], 1);
    CHECK_REAL(special[3], 0);
}

TEST(sizes_that_make_no_sense)
{
    struct tu_error error = {0};
    struct problem p = make(7, 2, 8, 3, 1);
    CHECK_FAILS(tu_attention_check(&p.a, &error), error, "does not divide");
    p = make(UINT64_C(1) << 40, 1, UINT64_C(1) << 30, 3, 1);
    error = (struct tu_error){0};
    CHECK_FAILS(tu_attention_check(&p.a, &error), error, "too large");
}
