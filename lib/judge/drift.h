/* SPDX-License-Identifier: MIT */
/* Whether evidence still holds: its seal, the files, the contract and the numbers agree. */
#ifndef TU_DRIFT_H
#define TU_DRIFT_H

#include <stdio.h>

#include "judge/contract.h"
#include "judge/court.h"
#include "judge/evidence.h"

/* Lines without control characters. */
struct tu_lines {
    const char **items;
    size_t count, capacity;
};

/* What was found.  Zero-initialise. */
struct tu_drift {
    struct tu_arena arena;
    struct tu_lines reasons; /* why the evidence does not hold */
    struct tu_lines notes;   /* what is no reason, but should be known */
};

/* Adds a reason, or a note, with control characters escaped. */
int tu_drift_add(struct tu_drift *d, struct tu_error *error, const char *format, ...)
    TU_PRINTF(3, 4) TU_MUST_CHECK;
int tu_drift_note(struct tu_drift *d, struct tu_error *error, const char *format, ...)
    TU_PRINTF(3, 4) TU_MUST_CHECK;

/* Holds evidence (evidence.h) against a contract, whose rules were read, and against the files that
 * it names, which are read on so many threads. */
int tu_drift_check(struct tu_drift *d, const struct tu_sealed *evidence,
                   const struct tu_contract *contract, const struct tu_rules *rules,
                   unsigned threads, struct tu_error *error) TU_MUST_CHECK;
/* Holds its numbers against those of a court, which was sorted. */
int tu_drift_results(struct tu_drift *d, const struct tensor_value *evidence,
                     const struct tu_court *court, struct tu_error *error) TU_MUST_CHECK;
void tu_drift_free(struct tu_drift *d);

/* What a check came to. */
struct tu_check {
    struct tu_drift drift;
    const char *path, *claim; /* of the evidence, and what it is about */
    const char *signature;    /* who signed it, or "unsigned", or "not checked" */
};

/* Writes it; whether the stream took all is the caller's to check. */
typedef int tu_check_fn(FILE *out, const struct tu_check *c, struct tu_error *error);
tu_check_fn tu_check_json, tu_check_text, tu_check_tsv;

#endif
