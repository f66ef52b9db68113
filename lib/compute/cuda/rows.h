/* SPDX-License-Identifier: MIT */
/* What all kernels share: where a block is, what a row sees, and its scores. */
#ifndef TU_CUDA_ROWS_H
#define TU_CUDA_ROWS_H

#include "args.h"
#include "device.h"

typedef struct tu_cuda_attention args;

enum {
    TILE = TU_CUDA_TILE_KEYS,
    CHUNK = TU_CUDA_CHUNK,
    CHUNK_STRIDE = TU_CUDA_CHUNK_STRIDE,   /* 4 modulo 32: eight rows of it fill the banks once */
    WEIGHT_STRIDE = TU_CUDA_WEIGHT_STRIDE, /* 8 modulo 32: so do four rows of eight weights */
    THREADS = TU_CUDA_THREADS,
    WARPS = TU_CUDA_WARPS,
};

#define LOG2_E 1.44269504f
/* The mark of a weight whose key is not seen. */
#define UNSEEN -1.0f

extern __shared__ float4 tu_shared[];

/* ---- Where a block and a row are ---- */

struct place {
    unsigned int batch, kv_head, tile, split;
};

TU_INLINE place block_place(const args &a)
{
    place p;
    unsigned int rest = tu_block();
    p.split = rest % a.splits;
    rest /= a.splits;
    /* Backwards: with a causal mask, the last rows have the most to do. */
    p.tile = a.row_tiles - 1 - rest % a.row_tiles;
    rest /= a.row_tiles;
    p.kv_head = rest % a.kv_heads;
    p.batch = rest / a.kv_heads;
    return p;
}

struct row {
    unsigned int query, head;
    unsigned long long index; /* in the launch */
    bool real;                /* not a copy of the last row that fills a tile */
};

TU_INLINE row find_row(const args &a, const place &p, unsigned int number)
{
    row r;
    unsigned int rows = a.queries * a.group;
    r.real = number < rows;
    number = r.real ? number : rows - 1;
    r.query = number / a.group;
#ifdef TU_FAULT_HEAD_MAPPING
    r.head = number % a.group * a.kv_heads + p.kv_head;
#else
    r.head = p.kv_head * a.group + number % a.group;
#endif
    r.index = ((unsigned long long)p.batch * a.queries + r.query) * a.heads + r.head;
    return r;
}

TU_INLINE unsigned long long all_rows(const args &a)
{
    return (unsigned long long)a.batches * a.queries * a.heads;
}

/* Keys from..to-1 of the launch. */
struct span {
    long long from, to;
};

TU_INLINE long long least(long long a, long long b)
{
    return a < b ? a : b;
}

TU_INLINE long long greatest(long long a, long long b)
{
    return a > b ? a : b;
}

/* What a query sees, masks aside. */
TU_INLINE span sight(const args &a, unsigned int query)
{
    long long p = a.position + query;
#ifdef TU_FAULT_CAUSAL
    p += 1;
#endif
    span s;
    s.from = a.window ? greatest(0, p - a.window + 1) : 0;
    s.to = a.causal ? least(a.keys, p + 1) : a.keys;
    return s;
}

/* The block's part of the keys that some query of first..last sees. */
TU_INLINE span block_part(const args &a, unsigned int split, unsigned int first, unsigned int last)
{
    span s;
    s.from = sight(a, first).from;
    s.to = sight(a, last).to;
    long long tiles = s.to > s.from ? (s.to - s.from + TILE - 1) / TILE : 0;
    long long part = (tiles + a.splits - 1) / a.splits * TILE;
    s.from += split * part;
    s.to = least(s.to, s.from + part);
    return s;
}

/* ---- Scores ---- */

/* To 2 units in the last place: a polynomial near 0, where 1 - 2 / (exp(2x) + 1) would cancel. */
TU_INLINE float hyperbolic_tangent(float x)
{
    float size = __builtin_fabsf(x), square = x * x;
    if (size < 0.6f) {
        float sum = -0.006269119679927826f;
        sum = tu_fma(sum, square, 0.021110959351062775f);
        sum = tu_fma(sum, square, -0.053873948752880096f);
        sum = tu_fma(sum, square, 0.13332915306091309f);
        sum = tu_fma(sum, square, -0.3333333134651184f);
        return tu_fma(sum * square, x, x);
    }
    float result = 1.0f - 2.0f / (tu_exp2(size * (2 * LOG2_E)) + 1.0f);
    return __builtin_copysignf(result, x);
}

/* The score of a dot product; the mask comes later. */
TU_INLINE float capped_score(const args &a, float dot)
{
#ifdef TU_FAULT_SCALE
    float score = dot * a.scale * 1.0625f;
#else
    float score = dot * a.scale;
#endif
    return a.soft_cap != 0 ? a.soft_cap * hyperbolic_tangent(score * a.soft_cap_inverse) : score;
}

TU_INLINE float slope_of(const args &a, const row &r)
{
    return a.slopes ? tu_load(a.slopes + 4ull * r.head) : 0;
}

/* slope * (j - p) more. */
TU_INLINE float sloped_score(const args &a, const row &r, float slope, unsigned int key,
                             float score)
{
    long long distance = (long long)key - (a.position + r.query);
    return a.slopes ? tu_fma(slope, (float)distance, score) : score;
}

TU_INLINE float mask_at(const args &a, const row &r, unsigned int key)
{
    unsigned long long head = a.mask_heads > 1 ? r.head : 0;
    return tu_load(a.mask + 4 * ((head * a.queries + r.query) * a.keys + key));
}

/* exp(score - max), where max is no less, or -inf when there was nothing yet. */
TU_INLINE float weight(float score, float max)
{
    return tu_exp2((score - (max == -TU_INFINITY ? 0 : max)) * LOG2_E);
}

/* ---- Values ---- */

/* sum + w * v, or with GUARDED just the sum where w says that v is not seen. */
template <bool GUARDED> TU_INLINE float4 add_value(float4 sum, float w, float4 v)
{
    bool seen = !GUARDED || !(w < 0); /* a weight may be NaN */
    return tu_float4(seen ? tu_fma(w, v.x, sum.x) : sum.x, seen ? tu_fma(w, v.y, sum.y) : sum.y,
                     seen ? tu_fma(w, v.z, sum.z) : sum.z, seen ? tu_fma(w, v.w, sum.w) : sum.w);
}

/* The keys, or values, of one head. */
struct column {
    tu_address base;
    unsigned long long stride; /* bytes from key to key */
    unsigned int dim;
};

template <class T>
TU_INLINE column head_column(const args &a, const place &p, tu_address base, unsigned int dim)
{
    column c;
    c.stride = (unsigned long long)a.kv_heads * dim * T::bytes;
    c.base = base + (unsigned long long)p.batch * a.keys * c.stride +
             (unsigned long long)p.kv_head * dim * T::bytes;
    c.dim = dim;
    return c;
}

#endif
