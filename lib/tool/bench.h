/* SPDX-License-Identifier: MIT */
/* How long something takes, and whether it comes out the same: what --bench and --repeat report. */
#ifndef TU_BENCH_H
#define TU_BENCH_H

#include "tool/output.h"

/* Sorts times, for the next. */
void tu_sort_times(double *times, size_t count);
/* The nearest rank: the smallest of sorted values that a share of them does not exceed. */
double tu_quantile(const double *sorted, size_t count, double share);

/* Runs of one thing.  The record has median_ms, p10_ms and p90_ms (of the runs, the nearest rank),
 * and gb_per_s and gflop_per_s of the median where bytes and flops are known. */
struct tu_timing {
    const char *name; /* of the tensor that is made */
    const char *what; /* what was timed: "attention", "kernel", "transfer" */
    const char *path; /* the way it was done: "f32", "cuda" */
    const double *ms;
    size_t runs;
    double bytes, flops;  /* of a run; 0: not known */
    double peak_gb_per_s; /* of the device; 0: not known */
};
extern const struct tu_column tu_timing_columns[];
/* A `timing` record. */
int tu_put_timing(struct tu_output *o, const struct tu_timing *timing,
                  struct tu_error *error) TU_MUST_CHECK;

#endif
