/* SPDX-License-Identifier: MIT */
/* How long something takes, and whether it comes out the same: what --bench and --repeat report. */
#ifndef TU_TIMING_H
#define TU_TIMING_H

#include "tool/output.h"

/* Seconds of a clock that only goes forward. */
double tu_seconds(void);

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

/* Results that are to be the same bits in every run. */
struct tu_repeats {
    uint64_t runs, differing;  /* runs that differ from the first */
    const char *field;         /* what differs first; NULL: an element */
    uint64_t first_difference; /* that element */
    double first, other;       /* its values */
    char difference[64];       /* how that run was made */
};
/* How the n-th run is made: with the instruction sets of this machine in turns, each with as many
 * threads as the session has and with another number.  text says so. */
void tu_vary(const struct tu_session *session, uint64_t run, const struct tu_kernels **kernels,
             unsigned *threads, char text[static 64]);
/* Counts a run that differs; false for all but the first such. */
bool tu_repeats_differ(struct tu_repeats *repeats, const char *how);
extern const struct tu_column tu_repeat_columns[];
/* A `repeat` record: name, runs, differing, and what differs first. */
int tu_put_repeats(struct tu_output *o, const char *name, const struct tu_repeats *repeats,
                   struct tu_error *error) TU_MUST_CHECK;

#endif
