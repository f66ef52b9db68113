/* SPDX-License-Identifier: MIT */
/* Kernels that are right; check.c computes on the host what they ought to give. */
#include "kernels.h"

KERNEL vector_add(const float *a, const float *b, float *c, int n)
{
    int i = block() * threads() + thread();
    if (i < n)
        c[i] = a[i] + b[i];
}

/* One number a block: lanes by shuffles, warps by shared memory. */
KERNEL reduce(const float *in, float *out, int n)
{
    __shared__ float sums[32];
    float sum = 0;
    for (int i = thread(); i < n; i += threads())
        sum += in[block() * n + i];
    for (int by = 16; by; by /= 2)
        sum += shuffle_xor(sum, by);
    if (lane() == 0)
        sums[thread() / 32] = sum;
    barrier();
    if (thread() == 0) {
        float total = 0;
        for (int w = 0; w < threads() / 32; w++)
            total += sums[w];
        out[block()] = total;
    }
}

/* A tile of 16 x 16 for each block. */
KERNEL matmul(const float *a, const float *b, float *c, int n)
{
    __shared__ float left[16][16], right[16][17];
    int x = thread(), y = thread_y(), row = block_y() * 16 + y, column = block() * 16 + x;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        left[y][x] = a[row * n + k + x];
        right[y][x] = b[(k + y) * n + column];
        barrier();
        for (int j = 0; j < 16; j++)
            sum = __builtin_fmaf(left[y][j], right[j][x], sum);
        barrier();
    }
    c[row * n + column] = sum;
}

struct attention {
    const float *q;
    const void *k, *v;
    float *out;
    long long keys;
    int dim;
    float scale;
    bool bfloat;
};

static __device__ inline float load(const void *p, long long i, bool bfloat)
{
    unsigned short h = ((const unsigned short *)p)[i];
    return bfloat ? from_bfloat(h) : from_half(h);
}

/* A block for each query, its warps share the keys, its lanes the dimensions: online softmax. */
KERNEL attention(struct attention p)
{
    extern __shared__ float memory[]; /* of each warp: maximum, sum, accumulator */
    int warps = threads() / 32, warp = thread() / 32, stride = p.dim + 2;
    float m = -__builtin_huge_valf(), l = 0, acc[4] = {0, 0, 0, 0};
    const float *q = p.q + (long long)block() * p.dim;
    for (long long j = warp; j < p.keys; j += warps) {
        float s = 0;
        for (int d = lane(); d < p.dim; d += 32)
            s += q[d] * load(p.k, j * p.dim + d, p.bfloat);
        for (int by = 16; by; by /= 2)
            s += shuffle_xor(s, by);
        s *= p.scale * 1.44269504088896f;
        float before = m;
        m = s > m ? s : m;
        float shrink = exp2_approx(before - m), w = exp2_approx(s - m);
        l = l * shrink + w;
        for (int e = 0; e < 4; e++)
            if (lane() + 32 * e < p.dim)
                acc[e] = acc[e] * shrink + w * load(p.v, j * p.dim + lane() + 32 * e, p.bfloat);
    }
    float *mine = memory + warp * stride;
    if (lane() == 0) {
        mine[0] = m;
        mine[1] = l;
    }
    for (int e = 0; e < 4; e++)
        if (lane() + 32 * e < p.dim)
            mine[2 + lane() + 32 * e] = acc[e];
    barrier();
    float most = -__builtin_huge_valf();
    for (int w = 0; w < warps; w++)
        most = memory[w * stride] > most ? memory[w * stride] : most;
    for (int d = thread(); d < p.dim; d += threads()) {
        float sum = 0, all = 0;
        for (int w = 0; w < warps; w++) {
            float part = exp2_approx(memory[w * stride] - most);
            all += part * memory[w * stride + 1];
            sum += part * memory[w * stride + 2 + d];
        }
        p.out[(long long)block() * p.dim + d] = sum / all;
    }
}

__device__ int counter;
__constant__ int weights[4] = {1, 10, 100, 1000};

/* Every thread counts itself: in shared memory, and then all together. */
KERNEL histogram(const unsigned *in, int *bins, int n)
{
    __shared__ int mine[4];
    if (thread() < 4)
        mine[thread()] = 0;
    barrier();
    for (int i = thread(); i < n; i += threads()) {
        int old;
        asm volatile("{ .reg .u64 a; cvta.to.shared.u64 a, %1; atom.shared.add.u32 %0, [a], 1; }"
                     : "=r"(old)
                     : "l"(mine + (in[i] & 3))
                     : "memory");
    }
    barrier();
    if (thread() < 4) {
        int old;
        asm volatile("red.global.add.s32 [%0], %1;" ::"l"(bins + thread()),
                     "r"(mine[thread()] * weights[thread()])
                     : "memory");
        asm volatile("atom.add.u32 %0, [%1], 1;" : "=r"(old) : "l"(&counter) : "memory");
    }
}

static NEVER_INLINE __device__ int steps(unsigned n)
{
    int count = 0;
    while (n != 1) {
        n = n % 2 ? 3 * n + 1 : n / 2;
        count++;
        if (count > 300)
            return -1;
    }
    return count;
}

/* Lanes part in many ways: loops of different lengths, a switch, returns before the end. */
KERNEL diverge(const unsigned *in, int *out, int n)
{
    int i = block() * threads() + thread();
    if (i >= n)
        return;
    int count = steps(in[i]);
    switch (count & 3) {
    case 0:
        out[i] = count;
        return;
    case 1:
        count *= 2;
        break;
    case 2:
        for (int j = 0; j < i % 7; j++)
            count += j * j;
        break;
    default:
        count = -count;
    }
    barrier();
    out[i] = count;
}

/* Which element of an array is wanted is known only at run time: it lies in local memory. */
KERNEL local_array(const int *in, int *out)
{
    int a[16];
    for (int j = 0; j < 16; j++)
        a[j] = in[thread() * 16 + j];
    for (int j = 0; j < 16; j++) {
        int to = a[j] & 15, old = a[to];
        a[to] = a[j] + 1;
        a[j] = old;
    }
    int sum = 0;
    for (int j = 0; j < 16; j++)
        sum += a[j] * (j + 1);
    out[thread()] = sum;
}

KERNEL integers(const long long *a, const long long *b, long long *out)
{
    long long x = a[thread()], y = b[thread()], *o = out + thread() * 12;
    int s = (int)x, t = (int)y;
    unsigned u = (unsigned)x, v = (unsigned)y;
    o[0] = x * y;
    o[1] = y ? x / y : 0;
    o[2] = y ? x % y : 0;
    o[3] = (long long)((unsigned long long)x / ((unsigned long long)y | 1));
    o[4] = t && !(t == -1 && s == -2147483647 - 1) ? s / t : 0;
    o[5] = (int)(u % (v | 1));
    o[6] = (long long)(((unsigned long long)u * v) >> 32);
    o[7] = s >> (v & 31);
    o[8] = (short)s * (short)t;
    o[9] = (signed char)s + (unsigned char)t;
    o[10] = x < y ? (long long)u << (v & 31) : x >> (y & 63);
    o[11] = (u << 7 | u >> 25) ^ (s < t ? s : t);
}
