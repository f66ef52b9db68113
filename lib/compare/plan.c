/* SPDX-License-Identifier: MIT */
/* Decides how two tensors that met are seen so that they can be compared, and in which tiles. */
#include "config.h"

#include "compare/plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compare/oracle/sample.h"

static bool is_real(const struct tu_terms *terms, const struct tu_tensor *t)
{
    return terms->kernels->decode[t->dtype] != NULL;
}

static int start_decoder(const struct tu_terms *terms, struct tu_pair *pair, struct tu_plan *plan,
                         int i, struct tu_error *error)
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
    if (tu_decoder_init(&plan->comparison.decoders[i], &geometry, terms->kernels, head, error) < 0)
        return -1;
    plan->comparison.decoders[i].addend = i == pair->lead ? pair->addend : 0;
    return 0;
}

/* Elements of a row: the last dimension, with those before it where it is short, as that of a
 * convolution's kernel is. */
static uint64_t row_of(const struct tu_tensor *t)
{
    enum { SHORT = 32 };
    const uint64_t *shape;
    uint32_t i = tu_shape_core(t, &shape);
    uint64_t row = i ? shape[--i] : 1;
    while (i && row < SHORT)
        row *= shape[--i];
    return row;
}

/* A few large reads are faster than many small ones, until what they bring no longer stays in the
 * caches of a processor: of 0.4, 0.8, 1.5, 3 and 6 MiB, 1.5 took the least time. */
