/* SPDX-License-Identifier: MIT */
/* Counts float32 differences by size, as apr diff does. */
#include "config.h"

#include "compare/apr/buckets.h"

#include <math.h>

enum { RUN = 4096 };

static void count(struct tu_apr_buckets *out, float a, float b)
{
    float d = fabsf(a - b);
    if (!isfinite(a) || !isfinite(b)) {
        out->large++;
        return;
    }
    out->sum += (double)d;
    out->squares += (double)d * (double)d;
    out->max = d > out->max ? d : out->max;
    out->identical += d == 0;
    out->small += d > 0 && d < 0.001f;
    out->medium += d >= 0.001f && d < 0.01f;
    out->large += d >= 0.01f;
}

/* Decodes elements of a range whose span is given. */
static void decode(const struct tu_decoder *d, const uint8_t *span, uint64_t range_first,
                   uint64_t first, size_t n, float *out)
{
    uint64_t origin, offset, length;
    tu_geometry_span(&d->geometry, range_first, 1, &origin, &length);
    tu_geometry_span(&d->geometry, first, n, &offset, &length);
    tu_decode(d, span + (offset - origin), first, n, out);
}

void tu_apr_buckets_range(struct tu_apr_buckets *buckets, const struct tu_decoder *a,
                          const uint8_t *span_a, const struct tu_decoder *b, const uint8_t *span_b,
                          uint64_t first, size_t length)
{
    float x[RUN], y[RUN];
    for (size_t done = 0, n; done < length; done += n) {
        n = length - done < RUN ? length - done : RUN;
        decode(a, span_a, first, first + done, n, x);
        decode(b, span_b, first, first + done, n, y);
        for (size_t i = 0; i < n; i++)
            count(buckets, x[i], y[i]);
    }
}

void tu_apr_buckets_add(struct tu_apr_buckets *sum, const struct tu_apr_buckets *next)
{
    sum->identical += next->identical;
    sum->small += next->small;
    sum->medium += next->medium;
    sum->large += next->large;
    sum->sum += next->sum;
    sum->squares += next->squares;
    sum->max = next->max > sum->max ? next->max : sum->max;
}
