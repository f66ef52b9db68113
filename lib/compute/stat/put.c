/* SPDX-License-Identifier: MIT */
/* Puts the statistics of a group into a record. */
#include "config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compute/stat/stat.h"

const struct tu_column tu_stat_columns[] = {
    {.key = "rms", .title = "rms", .width = -10},
    {.key = "mean", .title = "mean", .width = -10},
    {.key = "std", .title = "std", .width = -10},
    {.key = "min", .title = "min", .width = -10},
    {.key = "max", .title = "max", .width = -10},
    {.key = "nan", .title = "nan", .width = 5},
    {.key = "inf", .title = "inf", .width = 5},
    {.key = "zeros", .title = "zeros", .width = 6},
    {.key = "shape", .title = "shape", .width = -16},
    {.key = "axis", .title = "axis", .width = -7, .detail = true},
    {.key = "index", .title = "index", .width = 7, .detail = true},
    {.key = "order", .title = "order", .width = 5, .detail = true},
    {.key = "stage", .title = "stage", .width = -14, .detail = true},
    {.key = "layer", .title = "layer", .width = 5, .detail = true},
    {.key = "count", .title = "count", .width = 8, .detail = true},
    {.key = "finite", .title = "finite", .width = 8, .detail = true},
    {.key = "first_nan", .title = "first_nan", .width = 8, .detail = true},
    {.key = "argmin", .title = "argmin", .width = 8, .detail = true},
    {.key = "argmax", .title = "argmax", .width = 8, .detail = true},
    {.key = "absmax", .title = "absmax", .width = -10, .detail = true},
    {.key = "l1", .title = "l1", .width = -10, .detail = true},
    {.key = "l2", .title = "l2", .width = -10, .detail = true},
    {.key = "skewness", .title = "skewness", .width = -10, .detail = true},
    {.key = "kurtosis", .title = "kurtosis", .width = -10, .detail = true},
    {.key = "status", .title = "status", .width = -9, .detail = true},
    {.key = "digest", .title = "digest", .width = -16, .detail = true},
    {.key = "name", .title = "name"},
    {0},
};

static int put_counts(const struct tu_stats *s, const struct tu_stat *stat, struct tu_builder *b,
                      struct tu_error *error)
{
    if (tu_put_uint(b, "count", stat->count, error) < 0 ||
        (s->masked && s->axis == TU_STAT_ALL && tu_put_uint(b, "masked", s->masked, error) < 0) ||
        tu_put_uint(b, "finite", stat->finite, error) < 0 ||
        tu_put_uint(b, "zeros", stat->zeros, error) < 0 ||
        tu_put_uint(b, "nan", stat->nan, error) < 0 || tu_put_uint(b, "inf", stat->inf, error) < 0)
        return -1;
    return stat->nan ? tu_put_uint(b, "first_nan", stat->first_nan, error) : 0;
}

/* A sum that float64 cannot hold is no number that could be judged. */
static int put_finite(struct tu_builder *b, const char *key, double value, struct tu_error *error)
{
    return isfinite(value) ? tu_put_real(b, key, value, error) : 0;
}

/* Values that are all the same have no skewness and no kurtosis. */
static int put_moments(const struct tu_stat *s, struct tu_builder *b, struct tu_error *error)
{
    double n = s->n, variance = s->m2 / n;
    if (put_finite(b, "mean", s->shift + s->mean, error) < 0 ||
        put_finite(b, "std", sqrt(variance), error) < 0 ||
        tu_put_real(b, "min", s->min, error) < 0 || tu_put_real(b, "max", s->max, error) < 0 ||
        tu_put_uint(b, "argmin", s->argmin, error) < 0 ||
        tu_put_uint(b, "argmax", s->argmax, error) < 0 ||
        tu_put_real(b, "absmax", fabs(s->top.items[0].value), error) < 0 ||
        put_finite(b, "rms", sqrt(s->squares / n), error) < 0 ||
        put_finite(b, "l1", s->l1, error) < 0 || put_finite(b, "l2", sqrt(s->squares), error) < 0)
        return -1;
    if (!(s->m2 > 0) || s->min == s->max)
        return 0;
    if (put_finite(b, "skewness", s->m3 / n / (variance * sqrt(variance)), error) < 0)
        return -1;
    return put_finite(b, "kurtosis", s->m4 / n / (variance * variance), error);
}

