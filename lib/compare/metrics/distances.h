/* SPDX-License-Identifier: MIT */
/*
 * How many steps lie between the elements of a pair: |a - b| over the step that the block, or the
 * float, can tell apart there (kernels.h, tensor-types(7)).  Rounding to the nearest is at most
 * half a step away, whatever the weights are; so the mean square of a tensor, a row or a column,
 * and how many pairs are beyond a step, tell rounding from damage.
 */
#ifndef TU_DISTANCES_H
#define TU_DISTANCES_H

#include "tensor/elements.h"

/* Whose steps count in a pair; where both sides have some, the root of the sum of their squares. */
struct tu_resolution {
    bool known;      /* there are steps */
    bool alike;      /* both sides are blocks of one type */
    bool blocks[2];  /* those of the blocks of a side */
    bool spacing[2]; /* those of the floats of a side: of the grid */
    struct tu_float_grid grids[2];
};

/* Of a and b.  Block types have steps, and floats, as they are stored, that are coarser than the
 * other side. Floats of 16 bits count as exact beside blocks.  Two sides of one float type are
 * copies, and have none; nor have integers, and what a map added something to. */
struct tu_resolution tu_resolution_of(const struct tu_decoder *decoders,
                                      const enum tensor_dtype stored[2]);
/* Whether either side has blocks: then columns are looked at. */
bool tu_resolution_has_blocks(const struct tu_resolution *r);

/* Two decoded runs of the same elements, and what they were decoded from. */
struct tu_resolved_run {
    const uint8_t *parts[2]; /* bytes, in the sense of tu_decode */
    bool whole[2];           /* that begin with a block, and are whole ones, one behind another */
    const float *values[2];
    uint64_t first;
    size_t count;
};
/* The inverse of the step of each pair, or of each run of as many as it returns: 32, 16 or 1. */
size_t tu_resolve_run(const struct tu_resolution *r, const struct tu_kernels *kernels,
                      const struct tu_decoder *decoders, const struct tu_resolved_run *run,
                      float *inverse);

/* Of a row, or of a piece of one, or of a tensor. */
struct tu_apart {
    double squares;       /* of the numbers of steps, cut off (kernels.h) */
    uint64_t beyond, far; /* how many are more than 1, and at least TU_STEPS_FAR */
};
void tu_apart_add(struct tu_apart *sum, const struct tu_apart *next);

/* Of two sides that are blocks of one type: groups of TU_GROUP elements of a row, of which the last
 * may have fewer.  Who quantizes the same weights another way chooses other scales almost
 * everywhere; a copy keeps them. */
enum { TU_GROUP = 16 };
struct tu_groups {
    uint64_t all, same; /* that hold a number but 0, and of these those that are equal */
};
/* Adds the groups of a run of finite pairs, which begins with one. */
void tu_groups_add_run(struct tu_groups *sum, const float *a, const float *b, size_t count);

/* The worst rows: the first one of equals. */
struct tu_apart_rows {
    bool known;
    struct tu_apart most; /* each of another row */
    uint64_t squares_row, beyond_row, far_row;
};
void tu_apart_note(struct tu_apart_rows *w, uint64_t row, const struct tu_apart *sums);
/* Counts rows from one that lies so many before. */
void tu_apart_rows_move(struct tu_apart_rows *w, uint64_t rows);
void tu_apart_rows_add(struct tu_apart_rows *sum, const struct tu_apart_rows *next);

/* ---- Columns ---- */

/* Columns are looked at in some rows: of groups of so many one in `every`, from the first on. */
enum { TU_COLUMN_ROWS = 4 };
struct tu_column_plan {
    uint64_t columns, every; /* 0: none */
};
struct tu_column_plan tu_column_plan(const struct tu_resolution *r, uint64_t elements,
                                     uint64_t columns);

/* Of a tile, which is rows of the tensor, whole or cut, or of all tiles together. */
struct tu_columns {
    const struct tu_column_plan *plan;
    uint64_t column, width; /* where its rows begin, and how long they are */
    uint64_t rows;          /* that were looked at; a cut one counts where it begins */
    float *sums;            /* TU_COLUMN_SUMS times width */
    size_t room;
    bool begun; /* there is a sum that is not 0 */
};
/* Starts anew, for a plan that stays; zeroed before the first time. */
int tu_columns_begin(struct tu_columns *c, const struct tu_column_plan *plan, uint64_t column,
                     uint64_t width, struct tu_error *error) TU_MUST_CHECK;
void tu_columns_free(struct tu_columns *c);
/* Adds a run of one row, which begins at a column of the tensor; a row that is not looked at adds
 * nothing. */
void tu_columns_add_run(struct tu_columns *c, const struct tu_kernels *kernels, uint64_t row,
                        uint64_t column, const float *const values[2], const float *inverse,
                        size_t grain, size_t count);
/* Adds what comes behind; sum has whole rows. */
void tu_columns_add(struct tu_columns *sum, const struct tu_columns *next);

struct tu_columns_metrics {
    bool known;    /* there are columns in which something differs */
    double square; /* largest mean of the squares */
    uint64_t square_column;
    bool has_cosine; /* there is a column whose numbers are half a step, in the mean square */
    double cosine;   /* smallest, of numbers in steps */
    uint64_t cosine_column;
    double gain; /* of those columns, norm of b over norm of a where that is furthest from 1 */
    uint64_t gain_column;
};
struct tu_columns_metrics tu_columns_metrics(const struct tu_columns *c);

#endif