static uint64_t tile_of(const struct tu_plan *p)
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
static int settle_runs(const struct tu_terms *terms, struct tu_pair *p, struct tu_plan *plan,
                       struct tu_error *error)
{
    if (start_decoder(terms, p, plan, 0, error) < 0 || start_decoder(terms, p, plan, 1, error) < 0)
        return -1;
    const struct tu_geometry *a = &plan->comparison.decoders[0].geometry;
    const struct tu_geometry *b = &plan->comparison.decoders[1].geometry;
    plan->cutter = tu_geometry_unit(b) > tu_geometry_unit(a);
    plan->comparison.kernels = terms->kernels;
    plan->comparison.row = row_of(&p->tensors[0]);
    plan->run = plan->comparison.row;
    plan->tile = tile_of(plan);
    return 0;
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

/* Rows that no token uses are padding where they are few; what they hold says so, or the list of
 * tokens does. */
enum { PADDING_MAX = 256 };

/* Whether every one of some rows is one number throughout (a row of one element: 0), and whether
 * all are finite. */
static int look_at_rows(const struct tu_terms *terms, const struct tu_view *v, uint64_t first,
                        uint64_t end, bool *constant, bool *finite, struct tu_error *error)
{
    uint64_t columns = v->tensor.shape[0] ? v->tensor.elements / v->tensor.shape[0] : 0;
    float *row = malloc((size_t)columns * sizeof *row + 1);
    int result = row ? 0 : tu_fail_memory(error);
    *constant = *finite = true;
    for (uint64_t r = first; r < end && result == 0; r++) {
        result = tu_view_values(v, terms->kernels, r * columns, (size_t)columns, row, error);
        for (uint64_t i = 0; i < columns && result == 0; i++) {
            *constant &= row[i] == (columns > 1 ? row[0] : 0);
            *finite &= isfinite(row[i]) != 0;
        }
    }
    free(row);
    return result;
}

/* Why rows that one side alone has are more than padding; NULL: they are padding.  v is the longer
 * side. */
static int find_objection(const struct tu_terms *terms, const struct tu_view *v, uint64_t rows,
                          const char **objection, struct tu_error *error)
{
    bool constant, finite;
    const struct tu_vocabulary *vocabulary = &terms->conventions->vocabulary;
    *objection = NULL;
    if (v->tensor.shape[0] - rows > PADDING_MAX)
        *objection = "are more than padding, which is 256 at most";
    else if (vocabulary->tokens > rows)
        *objection = "are of the vocabulary that the metadata states";
    else if (!is_real(terms, &v->tensor))
        *objection = "cannot be looked at";
    if (*objection)
        return 0;
    if (look_at_rows(terms, v, rows, v->tensor.shape[0], &constant, &finite, error) < 0)
        return -1;
    if (!finite || !(constant || vocabulary->listed))
        *objection = finite ? "hold numbers, and nothing says that no token uses them"
                            : "hold NaN or infinity";
    return 0;
}

/* Of a vocabulary that one side has padded, the rows that both have. */
static int cut_padding(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(p, terms->kernels);
    const struct tu_tensor *a = &p->tensors[0], *b = &p->tensors[1];
    const char *objection;
    if (!p->padded || a->rank != b->rank || a->rank == 0 || a->shape[0] == b->shape[0] ||
        memcmp(a->shape + 1, b->shape + 1, (a->rank - 1) * sizeof *a->shape) != 0)
        return 0;
    int longer = b->shape[0] > a->shape[0];
    uint64_t rows = p->tensors[!longer].shape[0], all = p->tensors[longer].shape[0];
    const struct tu_view *v = tu_pair_view(p, longer, terms->kernels, error);
    p->rows_only[longer] = all - rows;
    if (!v || find_objection(terms, v, rows, &objection, error) < 0)
        return -1;
    if (objection) {
        snprintf(p->reason, sizeof p->reason, "%" PRIu64 " rows of %c alone %s", all - rows,
                 "ab"[longer], objection);
        return 0;
    }
    if (!(v = tu_view_rows(&maker, v, 0, rows, error)))
        return -1;
    tu_say_step(p->transform, sizeof p->transform, "%" PRIu64 " of %" PRIu64 " rows of %c", rows,
                all, "ab"[longer]);
    tu_pair_set_view(p, longer, v);
    return 0;
}

/* Whether one is a matrix, or a stack of some, and the other has its last dimensions the other way
 * round. */
static bool is_turned(const struct tu_tensor *a, const struct tu_tensor *b)
{
    const uint64_t *x, *y;
    uint32_t n = tu_shape_core(a, &x);
    return n >= 2 && n == tu_shape_core(b, &y) && x[n - 1] == y[n - 2] && x[n - 2] == y[n - 1] &&
           memcmp(x, y, (n - 2) * sizeof *x) == 0;
}

/* The view without leading and trailing dimensions of 1. */
static const struct tu_view *stripped(const struct tu_view_maker *maker, const struct tu_view *v,
                                      struct tu_error *error)
{
    const uint64_t *shape;
    uint32_t rank = v ? tu_shape_core(&v->tensor, &shape) : 0;
    return !v || rank == v->tensor.rank ? v : tu_view_reshape(maker, v, shape, rank, error);
}

/* Compares with the transpose; where shapes differ, only the label may: then the bytes agree as
 * they lie. */
static int turn(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(p, terms->kernels);
    const struct tu_view *a = stripped(&maker, tu_pair_view(p, 0, terms->kernels, error), error);
    const struct tu_view *b =
        a ? stripped(&maker, tu_pair_view(p, 1, terms->kernels, error), error) : NULL;
    const struct tu_view *turned = b ? tu_view_transpose(&maker, b, error) : NULL;
    bool as_it_lies = false;
    if (!turned)
        return -1;
    if (terms->transposing == TU_TRANSPOSE_EITHER) {
        const struct tu_view *lying =
            tu_view_reshape(&maker, b, a->tensor.shape, a->tensor.rank, error);
        if (!lying || choose(terms, a, turned, lying, &as_it_lies, error) < 0)
            return -1;
        turned = as_it_lies ? lying : turned;
    }
    tu_say_step(p->transform, sizeof p->transform, as_it_lies ? "reshape" : "transpose");
    tu_pair_set_view(p, 0, a);
    tu_pair_set_view(p, 1, turned);
    return 0;
}

/* What the other side looks like without the step that puts its rows in another order; NULL without
 * an error where that does not fit. */
static int find_unroped(const struct tu_terms *terms, struct tu_pair *p, struct tu_found *f,
                        struct tu_error *error)
{
    const struct tu_view_maker maker = tu_pair_maker(p, terms->kernels);
    int found =
        tu_partners_find(terms->partners, !p->lead, &p->tensors[p->lead], true, &maker, f, error);
    if (found <= 0 || f->view->tensor.elements != p->tensors[p->lead].elements)
        f->view = NULL;
    return found < 0 ? -1 : 0;
}

/* The order of rows that holds for all tensors of a model whose format leaves it open: what fits
 * the first of them.  In doubt it is that of the names. */
static int decide_order(const struct tu_terms *terms, struct tu_pair *p, const struct tu_view *raw,
                        struct tu_error *error)
{
    struct tu_conventions *r = terms->conventions;
    bool take_raw;
    const struct tu_view *like = tu_pair_view(p, p->lead, terms->kernels, error);
    if (!like || choose(terms, like, p->places[!p->lead].view, raw, &take_raw, error) < 0)
        return -1;
    r->decided = true;
    r->alike = take_raw;
    snprintf(r->why, sizeof r->why, "nothing states the order of rows of %c: %s, as '%.80s' fits",
             "ab"[r->orders[1] == TU_ROPE_OPEN],
             take_raw ? "that of the other side" : "that of its names", p->stored[0].name);
    return 0;
}

/* A map goes by names; what the metadata of a side says of the order of its rows goes before. */
static int check_rope(const struct tu_terms *terms, struct tu_pair *p, struct tu_error *error)
{
    struct tu_conventions *r = terms->conventions;
    struct tu_found f;
    if (!p->roped || !p->tensors[0].elements ||
        (r->orders[0] == TU_ROPE_BY_NAME && r->orders[1] == TU_ROPE_BY_NAME))
        return 0;
    if (find_unroped(terms, p, &f, error) < 0)
        return -1;
    if (!f.view)
        return 0;
    /* Which way the other side was turned tells what its name stands for, and the lead's. */
    enum tu_rope_order other = strstr(p->transform, "unrope(") ? TU_ROPE_PAIRS : TU_ROPE_HALVES;
    enum tu_rope_order by_name[2] = {other, other};
    by_name[p->lead] = other == TU_ROPE_PAIRS ? TU_ROPE_HALVES : TU_ROPE_PAIRS;
    bool open = r->orders[0] == TU_ROPE_OPEN || r->orders[1] == TU_ROPE_OPEN, alike = false;
    if (open && !r->decided && decide_order(terms, p, f.view, error) < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        alike ^= (r->orders[i] == TU_ROPE_PAIRS || r->orders[i] == TU_ROPE_HALVES) &&
                 r->orders[i] != by_name[i];
    if (open ? r->alike : alike) {
        tu_pair_set_view(p, !p->lead, f.view);
        snprintf(p->transform, sizeof p->transform, "%s", f.steps);
    }
    snprintf(p->reason, sizeof p->reason, "%s", r->why);
    return 0;
}

/* Blocks of a matrix that is compared with a transposed one. */
static int settle_blocks(const struct tu_terms *terms, struct tu_pair *p, struct tu_plan *plan,
                         struct tu_error *error)
{
    enum { SIDE = 1024, BLOCK = SIDE * SIDE };
    const struct tu_view_maker maker = tu_pair_maker(p, terms->kernels);
    for (int i = 0; i < 2; i++) {
        const struct tu_view *v =
            stripped(&maker, tu_pair_view(p, i, terms->kernels, error), error);
        if (!v || !(v = plan->blocks[i] = tu_view_plain(&maker, v, error)))
            return -1;
        struct tu_geometry flat;
        const uint64_t shape = BLOCK;
        if (tu_geometry(v->tensor.dtype, TENSOR_PACKING_ROWS, &shape, 1, &flat, error) < 0 ||
            tu_decoder_init(&plan->comparison.decoders[i], &flat, terms->kernels, NULL, error) < 0)
            return -1;
        plan->comparison.decoders[i].addend = i == p->lead ? p->addend : 0;
    }
    const struct tu_tensor *t = &plan->blocks[0]->tensor;
    uint64_t columns = t->rank ? t->shape[t->rank - 1] : 1;
    uint64_t rows = columns ? t->elements / columns : 0;
    plan->block_rows = rows < SIDE ? rows : SIDE;
    plan->block_columns = columns < SIDE ? columns : SIDE;
    if (rows && rows < SIDE)
        plan->block_columns =
            columns < BLOCK / rows ? columns : BLOCK / rows / TU_COLUMNS * TU_COLUMNS;
    else if (columns && columns < SIDE)
        plan->block_rows = rows < BLOCK / columns ? rows : BLOCK / columns;
    plan->comparison.kernels = terms->kernels;
    plan->comparison.row = columns;
    return 0;
}

static int keep_both(struct tu_pair *p, struct tu_error *error)
{
    for (int i = 0; i < 2; i++)
        if (p->places[i].where == TU_IN_STREAM && tu_pair_keep(p, i, NULL, 0, error) < 0)
            return -1;
    return 0;
}

bool tu_plan_puzzles(const struct tu_terms *terms, const struct tu_pair *p,
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
static void enlarge_tiles(struct tu_plan *p)
{
    enum { ROWS = 16 };
    while (!p->blocks[0] && p->full.columns && p->tile < ROWS * p->full.columns)
        p->tile *= 2;
}

static void settle_steps(const struct tu_pair *p, struct tu_plan *plan)
{
    struct tu_comparison *c = &plan->comparison;
    const enum tensor_dtype stored[2] = {p->stored[0].dtype, p->stored[1].dtype};
    c->resolution = tu_resolution_of(c->decoders, stored);
    plan->columns = tu_column_plan(&c->resolution, p->tensors[0].elements, c->row);
}

/* The largest pairs are left out of each run: where tiles are whole runs, which they are depends
 * neither on how much is stored nor in which order. */
static void align_tiles(const struct tu_pair *p, struct tu_plan *plan)
{
    enum { RUN = TU_COMPARE_BLOCK, BLOCK = 1 << 20 };
    uint64_t row = plan->comparison.row, rows = row ? p->tensors[0].elements / row : 0;
    uint64_t together = row && row < RUN ? RUN / row : 1;
    if (!plan->blocks[0] && together > 1) {
        plan->run = together * row;
        plan->tile = plan->tile / plan->run * plan->run;
    }
    if (!plan->blocks[0] || !rows)
        return;
    plan->block_columns = row < RUN ? row : RUN;
    uint64_t down = BLOCK / plan->block_columns / together * together;
    plan->block_rows = rows < down ? rows : down;
}

static void settle_full(const struct tu_pair *p, struct tu_plan *plan)
{
    const struct tu_tensor *t = &p->tensors[0];
    plan->full = tu_full_plan(tu_dtype(t->dtype), tu_dtype(p->tensors[1].dtype), t->elements,
                              plan->comparison.row);
    /* Where something is added numbers are no longer those of their type. */
    plan->full.ulps = plan->full.ulps && p->addend == 0;
    plan->has_full = t->elements > 0;
    enlarge_tiles(plan);
    align_tiles(p, plan);
}

/* Of scores alone: entries for each query and key. */
static bool is_causal(const struct tu_tensor *t)
{
    const struct tensor_value *axes = tu_value_get(&t->scope.operation, "axes");
    return tu_value_equals(tu_value_get(&t->scope.operation, "mask"), "causal") && axes &&
           axes->type == TENSOR_ARRAY && axes->array.count == 3 &&
           tu_value_equals(&axes->array.items[1], "query") &&
           tu_value_equals(&axes->array.items[2], "key");
}

/* Whether a side says so, or says nothing of how it was made. */
static bool allows_mask(const struct tu_tensor *t)
{
    return is_causal(t) || t->scope.operation.type != TENSOR_MAP;
}

/* Where one side says that a mask hides what is above the diagonal, nobody uses those numbers, and
 * programs leave there what they like. */
static void settle_mask(const struct tu_pair *p, struct tu_plan *plan)
{
    const struct tu_tensor *a = &p->stored[0], *b = &p->stored[1];
    uint64_t last;
    if (plan->blocks[0] || (!is_causal(a) && !is_causal(b)) || !allows_mask(a) || !allows_mask(b) ||
        a->rank != 3 || b->rank != 3 || memcmp(a->shape, b->shape, 3 * sizeof *a->shape) != 0 ||
        a->shape[1] > a->shape[2] || tu_dtype(a->dtype)->elements != 1 ||
        tu_dtype(b->dtype)->elements != 1)
        return;
    plan->queries = a->shape[1];
    plan->keys = a->shape[2];
    last = plan->queries ? plan->queries - 1 : 0;
    plan->hidden = a->shape[0] * (plan->queries * last / 2);
}

/* Which experts a token has is what moe_topk is about: nothing of it is left out. */
static int settle_experts(const struct tu_terms *terms, struct tu_pair *p, struct tu_plan *plan,
                          struct tu_error *error)
{
    if (tu_experts_meet(p, terms->operands, terms->kernels, &plan->slots, error) < 0)
        return -1;
    if (tu_dtype(p->stored[0].dtype)->kind == TENSOR_KIND_INT)
        plan->slots.missing = 0;
    plan->hidden = plan->slots.missing * plan->slots.width;
    return 0;
}

/* Of a stage by that name, whoever calls it so. */
static bool is_logits(const struct tu_tensor *t)
{
    static const char name[] = "logits";
    const struct tu_scope *s = &t->scope;
    return tu_logits_shape(t) &&
           (s->stage ? s->stage_length == strlen(name) && memcmp(s->stage, name, strlen(name)) == 0
                     : strcmp(t->name, name) == 0);
}

/* Logits are read once more, row by row: those of a stream have to stay. */
static int settle_logits(const struct tu_terms *terms, struct tu_pair *p, struct tu_plan *plan,
                         struct tu_error *error)
{
    const struct tu_tensor *a = &p->stored[0], *b = &p->stored[1];
    plan->has_logits = is_logits(a) && is_logits(b) && a->rank == b->rank &&
                       memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0 &&
                       !*p->transform;
    for (int i = 0; i < 2 && plan->has_logits; i++)
        if (!tu_pair_view(p, i, terms->kernels, error))
            return -1;
    return 0;
}

int tu_plan_settle(const struct tu_terms *terms, struct tu_pair *p, struct tu_plan *plan,
                   struct tu_error *error)
{
    struct tu_tensor *a = &p->tensors[0], *b = &p->tensors[1];
    if (!p->present[0] || !p->present[1]) {
        bool side = p->stored[!p->present[0]].side;
        p->match = p->extra        ? TU_MATCH_EXTRA
                   : side          ? TU_MATCH_SIDE
                   : p->present[0] ? TU_MATCH_ONLY_A
                                   : TU_MATCH_ONLY_B;
        if (side)
            snprintf(p->reason, sizeof p->reason, "it belongs to packed weights, and is none");
        else if (p->extra)
            snprintf(p->reason, sizeof p->reason,
                     "the map calls it extra, and it was not compared");
        return 0;
    }
    if (tu_scope_differs(&p->stored[0].scope, &p->stored[1].scope, p->reason, sizeof p->reason)) {
        p->match = TU_MATCH_POPULATIONS;
        return 0;
    }
    if (cut_padding(terms, p, error) < 0)
        return -1;
    bool same = tu_same_shape(a, b), real = is_real(terms, a) && is_real(terms, b);
    bool turning = is_turned(a, b) && (terms->transposing == TU_TRANSPOSE_ALWAYS ||
                                       (terms->transposing == TU_TRANSPOSE_EITHER && !same));
    p->match = !same && !turning ? TU_MATCH_SHAPES : real ? TU_MATCH_BOTH : TU_MATCH_NOT_REAL;
    if (p->match == TU_MATCH_NOT_REAL && same && a->dtype == TENSOR_C64 && b->dtype == TENSOR_C64)
        return tu_pair_count_equal(p, terms->kernels, error);
    if (p->match != TU_MATCH_BOTH)
        return tu_plan_puzzles(terms, p, NULL) ? keep_both(p, error) : 0;
    if ((turning ? turn(terms, p, error) : check_rope(terms, p, error)) < 0 ||
        settle_experts(terms, p, plan, error) < 0 ||
        (terms->full && settle_logits(terms, p, plan, error) < 0))
        return -1;
    if ((is_transposed(&p->places[0]) || is_transposed(&p->places[1])
             ? settle_blocks(terms, p, plan, error)
             : settle_runs(terms, p, plan, error)) < 0)
        return -1;
    settle_steps(p, plan);
    settle_mask(p, plan);
    if (terms->full)
        settle_full(p, plan);
    return 0;
}
