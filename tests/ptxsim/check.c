/* SPDX-License-Identifier: MIT */
/* Runs the kernels of kernels.cu, as PTXSIM_MODULE has them, and compares with the host. */
#include "config.h"

#include "../unit/tap.h"
#include "calls.h"

static uint64_t seed = 88172645463325252;

static float real(void)
{
    return (float)(int64_t)(tap_random(&seed) >> 40) * 0x1p-23f - 1;
}

static float *reals(size_t n)
{
    float *x = calloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = real();
    return x;
}

static CUmodule module(void)
{
    CUmodule m = calls_module(getenv("PTXSIM_MODULE"));
    CHECK(m != NULL);
    return m;
}

/* The device's results take the place of what stands there. */
static void download(void *to, CUdeviceptr from, size_t size)
{
    CHECK_UINT(CU(cuMemcpyDtoH_v2)(to, from, size), 0);
}

TEST(vector_add)
{
    int n = 1000;
    float *a = reals(1000), *b = reals(1000), *c = reals(1000);
    CUmodule m = module();
    CUdeviceptr da = calls_upload(a, 4000), db = calls_upload(b, 4000),
                dc = calls_upload(NULL, 4000);
    void *parameters[] = {&da, &db, &dc, &n};
    CHECK_UINT(calls_run(m, "vector_add", (unsigned[]){8, 1, 128, 1}, 0, parameters), 0);
    download(c, dc, 4000);
    for (int i = 0; i < n; i++)
        if (!CHECK_REAL(c[i], a[i] + b[i]))
            break;
    free(a);
    free(b);
    free(c);
}

TEST(reduce)
{
    int n = 1001;
    float *in = reals(3003), out[3];
    CUmodule m = module();
    CUdeviceptr di = calls_upload(in, 12012), d = calls_upload(NULL, 12);
    void *parameters[] = {&di, &d, &n};
    CHECK_UINT(calls_run(m, "reduce", (unsigned[]){3, 1, 256, 1}, 0, parameters), 0);
    download(out, d, 12);
    for (int b = 0; b < 3; b++) {
        double sum = 0;
        for (int i = 0; i < n; i++)
            sum += (double)in[b * n + i];
        CHECK(fabs(sum - (double)out[b]) < 1e-4);
    }
    free(in);
}

TEST(matmul)
{
    int n = 48;
    float *a = reals(2304), *b = reals(2304), *c = reals(2304);
    CUmodule m = module();
    CUdeviceptr da = calls_upload(a, 9216), db = calls_upload(b, 9216),
                dc = calls_upload(NULL, 9216);
    void *parameters[] = {&da, &db, &dc, &n};
    CHECK_UINT(calls_run(m, "matmul", (unsigned[]){3, 3, 16, 16}, 0, parameters), 0);
    download(c, dc, 9216);
    for (int i = 0; i < n * n; i++) {
        float sum = 0;
        for (int k = 0; k < n; k++)
            sum = fmaf(a[i / n * n + k], b[k * n + i % n], sum);
        if (!CHECK_REAL(c[i], sum))
            break;
    }
    free(a);
    free(b);
    free(c);
}

/* As kernels.cu has it. */
struct attention {
    CUdeviceptr q, k, v, out;
    long long keys;
    int dim;
    float scale;
    bool bfloat;
};

static uint16_t small_from(float x, bool bfloat)
{
    uint32_t bits;
    memcpy(&bits, &x, 4);
    if (bfloat)
        return (uint16_t)(bits >> 16);
    /* To half by cutting: normal numbers only. */
    return fabsf(x) < 0x1p-14f
               ? 0
               : (uint16_t)((bits >> 16 & 0x8000) | (((bits >> 13) - (112 << 10)) & 0x7fff));
}

static float small_to(uint16_t h, bool bfloat)
{
    uint32_t bits = (uint32_t)h << 16;
    float x;
    if (!bfloat)
        bits = h & 0x7fff
                   ? (uint32_t)(h & 0x8000) << 16 | ((uint32_t)(h & 0x7fff) + (112 << 10)) << 13
                   : 0;
    memcpy(&x, &bits, 4);
    return x;
}

