/* SPDX-License-Identifier: MIT */
/*
 * Two tensors to one set of numbers, a block at a time.  Sums are float64 over fixed lanes within
 * a block of TU_COMPARE_BLOCK elements and are added in the order of the blocks, so the result has
 * the same bits for any number of threads and any instruction set.
 */
#ifndef TU_COMPARE_H
#define TU_COMPARE_H

#include "decode.h"

#define TU_COMPARE_BLOCK 4096

/* value * 2^exponent: sums of squares of float64 values leave the range of a double. */
struct tu_scaled {
    double value;
    int exponent;
};

/* What is known of a run of element pairs.  Pairs in which either side is NaN or infinite are
 * counted and left out of every sum and maximum. */
struct tu_partial {
    uint64_t elements;
    uint64_t finite; /* pairs in which both sides are */
    struct tu_scaled dot, aa, bb, dd, ad;
    double max_diff, max_rel_diff;
    uint64_t worst_index; /* first place of max_diff */
    double worst_a, worst_b;
    uint64_t identical; /* equal numbers: 0 is -0, infinities of one sign are equal */
    uint64_t nan_a, nan_b, nan_both, inf_a, inf_b;
};

/* Compares elements [first, first + count) of two tensors whose bytes for that range (in the sense
 * of tu_decode) are given, and adds to out.  Maxima that out holds already save the search for
 * smaller ones; a caller may put in what earlier ranges had. */
void tu_compare_range(const struct tu_kernels *kernels, const struct tu_decoder *a,
                      const uint8_t *span_a, const struct tu_decoder *b, const uint8_t *span_b,
                      uint64_t first, size_t count, struct tu_partial *out);

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
};
struct tu_metrics tu_partial_metrics(const struct tu_partial *sum);

#endif
