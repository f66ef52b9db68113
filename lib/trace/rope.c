/* SPDX-License-Identifier: MIT */
/* Turns queries and keys by their positions, with each of the scalings. */
#include "config.h"

#include "trace/rope.h"

#include <math.h>

/* Between which pairs yarn goes over from one frequency to the other. */
static void ramp_ends(const struct tu_trace_rope *r, double base, double *low, double *high)
{
    static const double pi = 3.14159265358979323846;
    double dim = (double)r->dim;
    *low = dim * log(r->original / (r->beta_fast * 2 * pi)) / (2 * log(base));
    *high = dim * log(r->original / (r->beta_slow * 2 * pi)) / (2 * log(base));
    if (r->truncate) {
        *low = floor(*low);
        *high = ceil(*high);
    }
    *low = fmax(*low, 0);
    *high = fmin(*high, dim - 1);
    if (*low == *high)
        *high += 0.001;
}

void tu_rope_frequencies(const struct tu_trace_rope *r, bool local, uint64_t length, double *out)
{
    double base = local ? r->base_local : r->base, factor = local ? r->factor_local : r->factor;
    double low = 0, high = 1;
    const double *divisors = r->scaling == TU_ROPE_LLAMA3 ? r->divisors : NULL;
    if (r->scaling == TU_ROPE_LONG)
        divisors = (double)length <= r->original ? r->short_ : r->long_;
    if (r->scaling == TU_ROPE_YARN)
        ramp_ends(r, base, &low, &high);
    for (uint64_t i = 0; i < r->dim / 2; i++) {
        double f = pow(base, -2 * (double)i / (double)r->dim);
        double ramp = fmin(fmax(((double)i - low) / (high - low), 0), 1);
        if (divisors)
            f /= divisors[i];
        else if (r->scaling == TU_ROPE_LINEAR)
            f /= factor;
        else if (r->scaling == TU_ROPE_YARN)
            f = f / factor * ramp + f * (1 - ramp);
        out[i] = f;
    }
}

static void turn_head(const struct tu_trace_rope *r, const double *frequencies, double position,
                      uint64_t at, const struct tu_values *x, struct tu_values *out)
{
    uint64_t half = r->dim / 2;
    for (uint64_t i = 0; i < half; i++) {
        double angle = position * frequencies[i];
        double c = cos(angle) * r->attn_factor, s = sin(angle) * r->attn_factor;
        double a = tu_values_at(x, at + i), b = tu_values_at(x, at + half + i);
        tu_values_set(out, at + i, a * c - b * s);
        tu_values_set(out, at + half + i, b * c + a * s);
    }
}

void tu_rope_turn(const struct tu_trace_rope *r, const double *frequencies, uint64_t first,
                  uint64_t heads, uint64_t head_dim, const struct tu_values *x,
                  struct tu_values *out)
{
    uint64_t tokens = x->count / (heads * head_dim);
    for (uint64_t t = 0; t < tokens; t++)
        for (uint64_t h = 0; h < heads; h++) {
            uint64_t at = (t * heads + h) * head_dim;
            turn_head(r, frequencies, (double)(first + t), at, x, out);
            for (uint64_t i = r->dim; i < head_dim; i++)
                tu_values_set(out, at + i, tu_values_at(x, at + i));
        }
}
