/* SPDX-License-Identifier: MIT */
/* Cuts a pair into tiles, compares one at a time, and adds up what they come to in their order. */
#include "config.h"

#include "compare/tiles.h"

#include "compare/metrics/rows.h"

#include <stdlib.h>
#include <string.h>

/* ---- Reading and comparing ---- */

static int read_side(const struct tu_tile *t, int i, struct tu_buffer *to, struct tu_error *error)
{
    uint64_t offset, length;
    tu_geometry_span(&t->task->plan.comparison.decoders[i].geometry, t->first, t->count, &offset,
                     &length);
    if (tu_buffer_reserve(to, length, error) < 0)
        return -1;
    return tu_origin_read(&t->task->pair->places[i], offset, to->bytes, (size_t)length, error);
}

/* Counts the differences of a tile by size, where that is wanted: it is decoded once more. */
static void count_tile(struct tu_tile *t, const uint8_t *const spans[2], uint64_t first)
{
    const struct tu_decoder *decoders = t->task->plan.comparison.decoders;
    t->buckets = (struct tu_apr_buckets){0};
    if (t->task->buckets)
        tu_apr_buckets_range(&t->buckets, &decoders[0], spans[0], &decoders[1], spans[1], first,
                             t->count);
}

/* Starts the columns of a tile, and the full numbers where they are asked for. */
static int begin_sums(struct tu_tile *t, struct tu_tile_room *room, struct tu_full **full,
                      struct tu_error *error)
{
    struct tu_task *task = t->task;
    uint64_t row = task->plan.comparison.row, column = t->first % row;
    uint64_t width = row - column < t->count ? row : t->count;
    if (task->plan.blocks[0]) {
        column = t->area.column;
        width = t->area.columns;
    }
    if (tu_columns_begin(&t->columns, &task->plan.columns, column, width, error) < 0)
        return -1;
    *full = task->plan.has_full ? &t->full : NULL;
    return task->plan.has_full
               ? tu_full_begin(&t->full, &task->plan.full, column, width, &room->waiting, error)
               : 0;
}

static bool is_hidden(const struct tu_plan *plan, uint64_t index)
{
    if (!plan->keys)
        return plan->slots.absent[index / plan->slots.width];
    uint64_t query = index / plan->keys % plan->queries;
    return index % plan->keys > query + (plan->keys - plan->queries);
}

/* Makes zeros of what is left out. */
static void hide(const struct tu_tile *t, int side, uint8_t *bytes)
{
    const struct tu_plan *plan = &t->task->plan;
    size_t size = plan->comparison.decoders[side].geometry.dtype->bytes;
    for (uint64_t i = 0; i < t->count; i++)
        if (is_hidden(plan, t->first + i))
            memset(bytes + i * size, 0, size);
}

static int compare_run(struct tu_tile *t, struct tu_tile_room *room, struct tu_error *error)
{
    struct tu_task *task = t->task;
    struct tu_full *full;
    const uint8_t *spans[2];
    if (begin_sums(t, room, &full, error) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        bool here = task->pair->places[i].where != TU_IN_STREAM;
        struct tu_buffer *raw = here ? &room->raw[i] : &t->raw[i];
        if (here && read_side(t, i, raw, error) < 0)
            return -1;
        if (task->plan.hidden)
            hide(t, i, raw->bytes);
        spans[i] = raw->bytes;
    }
    tu_compare_range(&task->plan.comparison, spans, t->first, t->count, &t->sums, NULL, &t->columns,
                     full);
    count_tile(t, spans, t->first);
    return 0;
}

/* The numbers of a block, which has places of its own, as those of the matrix. */
static void place_block(const struct tu_task *task, struct tu_tile *t)
{
    const struct tu_tensor *m = &task->plan.blocks[0]->tensor;
    uint64_t columns = m->shape[m->rank - 1], across = t->area.columns;
    uint64_t *const places[] = {&t->sums.worst_index, &t->sums.first_diff};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        *places[i] =
            (t->area.row + *places[i] / across) * columns + t->area.column + *places[i] % across;
    tu_worst_rows_move(&t->sums.rows, t->area.row);
}

