/* SPDX-License-Identifier: MIT */
/* Goes through what people and programs do to a tensor: numbers, dimensions, rows, bytes, names. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "map/language.h"

enum {
    SHARES_MAX = 512,  /* whose order is looked for */
    SHARE_SAMPLE = 64, /* elements of each */
    SHARES_SHOWN = 16, /* in a text for people */
};

_Static_assert(SHARES_MAX <= TU_MAP_ORDER_MAX, "an order that no rule could say");

/* ---- Numbers ---- */

/* Sign and scale are known from the sums; their candidates need no reading. */
static void try_factor(struct tu_search *s, double cosine, const struct tu_likeness *l)
{
    double dot = s->c->sums->dot.value, bb = s->c->sums->bb.value;
    int shift = s->c->sums->dot.exponent - s->c->sums->bb.exponent;
    float factor = (float)ldexp(dot / bb, shift);
    char number[TU_NUMBER_SIZE];
    struct tu_likeness opposite = *l;
    opposite.dd = l->aa + l->bb + 2 * l->ab;
    const struct tu_candidate sign = {.sides = {s->c->sides[0], s->base},
                                      .unexplained = tu_likeness_unexplained(&opposite),
                                      .cosine = -cosine,
                                      .text = "sign",
                                      .from = s->c->name,
                                      .to = s->c->name,
                                      .steps = "scale(-1)"};
    tu_search_weigh(s, &sign);
    if (!isfinite(factor) || factor == 0)
        return;
    tu_format_float(factor, number);
    const struct tu_candidate scale = {.sides = {s->c->sides[0], s->base},
                                       .unexplained = tu_likeness_unscaled(l),
                                       .cosine = fabs(cosine),
                                       .text = tu_search_say(s, "scale(%g)", (double)factor),
                                       .from = s->c->name,
                                       .to = s->c->name,
                                       .steps = tu_search_say(s, "scale(%s)", number)};
    tu_search_weigh(s, &scale);
}

static int try_numbers(struct tu_search *s, const struct tu_likeness *l)
{
    struct tu_metrics m = tu_partial_metrics(s->c->sums);
    if (isfinite(m.cosine_similarity) && l->finite >= TU_SEARCH_FEWEST)
        try_factor(s, m.cosine_similarity, l);
    if (tu_search_try_view(s, tu_view_add(&s->maker, s->base, 1, &s->reason), "add(1)", "add(1)") <
        0)
        return -1;
    return tu_search_try_view(s, tu_view_add(&s->maker, s->base, -1, &s->reason), "add(-1)",
                              "add(-1)");
}

/* ---- Dimensions ---- */

/* b holds the matrices of a the other way round: it says so, or it has the shape of a all the
 * same. */
static int try_turned(struct tu_search *s)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const struct tu_view *b = s->c->sides[1], *v;
    uint64_t turned[TENSOR_MAX_RANK];
    uint32_t rank = a->rank;
    if (rank < 2)
        return 0;
    memcpy(turned, a->shape, rank * sizeof *turned);
    turned[rank - 1] = a->shape[rank - 2];
    turned[rank - 2] = a->shape[rank - 1];
    v = tu_search_shaped(s, b, turned, rank);
    v = v ? tu_view_transpose(&s->maker, v, &s->reason) : NULL;
    if (tu_search_try_layout(
            s, v, "transpose",
            tu_has_shape(b, turned, rank)
                ? "transpose"
                : tu_search_say(s, "%s, transpose", tu_search_say_reshape(s, turned, rank))) < 0)
        return -1;
    if (tu_has_shape(b, turned, rank) || a->shape[rank - 1] == a->shape[rank - 2])
        return 0;
    v = tu_search_shaped(s, tu_view_transpose(&s->maker, s->base, &s->reason), a->shape, rank);
    return tu_search_try_layout(
        s, v, "label", tu_search_say(s, "transpose, %s", tu_search_say_reshape(s, a->shape, rank)));
}

/* The first two of three dimensions. */
static int try_axes(struct tu_search *s)
{
    static const uint64_t axes[] = {1, 0, 2};
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    if (a->rank != 3)
        return 0;
    const uint64_t from[] = {a->shape[1], a->shape[0], a->shape[2]};
    const struct tu_view *v = tu_search_shaped(s, s->c->sides[1], from, 3);
    v = v ? tu_view_permute(&s->maker, v, axes, 3, false, &s->reason) : NULL;
    return tu_search_try_layout(
        s, v, "permute(1,0,2)",
        tu_has_shape(s->c->sides[1], from, 3)
            ? "permute(1,0,2)"
            : tu_search_say(s, "%s, permute(1,0,2)", tu_search_say_reshape(s, from, 3)));
}

