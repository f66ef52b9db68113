/* SPDX-License-Identifier: MIT */
/*
 * Attention on a CUDA device.
 *
 * Work is cut into jobs, each some batches and queries with all keys that these see.  A job's keys
 * come in chunks through two slots of device memory: while the kernels work on one, the next is
 * copied to the other.  What a chunk gave is merged into the state of each row, so that the results
 * do not depend on how much memory there is, but for rounding.  Where everything fits, there is one
 * job with one chunk.
 */
#include "config.h"

#include "compute/attention/gpu-run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef TU_HAVE_CUDA_KERNELS
#define TU_HAVE_CUDA_KERNELS 0
#endif

#if TU_HAVE_CUDA_KERNELS
extern const struct tu_gpu_image tu_cuda_f32[], tu_cuda_f16[], tu_cuda_bf16[]; /* cuda/embed.c */
#else
#define tu_cuda_f32  NULL
#define tu_cuda_f16  NULL
#define tu_cuda_bf16 NULL
#endif

enum { STAGE_ROWS = 32 /* of a tile of the kernel for scores and weights */ };

static const struct {
    const char *name;
    const struct tu_gpu_image *kernels;
} types[] = {
    [TU_CACHE_F32] = {"f32", tu_cuda_f32},
    [TU_CACHE_F16] = {"f16", tu_cuda_f16},
    [TU_CACHE_BF16] = {"bf16", tu_cuda_bf16},
};

bool tu_gpu_has_kernels(void)
{
    return TU_HAVE_CUDA_KERNELS;
}

/* ---- Kernels ---- */

/* Rows of each key/value head, or 65 for more than the kernels distinguish. */
static unsigned count_rows(const struct tu_attention *a)
{
    uint64_t group = a->heads / a->kv_heads;
    return a->queries <= 64 / group ? (unsigned)(a->queries * group) : 65;
}

static bool few_rows(const struct tu_gpu_run *r)
{
    /* Scores and weights are those of the kernels for tiles, which sum in another order. */
    return count_rows(r->a) <= TU_CUDA_FEW_ROWS && !stage_outputs(r);
}

static void choose_few(struct tu_gpu_run *r)
{
    uint64_t dim = larger(r->a->head_dim, r->a->value_dim);
    unsigned rows = count_rows(r->a), room = dim <= 64 ? 64 : dim <= 128 ? 128 : 256;
    r->tile_rows = rows == 1 ? 1 : rows <= 4 ? 4 : TU_CUDA_FEW_ROWS;
    snprintf(r->attend.name, sizeof r->attend.name, "tu_attention_few%u_%u_%s", r->tile_rows, room,
             types[r->in->type].name);
    r->attend.shared = TU_CUDA_FEW_BYTES(r->tile_rows, room);
}

static void choose_tile(struct tu_gpu_run *r)
{
    unsigned rows = count_rows(r->a);
    bool wide = larger(r->a->head_dim, r->a->value_dim) > TU_CUDA_MAX_NARROW_DIM;
    r->tile_rows = rows <= 16 ? 16 : rows <= 32 || wide ? 32 : 64;
    snprintf(r->attend.name, sizeof r->attend.name, "tu_attention_%u_%s", r->tile_rows,
             types[r->in->type].name);
    r->attend.shared = (unsigned)TU_CUDA_TILE_BYTES(r->tile_rows, r->a->head_dim);
}

static int find_kernel(struct tu_gpu_run *r, struct tu_gpu_kernel *kernel)
{
    kernel->threads = TU_CUDA_THREADS;
    return tu_gpu_kernel(r->gpu, r->module, kernel, r->error);
}

