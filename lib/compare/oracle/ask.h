/* SPDX-License-Identifier: MIT */
/* Asks the oracle about a pair. */
#ifndef TU_ASK_H
#define TU_ASK_H

#include "compare/plan.h"

/* Looks for what explains that a pair disagrees, or that its shapes differ (tu_plan_puzzles);
 * neither tensor is in a stream any more. */
int tu_pair_explain(const struct tu_terms *terms, struct tu_pair *p, const struct tu_partial *sums,
                    struct tu_error *error) TU_MUST_CHECK;

/* The same of weights that are nearly alike, and that no rounding explains: only what changes them
 * a little is looked for, in these two alone. */
int tu_pair_explain_change(const struct tu_terms *terms, struct tu_pair *p,
                           const struct tu_partial *sums, struct tu_error *error) TU_MUST_CHECK;

#endif
