/* SPDX-License-Identifier: MIT */
/* Shares of the rows (halves, experts, heads, single rows) in another order. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

#include <inttypes.h>
#include <stdlib.h>

#include "map/language.h"

enum { SHARE_SAMPLE = 64 }; /* elements of each */

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

static int find_order(struct tu_search *s, const struct tu_rows *r, size_t count, bool *found,
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
        result == 0 && tu_match_shares(values, values + count * each, count, each, s->level, order);
    free(values);
    return result;
}

/* What shares so many are called: the halves of a gate and an up, the experts of a stack, heads, or
 * the heads of queries, keys and values in one tensor. */
static const char *word_for(const struct tu_search *s, const struct tu_rows *r, size_t count)
{
    const uint64_t *heads = s->c->heads;
    return count == 2 * r->items                          ? "halves"
           : count == r->items                            ? "experts"
           : count == heads[0] || count == heads[1]       ? "heads"
           : heads[1] && count == heads[0] + 2 * heads[1] ? "qkv"
                                                          : "order";
}

static int try_order(struct tu_search *s, const struct tu_rows *r, uint64_t count)
{
    uint64_t order[TU_SHARES_MOST];
    char all[TU_STEPS_SIZE];
    bool found = false;
    if (count < 2 || count > TU_SHARES_MOST || !r->count || r->count % count ||
        tu_search_settled(s) || s->c->sides[0]->tensor.elements / count < TU_SEARCH_FEWEST)
        return 0;
    if (find_order(s, r, (size_t)count, &found, order) < 0)
        return -1;
    if (!found)
        return 0;
    if (count <= TU_MAP_ORDER_MAX)
        tu_list_numbers(order, count, all);
    const char *text = tu_search_say_order(s, word_for(s, r, count), order, count);
    return tu_try_rows(s, r, tu_view_order(&s->maker, r->view, order, count, &s->reason), text,
                       count <= TU_MAP_ORDER_MAX ? tu_search_say(s, "order(%s)", all) : NULL);
}

static int compare_counts(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Few shares are a simpler explanation than many. */
int tu_try_orders(struct tu_search *s)
{
    const struct tu_rows *r = &s->rows;
    const uint64_t *heads = s->c->heads, *shape = s->c->sides[0]->tensor.shape;
    uint64_t counts[8 + TU_HEAD_SIZES] = {2,
                                          r->items,
                                          2 * r->items,
                                          3 * r->items,
                                          heads[0],
                                          heads[1],
                                          heads[0] + 2 * heads[1],
                                          s->c->sides[0]->tensor.rank ? shape[0] : 0};
    for (size_t i = 0; i < TU_HEAD_SIZES; i++)
        counts[8 + i] = r->count % tu_head_sizes[i] ? 0 : r->count / tu_head_sizes[i];
    if (!r->view)
        return 0;
    qsort(counts, sizeof counts / sizeof *counts, sizeof *counts, compare_counts);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if ((i == 0 || counts[i] != counts[i - 1]) && try_order(s, r, counts[i]) < 0)
            return -1;
    return 0;
}
