/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "pair.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

/* The shape without leading and trailing ones. */
static uint32_t strip(const struct tu_tensor *t, const uint64_t **shape)
{
    uint32_t first = 0, last = t->rank;
    while (first < last && t->shape[first] == 1)
        first++;
    while (last > first && t->shape[last - 1] == 1)
        last--;
    *shape = t->shape + first;
    return last - first;
}

bool tu_same_shape(const struct tu_tensor *a, const struct tu_tensor *b)
{
    const uint64_t *x, *y;
    uint32_t n = strip(a, &x);
    return n == strip(b, &y) && memcmp(x, y, n * sizeof *x) == 0;
}

static void set_view(struct tu_pair *p, int i, const struct tu_view *v)
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
        set_view(p, i, place->view);
    return 0;
}

void tu_pair_free(struct tu_pair *p)
{
    tu_arena_free(&p->arena);
    free(p);
}

static bool is_real(const struct tu_terms *terms, const struct tu_tensor *t)
{
    return terms->kernels->decode[t->dtype] != NULL;
}

static int start_decoder(const struct tu_terms *terms, struct tu_pair *pair, int i,
                         struct tu_error *error)
{
    struct tu_geometry geometry;
    uint8_t head[8];
    struct tu_tensor *t = &pair->tensors[i];
    if (tu_tensor_check(t, &geometry, error) < 0)
        return -1;
    size_t length = t->elements ? geometry.dtype->head : 0;
    if (length && tu_origin_read(&pair->places[i], 0, head, length, error) < 0)
        return -1;
    memset(head + length, 0, sizeof head - length);
    if (tu_decoder_init(&pair->comparison.decoders[i], &geometry, terms->kernels, head, error) < 0)
        return -1;
    pair->comparison.decoders[i].addend = i == pair->lead ? pair->addend : 0;
    return 0;
}

/* Elements of a row: the last dimension, with those before it where it is short, as that of a
 * convolution's kernel is. */
static uint64_t row_of(const struct tu_tensor *t)
{
    enum { SHORT = 32 };
    const uint64_t *shape;
    uint32_t i = strip(t, &shape);
    uint64_t row = i ? shape[--i] : 1;
    while (i && row < SHORT)
        row *= shape[--i];
    return row;
}

/* Tiles are as large as the cache of a processor takes with what is made of them: a few large reads
 * are faster than many small ones. */
static uint64_t tile_of(const struct tu_pair *p)
{
    enum { SPAN = 768 << 10, MOST = 8 * TU_TILE };
    uint64_t tile = TU_TILE, bytes = 0;
    for (int i = 0; i < 2; i++) {
        const struct tu_dtype *type = p->comparison.decoders[i].geometry.dtype;
        bytes += TU_TILE / type->elements * type->bytes;
    }
    for (; tile < MOST && 2 * bytes <= SPAN; tile *= 2)
        bytes *= 2;
    return tile;
}

/* Every element is compared with the one of the same index. */
static int settle_runs(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    if (start_decoder(terms, p, 0, error) < 0 || start_decoder(terms, p, 1, error) < 0)
        return -1;
    const struct tu_geometry *a = &p->comparison.decoders[0].geometry;
    const struct tu_geometry *b = &p->comparison.decoders[1].geometry;
    p->cutter = tu_geometry_unit(b) > tu_geometry_unit(a);
    p->comparison.kernels = terms->kernels;
    p->comparison.row = row_of(&p->tensors[0]);
    p->tile = tile_of(p);
    return 0;
}

/* ---- Views ---- */

struct tu_view_maker tu_pair_maker(const struct tu_terms *terms, struct tu_pair *p)
{
    return (struct tu_view_maker){&p->arena, terms->kernels};
}

/* A tensor in the temporary file of a side as one of a model of its own. */
static int member_in_spool(struct tu_pair *p, const struct tu_side *s, const struct tu_tensor *t,
                           uint64_t base, struct tu_member *out, struct tu_error *error)
{
    struct tu_model *model = tu_arena_alloc(&p->arena, sizeof *model);
    struct tu_extent *extent = tu_arena_alloc(&p->arena, sizeof *extent);
    struct tu_tensor *copy = tu_arena_alloc(&p->arena, sizeof *copy);
    if (!model || !extent || !copy)
        return tu_fail_memory(error);
    *model = (struct tu_model){
        .source = {.fd = s->spool, .path = "temporary file", .size = base + t->nbytes}};
    *extent = (struct tu_extent){base, t->nbytes};
    *copy = *t;
    copy->extents = extent;
    copy->extent_count = 1;
    *out = (struct tu_member){model, copy};
    return 0;
}

