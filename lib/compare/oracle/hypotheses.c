/* SPDX-License-Identifier: MIT */
/* Goes through what people and programs do to a tensor: numbers, dimensions, rows, bytes, names. */
#include "config.h"

#include "compare/oracle/hypotheses.h"

static const struct {
    const char *words; /* of the hypotheses, as tensor-cos(1) has them */
    tu_try_fn *try;
    bool slight; /* what is nearly alike may differ by it */
} kinds[] = {
    {"sign, add", tu_try_numbers, false},
    {"scale", tu_try_scale, true},
    {"transpose, label, permute", tu_try_dimensions, false},
    {"rope, unrope, interleave, deinterleave", tu_try_heads, false},
    {"halves, experts, heads, qkv, order", tu_try_orders, false},
    {"transpose, and one of these", tu_try_turned_rows, false},
    {"columns, nibbles, flip", tu_try_columns, false},
    {"row-scale, column-scale", tu_try_factors, true},
    {"type, byteswap", tu_try_bytes, false},
    {"exchange, copy", tu_try_others, false},
    {"shift", tu_try_shifts, false},
    {"low-rank", tu_try_low_rank, true},
};

int tu_hypotheses_try(struct tu_search *s)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if ((!s->c->slight || kinds[i].slight) && kinds[i].try(s) < 0)
            return -1;
    return 0;
}
