/* SPDX-License-Identifier: MIT */
/*
 * The explanations that the layout oracle knows: a row of the table in hypotheses.c for each kind,
 * and a function that tries it.  To add one: write the function in the file of its kind, or in a
 * new one, a row here, one in the table of tensor-cos(1), and tests with a planted instance
 * (tests/unit/compare/oracle.c, tests/filters/oracle.bats).
 */
#ifndef TU_HYPOTHESES_H
#define TU_HYPOTHESES_H

#include "compare/oracle/candidate.h"

/* Tries them all, the likeliest first. */
int tu_hypotheses_try(struct tu_search *s) TU_MUST_CHECK;

/* Each tries what it is called after, and keeps what explains more than the best so far. */
typedef int tu_try_fn(struct tu_search *s);
tu_try_fn tu_try_numbers;
tu_try_fn tu_try_scale;
tu_try_fn tu_try_dimensions;
tu_try_fn tu_try_heads;
tu_try_fn tu_try_orders;
tu_try_fn tu_try_turned_rows;
tu_try_fn tu_try_columns;
tu_try_fn tu_try_factors;
tu_try_fn tu_try_bytes;
tu_try_fn tu_try_others;
tu_try_fn tu_try_shifts;
tu_try_fn tu_try_low_rank;

/* Sizes that heads commonly have, the most common first. */
enum { TU_HEAD_SIZES = 6 };
extern const uint64_t tu_head_sizes[TU_HEAD_SIZES];

/* Those of b in the shape of a. */
struct tu_rows tu_rows_of(struct tu_search *s);
/* A view of the rows, put back into the shape of a; steps are those that made it. */
int tu_try_rows(struct tu_search *s, const struct tu_rows *r, const struct tu_view *v,
                const char *text, const char *steps) TU_MUST_CHECK;

#endif
