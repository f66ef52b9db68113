/* SPDX-License-Identifier: MIT */
/* Whether y = W x has the same bits for any number of threads and any instruction set. */
#ifndef TU_MATMUL_REPEAT_H
#define TU_MATMUL_REPEAT_H

#include "compute/matmul/task.h"
#include "compute/repeat.h"

/* Multiplies so many times in each way, with an x made anew by each instruction set, and notes all
 * of it in out, which has its ways.  The ways are those of a processor. */
int tu_matmul_repeat(const struct tu_matmul_task *t, const struct tu_member *x, uint64_t runs,
                     struct tu_repeats *out, struct tu_error *error) TU_MUST_CHECK;

#endif
