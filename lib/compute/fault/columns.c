/* SPDX-License-Identifier: MIT */
/* Faults of columns: one that is zero or multiplied, some that change places. */
#include "config.h"

#include <math.h>
#include <string.h>

#include "compute/fault/victim.h"

enum { MIXED = sizeof((struct tu_victim *)0)->order };

static void multiply_column(const struct tu_victim *v, uint64_t row, uint64_t column, size_t n,
                            float *values)
{
    (void)row;
    if (v->first_column < column || v->first_column - column >= n)
        return;
    float *value = &values[v->first_column - column];
    if (v->factor != 0)
        *value = (float)(*value * v->factor);
    else if (*value != 0) /* infinity and NaN, too */
        *value = 0;
}

/* The blocks of a row that are in memory. */
struct window {
    struct tu_edited edited;
    uint64_t row, first, count; /* blocks */
};

static int read_window(const struct tu_victim *v, struct window *w, uint64_t row, uint64_t block,
                       struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    uint64_t blocks = v->row_bytes / t->bytes, room = w->edited.blocks;
    w->row = row;
    w->first = block / room * room;
    w->count = blocks - w->first < room ? blocks - w->first : room;
    return tu_read_original(v, row * v->row_bytes + w->first * t->bytes, w->edited.raw,
                            w->count * t->bytes, error);
}

/* Whether the edit of the column changes a row's block. */
static int column_changes(const struct tu_victim *v, struct window *w, uint64_t row, bool *changes,
                          struct tu_error *error)
{
    const struct tu_dtype *t = v->geometry.dtype;
    uint64_t block = v->first_column / t->elements;
    bool here = w->count && w->row == row && block >= w->first && block - w->first < w->count;
    if (!here && read_window(v, w, row, block, error) < 0)
        return -1;
    uint8_t kept[512];
    uint8_t *raw = w->edited.raw, *at = raw + (block - w->first) * t->bytes;
    memcpy(kept, at, t->bytes);
    w->edited.raw = at;
    *changes = tu_edit_blocks(v, &w->edited, row, block, 1);
    w->edited.raw = raw;
    memcpy(at, kept, t->bytes);
    return 0;
}

/* Of the columns from a place on, the first that an edit changes in the first row that it changes
 * at all. */
static int find_column(struct tu_victim *v, struct tu_error *error)
{
    struct window w = {0};
    if (tu_edited_init(v, &w.edited, error) < 0)
        return -1;
    uint64_t first = tu_choose(v, 0, v->row);
    bool changes = false;
    int result = 0;
    for (uint64_t row = 0; row < v->rows && result == 0 && !changes; row++)
        for (uint64_t i = 0; i < v->row && result == 0 && !changes; i++) {
            v->first_column = (first + i) % v->row;
            v->end_column = v->first_column + 1;
            result = column_changes(v, &w, row, &changes, error);
        }
    tu_edited_free(&w.edited);
    return result == 0 && !changes ? tu_refuse(v, error, "no column of it changes by that")
                                   : result;
}

static int settle_column(struct tu_victim *v, double factor, struct tu_error *error)
{
    if (tu_victim_rows(v, error) < 0 || tu_victim_numbers(v, error) < 0)
        return -1;
    v->factor = factor;
    v->edit = multiply_column;
    return find_column(v, error);
}

int tu_fault_zero_column(struct tu_victim *v, struct tu_error *error)
{
    return settle_column(v, 0, error);
}

int tu_fault_scale_column(struct tu_victim *v, struct tu_error *error)
{
    double factor = v->work->settings->factor;
    return settle_column(v, isnan(factor) ? 1.5 : factor, error);
}

static void mix_columns(const struct tu_victim *v, uint64_t row, uint64_t column, size_t n,
                        float *values)
{
    float old[MIXED];
    size_t count = (size_t)(v->end_column - v->first_column);
    (void)row, (void)n; /* pieces hold whole groups */
    values += v->first_column - column;
    memcpy(old, values, count * sizeof *old);
    for (size_t i = 0; i < count; i++)
        values[i] = old[v->order[i]];
}

/* An order in which no column stays where it is (Sattolo). */
static void choose_order(struct tu_victim *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        v->order[i] = (uint8_t)i;
    for (size_t i = count - 1; i > 0; i--) {
        size_t k = (size_t)tu_choose(v, i, i);
        uint8_t kept = v->order[i];
        v->order[i] = v->order[k];
        v->order[k] = kept;
    }
}

/* The first group of columns from a place on that this changes. */
int tu_fault_mix_columns(struct tu_victim *v, struct tu_error *error)
{
    if (tu_victim_rows(v, error) < 0 || tu_victim_numbers(v, error) < 0)
        return -1;
    if (v->row < 2)
        return tu_refuse(v, error, "there are no two of its columns to exchange");
    v->edit = mix_columns;
    uint64_t groups = (v->row + MIXED - 1) / MIXED, first = tu_choose(v, 0, groups);
    for (uint64_t i = 0; i < groups; i++) {
        bool changes;
        v->first_column = (first + i) % groups * MIXED;
        uint64_t left = v->row - v->first_column;
        v->end_column = v->first_column + (left < MIXED ? left : MIXED);
        choose_order(v, (size_t)(v->end_column - v->first_column));
        if (tu_victim_changes(v, &changes, error) < 0)
            return -1;
        if (changes)
            return 0;
    }
    return tu_refuse(v, error, "no group of its columns changes by that");
}
