/* SPDX-License-Identifier: MIT */
/*
 * Attention on a CUDA device against the definition in float64.  Without a device, or the stand-in
 * of tests/ptxsim, every test skips.
 */
#include "config.h"

#include "compute/attention/gpu.h"

#include "../tap.h"

/* A problem, as far as it differs from the one below. */
struct problem {
    uint64_t batches, queries, keys, heads, kv_heads, head_dim, value_dim;
    enum tu_cache_type type;
    bool causal;
    uint64_t window;
    double soft_cap;
    bool slopes, sinks;
    uint64_t mask_heads;
    float size;      /* of the elements of q; 0: 1 */
    uint64_t memory; /* budget */
    unsigned splits;
    bool stages;
};

struct arrays {
    struct tu_attention a;
    struct tu_attention_input in;
    struct tu_attention_output out;
    float *q, *slopes, *sinks, *mask;
    float *k, *v; /* as float32 */
    void *stored_k, *stored_v;
};

static struct tu_gpu gpu;
static struct tu_error no_gpu;
static double worst; /* error of the current test, in units of the largest value */

/* Opens the device once; false: there is none, and the test has said that it skips. */
static bool device(void)
{
    static bool tried;
    static bool open;
    if (!tried && !tu_gpu_has_kernels())
        tu_fail(&no_gpu, TU_EIO, "built without CUDA kernels");
    else if (!tried)
        open = tu_gpu_open(&gpu, 0, &no_gpu) == 0;
    tried = true;
    worst = 0;
    if (!open)
        tap_skip(no_gpu.text);
    return open;
}

/* ---- Numbers that every type has exactly ---- */

static float random_number(uint64_t *state)
{
    return (float)((int)(tap_random(state) >> 40 & 255) - 128) / 64;
}

static uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint16_t half_bits(float x)
{
    uint32_t bits = float_bits(x);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (isnan(x))
        return 0x7e00;
    if (x == 0 || isinf(x))
        return (uint16_t)(sign | (isinf(x) ? 0x7c00 : 0));
    return (uint16_t)(sign | (((bits >> 13) & 0x3ffff) - (112 << 10)));
}

static void *store(const float *from, uint64_t count, enum tu_cache_type type)
{
    uint16_t *to = malloc(count * 4 + 1);
    if (type == TU_CACHE_F32)
        return memcpy(to, from, count * 4);
    for (uint64_t i = 0; i < count; i++)
        to[i] = type == TU_CACHE_F16 ? half_bits(from[i]) : (uint16_t)(float_bits(from[i]) >> 16);
    return to;
}

static float *numbers(uint64_t count, float size, uint64_t *state)
{
    float *out = malloc(count * sizeof *out + 1);
    for (uint64_t i = 0; i < count; i++)
        out[i] = random_number(state) * size;
    return out;
}

static float *make_mask(uint64_t count, uint64_t *state)
{
    float *mask = numbers(count, 1, state);
    for (uint64_t i = 0; i < count; i++)
        mask[i] = tap_random(state) >> 62 ? mask[i] : -INFINITY;
    return mask;
}

static struct arrays make(const struct problem *p)
{
    uint64_t state = 88172645463325252 + p->keys * 31 + p->heads;
    uint64_t rows = p->batches * p->queries * p->heads, lines = p->batches * p->keys * p->kv_heads;
    struct arrays s = {.a = {.batches = p->batches,
                             .queries = p->queries,
                             .keys = p->keys,
                             .heads = p->heads,
                             .kv_heads = p->kv_heads,
                             .head_dim = p->head_dim,
                             .value_dim = p->value_dim,
                             .scale = 1 / sqrt((double)p->head_dim),
                             .soft_cap = p->soft_cap,
                             .window = p->window,
                             .causal = p->causal,
                             .mask_heads = p->mask_heads}};
    s.q = numbers(rows * p->head_dim, p->size ? p->size : 1, &state);
    s.k = numbers(lines * p->head_dim, 1, &state);
    s.v = numbers(lines * p->value_dim, 1, &state);
    s.a.slopes = s.slopes = p->slopes ? numbers(p->heads, 0.0625f, &state) : NULL;
    s.a.sinks = s.sinks = p->sinks ? numbers(p->heads, 1, &state) : NULL;
    s.a.mask = s.mask =
        p->mask_heads ? make_mask(p->mask_heads * p->queries * p->keys, &state) : NULL;
    s.in.type = p->type;
    s.in.q = s.q;
    s.out.out = malloc(rows * p->value_dim * 4 + 1);
    memset(s.out.out, 0xff, rows * p->value_dim * 4); /* NaN */
    s.out.scores = p->stages ? malloc(rows * p->keys * 4 + 1) : NULL;
    s.out.weights = p->stages ? malloc(rows * p->keys * 4 + 1) : NULL;
    return s;
}