static int find_kernels(struct tu_gpu_run *r)
{
    if (few_rows(r))
        choose_few(r);
    else
        choose_tile(r);
    snprintf(r->stages.name, sizeof r->stages.name, "tu_attention_stages_%s",
             types[r->in->type].name);
    r->stages.shared = (unsigned)TU_CUDA_TILE_BYTES(STAGE_ROWS, r->a->head_dim);
    if (tu_gpu_module(r->gpu, types[r->in->type].kernels, &r->module, r->error) < 0 ||
        find_kernel(r, &r->attend) < 0)
        return -1;
    return stage_outputs(r) ? find_kernel(r, &r->stages) : 0;
}

/* Many partial results of a row are worth a whole block. */
static int find_combine(struct tu_gpu_run *r)
{
    bool many = r->plan.splits > 2 * TU_CUDA_WARPS;
    snprintf(r->combine.name, sizeof r->combine.name, "tu_attention_combine%s",
             many ? "_many" : "");
    r->combine.shared = many ? 16 * TU_CUDA_THREADS : 0;
    r->combine_rows = many ? 1 : TU_CUDA_WARPS;
    return find_kernel(r, &r->combine);
}

/* ---- Device memory ---- */

static int allocate(struct tu_gpu_run *r, unsigned long long *address, uint64_t bytes)
{
    tu_gpu_address result = 0;
    if (tu_gpu_alloc(r->gpu, bytes, &result, r->error) < 0)
        return -1;
    *address = result;
    return 0;
}

static int allocate_rows(struct tu_gpu_run *r)
{
    const struct tu_attention *a = r->a;
    struct tu_cuda_attention *d = &r->args;
    uint64_t rows = 4 * r->plan.batches * r->plan.queries * a->heads, splits = r->plan.splits;
    if (allocate(r, &d->q, rows * a->head_dim) < 0 ||
        allocate(r, &d->out, rows * a->value_dim) < 0 || allocate(r, &d->state_max, rows) < 0 ||
        allocate(r, &d->state_sum, rows) < 0 ||
        allocate(r, &d->state_values, r->plan.whole ? 4 : rows * a->value_dim) < 0 ||
        allocate(r, &d->partial_max, splits * rows) < 0 ||
        allocate(r, &d->partial_sum, splits * rows) < 0)
        return -1;
    return allocate(r, &d->partial_values, splits * rows * a->value_dim);
}

static int allocate_slot(struct tu_gpu_run *r, struct tu_gpu_slot *s)
{
    const struct tu_attention *a = r->a;
    uint64_t keys = r->plan.batches * r->plan.keys * a->kv_heads * tu_gpu_element_bytes(r);
    uint64_t mask = r->plan.queries * r->plan.keys * mask_bytes(r);
    if (tu_gpu_alloc(r->gpu, keys * a->head_dim, &s->k, r->error) < 0 ||
        tu_gpu_alloc(r->gpu, keys * a->value_dim, &s->v, r->error) < 0 ||
        tu_gpu_event(r->gpu, &s->loading, r->error) < 0 ||
        tu_gpu_event(r->gpu, &s->loaded, r->error) < 0 ||
        tu_gpu_event(r->gpu, &s->starting, r->error) < 0 ||
        tu_gpu_event(r->gpu, &s->used, r->error) < 0)
        return -1;
    if (!mask)
        return 0;
    s->packed_mask = malloc(mask);
    return s->packed_mask ? tu_gpu_alloc(r->gpu, mask, &s->mask, r->error)
                          : tu_fail_memory(r->error);
}

static int allocate_stages(struct tu_gpu_run *r)
{
    uint64_t bytes = 4 * r->plan.batches * r->a->heads * r->plan.queries * r->plan.keys;
    if (!stage_outputs(r))
        return 0;
    r->stage = malloc(bytes);
    if (!r->stage)
        return tu_fail_memory(r->error);
    if (r->out->scores && allocate(r, &r->args.scores, bytes) < 0)
        return -1;
    return r->out->weights ? allocate(r, &r->args.weights, bytes) : 0;
}

/* An array with a number for each head. */
static int load_heads(struct tu_gpu_run *r, unsigned long long *address, const float *numbers)
{
    if (!numbers)
        return 0;
    if (allocate(r, address, 4 * r->a->heads) < 0)
        return -1;
    return tu_gpu_upload(r->gpu, *address, numbers, 4 * r->a->heads, r->copying, r->error);
}

