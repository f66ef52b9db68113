/* SPDX-License-Identifier: MIT */
/* Adds up what goes by: counts, extremes, moments, and a digest of the bytes. */
#include "config.h"

#include "trace/stat.h"

#include <math.h>
#include <string.h>

int tu_stat_begin(struct tu_stat *s, enum tensor_dtype dtype, struct tu_error *error)
{
    *s = (struct tu_stat){.dtype = dtype};
    s->digest = tu_digest_new(TU_XXH3, error);
    return s->digest ? 0 : -1;
}

void tu_stat_end(struct tu_stat *s)
{
    if (s->digest)
        tu_digest_free(s->digest);
    s->digest = NULL;
}

static void add_finite(struct tu_stat *s, double x)
{
    uint64_t place = s->count;
    if (s->finite == 0)
        s->shift = x;
    if (s->finite == 0 || x < s->min) {
        s->min = x;
        s->argmin = place;
    }
    if (s->finite == 0 || x > s->max) {
        s->max = x;
        s->argmax = place;
    }
    s->absmax = fmax(s->absmax, fabs(x));
    s->zeros += x == 0;
    s->l1 += fabs(x);
    s->squares += x * x;
    s->shifted += x - s->shift;
    s->shifted_squares += (x - s->shift) * (x - s->shift);
    s->finite++;
}

static double value_at(const struct tu_stat *s, const void *values, size_t i)
{
    if (s->dtype == TENSOR_F64)
        return ((const double *)values)[i];
    return s->dtype == TENSOR_F32 ? (double)((const float *)values)[i]
                                  : (double)((const int32_t *)values)[i];
}

void tu_stat_add(struct tu_stat *s, const void *values, size_t count)
{
    tu_digest_add(s->digest, values, count * (s->dtype == TENSOR_F64 ? 8 : 4));
    for (size_t i = 0; i < count; i++, s->count++) {
        double x = value_at(s, values, i);
        if (isfinite(x)) {
            add_finite(s, x);
        } else if (isnan(x)) {
            s->first_nan = s->nan ? s->first_nan : s->count;
            s->nan++;
        } else {
            s->inf++;
        }
    }
}

static int put_counts(const struct tu_stat *s, struct tu_builder *b, struct tu_error *error)
{
    if (tu_put_uint(b, "count", s->count, error) < 0 ||
        tu_put_uint(b, "finite", s->finite, error) < 0 ||
        tu_put_uint(b, "zeros", s->zeros, error) < 0 || tu_put_uint(b, "nan", s->nan, error) < 0 ||
        tu_put_uint(b, "inf", s->inf, error) < 0)
        return -1;
    return s->nan ? tu_put_uint(b, "first_nan", s->first_nan, error) : 0;
}

int tu_stat_put(struct tu_stat *s, struct tu_builder *b, struct tu_error *error)
{
    char text[TU_DIGEST_TEXT];
    double n = (double)s->finite, mean = s->shifted / n;
    double variance = s->shifted_squares / n - mean * mean;
    const struct {
        const char *key;
        double value;
    } numbers[] = {{"mean", s->shift + mean},
                   {"std", sqrt(fmax(variance, 0))},
                   {"min", s->min},
                   {"max", s->max},
                   {"absmax", s->absmax},
                   {"rms", sqrt(s->squares / n)},
                   {"l1", s->l1},
                   {"l2", sqrt(s->squares)}};
    if (put_counts(s, b, error) < 0)
        return -1;
    for (size_t i = 0; s->finite && i < sizeof numbers / sizeof *numbers; i++)
        if (tu_put_real(b, numbers[i].key, numbers[i].value, error) < 0)
            return -1;
    if (s->finite && (tu_put_uint(b, "argmin", s->argmin, error) < 0 ||
                      tu_put_uint(b, "argmax", s->argmax, error) < 0))
        return -1;
    tu_digest_take(s->digest, text);
    return tu_put_string(b, "digest", text, error);
}