static void store_cache(struct arrays *s)
{
    uint64_t lines = s->a.batches * s->a.keys * s->a.kv_heads;
    s->in.k = s->stored_k = store(s->k, lines * s->a.head_dim, s->in.type);
    s->in.v = s->stored_v = store(s->v, lines * s->a.value_dim, s->in.type);
}

static void discard(struct arrays *s)
{
    void *owned[] = {s->q,        s->slopes,   s->sinks,   s->mask,       s->k,          s->v,
                     s->stored_k, s->stored_v, s->out.out, s->out.scores, s->out.weights};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        free(owned[i]);
}

/* ---- The definition ---- */

static double score(const struct arrays *s, uint64_t b, uint64_t i, uint64_t h, uint64_t j)
{
    const struct tu_attention *a = &s->a;
    int64_t p = (int64_t)(i + a->keys - a->queries), key = (int64_t)j;
    uint64_t g = h / (a->heads / a->kv_heads);
    const float *q = s->q + ((b * a->queries + i) * a->heads + h) * a->head_dim;
    const float *k = s->k + ((b * a->keys + j) * a->kv_heads + g) * a->head_dim;
    double sum = 0, mask = 0;
    if (a->mask)
        mask = s->mask[((a->mask_heads > 1 ? h : 0) * a->queries + i) * a->keys + j];
    if ((a->causal && key > p) || (a->window && key <= p - (int64_t)a->window) || mask == -INFINITY)
        return -INFINITY;
    for (uint64_t e = 0; e < a->head_dim; e++)
        sum += (double)q[e] * k[e];
    sum *= a->scale;
    if (a->soft_cap != 0)
        sum = a->soft_cap * tanh(sum / a->soft_cap);
    return sum + (a->slopes ? (double)a->slopes[h] * (double)(key - p) : 0) + mask;
}

/* weights holds scores, and then weights; false: there is no key. */
static bool weigh(const struct arrays *s, uint64_t h, double *weights)
{
    double max = s->sinks ? s->sinks[h] : -INFINITY, sum = 0;
    bool any = false;
    for (uint64_t j = 0; j < s->a.keys; j++) {
        max = weights[j] > max ? weights[j] : max;
        any |= weights[j] != -INFINITY;
    }
    for (uint64_t j = 0; j < s->a.keys; j++)
        sum += weights[j] = weights[j] == -INFINITY ? 0 : exp(weights[j] - max);
    sum += s->sinks ? exp(s->sinks[h] - max) : 0;
    for (uint64_t j = 0; j < s->a.keys; j++)
        weights[j] = any && weights[j] != 0 ? weights[j] / sum : 0;
    return any;
}

static bool near(float got, double wanted, double scale, double tolerance)
{
    if (isnan(wanted) || isinf(wanted))
        return isnan(wanted) ? isnan(got) : got == wanted;
    double off = fabs(got - wanted) / scale;
    worst = off > worst ? off : worst;
    return off <= tolerance;
}

static bool check_stages(const struct arrays *s, uint64_t line, const double *scores,
                         const double *weights, double tolerance)
{
    for (uint64_t j = 0; j < s->a.keys && s->out.scores; j++) {
        double unit = isfinite(scores[j]) ? 1 + fabs(scores[j]) : 1;
        if (!near(s->out.scores[line * s->a.keys + j], scores[j], unit, tolerance) ||
            !near(s->out.weights[line * s->a.keys + j], weights[j], 1, tolerance))
            return tap_fail(__FILE__, __LINE__,
                            "row %ju, key %ju: score %g, not %g; weight %g, not %g",
                            (uintmax_t)line, (uintmax_t)j, s->out.scores[line * s->a.keys + j],
                            scores[j], s->out.weights[line * s->a.keys + j], weights[j]);
    }
    return true;
}

