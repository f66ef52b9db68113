/* SPDX-License-Identifier: MIT */
/*
 * Attention of few rows, as a step of decoding has: what counts is to read the cache once, at the
 * speed of the memory.  Each warp takes keys of its own, straight from device memory into
 * registers, so that no warp waits for another before the end.
 *
 * A warp is cut into groups of LANES lanes.  Each group takes GROUP_KEYS keys at a time, each of
 * its lanes 8 elements of them: one piece of 16 bytes, or two that are LANES pieces apart.
 */
#ifndef TU_CUDA_FEW_H
#define TU_CUDA_FEW_H

#include "rows.h"

enum { GROUP_KEYS = 4, LANE_ELEMENTS = 8 };

template <int ROWS, int LANES> struct few {
    enum {
        groups = 32 / LANES,
        warp_keys = groups * GROUP_KEYS, /* at a time */
        products = ROWS * GROUP_KEYS,    /* of a group */
        /* Once they are summed up, a lane has so many of them: of one row, keys that follow ... */
        scores = products > LANES ? products / LANES : 1,
        /* ... and so many lanes have the same. */
        copies = products < LANES ? LANES / products : 1,
        row_lanes = LANES / ROWS, /* lanes of a group with the same row */
    };
    float values[ROWS][LANE_ELEMENTS];
    float max, sum; /* of the lane's row; sum: of the lane's scores */
};

/* Shared memory: the queries, [row][piece][lane][4]; for each warp, the weights [key][row] and the
 * factors [row]; at the end, maxima, sums and values of all warps. */
struct few_rooms {
    float *queries, *weights, *factors, *max, *sum, *values;
};

template <int ROWS, int LANES> TU_INLINE few_rooms find_few_rooms(void)
{
    enum { warp_keys = few<ROWS, LANES>::warp_keys };
    unsigned int warp = tu_thread() / 32;
    few_rooms r;
    r.queries = (float *)tu_shared;
    r.values = r.queries + ROWS * LANES * LANE_ELEMENTS;
    float *rest = r.values + WARPS * ROWS * LANES * LANE_ELEMENTS;
    r.weights = rest + warp * warp_keys * ROWS;
    rest += WARPS * warp_keys * ROWS;
    r.factors = rest + warp * ROWS;
    r.max = rest + WARPS * ROWS;
    r.sum = r.max + WARPS * ROWS;
    return r;
}

/* The first of four elements: part 0 or 1 of a lane's. */
template <class T, int LANES> TU_INLINE unsigned int part_element(unsigned int lane, int part)
{
    return T::elements == LANE_ELEMENTS ? LANE_ELEMENTS * lane + 4 * part
                                        : 4 * (lane + LANES * part);
}

template <class T, int ROWS, int LANES>
TU_INLINE void load_few_queries(const args &a, const place &p, float *queries)
{
    for (unsigned int i = tu_thread(); i < ROWS * 2 * LANES; i += THREADS) {
        unsigned int number = i / (2 * LANES), part = i / LANES % 2, lane = i % LANES;
        unsigned int element = part_element<T, LANES>(lane, part);
        row r = find_row(a, p, p.tile * ROWS + number);
        float4 q = tu_float4(0, 0, 0, 0);
        if (r.real && element < a.head_dim)
            q = tu_load4(a.q + 4 * (r.index * a.head_dim + element));
        *(float4 *)(queries + 4 * i) = q;
    }
}

/* A lane's pieces of keys, or values. */
template <class T> struct pieces {
    enum { count = LANE_ELEMENTS / T::elements };
    uint4 raw[GROUP_KEYS][count];
};

template <class T, int LANES>
TU_INLINE void fetch_pieces(pieces<T> &p, const column &from, long long key, long long end)
{
    unsigned int lane = tu_thread() % LANES;
    tu_address at = from.base + key * from.stride + lane * 16;
#pragma unroll
    for (int k = 0; k < GROUP_KEYS; k++, at += from.stride)
#pragma unroll
        for (int i = 0; i < pieces<T>::count; i++) {
            uint4 none = {0, 0, 0, 0};
            p.raw[k][i] = none;
            if (key + k < end && (lane + LANES * i) * T::elements < from.dim)
                p.raw[k][i] = tu_load_bytes(at + LANES * i * 16);
        }
}

