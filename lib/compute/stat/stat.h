/* SPDX-License-Identifier: MIT */
/*
 * Statistics of a tensor, or of each token, head, channel or row of it, whose values go by once, in
 * row-major order and in pieces of any size: bounded memory, float64 sums in the order of the
 * values, so that neither pieces nor threads change a bit.
 */
#ifndef TU_COMPUTE_STAT_H
#define TU_COMPUTE_STAT_H

#include "base/digest.h"
#include "compute/stat/sketch.h"
#include "tensor/tensor.h"
#include "tree/cell.h"
#include "tree/value.h"

enum tu_stat_axis {
    TU_STAT_ALL,
    TU_STAT_TOKEN,   /* the dimension that counts tokens (of scores and weights: queries) */
    TU_STAT_HEAD,    /* the one that counts heads */
    TU_STAT_CHANNEL, /* the last one; where it counts what is inside of a head, both together */
    TU_STAT_ROW,     /* every run of the last dimension */
    TU_STAT_AXES
};
extern const char *const tu_stat_axis_names[TU_STAT_AXES];

/* Values of a block, less the first value of all, are summed up around their own mean; the block is
 * then added to those before. */
enum { TU_STAT_BLOCK = 32, TU_STAT_TOP = 8 };

/* A number and where it is. */
struct tu_stat_place {
    uint64_t index;
    double value;
};

/* The largest of many, the first of equal ones first. */
struct tu_stat_top {
    struct tu_stat_place items[TU_STAT_TOP];
    size_t count;
};

void tu_stat_top_add(struct tu_stat_top *top, uint64_t index, double value);

/* What is known of one group of values.  Places are those in the whole tensor, in row-major order.
 */
struct tu_stat {
    uint64_t count, finite, zeros, nan, inf, first_nan, argmin, argmax;
    double min, max, l1, squares;
    double shift;               /* the first finite value, which moments are taken from */
    double n, mean, m2, m3, m4; /* of the blocks before: central moments, not divided */
    double block[TU_STAT_BLOCK];
    size_t held;            /* values in it */
    struct tu_stat_top top; /* by magnitude; values have their signs */
};

/* A group is complete. */
struct tu_stats;
typedef int tu_stat_done_fn(void *context, struct tu_stats *s, struct tu_stat *stat, uint64_t index,
                            struct tu_error *error);

struct tu_stats {
    enum tu_stat_axis axis;
    const char *no_axis; /* why the tensor has no such axis */
    tu_stat_done_fn *done;
    void *context;
    uint64_t outer, groups, inner; /* element i belongs to group i / inner % groups */
    uint64_t next;                 /* the place of the next value */
    uint64_t rows, width, queries; /* of scores that have a mask; queries 0: there is none */
    uint64_t masked;               /* values that it left out */
    struct tu_stat *stats;         /* one, if groups come one after another */
    struct tu_sketch *sketches;    /* of each of them */
    struct tu_sketch_room room;
    struct tu_digest *digest; /* XXH3 of the bytes */
    double *channels;         /* TU_STAT_ALL: the sum of squares of each channel; NULL: none */
    uint64_t channel_count;
};

/* 1: values may come; 0: the tensor has no such axis, or more places on it than statistics are kept
 * of: s->no_axis says which.  Ended by tu_stats_end, or in any case by tu_stats_free.  The tensor
 * has passed tu_tensor_check; what its scope says of its axes and of a mask is used. */
int tu_stats_begin(struct tu_stats *s, enum tu_stat_axis axis, const struct tu_tensor *t,
                   tu_stat_done_fn *done, void *context, struct tu_error *error) TU_MUST_CHECK;
/* The bytes of the tensor, in order, for the digest. */
void tu_stats_bytes(struct tu_stats *s, const void *bytes, size_t length);
int tu_stats_add(struct tu_stats *s, const double *values, size_t count,
                 struct tu_error *error) TU_MUST_CHECK;
/* The same for values as a program holds them: F64, F32 or I32; their bytes are added, too. */
int tu_stats_add_native(struct tu_stats *s, enum tensor_dtype dtype, const void *values,
                        size_t count, struct tu_error *error) TU_MUST_CHECK;
/* Completes the groups that are not. */
int tu_stats_end(struct tu_stats *s, struct tu_error *error) TU_MUST_CHECK;
void tu_stats_free(struct tu_stats *s);

/* Puts what is known of a group into a record, as tensor-stat(1) has it: status (nonfinite where
 * there is a NaN or infinity), axis, index, count, masked, finite, zeros, nan, inf, first_nan; of
 * the finite values mean, std (of the population), min, max, argmin, argmax, absmax, rms, l1, l2,
 * skewness, kurtosis (3 for a normal distribution), quantiles, quantile_error and top; and of a
 * whole tensor top_channels and digest.  Numbers that float64 cannot hold are left out. */
int tu_stats_put(struct tu_stats *s, struct tu_stat *stat, uint64_t index, struct tu_builder *b,
                 struct tu_error *error) TU_MUST_CHECK;
/* Columns of `stat` records. */
extern const struct tu_column tu_stat_columns[];

#endif
