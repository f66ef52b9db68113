/* SPDX-License-Identifier: MIT */
/* Arithmetic of numbers beyond the range of a double: value * 2^exponent. */
#ifndef TU_SCALED_H
#define TU_SCALED_H

#include <math.h>
#include <stddef.h>

/* value * 2^exponent: sums of squares of float64 values leave the range of a double. */
struct tu_scaled {
    double value;
    int exponent;
};

static inline struct tu_scaled tu_sum_of_scaled(struct tu_scaled a, struct tu_scaled b)
{
    if (a.value == 0)
        return b;
    if (b.value == 0)
        return a;
    int exponent = a.exponent > b.exponent ? a.exponent : b.exponent;
    return (struct tu_scaled){
        ldexp(a.value, a.exponent - exponent) + ldexp(b.value, b.exponent - exponent), exponent};
}

/* In the usual case no copy is made, which would wait for what was stored in two parts. */
static inline void tu_add_scaled(struct tu_scaled *sum, const struct tu_scaled *next)
{
    if (!(sum->exponent | next->exponent))
        sum->value += next->value;
    else
        *sum = tu_sum_of_scaled(*sum, *next);
}

static inline double tu_unscale(struct tu_scaled s)
{
    return s.exponent ? ldexp(s.value, s.exponent) : s.value;
}

/* The same number with a value of moderate size, so that products and quotients of two keep their
 * digits.  Powers of two change no digit. */
static inline struct tu_scaled tu_normalise(struct tu_scaled s)
{
    int exponent;
    double value = frexp(s.value, &exponent);
    return (struct tu_scaled){value, s.exponent + exponent};
}

/* x / y as if neither had been scaled. */
static inline double tu_ratio(struct tu_scaled x, struct tu_scaled y)
{
    struct tu_scaled p = tu_normalise(x), q = tu_normalise(y);
    return ldexp(p.value / q.value, p.exponent - q.exponent);
}

/* x * y */
static inline struct tu_scaled tu_product(struct tu_scaled x, struct tu_scaled y)
{
    x = tu_normalise(x);
    y = tu_normalise(y);
    return (struct tu_scaled){x.value * y.value, x.exponent + y.exponent};
}

static inline struct tu_scaled tu_product_root(struct tu_scaled x, struct tu_scaled y)
{
    const struct tu_scaled p = tu_product(x, y);
    int odd = p.exponent & 1;
    return (struct tu_scaled){sqrt(odd ? 2 * p.value : p.value), (p.exponent - odd) / 2};
}

static inline double tu_root(struct tu_scaled square)
{
    int odd = square.exponent & 1;
    return ldexp(sqrt(odd ? 2 * square.value : square.value), (square.exponent - odd) / 2);
}

/* The power of two that brings the largest magnitude of some near 1; 0 if it is moderate, so that
 * neither squares nor their sums leave the range of a double. */
int tu_scale_of(const double *values, size_t count);
/* Sums over fixed lanes, which are those of the kernels (kernels.h): of x[i] * 2^-x_scale times
 * y[i] * 2^-y_scale, and of x[i] * 2^-scale. */
struct tu_scaled tu_sum_products(const double *x, int x_scale, const double *y, int y_scale,
                                 size_t count);
struct tu_scaled tu_sum_values(const double *x, int scale, size_t count);

#endif