/* "permute(0,3,1,2)" */
static const char *say_permute(struct tu_search *s, const uint64_t *axes, uint32_t rank)
{
    char list[TU_STEPS_SIZE];
    tu_list_numbers(axes, rank, list);
    return tu_search_say(s, "permute(%s)", list);
}

static uint64_t product(const uint64_t *shape, uint32_t first, uint32_t end)
{
    uint64_t all = 1;
    for (uint32_t i = first; i < end; i++)
        all *= shape[i];
    return all;
}

/* b has the axes of a from `first` on in two groups, those from `cut` on before the others: a
 * matrix of the groups the other way round.  So are the channels of a convolution last in MLX,
 * first in PyTorch. */
static int try_rotation(struct tu_search *s, uint32_t first, uint32_t cut)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const struct tu_view *b = s->c->sides[1], *v;
    uint32_t rank = a->rank, behind = rank - cut;
    uint64_t axes[TENSOR_MAX_RANK], from[TENSOR_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        axes[i] = i < first ? i : i < cut ? i + behind : first + (i - cut);
        from[axes[i]] = a->shape[i];
    }
    if (!tu_has_shape(b, from, rank))
        return 0;
    const uint64_t matrix[] = {product(a->shape, 0, first), product(a->shape, cut, rank),
                               product(a->shape, first, cut)};
    v = tu_search_shaped(s, b, matrix, 3);
    v = v ? tu_view_transpose(&s->maker, v, &s->reason) : NULL;
    return tu_search_try_layout(
        s, tu_search_shaped(s, v, a->shape, rank), say_permute(s, axes, rank),
        tu_search_say(s, "%s, transpose, %s", tu_search_say_reshape(s, matrix, 3),
                      tu_search_say_reshape(s, a->shape, rank)));
}

/* b has the window of a convolution first, then channels in and out, as Keras and TensorFlow have
 * it; a has channels out, channels in, and the window. */
static int try_window_first(struct tu_search *s)
{
    static const uint64_t swapped[] = {1, 0, 2};
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const struct tu_view *b = s->c->sides[1], *v;
    uint32_t rank = a->rank;
    uint64_t axes[TENSOR_MAX_RANK], from[TENSOR_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        axes[i] = i < 2 ? rank - 1 - i : i - 2;
        from[axes[i]] = a->shape[i];
    }
    if (!tu_has_shape(b, from, rank))
        return 0;
    uint64_t window = product(a->shape, 2, rank);
    const uint64_t matrix[] = {window, a->shape[1] * a->shape[0]};
    const uint64_t turned[] = {a->shape[1], a->shape[0], window};
    v = tu_search_shaped(s, b, matrix, 2);
    v = v ? tu_view_transpose(&s->maker, v, &s->reason) : NULL;
    v = tu_search_shaped(s, v, turned, 3);
    v = v ? tu_view_permute(&s->maker, v, swapped, 3, false, &s->reason) : NULL;
    const char *first = tu_search_say_reshape(s, matrix, 2),
               *second = tu_search_say_reshape(s, turned, 3),
               *last = tu_search_say_reshape(s, a->shape, rank);
    return tu_search_try_layout(
        s, tu_search_shaped(s, v, a->shape, rank), say_permute(s, axes, rank),
        tu_search_say(s, "%s, transpose, %s, permute(1,0,2), %s", first, second, last));
}