template <class T> TU_INLINE void decode_pieces(const uint4 *raw, float *out)
{
#pragma unroll
    for (int i = 0; i < pieces<T>::count; i++)
        T::decode(raw[i], out + i * T::elements);
}

/* The lane's part of each dot product. */
template <class T, int ROWS, int LANES>
TU_INLINE void multiply_pieces(float *products, const pieces<T> &p, const float *queries)
{
    float k[GROUP_KEYS][LANE_ELEMENTS];
    const float *lane_queries = queries + 4 * (tu_thread() % LANES);
#pragma unroll
    for (int j = 0; j < GROUP_KEYS; j++)
        decode_pieces<T>(p.raw[j], k[j]);
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
        float4 q0 = *(const float4 *)(lane_queries + 2 * i * LANES * 4);
        float4 q1 = *(const float4 *)(lane_queries + (2 * i + 1) * LANES * 4);
#pragma unroll
        for (int j = 0; j < GROUP_KEYS; j++) {
            float sum = q0.x * k[j][0];
            sum = tu_fma(q0.y, k[j][1], sum);
            sum = tu_fma(q0.z, k[j][2], sum);
            sum = tu_fma(q0.w, k[j][3], sum);
            sum = tu_fma(q1.x, k[j][4], sum);
            sum = tu_fma(q1.y, k[j][5], sum);
            sum = tu_fma(q1.z, k[j][6], sum);
            products[i * GROUP_KEYS + j] = tu_fma(q1.w, k[j][7], sum);
        }
    }
}

/*
 * Sums over the lanes of a group.  Lanes that differ in BIT halve the sums among them as long as
 * there are more than one: in the end each lane has few::scores of them, lane 0 the first.
 */
template <int COUNT, int BIT> struct summing {
    TU_MEMBER void run(float *sums)
    {
        bool upper = tu_thread() & BIT;
#pragma unroll
        for (int i = 0; i < COUNT / 2; i++) {
            float low = sums[i], high = sums[i + COUNT / 2];
            sums[i] = tu_either(upper, high, low) + tu_across(tu_either(upper, low, high), BIT);
        }
        summing<COUNT / 2, BIT / 2>::run(sums);
    }
};

template <int BIT> struct summing<1, BIT> {
    TU_MEMBER void run(float *sums)
    {
        sums[0] += tu_across(sums[0], BIT);
        summing<1, BIT / 2>::run(sums);
    }
};

template <int COUNT> struct summing<COUNT, 0> {
    TU_MEMBER void run(float *)
    {
    }
};

template <> struct summing<1, 0> {
    TU_MEMBER void run(float *)
    {
    }
};

/* The number of the lane's first sum among those of its group: row * GROUP_KEYS + key. */
template <int ROWS, int LANES> TU_INLINE unsigned int first_sum(void)
{
    typedef few<ROWS, LANES> state;
    return tu_thread() % LANES / state::copies * state::scores;
}

template <int ROWS, int LANES> TU_INLINE float row_max(float value)
{
#pragma unroll
    for (int bit = 1; bit < 32; bit *= 2)
        if (bit < few<ROWS, LANES>::row_lanes || bit >= LANES)
            value = tu_max(value, tu_across(value, bit));
    return value;
}

template <int ROWS, int LANES> TU_INLINE float row_sum(float value)
{
#pragma unroll
    for (int bit = 1; bit < 32; bit *= 2)
        if (bit < few<ROWS, LANES>::row_lanes || bit >= LANES)
            value += tu_across(value, bit);
    return value;
}

/* Finishes the lane's scores; returns a bit for each that is seen. */
template <int ROWS, int LANES>
TU_INLINE unsigned int finish_few(float *scores, const args &a, const row &r, float slope,
                                  span sight, long long key, bool whole)
{
    unsigned int seen = 0;
#pragma unroll
    for (int j = 0; j < few<ROWS, LANES>::scores; j++) {
        scores[j] = sloped_score(a, r, slope, (unsigned int)(key + j), capped_score(a, scores[j]));
        bool sees = whole || (key + j >= sight.from && key + j < sight.to);
        if (sees && a.mask) {
            float mask = mask_at(a, r, (unsigned int)(key + j));
            scores[j] += mask;
            sees = mask != -TU_INFINITY;
        }
        seen |= sees ? 1u << j : 0;
    }
    return seen;
}

