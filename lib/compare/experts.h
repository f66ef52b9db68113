/* SPDX-License-Identifier: MIT */
/* Activations of the experts of each token, met by what the experts are, not by the order in which
 * a side chose them. */
#ifndef TU_COMPARE_EXPERTS_H
#define TU_COMPARE_EXPERTS_H

#include "compare/pair.h"
#include "model/operand.h"

/* Slots [tokens, used, ...] of a pair.  Zero-initialise. */
struct tu_slots {
    uint64_t width;        /* elements of a slot; 0: this is no such pair */
    const uint8_t *absent; /* of each slot of a: 1 where b has not chosen its expert; or NULL */
    uint64_t missing;      /* how many those are */
};

/* Has b be seen in the order of a, where both sides say which experts their slots are of: in their
 * records, or, of files, in a tensor layers.L.moe_topk. */
int tu_experts_meet(struct tu_pair *p, const struct tu_operand *const operands[2],
                    const struct tu_kernels *kernels, struct tu_slots *out,
                    struct tu_error *error) TU_MUST_CHECK;

#endif
