/* SPDX-License-Identifier: MIT */
/*
 * A comparison in the words of `apr diff --values --json`, for scripts that were written for it:
 * float32 differences in buckets, a status by the largest of them, one JSON object for all.
 */
#ifndef TU_APR_DIFF_H
#define TU_APR_DIFF_H

#include "base/arena.h"
#include "compare/operands.h"

enum tu_apr_status {
    TU_APR_IDENTICAL,
    TU_APR_NEARLY_IDENTICAL,
    TU_APR_SMALL,
    TU_APR_MEDIUM,
    TU_APR_LARGE,
    TU_APR_TRANSPOSED,
    TU_APR_CRITICAL,
    TU_APR_STATUSES
};

struct tu_apr_result {
    const char *name; /* in the words of Hugging Face, as far as it knows them */
    const uint64_t *shapes[2];
    unsigned ranks[2];
    uint64_t elements;
    enum tu_apr_status status;
    struct tu_apr_buckets counts;
    float cosine, mean, rmse;
};

/* Zero-initialise, then set the names of the operands. */
struct tu_apr_diff {
    const char *model_a, *model_b;
    struct tu_arena arena;
    struct tu_apr_result *results;
    size_t count, capacity;
    size_t absent;           /* tensors that are on one side only, which are no results */
    const char *some_absent; /* the name of one */
    size_t unlike; /* results without numbers: shapes that differ, types that are not real */
    const char *some_unlike;
};

int tu_apr_diff_add(struct tu_apr_diff *d, const struct tu_pair_result *r,
                    struct tu_error *error) TU_MUST_CHECK;
/* Orders the results by name and leaves those out that are beyond a limit; 0 is none. */
void tu_apr_diff_close(struct tu_apr_diff *d, uint64_t limit);
/* The object; the subject is a tu_apr_diff. */
int tu_apr_diff_fill(struct tu_builder *b, const void *subject, struct tu_error *error);
void tu_apr_diff_free(struct tu_apr_diff *d);

#endif
