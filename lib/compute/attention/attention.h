/* SPDX-License-Identifier: MIT */
/*
 * Scaled dot-product attention.
 *
 * Query i of head h reads key/value head g = floor(h * kv_heads / heads); for key j, with
 * p = i + keys - queries the query's own place among the keys (negative: it sees nothing):
 *
 *   s(j) = scale * (q . k(j))
 *   s(j) = soft_cap * tanh(s(j) / soft_cap)    with a soft cap
 *   s(j) = s(j) + slope(h) * (j - p)           with ALiBi
 *   s(j) = s(j) + mask(i, j)                   with a mask
 *   s(j) = -infinity                           where j > p (causal) or j <= p - window
 *
 *   m = max of s(j), and of the head's sink;   l = sum of exp(s(j) - m), plus exp(sink - m)
 *   w(j) = exp(s(j) - m) / l;                  out = sum of w(j) * v(j)
 *
 * A key with the score -infinity has the weight 0 and no influence, whatever its values are.  NaN
 * in another score makes all weights and the output of that query and head NaN.  A query without
 * any key has weights and an output of 0.  With one key and no sink the output is its value row,
 * exactly.
 *
 * Attention and scale: Vaswani et al., "Attention is all you need" (2017).  Grouped heads: Ainslie
 * et al., "GQA" (2023).  Soft cap: "Gemma 2" (2024).  ALiBi: Press, Smith and Lewis (2021).
 * Sinks: Xiao et al. (2023), as in gpt-oss.  The passes over tiles of keys: Dao et al.,
 * "FlashAttention" (2022).
 */
#ifndef TU_ATTENTION_H
#define TU_ATTENTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "kernels/kernels.h"

struct tu_attention {
    uint64_t batches;         /* independent problems, one behind the other in every array */
    uint64_t queries, keys;   /* of each */
    uint64_t heads, kv_heads; /* kv_heads divides heads */
    uint64_t head_dim;        /* of q and k */
    uint64_t value_dim;       /* of v and the output */
    double scale;
    double soft_cap; /* 0: none */
    uint64_t window; /* 0: none */
    bool causal;
    const float *slopes; /* [heads], or NULL */
    const float *sinks;  /* [heads], or NULL */
    const float *mask;   /* [mask_heads][queries][keys], the same for every batch, or NULL */
    uint64_t mask_heads; /* head h has the mask h % mask_heads */
};

/* Fails where kv_heads does not divide heads, a size is 0 or a product leaves 62 bits.  keys may be
 * 0. */
int tu_attention_check(const struct tu_attention *a, struct tu_error *error) TU_MUST_CHECK;

/* The slopes of ALiBi: 2^(-8 (h + 1) / n) for the first n heads, with n the largest power of two
 * that is no more than heads, and every second one of 2n heads for the others. */
void tu_attention_slopes(uint64_t heads, float *slopes);

/* The keys [*first, *end) that a query sees by its place, the mask apart. */
void tu_attention_seen(const struct tu_attention *a, uint64_t query, uint64_t *first,
                       uint64_t *end);

enum tu_attention_part { TU_ATTENTION_Q, TU_ATTENTION_K, TU_ATTENTION_V };

/* Where the numbers come from.  Gives rows [first, first + count) of a batch to one of narrow and
 * wide, the other is NULL: [count][heads][head_dim] of Q, [count][kv_heads][head_dim] of K,
 * [count][kv_heads][value_dim] of V.  Called from several threads. */
struct tu_attention_rows {
    int (*read)(void *context, enum tu_attention_part part, uint64_t batch, uint64_t first,
                uint64_t count, float *narrow, double *wide, struct tu_error *error);
    void *context;
};

enum tu_attention_result {
    TU_ATTENTION_OUT,     /* [batches][queries][heads][value_dim] */
    TU_ATTENTION_SCORES,  /* [batches][heads][queries][keys]: s(j) */
    TU_ATTENTION_WEIGHTS, /* [batches][heads][queries][keys]: w(j) */
};

struct tu_attention_how {
    /* float64 throughout, straightforward: exact attention.  Else float32, in an order that does
     * not depend on threads or the instruction set of the kernels: products over 256 keys or fewer,
     * by the kernels for fewer than 16 rows of queries that share a key head and by OpenBLAS's
     * sgemm for more, are summed in float64. */
    bool wide;
    unsigned threads;
    const struct tu_kernels *kernels;
};

/* Receives the result in order, a piece at a time: floats, or doubles if how->wide. */
struct tu_attention_sink {
    int (*put)(void *context, const void *values, size_t count, struct tu_error *error);
    void *context;
};

/* Memory: K and V are read a tile at a time; what is held grows with threads, heads and, but for
 * OUT in float32, with keys. */
int tu_attend(const struct tu_attention *a, const struct tu_attention_rows *rows,
              enum tu_attention_result result, const struct tu_attention_how *how,
              const struct tu_attention_sink *sink, struct tu_error *error) TU_MUST_CHECK;

/* ---- For backends that take whole arrays, as gpu.h ---- */

/* Element type of a cache: k and v as they lie in memory. */
enum tu_cache_type { TU_CACHE_F32, TU_CACHE_F16, TU_CACHE_BF16 };

struct tu_attention_input {
    const float *q; /* [batches][queries][heads][head_dim] */
    enum tu_cache_type type;
    const void *k; /* [batches][keys][kv_heads][head_dim] */
    const void *v; /* [batches][keys][kv_heads][value_dim] */
};

struct tu_attention_output {
    float *out;              /* [batches][queries][heads][value_dim] */
    float *scores, *weights; /* [batches][heads][queries][keys], or NULL: not asked for */
};

/* ---- Exact attention, in float64 ---- */

/* Queries of some heads of a batch. */
struct tu_attention_range {
    uint64_t batch, head, heads, query, queries;
};

/* A piece of the result in float64, as the formula at the top of this file says it: out holds
 * [queries][heads][value_dim] of OUT, [heads][queries][keys] of the others. */
int tu_attend_exactly(const struct tu_attention *a, const struct tu_attention_rows *rows,
                      enum tu_attention_result result, const struct tu_attention_range *range,
                      double *out, struct tu_error *error) TU_MUST_CHECK;

#endif
