/* SPDX-License-Identifier: MIT */
/*
 * Some elements of a tensor, and how like those of another they are.  Which ones depends on the
 * number of elements alone, so those of two tensors of one size belong together.
 */
#ifndef TU_SAMPLE_H
#define TU_SAMPLE_H

#include "map/view.h"

/* All elements of a tensor that has no more, or else runs that are spread over it. */
#define TU_SAMPLE_MAX 4096

struct tu_sample {
    size_t count;
    float values[TU_SAMPLE_MAX];
};

int tu_sample_take(const struct tu_view *v, const struct tu_kernels *kernels, struct tu_sample *out,
                   struct tu_error *error) TU_MUST_CHECK;

/* A few of those elements, and the same few of a sample. */
int tu_sample_glance(const struct tu_view *v, const struct tu_kernels *kernels,
                     struct tu_sample *out, struct tu_error *error) TU_MUST_CHECK;
void tu_sample_thin(const struct tu_sample *s, struct tu_sample *out);

/* Sums over pairs of which both are finite. */
struct tu_likeness {
    size_t count, finite;
    double a, b, aa, bb, ab, dd;
};

void tu_likeness_add(struct tu_likeness *l, const float *a, const float *b, size_t count);
struct tu_likeness tu_likeness(const float *a, const float *b, size_t count);
/* 0 where there is none. */
double tu_likeness_cosine(const struct tu_likeness *l);
/* The share of the variance of a that b leaves, as it stands or with the best factor: 0 where they
 * are equal, 1 where b says nothing of a or a does not vary.  Pairs that are not finite count as
 * if b said nothing. */
double tu_likeness_unexplained(const struct tu_likeness *l);
double tu_likeness_unscaled(const struct tu_likeness *l);

/* ---- Rows ---- */

/* count whole rows of a view taken as a matrix, spread over it: which ones depends on rows and
 * count alone.  out: count * columns numbers. */
int tu_sample_rows(const struct tu_view *v, const struct tu_kernels *kernels, uint64_t columns,
                   size_t count, float *out, struct tu_error *error) TU_MUST_CHECK;

/* ---- The order of shares ---- */

/* Shares of which there may be so many. */
#define TU_SHARES_MOST 4096

/* Finds which share of b each of a is, by each elements of either, so that none leaves more than
 * that level has it of the variance: whether all were found, and in another order. */
bool tu_match_shares(const float *a, const float *b, size_t count, size_t each, double level,
                     uint64_t *order);

#endif