/* The way back. */
static int try_window_last(struct tu_search *s)
{
    static const uint64_t swapped[] = {1, 0, 2};
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const struct tu_view *b = s->c->sides[1], *v;
    uint32_t rank = a->rank;
    uint64_t axes[TENSOR_MAX_RANK], from[TENSOR_MAX_RANK];
    for (uint32_t i = 0; i < rank; i++) {
        axes[i] = i < rank - 2 ? i + 2 : rank - 1 - i;
        from[axes[i]] = a->shape[i];
    }
    if (!tu_has_shape(b, from, rank))
        return 0;
    uint64_t window = product(from, 2, rank);
    const uint64_t stack[] = {from[0], from[1], window};
    const uint64_t matrix[] = {from[1] * from[0], window};
    v = tu_search_shaped(s, b, stack, 3);
    v = v ? tu_view_permute(&s->maker, v, swapped, 3, false, &s->reason) : NULL;
    v = tu_search_shaped(s, v, matrix, 2);
    v = v ? tu_view_transpose(&s->maker, v, &s->reason) : NULL;
    const char *first = tu_search_say_reshape(s, stack, 3),
               *second = tu_search_say_reshape(s, matrix, 2),
               *last = tu_search_say_reshape(s, a->shape, rank);
    return tu_search_try_layout(
        s, tu_search_shaped(s, v, a->shape, rank), say_permute(s, axes, rank),
        tu_search_say(s, "%s, permute(1,0,2), %s, transpose, %s", first, second, last));
}

/* Axes of three and more that have moved, where the shape of b says so. */
static int try_permutations(struct tu_search *s)
{
    uint32_t rank = s->c->sides[0]->tensor.rank;
    for (uint32_t first = 0; first + 2 <= rank && rank >= 3; first++)
        for (uint32_t cut = first + 1; cut < rank; cut++)
            if (rank - first > 2 && try_rotation(s, first, cut) < 0)
                return -1;
    return rank < 3 ? 0 : try_window_first(s) < 0 ? -1 : try_window_last(s);
}

static int try_dimensions(struct tu_search *s)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    if (!s->c->sums &&
        tu_search_try_layout(s, s->base, "label", tu_search_say_reshape(s, a->shape, a->rank)) < 0)
        return -1;
    return try_turned(s) < 0 || try_axes(s) < 0 ? -1 : try_permutations(s);
}

/* ---- Rows ---- */

/* The rows of b as one matrix, or a vector: of a stack those of all its items. */
struct rows {
    const struct tu_view *view;
    uint64_t count, items; /* all of them; matrices they are of */
    uint64_t shape[2];
    uint32_t rank;
};

static struct rows rows_of(struct tu_search *s)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    struct rows r = {.count = a->rank ? a->shape[0] : 1, .items = 1, .rank = a->rank < 2 ? 1 : 2};
    if (a->rank > 2) {
        r.count = a->elements / a->shape[a->rank - 1];
        r.items = r.count / a->shape[a->rank - 2];
    }
    r.shape[0] = r.count;
    r.shape[1] = r.count ? a->elements / r.count : 0;
    r.view = tu_search_shaped(s, s->base, r.shape, r.rank);
    return r;
}

/* A view of the rows, put back into the shape of a; steps are those that made it. */
static int try_rows(struct tu_search *s, const struct rows *r, const struct tu_view *v,
                    const char *text, const char *steps)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    if (v && r->view != s->base && steps)
        steps = tu_search_say(s, "%s, %s, %s", tu_search_say_reshape(s, r->shape, r->rank), steps,
                              tu_search_say_reshape(s, a->shape, a->rank));
    return tu_search_try_layout(s, v ? tu_search_shaped(s, v, a->shape, a->rank) : NULL, text,
                                steps);
}

/* Heads whose halves were made pairs, or back. One head: the rows of two halves alternate. */
static int try_heads(struct tu_search *s, const struct rows *r, uint64_t heads, const char *pairs,
                     const char *halves)
{
    if (!heads || r->count % heads || r->count / heads % 2 || r->count / heads < 4)
        return 0;
    for (int undo = 0; undo < 2; undo++) {
        const struct tu_view *v = tu_view_rope(&s->maker, r->view, heads, undo, &s->reason);
        const char *steps = tu_search_say(s, "%s(%" PRIu64 ")", undo ? "unrope" : "rope", heads);
        const char *text = undo ? halves : pairs;
        if (try_rows(s, r, v, text ? text : steps, steps) < 0)
            return -1;
    }
    return 0;
}

/* Sizes that heads commonly have, the most common first. */
static const uint64_t head_sizes[] = {128, 64, 96, 256, 80, 32};
enum { HEAD_SIZES = sizeof head_sizes / sizeof *head_sizes };