/* Scores to weights, in shared memory; what there is so far is scaled to the new maxima. */
template <int ROWS, int LANES>
TU_INLINE void weigh_few(few<ROWS, LANES> &t, const float *scores, unsigned int seen,
                         const few_rooms &room)
{
    typedef few<ROWS, LANES> state;
    unsigned int lane = tu_thread() % 32, first = first_sum<ROWS, LANES>();
    unsigned int number = first / GROUP_KEYS, key = lane / LANES * GROUP_KEYS + first % GROUP_KEYS;
    float max = t.max;
#pragma unroll
    for (int j = 0; j < state::scores; j++)
        max = seen >> j & 1 ? tu_max(max, scores[j]) : max;
    max = row_max<ROWS, LANES>(max);
    float factor = weight(t.max, max);
    t.max = max;
    t.sum *= factor;
#pragma unroll
    for (int j = 0; j < state::scores; j++) {
        bool sees = seen >> j & 1, counts = sees && lane % state::copies == 0;
        float w = sees ? weight(scores[j], max) : UNSEEN;
        t.sum += counts ? w : 0;
        if (lane % state::copies == 0)
            room.weights[(key + j) * ROWS + number] = w;
    }
    if (lane < LANES && lane % state::row_lanes == 0)
        room.factors[number] = factor;
    tu_warp_barrier();
    if (!tu_any(factor != 1))
        return;
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int e = 0; e < LANE_ELEMENTS; e++)
            t.values[i][e] *= room.factors[i];
}

template <bool GUARDED, class T, int ROWS, int LANES>
TU_INLINE void add_pieces(few<ROWS, LANES> &t, const pieces<T> &p, const float *weights)
{
    const float *group_weights = weights + tu_thread() % 32 / LANES * GROUP_KEYS * ROWS;
#pragma unroll
    for (int k = 0; k < GROUP_KEYS; k++) {
        float v[LANE_ELEMENTS];
        decode_pieces<T>(p.raw[k], v);
#pragma unroll
        for (int i = 0; i < ROWS; i++) {
            float w = group_weights[k * ROWS + i];
            bool seen = !GUARDED || !(w < 0);
#pragma unroll
            for (int e = 0; e < LANE_ELEMENTS; e++)
                t.values[i][e] = seen ? tu_fma(w, v[e], t.values[i][e]) : t.values[i][e];
        }
    }
}

/* The warp's results, to shared memory. */
template <int ROWS, int LANES> TU_INLINE void put_warp(few<ROWS, LANES> &t, const few_rooms &room)
{
    typedef few<ROWS, LANES> state;
    unsigned int lane = tu_thread() % 32, warp = tu_thread() / 32;
    unsigned int number = first_sum<ROWS, LANES>() / GROUP_KEYS;
    float sum = row_sum<ROWS, LANES>(t.sum);
    if (lane < LANES && lane % state::row_lanes == 0) {
        room.max[warp * ROWS + number] = t.max;
        room.sum[warp * ROWS + number] = sum;
    }
#pragma unroll
    for (int i = 0; i < ROWS; i++) {
#pragma unroll
        for (int e = 0; e < LANE_ELEMENTS; e++)
#pragma unroll
            for (int bit = LANES; bit < 32; bit *= 2)
                t.values[i][e] += tu_across(t.values[i][e], bit);
        if (lane >= LANES)
            continue;
        float *to = room.values + ((warp * ROWS + i) * 2 * LANES + lane) * 4;
        const float *v = t.values[i];
        *(float4 *)to = tu_float4(v[0], v[1], v[2], v[3]);
        *(float4 *)(to + 4 * LANES) = tu_float4(v[4], v[5], v[6], v[7]);
    }
}

