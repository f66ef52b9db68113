/* SPDX-License-Identifier: MIT */
/* Numbers that come with their steps: how weights that are made of several tensors are read. */
#include "config.h"

#include "kernels/kernels.h"

#include <math.h>

#include "kernels/bits.h"
#include "kernels/made.h"

enum { LANES = 8 };

/* The least step that has an inverse, as that of blocks (steps.c). */
#define LEAST 0x1p-118f

static inline float value_at(const uint8_t *p)
{
    return float_from_bits(load_le32(p));
}

tu_decode_fn TU_KERNEL(decode_made);
void TU_KERNEL(decode_made)(const uint8_t *restrict src, size_t n, float *restrict dst)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = value_at(src + i * TU_MADE_BYTES);
}

tu_steps_fn TU_KERNEL(steps_made);
double TU_KERNEL(steps_made)(const uint8_t *src, size_t n)
{
    double lanes[LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        double step = (double)value_at(src + i * TU_MADE_BYTES + 4);
        lanes[i % LANES] += step * step;
    }
    return ((lanes[0] + lanes[4]) + (lanes[2] + lanes[6])) +
           ((lanes[1] + lanes[5]) + (lanes[3] + lanes[7]));
}

tu_resolve_fn TU_KERNEL(resolve_made);
void TU_KERNEL(resolve_made)(const uint8_t *restrict src, size_t n, float *restrict inverse)
{
    for (size_t i = 0; i < n; i++) {
        float step = value_at(src + i * TU_MADE_BYTES + 4);
        inverse[i] = 1 / (step > LEAST ? step : LEAST); /* of NaN: the least, so far off */
    }
}
