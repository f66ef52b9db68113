/* SPDX-License-Identifier: MIT */
/* Attention of tiles of rows, and their scores and weights: what counts is to use what is in shared
 * memory often. */
#ifndef TU_CUDA_TILE_H
#define TU_CUDA_TILE_H

#include "rows.h"

/* ---- A tile of rows and keys ---- */

/*
 * Each warp has 4 * RM rows; a lane, rows lane / 8 + 4 * i of them with keys lane % 8 + 8 * t, and
 * of the values the elements 4 * (lane % 8) + 32 * h.  VALUES: how many h there are at most.
 */
template <int RM, int VALUES> struct tile {
    float score[RM][4];
    unsigned int seen; /* a bit for each score */
    float max[RM], sum[RM];
    float4 values[RM][VALUES];
};

enum { LANE_KEYS = 4 };

TU_INLINE unsigned int lane_row(int i)
{
    return tu_thread() % 32 / 8 + 4 * i;
}

TU_INLINE unsigned int lane_key(int t)
{
    return tu_thread() % 8 + 8 * t;
}

/* The rows' parts of shared memory. */
struct rooms {
    float *queries, *chunks, *weights;
    unsigned int query_stride;
};

TU_INLINE rooms block_rooms(const args &a, unsigned int rows)
{
    rooms r;
    r.query_stride = TU_CUDA_QUERY_STRIDE(a.head_dim);
    r.queries = (float *)tu_shared;
    r.chunks = r.queries + rows * r.query_stride;
    r.weights = r.chunks + 2 * TILE * CHUNK_STRIDE;
    return r;
}

TU_INLINE void load_queries(const args &a, const place &p, const rooms &room, unsigned int rows)
{
    unsigned int pieces = a.head_dim / 4;
    for (unsigned int i = tu_thread(); i < rows * pieces; i += THREADS) {
        row r = find_row(a, p, p.tile * rows + i / pieces);
        float4 piece = tu_load4(a.q + 4 * (r.index * a.head_dim + 4 * (i % pieces)));
        *(float4 *)(room.queries + i / pieces * room.query_stride + 4 * (i % pieces)) = piece;
    }
}

/* A chunk of a tile on its way to shared memory: the pieces of 16 bytes that this thread brings. */
template <class T> struct chunk {
    enum { in_key = CHUNK / T::elements, count = TILE * in_key / THREADS };
    uint4 pieces[count];
};

/* Beyond the end of the keys, and of a key, there are zeros. */
template <class T>
TU_INLINE void fetch(chunk<T> &c, const column &from, unsigned int element, long long key,
                     long long end)
{
#pragma unroll
    for (int i = 0; i < chunk<T>::count; i++) {
        unsigned int piece = tu_thread() + THREADS * i;
        long long k = key + piece / chunk<T>::in_key;
        unsigned int e = element + piece % chunk<T>::in_key * T::elements;
        uint4 none = {0, 0, 0, 0};
        c.pieces[i] = none;
        if (k < end && e < from.dim)
            c.pieces[i] = tu_load_bytes(from.base + k * from.stride + e * T::bytes);
    }
}

template <class T> TU_INLINE void put(const chunk<T> &c, float *room)
{
#pragma unroll
    for (int i = 0; i < chunk<T>::count; i++) {
        unsigned int piece = tu_thread() + THREADS * i;
        float *to =
            room + piece / chunk<T>::in_key * CHUNK_STRIDE + piece % chunk<T>::in_key * T::elements;
        float numbers[T::elements];
        T::decode(c.pieces[i], numbers);
#pragma unroll
        for (int e = 0; e < T::elements; e += 4)
            *(float4 *)(to + e) =
                tu_float4(numbers[e], numbers[e + 1], numbers[e + 2], numbers[e + 3]);
    }
}

/* Adds the products of a chunk's elements.  Every dot product is one chain in the order of its
 * elements, whichever kernel makes it: scores have the same bits in all of them. */
