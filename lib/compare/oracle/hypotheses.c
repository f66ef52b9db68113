/* SPDX-License-Identifier: MIT */
/* Goes through what people and programs do to a tensor: numbers, dimensions, rows, bytes, names. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

static const struct {
    const char *words; /* of the hypotheses, as tensor-cos(1) has them */
    tu_try_fn *try;
} kinds[] = {
    {"sign, scale, add", tu_try_numbers},
    {"transpose, label, permute", tu_try_dimensions},
    {"rope, unrope, interleave, deinterleave", tu_try_heads},
    {"halves, experts, heads, qkv, order", tu_try_orders},
    {"type, byteswap", tu_try_bytes},
    {"exchange, copy", tu_try_others},
    {"shift", tu_try_shifts},
};

int tu_hypotheses_try(struct tu_search *s)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (kinds[i].try(s) < 0)
            return -1;
    return 0;
}