/* One side of a pair as a view, which can be read in any order. */
static const struct tu_view *view_of(const struct tu_terms *terms, struct tu_pair *p, int i,
                                     struct tu_error *error)
{
    struct tu_origin *place = &p->places[i];
    const struct tu_view_maker maker = tu_pair_maker(terms, p);
    struct tu_member m = {place->model, &p->stored[i]};
    if (place->where == TU_IN_VIEW)
        return place->view;
    uint64_t base = place->where == TU_IN_STREAM ? place->side->spooled : place->base;
    if (place->where == TU_IN_STREAM && tu_side_spool(place->side, p->stored[i].nbytes, error) < 0)
        return NULL;
    if (place->where != TU_IN_MODEL &&
        member_in_spool(p, place->side, &p->stored[i], base, &m, error) < 0)
        return NULL;
    place->view = tu_view_leaf(&maker, m, error);
    if (place->view)
        place->where = TU_IN_VIEW;
    return place->view;
}

/* ---- One of two ways ---- */

/* Decodes and compares some elements. */
static int compare_piece(const struct tu_terms *terms, const struct tu_view *const sides[2],
                         uint64_t first, size_t count, struct tu_partial *sums,
                         struct tu_error *error)
{
    struct tu_comparison c = {.kernels = terms->kernels, .row = sides[0]->tensor.elements};
    uint8_t *raw[2] = {NULL, NULL};
    int result = 0;
    for (int i = 0; i < 2 && result == 0; i++) {
        const struct tu_geometry *g = &sides[i]->geometry;
        uint64_t offset, length;
        uint8_t head[8] = {0};
        tu_geometry_span(g, first, count, &offset, &length);
        if (g->dtype->head)
            result = tu_view_read(sides[i], 0, head, g->dtype->head, error);
        if (result == 0)
            result = tu_decoder_init(&c.decoders[i], g, c.kernels, head, error);
        if (result == 0 && !(raw[i] = malloc((size_t)length)))
            result = tu_fail_memory(error);
        if (result == 0)
            result = tu_view_read(sides[i], offset, raw[i], (size_t)length, error);
    }
    if (result == 0)
        tu_compare_range(&c, (const uint8_t *const *)raw, first, count, sums, NULL);
    free(raw[0]);
    free(raw[1]);
    return result;
}

/* The cosine of some runs that are spread over both; 0 where there is none. */
static int sample(const struct tu_terms *terms, const struct tu_view *a, const struct tu_view *b,
                  double *out, struct tu_error *error)
{
    enum { RUNS = 16, RUN = 256 };
    const struct tu_view *const sides[2] = {a, b};
    struct tu_partial sums = {0};
    uint64_t elements = a->tensor.elements;
    uint64_t step = elements > RUN ? (elements - RUN) / (RUNS - 1) : 0;
    for (uint64_t i = 0; i < (step ? RUNS : 1); i++) {
        size_t n = elements < RUN ? (size_t)elements : RUN;
        if (n && compare_piece(terms, sides, i * step, n, &sums, error) < 0)
            return -1;
    }
    struct tu_metrics m = tu_partial_metrics(&sums);
    *out = m.cosine_similarity > 0 ? m.cosine_similarity : 0;
    return 0;
}

/* Which of two views of one side is more like the other side: the first, unless the second is by
 * far. */
static int choose(const struct tu_terms *terms, const struct tu_view *like,
                  const struct tu_view *first, const struct tu_view *second, bool *take_second,
                  struct tu_error *error)
{
    double x, y;
    if (sample(terms, like, first, &x, error) < 0 || sample(terms, like, second, &y, error) < 0)
        return -1;
    *take_second = y > x + 0.1;
    return 0;
}

/* ---- Settling how a pair is compared ---- */

/* Of tensors that may have other numbers of rows, the rows that both have. */
static int cut_padding(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(terms, p);
    const struct tu_tensor *a = &p->tensors[0], *b = &p->tensors[1];
    if (!p->padded || a->rank != b->rank || a->rank == 0 || a->shape[0] == b->shape[0] ||
        memcmp(a->shape + 1, b->shape + 1, (a->rank - 1) * sizeof *a->shape) != 0)
        return 0;
    int longer = b->shape[0] > a->shape[0];
    uint64_t rows = p->tensors[!longer].shape[0], all = p->tensors[longer].shape[0];
    const struct tu_view *v = view_of(terms, p, longer, error);
    if (v)
        v = tu_view_rows(&maker, v, 0, rows, error);
    if (!v)
        return -1;
    tu_say_step(p->transform, sizeof p->transform, "%" PRIu64 " of %" PRIu64 " rows of %c", rows,
                all, "ab"[longer]);
    set_view(p, longer, v);
    return 0;
}

/* Whether one is a matrix, or a stack of some, and the other has its last dimensions the other way
 * round. */
static bool is_turned(const struct tu_tensor *a, const struct tu_tensor *b)
{
    const uint64_t *x, *y;
    uint32_t n = strip(a, &x);
    return n >= 2 && n == strip(b, &y) && x[n - 1] == y[n - 2] && x[n - 2] == y[n - 1] &&
           memcmp(x, y, (n - 2) * sizeof *x) == 0;
}

/* The view without leading and trailing dimensions of 1. */
static const struct tu_view *stripped(const struct tu_view_maker *maker, const struct tu_view *v,
                                      struct tu_error *error)
{
    const uint64_t *shape;
    uint32_t rank = v ? strip(&v->tensor, &shape) : 0;
    return !v || rank == v->tensor.rank ? v : tu_view_reshape(maker, v, shape, rank, error);
}

