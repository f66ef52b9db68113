/* SPDX-License-Identifier: MIT */
/* Activations in float32 or float64, and what is done to them element by element.  Sums are
 * float64, from the first element to the last; what is float32 is rounded once, at the end. */
#ifndef TU_TRACE_VALUES_H
#define TU_TRACE_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* One of narrow and wide is there, but for an array that was not made. */
struct tu_values {
    float *narrow;
    double *wide;
    uint64_t count;
};

/* Room for so many, zeroed; given back by tu_values_free. */
int tu_values_make(struct tu_values *v, bool wide, uint64_t count,
                   struct tu_error *error) TU_MUST_CHECK;
void tu_values_free(struct tu_values *v);

static inline double tu_values_at(const struct tu_values *v, uint64_t i)
{
    return v->wide ? v->wide[i] : (double)v->narrow[i];
}

static inline void tu_values_set(struct tu_values *v, uint64_t i, double x)
{
    if (v->wide)
        v->wide[i] = x;
    else
        v->narrow[i] = (float)x;
}

/* Their bytes, as a tensor has them. */
static inline const void *tu_values_bytes(const struct tu_values *v)
{
    return v->wide ? (const void *)v->wide : (const void *)v->narrow;
}
static inline size_t tu_values_size(const struct tu_values *v)
{
    return v->wide ? sizeof(double) : sizeof(float);
}

/* to = from; both have the same type. */
void tu_values_copy(struct tu_values *to, const struct tu_values *from);

/* Rows of so many elements x / sqrt(mean of x^2 + eps) * weight. */
void tu_values_rms_norm(const struct tu_values *x, uint64_t width, const double *weight, double eps,
                        struct tu_values *out);
void tu_values_add(const struct tu_values *a, const struct tu_values *b, struct tu_values *out);
void tu_values_multiply(const struct tu_values *a, const struct tu_values *b,
                        struct tu_values *out);
/* To each row of so many elements. */
void tu_values_add_row(struct tu_values *x, uint64_t width, const double *row);
void tu_values_scale(struct tu_values *x, double factor);
/* x / (1 + e^-x); with gelu x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
void tu_values_activate(const struct tu_values *x, bool gelu, struct tu_values *out);
void tu_values_sigmoid(struct tu_values *x);
/* cap tanh(x / cap) */
void tu_values_cap(const struct tu_values *x, double cap, struct tu_values *out);
/* Of each row of so many elements. */
void tu_values_softmax(const struct tu_values *x, uint64_t width, struct tu_values *out);
/* The places of the largest of n numbers, the largest first, the first of equal ones; NaN counts as
 * the smallest.  used <= n. */
void tu_values_top(const struct tu_values *x, uint64_t first, uint64_t n, uint64_t used,
                   int32_t *places);

/* The first NaN or infinity; count if there is none. */
uint64_t tu_values_first_bad(const struct tu_values *v);

#endif
