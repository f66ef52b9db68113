/* SPDX-License-Identifier: MIT */
/* Faults that change numbers: these are decoded, and the blocks that hold them encoded anew. */
#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "compute/fault/victim.h"

enum { PIECE = 4096 /* elements that are decoded at once: whole blocks, and groups of columns */ };

int tu_edited_init(const struct tu_victim *v, struct tu_edited *e, struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    e->blocks = PIECE / t->elements;
    e->raw = malloc(e->blocks * t->bytes);
    e->before = malloc(t->bytes);
    e->values = malloc(PIECE * sizeof *e->values);
    e->old = malloc(PIECE * sizeof *e->old);
    if (e->raw && e->before && e->values && e->old)
        return 0;
    tu_edited_free(e);
    return tu_fail_memory(error);
}

void tu_edited_free(struct tu_edited *e)
{
    free(e->raw);
    free(e->before);
    free(e->values);
    free(e->old);
    *e = (struct tu_edited){0};
}

bool tu_edit_blocks(const struct tu_victim *v, struct tu_edited *e, uint64_t row,
                    uint64_t first_block, size_t n)
{
    const struct tu_dtype *t = v->geometry.dtype;
    const struct tu_kernels *kernels = v->work->session->kernels;
    uint64_t column = first_block * t->elements, left = v->row - column;
    size_t count = n * t->elements, inside = left < count ? (size_t)left : count;
    bool changed = false;
    kernels->decode[t->code](e->raw, n, e->values);
    memcpy(e->old, e->values, count * sizeof *e->old);
    v->edit(v, row, column, inside, e->values);
    for (size_t i = 0; i < n; i++) {
        float *values = e->values + i * t->elements;
        uint8_t *raw = e->raw + i * t->bytes;
        if (memcmp(values, e->old + i * t->elements, t->elements * sizeof *values) == 0)
            continue;
        memcpy(e->before, raw, t->bytes);
        kernels->encode[t->code](values, 1, raw);
        changed |= memcmp(e->before, raw, t->bytes) != 0;
    }
    return changed;
}

int tu_victim_numbers(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_geometry *g = &v->geometry;
    const struct tu_dtype *t = g->dtype;
    if (v->tensor->rank > 1 && tu_victim_rows(v, error) < 0)
        return -1;
    if (v->tensor->rank < 2) {
        v->rows = 1;
        v->row = g->elements;
        v->row_bytes = g->nbytes - t->head;
    }
    bool across = g->rows == 1 && v->rows > 1 && v->row % t->elements;
    if (!v->work->session->kernels->encode[t->code] || t->head || across)
        return tu_refuse(v, error, "its type cannot be made from numbers");
    v->end_row = v->rows;
    v->end_column = v->row;
    return 0;
}

/* ---- Writing ---- */

/* The blocks of a row that hold the columns of the edit, some at a time. */
static int write_row(const struct tu_victim *v, uint64_t row, struct tu_edited *e, tu_sink_fn *sink,
                     void *context, struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    uint64_t first = v->first_column / t->elements;
    uint64_t end = (v->end_column + t->elements - 1) / t->elements;
    uint64_t at = row * v->row_bytes, blocks = v->row_bytes / t->bytes;
    if (tu_copy_bytes(v, at, first * t->bytes, sink, context, error) < 0)
        return -1;
    while (first < end) {
        /* Pieces end at multiples of their size, so that none cuts a group of columns. */
        size_t room = e->blocks - (size_t)(first % e->blocks);
        size_t n = end - first < room ? (size_t)(end - first) : room;
        if (tu_read_original(v, at + first * t->bytes, e->raw, n * t->bytes, error) < 0)
            return -1;
        tu_edit_blocks(v, e, row, first, n);
        if (sink(context, e->raw, n * t->bytes, error) < 0)
            return -1;
        first += n;
    }
    return tu_copy_bytes(v, at + end * t->bytes, (blocks - end) * t->bytes, sink, context, error);
}

int tu_write_edited(const struct tu_victim *v, tu_sink_fn *sink, void *context,
                    struct tu_error *error)
{
    struct tu_edited e;
    if (tu_edited_init(v, &e, error) < 0)
        return -1;
    int result = tu_copy_bytes(v, 0, v->first_row * v->row_bytes, sink, context, error);
    for (uint64_t row = v->first_row; row < v->end_row && result == 0; row++)
        result = write_row(v, row, &e, sink, context, error);
    tu_edited_free(&e);
    uint64_t end = v->end_row * v->row_bytes;
    return result < 0 ? -1
                      : tu_copy_bytes(v, end, v->rows * v->row_bytes - end, sink, context, error);
}

/* ---- Rows and tensors that are multiplied ---- */

static void multiply(const struct tu_victim *v, uint64_t row, uint64_t column, size_t n,
                     float *values)
{
    (void)row, (void)column;
    for (size_t i = 0; i < n; i++)
        values[i] = (float)(values[i] * v->factor);
}

/* Whether the edit changes a row. */
static int row_changes(const struct tu_victim *v, struct tu_edited *e, uint64_t row, bool *changes,
                       struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    uint64_t blocks = v->row_bytes / t->bytes;
    *changes = false;
    for (uint64_t first = 0; first < blocks && !*changes; first += e->blocks) {
        size_t n = blocks - first < e->blocks ? (size_t)(blocks - first) : e->blocks;
        uint64_t at = row * v->row_bytes + first * t->bytes;
        if (tu_read_original(v, at, e->raw, n * t->bytes, error) < 0)
            return -1;
        *changes = tu_edit_blocks(v, e, row, first, n);
    }
    return 0;
}

/* One row is multiplied: the first one from a place on that this changes.  Types of four bits with
 * few scales may round it all away. */
int tu_fault_channel(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_fault_settings *s = v->work->settings;
    struct tu_edited e;
    if (tu_victim_rows(v, error) < 0 || tu_victim_numbers(v, error) < 0 ||
        tu_edited_init(v, &e, error) < 0)
        return -1;
    v->factor = isnan(s->factor) ? (double)1.15f : s->factor;
    v->edit = multiply;
    uint64_t first = tu_choose(v, 0, v->rows);
    bool changes = false;
    int result = 0;
    for (uint64_t i = 0; i < v->rows && result == 0 && !changes; i++) {
        v->first_row = (first + i) % v->rows;
        v->end_row = v->first_row + 1;
        result = row_changes(v, &e, v->first_row, &changes, error);
    }
    tu_edited_free(&e);
    return result == 0 && !changes ? tu_refuse(v, error, "no row of it changes by that") : result;
}

int tu_fault_scale(struct tu_victim *v, struct tu_error *error)
{
    const struct tu_fault_settings *s = v->work->settings;
    bool changes;
    if (tu_victim_numbers(v, error) < 0)
        return -1;
    v->factor = isnan(s->factor) ? (double)1.15f : s->factor;
    v->edit = multiply;
    if (tu_victim_changes(v, &changes, error) < 0)
        return -1;
    return changes ? 0 : tu_refuse(v, error, "no number of it changes by that");
}