static int try_all_heads(struct tu_search *s, const struct rows *r)
{
    const uint64_t *known = s->c->heads;
    for (int i = 0; i < 2; i++)
        if (try_heads(s, r, known[i], NULL, NULL) < 0)
            return -1;
    if (try_heads(s, r, r->items, "interleave", "deinterleave") < 0)
        return -1;
    for (size_t i = 0; i < HEAD_SIZES; i++) {
        uint64_t heads = r->count % head_sizes[i] ? 0 : r->count / head_sizes[i];
        if (heads > 1 && heads != known[0] && heads != known[1] &&
            try_heads(s, r, heads, NULL, NULL) < 0)
            return -1;
    }
    return 0;
}

/* ---- The order of shares ---- */

/* A piece out of the middle of each share. */
static int sample_shares(struct tu_search *s, const struct tu_view *v, size_t count, size_t each,
                         float *out)
{
    uint64_t share = v->tensor.elements / count;
    for (size_t i = 0; i < count; i++)
        if (tu_view_values(v, s->maker.kernels, i * share + (share - each) / 2, each,
                           out + i * each, s->error) < 0)
            return -1;
    return 0;
}

/* The share of b, of those that are free, which is that of a: its number, or count. */
static size_t match_share(const float *a, const float *b, size_t count, size_t each,
                          const bool *taken, double most)
{
    size_t found = count;
    for (size_t i = 0; i < count; i++) {
        if (taken[i])
            continue;
        struct tu_likeness l = tu_likeness(a, b + i * each, each);
        double unexplained = tu_likeness_unexplained(&l);
        if (unexplained < most) {
            most = unexplained;
            found = i;
        }
    }
    return found;
}

/* Finds which share of b each of a is: whether all were found, and in another order. */
static bool match_shares(const float *a, const float *b, size_t count, size_t each, double level,
                         uint64_t *order)
{
    bool taken[SHARES_MAX] = {false}, moved = false;
    for (size_t i = 0; i < count; i++) {
        order[i] = match_share(a + i * each, b, count, each, taken, 1 - level * level);
        if (order[i] == count)
            return false;
        taken[order[i]] = true;
        moved |= order[i] != i;
    }
    return moved;
}

static int find_order(struct tu_search *s, const struct rows *r, size_t count, bool *found,
                      uint64_t *order)
{
    uint64_t share = s->c->sides[0]->tensor.elements / count;
    size_t each = share < SHARE_SAMPLE ? (size_t)share : SHARE_SAMPLE;
    float *values = malloc(2 * count * each * sizeof *values);
    int result = values ? 0 : tu_fail_memory(s->error);
    if (result == 0)
        result = sample_shares(s, s->c->sides[0], count, each, values);
    if (result == 0)
        result = sample_shares(s, r->view, count, each, values + count * each);
    *found =
        result == 0 && match_shares(values, values + count * each, count, each, s->level, order);
    free(values);
    return result;
}

/* What shares so many are called: the halves of a gate and an up, the experts of a stack, heads, or
 * the heads of queries, keys and values in one tensor. */
static const char *word_for(const struct tu_search *s, const struct rows *r, size_t count)
{
    const uint64_t *heads = s->c->heads;
    return count == 2 * r->items                          ? "halves"
           : count == r->items                            ? "experts"
           : count == heads[0] || count == heads[1]       ? "heads"
           : heads[1] && count == heads[0] + 2 * heads[1] ? "qkv"
                                                          : "order";
}

static int try_order(struct tu_search *s, const struct rows *r, uint64_t count)
{
    uint64_t order[SHARES_MAX];
    char all[TU_STEPS_SIZE], few[TU_STEPS_SIZE];
    bool found = false;
    if (count < 2 || count > SHARES_MAX || !r->count || r->count % count || tu_search_settled(s) ||
        s->c->sides[0]->tensor.elements / count < TU_SEARCH_FEWEST)
        return 0;
    if (find_order(s, r, (size_t)count, &found, order) < 0)
        return -1;
    if (!found)
        return 0;
    tu_list_numbers(order, count, all);
    tu_list_numbers(order, count < SHARES_SHOWN ? count : SHARES_SHOWN, few);
    const char *text = tu_search_say(s, "%s(%s%s)", word_for(s, r, count), few,
                                     count > SHARES_SHOWN ? ",..." : "");
    return try_rows(s, r, tu_view_order(&s->maker, r->view, order, count, &s->reason), text,
                    tu_search_say(s, "order(%s)", all));
}