static int prepare(struct tu_gpu_run *r)
{
    if (tu_gpu_stream(r->gpu, &r->computing, r->error) < 0 ||
        tu_gpu_stream(r->gpu, &r->copying, r->error) < 0 ||
        tu_gpu_event(r->gpu, &r->putting, r->error) < 0 ||
        tu_gpu_event(r->gpu, &r->put, r->error) < 0 ||
        load_heads(r, &r->args.slopes, r->a->slopes) < 0 ||
        load_heads(r, &r->args.sinks, r->a->sinks) < 0 || allocate_rows(r) < 0 ||
        allocate_stages(r) < 0)
        return -1;
    for (unsigned i = 0; i < (r->plan.whole ? 1 : TU_GPU_SLOTS); i++)
        if (allocate_slot(r, &r->slots[i]) < 0)
            return -1;
    return 0;
}

static void release(struct tu_gpu_run *r)
{
    const struct tu_cuda_attention *d = &r->args;
    const tu_gpu_address owned[] = {d->q,           d->slopes,    d->sinks,     d->partial_max,
                                    d->partial_sum, d->state_max, d->state_sum, d->partial_values,
                                    d->out,         d->scores,    d->weights,   d->state_values};
    /* Nothing may still be copied from memory that is freed here, or by the caller. */
    struct tu_error ignored = {0};
    bool finished = !r->copying || tu_gpu_finish(r->gpu, r->copying, &ignored) == 0;
    finished = finished && (!r->computing || tu_gpu_finish(r->gpu, r->computing, &ignored) == 0);
    (void)finished; /* a broken device copies nothing */
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++)
        tu_gpu_free(r->gpu, owned[i]);
    for (unsigned i = 0; i < TU_GPU_SLOTS; i++) {
        struct tu_gpu_slot *s = &r->slots[i];
        tu_gpu_free(r->gpu, s->k);
        tu_gpu_free(r->gpu, s->v);
        tu_gpu_free(r->gpu, s->mask);
        void *events[] = {s->loading, s->loaded, s->starting, s->used};
        for (size_t e = 0; e < sizeof events / sizeof *events; e++)
            tu_gpu_event_free(r->gpu, events[e]);
        free(s->packed_mask);
    }
    tu_gpu_event_free(r->gpu, r->putting);
    tu_gpu_event_free(r->gpu, r->put);
    tu_gpu_stream_free(r->gpu, r->computing);
    tu_gpu_stream_free(r->gpu, r->copying);
    tu_gpu_module_free(r->gpu, r->module);
    free(r->stage);
}

/* ---- Copies ---- */

static int upload(struct tu_gpu_run *r, tu_gpu_address to, const void *from, uint64_t bytes)
{
    if (r->timing)
        r->timing->uploaded += bytes;
    return tu_gpu_upload(r->gpu, to, from, bytes, r->copying, r->error);
}

/* Waits until the slot is free, and takes the times of what was done with it. */
static int settle(struct tu_gpu_run *r, struct tu_gpu_slot *s)
{
    double transfer = 0, kernels = 0;
    if (s->copied && tu_gpu_elapsed(r->gpu, s->loading, s->loaded, &transfer, r->error) < 0)
        return -1;
    if (s->computed && tu_gpu_elapsed(r->gpu, s->starting, s->used, &kernels, r->error) < 0)
        return -1;
    s->copied = s->computed = false;
    r->transfer_time += transfer;
    r->kernel_time += kernels;
    return 0;
}

static int settle_all(struct tu_gpu_run *r)
{
    for (unsigned i = 0; i < TU_GPU_SLOTS; i++)
        if (settle(r, &r->slots[i]) < 0)
            return -1;
    return 0;
}

