/* SPDX-License-Identifier: MIT */
/* Reads a tensor of a feed, decodes it on all threads, and hands it on in order. */
#include "config.h"

#include "compute/stat/walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/pipeline.h"
#include "tensor/elements.h"

enum { READ_BYTES = 256 * 1024, HEAD_MAX = 8 };

struct walk {
    struct tu_feed *feed;
    struct tu_decoder decoder;
    tu_walk_fn *fn;
    void *context;
    uint64_t next; /* element */
};

struct tile {
    uint64_t first;
    size_t count, length, raw_capacity;
    uint8_t *raw;
    double *values;
    void *scratch; /* float32, or the low halves of wide values */
};

bool tu_walk_is_real(const struct tu_session *session, enum tensor_dtype dtype)
{
    return session->kernels->decode[dtype] != NULL;
}

static int reserve(struct tile *t, struct tu_error *error)
{
    if (!t->values)
        t->values = malloc(TU_TILE * sizeof *t->values);
    if (!t->scratch)
        t->scratch = malloc(TU_TILE * sizeof(double));
    if (!t->values || !t->scratch)
        return tu_fail_memory(error);
    if (t->length <= t->raw_capacity)
        return 0;
    uint8_t *larger = realloc(t->raw, t->length);
    if (!larger)
        return tu_fail_memory(error);
    t->raw = larger;
    t->raw_capacity = t->length;
    return 0;
}

static int take(void *context, void *slot, struct tu_error *error)
{
    struct walk *w = context;
    struct tile *t = slot;
    const struct tu_geometry *g = &w->decoder.geometry;
    uint64_t offset, length;
    if (w->next == g->elements)
        return 0;
    t->first = w->next;
    t->count = tu_geometry_tile(g, tu_geometry_unit(g), TU_TILE, t->first);
    tu_geometry_span(g, t->first, t->count, &offset, &length);
    w->next += t->count;
    t->length = (size_t)length;
    if (reserve(t, error) < 0)
        return -1;
    return tu_feed_read(w->feed, t->raw, t->length, error) < 0 ? -1 : 1;
}

static int decode(void *context, void *slot, void *scratch, struct tu_error *error)
{
    const struct walk *w = context;
    struct tile *t = slot;
    (void)scratch;
    (void)error;
    if (w->decoder.decode_wide) {
        tu_decode_wide(&w->decoder, t->raw, t->first, t->count, t->values, t->scratch);
        return 0;
    }
    float *narrow = t->scratch;
    tu_decode(&w->decoder, t->raw, t->first, t->count, narrow);
    for (size_t i = 0; i < t->count; i++)
        t->values[i] = (double)narrow[i];
    return 0;
}

static int put(void *context, void *slot, struct tu_error *error)
{
    struct walk *w = context;
    const struct tile *t = slot;
    return w->fn(w->context, t->raw, t->length, t->values, t->count, error);
}

static void release(void *context, void *slot)
{
    struct tile *t = slot;
    (void)context;
    free(t->raw);
    free(t->values);
    free(t->scratch);
}

/* Bytes that are no numbers. */
static int hand_on(const struct walk *w, uint64_t left, struct tu_error *error)
{
    uint8_t *raw = malloc(READ_BYTES);
    int result = raw ? 0 : tu_fail_memory(error);
    for (size_t n; left && result == 0; left -= n) {
        n = left < READ_BYTES ? (size_t)left : READ_BYTES;
        result = tu_feed_read(w->feed, raw, n, error);
        if (result == 0)
            result = w->fn(w->context, raw, n, NULL, 0, error);
    }
    free(raw);
    return result;
}

int tu_walk(struct tu_feed *feed, const struct tu_item *item, tu_walk_fn *fn, void *context,
            struct tu_error *error)
{
    const struct tu_geometry *g = &item->geometry;
    struct walk w = {.feed = feed, .fn = fn, .context = context};
    const struct tu_pipeline pipeline = {.context = &w,
                                         .slot_size = sizeof(struct tile),
                                         .take = take,
                                         .work = decode,
                                         .put = put,
                                         .release = release};
    uint8_t head[HEAD_MAX] = {0};
    if (!tu_walk_is_real(feed->session, item->tensor.dtype))
        return hand_on(&w, item->tensor.nbytes, error);
    if (g->elements && g->dtype->head) {
        if (tu_feed_read(feed, head, g->dtype->head, error) < 0 ||
            fn(context, head, g->dtype->head, NULL, 0, error) < 0)
            return -1;
    }
    if (tu_decoder_init(&w.decoder, g, feed->session->kernels, head, error) < 0)
        return -1;
    unsigned threads = g->elements > TU_TILE ? (unsigned)feed->session->threads : 1;
    return tu_pipeline_run(&pipeline, threads, error);
}