static int compare_counts(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Few shares are a simpler explanation than many. */
static int try_orders(struct tu_search *s, const struct rows *r)
{
    const uint64_t *heads = s->c->heads, *shape = s->c->sides[0]->tensor.shape;
    uint64_t counts[8 + HEAD_SIZES] = {2,
                                       r->items,
                                       2 * r->items,
                                       3 * r->items,
                                       heads[0],
                                       heads[1],
                                       heads[0] + 2 * heads[1],
                                       s->c->sides[0]->tensor.rank ? shape[0] : 0};
    for (size_t i = 0; i < HEAD_SIZES; i++)
        counts[8 + i] = r->count % head_sizes[i] ? 0 : r->count / head_sizes[i];
    qsort(counts, sizeof counts / sizeof *counts, sizeof *counts, compare_counts);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if ((i == 0 || counts[i] != counts[i - 1]) && try_order(s, r, counts[i]) < 0)
            return -1;
    return 0;
}

/* ---- Bytes ---- */

/* Whether the bytes of a view are those that are stored. */
static bool is_stored(const struct tu_view *v)
{
    bool stored = v->kind != TU_VIEW_FLOAT;
    for (size_t i = 0; i < v->count && stored; i++)
        stored = is_stored(v->of[i]);
    return stored;
}

static int try_side(struct tu_search *s, int side, const struct tu_view *v, const char *text,
                    const char *steps)
{
    const struct tu_candidate a = {.sides = {v, s->base}, .text = tu_search_say(s, "a:%s", text)};
    return side == 0 ? tu_search_try(s, a) : tu_search_try_view(s, v, text, steps);
}

static int try_types(struct tu_search *s, int side, const struct tu_view *v)
{
    size_t count;
    const struct tu_dtype *was = v->geometry.dtype, *types = tu_dtype_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct tu_dtype *is = &types[i];
        if (is == was || is->bytes != was->bytes || is->elements != was->elements || is->head ||
            was->head || is->kind == TENSOR_KIND_BOOL || !s->maker.kernels->decode[is->code])
            continue;
        const char *text = tu_search_say(s, "type(%s)", is->name);
        if (try_side(s, side, tu_view_type(&s->maker, v, is->code, &s->reason), text, text) < 0)
            return -1;
    }
    return 0;
}

static int try_bytes(struct tu_search *s)
{
    for (int side = 1; side >= 0; side--) {
        const struct tu_view *v = side ? s->base : s->c->sides[0];
        const struct tu_dtype *type = v->geometry.dtype;
        if (!is_stored(v))
            continue;
        if (try_types(s, side, v) < 0)
            return -1;
        if (type->elements == 1 && type->bytes > 1 && !type->head &&
            try_side(s, side, tu_view_swapped(&s->maker, v, &s->reason), "byteswap", "byteswap") <
                0)
            return -1;
    }
    return 0;
}

/* Elements of a, and those so many further on of b, or the other way round. */
static int try_shift(struct tu_search *s, uint64_t by, const char *what)
{
    const uint64_t all = s->c->sides[0]->tensor.elements, shape[] = {all};
    if (!by || by > all / 2 || all - by < TU_SEARCH_FEWEST)
        return 0;
    for (int back = 0; back < 2; back++) {
        struct tu_candidate c = {.text = tu_search_say(s, "shift(%s1 %s)", back ? "-" : "", what)};
        for (int i = 0; i < 2; i++) {
            uint64_t first = (i == 1) != back ? by : 0;
            const struct tu_view *v = tu_search_shaped(s, s->c->sides[i], shape, 1);
            if (v)
                c.sides[i] = tu_view_rows(&s->maker, v, first, first + all - by, &s->reason);
        }
        if (tu_search_try(s, c) < 0)
            return -1;
    }
    return 0;
}

static int try_shifts(struct tu_search *s)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor, *b = &s->c->sides[1]->tensor;
    uint64_t row = a->rank > 1 ? a->shape[a->rank - 1] : 0;
    uint64_t blocks[] = {tu_dtype(b->dtype)->elements, tu_dtype(a->dtype)->elements};
    if (try_shift(s, row, "row") < 0)
        return -1;
    for (int i = 0; i < 2; i++)
        if (blocks[i] > 1 && blocks[i] != row && (i == 0 || blocks[1] != blocks[0]) &&
            try_shift(s, blocks[i], "block") < 0)
            return -1;
    return row == 1 ? 0 : try_shift(s, 1, "element");
}

