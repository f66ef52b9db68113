/* SPDX-License-Identifier: MIT */
/* The explanations that the layout oracle knows. */
#ifndef TU_HYPOTHESES_H
#define TU_HYPOTHESES_H

#include "compare/oracle/candidate.h"

/* Tries them all, the likeliest first; l is how like the sides are as they stand. */
int tu_hypotheses_try(struct tu_search *s, const struct tu_likeness *l) TU_MUST_CHECK;

#endif