static int load_queries(struct tu_gpu_run *r, const struct tu_gpu_part *p)
{
    uint64_t line = r->a->heads * r->a->head_dim;
    const float *from = r->in->q + (p->batch * r->a->queries + p->query) * line;
    return upload(r, r->args.q, from, 4 * p->batches * p->queries * line);
}

/* Keys or values: array is all of them, dim elements for each head. */
static int load_cache(struct tu_gpu_run *r, tu_gpu_address to, const void *array, uint64_t dim,
                      const struct tu_gpu_part *p)
{
    uint64_t line = r->a->kv_heads * dim * tu_gpu_element_bytes(r);
    for (uint64_t b = 0; b < p->batches; b++) {
        const char *from = (const char *)array + ((p->batch + b) * r->a->keys + p->key) * line;
        if (upload(r, to + b * p->keys * line, from, p->keys * line) < 0)
            return -1;
    }
    return 0;
}

static int load_mask(struct tu_gpu_run *r, struct tu_gpu_slot *s, const struct tu_gpu_part *p)
{
    const struct tu_attention *a = r->a;
    float *to = s->packed_mask;
    if (!a->mask)
        return 0;
    for (uint64_t h = 0; h < a->mask_heads; h++)
        for (uint64_t q = p->query; q < p->query + p->queries; q++, to += p->keys)
            memcpy(to, a->mask + (h * a->queries + q) * a->keys + p->key, 4 * p->keys);
    return upload(r, s->mask, s->packed_mask, 4 * a->mask_heads * p->queries * p->keys);
}

/* with_queries: the job's first chunk brings its queries. */
static int load_slot(struct tu_gpu_run *r, struct tu_gpu_slot *s, const struct tu_gpu_part *p,
                     bool with_queries)
{
    const struct tu_attention *a = r->a;
    if (tu_gpu_record(r->gpu, s->loading, r->copying, r->error) < 0 ||
        (with_queries && load_queries(r, p) < 0) ||
        load_cache(r, s->k, r->in->k, a->head_dim, p) < 0 ||
        load_cache(r, s->v, r->in->v, a->value_dim, p) < 0 || load_mask(r, s, p) < 0 ||
        tu_gpu_record(r->gpu, s->loaded, r->copying, r->error) < 0)
        return -1;
    s->copied = true;
    s->part = *p;
    s->valid = true;
    return 0;
}

