/* SPDX-License-Identifier: MIT */
/*
 * Inside of gpu.h: one computation on a device, what its arrays take there, and how it is
 * cut so that it fits.
 */
#ifndef TU_ATTENTION_GPU_RUN_H
#define TU_ATTENTION_GPU_RUN_H

#include "compute/attention/gpu.h"

#include "compute/cuda/args.h"

enum {
    TU_GPU_SLOTS = 2,
    TU_GPU_MOST_KEYS = 1 << 30,     /* of a launch: keys are numbered with 31 bits */
    TU_GPU_MOST_ROWS = 1 << 28,     /* of a key/value head in a launch */
    TU_GPU_MOST_BLOCKS = INT32_MAX, /* of a launch */
    TU_GPU_SPLIT_KEYS = 128,        /* that are worth a block of their own */
    TU_GPU_LONGEST_SUM = 2048,      /* keys; longer chains of float32 sums lose digits */
    TU_GPU_MOST_SPLITS = 4096,
};

/* How the work is cut. */
struct tu_gpu_plan {
    uint64_t batches, queries, keys; /* of a job; keys: of a chunk */
    unsigned splits;
    bool whole; /* one job, one chunk */
};

/* Part of the problem: what a launch works on. */
struct tu_gpu_part {
    uint64_t batch, batches, query, queries, key, keys;
};

/* A chunk of keys in device memory. */
struct tu_gpu_slot {
    tu_gpu_address k, v, mask;
    float *packed_mask;     /* host memory, while it is copied */
    void *loading, *loaded; /* events of the copying stream */
    void *starting, *used;  /* events of the computing stream */
    bool copied, computed;  /* what is to be timed */
    struct tu_gpu_part part;
    bool valid;
};

struct tu_gpu_run {
    struct tu_gpu *gpu;
    const struct tu_attention *a;
    const struct tu_attention_input *in;
    struct tu_attention_output *out;
    struct tu_gpu_attention_options options;
    struct tu_gpu_timing *timing;
    struct tu_error *error;

    void *module, *computing, *copying;
    void *putting, *put; /* events around the output's way back */
    struct tu_gpu_kernel attend, combine, stages;
    unsigned tile_rows, combine_rows; /* of a block */
    struct tu_gpu_plan plan;
    struct tu_gpu_slot slots[TU_GPU_SLOTS];
    struct tu_cuda_attention args;
    float *stage; /* host memory: a chunk's scores or weights */
    unsigned next_slot;
    double kernel_time, transfer_time;
};

/* ---- Sizes ---- */

/* Of K and V as they lie in memory. */
static inline unsigned tu_gpu_element_bytes(const struct tu_gpu_run *r)
{
    return r->in->type == TU_CACHE_F32 ? 4 : 2;
}

static inline uint64_t divide_up(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

static inline uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Bytes of one key and its value, of all heads. */
static inline uint64_t key_bytes(const struct tu_gpu_run *r)
{
    return r->a->kv_heads * (r->a->head_dim + r->a->value_dim) * tu_gpu_element_bytes(r);
}

/* Bytes of one query's rows: query and output, state, partial results. */
static inline uint64_t query_bytes(const struct tu_gpu_run *r)
{
    const struct tu_attention *a = r->a;
    return 4 * a->heads * (a->head_dim + 2 * a->value_dim + 2);
}

static inline uint64_t partial_bytes(const struct tu_gpu_run *r)
{
    return 4 * r->a->heads * (r->a->value_dim + 2);
}

static inline uint64_t mask_bytes(const struct tu_gpu_run *r)
{
    return r->a->mask ? 4 * r->a->mask_heads : 0;
}

static inline unsigned stage_outputs(const struct tu_gpu_run *r)
{
    return (r->out->scores != NULL) + (r->out->weights != NULL);
}

static inline uint64_t head_bytes(const struct tu_gpu_run *r)
{
    return 8 * r->a->heads;
}

/* ---- Cutting ---- */

/* Decides on batches, queries and keys of a job by the memory that is free or allowed. */
int tu_gpu_make_plan(struct tu_gpu_run *r) TU_MUST_CHECK;

#endif
