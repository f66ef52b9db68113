/* SPDX-License-Identifier: MIT */
/* Dimensions that were exchanged, or are written down the other way round. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <inttypes.h>
#include <string.h>

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

/* The first two of three dimensions and more, as the channels of a convolution. */
static int try_axes(struct tu_search *s)
{
    static const uint64_t swapped[] = {1, 0, 2};
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const struct tu_view *b = s->c->sides[1];
    uint64_t axes[TENSOR_MAX_RANK] = {1, 0}, from[TENSOR_MAX_RANK] = {0};
    if (a->rank < 3)
        return 0;
    for (uint32_t i = 0; i < a->rank; i++) {
        axes[i] = i < 2 ? 1 - i : i;
        from[i] = a->shape[axes[i]];
    }
    const uint64_t stack[] = {from[0], from[1], product(from, 2, a->rank)};
    const struct tu_view *v = tu_search_shaped(s, b, stack, 3);
    v = v ? tu_view_permute(&s->maker, v, swapped, 3, false, &s->reason) : NULL;
    const char *steps = "permute(1,0,2)";
    if (!tu_has_shape(b, stack, 3))
        steps = tu_search_say(s, "%s, %s", tu_search_say_reshape(s, stack, 3), steps);
    if (a->rank > 3)
        steps = tu_search_say(s, "%s, %s", steps, tu_search_say_reshape(s, a->shape, a->rank));
    return tu_search_try_layout(s, tu_search_shaped(s, v, a->shape, a->rank),
                                say_permute(s, axes, a->rank), steps);
}

/* b has the axes of a from `first` on in two groups, those from `cut` on before the others: a
 * matrix of the groups the other way round.  So are the channels of a convolution last in MLX,
 * first in PyTorch.  Or b has no axes but the first and all the others. */
static int try_rotation(struct tu_search *s, uint32_t first, uint32_t cut)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const struct tu_view *b = s->c->sides[1], *v;
    uint32_t rank = a->rank, behind = rank - cut;
    uint64_t axes[TENSOR_MAX_RANK], from[TENSOR_MAX_RANK] = {0};
    for (uint32_t i = 0; i < rank; i++) {
        axes[i] = i < first ? i : i < cut ? i + behind : first + (i - cut);
        from[axes[i]] = a->shape[i];
    }
    bool flat = first == 1 && b->tensor.rank == 2 && b->tensor.shape[0] == from[0];
    if (!flat && !tu_has_shape(b, from, rank))
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
    uint64_t axes[TENSOR_MAX_RANK], from[TENSOR_MAX_RANK] = {0};
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
    uint64_t axes[TENSOR_MAX_RANK], from[TENSOR_MAX_RANK] = {0};
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

int tu_try_dimensions(struct tu_search *s)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    if (!s->c->sums &&
        tu_search_try_layout(s, s->base, "label", tu_search_say_reshape(s, a->shape, a->rank)) < 0)
        return -1;
    return try_turned(s) < 0 || try_axes(s) < 0 ? -1 : try_permutations(s);
}
