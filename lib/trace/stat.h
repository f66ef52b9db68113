/* SPDX-License-Identifier: MIT */
/* Statistics of a tensor whose values go by once, in order: bounded memory, float64 sums from the
 * first value to the last. */
#ifndef TU_TRACE_STAT_H
#define TU_TRACE_STAT_H

#include "base/digest.h"
#include "tensor/dtype.h"
#include "tree/value.h"

struct tu_stat {
    enum tensor_dtype dtype;
    struct tu_digest *digest; /* XXH3 of the bytes */
    uint64_t count, finite, zeros, nan, inf;
    uint64_t first_nan, argmin, argmax; /* places in row-major order */
    double min, max, absmax, l1, squares;
    double shift, shifted, shifted_squares; /* moments around the first finite value */
};

int tu_stat_begin(struct tu_stat *s, enum tensor_dtype dtype, struct tu_error *error) TU_MUST_CHECK;
/* Values of the dtype: F64, F32 or I32. */
void tu_stat_add(struct tu_stat *s, const void *values, size_t count);
/* Puts what is known into a record: count, finite, zeros, nan, inf, first_nan, mean, std (of the
 * population), min, max, argmin, argmax, absmax, rms, l1, l2 of the finite values, and digest. */
int tu_stat_put(struct tu_stat *s, struct tu_builder *b, struct tu_error *error) TU_MUST_CHECK;
void tu_stat_end(struct tu_stat *s);

#endif
