/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "tool/bench.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

const struct tu_column tu_repeat_columns[] = {
    {.key = "runs", .title = "runs", .width = 6},
    {.key = "differing", .title = "differing", .width = 10},
    {.key = "field", .title = "field", .width = -18, .detail = true},
    {.key = "first_difference", .title = "first_difference", .width = 16},
    {.key = "value", .title = "value", .width = -14},
    {.key = "other_value", .title = "other_value", .width = -14},
    {.key = "how", .title = "how", .width = -24},
    {.key = "name", .title = "name"},
    {0},
};

double tu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

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

void tu_vary(const struct tu_session *session, uint64_t run, const struct tu_kernels **kernels,
             unsigned *threads, char text[static 64])
{
    const struct tu_kernels *usable[8], *k;
    size_t count = 0;
    bool supported;
    for (size_t i = 0; count < 8 && (k = tu_kernels_built(i, &supported)); i++)
        if (supported)
            usable[count++] = k;
    *kernels = usable[run / 2 % count];
    *threads = run % 2 == 0 ? (unsigned)session->threads : session->threads > 1 ? 1 : 3;
    snprintf(text, 64, "run %ju: %s, %u threads", (uintmax_t)run + 1, (*kernels)->name, *threads);
}

bool tu_repeats_differ(struct tu_repeats *r, const char *how)
{
    if (r->differing++)
        return false;
    snprintf(r->difference, sizeof r->difference, "%s", how);
    return true;
}

struct named_repeats {
    const char *name;
    const struct tu_repeats *repeats;
};

static int fill_repeats(struct tu_builder *b, const void *subject, struct tu_error *error)
{
    const struct named_repeats *n = subject;
    const struct tu_repeats *r = n->repeats;
    if (tu_put_string(b, "kind", "repeat", error) < 0 ||
        tu_put_string(b, "name", n->name, error) < 0 ||
        tu_put_uint(b, "runs", r->runs, error) < 0 ||
        tu_put_uint(b, "differing", r->differing, error) < 0)
        return -1;
    if (!r->differing)
        return 0;
    int where = r->field ? tu_put_string(b, "field", r->field, error)
                         : tu_put_uint(b, "first_difference", r->first_difference, error);
    return where < 0 || tu_put_string(b, "how", r->difference, error) < 0 ||
                   tu_put_real(b, "value", r->first, error) < 0 ||
                   tu_put_real(b, "other_value", r->other, error) < 0
               ? -1
               : 0;
}

int tu_put_repeats(struct tu_output *o, const char *name, const struct tu_repeats *repeats,
                   struct tu_error *error)
{
    const struct named_repeats subject = {name, repeats};
    return tu_output_built(o, fill_repeats, &subject, error);
}
