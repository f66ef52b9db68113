/* SPDX-License-Identifier: MIT */
/*
 * What moves y = W x: the order of sums, another decoding of W, or the rounding of x to 8 bits;
 * --explain of tensor-matmul(1) has the fields.
 */
#ifndef TU_MATMUL_EXPLAIN_H
#define TU_MATMUL_EXPLAIN_H

#include "compute/matmul/task.h"
#include "model/operand.h"

/* Another model, whose tensors of the same names are W decoded otherwise. */
struct tu_matmul_other {
    const struct tu_operand *operand;
    const char *path; /* as the user named it */
};

struct tu_matmul_explanation;

/* Computes y in every way that the types allow, and compares.  The task is lent until the end;
 * other may be NULL.  Returns NULL after an error. */
struct tu_matmul_explanation *tu_matmul_explain(const struct tu_matmul_task *t,
                                                const struct tu_matmul_other *other,
                                                unsigned threads,
                                                struct tu_error *error) TU_MUST_CHECK;
/* Fills a record about it; subject is the explanation. */
int tu_matmul_fill_explanation(struct tu_builder *b, const void *subject,
                               struct tu_error *error) TU_MUST_CHECK;
void tu_matmul_explanation_free(struct tu_matmul_explanation *e);

#endif
