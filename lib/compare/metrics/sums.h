/* SPDX-License-Identifier: MIT */
/*
 * Two tensors to one set of numbers.  A row is cut into segments of TU_COMPARE_BLOCK elements, of
 * which the last may be shorter; sums are float64 over fixed lanes within a segment (kernels.h) and
 * are added in the order of the segments.  So the result has the same bits for any number of
 * threads and any instruction set.
 */
#ifndef TU_SUMS_H
#define TU_SUMS_H

#include "compare/metrics/distances.h"
#include "compare/metrics/scaled.h"
#include "tensor/elements.h"

/* Sums over the pairs of a row, or of a piece of it. */
struct tu_row {
    struct tu_scaled dot, aa, bb, dd;
    double steps; /* of the squares of the steps of both sides (kernels.h) */
    struct tu_apart apart;
};

/* The squared norms of a row. */
struct tu_gain {
    struct tu_scaled aa, bb; /* both 0: there is none */
    uint64_t row;
};

/* The worst rows of some: the first one of equals. */
struct tu_worst_rows {
    bool known;      /* there was a row that is not zero on both sides */
    double error;    /* largest sum (a - b)^2 / max(sum a^2, sum b^2) */
    double cosine;   /* of the row of the largest distance; 0 where one side alone is zero */
    double distance; /* 1 - cosine, without cancellation: it tells rows apart that are close */
    uint64_t error_row, cosine_row;
    struct tu_gain least, most; /* those whose norm grew the least and the most from a to b */
    bool predicted;             /* there was a row with steps */
    double noise;               /* largest sum (a - b)^2 / sum of squared steps */
    uint64_t noise_row;
    struct tu_apart_rows apart; /* of all rows, faint ones included */
};

/* What is known of a run of element pairs.  Pairs in which either side is NaN or infinite are
 * counted and left out of every sum and maximum. */
struct tu_partial {
    uint64_t elements;
    uint64_t finite; /* pairs in which both sides are */
    struct tu_scaled dot, aa, bb, dd, ad;
    double steps; /* as in a row; 0 if neither side predicts its noise */
    struct tu_apart apart;
    struct tu_groups groups; /* where both sides are blocks of one type */
    float most_apart;        /* the largest distance in steps */
    double max_diff, max_rel_diff;
    uint64_t worst_index; /* first place of max_diff */
    double worst_a, worst_b;
    bool differs;        /* there is a pair that differs, where NaN does not differ from NaN */
    uint64_t first_diff; /* the place of the first one */
    uint64_t identical;  /* equal numbers: 0 is -0, infinities of one sign are equal */
    uint64_t nan_a, nan_b, nan_both, inf_a, inf_b, inf_both; /* inf_both: of one sign */
    struct tu_worst_rows rows;
};

/* Two tensors of as many elements. */
struct tu_comparison {
    const struct tu_kernels *kernels;
    struct tu_decoder decoders[2]; /* a, b */
    uint64_t row;                  /* elements of a row */
    bool pieces;                   /* those are pieces of rows that are longer than a segment */
    struct tu_resolution resolution;
};

struct tu_full;

/* Compares elements [first, first + count), which are whole rows or a piece of one that starts at
 * one of its segments, and adds to out; spans are their bytes on either side, in the sense of
 * tu_decode.  Whole rows are noted among the worst, unless rows receives the sums of each instead.
 * Maxima that out holds already save the search for smaller ones; a caller may put in what earlier
 * ranges had.  columns and full, which may be NULL, were begun for this range. */
void tu_compare_range(const struct tu_comparison *c, const uint8_t *const spans[2], uint64_t first,
                      size_t count, struct tu_partial *out, struct tu_row *rows,
                      struct tu_columns *columns, struct tu_full *full);

/* Notes a row of a comparison whose sums are complete.  A row too faint for the types to hold it
 * with their usual precision is none: that it lost its digits is no defect. */
void tu_note_row(struct tu_worst_rows *worst, const struct tu_comparison *c, uint64_t index,
                 const struct tu_row *row);
/* Adds the sums of the next piece of a row. */
void tu_row_add(struct tu_row *sum, const struct tu_row *next);
/* The sums of a range that was a piece of one row. */
struct tu_row tu_partial_row(const struct tu_partial *p);

/* Adds the numbers of the elements that follow those of sum. */
void tu_partial_add(struct tu_partial *sum, const struct tu_partial *next);

/* Numbers derived from the sums; NaN where one is not defined. */
struct tu_metrics {
    double norm_a, norm_b;    /* sqrt(sum a^2) */
    double cosine_similarity; /* dot / sqrt(aa * bb) */
    double cosine_distance;   /* 1 - cosine, without cancellation where the two are close */
    double mean_diff;         /* mean |a - b| */
    double rmse;              /* sqrt(mean (a - b)^2) */
    double nmse;              /* sum (a - b)^2 / sum a^2 */
    double sqnr_db;           /* 10 log10 (sum a^2 / sum (a - b)^2) */
    double norm_ratio;        /* norm_b / norm_a */
    double noise_ratio;       /* sum (a - b)^2 / (sum of squared steps / 12) */
};
struct tu_metrics tu_partial_metrics(const struct tu_partial *sum);
/* How much the norm of a row grew from a to b, against how much that of the whole did: of the row
 * for which that is furthest from 1.  NaN if there is none. */
double tu_partial_gain(const struct tu_partial *sum, uint64_t *row);

#endif
