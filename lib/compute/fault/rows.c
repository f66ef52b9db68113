/* SPDX-License-Identifier: MIT */
/* Faults of whole rows: exchanged, in another order, cut off. */
#include "config.h"

#include <inttypes.h>

#include "compute/fault/victim.h"

/* Two of count spans of the same length change places: two that differ. */
static int swap_spans(struct tu_victim *v, uint64_t count, uint64_t length, struct tu_error *error)
{
    if (count < 2)
        return tu_refuse(v, error, "there are no two of them to exchange");
    uint64_t head = v->geometry.dtype->head, first = tu_choose(v, 0, count);
    uint64_t step = tu_choose(v, 1, count - 1);
    for (uint64_t i = 0; i < count - 1; i++) {
        uint64_t other = (first + 1 + (step + i) % (count - 1)) % count;
        bool differ;
        if (tu_spans_differ(v, head + first * length, head + other * length, length, &differ,
                            error) < 0)
            return -1;
        if (differ) {
            v->span_length = length;
            v->span[0] = head + first * length;
            v->span[1] = head + other * length;
            return 0;
        }
    }
    return tu_refuse(v, error, "all of them are the same");
}

int tu_fault_swap_rows(struct tu_victim *v, struct tu_error *error)
{
    return tu_victim_rows(v, error) < 0 ? -1 : swap_spans(v, v->rows, v->row_bytes, error);
}

int tu_fault_swap_heads(struct tu_victim *v, struct tu_error *error)
{
    uint64_t parts = v->work->settings->heads;
    if (tu_victim_rows(v, error) < 0)
        return -1;
    return v->rows % parts ? tu_refuse(v, error, "its rows are not that many heads")
                           : swap_spans(v, parts, v->rows / parts * v->row_bytes, error);
}

/* ---- The order of rows that rope turns ---- */

/* Row i of the first half of what is turned, and that of the second half, become neighbours. */
static uint64_t from_halves(const struct tu_victim *v, uint64_t row)
{
    uint64_t head = row / v->head_rows * v->head_rows, i = row - head;
    uint64_t half = v->turned / 2;
    return i >= 2 * half ? row : head + i % 2 * half + i / 2;
}

/* The other way round. */
static uint64_t from_pairs(const struct tu_victim *v, uint64_t row)
{
    uint64_t head = row / v->head_rows * v->head_rows, i = row - head;
    uint64_t half = v->turned / 2;
    return i >= 2 * half ? row : head + i % half * 2 + i / half;
}

/* Rows in another order, of which one has to be another row. */
static int order_rows(struct tu_victim *v, tu_row_fn *from, struct tu_error *error)
{
    /* A bias has a number for each row. */
    bool bias = v->tensor->rank == 1 && v->geometry.dtype->elements == 1;
    v->row = 1;
    v->rows = v->tensor->elements;
    v->row_bytes = v->geometry.dtype->bytes;
    if (!bias && tu_victim_rows(v, error) < 0)
        return -1;
    if (v->rows % v->head_rows)
        return tu_fail(error, TU_EUSAGE,
                       "tensor '%s': its %" PRIu64 " rows are no heads of %" PRIu64
                       " (--heads says how many they are)",
                       v->tensor->name, v->rows, v->head_rows);
    v->row_from = from;
    bool changes;
    if (tu_victim_changes(v, &changes, error) < 0)
        return -1;
    v->unchanged = !changes;
    return 0;
}

/* How many rows a head has, and how many of them rope turns: as the model says, unless the command
 * line divides the rows. */
static int find_head_rows(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_fault_work *w = v->work;
    uint64_t heads = w->settings->heads, rows = v->tensor->elements;
    v->head_rows = w->head_rows;
    v->turned = w->turned;
    if (heads == 0)
        return 0;
    if (v->tensor->rank > 1)
        rows /= v->tensor->shape[v->tensor->rank - 1];
    if (rows % heads)
        return tu_refuse(v, error, "its rows are not that many heads");
    v->head_rows = rows / heads;
    if (v->head_rows != w->head_rows)
        v->turned = v->head_rows;
    return 0;
}

int tu_fault_rope_halves(struct tu_victim *v, struct tu_error *error)
{
    return find_head_rows(v, error) < 0 ? -1 : order_rows(v, from_pairs, error);
}

int tu_fault_rope_pairs(struct tu_victim *v, struct tu_error *error)
{
    return find_head_rows(v, error) < 0 ? -1 : order_rows(v, from_halves, error);
}

/* ---- Rows that are missing ---- */

/* The first dimension loses its last rows. */
int tu_fault_cut_rows(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_fault_settings *s = v->work->settings;
    uint64_t slices, length, cut = s->rows;
    if (tu_victim_slices(v, &slices, &length, error) < 0)
        return -1;
    if (cut >= slices)
        return tu_fail(error, TU_EUSAGE,
                       "tensor '%s': of its %" PRIu64 " rows, %" PRIu64 " cannot be cut",
                       v->tensor->name, slices, cut);
    v->shape[0] = slices - cut;
    v->becomes.elements = v->becomes.elements / slices * v->shape[0];
    v->becomes.nbytes = v->geometry.dtype->head + v->shape[0] * length;
    return 0;
}
