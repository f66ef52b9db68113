/* SPDX-License-Identifier: MIT */
/* Holds two tensors that met, in the places where they are or as views of them. */
#include "config.h"

#include "compare/pair.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/side.h"

void tu_pair_set_view(struct tu_pair *p, int i, const struct tu_view *v)
{
    const char *name = p->tensors[i].name;
    size_t length = p->tensors[i].name_length;
    p->places[i].where = TU_IN_VIEW;
    p->places[i].view = v;
    p->tensors[i] = v->tensor;
    p->tensors[i].name = name;
    p->tensors[i].name_length = length;
}

int tu_pair_add(struct tu_pair *p, int i, const struct tu_origin *place, struct tu_error *error)
{
    p->present[i] = true;
    p->places[i] = *place;
    if (tu_tensor_copy(&p->arena, place->tensor, &p->stored[i], error) < 0)
        return -1;
    p->tensors[i] = p->stored[i];
    if (place->where == TU_IN_VIEW)
        tu_pair_set_view(p, i, place->view);
    return 0;
}

void tu_pair_set_partial(struct tu_pair *p, const struct tu_coverage *shown)
{
    char left[200];
    p->partial = true;
    p->elements = tu_coverage_left(shown, &p->stored[!p->present[0]], left, sizeof left);
    snprintf(p->reason, sizeof p->reason, "%s met nothing", left);
}

void tu_pair_free(struct tu_pair *p)
{
    for (int i = 0; i < 2; i++)
        tu_spool_close(&p->spools[i]);
    tu_arena_free(&p->arena);
    free(p);
}

struct tu_view_maker tu_pair_maker(struct tu_pair *p, const struct tu_kernels *kernels)
{
    return (struct tu_view_maker){&p->arena, kernels};
}

int tu_pair_keep(struct tu_pair *p, int i, const void *seen, size_t length, struct tu_error *error)
{
    struct tu_origin *from = &p->places[i];
    struct tu_spool *to = &p->spools[i];
    size_t head = from->read ? tu_dtype(p->stored[i].dtype)->head : 0;
    if (tu_spool_write(to, from->head, head, error) < 0 ||
        tu_spool_write(to, seen, length, error) < 0 ||
        tu_spool_stream(to, from->stream, p->stored[i].nbytes - head - length, error) < 0)
        return -1;
    from->where = TU_IN_SPOOL;
    from->tensor = &p->stored[i];
    from->spool = to;
    from->base = 0;
    return 0;
}

/* Elements of both sides that follow one another: real and imaginary parts are float32. */
static void count_parts(struct tu_pair *p, const float *a, const float *b, uint64_t first,
                        size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (a[2 * i] == b[2 * i] && a[2 * i + 1] == b[2 * i + 1]) {
            p->identical++;
        } else if (p->first_diff == UINT64_MAX) {
            p->first_diff = first + i;
        }
    }
}

int tu_pair_count_equal(struct tu_pair *p, const struct tu_kernels *kernels, struct tu_error *error)
{
    enum { AT_ONCE = 1024, BYTES = 8 };
    uint8_t bytes[AT_ONCE * BYTES];
    float parts[2][2 * AT_ONCE];
    const uint64_t elements = p->tensors[0].elements;
    p->counted = true;
    p->first_diff = UINT64_MAX;
    for (uint64_t first = 0; first < elements;) {
        size_t count = elements - first < AT_ONCE ? (size_t)(elements - first) : AT_ONCE;
        for (int i = 0; i < 2; i++) {
            if (tu_origin_read(&p->places[i], first * BYTES, bytes, count * BYTES, error) < 0)
                return -1;
            kernels->decode[TENSOR_F32](bytes, 2 * count, parts[i]);
        }
        count_parts(p, parts[0], parts[1], first, count);
        first += count;
    }
    if (p->identical != elements)
        snprintf(p->reason, sizeof p->reason, "%" PRIu64 " of %" PRIu64 " elements differ",
                 elements - p->identical, elements);
    return 0;
}

/* A tensor in a temporary file as one of a model of its own. */
static int member_in_spool(struct tu_pair *p, const struct tu_origin *place,
                           const struct tu_tensor *t, struct tu_member *out, struct tu_error *error)
{
    struct tu_model *model = tu_arena_alloc(&p->arena, sizeof *model);
    struct tu_extent *extent = tu_arena_alloc(&p->arena, sizeof *extent);
    struct tu_tensor *copy = tu_arena_alloc(&p->arena, sizeof *copy);
    if (!model || !extent || !copy)
        return tu_fail_memory(error);
    *model = (struct tu_model){.source = {.fd = place->spool->fd,
                                          .path = "temporary file",
                                          .size = place->base + t->nbytes}};
    *extent = (struct tu_extent){place->base, t->nbytes};
    *copy = *t;
    copy->extents = extent;
    copy->extent_count = 1;
    *out = (struct tu_member){model, copy};
    return 0;
}

const struct tu_view *tu_pair_view(struct tu_pair *p, int i, const struct tu_kernels *kernels,
                                   struct tu_error *error)
{
    struct tu_origin *place = &p->places[i];
    const struct tu_view_maker maker = tu_pair_maker(p, kernels);
    struct tu_member m = {place->model, &p->stored[i]};
    if (place->where == TU_IN_VIEW)
        return place->view;
    if (place->where == TU_IN_STREAM && tu_pair_keep(p, i, NULL, 0, error) < 0)
        return NULL;
    if (place->where != TU_IN_MODEL && member_in_spool(p, place, &p->stored[i], &m, error) < 0)
        return NULL;
    place->view = tu_view_leaf(&maker, m, error);
    if (place->view)
        place->where = TU_IN_VIEW;
    return place->view;
}
