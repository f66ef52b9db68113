/* SPDX-License-Identifier: MIT */
/* Finds the scale, the zero or the bias of elements, wherever a program has put it. */
#include "config.h"

#include "model/packs/planes.h"

#include <stdlib.h>

#include "kernels/kernels.h"

void tu_numbers_free(struct tu_numbers *n)
{
    free(n->values);
    n->values = NULL;
}

int tu_plane_elements(const struct tu_pack *p, const struct tu_plane *plane, uint64_t first,
                      uint64_t count, float *out, struct tu_error *error)
{
    enum { AT_ONCE = 4096 };
    uint8_t raw[AT_ONCE * 8];
    size_t size = tu_dtype(plane->dtype)->bytes;
    for (uint64_t done = 0, n; done < count; done += n) {
        n = count - done < AT_ONCE ? count - done : AT_ONCE;
        if (tu_model_read(plane->from.model, plane->from.tensor, (first + done) * size, raw,
                          (size_t)n * size, error) < 0)
            return -1;
        p->kernels->decode[plane->dtype](raw, (size_t)n, out + done);
    }
    return 0;
}

/* Blocks of a grid that lie down the tensor's columns: one run for each of them, turned. */
static int read_turned(const struct tu_pack *p, const struct tu_plane *plane, uint64_t start,
                       uint64_t rows, struct tu_numbers *n, struct tu_error *error)
{
    float *line = malloc((size_t)rows * sizeof *line);
    int result = line ? 0 : tu_fail_memory(error);
    for (uint64_t g = 0; g < n->width && result == 0; g++) {
        result = tu_plane_elements(p, plane, start + (n->column + g) * plane->column_step + n->row,
                                   rows, line, error);
        for (uint64_t r = 0; r < rows && result == 0; r++)
            n->values[r * n->width + g] = line[r];
    }
    free(line);
    return result;
}

/* Whole numbers that are packed themselves. */
static int read_packed(const struct tu_pack *p, const struct tu_plane *plane, uint64_t slice,
                       uint64_t rows, struct tu_numbers *n, struct tu_error *error)
{
    const struct tu_span piece = plane->turned
                                     ? (struct tu_span){slice, n->column, n->width, n->row, rows}
                                     : (struct tu_span){slice, n->row, rows, n->column, n->width};
    unsigned most = (1u << plane->codes->bits) - 1;
    uint8_t *codes = malloc((size_t)(rows * n->width));
    int result = codes ? 0 : tu_fail_memory(error);
    if (result == 0)
        result = tu_codes_read(plane->codes, plane->turned ? n->width : p->rows,
                               plane->turned ? p->rows : n->width, piece, codes, error);
    for (uint64_t r = 0; r < rows && result == 0; r++)
        for (uint64_t g = 0; g < n->width; g++) {
            unsigned code = codes[plane->turned ? g * rows + r : r * n->width + g] + plane->added;
            n->values[r * n->width + g] = (float)(plane->wraps ? code & most : code);
        }
    free(codes);
    return result;
}

static int read_grid(const struct tu_pack *p, const struct tu_plane *plane, struct tu_span piece,
                     uint64_t rows, struct tu_numbers *n, struct tu_error *error)
{
    uint64_t start = piece.slice * plane->slice_step;
    if (plane->codes)
        return read_packed(p, plane, piece.slice, rows, n, error);
    if (plane->column_step > 1 && n->width > 1)
        return read_turned(p, plane, start, rows, n, error);
    start += n->row * plane->row_step + n->column * plane->column_step;
    if (rows == 1 || plane->row_step == n->width)
        return tu_plane_elements(p, plane, start, rows * n->width, n->values, error);
    for (uint64_t r = 0; r < rows; r++)
        if (tu_plane_elements(p, plane, start + r * plane->row_step, n->width,
                              n->values + r * n->width, error) < 0)
            return -1;
    return 0;
}