/* Merges the warps' results: the block's partial results. */
template <class T, int ROWS, int LANES>
TU_INLINE void put_few(const args &a, const place &p, const few_rooms &room)
{
    for (unsigned int i = tu_thread(); i < ROWS * 2 * LANES; i += THREADS) {
        unsigned int number = i / (2 * LANES);
        unsigned int element = part_element<T, LANES>(i % LANES, i / LANES % 2);
        row r = find_row(a, p, p.tile * ROWS + number);
        if (!r.real)
            continue;
        unsigned long long at = p.split * all_rows(a) + r.index;
        float max = -TU_INFINITY, sum = 0;
        float4 values = tu_float4(-0.0f, -0.0f, -0.0f, -0.0f);
#pragma unroll
        for (int w = 0; w < WARPS; w++)
            max = tu_max(max, room.max[w * ROWS + number]);
#pragma unroll
        for (int w = 0; w < WARPS; w++) {
            float factor = weight(room.max[w * ROWS + number], max);
            sum = tu_fma(room.sum[w * ROWS + number], factor, sum);
            values = add_value<false>(
                values, factor, *(const float4 *)(room.values + 4 * (w * ROWS * 2 * LANES + i)));
        }
        if (element < a.value_dim)
            tu_store4(a.partial_values + 4 * (at * a.value_dim + element), values);
        if (element == 0) {
            tu_store(a.partial_max + 4 * at, max);
            tu_store(a.partial_sum + 4 * at, sum);
        }
    }
}

template <int ROWS, int LANES> TU_INLINE void clear_few(few<ROWS, LANES> &t)
{
    t.max = -TU_INFINITY;
    t.sum = 0;
#pragma unroll
    for (int i = 0; i < ROWS; i++)
#pragma unroll
        for (int e = 0; e < LANE_ELEMENTS; e++)
            t.values[i][e] = -0.0f;
}

/* ROWS rows, or fewer, against a part of the keys. */
template <class T, int ROWS, int LANES> TU_INLINE void attend_few(const args &a)
{
    typedef few<ROWS, LANES> state;
    enum { block_keys = WARPS * state::warp_keys };
    place p = block_place(a);
    few_rooms room = find_few_rooms<ROWS, LANES>();
    unsigned int first_query = find_row(a, p, p.tile * ROWS).query;
    unsigned int last_query = find_row(a, p, p.tile * ROWS + ROWS - 1).query;
    span part = block_part(a, p.split, first_query, last_query);
    column keys = head_column<T>(a, p, a.k, a.head_dim);
    column values = head_column<T>(a, p, a.v, a.value_dim);
    unsigned int group =
        tu_thread() / LANES * GROUP_KEYS; /* of the block's keys, the group's first */
    unsigned int first = first_sum<ROWS, LANES>();
    row r = find_row(a, p, p.tile * ROWS + first / GROUP_KEYS);
    float slope = slope_of(a, r);
    span seen = sight(a, r.query), all = sight(a, first_query);
    seen.to = least(seen.to, part.to);
    all.from = sight(a, last_query).from;
    all.to = least(all.to, part.to);

    state t;
    clear_few(t);
    load_few_queries<T, ROWS, LANES>(a, p, room.queries);
    tu_block_barrier();
    pieces<T> k, v;
    fetch_pieces<T, LANES>(k, keys, part.from + group, part.to);
    /* A warp's keys end together: its lanes stay together. */
    long long warp = tu_thread() / 32 * state::warp_keys;
    for (long long key = part.from; key + warp < part.to; key += block_keys) {
        float products[state::products];
        fetch_pieces<T, LANES>(v, values, key + group, part.to);
        multiply_pieces<T, ROWS, LANES>(products, k, room.queries);
        fetch_pieces<T, LANES>(k, keys, key + block_keys + group, part.to);
        summing<state::products, LANES / 2>::run(products);
        bool whole = key + warp >= all.from && key + warp + state::warp_keys <= all.to;
        unsigned int sees = finish_few<ROWS, LANES>(products, a, r, slope, seen,
                                                    key + group + first % GROUP_KEYS, whole);
        tu_warp_barrier(); /* the weights before these have been read */
        weigh_few(t, products, sees, room);
        if (tu_any(sees != (1u << state::scores) - 1))
            add_pieces<true, T>(t, v, room.weights);
        else
            add_pieces<false, T>(t, v, room.weights);
    }
    put_warp(t, room);
#ifndef TU_FAULT_BARRIER
    tu_block_barrier();
#endif
    put_few<T, ROWS, LANES>(a, p, room);
}

#endif
