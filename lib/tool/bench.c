/* SPDX-License-Identifier: MIT */
/* Times of runs, and the record that sums them up. */
#include "config.h"

#include "tool/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct tu_column tu_timing_columns[] = {
    TU_TIMING_COLUMNS,
    {.key = "name", .title = "name"},
    {0},
};

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The nearest rank: the smallest of sorted values that a share of them does not exceed. */
static double quantile(const double *sorted, size_t count, double share)
{
    size_t rank = (size_t)ceil(share * (double)count);
    return sorted[rank ? rank - 1 : 0];
}

struct summary {
    tu_fill_fn *about;
    const void *subject;
    const struct tu_timing *timing;
    double median, p10, p90;
};

static int fill_timing(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct summary *s = subject;
    const struct tu_timing *t = s->timing;
    double seconds = s->median / 1e3;
    if (tu_put_string(b, "kind", "timing", error) < 0 || s->about(b, s->subject, error) < 0 ||
        tu_put_string(b, "what", t->what, error) < 0 ||
        tu_put_uint(b, "runs", t->runs, error) < 0 ||
        (t->threads && tu_put_uint(b, "threads", t->threads, error) < 0) ||
        (t->threads && tu_put_string(b, "instructions", t->instructions, error) < 0) ||
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

int tu_put_timing(struct tu_output *o, tu_fill_fn *about, const void *subject,
                  const struct tu_timing *timing, struct tu_error *error)
{
    double *sorted = malloc(timing->runs * sizeof *sorted);
    if (!sorted)
        return tu_fail_memory(error);
    memcpy(sorted, timing->ms, timing->runs * sizeof *sorted);
    qsort(sorted, timing->runs, sizeof *sorted, compare_doubles);
    const struct summary s = {.about = about,
                              .subject = subject,
                              .timing = timing,
                              .median = quantile(sorted, timing->runs, 0.5),
                              .p10 = quantile(sorted, timing->runs, 0.1),
                              .p90 = quantile(sorted, timing->runs, 0.9)};
    free(sorted);
    return tu_output_built(o, fill_timing, &s, error);
}