static struct tu_row *row_sums(const struct tu_tile *t)
{
    return (struct tu_row *)(void *)t->rows.bytes;
}

static int compare_block(struct tu_tile *t, struct tu_tile_room *room, struct tu_error *error)
{
    struct tu_task *task = t->task;
    struct tu_comparison c = task->plan.comparison;
    struct tu_full *full;
    const uint8_t *spans[2];
    if (begin_sums(t, room, &full, error) < 0)
        return -1;
    c.pieces = task->plan.has_full && c.row > TU_COMPARE_BLOCK;
    c.row = t->area.columns;
    if (task->tally.block_sums &&
        tu_buffer_reserve(&t->rows, t->area.rows * sizeof(struct tu_row), error) < 0)
        return -1;
    for (int i = 0; i < 2; i++) {
        if (tu_buffer_reserve(&room->raw[i], t->count * c.decoders[i].geometry.dtype->bytes,
                              error) < 0 ||
            tu_view_read_area(task->plan.blocks[i], t->area, room->raw[i].bytes, error) < 0)
            return -1;
        spans[i] = room->raw[i].bytes;
    }
    tu_compare_range(&c, spans, 0, t->count, &t->sums, task->tally.block_sums ? row_sums(t) : NULL,
                     NULL, full);
    count_tile(t, spans, 0);
    place_block(task, t);
    return 0;
}

int tu_tile_compare(struct tu_tile *t, struct tu_tile_room *room, struct tu_error *error)
{
    return t->task->plan.blocks[0] ? compare_block(t, room, error) : compare_run(t, room, error);
}

/* ---- Taking ---- */

/* Streams are read here, in order; files and the temporary file by the workers. */
static int take_run(struct tu_task *task, struct tu_tile *t, struct tu_error *error)
{
    const struct tu_geometry *g = &task->plan.comparison.decoders[task->plan.cutter].geometry;
    t->first = task->next;
    t->count = tu_geometry_tile(g, task->plan.run, task->plan.tile, task->next);
    t->sums = (struct tu_partial){.max_diff = task->tally.max_diff,
                                  .max_rel_diff = task->tally.max_rel_diff};
    task->next += t->count;
    t->last = task->next == task->pair->tensors[0].elements;
    for (int i = 0; i < 2; i++)
        if (task->pair->places[i].where == TU_IN_STREAM && read_side(t, i, &t->raw[i], error) < 0)
            return -1;
    return 0;
}

/* Blocks come row by row.  Their maxima start anew: the first place of equal ones is found when
 * they are added. */
static void take_block(struct tu_task *task, struct tu_tile *t)
{
    const struct tu_tensor *m = &task->plan.blocks[0]->tensor;
    uint64_t columns = m->shape[m->rank - 1], rows = m->elements / columns;
    uint64_t across = (columns + task->plan.block_columns - 1) / task->plan.block_columns;
    uint64_t down = (rows + task->plan.block_rows - 1) / task->plan.block_rows;
    uint64_t row = task->next / across * task->plan.block_rows,
             column = task->next % across * task->plan.block_columns;
    t->area = (struct tu_area){
        row, rows - row < task->plan.block_rows ? rows - row : task->plan.block_rows, column,
        columns - column < task->plan.block_columns ? columns - column : task->plan.block_columns};
    t->count = (size_t)(t->area.rows * t->area.columns);
    t->sums = (struct tu_partial){0};
    t->last = ++task->next == across * down;
}

int tu_tile_take(struct tu_task *task, struct tu_tile *t, struct tu_error *error)
{
    t->task = task;
    if (task->plan.blocks[0]) {
        take_block(task, t);
        return 0;
    }
    return take_run(task, t, error);
}

/* ---- Adding up ---- */