template <int RM, int VALUES>
TU_INLINE void add_products(tile<RM, VALUES> &t, const float *queries, unsigned int query_stride,
                            const float *keys, unsigned int elements)
{
    const float *q_at[RM], *k_at = keys + lane_key(0) * CHUNK_STRIDE;
#pragma unroll
    for (int i = 0; i < RM; i++)
        q_at[i] = queries + lane_row(i) * query_stride;
#pragma unroll 1
    for (unsigned int e = 0; e < elements; e += 8)
#pragma unroll
        for (int half = 0; half < 8; half += 4) {
            float4 q[RM];
#pragma unroll
            for (int i = 0; i < RM; i++)
                q[i] = *(const float4 *)(q_at[i] + e + half);
#pragma unroll
            for (int j = 0; j < LANE_KEYS; j++) {
                float4 k = *(const float4 *)(k_at + e + half + 8 * j * CHUNK_STRIDE);
#pragma unroll
                for (int i = 0; i < RM; i++) {
                    float sum = tu_fma(q[i].x, k.x, t.score[i][j]);
                    sum = tu_fma(q[i].y, k.y, sum);
                    sum = tu_fma(q[i].z, k.z, sum);
                    t.score[i][j] = tu_fma(q[i].w, k.w, sum);
                }
            }
        }
}

/* Dot products to scores, and which of them count.  first_row: of the warp. */
template <int RM, int VALUES>
TU_INLINE void finish_scores(tile<RM, VALUES> &t, const args &a, const place &p,
                             unsigned int first_row, long long first_key, long long end, bool whole)
{
    t.seen = ~0u;
#pragma unroll
    for (int i = 0; i < RM; i++) {
#pragma unroll
        for (int j = 0; j < LANE_KEYS; j++)
            t.score[i][j] = capped_score(a, t.score[i][j]);
        if (whole && !a.slopes)
            continue;
        row r = find_row(a, p, first_row + lane_row(i));
        float slope = slope_of(a, r);
        span s = sight(a, r.query);
        s.to = least(s.to, end);
#pragma unroll
        for (int j = 0; j < LANE_KEYS; j++) {
            long long key = first_key + lane_key(j);
            bool seen = key >= s.from && key < s.to;
            t.score[i][j] = sloped_score(a, r, slope, (unsigned int)key, t.score[i][j]);
            if (seen && a.mask) {
                float mask = mask_at(a, r, (unsigned int)key);
                t.score[i][j] += mask;
                seen = mask != -TU_INFINITY;
            }
            if (!seen)
                t.seen &= ~(1u << (i * LANE_KEYS + j));
        }
    }
}

template <int RM, int VALUES> TU_INLINE bool sees(const tile<RM, VALUES> &t, int i, int j)
{
    return t.seen >> (i * LANE_KEYS + j) & 1;
}

/* Scores to weights, which go to shared memory; what there is so far is scaled to the new maxima.
 */
template <int RM, int VALUES> TU_INLINE void weigh(tile<RM, VALUES> &t, float *weights)
{
    float old[RM];
    bool scaled = false;
#pragma unroll
    for (int i = 0; i < RM; i++) {
        float max = t.max[i];
#pragma unroll
        for (int j = 0; j < LANE_KEYS; j++)
            max = sees(t, i, j) ? tu_max(max, t.score[i][j]) : max;
        max = tu_max(max, tu_across(max, 1));
        max = tu_max(max, tu_across(max, 2));
        max = tu_max(max, tu_across(max, 4));
        old[i] = weight(t.max[i], max);
        scaled |= old[i] != 1;
        t.max[i] = max;
        t.sum[i] *= old[i];
#pragma unroll
        for (int j = 0; j < LANE_KEYS; j++) {
            float w = sees(t, i, j) ? weight(t.score[i][j], max) : UNSEEN;
            t.sum[i] += sees(t, i, j) ? w : 0;
            weights[lane_row(i) * WEIGHT_STRIDE + lane_key(j)] = w;
        }
    }
    if (!tu_any(scaled))
        return;
#pragma unroll
    for (int i = 0; i < RM; i++)
#pragma unroll
        for (int h = 0; h < VALUES; h++)
            t.values[i][h] = tu_float4(t.values[i][h].x * old[i], t.values[i][h].y * old[i],
                                       t.values[i][h].z * old[i], t.values[i][h].w * old[i]);
}

/* Adds the weighted values of half a chunk. */
template <bool GUARDED, int RM>
TU_INLINE void add_values(float4 *const (&sums)[RM], const float *weights, const float *values)
{
#pragma unroll 2
    for (int key = 0; key < TILE; key += 4) {
        float4 w[RM];
#pragma unroll
        for (int i = 0; i < RM; i++)
            w[i] = *(const float4 *)(weights + lane_row(i) * WEIGHT_STRIDE + key);
        const float *at = values + key * CHUNK_STRIDE + 4 * lane_key(0);
        float4 v0 = *(const float4 *)at, v1 = *(const float4 *)(at + CHUNK_STRIDE);
        float4 v2 = *(const float4 *)(at + 2 * CHUNK_STRIDE);
        float4 v3 = *(const float4 *)(at + 3 * CHUNK_STRIDE);
#pragma unroll
        for (int i = 0; i < RM; i++) {
            float4 sum = add_value<GUARDED>(*sums[i], w[i].x, v0);
            sum = add_value<GUARDED>(sum, w[i].y, v1);
            sum = add_value<GUARDED>(sum, w[i].z, v2);
            *sums[i] = add_value<GUARDED>(sum, w[i].w, v3);
        }
    }
}