static bool check_row(const struct arrays *s, uint64_t b, uint64_t i, uint64_t h, double *scores,
                      double *weights, double tolerance)
{
    const struct tu_attention *a = &s->a;
    uint64_t g = h / (a->heads / a->kv_heads);
    const float *got = s->out.out + ((b * a->queries + i) * a->heads + h) * a->value_dim;
    for (uint64_t j = 0; j < a->keys; j++)
        scores[j] = weights[j] = score(s, b, i, h, j);
    weigh(s, h, weights);
    for (uint64_t e = 0; e < a->value_dim; e++) {
        double sum = 0;
        for (uint64_t j = 0; j < a->keys; j++)
            if (scores[j] != -INFINITY)
                sum += weights[j] * s->v[((b * a->keys + j) * a->kv_heads + g) * a->value_dim + e];
        if (!near(got[e], sum, 2, tolerance))
            return tap_fail(__FILE__, __LINE__,
                            "batch %ju query %ju head %ju element %ju: %.9g, not %.9g",
                            (uintmax_t)b, (uintmax_t)i, (uintmax_t)h, (uintmax_t)e, got[e], sum);
    }
    return check_stages(s, (b * a->heads + h) * a->queries + i, scores, weights, tolerance);
}

static bool check_all(const struct arrays *s, double tolerance)
{
    double *scores = malloc(2 * s->a.keys * sizeof *scores + 1);
    bool good = true;
    for (uint64_t b = 0; b < s->a.batches && good; b++)
        for (uint64_t i = 0; i < s->a.queries && good; i++)
            for (uint64_t h = 0; h < s->a.heads && good; h++)
                good = check_row(s, b, i, h, scores, scores + s->a.keys, tolerance);
    free(scores);
    return good;
}

static int attend(struct arrays *s, const struct problem *p, struct tu_gpu_timing *timing,
                  struct tu_error *error)
{
    struct tu_gpu_attention_options options = {.memory = p->memory, .splits = p->splits};
    store_cache(s);
    return tu_gpu_attend(&gpu, &s->a, &s->in, &s->out, &options, timing, error);
}

static bool try(const struct problem *p, double tolerance)
{
    struct arrays s = make(p);
    struct tu_gpu_timing timing = {0};
    struct tu_error error = {0};
    bool good = attend(&s, p, &timing, &error) == 0
                    ? check_all(&s, tolerance)
                    : tap_fail(__FILE__, __LINE__, "%s", error.text);
    if (!good)
        printf("# %s splits %u launches %ju: batches %ju queries %ju keys %ju heads %ju:%ju dims "
               "%ju %ju type %d\n",
               timing.kernel, timing.splits, (uintmax_t)timing.launches, (uintmax_t)p->batches,
               (uintmax_t)p->queries, (uintmax_t)p->keys, (uintmax_t)p->heads,
               (uintmax_t)p->kv_heads, (uintmax_t)p->head_dim, (uintmax_t)p->value_dim, p->type);
    discard(&s);
    return good;
}

/* Measured: TOLERANCE leaves a factor of about 4. */
#define TOLERANCE 2e-6

TEST(decode)
{
    static const uint64_t heads[][2] = {{28, 4}, {32, 4}, {12, 2}, {8, 8},
                                        {7, 1},  {32, 8}, {5, 1},  {28, 1}};
    static const uint64_t keys[] = {1, 2, 31, 32, 33, 300};
    if (!device())
        return;
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            struct problem p = {.batches = 1,
                                .queries = 1,
                                .keys = keys[k],
                                .heads = heads[h][0],
                                .kv_heads = heads[h][1],
                                .head_dim = 64,
                                .value_dim = 64,
                                .type = (enum tu_cache_type)((h + k) % 3),
                                .causal = true};
            if (!CHECK(try(&p, TOLERANCE)))
                return;
        }
    printf("# error %.2g\n", worst);
}

TEST(head_sizes)
{
    static const uint64_t dims[][2] = {{64, 64},   {80, 80},   {96, 96},   {112, 112},
                                       {128, 128}, {192, 128}, {256, 256}, {32, 40},
                                       {8, 8},     {64, 256},  {256, 64},  {72, 136}};
    static const uint64_t queries[] = {1, 5, 20};
    if (!device())
        return;
    for (size_t d = 0; d < sizeof dims / sizeof *dims; d++)
        for (size_t q = 0; q < sizeof queries / sizeof *queries; q++) {
            struct problem p = {.batches = 1,
                                .queries = queries[q],
                                .keys = 70,
                                .heads = 4,
                                .kv_heads = 1,
                                .head_dim = dims[d][0],
                                .value_dim = dims[d][1],
                                .type = (enum tu_cache_type)((d + q) % 3),
                                .causal = true};
            if (!CHECK(try(&p, TOLERANCE)))
                return;
        }
    printf("# error %.2g\n", worst);
}

