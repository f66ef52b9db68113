/* SPDX-License-Identifier: MIT */
/* How the lanes of a run are added up: in halves, i and i + 8, then i and i + 4, and so on. */
#ifndef TU_LANES_H
#define TU_LANES_H

#include "kernels/kernels.h"

/* The sum, in float64, of TU_LANES numbers. */
static inline double add_float_lanes(const float *lanes)
{
    double sums[TU_LANES];
    for (size_t i = 0; i < TU_LANES; i++)
        sums[i] = (double)lanes[i];
    for (size_t width = TU_LANES / 2; width; width /= 2)
        for (size_t i = 0; i < width; i++)
            sums[i] += sums[i + width];
    return sums[0];
}

#endif