/* Leaves the partial results of the warp's rows. */
template <int RM, int VALUES>
TU_INLINE void put_partial(tile<RM, VALUES> &t, const args &a, const place &p,
                           unsigned int first_row)
{
#pragma unroll
    for (int i = 0; i < RM; i++) {
        float sum = t.sum[i];
        sum += tu_across(sum, 1);
        sum += tu_across(sum, 2);
        sum += tu_across(sum, 4);
        row r = find_row(a, p, first_row + lane_row(i));
        unsigned long long at = p.split * all_rows(a) + r.index;
        if (!r.real)
            continue;
        if (lane_key(0) == 0) {
            tu_store(a.partial_max + 4 * at, t.max[i]);
            tu_store(a.partial_sum + 4 * at, sum);
        }
#pragma unroll
        for (int h = 0; h < VALUES; h++) {
            unsigned int element = 32 * h + 4 * lane_key(0);
            if (element < a.value_dim)
                tu_store4(a.partial_values + 4 * (at * a.value_dim + element), t.values[i][h]);
        }
    }
}

template <int RM, int VALUES> TU_INLINE void clear(tile<RM, VALUES> &t)
{
#pragma unroll
    for (int i = 0; i < RM; i++) {
        t.max[i] = -TU_INFINITY;
        t.sum[i] = 0;
#pragma unroll
        for (int h = 0; h < VALUES; h++)
            t.values[i][h] = tu_float4(-0.0f, -0.0f, -0.0f, -0.0f);
    }
}

template <int RM, int VALUES> TU_INLINE void clear_scores(tile<RM, VALUES> &t)
{
#pragma unroll
    for (int i = 0; i < RM; i++)
#pragma unroll
        for (int j = 0; j < LANE_KEYS; j++)
            t.score[i][j] = 0;
}

/*
 * Chunks go through two rooms of shared memory in turn, so that one barrier for each chunk is
 * enough: who writes to a room has passed the barrier of the other one, which nobody passes who
 * still reads the first.
 */
template <class T> struct pipe {
    chunk<T> next;
    float *rooms;
    unsigned int turn;
};

/* The chunk that was fetched, for all threads to read. */
template <class T> TU_INLINE const float *take(pipe<T> &p)
{
    float *room = p.rooms + p.turn * TILE * CHUNK_STRIDE;
    p.turn ^= 1;
    put(p.next, room);
    tu_block_barrier();
    return room;
}

/* The dot products of the rows with a tile of keys, whose first chunk is on its way; on return, the
 * first chunk of `after` is. */
template <class T, int RM, int VALUES>
TU_INLINE void multiply(tile<RM, VALUES> &t, pipe<T> &p, const rooms &room, unsigned int first_row,
                        const column &keys, long long key, long long end, const column &after,
                        long long after_key)
{
    clear_scores(t);
    for (unsigned int e = 0; e < keys.dim; e += CHUNK) {
#ifdef TU_FAULT_BARRIER
        float *chunk = p.rooms + p.turn * TILE * CHUNK_STRIDE;
        p.turn ^= 1;
        put(p.next, chunk);
#else
        const float *chunk = take(p);
#endif
        if (e + CHUNK < keys.dim)
            fetch(p.next, keys, e + CHUNK, key, end);
        else
            fetch(p.next, after, 0, after_key, end);
        unsigned int left = keys.dim - e;
        add_products(t, room.queries + first_row * room.query_stride + e, room.query_stride, chunk,
                     left < CHUNK ? left : CHUNK);
    }
}

