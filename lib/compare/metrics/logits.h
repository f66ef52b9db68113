/* SPDX-License-Identifier: MIT */
/* Logits of two sides, position by position: whether they choose the same token, and how far their
 * distributions are apart. */
#ifndef TU_METRICS_LOGITS_H
#define TU_METRICS_LOGITS_H

#include "map/view.h"

/* How many of the largest logits are held against each other. */
enum { TU_LOGITS_TOP = 5 };

/* Numbers in nats; arrays have one for each position. */
struct tu_logits {
    uint64_t positions, ids; /* rows, and logits of each */
    uint64_t *argmax[2];     /* the first of the largest, of a and of b */
    uint64_t *overlap;  /* how many of the largest TU_LOGITS_TOP (or all, of fewer) both have */
    double *divergence; /* KL(a || b) = sum p_a (log p_a - log p_b), p the softmax of logits */
    uint64_t agreeing;  /* positions with the same argmax */
    double top_share;   /* the mean of overlap, as a share */
    double mean, most;  /* of divergence; NaN where a row has NaN, or +infinity */
    uint64_t most_position;
    double likelihood[2]; /* mean of -log p of the next token; NaN: the tokens are not known */
};

/* Whether a shape is one of logits: rows of more than one. */
bool tu_logits_shape(const struct tu_tensor *t);

/* Looks at two views of the same shape.  next: the token ids at the positions, of which those from
 * the second on are what the rows before should give, or NULL; all below the logits of a row.  What
 * it makes lives in the arena. */
int tu_logits_compare(const struct tu_view *const views[2], const struct tu_kernels *kernels,
                      const uint32_t *next, struct tu_arena *arena, struct tu_logits *out,
                      struct tu_error *error) TU_MUST_CHECK;

#endif
