/* SPDX-License-Identifier: MIT */
/*
 * What a single tensor shows to be sick without another to compare it with, and what a model's
 * tensors show together.  tensor-stat(1) lists the findings and what is none.
 */
#ifndef TU_COMPUTE_STAT_HEALTH_H
#define TU_COMPUTE_STAT_HEALTH_H

#include "base/arena.h"
#include "base/digest.h"
#include "tensor/tensor.h"

enum tu_finding {
    TU_FINDING_NAN,
    TU_FINDING_NAN_SCALE,
    TU_FINDING_INF,
    TU_FINDING_ZERO,
    TU_FINDING_CONSTANT,
    TU_FINDING_DEAD_ROWS,
    TU_FINDING_DEAD_COLUMNS,
    TU_FINDING_CONSTANT_ROWS,
    TU_FINDING_CONSTANT_COLUMNS,
    TU_FINDING_DUPLICATE,
    TU_FINDING_DENORMAL,
    TU_FINDING_SATURATED,
    TU_FINDINGS
};
/* The status of a record: "nan", "nan_scale", ... */
extern const char *const tu_finding_words[TU_FINDINGS];

/* Rows or columns that hold one number alone. */
struct tu_same_lines {
    uint64_t dead, constant;             /* zeros; another number */
    uint64_t first_dead, first_constant; /* of all rows, or of the columns of a matrix */
};

/* One tensor. */
struct tu_health {
    struct tu_tensor tensor;
    bool real; /* it holds numbers, and all of them went by */
    uint64_t seen, finite, nan, inf, first_bad, zeros, denormals, saturated, e8m0_nan;
    double distinct[2]; /* the first values that differ */
    unsigned kinds;     /* how many of them there are; 3: more */
    struct tu_same_lines rows, columns;
    bool columns_left_out; /* of too many to be watched */
    char digest[TU_DIGEST_TEXT];
    bool found[TU_FINDINGS];
    const struct tu_health *twin; /* of a duplicate: the first of its bytes */
};

/* Looks at the values of one tensor, in order and in pieces of any size. */
struct tu_checkup {
    struct tu_health *health;
    struct tu_digest *digest;
    uint64_t width, height; /* of a matrix: the last two dimensions */
    double row_value, tiny, huge;
    bool row_same;
    double *column_values; /* NULL: they are not watched */
    uint8_t *column_same;
};

/* The tensor is copied to the arena.  Ended by tu_checkup_end in any case. */
int tu_checkup_begin(struct tu_checkup *c, struct tu_health *h, const struct tu_tensor *t,
                     struct tu_arena *arena, struct tu_error *error) TU_MUST_CHECK;
void tu_checkup_add(struct tu_checkup *c, const void *bytes, size_t length, const double *values,
                    size_t count);
void tu_checkup_end(struct tu_checkup *c);

/* Finds what the tensors of a model show, by themselves and together. */
int tu_health_judge(struct tu_health *all, size_t count, struct tu_error *error) TU_MUST_CHECK;
/* What a finding of a tensor is, in words. */
void tu_health_say(const struct tu_health *h, enum tu_finding finding, char *out, size_t size);

#endif
