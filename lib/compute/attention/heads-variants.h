/* SPDX-License-Identifier: MIT */
/*
 * What an attention may have been made with in place of what it should have been made with: another
 * mask, scale, soft cap or use of sinks, key and value heads that are paired differently, an output
 * with its heads in front.  Each is tried with the right pairing otherwise.
 */
#ifndef TU_HEADS_VARIANTS_H
#define TU_HEADS_VARIANTS_H

#include "compute/attention/qkv.h"

/* The variant that leaves the smallest residual: the largest over the heads of
 * |output - made| / |output|. */
struct tu_heads_variant {
    char text[160]; /* what it is, in words; empty: none could be tried */
    double residual;
};

/* Tries all that are not what the group already says. */
int tu_heads_find_variant(struct tu_qkv *group, const struct tu_qkv_tensor *out,
                          const struct tu_session *session, struct tu_heads_variant *best,
                          struct tu_error *error) TU_MUST_CHECK;

#endif