/* Every option, alone and together, with queries and keys that fill tiles and do not. */
TEST(options)
{
    static const uint64_t queries[] = {1, 2, 17, 70}, keys[] = {1, 33, 100};
    if (!device())
        return;
    for (unsigned o = 0; o < 32; o++)
        for (size_t n = 0; n < 4; n++) {
            struct problem p = {.batches = o % 3 == 1 ? 2 : 1,
                                .queries = queries[n],
                                .keys = keys[(o + n) % 3],
                                .heads = 6,
                                .kv_heads = 2,
                                .head_dim = 32,
                                .value_dim = 40,
                                .type = (enum tu_cache_type)(o % 3),
                                .causal = o & 1,
                                .window = o & 2 ? 9 : 0,
                                .soft_cap = o & 4 ? 1.5 : 0,
                                .slopes = o & 8,
                                .mask_heads = o & 16 ? (n & 1 ? 6 : 1) : 0,
                                .sinks = (o + n) % 4 == 0,
                                .stages = (o + n) % 2};
            if (!CHECK(try(&p, TOLERANCE)))
                return;
        }
    printf("# error %.2g\n", worst);
}

TEST(prefill)
{
    static const uint64_t shapes[][3] = {{28, 4, 64}, {7, 1, 128}, {12, 2, 256}, {5, 1, 80}};
    if (!device())
        return;
    for (unsigned o = 0; o < 8; o++) {
        const uint64_t *shape = shapes[o % 4];
        struct problem p = {.batches = 1,
                            .queries = o < 4 ? 2 : 70,
                            .keys = o % 2 ? 75 : 130,
                            .heads = shape[0],
                            .kv_heads = shape[1],
                            .head_dim = shape[2],
                            .value_dim = shape[2],
                            .type = (enum tu_cache_type)(o % 3),
                            .causal = true};
        if (!CHECK(try(&p, TOLERANCE)))
            return;
    }
    printf("# error %.2g\n", worst);
}

TEST(long_cache)
{
    if (!device())
        return;
    for (unsigned type = 0; type < 3; type++) {
        struct problem p = {.batches = 2,
                            .queries = 1,
                            .keys = 1000,
                            .heads = 14,
                            .kv_heads = 2,
                            .head_dim = 128,
                            .value_dim = 128,
                            .type = (enum tu_cache_type)type,
                            .causal = true,
                            .stages = type == 1};
        CHECK(try(&p, TOLERANCE));
    }
    printf("# error %.2g\n", worst);
}

TEST(large_scores)
{
    if (!device())
        return;
    for (unsigned type = 0; type < 3; type++) {
        struct problem p = {.batches = 1,
                            .queries = 3,
                            .keys = 100,
                            .heads = 6,
                            .kv_heads = 2,
                            .head_dim = 64,
                            .value_dim = 64,
                            .type = (enum tu_cache_type)type,
                            .causal = true,
                            .size = 4096,
                            .stages = true};
        CHECK(try(&p, 2e-3));
    }
    printf("# error %.2g\n", worst);
}

/* Chunks of a few keys, blocks of a few queries. */
TEST(streaming)
{
    static const uint64_t memory[] = {100000, 60000};
    if (!device())
        return;
    for (unsigned o = 0; o < 12; o++) {
        struct problem p = {.batches = 2,
                            .queries = o & 1 ? 20 : 1,
                            .keys = 301,
                            .heads = 6,
                            .kv_heads = 2,
                            .head_dim = 32,
                            .value_dim = 32,
                            .type = (enum tu_cache_type)(o % 3),
                            .causal = o & 2,
                            .window = o & 4 ? 50 : 0,
                            .sinks = o & 1,
                            .slopes = o & 8,
                            .mask_heads = o & 2 ? 6 : 0,
                            .memory = memory[o % 2],
                            .stages = o % 5 == 0,
                            .splits = o % 3 ? o % 3 : 12};
        if (!CHECK(try(&p, TOLERANCE)))
            return;
    }
    printf("# error %.2g\n", worst);
}

