/* SPDX-License-Identifier: MIT */
/*
 * Attention with an online softmax (Milakov and Gimelshein 2018; Dao et al. 2022).  A block takes
 * the rows of one key/value head, in tiles, over a part of the keys, and leaves a partial result of
 * each row: the maximum m, the sum of exp(s - m), and the values so weighted.  tu_attention_combine
 * merges the partial results.  args.h says what a row is.
 *
 * What a row does not see has no influence: its scores are -inf, and where a tile has any such, its
 * values are left out, not multiplied by 0.  Sums of values start with -0, which adds nothing to
 * any number, not even to -0: a row that sees one key gets that value, bit for bit.
 */
#include "few.h"
#include "tile.h"

/* ---- Merging partial results ---- */

/* The maximum and sum of a row's partial results and its state. */
struct merged {
    float max, sum;
};

/* By all lanes of a warp, each with some of the partial results. */
TU_INLINE merged merge(const args &a, unsigned long long row, unsigned long long rows)
{
    unsigned int lane = tu_thread() % 32;
    merged m;
    m.max = a.first ? -TU_INFINITY : tu_load(a.state_max + 4 * row);
    m.sum = 0;
    for (unsigned int s = lane; s < a.splits; s += 32)
        m.max = tu_max(m.max, tu_load(a.partial_max + 4 * (s * rows + row)));
#pragma unroll
    for (int bit = 1; bit < 32; bit *= 2)
        m.max = tu_max(m.max, tu_across(m.max, bit));
    if (lane == 0 && !a.first)
        m.sum = tu_load(a.state_sum + 4 * row) * weight(tu_load(a.state_max + 4 * row), m.max);
    for (unsigned int s = lane; s < a.splits; s += 32)
        m.sum = tu_fma(tu_load(a.partial_sum + 4 * (s * rows + row)),
                       weight(tu_load(a.partial_max + 4 * (s * rows + row)), m.max), m.sum);
#pragma unroll
    for (int bit = 1; bit < 32; bit *= 2)
        m.sum += tu_across(m.sum, bit);
    return m;
}

enum { ROUND = 8 }; /* partial results that are loaded at a time */

/* Four of a row's values, from every `step`th partial result. */
TU_INLINE float4 merge_values(const args &a, unsigned long long row, unsigned long long rows,
                              unsigned int element, float max, unsigned int from, unsigned int step)
{
    float4 sum = tu_float4(-0.0f, -0.0f, -0.0f, -0.0f);
    if (from == 0 && !a.first)
        sum = add_value<false>(sum, weight(tu_load(a.state_max + 4 * row), max),
                               tu_load4(a.state_values + 4 * (row * a.value_dim + element)));
    for (unsigned int s = from; s < a.splits; s += ROUND * step) {
        float max_of[ROUND];
        float4 values[ROUND];
        /* All loads first, so that they wait for the memory together. */
#pragma unroll
        for (int i = 0; i < ROUND; i++) {
            unsigned long long at = (s + i * step) * rows + row;
            bool there = s + i * step < a.splits;
            max_of[i] = -TU_INFINITY;
            values[i] = tu_float4(-0.0f, -0.0f, -0.0f, -0.0f);
            if (there)
                max_of[i] = tu_load(a.partial_max + 4 * at);
            if (there)
                values[i] = tu_load4(a.partial_values + 4 * (at * a.value_dim + element));
        }
#pragma unroll
        for (int i = 0; i < ROUND; i++)
            sum = add_value<false>(sum, weight(max_of[i], max), values[i]);
    }
    return sum;
}

/* The sum of what the warps have, for the first of them. */
TU_INLINE float4 add_warps(float4 value)
{
    unsigned int lane = tu_thread() % 32;
    tu_shared[tu_thread()] = value;
    tu_block_barrier();
#pragma unroll
    for (int w = 1; w < WARPS; w++)
        value = add_value<false>(value, 1, tu_shared[32 * w + lane]);
    tu_block_barrier();
    return value;
}

/* What makes the output of the values, once there are no more keys. */
struct ending {
    merged all; /* with the sink */
    float scale;
};

TU_INLINE ending finish_row(const args &a, unsigned long long row, merged m)
{
    ending e;
    e.all = m;
    e.scale = 1;
    if (a.sinks) {
        float sink = tu_load(a.sinks + 4 * (row % a.heads));
        e.all.max = tu_max(m.max, sink);
        e.scale = weight(m.max, e.all.max);
        e.all.sum = m.sum * e.scale + weight(sink, e.all.max);
    }
    return e;
}

