/* SPDX-License-Identifier: MIT */
/* Digests of tensors, one after another from a feed, or of a model's on all threads. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "base/pipeline.h"
#include "model/digests.h"
#include "tensor/elements.h"

enum { READ_BYTES = 256 * 1024 };

/* A tensor whose digest is made: of a model, by any thread; else from the feed. */
struct piece {
    struct tu_feed *feed;
    struct tu_hash_job *job; /* of a model: what it is, and where the digest goes */
    struct tu_tensor tensor;
    struct tu_geometry geometry;
    uint64_t read;           /* bytes of it */
    struct tu_hasher hasher; /* kept for the next one */
};

static int read_bytes(struct piece *p, size_t length, struct tu_error *error)
{
    struct tu_hasher *h = &p->hasher;
    if (length > h->raw_capacity) {
        uint8_t *larger = realloc(h->raw, length);
        if (!larger)
            return tu_fail_memory(error);
        h->raw = larger;
        h->raw_capacity = length;
    }
    if (!p->job)
        return tu_feed_read(p->feed, h->raw, length, error);
    p->read += length;
    return tu_model_read(p->job->member.model, p->job->member.tensor, p->read - length, h->raw,
                         length, error);
}

static int hash_stored(struct piece *p, struct tu_error *error)
{
    for (uint64_t left = p->tensor.nbytes; left;) {
        size_t n = left < READ_BYTES ? (size_t)left : READ_BYTES;
        if (read_bytes(p, n, error) < 0)
            return -1;
        tu_digest_add(p->hasher.digest, p->hasher.raw, n);
        left -= n;
    }
    return 0;
}

static bool is_exact(const struct tu_hashing *how, const struct piece *p)
{
    return how->session->kernels->decode[p->tensor.dtype] &&
           !(p->geometry.dtype->flags & TENSOR_DTYPE_WIDE);
}

static int hash_values(const struct tu_hashing *how, struct piece *p,
                       const struct tu_decoder *decoder, struct tu_error *error)
{
    const struct tu_geometry *g = &p->geometry;
    struct tu_hasher *h = &p->hasher;
    uint8_t *bytes = (uint8_t *)(h->values + TU_TILE);
    for (uint64_t first = 0, offset, length; first < g->elements;) {
        size_t n = tu_geometry_tile(g, tu_geometry_unit(g), TU_TILE, first);
        tu_geometry_span(g, first, n, &offset, &length);
        if (read_bytes(p, length, error) < 0)
            return -1;
        tu_decode(decoder, h->raw, first, n, h->values);
        how->session->kernels->encode[TENSOR_F32](h->values, n, bytes);
        tu_digest_add(h->digest, bytes, n * sizeof(float));
        first += n;
    }
    return 0;
}

static int hash_decoded(const struct tu_hashing *how, struct piece *p, struct tu_error *error)
{
    const struct tu_geometry *g = &p->geometry;
    struct tu_hasher *h = &p->hasher;
    uint8_t head[8] = {0};
    struct tu_decoder decoder;
    if (!h->values)
        h->values = malloc(TU_TILE * (sizeof *h->values + sizeof(float)));
    if (!h->values)
        return tu_fail_memory(error);
    if (g->elements && g->dtype->head) {
        if (read_bytes(p, g->dtype->head, error) < 0)
            return -1;
        memcpy(head, h->raw, g->dtype->head);
    }
    if (tu_decoder_init(&decoder, g, how->session->kernels, head, error) < 0)
        return -1;
    return hash_values(how, p, &decoder, error);
}

static int hash_piece(const struct tu_hashing *how, struct piece *p, char digest[TU_DIGEST_TEXT],
                      struct tu_error *error)
{
    struct tu_hasher *h = &p->hasher;
    if (!h->digest && !(h->digest = tu_digest_new(how->algorithm, error)))
        return -1;
    bool values = how->decoded && is_exact(how, p);
    if ((values ? hash_decoded(how, p, error) : hash_stored(p, error)) < 0)
        return -1;
    tu_digest_take(h->digest, digest);
    return 0;
}

int tu_hash_next(const struct tu_hashing *how, struct tu_hasher *h, struct tu_feed *feed,
                 const struct tu_item *item, char digest[TU_DIGEST_TEXT], struct tu_error *error)
{
    struct piece p = {
        .feed = feed, .tensor = item->tensor, .geometry = item->geometry, .hasher = *h};
    int result = hash_piece(how, &p, digest, error);
    *h = p.hasher;
    return result;
}

void tu_hasher_free(struct tu_hasher *h)
{
    tu_digest_free(h->digest);
    free(h->raw);
    free(h->values);
    *h = (struct tu_hasher){0};
}

/* ---- All tensors of a model ---- */

/* The largest first, so that no thread is left with one of them at the end. */
struct batch {
    const struct tu_hashing *how;
    struct tu_hash_job **by_size;
    size_t count, next;
    uint64_t *done, total;
};

static int take_job(void *context, void *slot, struct tu_error *error)
{
    struct batch *batch = context;
    struct piece *p = slot;
    if (batch->next == batch->count)
        return 0;
    p->job = batch->by_size[batch->next++];
    p->tensor = *p->job->member.tensor;
    p->read = 0;
    return tu_tensor_check(&p->tensor, &p->geometry, error) < 0 ? -1 : 1;
}

static int work_job(void *context, void *slot, void *scratch, struct tu_error *error)
{
    const struct batch *batch = context;
    struct piece *p = slot;
    (void)scratch;
    return hash_piece(batch->how, p, p->job->digest, error);
}

static int put_job(void *context, void *slot, struct tu_error *error)
{
    struct batch *batch = context;
    struct piece *p = slot;
    (void)error;
    *batch->done += p->tensor.nbytes;
    tu_progress(batch->how->session, *batch->done, batch->total);
    return 0;
}

static void free_job(void *context, void *slot)
{
    struct piece *p = slot;
    (void)context;
    tu_hasher_free(&p->hasher);
}

static int compare_sizes(const void *a, const void *b)
{
    const struct tu_hash_job *x = *(struct tu_hash_job *const *)a;
    const struct tu_hash_job *y = *(struct tu_hash_job *const *)b;
    uint64_t p = x->member.tensor->nbytes, q = y->member.tensor->nbytes;
    return (p < q) - (p > q);
}

int tu_hash_jobs(const struct tu_hashing *how, struct tu_hash_job *jobs, size_t count,
                 uint64_t *done, uint64_t total, struct tu_error *error)
{
    struct batch batch = {.how = how, .count = count, .done = done, .total = total};
    const struct tu_pipeline pipeline = {.context = &batch,
                                         .slot_size = sizeof(struct piece),
                                         .take = take_job,
                                         .work = work_job,
                                         .put = put_job,
                                         .release = free_job};
    batch.by_size = reallocarray(NULL, count + 1, sizeof *batch.by_size);
    if (!batch.by_size)
        return tu_fail_memory(error);
    for (size_t i = 0; i < count; i++)
        batch.by_size[i] = &jobs[i];
    if (count)
        qsort(batch.by_size, count, sizeof *batch.by_size, compare_sizes);
    int result = tu_pipeline_run(&pipeline, (unsigned)how->session->threads, error);
    free(batch.by_size);
    return result;
}
