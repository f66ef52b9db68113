/* SPDX-License-Identifier: MIT */
/* Differences of float32 values, by size. */
#ifndef TU_APR_BUCKETS_H
#define TU_APR_BUCKETS_H

#include "tensor/elements.h"

/* A pair with a NaN or an infinity counts as a large difference and is in no other number. */
struct tu_apr_buckets {
    uint64_t identical, small, medium, large; /* 0; below 0.001; below 0.01; more */
    double sum, squares;                      /* of the differences */
    float max;
};

/* Adds elements [first, first + count) of two tensors; spans are their bytes, in the sense of
 * tu_decode. */
void tu_apr_buckets_range(struct tu_apr_buckets *buckets, const struct tu_decoder *a,
                          const uint8_t *span_a, const struct tu_decoder *b, const uint8_t *span_b,
                          uint64_t first, size_t count);

/* Adds what comes behind. */
void tu_apr_buckets_add(struct tu_apr_buckets *sum, const struct tu_apr_buckets *next);

#endif
