/* SPDX-License-Identifier: MIT */
/* Whether evidence still holds: its seal, the files, the contract and the numbers agree. */
#ifndef TU_DRIFT_H
#define TU_DRIFT_H

#include "judge/contract.h"
#include "judge/court.h"

/* What was found, each a line without control characters.  Zero-initialise. */
struct tu_drift {
    struct tu_arena arena;
    const char **reasons; /* why the evidence does not hold */
    size_t count, capacity;
    const char *note; /* what is no reason, but should be known; NULL: nothing */
};

/* Holds evidence (evidence.h) against a contract, whose rules were read, and against the files that
 * it names, which are read on so many threads. */
int tu_drift_check(struct tu_drift *d, const struct tensor_value *evidence,
                   const struct tu_contract *contract, const struct tu_rules *rules,
                   unsigned threads, struct tu_error *error) TU_MUST_CHECK;
/* Holds its numbers against those of a court, which was sorted. */
int tu_drift_results(struct tu_drift *d, const struct tensor_value *evidence,
                     const struct tu_court *court, struct tu_error *error) TU_MUST_CHECK;
void tu_drift_free(struct tu_drift *d);

#endif
