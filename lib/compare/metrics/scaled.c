/* SPDX-License-Identifier: MIT */
/* Adds up float64 in fixed lanes, scaled where squares leave the range of a double. */
#include "config.h"

#include "compare/metrics/scaled.h"

#include <string.h>

#include "kernels/kernels.h"

/* Beyond these magnitudes squares and their sums are scaled; within them nothing is. */
#define LARGE 0x1p400
#define SMALL 0x1p-400

/* Lanes are added in halves, as the kernels do. */
static double sum_lanes(const double *lane)
{
    double sum[TU_LANES];
    memcpy(sum, lane, sizeof sum);
    for (size_t width = TU_LANES / 2; width; width /= 2)
        for (size_t i = 0; i < width; i++)
            sum[i] += sum[i + width];
    return sum[0];
}

int tu_scale_of(const double *values, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(values[i]));
    return largest == 0 || (largest < LARGE && largest > SMALL) ? 0 : ilogb(largest);
}

struct tu_scaled tu_sum_products(const double *x, int x_scale, const double *y, int y_scale,
                                 size_t count)
{
    double lanes[TU_LANES] = {0};
    for (size_t i = 0; i < count; i++) {
        double p = x_scale ? ldexp(x[i], -x_scale) : x[i];
        double q = y_scale ? ldexp(y[i], -y_scale) : y[i];
        lanes[i % TU_LANES] += p * q;
    }
    return (struct tu_scaled){sum_lanes(lanes), x_scale + y_scale};
}

struct tu_scaled tu_sum_values(const double *x, int scale, size_t count)
{
    double lanes[TU_LANES] = {0};
    for (size_t i = 0; i < count; i++)
        lanes[i % TU_LANES] += scale ? ldexp(x[i], -scale) : x[i];
    return (struct tu_scaled){sum_lanes(lanes), scale};
}
