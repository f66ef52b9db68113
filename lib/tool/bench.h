/* SPDX-License-Identifier: MIT */
/* How long something takes: the `timing` records of --bench, the same from every tool. */
#ifndef TU_BENCH_H
#define TU_BENCH_H

#include "tool/output.h"

/* Runs of one thing.  The record has median_ms, p10_ms and p90_ms (of the runs, the nearest rank),
 * and gb_per_s and gflop_per_s of the median where bytes and flops are known; tensor-stream(5). */
struct tu_timing {
    const char *what; /* what was timed: "attention", "product", "read", "kernel", "transfer" */
    const double *ms; /* of each run */
    size_t runs;
    unsigned threads;         /* 0: not those of the processor */
    const char *instructions; /* the set; NULL with 0 threads */
    double bytes, flops;      /* of a run; 0: not known */
    double peak_gb_per_s;     /* of the device; 0: not known */
};

/* Columns of all tools; one that says more of what it times has its own between these and the
 * name. */
/* clang-format off */
#define TU_TIMING_COLUMNS \
    {.key = "median_ms", .title = "median_ms", .width = -12}, \
    {.key = "p10_ms", .title = "p10_ms", .width = -12}, \
    {.key = "p90_ms", .title = "p90_ms", .width = -12}, \
    {.key = "runs", .title = "runs", .width = 6}, \
    {.key = "gb_per_s", .title = "GB/s", .width = -12}, \
    {.key = "share_of_peak", .title = "of_peak", .width = -12, .detail = true}, \
    {.key = "gflop_per_s", .title = "Gflop/s", .width = -12}, \
    {.key = "path", .title = "path", .width = -6}, \
    {.key = "what", .title = "what", .width = -10}, \
    {.key = "threads", .title = "threads", .width = 7, .detail = true}, \
    {.key = "instructions", .title = "instructions", .width = -12, .detail = true}
/* clang-format on */

extern const struct tu_column tu_timing_columns[];
/* A `timing` record of what `about` puts, from its name to its path. */
int tu_put_timing(struct tu_output *o, tu_fill_fn *about, const void *subject,
                  const struct tu_timing *timing, struct tu_error *error) TU_MUST_CHECK;

#endif