int tu_tally_begin(struct tu_task *task, struct tu_error *error)
{
    const struct tu_plan *plan = &task->plan;
    struct tu_tally *tally = &task->tally;
    uint64_t rows = plan->block_rows;
    if (plan->blocks[0] && plan->block_columns < plan->comparison.row) {
        tally->block_sums = tu_arena_alloc(&task->pair->arena, rows * sizeof *tally->block_sums);
        if (!tally->block_sums)
            return tu_fail_memory(error);
        memset(tally->block_sums, 0, rows * sizeof *tally->block_sums);
    }
    if (tu_columns_begin(&tally->columns, &plan->columns, 0, plan->comparison.row, error) < 0)
        return -1;
    return plan->has_full
               ? tu_full_begin(&tally->full, &plan->full, 0, plan->comparison.row, NULL, error)
               : 0;
}

void tu_tally_free(struct tu_tally *tally)
{
    tu_columns_free(&tally->columns);
    tu_full_free(&tally->full);
}

/* A row that is longer than tiles are is noted with its last piece. */
static void add_run(struct tu_task *task, const struct tu_tile *t)
{
    uint64_t row = task->plan.comparison.row, end = t->first + t->count;
    tu_partial_add(&task->tally.sums, &t->sums);
    if (t->first % row == 0 && t->count % row == 0)
        return;
    const struct tu_row piece = tu_partial_row(&t->sums);
    tu_row_add(&task->tally.row, &piece);
    if (end % row == 0) {
        tu_note_row(&task->tally.sums.rows, &task->plan.comparison, end / row - 1,
                    &task->tally.row);
        task->tally.row = (struct tu_row){0};
    }
}

/* The rows of a block, which come with it or, where a block has pieces, with the last of these. */
static void add_block_rows(struct tu_task *task, const struct tu_tile *t)
{
    const struct tu_tensor *m = &task->plan.blocks[0]->tensor;
    bool complete = t->area.column + t->area.columns == m->shape[m->rank - 1];
    for (uint64_t i = 0; task->tally.block_sums && i < t->area.rows; i++) {
        tu_row_add(&task->tally.block_sums[i], &row_sums(t)[i]);
        if (!complete)
            continue;
        tu_note_row(&task->tally.sums.rows, &task->plan.comparison, t->area.row + i,
                    &task->tally.block_sums[i]);
        task->tally.block_sums[i] = (struct tu_row){0};
    }
}

/* Of blocks, an earlier place may come later. */
static void add_block(struct tu_task *task, const struct tu_tile *t)
{
    const struct tu_partial *s = &t->sums, before = task->tally.sums;
    tu_partial_add(&task->tally.sums, s);
    add_block_rows(task, t);
    if (s->differs && before.differs && s->first_diff < before.first_diff)
        task->tally.sums.first_diff = s->first_diff;
    if (s->max_diff > 0 && s->max_diff == before.max_diff && s->worst_index < before.worst_index) {
        task->tally.sums.worst_index = s->worst_index;
        task->tally.sums.worst_a = s->worst_a;
        task->tally.sums.worst_b = s->worst_b;
    }
}

void tu_tile_add(struct tu_task *task, const struct tu_tile *t)
{
    if (!t->count)
        return;
    if (task->plan.blocks[0])
        add_block(task, t);
    else
        add_run(task, t);
    tu_apr_buckets_add(&task->tally.buckets, &t->buckets);
    task->tally.max_diff = task->tally.sums.max_diff;
    task->tally.max_rel_diff = task->tally.sums.max_rel_diff;
    tu_columns_add(&task->tally.columns, &t->columns);
    if (task->plan.has_full)
        tu_full_add(&task->tally.full, &t->full);
}

/* ---- What is given back ---- */

void tu_tile_free(struct tu_tile *t)
{
    free(t->raw[0].bytes);
    free(t->raw[1].bytes);
    free(t->rows.bytes);
    tu_columns_free(&t->columns);
    tu_full_free(&t->full);
}

void tu_tile_room_free(struct tu_tile_room *room)
{
    free(room->raw[0].bytes);
    free(room->raw[1].bytes);
    tu_full_rows_free(&room->waiting);
}