static bool same_part(const struct tu_gpu_part *a, const struct tu_gpu_part *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* A slot with that part, which the computing stream then waits for. */
static struct tu_gpu_slot *find_slot(struct tu_gpu_run *r, const struct tu_gpu_part *p,
                                     bool with_queries)
{
    struct tu_gpu_slot *s = &r->slots[r->next_slot];
    if (!r->plan.whole)
        r->next_slot = (r->next_slot + 1) % TU_GPU_SLOTS;
    if (settle(r, s) < 0)
        return NULL;
    /* Only the one slot of a whole problem is ever met again with what it holds. */
    if (!(r->plan.whole && s->valid && same_part(&s->part, p)) &&
        load_slot(r, s, p, with_queries) < 0)
        return NULL;
    return tu_gpu_after(r->gpu, r->computing, s->loaded, r->error) < 0 ? NULL : s;
}

/* ---- Launches ---- */

static void describe(struct tu_gpu_run *r, const struct tu_gpu_slot *s, const struct tu_gpu_part *p)
{
    const struct tu_attention *a = r->a;
    struct tu_cuda_attention *d = &r->args;
    d->k = s->k;
    d->v = s->v;
    d->mask = s->mask;
    d->position = (long long)(p->query + a->keys - a->queries - p->key);
    d->window = (long long)smaller(a->window, INT64_MAX / 4);
    d->queries = (unsigned)p->queries;
    d->keys = (unsigned)p->keys;
    d->batches = (unsigned)p->batches;
    d->heads = (unsigned)a->heads;
    d->kv_heads = (unsigned)a->kv_heads;
    d->group = (unsigned)(a->heads / a->kv_heads);
    d->head_dim = (unsigned)a->head_dim;
    d->value_dim = (unsigned)a->value_dim;
    d->mask_heads = (unsigned)a->mask_heads;
    d->causal = a->causal;
    d->scale = (float)a->scale;
    d->soft_cap = (float)a->soft_cap;
    d->soft_cap_inverse = a->soft_cap != 0 ? (float)(1 / a->soft_cap) : 0;
}

static uint64_t grid(struct tu_gpu_run *r, unsigned rows, unsigned splits)
{
    struct tu_cuda_attention *d = &r->args;
    d->splits = splits;
    d->row_tiles = (unsigned)divide_up((uint64_t)d->queries * d->group, rows);
    return (uint64_t)d->batches * d->kv_heads * d->row_tiles * splits;
}

static int start(struct tu_gpu_run *r, struct tu_gpu_slot *s)
{
    return tu_gpu_record(r->gpu, s->starting, r->computing, r->error);
}

static int end(struct tu_gpu_run *r, struct tu_gpu_slot *s)
{
    s->computed = true;
    return tu_gpu_record(r->gpu, s->used, r->computing, r->error);
}

/* Attention over a chunk, merged into the state; the last chunk finishes the output. */
static int attend(struct tu_gpu_run *r, struct tu_gpu_slot *s, bool first, bool last)
{
    uint64_t rows = s->part.batches * s->part.queries * r->a->heads;
    describe(r, s, &s->part);
    uint64_t blocks = grid(r, r->tile_rows, r->plan.splits);
    r->args.first = first;
    r->args.last = last;
    if (r->timing)
        r->timing->launches++;
    if (start(r, s) < 0 ||
        tu_gpu_launch(r->gpu, &r->attend, blocks, &r->args, r->computing, r->error) < 0 ||
        tu_gpu_launch(r->gpu, &r->combine, divide_up(rows, r->combine_rows), &r->args, r->computing,
                      r->error) < 0)
        return -1;
    return end(r, s);
}

/* Brings a chunk's scores or weights to where they belong. */
static int put_stage(struct tu_gpu_run *r, float *array, tu_gpu_address from,
                     const struct tu_gpu_part *p)
{
    const struct tu_attention *a = r->a;
    uint64_t bytes = 4 * p->batches * a->heads * p->queries * p->keys;
    const float *line = r->stage;
    if (!array)
        return 0;
    if (tu_gpu_download(r->gpu, r->stage, from, bytes, r->computing, r->error) < 0 ||
        tu_gpu_finish(r->gpu, r->computing, r->error) < 0)
        return -1;
    for (uint64_t h = p->batch * a->heads; h < (p->batch + p->batches) * a->heads; h++)
        for (uint64_t q = p->query; q < p->query + p->queries; q++, line += p->keys)
            memcpy(array + (h * a->queries + q) * a->keys + p->key, line, 4 * p->keys);
    if (r->timing)
        r->timing->downloaded += bytes;
    return 0;
}

static int show_stages(struct tu_gpu_run *r, struct tu_gpu_slot *s)
{
    describe(r, s, &s->part);
    uint64_t blocks = grid(r, STAGE_ROWS, 1);
    if (blocks < TU_GPU_MOST_BLOCKS / 64)
        blocks = grid(r, STAGE_ROWS, (unsigned)divide_up(s->part.keys, TU_GPU_LONGEST_SUM));
    if (start(r, s) < 0 ||
        tu_gpu_launch(r->gpu, &r->stages, blocks, &r->args, r->computing, r->error) < 0 ||
        end(r, s) < 0 || put_stage(r, r->out->scores, r->args.scores, &s->part) < 0)
        return -1;
    return put_stage(r, r->out->weights, r->args.weights, &s->part);
}

/* ---- Jobs ---- */

/* The keys that some query of the job sees, masks aside. */
static void find_keys(const struct tu_gpu_run *r, struct tu_gpu_part *job)
{
    const struct tu_attention *a = r->a;
    /* One more than the first and the last query's positions; 0: before the first key. */
    uint64_t shift = a->keys + 1, first = job->query + shift, last = first + job->queries - 1;
    first = first > a->queries ? first - a->queries : 0;
    last = last > a->queries ? last - a->queries : 0;
    job->key = a->window && first > a->window ? first - a->window : 0;
    uint64_t to = a->causal ? smaller(a->keys, last) : a->keys;
    job->keys = to > job->key ? to - job->key : 0;
}

/* What nobody sees: scores -inf, weights 0. */
static void clear_stages(struct tu_gpu_run *r, const struct tu_gpu_part *job)
{
    const struct tu_attention *a = r->a;
    if (!stage_outputs(r) || job->keys == a->keys)
        return;
    for (uint64_t h = job->batch * a->heads; h < (job->batch + job->batches) * a->heads; h++) {
        uint64_t from = (h * a->queries + job->query) * a->keys, count = job->queries * a->keys;
        for (uint64_t i = from; i < from + count && r->out->scores; i++)
            r->out->scores[i] = -INFINITY;
        for (uint64_t i = from; i < from + count && r->out->weights; i++)
            r->out->weights[i] = 0;
    }
}

static struct tu_gpu_part next_chunk(const struct tu_gpu_run *r, const struct tu_gpu_part *job,
                                     uint64_t done)
{
    struct tu_gpu_part chunk = *job;
    chunk.key = job->key + done;
    chunk.keys = smaller(job->keys - done, r->plan.keys);
    return chunk;
}

static int attend_job(struct tu_gpu_run *r, const struct tu_gpu_part *job)
{
    for (uint64_t done = 0; done < job->keys;) {
        struct tu_gpu_part chunk = next_chunk(r, job, done);
        struct tu_gpu_slot *s = find_slot(r, &chunk, done == 0);
        done += chunk.keys;
        if (!s || attend(r, s, done == chunk.keys, done == job->keys) < 0)
            return -1;
    }
    return 0;
}

static int show_job(struct tu_gpu_run *r, const struct tu_gpu_part *job)
{
    for (uint64_t done = 0; done < job->keys && stage_outputs(r);) {
        struct tu_gpu_part chunk = next_chunk(r, job, done);
        struct tu_gpu_slot *s = find_slot(r, &chunk, false);
        done += chunk.keys;
        if (!s || show_stages(r, s) < 0)
            return -1;
    }
    return 0;
}

static int put_output(struct tu_gpu_run *r, const struct tu_gpu_part *job)
{
    uint64_t line = r->a->heads * r->a->value_dim;
    uint64_t bytes = 4 * job->batches * job->queries * line;
    float *to = r->out->out + (job->batch * r->a->queries + job->query) * line;
    double elapsed;
    if (!job->keys) {
        memset(to, 0, bytes);
        return 0;
    }
    if (tu_gpu_record(r->gpu, r->putting, r->computing, r->error) < 0 ||
        tu_gpu_download(r->gpu, to, r->args.out, bytes, r->computing, r->error) < 0 ||
        tu_gpu_record(r->gpu, r->put, r->computing, r->error) < 0 ||
        tu_gpu_elapsed(r->gpu, r->putting, r->put, &elapsed, r->error) < 0 ||
        tu_gpu_finish(r->gpu, r->computing, r->error) < 0)
        return -1;
    r->transfer_time += elapsed;
    if (r->timing)
        r->timing->downloaded += bytes;
    return 0;
}

static int do_job(struct tu_gpu_run *r, struct tu_gpu_part *job)
{
    find_keys(r, job);
    clear_stages(r, job);
    if (attend_job(r, job) < 0 || put_output(r, job) < 0 || show_job(r, job) < 0)
        return -1;
    if (r->timing)
        r->timing->cache_bytes += job->batches * job->keys * key_bytes(r);
    /* The next job's queries go where this one's were. */
    return settle_all(r);
}

static int do_jobs(struct tu_gpu_run *r)
{
    const struct tu_attention *a = r->a;
    struct tu_gpu_part job;
    memset(&job, 0, sizeof job);
    for (job.batch = 0; job.batch < a->batches; job.batch += job.batches) {
        job.batches = smaller(a->batches - job.batch, r->plan.batches);
        for (job.query = 0; job.query < a->queries; job.query += job.queries) {
            job.queries = smaller(a->queries - job.query, r->plan.queries);
            if (do_job(r, &job) < 0)
                return -1;
        }
    }
    return 0;
}

static void note(const struct tu_gpu_run *r)
{
    if (!r->timing)
        return;
    r->timing->uploaded = r->timing->downloaded = r->timing->launches = 0;
    r->timing->cache_bytes = 0;
    r->timing->splits = r->plan.splits;
    memcpy(r->timing->kernel, r->attend.name, sizeof r->timing->kernel);
}

static int do_once(struct tu_gpu_run *r)
{
    r->kernel_time = r->transfer_time = 0;
    for (unsigned i = 0; i < TU_GPU_SLOTS; i++)
        r->slots[i].valid = false;
    note(r);
    return do_jobs(r);
}

static int do_repeats(struct tu_gpu_run *r)
{
    struct tu_gpu_timing *t = r->timing;
    if (!r->options.repeats)
        return do_once(r);
    if (do_once(r) < 0) /* the driver may load a kernel when it is launched first */
        return -1;
    for (unsigned i = 0; i < r->options.repeats; i++) {
        if (do_once(r) < 0)
            return -1;
        if (t && t->kernels)
            t->kernels[i] = r->kernel_time;
        if (t && t->transfers)
            t->transfers[i] = r->transfer_time;
    }
    return 0;
}

/* ---- All of it ---- */

static int check_dim(const char *name, uint64_t dim, struct tu_error *error)
{
    if (dim && dim % TU_GPU_DIM_STEP == 0 && dim <= TU_GPU_MAX_DIM)
        return 0;
    return tu_fail(error, TU_EUSAGE,
                   "%s %" PRIu64 ": the CUDA kernels take multiples of %d up to %d", name, dim,
                   TU_GPU_DIM_STEP, TU_GPU_MAX_DIM);
}

static int check_problem(const struct tu_attention *a, struct tu_error *error)
{
    if (!a->heads || !a->kv_heads || a->heads % a->kv_heads ||
        a->heads > INT32_MAX / TU_GPU_MAX_DIM)
        return tu_fail(error, TU_EUSAGE, "%" PRIu64 " heads cannot share %" PRIu64 " of keys",
                       a->heads, a->kv_heads);
    if (check_dim("head size", a->head_dim, error) < 0)
        return -1;
    return check_dim("value size", a->value_dim, error);
}

int tu_gpu_attend(struct tu_gpu *gpu, const struct tu_attention *a,
                  const struct tu_attention_input *in, struct tu_attention_output *out,
                  const struct tu_gpu_attention_options *options, struct tu_gpu_timing *timing,
                  struct tu_error *error)
{
    struct tu_gpu_run r = {
        .gpu = gpu, .a = a, .in = in, .out = out, .timing = timing, .error = error};
    if (options)
        r.options = *options;
    if (!tu_gpu_has_kernels())
        return tu_fail(error, TU_EUSAGE,
                       "built without CUDA kernels (no nvcc or clang when it was configured)");
    if (check_problem(a, error) < 0)
        return -1;
    if (a->batches == 0 || a->queries == 0)
        return 0;
    if (a->keys == 0) {
        memset(out->out, 0, 4 * a->batches * a->queries * a->heads * a->value_dim);
        return 0;
    }
    int result = -1;
    if (tu_gpu_use(gpu, error) == 0 && find_kernels(&r) == 0 && tu_gpu_make_plan(&r) == 0 &&
        find_combine(&r) == 0 && prepare(&r) == 0)
        result = do_repeats(&r);
    release(&r);
    return result;
}