/* A query's output, by the definition. */
static void attend(const float *q, const float *k, const float *v, int keys, int dim, double *out)
{
    double most = -INFINITY, all = 0, s[512];
    for (int j = 0; j < keys; j++) {
        s[j] = 0;
        for (int d = 0; d < dim; d++)
            s[j] += (double)q[d] * (double)k[j * dim + d];
        s[j] *= 0.125;
        most = fmax(most, s[j]);
    }
    memset(out, 0, (size_t)dim * sizeof *out);
    for (int j = 0; j < keys; j++) {
        double w = exp(s[j] - most);
        all += w;
        for (int d = 0; d < dim; d++)
            out[d] += w * (double)v[j * dim + d];
    }
    for (int d = 0; d < dim; d++)
        out[d] /= all;
}

static void check_attention(bool bfloat)
{
    enum { QUERIES = 3, KEYS = 77, DIM = 80 };
    float *q = reals(QUERIES * DIM), *k = reals(KEYS * DIM), *v = reals(KEYS * DIM);
    float out[QUERIES * DIM];
    uint16_t small_k[KEYS * DIM], small_v[KEYS * DIM];
    for (int i = 0; i < KEYS * DIM; i++) {
        small_k[i] = small_from(k[i], bfloat);
        small_v[i] = small_from(v[i], bfloat);
        k[i] = small_to(small_k[i], bfloat);
        v[i] = small_to(small_v[i], bfloat);
    }
    CUmodule m = module();
    struct attention p = {.q = calls_upload(q, QUERIES * DIM * 4),
                          .k = calls_upload(small_k, sizeof small_k),
                          .v = calls_upload(small_v, sizeof small_v),
                          .out = calls_upload(NULL, sizeof out),
                          .keys = KEYS,
                          .dim = DIM,
                          .scale = 0.125f,
                          .bfloat = bfloat};
    void *parameters[] = {&p};
    CHECK_UINT(
        calls_run(m, "attention", (unsigned[]){QUERIES, 1, 128, 1}, 4 * (DIM + 2) * 4, parameters),
        0);
    download(out, p.out, sizeof out);
    for (int i = 0; i < QUERIES; i++) {
        double wanted[DIM], worst = 0;
        attend(q + i * DIM, k, v, KEYS, DIM, wanted);
        for (int d = 0; d < DIM; d++)
            worst = fmax(worst, fabs(wanted[d] - (double)out[i * DIM + d]));
        CHECK(worst < 2e-6);
    }
    free(q);
    free(k);
    free(v);
}

TEST(attention_half)
{
    check_attention(false);
}

TEST(attention_bfloat)
{
    check_attention(true);
}

TEST(histogram)
{
    enum { N = 1000 };
    uint32_t in[N];
    int bins[4] = {0}, wanted[4] = {0}, n = N, count = 0;
    static const int weights[4] = {1, 10, 100, 1000};
    CUdeviceptr counter;
    size_t size;
    for (int i = 0; i < N; i++) {
        in[i] = (uint32_t)tap_random(&seed);
        wanted[in[i] & 3] += 2 * weights[in[i] & 3];
    }
    CUmodule m = module();
    CUdeviceptr di = calls_upload(in, sizeof in), d = calls_upload(bins, sizeof bins);
    void *parameters[] = {&di, &d, &n};
    CHECK_UINT(calls_run(m, "histogram", (unsigned[]){2, 1, 96, 1}, 0, parameters), 0);
    download(bins, d, sizeof bins);
    CHECK(memcmp(bins, wanted, sizeof bins) == 0);
    CHECK_UINT(CU(cuModuleGetGlobal_v2)(&counter, &size, m, "counter"), 0);
    CHECK_UINT(size, 4);
    download(&count, counter, 4);
    CHECK_UINT(count, 8);
}

static int steps(uint32_t n)
{
    int count = 0;
    for (; n != 1; n = n % 2 ? 3 * n + 1 : n / 2)
        if (++count > 300)
            return -1;
    return count;
}

