/* SPDX-License-Identifier: MIT */
/* Times of runs, and the record that sums them up. */
#include "config.h"

#include "tool/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct tu_column tu_timing_columns[] = {
    {.key = "median_ms", .title = "median_ms", .width = -12},
    {.key = "p10_ms", .title = "p10_ms", .width = -12},
    {.key = "p90_ms", .title = "p90_ms", .width = -12},
    {.key = "runs", .title = "runs", .width = 6},
    {.key = "gb_per_s", .title = "GB/s", .width = -12},
    {.key = "share_of_peak", .title = "of_peak", .width = -12, .detail = true},
    {.key = "gflop_per_s", .title = "Gflop/s", .width = -12},
    {.key = "path", .title = "path", .width = -6},
    {.key = "what", .title = "what", .width = -10},
    {.key = "name", .title = "name"},
    {0},
};

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

void tu_sort_times(double *times, size_t count)
{
    qsort(times, count, sizeof *times, compare_doubles);
}

double tu_quantile(const double *sorted, size_t count, double share)
{
    size_t rank = (size_t)ceil(share * (double)count);
    return sorted[rank ? rank - 1 : 0];
}

struct summary {
    const struct tu_timing *timing;
    double median, p10, p90;
};

static int fill_timing(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct summary *s = subject;
    const struct tu_timing *t = s->timing;
    double seconds = s->median / 1e3;
    if (tu_put_string(b, "kind", "timing", error) < 0 ||
        tu_put_string(b, "name", t->name, error) < 0 ||
        tu_put_string(b, "what", t->what, error) < 0 ||
        tu_put_string(b, "path", t->path, error) < 0 ||
        tu_put_uint(b, "runs", t->runs, error) < 0 ||
        tu_put_real(b, "median_ms", s->median, error) < 0 ||
        tu_put_real(b, "p10_ms", s->p10, error) < 0 || tu_put_real(b, "p90_ms", s->p90, error) < 0)
        return -1;
    if (t->bytes > 0 && tu_put_real(b, "gb_per_s", t->bytes / seconds / 1e9, error) < 0)
        return -1;
    if (t->bytes > 0 && t->peak_gb_per_s > 0 &&
        tu_put_real(b, "share_of_peak", t->bytes / seconds / 1e9 / t->peak_gb_per_s, error) < 0)
        return -1;
    return t->flops > 0 ? tu_put_real(b, "gflop_per_s", t->flops / seconds / 1e9, error) : 0;
}

int tu_put_timing(struct tu_output *o, const struct tu_timing *timing, struct tu_error *error)
{
    double *sorted = malloc(timing->runs * sizeof *sorted);
    if (!sorted)
        return tu_fail_memory(error);
    memcpy(sorted, timing->ms, timing->runs * sizeof *sorted);
    tu_sort_times(sorted, timing->runs);
    const struct summary s = {.timing = timing,
                              .median = tu_quantile(sorted, timing->runs, 0.5),
                              .p10 = tu_quantile(sorted, timing->runs, 0.1),
                              .p90 = tu_quantile(sorted, timing->runs, 0.9)};
    free(sorted);
    return tu_output_built(o, fill_timing, &s, error);
}
