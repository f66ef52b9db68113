/* SPDX-License-Identifier: MIT */
/* Joins a tensor from ranges of two, so that what makes the difference between them can be halved.
 */
#include "config.h"

#include "map/splice.h"

#include <inttypes.h>

#include "tensor/tensor.h"

/* Both sides of one splice, cut into rows of a length. */
struct cut {
    const struct tu_view_maker *maker;
    const struct tu_view *sides[2];
    uint64_t length;
};

/* Values as F32, whatever the type. */
static const struct tu_view *as_float(const struct tu_view_maker *m, const struct tu_view *v,
                                      struct tu_error *error)
{
    return v->tensor.dtype == TENSOR_F32 ? v : tu_view_scale(m, v, 1, error);
}

/* Makes both sides rows of the cut's length, which keeps the type of blocks only where that is the
 * length of their rows. */
static int lay_out(struct cut *c, struct tu_error *error)
{
    for (int i = 0; i < 2; i++) {
        const struct tu_tensor *t = &c->sides[i]->tensor;
        const uint64_t shape[2] = {t->elements / c->length, c->length};
        bool flat = c->length == 1;
        c->sides[i] = tu_view_reshape(c->maker, c->sides[i], shape, flat ? 1 : 2, error);
        if (!c->sides[i])
            return -1;
    }
    if (c->sides[0]->tensor.dtype == c->sides[1]->tensor.dtype)
        return 0;
    for (int i = 0; i < 2; i++)
        if (!(c->sides[i] = as_float(c->maker, c->sides[i], error)))
            return -1;
    return 0;
}

/* Adds rows [first, end) of a side to what is joined, if there are any. */
static int add_rows(const struct cut *c, int side, uint64_t first, uint64_t end,
                    const struct tu_view **parts, size_t *count, struct tu_error *error)
{
    if (first == end)
        return 0;
    parts[*count] = tu_view_rows(c->maker, c->sides[side], first, end, error);
    return parts[(*count)++] ? 0 : -1;
}

static int check(const struct tu_view *a, const struct tu_view *b, uint64_t first, uint64_t end,
                 struct tu_error *error)
{
    const struct tu_tensor *t = &a->tensor;
    if (!tu_same_shape(t, &b->tensor))
        return tu_fail(error, TU_EINVALID, "the two have different shapes");
    if (first >= end || end > t->elements)
        return tu_fail(error, TU_EINVALID,
                       "it has %" PRIu64 " elements: %" PRIu64 ":%" PRIu64 " are none of them",
                       t->elements, first, end);
    return 0;
}

const struct tu_view *tu_view_splice(const struct tu_view_maker *m, const struct tu_view *a,
                                     const struct tu_view *b, uint64_t first, uint64_t end,
                                     struct tu_error *error)
{
    const struct tu_view *parts[3];
    size_t count = 0;
    if (check(a, b, first, end, error) < 0)
        return NULL;
    const struct tu_tensor *t = &a->tensor;
    uint64_t row = t->rank > 1 ? t->shape[t->rank - 1] : 1;
    struct cut c = {m, {a, b}, first % row || end % row ? 1 : row};
    if (lay_out(&c, error) < 0)
        return NULL;
    first /= c.length;
    end /= c.length;
    if (add_rows(&c, 0, 0, first, parts, &count, error) < 0 ||
        add_rows(&c, 1, first, end, parts, &count, error) < 0 ||
        add_rows(&c, 0, end, t->elements / c.length, parts, &count, error) < 0)
        return NULL;
    const struct tu_view *joined = tu_view_join(m, parts, count, false, error);
    return joined ? tu_view_reshape(m, joined, t->shape, t->rank, error) : NULL;
}