TEST(diverge)
{
    enum { N = 150 };
    uint32_t in[N];
    int out[N], n = N;
    for (int i = 0; i < N; i++)
        in[i] = 1 + (uint32_t)(tap_random(&seed) >> 50);
    CUmodule m = module();
    CUdeviceptr di = calls_upload(in, sizeof in), d = calls_upload(NULL, sizeof out);
    void *parameters[] = {&di, &d, &n};
    CHECK_UINT(calls_run(m, "diverge", (unsigned[]){2, 1, 96, 1}, 0, parameters), 0);
    download(out, d, sizeof out);
    for (int i = 0; i < N; i++) {
        int count = steps(in[i]), kind = count & 3;
        for (int j = 0; kind == 2 && j < i % 7; j++)
            count += j * j;
        if (!CHECK(out[i] == (kind == 1 ? 2 * count : kind == 3 ? -count : count)))
            break;
    }
}

TEST(local_array)
{
    int in[32][16], out[32];
    for (int i = 0; i < 512; i++)
        in[i / 16][i % 16] = (int)(tap_random(&seed) >> 33);
    CUmodule m = module();
    CUdeviceptr di = calls_upload(in, sizeof in), d = calls_upload(NULL, sizeof out);
    void *parameters[] = {&di, &d};
    CHECK_UINT(calls_run(m, "local_array", (unsigned[]){1, 1, 32, 1}, 0, parameters), 0);
    download(out, d, sizeof out);
    for (int i = 0; i < 32; i++) {
        uint32_t sum = 0;
        for (int j = 0; j < 16; j++) {
            int to = in[i][j] & 15, old = in[i][to];
            in[i][to] = (int)((uint32_t)in[i][j] + 1);
            in[i][j] = old;
        }
        for (uint32_t j = 0; j < 16; j++)
            sum += (uint32_t)in[i][j] * (j + 1);
        CHECK(out[i] == (int)sum);
    }
}

static void integers(int64_t x, int64_t y, int64_t *o)
{
    int32_t s = (int32_t)x, t = (int32_t)y;
    uint32_t u = (uint32_t)x, v = (uint32_t)y;
    o[0] = (int64_t)((uint64_t)x * (uint64_t)y);
    o[1] = y ? x / y : 0;
    o[2] = y ? x % y : 0;
    o[3] = (int64_t)((uint64_t)x / ((uint64_t)y | 1));
    o[4] = t && !(t == -1 && s == INT32_MIN) ? s / t : 0;
    o[5] = (int32_t)(u % (v | 1));
    o[6] = (int64_t)((uint64_t)u * v >> 32);
    o[7] = s >> (v & 31);
    o[8] = (int16_t)s * (int16_t)t;
    o[9] = (int8_t)s + (uint8_t)t;
    o[10] = x < y ? (int64_t)((uint64_t)u << (v & 31)) : x >> (y & 63);
    o[11] = (int64_t)((u << 7 | u >> 25) ^ (uint32_t)(s < t ? s : t));
}

TEST(integers)
{
    int64_t a[64], b[64], out[64][12], wanted[12];
    for (int i = 0; i < 64; i++) {
        a[i] = (int64_t)tap_random(&seed) >> i % 60;
        b[i] = i % 9 == 0 ? i % 2 : (int64_t)tap_random(&seed) >> (i * 7) % 62;
    }
    CUmodule m = module();
    CUdeviceptr da = calls_upload(a, sizeof a), db = calls_upload(b, sizeof b);
    CUdeviceptr d = calls_upload(NULL, sizeof out);
    void *parameters[] = {&da, &db, &d};
    CHECK_UINT(calls_run(m, "integers", (unsigned[]){1, 1, 64, 1}, 0, parameters), 0);
    download(out, d, sizeof out);
    for (int i = 0; i < 64; i++) {
        integers(a[i], b[i], wanted);
        for (int n = 0; n < 12; n++)
            if (!CHECK(out[i][n] == wanted[n]))
                printf("# %jd, %jd: result %d is %jd, not %jd\n", (intmax_t)a[i], (intmax_t)b[i], n,
                       (intmax_t)out[i][n], (intmax_t)wanted[n]);
    }
}
