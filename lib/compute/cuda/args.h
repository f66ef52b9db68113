/* SPDX-License-Identifier: MIT */
/*
 * What the kernels of attention.cu are launched with, the same layout for host and device.
 *
 * A row is one query of one head; rows of a launch are numbered [batch][query][head], which is how
 * q and the output lie.  The rows of one batch and key/value head, [query][head of the group],
 * share every key and value that is loaded for them.
 */
#ifndef TU_CUDA_ARGS_H
#define TU_CUDA_ARGS_H

struct tu_cuda_attention {
    /* Addresses in device memory; 0: not there. */
    unsigned long long q, k, v; /* the launch's queries and keys, as in struct tu_attention_input */
    unsigned long long slopes, sinks;
    unsigned long long mask;                               /* [mask_heads][queries][keys] */
    unsigned long long partial_max, partial_sum;           /* [splits][rows] */
    unsigned long long partial_values;                     /* [splits][rows][value_dim] */
    unsigned long long state_max, state_sum, state_values; /* [rows], [rows][value_dim] */
    unsigned long long out;                                /* [rows][value_dim] */
    unsigned long long scores, weights;                    /* [batches][heads][queries][keys] */
    long long position;   /* of the first query, counted from the launch's first key */
    long long window;     /* 0: none */
    unsigned int queries; /* of this launch, and so on; batches are in the grid */
    unsigned int keys, batches, heads, kv_heads, head_dim, value_dim;
    unsigned int group; /* heads / kv_heads */
    unsigned int mask_heads;
    unsigned int splits;    /* parts that the keys of a tile of rows are cut into */
    unsigned int row_tiles; /* tiles of rows for each key/value head */
    unsigned int causal;
    unsigned int first, last; /* combine: no state yet; finish the output */
    float scale, soft_cap, soft_cap_inverse;
};

/* Shapes that the host has to know. */
enum {
    TU_CUDA_THREADS = 128,
    TU_CUDA_WARPS = TU_CUDA_THREADS / 32,
    TU_CUDA_TILE_KEYS = 32, /* keys of a tile */
    TU_CUDA_CHUNK = 64,     /* elements of a key or value that are in shared memory at a time */
    TU_CUDA_MAX_DIM = 256,
    TU_CUDA_MAX_NARROW_DIM = 128, /* the largest value_dim of tiles of 64 rows */
    TU_CUDA_FEW_ROWS = 8          /* most rows of the kernels for few rows */
};

/* Bytes of shared memory of a kernel for tiles of that many rows: the rows' queries, two chunks of
 * keys or values, the weights of a tile. */
#define TU_CUDA_QUERY_STRIDE(head_dim) (((head_dim) + 31) / 32 * 32 + 4)
#define TU_CUDA_CHUNK_STRIDE           (TU_CUDA_CHUNK + 4)
#define TU_CUDA_WEIGHT_STRIDE          (TU_CUDA_TILE_KEYS + 8)
#define TU_CUDA_TILE_BYTES(rows, head_dim)                                                         \
    (4 * ((rows)*TU_CUDA_QUERY_STRIDE(head_dim) + 2 * TU_CUDA_TILE_KEYS * TU_CUDA_CHUNK_STRIDE +   \
          (rows)*TU_CUDA_WEIGHT_STRIDE))

/* The same of the kernels for few rows, with dim / 8 lanes for a key: the queries and each warp's
 * values, weights, factors, maxima and sums. */
#define TU_CUDA_FEW_BYTES(rows, dim)                                                               \
    (4 * ((rows) * (dim) +                                                                         \
          TU_CUDA_WARPS * ((rows) * (dim) + (rows)*TU_CUDA_FEW_KEYS(dim) + 3 * (rows))))
/* Keys that a warp has at a time. */
#define TU_CUDA_FEW_KEYS(dim) (4 * 32 / ((dim) / 8))

#endif
