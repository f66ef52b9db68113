/* SPDX-License-Identifier: MIT */
/* The rows of a tensor, and heads whose halves were made pairs, or back. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <inttypes.h>
#include <string.h>

const uint64_t tu_head_sizes[TU_HEAD_SIZES] = {128, 64, 96, 256, 80, 32};

struct tu_rows tu_rows_of(struct tu_search *s)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    struct tu_rows r = {
        .count = a->rank ? a->shape[0] : 1, .items = 1, .rank = a->rank < 2 ? 1 : 2};
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
int tu_try_rows(struct tu_search *s, const struct tu_rows *r, const struct tu_view *v,
                const char *text, const char *steps)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const struct tu_view *b = s->c->sides[1];
    if (v && steps && (r->turned ? a->rank > 2 : !tu_has_shape(b, r->shape, r->rank)))
        steps = tu_search_say(s, "%s, %s", tu_search_say_reshape(s, r->shape, r->rank), steps);
    if (v && steps && !tu_has_shape(s->base, r->shape, r->rank))
        steps = tu_search_say(s, "%s, %s", steps, tu_search_say_reshape(s, a->shape, a->rank));
    if (r->turned) {
        text = text ? tu_search_say(s, "transpose, %s", text) : NULL;
        steps = steps ? tu_search_say(s, "transpose, %s", steps) : NULL;
    }
    return tu_search_try_layout(s, v ? tu_search_shaped(s, v, a->shape, a->rank) : NULL, text,
                                steps);
}

/* Heads whose halves were made pairs, or back. One head: the rows of two halves alternate. */
static int try_heads(struct tu_search *s, const struct tu_rows *r, uint64_t heads,
                     const char *pairs, const char *halves)
{
    if (!heads || r->count % heads || r->count / heads % 2 || r->count / heads < 4)
        return 0;
    for (int undo = 0; undo < 2; undo++) {
        const struct tu_view *v = tu_view_rope(&s->maker, r->view, heads, undo, &s->reason);
        const char *steps = tu_search_say(s, "%s(%" PRIu64 ")", undo ? "unrope" : "rope", heads);
        const char *text = undo ? halves : pairs;
        if (tu_try_rows(s, r, v, text ? text : steps, steps) < 0)
            return -1;
    }
    return 0;
}

int tu_try_heads(struct tu_search *s)
{
    const struct tu_rows *r = &s->rows;
    const uint64_t *known = s->c->heads;
    if (!r->view)
        return 0;
    for (int i = 0; i < 2; i++)
        if (try_heads(s, r, known[i], NULL, NULL) < 0)
            return -1;
    if (try_heads(s, r, r->items, "interleave", "deinterleave") < 0)
        return -1;
    for (size_t i = 0; i < TU_HEAD_SIZES; i++) {
        uint64_t heads = r->count % tu_head_sizes[i] ? 0 : r->count / tu_head_sizes[i];
        if (heads > 1 && heads != known[0] && heads != known[1] &&
            try_heads(s, r, heads, NULL, NULL) < 0)
            return -1;
    }
    return 0;
}

/* b has its matrices the other way round, and then their rows are in another order: what gpt-oss
 * does to gates and ups. */
int tu_try_turned_rows(struct tu_search *s)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const struct tu_rows was = s->rows;
    uint64_t turned[TENSOR_MAX_RANK];
    if (a->rank < 2 || s->c->sums)
        return 0;
    memcpy(turned, a->shape, a->rank * sizeof *turned);
    turned[a->rank - 1] = a->shape[a->rank - 2];
    turned[a->rank - 2] = a->shape[a->rank - 1];
    if (!tu_has_shape(s->c->sides[1], turned, a->rank))
        return 0;
    const struct tu_view *v = tu_view_transpose(&s->maker, s->c->sides[1], &s->reason);
    s->rows.view = v ? tu_search_shaped(s, v, was.shape, was.rank) : NULL;
    s->rows.turned = true;
    int result = tu_search_failed(s) || tu_try_heads(s) < 0 || tu_try_orders(s) < 0 ? -1 : 0;
    s->rows = was;
    return result;
}