/* ---- Other tensors ---- */

/* The view of a side with another tensor in place of the one it shows. */
static const struct tu_view *in_place_of(struct tu_search *s, int side, struct tu_member m)
{
    const struct tu_view *v = side ? s->base : s->c->sides[0];
    if (!s->maker.kernels->decode[m.tensor->dtype])
        return NULL;
    return v->kind == TU_VIEW_LEAF ? tu_view_leaf(&s->maker, m, &s->reason)
                                   : tu_view_rebased(&s->maker, v, m, &s->reason);
}

/* Elements out of the middle of a tensor. */
static int read_middle(struct tu_search *s, const struct tu_view *v,
                       float out[static TU_SEARCH_MIDDLE])
{
    uint64_t all = v->tensor.elements;
    size_t n = all < TU_SEARCH_MIDDLE ? (size_t)all : TU_SEARCH_MIDDLE;
    return tu_view_values(v, s->maker.kernels, (all - n) / 2, n, out, s->error);
}

/* A first look at one side with another tensor, which rules out most. */
static int resembles(struct tu_search *s, int side, const struct tu_view *v, bool *alike)
{
    float values[TU_SEARCH_MIDDLE];
    uint64_t all = v->tensor.elements;
    if (read_middle(s, v, values) < 0)
        return -1;
    struct tu_likeness l = tu_likeness(side ? s->middle[0] : values, side ? values : s->middle[1],
                                       all < TU_SEARCH_MIDDLE ? (size_t)all : TU_SEARCH_MIDDLE);
    *alike = tu_likeness_unexplained(&l) < TU_HOPELESS;
    return 0;
}

/* Whether what is seen one way holds the other way, as far as it can be looked at. */
static int is_mutual(struct tu_search *s, const struct tu_other *other, bool *mutual)
{
    *mutual = true;
    if (!other->partner.model)
        return 0;
    const struct tu_view *v = in_place_of(s, !other->side, other->partner);
    *mutual = false;
    if (!v || v->tensor.elements != s->base->tensor.elements)
        return tu_search_failed(s) ? -1 : 0;
    return resembles(s, !other->side, v, mutual);
}

static int try_other(struct tu_search *s, const struct tu_other *other)
{
    const struct tu_tensor *like = &s->c->sides[0]->tensor;
    const char *name = other->member.tensor->name;
    bool alike = false, mutual;
    struct tu_candidate c = {.sides = {s->c->sides[0], s->base}};
    const struct tu_view *v = in_place_of(s, other->side, other->member);
    c.sides[other->side] = v = tu_search_shaped(s, v, like->shape, like->rank);
    if (!v || strlen(name) > TU_TOLD_NAME_MAX)
        return tu_search_failed(s) ? -1 : 0;
    if (resembles(s, other->side, v, &alike) < 0)
        return -1;
    if (!alike)
        return 0;
    if (is_mutual(s, other, &mutual) < 0)
        return -1;
    c.text = tu_search_say(s, "%s(%s)", mutual ? "exchange" : "copy", name);
    if (s->c->same_names) {
        c.from = other->side ? name : s->c->name;
        c.to = other->side ? s->c->name : name;
    }
    return tu_search_try(s, c);
}

static int try_others(struct tu_search *s)
{
    if (read_middle(s, s->c->sides[0], s->middle[0]) < 0 ||
        read_middle(s, s->base, s->middle[1]) < 0)
        return -1;
    for (size_t i = 0; i < s->c->other_count && i < TU_ORACLE_OTHERS && !tu_search_settled(s); i++)
        if (try_other(s, &s->c->others[i]) < 0)
            return -1;
    return 0;
}

int tu_hypotheses_try(struct tu_search *s, const struct tu_likeness *l)
{
    if (s->c->sums && try_numbers(s, l) < 0)
        return -1;
    if (try_dimensions(s) < 0)
        return -1;
    struct rows r = rows_of(s);
    if (tu_search_failed(s))
        return -1;
    if (r.view && (try_all_heads(s, &r) < 0 || try_orders(s, &r) < 0))
        return -1;
    return try_bytes(s) < 0 || try_others(s) < 0 ? -1 : try_shifts(s);
}
