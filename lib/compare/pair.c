/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "compare/pair.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/oracle/sample.h"
#include "base/text.h"

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
    for (int i = 0; i < 2; i++)
        tu_spool_close(&p->spools[i]);
    tu_full_free(&p->full);
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

/* A few large reads are faster than many small ones, until what they bring no longer stays in the
 * caches of a processor: of 0.4, 0.8, 1.5, 3 and 6 MiB, 1.5 took the least time. */
static uint64_t tile_of(const struct tu_pair *p)
{
    enum { SPAN = 1536 << 10, MOST = 8 * TU_TILE };
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

int tu_pair_keep(struct tu_pair *p, int i, const void *seen, size_t length, struct tu_error *error)
{
    struct tu_origin *from = &p->places[i];
    struct tu_spool *to = &p->spools[i];
    size_t head = from->read ? tu_dtype(p->stored[i].dtype)->head : 0;
    if (tu_spool_write(to, from->head, head, error) < 0 ||
        tu_spool_write(to, seen, length, error) < 0 ||
        tu_spool_stream(to, &from->side->operand.stream, p->stored[i].nbytes - head - length,
                        error) < 0)
        return -1;
    from->where = TU_IN_SPOOL;
    from->tensor = &p->stored[i];
    from->spool = to;
    from->base = 0;
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

const struct tu_view *tu_pair_view(const struct tu_terms *terms, struct tu_pair *p, int i,
                                   struct tu_error *error)
{
    struct tu_origin *place = &p->places[i];
    const struct tu_view_maker maker = tu_pair_maker(terms, p);
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

/* ---- One of two ways ---- */

/* The cosine of a sample of both; 0 where there is none, or where it is negative. */
static int sample(const struct tu_terms *terms, const struct tu_view *a, const struct tu_view *b,
                  double *out, struct tu_error *error)
{
    struct tu_sample *samples = malloc(2 * sizeof *samples);
    int result = samples ? 0 : tu_fail_memory(error);
    if (result == 0)
        result = tu_sample_take(a, terms->kernels, &samples[0], error);
    if (result == 0)
        result = tu_sample_take(b, terms->kernels, &samples[1], error);
    if (result == 0) {
        struct tu_likeness l = tu_likeness(samples[0].values, samples[1].values, samples[0].count);
        *out = fmax(tu_likeness_cosine(&l), 0);
    }
    free(samples);
    return result;
}

/* Which of two views of one side is more like the other side: the first, unless the second is by
 * far. */
static int choose(const struct tu_terms *terms, const struct tu_view *like,
                  const struct tu_view *first, const struct tu_view *second, bool *take_second,
                  struct tu_error *error)
{
    double x = 0, y = 0;
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
    const struct tu_view *v = tu_pair_view(terms, p, longer, error);
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
    const struct tu_view *a = stripped(&maker, tu_pair_view(terms, p, 0, error), error);
    const struct tu_view *b = a ? stripped(&maker, tu_pair_view(terms, p, 1, error), error) : NULL;
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
    const struct tu_view *like = tu_pair_view(terms, p, p->lead, error);
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
        const struct tu_view *v = stripped(&maker, tu_pair_view(terms, p, i, error), error);
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
        p->block_columns =
            columns < BLOCK / rows ? columns : BLOCK / rows / TU_COLUMNS * TU_COLUMNS;
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

static int keep_both(struct tu_pair *p, struct tu_error *error)
{
    for (int i = 0; i < 2; i++)
        if (p->places[i].where == TU_IN_STREAM && tu_pair_keep(p, i, NULL, 0, error) < 0)
            return -1;
    return 0;
}

bool tu_pair_puzzles(const struct tu_terms *terms, const struct tu_pair *p,
                     const struct tu_partial *sums)
{
    if (!terms->oracle || p->match == TU_MATCH_NOT_REAL)
        return false;
    if (p->match == TU_MATCH_SHAPES)
        return is_real(terms, &p->tensors[0]) && is_real(terms, &p->tensors[1]) &&
               p->tensors[0].elements == p->tensors[1].elements && p->tensors[0].elements;
    return p->match == TU_MATCH_BOTH &&
           tu_oracle_wanted(sums, p->stored[0].dtype, p->stored[1].dtype);
}

static bool is_transposed(const struct tu_origin *p)
{
    return p->where == TU_IN_VIEW && p->view->transposed;
}

/* Columns are added up in the order of the tiles, one after the other: that is little work only
 * where tiles have many rows. */
static void enlarge_tiles(struct tu_pair *p)
{
    enum { ROWS = 16 };
    while (!p->blocks[0] && p->plan.columns && p->tile < ROWS * p->plan.columns)
        p->tile *= 2;
}

static int settle_full(struct tu_pair *p, struct tu_error *error)
{
    const struct tu_tensor *t = &p->tensors[0];
    p->plan = tu_full_plan(tu_dtype(t->dtype), tu_dtype(p->tensors[1].dtype), t->elements,
                           p->comparison.row);
    /* Where something is added numbers are no longer those of their type. */
    p->plan.ulps = p->plan.ulps && p->addend == 0;
    p->has_full = t->elements > 0;
    enlarge_tiles(p);
    return tu_full_begin(&p->full, &p->plan, 0, p->comparison.row, NULL, error);
}

int tu_pair_settle(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    struct tu_tensor *a = &p->tensors[0], *b = &p->tensors[1];
    if (!p->present[0] || !p->present[1]) {
        p->match = p->present[0] ? TU_MATCH_ONLY_A : TU_MATCH_ONLY_B;
        return 0;
    }
    if (tu_population_differs(&p->stored[0].population, &p->stored[1].population, p->reason,
                              sizeof p->reason)) {
        p->match = TU_MATCH_POPULATIONS;
        return 0;
    }
    if (cut_padding(terms, p, error) < 0)
        return -1;
    bool same = tu_same_shape(a, b), real = is_real(terms, a) && is_real(terms, b);
    bool turning = is_turned(a, b) && (terms->transposing == TU_TRANSPOSE_ALWAYS ||
                                       (terms->transposing == TU_TRANSPOSE_AUTO && !same));
    p->match = !same && !turning ? TU_MATCH_SHAPES : real ? TU_MATCH_BOTH : TU_MATCH_NOT_REAL;
    if (p->match != TU_MATCH_BOTH)
        return tu_pair_puzzles(terms, p, NULL) ? keep_both(p, error) : 0;
    if ((turning ? turn(terms, p, error) : check_rope(terms, p, error)) < 0)
        return -1;
    if ((is_transposed(&p->places[0]) || is_transposed(&p->places[1])
             ? settle_blocks(terms, p, error)
             : settle_runs(terms, p, error)) < 0)
        return -1;
    return terms->full ? settle_full(p, error) : 0;
}
