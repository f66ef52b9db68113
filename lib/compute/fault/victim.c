/* SPDX-License-Identifier: MIT */
/* What faults have in common: a place that a seed chooses, bytes as they are, rows. */
#include "config.h"

#include "compute/fault/victim.h"

#include <stdlib.h>
#include <string.h>

#include "compute/random.h"

int tu_refuse(const struct tu_victim *v, struct tu_error *error, const char *why)
{
    return tu_fail(error, TU_EUSAGE, "tensor '%s': %s", v->tensor->name, why);
}

uint64_t tu_choose(const struct tu_victim *v, uint64_t n, uint64_t bound)
{
    struct tu_random random =
        tu_random_init(v->work->settings->seed, v->tensor->name, v->tensor->name_length);
    return tu_random_bits(&random, n) % bound;
}

int tu_read_original(const struct tu_victim *v, uint64_t offset, void *to, size_t length,
                     struct tu_error *error)
{
    return tu_model_read(v->member.model, v->member.tensor, offset, to, length, error);
}

int tu_take_bytes(struct tu_victim *v, uint64_t at, uint64_t count, struct tu_error *error)
{
    free(v->bytes);
    v->at = at;
    v->count = count;
    v->bytes = malloc(count);
    return v->bytes ? tu_read_original(v, at, v->bytes, count, error) : tu_fail_memory(error);
}

static int places_differ(const struct tu_member *a, uint64_t first, const struct tu_member *b,
                         uint64_t other, uint64_t length, bool *differ, struct tu_error *error)
{
    uint8_t x[4096], y[sizeof x];
    *differ = false;
    for (uint64_t done = 0; done < length && !*differ; done += sizeof x) {
        size_t n = length - done < sizeof x ? (size_t)(length - done) : sizeof x;
        if (tu_model_read(a->model, a->tensor, first + done, x, n, error) < 0 ||
            tu_model_read(b->model, b->tensor, other + done, y, n, error) < 0)
            return -1;
        *differ = memcmp(x, y, n) != 0;
    }
    return 0;
}

int tu_spans_differ(const struct tu_victim *v, uint64_t first, uint64_t other, uint64_t length,
                    bool *differ, struct tu_error *error)
{
    return places_differ(&v->member, first, &v->member, other, length, differ, error);
}

int tu_tensors_differ(const struct tu_member *a, const struct tu_member *b, bool *differ,
                      struct tu_error *error)
{
    return places_differ(a, 0, b, 0, a->tensor->nbytes, differ, error);
}

int tu_copy_bytes(const struct tu_victim *v, uint64_t from, uint64_t length, tu_sink_fn *sink,
                  void *context, struct tu_error *error)
{
    if (length == 0)
        return 0;
    size_t size = length < TU_FAULT_PIECE ? (size_t)length : TU_FAULT_PIECE;
    uint8_t *buffer = malloc(size);
    int result = buffer ? 0 : tu_fail_memory(error);
    for (uint64_t done = 0; done < length && result == 0; done += size) {
        size_t n = length - done < size ? (size_t)(length - done) : size;
        result = tu_read_original(v, from + done, buffer, n, error);
        if (result == 0)
            result = sink(context, buffer, n, error);
    }
    free(buffer);
    return result;
}

int tu_victim_rows(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_tensor *t = v->tensor;
    uint64_t bytes = v->geometry.nbytes - v->geometry.dtype->head;
    v->row = t->rank ? t->shape[t->rank - 1] : 1;
    v->rows = v->row ? t->elements / v->row : 0;
    if (t->rank < 2 || v->rows == 0 || bytes % v->rows)
        return tu_refuse(v, error, "it has no rows of whole blocks");
    v->row_bytes = bytes / v->rows;
    return 0;
}

int tu_victim_slices(const struct tu_victim *v, uint64_t *slices, uint64_t *length,
                     struct tu_error *error)
{
    const struct tu_geometry *g = &v->geometry;
    *slices = v->tensor->rank ? v->tensor->shape[0] : 0;
    uint64_t bytes = g->nbytes - g->dtype->head;
    uint64_t of_slice = *slices ? g->elements / *slices : 0;
    /* Rows are whole blocks, padded or not; where blocks run over rows, slices have to be. */
    if (*slices == 0 || bytes % *slices || (g->rows == 1 && of_slice % g->dtype->elements))
        return tu_refuse(v, error, "it has no rows of whole blocks");
    *length = bytes / *slices;
    return 0;
}
