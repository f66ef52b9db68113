/* SPDX-License-Identifier: MIT */
/* How attention on a device is cut into jobs, chunks of keys and blocks, by memory and by what a
 * launch takes. */
#include "config.h"

#include "compute/attention/gpu-run.h"

#include <inttypes.h>

static uint64_t row_tiles(const struct tu_gpu_run *r, uint64_t queries)
{
    return divide_up(queries * (r->a->heads / r->a->kv_heads), r->tile_rows);
}

/*
 * Enough blocks to keep the device busy, as long as merging their results costs little beside
 * reading the cache; and more where one block would sum up too many keys.
 */
static unsigned choose_splits(const struct tu_gpu_run *r, uint64_t batches, uint64_t queries,
                              uint64_t keys, uint64_t memory)
{
    uint64_t blocks = batches * r->a->kv_heads * row_tiles(r, queries);
    uint64_t processors = (uint64_t)r->gpu->device.multiprocessors;
    uint64_t busy = divide_up(2 * processors * (uint64_t)r->attend.blocks, blocks);
    /* A block reads its queries, and its results are read again, the maxima by every lane. */
    uint64_t block_bytes = 4 * r->a->heads * r->a->head_dim + 3 * partial_bytes(r) / 2;
    uint64_t cheap = keys * key_bytes(r) / 25 / (block_bytes * queries);
    uint64_t splits = smaller(busy, larger(cheap, divide_up(processors, blocks)));
    splits = smaller(splits, divide_up(keys, TU_GPU_SPLIT_KEYS));
    splits = larger(splits, divide_up(keys, TU_GPU_LONGEST_SUM));
    splits = smaller(splits, memory / (batches * queries * partial_bytes(r)));
    splits = smaller(splits, TU_GPU_MOST_BLOCKS / blocks);
    splits = r->options.splits ? r->options.splits : splits;
    return (unsigned)larger(1, smaller(splits, TU_GPU_MOST_SPLITS));
}

static bool launchable(const struct tu_gpu_run *r, uint64_t batches, uint64_t queries,
                       uint64_t keys)
{
    const struct tu_attention *a = r->a;
    return keys <= TU_GPU_MOST_KEYS && queries <= TU_GPU_MOST_ROWS / (a->heads / a->kv_heads) &&
           batches <= TU_GPU_MOST_BLOCKS / (a->kv_heads * row_tiles(r, queries)) / 4 &&
           batches <= TU_GPU_MOST_BLOCKS / (a->heads * queries);
}

static uint64_t whole_bytes(const struct tu_gpu_run *r, unsigned splits)
{
    const struct tu_attention *a = r->a;
    uint64_t rows = query_bytes(r) + splits * partial_bytes(r);
    uint64_t pairs = mask_bytes(r) + a->batches * 4 * a->heads * stage_outputs(r);
    return head_bytes(r) + a->batches * (a->queries * rows + a->keys * key_bytes(r)) +
           a->queries * a->keys * pairs;
}

static bool plan_whole(struct tu_gpu_run *r, uint64_t memory)
{
    const struct tu_attention *a = r->a;
    struct tu_gpu_plan *p = &r->plan;
    if (!launchable(r, a->batches, a->queries, a->keys))
        return false;
    p->splits = choose_splits(r, a->batches, a->queries, a->keys, memory / 8);
    p->batches = a->batches;
    p->queries = a->queries;
    p->keys = a->keys;
    p->whole = true;
    return whole_bytes(r, p->splits) <= memory;
}

/* Bytes for each key of a chunk in both slots. */
static uint64_t chunk_key_bytes(const struct tu_gpu_run *r, uint64_t queries)
{
    return TU_GPU_SLOTS * (key_bytes(r) + mask_bytes(r) * queries) +
           4 * r->a->heads * queries * stage_outputs(r);
}

/* As many queries as fill a quarter of the memory, fewer where a chunk would have but a few keys.
 */
static int plan_chunks(struct tu_gpu_run *r, uint64_t memory)
{
    const struct tu_attention *a = r->a;
    struct tu_gpu_plan *p = &r->plan;
    uint64_t row = query_bytes(r) + partial_bytes(r);
    uint64_t least = smaller(a->keys, TU_CUDA_TILE_KEYS);
    p->batches = 1;
    p->whole = false;
    p->queries = larger(1, smaller(a->queries, memory / 4 / row));
    for (;; p->queries = p->queries / 2) {
        uint64_t taken = head_bytes(r) + p->queries * row;
        p->keys = memory > taken ? (memory - taken) * 3 / 4 / chunk_key_bytes(r, p->queries) : 0;
        p->keys = smaller(smaller(p->keys, a->keys), TU_GPU_MOST_KEYS);
        if (p->keys >= least && launchable(r, 1, p->queries, p->keys))
            break;
        if (p->queries == 1) {
            uint64_t needed = head_bytes(r) + row + least * chunk_key_bytes(r, 1) * 4 / 3;
            return tu_gpu_fail_memory(needed, memory, r->error);
        }
    }
    if (p->keys < a->keys)
        p->keys -= p->keys % TU_CUDA_TILE_KEYS;
    uint64_t left = memory - head_bytes(r) - p->queries * (row - partial_bytes(r)) -
                    p->keys * chunk_key_bytes(r, p->queries);
    p->splits = choose_splits(r, 1, p->queries, p->keys, left);
    return 0;
}

int tu_gpu_make_plan(struct tu_gpu_run *r)
{
    uint64_t memory = r->options.memory;
    if (!memory && tu_gpu_free_memory(r->gpu, &memory, r->error) < 0)
        return -1;
    if (!r->options.memory) /* not the last byte: allocations are rounded up */
        memory -= memory / 10;
    return plan_whole(r, memory) ? 0 : plan_chunks(r, memory);
}
