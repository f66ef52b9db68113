/* SPDX-License-Identifier: MIT */
/* Columns in another order: those of all rows, those of each block of a row, a window that was
 * flipped. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <inttypes.h>
#include <stdlib.h>

#include "map/language.h"

enum {
    PROBES = 64,       /* rows that tell a column from others */
    WIDEST = 1 << 16,  /* columns of rows that are looked at */
    BLOCK_WIDEST = 256 /* elements of a block */
};

/* Both sides as rows of so many columns, and a few of these rows. */
struct probe {
    uint64_t columns, rows;
    size_t count;
    bool is_window; /* of a convolution */
    float *a, *b;
    const struct tu_view *view; /* of b */
};

static int take_probe(struct tu_search *s, uint64_t columns, struct probe *p)
{
    uint64_t all = s->base->tensor.elements, rows = all / columns;
    size_t count = rows < PROBES ? (size_t)rows : PROBES;
    const uint64_t shape[] = {rows, columns};
    *p = (struct probe){.columns = columns, .rows = rows};
    if (count < TU_SEARCH_FEWEST || columns > WIDEST || tu_search_settled(s))
        return 0;
    p->view = tu_search_shaped(s, s->base, shape, 2);
    if (!p->view)
        return tu_search_failed(s) ? -1 : 0;
    p->a = malloc(2 * count * (size_t)columns * sizeof *p->a);
    if (!p->a)
        return tu_fail_memory(s->error);
    p->b = p->a + count * (size_t)columns;
    p->count = count;
    return tu_sample_rows(s->c->sides[0], s->maker.kernels, columns, count, p->a, s->error) < 0
               ? -1
               : tu_sample_rows(s->base, s->maker.kernels, columns, count, p->b, s->error);
}

/* One column out of the middle of each share. */
static void pick_columns(const struct probe *p, const float *rows, size_t shares, float *out)
{
    size_t share = (size_t)p->columns / shares;
    for (size_t i = 0; i < shares; i++)
        for (size_t r = 0; r < p->count; r++)
            out[i * p->count + r] = rows[r * (size_t)p->columns + i * share + share / 2];
}

static bool is_reversed(const uint64_t *order, size_t count)
{
    size_t i = 0;
    while (i < count && order[i] == count - 1 - i)
        i++;
    return i == count;
}

/* The order of so many shares of the columns, as steps of a map; NULL where no rule can say it. */
static const char *say_steps(struct tu_search *s, const struct probe *p, const uint64_t *order,
                             size_t shares)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const uint64_t shape[] = {p->rows, p->columns};
    char all[TU_STEPS_SIZE];
    if (shares > TU_MAP_ORDER_MAX)
        return NULL;
    tu_list_numbers(order, shares, all);
    const char *steps = tu_search_say(s, "transpose, order(%s), transpose", all);
    if (!steps || tu_has_shape(s->c->sides[1], shape, 2))
        return steps;
    return tu_search_say(s, "%s, %s, %s", tu_search_say_reshape(s, shape, 2), steps,
                         tu_search_say_reshape(s, a->shape, a->rank));
}

static int try_found(struct tu_search *s, const struct probe *p, const char *word,
                     const uint64_t *order, size_t shares)
{
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    const struct tu_view *v = tu_view_gather(&s->maker, p->view, order, shares, &s->reason);
    bool flipped = p->is_window && shares == p->columns && is_reversed(order, shares);
    return tu_search_try_layout(s, tu_search_shaped(s, v, a->shape, a->rank),
                                flipped ? "flip" : tu_search_say_order(s, word, order, shares),
                                say_steps(s, p, order, shares));
}

static int try_shares(struct tu_search *s, const struct probe *p, const char *word, uint64_t shares)
{
    if (shares < 2 || shares > TU_SHARES_MOST || p->columns % shares || tu_search_settled(s))
        return 0;
    size_t n = (size_t)shares;
    float *values = malloc(2 * n * p->count * sizeof *values);
    uint64_t *order = malloc(n * sizeof *order);
    int result = values && order ? 0 : tu_fail_memory(s->error);
    if (result == 0) {
        pick_columns(p, p->a, n, values);
        pick_columns(p, p->b, n, values + n * p->count);
        if (tu_match_shares(values, values + n * p->count, n, p->count, s->level, order))
            result = try_found(s, p, word, order, n);
    }
    free(values);
    free(order);
    return result;
}

static int compare_counts(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The columns of all rows: halves, heads of an output projection, single ones.  Few shares are a
 * simpler explanation than many. */
static int try_all_columns(struct tu_search *s, uint64_t columns)
{
    struct probe p;
    uint64_t counts[4 + TU_HEAD_SIZES] = {2, s->c->heads[0], s->c->heads[1], columns};
    for (size_t i = 0; i < TU_HEAD_SIZES; i++)
        counts[4 + i] = columns % tu_head_sizes[i] ? 0 : columns / tu_head_sizes[i];
    qsort(counts, sizeof counts / sizeof *counts, sizeof *counts, compare_counts);
    int result = take_probe(s, columns, &p);
    p.is_window = s->c->sides[0]->tensor.rank > 2;
    for (size_t i = 0; i < sizeof counts / sizeof *counts && result == 0 && p.count; i++)
        result = try_shares(s, &p, "columns", counts[i]);
    free(p.a);
    return result;
}

/* The elements of each block of a row, or of the window of a convolution. */
static int try_block(struct tu_search *s, uint64_t block, const char *word, bool is_window)
{
    struct probe p;
    int result = take_probe(s, block, &p);
    p.is_window = is_window;
    if (result == 0 && p.count)
        result = try_shares(s, &p, word, block);
    free(p.a);
    return result;
}

int tu_try_columns(struct tu_search *s)
{
    static const uint64_t blocks[] = {2, 4, 8, 16, 32, 64, 128, BLOCK_WIDEST};
    const struct tu_tensor *a = &s->c->sides[0]->tensor;
    uint64_t columns = a->rank > 1 ? a->shape[a->rank - 1] : 0, window = columns;
    if (columns < 2 && a->rank < 3)
        return 0;
    for (uint32_t i = a->rank - 1; i-- > 2;)
        window *= a->shape[i];
    if (window != columns && window > 1 && try_block(s, window, "columns", true) < 0)
        return -1;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (blocks[i] < columns && columns % blocks[i] == 0 &&
            try_block(s, blocks[i], "nibbles", false) < 0)
            return -1;
    return columns < 2 ? 0 : try_all_columns(s, columns);
}
