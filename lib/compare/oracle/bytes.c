/* SPDX-License-Identifier: MIT */
/* Bytes that are of another type, the other way round, or not where they should be. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <inttypes.h>

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

int tu_try_bytes(struct tu_search *s)
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

int tu_try_shifts(struct tu_search *s)
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