/* Compares with the transpose; where shapes differ, only the label may: then the bytes agree as
 * they lie. */
static int turn(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(terms, p);
    const struct tu_view *a = stripped(&maker, view_of(terms, p, 0, error), error);
    const struct tu_view *b = a ? stripped(&maker, view_of(terms, p, 1, error), error) : NULL;
    const struct tu_view *turned = b ? tu_view_transpose(&maker, b, error) : NULL;
    bool as_it_lies = false;
    if (!turned)
        return -1;
    if (terms->transposing == TU_TRANSPOSE_AUTO) {
        const struct tu_view *lying =
            tu_view_reshape(&maker, b, a->tensor.shape, a->tensor.rank, error);
        if (!lying || choose(terms, a, turned, lying, &as_it_lies, error) < 0)
            return -1;
        turned = as_it_lies ? lying : turned;
    }
    tu_say_step(p->transform, sizeof p->transform, as_it_lies ? "reshape" : "transpose");
    set_view(p, 0, a);
    set_view(p, 1, turned);
    return 0;
}

/* A model whose rows were not put in another order looks like one whose were. */
static int check_rope(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(terms, p);
    int other = !p->lead;
    struct tu_found f;
    bool take_second;
    if (!p->roped || !p->tensors[0].elements)
        return 0;
    const struct tu_view *like = view_of(terms, p, p->lead, error);
    int found = like ? tu_partners_find(terms->partners, other, &p->tensors[p->lead], true, &maker,
                                        &f, error)
                     : -1;
    if (found <= 0 || f.view->tensor.elements != like->tensor.elements)
        return found < 0 ? -1 : 0;
    if (choose(terms, like, p->places[other].view, f.view, &take_second, error) < 0)
        return -1;
    if (take_second) {
        set_view(p, other, f.view);
        snprintf(p->transform, sizeof p->transform, "%s", f.steps);
    }
    return 0;
}

/* Blocks of a matrix that is compared with a transposed one. */
static int settle_blocks(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    enum { SIDE = 1024, BLOCK = SIDE * SIDE };
    const struct tu_view_maker maker = tu_pair_maker(terms, p);
    for (int i = 0; i < 2; i++) {
        const struct tu_view *v = stripped(&maker, view_of(terms, p, i, error), error);
        if (!v || !(v = p->blocks[i] = tu_view_plain(&maker, v, error)))
            return -1;
        struct tu_geometry flat;
        const uint64_t shape = BLOCK;
        if (tu_geometry(v->tensor.dtype, TENSOR_PACKING_ROWS, &shape, 1, &flat, error) < 0 ||
            tu_decoder_init(&p->comparison.decoders[i], &flat, terms->kernels, NULL, error) < 0)
            return -1;
        p->comparison.decoders[i].addend = i == p->lead ? p->addend : 0;
    }
    const struct tu_tensor *t = &p->blocks[0]->tensor;
    uint64_t columns = t->rank ? t->shape[t->rank - 1] : 1;
    uint64_t rows = columns ? t->elements / columns : 0;
    p->block_rows = rows < SIDE ? rows : SIDE;
    p->block_columns = columns < SIDE ? columns : SIDE;
    if (rows && rows < SIDE)
        p->block_columns = columns < BLOCK / rows ? columns : BLOCK / rows;
    else if (columns && columns < SIDE)
        p->block_rows = rows < BLOCK / columns ? rows : BLOCK / columns;
    p->comparison.kernels = terms->kernels;
    p->comparison.row = columns;
    if (p->block_columns < columns) {
        p->block_sums = tu_arena_alloc(&p->arena, p->block_rows * sizeof *p->block_sums);
        if (!p->block_sums)
            return tu_fail_memory(error);
        memset(p->block_sums, 0, p->block_rows * sizeof *p->block_sums);
    }
    return 0;
}

static bool is_transposed(const struct tu_origin *p)
{
    return p->where == TU_IN_VIEW && p->view->transposed;
}

int tu_pair_settle(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    struct tu_tensor *a = &p->tensors[0], *b = &p->tensors[1];
    if (!p->present[0] || !p->present[1]) {
        p->match = p->present[0] ? TU_MATCH_ONLY_A : TU_MATCH_ONLY_B;
        return 0;
    }
    if (cut_padding(terms, p, error) < 0)
        return -1;
    bool same = tu_same_shape(a, b), real = is_real(terms, a) && is_real(terms, b);
    bool turning = is_turned(a, b) && (terms->transposing == TU_TRANSPOSE_ALWAYS ||
                                       (terms->transposing == TU_TRANSPOSE_AUTO && !same));
    p->match = !same && !turning ? TU_MATCH_SHAPES : real ? TU_MATCH_BOTH : TU_MATCH_NOT_REAL;
    if (p->match != TU_MATCH_BOTH)
        return 0;
    if ((turning ? turn(terms, p, error) : check_rope(terms, p, error)) < 0)
        return -1;
    return is_transposed(&p->places[0]) || is_transposed(&p->places[1])
               ? settle_blocks(terms, p, error)
               : settle_runs(terms, p, error);
}