/* Adds a tile of weighted values. */
template <class T, int RM, int VALUES>
TU_INLINE void add_tile(tile<RM, VALUES> &t, pipe<T> &p, const float *weights, const column &values,
                        long long key, long long end, const column &keys)
{
    bool guarded = tu_any(~t.seen & ((1u << (RM * LANE_KEYS)) - 1));
#pragma unroll
    for (int h = 0; h < VALUES; h += CHUNK / 32) {
        unsigned int e = 32 * h;
        if (e >= values.dim)
            break;
        const float *chunk = take(p);
        if (e + CHUNK < values.dim)
            fetch(p.next, values, e + CHUNK, key, end);
        else
            fetch(p.next, keys, 0, key + TILE, end);
#pragma unroll
        for (int half = 0; half < CHUNK / 32; half++) {
            if (e + 32 * half >= values.dim)
                break;
            float4 *sums[RM];
#pragma unroll
            for (int i = 0; i < RM; i++)
                sums[i] = &t.values[i][h + half];
            if (guarded)
                add_values<true, RM>(sums, weights, chunk + 32 * half);
            else
                add_values<false, RM>(sums, weights, chunk + 32 * half);
        }
    }
}

/* A tile of 16 * RM rows against a part of the keys. */
template <class T, int RM, int VALUES> TU_INLINE void attend(const args &a)
{
    place p = block_place(a);
    rooms room = block_rooms(a, 4 * RM * WARPS);
    unsigned int first = p.tile * 4 * RM * WARPS, warp_row = 4 * RM * (tu_thread() / 32);
    unsigned int first_query = find_row(a, p, first).query;
    unsigned int last_query = find_row(a, p, first + 4 * RM * WARPS - 1).query;
    span part = block_part(a, p.split, first_query, last_query);
    column keys = head_column<T>(a, p, a.k, a.head_dim);
    column values = head_column<T>(a, p, a.v, a.value_dim);
    float *weights = room.weights + warp_row * WEIGHT_STRIDE;

    tile<RM, VALUES> t;
    clear(t);
    pipe<T> chunks;
    chunks.rooms = room.chunks;
    chunks.turn = 0;
    load_queries(a, p, room, 4 * RM * WARPS);
    fetch(chunks.next, keys, 0, part.from, part.to);
    for (long long key = part.from; key < part.to; key += TILE) {
        bool whole = !a.mask && key >= sight(a, last_query).from &&
                     key + TILE <= least(part.to, sight(a, first_query).to);
        multiply(t, chunks, room, warp_row, keys, key, part.to, values, key);
        finish_scores(t, a, p, first + warp_row, key, part.to, whole);
        /* The warp has read the last weights. */
        tu_warp_barrier();
        weigh(t, weights);
        tu_warp_barrier();
        add_tile(t, chunks, weights, values, key, part.to, keys);
    }
    put_partial(t, a, p, first + warp_row);
}

/* ---- Scores and weights, once the maxima and sums are known ---- */

template <int RM, int VALUES>
TU_INLINE void put_stages(const tile<RM, VALUES> &t, const args &a, const place &p,
                          unsigned int first_row, long long first_key, long long end)
{
#pragma unroll
    for (int i = 0; i < RM; i++) {
        row r = find_row(a, p, first_row + lane_row(i));
        float max = tu_load(a.state_max + 4 * r.index), sum = tu_load(a.state_sum + 4 * r.index);
        unsigned long long line = (unsigned long long)p.batch * a.heads + r.head;
        line = (line * a.queries + r.query) * a.keys;
#pragma unroll
        for (int j = 0; j < LANE_KEYS; j++) {
            unsigned long long key = first_key + lane_key(j);
            if (!r.real || key >= end)
                continue;
            bool seen = sees(t, i, j);
            if (a.scores)
                tu_store(a.scores + 4 * (line + key), seen ? t.score[i][j] : -TU_INFINITY);
            if (a.weights)
                tu_store(a.weights + 4 * (line + key), seen ? weight(t.score[i][j], max) / sum : 0);
        }
    }
}

template <class T, int RM> TU_INLINE void show_stages(const args &a)
{
    place p = block_place(a);
    rooms room = block_rooms(a, 4 * RM * WARPS);
    unsigned int first = p.tile * 4 * RM * WARPS, warp_row = 4 * RM * (tu_thread() / 32);
    column keys = head_column<T>(a, p, a.k, a.head_dim);
    long long part = (((long long)a.keys + TILE - 1) / TILE + a.splits - 1) / a.splits * TILE;
    long long from = p.split * part, to = least(a.keys, from + part);

    tile<RM, 1> t;
    pipe<T> chunks;
    chunks.rooms = room.chunks;
    chunks.turn = 0;
    load_queries(a, p, room, 4 * RM * WARPS);
    fetch(chunks.next, keys, 0, from, to);
    for (long long key = from; key < to; key += TILE) {
        multiply(t, chunks, room, warp_row, keys, key, to, keys, key + TILE);
        finish_scores(t, a, p, first + warp_row, key, to, false);
        put_stages(t, a, p, first + warp_row, key, to);
    }
}

#endif