TEST(too_little_memory)
{
    struct problem p = {.batches = 1,
                        .queries = 1,
                        .keys = 100,
                        .heads = 4,
                        .kv_heads = 4,
                        .head_dim = 64,
                        .value_dim = 64,
                        .memory = 1000};
    struct tu_error error = {0};
    if (!device())
        return;
    struct arrays s = make(&p);
    CHECK_FAILS(attend(&s, &p, NULL, &error), error, "device memory: ");
    discard(&s);
}

/* One key, or one key in sight: its value bit for bit, -0 as well. */
TEST(one_key)
{
    if (!device())
        return;
    for (unsigned o = 0; o < 4; o++) {
        struct problem p = {.batches = 1,
                            .queries = 1,
                            .keys = o & 1 ? 40 : 1,
                            .heads = 6,
                            .kv_heads = 2,
                            .head_dim = 64,
                            .value_dim = 64,
                            .type = TU_CACHE_F32,
                            .causal = true,
                            .window = 1,
                            .splits = 1 + o};
        struct tu_error error = {0};
        struct arrays s = make(&p);
        for (uint64_t i = 0; i < p.keys * 2 * 64; i++)
            s.v[i] = i % 3 ? (float)(1 / (double)(i + 3)) : -0.0f;
        CHECK(attend(&s, &p, NULL, &error) == 0);
        for (uint64_t h = 0; h < 6; h++)
            CHECK(memcmp(s.out.out + h * 64, s.v + ((p.keys - 1) * 2 + h / 3) * 64, 256) == 0);
        discard(&s);
    }
}

/* NaN and infinity in what is not seen change nothing; in a score that is, they spread over the
 * row. */
TEST(not_a_number)
{
    if (!device())
        return;
    for (unsigned o = 0; o < 6; o++) {
        struct problem p = {.batches = 1,
                            .queries = 40,
                            .keys = 40,
                            .heads = 4,
                            .kv_heads = 2,
                            .head_dim = 32,
                            .value_dim = 32,
                            .type = (enum tu_cache_type)(o % 3),
                            .causal = true,
                            .stages = o & 1,
                            .window = o & 1 ? 9 : 0};
        struct tu_error error = {0};
        struct arrays s = make(&p);
        uint64_t key = 20;
        s.k[(key * 2 + 1) * 32 + 5] = NAN;
        s.v[(key * 2) * 32 + 7] = o & 2 ? NAN : INFINITY;
        CHECK(attend(&s, &p, NULL, &error) == 0);
        CHECK(check_all(&s, TOLERANCE));
        CHECK(!isnan(s.out.out[(19 * 4 + 3) * 32]));
        CHECK(isnan(s.out.out[(20 * 4 + 3) * 32]));
        CHECK(!isfinite(s.out.out[(20 * 4) * 32 + 7]) && isfinite(s.out.out[(20 * 4) * 32 + 6]));
        discard(&s);
    }
}

TEST(nothing_seen)
{
    if (!device())
        return;
    struct problem p = {.batches = 1,
                        .queries = 12,
                        .keys = 4,
                        .heads = 4,
                        .kv_heads = 2,
                        .head_dim = 32,
                        .value_dim = 32,
                        .type = TU_CACHE_F16,
                        .causal = true,
                        .sinks = true,
                        .stages = true};
    struct arrays s = make(&p);
    struct tu_error error = {0};
    CHECK(attend(&s, &p, NULL, &error) == 0 && check_all(&s, TOLERANCE));
    for (uint64_t i = 0; i < 8 * 4 * 32; i++)
        if (!CHECK_REAL(s.out.out[i], 0))
            break;
    discard(&s);
}

TEST(bad_shapes)
{
    struct problem p = {.batches = 1,
                        .queries = 1,
                        .keys = 4,
                        .heads = 4,
                        .kv_heads = 2,
                        .head_dim = 20,
                        .value_dim = 32};
    struct tu_error error = {0}, other = {0};
    if (!device())
        return;
    struct arrays s = make(&p);
    CHECK_FAILS(attend(&s, &p, NULL, &error), error,
                "head size 20: the CUDA kernels take multiples of 8");
    free(s.stored_k), free(s.stored_v);
    s.a.head_dim = 32, s.a.value_dim = 264;
    CHECK_FAILS(tu_gpu_attend(&gpu, &s.a, &s.in, &s.out, NULL, NULL, &other), other,
                "value size 264");
    s.stored_k = s.stored_v = NULL;
    discard(&s);
}
