/* SPDX-License-Identifier: MIT */
/*
 * What takes too long to be looked at always: columns, distances in units of the last place, how
 * many pairs are how far apart, and the cosine without the largest ones.  Like the sums of
 * sums.h it is taken tile by tile and added in the order of the tiles, with the same bits for
 * any number of threads and any instruction set.
 */
#ifndef TU_FULL_H
#define TU_FULL_H

#include "compare/metrics/scaled.h"
#include "tensor/elements.h"

/* Above that many columns their sums are not taken: 32 bytes each for every tile in work, and for
 * every thread up to as much for rows that wait. */
#define TU_FULL_COLUMNS (1u << 17)

/* What is looked at in a pair. */
struct tu_full_plan {
    uint64_t columns; /* 0: none */
    bool ulps;
    bool scaled;             /* a side has numbers whose squares leave the range of float64 */
    struct tu_ulp_type type; /* of both sides, where ulps are counted and they are not F64 */
};

/* For tensors of these types and so many elements in rows of so many columns. */
struct tu_full_plan tu_full_plan(const struct tu_dtype *a, const struct tu_dtype *b,
                                 uint64_t elements, uint64_t columns);

/* Rows that wait until there are enough for sums of columns to be worth loading: rows of one side,
 * then as many of the other.  A thread has one, zeroed before its first use. */
struct tu_full_rows {
    float *values;
    size_t room;
    size_t most, rows, stride; /* how many wait at most, how many do, and their distance */
};
void tu_full_rows_free(struct tu_full_rows *w);

/* Of a tile, which is rows of the tensor, whole or cut, or of all tiles together. */
struct tu_full {
    const struct tu_full_plan *plan;
    uint64_t column, width; /* where its rows begin, and how long they are */
    uint64_t beyond[3];     /* how many |a - b| > 0.001, 0.01, 0.1 * max(|a|, |b|) */
    uint64_t ulps[TU_ULP_BUCKETS];
    struct tu_scaled dot, aa, bb; /* without the largest of each run */
    double *columns;              /* in groups, as the kernel has them */
    /* F64 alone: as many powers of two, by which those sums are scaled. */
    int *exponents;
    size_t column_room;
    struct tu_full_rows *waiting; /* while a tile is worked on; NULL: no row waits */
};

/* Starts anew, for a plan that stays; d is zeroed before the first time.  waiting is of the thread
 * that adds runs until tu_full_end, or NULL. */
int tu_full_begin(struct tu_full *d, const struct tu_full_plan *plan, uint64_t column,
                  uint64_t width, struct tu_full_rows *waiting,
                  struct tu_error *error) TU_MUST_CHECK;
void tu_full_free(struct tu_full *d);

/* Pairs that are looked at together: the one of number `first` in the tile, and those behind it,
 * which are whole rows or a piece of one that begins at a multiple of 8.  Those that were not
 * finite are (0, 0).  Sums are those over all of them. */
struct tu_full_run {
    uint64_t first;
    size_t count, left_out;
    struct tu_scaled dot, aa, bb;
};

/* Where the numbers of such a run may be written, which then need not be copied; false: anywhere.
 */
bool tu_full_place(struct tu_full *d, uint64_t first, size_t count, float **a, float **b);
/* Adds a run; its pairs are changed, and changed back. */
void tu_full_add_run(struct tu_full *d, const struct tu_kernels *kernels,
                     const struct tu_full_run *run, float *a, float *b);
/* The same of float64, of which no pair is left as it was. */
void tu_full_add_wide_run(struct tu_full *d, const struct tu_full_run *run, double *a, double *b);
/* After the last run of a tile. */
void tu_full_end(struct tu_full *d, const struct tu_kernels *kernels);

/* Adds what comes behind; sum has whole rows. */
void tu_full_add(struct tu_full *sum, const struct tu_full *next);

struct tu_full_metrics {
    /* The first columns with the largest error, sqrt(sum (a - b)^2 / max(sum a^2, sum b^2)), and
     * with the smallest cosine, which is 0 where one side of a column is zero.  Columns that are
     * zero on both sides do not count. */
    bool columns; /* there are such */
    uint64_t error_column, cosine_column;
    double error, cosine;
    double trimmed_cosine; /* NaN where nothing is left */
};
struct tu_full_metrics tu_full_metrics(const struct tu_full *d);

#endif
