/* SPDX-License-Identifier: MIT */
/* How a pair is compared: how either side is seen, and the tiles that both are cut into. */
#ifndef TU_PLAN_H
#define TU_PLAN_H

#include "compare/pair.h"
#include "compare/conventions.h"
#include "compare/experts.h"
#include "map/partner.h"
#include "model/operand.h"

/* What pairs are settled by. */
struct tu_terms {
    const struct tu_kernels *kernels;
    enum tu_transposing transposing;
    bool oracle, full;
    const struct tu_partners *partners;
    const struct tu_operand *operands[2]; /* a, b */
    struct tu_conventions *conventions;
};

/* Zero-initialise. */
struct tu_plan {
    struct tu_comparison comparison;
    int cutter;    /* the side whose rows cut the tiles */
    uint64_t tile; /* elements of a tile */
    uint64_t run;  /* elements that no tile cuts, unless it is a piece of a longer row */
    /* Where one is transposed, tiles are blocks of a matrix instead. */
    const struct tu_view *blocks[2]; /* a, b; NULL: tiles are runs */
    uint64_t block_rows, block_columns;
    /* What is left out on both sides: of scores of attention, entries [query, key] that a causal
     * mask hides, of experts of a token, those that the other side has not chosen. */
    uint64_t queries, keys; /* 0: there is no mask */
    struct tu_slots slots;
    uint64_t hidden; /* how many elements; 0: nothing is left out */
    bool has_logits; /* the pair has views, of logits */
    bool has_full;   /* there are full numbers, of this plan */
    struct tu_column_plan columns;
    struct tu_full_plan full;
};

/* Decides how the two are compared, once both are there that will be: sets the pair's match, and
 * where that is TU_MATCH_BOTH how its sides are seen, and the plan. */
int tu_plan_settle(const struct tu_terms *terms, struct tu_pair *p, struct tu_plan *plan,
                   struct tu_error *error) TU_MUST_CHECK;
/* Whether what was compared, or cannot be since shapes differ, needs to be explained. */
bool tu_plan_puzzles(const struct tu_terms *terms, const struct tu_pair *p,
                     const struct tu_partial *sums);

#endif