static int put_quantiles(const struct tu_stats *s, const struct tu_stat *stat, struct tu_builder *b,
                         struct tu_error *error)
{
    static const struct {
        const char *key;
        double p;
    } wanted[] = {{"0.001", 0.001}, {"0.01", 0.01}, {"0.05", 0.05}, {"0.25", 0.25},  {"0.5", 0.5},
                  {"0.75", 0.75},   {"0.95", 0.95}, {"0.99", 0.99}, {"0.999", 0.999}};
    const struct tu_sketch *sketch = &s->sketches[stat - s->stats];
    if (s->room.given_up)
        return 0;
    if (tu_builder_open(b, "quantiles", strlen("quantiles"), TENSOR_MAP, TENSOR_NULL, error) < 0)
        return -1;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        double x = tu_sketch_quantile(&s->room, sketch, wanted[i].p);
        if (tu_put_real(b, wanted[i].key, fmin(fmax(x, stat->min), stat->max), error) < 0)
            return -1;
    }
    return tu_builder_close(b, error) < 0
               ? -1
               : tu_put_real(b, "quantile_error", tu_sketch_error(&s->room), error);
}

static int put_top(const struct tu_stat_top *top, const char *key, const char *what,
                   struct tu_builder *b, struct tu_error *error)
{
    if (tu_builder_open(b, key, strlen(key), TENSOR_ARRAY, TENSOR_MAP, error) < 0)
        return -1;
    for (size_t i = 0; i < top->count; i++)
        if (tu_builder_open(b, NULL, 0, TENSOR_MAP, TENSOR_NULL, error) < 0 ||
            tu_put_uint(b, "index", top->items[i].index, error) < 0 ||
            tu_put_real(b, what, top->items[i].value, error) < 0 || tu_builder_close(b, error) < 0)
            return -1;
    return tu_builder_close(b, error);
}

/* The largest channels; the mean is that over all places of the channel. */
static int put_channels(const struct tu_stats *s, const struct tu_stat *stat, struct tu_builder *b,
                        struct tu_error *error)
{
    struct tu_stat_top top = {0};
    double places = (double)stat->count / (double)s->channel_count;
    for (uint64_t i = 0; i < s->channel_count; i++)
        tu_stat_top_add(&top, i, s->channels[i] / places);
    for (size_t i = 0; i < top.count; i++)
        if (!isfinite(top.items[i].value))
            return 0;
    return put_top(&top, "top_channels", "mean_square", b, error);
}

int tu_stats_put(struct tu_stats *s, struct tu_stat *stat, uint64_t index, struct tu_builder *b,
                 struct tu_error *error)
{
    char text[TU_DIGEST_TEXT];
    bool all = s->axis == TU_STAT_ALL;
    if (tu_put_string(b, "status", stat->nan || stat->inf ? "nonfinite" : "ok", error) < 0 ||
        tu_put_string(b, "axis", tu_stat_axis_names[s->axis], error) < 0 ||
        (!all && tu_put_uint(b, "index", index, error) < 0) || put_counts(s, stat, b, error) < 0)
        return -1;
    if (stat->finite && (put_moments(stat, b, error) < 0 || put_quantiles(s, stat, b, error) < 0 ||
                         put_top(&stat->top, "top", "value", b, error) < 0 ||
                         (s->channels && put_channels(s, stat, b, error) < 0)))
        return -1;
    if (!all)
        return 0;
    tu_digest_take(s->digest, text);
    return tu_put_string(b, "digest", text, error);
}
