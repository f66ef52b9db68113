/* SPDX-License-Identifier: MIT */
/*
 * Quantiles of values that go by once, in bounded memory: values are counted by their sign, their
 * exponent and the first bits of their mantissa, so that a quantile is known within a factor.  The
 * counts do not depend on the order of the values.  (The buckets of DDSketch, Masson, Rim and Lee,
 * 2019, with the bits of a number in place of its logarithm.)
 */
#ifndef TU_COMPUTE_STAT_SKETCH_H
#define TU_COMPUTE_STAT_SKETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* What sketches of one tensor have in common.  When their pages take more than `budget` bytes all
 * of them count one bit of the mantissa less, and at last nothing. */
struct tu_sketch_room {
    struct tu_sketch *sketches; /* of all groups of the tensor, so that all can be made coarser */
    size_t count;
    unsigned bits; /* of the mantissa */
    size_t used, budget;
    bool given_up; /* not even exponents fit */
};

/* Counts of values with one sign and exponent. */
struct tu_sketch_page {
    uint32_t id;      /* 1 + sign and exponent; 0: none */
    uint64_t *counts; /* 1 << bits */
};

/* Zero-initialised it has seen nothing. */
struct tu_sketch {
    struct tu_sketch_page *pages; /* a table, open addressing */
    uint32_t capacity, held;
    uint64_t zeros, values;
};

enum { TU_SKETCH_BITS = 7 };

/* Counts finite values. */
int tu_sketch_add(struct tu_sketch_room *room, struct tu_sketch *s, const double *values,
                  size_t count, struct tu_error *error) TU_MUST_CHECK;
/* Makes a sketch one that has seen nothing, and keeps its table. */
void tu_sketch_reset(struct tu_sketch_room *room, struct tu_sketch *s);
void tu_sketch_free(struct tu_sketch *s);

/* About the value of rank ceil(p * n) among the n that were counted, from the smallest; n is not 0.
 * It is off by at most the error times itself (of numbers below 2^-1022: times 2^-1022). */
double tu_sketch_quantile(const struct tu_sketch_room *room, const struct tu_sketch *s, double p);
/* 2^-(bits + 1) */
double tu_sketch_error(const struct tu_sketch_room *room);

#endif