/* Scales that are codes of a table, times scales of their own. */
static void unfold(const struct tu_nested *nested, uint64_t first, uint64_t count, float *values)
{
    for (uint64_t i = 0; i < count; i++) {
        float scaled =
            nested->table[(uint8_t)values[i]] * nested->scales[(first + i) / nested->block];
        values[i] = scaled + nested->offset;
    }
}

/* Of elements that follow one another. */
static int read_flat(const struct tu_pack *p, const struct tu_plane *plane, uint64_t first,
                     uint64_t count, struct tu_numbers *n, struct tu_error *error)
{
    n->column = first / plane->column_block;
    n->width = (first + count - 1) / plane->column_block + 1 - n->column;
    n->values = malloc((size_t)n->width * sizeof *n->values);
    if (!n->values)
        return tu_fail_memory(error);
    if (tu_plane_elements(p, plane, n->column, n->width, n->values, error) < 0)
        return -1;
    if (plane == &p->scales && p->nested.table)
        unfold(&p->nested, n->column, n->width, n->values);
    return 0;
}

/* All of it, where elements beyond the last begin anew. */
static int read_modulo(const struct tu_pack *p, const struct tu_plane *plane, struct tu_numbers *n,
                       struct tu_error *error)
{
    n->width = plane->column_block;
    n->values = malloc((size_t)n->width * sizeof *n->values);
    return n->values ? tu_plane_elements(p, plane, 0, n->width, n->values, error)
                     : tu_fail_memory(error);
}

static uint64_t last_group(const struct tu_pack *p, const struct tu_plane *plane,
                           struct tu_span piece)
{
    uint64_t last = 0;
    if (!p->groups)
        return (piece.column + piece.columns - 1) / plane->column_block;
    for (uint64_t i = 0; i < p->columns; i++)
        last = p->groups[i] > last ? p->groups[i] : last;
    return last;
}

int tu_plane_read(const struct tu_pack *p, const struct tu_plane *plane, struct tu_span piece,
                  struct tu_numbers *out, struct tu_error *error)
{
    *out = (struct tu_numbers){0};
    uint64_t first = (piece.slice * p->rows + piece.row) * p->columns + piece.column;
    if (plane->kind == TU_PLANE_NONE)
        return 0;
    if (plane->kind == TU_PLANE_FLAT)
        return read_flat(p, plane, first, piece.rows * piece.columns, out, error);
    if (plane->kind == TU_PLANE_MODULO)
        return read_modulo(p, plane, out, error);
    out->row = piece.row / plane->row_block;
    out->column = p->groups ? 0 : piece.column / plane->column_block;
    out->width = last_group(p, plane, piece) + 1 - out->column;
    uint64_t rows = (piece.row + piece.rows - 1) / plane->row_block + 1 - out->row;
    out->values = malloc((size_t)(rows * out->width) * sizeof *out->values);
    if (!out->values)
        return tu_fail_memory(error);
    return read_grid(p, plane, piece, rows, out, error);
}

size_t tu_plane_at(const struct tu_pack *p, const struct tu_plane *plane,
                   const struct tu_numbers *numbers, uint64_t slice, uint64_t row, uint64_t column,
                   uint64_t *run)
{
    uint64_t element = (slice * p->rows + row) * p->columns + column, share = 1, at;
    switch (plane->kind) {
    case TU_PLANE_GRID:
        at = p->groups ? p->groups[column] : column / plane->column_block;
        share = p->groups ? 1 : (at + 1) * plane->column_block - column;
        at = (row / plane->row_block - numbers->row) * numbers->width + at - numbers->column;
        break;
    case TU_PLANE_FLAT:
        at = element / plane->column_block;
        share = (at + 1) * plane->column_block - element;
        at -= numbers->column;
        break;
    case TU_PLANE_MODULO:
        at = element % plane->column_block;
        break;
    default:
        return 0;
    }
    *run = share < *run ? share : *run;
    return (size_t)at;
}