TU_INLINE void put_values(const args &a, unsigned long long row, unsigned int element, float4 v,
                          merged m, ending e)
{
    unsigned long long at = 4 * (row * a.value_dim + element);
    if (!a.last)
        tu_store4(a.state_values + at, v);
    else if (m.sum == 0) /* no key was seen: sinks have no values */
        tu_store4(a.out + at, tu_float4(0, 0, 0, 0));
    else
        tu_store4(a.out + at, tu_float4(v.x * e.scale / e.all.sum, v.y * e.scale / e.all.sum,
                                        v.z * e.scale / e.all.sum, v.w * e.scale / e.all.sum));
}

/* A row for each TEAM of warps. */
template <int TEAM> TU_INLINE void combine(const args &a)
{
    unsigned long long rows = all_rows(a);
    unsigned int warp = tu_thread() / 32, member = warp % TEAM;
    unsigned long long row = (unsigned long long)tu_block() * (WARPS / TEAM) + warp / TEAM;
    if (row >= rows) /* never some warps of a team */
        return;
    merged m = merge(a, row, rows);
    ending e;
    e.all = m;
    if (a.last)
        e = finish_row(a, row, m);
    for (unsigned int base = 0; base < a.value_dim; base += 128) {
        unsigned int element = base + 4 * (tu_thread() % 32);
        float4 v = tu_float4(-0.0f, -0.0f, -0.0f, -0.0f);
        if (element < a.value_dim)
            v = merge_values(a, row, rows, element, m.max, member, TEAM);
        if (TEAM > 1)
            v = add_warps(v);
        if (member == 0 && element < a.value_dim)
            put_values(a, row, element, v, m, e);
    }
    /* Nobody reads the state any more: not even the other warps of a team. */
    if (TEAM == 1)
        tu_warp_barrier();
    if (member == 0 && tu_thread() % 32 == 0) {
        tu_store(a.state_max + 4 * row, e.all.max);
        tu_store(a.state_sum + 4 * row, e.all.sum);
    }
}

extern "C" __global__ void TU_BOUNDS(THREADS, 1) tu_attention_combine(args a)
{
    combine<1>(a);
}

/* For many partial results of few rows. */
extern "C" __global__ void TU_BOUNDS(THREADS, 1) tu_attention_combine_many(args a)
{
    combine<WARPS>(a);
}

/* ---- Entries: tu_attention_<rows of a tile>_<type>, tu_attention_few<rows>_<dim>_<type>,
 * tu_attention_stages_<type> ---- */

#define TILE_ENTRY(rows, type, rm, values)                                                         \
    extern "C" __global__ void TU_BOUNDS(THREADS, 2) tu_attention_##rows##_##type(args a)          \
    {                                                                                              \
        attend<tu_##type, rm, values>(a);                                                          \
    }
#define STAGES_ENTRY(type)                                                                         \
    extern "C" __global__ void TU_BOUNDS(THREADS, 2) tu_attention_stages_##type(args a)            \
    {                                                                                              \
        show_stages<tu_##type, 2>(a);                                                              \
    }
/* dim: the most elements of a key or a value. */
#define FEW_ENTRY(rows, dim, type)                                                                 \
    extern "C" __global__ void TU_BOUNDS(THREADS, 2)                                               \
        tu_attention_few##rows##_##dim##_##type(args a)                                            \
    {                                                                                              \
        attend_few<tu_##type, rows, dim / LANE_ELEMENTS>(a);                                       \
    }
#define FEW_ENTRIES(rows, type)                                                                    \
    FEW_ENTRY(rows, 64, type)                                                                      \
    FEW_ENTRY(rows, 128, type)                                                                     \
    FEW_ENTRY(rows, 256, type)
#define ENTRIES(type) NAMED_ENTRIES(type)
#define NAMED_ENTRIES(type)                                                                        \
    TILE_ENTRY(16, type, 1, TU_CUDA_MAX_DIM / 32)                                                  \
    TILE_ENTRY(32, type, 2, TU_CUDA_MAX_DIM / 32)                                                  \
    TILE_ENTRY(64, type, 4, TU_CUDA_MAX_NARROW_DIM / 32)                                           \
    STAGES_ENTRY(type)                                                                             \
    FEW_ENTRIES(1, type)                                                                           \
    FEW_ENTRIES(4, type)                                                                           \
    FEW_ENTRIES(8, type)

/* TU_TYPE: just one of them, so that the driver has less to compile. */
#ifdef TU_TYPE
ENTRIES(TU_TYPE)
#else
ENTRIES(f32)
ENTRIES(f16)
ENTRIES(bf16)
#endif
