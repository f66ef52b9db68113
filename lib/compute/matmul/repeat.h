/* SPDX-License-Identifier: MIT */
/* Whether y = W x has the same bits for any number of threads and any instruction set. */
#ifndef TU_MATMUL_REPEAT_H
#define TU_MATMUL_REPEAT_H

#include "compute/matmul/task.h"

/* What the runs of one matrix have shown so far. */
struct tu_matmul_repetition {
    const struct tu_matmul_task *task;
    struct tu_matmul_result first, other;
    uint64_t runs, differing, elements; /* elements that differ in the first run that does */
    uint64_t sets, threads;
    size_t index;
    double a, b;
    unsigned first_threads;
    const char *first_set;
};

/* Multiplies so many times with 1, 2, 3 and all threads and with every instruction set that the
 * processor has, with an x made anew by each, and compares all of it with the first run.  The task
 * is lent; tu_matmul_repetition_free() is due after a failure, too. */
int tu_matmul_repeat(const struct tu_matmul_task *t, const struct tu_member *x, unsigned threads,
                     uint64_t runs, struct tu_matmul_repetition *out,
                     struct tu_error *error) TU_MUST_CHECK;
/* Fills a record about it; subject is the repetition. */
int tu_matmul_fill_repetition(struct tu_builder *b, const void *subject,
                              struct tu_error *error) TU_MUST_CHECK;
void tu_matmul_repetition_free(struct tu_matmul_repetition *r);

#endif
